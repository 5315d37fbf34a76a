/* engine/bus: the engine's life, modules, status, commands, reload. */
#include "../../support/scene_engine.h"

#include <errno.h>

/* ---- Module "first": says everything that happens to it ------------------------- */

struct settings {
	int64_t size;
};

struct state {
	unsigned held, loop;
};

static const void *kept;
static struct pb_token token;
static int start_error, loop_error_on = -1;

static void say_on(const char *word, const struct pb_ctx *cx)
{
	char text[64];

	snprintf(text, sizeof(text), "%s%u", word, pb_loop_index(cx->loop));
	CU_ASSERT(pb_loop_is_mine(cx->loop));
	say(text);
}

static int first_start(struct pb_ctx *cx)
{
	say_on("start", cx);
	return start_error;
}

static int first_loop_start(struct pb_ctx *cx)
{
	struct state *s = cx->state;

	say_on("loop", cx);
	s->loop = pb_loop_index(cx->loop);
	return (int)s->loop == loop_error_on ? -EADDRINUSE : 0;
}

static void first_loop_stop(struct pb_ctx *cx)
{
	say_on("unloop", cx);
}

static void first_stop(struct pb_ctx *cx)
{
	say_on("stop", cx);
}

static void first_loop_reload(struct pb_ctx *cx, const void *old)
{
	const struct settings *is = cx->settings, *was = old;
	char text[64];

	snprintf(text, sizeof(text), "%u:%d->%d", pb_loop_index(cx->loop), (int)was->size, (int)is->size);
	say(text);
}

static enum pb_reload first_reload(struct pb_ctx *cx, const void *old)
{
	(void)old;
	say_on("reload", cx);
	return PB_RELOAD_OK;
}

static enum pb_verdict on_life(struct pb_msg *m, struct pb_ctx *cx)
{
	(void)cx;
	say(pb_msg_name(m).p);
	return PB_PASS;
}

static enum pb_verdict on_hold(struct pb_msg *m, struct pb_ctx *cx)
{
	kept = pb_settings_ref(cx);
	token = pb_bus_hold(m, NULL);
	return PB_HOLD;
}

static enum pb_verdict on_each(struct pb_msg *m, struct pb_ctx *cx)
{
	const struct state *s = cx->state;

	CU_ASSERT_EQUAL(s->loop, pb_loop_index(cx->loop));
	pb_msg_set_retval(m, PB_STR("x"));
	return PB_HANDLED;
}

static void first_status(struct pb_ctx *cx, struct pb_status *s)
{
	struct state *st = cx->state;
	struct pb_str sel = pb_status_selector(s);

	if (pb_str_eq(sel, PB_STR("first/1")) && pb_loop_index(cx->loop) == 1) {
		pb_status_line(s, PB_STR("name=first/1,type=thing"));
		return;
	}
	if (sel.n)
		return;
	pb_status_head(s, "head", PB_STR("h"));
	pb_status_count(s, "loops", 1);
	pb_status_count(s, "sum", (int64_t)st->loop * 10);
	pb_status_item(s, PB_STR("item"), "%u|x", st->loop);
}

static enum pb_verdict on_do(struct pb_msg *m, struct pb_ctx *cx)
{
	(void)cx;
	pb_msg_set_retval(m, PB_STR("done\r\n"));
	return PB_HANDLED;
}

static enum pb_verdict on_do_each(struct pb_msg *m, struct pb_ctx *cx)
{
	char text[8];

	pb_msg_set_retval(m, pb_str(text, (size_t)snprintf(text, sizeof(text), "%u\r\n", pb_loop_index(cx->loop))));
	return PB_HANDLED;
}

static const struct pb_opt first_options[] = {
	{ PB_OPT_INT, "size", offsetof(struct settings, size), .def = 5, .lo = 0, .hi = 100, .doc = "A size." },
	{ PB_OPT_END },
};

static const struct pb_handler first_handlers[] = {
	{ "engine.init", 100, PB_HERE, on_life },
	{ "engine.start", 100, PB_HERE, on_life },
	{ "engine.stop", 100, PB_HERE, on_life },
	{ "engine.halt", 100, PB_HERE, on_life },
	{ "test.hold", 100, PB_HOME, on_hold },
	{ "test.each", 100, PB_EACH, on_each },
	{ NULL },
};

