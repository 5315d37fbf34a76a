/*
 * Visits: a handler that runs on another loop.
 *
 * The message stays parked where it is; a copy travels by mailbox, the handler
 * works on the copy there (and may hold it there, in a slot of that loop), and
 * the copy comes back with the verdict and takes the content's place. Only the
 * way there costs a copy: the origin keeps its own content for the case that
 * nothing comes back.
 *
 * The limit of one hold is kept where the handler holds. The origin waits a
 * little longer than that, or than the message's own time, so that the innermost
 * passes first and what the copy learned comes back; a loop that is stuck costs
 * the message no more than a handler that is. Two references keep a visit: the
 * run, and a word from the origin that it has given up, because the two may
 * cross on the way (never in the mailbox of the target, which gets the visit
 * before the word).
 */
#include "bus/bus_impl.h"

#include "base/alloc.h"
#include "base/text.h"

/* How much longer the origin waits: for the message's time, for the hold's. */
#define MARGIN_MS      20
#define HOLD_MARGIN_MS 1000

struct pbi_visit {
	struct pb_work go, back, drop;
	struct pb_msg *copy;
	struct pb_reg *reg;
	struct pbi_bus_loop *origin, *target;
	struct pb_token token; /* the origin's slot */
	struct pbi_gather *gather;
	unsigned index; /* in the gather */
	atomic_uint refs;
	bool ended;                     /* target's thread only */
	bool missed;                    /* its hold's limit has passed; read when it is back */
	_Atomic uint64_t held_until_us; /* 0: not held yet */
	enum pb_verdict verdict;
};

/* A handler that runs on every call loop. Lives as long as its slot is taken. */
struct pbi_gather {
	struct pbi_slot *slot;
	struct pb_reg *reg;
	unsigned count, left;
	bool handled;
	struct pbi_visit *visits[PB_LOOPS_MAX]; /* those still out */
	struct pb_msg *parts[PB_LOOPS_MAX];     /* those back */
};

static void visit_free(struct pbi_visit *v)
{
	pb_msg_free(&v->copy);
	pbi_reg_unref(v->reg);
	pb_free(v);
}

static void visit_unref(struct pbi_visit *v)
{
	if (atomic_fetch_sub(&v->refs, 1) == 1)
		visit_free(v);
}

void pbi_visit_lost(struct pbi_visit *v)
{
	struct pbi_slot *s = v->copy ? v->copy->w.slot : NULL;

	if (s) {
		pb_patch_free(&s->patch);
		pb_list_remove(&s->node);
	}
	visit_free(v);
}

/* ---- On the target ------------------------------------------------------------- */

static void visit_arrives(void *arg)
{
	struct pbi_visit *v = arg;
	struct pb_msg *c = v->copy;
	enum pb_verdict verdict;

	pbi_arrived(v->target);
	c->w.on = v->target;
	c->w.visit = v;
	c->w.reg = v->reg;
	c->w.state = PBI_WALKING;
	if (pbi_reg_dead(v->reg))
		verdict = PB_PASS;
	else if (pbi_call(c, v->reg, &verdict))
		return;
	pbi_visit_end(c, verdict);
}

void pbi_visit_holds(struct pbi_visit *v, uint64_t until_us)
{
	PBI_PUT(v->held_until_us, until_us);
}

void pbi_visit_missed(struct pbi_visit *v)
{
	v->missed = true;
}

static void visit_returns(void *arg);

void pbi_visit_end(struct pb_msg *copy, enum pb_verdict verdict)
{
	struct pbi_visit *v = copy->w.visit;

	copy->w.state = PBI_IDLE;
	v->ended = true;
	v->verdict = verdict;
	pbi_post(v->origin, &v->back, visit_returns, v);
}

static void visit_dropped(void *arg)
{
	struct pbi_visit *v = arg;

	pbi_arrived(v->target);
	if (!v->ended) {
		v->ended = true;
		if (v->copy->w.slot)
			pbi_slot_give_up(v->copy->w.slot);
		visit_unref(v); /* the run's: nothing comes back */
	}
	visit_unref(v);
}

/* ---- At the origin ---------------------------------------------------------------- */

static void gather_part(struct pbi_visit *v);

static void visit_returns(void *arg)
{
	struct pbi_visit *v = arg;
	struct pbi_slot *s;

	pbi_arrived(v->origin);
	if (v->gather) {
		gather_part(v);
		visit_unref(v);
		return;
	}
	s = pbi_slot_of(v->origin, v->token);
	if (s) {
		s->away = NULL;
		if (v->missed && s->msg->w.trial)
			pbi_breaker_untried(s->msg);
		pbi_msg_take_over(s->msg, v->copy);
		pbi_slot_resume(s, NULL, v->verdict);
	}
	visit_unref(v);
}

void pbi_visit_abandon(struct pbi_visit *v)
{
	atomic_fetch_add(&v->refs, 1);
	pbi_post(v->target, &v->drop, visit_dropped, v);
}

static uint64_t left_ms(const struct pbi_slot *s, const struct pbi_visit *v)
{
	uint64_t until = PBI_GET(v->held_until_us), now = pb_loop_now_us(s->on->loop);

	until += until ? MARGIN_MS * 1000 : 0;
	return until > now ? (until - now + 999) / 1000 : 0;
}

