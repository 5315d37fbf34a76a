/*
 * A pattern is read twice while compiling: by the C library, which says whether
 * it is right, and by simplify(), which recognises the forms that routing plans
 * are full of and that need no automaton:
 *
 *     .*   ^.*   ^.*$             anything
 *     ^literal   ^literal$        a prefix, an exact text
 *     ^literal.*   ^literal\(.*\)  the same, the tail captured or not
 *
 * Of every other anchored pattern the literal beginning is kept, and of all of
 * them the longest literal that each match contains: a text without it is
 * turned down before regexec, whose first steps alone cost more than comparing
 * many prefixes. regexec of glibc takes a lock inside
 * the pattern, so the forms above are also those that loops share freely.
 *
 * Everything a pattern holds lies in the caller's arena, except the C library's
 * automaton, which the arena frees when it goes.
 */
#include "base/pattern.h"

#include <errno.h>
#include <regex.h>

#include "base/alloc.h"

enum kind {
	NEVER,  /* the empty pattern */
	ANY,    /* matches every text, whole */
	PREFIX, /* begins with; the match is the prefix */
	EXACT,  /* equals */
	TAIL,   /* begins with; the match is the whole text, the tail is group 1 when `group` */
	REGEX,
};

struct pb_pattern {
	enum kind kind;
	bool nocase;
	bool group;
	struct pb_str prefix;
	struct pb_str inner; /* REGEX: somewhere in every match; may be empty */
	regex_t re;          /* REGEX only */
};

/* ---- Simple forms -------------------------------------------------------- */

/* Octets that are not themselves in a pattern of this flavour. */
static bool is_special(char c, unsigned flags)
{
	const char *set = flags & PB_PATTERN_EXTENDED ? ".[]*+?{}()|^$\\" : ".[*^$\\";

	return strchr(set, c) != NULL;
}

/* Whether what stands at `s` repeats the atom before it. */
static bool is_repeat(struct pb_str s, unsigned flags)
{
	if (!s.n)
		return false;
	if (flags & PB_PATTERN_EXTENDED)
		return strchr("*+?{", s.p[0]) != NULL;
	return s.p[0] == '*' || (s.n > 1 && s.p[0] == '\\' && strchr("{?+", s.p[1]));
}

/* One literal octet at the head of `s`, and what is left; 0 when it is none. */
static char take_literal(struct pb_str *s, unsigned flags)
{
	size_t n = 1;
	char c;

	if (!s->n)
		return 0;
	c = s->p[0];
	if (c == '\\') {
		if (s->n < 2 || !strchr(".*[]^$\\/-:@", s->p[1]))
			return 0; /* other escapes mean something */
		c = s->p[1];
		n = 2;
	} else if (is_special(c, flags)) {
		return 0;
	}
	if (is_repeat(pb_str_from(*s, n), flags))
		return 0;
	*s = pb_str_from(*s, n);
	return c;
}

static bool has_alternatives(struct pb_str text, unsigned flags)
{
	if (flags & PB_PATTERN_EXTENDED)
		return pb_str_chr(text, '|') >= 0;
	return pb_str_find(text, PB_STR("\\|")) >= 0;
}

/* The form of what follows the literal beginning, or REGEX. */
static enum kind tail_kind(struct pb_str tail, unsigned flags, bool *group)
{
	struct pb_str open = flags & PB_PATTERN_EXTENDED ? PB_STR("(.*)") : PB_STR("\\(.*\\)");

	if (!tail.n)
		return PREFIX;
	if (pb_str_eq(tail, PB_STR("$")))
		return EXACT;
	if (pb_str_ends(tail, PB_STR("$")))
		tail.n--;
	*group = pb_str_eq(tail, open);
	return *group || pb_str_eq(tail, PB_STR(".*")) ? TAIL : REGEX;
}

/* Fill in kind and prefix of a pattern that the C library has accepted. */
static void simplify(struct pb_pattern *p, struct pb_str text, unsigned flags, struct pb_arena *a)
{
	char *lit, c;

	p->kind = REGEX;
	if (pb_str_eq(text, PB_STR(".*"))) {
		p->kind = ANY;
		return;
	}
	if (!text.n || text.p[0] != '^' || has_alternatives(text, flags))
		return;
	lit = pb_arena_bytes(a, text.n);
	if (!lit)
		return;
	p->prefix = pb_str(lit, 0);
	text = pb_str_from(text, 1);
	while ((c = take_literal(&text, flags)))
		lit[p->prefix.n++] = p->nocase ? pb_to_lower(c) : c;
	p->kind = is_repeat(text, flags) ? REGEX : tail_kind(text, flags, &p->group);
}

