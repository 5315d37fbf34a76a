/*
 * First all that is said and heard is written down, then looked through. Lists
 * are short (some hundred handlers at most), so each question is one walk.
 *
 * Where scripts run, anything may be sent and set: what nobody else does is then
 * left alone.
 */
#include "bus/lint.h"

#include <errno.h>

#include "bus/engine_impl.h"
#include "bus/names.h"
#include "bus/registry.h"

#define SUGGEST_MAX 1024

struct heard {
	struct heard *next;
	const struct pb_module *d;
	struct pb_str message;
	unsigned priority;
	bool filtered, chosen; /* by a configuration that differs from the usual */
	struct pb_pos at;      /* all zero: a row of the module */
};

struct word {
	struct word *next;
	struct pb_str text;
	struct pb_pos at;
};

struct pb_uses {
	struct pb_arena *a;
	const struct pb_module *d; /* whose turn it is */
	struct heard *heard;
	struct word *sent, *set, *read;
	bool any_sent, any_set;
	struct pb_findings *f;
};

/* ---- Written down ----------------------------------------------------------------------- */

static void add_heard(struct pb_uses *u, const struct heard *one)
{
	struct heard *h = pb_arena_alloc(u->a, sizeof(*h));

	if (!h)
		return;
	*h = *one;
	h->d = u->d;
	h->next = u->heard;
	u->heard = h;
}

static void add_word(struct pb_uses *u, struct word **list, struct pb_str text, struct pb_pos at)
{
	struct word *w = pb_arena_alloc(u->a, sizeof(*w));

	if (!w)
		return;
	*w = (struct word){ *list, pb_arena_str(u->a, text), at };
	*list = w;
}

void pb_uses_hears(struct pb_uses *u, struct pb_str message, unsigned priority, bool filtered,
		   struct pb_pos at)
{
	add_heard(u, &(struct heard){ .message = pb_arena_str(u->a, message),
				      .priority = priority,
				      .filtered = filtered,
				      .chosen = true,
				      .at = at });
}

void pb_uses_sends(struct pb_uses *u, struct pb_str message)
{
	if (pb_str_eq(message, PB_STR("*")))
		u->any_sent = true;
	else
		add_word(u, &u->sent, message, (struct pb_pos){ 0 });
}

void pb_uses_sets(struct pb_uses *u, struct pb_str param)
{
	if (pb_str_eq(param, PB_STR("*")))
		u->any_set = true;
	else
		add_word(u, &u->set, param, (struct pb_pos){ 0 });
}

void pb_uses_reads(struct pb_uses *u, struct pb_str param, struct pb_pos at)
{
	add_word(u, &u->read, param, at);
}

static void take_handlers(struct pb_uses *u, const struct pb_handler *rows)
{
	for (const struct pb_handler *h = rows; h && h->message; h++) {
		if (*h->message)
			add_heard(u, &(struct heard){ .message = pb_str_z(h->message),
						      .priority = h->priority,
						      .filtered = h->filter_name ||
								  h->place == PB_OWNER });
	}
}

static const char *settings_of(const struct pbi_module *m)
{
	const struct pb_loop *l = pb_loop_current();

	if (l && m->started)
		return m->ctx[pb_loop_index(l)].settings;
	return m->settings ? m->settings->data : NULL;
}

/* The priority that the option says now. */
static unsigned priority_of(const struct pbi_module *m, const struct pb_hears *h)
{
	int64_t v;

	for (const struct pb_opt *o = m->d->options; h->option && o && o->type != PB_OPT_END; o++) {
		if (o->type != PB_OPT_INT || strcmp(o->name, h->option) != 0)
			continue;
		memcpy(&v, settings_of(m) + o->at, sizeof(v));
		return (unsigned)v;
	}
	return h->priority;
}

static void take_hears(struct pb_uses *u, const struct pbi_module *m)
{
	for (const struct pb_hears *h = m->d->hears; h && h->message; h++) {
		unsigned priority = priority_of(m, h);

		add_heard(u, &(struct heard){ .message = pb_str_z(h->message),
					      .priority = priority,
					      .filtered = h->filtered ||
							  !priority, /* 0: none is added */
					      .chosen = priority != h->priority });
	}
}

static void take_sends(struct pb_uses *u, const struct pb_sends *rows)
{
	for (const struct pb_sends *s = rows; s && s->message; s++) {
		struct pb_str left = pb_str_z(s->params), name;

		/* Beginnings are left to those who know better. */
		if (!s->answers && !(u->d->uses && pb_str_ends(pb_str_z(s->message), PB_STR("."))))
			pb_uses_sends(u, pb_str_z(s->message));
		while (pb_str_word(&left, &name))
			pb_uses_sets(u, name);
	}
}