static const struct pb_command first_commands[] = {
	{ "do", "do [it]", "Do it.", PB_HERE, on_do },
	{ "do each", "do each", "Do it everywhere.", PB_EACH, on_do_each },
	{ "undo", "undo", "Undo it.", PB_HOME, on_do },
	{ NULL },
};

static const struct pb_module first = {
	.abi = PB_MODULE_ABI,
	.name = "first",
	.aliases = "yfirst, oldfirst",
	.conf = "first",
	.status_type = "things",
	.status_format = "Loop|X",
	.settings_size = sizeof(struct settings),
	.loop_state_size = sizeof(struct state),
	.options = first_options,
	.handlers = first_handlers,
	.commands = first_commands,
	.start = first_start,
	.loop_start = first_loop_start,
	.loop_reload = first_loop_reload,
	.reload = first_reload,
	.loop_stop = first_loop_stop,
	.stop = first_stop,
	.status = first_status,
};

/* ---- Module "second": at home on the script loop, refuses what "refuse" says -------- */

struct second_settings {
	bool refuse;
};

static int second_read(const struct pb_conf *c, void *settings, struct pb_arena *a, struct pb_findings *f)
{
	struct second_settings *s = settings;

	(void)c;
	(void)a;
	(void)f;
	return s->refuse ? -EINVAL : 0;
}

static int second_start(struct pb_ctx *cx)
{
	say_on("second", cx);
	return 0;
}

static void second_stop(struct pb_ctx *cx)
{
	say_on("unsecond", cx);
}

static const struct pb_opt second_options[] = {
	{ PB_OPT_BOOL, "refuse", offsetof(struct second_settings, refuse), .doc = "Refuse." },
	{ PB_OPT_END },
};

static const struct pb_module second = {
	.abi = PB_MODULE_ABI,
	.name = "second",
	.conf = "second",
	.settings_size = sizeof(struct second_settings),
	.options = second_options,
	.home_script = true,
	.read = second_read,
	.start = second_start,
	.stop = second_stop,
};

static const struct pb_module *const both[] = { &first, &second, NULL };

/* ---- Ports open when every loop knows every handler --------------------------------- */

static void late_done(struct pb_msg *m, bool handled, void *arg)
{
	(void)arg;
	say(handled ? "taken" : "lost");
	pb_msg_free(&m);
}

/* As a packet would on the loop's first turn with an open port. */
static int opener_open(struct pb_ctx *cx)
{
	struct pb_msg *m = pb_msg_new(PB_STR("late.one"));

	if (pb_loop_index(cx->loop) < pb_loops_calls(pb_loop_set(cx->loop)))
		pb_bus_dispatch(cx->bus, m, NULL, late_done, NULL);
	else
		pb_msg_free(&m);
	return 0;
}

static enum pb_verdict on_late(struct pb_msg *m, struct pb_ctx *cx)
{
	(void)m;
	(void)cx;
	return PB_HANDLED;
}

static const struct pb_handler taker_handlers[] = {
	{ .message = "late.one", .priority = 100, .place = PB_HERE, .fn = on_late },
	{ NULL },
};

static const struct pb_module opener = {
	.abi = PB_MODULE_ABI, .name = "opener", .loop_open = opener_open
};
static const struct pb_module taker = {
	.abi = PB_MODULE_ABI, .name = "taker", .handlers = taker_handlers
};
static const struct pb_module *const opening[] = { &opener, &taker, NULL };

static void begin(void)
{
	start_error = 0;
	loop_error_on = -1;
	kept = NULL;
	conf_new();
}

#define STARTED "start0 loop0 loop1 loop2 loop3 second3 engine.init engine.start"

static void life(void)
{
	begin();
	CU_ASSERT_EQUAL(engine_up(both), 0);
	PB_SAME(look(), STARTED);
	CU_ASSERT(pb_engine_loaded(engine, PB_STR("first")) && pb_engine_loaded(engine, PB_STR("oldfirst.yate")));
	CU_ASSERT(!pb_engine_loaded(engine, PB_STR("third")));
	PB_SAME(pb_engine_run_param(engine, PB_STR("nodename")), "node");
	pb_engine_stop(engine);
	PB_SAME(look(), "engine.stop engine.halt unsecond3 unloop0 unloop1 unloop2 unloop3 stop0");
	engine_down();
}

