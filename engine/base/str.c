/* Slices: comparisons, cutting, numbers. Loops over bytes, nothing clever. */
#include "base/str.h"

#include <errno.h>
#include <limits.h>

bool pb_str_ieq(struct pb_str a, struct pb_str b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++) {
		if (pb_to_lower(a.p[i]) != pb_to_lower(b.p[i]))
			return false;
	}
	return true;
}

int pb_str_cmp(struct pb_str a, struct pb_str b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int d = n ? memcmp(a.p, b.p, n) : 0;

	if (d)
		return d;
	return a.n < b.n ? -1 : a.n > b.n;
}

bool pb_str_starts(struct pb_str s, struct pb_str prefix)
{
	return s.n >= prefix.n && pb_str_eq(pb_str_head(s, prefix.n), prefix);
}

bool pb_str_istarts(struct pb_str s, struct pb_str prefix)
{
	return s.n >= prefix.n && pb_str_ieq(pb_str_head(s, prefix.n), prefix);
}

bool pb_str_ends(struct pb_str s, struct pb_str suffix)
{
	return s.n >= suffix.n && pb_str_eq(pb_str_from(s, s.n - suffix.n), suffix);
}

ptrdiff_t pb_str_chr(struct pb_str s, char c)
{
	const char *at = s.n ? memchr(s.p, c, s.n) : NULL;

	return at ? at - s.p : -1;
}

ptrdiff_t pb_str_find(struct pb_str s, struct pb_str needle)
{
	const char *at;

	if (needle.n == 0)
		return 0;
	if (s.n < needle.n)
		return -1;
	at = memmem(s.p, s.n, needle.p, needle.n);
	return at ? at - s.p : -1;
}

struct pb_str pb_str_from(struct pb_str s, size_t at)
{
	if (at > s.n)
		at = s.n;
	return (struct pb_str){ s.p ? s.p + at : NULL, s.n - at };
}

