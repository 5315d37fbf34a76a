/* The builder: what it writes reads back, and nothing gets in from the side. */
#include "sip/stack/build.h"

#include <errno.h>

#include "block.h"
#include "sip/stack/check.h"
#include "../../support/test.h"

static const char invite[] =
	"INVITE sip:bob@example.org SIP/2.0\r\n"
	"v: SIP/2.0/UDP 10.0.0.1:5070;rport;received=6.6.6.6;branch=z9hG4bKa\r\n"
	" , SIP/2.0/TCP p2;branch=z9hG4bKb\r\n"
	"Via: SIP/2.0/UDP p3\r\n"
	"Record-Route: <sip:p1;lr>,\r\n\t<sip:p2;lr>\r\n"
	"Route: <sip:p4;lr>\r\n"
	"Max-Forwards: 70\r\n"
	"f: \"Nul \\\r\n x\" <sip:alice@example.org>;tag=1\r\n"
	"To: sip:bob@example.org\r\n"
	"Call-ID: abc@10.0.0.1\r\n"
	"Timestamp: 54\r\n"
	"CSeq: 9 INVITE\r\n\r\n";

static char buf[4096];

static struct pb_text text(void)
{
	struct pb_text t;

	pb_text_init_buf(&t, buf, sizeof(buf));
	return t;
}

static const char *const want_180 =
	"SIP/2.0 180 Ringing\r\n"
	"Via: SIP/2.0/UDP 10.0.0.1:5070;rport=5061;branch=z9hG4bKa;received=192.0.2.7, "
	"SIP/2.0/TCP p2;branch=z9hG4bKb\r\n"
	"Via: SIP/2.0/UDP p3\r\n"
	"Record-Route: <sip:p1;lr>, <sip:p2;lr>\r\n"
	"From: \"Nul \\ x\" <sip:alice@example.org>;tag=1\r\n"
	"To: sip:bob@example.org;tag=mine\r\n"
	"Call-ID: abc@10.0.0.1\r\n"
	"CSeq: 9 INVITE\r\n"
	"Contact: <sip:bob@192.0.2.9>\r\n"
	"Content-Type: text/plain\r\n"
	"Content-Length: 2\r\n"
	"\r\nhi";

static void answers(void)
{
	struct sip_answer a = { .code = 180,
				.to_tag = PB_STR("mine"),
				.received = PB_STR("192.0.2.7"),
				.rport = 5061 };
	struct pb_text t = text();
	struct sip_build b;
	struct sip_msg m;

	sip_msg_parse(&m, pb_str_z(invite));
	sip_build_response(&b, &t, &m, &a);
	sip_build_addr(&b, SIP_HDR_CONTACT,
		       &(struct sip_addr_args){ .uri = PB_STR("sip:bob@192.0.2.9") });
	CU_ASSERT_EQUAL(sip_build_end(&b, PB_STR("text/plain"), PB_STR("hi")), 0);
	PB_SAME(pb_text_str(&t), want_180);
}

static void answers_100_without_tag(void)
{
	struct sip_answer a = { .code = 100, .to_tag = PB_STR("mine") };
	struct pb_text t = text();
	struct sip_build b;
	struct sip_msg m, r;

	sip_msg_parse(&m, pb_str_z(invite));
	sip_build_response(&b, &t, &m, &a);
	CU_ASSERT_EQUAL(sip_build_end(&b, PB_STR_NULL, PB_STR_NULL), 0);
	CU_ASSERT_EQUAL(sip_msg_parse(&r, pb_text_str(&t)), SIP_PARSE_OK);
	PB_SAME(sip_msg_value(&r, SIP_HDR_TO), "sip:bob@example.org");
	PB_SAME(sip_msg_value(&r, SIP_HDR_TIMESTAMP), "54");
	CU_ASSERT_PTR_NULL(sip_msg_value(&r, SIP_HDR_RECORD_ROUTE).p);
}

