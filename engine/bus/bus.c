/*
 * The bus: dispatching, queueing, giving up.
 *
 * The walk is a driver of steps over a ready list: select the next handler, call
 * it where it wants to run, act on its verdict. A step that holds leaves the
 * driver; resuming enters it again. Everything a walk touches belongs to its
 * loop, so nothing is locked.
 */
#include "bus/bus_impl.h"

#include <errno.h>

#include "base/alloc.h"
#include "bus/names.h"

#define HOLD_MS 10000
#define MESSAGE_MS 60000
#define PARKED_MAX 10000

/* ---- Contexts and counters ---------------------------------------------------- */

/* A module's handlers have theirs ready; others get one made in `own`. */
static struct pb_ctx *ctx_make(const struct pb_reg *r, struct pbi_bus_loop *pl, struct pb_ctx *own)
{
	struct pb_ctx *many = r->is_hook ? r->hook.contexts : r->h.contexts;
	void *arg = r->is_hook ? r->hook.arg : r->h.arg;

	*own = many ? many[pl->index] : (struct pb_ctx){ .bus = pl->bus, .loop = pl->loop };
	own->arg = arg;
	return own;
}

static inline struct pb_ctx *ctx_of(const struct pb_reg *r, struct pbi_bus_loop *pl, struct pb_ctx *own)
{
	return r->ready ? &r->ready[pl->index] : ctx_make(r, pl, own);
}

static bool more_counts(struct pbi_bus_loop *pl, uint32_t number)
{
	uint32_t room = number * 2 + 64;
	struct pbi_reg_count *p = pb_alloc_grow(pl->regs, room * sizeof(*p));

	if (!p)
		return false;
	memset(p + pl->reg_room, 0, (room - pl->reg_room) * sizeof(*p));
	pl->regs = p;
	pl->reg_room = room;
	return true;
}

/* Without memory counting stops, nothing else. A number is used again once its
 * handler has been removed; what that one still holds is no longer counted. */
struct pbi_reg_count *pbi_reg_counts_anew(struct pbi_bus_loop *pl, const struct pb_reg *r)
{
	struct pbi_reg_count *c;

	if (r->number < pl->reg_room || more_counts(pl, r->number)) {
		c = &pl->regs[r->number];
		if (c->seq <= r->seq) {
			*c = (struct pbi_reg_count){ .seq = r->seq };
			return c;
		}
	}
	pl->spare = (struct pbi_reg_count){ 0 };
	return &pl->spare;
}

/* ---- The walk ------------------------------------------------------------------- */

static void walk_end(struct pb_msg *m)
{
	struct pbi_bus_loop *pl = m->w.on;
	struct pbi_table_ref *tr = m->w.table;
	const struct pbi_table *t = tr->table;
	struct pb_ctx own;

	for (uint32_t i = 0; i < t->hook_count && !m->w.cancelled; i++) {
		struct pb_reg *r = t->hooks[i];

		if (atomic_load_explicit(&r->dead, memory_order_relaxed))
			continue;
		if (!r->hook.message.p || pb_str_eq(r->hook.message, m->b.name))
			r->hook.fn(m, m->w.handled, ctx_of(r, pl, &own));
	}
	if (--tr->walks == 0 && !tr->current)
		pbi_table_ref_release(tr);
	pb_list_remove(&m->w.asked);
	m->w.state = PBI_IDLE;
	m->w.table = NULL;
	m->w.list = NULL;
	m->b.deadline_us = 0; /* used again, it has its whole time again */
	if (m->w.handled)
		PBI_COUNT(pl, handled, 1);
	if (m->w.cancelled || !m->w.done)
		pb_msg_free(&m);
	else
		m->w.done(m, m->w.handled, m->w.arg);
}

/* The name has changed: go on among its handlers, behind the position of the
 * one that has just run. */
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

		if (e->priority < last->priority || (e->priority == last->priority && e->seq <= last->seq))
			lo = mid + 1;
		else
			hi = mid;
	}
	w->pos = lo;
}

static bool filter_passes(const struct pb_reg *r, const struct pb_msg *m)
{
	struct pb_str v;

	if (!r->h.filter_name.p && !r->h.filter)
		return true;
	v = pb_msg_get(m, r->h.filter_name);
	if (!v.p)
		v = PB_STR("");
	return r->h.filter ? r->h.filter(r->h.arg, v) : pb_str_eq(v, r->h.filter_value);
}

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

	if (m->w.visit) /* a copy is where it was sent */
		return RUN_HERE;
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

/* The cap is reached. True: the walk ends here. */
static bool full(struct pb_msg *m, const struct pb_reg *r)
{
	PBI_COUNT(m->w.on, full, 1);
	if (r->h.refuse_when_full)
		pb_msg_set(m, PB_STR("error"), PB_STR("congestion"));
	return r->h.refuse_when_full;
}

