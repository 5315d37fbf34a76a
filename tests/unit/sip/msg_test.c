/* Messages: what is read, what is refused and why, prefixes, limits, copies. */
#include "sip/stack/check.h"

#include "base/text.h"
#include "block.h"
#include "../../support/test.h"

#define HEAD                                                                                       \
	"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa;rport\r\n"                                \
	"Max-Forwards: 70\r\n"                                                                     \
	"From: \"Alice\" <sip:alice@example.org>;tag=1\r\n"                                        \
	"To: <sip:bob@example.org>\r\n"                                                            \
	"Call-ID: a84b4c76e66710\r\n"
#define INVITE  "INVITE sip:bob@example.org SIP/2.0\r\n" HEAD "CSeq: 314159 INVITE\r\n"
#define OPTIONS "OPTIONS sip:bob@example.org SIP/2.0\r\n" HEAD "CSeq: 1 OPTIONS\r\n"

static const char good[] = INVITE "Contact: <sip:alice@192.0.2.1>\r\n"
				  "Content-Type: text/plain\r\n"
				  "X-Odd: one,\r\n two\r\n"
				  "m: <sip:alice@192.0.2.2>\r\n"
				  "Content-Length: 5\r\n\r\nhello";

static void reads(void)
{
	struct pb_str in = block_of(pb_str_z(good));
	struct sip_msg m;
	const struct sip_hdr *h;
	struct pb_arena *a = pb_arena_new(4096);

	CU_ASSERT_EQUAL(sip_msg_parse(&m, in), SIP_PARSE_OK);
	CU_ASSERT(m.request);
	CU_ASSERT_EQUAL(m.method, SIP_INVITE);
	PB_SAME(m.uri, "sip:bob@example.org");
	PB_SAME(m.version, "SIP/2.0");
	PB_SAME(m.body, "hello");
	CU_ASSERT_EQUAL(m.hdr_n, 11);
	CU_ASSERT_EQUAL(m.raw.n, in.n);
	PB_SAME(sip_msg_value(&m, SIP_HDR_CALL_ID), "a84b4c76e66710");
	CU_ASSERT_PTR_NULL(sip_msg_value(&m, SIP_HDR_ROUTE).p);
	h = sip_msg_first(&m, SIP_HDR_CONTACT);
	PB_SAME(sip_hdr_value(&m, h), "<sip:alice@192.0.2.1>");
	h = sip_msg_next(&m, h);
	PB_SAME(sip_hdr_text_name(&m, h), "m");
	PB_SAME(sip_hdr_value(&m, h), "<sip:alice@192.0.2.2>");
	CU_ASSERT_PTR_NULL(sip_msg_next(&m, h));
	h = sip_msg_find(&m, PB_STR("x-odd"));
	CU_ASSERT(h->folded);
	PB_SAME(sip_hdr_unfold(&m, h, a), "one, two");
	CU_ASSERT_PTR_NULL(sip_msg_find(&m, PB_STR("X-None")));
	CU_ASSERT_PTR_EQUAL(sip_msg_find(&m, PB_STR("CONTACT")),
			    sip_msg_first(&m, SIP_HDR_CONTACT));
	pb_arena_free(&a);
	block_free(in);
}

static void reads_responses(void)
{
	struct sip_msg m;

	CU_ASSERT_EQUAL(
		sip_msg_parse(&m, PB_STR("SIP/2.0 486 Busy Here\r\n" HEAD "CSeq: 7 BYE\r\n\r\n")),
		SIP_PARSE_OK);
	CU_ASSERT(!m.request);
	CU_ASSERT_EQUAL(m.status, 486);
	PB_SAME(m.reason, "Busy Here");
	CU_ASSERT_EQUAL(m.method, SIP_BYE);
	CU_ASSERT_EQUAL(sip_msg_parse(&m, PB_STR("SIP/2.0 100 \r\n\r\n")), SIP_PARSE_OK);
	PB_SAME(m.reason, "");
	CU_ASSERT_EQUAL(sip_msg_parse(&m, PB_STR("SIP/2.0 100\r\n\r\n")), SIP_PARSE_OK);
	PB_SAME(m.reason, "");
}

