/*
 * The end of the engine: records that are still open are closed, and engine.halt
 * is held until the last of them has been through all handlers.
 */
#include "base/alloc.h"
#include "cdrbuild/leg.h"

struct halt {
	struct pb_bus *bus;
	struct pb_token token;
	unsigned left;
	bool held;
};

static void halt_step(struct halt *h)
{
	if (--h->left || !h->held)
		return;
	pb_bus_resume(h->bus, h->token, NULL, PB_PASS);
	pb_free(h);
}

static void last_done(struct pb_msg *m, bool handled, void *arg)
{
	(void)handled;
	pb_msg_free(&m);
	halt_step(arg);
}

static void close_leg(struct cdr_leg *leg, struct halt *h)
{
	struct pb_msg *m;

	cdr_set(&leg->cdr, PB_STR("reason"), PB_STR("CDR shutdown"));
	cdr_note(&leg->cdr, CDR_HANGUP, pb_loop_wall_us(leg->st->cx->loop), PB_STR_NULL);
	m = cdr_leg_finish_with(leg);
	if (!m)
		return;
	h->left++;
	pb_bus_dispatch(h->bus, m, NULL, last_done, h);
}

enum pb_verdict cdr_on_halt(struct pb_msg *m, struct pb_ctx *cx)
{
	struct cdr_state *st = cx->state;
	struct halt *h;

	if (pb_list_empty(&st->open))
		return PB_PASS;
	h = pb_alloc_zero(1, sizeof(*h));
	if (!h)
		return PB_PASS;
	h->bus = cx->bus;
	h->left = 1;
	while (!pb_list_empty(&st->open))
		close_leg(pb_container(st->open.next, struct cdr_leg, in_open), h);
	if (--h->left == 0) {
		pb_free(h);
		return PB_PASS;
	}
	h->token = pb_bus_hold(m, &(struct pb_hold){ 0 });
	h->held = true;
	return PB_HOLD;
}
