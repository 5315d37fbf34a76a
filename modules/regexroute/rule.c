/*
 * Compiling rules.
 *
 * A rule is LEFT=RIGHT. LEFT and the `if`, `and`, `or` at the head of RIGHT
 * become an array of conditions; what remains of RIGHT is the action. All of
 * this is decided by the raw text, before any substitution, so it can be done
 * at load.
 *
 * Blocks become jumps. A rule that opens one and does not hold goes to its '}'
 * and tries that as the next branch; a '}' that is reached from the inside of
 * its block has been taken and goes behind the whole chain:
 *
 *     0  ${a}x={        otherwise -> 2
 *     1    .*=;b=1
 *     2  } ${a}y={      reached from 1: end -> 5;  otherwise -> 4
 *     3    .*=;b=2
 *     4  } =;b=3        reached from 3: end -> 5
 *     5  .*=result
 */
#include "regexroute/rule.h"

#include <errno.h>
#include <stdlib.h>

#include "regexroute/index.h"

struct build {
	const struct regex_rules_args *args;
	struct regex_rules *rules;
	struct pb_arena *a;
	struct pb_findings *f;
};

/* Blocks that are open while a context is read, and those of their chains. */
struct blocks {
	size_t open[REGEX_BLOCKS_MAX];
	size_t depth;
	size_t beyond; /* opened past the limit */
};

/* ---- Texts ----------------------------------------------------------------- */

static struct regex_text text_of(struct build *b, struct pb_str raw)
{
	struct regex_text t = { .raw = pb_arena_str(b->a, pb_str_trim(raw)) };

	t.captures = pb_str_chr(t.raw, '\\') >= 0;
	t.params = pb_str_find(t.raw, PB_STR("${")) >= 0;
	t.functions = pb_str_find(t.raw, PB_STR("$(")) >= 0;
	return t;
}

static void one_piece(struct build *b, struct regex_rule *r, struct pb_str raw)
{
	struct regex_text *t = pb_arena_alloc(b->a, sizeof(*t));

	if (!t)
		return;
	*t = text_of(b, raw);
	r->pieces = t;
	r->pieces_n = 1;
}

/* Split at ';', before anything is substituted. */
static void split(struct build *b, struct regex_rule *r, struct pb_str raw)
{
	struct regex_text *t;
	struct pb_str list = raw, item;
	size_t n = 0;

	while (pb_str_cut(&list, ';', &item))
		n++;
	t = pb_arena_alloc(b->a, n * sizeof(*t));
	if (!t)
		return;
	for (list = raw, n = 0; pb_str_cut(&list, ';', &item); n++)
		t[n] = text_of(b, item);
	r->pieces = t;
	r->pieces_n = n;
}

/* ---- Conditions --------------------------------------------------------------- */

/* The place of `part`, which lies inside `whole` that begins at `at`. */
static struct pb_pos place(struct pb_pos at, struct pb_str whole, struct pb_str part)
{
	if (part.p >= whole.p && part.p <= whole.p + whole.n)
		at.col += (unsigned)(part.p - whole.p);
	return at;
}

static void complain(struct build *b, struct pb_pos at, const char *id, const char *what,
		     struct pb_str text)
{
	pb_findings_add(b->f, at, PB_SEV_ERROR, id, "%s: '%.*s', the rule never holds", what,
			PB_STR_F(text));
}

/* Take "${NAME$DEFAULT}" or "$(...)" off the head of `*left`. */
static const char *take_subject(struct build *b, struct pb_str *left, struct regex_cond *c)
{
	bool param = pb_str_starts(*left, PB_STR("${"));
	struct pb_str inside, name;
	ptrdiff_t end;

	c->subject = REGEX_SUBJECT_TEXT;
	if (!param && !pb_str_starts(*left, PB_STR("$(")))
		return NULL;
	c->subject = REGEX_SUBJECT_BROKEN;
	end = pb_str_chr(*left, param ? '}' : ')');
	if (end < 0)
		return param ? "no '}' after '${'" : "no ')' after '$('";
	inside = pb_str_trim(pb_str(left->p + 2, (size_t)end - 2));
	if (!inside.n && param)
		return "'${}' names no parameter";
	if (param) {
		pb_str_cut(&inside, '$', &name);
		c->name = pb_arena_str(b->a, pb_str_trim(name));
		c->fallback = pb_arena_str(b->a, pb_str_trim(inside));
	} else {
		c->function = text_of(b, pb_str_head(*left, (size_t)end + 1));
		c->function.captures = false; /* nothing has matched yet */
	}
	c->subject = param ? REGEX_SUBJECT_PARAM : REGEX_SUBJECT_FUNCTION;
	*left = pb_str_trim(pb_str_from(*left, (size_t)end + 1));
	return NULL;
}