static inline enum pb_verdict call_here(struct pb_msg *m, struct pb_reg *r)
{
	struct pbi_bus_loop *pl = m->w.on;
	struct pb_msg *outer = pl->running;
	struct pb_ctx own;
	enum pb_verdict v;

	pl->running = m;
	v = r->h.fn(m, ctx_of(r, pl, &own));
	pl->running = outer;
	return v;
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

static inline bool call_and_settle(struct pb_msg *m, struct pb_reg *r, enum pb_verdict *v)
{
	*v = call_here(m, r);
	if (__builtin_expect(!m->w.slot && *v != PB_HOLD, 1))
		return false;
	return settle(m, v);
}

bool pbi_call(struct pb_msg *m, struct pb_reg *r, enum pb_verdict *v)
{
	return call_and_settle(m, r, v);
}

/* Call one handler. True: the walk has left (parked, or away). */
static inline bool step(struct pb_msg *m, struct pb_reg *r, bool *stop)
{
	struct pbi_bus_loop *pl = m->w.on;
	struct pbi_reg_count *c = pbi_reg_counts(pl, r);
	unsigned index = 0;
	enum pb_verdict v;
	enum where where = r->plain ? RUN_HERE : choose_place(r, m, &index);

	if (__builtin_expect(c->parked >= r->parked_max, 0)) {
		*stop = full(m, r);
		return false;
	}
	c->calls++;
	if (r->track.n && pl->bus->track.n)
		pbi_msg_track(m, pl->bus->track, r->track);
	m->w.reg = r;
	if (where != RUN_HERE) {
		bool sent = where == RUN_AWAY ? pbi_visit_start(m, r, index) : pbi_gather_start(m, r);

		if (sent)
			m->w.state = PBI_PARKED;
		return sent;
	}
	if (call_and_settle(m, r, &v))
		return true;
	if (v == PB_HANDLED) {
		pbi_reg_counts(pl, r)->handled++;
		m->w.handled = true;
		*stop = !m->b.broadcast;
	}
	return false;
}

void pbi_walk(struct pb_msg *m)
{
	struct pbi_walk *w = &m->w;
	bool stop = w->handled && !m->b.broadcast;

	w->state = PBI_WALKING;
	while (!stop && !w->cancelled) {
		struct pb_reg *r;

		if (w->renamed != m->b.renamed)
			walk_relist(m);
		if (w->pos >= w->list->count)
			break;
		r = w->list->entries[w->pos++].reg;
		if (atomic_load_explicit(&r->dead, memory_order_relaxed) || (!r->plain && !filter_passes(r, m)))
			continue;
		if (step(m, r, &stop))
			return;
	}
	walk_end(m);
}

static void start_walk(struct pbi_bus_loop *pl, struct pb_msg *m)
{
	struct pbi_walk *w = &m->w;
	uint64_t now = pb_loop_now_us(pl->loop);

	pb_assert(w->state == PBI_IDLE);
	w->on = pl;
	w->handled = w->cancelled = w->hold_refused = false;
	w->slot = NULL;
	w->table = pl->table;
	w->table->walks++;
	w->list = pbi_table_find(w->table->table, m->b.name);
	w->renamed = m->b.renamed;
	w->pos = 0;
	if (!m->b.deadline_us)
		m->b.deadline_us = now + (uint64_t)pl->bus->args.message_ms * 1000;
	if (pl->running && pl->running->b.deadline_us < m->b.deadline_us)
		m->b.deadline_us = pl->running->b.deadline_us;
	PBI_COUNT(pl, dispatched, 1);
	pbi_walk(m);
}

/* ---- Dispatch from a script loop: walked on a call loop, and back -------------- */

static void back_home(void *arg)
{
	struct pb_msg *m = arg;

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
	m->w.work = (struct pb_work){ .fn = back_home, .arg = m };
	pb_loop_post(home, &m->w.work);
}

static void arrives_for_script(void *arg)
{
	struct pb_msg *m = arg;
	struct pbi_bus_loop *pl = m->w.on;
	pb_done_fn done = m->w.done;
	void *done_arg = m->w.arg;

	m->w.work.fn = (void (*)(void *))(uintptr_t)done;
	m->w.work.arg = done_arg;
	m->w.done = ended_for_script;
	m->w.arg = NULL;
	start_walk(pl, m);
}

static void dispatch_elsewhere(struct pb_bus *b, struct pb_msg *m)
{
	struct pb_loop *here = pb_loop_current();
	int at = pb_handle_is_set(m->b.chan) ? m->b.chan.loop : pb_bus_owner_of(b, pb_msg_get(m, PB_STR("id")));
	unsigned calls = pb_loops_calls(b->loops);
	struct pbi_bus_loop *from = pbi_on(b, here);

	if (at < 0 || (unsigned)at >= calls)
		at = (int)(atomic_load_explicit(&from->counts.dispatched, memory_order_relaxed) % calls);
	PBI_COUNT(from, dispatched, 1);
	m->w.back = here;
	m->w.on = &b->on[at];
	m->b.deadline_us = from->running ? from->running->b.deadline_us : 0;
	m->w.work = (struct pb_work){ .fn = arrives_for_script, .arg = m };
	pb_loop_post(b->on[at].loop, &m->w.work);
}

void pb_bus_dispatch(struct pb_bus *b, struct pb_msg *m, struct pb_questions *q, pb_done_fn done, void *arg)
{
	struct pb_loop *l = pb_loop_current();

	pb_assert(l != NULL && pb_loop_set(l) == b->loops);
	m->w.done = done;
	m->w.arg = arg;
	m->w.visit = NULL;
	if (pb_loop_index(l) >= pb_loops_calls(b->loops)) {
		pb_assert(!q); /* bus.h: questions are for call loops */
		dispatch_elsewhere(b, m);
		return;
	}
	if (q) {
		m->w.notice = pb_name_is_notice(m->b.name);
		pb_list_push(&q->list, &m->w.asked);
	}
	start_walk(pbi_on(b, l), m);
}

/* ---- Queue ------------------------------------------------------------------------ */

static void drain(void *arg)
{
	struct pbi_bus_loop *pl = arg;
	struct pb_msg *m = pl->head;

	/* What these enqueue in turn waits for the next round. */
	pl->draining = false;
	pl->head = NULL;
	pl->tail = &pl->head;
	while (m) {
		struct pb_msg *next = m->next;

		m->next = NULL;
		PBI_COUNT(pl, queued, -1ull);
		m->w.visit = NULL;
		start_walk(pl, m);
		m = next;
	}
}

static void queue(struct pbi_bus_loop *pl, struct pb_msg *m)
{
	PBI_COUNT(pl, enqueued, 1);
	PBI_COUNT(pl, queued, 1);
	m->next = NULL;
	*pl->tail = m;
	pl->tail = &m->next;
	if (pl->draining)
		return;
	pl->draining = true;
	pl->drain = (struct pb_work){ .fn = drain, .arg = pl };
	pb_loop_defer(pl->loop, &pl->drain);
}

static void queue_arrives(void *arg)
{
	struct pb_msg *m = arg;

	queue(m->w.on, m);
}

bool pb_bus_enqueue_to(struct pb_bus *b, struct pb_loop *l, struct pb_msg *m)
{
	struct pbi_bus_loop *pl = pbi_on(b, l);

	m->w.done = NULL;
	if (pb_loop_is_mine(l)) {
		queue(pl, m);
		return true;
	}
	m->w.on = pl;
	m->w.work = (struct pb_work){ .fn = queue_arrives, .arg = m };
	pb_loop_post(l, &m->w.work);
	return true;
}

bool pb_bus_enqueue(struct pb_bus *b, struct pb_msg *m)
{
	struct pb_loop *l = pb_loop_current();
	bool mine = l && pb_loop_set(l) == b->loops && pb_loop_index(l) < pb_loops_calls(b->loops);

	return pb_bus_enqueue_to(b, mine ? l : pb_loops_at(b->loops, 0), m);
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
		walk_end(m);
	}
}

