/* modules/console: finding commands, rights, aliases, control lines, completion. */
#include "../../support/test.h"

#include "base/alloc.h"
#include "console/command.h"

static void finds(void)
{
	static const struct {
		const char *line, *word, *args;
	} cases[] = {
		{ "status", "status", "" },
		{ "status overview sip", "status", "overview sip" },
		{ "? drop", "help", "drop" },
		{ "?", "help", "" },
		{ "statusx", NULL, "statusx" },
		{ "Status", NULL, "Status" },
		{ "debug sip level 9", "debug", "sip level 9" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pb_str line = pb_str_z(cases[i].line);
		const struct console_command *cmd = console_command_find(&line);

		CU_ASSERT_EQUAL(cmd != NULL, cases[i].word != NULL);
		if (cmd && cases[i].word)
			PB_SAME(cmd->word, cases[i].word);
		PB_SAME(line, cases[i].args);
	}
}

static struct console_listener set;
static struct console_port port = { .set = &set };

static struct console_conn conn(enum console_level level)
{
	struct console_conn c = { .port = &port, .level = level, .arena = pb_arena_new(100000) };

	pb_text_init(&c.aliases, 1000);
	return c;
}

static void conn_end(struct console_conn *c)
{
	pb_arena_free(&c->arena);
	pb_text_fini(&c->aliases);
}

static void rights(void)
{
	static const struct {
		const char *line;
		enum console_level level;
	} cases[] = {
		{ "quit", CONSOLE_NONE },   { "help", CONSOLE_NONE },	     { "status", CONSOLE_USER },
		{ "drop x", CONSOLE_ADMIN }, { "sniffer on", CONSOLE_ADMIN }, { "call a b", CONSOLE_USER },
		{ "module list", CONSOLE_USER }, { "module load x", CONSOLE_ADMIN },
	};

	set.user_prefix = PB_STR("call , x");
	CU_ASSERT_EQUAL(regcomp(&port.user_regex, "^module list$", REG_NOSUB), 0);
	port.has_regex = true;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (enum console_level level = CONSOLE_NONE; level <= CONSOLE_ADMIN; level++) {
			struct pb_str line = pb_str_z(cases[i].line), args = line;
			struct console_conn c = conn(level);

			CU_ASSERT_EQUAL(console_command_allowed(&c, console_command_find(&args), line),
					level >= cases[i].level);
			conn_end(&c);
		}
	}
	regfree(&port.user_regex);
	port.has_regex = false;
	set.user_prefix = PB_STR("");
}

static void switches(void)
{
	bool on = false;

	CU_ASSERT_TRUE(console_set_bool(PB_STR("on"), &on));
	CU_ASSERT_TRUE(on);
	CU_ASSERT_FALSE(console_set_bool(PB_STR("perhaps"), &on));
	CU_ASSERT_FALSE(console_set_bool(PB_STR(""), &on));
	CU_ASSERT_TRUE(on);
	CU_ASSERT_TRUE(console_set_bool(PB_STR("f"), &on));
	CU_ASSERT_FALSE(on);
}

static void aliases(void)
{
	struct pb_text t;

	pb_text_init(&t, 60);
	console_alias_set(&t, PB_STR("a"), PB_STR("first"));
	console_alias_set(&t, PB_STR("b"), PB_STR("second"));
	console_alias_set(&t, PB_STR("c"), PB_STR("third"));
	PB_SAME(console_alias_find(pb_text_str(&t), PB_STR("b")), "second");
	console_alias_set(&t, PB_STR("b"), PB_STR("changed"));
	console_alias_set(&t, PB_STR("a"), PB_STR(""));
	console_alias_set(&t, PB_STR("none"), PB_STR(""));
	CU_ASSERT_PTR_NULL(console_alias_find(pb_text_str(&t), PB_STR("a")).p);
	CU_ASSERT_PTR_NULL(console_alias_find(pb_text_str(&t), PB_STR("first")).p);
	PB_SAME(console_alias_find(pb_text_str(&t), PB_STR("b")), "changed");
	PB_SAME(console_alias_find(pb_text_str(&t), PB_STR("c")), "third");
	/* One that does not fit is not there, the others stay. */
	console_alias_set(&t, PB_STR("d"), PB_STR("a text of much more than sixty octets, which do not fit in here"));
	CU_ASSERT_PTR_NULL(console_alias_find(pb_text_str(&t), PB_STR("d")).p);
	PB_SAME(console_alias_find(pb_text_str(&t), PB_STR("c")), "third");
	pb_text_fini(&t);
}

