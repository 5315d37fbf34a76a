/* URIs and header values: tables of texts and what they say. */
#include "sip/stack/value.h"

#include <errno.h>

#include "base/map.h"
#include "block.h"
#include "../../support/test.h"

static const struct uri_row {
	const char *text;
	int want;
	const char *user, *password, *host;
	unsigned port;
	const char *params, *headers;
} uris[] = {
	{ "sip:bob@example.org", 0, "bob", NULL, "example.org", 0, NULL, NULL },
	{ "sips:bob:pw@example.org:5061;transport=tcp?Subject=x", 0, "bob", "pw", "example.org",
	  5061, "transport=tcp", "Subject=x" },
	{ "SIP:example.org", 0, NULL, NULL, "example.org", 0, NULL, NULL },
	{ "sip:[2001:db8::1]:5070;lr", 0, NULL, NULL, "2001:db8::1", 5070, "lr", NULL },
	{ "sip:a@[::ffff:192.0.2.1]", 0, "a", NULL, "::ffff:192.0.2.1", 0, NULL, NULL },
	{ "sip:a@[2001:db8:::192.0.2.1]", 0, "a", NULL, "2001:db8:::192.0.2.1", 0, NULL, NULL },
	{ "sip:*72#@example.org", 0, "*72#", NULL, "example.org", 0, NULL, NULL },
	{ "sip:us%65r;par=u%40x@h;a=b", 0, "us%65r;par=u%40x", NULL, "h", 0, "a=b", NULL },
	{ "sip:null-%00-null@h", 0, "null-%00-null", NULL, "h", 0, NULL, NULL },
	{ "tel:+1-201-555-0123;ext=7", 0, "+1-201-555-0123", NULL, NULL, 0, "ext=7", NULL },
	{ "http://example.org/x", 0, NULL, NULL, NULL, 0, NULL, NULL },
	{ "sip:", -EINVAL },
	{ "sip", -EINVAL },
	{ "", -EINVAL },
	{ ":", -EINVAL },
	{ "sip:@h", -EINVAL },
	{ "sip:a@", -EINVAL },
	{ "sip:a@b@c", -EINVAL },
	{ "sip:a b@c", -EINVAL },
	{ "sip:a%4@c", -EINVAL },
	{ "sip:a%zz@c", -EINVAL },
	{ "sip:h:65536", -EINVAL },
	{ "sip:h:", -EINVAL },
	{ "sip:h:x", -EINVAL },
	{ "sip:[::1", -EINVAL },
	{ "sip:[]", -EINVAL },
	{ "sip:[1:2:3]", -EINVAL },
	{ "sip:[1::2::3]", -EINVAL },
	{ "sip:[12345::]", -EINVAL },
	{ "sip:2001:db8::1", -EINVAL },
	{ "sip:h/x", -EINVAL },
	{ "sip:h;a=<b>", -EINVAL },
	{ "tel:", -EINVAL },
	{ "tel:bob", -EINVAL },
	{ "1sip:h", -EINVAL },
	{ "<sip:h>", -EINVAL },
};

static void parses_uris(void)
{
	struct sip_uri u;

	for (size_t i = 0; i < sizeof(uris) / sizeof(uris[0]); i++) {
		const struct uri_row *r = &uris[i];
		struct pb_str in = block_of(pb_str_z(r->text));

		CU_ASSERT_EQUAL(sip_uri_parse(in, &u), r->want);
		if (!r->want) {
			PB_SAME(u.user, r->user);
			PB_SAME(u.password, r->password);
			PB_SAME(u.host, r->host);
			PB_SAME(u.params, r->params);
			PB_SAME(u.headers, r->headers);
			CU_ASSERT_EQUAL(u.port, r->port);
		}
		block_free(in);
	}
}

static void prints_uris(void)
{
	char buf[200];
	struct pb_text t;
	struct sip_uri u;

	for (size_t i = 0; i < sizeof(uris) / sizeof(uris[0]); i++) {
		if (uris[i].want)
			continue;
		sip_uri_parse(pb_str_z(uris[i].text), &u);
		pb_text_init_buf(&t, buf, sizeof(buf));
		sip_uri_print(&t, &u);
		PB_SAME(pb_text_str(&t), uris[i].text);
	}
}

