/* modules/monitoring in an engine, in simulated time. */
#include "../../support/scene_engine.h"

extern const struct pb_module pb_module_descriptor;

static const struct pb_module *const modules[] = { &pb_module_descriptor, NULL };
static struct pb_reg *regs[2];

enum { TEST_ALARM };
static const struct pb_log_row rows[] = {
	[TEST_ALARM] = { "test-001", PB_WARN, "For the test." },
	{ NULL },
};
static PB_LOG_SOURCE(test_log, "test", rows);

static void up(const char *conf)
{
	conf_new();
	conf_write("monitoring.conf", conf);
	CU_ASSERT_EQUAL_FATAL(engine_up(modules), 0);
}

/* The value of `name`; "-" when nobody knows it. */
static struct pb_str value(const char *name, int64_t index)
{
	static char text[256];
	struct pb_msg *m = pb_msg_new(PB_STR("monitor.query"));
	struct asking a;

	pb_msg_set(m, PB_STR("name"), pb_str_z(name));
	if (index)
		pb_msg_set_int(m, PB_STR("index"), index);
	a = ask_on(1, m);
	snprintf(text, sizeof(text), "%.*s", PB_STR_F(pb_msg_get(a.m, PB_STR("value"))));
	if (!a.handled)
		strcpy(text, "-");
	pb_msg_free(&a.m);
	return pb_str_z(text);
}

static void tell(const char *name, const char *const *params)
{
	struct pb_msg *m = pb_msg_new(pb_str_z(name));
	struct asking a;

	for (; *params; params += 2)
		pb_msg_set(m, pb_str_z(params[0]), pb_str_z(params[1]));
	a = ask_on(2, m);
	pb_msg_free(&a.m);
}

static void engine_and_modules(void)
{
	up("");
	PB_SAME(value("nonsense", 0), "-");
	PB_SAME(value("name", 0), "node");
	PB_SAME(value("state", 0), "running");
	PB_SAME(value("unexpectedRestart", 0), "false");
	PB_SAME(value("moduleCount", 0), "2");
	PB_SAME(value("moduleName", 2), "monitoring");
	PB_SAME(value("moduleType", 1), "system");
	PB_SAME(value("moduleName", 3), "");
	PB_SAME(value("plugins", 0), "2");
	CU_ASSERT_FALSE(pb_str_eq(value("msgDispatched", 0), PB_STR("")));
	PB_SAME(value("databaseCount", 0), "");
	PB_SAME(value("activeCallsCount", 0), "0"); /* nobody builds records */
	PB_SAME(value("callEntryID", 1), "");
	engine_down();
}

static void requests(void)
{
	static const char *const in[] = { "direction", "incoming", NULL }, *const out[] = { "status", "outgoing", NULL };

	up("");
	tell("user.auth", in);
	tell("user.auth", in);
	tell("user.register", in);
	tell("chan.startup", in);
	tell("chan.startup", out);
	tell("chan.startup", out);
	PB_SAME(value("authenticationRequests", 0), "2");
	PB_SAME(value("registerRequests", 0), "1");
	PB_SAME(value("incomingCalls", 0), "1");
	PB_SAME(value("outgoingCalls", 0), "2");
	engine_down();
}

static void record(const char *address, const char *status, const char *reason)
{
	const char *const params[] = { "operation", "finalize", "direction", "outgoing", "address", address,
				       "status",    status,	"reason",    reason,	 NULL };

	tell("call.cdr", params);
}

static void heard(const struct pb_msg *m, bool handled, struct pb_ctx *cx)
{
	char text[256];
	const char *what = pb_str_eq(pb_msg_name(m), PB_STR("module.update")) ? "from" : "value.0";

	(void)handled;
	(void)cx;
	snprintf(text, sizeof(text), "%.*s/%.*s/%.*s", PB_STR_F(pb_msg_name(m)), PB_STR_F(pb_msg_get(m, pb_str_z(what))),
		 PB_STR_F(pb_msg_get(m, pb_str_z(what[0] == 'f' ? "level" : "value.1"))));
	say(text);
}

static void hear_all(void)
{
	static const struct pb_hook_args hooks[] = { { .message = PB_STR_INIT("module.update"), .fn = heard },
						     { .message = PB_STR_INIT("monitor.notify"), .fn = heard } };

	pass_ms(1); /* the start tells of itself */
	for (unsigned i = 0; i < 2; i++)
		CU_ASSERT_EQUAL_FATAL(pb_bus_hook_add(pb_engine_bus(engine), &hooks[i], &regs[i]), 0);
}

static void down(void)
{
	for (unsigned i = 0; i < 2; i++)
		pb_bus_remove(pb_engine_bus(engine), &regs[i], NULL, NULL);
	engine_down();
}

static void quality_of_calls(void)
{
	up("[call_qos]\nmin_calls=3\ntime_interval=60\n[trunk]\ntype=call_qos\ndirection=203.0.113.\nlow_asr_threshold=50\n"
	   "low_ner_threshold=70\n[off]\ntype=call_qos\nenable=no\n[db]\ntype=database\n");
	hear_all();
	PB_SAME(value("qosDirectionsCount", 0), "1");
	PB_SAME(value("qosEntryDirection", 1), "trunk");
	PB_SAME(value("currentASR", 1), "");
	record("203.0.113.7:5060", "answered", "hangup");
	record("203.0.113.8:5060", "ringing", "busy");
	record("192.0.2.1:5060", "answered", "hangup");
	PB_SAME(value("currentASR", 1), "50");
	pass_ms(2000);
	PB_SAME(look(), ""); /* too few calls */
	record("203.0.113.8:5060", "outgoing", "noroute");
	record("203.0.113.8:5060", "ringing", "noanswer");
	PB_SAME(value("currentASR", 1), "25");
	PB_SAME(value("currentNER", 1), "75");
	PB_SAME(value("overallBusyEndCause", 1), "1");
	pass_ms(3000);
	PB_SAME(look(), "module.update/monitoring/5 monitor.notify/monitoring/WARN");
	pass_ms(60000);
	PB_SAME(value("currentASR", 1), "");
	PB_SAME(value("overallASR", 1), "25");
	down();
}

static void raise_alarm(void *arg)
{
	pb_engine_alarm(engine, &test_log, &rows[TEST_ALARM], "test", arg, "it is %s", "late");
}

static void alarms(void)
{
	struct pb_str said;

	up("[general]\nalarm_threshold=5\n");
	hear_all();
	pb_loop_call(at(2), raise_alarm, NULL);
	pass_ms(10);
	said = look(); /* in any order */
	CU_ASSERT(pb_str_find(said, PB_STR("module.update/test/5")) >= 0);
	CU_ASSERT(pb_str_find(said, PB_STR("monitor.notify/test/WARN")) >= 0);
	conf_write("monitoring.conf", "[general]\nalarm_threshold=4\n");
	CU_ASSERT_EQUAL(pb_engine_reload_now(engine, PB_STR_NULL, NULL), 0);
	raise_alarm(NULL); /* from a thread that is no loop */
	pass_ms(10);
	PB_SAME(look(), "module.update/test/5");
	down();
}

PB_TESTS("monitoring", { "engine_and_modules", engine_and_modules }, { "requests", requests },
	 { "quality_of_calls", quality_of_calls }, { "alarms", alarms })
