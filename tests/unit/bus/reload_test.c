/* engine/bus: the main files at start and on reload, tentative reloads. */
#include "../../support/scene_engine.h"

#include <errno.h>

#include "base/alloc.h"
#include "bus/dump.h"
#include "bus/engine_impl.h"
#include "bus/keys.h"

struct settings {
	int64_t size;
	struct pb_str password;
};

static void on_reload(struct pb_ctx *cx, const void *old)
{
	const struct settings *is = cx->settings, *was = old;
	char text[64];

	if (pb_loop_index(cx->loop))
		return;
	snprintf(text, sizeof(text), "%d->%d", (int)was->size, (int)is->size);
	say(text);
}

static enum pb_verdict on_debug(struct pb_msg *m, struct pb_ctx *cx)
{
	char text[64];

	(void)cx;
	snprintf(text, sizeof(text), "%.*s:%.*s", PB_STR_F(pb_msg_get(m, PB_STR("module"))),
		 PB_STR_F(pb_msg_get(m, PB_STR("line"))));
	say(text);
	return PB_HANDLED;
}

static enum pb_verdict on_telephony(struct pb_msg *m, struct pb_ctx *cx)
{
	struct pb_telephony t = pb_engine_telephony(pb_engine_of(cx));
	char text[64];

	snprintf(text, sizeof(text), "%u %u %u %.*s", t.timeout_ms, t.max_routing, t.max_chans,
		 PB_STR_F(pb_engine_main(pb_engine_of(cx), PB_STR("mine"), PB_STR("x"))));
	pb_msg_set_retval(m, pb_str_z(text));
	return PB_HANDLED;
}

static enum pb_verdict on_unconfirmed(struct pb_msg *m, struct pb_ctx *cx)
{
	pb_msg_set_retval(m, pb_engine_unconfirmed_ms(pb_engine_of(cx)) ? PB_STR("yes") : PB_STR("no"));
	return PB_HANDLED;
}

static const struct pb_opt options[] = {
	{ PB_OPT_INT, "size", offsetof(struct settings, size), .def = 5, .lo = 0, .hi = 100, .doc = "A size." },
	{ PB_OPT_STR, "password", offsetof(struct settings, password), .defs = "", .flags = PB_OPT_SECRET,
	  .doc = "A secret." },
	{ PB_OPT_OTHER, "old", .flags = PB_OPT_ACCEPTED, .doc = "Nothing." },
	{ PB_OPT_END },
};

static const struct pb_handler handlers[] = {
	{ "engine.debug", 10, PB_HERE, on_debug },
	{ "test.telephony", 100, PB_HERE, on_telephony },
	{ "test.unconfirmed", 100, PB_HERE, on_unconfirmed },
	{ NULL },
};

static const struct pb_module mine = {
	.abi = PB_MODULE_ABI,
	.name = "mine",
	.conf = "mine",
	.settings_size = sizeof(struct settings),
	.options = options,
	.handlers = handlers,
	.loop_reload = on_reload,
};

static const struct pb_module other = {
	.abi = PB_MODULE_ABI, .name = "other", .conf = "other", .settings_size = sizeof(struct settings), .options = options
};

static const struct pb_module *const modules[] = { &mine, &other, NULL };

static int reload(const char *name, unsigned confirm_s)
{
	struct pb_findings *f = pb_findings_new();
	int err = pb_engine_reload_try(engine, pb_str_z(name), confirm_s, f);

	pb_findings_free(&f);
	return err;
}

/* What the loops ask of the control thread is done. */
static void obey(void)
{
	struct pb_control c;

	while ((c = pb_engine_next_request(engine)).request != PB_REQUEST_NONE)
		pb_engine_obey(engine, &c);
}

static void resize(int size)
{
	char text[64];

	snprintf(text, sizeof(text), "[general]\nsize=%d\n", size);
	conf_write("mine.conf", text);
}

