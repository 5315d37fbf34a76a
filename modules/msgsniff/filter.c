/*
 * Rules are few and changed by hand, so a change copies them all: each set has
 * an arena of its own and is handed to the loops whole.
 *
 * The forms of a rule in commands:
 *
 *     filter REGEX            the rest of the line
 *     age SECONDS
 *     params [any] [negated] NAME=REGEX ...
 *     set [name=N] [filter=REGEX] [age=SECONDS] [params ...]
 *     reset [the same as behind set]
 *
 * The first three change the rule without a name. A rule that asks for nothing
 * is removed.
 */
#include "msgsniff/filter.h"

#include <errno.h>

#define RULES_BYTES (1u << 20)
#define PARAMS_MAX  32

struct sniff_rules *sniff_rules_new(void)
{
	struct pb_arena *a = pb_arena_new(RULES_BYTES);
	struct sniff_rules *r = a ? pb_arena_alloc(a, sizeof(*r)) : NULL;

	if (r)
		r->arena = a;
	return r;
}

void sniff_rules_free(struct sniff_rules **rp)
{
	struct pb_arena *a = *rp ? (*rp)->arena : NULL;

	*rp = NULL;
	pb_arena_free(&a);
}

/* ---- Reading a rule ----------------------------------------------------------- */

struct change {
	struct sniff_rules *to;
	struct pb_str why; /* broken expression */
};

/* Compile; a broken expression matches nothing and is told. */
static struct sniff_match match_of(struct change *c, struct pb_str text)
{
	struct sniff_match m = { .text = pb_arena_str(c->to->arena, text) };
	struct pb_str why = PB_STR_NULL;

	if (pb_pattern_new_negatable(text, 0, c->to->arena, &m.pattern, &m.negate, &why) ==
	    -EINVAL) {
		c->why = pb_arena_printf(c->to->arena, "bad expression '%.*s': %.*s",
					 PB_STR_F(text), PB_STR_F(why));
		pb_pattern_new(PB_STR(""), 0, c->to->arena, &m.pattern, NULL);
	}
	return m;
}

/* "0.5", "2": seconds into microseconds; anything else is 0. */
static uint64_t seconds(struct pb_str s)
{
	struct pb_str rest = pb_str_trim(s), whole;
	uint32_t sec = 0, us = 0;

	pb_str_cut(&rest, '.', &whole);
	if (whole.n && pb_str_to_u32(whole, 0, 1000000000, &sec))
		return 0;
	rest = pb_str_head(rest, 6);
	if (rest.n && pb_str_to_u32(rest, 0, 999999, &us))
		return 0;
	for (size_t i = rest.n; i < 6; i++)
		us *= 10;
	return (uint64_t)sec * 1000000 + us;
}

/* "[any] [negated] NAME=REGEX ..." to the end of the line. */
static void read_params(struct change *c, struct pb_str line, struct sniff_rule *r)
{
	struct sniff_param *p = pb_arena_alloc(c->to->arena, PARAMS_MAX * sizeof(*p));
	struct pb_str word, name;

	r->any = pb_str_skip_word(&line, PB_STR("any"));
	r->negated = pb_str_skip_word(&line, PB_STR("negated"));
	r->params = p;
	r->params_n = 0;
	while (p && r->params_n < PARAMS_MAX && pb_str_word(&line, &word)) {
		pb_str_cut(&word, '=', &name);
		p[r->params_n].name = pb_arena_str(c->to->arena, name);
		p[r->params_n++].match = match_of(c, word.p ? word : PB_STR(""));
	}
}

/* "[name=N] [filter=REGEX] [age=SECONDS] [params ...]" */
static struct sniff_rule read_rule(struct change *c, struct pb_str line)
{
	struct sniff_rule r = { .name = PB_STR("") };
	struct pb_str word, name;

