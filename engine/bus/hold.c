/*
 * Parked messages.
 *
 * A slot holds one; its number and generation are the token, so whoever answers
 * late finds the generation moved on. Slots are allocated in chunks that never
 * move and are reused through a free list. The limit of a hold is a timer in
 * the slot: arming, resuming and expiring cost O(1) however many are parked.
 */
#include "bus/flight_impl.h"

#include "base/alloc.h"

#define CHUNK 64

static bool more_slots(struct pbi_bus_loop *pl)
{
	struct pbi_slot **chunks = pb_alloc_grow(pl->slots, (pl->slot_count + 1) * sizeof(*chunks));
	struct pbi_slot *c;

	if (!chunks)
		return false;
	pl->slots = chunks;
	c = pb_alloc_zero(CHUNK, sizeof(*c));
	if (!c)
		return false;
	for (uint32_t i = CHUNK; i-- > 0;) {
		c[i].number = pl->slot_count * CHUNK + i;
		c[i].gen = 1;
		c[i].on = pl;
		c[i].next_free = pl->free_slots;
		pl->free_slots = &c[i];
	}
	pl->slots[pl->slot_count++] = c;
	return true;
}

/* Whoever has the message is told, once; an answer from now on is stale. */
static void tell_holder(struct pbi_slot *s, bool merge)
{
	struct pbi_visit *away = s->away;
	struct pbi_gather *gather = s->gather;
	struct pb_hold hold = s->hold;

	s->resumed = true;
	s->away = NULL;
	s->gather = NULL;
	s->hold.expired = NULL;
	if (away)
		pbi_visit_abandon(away);
	if (gather)
		pbi_gather_abandon(gather, merge);
	if (hold.expired)
		hold.expired(hold.arg);
}

/* Was it the handler's fault? Not when others had used up the message's time. */
static bool had_its_time(const struct pbi_slot *s)
{
	uint64_t had_ms = (pb_loop_now_us(s->on->loop) - s->since_us) / 1000;

	return had_ms >= pbi_hold_own(s->msg, s->reg, s->hold.limit_ms) / 2;
}

static void count_expired(struct pbi_slot *s)
{
	struct pbi_bus_loop *pl = s->on;

	PBI_COUNT(pl, expired, 1);
	PBI_ADD(pbi_reg_counts(pl, s->reg)->expired, 1);
	PBI_ADD(pl->msgs[s->msg->w.stat].expired, 1);
	if (s->msg->w.visit)
		pbi_visit_missed(s->msg->w.visit);
	if (had_its_time(s))
		pbi_breaker_missed(pl, s->reg);
	if (s->msg->w.trial)
		pbi_breaker_untried(s->msg);
}

static void expired(void *arg)
{
	struct pbi_slot *s = arg;
	uint64_t more_ms = pbi_visit_left_ms(s);
	uint32_t gen = s->gen;

	if (more_ms) { /* held on another loop, for longer than usual */
		pbi_slot_arm(s, more_ms);
		return;
	}
	s->expired = true;
	count_expired(s);
	tell_holder(s, true);
	if (s->gen == gen) /* else: the holder had the question given up */
		pbi_slot_resume(s, NULL, PB_PASS);
}

static void count_parked(struct pbi_slot *s, uint64_t d)
{
	struct pbi_reg_count *c = pbi_reg_counts(s->on, s->reg);

	if (d == 1 || PBI_GET(c->parked)) /* else: begun without memory to count it */
		PBI_ADD(c->parked, d);
	PBI_ADD(s->on->msgs[s->msg->w.stat].parked, d);
	PBI_COUNT(s->on, parked, d);
}

struct pbi_slot *pbi_slot_take(struct pbi_bus_loop *pl, struct pb_msg *m, struct pb_reg *r)
{
	struct pbi_slot *s;