static void adds_received_only_when_it_tells(void)
{
	struct sip_answer a = { .code = 200, .received = PB_STR("192.0.2.7"), .rport = 5060 };
	struct pb_text t = text();
	struct sip_build b;
	struct sip_msg m;

	sip_msg_parse(&m, PB_STR("OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7\r\n\r\n"));
	sip_build_response(&b, &t, &m, &a);
	PB_SAME(pb_text_str(&t), "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.7\r\n");
	t = text();
	sip_msg_parse(&m, PB_STR("OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=1\r\n\r\n"));
	sip_build_response(&b, &t, &m, &a);
	PB_SAME(pb_text_str(&t),
		"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=1;received=192.0.2.7\r\n");
}

static void asks(void)
{
	struct pb_text t = text();
	struct sip_build b;
	struct sip_msg m;
	struct sip_core core;

	sip_build_request(&b, &t, PB_STR("MESSAGE"), PB_STR("sip:bob@[::1]:5062"));
	sip_build_via(&b, &(struct sip_via_args){ .transport = PB_STR("UDP"),
						  .host = PB_STR("::1"),
						  .port = 5060,
						  .branch = PB_STR("z9hG4bK.x"),
						  .rport = true });
	sip_build_number(&b, SIP_HDR_MAX_FORWARDS, 70);
	sip_build_addr(&b, SIP_HDR_FROM,
		       &(struct sip_addr_args){ .display = PB_STR("a \"b\" \\c"),
						.uri = PB_STR("sip:a@b"),
						.tag = PB_STR("t1") });
	sip_build_addr(
		&b, SIP_HDR_TO,
		&(struct sip_addr_args){ .uri = PB_STR("sip:bob@b"), .params = PB_STR("x=y") });
	sip_build_hdr(&b, SIP_HDR_CALL_ID, PB_STR("id"));
	sip_build_cseq(&b, 4, PB_STR("MESSAGE"));
	sip_build_named(&b, PB_STR("X-Mine"), PB_STR("1"));
	CU_ASSERT_EQUAL(sip_build_end(&b, PB_STR("text/plain"), PB_STR("a\r\n\r\nb\0c")), 0);
	CU_ASSERT_EQUAL(sip_msg_parse(&m, pb_text_str(&t)), SIP_PARSE_OK);
	CU_ASSERT_EQUAL(sip_msg_check(&m, &core).code, 0);
	PB_SAME(core.via.host, "::1");
	PB_SAME(core.from_tag, "t1");
	PB_SAME(core.from.display, "\"a \\\"b\\\" \\\\c\"");
	CU_ASSERT_EQUAL(m.body.n, 8);
	CU_ASSERT_EQUAL(m.raw.n, t.n);
}

static const struct {
	const char *uri, *branch, *display, *tag, *name, *value;
} bad_rows[] = {
	{ "sip:a\r\nX: y", "b", "d", "t", "N", "v" }, { "sip:a b", "b", "d", "t", "N", "v" },
	{ "sip:a>", "b", "d", "t", "N", "v" },        { "", "b", "d", "t", "N", "v" },
	{ "sip:a", "b\r\n", "d", "t", "N", "v" },     { "sip:a", "", "d", "t", "N", "v" },
	{ "sip:a", "b", "d\nX: y", "t", "N", "v" },   { "sip:a", "b", "d", "t;x", "N", "v" },
	{ "sip:a", "b", "d", "t", "N:", "v" },        { "sip:a", "b", "d", "t", "", "v" },
	{ "sip:a", "b", "d", "t", "N", "v\r\n\r\n" }, { "sip:a", "b", "d", "t", "N", "v\r" },
	{ "sip:a", "b", "d", "t", "N", "v\n" },
};

