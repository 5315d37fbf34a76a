/* engine/loop: the timer wheel beside a plain list. */
#include "../../support/test.h"

#include <stdlib.h>

#include "loop/wheel.h"

#define TIMERS 400

struct rig {
	struct pbi_wheel wheel;
	uint64_t state; /* of the random numbers */
	uint64_t clock; /* counts armings, to check their order */
	uint64_t last_due, last_arming;
	unsigned fired, wrong;
	struct probe {
		struct pb_timer timer;
		struct rig *rig;
		uint64_t due, arming; /* the plain list: 0: not armed */
	} probes[TIMERS];
};

static struct rig rig;

static uint64_t draw(struct rig *r)
{
	r->state = r->state * 6364136223846793005u + 1442695040888963407u;
	return r->state >> 29;
}

static void arm(struct rig *r, struct probe *p, uint64_t due)
{
	if (pb_timer_active(&p->timer))
		pbi_wheel_remove(&r->wheel, &p->timer);
	p->timer.due_ms = due;
	pbi_wheel_add(&r->wheel, &p->timer);
	p->due = due;
	p->arming = ++r->clock;
}

static void disarm(struct rig *r, struct probe *p)
{
	if (pb_timer_active(&p->timer))
		pbi_wheel_remove(&r->wheel, &p->timer);
	p->arming = 0;
}

/** Spans from nothing over all levels. */
static uint64_t some_span(struct rig *r)
{
	return draw(r) & (((uint64_t)1 << draw(r) % 32) - 1);
}

static void on_fire(void *arg)
{
	struct probe *p = arg;
	struct rig *r = p->rig;

	r->fired++;
	if (!p->arming || p->due != r->wheel.now_ms || p->due < r->last_due ||
	    (p->due == r->last_due && p->arming < r->last_arming))
		r->wrong++;
	r->last_due = p->due;
	r->last_arming = p->arming;
	p->arming = 0;
	if (draw(r) % 4 == 0)
		disarm(r, &r->probes[draw(r) % TIMERS]);
}

static uint64_t earliest(const struct rig *r)
{
	uint64_t best = UINT64_MAX;

	for (unsigned i = 0; i < TIMERS; i++) {
		if (r->probes[i].arming && r->probes[i].due < best)
			best = r->probes[i].due;
	}
	return best;
}

static size_t armed(const struct rig *r)
{
	size_t n = 0;

	for (unsigned i = 0; i < TIMERS; i++)
		n += r->probes[i].arming != 0;
	return n;
}

static void rig_init(struct rig *r, uint64_t seed, uint64_t now_ms)
{
	memset(r, 0, sizeof(*r));
	r->state = seed;
	pbi_wheel_init(&r->wheel, now_ms);
	for (unsigned i = 0; i < TIMERS; i++) {
		r->probes[i].rig = r;
		pb_timer_init(&r->probes[i].timer, on_fire, &r->probes[i]);
	}
}

static void steps(struct rig *r, unsigned count)
{
	for (unsigned n = 0; n < count; n++) {
		uint64_t now = r->wheel.now_ms, next;

		for (unsigned k = draw(r) % 8; k > 0; k--)
			arm(r, &r->probes[draw(r) % TIMERS], now + some_span(r));
		for (unsigned k = draw(r) % 4; k > 0; k--)
			disarm(r, &r->probes[draw(r) % TIMERS]);
		next = pbi_wheel_next_ms(&r->wheel);
		r->wrong += next > earliest(r) || next < now;
		r->wrong += (next == UINT64_MAX) != (armed(r) == 0);
		now += some_span(r) >> draw(r) % 16;
		pbi_wheel_run(&r->wheel, now);
		r->wrong += r->wheel.now_ms != now || r->wheel.count != armed(r);
		r->wrong += earliest(r) <= now; /* what is due has fired */
	}
}

static void like_a_list(void)
{
	/* Beginnings near the ends of the levels' spans. */
	static const uint64_t starts[] = { 0, 250, 65530, 16777200, 4294967290u, 1000000007u };

	for (unsigned seed = 0; seed < 60; seed++) {
		rig_init(&rig, seed + 1, starts[seed % 6]);
		steps(&rig, 400);
		CU_ASSERT_EQUAL(rig.wrong, 0);
		CU_ASSERT(rig.fired > 100);
	}
}

static void next_is_exact_at_last(void)
{
	unsigned turns = 0;

	rig_init(&rig, 1, 123456789);
	arm(&rig, &rig.probes[0], 123456789 + ((uint64_t)1 << 31));
	while (!rig.fired && turns++ < 10)
		pbi_wheel_run(&rig.wheel, pbi_wheel_next_ms(&rig.wheel));
	CU_ASSERT(turns <= PBI_WHEEL_LEVELS);
	CU_ASSERT_EQUAL(rig.wheel.now_ms, 123456789 + ((uint64_t)1 << 31));
	CU_ASSERT_EQUAL(rig.wrong, 0);
	CU_ASSERT_EQUAL(pbi_wheel_next_ms(&rig.wheel), UINT64_MAX);
}

/* ---- What a callback may do ------------------------------------------------ */

static unsigned rearmed;

static void rearm(void *arg)
{
	struct probe *p = arg;

	rearmed++;
	p->timer.due_ms = 100; /* the millisecond the run goes to */
	pbi_wheel_add(&p->rig->wheel, &p->timer);
}

static void rearming_ends(void)
{
	rig_init(&rig, 1, 50);
	rearmed = 0;
	rig.probes[0].timer.fn = rearm;
	rig.probes[0].timer.due_ms = 60;
	pbi_wheel_add(&rig.wheel, &rig.probes[0].timer);
	pbi_wheel_run(&rig.wheel, 100);
	CU_ASSERT_EQUAL(rearmed, 2); /* at 60 and at 100, then not before the next run */
	CU_ASSERT_EQUAL(pbi_wheel_next_ms(&rig.wheel), 100);
	pbi_wheel_run(&rig.wheel, 100);
	CU_ASSERT_EQUAL(rearmed, 3);
}

struct heap_owner {
	struct pb_timer timer, other;
};

static void free_owner(void *arg)
{
	struct heap_owner *o = arg;

	pbi_wheel_remove(&rig.wheel, &o->other);
	free(o);
}

static void fired_owner_may_be_freed(void)
{
	struct heap_owner *o = calloc(1, sizeof(*o));

	rig_init(&rig, 1, 0);
	pb_timer_init(&o->timer, free_owner, o);
	pb_timer_init(&o->other, free_owner, o);
	o->timer.due_ms = o->other.due_ms = 300; /* both of one millisecond */
	pbi_wheel_add(&rig.wheel, &o->timer);
	pbi_wheel_add(&rig.wheel, &o->other);
	pbi_wheel_run(&rig.wheel, 1000);
	CU_ASSERT_EQUAL(rig.wheel.count, 0);
	CU_ASSERT_EQUAL(rig.wheel.summary, 0);
}

PB_TESTS("loop/wheel", { "fires like a plain list", like_a_list },
	 { "next time is exact at last", next_is_exact_at_last },
	 { "rearming within a run ends", rearming_ends },
	 { "a fired timer's owner may be freed", fired_owner_may_be_freed })