	if (!pl->free_slots && !more_slots(pl))
		return NULL;
	s = pl->free_slots;
	pl->free_slots = s->next_free;
	s->used = true;
	s->resumed = s->expired = false;
	s->handler_running = false;
	s->patch = NULL;
	s->msg = m;
	s->reg = r;
	s->away = NULL;
	s->gather = NULL;
	s->hold = (struct pb_hold){ 0 };
	s->since_us = pb_loop_now_us(pl->loop);
	pb_timer_init(&s->limit, expired, s);
	pb_list_push(&pl->parked, &s->node);
	m->w.slot = s;
	if (!m->w.visit) /* a copy counts where the message is */
		count_parked(s, 1);
	if (pbi_is_recorded(m) && !m->w.visit)
		pbi_flight_walk_held(m);
	return s;
}

void pbi_slot_arm(struct pbi_slot *s, uint64_t limit_ms)
{
	pb_timer_start(s->on->loop, &s->limit, limit_ms);
}

void pbi_slot_free(struct pbi_slot *s)
{
	struct pbi_bus_loop *pl = s->on;

	pb_timer_stop(&s->limit);
	pb_patch_free(&s->patch);
	pb_list_remove(&s->node);
	if (!s->msg->w.visit)
		count_parked(s, -1ull);
	s->msg->w.slot = NULL;
	s->msg = NULL;
	s->used = false;
	s->gen++;
	if (!s->gen)
		s->gen = 1;
	s->next_free = pl->free_slots;
	pl->free_slots = s;
}

struct pb_token pbi_slot_token(const struct pbi_slot *s)
{
	return (struct pb_token){ .slot = s->number,
				  .gen = s->gen,
				  .loop = (uint16_t)s->on->index };
}

struct pbi_slot *pbi_slot_of(struct pbi_bus_loop *pl, struct pb_token t)
{
	struct pbi_slot *s;

	if (!t.gen || t.slot / CHUNK >= pl->slot_count)
		return NULL;
	s = &pl->slots[t.slot / CHUNK][t.slot % CHUNK];
	return s->used && s->gen == t.gen && !s->resumed ? s : NULL;
}

unsigned pbi_message_limit(const struct pb_msg *m)
{
	uint64_t now = pb_loop_now_us(m->w.on->loop);
	uint64_t left = m->b.deadline_us > now ? (m->b.deadline_us - now) / 1000 : 0;

	return !left ? 1 : left < UINT32_MAX ? (unsigned)left : UINT32_MAX;
}

unsigned pbi_hold_own(const struct pb_msg *m, const struct pb_reg *r, unsigned asked_ms)
{
	return asked_ms ? asked_ms : r->h.hold_ms ? r->h.hold_ms : m->w.on->bus->args.hold_ms;
}

/* What is left for this hold: the handler's limit inside the message's. */
static unsigned hold_limit(const struct pb_msg *m, const struct pb_reg *r, unsigned asked_ms)
{
	unsigned limit = pbi_hold_own(m, r, asked_ms), left = pbi_message_limit(m);

	return left < limit ? left : limit;
}

struct pb_token pb_bus_hold(struct pb_msg *m, const struct pb_hold *h)
{
	struct pbi_bus_loop *pl = m->w.on;
	struct pbi_slot *s = m->w.slot;
	unsigned limit;

	pb_assert(pb_loop_is_mine(pl->loop) && m->w.state == PBI_WALKING && !s);
	s = pbi_slot_take(pl, m, m->w.reg);
	if (!s) {
		m->w.hold_refused = true;
		return (struct pb_token){ 0 };
	}
	s->handler_running = true;
	if (h)
		s->hold = *h;
	limit = hold_limit(m, m->w.reg, s->hold.limit_ms);
	pbi_slot_arm(s, limit);
	PBI_COUNT(pl, held, 1);
	PBI_ADD(pbi_reg_counts(pl, m->w.reg)->held, 1);
	if (m->w.visit)
		pbi_visit_holds(m->w.visit, pb_loop_now_us(pl->loop) + (uint64_t)limit * 1000);
	return pbi_slot_token(s);
}