static int build_row(size_t i)
{
	struct pb_text t = text();
	struct sip_build b;

	sip_build_request(&b, &t, PB_STR("INFO"), pb_str_z(bad_rows[i].uri));
	sip_build_via(&b, &(struct sip_via_args){ .transport = PB_STR("UDP"),
						  .host = PB_STR("h"),
						  .branch = pb_str_z(bad_rows[i].branch) });
	sip_build_addr(&b, SIP_HDR_FROM,
		       &(struct sip_addr_args){ .display = pb_str_z(bad_rows[i].display),
						.uri = PB_STR("sip:a"),
						.tag = pb_str_z(bad_rows[i].tag) });
	sip_build_named(&b, pb_str_z(bad_rows[i].name), pb_str_z(bad_rows[i].value));
	return sip_build_end(&b, PB_STR_NULL, PB_STR_NULL);
}

static void refuses_injection(void)
{
	struct pb_text t = text();
	struct sip_build b;

	for (size_t i = 0; i < sizeof(bad_rows) / sizeof(bad_rows[0]); i++)
		CU_ASSERT_EQUAL(build_row(i), -EINVAL);
	sip_build_request(&b, &t, PB_STR("INFO"), PB_STR("sip:a"));
	sip_build_hdr(&b, SIP_HDR_SUBJECT, PB_STR("nul \0 inside"));
	CU_ASSERT_EQUAL(sip_build_end(&b, PB_STR_NULL, PB_STR_NULL), -EINVAL);
	t = text();
	sip_build_request(&b, &t, PB_STR("INFO"), PB_STR("sip:a"));
	CU_ASSERT_EQUAL(sip_build_end(&b, PB_STR("text/plain\r\nX: y"), PB_STR_NULL), -EINVAL);
	t = text();
	sip_build_request(&b, &t, PB_STR("IN FO"), PB_STR("sip:a"));
	CU_ASSERT_EQUAL(sip_build_end(&b, PB_STR_NULL, PB_STR_NULL), -EINVAL);
}

static void notices_a_full_buffer(void)
{
	char small[60];
	struct pb_text t;
	struct sip_build b;

	pb_text_init_buf(&t, small, sizeof(small));
	sip_build_request(&b, &t, PB_STR("INFO"), PB_STR("sip:a"));
	sip_build_hdr(&b, SIP_HDR_SUBJECT, PB_STR("long enough for once"));
	CU_ASSERT_EQUAL(sip_build_end(&b, PB_STR_NULL, PB_STR_NULL), -ENOSPC);
}

static void acknowledges(void)
{
	struct pb_text t = text();
	struct sip_msg sent, answer;

	sip_msg_parse(&sent, pb_str_z(invite));
	sip_msg_parse(&answer,
		      PB_STR("SIP/2.0 486 Busy Here\r\nt: <sip:bob@example.org>;tag=9\r\n\r\n"));
	CU_ASSERT_EQUAL(sip_build_ack(&t, &sent, &answer), 0);
	PB_SAME(pb_text_str(&t),
		"ACK sip:bob@example.org SIP/2.0\r\n"
		"Via: SIP/2.0/UDP 10.0.0.1:5070;rport;received=6.6.6.6;branch=z9hG4bKa\r\n"
		"Route: <sip:p4;lr>\r\n"
		"Max-Forwards: 70\r\n"
		"From: \"Nul \\ x\" <sip:alice@example.org>;tag=1\r\n"
		"To: <sip:bob@example.org>;tag=9\r\n"
		"Call-ID: abc@10.0.0.1\r\n"
		"CSeq: 9 ACK\r\n"
		"Content-Length: 0\r\n\r\n");
	t = text();
	CU_ASSERT_EQUAL(sip_build_cancel(&t, &sent), 0);
	CU_ASSERT(pb_str_find(pb_text_str(&t), PB_STR("CSeq: 9 CANCEL\r\n")) > 0);
	CU_ASSERT(pb_str_find(pb_text_str(&t), PB_STR("To: sip:bob@example.org\r\n")) > 0);
}

PB_TESTS("sip/build", { "answers", answers }, { "100 has no tag", answers_100_without_tag },
	 { "received only when it tells", adds_received_only_when_it_tells }, { "asks", asks },
	 { "refuses injection", refuses_injection },
	 { "notices a full buffer", notices_a_full_buffer }, { "acknowledges", acknowledges })