/* ---- Tentative reloads ------------------------------------------------------------------ */

static void confirmed(void)
{
	conf_new();
	resize(1);
	CU_ASSERT_EQUAL_FATAL(engine_up(modules), 0);
	resize(2);
	CU_ASSERT_EQUAL(reload("", 10), 0);
	PB_SAME(look(), "1->2");
	PB_SAME(answer("test.unconfirmed", NULL, NULL), "yes");
	pass_ms(9000);
	obey();
	CU_ASSERT_EQUAL(pb_engine_keep_now(engine), 0);
	CU_ASSERT_EQUAL(pb_engine_keep_now(engine), -ENOENT);
	PB_SAME(answer("test.unconfirmed", NULL, NULL), "no");
	pass_ms(60000);
	obey();
	PB_SAME(look(), "");
	engine_down();
}

static void rolled_back(void)
{
	conf_new();
	resize(1);
	conf_write("yate.conf", "[telephony]\ntimeout=1000\n");
	CU_ASSERT_EQUAL_FATAL(engine_up(modules), 0);
	PB_SAME(answer("test.telephony", NULL, NULL), "1000 0 0 ");
	resize(2);
	conf_write("yate.conf", "[telephony]\ntimeout=2000\nmaxroute=3\nmaxchans=4\n[mine]\nx=y\n");
	CU_ASSERT_EQUAL(reload("*", 10), 0);
	PB_SAME(answer("test.telephony", NULL, NULL), "2000 3 4 y");
	/* Another one meanwhile, and one that asks to be confirmed, are refused. */
	CU_ASSERT_EQUAL(reload("", 0), -EBUSY);
	CU_ASSERT_EQUAL(reload("mine", 5), -EBUSY);
	PB_SAME(look(), "1->2");
	pass_ms(9990);
	obey();
	PB_SAME(look(), "");
	pass_ms(20);
	obey();
	PB_SAME(look(), "2->1");
	PB_SAME(answer("test.telephony", NULL, NULL), "1000 0 0 ");
	/* From here on as ever. */
	CU_ASSERT_EQUAL(reload("", 0), 0);
	PB_SAME(look(), "1->2");
	CU_ASSERT_EQUAL(reload("", 3), 0);
	look();
	engine_down(); /* while one waits */
}

/* A request to roll back that comes behind the confirmation is about nothing. */
static void late_request(void)
{
	conf_new();
	resize(1);
	CU_ASSERT_EQUAL_FATAL(engine_up(modules), 0);
	resize(2);
	CU_ASSERT_EQUAL(reload("", 1), 0);
	pass_ms(1500); /* the request is there */
	CU_ASSERT_EQUAL(pb_engine_keep_now(engine), 0);
	resize(3);
	CU_ASSERT_EQUAL(reload("", 60), 0);
	PB_SAME(look(), "1->2 2->3");
	obey();
	PB_SAME(look(), "");
	CU_ASSERT_EQUAL(pb_engine_keep_now(engine), 0);
	engine_down();
}

/* By the functions that loops call. */
static void asked_for(void)
{
	conf_new();
	resize(1);
	CU_ASSERT_EQUAL_FATAL(engine_up(modules), 0);
	resize(2);
	pb_engine_reload_tentatively(engine, PB_STR("mine"), 5);
	obey();
	PB_SAME(look(), "1->2");
	pb_engine_confirm(engine);
	obey();
	resize(3);
	pb_engine_reload(engine, PB_STR_NULL);
	obey();
	PB_SAME(look(), "2->3");
	pass_ms(10000);
	obey();
	PB_SAME(look(), "");
	engine_down();
}

