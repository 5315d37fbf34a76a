/* modules/sip/stack/dialog: the state of RFC 3261 section 12, without any wire. */
#include "../../../support/test.h"

#include <errno.h>
#include <stdio.h>

#include "base/alloc.h"
#include "sip/stack/dialog.h"

static struct parsed {
	struct sip_msg msg;
	struct sip_core core;
	char text[4096];
} in;

/** Read `text`, each '\n' being CR LF. */
static void read_msg(const char *text)
{
	size_t n = 0;

	for (; *text; text++) {
		if (*text == '\n')
			in.text[n++] = '\r';
		in.text[n++] = *text;
	}
	CU_ASSERT_EQUAL(sip_msg_parse(&in.msg, pb_str(in.text, n)), SIP_PARSE_OK);
	CU_ASSERT_TRUE(sip_core_read(&in.msg, &in.core));
}

static const char invite[] =
	"INVITE sip:bob@192.0.2.4 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\n"
	"From: \"Al\" <sip:alice@example.org>;tag=a1\nTo: <sip:bob@example.net>\nCall-ID: cid\n"
	"CSeq: 314 INVITE\nContact: <sip:alice@192.0.2.1:5062>\n"
	"Record-Route: <sip:p2.example.net;lr>, <sip:p1.example.org;lr>\nContent-Length: 0\n\n";

/** The text of a request in the dialog. */
static struct pb_str request_text(const struct sip_dialog_core *d, const char *method)
{
	static char buf[4096];
	static struct pb_text t;
	struct sip_dialog_hop hop;
	struct sip_build b;

	pb_text_init_buf(&t, buf, sizeof(buf));
	sip_dialog_hop(d, &hop);
	sip_build_request(&b, &t, pb_str_z(method), hop.request_uri);
	sip_dialog_write(d, &b, sip_method_id(pb_str_z(method)), pb_str_z(method),
			 d->local_cseq + 1);
	CU_ASSERT_EQUAL(sip_build_end(&b, PB_STR_NULL, PB_STR_NULL), 0);
	return pb_text_str(&t);
}

static void callee(void)
{
	struct sip_dialog_core d;

	read_msg(invite);
	CU_ASSERT_EQUAL(sip_dialog_init_uas(&d, &in.msg, &in.core, PB_STR("b1"),
					    PB_STR("<sip:bob@192.0.2.4>")),
			0);
	CU_ASSERT_EQUAL(d.state, SIP_DIALOG_EARLY);
	CU_ASSERT_EQUAL(d.remote.cseq, 314);
	PB_SAME(request_text(&d, "BYE"),
		"BYE sip:alice@192.0.2.1:5062 SIP/2.0\r\n"
		"Route: <sip:p2.example.net;lr>, <sip:p1.example.org;lr>\r\n"
		"Max-Forwards: 70\r\n"
		"From: <sip:bob@example.net>;tag=b1\r\n"
		"To: \"Al\" <sip:alice@example.org>;tag=a1\r\n"
		"Call-ID: cid\r\nCSeq: 1 BYE\r\nContent-Length: 0\r\n\r\n");
	CU_ASSERT_TRUE(pb_str_find(request_text(&d, "INVITE"), PB_STR("Contact: <sip:bob@192.0.2.4>")) > 0);
	sip_dialog_fini(&d);
}

static void caller_init(struct sip_dialog_core *d, const char *routes)
{
	struct sip_dialog_uac a = {
		.call_id = PB_STR("cid"),
		.local_tag = PB_STR("a1"),
		.local_uri = PB_STR("\"Al\" <sip:alice@example.org>"),
		.remote_uri = PB_STR("<sip:bob@example.net>"),
		.target = PB_STR("sip:bob@example.net"),
		.routes = pb_str_z(routes),
	};

	CU_ASSERT_EQUAL(sip_dialog_init_uac(d, &a), 0);
}

