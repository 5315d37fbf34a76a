/* engine/bus/opt: rows against configurations. */
#include "../../support/test.h"

#include <errno.h>

#include "bus/opt.h"

struct settings {
	bool register_on;
	int64_t maxpkt, t1;
	struct pb_str realm, addr, pass;
	int stamp;
};

struct listener {
	struct pb_str addr;
	int64_t port;
};

static const char *const stamps[] = { "none", "relative", "full", NULL };

static const struct pb_opt rows[] = {
	{ PB_OPT_BOOL, "register", offsetof(struct settings, register_on), .def = 1 },
	{ PB_OPT_INT, "maxpkt", offsetof(struct settings, maxpkt), .def = 1500, .lo = 524,
	  .hi = 65528, .unit = "bytes" },
	{ PB_OPT_INT, "t1", offsetof(struct settings, t1), .def = 500, .lo = 100, .hi = 2500,
	  .flags = PB_OPT_STRICT },
	{ PB_OPT_STR, "realm", offsetof(struct settings, realm), .defs = "Yate" },
	{ PB_OPT_ADDR, "addr", offsetof(struct settings, addr) },
	{ PB_OPT_STR, "password", offsetof(struct settings, pass), .flags = PB_OPT_SECRET },
	{ PB_OPT_WORD, "stamp", offsetof(struct settings, stamp), .def = 1, .words = stamps },
	{ PB_OPT_INT, "maxchans", .flags = PB_OPT_ACCEPTED },
	{ PB_OPT_OTHER, "sip_", .flags = PB_OPT_PREFIX },
	{ PB_OPT_OTHER, "", .section = "methods", .flags = PB_OPT_PREFIX },
	{ PB_OPT_STR, "addr", offsetof(struct listener, addr), .section = "listener *",
	  .defs = "127.0.0.1" },
	{ PB_OPT_INT, "port", offsetof(struct listener, port), .section = "listener *",
	  .def = 5060 },
	{ PB_OPT_END },
};

static int read_text(const char *text, struct settings *s, struct pb_arena *a, struct pb_text *out)
{
	struct pb_findings *f = pb_findings_new();
	struct pb_conf *c = NULL;
	int err = pb_conf_parse("t", pb_str_z(text), NULL, f, &c);

	memset(s, 0, sizeof(*s));
	pb_opt_defaults(rows, s, a);
	if (!err)
		err = pb_opt_read(rows, c, s, a, f);
	if (f && out)
		pb_findings_print(f, out);
	pb_conf_free(&c);
	pb_findings_free(&f);
	return err;
}

static void values(void)
{
	struct pb_arena *a = pb_arena_new(100000);
	struct settings s;
	struct pb_text t;

	pb_text_init(&t, 10000);
	CU_ASSERT_EQUAL(read_text("", &s, a, &t), 0);
	CU_ASSERT_TRUE(s.register_on);
	CU_ASSERT_EQUAL(s.maxpkt, 1500);
	PB_SAME(s.realm, "Yate");
	CU_ASSERT_PTR_NULL(s.addr.p);
	CU_ASSERT_EQUAL(s.stamp, 1);
	CU_ASSERT_EQUAL(read_text("[general]\nregister=no\nmaxpkt=0x1000\nt1=100\nrealm=\naddr=[::"
				  "1]\nstamp=full\n"
				  "sip_x=1\n[methods]\nmessage=yes\n[listener x]\nport=1\n",
				  &s, a, &t),
			0);
	CU_ASSERT_FALSE(s.register_on);
	CU_ASSERT_EQUAL(s.maxpkt, 4096);
	CU_ASSERT_EQUAL(s.t1, 100);
	PB_SAME(s.realm, "");
	CU_ASSERT_PTR_NOT_NULL(s.realm.p);
	PB_SAME(s.addr, "[::1]");
	CU_ASSERT_EQUAL(s.stamp, 2);
	PB_SAME(pb_text_str(&t), "");
	pb_text_fini(&t);
	pb_arena_free(&a);
}