/* The pairs of RFC 3261 section 19.1.4 among them. */
static const struct {
	const char *a, *b;
	bool same;
} pairs[] = {
	{ "sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp", true },
	{ "sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5", true },
	{ "sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on", true },
	{ "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
	  "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com", true },
	{ "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
	  "sip:alice@atlanta.com?priority=urgent&subject=project%20x", true },
	{ "SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP", false },
	{ "sip:bob@biloxi.com", "sip:bob@biloxi.com:5060", false },
	{ "sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp", false },
	{ "sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp", false },
	{ "sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting", false },
	{ "sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4", false },
	{ "sip:a@h;x=1", "sip:a@h;x=2", false },
	{ "sip:a@h", "sips:a@h", false },
	{ "sip:a@h;maddr=x", "sip:a@h", false },
	{ "sip:h", "sip:a@h", false },
	{ "sip:null-%00-null@h", "sip:null-@h", false },
	{ "sip:null-%00-null@h", "sip:null-%00-null@h", true },
	{ "sip:a%3Bb@h", "sip:a;b@h", false },
	{ "sip:h;a=1;a=2", "sip:h;a=1;a=2", true },
	{ "tel:+1-201-555-0123", "tel:+12015550123", true },
	{ "tel:+12015550123;ext=1", "tel:+12015550123", false },
	{ "urn:x", "URN:x", true },
};

static void compares_uris(void)
{
	struct sip_uri a, b;

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		CU_ASSERT_EQUAL(sip_uri_parse(pb_str_z(pairs[i].a), &a), 0);
		CU_ASSERT_EQUAL(sip_uri_parse(pb_str_z(pairs[i].b), &b), 0);
		CU_ASSERT_EQUAL(sip_uri_eq(&a, &b), pairs[i].same);
		CU_ASSERT_EQUAL(sip_uri_eq(&b, &a), pairs[i].same);
		if (pairs[i].same)
			CU_ASSERT_EQUAL(sip_uri_hash(&a), sip_uri_hash(&b));
	}
}

static const struct addr_row {
	const char *text;
	int want;
	const char *display, *uri, *params;
} addrs[] = {
	{ "<sip:a@b>", 0, "", "sip:a@b", NULL },
	{ "<sip:a@b;x=y>;tag=1", 0, "", "sip:a@b;x=y", "tag=1" },
	{ "sip:a@b;tag=1", 0, NULL, "sip:a@b", "tag=1" },
	{ "Alice Q <sip:a@b> ; tag = 1", 0, "Alice Q", "sip:a@b", " tag = 1" },
	{ "caller<sip:a@b>", 0, "caller", "sip:a@b", NULL },
	{ "\"A, \\\"<x>\" <sip:a@b>", 0, "\"A, \\\"<x>\"", "sip:a@b", NULL },
	{ "\"A\"\r\n <sip:a@b>\r\n ;tag=1", 0, "\"A\"", "sip:a@b", "tag=1" },
	{ "*", 0, NULL, NULL, NULL },
	{ "", -EINVAL },
	{ "<>", -EINVAL },
	{ "<sip:a", -EINVAL },
	{ "\"A <sip:a>", -EINVAL },
	{ "\"A\" sip:a", -EINVAL },
	{ "\"A\" b <sip:a>", -EINVAL },
	{ "A, B <sip:a>", -EINVAL },
	{ "<sip:a> x", -EINVAL },
	{ "sip:a b", -EINVAL },
	{ "sip:a?b=c", -EINVAL },
	{ "<sip:<a>", -EINVAL },
};

static void parses_addrs(void)
{
	struct sip_addr a;

	for (size_t i = 0; i < sizeof(addrs) / sizeof(addrs[0]); i++) {
		struct pb_str in = block_of(pb_str_z(addrs[i].text));

		CU_ASSERT_EQUAL(sip_addr_parse(in, &a), addrs[i].want);
		if (!addrs[i].want) {
			PB_SAME(a.display, addrs[i].display);
			PB_SAME(a.uri, addrs[i].uri);
			PB_SAME(a.params, addrs[i].params);
		}
		block_free(in);
	}
}