	for (;;) {
		if (pb_str_skip_word(&line, PB_STR("params"))) {
			read_params(c, line, &r);
			return r;
		}
		if (!pb_str_word(&line, &word))
			return r;
		pb_str_cut(&word, '=', &name);
		if (pb_str_eq(name, PB_STR("name")))
			r.name = pb_arena_str(c->to->arena, word.p ? word : PB_STR(""));
		else if (pb_str_eq(name, PB_STR("filter")) && word.n)
			r.filter = match_of(c, word);
		else if (pb_str_eq(name, PB_STR("age")))
			r.age_us = seconds(word);
	}
}

/* ---- Changing the set ------------------------------------------------------------ */

static bool asks_nothing(const struct sniff_rule *r)
{
	return !r->filter.text.n && !r->age_us && !r->params_n;
}

/* A copy into the new set, expressions compiled anew. */
static struct sniff_rule copy_rule(struct change *c, const struct sniff_rule *from)
{
	struct sniff_rule r = *from;
	struct sniff_param *p = pb_arena_alloc(c->to->arena, (from->params_n + 1) * sizeof(*p));

	r.name = pb_arena_str(c->to->arena, from->name);
	if (from->filter.text.n)
		r.filter = match_of(c, from->filter.text);
	r.params = p;
	for (size_t i = 0; p && i < from->params_n; i++) {
		p[i].name = pb_arena_str(c->to->arena, from->params[i].name);
		p[i].match = match_of(c, from->params[i].match.text);
	}
	return r;
}

/* Put `rule` in the place of the one of its name, or last; remove an empty one. */
static void put(struct change *c, const struct sniff_rule *rule)
{
	struct sniff_rules *to = c->to;
	struct sniff_rule *list = pb_arena_alloc(to->arena, (to->count + 1) * sizeof(*list));
	bool placed = false;
	size_t n = 0;

	if (!list)
		return;
	for (size_t i = 0; i < to->count; i++) {
		bool same = pb_str_eq(to->rules[i].name, rule->name);

		placed |= same;
		if (!same)
			list[n++] = to->rules[i];
		else if (!asks_nothing(rule))
			list[n++] = *rule;
	}
	if (!placed && !asks_nothing(rule))
		list[n++] = *rule;
	to->rules = list;
	to->count = n;
}

/* The unnamed rule as it is now. */
static struct sniff_rule unnamed(const struct sniff_rules *r)
{
	for (size_t i = 0; i < r->count; i++)
		if (!r->rules[i].name.n)
			return r->rules[i];
	return (struct sniff_rule){ .name = PB_STR("") };
}

static void run_command(struct change *c, struct pb_str line)
{
	struct sniff_rule rule = unnamed(c->to);

	if (pb_str_skip_word(&line, PB_STR("filter"))) {
		rule.filter = line.n ? match_of(c, line) : (struct sniff_match){ 0 };
	} else if (pb_str_skip_word(&line, PB_STR("params"))) {
		read_params(c, line, &rule);
	} else if (pb_str_skip_word(&line, PB_STR("age"))) {
		rule.age_us = seconds(line);
	} else if (pb_str_skip_word(&line, PB_STR("set"))) {
		rule = read_rule(c, line);
	} else if (pb_str_skip_word(&line, PB_STR("reset"))) {
		c->to->count = 0;
		rule = read_rule(c, line);
	} else {
		return;
	}
	put(c, &rule);
}

/* Take a boolean word off the head of the line. */
static bool take_bool(struct pb_str *line, bool now)
{
	struct pb_str rest = *line, word;

	if (!pb_str_word(&rest, &word) || !pb_str_is_bool(word))
		return now;
	*line = rest;
	return pb_str_to_bool(word, now);
}

/* A set like `r`, expressions compiled anew; the arena may have failed. */
static struct sniff_rules *copy_rules(const struct sniff_rules *r)
{
	struct change c = { .to = sniff_rules_new() };
	struct sniff_rule *list;

	if (!c.to)
		return NULL;
	c.to->on = r->on;
	c.to->timer = r->timer;
	c.to->dump = r->dump;
	list = pb_arena_alloc(c.to->arena, (r->count + 1) * sizeof(*list));
	for (size_t i = 0; list && i < r->count; i++)
		list[c.to->count++] = copy_rule(&c, &r->rules[i]);
	c.to->rules = list;
	return c.to;
}

