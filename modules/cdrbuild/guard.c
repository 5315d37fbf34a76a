/*
 * A list beside the map: all wait equally long, so its first is the first to go
 * and one timer does for all.
 */
#include "cdrbuild/guard.h"

#include "base/alloc.h"

static struct cdr_guard *first(struct cdr_guards *gs)
{
	if (pb_list_empty(&gs->in_order))
		return NULL;
	return pb_container(gs->in_order.next, struct cdr_guard, in_order);
}

static void forget(struct cdr_guards *gs, struct cdr_guard *g)
{
	pb_map_remove(&gs->by_chan, &g->node);
	pb_list_remove(&g->in_order);
	pb_free(g);
}

static void on_timer(void *arg)
{
	struct cdr_guards *gs = arg;
	uint64_t now = pb_loop_now_ms(gs->loop);
	struct cdr_guard *g;

	while ((g = first(gs)) && g->until_ms <= now)
		forget(gs, g);
	if (g)
		pb_timer_start(gs->loop, &gs->timer, g->until_ms - now);
}

void cdr_guards_init(struct cdr_guards *gs, struct pb_loop *l)
{
	gs->loop = l;
	gs->by_chan = (struct pb_map){ 0 };
	pb_list_init(&gs->in_order);
	pb_timer_init(&gs->timer, on_timer, gs);
}

void cdr_guards_fini(struct cdr_guards *gs)
{
	struct cdr_guard *g;

	pb_timer_stop(&gs->timer);
	while ((g = first(gs)))
		forget(gs, g);
	pb_map_fini(&gs->by_chan);
}

struct cdr_guard *cdr_guards_find(struct cdr_guards *gs, struct pb_str chan)
{
	struct pb_map_node *n = pb_map_first(&gs->by_chan, pb_hash(chan));

	for (; n; n = pb_map_next(n)) {
		struct cdr_guard *g = pb_container(n, struct cdr_guard, node);

		if (pb_str_eq(g->chan, chan))
			return g;
	}
	return NULL;
}

void cdr_guards_add(struct cdr_guards *gs, struct pb_str chan, uint64_t hangup_us, bool reported,
		    uint64_t keep_ms)
{
	struct cdr_guard *g = keep_ms ? pb_alloc_zero(1, sizeof(*g) + chan.n + 1) : NULL;

	if (!g)
		return;
	memcpy(g + 1, chan.p, chan.n);
	g->chan = pb_str((char *)(g + 1), chan.n);
	g->until_ms = pb_loop_now_ms(gs->loop) + keep_ms;
	g->hangup_us = hangup_us;
	g->reported = reported;
	if (pb_map_add(&gs->by_chan, &g->node, pb_hash(chan))) {
		pb_free(g);
		return;
	}
	pb_list_push(&gs->in_order, &g->in_order);
	if (!pb_timer_active(&gs->timer))
		pb_timer_start(gs->loop, &gs->timer, keep_ms);
}