static void refused(void)
{
	conf_new();
	resize(1);
	CU_ASSERT_EQUAL_FATAL(engine_up(modules), 0);
	resize(2);
	conf_write("engine.cfg", "limits = { hold = \"ten\"; };\n");
	CU_ASSERT_EQUAL(reload("", 0), -EINVAL);
	CU_ASSERT_EQUAL(reload("engine", 0), -EINVAL);
	conf_write("engine.cfg", "limits = { hold = \"20s\"; };\n");
	conf_write("yate.conf", "[general]\n[$require nowhere.conf]\n");
	CU_ASSERT_EQUAL(reload("", 5), -EINVAL);
	PB_SAME(look(), "");
	CU_ASSERT_EQUAL(pb_engine_keep_now(engine), -ENOENT);
	CU_ASSERT_EQUAL(reload("mine", 0), 0); /* not asked of the main files */
	PB_SAME(look(), "1->2");
	conf_write("yate.conf", "");
	CU_ASSERT_EQUAL(reload("engine", 0), 0);
	CU_ASSERT_EQUAL(reload("nobody", 0), -ENOENT);
	engine_down();
}

/* ---- The main file ------------------------------------------------------------------------ */

static void main_file(void)
{
	conf_new();
	conf_write("yate.conf",
		   "[general]\nnodename= there \nnodebits=4\nnodeid=7\nmaxmsgrate=99\n"
		   "[application]\nprefix=app_\nname=Product\nbuild=12\nreport_version=name\nreport_status=${name}-${build}\n"
		   "[run_params]\ncity=Cluj\nwhere=in ${city}, ${none$nowhere}\nversion=mine\n"
		   "[variables]\nlike=${version}\n[debug]\nmine=level 9\nelse=reset\n"
		   "[$enabled ${supervised}]\n[telephony]\ntimeout=1\n[$enabled $bool ${interactive}]\n[mine]\nx=no\n"
		   "[$enabled ${app_build$no}]\n[mine]\nx=built\n");
	CU_ASSERT_EQUAL_FATAL(engine_up(modules), 0);
	PB_SAME(pb_engine_run_param(engine, PB_STR("nodename")), "node"); /* the caller's */
	PB_SAME(pb_engine_run_param(engine, PB_STR("nodeid")), "7");
	PB_SAME(pb_engine_run_param(engine, PB_STR("app_build")), "12");
	CU_ASSERT_PTR_NULL(pb_engine_run_param(engine, PB_STR("app_report_version")).p);
	PB_SAME(pb_engine_run_param(engine, PB_STR("where")), "in Cluj, nowhere");
	PB_SAME(pb_engine_run_param(engine, PB_STR("version")), PACKAGE_VERSION);
	PB_SAME(pb_engine_run_param(engine, PB_STR("supervised")), "false");
	PB_SAME(pb_engine_run_param(engine, PB_STR("maxworkers")), "10");
	PB_SAME(pb_engine_run_param(engine, PB_STR("maxmsgrate")), "99");
	PB_SAME(pb_engine_variable(engine, PB_STR("like")), "${version}");
	CU_ASSERT_PTR_NULL(pb_engine_variable(engine, PB_STR("unlike")).p);
	/* Its conditions see run parameters, also those that it makes itself. */
	PB_SAME(answer("test.telephony", NULL, NULL), "0 0 0 built");
	pass_ms(1);
	PB_SAME(look(), "mine:level 9 else:reset");
	CU_ASSERT(pb_str_find(answer("engine.command", "line", "version"),
			      PB_STR("\r\nApplication:\r\nname: Product\r\n")) > 0);
	CU_ASSERT(pb_str_find(answer("engine.status", "module", "engine"), PB_STR(",application=Product-12")) > 0);
	/* The lines of [debug] are sent on reload, too. */
	conf_write("yate.conf", "[debug]\nmine=level 5\n");
	CU_ASSERT_EQUAL(reload("engine", 0), 0);
	pass_ms(1);
	PB_SAME(look(), "mine:level 5");
	engine_down();
}

