/* engine/bus: engine.cfg through the guard. */
#include "../../support/test.h"

#include <errno.h>

#include "base/alloc.h"
#include "bus/cfg.h"

struct module {
	bool required, load;
};

struct settings {
	int64_t calls, scripts, hold_ms, message_ms, parked;
	struct pb_str log_file, address;
	int log_level;
	bool top;
	struct module modules[4];
	size_t module_count;
};

static const char *const levels[] = { "warn", "note", "info", NULL };

static const struct pb_opt rows[] = {
	{ PB_OPT_BOOL, "top", offsetof(struct settings, top), .section = "" },
	{ PB_OPT_INT, "calls", offsetof(struct settings, calls), .lo = 0, .hi = 63,
	  .section = "loops" },
	{ PB_OPT_INT, "scripts", offsetof(struct settings, scripts), .def = 1, .hi = 32,
	  .section = "loops" },
	{ PB_OPT_INT, "hold", offsetof(struct settings, hold_ms), .def = 10000, .lo = 10,
	  .hi = 3600000, .unit = "ms", .section = "limits" },
	{ PB_OPT_INT, "message", offsetof(struct settings, message_ms), .def = 60000, .unit = "ms",
	  .section = "limits" },
	{ PB_OPT_INT, "parked", offsetof(struct settings, parked), .section = "limits" },
	{ PB_OPT_STR, "file", offsetof(struct settings, log_file), .section = "log" },
	{ PB_OPT_WORD, "level", offsetof(struct settings, log_level), .def = 1, .words = levels,
	  .section = "log" },
	{ PB_OPT_ADDR, "address", offsetof(struct settings, address), .section = "log" },
	{ PB_OPT_BOOL, "required", offsetof(struct module, required), .section = "modules.*" },
	{ PB_OPT_BOOL, "load", offsetof(struct module, load), .def = 1, .section = "modules.*" },
	{ PB_OPT_END },
};

static int read_all(const struct pb_cfg *c, struct pb_arena *a, struct pb_findings *f,
		    struct settings *s)
{
	int err, e;

	memset(s, 0, sizeof(*s));
	err = pb_cfg_read(c, rows, s, a, f);
	for (; s->module_count < pb_cfg_members(c, "modules"); s->module_count++) {
		e = pb_cfg_read_member(c, "modules", s->module_count, rows,
				       &s->modules[s->module_count], a, f);
		err = err ? err : e;
	}
	return err;
}

static int read_text(struct pb_str text, struct pb_arena *a, struct settings *out,
		     struct pb_text *t)
{
	struct pb_findings *f = pb_findings_new();
	struct pb_cfg *c = NULL;
	int err = pb_cfg_parse("e.cfg", text, f, &c);

	if (!err)
		err = read_all(c, a, f, out);
	if (f && t)
		pb_findings_print(f, t);
	pb_cfg_free(&c);
	pb_findings_free(&f);
	return err;
}

static void values(void)
{
	struct pb_arena *a = pb_arena_new(100000);
	struct settings e;
	struct pb_text t;

	pb_text_init(&t, 10000);
	CU_ASSERT_EQUAL(read_text(PB_STR(""), a, &e, &t), 0);
	CU_ASSERT_EQUAL(e.calls, 0);
	CU_ASSERT_EQUAL(e.hold_ms, 10000);
	CU_ASSERT_EQUAL(e.log_level, 1);
	CU_ASSERT_FALSE(e.top);
	CU_ASSERT_EQUAL(e.module_count, 0);
	CU_ASSERT_EQUAL(
		read_text(
			PB_STR("# comment \"\n/* = */ loops = { calls = 4; scripts = 2; };\n"
			       "limits : { hold = \"500ms\"; message = \"2m\"; parked = 0x10; };\n"
			       "log = { file = \"/var/log/x \\\" y\"; level = \"info\"; address = "
			       "\"::1\"; };\n"
			       "top = true;\n"
			       "modules = { sip = { required = true; }; lua = { load = false; }; "
			       "};\n"),
			a, &e, &t),
		0);
	PB_SAME(pb_text_str(&t), "");
	CU_ASSERT_EQUAL(e.calls, 4);
	CU_ASSERT_EQUAL(e.scripts, 2);
	CU_ASSERT_EQUAL(e.hold_ms, 500);
	CU_ASSERT_EQUAL(e.message_ms, 120000);
	CU_ASSERT_EQUAL(e.parked, 16);
	PB_SAME(e.log_file, "/var/log/x \" y");
	CU_ASSERT_EQUAL(e.log_level, 2);
	PB_SAME(e.address, "::1");
	CU_ASSERT_TRUE(e.top);
	CU_ASSERT_EQUAL_FATAL(e.module_count, 2);
	CU_ASSERT_TRUE(e.modules[0].required);
	CU_ASSERT_TRUE(e.modules[0].load);
	CU_ASSERT_FALSE(e.modules[1].required);
	CU_ASSERT_FALSE(e.modules[1].load);
	pb_text_fini(&t);
	pb_arena_free(&a);
}

