/* modules/cdrbuild in an engine of two loops, in simulated time. */
#include "../../support/test.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/text.h"
#include "bus/engine.h"
#include "loop/world.h"

extern const struct pb_module pb_module_descriptor;

static char dir[] = "/tmp/pb-cdrbuild-XXXXXX";
static struct pb_sim *sim;
static struct pb_engine *engine;
static struct pb_text seen; /* "chan operation direction duration status reason;" */

static void add(const struct pb_msg *m, const char *name)
{
	struct pb_str v = pb_msg_get(m, pb_str_z(name));

	pb_text_addf(&seen, "%.*s ", PB_STR_F(v));
}

/* A handler, not a hook: what is told at the very end must reach handlers. */
static enum pb_verdict on_cdr(struct pb_msg *m, struct pb_ctx *cx)
{
	(void)cx;
	CU_ASSERT_TRUE(pb_msg_broadcast(m));
	add(m, "chan");
	add(m, "operation");
	add(m, "direction");
	add(m, "duration");
	add(m, "status");
	pb_text_addf(&seen, "%.*s;", PB_STR_F(pb_msg_get(m, PB_STR("reason"))));
	return PB_PASS;
}

static const struct pb_handler watch_handlers[] = {
	{ "call.cdr", 100, PB_HOME, on_cdr },
	{ NULL },
};
static const struct pb_module watch = { .abi = PB_MODULE_ABI,
					.name = "watch",
					.handlers = watch_handlers };
static const struct pb_module *const built_in[] = { &pb_module_descriptor, &watch, NULL };

static void set_up(const char *conf)
{
	struct pb_engine_args args = {
		.conf_dir = dir, .calls = 2, .scripts = 1, .built_in = built_in, .node_name = "test"
	};
	char path[100];
	FILE *f;

	strcpy(dir + sizeof(dir) - 7, "XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/cdrbuild.conf", dir);
	f = fopen(path, "w");
	fputs(conf, f);
	fclose(f);
	pb_text_init(&seen, 100000);
	CU_ASSERT_EQUAL_FATAL(pb_sim_new(1, &sim), 0);
	args.world = pb_sim_world(sim);
	CU_ASSERT_EQUAL_FATAL(pb_engine_new(&args, NULL, &engine), 0);
	CU_ASSERT_EQUAL_FATAL(pb_engine_start(engine), 0);
	pb_sim_run(sim, 1, NULL, NULL);
}

static void tear_down(void)
{
	char path[100];

	pb_engine_stop(engine);
	pb_engine_free(&engine);
	pb_sim_free(&sim);
	pb_text_fini(&seen);
	snprintf(path, sizeof(path), "%s/cdrbuild.conf", dir);
	unlink(path);
	rmdir(dir);
}

struct tell {
	struct pb_msg *m;
	struct pb_text answer;
	bool handled, done;
};

static void told(struct pb_msg *m, bool handled, void *arg)
{
	struct tell *t = arg;

	pb_text_add(&t->answer, pb_msg_retval(m));
	t->handled = handled;
	t->done = true;
	pb_msg_free(&m);
}

static void dispatch(void *arg)
{
	struct tell *t = arg;

	pb_bus_dispatch(pb_engine_bus(engine), t->m, NULL, told, t);
}

static bool is_told(void *arg)
{
	return ((struct tell *)arg)->done;
}

/* Dispatch on loop `loop`; true when handled. `answer` may be NULL. */
static bool tell(unsigned loop, const char *name, const char *params, const char *answer)
{
	struct tell t = { .m = pb_msg_new(pb_str_z(name)) };
	struct pb_str rest = pb_str_z(params), word, key;

	pb_text_init(&t.answer, 10000);
	while (pb_str_word(&rest, &word)) {
		pb_str_cut(&word, '=', &key);
		pb_msg_add(t.m, key, word);
	}
	pb_msg_set_time_us(t.m, 1700000000000000u + pb_sim_now_us(sim));
	pb_loop_call(pb_loops_at(pb_engine_loops(engine), loop), dispatch, &t);
	pb_sim_run(sim, 100, is_told, &t);
	CU_ASSERT_TRUE(t.done);
	if (answer)
		PB_SAME(pb_text_str(&t.answer), answer);
	pb_text_fini(&t.answer);
	pb_sim_run(sim, 1, NULL, NULL);
	return t.handled;
}

