/*
 * The walk is a stack of contexts and a number in each. `include` pushes one,
 * `goto` replaces the top one, so what is below is never come back to; true
 * from any of them ends everything. Each frame knows how deep it stands by the
 * count of goto and include that led to it, which is what maxdepth limits.
 *
 * Texts that live longer than one rule (match string, result) are copied into
 * the walk's own arena; the captures of a rule view the match string or the
 * message and are used before the message can be replaced.
 */
#include "regexroute/eval.h"

#include <errno.h>

#include "base/alloc.h"
#include "regexroute/index.h"

#define EVAL_BYTES (4u << 20)
/* Steps of one walk: a ring of includes, each within maxdepth, is still work. */
#define RULES_MAX   1000000
#define WAIT_MAX_MS 60000

struct frame {
	const struct regex_context *context;
	size_t at;
	unsigned depth;
};

struct regex_eval {
	struct regex_eval_args args;
	struct pb_arena *arena;
	struct frame *frames; /* max_depth + 1 of them */
	size_t frames_n;
	struct pb_str text, result;
	struct regex_cursor cursor; /* of the top frame */
	bool cursor_valid;
	bool branch; /* the next rule is tried as a branch: its '}' closes nothing */
	bool holds, done;
	unsigned steps;
	struct pb_captures captures;
	struct pb_str complaint;
};

static void give_up(struct regex_eval *e, bool holds)
{
	e->done = true;
	e->holds = holds;
	e->frames_n = 0;
}

static void leave(struct regex_eval *e)
{
	e->frames_n--;
	e->cursor_valid = false;
	e->branch = false;
	if (!e->frames_n)
		give_up(e, false);
}

/* Step into `name`; `replace` the present context or come back to it. */
static void enter(struct regex_eval *e, struct pb_str name, bool replace, bool quiet)
{
	const struct regex_rules *rules = e->args.rules;
	const struct regex_context *c = regex_rules_context(rules, name);
	unsigned depth = e->frames_n ? e->frames[e->frames_n - 1].depth + 1 : 0;

	if (replace && e->frames_n)
		leave(e);
	if (c && depth <= rules->max_depth) {
		e->frames[e->frames_n++] = (struct frame){ .context = c, .depth = depth };
		e->done = false;
		e->cursor_valid = false;
		return;
	}
	if (!quiet || c)
		e->complaint = pb_arena_printf(e->arena,
					       c ? "Possible loop detected, current context '%.*s'"
						 : "Missing target context '%.*s'",
					       PB_STR_F(name));
	if (!e->frames_n)
		give_up(e, false);
}

int regex_eval_restart(struct regex_eval *e, const struct regex_eval_args *args)
{
	struct pb_arena *arena = e->arena;

	pb_arena_reset(arena);
	*e = (struct regex_eval){ .args = *args, .arena = arena };
	e->frames = pb_arena_alloc(arena, (args->rules->max_depth + 1) * sizeof(*e->frames));
	e->text = pb_arena_str(arena, args->text);
	if (!e->frames || pb_arena_failed(arena))
		return -ENOMEM;
	enter(e, args->context, false, true);
	return 0;
}

struct regex_eval *regex_eval_new(const struct regex_eval_args *args)
{
	struct regex_eval *e = pb_alloc_zero(1, sizeof(*e));

	if (!e)
		return NULL;
	e->arena = pb_arena_new(EVAL_BYTES);
	if (!e->arena || regex_eval_restart(e, args))
		regex_eval_free(&e);
	return e;
}

void regex_eval_free(struct regex_eval **e)
{
	if (!*e)
		return;
	pb_arena_free(&(*e)->arena);
	pb_free(*e);
	*e = NULL;
}

bool regex_eval_holds(const struct regex_eval *e)
{
	return e->holds;
}

struct pb_str regex_eval_result(const struct regex_eval *e)
{
	return e->result;
}

bool regex_eval_failed(const struct regex_eval *e)
{
	return pb_arena_failed(e->arena);
}

