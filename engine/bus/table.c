/*
 * Tables of handlers.
 *
 * A table is immutable: a change makes a new one (a cost paid when modules load
 * or scripts install, never per message) and each loop takes it over from its
 * mailbox. For every name that somebody named there is a ready list, merged
 * with the handlers of every message, so that a walk is a loop over an array.
 */
#include "bus/bus_impl.h"

#include "base/alloc.h"

#define TABLE_LIMIT (64u << 20)

/* Looking up a name is on the path of every dispatch: both hash and comparison
 * take it by words of eight octets, the last overlapping the one before. */
static inline uint64_t word_at(const char *p)
{
	uint64_t w;

	memcpy(&w, p, sizeof(w));
	return w;
}

/* Names come from us and from configuration, not from the wire: a cheap hash is
 * enough. */
static uint32_t name_hash(struct pb_str s)
{
	uint64_t h = s.n, word = 0;
	size_t at = 0;

	for (; at + 8 < s.n; at += 8)
		h = (h ^ word_at(s.p + at)) * 0x9e3779b97f4a7c15u;
	if (s.n >= 8) {
		word = word_at(s.p + s.n - 8);
	} else {
		for (size_t i = 0; i < s.n; i++)
			word = word << 8 | (unsigned char)s.p[i];
	}
	h = (h ^ word) * 0x9e3779b97f4a7c15u;
	return (uint32_t)(h >> 32);
}

static inline bool same(struct pb_str a, struct pb_str b)
{
	size_t at = 0;

	if (a.n != b.n)
		return false;
	if (a.n < 8)
		return memcmp(a.p, b.p, a.n) == 0;
	for (; at + 8 < a.n; at += 8) {
		if (word_at(a.p + at) != word_at(b.p + at))
			return false;
	}
	return word_at(a.p + a.n - 8) == word_at(b.p + a.n - 8);
}

const struct pbi_list *pbi_table_find(const struct pbi_table *t, struct pb_str name)
{
	uint32_t at = name_hash(name) & t->list_mask;

	for (; t->lists[at]; at = (at + 1) & t->list_mask) {
		if (same(t->lists[at]->name, name))
			return t->lists[at];
	}
	return &t->any;
}

static bool before(const struct pb_reg *a, const struct pb_reg *b)
{
	if (a->h.priority != b->h.priority)
		return a->h.priority < b->h.priority;
	return a->seq < b->seq;
}

static bool stays(const struct pb_reg *r, const struct pb_reg *drop)
{
	return r != drop && !pbi_reg_dead(r);
}

/* Handlers of `old` but `drop` and what else is dead, and `add` at its place. */
static bool merge_regs(struct pbi_table *t, const struct pbi_table *old, struct pb_reg *add,
		       struct pb_reg *drop)
{
	uint32_t room = (old ? old->reg_count : 0) + 1, hooks = (old ? old->hook_count : 0) + 1;

	t->regs = pb_arena_raw(t->arena, room * sizeof(*t->regs));
	t->hooks = pb_arena_raw(t->arena, hooks * sizeof(*t->hooks));
	if (pb_arena_failed(t->arena))
		return false;
	for (uint32_t i = 0; old && i < old->hook_count; i++) {
		if (stays(old->hooks[i], drop))
			t->hooks[t->hook_count++] = old->hooks[i];
	}
	if (add && add->is_hook)
		t->hooks[t->hook_count++] = add;
	if (add && add->is_hook)
		add = NULL;
	for (uint32_t i = 0; old && i < old->reg_count; i++) {
		struct pb_reg *r = old->regs[i];

		if (!stays(r, drop))
			continue;
		if (add && before(add, r)) {
			t->regs[t->reg_count++] = add;
			add = NULL;
		}
		t->regs[t->reg_count++] = r;
	}
	if (add)
		t->regs[t->reg_count++] = add;
	return true;
}

static bool fill(struct pb_bus *b, struct pbi_table *t, struct pbi_list *l, struct pb_str name)
{
	uint32_t n = 0;

	l->stat = name.n ? pbi_stat_of(b, name) : PBI_STAT_ASK;
	l->label = name.n ? pbi_label(b->labels, name) : PBI_LABEL_OTHERS;

	for (uint32_t i = 0; i < t->reg_count; i++) {
		struct pb_str of = t->regs[i]->h.message;

		n += !of.n || pb_str_eq(of, name);
	}
	l->name = name;
	l->entries = pb_arena_raw(t->arena, n * sizeof(*l->entries) + 1);
	if (!l->entries)
		return false;
	for (uint32_t i = 0; i < t->reg_count; i++) {
		struct pb_reg *r = t->regs[i];

		if (r->h.message.n && !pb_str_eq(r->h.message, name))
			continue;
		l->entries[l->count++] = (struct pbi_entry){ r->h.priority, r->seq, r };
	}
	return true;
}

static bool make_lists(struct pb_bus *b, struct pbi_table *t)
{
	uint32_t size = 16;

	while (size < t->reg_count * 2)
		size *= 2;
	t->list_mask = size - 1;
	t->lists = pb_arena_alloc(t->arena, size * sizeof(*t->lists));
	if (!t->lists || !fill(b, t, &t->any, PB_STR("")))
		return false;
	for (uint32_t i = 0; i < t->reg_count; i++) {
		struct pb_str name = t->regs[i]->h.message;
		uint32_t at = name_hash(name) & t->list_mask;

		if (!name.n || pbi_table_find(t, name) != &t->any)
			continue;
		while (t->lists[at])
			at = (at + 1) & t->list_mask;
		struct pbi_list *l = pb_arena_alloc(t->arena, sizeof(*l));

		if (!l || !fill(b, t, l, name))
			return false;
		t->lists[at] = l;
	}
	return true;
}

struct pbi_table *pbi_table_make(struct pb_bus *b, const struct pbi_table *old, struct pb_reg *add,
				 struct pb_reg *drop)
{
	struct pb_arena *a = pb_arena_new(TABLE_LIMIT);
	struct pbi_table *t = a ? pb_arena_alloc(a, sizeof(*t)) : NULL;

	if (!t)
		goto fail;
	t->arena = a;
	t->version = old ? old->version + 1 : 0;
	atomic_init(&t->refs, 1);
	if (!merge_regs(t, old, add, drop) || !make_lists(b, t))
		goto fail;
	for (uint32_t i = 0; i < t->reg_count; i++)
		atomic_fetch_add(&t->regs[i]->refs, 1);
	for (uint32_t i = 0; i < t->hook_count; i++)
		atomic_fetch_add(&t->hooks[i]->refs, 1);
	return t;

fail:
	pb_arena_free(&a);
	return NULL;
}

void pbi_table_unref(struct pbi_table *t)
{
	struct pb_arena *a;

	if (!t || atomic_fetch_sub(&t->refs, 1) != 1)
		return;
	for (uint32_t i = 0; i < t->reg_count; i++)
		pbi_reg_unref(t->regs[i]);
	for (uint32_t i = 0; i < t->hook_count; i++)
		pbi_reg_unref(t->hooks[i]);
	a = t->arena;
	pb_arena_free(&a);
}

void pbi_table_ref_release(struct pbi_table_ref *tr)
{
	if (tr->walks || tr->current)
		return;
	pbi_table_unref(tr->table);
	pb_free(tr);
}

void pbi_reg_unref(struct pb_reg *r)
{
	struct pb_arena *a;

	if (!r || atomic_fetch_sub(&r->refs, 1) != 1)
		return;
	pb_free(r->removal);
	a = r->arena;
	pb_arena_free(&a);
}
