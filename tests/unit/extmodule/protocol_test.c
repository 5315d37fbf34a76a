/* modules/extmodule/protocol: lines cut, taken apart and built. */
#include "../../support/test.h"

#include <errno.h>
#include <stdlib.h>

#include "extmodule/protocol.h"

static struct pb_arena *arena(void)
{
	struct pb_arena *a = pb_arena_new(1u << 20);

	CU_ASSERT_PTR_NOT_NULL_FATAL(a);
	return a;
}

static void frames(void)
{
	static const char text[] = "one\r\ntwo\n\n\r\nthree\0four";
	struct pb_str bytes = pb_str(text, sizeof(text) - 1), line;

	CU_ASSERT_TRUE(ext_line_cut(&bytes, &line));
	PB_SAME(line, "one");
	CU_ASSERT_TRUE(ext_line_cut(&bytes, &line));
	PB_SAME(line, "two");
	CU_ASSERT_TRUE(ext_line_cut(&bytes, &line));
	PB_SAME(line, "");
	CU_ASSERT_TRUE(ext_line_cut(&bytes, &line));
	PB_SAME(line, "");
	CU_ASSERT_TRUE(ext_line_cut(&bytes, &line));
	PB_SAME(line, "three");
	CU_ASSERT_FALSE(ext_line_cut(&bytes, &line));
	PB_SAME(bytes, "four");
}

static void verbs(void)
{
	static const struct {
		const char *line;
		enum ext_verb verb;
		const char *rest;
	} rows[] = {
		{ "%%>connect:global", EXT_CONNECT, "global" },
		{ "%%>message:::a:", EXT_MESSAGE, "::a:" },
		{ "%%<message:1:true:", EXT_ANSWER, "1:true:" },
		{ "%%>install:80:call.route", EXT_INSTALL, "80:call.route" },
		{ "%%>uninstall:call.route", EXT_UNINSTALL, "call.route" },
		{ "%%>watch:", EXT_WATCH, "" },
		{ "%%>unwatch:x", EXT_UNWATCH, "x" },
		{ "%%>setlocal:id:", EXT_SETLOCAL, "id:" },
		{ "%%>output:hello: you", EXT_OUTPUT, "hello: you" },
		{ "%%>debug:5:x", EXT_DEBUG, "5:x" },
		{ "%%>quit", EXT_QUIT, "" },
		{ "%%>quit:", EXT_UNKNOWN, "" },
		{ "%%<install:1:x", EXT_UNKNOWN, "" },
		{ "%%>install", EXT_UNKNOWN, "" },
		{ "hello", EXT_UNKNOWN, "" },
		{ " %%>quit", EXT_UNKNOWN, "" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pb_str rest;

		CU_ASSERT_EQUAL(ext_line_verb(pb_str_z(rows[i].line), &rest), rows[i].verb);
		PB_SAME(rest, rows[i].rest);
	}
}

static void installs(void)
{
	static const struct {
		const char *rest;
		int want, priority;
		const char *name, *filter, *value; /* filter NULL: none */
	} rows[] = {
		{ "80:call.route", 0, 80, "call.route", NULL, "" },
		{ ":call.route", 0, 100, "call.route", NULL, "" },
		{ "abc:call.route", 0, 100, "call.route", NULL, "" },
		{ "010:x", 0, 8, "x", NULL, "" },
		{ "-5:x", 0, -5, "x", NULL, "" },
		{ "50:x:called:12%z3:4", 0, 50, "x", "called", "12:3:4" },
		{ "50:x:called", 0, 50, "x", "called", "" },
		{ "50:x:called:", 0, 50, "x", "called", "" },
		{ "50:x::1", 0, 50, "x", NULL, "" },
		{ "50:a%zb", 0, 50, "a%zb", NULL, "" }, /* literal */
		{ "50:", -EINVAL },
		{ "50", -EINVAL },
		{ "", -EINVAL },
		{ "50:x:a%", -EINVAL },
		{ "50:x:a:b%q", -EINVAL },
	};
	struct pb_arena *a = arena();

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ext_install in;

		CU_ASSERT_EQUAL(ext_parse_install(pb_str_z(rows[i].rest), a, &in), rows[i].want);
		if (rows[i].want)
			continue;
		CU_ASSERT_EQUAL(in.priority, rows[i].priority);
		PB_SAME(in.name, rows[i].name);
		CU_ASSERT_EQUAL(in.filter_name.p != NULL, rows[i].filter != NULL);
		PB_SAME(in.filter_name, rows[i].filter ? rows[i].filter : "");
		PB_SAME(in.filter_value, rows[i].value);
	}
	pb_arena_free(&a);
}