static void take_module(struct pb_uses *u, const struct pbi_module *m)
{
	u->d = m->d;
	if (!settings_of(m))
		return;
	take_handlers(u, m->d->handlers);
	take_hears(u, m);
	take_sends(u, m->d->sends);
	if (m->d->part) {
		take_handlers(u, m->d->part->handlers);
		take_sends(u, m->d->part->sends);
	}
	if (m->d->uses)
		m->d->uses(settings_of(m), u);
}

/* ---- Looked through ---------------------------------------------------------------------- */

/* "sip." stands for all that begin so, "sip_*" too. */
static bool covers(struct pb_str pattern, struct pb_str name)
{
	if (pb_str_ends(pattern, PB_STR("*")))
		return pb_str_starts(name, pb_str_head(pattern, pattern.n - 1));
	if (pb_str_ends(pattern, PB_STR(".")))
		return pb_str_starts(name, pattern);
	return pb_str_eq(pattern, name);
}

static bool is_listed(const struct word *list, struct pb_str name)
{
	for (; list; list = list->next) {
		if (covers(list->text, name))
			return true;
	}
	return false;
}

static struct pb_str near_one(const struct word *list, struct pb_str name)
{
	struct pb_str names[SUGGEST_MAX];
	size_t n = 0;

	for (; list && n < SUGGEST_MAX; list = list->next)
		names[n++] = list->text;
	return pb_suggest(name, names, n);
}

static bool is_asked_from_outside(struct pb_str message)
{
	const struct pb_name_message *row = pb_name_message(message);

	return row && (row->flags & PB_NAME_ASKED);
}

static void check_heard(struct pb_uses *u, const struct heard *h)
{
	struct pb_str near;

	if (u->any_sent || is_listed(u->sent, h->message) || is_asked_from_outside(h->message))
		return;
	near = h->at.file ? near_one(u->sent, h->message) : PB_STR_NULL;
	pb_findings_add(u->f, h->at, PB_SEV_WARNING, PB_FIND(LINT_UNASKED),
			"%s hears '%.*s', which no loaded module, rule or script sends%s%.*s%s",
			h->d->name, PB_STR_F(h->message), near.p ? ", did you mean '" : "",
			PB_STR_F(near), near.p ? "'?" : "");
}

static void check_read(struct pb_uses *u, const struct word *w)
{
	struct pb_str near;

	if (u->any_set || is_listed(u->set, w->text) || pb_str_eq(w->text, PB_STR("handlers")))
		return;
	near = near_one(u->set, w->text);
	pb_findings_add(u->f, w->at, PB_SEV_WARNING, PB_FIND(LINT_UNSET),
			"parameter '%.*s' is set by no loaded module, rule or script%s%.*s%s",
			PB_STR_F(w->text), near.p ? ", did you mean '" : "", PB_STR_F(near),
			near.p ? "'?" : "");
}

static bool ties(const struct heard *a, const struct heard *b)
{
	return a->priority == b->priority && !a->filtered && !b->filtered &&
	       pb_str_eq(a->message, b->message);
}

/* Who comes first matters for questions alone. What both have by default is told
 * as a note: whoever has not chosen has not made a mistake. */
static void check_ties(struct pb_uses *u, const struct heard *a)
{
	for (const struct heard *b = a->next; b; b = b->next) {
		struct pb_pos at = a->at.file ? a->at : b->at;

		if (!ties(a, b) || pb_name_is_notice(a->message))
			continue;
		pb_findings_add(
			u->f, at, a->chosen || b->chosen ? PB_SEV_WARNING : PB_SEV_NOTE,
			PB_FIND(LINT_TIE),
			"%s and %s both hear '%.*s' with priority %u: give one of them another",
			b->d->name, a->d->name, PB_STR_F(a->message), a->priority);
	}
}

/* The rules of a file read a name often: one word of it is enough. */
static bool is_repeated(const struct word *w)
{
	for (const struct word *x = w->next; x; x = x->next) {
		if (pb_str_eq(x->text, w->text))
			return true;
	}
	return false;
}

int pb_lint(const struct pb_engine *e, struct pb_findings *f)
{
	struct pb_uses u = { .a = pb_arena_new(16u << 20), .f = f };
	int err = 0;

	if (!u.a)
		return -ENOMEM;
	for (unsigned i = 0; i < e->module_count; i++)
		take_module(&u, e->modules[i]);
	for (const struct heard *h = u.heard; h; h = h->next) {
		check_heard(&u, h);
		check_ties(&u, h);
	}
	for (const struct word *w = u.read; w; w = w->next) {
		if (!is_repeated(w))
			check_read(&u, w);
	}
	if (pb_arena_failed(u.a))
		err = -ENOMEM;
	pb_arena_free(&u.a);
	return err;
}
