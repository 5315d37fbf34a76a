/*
 * Two readings compared. Of a section that both have, what is the same at its
 * beginning and its end is left out; the keys in between are named. That is
 * exact for one change, enough for many, and its cost does not grow with the
 * square of a routing plan.
 */
#include "bus/confdiff.h"

#define NAMED_MAX 12

struct diff {
	struct pb_text *t;
	size_t found;
	struct pb_str section, key; /* named last */
};

static void name(struct diff *d, struct pb_str section, struct pb_str key)
{
	if (d->found && pb_str_eq(section, d->section) && pb_str_eq(key, d->key))
		return; /* changed: it is on both sides */
	d->section = section;
	d->key = key;
	if (d->found++ >= NAMED_MAX)
		return;
	pb_text_addf(d->t, "%s[%.*s]%s%.*s", d->found > 1 ? ", " : "", PB_STR_F(section), key.n ? " " : "",
		     PB_STR_F(key));
}

static size_t end_names(struct diff *d)
{
	if (d->found > NAMED_MAX)
		pb_text_addf(d->t, " and %zu more", d->found - NAMED_MAX);
	return d->found;
}

static bool is_same(const struct pb_conf_entry *a, const struct pb_conf_entry *b)
{
	return pb_str_eq(a->key, b->key) && pb_str_eq(a->value, b->value);
}

static void compare(struct diff *d, const struct pb_conf_section *was, const struct pb_conf_section *is)
{
	size_t from = 0, was_to = was->count, is_to = is->count, most;

	while (from < was_to && from < is_to && is_same(&was->entries[from], &is->entries[from]))
		from++;
	while (was_to > from && is_to > from && is_same(&was->entries[was_to - 1], &is->entries[is_to - 1])) {
		was_to--;
		is_to--;
	}
	most = was_to > is_to ? was_to : is_to;
	for (size_t i = from; i < most; i++) {
		if (i < was_to)
			name(d, is->name, was->entries[i].key);
		if (i < is_to)
			name(d, is->name, is->entries[i].key);
	}
}

size_t pbi_conf_diff(const struct pb_conf *was, const struct pb_conf *is, struct pb_text *t)
{
	struct diff d = { .t = t };
	const struct pb_conf_section *s, *other;

	for (size_t i = 0; is && (s = pb_conf_section_at(is, i)); i++) {
		other = was ? pb_conf_section(was, s->name) : NULL;
		if (other)
			compare(&d, other, s);
		else
			name(&d, s->name, PB_STR(""));
	}
	for (size_t i = 0; was && (s = pb_conf_section_at(was, i)); i++) {
		if (!is || !pb_conf_section(is, s->name))
			name(&d, s->name, PB_STR(""));
	}
	return end_names(&d);
}

size_t pbi_opt_diff(const struct pb_opt *rows, unsigned flags, const void *was, const void *is, struct pb_text *t)
{
	struct diff d = { .t = t };

	for (const struct pb_opt *r = rows; r && r->type != PB_OPT_END; r++) {
		const char *section = r->section ? r->section : "general";

		if (pb_opt_is_stored(r) && !pb_str_ends(pb_str_z(section), PB_STR("*")) &&
		    (r->flags & flags) == flags && !pb_opt_same(r, was, is))
			name(&d, pb_str_z(section), pb_str_z(r->name));
	}
	return end_names(&d);
}