static const struct via_row {
	const char *text;
	int want;
	const char *transport, *host;
	unsigned port;
	const char *branch, *received, *rport;
} vias[] = {
	{ "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1;rport", 0, "UDP", "192.0.2.1", 5060,
	  "z9hG4bK1", NULL, "" },
	{ "SIP/2.0/TLS h;branch=x;rport=7;received=10.0.0.1", 0, "TLS", "h", 0, "x", "10.0.0.1",
	  "7" },
	{ "SIP  / 2.0\r\n /   UDP  [2001:db8::9:1] : 5070 ; branch = x", 0, "UDP", "2001:db8::9:1",
	  5070, "x", NULL, NULL },
	{ "SIP/2.0/UDP h;received=[2001:db8::1]", 0, "UDP", "h", 0, NULL, "[2001:db8::1]", NULL },
	{ "", -EINVAL },
	{ "SIP", -EINVAL },
	{ "SIP/2.0", -EINVAL },
	{ "SIP/2.0/UDP", -EINVAL },
	{ "SIP/2.0/UDP ", -EINVAL },
	{ "SIP/2.0/UDP h:", -EINVAL },
	{ "SIP/2.0/UDP h x", -EINVAL },
	{ "SIP/2.0/UDP h:99999", -EINVAL },
	{ "SIP/2.0/UDP [::1", -EINVAL },
	{ "SIP/2.0/UDP;branch=x", -EINVAL },
	{ "/2.0/UDP h", -EINVAL },
};

static void parses_vias(void)
{
	struct sip_via v;

	for (size_t i = 0; i < sizeof(vias) / sizeof(vias[0]); i++) {
		struct pb_str in = block_of(pb_str_z(vias[i].text));

		CU_ASSERT_EQUAL(sip_via_parse(in, &v), vias[i].want);
		if (!vias[i].want) {
			PB_SAME(v.transport, vias[i].transport);
			PB_SAME(v.host, vias[i].host);
			CU_ASSERT_EQUAL(v.port, vias[i].port);
			PB_SAME(v.branch, vias[i].branch);
			PB_SAME(v.received, vias[i].received);
			PB_SAME(v.rport, vias[i].rport);
		}
		block_free(in);
	}
}

static void cuts_lists(void)
{
	static const char *const want[] = { "\"a,b\" <sip:x,y>;q=1", "<sip:z>", "", "c" };
	struct pb_str list = PB_STR("\"a,b\" <sip:x,y>;q=1 , <sip:z>,,c"), item;
	size_t n = 0;

	while (sip_list_cut(&list, &item))
		PB_SAME(item, want[n++]);
	CU_ASSERT_EQUAL(n, 4);
	list = PB_STR("\"open, a");
	CU_ASSERT(sip_list_cut(&list, &item));
	PB_SAME(item, "\"open, a");
	CU_ASSERT(!sip_list_cut(&list, &item));
}

static void walks_rows(void)
{
	static const char *const want[] = { "<sip:a>", "<sip:b>", "<sip:c>" };
	struct sip_values v;
	struct sip_msg m;
	struct pb_str item;
	size_t n = 0;

	sip_msg_parse(&m, PB_STR("OPTIONS sip:a SIP/2.0\r\nRoute: <sip:a>,,<sip:b>\r\n"
				 "Supported: 100rel,\r\n timer\r\nRoute:\r\nRoute: <sip:c>\r\n"
				 "Authorization: Digest a=1, b=2\r\n\r\n"));
	for (sip_values_init(&v, &m, SIP_HDR_ROUTE); sip_values_next(&v, &item);)
		PB_SAME(item, want[n++]);
	CU_ASSERT_EQUAL(n, 3);
	sip_values_init(&v, &m, SIP_HDR_AUTHORIZATION);
	CU_ASSERT(sip_values_next(&v, &item));
	PB_SAME(item, "Digest a=1, b=2");
	CU_ASSERT(!sip_values_next(&v, &item));
	CU_ASSERT(sip_msg_has_token(&m, SIP_HDR_SUPPORTED, PB_STR("Timer")));
	CU_ASSERT(!sip_msg_has_token(&m, SIP_HDR_SUPPORTED, PB_STR("path")));
}