static void caller(void)
{
	struct sip_dialog_core d;

	caller_init(&d, "<sip:proxy.example.org;lr>");
	CU_ASSERT_EQUAL(d.state, SIP_DIALOG_HALF);
	PB_SAME(request_text(&d, "INVITE"),
		"INVITE sip:bob@example.net SIP/2.0\r\nRoute: <sip:proxy.example.org;lr>\r\n"
		"Max-Forwards: 70\r\nFrom: \"Al\" <sip:alice@example.org>;tag=a1\r\n"
		"To: <sip:bob@example.net>\r\nCall-ID: cid\r\nCSeq: 1 INVITE\r\n"
		"Content-Length: 0\r\n\r\n");
	read_msg("SIP/2.0 200 OK\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\n"
		 "From: \"Al\" <sip:alice@example.org>;tag=a1\nTo: <sip:bob@example.net>;tag=b1\n"
		 "Call-ID: cid\nCSeq: 1 INVITE\nContact: <sip:bob@192.0.2.4>;q=1\n"
		 "Record-Route: <sip:p2.example.net;lr>\nRecord-Route: <sip:p1.example.org;lr>\n\n");
	CU_ASSERT_EQUAL(sip_dialog_learn(&d, &in.msg, &in.core), 0);
	PB_SAME(request_text(&d, "BYE"),
		"BYE sip:bob@192.0.2.4 SIP/2.0\r\n"
		"Route: <sip:p1.example.org;lr>, <sip:p2.example.net;lr>\r\n"
		"Max-Forwards: 70\r\nFrom: \"Al\" <sip:alice@example.org>;tag=a1\r\n"
		"To: <sip:bob@example.net>;tag=b1\r\nCall-ID: cid\r\nCSeq: 1 BYE\r\n"
		"Content-Length: 0\r\n\r\n");
	sip_dialog_fini(&d);
}

static void strict_router(void)
{
	struct sip_dialog_core d;
	struct sip_dialog_hop hop;

	caller_init(&d, "<sip:old.example.org>, <sip:p1.example.org;lr>");
	sip_dialog_hop(&d, &hop);
	CU_ASSERT_TRUE(hop.strict);
	PB_SAME(hop.next, "sip:old.example.org");
	PB_SAME(request_text(&d, "BYE"),
		"BYE sip:old.example.org SIP/2.0\r\nRoute: <sip:p1.example.org;lr>\r\n"
		"Route: <sip:bob@example.net>\r\nMax-Forwards: 70\r\n"
		"From: \"Al\" <sip:alice@example.org>;tag=a1\r\nTo: <sip:bob@example.net>\r\n"
		"Call-ID: cid\r\nCSeq: 1 BYE\r\nContent-Length: 0\r\n\r\n");
	sip_dialog_fini(&d);
}

static void matching(void)
{
	static const struct {
		const char *call_id, *local, *remote;
		bool want;
	} rows[] = {
		{ "cid", "b1", "a1", true },  { "CID", "b1", "a1", false },
		{ "cid", "b1", "x", false },  { "cid", "x", "a1", false },
		{ "cid", "b1", NULL, false }, { "cid", "a1", "b1", false },
		{ "cid2", "b1", "a1", false },
	};
	struct sip_dialog_core d;

	read_msg(invite);
	CU_ASSERT_EQUAL(sip_dialog_init_uas(&d, &in.msg, &in.core, PB_STR("b1"), PB_STR_NULL), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sip_dialog_id id = { pb_str_z(rows[i].call_id), pb_str_z(rows[i].local),
					    pb_str_z(rows[i].remote) };

		CU_ASSERT_EQUAL(sip_dialog_matches(&d, &id), rows[i].want);
	}
	sip_dialog_fini(&d);
}

static void order(void)
{
	static const struct {
		uint32_t cseq;
		enum sip_order want;
	} rows[] = {
		{ 315, SIP_ORDER_OK },	 { 314, SIP_ORDER_LATE }, { 400, SIP_ORDER_OK },
		{ 399, SIP_ORDER_LATE }, { 2147483647, SIP_ORDER_OK },
	};
	struct sip_dialog_core d;

	read_msg(invite);
	CU_ASSERT_EQUAL(sip_dialog_init_uas(&d, &in.msg, &in.core, PB_STR("b1"), PB_STR_NULL), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		in.core.cseq.number = rows[i].cseq;
		CU_ASSERT_EQUAL(sip_dialog_order(&d, &in.core), rows[i].want);
	}
	sip_dialog_fini(&d);
}

