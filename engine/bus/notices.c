/*
 * A line of notices: the next is dispatched when the one before has been walked
 * to its end. That costs nothing when nobody holds: what was in line when a turn
 * began is walked in that turn.
 */
#include "bus/bus_impl.h"

#include "base/alloc.h"

#define LINE_MAX_MSGS 1000

struct pb_notices {
	struct pb_bus *bus;
	struct pb_loop *loop;
	struct pb_msg *head, **tail;
	unsigned refs, count; /* count: in line */
	bool busy, scheduled, sending;
	struct pb_work next;
};

struct pb_notices *pb_notices_new(struct pb_bus *b)
{
	struct pb_notices *n = pb_alloc_zero(1, sizeof(*n));

	if (!n)
		return NULL;
	n->bus = b;
	n->loop = pb_loop_current();
	n->tail = &n->head;
	n->refs = 1;
	return n;
}

void pb_notices_ref(struct pb_notices *n)
{
	n->refs++;
}

static void maybe_free(struct pb_notices *n)
{
	if (!n->refs && !n->head && !n->busy && !n->scheduled && !n->sending)
		pb_free(n);
}

void pb_notices_unref(struct pb_notices **np)
{
	struct pb_notices *n = *np;

	if (!n)
		return;
	*np = NULL;
	pb_assert(pb_loop_is_mine(n->loop) && n->refs);
	n->refs--;
	maybe_free(n);
}

static void schedule(struct pb_notices *n);

static void one_done(struct pb_msg *m, bool handled, void *arg)
{
	struct pb_notices *n = arg;

	n->busy = false;
	n->refs++; /* what is called may let go of the line */
	if (m->w.noticed)
		m->w.noticed(m, handled, m->w.noticed_arg);
	else
		pb_msg_free(&m);
	n->refs--;
	if (n->head)
		schedule(n);
	else
		maybe_free(n);
}

static void send_first(struct pb_notices *n)
{
	struct pb_msg *m = n->head;

	n->count--;
	n->head = m->next;
	if (!n->head)
		n->tail = &n->head;
	m->next = NULL;
	n->busy = true;
	m->w.state = PBI_IDLE;
	pb_bus_dispatch(n->bus, m, NULL, one_done, n);
}

/* As many as there are now; what these add waits for the next turn. */
static void send_next(void *arg)
{
	struct pb_notices *n = arg;
	unsigned left = n->count;

	n->scheduled = false;
	n->sending = true;
	while (left-- && n->head && !n->busy)
		send_first(n);
	n->sending = false;
	if (n->head)
		schedule(n);
	else
		maybe_free(n);
}

static void schedule(struct pb_notices *n)
{
	if (n->scheduled || n->busy || n->sending)
		return;
	n->scheduled = true;
	n->next = (struct pb_work){ .fn = send_next, .arg = n };
	pb_loop_defer(n->loop, &n->next);
}

void pb_notices_add(struct pb_notices *n, struct pb_msg *m)
{
	pb_notices_add_done(n, m, NULL, NULL);
}

void pb_notices_add_done(struct pb_notices *n, struct pb_msg *m, pb_done_fn done, void *arg)
{
	pb_assert(pb_loop_is_mine(n->loop) && m->w.state == PBI_IDLE);
	if (n->count >= LINE_MAX_MSGS &&
	    !done) { /* somebody holds the first, and they go on coming */
		atomic_fetch_add_explicit(&pbi_on(n->bus, n->loop)->counts.dropped, 1,
					  memory_order_relaxed);
		pb_msg_free(&m);
		return;
	}
	m->w.state = PBI_QUEUED;
	m->b.deadline_us = 0;
	m->w.noticed = done;
	m->w.noticed_arg = arg;
	m->next = NULL;
	*n->tail = m;
	n->tail = &m->next;
	n->count++;
	schedule(n);
}
