/*
 * A day of one message a millisecond, on the simulated clock: what the bus
 * counts is what happened, and at the end it has the memory that it had after
 * the first minute.
 *
 *     day [--soak]    an hour (under sanitizers ten minutes), or the whole day: 86,400,000 messages
 */
#include "../support/memory.h"
#include "../support/sanitized.h"
#include "../support/test.h"

#include <stdio.h>

#include "base/alloc.h"
#include "bus/msg_impl.h"
#include "loop/world.h"

#define CALLS     3
#define MINUTE_MS 60000
#define SHORT_MS  ((PB_TEST_SANITIZED ? 10 : 60) * MINUTE_MS)
#define DAY_MS    (24 * 60 * MINUTE_MS)
#define ANSWER_MS 5   /* after which a held one is answered */
#define LIMIT_MS  100 /* of a hold that nobody answers */
#define REST_MS   1000

static struct pb_sim *sim;
static struct pb_loops *loops;
static struct pb_bus *bus;
static uint64_t length_ms = SHORT_MS;

/* What has happened, counted here. */
static struct pb_bus_counts want;
static uint64_t sent, ended, called, told;
static uint64_t away; /* journeys to handlers on other loops */

/* ---- Handlers ---------------------------------------------------------------- */

struct later {
	struct pb_timer timer;
	struct pb_token token;
	bool twice;
};

static void answer(void *arg)
{
	struct later *l = arg;

	pb_bus_resume(bus, l->token, NULL, PB_PASS);
	if (l->twice) {
		pb_bus_resume(bus, l->token, NULL, PB_PASS);
		want.stale++;
	}
	pb_free(l);
}

static enum pb_verdict on_held(struct pb_msg *m, struct pb_ctx *cx)
{
	struct later *l = pb_alloc_zero(1, sizeof(*l));

	l->twice = pb_msg_get_int(m, PB_STR("n"), 0, 0, INT64_MAX) % 1000 == 3;
	l->token = pb_bus_hold(m, NULL);
	want.held++;
	pb_timer_init(&l->timer, answer, l);
	pb_timer_start(cx->loop, &l->timer, ANSWER_MS);
	return PB_HOLD;
}

static void on_told(void *arg)
{
	(void)arg;
	told++;
}

static enum pb_verdict on_late(struct pb_msg *m, struct pb_ctx *cx)
{
	(void)cx;
	pb_bus_hold(m, &(struct pb_hold){ .limit_ms = LIMIT_MS, .expired = on_told });
	want.held++;
	want.expired++;
	return PB_HOLD;
}

static enum pb_verdict on_call(struct pb_msg *m, struct pb_ctx *cx)
{
	(void)m;
	(void)cx;
	called++;
	return PB_PASS;
}

static enum pb_verdict on_last(struct pb_msg *m, struct pb_ctx *cx)
{
	(void)m;
	(void)cx;
	want.handled++;
	return PB_HANDLED;
}