static void saw(const char *want)
{
	PB_SAME(pb_text_str(&seen), want);
	pb_text_reset(&seen);
}

/* sip/1 belongs to loop 1, sip/2 to loop 0; messages come on either. */
static void a_call(void)
{
	set_up("[general]\nresolution=sec\n");
	tell(0, "chan.startup", "id=sip/1 status=incoming caller=1 called=2", NULL);
	saw("sip/1 initialize incoming 0 incoming ;");
	tell(1, "call.route", "id=sip/1 status=prerouted", NULL);
	saw("");
	tell(1, "call.execute", "id=sip/1 status=routed", NULL);
	saw("sip/1 update incoming 0 routed ;");
	tell(1, "chan.startup", "id=sip/2 status=outgoing called=2", NULL);
	saw("sip/2 initialize outgoing 0 outgoing ;");
	tell(1, "call.progress", "id=sip/2 peerid=sip/1 status=progressing", NULL);
	saw("");
	tell(1, "call.ringing", "id=sip/2 peerid=sip/1 status=ringing", NULL);
	saw("sip/2 update outgoing 0 ringing ;sip/1 update incoming 0 ringing ;");
	tell(0, "call.answered", "id=sip/2 targetid=sip/1 status=answered", NULL);
	saw("sip/2 update outgoing 0 answered ;sip/1 update incoming 0 answered ;");
	tell(0, "engine.status", "module=cdrbuild",
	     "name=cdrbuild,type=cdr,format=Status|Caller|Called|BillId|Duration;cdrs=2,hungup=0;"
	     "sip/2=answered||2||0,sip/1=answered|1|2||0\r\n");
	pb_sim_run(sim, 10000, NULL, NULL);
	tell(0, "chan.hangup", "id=sip/1 status=answered reason=bye", NULL);
	saw("sip/1 finalize incoming 10 answered bye;");
	tell(0, "chan.hangup", "id=sip/2 status=hangup", NULL);
	saw("sip/2 finalize outgoing 10 hangup ;");
	tell(1, "chan.hangup", "id=sip/2", NULL);  /* again: nothing */
	tell(1, "call.execute", "id=sip/2", NULL); /* late: nothing */
	saw("");
	tell(0, "engine.status", "module=cdrbuild",
	     "name=cdrbuild,type=cdr,format=Status|Caller|Called|BillId|Duration;cdrs=0,hungup="
	     "2\r\n");
	pb_sim_run(sim, 6000, NULL, NULL);
	tell(0, "engine.status", "module=cdrbuild",
	     "name=cdrbuild,type=cdr,format=Status|Caller|Called|BillId|Duration;cdrs=0,hungup="
	     "0\r\n");
	tell(1, "call.execute", "id=sip/2", NULL); /* the number is used again */
	saw("sip/2 initialize unknown 0 unknown ;");
	tear_down();
}

static void choices(void)
{
	set_up("[general]\nresolution=sec\nupdates=no\nring_on_progress=yes\nstatus=yes\n");
	tell(0, "chan.startup", "id=sip/1 cdrtrack=no", NULL);
	tell(0, "chan.startup", "id=sip/1 cdrcreate=no", NULL);
	tell(0, "call.ringing", "id=sip/1", NULL);
	saw("");
	tell(0, "chan.startup", "id=sip/1", NULL);
	saw("sip/1 initialize unknown 0 unknown ;");
	tell(0, "call.update", "id=sip/1 operation=notify status=x", NULL);
	tell(0, "call.answered", "id=sip/1", NULL);
	saw("sip/1 status unknown 0 unknown ;");
	pb_sim_run(sim, 120000, NULL, NULL);
	saw("sip/1 status unknown 60 unknown ;sip/1 status unknown 120 unknown ;");
	CU_ASSERT_FALSE(tell(0, "call.drop", "id=sip/1", NULL));
	CU_ASSERT_TRUE(tell(0, "call.drop", "id=cdrbuild/sip/1", NULL));
	saw("sip/1 finalize unknown 120 unknown CDR dropped;");
	tear_down();
}