static void refresh(void)
{
	struct sip_dialog_core d;

	read_msg(invite);
	CU_ASSERT_EQUAL(sip_dialog_init_uas(&d, &in.msg, &in.core, PB_STR("b1"), PB_STR_NULL), 0);
	read_msg("INVITE sip:b@h SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\n"
		 "From: <sip:alice@example.org>;tag=a1\nTo: <sip:bob@example.net>;tag=b1\n"
		 "Call-ID: cid\nCSeq: 315 INVITE\nContact: <sip:alice@192.0.2.77>\n"
		 "Record-Route: <sip:evil.example.org;lr>\n\n");
	CU_ASSERT_EQUAL(sip_dialog_refresh(&d, &in.msg), 0);
	PB_SAME(d.remote.target, "sip:alice@192.0.2.77");
	PB_SAME(d.remote.routes, "<sip:p2.example.net;lr>, <sip:p1.example.org;lr>");
	read_msg("INVITE sip:b@h SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\n"
		 "From: <sip:alice@example.org>;tag=a1\nTo: <sip:bob@example.net>;tag=b1\n"
		 "Call-ID: cid\nCSeq: 316 INVITE\n\n");
	CU_ASSERT_EQUAL(sip_dialog_refresh(&d, &in.msg), 0);
	PB_SAME(d.remote.target, "sip:alice@192.0.2.77");
	sip_dialog_fini(&d);
	CU_ASSERT_EQUAL(sip_dialog_init_uas(&d, &in.msg, &in.core, PB_STR("b1"), PB_STR_NULL),
			-EINVAL); /* no Contact */
	sip_dialog_fini(&d);
}

static void folded(void)
{
	struct sip_dialog_core d;

	read_msg("INVITE sip:bob@192.0.2.4 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\n"
		 "From: \"Al\n b\" <sip:alice@example.org>;tag=a1\nTo: sip:bob@example.net\n"
		 "Call-ID: cid\nCSeq: 314 INVITE\nContact: <sip:alice@192.0.2.1:5062>\n"
		 "Record-Route: <sip:p2.example.net;lr>,\n <sip:p1.example.org;lr>\n\n");
	CU_ASSERT_EQUAL(sip_dialog_init_uas(&d, &in.msg, &in.core, PB_STR("b1"), PB_STR_NULL), 0);
	PB_SAME(d.remote.to, "\"Al   b\" <sip:alice@example.org>;tag=a1");
	PB_SAME(d.from, "<sip:bob@example.net>;tag=b1");
	request_text(&d, "BYE");
	sip_dialog_fini(&d);
}

static void allocations(void)
{
	struct sip_dialog_core d;
	struct sip_dialog_uac a = { .call_id = PB_STR("c"), .local_tag = PB_STR("t"),
				    .local_uri = PB_STR("<sip:a@b>"),
				    .remote_uri = PB_STR("<sip:c@d>"),
				    .target = PB_STR("sip:c@d") };

	read_msg(invite);
	if (sip_dialog_init_uas(&d, &in.msg, &in.core, PB_STR("b1"), PB_STR_NULL) == 0) {
		sip_dialog_learn(&d, &in.msg, &in.core);
		sip_dialog_refresh(&d, &in.msg);
	}
	sip_dialog_fini(&d);
	sip_dialog_init_uac(&d, &a);
	sip_dialog_fini(&d);
}

static void each_alloc(void)
{
	pb_test_each_alloc(allocations);
}

PB_TESTS("sip/dialog", { "callee", callee }, { "caller", caller }, { "strict router", strict_router },
	 { "matching", matching }, { "order", order }, { "target refresh", refresh },
	 { "folded", folded }, { "each allocation", each_alloc })