/* ---- What every match contains ------------------------------------------------ */

/* Behind the bracket expression at the head of `s` ("[^]a-z[:digit:]]"). */
static struct pb_str skip_bracket(struct pb_str s)
{
	size_t i = 1;

	i += i < s.n && s.p[i] == '^';
	i += i < s.n && s.p[i] == ']';
	for (; i < s.n && s.p[i] != ']'; i++) {
		char end[2] = { i + 1 < s.n ? s.p[i + 1] : 0, ']' };

		if (s.p[i] == '[' && end[0] && strchr(":.=", end[0])) {
			ptrdiff_t at = pb_str_find(pb_str_from(s, i + 2), pb_str(end, 2));

			i += at < 0 ? 0 : (size_t)at + 3;
		}
	}
	return pb_str_from(s, i + 1);
}

/* Behind "{2,3}" or "\\{2,3\\}", whose digits are no literals. */
static struct pb_str skip_interval(struct pb_str s)
{
	ptrdiff_t at = pb_str_chr(s, '}');

	return pb_str_from(s, at < 0 ? s.n : (size_t)at + 1);
}

/* One thing that is no literal; `*depth` counts the groups that are open. */
static struct pb_str skip_atom(struct pb_str s, unsigned flags, unsigned *depth)
{
	bool extended = flags & PB_PATTERN_EXTENDED;
	bool escaped = s.p[0] == '\\' && s.n > 1;
	char c = s.p[escaped];
	bool active = extended != escaped; /* "(" or "\\(": the one with a meaning */

	if (s.p[0] == '[')
		return skip_bracket(s);
	if (active && c == '{')
		return skip_interval(s);
	*depth += active && c == '(';
	*depth -= active && c == ')' && *depth;
	return pb_str_from(s, 1 + (size_t)escaped);
}

/* The longest run of literals outside of groups. */
static struct pb_str inner_literal(struct pb_str text, unsigned flags, struct pb_arena *a)
{
	char *run = pb_arena_bytes(a, text.n + 1), *best = pb_arena_bytes(a, text.n + 1), c;
	size_t n = 0, best_n = 0;
	unsigned depth = 0;

	if (!run || !best || flags & PB_PATTERN_NOCASE || has_alternatives(text, flags))
		return PB_STR("");
	while (text.n) {
		c = depth ? 0 : take_literal(&text, flags);
		if (c)
			run[n++] = c;
		if (c && n > best_n) {
			memcpy(best, run, n);
			best_n = n;
		}
		if (!c) {
			n = 0;
			text = skip_atom(text, flags, &depth);
		}
	}
	return pb_str(best, best_n);
}

/* ---- Compiling ------------------------------------------------------------- */

static void drop(void *re)
{
	regfree(re);
}

static void explain(const struct pb_pattern *p, int err, struct pb_arena *a, struct pb_str *why)
{
	char text[128];

	regerror(err, &p->re, text, sizeof(text));
	if (why)
		*why = pb_arena_str(a, pb_str_z(text));
}

int pb_pattern_new(struct pb_str text, unsigned flags, struct pb_arena *a,
		   const struct pb_pattern **out, struct pb_str *why)
{
	struct pb_pattern *p = pb_arena_alloc(a, sizeof(*p));
	struct pb_str z = pb_arena_str(a, text.p ? text : PB_STR(""));
	int err;

	*out = NULL;
	if (!p || !z.p)
		return -ENOMEM;
	p->nocase = flags & PB_PATTERN_NOCASE;
	if (text.n) {
		err = regcomp(&p->re, z.p,
			      (flags & PB_PATTERN_EXTENDED ? REG_EXTENDED : 0) |
				      (p->nocase ? REG_ICASE : 0));
		if (err) {
			explain(p, err, a, why);
			return err == REG_ESPACE ? -ENOMEM : -EINVAL;
		}
		simplify(p, z, flags, a);
		if (p->kind == REGEX)
			p->inner = inner_literal(z, flags, a);
		if (p->kind != REGEX)
			regfree(&p->re);
		else if (pb_arena_at_free(a, drop, &p->re)) {
			regfree(&p->re);
			return -ENOMEM;
		}
	}
	if (pb_arena_failed(a))
		return -ENOMEM;
	*out = p;
	return 0;
}