static void locals_and_debug(void)
{
	struct pb_arena *a = arena();
	struct ext_setlocal s;
	struct ext_debug d;
	struct ext_connect c;

	CU_ASSERT_EQUAL(ext_parse_setlocal(PB_STR("timeout:500"), &s), 0);
	PB_SAME(s.name, "timeout");
	PB_SAME(s.value, "500");
	CU_ASSERT_EQUAL(ext_parse_setlocal(PB_STR("timeout:"), &s), 0);
	PB_SAME(s.value, "");
	CU_ASSERT_EQUAL(ext_parse_setlocal(PB_STR("timeout"), &s), -EINVAL);
	CU_ASSERT_EQUAL(ext_parse_debug(PB_STR("3:a%Jb:c"), a, &d), 0);
	CU_ASSERT_EQUAL(d.level, 3);
	PB_SAME(d.text, "a\nb:c");
	CU_ASSERT_EQUAL(ext_parse_debug(PB_STR("x:y"), a, &d), 0);
	CU_ASSERT_EQUAL(d.level, 10);
	CU_ASSERT_EQUAL(ext_parse_debug(PB_STR(":y"), a, &d), -EINVAL);
	CU_ASSERT_EQUAL(ext_parse_debug(PB_STR("3"), a, &d), -EINVAL);
	ext_parse_connect(PB_STR("global:7:x"), &c);
	PB_SAME(c.role, "global");
	pb_arena_free(&a);
}

/* Parameters as "name=value;" or "name;" for those to be removed. */
static void print_params(struct pb_text *t, struct pb_arena *a, struct pb_str params)
{
	struct pb_param p;
	int got;

	while ((got = ext_param_cut(&params, a, &p)) == 1) {
		pb_text_add(t, p.name);
		if (p.value.p) {
			pb_text_addc(t, '=');
			pb_text_add(t, p.value);
		}
		pb_text_addc(t, ';');
	}
	if (got < 0)
		pb_text_addc(t, '!');
}

static void messages(void)
{
	static const struct {
		const char *rest;
		int want;
		const char *id;
		unsigned long time;
		const char *name, *retval, *params;
	} rows[] = {
		{ "7:1700000000:call.route::a=1:b", 0, "7", 1700000000, "call.route", "",
		  "a=1;b;" },
		{ "::x:", 0, "", 0, "x", "", "" },
		{ ":0::", 0, "", 0, "", "", "" },
		{ "a%zb:1:x:r%Jr::k%}v=w%%:", 0, "a:b", 1, "x", "r\nr", "!" },
		{ "1:1:x:r:=v", 0, "1", 1, "x", "r", "!" },
		{ "1:1:x:r:k=a=b", 0, "1", 1, "x", "r", "k=a=b;" },
		{ "1:1:x:r:k=", 0, "1", 1, "x", "r", "k=;" },
		{ "1:12x:x:", -EINVAL },
		{ "1:-1:x:", -EINVAL },
		{ "1:1:x", -EINVAL },
		{ "1:1", -EINVAL },
		{ "1", -EINVAL },
		{ "", -EINVAL },
		{ "1:1:x%:r", -EINVAL },
		{ "1:1:x:r%q", -EINVAL },
	};
	struct pb_arena *a = arena();
	struct pb_text t;

	pb_text_init(&t, 1000);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ext_message m;

		CU_ASSERT_EQUAL(ext_parse_message(pb_str_z(rows[i].rest), a, &m), rows[i].want);
		if (rows[i].want)
			continue;
		PB_SAME(m.id, rows[i].id);
		CU_ASSERT_EQUAL(m.time_s, rows[i].time);
		PB_SAME(m.name, rows[i].name);
		PB_SAME(m.retval, rows[i].retval);
		pb_text_reset(&t);
		print_params(&t, a, m.params);
		PB_SAME(pb_text_str(&t), rows[i].params);
	}
	pb_text_fini(&t);
	pb_arena_free(&a);
}