/* Without an expression a condition asks whether its subject is set. */
static void use_default(struct build *b, struct pb_str regex, struct regex_cond *c)
{
	c->pattern = b->rules->set;
	c->negate = b->rules->set_negate != (regex.n == 1);
	if (!c->pattern)
		c->subject = REGEX_SUBJECT_BROKEN;
}

/* Compile `left`; `at` is its place. */
static void compile_cond(struct build *b, struct pb_str left, struct pb_pos at,
			 struct regex_cond *c)
{
	struct pb_str whole = left, why = PB_STR_NULL;
	const char *wrong;
	int err;

	left = pb_str_trim(left);
	wrong = take_subject(b, &left, c);
	if (wrong) {
		complain(b, place(at, whole, left), "regexroute-102", wrong, left);
		return;
	}
	if (!left.n || pb_str_eq(left, PB_STR("^"))) {
		use_default(b, left, c);
		return;
	}
	err = pb_pattern_new_negatable(left, b->args->pattern_flags, b->a, &c->pattern, &c->negate,
				       &why);
	if (err == -EINVAL) {
		c->subject = REGEX_SUBJECT_BROKEN;
		pb_findings_add(b->f, place(at, whole, left), PB_SEV_ERROR, "regexroute-101",
				"bad expression '%.*s': %.*s", PB_STR_F(left), PB_STR_F(why));
	}
}

/* Take "if", "and" or "or" off the head of `*right`. */
static bool take_link(struct pb_str *right, bool *alternative)
{
	*alternative = pb_str_skip_word(right, PB_STR("or"));
	return *alternative || pb_str_skip_word(right, PB_STR("if")) ||
	       pb_str_skip_word(right, PB_STR("and"));
}

static size_t count_links(struct pb_str right)
{
	bool alternative;
	size_t n = 0;

	while (take_link(&right, &alternative)) {
		ptrdiff_t eq = pb_str_chr(right, '=');

		n++;
		right = eq < 0 ? PB_STR("") : pb_str_trim(pb_str_from(right, (size_t)eq + 1));
	}
	return n;
}

/* All conditions of an entry; what remains of its value is answered. */
static struct pb_str compile_conds(struct build *b, const struct pb_conf_entry *e,
				   struct pb_str left, struct regex_rule *r)
{
	struct pb_str right = e->value.p ? e->value : PB_STR("");
	struct regex_cond *c;
	bool alternative;

	r->conds_n = 1 + count_links(right);
	c = pb_arena_alloc(b->a, r->conds_n * sizeof(*c));
	if (!c)
		return right;
	r->conds = c;
	compile_cond(b, left, place(e->key_at, e->key, left), c);
	while (take_link(&right, &alternative)) {
		ptrdiff_t eq = pb_str_chr(right, '=');

		(++c)->alternative = alternative;
		if (eq < 0) {
			c->subject = REGEX_SUBJECT_BROKEN;
			complain(b, place(e->value_at, e->value, right), "regexroute-103",
				 "no '=' after a condition", right);
			return PB_STR("");
		}
		compile_cond(b, pb_str_head(right, (size_t)eq), place(e->value_at, e->value, right),
			     c);
		right = pb_str_trim(pb_str_from(right, (size_t)eq + 1));
	}
	return right;
}

/* ---- Rules ------------------------------------------------------------------------ */

