/*
 * engine/bus: whatever handlers do, whenever, every message is completed exactly
 * once and nothing stays parked. Handlers that pass, handle, hold, rename,
 * resume (at once, later, from elsewhere, twice, never), ask in turn, come and
 * go, on every kind of place, drawn from a seed.
 */
#include "bus_scene.h"

#include <stdio.h>

#define ACTORS	 24
#define MESSAGES 3000
#define NAMES	 5

static uint64_t state;

static unsigned draw(unsigned n)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(state >> 33) % n;
}

struct ledger {
	unsigned done, freed;
	bool may_be_cancelled;
};

static struct ledger book[MESSAGES * 4];
static unsigned booked, told, holds, alarms;
static struct pb_questions asked[CALLS];
static struct actor actors[ACTORS];
static const char *const names[NAMES] = { "a", "b", "c", "call.route", "chan.text" };

struct later {
	struct pb_timer timer;
	struct pb_token token;
	unsigned times;
};

static void resume_drawn(struct pb_token t)
{
	struct pb_patch *p = draw(2) ? pb_patch_new() : NULL;

	if (p && draw(4) == 0)
		pb_patch_name(p, pb_str_z(names[draw(NAMES)]));
	if (p)
		pb_patch_set(p, PB_STR("p"), PB_STR("v"));
	pb_bus_resume(bus, t, p, draw(3) ? PB_PASS : PB_HANDLED);
}

static void later(void *arg)
{
	struct later *l = arg;

	resume_drawn(l->token);
	if (draw(8) == 0)
		resume_drawn(l->token);
	pb_free(l);
}

static void resume_some_time(struct pb_token t)
{
	struct later *l = pb_alloc_zero(1, sizeof(*l));

	l->token = t;
	pb_timer_init(&l->timer, later, l);
	pb_timer_start(pb_loop_current(), &l->timer, draw(400));
}

static void over_booked(struct pb_msg *m, bool handled, void *arg)
{
	struct ledger *l = arg;

	(void)handled;
	l->done++;
	pb_msg_free(&m);
}

static void ask(void)
{
	struct pb_msg *m = msg(names[draw(NAMES)]);
	unsigned i = pb_loop_index(pb_loop_current());
	struct pb_questions *q = i < CALLS && draw(2) ? &asked[i] : NULL;

	if (booked == sizeof(book) / sizeof(book[0])) {
		pb_msg_free(&m);
		return;
	}
	book[booked].may_be_cancelled = q != NULL;
	if (draw(5) == 0)
		pb_msg_set_broadcast(m, true);
	pb_msg_set_int(m, PB_STR("id"), draw(9));
	pb_msg_setf(m, PB_STR("id"), "x/%u", draw(9));
	pb_bus_dispatch(bus, m, q, over_booked, &book[booked++]);
}

static void ask_on_loop(void *arg)
{
	(void)arg;
	ask();
}

static void told_one(void *arg)
{
	(void)arg;
	told++;
	if (draw(10) == 0 && pb_loop_index(pb_loop_current()) < CALLS)
		pb_questions_cancel(&asked[pb_loop_index(pb_loop_current())]);
}

static enum pb_verdict drawn(struct pb_msg *m, struct pb_ctx *cx)
{
	unsigned what = draw(20);
	struct pb_token t;

	(void)cx;
	if (draw(6) == 0)
		pb_msg_set_name(m, pb_str_z(names[draw(NAMES)]));
	if (draw(30) == 0)
		ask();
	if (what < 11)
		return PB_PASS;
	if (what < 13)
		return PB_HANDLED;
	t = pb_bus_hold(m, &(struct pb_hold){ draw(2) ? draw(2000) : 0, told_one, NULL });
	holds++;
	if (what == 13)
		return PB_PASS; /* not held after all */
	if (what == 14)
		resume_drawn(t);
	else if (what < 19)
		resume_some_time(t);
	return PB_HOLD; /* 19: nobody ever answers */
}

