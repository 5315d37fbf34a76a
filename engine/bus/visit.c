/*
 * Visits: a handler that runs on another loop.
 *
 * The message stays parked where it is; a copy travels by mailbox, the handler
 * works on the copy there (and may hold it there, in a slot of that loop), and
 * the copy comes back with the verdict and takes the content's place. The limit
 * of one hold is kept where the handler holds; here only the message's own runs,
 * so that the innermost passes first and what the copy learned comes back. Two
 * references keep a visit: the run, and a word from the origin that it has given
 * up, because the two may cross on the way (never in the mailbox of the target,
 * which gets the visit before the word).
 */
#include "bus/bus_impl.h"

#include "base/alloc.h"
#include "base/text.h"

struct pbi_visit {
	struct pb_work go, back, drop;
	struct pb_msg *copy;
	struct pb_reg *reg;
	struct pbi_bus_loop *origin, *target;
	struct pb_token token; /* the origin's slot */
	struct pbi_gather *gather;
	unsigned index; /* in the gather */
	atomic_uint refs;
	bool ended; /* target's thread only */
	enum pb_verdict verdict;
};

/* A handler that runs on every call loop. Lives as long as its slot is taken. */
struct pbi_gather {
	struct pbi_slot *slot;
	struct pb_reg *reg;
	unsigned count, left;
	bool handled;
	struct pbi_visit *visits[PB_LOOPS_MAX]; /* those still out */
	struct pb_msg *parts[PB_LOOPS_MAX];	/* those back */
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

	c->w.on = v->target;
	c->w.visit = v;
	c->w.reg = v->reg;
	c->w.state = PBI_WALKING;
	if (atomic_load(&v->reg->dead))
		verdict = PB_PASS;
	else if (pbi_call(c, v->reg, &verdict))
		return;
	pbi_visit_end(c, verdict);
}

static void visit_returns(void *arg);

void pbi_visit_end(struct pb_msg *copy, enum pb_verdict verdict)
{
	struct pbi_visit *v = copy->w.visit;

	copy->w.state = PBI_IDLE;
	v->ended = true;
	v->verdict = verdict;
	v->back = (struct pb_work){ .fn = visit_returns, .arg = v };
	pb_loop_post(v->origin->loop, &v->back);
}

static void visit_dropped(void *arg)
{
	struct pbi_visit *v = arg;

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

	if (v->gather) {
		gather_part(v);
		visit_unref(v);
		return;
	}
	s = pbi_slot_of(v->origin, v->token);
	if (s) {
		s->away = NULL;
		pbi_msg_take_over(s->msg, v->copy);
		pbi_slot_resume(s, NULL, v->verdict);
	}
	visit_unref(v);
}

void pbi_visit_abandon(struct pbi_visit *v)
{
	atomic_fetch_add(&v->refs, 1);
	v->drop = (struct pb_work){ .fn = visit_dropped, .arg = v };
	pb_loop_post(v->target->loop, &v->drop);
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
	v->origin = m->w.on;
	v->target = &m->w.on->bus->on[index];
	v->reg = r;
	atomic_fetch_add(&r->refs, 1);
	atomic_init(&v->refs, 1);
	v->go = (struct pb_work){ .fn = visit_arrives, .arg = v };
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
	pbi_slot_arm(s, pbi_message_limit(m));
	pb_loop_post(v->target->loop, &v->go);
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
		pb_loop_post(g->visits[i]->target->loop, &g->visits[i]->go);
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
	pbi_slot_arm(g->slot, pbi_message_limit(m));
	gather_send(g);
	return true;
}
