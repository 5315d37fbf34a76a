/*
 * One hash table for each length of literal that occurs (1 .. 16 octets; longer
 * ones go by their first 16). Its entry for a literal is the ascending list of
 * the rules that have it. A text is looked up once in each table by as many of
 * its first octets; the lists found, and the list of the rules without a
 * literal, are then merged by number as the walk goes on.
 *
 * A rule may only be left out when not holding means "on to the next line": no
 * block lines, no negation, no `or` behind the first condition.
 */
#include "regexroute/index.h"

#define WORTH_IT 12

struct bucket {
	struct pb_str literal; /* p == NULL: free */
	uint32_t *rules;
	uint32_t count;
};

struct table {
	struct bucket *buckets;
	size_t mask;  /* 0: no literal of this length */
	size_t count; /* rules, while building */
};

struct regex_index {
	struct table tables[REGEX_INDEX_OCTETS + 1]; /* by length; 0 unused */
	uint32_t *others;                            /* rules without a literal */
	uint32_t others_n;
	bool nocase;
};

static struct pb_str literal_of(const struct regex_rule *r)
{
	const struct regex_cond *c = r->conds;

	if (r->closes || r->ignored || r->action == REGEX_OPEN || !r->conds_n)
		return PB_STR_NULL;
	if (c->subject != REGEX_SUBJECT_TEXT || c->negate || !c->pattern)
		return PB_STR_NULL;
	if (r->conds_n > 1 && c[1].alternative)
		return PB_STR_NULL;
	return pb_str_head(pb_pattern_prefix(c->pattern), REGEX_INDEX_OCTETS);
}

/* FNV-1a: the literals come from the user's own file, nobody attacks them. */
static uint32_t hash(struct pb_str s, bool nocase)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)(nocase ? pb_to_lower(s.p[i]) : s.p[i])) * 16777619u;
	return h ^ (h >> 15);
}

/* The bucket of `s`, or the free one where it belongs. */
static struct bucket *find(const struct table *t, struct pb_str s, bool nocase)
{
	size_t at = hash(s, nocase) & t->mask;

	while (t->buckets[at].literal.p) {
		struct pb_str have = t->buckets[at].literal;

		if (nocase ? pb_str_ieq(have, s) : pb_str_eq(have, s))
			break;
		at = (at + 1) & t->mask;
	}
	return &t->buckets[at];
}

/* Tables of twice as many buckets as they will hold literals. */
static void make_tables(struct regex_index *x, struct pb_arena *a)
{
	for (size_t n = 1; n <= REGEX_INDEX_OCTETS; n++) {
		struct table *t = &x->tables[n];
		size_t size = 4;

		if (!t->count)
			continue;
		while (size < t->count * 2)
			size *= 2;
		t->buckets = pb_arena_alloc(a, size * sizeof(*t->buckets));
		t->mask = size - 1;
	}
}

/* Two passes over the rules: count what each list holds, then fill it. */
static void fill(struct regex_index *x, const struct regex_rule *rules, size_t count, bool counting,
		 struct pb_arena *a)
{
	for (size_t i = 0; i < count; i++) {
		struct pb_str s = literal_of(&rules[i]);
		struct bucket *k;

		if (!s.n) {
			x->others[x->others_n++] = (uint32_t)i;
			continue;
		}
		k = find(&x->tables[s.n], s, x->nocase);
		if (counting) {
			k->literal = s;
			k->count++;
			continue;
		}
		if (!k->rules) {
			k->rules = pb_arena_alloc(a, k->count * sizeof(*k->rules));
			k->count = 0;
			if (!k->rules)
				return;
		}
		k->rules[k->count++] = (uint32_t)i;
	}
}

const struct regex_index *regex_index_new(const struct regex_rule *rules, size_t count,
					  struct pb_arena *a)
{
	struct regex_index *x;
	size_t literals = 0;

	if (count > UINT32_MAX)
		return NULL;
	x = pb_arena_alloc(a, sizeof(*x));
	if (!x)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		struct pb_str s = literal_of(&rules[i]);

		literals += s.n > 0;
		x->tables[s.n].count++;
		if (s.n)
			x->nocase |= pb_pattern_nocase(rules[i].conds->pattern);
	}
	if (literals < WORTH_IT)
		return NULL;
	x->others = pb_arena_alloc(a, (x->tables[0].count + 1) * sizeof(*x->others));
	make_tables(x, a);
	if (pb_arena_failed(a))
		return NULL;
	fill(x, rules, count, true, a);
	x->others_n = 0;
	fill(x, rules, count, false, a);
	return pb_arena_failed(a) ? NULL : x;
}

static void add_list(struct regex_cursor *c, const uint32_t *rules, uint32_t count)
{
	if (!count)
		return;
	c->lists[c->count].at = rules;
	c->lists[c->count++].end = rules + count;
}

void regex_cursor_start(struct regex_cursor *c, const struct regex_index *index, struct pb_str text)
{
	c->index = index;
	c->count = 0;
	if (!index)
		return;
	add_list(c, index->others, index->others_n);
	for (size_t n = 1; n <= REGEX_INDEX_OCTETS && n <= text.n; n++) {
		const struct table *t = &index->tables[n];
		const struct bucket *k;

		if (!t->mask)
			continue;
		k = find(t, pb_str_head(text, n), index->nocase);
		if (k->literal.p)
			add_list(c, k->rules, k->count);
	}
}

/* First number in at..end that is not below `from`. */
static const uint32_t *skip_to(const uint32_t *at, const uint32_t *end, size_t from)
{
	for (int near = 0; near < 2; near++, at++) /* nearly always it is the next */
		if (at == end || *at >= from)
			return at;
	while (at < end) {
		const uint32_t *mid = at + (end - at) / 2;

		if (*mid < from)
			at = mid + 1;
		else
			end = mid;
	}
	return at;
}

size_t regex_cursor_next(struct regex_cursor *c, size_t from)
{
	size_t next = SIZE_MAX;

	if (!c->index)
		return from;
	for (unsigned i = 0; i < c->count; i++) {
		const uint32_t *at = skip_to(c->lists[i].at, c->lists[i].end, from);

		c->lists[i].at = at;
		if (at < c->lists[i].end && *at < next)
			next = *at;
	}
	return next;
}
