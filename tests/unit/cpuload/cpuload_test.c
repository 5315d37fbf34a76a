/* modules/cpuload in an engine, in simulated time; what /proc says is in files. */
#include "../../support/scene_engine.h"

#include <sys/stat.h>

extern const struct pb_module pb_module_descriptor;

static const struct pb_module *const modules[] = { &pb_module_descriptor, NULL };
static struct pb_reg *reg;

/* `busy` of `all` ticks since boot. */
static void proc(unsigned busy, unsigned all)
{
	char text[256];

	snprintf(text, sizeof(text), "cpu %u 0 0 %u\ncpu0 1 1 1 1\n", busy, all - busy);
	conf_write("stat", text);
	conf_write("self/stat", "1 (x) S 1 2 3 4 5 6 7 8 9 10 5 5 0 0\n");
}

/* A notice, as words. */
static void heard(const struct pb_msg *m, bool handled, struct pb_ctx *cx)
{
	char text[256], name[16];
	size_t n = 0;

	(void)handled;
	(void)cx;
	for (unsigned i = 0; i < 6; i++) {
		struct pb_str v;

		snprintf(name, sizeof(name), "value.%u", i);
		v = pb_msg_get(m, pb_str_z(name));
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%.*s", i ? "/" : "", PB_STR_F(v));
	}
	PB_SAME(pb_msg_get(m, PB_STR("notify.4")), "cpu_load");
	PB_SAME(pb_msg_get(m, PB_STR("count")), "6");
	say(text);
}

static void up(const char *conf)
{
	static const struct pb_hook_args hook = { .message = PB_STR_INIT("monitor.notify"), .fn = heard };
	char text[1024], path[128];

	conf_new();
	snprintf(path, sizeof(path), "%s/self", conf_dir);
	CU_ASSERT_EQUAL_FATAL(mkdir(path, 0700), 0);
	snprintf(text, sizeof(text), "[general]\nsmooth=50\nproc=%s\n%s", conf_dir, conf);
	conf_write("cpuload.conf", text);
	proc(0, 1000);
	CU_ASSERT_EQUAL_FATAL(engine_up(modules), 0);
	CU_ASSERT_EQUAL_FATAL(pb_bus_hook_add(pb_engine_bus(engine), &hook, &reg), 0);
}

static void down(void)
{
	pb_bus_remove(pb_engine_bus(engine), &reg, NULL, NULL);
	engine_down();
}

static void values(void)
{
	up("");
	PB_SAME(answer("monitor.query", "name", "nonsense"), "-");
	proc(300, 2000);
	pass_ms(1500);
	struct pb_msg *m = pb_msg_new(PB_STR("monitor.query"));

	pb_msg_set(m, PB_STR("name"), PB_STR("systemLoad"));
	struct asking a = ask_on(0, m);

	CU_ASSERT_TRUE(a.handled);
	PB_SAME(pb_msg_get(a.m, PB_STR("value")), "30");
	pb_msg_free(&a.m);
	down();
}

static void notices(void)
{
	up("[systemLoad]\nme=low,50,5;high,80,5;full\n");
	proc(900, 2000);
	pass_ms(1500);
	PB_SAME(look(), "systemLoad/me/low/full/90/1");
	/* Within the interval it is not told again; then only the end is. */
	proc(900, 3000);
	pass_ms(1000); /* 45: high */
	proc(1900, 4000);
	pass_ms(1000); /* 72.5: still high */
	PB_SAME(look(), "");
	proc(2700, 5000);
	pass_ms(3000);
	PB_SAME(look(), "systemLoad/me/full/high/76/1");
	down();
}

static void asked_for(void)
{
	struct pb_msg *m;
	struct asking a;

	up("");
	m = pb_msg_new(PB_STR("chan.control"));
	pb_msg_set(m, PB_STR("targetid"), PB_STR("cpuload"));
	pb_msg_set(m, PB_STR("component"), PB_STR("cpuload"));
	pb_msg_set(m, PB_STR("operation"), PB_STR("systemLoad"));
	pb_msg_set(m, PB_STR("cpu.engine"), PB_STR("accept,50,4;reject"));
	a = ask_on(2, m);
	CU_ASSERT_TRUE(a.handled);
	PB_SAME(pb_msg_get(a.m, PB_STR("operation-status")), "true");
	pb_msg_set(a.m, PB_STR("cpu.engine"), PB_STR("nonsense"));
	a = ask_on(2, a.m);
	PB_SAME(pb_msg_get(a.m, PB_STR("operation-status")), "false");
	pb_msg_free(&a.m);
	proc(900, 2000);
	pass_ms(1500);
	PB_SAME(look(), "systemLoad/engine/accept/reject/90/1");
	CU_ASSERT_EQUAL(pb_engine_reload_now(engine, PB_STR("cpuload"), NULL), 0);
	proc(900, 3000);
	pass_ms(6000);
	PB_SAME(look(), "systemLoad/engine/reject/accept/45/1");
	down();
}

/* Without /proc nothing changes, and it is said once. */
static void unreadable(void)
{
	char path[128];

	up("[systemLoad]\nme=low,50,2;full\n");
	proc(900, 2000);
	pass_ms(1500);
	look();
	snprintf(path, sizeof(path), "%s/stat", conf_dir);
	unlink(path);
	pass_ms(10000);
	PB_SAME(look(), "");
	proc(900, 9000);
	pass_ms(2000);
	PB_SAME(look(), "systemLoad/me/full/low/45/1");
	down();
}

PB_TESTS("cpuload", { "values", values }, { "notices", notices }, { "asked_for", asked_for }, { "unreadable", unreadable })
