/*
 * The walk of a message over its handlers.
 *
 * It is a driver of steps over a ready list: select the next handler, call it
 * where it wants to run, act on its verdict. A step that holds leaves the
 * driver; resuming enters it again. Everything a walk touches belongs to its
 * loop, so nothing is locked.
 *
 * Each thing that can happen to a walk has one place: pbi_walk_begin,
 * pbi_answered (a handler has spoken, at once or later), pbi_slot_take and
 * pbi_slot_resume (parked, and on again), pbi_walk_end.
 */
#include "bus/flight_impl.h"

/* ---- Contexts ------------------------------------------------------------------- */

/* A module's handlers have theirs ready; others get one made in `own`. */
static struct pb_ctx *ctx_make(const struct pb_reg *r, struct pbi_bus_loop *pl, struct pb_ctx *own)
{
	struct pb_ctx *many = r->is_hook ? r->hook.contexts : r->h.contexts;
	void *arg = r->is_hook ? r->hook.arg : r->h.arg;

	*own = many ? many[pl->index] : (struct pb_ctx){ .bus = pl->bus, .loop = pl->loop };
	own->arg = arg;
	return own;
}

static inline struct pb_ctx *ctx_of(const struct pb_reg *r, struct pbi_bus_loop *pl,
				    struct pb_ctx *own)
{
	if (__builtin_expect(r->ready != NULL, 1))
		return (struct pb_ctx *)((char *)r->ready + pl->ctx_bytes);
	return ctx_make(r, pl, own);
}

/* ---- Begin and end ------------------------------------------------------------------ */

/* What the statistics and the watchdog call it. */
static inline void name_labels(struct pbi_bus_loop *pl, struct pb_msg *m)
{
	const struct pbi_list *l = m->w.list;

	m->w.stat = l->stat;
	m->w.label = l->label;
	if (__builtin_expect(l->stat == PBI_STAT_ASK, 0)) {
		m->w.stat = pbi_stat_of(pl->bus, m->b.name);
		m->w.label = pl->bus->name_labels[m->w.stat];
	}
}

/* The first of each name are timed, then one of some dozens; all of them when
 * somebody wants to know. */
static inline void count_begin(struct pbi_bus_loop *pl, struct pb_msg *m)
{
	struct pbi_msg_count *c = &pl->msgs[m->w.stat];
	uint64_t n = PBI_GET(c->count) + 1;

	PBI_PUT(c->count, n);
	m->w.sampled = --pl->sample_in == 0 || n <= 32;
	if (!pl->sample_in)
		pl->sample_in = pbi_sample_next(pl);
}

/* What is dispatched inside a handler ends before whoever waits for it. One that
 * holds waits no longer than its hold; a little earlier, so that it can act on
 * the outcome. */
#define LEND_MARGIN_US 20000

static uint64_t lent_until(const struct pbi_bus_loop *pl, const struct pb_msg *outer)
{
	const struct pbi_slot *s = outer->w.slot;
	uint64_t now = pb_loop_now_us(pl->loop), due, left;

	if (!s || !pb_timer_active(&s->limit))
		return outer->b.deadline_us;
	due = s->limit.due_ms * 1000;
	left = due > now ? due - now : 0;
	return due - (left / 8 < LEND_MARGIN_US ? left / 8 : LEND_MARGIN_US);
}