static void mistakes(void)
{
	static const struct {
		const char *text;
		int err;
		const char *want;
	} cases[] = {
		{ "loops = { cals = 1; };", 0,
		  "e.cfg:1:11: warning: unknown setting 'cals', did you mean 'calls'? "
		  "[cfg-005]\n" },
		{ "\nlimit = { };", 0,
		  "e.cfg:2:1: warning: unknown setting 'limit', did you mean 'limits'? "
		  "[cfg-005]\n" },
		{ "loops = { calls = \"1\"; };", -EINVAL,
		  "e.cfg:1:11: error: 'calls' must be a whole number [cfg-006]\n" },
		{ "loops = { calls = 1.0; };", -EINVAL,
		  "e.cfg:1:11: error: 'calls' must be a whole number [cfg-006]\n" },
		{ "loops = { calls = 100; };", -EINVAL,
		  "e.cfg:1:11: error: 'calls' must be from 0 to 63 [cfg-007]\n" },
		{ "loops = 1;", -EINVAL,
		  "e.cfg:1:1: error: 'loops' must be a group { ... } [cfg-006]\n" },
		{ "modules = { sip = true; };", -EINVAL,
		  "e.cfg:1:13: error: 'sip' must be a group { ... } [cfg-006]\n" },
		{ "modules = { sip = { required = 1; }; };", -EINVAL,
		  "e.cfg:1:21: error: 'required' must be true or false [cfg-006]\n" },
		{ "limits = { hold = 30; };", -EINVAL,
		  "e.cfg:1:12: error: 'hold' must be a duration like \"500ms\", \"30s\" or \"2m\" "
		  "[cfg-008]\n" },
		{ "limits = { hold = \"30x\"; };", -EINVAL,
		  "e.cfg:1:12: error: 'hold' must be a duration like \"500ms\", \"30s\" or \"2m\" "
		  "[cfg-008]\n" },
		{ "limits = { hold = \"2h\"; };", -EINVAL,
		  "e.cfg:1:12: error: 'hold' must be from 10 to 3600000 ms [cfg-007]\n" },
		{ "log = { level = \"inf\"; };", -EINVAL,
		  "e.cfg:1:9: error: 'level' cannot be \"inf\", did you mean 'info'? "
		  "[conf-017]\n" },
		{ "log = { address = \"localhost\"; };", -EINVAL,
		  "e.cfg:1:9: error: 'address' must be an IP address [conf-018]\n" },
		{ "top = { };", -EINVAL,
		  "e.cfg:1:1: error: 'top' must be true or false [cfg-006]\n" },
		{ "log = { file = 1; };", -EINVAL,
		  "e.cfg:1:9: error: 'file' must be a string in double quotes [cfg-006]\n" },
		/* what libconfig alone would not say, or say elsewhere */
		{ "limits = { parked = 4294967297; };", -EINVAL,
		  "e.cfg:1:21: error: 4294967297 does not fit: over 2147483647 a number ends with "
		  "L [cfg-003]\n" },
		{ "limits = { parked = 0x1FFFFFFFF; };", -EINVAL,
		  "e.cfg:1:21: error: 0x1FFFFFFFF does not fit: over 2147483647 a number ends with "
		  "L [cfg-003]\n" },
		{ "limits = { parked = 99999999999999999999L; };", -EINVAL,
		  "e.cfg:1:21: error: 99999999999999999999 does not fit [cfg-003]\n" },
		{ "log = { file = \"x;\n level = \"info\"; };\nloops = { };\n", -EINVAL,
		  "e.cfg:1:16: error: the string that begins here does not end in its line "
		  "[cfg-002]\n" },
		{ "loops = { };\n/* never\nclosed", -EINVAL,
		  "e.cfg:2:1: error: the comment that begins here has no '*/' [cfg-002]\n" },
		{ "@include \"x.cfg\"", -EINVAL,
		  "e.cfg:1:1: error: @include is not read here [cfg-004]\n" },
		{ "loops = { calls = 1 };\nloops = {", -EINVAL,
		  "e.cfg:2: error: duplicate setting name [cfg-001]\n" },
		{ "loops = {\n calls 1;\n};", -EINVAL, "e.cfg:2: error: syntax error [cfg-001]\n" },
	};
	struct pb_arena *a = pb_arena_new(100000);
	struct settings e;
	struct pb_text t;

	pb_text_init(&t, 10000);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		pb_text_reset(&t);
		CU_ASSERT_EQUAL(read_text(pb_str_z(cases[i].text), a, &e, &t), cases[i].err);
		PB_SAME(pb_text_str(&t), cases[i].want);
	}
	pb_text_reset(&t);
	CU_ASSERT_EQUAL(read_text(pb_str("a\0b", 3), a, &e, &t), -EINVAL);
	pb_text_fini(&t);
	pb_arena_free(&a);
}

