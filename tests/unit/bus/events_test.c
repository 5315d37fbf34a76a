/* engine/bus/events.c, and other commands of the built-in module, in a running engine. */
#include "../stage.h"

static struct pb_token held[4];
static unsigned held_count;

static enum pb_verdict hold(struct pb_msg *m, struct pb_ctx *cx)
{
	(void)cx;
	held[held_count++] = pb_bus_hold(m, &(struct pb_hold){ .limit_ms = 5000 });
	return PB_HOLD;
}

static const struct pb_handler handlers[] = {
	{ .message = "test.hold", .priority = 50, .place = PB_HERE, .fn = hold },
	{ NULL },
};

const struct pb_module pb_module_descriptor = {
	.abi = PB_MODULE_ABI,
	.name = "holder",
	.doc = "Holds what it hears.",
	.handlers = handlers,
};

static void has(struct pb_str text, const char *part)
{
	if (pb_str_find(text, pb_str_z(part)) < 0) {
		printf("'%s' is not in '%.*s'\n", part, PB_STR_F(text));
		CU_FAIL("a part is missing");
	}
}

static void begin(const char *main_file)
{
	stage_open();
	stage_file("yate", main_file);
	stage_start();
}

static void kept_by_type(void)
{
	begin("[general]\nmaxevents=2\n");
	PB_SAME(stage_ask(0, "engine.command line=events_sip"), "true 'Events: 0\r\n' engine.command line=events sip cmd_header=1");
	has(stage_ask(0, "module.update from=sip text=one"), "nodename=node fulltext=<sip> one");
	stage_ask(1, "module.update from=sip text=x fulltext=two");
	has(stage_ask(1, "module.update from=sip text=three operational=no"), "false ''");
	stage_ask(0, "module.update from=other text=four level=9");
	stage_ask(0, "module.update text=nobody's");
	stage_ask(0, "module.update from=silent");
	has(stage_ask(0, "engine.command line=events_sip"), "'Events: 2\r\ntwo\r\n<sip> three\r\n'");
	has(stage_ask(1, "engine.command line=events_sip_--json"),
	    "'{\"type\":\"sip\",\"events\":[{\"level\":\"NOTE\",\"text\":\"two\"},"
	    "{\"level\":\"WARN\",\"text\":\"<sip> three\"}]}\r\n'");
	has(stage_ask(0, "engine.command line=events_other_--json"), "\"level\":\"INFO\"");
	has(stage_ask(0, "engine.command line=events_silent"), "Events: 0");
	has(stage_ask(0, "engine.command line=events_clear_sip"), "true ''");
	has(stage_ask(0, "engine.command line=events_sip"), "Events: 0");
	stage_close();
}

static void log_of_the_start(void)
{
	begin("[general]\n");
	has(stage_ask(0, "engine.command line=logview"), "starting up on node");
	has(stage_ask(0, "engine.command line=events_log"), "starting up on node");
	has(stage_ask(0, "engine.command line=events_clear"), "true ''");
	has(stage_ask(0, "engine.command line=events"), "Events: 0");
	stage_close();
	begin("[general]\nstartevents=no\n");
	has(stage_ask(0, "engine.command line=logview"), "Events: 0");
	stage_close();
}

/* A flood of senders and texts is bounded. */
static void bounded(void)
{
	char text[100];

	begin("[general]\nmaxevents=1\n");
	for (int i = 0; i < 70; i++) {
		snprintf(text, sizeof(text), "module.update from=t%d text=x", i);
		stage_ask(0, text);
	}
	has(stage_ask(0, "engine.command line=events_t63"), "Events: 1");
	has(stage_ask(0, "engine.command line=events_t64"), "Events: 0");
	stage_close();
}

static void alarm_is_event(void)
{
	static const struct pb_log_row row = { "test-001", PB_WARN, "A test." };
	static struct pb_log_source src = { .name = "test", .level = -1, .rows = &row };

	begin("[general]\n");
	pb_engine_alarm(stage, &src, &row, "sip", "performance", "too %s", "slow");
	stage_settle();
	has(stage_ask(0, "engine.command line=events_sip_--json"), "{\"level\":\"WARN\",\"text\":\"<sip> too slow\"}");
	stage_close();
}

static void dispatch_held(void *arg)
{
	struct pb_msg *m = pb_msg_new(PB_STR("test.hold"));

	pb_msg_set(m, PB_STR("id"), PB_STR("sip/7"));
	pb_bus_dispatch(arg, m, NULL, NULL, NULL);
}

static void who_waits(void)
{
	begin("[general]\n");
	held_count = 0;
	pb_loop_call(pb_loops_at(pb_engine_loops(stage), 1), dispatch_held, pb_engine_bus(stage));
	has(stage_ask(0, "engine.command line=who-waits"), "\r\ntest.hold                sip/7            holder:50");
	has(stage_ask(1, "engine.command line=who-waits_--json"),
	    "'[{\"message\":\"test.hold\",\"id\":\"sip/7\",\"holder\":\"holder:50\",\"age_ms\":");
	has(stage_ask(0, "engine.command line=parked"), "test.hold held by holder:50 for ");
	pb_bus_resume(pb_engine_bus(stage), held[0], NULL, PB_PASS);
	stage_settle();
	has(stage_ask(0, "engine.command line=parked_--json"), "'[]\r\n'");
	stage_close();
}

static void pages(void)
{
	begin("[general]\n");
	for (int i = 0; i < 12; i++) {
		char text[100];

		snprintf(text, sizeof(text), "module.update from=p fulltext=e%d", i);
		stage_ask(0, text);
	}
	has(stage_ask(0, "engine.command line=events_p cmd_height=8"),
	    "'Events: 12\r\ne0\r\ne1\r\ne2\r\ne3\r\ne4\r\n-- 1 to 5 of 12; PgUp, PgDn, Home, End --\r\n'");
	has(stage_ask(0, "engine.command line=events_p cmd_height=8 cmd_offset=5"), "cmd_finish=10");
	has(stage_ask(0, "engine.command line=events_p cmd_height=8 cmd_offset=2000"), "-- 8 to 12 of 12;");
	has(stage_ask(0, "engine.command line=events_p cmd_height=40 cmd_offset=5"), "'Events: 12\r\ne0\r\n");
	stage_close();
}

static void handlers_and_objects(void)
{
	begin("[general]\n");
	has(stage_ask(0, "engine.command line=dispatcher_handlers_name=test.hold"),
	    "'test.hold priority=50 trackname='holder'\r\n'");
	has(stage_ask(0, "engine.command line=dispatcher_handlers_trackname=^hol"), "'test.hold priority=50");
	has(stage_ask(0, "engine.command line=dispatcher_handlers_name=none"), "'Empty list\r\n'");
	has(stage_ask(0, "engine.command line=dispatcher_handlers_name=^[_"), "'Empty list\r\n'");
	has(stage_ask(0, "engine.status module=dispatcher_handlers-trackname_holder"),
	    ",count=1;test.hold=50|holder|no\r\n'");
	has(stage_ask(0, "engine.status module=objects_modules"), "true 'name=objects,type=system;enabled=true;modules=2\r\n'");
	has(stage_ask(0, "engine.command line=control_sip/1_hold"), "false ''");
	stage_close();
}

PB_TESTS("bus/events", { "kept by type", kept_by_type }, { "log of the start", log_of_the_start },
	 { "bounded", bounded }, { "an alarm is an event", alarm_is_event }, { "who waits", who_waits },
	 { "pages", pages }, { "handlers and objects", handlers_and_objects })