/* ---- Texts --------------------------------------------------------------------- */

static struct regex_expand expander(struct regex_eval *e, const struct pb_msg *m)
{
	return (struct regex_expand){
		.env = e->args.env, .msg = m, .captures = &e->captures, .into = e->arena
	};
}

static struct pb_str expand(struct regex_eval *e, const struct pb_msg *m,
			    const struct regex_text *t)
{
	struct regex_expand x = expander(e, m);
	struct pb_str s = regex_expand(&x, t);

	if (x.complaint.p)
		e->complaint = x.complaint;
	return s;
}

/* ---- Conditions ------------------------------------------------------------------ */

static struct pb_str subject(struct regex_eval *e, const struct pb_msg *m,
			     const struct regex_cond *c)
{
	struct pb_str s;

	switch (c->subject) {
	case REGEX_SUBJECT_TEXT:
		return e->text;
	case REGEX_SUBJECT_PARAM:
		s = pb_msg_get(m, c->name);
		return s.p ? s : c->fallback;
	case REGEX_SUBJECT_FUNCTION:
		return expand(e, m, &c->function);
	case REGEX_SUBJECT_BROKEN:
		break;
	}
	return PB_STR_NULL;
}

static bool holds(struct regex_eval *e, const struct pb_msg *m, const struct regex_rule *r,
		  const struct regex_cond *c)
{
	bool hit;

	if (c->subject == REGEX_SUBJECT_BROKEN)
		return false;
	hit = pb_pattern_match(c->pattern, pb_str_trim(subject(e, m, c)),
			       r->uses_captures && !c->negate ? &e->captures : NULL);
	if (c->negate || !hit)
		e->captures = (struct pb_captures){ 0 };
	return hit != c->negate;
}

/* From left to right; `or` after one that holds ends the question, as does
 * `and` after one that does not. */
static bool all_hold(struct regex_eval *e, const struct pb_msg *m, const struct regex_rule *r)
{
	bool ok = holds(e, m, r, &r->conds[0]);

	for (size_t i = 1; i < r->conds_n; i++) {
		if (ok == r->conds[i].alternative)
			return ok;
		ok = holds(e, m, r, &r->conds[i]);
	}
	return ok;
}

/* ---- Assignments -------------------------------------------------------------------- */

static void assign(struct regex_eval *e, const struct pb_msg *from, struct pb_msg *to,
		   const struct regex_text *t)
{
	struct regex_expand x = expander(e, from);
	struct pb_str value = regex_expand_shielded(&x, t), name;
	bool any, variable, sets;

	if (x.complaint.p)
		e->complaint = x.complaint;
	if (!value.n)
		return;
	pb_str_cut(&value, '=', &name);
	sets = value.p != NULL;
	variable = name.p[0] == '$';
	name = pb_str_trim(regex_unshield(pb_str_from(name, variable), e->arena, &any));
	value = pb_str_trim(value);
	if (!name.n)
		return;
	if (variable && sets)
		(void)regex_vars_set(e->args.env->vars, name, value);
	else if (variable)
		regex_vars_clear(e->args.env->vars, name);
	else if (sets)
		pb_msg_set(to, name, regex_unshield(value, e->arena, &any));
	else
		pb_msg_clear(to, name);
}

/* ---- Action words --------------------------------------------------------------------- */

struct act {
	struct regex_eval *e;
	struct pb_msg *m;
	struct regex_request *out;
	struct pb_str rest; /* behind the word */
};

/** What to do next: go on with the rules, or an effect. */
#define GO_ON REGEX_DO_FINISH

static void set_result(struct regex_eval *e, struct pb_msg *m, struct pb_str text)
{
	e->result = pb_arena_str(e->arena, text);
	if (e->args.result_to_retval)
		pb_msg_set_retval(m, text);
}

static enum regex_effect act_noop(struct act *a)
{
	return GO_ON;
}

