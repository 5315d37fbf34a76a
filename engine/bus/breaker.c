/*
 * The breaker: a handler that does not answer in time is not asked for a while.
 *
 * Misses are counted per handler over all loops; so many within the window, and
 * at least half of its calls in that time, and a flag on the handler has every
 * walk pass it by for the pause: one that answers most is worth more than its
 * misses cost. Then one message tries: if it is answered in time the handler is
 * back, else it pauses again.
 *
 *     closed --misses--> open --pause, next message--> trial --in time--> closed
 *                         ^                              |
 *                         +-----------missed-------------+
 *
 * A walk only looks at the flag. What follows from it is rare and is done under
 * the bus's lock: the state belongs to no loop.
 */
#include "bus/bus_impl.h"

static uint64_t now_ms(const struct pbi_bus_loop *pl)
{
	return pb_loop_now_us(pl->loop) / 1000;
}

static void become(struct pb_reg *r, enum pb_breaker state, uint64_t retry_ms)
{
	PBI_PUT(r->breaker.state, state);
	PBI_PUT(r->breaker.retry_ms, retry_ms);
	if (state == PB_BREAKER_CLOSED)
		atomic_fetch_and(&r->care, ~(unsigned)PBI_CARE_BREAKER);
	else
		atomic_fetch_or(&r->care, PBI_CARE_BREAKER);
}

static bool take_trial(struct pbi_bus_loop *pl, struct pb_reg *r)
{
	bool taken;

	pthread_mutex_lock(&pl->bus->lock);
	taken = PBI_GET(r->breaker.state) == PB_BREAKER_OPEN &&
		now_ms(pl) >= PBI_GET(r->breaker.retry_ms);
	if (taken)
		become(r, PB_BREAKER_TRIAL, UINT64_MAX);
	pthread_mutex_unlock(&pl->bus->lock);
	return taken;
}

bool pbi_breaker_lets(struct pb_msg *m, struct pb_reg *r)
{
	struct pbi_bus_loop *pl = m->w.on;

	if (!(PBI_GET(r->care) & PBI_CARE_BREAKER))
		return true;
	if (now_ms(pl) >= PBI_GET(r->breaker.retry_ms) && take_trial(pl, r)) {
		m->w.trial = r;
		m->w.care = true;
		return true;
	}
	PBI_COUNT(pl, passed_by, 1);
	PBI_ADD(pbi_reg_counts(pl, r)->passed_by, 1);
	return false;
}

/* The last misses as a ring: is the oldest of them within the window, and were
 * they half of the calls since then, or more? */
static bool too_many(struct pb_reg *r, uint64_t now)
{
	const struct pb_bus_args *a = &r->bus->args;
	uint64_t calls = pbi_reg_calls(r->bus, r);
	struct pbi_breaker *k = &r->breaker;
	const struct pbi_miss *oldest;

	k->misses[k->next] = (struct pbi_miss){ now, calls };
	k->next = (k->next + 1) % a->breaker_misses;
	k->count += k->count < a->breaker_misses;
	oldest = &k->misses[k->next];
	return k->count == a->breaker_misses && now - oldest->at_ms <= a->breaker_window_ms &&
	       calls - oldest->calls <= 2 * a->breaker_misses;
}

static void tell_open(const struct pb_reg *r)
{
	const struct pb_bus_args *a = &r->bus->args;

	pbi_alarm(r->bus, PBI_BUS_BREAKER_OPEN, "performance",
		  "Handler '%.*s' of '%.*s' missed its time limit %u times within %u s: passed by "
		  "for %u s",
		  PB_STR_F(r->track), PB_STR_F(r->h.message), a->breaker_misses,
		  a->breaker_window_ms / 1000, a->breaker_pause_ms / 1000);
}

void pbi_breaker_missed(struct pbi_bus_loop *pl, struct pb_reg *r)
{
	uint64_t now = now_ms(pl), retry = now + pl->bus->args.breaker_pause_ms;
	bool opens = false;

	pthread_mutex_lock(&pl->bus->lock);
	switch (PBI_GET(r->breaker.state)) {
	case PB_BREAKER_CLOSED:
		opens = too_many(r, now);
		if (opens)
			become(r, PB_BREAKER_OPEN, retry);
		break;
	case PB_BREAKER_TRIAL:
		become(r, PB_BREAKER_OPEN, retry);
		break;
	case PB_BREAKER_OPEN: /* given to it before it was */
		break;
	}
	pthread_mutex_unlock(&pl->bus->lock);
	if (opens)
		tell_open(r);
}

static void end_trial(struct pb_msg *m, enum pb_breaker state)
{
	struct pb_reg *r = m->w.trial;
	bool was;

	m->w.trial = NULL;
	pthread_mutex_lock(&r->bus->lock);
	was = PBI_GET(r->breaker.state) == PB_BREAKER_TRIAL; /* else: missed */
	if (was)
		become(r, state, 0);
	if (was && state == PB_BREAKER_CLOSED)
		r->breaker.count = 0;
	pthread_mutex_unlock(&r->bus->lock);
	if (was && state == PB_BREAKER_CLOSED)
		pbi_alarm(r->bus, PBI_BUS_BREAKER_CLOSED, "performance",
			  "Handler '%.*s' of '%.*s' answers in time again", PB_STR_F(r->track),
			  PB_STR_F(r->h.message));
}

void pbi_breaker_tried(struct pb_msg *m)
{
	end_trial(m, PB_BREAKER_CLOSED);
}

void pbi_breaker_untried(struct pb_msg *m)
{
	end_trial(m, PB_BREAKER_OPEN);
}