static void mistakes(void)
{
	static const struct {
		const char *line, *want;
	} cases[] = {
		{ "maxpk=1",
		  "t:2:1: warning: unknown key 'maxpk', did you mean 'maxpkt'? [conf-004]\n" },
		{ "zzzzzz=1", "t:2:1: warning: unknown key 'zzzzzz' [conf-004]\n" },
		{ "port=1", "t:2:1: warning: unknown key 'port' here: it belongs in [listener *] "
			    "[conf-004]\n" },
		{ "#realm=1",
		  "t:2:1: warning: '#realm' is no comment: those begin with ';' [conf-011]\n" },
		{ "register = 1",
		  "t:2:12: warning: register: '1' is not yes or no: yes is used [conf-015]\n" },
		{ "maxpkt=12x", "t:2:8: warning: maxpkt: '12x' is not a number: 1500 bytes is used "
				"[conf-015]\n" },
		{ "maxpkt=99999999999999999999",
		  "t:2:8: warning: maxpkt: '99999999999999999999' is not a number: 1500 bytes is "
		  "used [conf-015]\n" },
		{ "maxpkt=1", "t:2:8: warning: maxpkt: '1' is outside 524 bytes to 65528 bytes: "
			      "524 bytes is used [conf-016]\n" },
		{ "t1=1",
		  "t:2:4: warning: t1: '1' is outside 100 to 2500: 500 is used [conf-016]\n" },
		{ "stamp=ful",
		  "t:2:7: warning: stamp: 'ful' is none of its words: relative is used, "
		  "did you mean 'full'? [conf-017]\n" },
		{ "addr=localhost",
		  "t:2:6: error: addr: 'localhost' is not an IP address [conf-018]\n" },
		{ "maxchans=1", "t:2:1: note: 'maxchans' has no effect here [conf-019]\n" },
		{ "realm=a\nrealm=b",
		  "t:3:1: warning: 'realm' again: the first one counts, line 2 of t [conf-014]\n" },
		{ "[genral]", "t:2:1: warning: unknown section [genral], did you mean 'general'? "
			      "[conf-013]\n" },
		{ "[listner udp]", "t:2:1: warning: unknown section [listner udp], did you mean "
				   "'listener'? [conf-013]\n" },
	};
	struct pb_arena *a = pb_arena_new(100000);
	struct pb_text t, in;
	struct settings s;

	pb_text_init(&t, 10000);
	pb_text_init(&in, 10000);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool is_error = strstr(cases[i].want, ": error: ");

		pb_text_reset(&t);
		pb_text_reset(&in);
		pb_text_addf(&in, "[general]\n%s", cases[i].line);
		pb_text_addc(&in, '\0');
		in.n--;
		CU_ASSERT_EQUAL(read_text(in.p, &s, a, &t), is_error ? -EINVAL : 0);
		PB_SAME(pb_text_str(&t), cases[i].want);
	}
	CU_ASSERT_EQUAL(s.t1, 500);
	pb_text_fini(&t);
	pb_text_fini(&in);
	pb_arena_free(&a);
}

static void sections(void)
{
	struct pb_arena *a = pb_arena_new(100000);
	struct pb_findings *f = pb_findings_new();
	struct listener l = { 0 };
	struct pb_conf *c;

	CU_ASSERT_EQUAL_FATAL(
		pb_conf_parse("t", PB_STR("[listener x]\nport=1\nprt=2"), NULL, f, &c), 0);
	CU_ASSERT_EQUAL(pb_opt_read_section(rows, "listener *", pb_conf_section_at(c, 0), &l, a, f),
			0);
	CU_ASSERT_EQUAL(l.port, 1);
	PB_SAME(l.addr, "127.0.0.1");
	CU_ASSERT_EQUAL(pb_findings_count(f, PB_SEV_NOTE), 1);
	pb_conf_free(&c);
	pb_findings_free(&f);
	pb_arena_free(&a);
}

static void reading(void)
{
	struct pb_arena *a = pb_arena_new(100000);
	struct settings s;

	if (a)
		read_text("[general]\nrealm=x\nmaxpkt=1\nzz=1\n[listener x]\n[y]", &s, a, NULL);
	pb_arena_free(&a);
}

static void alloc_failures(void)
{
	pb_test_each_alloc(reading);
}

PB_TESTS("bus/opt", { "values", values }, { "mistakes", mistakes }, { "sections", sections },
	 { "each allocation fails", alloc_failures })
