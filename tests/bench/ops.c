/*
 * Operations under way, in a fixed array. A freed slot is the next one taken,
 * so that a light load touches little memory and leaves the machine's caches to
 * the server. Messages name their operation as cSLOT-NUMBER: in the Call-ID, in
 * the called user, in the text, whichever survives the server.
 */
#include "load.h"

#include "base/alloc.h"

#include <errno.h>

#define FIRST_RESEND_NS (500 * NS_PER_MS)
#define GIVE_UP_NS      (5 * NS_PER_S)
#define LATENCIES_MAX   (1u << 21)

int ops_init(struct load *l)
{
	l->ops = pb_alloc_zero(OPS_MAX, sizeof(*l->ops));
	l->free_slots = pb_alloc_zero(OPS_MAX, sizeof(*l->free_slots));
	l->held = pb_alloc_zero(OPS_MAX, sizeof(*l->held));
	l->tally.latency_max = LATENCIES_MAX;
	l->tally.latency_ns = pb_alloc_zero(LATENCIES_MAX, sizeof(*l->tally.latency_ns));
	if (!l->ops || !l->free_slots || !l->held || !l->tally.latency_ns)
		return -ENOMEM;
	while (l->free_count < OPS_MAX) {
		l->free_slots[l->free_count] = OPS_MAX - 1 - l->free_count;
		l->free_count++;
	}
	return 0;
}

void ops_fini(struct load *l)
{
	pb_free(l->ops);
	pb_free(l->free_slots);
	pb_free(l->held);
	pb_free(l->tally.latency_ns);
}

static bool measured(const struct load *l, uint64_t due_ns)
{
	return due_ns >= l->measure_from_ns && due_ns < l->measure_to_ns;
}

struct op *ops_take(struct load *l, uint64_t due_ns)
{
	uint32_t number = (uint32_t)l->offered++, slot;
	struct op *op;

	l->tally.offered += measured(l, due_ns);
	if (!l->free_count) {
		l->tally.failed += measured(l, due_ns);
		return NULL;
	}
	slot = l->free_slots[--l->free_count];
	if (slot >= l->slots_used)
		l->slots_used = slot + 1;
	op = &l->ops[slot];
	memset(op, 0, offsetof(struct op, asked));
	op->state = OP_ASKED;
	op->slot = slot;
	op->number = number;
	op->due_ns = due_ns;
	op->wire = l->callers[number % l->plan.callers];
	op->resend_gap = FIRST_RESEND_NS;
	op->resend_ns = l->now_ns + op->resend_gap;
	return op;
}

static bool take_hex(struct pb_str *s, uint32_t *out)
{
	static const char digits[] = "0123456789abcdef";
	size_t i = 0;

	*out = 0;
	for (; i < s->n && i < 8; i++) {
		const char *d = memchr(digits, s->p[i], 16);

		if (!d)
			break;
		*out = *out << 4 | (uint32_t)(d - digits);
	}
	*s = pb_str_from(*s, i);
	return i > 0;
}

struct op *ops_find(struct load *l, struct pb_str text)
{
	ptrdiff_t c = pb_str_chr(pb_str_head(text, 64), 'c');
	uint32_t slot, number;
	struct op *op;

	if (c < 0)
		return NULL;
	text = pb_str_from(text, (size_t)c + 1);
	if (!take_hex(&text, &slot) || !text.n || *text.p != '-' || slot >= OPS_MAX)
		return NULL;
	text = pb_str_from(text, 1);
	if (!take_hex(&text, &number))
		return NULL;
	op = &l->ops[slot];
	return op->state != OP_FREE && op->number == number ? op : NULL;
}

void ops_end(struct load *l, struct op *op, bool well)
{
	l->finished += well;
	if (measured(l, op->due_ns)) {
		l->tally.finished += well;
		l->tally.failed += !well;
	}
	op->state = OP_FREE;
	l->free_slots[l->free_count++] = op->slot;
}

void ops_clock(struct load *l, const struct op *op)
{
	struct tally *t = &l->tally;
	uint64_t ns = l->now_ns - op->due_ns;

	if (measured(l, op->due_ns) && t->latency_n < t->latency_max)
		t->latency_ns[t->latency_n++] = ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
}

static void resend(struct load *l, struct op *op)
{
	op->resend_gap *= 2;
	op->resend_ns += op->resend_gap;
	l->tally.resent += measured(l, op->due_ns);
	if (op->state == OP_LEFT || (!op->answered && !op->provisional))
		say_again(op->wire, op->asked, op->asked_n, &l->plan.server);
	/* RFC 3261 section 13.3.1.4: the callee's 200 until its ACK */
	if (op->told_n && !op->acked)
		say_again(op->back_wire, op->told, op->told_n, &op->back);
}

void ops_scan(struct load *l)
{
	for (uint32_t i = 0; i < l->slots_used; i++) {
		struct op *op = &l->ops[i];

		if (op->state == OP_FREE || (op->state == OP_UP && op->acked))
			continue;
		if (l->now_ns - (op->up_ns ? op->up_ns : op->due_ns) > GIVE_UP_NS + l->plan.hold_ns)
			ops_end(l, op, false);
		else if (op->resend_ns && op->resend_ns <= l->now_ns)
			resend(l, op);
	}
}
