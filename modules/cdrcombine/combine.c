/*
 * A leg is found by its channel and not by the billid of its last record, since
 * that may change while the leg lives; a call whose legs went elsewhere would
 * never end.
 */
#include "cdrcombine/combine.h"

#include "base/alloc.h"

void combines_init(struct combines *cs)
{
	*cs = (struct combines){ .track = PB_STR("handlers") };
	pb_list_init(&cs->in_order);
}

/* ---- Making and forgetting ------------------------------------------------------------ */

static struct pb_str put_text(char **at, struct pb_str s)
{
	struct pb_str copy = pb_str(*at, s.n);

	if (s.n)
		memcpy(*at, s.p, s.n);
	*at += s.n;
	return copy;
}

static void leg_free(struct combines *cs, struct combine_leg *leg)
{
	if (pb_list_linked(&leg->node)) {
		pb_list_remove(&leg->node);
		pb_map_remove(&cs->by_chan, &leg->by_chan);
	}
	pb_msg_free(&leg->last);
	pb_free(leg);
}

static void call_free(struct combines *cs, struct combine *c)
{
	while (!pb_list_empty(&c->legs))
		leg_free(cs, pb_container(c->legs.next, struct combine_leg, node));
	pb_list_remove(&c->in_order);
	pb_map_remove(&cs->by_billid, &c->by_billid);
	pb_free(c);
}

void combines_fini(struct combines *cs)
{
	while (cs->in_order.next && !pb_list_empty(&cs->in_order))
		call_free(cs, pb_container(cs->in_order.next, struct combine, in_order));
	pb_map_fini(&cs->by_billid);
	pb_map_fini(&cs->by_chan);
}

static struct combine *call_new(struct combines *cs, struct pb_str billid)
{
	struct combine *c = pb_alloc_zero(1, sizeof(*c) + billid.n);
	char *at = (char *)(c + 1);

	if (!c)
		return NULL;
	pb_list_init(&c->legs);
	c->billid = put_text(&at, billid);
	if (pb_map_add(&cs->by_billid, &c->by_billid, pb_hash(billid))) {
		pb_free(c);
		return NULL;
	}
	pb_list_push(&cs->in_order, &c->in_order);
	return c;
}

static struct combine_leg *leg_new(struct combines *cs, struct combine *c, const struct pb_msg *m)
{
	struct pb_str chan = pb_msg_get(m, PB_STR("chan")),
		      caller = pb_msg_get(m, PB_STR("caller")),
		      called = pb_msg_get(m, PB_STR("called")),
		      address = pb_msg_get(m, PB_STR("address"));
	size_t texts = chan.n + caller.n + called.n + address.n;
	struct combine_leg *leg = pb_alloc_zero(1, sizeof(*leg) + texts);
	char *at = (char *)(leg + 1);

	if (!leg || pb_map_add(&cs->by_chan, &leg->by_chan, pb_hash(chan))) {
		pb_free(leg);
		return NULL;
	}
	leg->of = c;
	leg->chan = put_text(&at, chan);
	leg->caller = put_text(&at, caller);
	leg->called = put_text(&at, called);
	leg->address = put_text(&at, address);
	leg->incoming = pb_str_eq(pb_msg_get(m, PB_STR("direction")), PB_STR("incoming"));
	pb_list_push(&c->legs, &leg->node);
	c->count++;
	c->open++;
	return leg;
}

/* ---- Finding ---------------------------------------------------------------------------- */

static struct combine *find_call(const struct combines *cs, struct pb_str billid)
{
	struct pb_map_node *n = pb_map_first(&cs->by_billid, pb_hash(billid));

	for (; n; n = pb_map_next(n)) {
		struct combine *c = pb_container(n, struct combine, by_billid);

		if (pb_str_eq(c->billid, billid))
			return c;
	}
	return NULL;
}

/* The leg of that channel that is not over. */
static struct combine_leg *find_leg(const struct combines *cs, struct pb_str chan)
{
	struct pb_map_node *n = pb_map_first(&cs->by_chan, pb_hash(chan));

	for (; n; n = pb_map_next(n)) {
		struct combine_leg *leg = pb_container(n, struct combine_leg, by_chan);

		if (!leg->last && pb_str_eq(leg->chan, chan))
			return leg;
	}
	return NULL;
}

const struct combine_leg *combine_main(const struct combine *c)
{
	pb_list_each (it, &c->legs) {
		const struct combine_leg *leg = pb_container(it, struct combine_leg, node);

		if (leg->incoming)
			return leg;
	}
	return pb_container(c->legs.next, struct combine_leg, node);
}

/* ---- The record ------------------------------------------------------------------------- */

static bool is_in(const struct pb_str *list, size_t n, struct pb_str name)
{
	for (size_t i = 0; i < n; i++)
		if (pb_str_eq(list[i], name))
			return true;
	return false;
}