static const struct pb_handler rows[] = {
	{ "held", 10, PB_HERE, on_held, NULL }, { "late", 10, PB_HERE, on_late, NULL },
	{ "home", 10, PB_HOME, on_call, NULL }, { "each", 10, PB_EACH, on_call, NULL },
	{ "", 100, PB_HERE, on_last, NULL },
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

static struct pb_reg *regs[ROWS];

/* ---- One message a millisecond, each loop every third ---------------------------- */

static struct ticker {
	struct pb_loop *loop;
	struct pb_timer timer;
	uint64_t until_ms;
} tickers[CALLS];
static uint64_t calls_due;

static const char *kind_of(uint64_t n, unsigned on)
{
	if (n % 10000 == 0) {
		calls_due += CALLS;
		away += CALLS;
		return "each";
	}
	if (n % 1000 == 1)
		return "late";
	if (n % 100 == 2) {
		calls_due++;
		away += on != 1;
		return "home";
	}
	return n % 10 == 3 ? "held" : "plain";
}

static void done(struct pb_msg *m, bool handled, void *arg)
{
	(void)arg;
	ended += handled;
	pb_msg_free(&m);
}

static void tick(void *arg)
{
	struct ticker *t = arg;
	unsigned on = pb_loop_index(t->loop);
	uint64_t n = sent++;
	struct pb_msg *m = pb_msg_new(pb_str_z(kind_of(n, on)));

	pb_msg_set_int(m, PB_STR("n"), (int64_t)n);
	want.dispatched++;
	if (n % 7 == 0) {
		want.enqueued++;
		ended++; /* nobody is told */
		pb_bus_enqueue(bus, m);
	} else {
		pb_bus_dispatch(bus, m, NULL, done, NULL);
	}
	if (pb_loop_now_ms(t->loop) + CALLS <= t->until_ms)
		pb_timer_start(t->loop, &t->timer, CALLS);
}

static void begin(void *arg)
{
	struct ticker *t = arg;

	pb_timer_init(&t->timer, tick, t);
	pb_timer_start(t->loop, &t->timer, 1 + pb_loop_index(t->loop));
}

static void run_ms(uint64_t ms)
{
	for (unsigned i = 0; i < CALLS; i++) {
		tickers[i].loop = pb_loops_at(loops, i);
		tickers[i].until_ms = pb_sim_now_us(sim) / 1000 + ms;
		pb_loop_call(tickers[i].loop, begin, &tickers[i]);
	}
	pb_sim_run(sim, ms + REST_MS, NULL, NULL); /* what is held comes to its end too */
}

/* ---- The day ------------------------------------------------------------------------ */

static void up(void)
{
	struct pb_loops_args la = { .calls = CALLS };
	struct pb_bus_args ba = { .track_param = "handlers",
				  .breaker_window_ms = 1 }; /* it never opens */

	CU_ASSERT_EQUAL_FATAL(pb_sim_new(1, &sim), 0);
	la.world = pb_sim_world(sim);
	CU_ASSERT_EQUAL_FATAL(pb_loops_new(&la, &loops), 0);
	ba.loops = loops;
	CU_ASSERT_EQUAL_FATAL(pb_bus_new(&ba, &bus), 0);
	CU_ASSERT_EQUAL_FATAL(pb_loops_start(loops), 0);
	for (size_t i = 0; i < ROWS; i++) {
		struct pb_handler_args h = { .message = pb_str_z(rows[i].message),
					     .priority = rows[i].priority,
					     .place = rows[i].place,
					     .home = pb_loops_at(loops, 1),
					     .track = PB_STR("day"),
					     .fn = rows[i].fn };

		CU_ASSERT_EQUAL_FATAL(pb_bus_add(bus, &h, NULL, NULL, &regs[i]), 0);
	}
	pb_sim_run(sim, 1, NULL, NULL);
}

static void down(void)
{
	for (size_t i = 0; i < ROWS; i++)
		pb_bus_remove(bus, &regs[i], NULL, NULL);
	pb_sim_run(sim, 1, NULL, NULL);
	pb_loops_stop(loops);
	pb_loops_free(&loops);
	pb_bus_free(&bus);
	pb_sim_free(&sim);
	pbi_msg_cache_drop();
}

static void check_counts(void)
{
	struct pb_bus_counts c;

	pb_bus_count(bus, &c);
	CU_ASSERT_EQUAL(c.dispatched, want.dispatched);
	CU_ASSERT_EQUAL(c.enqueued, want.enqueued);
	CU_ASSERT_EQUAL(c.handled, want.handled);
	CU_ASSERT_EQUAL(c.handled, sent);
	CU_ASSERT_EQUAL(c.held, want.held);
	CU_ASSERT_EQUAL(c.visits, away);
	CU_ASSERT_EQUAL(c.expired, want.expired);
	CU_ASSERT_EQUAL(c.stale, want.stale);
	CU_ASSERT_EQUAL(c.full, 0);
	CU_ASSERT_EQUAL(c.parked, 0);
	CU_ASSERT_EQUAL(c.queued, 0);
	CU_ASSERT_EQUAL(ended, sent);
	CU_ASSERT_EQUAL(told, want.expired);
	CU_ASSERT_EQUAL(called, calls_due);
}

static void day(void)
{
	struct pb_test_memory before = pb_test_memory(), early, late;

	pb_test_memory_fill(0);
	up();
	run_ms(MINUTE_MS);
	check_counts();
	early = pb_test_memory();
	run_ms(length_ms - MINUTE_MS);
	check_counts();
	CU_ASSERT_EQUAL(sent, length_ms);
	late = pb_test_memory();
	CU_ASSERT_EQUAL(late.blocks, early.blocks);
	CU_ASSERT_EQUAL(late.bytes, early.bytes);
	printf("%llu messages: %llu held, %llu out of time, %llu stale answers; %lld octets before "
	       "and after\n",
	       (unsigned long long)sent, (unsigned long long)want.held,
	       (unsigned long long)want.expired, (unsigned long long)want.stale,
	       (long long)late.bytes);
	down();
	CU_ASSERT_EQUAL(pb_test_memory().blocks, before.blocks);
}

int main(int argc, char **argv)
{
	static const struct pb_test tests[] = { { "one message a millisecond", day },
						{ NULL, NULL } };
	bool soak = argc > 1 && strcmp(argv[1], "--soak") == 0;

	if (soak)
		length_ms = DAY_MS;
	return pb_test_main("simulation/day", tests, soak ? 3600 : 60, argc - soak, argv + soak);
}