/* code 0: good. An answer is possible where `answer` says so. */
static const struct verdict_row {
	const char *text;
	unsigned code;
	const char *reason;
	bool answer;
} verdicts[] = {
	{ OPTIONS "\r\n", 0, NULL, true },
	{ "\r\n\r\n" OPTIONS "\r\n", 0, NULL, true },
	{ OPTIONS "Content-Length: 3\r\n\r\nabcdef", 0, NULL, true },
	{ OPTIONS "Content-Length: 0003\r\n\r\nabc", 0, NULL, true },
	{ OPTIONS "Supported:\r\n\r\n", 0, NULL, true },
	{ OPTIONS "Contact: *\r\n\r\n", 0, NULL, true },
	{ "OPTIONS tel:+1-201 SIP/2.0\r\n" HEAD "CSeq: 1 OPTIONS\r\n\r\n", 0, NULL, true },
	{ "options sip:b SIP/2.0\r\n" HEAD "CSeq: 1 options\r\n\r\n", 0, NULL, true },
	{ "ACK sip:b SIP/2.0\r\n" HEAD "CSeq: 1 ACK\r\n\r\n", 0, NULL, false },
	{ "SIP/2.0 200 OK\r\n" HEAD "CSeq: 1 BYE\r\n\r\n", 0, NULL, false },
	/* the start line */
	{ "", 400, "Invalid Start Line", false },
	{ "\r\n\r\n", 400, "Invalid Start Line", false },
	{ "jaK", 400, "Invalid Start Line", false },
	{ "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 400, "Invalid Request Line", false },
	{ "OPTIONS  sip:b SIP/2.0\r\n" HEAD "CSeq: 1 OPTIONS\r\n\r\n", 400, "Invalid Request Line",
	  true },
	{ "OPTIONS sip:b SIP/2.0 \r\n" HEAD "CSeq: 1 OPTIONS\r\n\r\n", 400, "Invalid Request Line",
	  true },
	{ "OPTIONS sip:b\r\n" HEAD "CSeq: 1 OPTIONS\r\n\r\n", 400, "Invalid Request Line", true },
	{ "OPTIONS\r\n" HEAD "CSeq: 1 OPTIONS\r\n\r\n", 400, "Invalid Request Line", true },
	{ "OPTIONS sip:b SIP/3.0\r\n" HEAD "CSeq: 1 OPTIONS\r\n\r\n", 505, NULL, true },
	{ "OPTIONS foo:b SIP/2.0\r\n" HEAD "CSeq: 1 OPTIONS\r\n\r\n", 416, NULL, true },
	{ "OPTIONS <sip:b> SIP/2.0\r\n" HEAD "CSeq: 1 OPTIONS\r\n\r\n", 400, "Invalid Request-URI",
	  true },
	{ "OPTIONS sip:b?a=b SIP/2.0\r\n" HEAD "CSeq: 1 OPTIONS\r\n\r\n", 400,
	  "Invalid Request-URI", true },
	{ "SIP/2.0 4294967496 OK\r\n" HEAD "CSeq: 1 BYE\r\n\r\n", 400, "Invalid Status Line",
	  false },
	{ "SIP/2.0 099 OK\r\n" HEAD "CSeq: 1 BYE\r\n\r\n", 400, "Invalid Status Line", false },
	/* lines */
	{ OPTIONS, 400, "Missing Empty Line", true },
	{ OPTIONS "Subject: cut", 400, "Missing Empty Line", true },
	{ OPTIONS "no colon\r\n\r\n", 400, "Invalid Header Line", true },
	{ OPTIONS ": no name\r\n\r\n", 400, "Invalid Header Line", true },
	{ OPTIONS "Bad Name: x\r\n\r\n", 400, "Invalid Header Line", true },
	{ OPTIONS "Subject: a\rVia: b\r\n\r\n", 400, "Invalid Line End", true },
	/* the length */
	{ OPTIONS "Content-Length: 9\r\n\r\nabc", 400, "Invalid Content-Length", true },
	{ OPTIONS "Content-Length: -1\r\n\r\n", 400, "Invalid Content-Length", true },
	{ OPTIONS "Content-Length:\r\n\r\n", 400, "Invalid Content-Length", true },
	{ OPTIONS "Content-Length: 1e1\r\n\r\n", 400, "Invalid Content-Length", true },
	{ OPTIONS "Content-Length: 4294967296\r\n\r\n", 400, "Invalid Content-Length", true },
	{ OPTIONS "Content-Length: 99999999999999999999999\r\n\r\n", 400, "Invalid Content-Length",
	  true },
	{ OPTIONS "Content-Length: 0\r\nl: 0\r\n\r\n", 400, "Invalid Content-Length", true },
	/* the mandatory ones */
	{ "BYE sip:b SIP/2.0\r\nFrom: <sip:a>\r\nTo: <sip:b>\r\nCall-ID: 1\r\nCSeq: 1 BYE\r\n\r\n",
	  400, "Invalid Via", false },
	{ "BYE sip:b SIP/2.0\r\nv: x\r\nf: <sip:a>\r\nt: <sip:b>\r\ni: 1\r\nCSeq: 1 BYE\r\n\r\n",
	  400, "Invalid Via", false },
	{ "BYE sip:b SIP/2.0\r\nv: SIP/2.0/UDP h\r\nt: <sip:b>\r\ni: 1\r\nCSeq: 1 BYE\r\n\r\n", 400,
	  "Invalid From", true },
	{ "BYE sip:b SIP/2.0\r\nv: SIP/2.0/UDP h\r\nf: <sip:b>\r\ni: 1\r\nCSeq: 1 BYE\r\n\r\n", 400,
	  "Invalid To", true },
	{ "BYE sip:b SIP/2.0\r\nv: SIP/2.0/UDP h\r\nf: <sip:b>\r\nt: <sip:b\r\ni: 1\r\n"
	  "CSeq: 1 BYE\r\n\r\n",
	  400, "Invalid To", true },
	{ "BYE sip:b SIP/2.0\r\nv: SIP/2.0/UDP h\r\nf: <sip:b>\r\nt: <sip:b>\r\n"
	  "CSeq: 1 BYE\r\n\r\n",
	  400, "Invalid Call-ID", true },
	{ "BYE sip:b SIP/2.0\r\nv: SIP/2.0/UDP h\r\nf: <sip:b>\r\nt: <sip:b>\r\ni: 1\r\n\r\n", 400,
	  "Invalid CSeq", true },
	{ "BYE sip:b SIP/2.0\r\n" HEAD "CSeq: 1 INFO\r\n\r\n", 400, "Invalid CSeq", true },
	{ "BYE sip:b SIP/2.0\r\n" HEAD "CSeq: 2147483648 BYE\r\n\r\n", 400, "Invalid CSeq", true },
	{ "BYE sip:b SIP/2.0\r\n" HEAD "CSeq: BYE\r\n\r\n", 400, "Invalid CSeq", true },
	{ OPTIONS "CSeq: 1 OPTIONS\r\n\r\n", 400, "Invalid CSeq", true },
	{ OPTIONS "t: <sip:c>\r\n\r\n", 400, "Invalid To", true },
	/* the others */
	{ OPTIONS "Max-Forwards: 70\r\n\r\n", 400, "Invalid Max-Forwards", true },
	{ OPTIONS "Expires: soon\r\n\r\n", 400, "Invalid Expires", true },
	{ OPTIONS "Expires: 4294967296\r\n\r\n", 400, "Invalid Expires", true },
	{ OPTIONS "Contact: <sip:a\r\n\r\n", 400, "Invalid Contact", true },
	{ OPTIONS "Contact: sip:a@b?Route=c\r\n\r\n", 400, "Invalid Contact", true },
	{ OPTIONS "Contact: <sip:a>;q=2\r\n\r\n", 400, "Invalid Contact", true },
	{ OPTIONS "Contact:\r\n\r\n", 400, "Invalid Contact", true },
	{ OPTIONS "Route: sip:a\r\n\r\n", 400, "Invalid Route", true },
	{ OPTIONS "Record-Route: <sip:a>, <nothing>\r\n\r\n", 400, "Invalid Record-Route", true },
	{ OPTIONS "Event:\r\n\r\n", 400, "Invalid Event", true },
	{ OPTIONS "Require: a b\r\n\r\n", 400, "Invalid Require", true },
	{ OPTIONS "Supported: a, b c\r\n\r\n", 400, "Invalid Supported", true },
	{ OPTIONS "Content-Type: text\r\n\r\n", 400, "Invalid Content-Type", true },
	{ OPTIONS "Via: SIP/2.0/UDP h, ;;\r\n\r\n", 400, "Invalid Via", true },
};

static void judges(void)
{
	struct sip_msg m;
	struct sip_core core;
	struct sip_verdict v;
	struct pb_str in;

	for (size_t i = 0; i < sizeof(verdicts) / sizeof(verdicts[0]); i++) {
		in = block_of(pb_str_z(verdicts[i].text));
		sip_msg_parse(&m, in);
		v = sip_msg_check(&m, &core);
		CU_ASSERT_EQUAL(v.code, verdicts[i].code);
		PB_SAME(pb_str_z(v.reason), verdicts[i].reason);
		CU_ASSERT_EQUAL(v.answerable, verdicts[i].answer);
		if (v.code != verdicts[i].code)
			printf("row %zu: %s", i, verdicts[i].text);
		block_free(in);
	}
}

static void tells_where(void)
{
	struct pb_str in = PB_STR("\r\n" OPTIONS "no colon\r\n\r\n");
	struct sip_msg m;

	CU_ASSERT_EQUAL(sip_msg_parse(&m, in), SIP_PARSE_BAD);
	CU_ASSERT_EQUAL(m.bad_at, (size_t)pb_str_find(in, PB_STR("no colon")));
}

static void every_prefix_wants_more(void)
{
	struct pb_str whole = pb_str_z(good), in;
	struct sip_msg m;
	size_t scanned = 0, fresh;

	for (size_t n = 0; n < whole.n; n++) {
		in = block_of(pb_str_head(whole, n));
		fresh = 0;
		CU_ASSERT_EQUAL(sip_msg_parse_stream(&m, in, &fresh), SIP_PARSE_MORE);
		CU_ASSERT_EQUAL(sip_msg_parse_stream(&m, in, &scanned), SIP_PARSE_MORE);
		block_free(in);
	}
	in = block_of(PB_STR(INVITE "Content-Length: 5\r\n\r\nhelloSIP/2.0"));
	fresh = 0;
	CU_ASSERT_EQUAL(sip_msg_parse_stream(&m, in, &fresh), SIP_PARSE_OK);
	PB_SAME(m.body, "hello");
	PB_SAME(pb_str_from(in, m.raw.n), "SIP/2.0");
	block_free(in);
}

/* A datagram that was cut short is read, but never taken for good. */
static void cut_datagrams_are_bad(void)
{
	struct pb_str whole = pb_str_z(good), in;
	struct sip_msg m;
	struct sip_core core;

	for (size_t n = 0; n < whole.n; n++) {
		in = block_of(pb_str_head(whole, n));
		CU_ASSERT_EQUAL(sip_msg_parse(&m, in), SIP_PARSE_BAD);
		CU_ASSERT(sip_msg_check(&m, &core).code >= 400);
		block_free(in);
	}
}

static const struct {
	const char *text, *reason;
} bad_streams[] = {
	{ OPTIONS "\r\n", "Missing Content-Length" },
	{ OPTIONS "l: -1\r\n\r\n", "Invalid Content-Length" },
	{ OPTIONS "l: 1\r\nl: 1\r\n\r\n", "Invalid Content-Length" },
	{ OPTIONS "l: 4294967296\r\n\r\n", "Invalid Content-Length" },
	{ OPTIONS "l: 65536\r\n\r\n", "Message Too Large" },
	{ OPTIONS "l: 4294967295\r\n\r\n", "Message Too Large" },
	{ "HELO\r\n\r\n", "Invalid Request Line" },
};

static void refuses_streams(void)
{
	struct sip_msg m;

	for (size_t i = 0; i < sizeof(bad_streams) / sizeof(bad_streams[0]); i++) {
		struct pb_str in = block_of(pb_str_z(bad_streams[i].text));
		size_t scanned = 0;

		CU_ASSERT_EQUAL(sip_msg_parse_stream(&m, in, &scanned), SIP_PARSE_BAD);
		PB_SAME(pb_str_z(m.bad_why), bad_streams[i].reason);
		block_free(in);
	}
}

/* OPTIONS with `n` times `unit` between its headers and the end. */
static struct pb_text repeated(const char *before, const char *unit, size_t n, const char *after)
{
	struct pb_text t;

	pb_text_init(&t, 1 << 20);
	pb_text_add(&t, PB_STR(OPTIONS));
	pb_text_add(&t, pb_str_z(before));
	while (n--)
		pb_text_add(&t, pb_str_z(unit));
	pb_text_add(&t, pb_str_z(after));
	return t;
}

static const struct {
	const char *before, *unit;
	size_t n;
	const char *after, *reason;
} limit_rows[] = {
	{ "", "X-A: 1\r\n", SIP_HDRS_LIMIT - 6, "\r\n", NULL },
	{ "", "X-A: 1\r\n", SIP_HDRS_LIMIT - 5, "\r\n", "Too Many Headers" },
	{ "S:", "x", SIP_HDR_LIMIT - 2, "\r\n\r\n", NULL },
	{ "S:", "x", SIP_HDR_LIMIT - 1, "\r\n\r\n", "Header Too Long" },
	{ "l: 0\r\n\r\n", "x", 65536, "", "Message Too Large" },
};

static void keeps_limits(void)
{
	struct sip_msg m;
	struct sip_core core;
	struct sip_verdict v;

	for (size_t i = 0; i < sizeof(limit_rows) / sizeof(limit_rows[0]); i++) {
		struct pb_text t = repeated(limit_rows[i].before, limit_rows[i].unit,
					    limit_rows[i].n, limit_rows[i].after);

		sip_msg_parse(&m, pb_text_str(&t));
		v = sip_msg_check(&m, &core);
		PB_SAME(pb_str_z(v.reason), limit_rows[i].reason);
		CU_ASSERT_EQUAL(v.code, limit_rows[i].reason ? 513 : 0);
		CU_ASSERT(v.answerable);
		pb_text_fini(&t);
	}
}

static void streams_have_a_limit(void)
{
	struct pb_text t = repeated("Subject: ", "x", 65535, "");
	struct sip_msg m;
	size_t scanned = 0;

	CU_ASSERT_EQUAL(sip_msg_parse_stream(&m, pb_str_head(pb_text_str(&t), 65535), &scanned),
			SIP_PARSE_MORE);
	CU_ASSERT_EQUAL(scanned, 65535);
	CU_ASSERT_EQUAL(sip_msg_parse_stream(&m, pb_text_str(&t), &scanned), SIP_PARSE_BAD);
	PB_SAME(pb_str_z(m.bad_why), "Message Too Large");
	pb_text_fini(&t);
}

static void copies(void)
{
	struct pb_str in = block_of(pb_str_z(good));
	struct pb_arena *a = pb_arena_new(4096);
	const struct sip_msg *c;
	struct sip_msg m;

	sip_msg_parse(&m, in);
	c = sip_msg_copy(&m, a);
	block_free(in);
	memset(&m, 0xff, sizeof(m));
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	PB_SAME(c->uri, "sip:bob@example.org");
	PB_SAME(c->body, "hello");
	PB_SAME(sip_msg_value(c, SIP_HDR_CONTENT_LENGTH), "5");
	pb_arena_free(&a);
}

static void names(void)
{
	unsigned id;

	for (id = SIP_HDR_OTHER + 1; id < SIP_HDR_COUNT; id++) {
		struct pb_str name = sip_hdr_name((enum sip_hdr_id)id);
		char c = sip_hdr_compact((enum sip_hdr_id)id);

		CU_ASSERT_EQUAL(sip_hdr_id(name), id);
		CU_ASSERT(!c || sip_hdr_id(pb_str(&c, 1)) == id);
	}
	CU_ASSERT_EQUAL(sip_hdr_id(PB_STR("call-id")), SIP_HDR_CALL_ID);
	CU_ASSERT_EQUAL(sip_hdr_id(PB_STR("Z")), SIP_HDR_OTHER);
	CU_ASSERT_EQUAL(sip_hdr_id(PB_STR("")), SIP_HDR_OTHER);
	for (id = SIP_METHOD_OTHER + 1; id < SIP_METHOD_COUNT; id++)
		CU_ASSERT_EQUAL(sip_method_id(sip_method_name((enum sip_method)id)), id);
	CU_ASSERT_EQUAL(sip_method_id(PB_STR("invite")), SIP_METHOD_OTHER);
}

static const struct {
	const char *word;
	unsigned code;
	const char *back;
} word_rows[] = {
	{ "busy", 486, "busy" },
	{ "noroute", 404, "noroute" },
	{ "noconn", 503, "noconn" },
	{ "offline", 404, "noroute" },
	{ "congestion", 480, "noanswer" },
	{ "noanswer", 480, "noanswer" },
	{ "postdialdelay", 504, "timeout" },
	{ "moved", 410, "unallocated" },
	{ "protocol-error", 400, "interworking" },
	{ "failure", 500, "failure" },
	{ "603", 603, "forbidden" },
	{ "606", 606, "rejected" },
	{ "487", 487, "noanswer" },
	{ "402", 402, NULL },
	{ "nonsense", 0, NULL },
	{ "99", 0, NULL },
	{ "", 0, NULL },
	{ "700", 0, NULL },
};

static void words(void)
{
	for (size_t i = 0; i < sizeof(word_rows) / sizeof(word_rows[0]); i++) {
		unsigned code = sip_code_of_word(pb_str_z(word_rows[i].word));

		CU_ASSERT_EQUAL(code, word_rows[i].code);
		PB_SAME(sip_word_of_code(code), word_rows[i].back);
	}
	PB_SAME(sip_reason_phrase(404), "Not Found");
	PB_SAME(sip_reason_phrase(100), "Trying");
	PB_SAME(sip_reason_phrase(606), "Not Acceptable");
	PB_SAME(sip_reason_phrase(499), "Unknown Reason Code");
}

PB_TESTS("sip/msg", { "reads a request", reads }, { "reads responses", reads_responses },
	 { "judges", judges }, { "tells where", tells_where },
	 { "every prefix wants more", every_prefix_wants_more },
	 { "cut datagrams are bad", cut_datagrams_are_bad }, { "refuses streams", refuses_streams },
	 { "keeps limits", keeps_limits }, { "streams have a limit", streams_have_a_limit },
	 { "copies", copies }, { "names", names }, { "words", words })