static void compile_action(struct build *b, struct pb_str right, struct regex_rule *r)
{
	static const struct {
		struct pb_str word;
		enum regex_action action;
	} raw[] = {
		{ PB_STR_INIT("echo"), REGEX_ECHO },
		{ PB_STR_INIT("output"), REGEX_ECHO },
		{ PB_STR_INIT("debug"), REGEX_DEBUG },
		{ PB_STR_INIT("dispatch"), REGEX_DISPATCH },
		{ PB_STR_INIT("enqueue"), REGEX_ENQUEUE },
	};

	r->action = REGEX_PIECES;
	if (pb_str_eq(right, PB_STR("{")))
		r->action = REGEX_OPEN;
	for (size_t i = 0; i < sizeof(raw) / sizeof(raw[0]); i++) {
		if (pb_str_skip_word(&right, raw[i].word)) {
			r->action = raw[i].action;
			break;
		}
	}
	if (r->action == REGEX_ECHO || r->action == REGEX_DEBUG)
		one_piece(b, r, right);
	else if (r->action != REGEX_OPEN)
		split(b, r, right);
	for (size_t i = 0; i < r->pieces_n; i++)
		r->uses_captures |= r->pieces[i].captures;
}

/* What is known of the block structure so far; rules[i] is complete but for jumps. */
static void open_block(struct build *b, const struct pb_conf_entry *e, struct blocks *k,
		       struct regex_rule *r, size_t i)
{
	if (k->depth < REGEX_BLOCKS_MAX) {
		k->open[k->depth++] = i;
		return;
	}
	k->beyond++;
	r->overflow = true;
	pb_findings_add(b->f, e->key_at, PB_SEV_ERROR, "regexroute-104",
			"blocks nest deeper than %d: the context ends here", REGEX_BLOCKS_MAX);
}

/* A '}' ends a branch: its opener goes here when it does not hold. */
static void close_block(struct build *b, const struct pb_conf_entry *e, struct blocks *k,
			struct regex_rule *rules, size_t i)
{
	if (k->beyond) {
		k->beyond--;
	} else if (!k->depth) {
		rules[i].ignored = true;
		pb_findings_add(b->f, e->key_at, PB_SEV_WARNING, "regexroute-105",
				"'}' closes no block: the line is ignored");
	} else {
		rules[k->open[--k->depth]].otherwise = i;
		rules[i].closes = true;
	}
}

/* Where a chain ends is known only at its last '}': from there backwards. */
static void set_ends(struct regex_rule *rules, size_t count)
{
	for (size_t i = count; i-- > 0;) {
		struct regex_rule *r = &rules[i];

		if (!r->closes)
			continue;
		r->end = i + 1;
		if (r->action == REGEX_OPEN && !r->overflow)
			r->end = r->otherwise < count ? rules[r->otherwise].end : count;
	}
}

static void compile_rule(struct build *b, const struct pb_conf_entry *e, struct blocks *k,
			 struct regex_rule *rules, size_t i, size_t count)
{
	struct regex_rule *r = &rules[i];
	struct pb_str left = e->key;
	bool close = pb_str_starts(left, PB_STR("}"));

	r->at = e->value_at;
	r->left = pb_arena_str(b->a, e->key);
	r->right = pb_arena_str(b->a, e->value.p ? e->value : PB_STR(""));
	r->otherwise = i + 1;
	if (close) {
		left = pb_str_trim(pb_str_from(left, 1));
		close_block(b, e, k, rules, i);
		if (r->ignored)
			return;
		if (!left.n)
			left = PB_STR(".*");
	}
	compile_action(b, compile_conds(b, e, left, r), r);
	if (r->action == REGEX_OPEN) {
		r->otherwise = count; /* until its '}' is seen */
		open_block(b, e, k, r, i);
	}
}

static void compile_context(struct build *b, const struct pb_conf_section *s,
			    struct regex_context *c)
{
	struct blocks k = { .depth = 0 };
	struct regex_rule *rules = pb_arena_alloc(b->a, (s->count + !s->count) * sizeof(*rules));