/* One that does not start is left out, unless it is required. */
static void fails_to_start(void)
{
	begin();
	start_error = -EPERM;
	CU_ASSERT_EQUAL(engine_up(both), 0);
	PB_SAME(look(), "start0 second3");
	PB_SAME(answer("test.each", NULL, NULL), "-");
	PB_SAME(answer("engine.command", "line", "module list"), "second\r\n");
	engine_down();

	begin();
	loop_error_on = 2; /* half started: stopped again */
	CU_ASSERT_EQUAL(engine_up(both), 0);
	PB_SAME(look(), "start0 loop0 loop1 loop2 unloop0 unloop1 unloop2 unloop3 stop0 second3");
	engine_down();

	begin();
	loop_error_on = 0;
	conf_write("engine.cfg", "modules: { first: { required = true; }; };\n");
	CU_ASSERT_EQUAL(engine_up(both), -EADDRINUSE);
	engine_down();
}

static void chosen(void)
{
	begin();
	conf_write("yate.conf", "[modules]\noldfirst.yate=no\nsecond=\n");
	CU_ASSERT_EQUAL(engine_up(both), 0);
	PB_SAME(look(), "second3");
	engine_down();

	begin();
	conf_write("second.conf", "[general]\nrefuse=yes\n");
	CU_ASSERT_EQUAL(engine_up(both), -EINVAL);
	CU_ASSERT_PTR_NULL(engine);
	PB_SAME(look(), "");
	engine_down();
}

/* Made and never started, as for a check of the files. */
static void only_made(void)
{
	struct pb_findings *f = pb_findings_new();

	begin();
	conf_write("first.conf", "[general]\nsizes=1\n");
	CU_ASSERT_EQUAL(engine_make(both, f), 0);
	CU_ASSERT_EQUAL(pb_findings_count(f, PB_SEV_WARNING), 1);
	pb_findings_free(&f);
	engine_down();
	PB_SAME(look(), "");
}

/* ---- Status and commands ------------------------------------------------------------ */

static void status(void)
{
	begin();
	engine_up(both);
	PB_SAME(answer("engine.status", "module", "first"),
		"name=first,type=things,format=Loop|X,head=h;loops=3,sum=30;item=0|x,item=1|x,item=2|x\r\n");
	PB_SAME(answer("engine.status", "module", "things"),
		"-name=first,type=things,format=Loop|X,head=h;loops=3,sum=30;item=0|x,item=1|x,item=2|x\r\n");
	PB_SAME(answer("engine.status", "module", "first/1"), "name=first/1,type=thing\r\n");
	PB_SAME(answer("engine.status", "module", "first/2"), "-");
	PB_SAME(answer("engine.status", "module", "firsts"), "-");
	PB_SAME(answer("engine.status", "module", "first "), "-");
	PB_SAME(pb_str_head(answer("engine.status", NULL, NULL), 25), "-name=engine,type=system,");
	CU_ASSERT(pb_str_find(answer("engine.status", "details", "no"),
			      PB_STR("name=first,type=things,format=Loop|X,head=h;loops=3,sum=30\r\n")) > 0);
	engine_down();
}

static struct pb_str complete(const char *word, const char *line)
{
	static char text[512];
	struct pb_msg *m = pb_msg_new(PB_STR("engine.command"));
	struct asking a;

	pb_msg_set(m, PB_STR("partword"), pb_str_z(word));
	pb_msg_set(m, PB_STR("complete"), PB_STR("command"));
	if (*line)
		pb_msg_set(m, PB_STR("partline"), pb_str_z(line));
	a = ask_on(0, m);
	CU_ASSERT(!a.handled);
	snprintf(text, sizeof(text), "%.*s", PB_STR_F(pb_msg_retval(a.m)));
	pb_msg_free(&a.m);
	return pb_str_z(text);
}

static void commands(void)
{
	begin();
	engine_up(both);
	PB_SAME(answer("engine.command", "line", "do it"), "done\r\n");
	PB_SAME(answer("engine.command", "line", "  do"), "done\r\n");
	PB_SAME(answer("engine.command", "line", "done"), "-");
	PB_SAME(answer("engine.command", "line", "undo"), "done\r\n");
	PB_SAME(answer("engine.command", "line", "nonsense"), "-");
	PB_SAME(answer("engine.command", "line", "do  each"), "0\r\n1\r\n2\r\n");
	PB_SAME(answer("engine.help", "line", "undo"), "  undo\r\nUndo it.\r\n");
	PB_SAME(answer("engine.help", "line", "do"), "  do [it]\r\nDo it.\r\n  do each\r\nDo it everywhere.\r\n");
	PB_SAME(answer("engine.help", "line", "nonsense"), "-");
	CU_ASSERT(pb_str_find(answer("engine.help", NULL, NULL), PB_STR("  do [it]\r\n  do each\r\n  undo\r\n")) > 0);
	PB_SAME(complete("u", ""), "undo");
	PB_SAME(complete("do", ""), "do");
	PB_SAME(complete("di", "status"), "dispatcher");
	PB_SAME(complete("", "do"), "it\teach");
	PB_SAME(complete("u", "module"), "unload");
	PB_SAME(complete("", "events"), "clear");
	PB_SAME(complete("fi", "debug"), "first");
	engine_down();
}