static enum regex_effect act_return(struct act *a)
{
	if (pb_str_to_bool(a->rest, false))
		give_up(a->e, true);
	else
		leave(a->e);
	return GO_ON;
}

static enum regex_effect act_goto(struct act *a)
{
	enter(a->e, a->rest, true, false);
	return GO_ON;
}

static enum regex_effect act_try_goto(struct act *a)
{
	enter(a->e, a->rest, true, true);
	return GO_ON;
}

static enum regex_effect act_call(struct act *a)
{
	enter(a->e, a->rest, false, false);
	return GO_ON;
}

static enum regex_effect act_try_call(struct act *a)
{
	enter(a->e, a->rest, false, true);
	return GO_ON;
}

static enum regex_effect act_match(struct act *a)
{
	if (a->rest.n) {
		a->e->text = pb_arena_str(a->e->arena, a->rest);
		a->e->cursor_valid = false;
	}
	return GO_ON;
}

static enum regex_effect act_rename(struct act *a)
{
	if (!a->rest.n)
		return GO_ON;
	a->out->text = pb_arena_str(a->e->arena, pb_msg_name(a->m));
	pb_msg_set_name(a->m, a->rest);
	return REGEX_DO_NOTE_RENAME;
}

static enum regex_effect act_retval(struct act *a)
{
	set_result(a->e, a->m, a->rest);
	return GO_ON;
}

static enum regex_effect act_print(struct act *a)
{
	a->out->text = a->rest;
	return REGEX_DO_PRINT;
}

static enum regex_effect act_msleep(struct act *a)
{
	int64_t ms = 0;

	if (pb_str_to_i64(a->rest, 0, 0, WAIT_MAX_MS, &ms) == -EINVAL || !ms)
		return GO_ON;
	a->out->wait_ms = (uint32_t)ms;
	return REGEX_DO_WAIT;
}

static const struct word {
	struct pb_str word;
	enum regex_effect (*fn)(struct act *a);
} words[] = {
	{ PB_STR_INIT("noop"), act_noop },     { PB_STR_INIT("return"), act_return },
	{ PB_STR_INIT("goto"), act_goto },     { PB_STR_INIT("@goto"), act_try_goto },
	{ PB_STR_INIT("jump"), act_goto },     { PB_STR_INIT("@jump"), act_try_goto },
	{ PB_STR_INIT("include"), act_call },  { PB_STR_INIT("@include"), act_try_call },
	{ PB_STR_INIT("call"), act_call },     { PB_STR_INIT("@call"), act_try_call },
	{ PB_STR_INIT("match"), act_match },   { PB_STR_INIT("newmatch"), act_match },
	{ PB_STR_INIT("rename"), act_rename }, { PB_STR_INIT("retval"), act_retval },
	{ PB_STR_INIT("echo"), act_print },    { PB_STR_INIT("output"), act_print },
	{ PB_STR_INIT("msleep"), act_msleep },
};

/* "[LEVEL] TEXT" */
static enum regex_effect debug(struct regex_request *out, struct pb_str text)
{
	struct pb_str rest = text, word;
	int64_t level = 10;

	if (pb_str_word(&rest, &word) && pb_str_to_i64(word, 0, 1, 10, &level) != -EINVAL)
		text = rest.p ? rest : PB_STR("");
	out->text = text;
	out->level = (int)level;
	return REGEX_DO_LOG;
}

static enum regex_effect message(struct regex_eval *e, const struct pb_msg *m,
				 const struct regex_rule *r, struct regex_request *out)
{
	struct pb_str name = expand(e, m, &r->pieces[0]);
	struct pb_msg *sent = pb_msg_new(name);

	if (!sent)
		return GO_ON;
	for (size_t i = 1; i < r->pieces_n; i++)
		assign(e, m, sent, &r->pieces[i]);
	if (!name.n || pb_msg_failed(sent)) {
		pb_msg_free(&sent);
		return GO_ON;
	}
	pb_msg_set_chan(sent, pb_msg_chan(m));
	out->msg = sent;
	return r->action == REGEX_DISPATCH ? REGEX_DO_DISPATCH : REGEX_DO_ENQUEUE;
}