/* ---- Life -------------------------------------------------------------------------------- */

int pb_bus_new(const struct pb_bus_args *args, struct pb_bus **out)
{
	struct pb_bus *b = pb_alloc_zero(1, sizeof(*b));
	unsigned n = pb_loops_count(args->loops);

	*out = NULL;
	if (!b)
		return -ENOMEM;
	b->loops = args->loops;
	b->args = *args;
	b->args.hold_ms = args->hold_ms ? args->hold_ms : HOLD_MS;
	b->args.message_ms = args->message_ms ? args->message_ms : MESSAGE_MS;
	b->args.parked_max = args->parked_max ? args->parked_max : PARKED_MAX;
	b->track = pb_str_z(args->track_param);
	pthread_mutex_init(&b->lock, NULL);
	b->table = pbi_table_make(NULL, NULL, NULL);
	for (unsigned i = 0; i < n; i++) {
		struct pbi_bus_loop *pl = &b->on[i];

		pl->bus = b;
		pl->loop = pb_loops_at(b->loops, i);
		pl->index = i;
		pl->tail = &pl->head;
		pb_list_init(&pl->parked);
		pl->table = pb_alloc_zero(1, sizeof(*pl->table));
		if (!pl->table || !b->table) {
			pb_bus_free(&b);
			return -ENOMEM;
		}
		atomic_fetch_add(&b->table->refs, 1);
		*pl->table = (struct pbi_table_ref){ .table = b->table, .current = true };
	}
	*out = b;
	return 0;
}

