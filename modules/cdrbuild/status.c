/* The module's line of status: an item for each leg. */
#include "base/text.h"
#include "cdrbuild/leg.h"

static void status_leg(struct pb_status *s, const struct cdr_leg *leg, struct pb_arena *a)
{
	const struct cdr *r = &leg->cdr;
	uint64_t us = cdr_duration_us(r, pb_loop_wall_us(leg->st->cx->loop));

	pb_status_item(s, r->chan, "%.*s|%.*s|%.*s|%.*s|%llu", PB_STR_F(pb_percent(a, r->status)),
		       PB_STR_F(pb_percent(a, cdr_get(r, PB_STR("caller")))),
		       PB_STR_F(pb_percent(a, cdr_get(r, PB_STR("called")))),
		       PB_STR_F(pb_percent(a, cdr_get(r, PB_STR("billid")))),
		       (unsigned long long)(us / 1000000));
}

void cdr_status(struct pb_ctx *cx, struct pb_status *s)
{
	struct cdr_state *st = cx->state;
	struct pb_arena *a;

	pb_status_count(s, "cdrs", (int64_t)st->records.count);
	pb_status_count(s, "hungup", (int64_t)st->guards.by_chan.count);
	a = pb_status_details(s) ? pb_arena_new(1u << 20) : NULL;
	if (!a)
		return;
	pb_list_each (it, &st->open)
		status_leg(s, pb_container(it, struct cdr_leg, in_open), a);
	pb_arena_free(&a);
}
