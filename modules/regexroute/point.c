/*
 * Entry points: handlers made from the settings.
 *
 * A point is described by a regex_entry of its own, copied out of the settings
 * that brought it, so it can stay registered over reloads that do not touch it:
 * a message in flight never sees the handler vanish and come back.
 */
#include "regexroute/regexroute.h"

#include <errno.h>

#include "base/alloc.h"

struct point {
	struct pb_list node;
	struct pb_arena *arena;
	struct regex_entry entry;
	bool track, wanted;
	struct pb_reg *reg;
};

static bool filter(void *arg, struct pb_str value)
{
	const struct point *p = arg;

	return pb_pattern_match(p->entry.filter, value, NULL);
}

/* ---- Messages ------------------------------------------------------------------ */

static enum pb_verdict on_preroute(struct pb_msg *m, struct pb_ctx *cx)
{
	const struct regex_settings *s = cx->settings;
	struct pb_str caller = pb_msg_get(m, PB_STR("caller"));

	if (!s->prerouteall && (!caller.n || pb_msg_get(m, PB_STR("context")).n))
		return PB_PASS;
	return regex_walk(m, cx, REGEX_PREROUTE, PB_STR("contexts"), caller);
}

static enum pb_verdict on_route(struct pb_msg *m, struct pb_ctx *cx)
{
	struct pb_str called = pb_msg_get(m, PB_STR("called")),
		      context = pb_msg_get(m, PB_STR("context"));

	if (!called.n)
		return PB_PASS;
	return regex_walk(m, cx, REGEX_ROUTE, context.p ? context : PB_STR("default"), called);
}

static enum pb_verdict on_extra(struct pb_msg *m, struct pb_ctx *cx)
{
	const struct point *p = cx->arg;
	struct pb_str text = p->entry.param.n ? pb_msg_get(m, p->entry.param) : pb_msg_name(m);

	return regex_walk(m, cx, REGEX_EXTRA, p->entry.context, text);
}

/* ---- Registering ----------------------------------------------------------------- */

static void free_point(void *arg)
{
	struct pb_arena *a = ((struct point *)arg)->arena; /* it lies inside */

	pb_arena_free(&a);
}

static void remove_point(struct pb_bus *bus, struct regex_shared *sh, struct point *p)
{
	pb_list_remove(&p->node);
	sh->extra -= p->entry.kind == REGEX_EXTRA;
	pb_bus_remove(bus, &p->reg, free_point, p);
}

/* Contexts of all loops lie in one array by index: that of loop 0 begins it. */
static struct pb_ctx *contexts(const struct pb_ctx *cx)
{
	return pb_engine_ctx(cx, pb_loops_at(pb_bus_loops(cx->bus), 0));
}

static int copy_entry(struct point *p, const struct regex_entry *e)
{
	struct pb_arena *a = p->arena;

	p->entry = (struct regex_entry){
		.kind = e->kind,
		.priority = e->priority,
		.message = pb_arena_str(a, e->message),
		.param = pb_arena_str(a, e->param),
		.context = pb_arena_str(a, e->context),
		.filter_name = pb_arena_str(a, e->filter_name),
		.filter_value = pb_arena_str(a, e->filter_value),
	};
	return e->filter ? pb_pattern_new(e->filter_value, 0, a, &p->entry.filter, NULL) : 0;
}

static int add_point(struct pb_ctx *cx, const struct regex_entry *e, bool track)
{
	static const pb_handle_fn handlers[] = { on_preroute, on_route, on_extra };
	struct regex_shared *sh = cx->shared;
	struct pb_arena *a = pb_arena_new(1u << 20);
	struct point *p = a ? pb_arena_alloc(a, sizeof(*p)) : NULL;
	struct pb_handler_args args = { .place = PB_HERE, .contexts = contexts(cx) };
	int err = -ENOMEM;

	if (!p)
		goto fail;
	p->arena = a;
	p->track = track;
	p->wanted = true;
	err = copy_entry(p, e);
	if (err || pb_arena_failed(a))
		goto fail;
	args.message = p->entry.message;
	args.priority = p->entry.priority;
	args.track = track ? PB_STR("regexroute") : PB_STR_NULL;
	args.fn = handlers[e->kind];
	args.arg = p;
	if (p->entry.filter_name.n) {
		args.filter_name = p->entry.filter_name;
		args.filter_value = p->entry.filter_value;
		args.filter = p->entry.filter ? filter : NULL;
	}
	err = pb_bus_add(cx->bus, &args, NULL, NULL, &p->reg);
	if (err)
		goto fail;
	pb_list_push(&sh->points, &p->node);
	sh->extra += e->kind == REGEX_EXTRA;
	return 0;

fail:
	pb_arena_free(&a);
	return err;
}

static bool is_same(const struct point *p, const struct regex_entry *e, bool track)
{
	const struct regex_entry *h = &p->entry;

	return p->track == track && h->kind == e->kind && h->priority == e->priority &&
	       pb_str_eq(h->message, e->message) && pb_str_eq(h->param, e->param) &&
	       pb_str_eq(h->context, e->context) && pb_str_eq(h->filter_name, e->filter_name) &&
	       pb_str_eq(h->filter_value, e->filter_value);
}

/* Mark one that is there and not yet spoken for. */
static bool keep(struct regex_shared *sh, const struct regex_entry *e, bool track)
{
	pb_list_each(it, &sh->points)
	{
		struct point *p = pb_container(it, struct point, node);

		if (!p->wanted && is_same(p, e, track)) {
			p->wanted = true;
			return true;
		}
	}
	return false;
}

int regex_points_sync(struct pb_ctx *cx)
{
	const struct regex_settings *s = cx->settings;
	struct regex_shared *sh = cx->shared;
	int err = 0;

	pb_list_each(it, &sh->points) pb_container(it, struct point, node)->wanted = false;
	for (size_t i = 0; i < s->entries_n && !err; i++) {
		const struct regex_entry *e = &s->entries[i];

		if (!keep(sh, e, s->trackparam))
			err = add_point(cx, e, s->trackparam);
	}
	pb_list_each_safe(it, &sh->points)
	{
		struct point *p = pb_container(it, struct point, node);

		if (!p->wanted)
			remove_point(cx->bus, sh, p);
	}
	return err;
}

void regex_points_drop(struct pb_ctx *cx)
{
	struct regex_shared *sh = cx->shared;

	pb_list_each_safe(it, &sh->points)
		remove_point(cx->bus, sh, pb_container(it, struct point, node));
}