static enum regex_effect pieces(struct regex_eval *e, struct pb_msg *m, const struct regex_rule *r,
				struct regex_request *out)
{
	struct act a = { .e = e, .m = m, .out = out };
	struct pb_str first = expand(e, m, &r->pieces[0]);

	for (size_t i = 1; i < r->pieces_n; i++)
		assign(e, m, m, &r->pieces[i]);
	if (!first.n)
		return GO_ON;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		a.rest = first;
		if (pb_str_skip_word(&a.rest, words[i].word))
			return words[i].fn(&a);
	}
	set_result(e, m, first);
	give_up(e, true);
	return GO_ON;
}

static enum regex_effect act(struct regex_eval *e, struct pb_msg *m, const struct regex_rule *r,
			     struct regex_request *out)
{
	switch (r->action) {
	case REGEX_PIECES:
		return pieces(e, m, r, out);
	case REGEX_OPEN:
		return GO_ON;
	case REGEX_ECHO:
		out->text = expand(e, m, &r->pieces[0]);
		return REGEX_DO_PRINT;
	case REGEX_DEBUG:
		return debug(out, expand(e, m, &r->pieces[0]));
	case REGEX_DISPATCH:
	case REGEX_ENQUEUE:
		return message(e, m, r, out);
	}
	return GO_ON;
}

/* ---- The walk ---------------------------------------------------------------------------- */

/* The next rule of the top frame that may hold, or its count. */
static size_t candidate(struct regex_eval *e, const struct frame *f)
{
	size_t at = f->at;

	if (!f->context->index || e->branch)
		return at;
	if (!e->cursor_valid) {
		regex_cursor_start(&e->cursor, f->context->index, pb_str_trim(e->text));
		e->cursor_valid = true;
	}
	at = regex_cursor_next(&e->cursor, at);
	return at < f->context->count ? at : f->context->count;
}

/* The next rule that holds and has an action, or NULL at the end of its context. */
static const struct regex_rule *next_rule(struct regex_eval *e, struct pb_msg *m, struct frame *f)
{
	for (;;) {
		const struct regex_rule *r;

		f->at = candidate(e, f);
		if (f->at >= f->context->count || e->steps++ > RULES_MAX)
			return NULL;
		r = &f->context->rules[f->at];
		if (r->ignored) {
			f->at++;
		} else if (r->closes && !e->branch) {
			f->at = r->end;
		} else if (!all_hold(e, m, r)) {
			f->at = r->otherwise;
			e->branch = r->action == REGEX_OPEN;
		} else {
			f->at++;
			e->branch = false;
			return r;
		}
	}
}

static bool take_complaint(struct regex_eval *e, struct regex_request *out)
{
	if (!e->complaint.p)
		return false;
	out->text = e->complaint;
	e->complaint = PB_STR_NULL;
	return true;
}

enum regex_effect regex_eval_step(struct regex_eval *e, struct pb_msg *m, struct regex_request *out)
{
	enum regex_effect effect;

	*out = (struct regex_request){ 0 };
	while (!take_complaint(e, out)) {
		const struct regex_rule *r;
		struct frame *f;

		if (pb_arena_failed(e->arena))
			give_up(e, false);
		if (e->done)
			return REGEX_DO_FINISH;
		f = &e->frames[e->frames_n - 1];
		r = next_rule(e, m, f);
		if (!r) {
			leave(e);
			continue;
		}
		out->rule = r;
		out->context = f->context->name;
		out->number = (size_t)(r - f->context->rules) + 1;
		if (r->overflow) {
			e->complaint = PB_STR("Block stack overflow");
			leave(e);
			continue;
		}
		effect = act(e, m, r, out);
		if (effect != GO_ON)
			return effect;
	}
	return REGEX_DO_COMPLAIN;
}