uint64_t pbi_visit_left_ms(const struct pbi_slot *s)
{
	uint64_t most = s->away ? left_ms(s, s->away) : 0;

	for (unsigned i = 0; s->gather && i < s->gather->count; i++) {
		uint64_t left = s->gather->visits[i] ? left_ms(s, s->gather->visits[i]) : 0;

		most = left > most ? left : most;
	}
	return most;
}

unsigned pbi_visit_where(const struct pbi_visit *v, bool *held)
{
	*held = PBI_GET(v->held_until_us) != 0;
	return v->target->index;
}

/* How long the origin waits for a word. */
static void arm(struct pbi_slot *s)
{
	uint64_t own = (uint64_t)pbi_hold_own(s->msg, s->reg, 0) + HOLD_MARGIN_MS;
	uint64_t message = (uint64_t)pbi_message_limit(s->msg) + MARGIN_MS;

	pbi_slot_arm(s, own < message ? own : message);
}

static struct pbi_visit *visit_new(struct pb_msg *m, struct pb_reg *r, unsigned index)
{
	struct pbi_visit *v = pb_alloc_zero(1, sizeof(*v));

	if (!v)
		return NULL;
	v->copy = pb_msg_copy(m);
	if (!v->copy) {
		pb_free(v);
		return NULL;
	}
	v->copy->w.stat = m->w.stat;
	v->copy->w.label = m->w.label;
	v->origin = m->w.on;
	v->target = &m->w.on->bus->on[index];
	v->reg = r;
	atomic_fetch_add(&r->refs, 1);
	atomic_init(&v->refs, 1);
	return v;
}

bool pbi_visit_start(struct pb_msg *m, struct pb_reg *r, unsigned index)
{
	struct pbi_visit *v = visit_new(m, r, index);
	struct pbi_slot *s = v ? pbi_slot_take(m->w.on, m, r) : NULL;

	if (!s) {
		if (v)
			visit_unref(v);
		return false;
	}
	s->away = v;
	v->token = pbi_slot_token(s);
	arm(s);
	PBI_COUNT(m->w.on, visits, 1);
	pbi_post(v->target, &v->go, visit_arrives, v);
	return true;
}

/* ---- On every loop -------------------------------------------------------------------- */

static void gather_merge(struct pbi_gather *g, struct pb_msg *m)
{
	struct pb_text t;

	if (g->reg->h.merge) {
		g->reg->h.merge(m, g->parts, g->count, g->reg->h.arg);
		return;
	}
	pb_text_init(&t, PB_MSG_LIMIT_BYTES);
	pb_text_add(&t, m->b.retval);
	for (unsigned i = 0; i < g->count; i++) {
		if (g->parts[i])
			pb_text_add(&t, g->parts[i]->b.retval);
	}
	pb_msg_set_retval(m, pb_text_str(&t));
	pb_text_fini(&t);
}

static void gather_free(struct pbi_gather *g)
{
	for (unsigned i = 0; i < g->count; i++)
		pb_msg_free(&g->parts[i]);
	pbi_reg_unref(g->reg);
	pb_free(g);
}

static void gather_part(struct pbi_visit *v)
{
	struct pbi_gather *g = v->gather;
	struct pbi_slot *s = g->slot;

	g->visits[v->index] = NULL;
	g->parts[v->index] = v->copy;
	v->copy = NULL;
	g->handled |= v->verdict == PB_HANDLED;
	if (v->missed && s->msg->w.trial)
		pbi_breaker_untried(s->msg);
	if (--g->left)
		return;
	s->gather = NULL;
	gather_merge(g, s->msg);
	pbi_slot_resume(s, NULL, g->handled ? PB_HANDLED : PB_PASS);
	gather_free(g);
}

void pbi_gather_abandon(struct pbi_gather *g, bool merge)
{
	for (unsigned i = 0; i < g->count; i++) {
		if (!g->visits[i])
			continue;
		g->visits[i]->gather = NULL; /* comes back as one nobody waits for */
		pbi_visit_abandon(g->visits[i]);
	}
	if (merge) {
		gather_merge(g, g->slot->msg);
		g->slot->msg->w.handled |= g->handled;
	}
	gather_free(g);
}

void pbi_gather_lost(struct pbi_gather *g)
{
	for (unsigned i = 0; i < g->count; i++) {
		if (g->visits[i])
			pbi_visit_lost(g->visits[i]);
	}
	gather_free(g);
}

static void gather_send(struct pbi_gather *g)
{
	for (unsigned i = 0; i < g->count; i++) {
		g->visits[i]->gather = g;
		g->visits[i]->index = i;
		pb_msg_set_retval(g->visits[i]->copy, PB_STR(""));
		pbi_post(g->visits[i]->target, &g->visits[i]->go, visit_arrives, g->visits[i]);
	}
}

bool pbi_gather_start(struct pb_msg *m, struct pb_reg *r)
{
	unsigned n = pb_loops_calls(m->w.on->bus->loops);
	struct pbi_gather *g = pb_alloc_zero(1, sizeof(*g));

	if (!g)
		return false;
	while (g->count < n && (g->visits[g->count] = visit_new(m, r, g->count)))
		g->count++;
	g->slot = g->count == n ? pbi_slot_take(m->w.on, m, r) : NULL;
	g->reg = r;
	atomic_fetch_add(&r->refs, 1);
	if (!g->slot) {
		pbi_gather_lost(g);
		return false;
	}
	g->left = n;
	g->slot->gather = g;
	arm(g->slot);
	PBI_COUNT(m->w.on, visits, n);
	gather_send(g);
	return true;
}