/* ---- Reload ---------------------------------------------------------------------------- */

static int reload(const char *name)
{
	struct pb_findings *f = pb_findings_new();
	int err = pb_engine_reload_now(engine, pb_str_z(name), f);

	pb_findings_free(&f);
	return err;
}

static void reloads(void)
{
	begin();
	conf_write("first.conf", "[general]\nsize=7\n");
	engine_up(both);
	look();
	conf_write("first.conf", "[general]\nsize=8\n");
	CU_ASSERT_EQUAL(reload("*"), 0);
	PB_SAME(look(), "0:7->8 1:7->8 2:7->8 3:7->8 reload0 engine.init");
	conf_write("first.conf", "[general]\nsize=9\n");
	CU_ASSERT_EQUAL(reload("second"), 0);
	PB_SAME(look(), "engine.init");
	CU_ASSERT_EQUAL(reload("third"), -ENOENT);
	look();
	/* one refuses: none swaps */
	conf_write("second.conf", "[general]\nrefuse=yes\n");
	CU_ASSERT_EQUAL(reload(""), -EINVAL);
	PB_SAME(look(), "");
	CU_ASSERT_EQUAL(reload("first"), 0);
	PB_SAME(look(), "0:8->9 1:8->9 2:8->9 3:8->9 reload0 engine.init");
	engine_down();
}

static void put_back(void *arg)
{
	(void)arg;
	pb_settings_unref(NULL, kept);
}

/* What a held message looks at outlives any number of reloads. */
static void held_across(void)
{
	struct asking a = { .m = pb_msg_new(PB_STR("test.hold")) };

	begin();
	conf_write("first.conf", "[general]\nsize=7\n");
	engine_up(both);
	pb_loop_call(at(2), asking_now, &a);
	pass_ms(5);
	for (unsigned i = 0; i < 3; i++) {
		conf_write("first.conf", "[general]\nsize=8\n");
		CU_ASSERT_EQUAL(reload(""), 0);
	}
	CU_ASSERT_EQUAL(((const struct settings *)kept)->size, 7);
	pb_loop_call(at(0), put_back, NULL);
	pb_bus_resume(pb_engine_bus(engine), token, NULL, PB_HANDLED);
	pass_ms(5);
	CU_ASSERT(a.done && a.handled);
	pb_msg_free(&a.m);
	engine_down();
}

static void requests(void)
{
	struct pb_control c;

	begin();
	engine_up(both);
	CU_ASSERT_EQUAL(pb_engine_next_request(engine).request, PB_REQUEST_NONE);
	pb_engine_reload(engine, PB_STR("first"));
	pb_engine_halt(engine, 3);
	c = pb_engine_next_request(engine);
	CU_ASSERT_EQUAL(c.request, PB_REQUEST_RELOAD);
	CU_ASSERT_STRING_EQUAL(c.module, "first");
	c = pb_engine_next_request(engine);
	CU_ASSERT(c.request == PB_REQUEST_HALT && c.code == 3);
	CU_ASSERT_EQUAL(pb_engine_next_request(engine).request, PB_REQUEST_NONE);
	engine_down();
}

static void opens_last(void)
{
	begin();
	CU_ASSERT_EQUAL(engine_up(opening), 0);
	PB_SAME(look(), "taken taken taken");
	engine_down();
}

PB_TESTS("bus/engine", { "ports open last", opens_last }, { "started, initialised, stopped", life }, { "modules that do not start", fails_to_start },
	 { "modules chosen by the main file", chosen }, { "made and not started", only_made },
	 { "status: added up over the loops, selected", status }, { "commands, help, completion", commands },
	 { "reload: all or none", reloads }, { "settings kept across a hold", held_across },
	 { "requests to the control thread", requests })