static void answers(void)
{
	static const struct {
		const char *rest;
		int head, body;
		bool processed;
		const char *name, *retval; /* retval NULL: kept */
		const char *params;
	} rows[] = {
		{ "1:true:", 0, 0, true, "", NULL, "" },
		{ "1:true::", 0, 0, true, "", "", "" },
		{ "1:false:::a=1:b", 0, 0, false, "", "", "a=1;b;" },
		{ "1:on:x:sip/a%zb", 0, 0, true, "x", "sip/a:b", "" },
		{ "1:true:name", 0, -EINVAL, true },
		{ "1:true:name%:", 0, -EINVAL, true },
		{ "1:1::", -EINVAL },
		{ "1:TRUE::", -EINVAL },
		{ "1:true", -EINVAL },
		{ "1", -EINVAL },
		{ "", -EINVAL },
	};
	struct pb_arena *a = arena();
	struct pb_text t;

	pb_text_init(&t, 1000);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pb_str rest = pb_str_z(rows[i].rest);
		struct ext_answer ans;

		CU_ASSERT_EQUAL(ext_parse_answer_head(&rest, a, &ans), rows[i].head);
		if (rows[i].head)
			continue;
		PB_SAME(ans.id, "1");
		CU_ASSERT_EQUAL(ans.processed, rows[i].processed);
		CU_ASSERT_EQUAL(ext_parse_answer_body(rest, a, &ans), rows[i].body);
		if (rows[i].body)
			continue;
		PB_SAME(ans.name, rows[i].name);
		CU_ASSERT_EQUAL(ans.retval.p != NULL, rows[i].retval != NULL);
		PB_SAME(ans.retval, rows[i].retval ? rows[i].retval : "");
		pb_text_reset(&t);
		print_params(&t, a, ans.params);
		PB_SAME(pb_text_str(&t), rows[i].params);
	}
	pb_text_fini(&t);
	pb_arena_free(&a);
}

static void builds(void)
{
	struct pb_msg *m = pb_msg_new(PB_STR("call.route"));
	struct pb_text t;

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	pb_text_init(&t, 10000);
	pb_msg_set_time_us(m, 1700000000999999);
	pb_msg_add(m, PB_STR("a=b"), PB_STR("1:2%\r\n"));
	pb_msg_add(m, PB_STR("a=b"), PB_STR(""));
	pb_msg_set_retval(m, PB_STR("sip/x:y"));
	ext_put_delivery(&t, PB_STR("7.c"), m);
	PB_SAME(pb_text_str(&t),
		"%%>message:7.c:1700000000:call.route:sip/x%zy:a%}b=1%z2%%%M%J:a%}b=\n");
	pb_text_reset(&t);
	ext_put_result(&t, PB_STR(""), false, m);
	PB_SAME(pb_text_str(&t), "%%<message::false:call.route:sip/x%zy:a%}b=1%z2%%%M%J:a%}b=\n");
	pb_text_reset(&t);
	ext_put_installed(&t, PB_STR("install"), -5, PB_STR("a%zb"), false);
	ext_put_watched(&t, PB_STR("watch"), PB_STR(""), true);
	ext_put_setlocal(&t, PB_STR("x"), PB_STR("a:b"), true);
	ext_put_error(&t, PB_STR("what"));
	PB_SAME(pb_text_str(&t),
		"%%<install:-5:a%zb:false\n%%<watch::true\n%%<setlocal:x:a:b:true\n"
		"Error in: what\n");
	pb_text_fini(&t);
	pb_msg_free(&m);
}

/* Whatever comes, every slice lies inside its source or the arena. */
static void noise(void)
{
	unsigned seed = 12345;

	for (int run = 0; run < 20000; run++) {
		static const char alphabet[] = "%%:=<>azAJ_10 \r\ntruefalsemessageinstall";
		size_t n = (seed >> 8) % 60;
		char *p = malloc(n ? n : 1);
		struct pb_arena *a = arena();
		struct pb_str rest;
		struct ext_message m;
		struct ext_answer ans;
		struct ext_install in;
		struct pb_text t;

		for (size_t i = 0; i < n; i++) {
			seed = seed * 1103515245 + 12345;
			p[i] = alphabet[(seed >> 16) % (sizeof(alphabet) - 1)];
		}
		pb_text_init(&t, 10000);
		ext_line_verb(pb_str(p, n), &rest);
		ext_parse_install(pb_str(p, n), a, &in);
		if (ext_parse_message(pb_str(p, n), a, &m) == 0)
			print_params(&t, a, m.params);
		rest = pb_str(p, n);
		if (ext_parse_answer_head(&rest, a, &ans) == 0 &&
		    !ext_parse_answer_body(rest, a, &ans))
			print_params(&t, a, ans.params);
		seed = seed * 1103515245 + 12345;
		pb_text_fini(&t);
		pb_arena_free(&a);
		free(p);
	}
}

PB_TESTS("extmodule/protocol", { "lines end with LF or NUL", frames }, { "verbs", verbs },
	 { "install lines", installs }, { "setlocal, debug and connect lines", locals_and_debug },
	 { "new messages", messages }, { "answers", answers }, { "what is built", builds },
	 { "noise", noise })