void pbi_walk_begin(struct pbi_bus_loop *pl, struct pb_msg *m)
{
	struct pbi_walk *w = &m->w;
	unsigned timing = PBI_GET(pl->bus->timing);
	uint64_t latest = pb_loop_now_us(pl->loop) + (uint64_t)pl->bus->args.message_ms * 1000;

	pb_assert(w->state == PBI_IDLE);
	w->on = pl;
	w->handled = w->cancelled = w->hold_refused = w->sampled = false;
	w->slot = NULL;
	w->trial = NULL;
	w->table = pl->table;
	w->table->walks++;
	w->list = pbi_table_find(w->table->table, m->b.name);
	w->renamed = m->b.renamed;
	w->pos = 0;
	if (!m->b.deadline_us || m->b.deadline_us > latest)
		m->b.deadline_us = latest;
	if (pl->running) {
		uint64_t until = lent_until(pl, pl->running);

		if (until < m->b.deadline_us)
			m->b.deadline_us = until;
		pbi_flight_inherit(m, pl->running);
	}
	name_labels(pl, m);
	PBI_COUNT(pl, dispatched, 1);
	if (!pl->bus->args.bare)
		count_begin(pl, m);
	w->timed = w->care = false;
	if (__builtin_expect(w->sampled || timing, 0))
		pbi_timing_begin(m);
	if (pbi_is_recorded(m))
		pbi_flight_walk_start(m);
	pbi_walk(m);
}

static void run_hooks(struct pb_msg *m, const struct pbi_table *t)
{
	struct pb_ctx own;

	for (uint32_t i = 0; i < t->hook_count; i++) {
		struct pb_reg *r = t->hooks[i];

		if (pbi_reg_dead(r) ||
		    (r->hook.message.p && !pb_str_eq(r->hook.message, m->b.name)))
			continue;
		if (pbi_filter_passes(&r->filter, m))
			r->hook.fn(m, m->w.handled, ctx_of(r, m->w.on, &own));
	}
}

void pbi_walk_end(struct pb_msg *m)
{
	struct pbi_bus_loop *pl = m->w.on;
	struct pbi_table_ref *tr = m->w.table;

	if (__builtin_expect(m->w.timed, 0))
		pbi_timing_end(m);
	if (pbi_is_recorded(m))
		pbi_flight_walk_end(m);
	if (__builtin_expect(m->w.trial != NULL, 0))
		pbi_breaker_untried(m);
	if (tr->table->hook_count && !m->w.cancelled)
		run_hooks(m, tr->table);
	if (--tr->walks == 0 && !tr->current)
		pbi_table_ref_release(tr);
	pb_list_remove(&m->w.asked);
	m->w.state = PBI_IDLE;
	m->w.table = NULL;
	m->w.list = NULL;
	m->b.deadline_us = 0; /* used again, it has its whole time again */
	if (m->w.handled) {
		PBI_COUNT(pl, handled, 1);
		PBI_ADD(pl->msgs[m->w.stat].handled, 1);
	}
	if (m->w.cancelled || !m->w.done)
		pb_msg_free(&m);
	else
		m->w.done(m, m->w.handled, m->w.arg);
}

/* The name has changed: go on among its handlers, behind the position of the
 * one that has just run. The statistics keep the name it began with. */
static void walk_relist(struct pb_msg *m)
{
	struct pbi_walk *w = &m->w;
	const struct pbi_entry *last = w->pos ? &w->list->entries[w->pos - 1] : NULL;
	uint32_t lo = 0, hi;

	w->list = pbi_table_find(w->table->table, m->b.name);
	w->renamed = m->b.renamed;
	hi = last ? w->list->count : 0;
	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;
		const struct pbi_entry *e = &w->list->entries[mid];

		if (e->priority < last->priority ||
		    (e->priority == last->priority && e->seq <= last->seq))
			lo = mid + 1;
		else
			hi = mid;
	}
	w->pos = lo;
	w->label = w->list->label;
	if (w->list->stat == PBI_STAT_ASK)
		w->label = w->on->bus->name_labels[pbi_stat_of(w->on->bus, m->b.name)];
}

/* ---- Where -------------------------------------------------------------------------- */

static bool owned_by(const struct pb_reg *r, struct pb_str id)
{
	return id.n && (!r->h.owner_prefix.n || pb_str_starts(id, r->h.owner_prefix));
}

/* Which loop an OWNER handler runs on: -1 when no parameter names a channel,
 * in which case it is called here and may look for itself. */
static int owner_index(const struct pb_reg *r, const struct pb_msg *m)
{
	struct pb_str id = pb_msg_get(m, r->h.owner_param);

	if (!owned_by(r, id) && r->h.owner_else.n)
		id = pb_msg_get(m, r->h.owner_else);
	return owned_by(r, id) ? pb_bus_owner_of(r->bus, id) : -1;
}