	c->name = pb_arena_str(b->a, s->name);
	if (!rules)
		return;
	c->rules = rules;
	c->count = s->count;
	for (size_t i = 0; i < s->count; i++)
		compile_rule(b, &s->entries[i], &k, rules, i, s->count);
	for (size_t d = 0; d < k.depth; d++)
		pb_findings_add(b->f, s->entries[k.open[d]].key_at, PB_SEV_WARNING,
				"regexroute-106",
				"the block is never closed: it ends with its context");
	set_ends(rules, s->count);
	c->index = regex_index_new(rules, s->count, b->a);
}

/* ---- The set -------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
	const struct regex_context *x = a, *y = b;

	return pb_str_cmp(x->name, y->name);
}

static void compile_default(struct build *b)
{
	struct pb_str why = PB_STR_NULL;
	int err = pb_pattern_new_negatable(b->args->default_rule, b->args->pattern_flags, b->a,
					   &b->rules->set, &b->rules->set_negate, &why);

	if (err == -EINVAL)
		pb_findings_add(b->f, (struct pb_pos){ 0 }, PB_SEV_ERROR, "regexroute-101",
				"bad expression in defaultrule '%.*s': %.*s",
				PB_STR_F(b->args->default_rule), PB_STR_F(why));
}

#define NAMES_MAX 256

static struct pb_str near_context(const struct regex_rules *rules, struct pb_str name)
{
	struct pb_str names[NAMES_MAX];
	size_t n = 0;

	for (; n < rules->count && n < NAMES_MAX; n++)
		names[n] = rules->contexts[n].name;
	return pb_suggest(name, names, n);
}

/* A target that is written out and not there. With '@' nobody is to be told. */
static void check_target(struct build *b, const struct regex_rule *r)
{
	static const struct pb_str words[] = { PB_STR_INIT("goto"), PB_STR_INIT("jump"),
					       PB_STR_INIT("include"), PB_STR_INIT("call") };
	const struct regex_text *t = r->pieces;
	struct pb_str name, near;
	size_t i = 0;

	if (r->action != REGEX_PIECES || !t || t->captures || t->params || t->functions)
		return;
	for (name = t->raw; i < 4 && !pb_str_skip_word(&name, words[i]);)
		i++;
	if (i == 4 || regex_rules_context(b->rules, name))
		return;
	near = near_context(b->rules, name);
	pb_findings_add(b->f, r->at, PB_SEV_WARNING, "regexroute-111",
			"there is no context [%.*s]%s%.*s%s", PB_STR_F(name),
			near.p ? ", did you mean [" : "", PB_STR_F(near), near.p ? "]?" : "");
}

static void check_targets(struct build *b)
{
	for (size_t i = 0; i < b->rules->count; i++)
		for (size_t k = 0; k < b->rules->contexts[i].count; k++)
			check_target(b, &b->rules->contexts[i].rules[k]);
}

int regex_rules_new(const struct regex_rules_args *args, struct pb_arena *a, struct pb_findings *f,
		    const struct regex_rules **out)
{
	size_t sections = pb_conf_sections(args->conf);
	struct regex_rules *r = pb_arena_alloc(a, sizeof(*r));
	struct regex_context *c = pb_arena_alloc(a, (sections + 1) * sizeof(*c));
	struct build b = { .args = args, .rules = r, .a = a, .f = f };

	*out = NULL;
	if (!r || !c)
		return -ENOMEM;
	r->contexts = c;
	r->max_depth = args->max_depth;
	compile_default(&b);
	for (size_t i = 0; i < sections; i++) {
		const struct pb_conf_section *s = pb_conf_section_at(args->conf, i);

		if (!args->is_settings(s->name))
			compile_context(&b, s, &c[r->count++]);
	}
	if (pb_arena_failed(a))
		return -ENOMEM;
	qsort(c, r->count, sizeof(*c), by_name);
	check_targets(&b);
	*out = r;
	return 0;
}

const struct regex_context *regex_rules_context(const struct regex_rules *r, struct pb_str name)
{
	struct regex_context key = { .name = name };

	return bsearch(&key, r->contexts, r->count, sizeof(key), by_name);
}