static void add_drawn(struct actor *a)
{
	struct pb_handler_args h = {
		.message = pb_str_z(draw(8) ? names[draw(NAMES)] : ""),
		.priority = draw(5) * 10,
		.place = (enum pb_place)draw(4),
		.home = at(draw(CALLS + 1)),
		.owner_param = PB_STR("id"),
		.hold_ms = 100 + draw(1000),
		.parked_max = draw(4) ? 0 : 5,
		.refuse_when_full = draw(2),
		.track = PB_STR("x"),
		.fn = drawn,
		.arg = a,
	};

	CU_ASSERT_EQUAL(pb_bus_add(bus, &h, NULL, NULL, &a->reg), 0);
}

static void cancel_here(void *arg)
{
	(void)arg;
	pb_questions_cancel(&asked[pb_loop_index(pb_loop_current())]);
}

static void one_event(void)
{
	struct actor *a = &actors[draw(ACTORS)];
	unsigned what = draw(40);

	if (what == 0) {
		remove_actor(a);
	} else if (what == 1 && !a->reg) {
		add_drawn(a);
	} else if (what == 2) {
		pb_loop_call(at(draw(CALLS)), cancel_here, NULL);
	} else if (what < 5) {
		pb_bus_enqueue_to(bus, at(draw(CALLS)), msg(names[draw(NAMES)]));
	} else {
		pb_loop_call(at(draw(CALLS + 1)), ask_on_loop, NULL);
	}
	if (draw(3) == 0)
		pb_sim_run(sim, draw(20), NULL, NULL);
}

static void on_alarm(void *arg, struct pb_log_source *src, const struct pb_log_row *row, const char *info,
		     struct pb_str text)
{
	(void)arg;
	(void)src;
	(void)row;
	(void)info;
	alarms += text.n > 0;
}

static void run_seed(uint64_t seed)
{
	unsigned open = 0, twice = 0, cancelled = 0;
	struct pb_bus_args ba = { .hold_ms = 1000, .message_ms = 5000, .track_param = "handlers",
				  .trace_handler_times = seed % 2, .alarm = on_alarm };

	state = seed * 77777 + 1;
	memset(book, 0, sizeof(book));
	booked = told = holds = 0;
	ba.breaker_window_ms = 1 + draw(2000);
	ba.breaker_pause_ms = 1 + draw(2000);
	if (!up_with(seed, &ba))
		abort();
	for (unsigned i = 0; i < CALLS; i++)
		pb_questions_init(&asked[i]);
	for (unsigned i = 0; i < ACTORS; i++)
		add_drawn(&actors[i]);
	for (unsigned i = 0; i < MESSAGES; i++)
		one_event();
	pass_ms(30000);
	for (unsigned i = 0; i < booked; i++) {
		twice += book[i].done > 1;
		open += !book[i].done && !book[i].may_be_cancelled;
		cancelled += !book[i].done;
	}
	if (open || twice || counts().parked)
		printf("seed %llu: %u open, %u twice, %u parked\n", (unsigned long long)seed, open, twice,
		       (unsigned)counts().parked);
	CU_ASSERT_EQUAL(open, 0);
	CU_ASSERT_EQUAL(twice, 0);
	CU_ASSERT_EQUAL(counts().parked, 0);
	CU_ASSERT_EQUAL(counts().queued, 0);
	CU_ASSERT(booked >= MESSAGES / 2 && holds > 100 && told > 10 && cancelled > 1);
	for (unsigned i = 0; i < ACTORS; i++)
		remove_actor(&actors[i]);
	down();
}

static void seeds(void)
{
	for (uint64_t seed = 1; seed <= 25; seed++)
		run_seed(seed);
	CU_ASSERT(alarms > 10); /* breakers opened, and closed */
}

static void seed_given(void)
{
	const char *z = getenv("SEED");

	if (z)
		run_seed(strtoull(z, NULL, 10));
}

PB_TESTS("bus/random", { "every message is completed once", seeds }, { "SEED=n alone", seed_given })