enum where { RUN_HERE, RUN_AWAY, RUN_GATHER };

static enum where choose_place(const struct pb_reg *r, const struct pb_msg *m, unsigned *index)
{
	const struct pbi_bus_loop *pl = m->w.on;
	int at;

	switch (r->h.place) {
	case PB_HERE:
		return RUN_HERE;
	case PB_HOME:
		*index = pb_loop_index(r->h.home);
		return *index == pl->index ? RUN_HERE : RUN_AWAY;
	case PB_OWNER:
		at = owner_index(r, m);
		*index = at < 0 ? pl->index : (unsigned)at;
		return *index == pl->index ? RUN_HERE : RUN_AWAY;
	case PB_EACH:
		return RUN_GATHER;
	}
	return RUN_HERE;
}

/* ---- One handler ---------------------------------------------------------------------- */

static inline enum pb_verdict call_here(struct pb_msg *m, struct pb_reg *r, struct pbi_bus_loop *pl)
{
	struct pb_ctx own;

	pl->calls += (uint64_t)1 << 32;
	PBI_PUT(pl->doing, pl->calls | (uint32_t)m->w.label << 16 | r->label);
	return r->fn(m, ctx_of(r, pl, &own));
}

/* After a handler that ran here: is the message parked now? */
static bool settle(struct pb_msg *m, enum pb_verdict *v)
{
	struct pbi_slot *s = m->w.slot;

	if (!s && *v == PB_HOLD) {
		pb_assert(m->w.hold_refused); /* else: PB_HOLD without pb_bus_hold */
		m->w.hold_refused = false;
		*v = PB_PASS;
	}
	if (!s)
		return false;
	s->handler_running = false;
	if (*v == PB_HOLD && !s->resumed && !m->w.cancelled) {
		m->w.state = PBI_PARKED;
		return true;
	}
	if (*v == PB_HOLD && !s->resumed) { /* given up within the handler */
		pbi_slot_give_up(s);
		*v = PB_PASS;
		return false;
	}
	if (s->resumed && *v == PB_HOLD) {
		*v = s->verdict;
		pbi_patch_apply(s->patch, m);
	}
	pbi_slot_free(s);
	return false;
}

static inline bool call_and_settle(struct pb_msg *m, struct pb_reg *r, struct pbi_bus_loop *pl,
				   enum pb_verdict *v)
{
	*v = call_here(m, r, pl);
	if (__builtin_expect(!m->w.slot && *v != PB_HOLD, 1))
		return false;
	return settle(m, v);
}

/* The loop is `m`'s until done with it; then again whose it was before. */
struct had {
	struct pb_msg *running;
	uint64_t doing;
};

static inline struct had loop_take(struct pbi_bus_loop *pl, struct pb_msg *m)
{
	struct had had = { pl->running, PBI_GET(pl->doing) };

	pl->running = m;
	return had;
}

static inline void loop_return(struct pbi_bus_loop *pl, struct had had)
{
	pl->running = had.running;
	PBI_PUT(pl->doing, had.doing);
}

bool pbi_call(struct pb_msg *m, struct pb_reg *r, enum pb_verdict *v)
{
	struct pbi_bus_loop *pl = m->w.on;
	struct had had = loop_take(pl, m);
	bool held = call_and_settle(m, r, pl, v);

	loop_return(pl, had);
	return held;
}

static void look_after(struct pb_msg *m, struct pb_reg *r)
{
	if (m->w.timed)
		pbi_timing_handler(m, r);
	if (m->w.trial)
		pbi_breaker_tried(m);
}

static inline void answered(struct pb_msg *m, struct pb_reg *r, enum pb_verdict v,
			    struct pbi_reg_count *c)
{
	if (__builtin_expect(m->w.care, 0))
		look_after(m, r);
	if (v == PB_HANDLED) {
		PBI_ADD(c->handled, 1);
		m->w.handled = true;
	}
}