/* Scripts list them; those that know the order of old find it. */
static void order_of_params(void)
{
	static const char *const lines[] = { "city=Cluj", "version=2", NULL };
	struct pb_engine_args a = { .conf_dir = conf_dir, .calls = 1, .scripts = 1, .built_in = modules,
				    .supervised = true, .run_attempt = 2, .last_signal = 11, .run_params = lines,
				    .user_dir = "/var/user", .log_file = "/log", .interactive = true };
	struct pb_text t;

	conf_new();
	conf_write("yate.conf", "[general]\nnodebits=3\nnodeid=1\n[application]\nx=1\n[run_params]\ncity=no\nlast=${city}\n");
	if (pb_sim_new(1, &sim))
		abort();
	a.world = pb_sim_world(sim);
	CU_ASSERT_EQUAL_FATAL(pb_engine_new(&a, NULL, &engine), 0);
	pb_text_init(&t, 10000);
	for (unsigned i = 0; i < engine->param_count; i++)
		pb_text_addf(&t, "%.*s ", PB_STR_F(engine->params[i].name));
	PB_SAME(pb_text_str(&t),
		"version release revision nodename runid configname sharedpath configpath usercfgpath cfgsuffix modulepath "
		"modsuffix logfile interactive clientmode supervised runattempt lastsignal childpid superpid minworkers "
		"maxworkers addworkers maxmsgrate maxmsgage maxqueued maxevents nodeid nodebits trackparam workpath "
		"consolesocket application_x city last ");
	PB_SAME(pb_engine_run_param(engine, PB_STR("last")), "Cluj");
	PB_SAME(pb_engine_run_param(engine, PB_STR("lastsignal")), "11");
	PB_SAME(pb_engine_run_param(engine, PB_STR("interactive")), "true");
	pb_text_fini(&t);
	engine_down();
}

static void add_on_loop(void *arg)
{
	int *err = arg;

	err[0] = pb_engine_add_run_param(engine, PB_STR(" later "), PB_STR(" on ${nodename} "));
	err[1] = pb_engine_add_run_param(engine, PB_STR("nodename"), PB_STR("x"));
	err[2] = pb_engine_add_run_param(engine, PB_STR("later"), PB_STR("y"));
}

static void later_params(void)
{
	int err[3];

	conf_new();
	CU_ASSERT_EQUAL_FATAL(engine_up(modules), 0);
	pb_loop_call(at(0), add_on_loop, err);
	CU_ASSERT_EQUAL(err[0], 0);
	CU_ASSERT_EQUAL(err[1], -EEXIST);
	CU_ASSERT_EQUAL(err[2], -EEXIST);
	PB_SAME(pb_engine_run_param(engine, PB_STR("later")), "on node");
	engine_down();
}

/* engine.cfg wins over the main file, and that is told. */
static void engine_cfg_wins(void)
{
	struct pb_findings *f = pb_findings_new();
	struct pb_text t;

	conf_new();
	conf_write("engine.cfg", "node = { name = \"ours\"; };\n"
				 "modules = { other = { load = false; }; mine = { load = true; }; };\n");
	conf_write("yate.conf", "[general]\nnodename=theirs\nmodload=no\n[modules]\nother=yes\n");
	CU_ASSERT_EQUAL(engine_make(modules, f), 0);
	CU_ASSERT_FALSE(pb_engine_loaded(engine, PB_STR("other")));
	CU_ASSERT_TRUE(pb_engine_loaded(engine, PB_STR("mine")));
	pb_text_init(&t, 10000);
	pb_findings_print(f, &t);
	CU_ASSERT_EQUAL(pb_findings_count(f, PB_SEV_WARNING), 2);
	CU_ASSERT(pb_str_find(pb_text_str(&t), PB_STR("yate.conf:2:1: warning: 'nodename' has no effect: node.name of "
						       "engine.cfg counts, line 1 [conf-026]")) > 0);
	CU_ASSERT(pb_str_find(pb_text_str(&t), PB_STR("yate.conf:5:1: warning: 'other' has no effect: modules.other.load of "
						       "engine.cfg counts, line 2 [conf-026]")) > 0);
	pb_text_fini(&t);
	pb_findings_free(&f);
	engine_down();
}