/* Copies on other loops go first: their slots may be on any. */
static void free_visits(struct pbi_bus_loop *pl)
{
	pb_list_each(n, &pl->parked) {
		struct pbi_slot *s = pb_container(n, struct pbi_slot, node);

		if (s->away)
			pbi_visit_lost(s->away);
		if (s->gather)
			pbi_gather_lost(s->gather);
		s->away = NULL;
		s->gather = NULL;
	}
}

static void free_loop(struct pbi_bus_loop *pl)
{
	struct pb_list *n;

	while (!pb_list_empty(&pl->parked)) {
		n = pl->parked.next;
		struct pbi_slot *s = pb_container(n, struct pbi_slot, node);
		struct pb_msg *m = s->msg;

		pb_patch_free(&s->patch);
		pb_list_remove(n);
		if (m->w.visit) { /* abandoned, but the word has not arrived */
			pbi_visit_lost(m->w.visit);
			continue;
		}
		if (m->w.table && --m->w.table->walks == 0 && !m->w.table->current)
			pbi_table_ref_release(m->w.table);
		pb_list_remove(&m->w.asked);
		pb_msg_free(&m);
	}
	while (pl->head) {
		struct pb_msg *m = pl->head;

		pl->head = m->next;
		pb_msg_free(&m);
	}
	for (uint32_t i = 0; i < pl->slot_count; i++)
		pb_free(pl->slots[i]);
	pb_free(pl->slots);
	pb_free(pl->regs);
	if (pl->table) {
		pl->table->current = false;
		pl->table->walks = 0;
		pbi_table_ref_release(pl->table);
	}
}

void pb_bus_free(struct pb_bus **bp)
{
	struct pb_bus *b = *bp;

	if (!b)
		return;
	*bp = NULL;
	for (unsigned i = 0; i < PB_LOOPS_MAX; i++) {
		if (b->on[i].bus)
			free_visits(&b->on[i]);
	}
	for (unsigned i = 0; i < PB_LOOPS_MAX; i++) {
		if (b->on[i].bus)
			free_loop(&b->on[i]);
	}
	pbi_table_unref(b->table);
	pthread_mutex_destroy(&b->lock);
	pb_free(b->numbers);
	pb_free(b);
}

struct pb_loops *pb_bus_loops(const struct pb_bus *b)
{
	return b->loops;
}

#define SUM(out, c, what) (out)->what += atomic_load_explicit(&(c)->what, memory_order_relaxed)

void pb_bus_count(const struct pb_bus *b, struct pb_bus_counts *out)
{
	*out = (struct pb_bus_counts){ 0 };
	for (unsigned i = 0; i < pb_loops_count(b->loops); i++) {
		const struct pbi_counts *c = &b->on[i].counts;

		SUM(out, c, dispatched);
		SUM(out, c, enqueued);
		SUM(out, c, handled);
		SUM(out, c, held);
		SUM(out, c, expired);
		SUM(out, c, stale);
		SUM(out, c, full);
		SUM(out, c, parked);
		SUM(out, c, queued);
	}
}

/* The calling loop's, or, elsewhere, a reference to the newest. */
static struct pbi_table *table_now(struct pb_bus *b)
{
	struct pb_loop *l = pb_loop_current();
	struct pbi_table *t;

	pthread_mutex_lock(&b->lock);
	t = l && pb_loop_set(l) == b->loops ? pbi_on(b, l)->table->table : b->table;
	atomic_fetch_add(&t->refs, 1);
	pthread_mutex_unlock(&b->lock);
	return t;
}

void pb_bus_handlers(struct pb_bus *b, bool (*fn)(void *arg, const struct pb_handler_row *r), void *arg)
{
	struct pbi_table *t = table_now(b);

	for (uint32_t i = 0; i < t->reg_count; i++) {
		const struct pb_reg *r = t->regs[i];
		struct pb_handler_row row = { r->h.message, r->h.track, r->h.filter_name, r->h.priority };

		if (!atomic_load_explicit(&r->dead, memory_order_relaxed) && !fn(arg, &row))
			break;
	}
	pbi_table_unref(t);
}

int pb_bus_owner_of(const struct pb_bus *b, struct pb_str id)
{
	size_t at = id.n;
	uint64_t number = 0;

	while (at && pb_is_digit(id.p[at - 1]))
		at--;
	if (at == id.n || !at || id.p[at - 1] != '/')
		return -1;
	for (size_t i = at; i < id.n; i++)
		number = number * 10 + (uint64_t)(id.p[i] - '0');
	return (int)(number % pb_loops_calls(b->loops));
}
