/* modules/ccongestion in an engine; the test speaks for cpuload. */
#include "../../support/scene_engine.h"

extern const struct pb_module pb_module_descriptor;

static const struct pb_module *const modules[] = { &pb_module_descriptor, NULL };
static struct pb_reg *reg;
static bool answers;

static enum pb_verdict on_control(struct pb_msg *m, struct pb_ctx *cx)
{
	char text[256];

	(void)cx;
	if (!answers)
		return PB_PASS;
	snprintf(text, sizeof(text), "%.*s=%.*s", PB_STR_F(pb_msg_get(m, PB_STR("operation"))),
		 PB_STR_F(pb_msg_get(m, PB_STR("cpu.engine"))));
	say(text);
	pb_msg_set(m, PB_STR("operation-status"), PB_STR("true"));
	return PB_HANDLED;
}

static void up(const char *conf)
{
	static const struct pb_handler_args args = { .message = PB_STR_INIT("chan.control"), .priority = 100,
						     .fn = on_control };
	struct pb_findings *f = pb_findings_new();

	conf_new();
	conf_write("ccongestion.conf", conf);
	CU_ASSERT_EQUAL_FATAL(engine_make(modules, f), 0);
	CU_ASSERT_EQUAL_FATAL(pb_bus_add(pb_engine_bus(engine), &args, NULL, NULL, &reg), 0);
	CU_ASSERT_EQUAL_FATAL(pb_engine_start(engine), 0);
	pb_findings_free(&f);
}

static void down(void)
{
	pb_bus_remove(pb_engine_bus(engine), &reg, NULL, NULL);
	engine_down();
}

static void notify(const char *monitor, const char *target, const char *level)
{
	static const char *const names[] = { "monitor", "target", "old", "new" };
	const char *values[] = { monitor, target, "accept", level };
	struct pb_msg *m = pb_msg_new(PB_STR("monitor.notify"));
	struct asking a;

	for (unsigned i = 0; i < 4; i++) {
		pb_msg_add(m, pb_arena_printf(pb_msg_arena(m), "notify.%u", i), pb_str_z(names[i]));
		pb_msg_add(m, pb_arena_printf(pb_msg_arena(m), "value.%u", i), pb_str_z(values[i]));
	}
	a = ask_on(1, m);
	pb_msg_free(&a.m);
}

static void worst_of_all(void)
{
	answers = true;
	up("[cpu]\nsystemLoad=accept,50,4;reject\nuserLoad=accept,60,4;congestion\n");
	PB_SAME(look(), "systemLoad=accept,50,4;reject userLoad=accept,60,4;congestion");
	CU_ASSERT_EQUAL(pb_engine_accept(engine), PB_ACCEPT);
	notify("userLoad", "engine", "congestion");
	CU_ASSERT_EQUAL(pb_engine_accept(engine), PB_ACCEPT_CONGESTION);
	notify("systemLoad", "engine", "reject");
	CU_ASSERT_EQUAL(pb_engine_accept(engine), PB_ACCEPT_REJECT);
	notify("systemLoad", "engine", "accept");
	CU_ASSERT_EQUAL(pb_engine_accept(engine), PB_ACCEPT_CONGESTION);
	notify("userLoad", "somebody", "accept");
	notify("userLoad", "engine", "nonsense");
	CU_ASSERT_EQUAL(pb_engine_accept(engine), PB_ACCEPT_CONGESTION);
	notify("userLoad", "engine", "partial");
	CU_ASSERT_EQUAL(pb_engine_accept(engine), PB_ACCEPT_PARTIAL);
	down();
}

static void asks_again(void)
{
	answers = false;
	up("[cpu]\ntotalLoad=accept,50,4;reject\n");
	PB_SAME(look(), "");
	answers = true;
	pass_ms(5000);
	PB_SAME(look(), "totalLoad=accept,50,4;reject");
	pass_ms(20000);
	PB_SAME(look(), "");
	down();
}

static void reloaded(void)
{
	answers = true;
	up("[cpu]\ntotalLoad=accept,50,4;reject\n");
	look();
	notify("totalLoad", "engine", "reject");
	CU_ASSERT_EQUAL(pb_engine_reload_now(engine, PB_STR_NULL, NULL), 0);
	PB_SAME(look(), "");
	CU_ASSERT_EQUAL(pb_engine_accept(engine), PB_ACCEPT_REJECT);
	conf_write("ccongestion.conf", "[cpu]\ntotalLoad=accept,90,4;reject\n");
	CU_ASSERT_EQUAL(pb_engine_reload_now(engine, PB_STR_NULL, NULL), 0);
	PB_SAME(look(), "totalLoad=accept,90,4;reject");
	CU_ASSERT_EQUAL(pb_engine_accept(engine), PB_ACCEPT);
	down();
}

PB_TESTS("ccongestion", { "worst_of_all", worst_of_all }, { "asks_again", asks_again }, { "reloaded", reloaded })