static const struct {
	const char *text;
	int want;
	unsigned q;
	bool has_expires;
	uint32_t expires_s;
} contacts[] = {
	{ "<sip:a>", 0, 1000, false, 0 },
	{ "<sip:a>;q=0.5;expires=60", 0, 500, true, 60 },
	{ "<sip:a>;q=1.000", 0, 1000, false, 0 },
	{ "<sip:a>;q=0", 0, 0, false, 0 },
	{ "<sip:a>;q=0.125;expires=99999999999", 0, 125, true, 3600 },
	{ "<sip:a>;expires=x", 0, 1000, true, 3600 },
	{ "<sip:a>;q=1.001", -EINVAL },
	{ "<sip:a>;q=", -EINVAL },
	{ "<sip:a>;q=0.5555", -EINVAL },
	{ "<sip:a>;q=-1", -EINVAL },
};

static void parses_contacts(void)
{
	struct sip_contact c;

	for (size_t i = 0; i < sizeof(contacts) / sizeof(contacts[0]); i++) {
		CU_ASSERT_EQUAL(sip_contact_parse(pb_str_z(contacts[i].text), &c),
				contacts[i].want);
		if (contacts[i].want)
			continue;
		CU_ASSERT_EQUAL(c.q, contacts[i].q);
		CU_ASSERT_EQUAL(c.has_expires, contacts[i].has_expires);
		CU_ASSERT_EQUAL(c.expires_s, contacts[i].expires_s);
	}
}

static void parses_the_small_ones(void)
{
	struct sip_media_type t;
	struct sip_word w;
	struct sip_rack r;
	struct sip_cseq c;
	uint32_t n;

	CU_ASSERT_EQUAL(sip_media_type_parse(PB_STR("text / plain ; charset=utf-8"), &t), 0);
	PB_SAME(t.subtype, "plain");
	PB_SAME(sip_param(t.params, PB_STR("CHARSET")), "utf-8");
	CU_ASSERT_EQUAL(sip_word_parse(PB_STR("active;expires=60"), &w), 0);
	PB_SAME(w.word, "active");
	CU_ASSERT_EQUAL(sip_word_parse(PB_STR(";x"), &w), -EINVAL);
	CU_ASSERT_EQUAL(sip_rack_parse(PB_STR("776656 1 INVITE"), &r), 0);
	CU_ASSERT_EQUAL(r.rseq, 776656);
	CU_ASSERT_EQUAL(r.cseq.method, SIP_INVITE);
	CU_ASSERT_EQUAL(sip_cseq_parse(PB_STR("0009\r\n  INVITE"), &c), 0);
	CU_ASSERT_EQUAL(c.number, 9);
	CU_ASSERT_EQUAL(sip_cseq_parse(PB_STR("9INVITE"), &c), -EINVAL);
	CU_ASSERT_EQUAL(sip_number_parse(PB_STR(" 70 "), 255, &n), 0);
	CU_ASSERT_EQUAL(n, 70);
	CU_ASSERT_EQUAL(sip_number_parse(PB_STR("256"), 255, &n), -ERANGE);
}

static void parses_auth(void)
{
	struct sip_auth a;

	CU_ASSERT_EQUAL(sip_auth_parse(PB_STR("Digest realm=\"a, \\\"b\",\r\n nonce=\"n\", qop=\""
					      "auth,auth-int\",algorithm = MD5, x=y"),
				       &a),
			0);
	CU_ASSERT(a.digest);
	PB_SAME(a.realm, "a, \\\"b");
	PB_SAME(a.qop, "auth,auth-int");
	PB_SAME(a.algorithm, "MD5");
	CU_ASSERT_PTR_NULL(a.opaque.p);
	CU_ASSERT_EQUAL(sip_auth_parse(PB_STR("Basic QWxhZGRpbg=="), &a), 0);
	CU_ASSERT(!a.digest);
	CU_ASSERT_EQUAL(sip_auth_parse(PB_STR("Digest"), &a), -EINVAL);
	CU_ASSERT_EQUAL(sip_auth_parse(PB_STR("Digest nonce=\"a\", nonce=\"b\""), &a), -EINVAL);
	CU_ASSERT_EQUAL(sip_auth_parse(PB_STR("Digest nonce=\"a"), &a), -EINVAL);
	CU_ASSERT_EQUAL(sip_auth_parse(PB_STR("Digest nonce"), &a), -EINVAL);
}