static void alias_arguments(void)
{
	static const struct {
		const char *text, *args, *want;
	} cases[] = {
		{ "status", "x", "status" },
		{ "status \\0", "a b", "status a b" },
		{ "drop \\2 \\1\\9\\", "a b", "drop b a\\9\\" },
		{ "drop \\3!", "a b", "drop !" },
		{ "\\1\\1", "\\1", "\\1\\1" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pb_text t;

		pb_text_init(&t, 1000);
		console_alias_put_in(&t, pb_str_z(cases[i].text), pb_str_z(cases[i].args));
		PB_SAME(pb_text_str(&t), cases[i].want);
		pb_text_fini(&t);
	}
}

static void control_lines(void)
{
	static const struct {
		const char *args;
		bool want;
		const char *operation, *a, *b;
	} cases[] = {
		{ "sip/1 hold", true, "hold", NULL, NULL },
		{ "sip/1 a=1 hold now b=2", true, "a=1 hold now", NULL, "2" },
		{ "sip/1 hold a=1 b=", true, "hold", "1", "" },
		{ "sip/1 a=1 b=2=3", true, NULL, "1", "2=3" },
		{ "sip/1 =x", true, "=x", NULL, NULL },
		{ "sip/1", false, NULL, NULL, NULL },
		{ "", false, NULL, NULL, NULL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pb_msg *m = pb_msg_new(PB_STR("chan.control"));

		CU_ASSERT_EQUAL(pb_control_parse(pb_str_z(cases[i].args), m), cases[i].want);
		if (cases[i].want) {
			PB_SAME(pb_msg_get(m, PB_STR("targetid")), "sip/1");
			PB_SAME(pb_msg_get(m, PB_STR("component")), "sip/1");
			PB_SAME(pb_msg_get(m, PB_STR("operation")), cases[i].operation ? cases[i].operation : "");
			PB_SAME(pb_msg_get(m, PB_STR("a")), cases[i].a ? cases[i].a : "");
			PB_SAME(pb_msg_get(m, PB_STR("b")), cases[i].b ? cases[i].b : "");
			CU_ASSERT_EQUAL(pb_msg_has(m, PB_STR("operation")), cases[i].operation != NULL);
		}
		pb_msg_free(&m);
	}
}

static void words(void)
{
	static const struct {
		enum console_level level;
		const char *line, *word, *want;
	} cases[] = {
		{ CONSOLE_ADMIN, "", "st", "status\tstop\tstuff" },
		{ CONSOLE_USER, "", "st", "status\tstuff" },
		{ CONSOLE_NONE, "", "", "quit\techo\thelp\tauth\tstuff" },
		{ CONSOLE_ADMIN, "help", "re", "reload\trestart" },
		{ CONSOLE_ADMIN, "help", "stu", "" },
		{ CONSOLE_ADMIN, "drop", "", "all" },
		{ CONSOLE_USER, "drop", "", "" },
		{ CONSOLE_ADMIN, "echo", "o", "on\toff" },
		{ CONSOLE_ADMIN, "echo on", "o", "" },
		{ CONSOLE_ADMIN, "nothing", "", "" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct console_conn c = conn(cases[i].level);
		struct pb_text t;

		pb_text_init(&t, 10000);
		console_alias_set(&c.aliases, PB_STR("stuff"), PB_STR("status"));
		console_complete_words(&c, pb_str_z(cases[i].line), pb_str_z(cases[i].word), &t);
		PB_SAME(pb_text_str(&t), cases[i].want);
		pb_text_fini(&t);
		conn_end(&c);
	}
}

static void machine_lines(void)
{
	struct pb_msg *m = pb_msg_new(PB_STR("call.route"));
	struct pb_text t;

	pb_msg_add(m, PB_STR("caller"), PB_STR("a:b%"));
	pb_msg_add(m, PB_STR("x=y"), PB_STR("line\r\n"));
	pb_msg_set_retval(m, PB_STR("sip/x"));
	pb_text_init(&t, 1000);
	console_relay_format(&t, m, true);
	PB_SAME(pb_text_str(&t), "%%<message::true:call.route:sip/x:caller=a%zb%%:x%}y=line%M%J");
	pb_text_fini(&t);
	pb_msg_free(&m);
}

static void read_conf(const char *text, struct console_settings *out, struct pb_arena *a, struct pb_findings *f)
{
	struct pb_conf *c = NULL;

	CU_ASSERT_EQUAL(pb_conf_parse("rmanager.conf", pb_str_z(text), NULL, f, &c), 0);
	CU_ASSERT_EQUAL(console_read(c, out, a, f), 0);
	pb_conf_free(&c);
}

static void settings(void)
{
	struct pb_arena *a = pb_arena_new(1u << 20);
	struct pb_findings *f = pb_findings_new();
	struct console_settings s = { 0 };

	read_conf("", &s, a, f);
	CU_ASSERT_EQUAL(s.count, 1);
	CU_ASSERT_EQUAL(s.listeners[0].port, 5038);
	PB_SAME(s.listeners[0].addr, "127.0.0.1");
	CU_ASSERT_TRUE(s.listeners[0].telnet && console_is_safe(&s.listeners[0]));
	read_conf("[one]\nprompt=\"p \"\ntimeout=100\ndebug=yes\nalias:st=status \\0\n"
		  "[two]\naddr=0.0.0.0\n[three]\naddr=::1\nprompt_user=u\n[four]\naddr=0.0.0.0\npassword=x\n",
		  &s, a, f);
	CU_ASSERT_EQUAL(s.count, 4);
	PB_SAME(s.listeners[0].prompt_guest, "p ");
	CU_ASSERT_EQUAL(s.listeners[0].timeout_ms, 5000);
	CU_ASSERT_TRUE(s.listeners[0].output);
	CU_ASSERT_EQUAL(s.listeners[0].alias_count, 1);
	PB_SAME(s.listeners[0].aliases[0].name, "st");
	PB_SAME(s.listeners[0].aliases[0].text, "status \\0");
	CU_ASSERT_FALSE(console_is_safe(&s.listeners[1]));
	CU_ASSERT_TRUE(console_is_safe(&s.listeners[2]));
	PB_SAME(s.listeners[2].prompt_guest, "u");
	CU_ASSERT_TRUE(console_is_safe(&s.listeners[3]));
	CU_ASSERT_EQUAL(pb_findings_count(f, PB_SEV_ERROR), 1);
	CU_ASSERT_EQUAL(pb_findings_at(f, 0)->line, 7);
	CU_ASSERT_STRING_EQUAL(pb_findings_at(f, 0)->id, "console-003");
	CU_ASSERT_EQUAL(pb_findings_count(f, PB_SEV_NOTE), 1);
	pb_findings_free(&f);
	pb_arena_free(&a);
}

PB_TESTS("console/command", { "finds", finds }, { "rights", rights }, { "switches", switches },
	 { "aliases", aliases }, { "alias arguments", alias_arguments }, { "control lines", control_lines },
	 { "words", words }, { "machine lines", machine_lines }, { "settings", settings })
