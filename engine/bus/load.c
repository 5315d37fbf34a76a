/*
 * How busy the bus is: messages a second, and congestion. Once a second call
 * loop 0 compares rate, age and length of the queues with their limits; each
 * that is passed raises one shared number, which is for information only:
 * nothing is refused because of it.
 */
#include "bus/bus_impl.h"

static void raise_one(struct pb_bus *b, const char *why)
{
	unsigned before = PBI_GET(b->load.congestion);

	PBI_PUT(b->load.congestion, before + 1);
	if (!before)
		pbi_alarm(b, PBI_BUS_CONGESTED, "performance", "Engine is congested: %s", why);
	else
		pbi_alarm(b, PBI_BUS_EXTRA_CONGESTED, "performance", "Engine extra congestion: %s",
			  why);
}

static void lower_one(struct pb_bus *b)
{
	unsigned now = PBI_GET(b->load.congestion) - 1;

	PBI_PUT(b->load.congestion, now);
	if (!now)
		pbi_alarm(b, PBI_BUS_CONGESTION_ENDED, "performance", "Engine congestion ended");
}

static void judge(struct pb_bus *b, bool *over, uint64_t value, uint64_t limit, const char *why)
{
	bool now = limit && value > limit;

	if (now && !*over)
		raise_one(b, why);
	if (!now && *over)
		lower_one(b);
	*over = now;
}

/* A queue that has not overflowed for a second may tell of the next time. */
static void watch_queues(struct pb_bus *b)
{
	for (unsigned i = 0; i < pb_loops_count(b->loops); i++) {
		struct pbi_bus_loop *pl = &b->on[i];
		uint64_t dropped = PBI_GET(pl->counts.dropped);

		if (dropped == pl->dropped_before)
			atomic_store(&pl->dropping, false);
		pl->dropped_before = dropped;
	}
}

void pb_bus_second(struct pb_bus *b)
{
	struct pbi_load *l = &b->load;
	struct pb_bus_counts c;
	uint64_t rate;

	pb_bus_count(b, &c);
	rate = c.dispatched - l->dispatched;
	l->dispatched = c.dispatched;
	PBI_PUT(l->rate, rate);
	if (rate > PBI_GET(l->rate_max))
		PBI_PUT(l->rate_max, rate);
	watch_queues(b);
	judge(b, &l->over_rate, rate, PBI_GET(l->limit_rate), "message rate over limit");
	judge(b, &l->over_age, c.age_us / 1000, PBI_GET(l->limit_age_ms), "message age over limit");
	judge(b, &l->over_queued, c.queued, PBI_GET(l->limit_queued), "message queue over limit");
}

void pb_bus_set_limits(struct pb_bus *b, const struct pb_bus_limits *l)
{
	PBI_PUT(b->load.limit_rate, l->rate);
	PBI_PUT(b->load.limit_age_ms, l->age_ms);
	PBI_PUT(b->load.limit_queued, l->queued);
}

unsigned pb_bus_congestion(const struct pb_bus *b)
{
	return PBI_GET(b->load.congestion);
}

/* ---- Counters ------------------------------------------------------------------------ */

#define SUM(out, c, what) (out)->what += PBI_GET((c)->what)

static void add_counts(struct pb_bus_counts *out, const struct pbi_counts *c)
{
	uint64_t most = PBI_GET(c->queued_max), age = PBI_GET(c->age_us);

	SUM(out, c, dispatched);
	SUM(out, c, enqueued);
	SUM(out, c, dequeued);
	SUM(out, c, handled);
	SUM(out, c, held);
	SUM(out, c, visits);
	SUM(out, c, expired);
	SUM(out, c, stale);
	SUM(out, c, full);
	SUM(out, c, passed_by);
	SUM(out, c, dropped);
	SUM(out, c, parked);
	SUM(out, c, queued);
	out->queued_max = most > out->queued_max ? most : out->queued_max;
	out->age_us = age > out->age_us ? age : out->age_us;
}

void pb_bus_count(const struct pb_bus *b, struct pb_bus_counts *out)
{
	*out = (struct pb_bus_counts){ .rate = PBI_GET(b->load.rate),
				       .rate_max = PBI_GET(b->load.rate_max) };
	for (unsigned i = 0; i < pb_loops_count(b->loops); i++)
		add_counts(out, &b->on[i].counts);
}

/* A loop that passes its mark in this moment may keep it: then it is true. */
void pb_bus_count_reset(struct pb_bus *b)
{
	PBI_PUT(b->load.rate_max, 0);
	for (unsigned i = 0; i < pb_loops_count(b->loops); i++)
		PBI_PUT(b->on[i].counts.queued_max, PBI_GET(b->on[i].counts.queued));
}