static struct sniff_rules *whole_or_none(struct sniff_rules *r)
{
	if (r && pb_arena_failed(r->arena))
		sniff_rules_free(&r);
	return r;
}

struct sniff_rules *sniff_rules_copy(const struct sniff_rules *r)
{
	return whole_or_none(copy_rules(r));
}

struct sniff_rules *sniff_rules_change(const struct sniff_rules *r, struct pb_str line,
				       struct pb_str *why)
{
	struct change c = { .to = copy_rules(r), .why = PB_STR_NULL };

	if (!c.to)
		return NULL;
	line = pb_str_trim_space(line);
	c.to->on = take_bool(&line, r->on);
	if (pb_str_skip_word(&line, PB_STR("timer")))
		c.to->timer = take_bool(&line, true);
	run_command(&c, line);
	if (why)
		*why = c.why;
	return whole_or_none(c.to);
}

/* ---- Asking ------------------------------------------------------------------------- */

/* An empty expression takes what is missing or empty. */
static bool matches(const struct sniff_match *m, struct pb_str text)
{
	bool empty = m->text.n == (size_t)m->negate;
	bool hit = empty ? !text.n : pb_pattern_match(m->pattern, text, NULL);

	return hit != m->negate;
}

static bool params_hold(const struct sniff_rule *r, const struct pb_msg *m)
{
	bool ok = !r->any;

	for (size_t i = 0; i < r->params_n && ok != r->any; i++)
		ok = matches(&r->params[i].match, pb_msg_get(m, r->params[i].name));
	return ok != r->negated;
}

static bool takes(const struct sniff_rule *r, const struct pb_msg *m, uint64_t age_us)
{
	return (!r->filter.text.n || matches(&r->filter, pb_msg_name(m))) && age_us >= r->age_us &&
	       (!r->params_n || params_hold(r, m));
}

bool sniff_rules_take(const struct sniff_rules *r, const struct pb_msg *m, uint64_t age_us)
{
	if (!r->timer && pb_str_eq(pb_msg_name(m), PB_STR("engine.timer")))
		return false;
	for (size_t i = 0; i < r->count; i++)
		if (takes(&r->rules[i], m, age_us))
			return true;
	return !r->count;
}

/* ---- Showing -------------------------------------------------------------------------- */

static void print_rule(const struct sniff_rule *r, struct pb_text *t)
{
	if (r->name.n)
		pb_text_addf(t, "\r\nName: %.*s", PB_STR_F(r->name));
	if (r->filter.text.n || r->age_us)
		pb_text_addf(t, "\r\nMessage: %.*s", PB_STR_F(r->filter.text));
	if (r->age_us)
		pb_text_addf(t, " age %llu.%06llu", (unsigned long long)(r->age_us / 1000000),
			     (unsigned long long)(r->age_us % 1000000));
	if (r->params_n)
		pb_text_addf(t, "\r\nParams%s%s", r->any ? " any" : "",
			     r->negated ? " negated" : "");
	for (size_t i = 0; i < r->params_n; i++)
		pb_text_addf(t, "\r\n  %.*s: %.*s", PB_STR_F(r->params[i].name),
			     PB_STR_F(r->params[i].match.text));
}

void sniff_rules_print(const struct sniff_rules *r, struct pb_text *t)
{
	struct pb_str line = r->count > 1 ? PB_STR("\r\n-----") : PB_STR("");

	pb_text_addf(t, "Message sniffer: %s", r->on ? "on" : "off");
	if (r->on || r->timer)
		pb_text_addf(t, ", timer: %s", r->timer ? "on" : "off");
	for (size_t i = 0; i < r->count; i++) {
		pb_text_add(t, line);
		print_rule(&r->rules[i], t);
	}
	pb_text_add(t, line);
	pb_text_lit(t, "\r\n");
}