void pbi_answered(struct pb_msg *m, struct pb_reg *r, enum pb_verdict v)
{
	answered(m, r, v, pbi_reg_counts(m->w.on, r));
}

/* The cap is reached. True: the walk ends here. */
static bool full(struct pb_msg *m, const struct pb_reg *r, struct pbi_reg_count *c)
{
	PBI_COUNT(m->w.on, full, 1);
	PBI_ADD(c->full, 1);
	if (!r->h.refuse_when_full)
		return false;
	PBI_ADD(m->w.on->msgs[m->w.stat].refused, 1);
	pb_msg_set(m, PB_STR("error"), PB_STR("congestion"));
	return true;
}

static void track(struct pb_msg *m, const struct pb_reg *r, struct pbi_bus_loop *pl)
{
	pbi_msg_track(m, pl->track, r->track);
	if (m->w.timed)
		m->w.track_at = (uint32_t)pb_msg_get(m, pl->track).n;
}

/* To another loop, or all. False: it stays, and the handler is passed by. */
static bool send_away(struct pb_msg *m, struct pb_reg *r, enum where where, unsigned index)
{
	if (!(where == RUN_AWAY ? pbi_visit_start(m, r, index) : pbi_gather_start(m, r)))
		return false;
	m->w.state = PBI_PARKED;
	return true;
}

enum next { GO_ON, STOP, LEFT }; /* LEFT: parked or away; `m` may be gone already */

/* Call one handler. */
static inline enum next step(struct pb_msg *m, struct pb_reg *r, struct pbi_bus_loop *pl,
			     unsigned care)
{
	struct pbi_reg_count *c = pbi_reg_counts(pl, r);
	enum where where = RUN_HERE;
	unsigned index = 0;
	enum pb_verdict v;

	if (__builtin_expect(PBI_GET(c->parked) >= r->parked_max, 0))
		return full(m, r, c) ? STOP : GO_ON;
	if (__builtin_expect(care, 0)) {
		where = choose_place(r, m, &index);
		if (!pbi_breaker_lets(m, r))
			return GO_ON;
	}
	PBI_ADD(c->calls, 1);
	if (pl->track.n && r->track.n)
		track(m, r, pl);
	m->w.reg = r;
	if (__builtin_expect(where != RUN_HERE, 0))
		return send_away(m, r, where, index) ? LEFT : GO_ON;
	if (call_and_settle(m, r, pl, &v))
		return LEFT;
	if (pbi_is_recorded(m))
		pbi_flight_walk_handler(m, r, v);
	answered(m, r, v, c);
	return v == PB_HANDLED && !m->b.broadcast ? STOP : GO_ON;
}

static inline enum next one(struct pb_msg *m, struct pb_reg *r, struct pbi_bus_loop *pl)
{
	unsigned care = PBI_GET(r->care);

	if (__builtin_expect(care, 0) &&
	    ((care & PBI_CARE_DEAD) || !pbi_filter_passes(&r->filter, m)))
		return GO_ON;
	return step(m, r, pl, care);
}

static enum next walk_on(struct pb_msg *m, struct pbi_bus_loop *pl)
{
	struct pbi_walk *w = &m->w;
	enum next next = w->handled && !m->b.broadcast ? STOP : GO_ON;

	while (next == GO_ON && !w->cancelled) {
		const struct pbi_list *l;

		if (__builtin_expect(w->renamed != m->b.renamed, 0))
			walk_relist(m);
		l = w->list;
		if (w->pos >= l->count)
			break;
		next = one(m, l->entries[w->pos++].reg, pl);
	}
	return next;
}

void pbi_walk(struct pb_msg *m)
{
	struct pbi_bus_loop *pl = m->w.on;
	struct had had = loop_take(pl, m);
	enum next next;

	m->w.state = PBI_WALKING;
	next = walk_on(m, pl);
	loop_return(pl, had);
	if (next != LEFT)
		pbi_walk_end(m);
}
