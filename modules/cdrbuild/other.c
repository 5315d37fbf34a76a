/*
 * The other leg may be owned by another loop: then a note travels there. Notes
 * from one loop arrive in order.
 */
#include "cdrbuild/other.h"

#include "base/alloc.h"
#include "cdrbuild/leg.h"

static void note_leg(struct cdr_state *st, struct pb_str chan, enum cdr_event ev, uint64_t at_us,
		     struct pb_str status)
{
	struct cdr_leg *leg = cdr_leg_find(st, chan);

	if (!leg)
		return;
	cdr_note(&leg->cdr, ev, at_us, status);
	cdr_leg_changed(leg);
}

/* A note on its way to the loop of the other leg. */
struct note {
	struct pb_work work;
	struct cdr_state *st;
	enum cdr_event ev;
	uint64_t at_us;
	struct pb_str chan, status; /* behind the struct */
};

static void note_arrives(void *arg)
{
	struct note *n = arg;

	note_leg(n->st, n->chan, n->ev, n->at_us, n->status);
	pb_free(n);
}

static void send_note(struct cdr_state *st, struct pb_loop *to, struct pb_str chan,
		      enum cdr_event ev, const struct pb_msg *m)
{
	struct pb_str status = pb_msg_get(m, PB_STR("status"));
	struct note *n = pb_alloc_zero(1, sizeof(*n) + chan.n + status.n + 1);
	char *at = (char *)(n + 1);

	if (!n)
		return;
	memcpy(at, chan.p, chan.n);
	if (status.n)
		memcpy(at + chan.n, status.p, status.n);
	n->chan = pb_str(at, chan.n);
	n->status = pb_str(at + chan.n, status.n);
	n->st = pb_engine_ctx(st->cx, to)->state;
	n->ev = ev;
	n->at_us = pb_msg_time_us(m);
	n->work = (struct pb_work){ .fn = note_arrives, .arg = n };
	pb_loop_post(to, &n->work);
}

void cdr_other_tell(struct cdr_state *st, enum cdr_event ev, const struct pb_msg *m)
{
	struct pb_str chan = pb_msg_get(m, PB_STR("peerid"));
	int owner;

	if (!chan.n)
		chan = pb_msg_get(m, PB_STR("targetid"));
	if (!chan.n)
		return;
	owner = pb_bus_owner_of(st->cx->bus, chan);
	if (owner < 0 || (unsigned)owner == pb_loop_index(st->cx->loop))
		note_leg(st, chan, ev, pb_msg_time_us(m), pb_msg_get(m, PB_STR("status")));
	else
		send_note(st, pb_loops_at(pb_bus_loops(st->cx->bus), (unsigned)owner), chan, ev, m);
}
