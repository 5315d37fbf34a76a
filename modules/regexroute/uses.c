/*
 * What the rules hear, send, set and read, for the linter. Names that rules
 * make up as they run cannot be known: then anything may be sent or set.
 */
#include "regexroute/settings.h"

/* Is it a name as it stands? */
static bool is_plain(struct pb_str s)
{
	return s.n && pb_str_chr(s, '$') < 0 && pb_str_chr(s, '\\') < 0;
}

/* Every ${NAME} and ${NAME$DEFAULT}; "$NAME" is a variable of the rules. */
static void read_text(struct pb_uses *u, struct pb_str s, struct pb_pos at)
{
	ptrdiff_t i;

	while ((i = pb_str_find(s, PB_STR("${"))) >= 0) {
		struct pb_str inside, name;

		s = pb_str_from(s, (size_t)i + 2);
		i = pb_str_chr(s, '}');
		if (i < 0)
			return;
		inside = pb_str_head(s, (size_t)i);
		if (!inside.n || inside.p[0] == '$')
			continue;
		pb_str_cut(&inside, '$', &name);
		name = pb_str_trim(name);
		if (is_plain(name))
			pb_uses_reads(u, name, at);
	}
}

static void set_text(struct pb_uses *u, struct pb_str s)
{
	struct pb_str name;

	pb_str_cut(&s, '=', &name);
	name = pb_str_trim(name);
	if (!s.p || !name.n || name.p[0] == '$')
		return;
	pb_uses_sets(u, is_plain(name) ? name : PB_STR("*"));
}

static void send_text(struct pb_uses *u, struct pb_str name)
{
	name = pb_str_trim(name);
	if (name.n)
		pb_uses_sends(u, is_plain(name) ? name : PB_STR("*"));
}

static void look_at_rule(struct pb_uses *u, const struct regex_rule *r)
{
	bool assigns = r->action == REGEX_PIECES || r->action == REGEX_DISPATCH ||
		       r->action == REGEX_ENQUEUE;
	struct pb_str first = r->pieces_n ? r->pieces[0].raw : PB_STR("");

	for (size_t i = 0; i < r->conds_n; i++) {
		if (r->conds[i].subject == REGEX_SUBJECT_PARAM && is_plain(r->conds[i].name))
			pb_uses_reads(u, r->conds[i].name, r->at);
		if (r->conds[i].subject == REGEX_SUBJECT_FUNCTION)
			read_text(u, r->conds[i].function.raw, r->at);
	}
	for (size_t i = 0; i < r->pieces_n; i++) {
		read_text(u, r->pieces[i].raw, r->at);
		if (i && assigns)
			set_text(u, r->pieces[i].raw);
	}
	if (r->action == REGEX_DISPATCH || r->action == REGEX_ENQUEUE ||
	    (r->action == REGEX_PIECES && pb_str_skip_word(&first, PB_STR("rename"))))
		send_text(u, first);
}

void regex_uses(const void *settings, struct pb_uses *u)
{
	const struct regex_settings *s = settings;

	for (size_t i = 0; i < s->entries_n; i++) {
		const struct regex_entry *e = &s->entries[i];

		if (e->kind != REGEX_EXTRA)
			continue;
		pb_uses_hears(u, e->message, e->priority, e->filter_name.n > 0, e->at);
		if (e->param.n)
			pb_uses_reads(u, e->param, e->at);
		if (e->filter_name.n)
			pb_uses_reads(u, e->filter_name, e->at);
	}
	for (size_t i = 0; i < s->rules->count; i++) {
		const struct regex_context *c = &s->rules->contexts[i];

		for (size_t k = 0; k < c->count; k++)
			look_at_rule(u, &c->rules[k]);
	}
}