static void units(void)
{
	int64_t v = 0;

	CU_ASSERT_EQUAL(pb_cfg_duration(PB_STR("1d"), &v), 0);
	CU_ASSERT_EQUAL(v, 86400000);
	CU_ASSERT_EQUAL(pb_cfg_duration(PB_STR("30 s"), &v), 0);
	CU_ASSERT_EQUAL(v, 30000);
	CU_ASSERT_EQUAL(pb_cfg_duration(PB_STR("30"), &v), -EINVAL);
	CU_ASSERT_EQUAL(pb_cfg_duration(PB_STR("-1s"), &v), -EINVAL);
	CU_ASSERT_EQUAL(pb_cfg_duration(PB_STR("1.5s"), &v), -EINVAL);
	CU_ASSERT_EQUAL(pb_cfg_duration(PB_STR(""), &v), -EINVAL);
	CU_ASSERT_EQUAL(pb_cfg_size(PB_STR("64K"), &v), 0);
	CU_ASSERT_EQUAL(v, 65536);
	CU_ASSERT_EQUAL(pb_cfg_size(PB_STR("9999999999G"), &v), -ERANGE);
	CU_ASSERT_EQUAL(pb_cfg_size(PB_STR("1s"), &v), -EINVAL);
}

static void missing(void)
{
	struct pb_findings *f = pb_findings_new();
	struct pb_cfg *c;

	CU_ASSERT_EQUAL(pb_cfg_load("/nonexistent/engine.cfg", f, &c), 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_FALSE(pb_cfg_has(c, "loops", "calls"));
	CU_ASSERT_EQUAL(pb_cfg_members(c, "modules"), 0);
	CU_ASSERT_EQUAL(pb_findings_count(f, PB_SEV_NOTE), 0);
	pb_cfg_free(&c);
	CU_ASSERT_EQUAL(pb_cfg_load("/tmp", f, &c), -EISDIR);
	CU_ASSERT_PTR_NULL(c);
	CU_ASSERT_EQUAL(pb_findings_count(f, PB_SEV_ERROR), 1);
	pb_findings_free(&f);
}

static void places(void)
{
	struct pb_cfg *c;

	CU_ASSERT_EQUAL_FATAL(
		pb_cfg_parse("e.cfg",
			     PB_STR("l = ( { calls = 1; }, { calls = 2; } );\n"
				    "loops = {\n  calls\n = 4; };\nmodules={ sip = {}; };"),
			     NULL, &c),
		0);
	CU_ASSERT_TRUE(pb_cfg_has(c, "loops", "calls"));
	CU_ASSERT_EQUAL(pb_cfg_at(c, "loops", "calls").line, 3);
	CU_ASSERT_EQUAL(pb_cfg_at(c, "loops", "calls").col, 3);
	PB_SAME(pb_cfg_member_name(c, "modules", 0), "sip");
	CU_ASSERT_EQUAL(pb_cfg_member_at(c, "modules", 0).col, 11);
	pb_cfg_free(&c);
}

/* Each beginning of a file is read or refused, never more. */
static void prefixes(void)
{
	static const char text[] =
		"/* x */ log = { file = \"a\\\"b\"; level = \"info\"; }; # y\n"
		"loops : { calls = 0x2; scripts = +1; };\n modules = { a-b = { }; };";
	struct pb_arena *a = pb_arena_new(1000000);
	struct settings e;

	for (size_t n = 0; n < sizeof(text); n++) {
		char *exact = pb_alloc(n + 1);

		memcpy(exact, text, n);
		read_text(pb_str(exact, n), a, &e, NULL);
		pb_free(exact);
	}
	CU_ASSERT_FALSE(pb_arena_failed(a));
	pb_arena_free(&a);
}

static void reading(void)
{
	struct pb_arena *a = pb_arena_new(100000);
	struct settings e;

	if (a)
		read_text(PB_STR("loops={calls=1;};log={file=\"x\";};modules={sip={required=true;};"
				 "};y=1;"),
			  a, &e, NULL);
	pb_arena_free(&a);
}

static void alloc_failures(void)
{
	pb_test_each_alloc(reading);
}

PB_TESTS("bus/cfg", { "values", values }, { "mistakes", mistakes }, { "units", units },
	 { "missing", missing }, { "places", places }, { "prefixes", prefixes },
	 { "each allocation fails", alloc_failures })