/* Records of status: once, at intervals, at the answer or later. */
static void status_records(void)
{
	static const struct {
		const char *conf, *at_answer, *in_two_minutes;
	} rows[] = {
		{ "status_interval=0\n", "sip/1 status unknown 0 unknown ;", "" },
		{ "status_interval=0\nstatus_answer=no\n", "", "sip/1 status unknown 60 unknown ;" },
		{ "status_interval=90\nstatus_answer=no\n", "", "sip/1 status unknown 90 unknown ;" },
		{ "status_interval=5\n", "sip/1 status unknown 0 unknown ;",
		  "sip/1 status unknown 60 unknown ;sip/1 status unknown 120 unknown ;" },
	};
	char conf[200];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(conf, sizeof(conf), "[general]\nresolution=sec\nupdates=no\nstatus=yes\n%s",
			 rows[i].conf);
		set_up(conf);
		tell(0, "chan.startup", "id=sip/1", NULL);
		saw("sip/1 initialize unknown 0 unknown ;");
		tell(0, "call.answered", "id=sip/1", NULL);
		saw(rows[i].at_answer);
		tell(0, "call.update", "id=sip/1", NULL);
		tell(0, "call.answered", "id=sip/1", NULL);
		saw("");
		pb_sim_run(sim, 121000, NULL, NULL);
		saw(rows[i].in_two_minutes);
		tear_down();
	}
}

/* What makes a record, and what changes it. */
static void accepted(void)
{
	set_up("[general]\nresolution=sec\n");
	tell(0, "call.route", "id=sip/1", NULL); /* none of these begins one */
	tell(0, "call.ringing", "id=sip/1", NULL);
	tell(0, "call.progress", "id=sip/1 ringing=yes", NULL);
	tell(0, "call.update", "id=sip/1", NULL);
	saw("");
	tell(0, "call.answered", "id=sip/1 direction=outgoing", NULL);
	saw("sip/1 initialize outgoing 0 unknown ;");
	tell(0, "call.progress", "id=sip/1 status=x", NULL);
	tell(0, "call.progress", "id=sip/1 status=x ringing=no", NULL);
	tell(0, "call.update", "id=sip/1 status=x operation=request", NULL);
	tell(0, "call.update", "id=sip/1 status=x cdrtrack=no", NULL);
	saw("");
	tell(0, "call.progress", "id=sip/1 status=early earlymedia=yes", NULL);
	saw("sip/1 update outgoing 0 early ;");
	tell(0, "call.update", "id=sip/1 status=own operation=cdrbuild", NULL);
	saw("sip/1 update outgoing 0 own ;");
	tell(0, "call.update", "id=sip/1 status=told operation=request cdrtrack=yes", NULL);
	saw("sip/1 update outgoing 0 told ;");
	tell(0, "call.update", "id=sip/1 status= reason=why", NULL);
	saw("sip/1 update outgoing 0 told why;");
	tell(0, "call.update", "id=sip/1 reason=", NULL);
	saw("sip/1 update outgoing 0 told why;");
	tell(0, "call.execute", "id=sip/2", NULL);
	saw("sip/2 initialize unknown 0 unknown ;");
	CU_ASSERT_TRUE(tell(0, "call.drop", "id=cdrbuild/sip/2 reason=enough", NULL));
	saw("sip/2 finalize unknown 0 unknown enough;");
	CU_ASSERT_FALSE(tell(0, "call.drop", "id=cdrbuild/sip/2", NULL));
	tell(0, "chan.hangup", "id=sip/2", NULL); /* the channel itself ends later */
	saw("");
	tear_down();
}