int pb_pattern_new_negatable(struct pb_str text, unsigned flags, struct pb_arena *a,
			     const struct pb_pattern **out, bool *negate, struct pb_str *why)
{
	*negate = pb_str_ends(text, PB_STR("^"));
	if (*negate)
		text.n--;
	return pb_pattern_new(text, flags, a, out, why);
}

struct pb_str pb_pattern_prefix(const struct pb_pattern *p)
{
	return p->prefix;
}

bool pb_pattern_nocase(const struct pb_pattern *p)
{
	return p->nocase;
}

/* ---- Matching ---------------------------------------------------------------- */

static bool begins(const struct pb_pattern *p, struct pb_str text)
{
	return p->nocase ? pb_str_istarts(text, p->prefix) : pb_str_starts(text, p->prefix);
}

static void whole(struct pb_captures *c, struct pb_str match)
{
	if (!c)
		return;
	*c = (struct pb_captures){ 0 };
	c->at[0] = c->at[1] = match;
}

static void tail(const struct pb_pattern *p, struct pb_str text, struct pb_captures *c)
{
	whole(c, text);
	if (c && p->group)
		c->at[1] = pb_str_from(text, p->prefix.n);
}

/* The slice as it is: REG_STARTEND says where it ends. The regexec of the address
 * and thread sanitizers looks for a NUL all the same and gets a copy with one. */
static bool execute(const regex_t *re, struct pb_str text, size_t groups, regmatch_t *m)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	char *z = pb_alloc(text.n + 1);
	int err;

	if (!z)
		return false;
	memcpy(z, text.p, text.n);
	z[text.n] = '\0';
	err = regexec(re, z, groups, m, REG_STARTEND);
	pb_free(z);
	return !err;
#else
	return !regexec(re, text.p, groups, m, REG_STARTEND);
#endif
}

static bool search(const struct pb_pattern *p, struct pb_str text, struct pb_captures *c)
{
	regmatch_t m[PB_CAPTURES] = { { .rm_so = 0, .rm_eo = (regoff_t)text.n } };
	bool took_part = false;

	if (p->inner.n > p->prefix.n && !memmem(text.p, text.n, p->inner.p, p->inner.n))
		return false;
	if (text.n > 0x7fffffff || !execute(&p->re, text, c ? PB_CAPTURES : 0, m))
		return false;
	if (!c)
		return true;
	for (size_t i = 0; i < PB_CAPTURES; i++) {
		c->at[i] = m[i].rm_so < 0
				   ? PB_STR_NULL
				   : pb_str(text.p + m[i].rm_so, (size_t)(m[i].rm_eo - m[i].rm_so));
		took_part |= i && c->at[i].p;
	}
	if (!took_part)
		c->at[1] = c->at[0];
	return true;
}

bool pb_pattern_match(const struct pb_pattern *p, struct pb_str text, struct pb_captures *c)
{
	if (!text.p)
		text = PB_STR("");
	if (p->prefix.n && !begins(p, text))
		return false;
	switch (p->kind) {
	case NEVER:
		return false;
	case ANY:
		whole(c, text);
		return true;
	case PREFIX:
		whole(c, pb_str_head(text, p->prefix.n));
		return true;
	case EXACT:
		if (text.n != p->prefix.n)
			return false;
		whole(c, text);
		return true;
	case TAIL:
		tail(p, text, c);
		return true;
	case REGEX:
		return search(p, text, c);
	}
	return false;
}

/* ---- Captures into templates -------------------------------------------------- */

struct pb_str pb_captures_expand(const struct pb_captures *c, struct pb_str t,
				 struct pb_arena *into)
{
	size_t room = t.n, n = 0;
	char *p;

	for (size_t i = 0; i + 1 < t.n; i++)
		if (t.p[i] == '\\' && c && t.p[i + 1] >= '0' && t.p[i + 1] < '0' + PB_CAPTURES)
			room += c->at[t.p[i + 1] - '0'].n;
	p = pb_arena_bytes(into, room + 1);
	if (!p)
		return PB_STR_NULL;
	for (size_t i = 0; i < t.n; i++) {
		char next = i + 1 < t.n ? t.p[i + 1] : 0;

		if (t.p[i] == '\\' && pb_is_digit(next)) {
			struct pb_str s =
				c && next < '0' + PB_CAPTURES ? c->at[next - '0'] : PB_STR_NULL;

			if (s.n)
				memcpy(p + n, s.p, s.n);
			n += s.n;
			i++;
		} else {
			p[n++] = t.p[i];
			i += t.p[i] == '\\' && next == '\\';
		}
	}
	p[n] = '\0';
	return pb_str(p, n);
}