static void libraries(void)
{
	struct pb_findings *f = pb_findings_new();
	struct pb_text t;

	conf_new();
	conf_write("Configuration_use_old", "");
	conf_write("yate.conf", "[general]\nmodpath=/nowhere\nextrapath=extra\ntimejump=3\n"
				"[preload]\n${configpath}/x.so=\n/usr/lib/libyate.yate=yes\n/not/asked.so=no\n");
	CU_ASSERT_EQUAL(engine_make(modules, f), 0);
	pb_text_init(&t, 10000);
	pb_findings_print(f, &t);
	CU_ASSERT_EQUAL(pb_findings_count(f, PB_SEV_WARNING), 5);
	for (unsigned line = 2; line < 8; line++) {
		char at[32];

		snprintf(at, sizeof(at), "yate.conf:%u:", line);
		CU_ASSERT((pb_str_find(pb_text_str(&t), pb_str_z(at)) > 0) == (line != 5));
	}
	CU_ASSERT(pb_str_find(pb_text_str(&t), PB_STR("Configuration_use_old: note: ")) > 0);
	pb_text_fini(&t);
	pb_findings_free(&f);
	engine_down();
}

/* ---- What is in force ------------------------------------------------------------------------ */

static void add_value(void *arg, const struct pb_value *v)
{
	struct pb_text *t = arg;

	pb_text_addf(t, "%.*s.%.*s=%.*s", PB_STR_F(v->section), PB_STR_F(v->name), PB_STR_F(v->value));
	if (v->from == PB_FROM_FILE)
		pb_text_addf(t, "@%u", v->at.line);
	else if (v->from == PB_FROM_COMMAND_LINE)
		pb_text_lit(t, "@command");
	if (v->written.p)
		pb_text_addf(t, "(%.*s)", PB_STR_F(v->written));
	pb_text_addc(t, ' ');
}

static void dumped(const char *which, bool effective, const char *want)
{
	struct pb_text t;
	struct pb_dump_args args = { .which = pb_str_z(which), .effective = effective, .fn = add_value, .arg = &t };

	pb_text_init(&t, 100000);
	CU_ASSERT_EQUAL(pb_engine_dump(engine, &args), want ? 0 : -ENOENT);
	if (want)
		PB_SAME(pb_text_str(&t), want);
	pb_text_fini(&t);
}

static void dumps(void)
{
	struct pb_findings *f = pb_findings_new();

	conf_new();
	conf_write("mine.conf", "[general]\nsize=500\npassword=Gh7\nold=1\nnew=2\n");
	CU_ASSERT_EQUAL(engine_make(modules, f), 0);
	dumped("mine", true, "general.size=100@2(500) general.password=(hidden)@3 ");
	dumped("mine.conf", false, "general.size=500@2 general.password=(hidden)@3 general.old=1@4 general.new=2@5 ");
	dumped("other", true, "general.size=5 general.password= ");
	dumped("other", false, "");
	dumped("nothing", false, NULL);
	pb_findings_free(&f);
	engine_down();
}