/* The hangup overtook what should have begun the record. */
static void hangup_first(void)
{
	set_up("");
	tell(0, "chan.hangup", "id=sip/1", NULL);
	tell(0, "chan.startup", "id=sip/1 status=incoming", NULL);
	saw("sip/1 finalize incoming 0.000 incoming ;");
	tell(0, "call.execute", "id=sip/1", NULL);
	saw("");
	tear_down();
}

static void shutting_down(void)
{
	set_up("[general]\nresolution=sec\n");
	tell(0, "chan.startup", "id=sip/1", NULL);
	tell(0, "chan.startup", "id=sip/2", NULL);
	pb_text_reset(&seen);
	pb_engine_stop(engine);
	CU_ASSERT_TRUE(pb_str_find(pb_text_str(&seen),
				   PB_STR("sip/1 finalize unknown 0 unknown CDR shutdown;")) >= 0);
	CU_ASSERT_TRUE(pb_str_find(pb_text_str(&seen),
				   PB_STR("sip/2 finalize unknown 0 unknown CDR shutdown;")) >= 0);
	tear_down();
}

/* ---- Threads ------------------------------------------------------------------------ */

#define LEGS 3000

static atomic_uint finals[LEGS + 1];
static atomic_uint final_count;

static enum pb_verdict on_final(struct pb_msg *m, struct pb_ctx *cx)
{
	struct pb_str chan = pb_msg_get(m, PB_STR("chan"));
	int64_t n = 0;

	(void)cx;
	if (!pb_str_eq(pb_msg_get(m, PB_STR("operation")), PB_STR("finalize")))
		return PB_PASS;
	if (!pb_str_to_i64(pb_str_from(chan, 4), 10, 1, LEGS, &n)) {
		atomic_fetch_add(&finals[n], 1);
		atomic_fetch_add(&final_count, 1);
	}
	return PB_PASS;
}

static const struct pb_handler final_handlers[] = {
	{ "call.cdr", 100, PB_HERE, on_final },
	{ NULL },
};
static const struct pb_module final_watch = { .abi = PB_MODULE_ABI,
					      .name = "watch",
					      .handlers = final_handlers };
static const struct pb_module *const with_final_watch[] = { &pb_module_descriptor, &final_watch,
							    NULL };

static void enqueue(unsigned loop, const char *name, unsigned leg)
{
	struct pb_msg *m = pb_msg_new(pb_str_z(name));

	pb_msg_setf(m, PB_STR("id"), "sip/%u", leg);
	pb_msg_setf(m, PB_STR("peerid"), "sip/%u", leg % LEGS + 1);
	pb_bus_enqueue_to(pb_engine_bus(engine), pb_loops_at(pb_engine_loops(engine), loop % 3), m);
}

static void nothing(void *arg)
{
	(void)arg;
}

/* Beginnings and ends come on any loop, in any order; one leg in ten is open
 * when the engine stops. Each has one final record. */
static void threads(void)
{
	struct pb_engine_args args = { .conf_dir = "/nonexistent",
				       .calls = 3,
				       .scripts = 1,
				       .built_in = with_final_watch,
				       .node_name = "test" };

	CU_ASSERT_EQUAL_FATAL(pb_engine_new(&args, NULL, &engine), 0);
	CU_ASSERT_EQUAL_FATAL(pb_engine_start(engine), 0);
	for (unsigned i = 1; i <= LEGS; i++) {
		enqueue(i, "chan.startup", i);
		enqueue(i / 3, "call.answered", i);
		if (i % 10)
			enqueue(i / 5, "chan.hangup", i);
	}
	while (atomic_load(&final_count) < LEGS - LEGS / 10)
		pb_loop_call(pb_loops_at(pb_engine_loops(engine), 0), nothing, NULL);
	pb_engine_stop(engine);
	pb_engine_free(&engine);
	for (unsigned i = 1; i <= LEGS; i++)
		CU_ASSERT_EQUAL(atomic_load(&finals[i]), 1);
}

PB_TESTS("cdrbuild", { "a call", a_call }, { "choices", choices },
	 { "status records", status_records }, { "accepted messages", accepted }, { "hangup first", hangup_first },
	 { "shutting down", shutting_down }, { "threads", threads })