void pbi_slot_resume(struct pbi_slot *s, struct pb_patch *patch, enum pb_verdict v)
{
	struct pb_msg *m = s->msg, *outer = s->on->running;
	struct pbi_bus_loop *pl = s->on;

	pb_assert(v != PB_HOLD);
	if (s->handler_running) { /* answered before the handler came back */
		s->resumed = true;
		s->patch = patch;
		s->verdict = v;
		return;
	}
	pbi_patch_apply(patch, m);
	pb_patch_free(&patch);
	pbi_hist_longest(&pbi_reg_counts(pl, s->reg)->hist, pb_loop_now_us(pl->loop) - s->since_us);
	if (pbi_is_recorded(m) && !m->w.visit)
		pbi_flight_walk_resumed(m, s->since_us, v, s->expired);
	if (!m->w.visit)
		pbi_answered(m, s->reg, v);
	pbi_slot_free(s);
	/* Whose handler resumes it does not lend it his time. */
	pl->running = NULL;
	if (m->w.visit)
		pbi_visit_end(m, v);
	else
		pbi_walk(m);
	pl->running = outer;
}

void pbi_slot_give_up(struct pbi_slot *s)
{
	tell_holder(s, false);
	pbi_slot_free(s);
}

/* ---- Resuming from anywhere ---------------------------------------------------- */

struct answer {
	struct pb_work work;
	struct pbi_bus_loop *pl;
	struct pb_token token;
	struct pb_patch *patch;
	enum pb_verdict verdict;
};

static void resume_here(struct pbi_bus_loop *pl, struct pb_token t, struct pb_patch *patch,
			enum pb_verdict v)
{
	struct pbi_slot *s = pbi_slot_of(pl, t);

	if (s) {
		if (s->away || s->gather) /* over the head of whoever has it elsewhere */
			tell_holder(s, true);
		pbi_slot_resume(s, patch, v);
		return;
	}
	PBI_COUNT(pl, stale, 1);
	pb_patch_free(&patch);
}

static void answer_arrives(void *arg)
{
	struct answer *a = arg;

	pbi_arrived(a->pl);
	resume_here(a->pl, a->token, a->patch, a->verdict);
	pb_free(a);
}

void pb_bus_resume(struct pb_bus *b, struct pb_token t, struct pb_patch *patch, enum pb_verdict v)
{
	struct pbi_bus_loop *pl;
	struct answer *a;

	if (!t.gen || t.loop >= pb_loops_count(b->loops)) {
		pb_patch_free(&patch);
		return;
	}
	pl = &b->on[t.loop];
	if (pb_loop_is_mine(pl->loop)) {
		resume_here(pl, t, patch, v);
		return;
	}
	a = pb_alloc(sizeof(*a));
	if (!a) { /* the hold's limit will end it */
		pb_patch_free(&patch);
		return;
	}
	*a = (struct answer){ .pl = pl, .token = t, .patch = patch, .verdict = v };
	pbi_post(pl, &a->work, answer_arrives, a);
}

void pb_bus_parked(struct pb_bus *b, bool (*fn)(void *arg, const struct pb_parked *p), void *arg)
{
	struct pbi_bus_loop *pl = pbi_on(b, pb_loop_current());
	uint64_t now = pb_loop_now_us(pl->loop);

	pb_list_each (n, &pl->parked) {
		const struct pbi_slot *s = pb_container(n, struct pbi_slot, node);

		if (s->msg->w.visit)
			continue; /* listed where its message is */
		struct pb_parked p = {
			.message = s->msg->b.name,
			.holder = s->reg->h.track,
			.age_ms = (now - s->since_us) / 1000,
			.loop = pl->index,
			.held = true,
			.token = pbi_slot_token(s),
		};

		if (s->away)
			p.loop = pbi_visit_where(s->away, &p.held);

		if (!fn(arg, &p))
			return;
	}
}