static void dump_command(void)
{
	conf_new();
	conf_write("mine.conf", "[general]\npassword=Gh7\n");
	conf_write("yate.conf", "[general]\nnodename=elsewhere\nmaxevents=30\n");
	CU_ASSERT_EQUAL_FATAL(engine_up(modules), 0);
	CU_ASSERT(pb_str_ends(answer("engine.command", "line", "config dump --effective mine"),
			      PB_STR("mine.conf:2:10)\r\n")));
	CU_ASSERT(pb_str_find(answer("engine.command", "line", "config dump --effective mine"), PB_STR("Gh7")) < 0);
	CU_ASSERT(pb_str_find(answer("engine.command", "line", "config dump --effective yate.conf"),
			      PB_STR("yate.conf [general] nodename=node  (command line)\r\n")) > 0);
	PB_SAME(answer("engine.command", "line", "config dump none"), "No module and no file 'none'\r\n");
	PB_SAME(answer("engine.command", "line", "config dump --json other"), "[\r\n]\r\n");
	/* A reload is seen at once; what is for the next start stays as it is. */
	conf_write("yate.conf", "[general]\nmaxevents=40\nrestarts=9\n");
	CU_ASSERT_EQUAL(reload("engine", 0), 0);
	CU_ASSERT(pb_str_find(answer("engine.command", "line", "config dump --effective yate.conf"),
			      PB_STR("yate.conf [general] maxevents=40  (")) > 0);
	CU_ASSERT(pb_str_find(answer("engine.command", "line", "config dump --effective yate.conf"),
			      PB_STR("yate.conf [general] restarts=0  (")) > 0);
	engine_down();
}

/* ---- Keys ------------------------------------------------------------------------------------ */

static void add_key(void *arg, const struct pb_key *k)
{
	const char *slash = strrchr(k->file.p, '/');

	pb_text_addf(arg, "%s:%u:%.*s.%.*s=%c ", slash + 1, k->line, PB_STR_F(k->section), PB_STR_F(k->name),
		     pb_key_states[k->state][0]);
}

static void keys(void)
{
	struct pb_findings *f = pb_findings_new();
	struct pb_text t;

	conf_new();
	conf_write("mine.conf", "[general]\nsize=5\nold=1\nnew=2\n[$include more.conf]\n");
	conf_write("more.conf", "password=x\n");
	conf_write("other.conf", "[general]\nsize=4\n");
	conf_write("accfile.conf", "[general]\nauto_oper=x\n[one]\nusername=1\n");
	conf_write("wpcard.conf", "[any]\nthing=1\n");
	conf_write("stray.conf", "[a]\nb=1\n");
	conf_write("yrtpchan.conf", "[general]\nminport=1\nminprot=1\n");
	conf_write("yate.conf", "[general]\nminworkers=1\nmaxevents=1\n[modules]\nother=no\nwavefile.yate=no\nnone=no\n");
	conf_write("engine.cfg", "log = { level = 7; };\nlogs = 1;\n");
	CU_ASSERT_EQUAL(engine_make(modules, NULL), 0);
	pb_text_init(&t, 10000);
	CU_ASSERT_EQUAL(pb_engine_keys(engine, add_key, &t), 0);
	PB_SAME(pb_text_str(&t),
		"accfile.conf:2:general.auto_oper=a accfile.conf:4:one.username=a mine.conf:2:general.size=s "
		"mine.conf:3:general.old=a mine.conf:4:general.new=u more.conf:1:general.password=s "
		"other.conf:2:general.size=a stray.conf:2:a.b=u wpcard.conf:2:any.thing=a yate.conf:2:general.minworkers=a "
		"yate.conf:3:general.maxevents=s yate.conf:5:modules.other=s yate.conf:6:modules.wavefile.yate=a "
		"yate.conf:7:modules.none=u yrtpchan.conf:2:general.minport=a yrtpchan.conf:3:general.minprot=u "
		"engine.cfg:1:log.level=s engine.cfg:2:.logs=u ");
	CU_ASSERT_EQUAL(pb_engine_check_files(engine, f), 0);
	CU_ASSERT_EQUAL(pb_findings_count(f, PB_SEV_WARNING), 2); /* stray.conf, minprot */
	CU_ASSERT_EQUAL(pb_findings_count(f, PB_SEV_NOTE), 6);	  /* and 4 files that are not read */
	pb_text_fini(&t);
	pb_findings_free(&f);
	engine_down();
}

