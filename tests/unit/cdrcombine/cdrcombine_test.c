/* modules/cdrcombine in an engine of two loops, in simulated time. */
#include "../../support/test.h"

#include "base/text.h"
#include "bus/engine.h"
#include "loop/world.h"

extern const struct pb_module pb_module_descriptor;

static struct pb_sim *sim;
static struct pb_engine *engine;
static struct pb_text seen;

static enum pb_verdict on_cdr(struct pb_msg *m, struct pb_ctx *cx)
{
	(void)cx;
	if (!pb_str_eq(pb_msg_get(m, PB_STR("operation")), PB_STR("combined")))
		return PB_PASS;
	CU_ASSERT_TRUE(pb_msg_broadcast(m));
	for (size_t i = 0; i < pb_msg_count(m); i++)
		pb_text_addf(&seen, "%.*s=%.*s ", PB_STR_F(pb_msg_at(m, i)->name),
			     PB_STR_F(pb_msg_at(m, i)->value));
	pb_text_addc(&seen, ';');
	return PB_PASS;
}

static void dispatch(void *arg)
{
	pb_bus_dispatch(pb_engine_bus(engine), arg, NULL, NULL, NULL);
}

static void record(unsigned loop, const char *operation, const char *params)
{
	struct pb_msg *m = pb_msg_new(PB_STR("call.cdr"));
	struct pb_str rest = pb_str_z(params), word, key;

	pb_msg_set_broadcast(m, true);
	pb_msg_add(m, PB_STR("operation"), pb_str_z(operation));
	while (pb_str_word(&rest, &word)) {
		pb_str_cut(&word, '=', &key);
		pb_msg_add(m, key, word);
	}
	pb_loop_call(pb_loops_at(pb_engine_loops(engine), loop), dispatch, m);
	pb_sim_run(sim, 10, NULL, NULL);
}

/* As cdrbuild does at the end: a leg closed by engine.halt itself. */
static enum pb_verdict on_halt(struct pb_msg *m, struct pb_ctx *cx)
{
	struct pb_msg *last = pb_msg_new(PB_STR("call.cdr"));

	(void)m;
	pb_msg_set_broadcast(last, true);
	pb_msg_add(last, PB_STR("operation"), PB_STR("finalize"));
	pb_msg_add(last, PB_STR("chan"), PB_STR("sip/9"));
	pb_bus_dispatch(cx->bus, last, NULL, NULL, NULL);
	return PB_PASS;
}

static const struct pb_handler watch_handlers[] = {
	{ "call.cdr", 120, PB_HOME, on_cdr },
	{ "engine.halt", 150, PB_HERE, on_halt },
	{ NULL },
};
static const struct pb_module watch = { .abi = PB_MODULE_ABI,
					.name = "watch",
					.handlers = watch_handlers };
static const struct pb_module *const built_in[] = { &pb_module_descriptor, &watch, NULL };

static void set_up(void)
{
	struct pb_engine_args args = { .conf_dir = "/nonexistent",
				       .calls = 2,
				       .scripts = 1,
				       .built_in = built_in,
				       .node_name = "test" };

	pb_text_init(&seen, 100000);
	CU_ASSERT_EQUAL_FATAL(pb_sim_new(1, &sim), 0);
	args.world = pb_sim_world(sim);
	CU_ASSERT_EQUAL_FATAL(pb_engine_new(&args, NULL, &engine), 0);
	CU_ASSERT_EQUAL_FATAL(pb_engine_start(engine), 0);
	pb_sim_run(sim, 1, NULL, NULL);
}

static void tear_down(void)
{
	pb_engine_free(&engine);
	pb_sim_free(&sim);
	pb_text_fini(&seen);
}

static void answered(struct pb_msg *m, bool handled, void *arg)
{
	(void)handled;
	pb_text_add(arg, pb_msg_retval(m));
	pb_msg_free(&m);
}

static void ask_status(void *arg)
{
	struct pb_msg *m = pb_msg_new(PB_STR("engine.status"));

	pb_msg_add(m, PB_STR("module"), PB_STR("cdrcombine"));
	pb_bus_dispatch(pb_engine_bus(engine), m, NULL, answered, arg);
}

static void status_is(const char *want)
{
	struct pb_text t;

	pb_text_init(&t, 10000);
	pb_loop_call(pb_loops_at(pb_engine_loops(engine), 1), ask_status, &t);
	pb_sim_run(sim, 10, NULL, NULL);
	PB_SAME(pb_text_str(&t), want);
	pb_text_fini(&t);
}

/* Legs on different loops. */
static void a_call(void)
{
	set_up();
	record(1, "initialize", "chan=sip/1 billid=R-1 direction=incoming caller=a,b called=2 address=x:1");
	record(0, "initialize", "chan=sip/2 billid=R-1 direction=outgoing");
	status_is("name=cdrcombine,type=cdr,format=ChanId|Caller|Called|Address|OutLegs;cdrs=1;"
		  "R-1=sip/1|a%2Cb|2|x:1|1\r\n");
	record(1, "update", "chan=sip/1 billid=R-1");
	record(1, "finalize", "chan=sip/1 billid=R-1 direction=incoming x=1");
	PB_SAME(pb_text_str(&seen), "");
	record(0, "finalize", "chan=sip/2 billid=R-1 direction=outgoing y=2");
	PB_SAME(pb_text_str(&seen),
		"operation=combined billid=R-1 chan=sip/1 x=1 out_leg.chan=sip/2 out_leg.y=2 handlers=watch:120 ;");
	status_is("name=cdrcombine,type=cdr,format=ChanId|Caller|Called|Address|OutLegs;cdrs=0\r\n");
	pb_engine_stop(engine);
	tear_down();
}

/* What ends with the engine is still told. */
static void shutting_down(void)
{
	set_up();
	record(1, "initialize", "chan=sip/9 billid=R-9 direction=incoming");
	record(1, "initialize", "chan=sip/8 billid=R-8 direction=incoming"); /* never ends */
	pb_engine_stop(engine);
	PB_SAME(pb_text_str(&seen), "operation=combined billid=R-9 chan=sip/9 handlers=watch:120 ;");
	tear_down();
}

PB_TESTS("cdrcombine", { "a call", a_call }, { "shutting down", shutting_down })