/* What is of the record and not of the leg; the last four are told once. */
static bool is_copied(const struct combines *cs, struct pb_str name, bool is_main)
{
	static const struct pb_str left_out[] = {
		PB_STR_INIT("operation"), PB_STR_INIT("direction"),  PB_STR_INIT("billid"),
		PB_STR_INIT("cdrtrack"),  PB_STR_INIT("cdrcreate"),  PB_STR_INIT("cdrid"),
		PB_STR_INIT("nodename"),  PB_STR_INIT("nodeprefix"), PB_STR_INIT("cdrwrite"),
		PB_STR_INIT("runid"),
	};
	size_t n = sizeof(left_out) / sizeof(left_out[0]);

	return !is_in(left_out, is_main ? n - 4 : n, name) &&
	       !(cs->track.n && pb_str_eq(name, cs->track));
}

static void add_leg(const struct combines *cs, struct pb_msg *to, const struct combine_leg *leg,
		    struct pb_str prefix)
{
	for (size_t i = 0; i < pb_msg_count(leg->last); i++) {
		const struct pb_param *p = pb_msg_at(leg->last, i);

		if (is_copied(cs, p->name, !prefix.n))
			pb_msg_add(to,
				   pb_arena_printf(pb_msg_arena(to), "%.*s%.*s", PB_STR_F(prefix),
						   PB_STR_F(p->name)),
				   p->value);
	}
}

/* Newest first: "out_leg.", "out_leg.1.", "out_leg.2." ... */
static void add_out_legs(const struct combines *cs, struct pb_msg *to, const struct combine *c)
{
	const struct combine_leg *first = combine_main(c);
	unsigned n = 0;

	for (const struct pb_list *it = c->legs.prev; it != &c->legs; it = it->prev) {
		const struct combine_leg *leg = pb_container(it, struct combine_leg, node);
		struct pb_str prefix = PB_STR("out_leg.");

		if (leg == first)
			continue;
		if (n++)
			prefix = pb_arena_printf(pb_msg_arena(to), "out_leg.%u.", n - 1);
		add_leg(cs, to, leg, prefix);
	}
}

static struct pb_msg *make_record(const struct combines *cs, const struct combine *c)
{
	struct pb_msg *m = pb_msg_new(PB_STR("call.cdr"));

	if (!m)
		return NULL;
	pb_msg_set_broadcast(m, true);
	pb_msg_add(m, PB_STR("operation"), PB_STR("combined"));
	pb_msg_add(m, PB_STR("billid"), c->billid);
	add_leg(cs, m, combine_main(c), PB_STR(""));
	add_out_legs(cs, m, c);
	return m;
}

/* ---- Events ------------------------------------------------------------------------------- */

enum combine_result combine_begin(struct combines *cs, const struct pb_msg *m)
{
	struct pb_str billid = pb_msg_get(m, PB_STR("billid"));
	struct combine *c;

	if (!billid.n || find_leg(cs, pb_msg_get(m, PB_STR("chan"))))
		return COMBINE_TAKEN;
	c = find_call(cs, billid);
	if (c && c->count >= COMBINE_LEGS_MAX)
		return COMBINE_FULL;
	if (!c)
		c = call_new(cs, billid);
	if (!c)
		return COMBINE_NO_MEMORY;
	if (leg_new(cs, c, m))
		return COMBINE_TAKEN;
	if (!c->count)
		call_free(cs, c);
	return COMBINE_NO_MEMORY;
}

/* A leg that began without a billid may have found its call since. */
static enum combine_result late_leg(struct combines *cs, const struct pb_msg *m,
				    struct combine_leg **out)
{
	struct combine *c = find_call(cs, pb_msg_get(m, PB_STR("billid")));

	if (!c)
		return COMBINE_UNKNOWN;
	if (c->count >= COMBINE_LEGS_MAX)
		return COMBINE_FULL;
	*out = leg_new(cs, c, m);
	return *out ? COMBINE_TAKEN : COMBINE_NO_MEMORY;
}

/* What is left of the call when a leg is over, or lost. */
static enum combine_result close_leg(struct combines *cs, struct combine *c, struct pb_msg **out)
{
	if (--c->open)
		return COMBINE_TAKEN;
	*out = c->count ? make_record(cs, c) : NULL;
	call_free(cs, c);
	return *out ? COMBINE_OVER : COMBINE_NO_MEMORY;
}

enum combine_result combine_end(struct combines *cs, const struct pb_msg *m, struct pb_msg **out)
{
	struct combine_leg *leg = find_leg(cs, pb_msg_get(m, PB_STR("chan")));
	enum combine_result r = leg ? COMBINE_TAKEN : late_leg(cs, m, &leg), closed;
	struct combine *c;

	*out = NULL;
	if (r != COMBINE_TAKEN)
		return r;
	c = leg->of;
	leg->last = pb_msg_copy(m);
	if (leg->last)
		return close_leg(cs, c, out);
	leg_free(cs, leg);
	c->count--;
	closed = close_leg(cs, c, out);
	return closed == COMBINE_OVER ? closed : COMBINE_NO_MEMORY;
}
