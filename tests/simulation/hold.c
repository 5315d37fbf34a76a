/*
 * Held messages: a timer answers them, here or from another loop, sometimes too
 * late: the call has ended, or the limit of the hold has passed. That answer is
 * stale and must do nothing.
 */
#include "calls.h"

#include <stdlib.h>

struct held {
	struct pb_list node;
	struct pb_timer timer;
	struct pb_work work;
	struct pb_bus *bus;
	struct pb_token token;
	char retval[64];
	bool elsewhere;
};

static struct pb_list all = { &all, &all };

static void let_go(struct held *h)
{
	pb_list_remove(&h->node);
	free(h);
}

void witness_let_go(void)
{
	while (!pb_list_empty(&all))
		let_go(pb_container(all.next, struct held, node));
}

static void resume(void *arg)
{
	struct held *h = arg;
	struct pb_patch *p = pb_patch_new();

	pb_patch_retval(p, pb_str_z(h->retval));
	pb_bus_resume(h->bus, h->token, p, PB_HANDLED);
	let_go(h);
}

static void on_timer(void *arg)
{
	struct held *h = arg;

	if (!h->elsewhere) {
		resume(h);
		return;
	}
	h->work = (struct pb_work){ .fn = resume, .arg = h };
	pb_loop_post(site.phones, &h->work);
}

enum pb_verdict witness_hold(struct pb_msg *m, struct pb_ctx *cx, struct span s,
			     struct pb_str retval)
{
	struct held *h = calloc(1, sizeof(*h));

	if (!h)
		abort();
	pb_list_push(&all, &h->node);
	h->bus = cx->bus;
	h->token = pb_bus_hold(m, &(struct pb_hold){ 0 });
	h->elsewhere = h->token.slot % 2;
	snprintf(h->retval, sizeof(h->retval), "%.*s", PB_STR_F(retval));
	pb_timer_init(&h->timer, on_timer, h);
	pb_timer_start(cx->loop, &h->timer, site_draw_ms(s.from, s.span));
	return PB_HOLD;
}
