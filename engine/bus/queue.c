/*
 * The queue of each loop: messages that are dispatched from a turn of their own.
 *
 * What a round of them enqueues in turn waits for the next round, so that timers
 * and packets have their turn between. The queue has a limit: what comes beyond
 * is freed and counted, and told of once until it has fitted for a second. A
 * message on its way from another thread counts for the loop's mailbox, so that
 * neither can grow without bound.
 */
#include "bus/flight_impl.h"

/* Ages of a minute and more say that a clock was set, or a message used again. */
#define AGE_TOO_OLD_US 60000000u

static void count_age(struct pbi_bus_loop *pl, const struct pb_msg *m)
{
	uint64_t now = pb_loop_wall_us(pl->loop), age = now > m->b.time_us ? now - m->b.time_us : 0;

	PBI_COUNT(pl, dequeued, 1);
	PBI_COUNT(pl, queued, -1ull);
	if (age < AGE_TOO_OLD_US)
		PBI_PUT(pl->counts.age_us, (3 * PBI_GET(pl->counts.age_us) + age) / 4);
}

static void drain(void *arg)
{
	struct pbi_bus_loop *pl = arg;
	struct pb_msg *m = pl->head;

	pl->draining = false;
	pl->head = NULL;
	pl->tail = &pl->head;
	while (m) {
		struct pb_msg *next = m->next;

		m->next = NULL;
		m->w.state = PBI_IDLE;
		m->w.visit = NULL;
		count_age(pl, m);
		pbi_walk_begin(pl, m);
		m = next;
	}
}

/* Any thread. */
static bool overflow(struct pbi_bus_loop *pl, struct pb_msg *m)
{
	atomic_fetch_add_explicit(&pl->counts.dropped, 1, memory_order_relaxed);
	if (!atomic_exchange(&pl->dropping, true))
		pbi_alarm(pl->bus, PBI_BUS_DROPPED, "performance",
			  "Loop %u has %u messages queued: '%.*s' and others are dropped",
			  pl->index, pl->bus->args.queued_max, PB_STR_F(m->b.name));
	pb_msg_free(&m);
	return false;
}

static bool queue(struct pbi_bus_loop *pl, struct pb_msg *m)
{
	uint64_t now = PBI_GET(pl->counts.queued) + 1;

	if (now > pl->bus->args.queued_max)
		return overflow(pl, m);
	PBI_COUNT(pl, enqueued, 1);
	PBI_PUT(pl->counts.queued, now);
	if (now > PBI_GET(pl->counts.queued_max))
		PBI_PUT(pl->counts.queued_max, now);
	pbi_flight_inherit(m, pl->running);
	m->next = NULL;
	*pl->tail = m;
	pl->tail = &m->next;
	if (pl->draining)
		return true;
	pl->draining = true;
	pl->drain = (struct pb_work){ .fn = drain, .arg = pl };
	pb_loop_defer(pl->loop, &pl->drain);
	return true;
}

static void queue_arrives(void *arg)
{
	struct pb_msg *m = arg;

	pbi_arrived(m->w.on);
	queue(m->w.on, m);
}

bool pb_bus_enqueue_to(struct pb_bus *b, struct pb_loop *l, struct pb_msg *m)
{
	struct pbi_bus_loop *pl = pbi_on(b, l);

	if (m->w.state != PBI_IDLE)
		return false;
	m->w.state = PBI_QUEUED;
	m->w.done = NULL;
	m->b.deadline_us = 0;
	if (PBI_GET(b->timing) & PBI_TIME_MESSAGES)
		m->b.enqueued_us = pbi_wall_us();
	if (pb_loop_is_mine(l))
		return queue(pl, m);
	if (PBI_GET(pl->counts.queued) + PBI_GET(pl->under_way) >= b->args.queued_max)
		return overflow(pl, m);
	m->w.on = pl;
	pbi_post(pl, &m->w.work, queue_arrives, m);
	return true;
}

bool pb_bus_enqueue(struct pb_bus *b, struct pb_msg *m)
{
	struct pb_loop *l = pb_loop_current();
	bool mine = l && pb_loop_set(l) == b->loops && pb_loop_index(l) < pb_loops_calls(b->loops);

	return pb_bus_enqueue_to(b, mine ? l : pb_loops_at(b->loops, 0), m);
}