static void ask_everything(void)
{
	struct pb_findings *f = pb_findings_new();
	struct pb_arena *a = pb_arena_new(10000);
	struct pb_text t;
	struct pb_dump_args args = { .effective = true, .fn = add_value, .arg = &t };
	struct pb_engine_args ea = { .conf_dir = conf_dir, .calls = 1, .scripts = 1, .built_in = modules,
				     .world = pb_sim_world(sim) };
	struct pb_str path;

	pb_text_init(&t, 100000);
	if (!pb_engine_new(&ea, f, &engine)) {
		pb_engine_keys(engine, add_key, &t);
		pb_engine_check_files(engine, f);
		pb_engine_dump(engine, &args);
		if (a)
			pb_engine_merge_conf(engine, PB_STR("mine"), a, &path);
	}
	pb_text_fini(&t);
	pb_arena_free(&a);
	pb_findings_free(&f);
	pb_engine_free(&engine);
}

static void alloc_failures(void)
{
	conf_new();
	conf_write("mine.conf", "[general]\nsize=500\nold=1\nnew=2\n");
	conf_write("accfile.conf", "[general]\nauto_oper=x\n");
	conf_write("yate.conf", "[general]\nminworkers=1\n[application]\nx=1\n[modules]\nnone=yes\n");
	conf_write("engine.cfg", "node = { name = \"x\"; };\nmodules = { other = { load = false; }; };\n");
	if (pb_sim_new(1, &sim))
		abort();
	pb_test_each_alloc(ask_everything);
	engine_down();
}

/* A reload without memory is refused, or done; what is in force stays whole. */
static void reload_once(void)
{
	static int size;

	resize(++size % 100);
	reload("", size % 2 ? 5 : 0);
	if (engine->undo)
		pb_engine_keep_now(engine);
}

static void reload_alloc_failures(void)
{
	conf_new();
	CU_ASSERT_EQUAL_FATAL(engine_up(modules), 0);
	pb_test_each_alloc(reload_once);
	look();
	resize(1);
	CU_ASSERT_EQUAL(reload("", 0), 0);
	CU_ASSERT(pb_str_ends(look(), PB_STR("->1")));
	engine_down();
}

/* A folder with included files written as one. */
static void merged(void)
{
	struct pb_arena *a = pb_arena_new(10000);
	struct pb_str path;
	char command[200];

	conf_new();
	conf_write("mine.conf", "[general]\n[$include more.conf]\nsize=5\n");
	conf_write("more.conf", "password=x\n");
	CU_ASSERT_EQUAL(engine_make(modules, NULL), 0);
	CU_ASSERT_EQUAL(pb_engine_merge_conf(engine, PB_STR("mine"), a, &path), 0);
	snprintf(command, sizeof(command), "printf '[general]\\npassword=x\\nsize=5\\n' | cmp - %s", path.p);
	CU_ASSERT_EQUAL(system(command), 0);
	CU_ASSERT_EQUAL(pb_engine_merge_conf(engine, PB_STR("nothing"), a, &path), -EINVAL);
	CU_ASSERT_TRUE(pb_str_ends(path, PB_STR("/nothing.conf.merged")));
	CU_ASSERT_EQUAL(pb_engine_merge_conf(engine, PB_STR("../mine"), a, &path), -EINVAL);
	pb_arena_free(&a);
	engine_down();
}

PB_TESTS("bus/reload", { "confirmed", confirmed }, { "rolled back", rolled_back }, { "late request", late_request },
	 { "asked for", asked_for }, { "refused", refused }, { "main file", main_file },
	 { "order of parameters", order_of_params }, { "parameters added later", later_params },
	 { "engine.cfg wins", engine_cfg_wins }, { "libraries", libraries },
	 { "dumps", dumps }, { "the command dump", dump_command }, { "keys", keys }, { "merged", merged },
	 { "each allocation fails", alloc_failures }, { "each allocation of a reload fails", reload_alloc_failures })
