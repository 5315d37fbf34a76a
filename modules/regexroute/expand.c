/*
 * Values from outside are shielded on their way in: each octet that is syntax
 * becomes a control character (1 .. 5) and is turned back at the very end, so
 * the scans in between see only what the author of the rule wrote.
 */
#include "regexroute/expand.h"

static const char syntax[] = "$(){}";

/* A text whose variables contain each other would never end. */
#define ROUNDS_MAX 1000

struct pb_str regex_shield(struct pb_str s, struct pb_arena *into)
{
	size_t i = 0;
	char *p;

	while (i < s.n && (!s.p[i] || !strchr(syntax, s.p[i])))
		i++;
	if (i == s.n)
		return s;
	p = pb_arena_bytes(into, s.n + 1);
	if (!p)
		return PB_STR_NULL;
	for (i = 0; i < s.n; i++) {
		const char *at = s.p[i] ? strchr(syntax, s.p[i]) : NULL;

		p[i] = at ? (char)(at - syntax + 1) : s.p[i];
	}
	p[s.n] = '\0';
	return pb_str(p, s.n);
}

struct pb_str regex_unshield(struct pb_str s, struct pb_arena *into, bool *any)
{
	size_t i = 0;
	char *p;

	while (i < s.n && !(s.p[i] >= 1 && s.p[i] <= 5))
		i++;
	*any = i < s.n;
	if (!*any)
		return s;
	p = pb_arena_bytes(into, s.n + 1);
	if (!p)
		return PB_STR_NULL;
	for (i = 0; i < s.n; i++)
		p[i] = s.p[i] >= 1 && s.p[i] <= 5 ? syntax[s.p[i] - 1] : s.p[i];
	p[s.n] = '\0';
	return pb_str(p, s.n);
}

void regex_complain(struct regex_expand *x, const char *what, struct pb_str about)
{
	if (!x->complaint.p)
		x->complaint = pb_arena_printf(x->into, "%s '%.*s'", what, PB_STR_F(about));
}

static struct pb_str captures(struct regex_expand *x, struct pb_str s)
{
	struct pb_captures c = { 0 };

	for (size_t i = 0; x->captures && i < PB_CAPTURES; i++)
		c.at[i] = regex_shield(x->captures->at[i], x->into);
	return pb_captures_expand(&c, s, x->into);
}

static struct pb_str param(void *arg, struct pb_str name)
{
	struct regex_expand *x = arg;
	bool any;

	return regex_shield(pb_msg_get(x->msg, regex_unshield(name, x->into, &any)), x->into);
}

/* First "$(" and first ')' behind it, again and again from the beginning. */
static struct pb_str functions(struct regex_expand *x, struct pb_str s)
{
	for (unsigned round = 0; round < ROUNDS_MAX; round++) {
		ptrdiff_t at = pb_str_find(s, PB_STR("$("));
		struct pb_str inside = pb_str_from(s, (size_t)at + 2), after, value;
		ptrdiff_t end = at < 0 ? -1 : pb_str_chr(inside, ')');
		char *p;

		if (end < 0)
			return s;
		after = pb_str_from(inside, (size_t)end + 1);
		value = regex_function(x, pb_str_trim(pb_str_head(inside, (size_t)end)));
		p = pb_arena_bytes(x->into, (size_t)at + value.n + after.n + 1);
		if (!p)
			return PB_STR_NULL;
		memcpy(p, s.p, (size_t)at);
		if (value.n)
			memcpy(p + at, value.p, value.n);
		memcpy(p + (size_t)at + value.n, after.p, after.n);
		s = pb_str(p, (size_t)at + value.n + after.n);
	}
	regex_complain(x, "Endless functions in", pb_str_head(s, 64));
	return PB_STR("");
}

struct pb_str regex_expand_shielded(struct regex_expand *x, const struct regex_text *t)
{
	struct pb_str s = t->raw;

	if (t->captures)
		s = captures(x, s);
	if (t->params && s.p)
		s = pb_expand(s, param, x, x->into);
	if (t->functions && s.p)
		s = functions(x, s);
	return pb_str_trim(s.p ? s : PB_STR(""));
}

struct pb_str regex_expand(struct regex_expand *x, const struct regex_text *t)
{
	struct pb_str s = regex_expand_shielded(x, t);
	bool any;

	if (t->captures || t->params || t->functions)
		s = regex_unshield(s, x->into, &any);
	return pb_str_trim(s.p ? s : PB_STR(""));
}