struct pb_str pb_str_head(struct pb_str s, size_t n)
{
	return (struct pb_str){ s.p, n < s.n ? n : s.n };
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct pb_str trim_if(struct pb_str s, bool (*drop)(char))
{
	while (s.n && drop(s.p[0])) {
		s.p++;
		s.n--;
	}
	while (s.n && drop(s.p[s.n - 1]))
		s.n--;
	return s;
}

struct pb_str pb_str_trim(struct pb_str s)
{
	return trim_if(s, is_blank);
}

struct pb_str pb_str_trim_space(struct pb_str s)
{
	return trim_if(s, is_space);
}

bool pb_str_cut(struct pb_str *list, char sep, struct pb_str *item)
{
	ptrdiff_t at;

	if (!list->p)
		return false;
	at = pb_str_chr(*list, sep);
	if (at < 0) {
		*item = *list;
		*list = PB_STR_NULL;
		return true;
	}
	*item = pb_str_head(*list, (size_t)at);
	*list = pb_str_from(*list, (size_t)at + 1);
	return true;
}

bool pb_str_word(struct pb_str *line, struct pb_str *word)
{
	struct pb_str s = pb_str_trim(*line);
	size_t n = 0;

	if (!s.n)
		return false;
	while (n < s.n && !is_blank(s.p[n]))
		n++;
	*word = pb_str_head(s, n);
	*line = pb_str_trim(pb_str_from(s, n));
	return true;
}

bool pb_str_skip_word(struct pb_str *line, struct pb_str word)
{
	char next;

	if (!pb_str_starts(*line, word))
		return false;
	next = line->n > word.n ? line->p[word.n] : ' ';
	if (!is_blank(next) && next != '\r' && next != '\n')
		return false;
	*line = pb_str_from(*line, word.n);
	while (line->n && is_blank(line->p[0]))
		*line = pb_str_from(*line, 1);
	return true;
}

static int digit_value(char c)
{
	if (pb_is_digit(c))
		return c - '0';
	c = pb_to_lower(c);
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return 99;
}

/* As strtol with base 0: the prefix decides, "0" alone is decimal zero. */
static int choose_base(struct pb_str *s)
{
	if (s->n > 2 && s->p[0] == '0' && pb_to_lower(s->p[1]) == 'x') {
		*s = pb_str_from(*s, 2);
		return 16;
	}
	return s->n > 1 && s->p[0] == '0' ? 8 : 10;
}

int pb_str_to_i64(struct pb_str s, int base, int64_t lo, int64_t hi, int64_t *out)
{
	bool minus = false, over = false;
	uint64_t v = 0, limit;

	while (s.n && is_space(s.p[0]))
		s = pb_str_from(s, 1);
	if (s.n && (s.p[0] == '-' || s.p[0] == '+')) {
		minus = s.p[0] == '-';
		s = pb_str_from(s, 1);
	}
	if (base == 0)
		base = choose_base(&s);
	if (!s.n)
		return -EINVAL;
	limit = minus ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
	for (size_t i = 0; i < s.n; i++) {
		int d = digit_value(s.p[i]);

		if (d >= base)
			return -EINVAL;
		if (v > (limit - (uint64_t)d) / (uint64_t)base)
			over = true;
		else
			v = v * (uint64_t)base + (uint64_t)d;
	}
	int64_t r = over ? (minus ? INT64_MIN : INT64_MAX) : minus ? (int64_t)(0 - v) : (int64_t)v;

	if (over || r < lo || r > hi) {
		*out = r < lo ? lo : hi;
		return -ERANGE;
	}
	*out = r;
	return 0;
}

int pb_str_to_u32(struct pb_str s, uint32_t lo, uint32_t hi, uint32_t *out)
{
	uint64_t v = 0;

	if (!s.n)
		return -EINVAL;
	for (size_t i = 0; i < s.n; i++) {
		if (!pb_is_digit(s.p[i]))
			return -EINVAL;
		if (v <= UINT32_MAX)
			v = v * 10 + (uint64_t)(s.p[i] - '0');
	}
	if (v < lo || v > hi) {
		*out = v < lo ? lo : hi;
		return -ERANGE;
	}
	*out = (uint32_t)v;
	return 0;
}

static const struct {
	struct pb_str word;
	bool value;
} bool_words[] = {
	{ PB_STR_INIT("false"), false },   { PB_STR_INIT("true"), true },
	{ PB_STR_INIT("no"), false },	   { PB_STR_INIT("yes"), true },
	{ PB_STR_INIT("off"), false },	   { PB_STR_INIT("on"), true },
	{ PB_STR_INIT("disable"), false }, { PB_STR_INIT("enable"), true },
	{ PB_STR_INIT("f"), false },	   { PB_STR_INIT("t"), true },
};

static int bool_word(struct pb_str s)
{
	for (size_t i = 0; i < sizeof(bool_words) / sizeof(bool_words[0]); i++) {
		if (pb_str_eq(s, bool_words[i].word))
			return bool_words[i].value;
	}
	return -1;
}

bool pb_str_to_bool(struct pb_str s, bool def)
{
	int v = bool_word(s);

	return v < 0 ? def : v > 0;
}

bool pb_str_is_bool(struct pb_str s)
{
	return bool_word(s) >= 0;
}

#define NEAR_MAX 63

/* Damerau-Levenshtein with three rows (optimal string alignment). */
unsigned pb_str_distance(struct pb_str a, struct pb_str b)
{
	unsigned rows[3][NEAR_MAX + 1];
	unsigned *prev2 = rows[0], *prev = rows[1], *cur = rows[2];

	if (a.n > NEAR_MAX || b.n > NEAR_MAX)
		return UINT_MAX;
	for (size_t j = 0; j <= b.n; j++)
		prev[j] = (unsigned)j;
	for (size_t i = 1; i <= a.n; i++) {
		cur[0] = (unsigned)i;
		for (size_t j = 1; j <= b.n; j++) {
			unsigned cost = a.p[i - 1] != b.p[j - 1];
			unsigned best = prev[j - 1] + cost;

			if (prev[j] + 1 < best)
				best = prev[j] + 1;
			if (cur[j - 1] + 1 < best)
				best = cur[j - 1] + 1;
			if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1] &&
			    prev2[j - 2] + 1 < best)
				best = prev2[j - 2] + 1;
			cur[j] = best;
		}
		unsigned *t = prev2;

		prev2 = prev;
		prev = cur;
		cur = t;
	}
	return prev[b.n];
}
