/* engine/bus: life on the simulated clock: ticks, jumps of the clock, restarts, patience while stopping. */
#include "../../support/scene_engine.h"

#include "bus/engine_impl.h"

static unsigned patience, busy;

static enum pb_verdict on_stop(struct pb_msg *m, struct pb_ctx *cx)
{
	say("stop?");
	return patience && patience-- ? PB_HANDLED : PB_PASS;
}

static enum pb_verdict on_busy(struct pb_msg *m, struct pb_ctx *cx)
{
	return busy ? PB_HANDLED : PB_PASS;
}

static enum pb_verdict on_word(struct pb_msg *m, struct pb_ctx *cx)
{
	say(pb_msg_name(m).p);
	return PB_PASS;
}

static enum pb_verdict on_command(struct pb_msg *m, struct pb_ctx *cx)
{
	if (!pb_str_eq(pb_msg_get(m, PB_STR("line")), PB_STR("wink")))
		return PB_PASS;
	pb_msg_set_retval(m, PB_STR("winked\r\n"));
	return PB_HANDLED;
}

static const struct pb_handler handlers[] = {
	{ "engine.stop", 100, PB_HERE, on_stop },	 { "engine.busy", 100, PB_HERE, on_busy },
	{ "engine.timer", 100, PB_HERE, on_word },	 { "module.update", 100, PB_HERE, on_word },
	{ "engine.halt", 100, PB_HERE, on_word },	 { "engine.start", 100, PB_HERE, on_word },
	{ "engine.command", 100, PB_HERE, on_command }, { NULL },
};

static const struct pb_module witness = {
	.abi = PB_MODULE_ABI, .name = "witness", .doc = "Sees.", .handlers = handlers,
};
static const struct pb_module *const modules[] = { &witness, NULL };

static void up(const char *main, bool supervised)
{
	struct pb_findings *f = pb_findings_new();

	conf_new();
	if (main)
		conf_write("yate.conf", main);
	engine_make(modules, f);
	pb_findings_free(&f);
	engine->args.supervised = supervised;
	patience = busy = 0;
	CU_ASSERT_EQUAL_FATAL(pb_engine_start(engine), 0);
}

static void jumps(void)
{
	static const struct {
		uint64_t last_ms, now_ms;
		int64_t limit_s;
		enum pbi_jump want;
	} rows[] = {
		{ 0, 5000, 8, PBI_JUMP_NONE }, /* the first look */
		{ 1000, 2000, 0, PBI_JUMP_NONE },
		{ 1000, 100000, 0, PBI_JUMP_NONE },
		{ 1000, 1000, 0, PBI_JUMP_TELL },
		{ 2000, 1000, 0, PBI_JUMP_TELL },
		{ 2000, 1000, 8, PBI_JUMP_RESTART },
		{ 1000, 9000, 8, PBI_JUMP_NONE },
		{ 1000, 9001, 8, PBI_JUMP_RESTART },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t by;

		CU_ASSERT_EQUAL(pbi_clock_jump(rows[i].last_ms * 1000, rows[i].now_ms * 1000, rows[i].limit_s, &by),
				rows[i].want);
		CU_ASSERT_EQUAL(by, (int64_t)rows[i].now_ms - (int64_t)rows[i].last_ms);
	}
}

static void ticks(void)
{
	up(NULL, false);
	PB_SAME(look(), "engine.start");
	pass_ms(3500);
	PB_SAME(look(), "module.update engine.timer engine.timer engine.timer");
	engine_down();
}

static void patient(void)
{
	uint64_t begin;

	up(NULL, false);
	pass_ms(10);
	look();
	patience = 3;
	begin = pb_sim_now_us(sim);
	pb_engine_stop(engine);
	PB_SAME(look(), "stop? engine.timer stop? engine.timer stop? engine.timer stop? engine.halt");
	CU_ASSERT(pb_sim_now_us(sim) - begin >= 3000000);
	engine_down();
	up(NULL, false);
	look();
	patience = 99;
	pb_engine_stop(engine);
	CU_ASSERT_EQUAL(patience, 94);
	engine_down();
}

static bool hurried(void *arg)
{
	return true;
}

static void impatient(void)
{
	uint64_t begin;

	up(NULL, false);
	look();
	engine->args.hurry = hurried;
	patience = 99;
	begin = pb_sim_now_us(sim);
	pb_engine_stop(engine);
	CU_ASSERT(pb_sim_now_us(sim) - begin < 200000);
	engine_down();
}

static void closes(void)
{
	up(NULL, false);
	CU_ASSERT_EQUAL(pb_engine_accept(engine), PB_ACCEPT);
	pb_engine_stop(engine);
	CU_ASSERT_EQUAL(pb_engine_accept(engine), PB_ACCEPT_REJECT);
	engine_down();
}

/* Asked of the control thread each 10 s from then on. */
static void restarts(void)
{
	up("[general]\nrestarts=5\n", true);
	pass_ms(4500);
	CU_ASSERT_EQUAL(pb_engine_next_request(engine).request, PB_REQUEST_NONE);
	pass_ms(2000);
	CU_ASSERT_EQUAL(pb_engine_next_request(engine).request, PB_REQUEST_RESTART);
	busy = true;
	CU_ASSERT_FALSE(pb_engine_is_idle(engine));
	busy = false;
	CU_ASSERT_TRUE(pb_engine_is_idle(engine));
	CU_ASSERT_EQUAL(pb_engine_next_request(engine).request, PB_REQUEST_NONE);
	pass_ms(10000);
	CU_ASSERT_EQUAL(pb_engine_next_request(engine).request, PB_REQUEST_RESTART);
	engine_down();
	up("[general]\nrestarts=5\n", false);
	pass_ms(20000);
	CU_ASSERT_EQUAL(pb_engine_next_request(engine).request, PB_REQUEST_NONE);
	engine_down();
}

static void hear(void *arg, int level, struct pb_str line)
{
	char word[200];

	snprintf(word, sizeof(word), "%d:%.*s", level, PB_STR_F(line));
	say(word);
}

static void commands(void)
{
	struct pb_log_tap tap = { .fn = hear };

	up(NULL, false);
	pass_ms(10);
	look();
	pb_log_set_stamp('n');
	pb_log_tap_add(&tap);
	pb_engine_command(engine, PB_STR("wink"));
	pb_engine_command(engine, PB_STR("blink"));
	pb_log_tap_remove(&tap);
	PB_SAME(look(), "-1:winked\r 5:<engine:WARN> Unrecognized command 'blink' [engine-026]");
	engine_down();
}

PB_TESTS("bus/life", { "jumps of the clock", jumps }, { "a tick a second", ticks },
	 { "asks who needs time", patient }, { "in a hurry", impatient }, { "no new calls while stopping", closes },
	 { "restarts when idle", restarts }, { "commands of the command line", commands })
