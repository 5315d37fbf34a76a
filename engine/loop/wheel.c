/* A timer sits on the level of the highest octet in which its due time differs
 * from the wheel's time, in the slot that this octet names. So all timers of
 * one millisecond are always in one list, in the order of arming; moving down
 * a level (when the wheel's time enters the slot's span) keeps the order. And
 * every occupied slot of a level comes before every one of the levels above,
 * so the lowest bit of one flat bitmap is the next thing to happen. */
#include "loop/wheel.h"

#include "base/assert.h"

#define OCTET (PBI_WHEEL_SLOTS - 1)

void pbi_wheel_init(struct pbi_wheel *w, uint64_t now_ms)
{
	memset(w, 0, sizeof(*w));
	w->now_ms = now_ms;
	pb_list_init(&w->firing);
	for (unsigned i = 0; i < PBI_WHEEL_LEVELS * PBI_WHEEL_SLOTS; i++)
		pb_list_init(&w->slots[i]);
}

static void put(struct pbi_wheel *w, struct pb_timer *t)
{
	uint64_t differs = (t->due_ms ^ w->now_ms) | 1; /* 1: level 0 also when equal */
	unsigned level = (63 - (unsigned)__builtin_clzll(differs)) / PBI_WHEEL_BITS;
	unsigned slot = t->due_ms >> (level * PBI_WHEEL_BITS) & OCTET;
	unsigned at = level * PBI_WHEEL_SLOTS + slot;

	pb_assert(level < PBI_WHEEL_LEVELS);
	pb_list_push(&w->slots[at], &t->node);
	w->bits[at / 64] |= (uint64_t)1 << at % 64;
	w->summary |= (uint32_t)1 << at / 64;
}

static void mark_empty(struct pbi_wheel *w, unsigned at)
{
	w->bits[at / 64] &= ~((uint64_t)1 << at % 64);
	if (!w->bits[at / 64])
		w->summary &= ~((uint32_t)1 << at / 64);
}

void pbi_wheel_add(struct pbi_wheel *w, struct pb_timer *t)
{
	put(w, t);
	w->count++;
}

void pbi_wheel_remove(struct pbi_wheel *w, struct pb_timer *t)
{
	struct pb_list *next = t->node.next;
	bool last = next == t->node.prev; /* then both are the list's head */

	pb_list_remove(&t->node);
	w->count--;
	if (last && next != &w->firing)
		mark_empty(w, (unsigned)(next - w->slots));
}

/** Move the whole list of slot `at` to the empty list `to`. */
static void empty_slot(struct pbi_wheel *w, unsigned at, struct pb_list *to)
{
	struct pb_list *from = &w->slots[at];

	if (pb_list_empty(from))
		return;
	*to = *from;
	to->next->prev = to;
	to->prev->next = to;
	pb_list_init(from);
	mark_empty(w, at);
}

static void fire(struct pbi_wheel *w)
{
	struct pb_list *node;

	pb_assert(pb_list_empty(&w->firing));
	empty_slot(w, w->now_ms & OCTET, &w->firing);
	while ((node = pb_list_pop(&w->firing))) {
		struct pb_timer *t = pb_container(node, struct pb_timer, node);

		w->count--;
		t->fn(t->arg); /* `t` may be freed from here on */
	}
}

/** The slot that comes next and where its span begins; UINT64_MAX: none. */
static uint64_t next_slot(const struct pbi_wheel *w, unsigned *at)
{
	unsigned word, shift;
	uint64_t above;

	if (!w->summary)
		return UINT64_MAX;
	word = (unsigned)__builtin_ctz(w->summary);
	*at = word * 64 + (unsigned)__builtin_ctzll(w->bits[word]);
	shift = *at / PBI_WHEEL_SLOTS * PBI_WHEEL_BITS;
	above = w->now_ms >> shift & ~(uint64_t)OCTET;
	return (above | (*at & OCTET)) << shift;
}

/** The wheel's time has come to the span of slot `at`. */
static void move_down(struct pbi_wheel *w, unsigned at)
{
	struct pb_list *node, list;

	pb_list_init(&list);
	empty_slot(w, at, &list);
	while ((node = pb_list_pop(&list)))
		put(w, pb_container(node, struct pb_timer, node));
}

void pbi_wheel_run(struct pbi_wheel *w, uint64_t now_ms)
{
	uint64_t next;
	unsigned at = 0;

	pb_assert(now_ms >= w->now_ms);
	fire(w); /* armed for the present millisecond since the last run */
	while (w->now_ms < now_ms) {
		next = next_slot(w, &at);
		if (next > now_ms) {
			w->now_ms = now_ms;
			return;
		}
		w->now_ms = next;
		if (at >= PBI_WHEEL_SLOTS)
			move_down(w, at);
		fire(w);
	}
}

uint64_t pbi_wheel_next_ms(const struct pbi_wheel *w)
{
	unsigned at;

	return next_slot(w, &at);
}
