/*
 * Dispatching: who asks, and gives up. A script loop owns no calls: what it
 * asks is walked on a call loop, and the answer brought back.
 */
#include "bus/flight_impl.h"

#include "bus/names.h"

/* ---- From a script loop ---------------------------------------------------------- */

static void back_home(void *arg)
{
	struct pb_msg *m = arg;

	pbi_arrived(m->w.on);
	m->w.done(m, m->w.handled, m->w.arg);
}

static void ended_for_script(struct pb_msg *m, bool handled, void *arg)
{
	struct pb_loop *home = m->w.back;

	m->w.back = NULL;
	m->w.handled = handled;
	/* the script's own completion, kept in the work */
	m->w.done = (pb_done_fn)(uintptr_t)m->w.work.fn;
	m->w.arg = m->w.work.arg;
	if (!m->w.done) {
		pb_msg_free(&m);
		return;
	}
	(void)arg;
	m->w.on = pbi_on(m->w.on->bus, home);
	pbi_post(m->w.on, &m->w.work, back_home, m);
}

static void arrives_for_script(void *arg)
{
	struct pb_msg *m = arg;
	struct pbi_bus_loop *pl = m->w.on;
	pb_done_fn done = m->w.done;
	void *done_arg = m->w.arg;

	pbi_arrived(pl);
	m->w.work.fn = (void (*)(void *))(uintptr_t)done;
	m->w.work.arg = done_arg;
	m->w.done = ended_for_script;
	m->w.arg = NULL;
	m->w.state = PBI_IDLE;
	pbi_walk_begin(pl, m);
}

static void dispatch_elsewhere(struct pb_bus *b, struct pb_msg *m)
{
	struct pb_loop *here = pb_loop_current();
	int at = pb_handle_is_set(m->b.chan) ? m->b.chan.loop
					     : pb_bus_owner_of(b, pb_msg_get(m, PB_STR("id")));
	unsigned calls = pb_loops_calls(b->loops);
	struct pbi_bus_loop *from = pbi_on(b, here);
	uint64_t lent = from->running ? from->running->b.deadline_us : 0;

	pb_assert(m->w.state == PBI_IDLE);
	pbi_flight_inherit(m, from->running);
	if (at < 0 && m->b.flight.gen)
		at = m->b.flight.loop;
	if (at < 0 || (unsigned)at >= calls)
		at = (int)(PBI_GET(from->counts.dispatched) % calls);
	PBI_COUNT(from, dispatched, 1);
	if (lent && (!m->b.deadline_us || lent < m->b.deadline_us))
		m->b.deadline_us = lent;
	m->w.state = PBI_QUEUED;
	m->w.back = here;
	m->w.on = &b->on[at];
	pbi_post(m->w.on, &m->w.work, arrives_for_script, m);
}

/* ---- Dispatch ---------------------------------------------------------------------- */

void pb_bus_dispatch(struct pb_bus *b, struct pb_msg *m, struct pb_questions *q, pb_done_fn done,
		     void *arg)
{
	struct pb_loop *l = pb_loop_current();
	struct pbi_bus_loop *pl;

	pb_assert(l != NULL);
	pl = pbi_on(b, l);
	pb_assert(pl->loop == l); /* else: of another engine's loops */
	m->w.done = done;
	m->w.arg = arg;
	m->w.visit = NULL;
	if (pl->script) {
		pb_assert(!q); /* bus.h: questions are for call loops */
		dispatch_elsewhere(b, m);
		return;
	}
	if (q) {
		m->w.notice = pb_name_is_notice(m->b.name);
		pb_list_push(&q->list, &m->w.asked);
	}
	pbi_walk_begin(pl, m);
}

/* ---- Questions ----------------------------------------------------------------------- */

void pb_questions_init(struct pb_questions *q)
{
	pb_list_init(&q->list);
}

void pb_questions_cancel(struct pb_questions *q)
{
	struct pb_list *n;

	while ((n = pb_list_pop(&q->list))) {
		struct pb_msg *m = pb_container(n, struct pb_msg, w.asked);

		pb_assert(pb_loop_is_mine(m->w.on->loop));
		if (m->w.notice) { /* walked to its end, with nobody to be told */
			m->w.done = NULL;
			continue;
		}
		m->w.cancelled = true;
		if (m->w.state != PBI_PARKED)
			continue; /* its handler is on the stack: the walk ends there */
		if (m->w.slot)
			pbi_slot_give_up(m->w.slot);
		pbi_walk_end(m);
	}
}