/* What is not there is not a value, whichever reader is asked. */
static void refuses_the_absent(void)
{
	struct pb_str list = PB_STR_NULL, a, b;
	struct sip_media_type t;
	struct sip_contact c;
	struct sip_auth auth;
	struct sip_rack rack;
	struct sip_cseq cseq;
	struct sip_addr addr;
	struct sip_word w;
	struct sip_uri u;
	struct sip_via v;
	uint32_t n;

	CU_ASSERT_EQUAL(sip_media_type_parse(list, &t), -EINVAL);
	CU_ASSERT_EQUAL(sip_contact_parse(list, &c), -EINVAL);
	CU_ASSERT_EQUAL(sip_auth_parse(list, &auth), -EINVAL);
	CU_ASSERT_EQUAL(sip_rack_parse(list, &rack), -EINVAL);
	CU_ASSERT_EQUAL(sip_cseq_parse(list, &cseq), -EINVAL);
	CU_ASSERT_EQUAL(sip_addr_parse(list, &addr), -EINVAL);
	CU_ASSERT_EQUAL(sip_word_parse(list, &w), -EINVAL);
	CU_ASSERT_EQUAL(sip_uri_parse(list, &u), -EINVAL);
	CU_ASSERT_EQUAL(sip_via_parse(list, &v), -EINVAL);
	CU_ASSERT_EQUAL(sip_number_parse(list, 9, &n), -EINVAL);
	CU_ASSERT(!sip_list_cut(&list, &a));
	CU_ASSERT(!sip_param_cut(&list, &a, &b));
	CU_ASSERT(!sip_auth_param_cut(&list, &a, &b));
	CU_ASSERT_PTR_NULL(sip_param(list, PB_STR("tag")).p);
}

static void unescapes(void)
{
	char buf[64];
	struct pb_text t;

	pb_text_init_buf(&t, buf, sizeof(buf));
	sip_unescape(&t, PB_STR("a%41%0d%zz%"));
	PB_SAME(pb_text_str(&t), "aA\r%zz%");
	pb_text_reset(&t);
	sip_escape_user(&t, PB_STR("a b@c\r\n#"));
	PB_SAME(pb_text_str(&t), "a%20b%40c%0D%0A%23");
	pb_text_reset(&t);
	sip_unquote(&t, PB_STR("\"a \\\"b\\\\\""));
	PB_SAME(pb_text_str(&t), "a \"b\\");
}

static void cuts_params(void)
{
	struct pb_str list = PB_STR("; a = 1;;b;c=\"x;y\" ; =z"), name, value;

	CU_ASSERT(sip_param_cut(&list, &name, &value));
	PB_SAME(name, "a");
	PB_SAME(value, "1");
	CU_ASSERT(sip_param_cut(&list, &name, &value));
	PB_SAME(name, "b");
	CU_ASSERT_PTR_NULL(value.p);
	CU_ASSERT(sip_param_cut(&list, &name, &value));
	PB_SAME(value, "\"x;y\"");
	CU_ASSERT(sip_param_cut(&list, &name, &value));
	PB_SAME(name, "");
	CU_ASSERT(!sip_param_cut(&list, &name, &value));
}

PB_TESTS("sip/value", { "parses URIs", parses_uris }, { "prints URIs", prints_uris },
	 { "compares URIs", compares_uris }, { "parses addresses", parses_addrs },
	 { "parses Vias", parses_vias }, { "cuts lists", cuts_lists }, { "walks rows", walks_rows },
	 { "parses contacts", parses_contacts }, { "parses the small ones", parses_the_small_ones },
	 { "parses auth", parses_auth }, { "refuses the absent", refuses_the_absent },
	 { "unescapes", unescapes }, { "cuts parameters", cuts_params })
