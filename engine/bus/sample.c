/*
 * Samples are made in the order of the table: section by section, each option's
 * help, then its line, either as the site sets it or commented out with its
 * default. A section that is a pattern is shown where the site has one, else as
 * an example.
 *
 * What can be uncommented has no blank behind its sign; text has one.
 */
#include "bus/sample.h"

#include <errno.h>

#include "bus/describe.h"

struct making {
	const struct pb_option_file *f;
	struct pbi_site site;
	struct pb_text *t;
};

/* ---- Lines --------------------------------------------------------------------------- */

static void add_help(struct making *k, const struct pb_opt *o, const char *sign)
{
	pb_text_addf(k->t, "%s %s", sign, o->doc);
	if (o->type == PB_OPT_INT || o->type == PB_OPT_WORD) {
		pb_text_lit(k->t, " (");
		pb_option_values(o, k->t);
		pb_text_addc(k->t, ')');
	}
	pb_text_addc(k->t, '\n');
}

static bool is_shown(const struct pb_opt *o)
{
	return !(o->flags & (PB_OPT_ACCEPTED | PB_OPT_PREFIX));
}

static bool is_in(const struct pb_opt *o, const char *section)
{
	return strcmp(pb_option_section(o), section) == 0;
}

/* The site's lines of this key, or of all keys with this beginning. */
static bool add_items(struct making *k, struct pbi_site_section *s, struct pb_str key)
{
	bool any = false;

	for (struct pbi_site_item *i = s ? s->items : NULL; i; i = i->next) {
		if (i->used || !pb_str_eq(i->key, key))
			continue;
		pb_text_add(k->t, i->text);
		pb_text_addc(k->t, '\n');
		any = i->used = true;
	}
	return any;
}

static void add_rest(struct making *k, struct pbi_site_section *s)
{
	for (struct pbi_site_item *i = s ? s->items : NULL; i; i = i->next) {
		if (i->used)
			continue;
		pb_text_add(k->t, i->text);
		pb_text_addc(k->t, '\n');
		i->used = true;
	}
}

/* ---- Ini files ------------------------------------------------------------------------- */

static void add_option(struct making *k, const struct pb_opt *o, struct pbi_site_section *s,
		       bool example)
{
	add_help(k, o, ";");
	if (!is_shown(o) || add_items(k, s, pb_str_z(o->name)))
		return;
	pb_text_addf(k->t, "%s%s=", example || pb_option_is_unset(o) ? "; " : ";", o->name);
	pb_option_default(o, k->t);
	pb_text_addc(k->t, '\n');
}

static void add_accepted(struct making *k, const char *section)
{
	bool any = false;

	for (const struct pb_opt *o = k->f->rows; o->type != PB_OPT_END; o++) {
		if (!is_in(o, section) || !(o->flags & PB_OPT_ACCEPTED) || !*o->name)
			continue;
		pb_text_addf(k->t, "%s%s%s", any ? ", " : "; Accepted without effect: ", o->name,
			     o->flags & PB_OPT_PREFIX ? "..." : "");
		any = true;
	}
	if (any)
		pb_text_lit(k->t, ".\n");
}

/* Sections of the site that the pattern takes; the first carries the options. */
static struct pbi_site_section *site_section(struct making *k, const char *section)
{
	struct pb_str name = pb_str_z(section), head = pb_str_head(name, name.n - 1);

	if (!pb_str_ends(name, PB_STR("*")))
		return pbi_site_section(&k->site, name);
	for (struct pbi_site_section *s = k->site.sections; s; s = s->next) {
		bool named = false;

		for (const struct pb_opt *o = k->f->rows; o->type != PB_OPT_END; o++)
			named |= pb_str_eq(pb_str_z(pb_option_section(o)), s->name);
		if (!named && !s->used && pb_str_starts(s->name, head))
			return s;
	}
	return NULL;
}

/* Shown as text: a pattern, or a [$...] that has a meaning to the module alone. */
static bool is_example(const char *section)
{
	return section[0] == '$' || pb_str_ends(pb_str_z(section), PB_STR("*"));
}

static void add_section_head(struct making *k, const char *section, struct pbi_site_section *s)
{
	struct pb_str name = pb_str_z(section);

	pb_text_addc(k->t, '\n');
	if (s) {
		pb_text_add(k->t, s->head);
		s->used = true;
	} else if (pb_str_ends(name, PB_STR("*"))) {
		pb_text_addf(k->t, "; [%.*sNAME]", (int)name.n - 1, section);
	} else if (is_example(section)) {
		pb_text_addf(k->t, "; [%s]", section);
	} else {
		pb_text_addf(k->t, "[%s]", section);
	}
	pb_text_addc(k->t, '\n');
}

static bool only_accepted(struct making *k, const char *section)
{
	for (const struct pb_opt *o = k->f->rows; o->type != PB_OPT_END; o++) {
		if (is_in(o, section) && !(o->flags & PB_OPT_ACCEPTED))
			return false;
	}
	return true;
}

static void add_section(struct making *k, const char *section)
{
	struct pbi_site_section *s = site_section(k, section);
	bool example = !s && is_example(section);

	if (only_accepted(k, section) && !s)
		return;
	add_section_head(k, section, s);
	for (const struct pb_opt *o = k->f->rows; o->type != PB_OPT_END; o++) {
		if (is_in(o, section) && !(o->flags & PB_OPT_ACCEPTED))
			add_option(k, o, s, example);
	}
	add_accepted(k, section);
	add_rest(k, s);
}

/* Has a row before this one the same section? */
static bool is_first(const struct pb_opt *rows, const struct pb_opt *o)
{
	for (; rows < o; rows++) {
		if (is_in(rows, pb_option_section(o)))
			return false;
	}
	return true;
}

static void add_unused(struct making *k)
{
	for (struct pbi_site_section *s = k->site.sections; s; s = s->next) {
		if (s->used)
			continue;
		add_section_head(k, "", s);
		add_rest(k, s);
	}
}

static void add_without_effect(struct making *k)
{
	bool any = false;

	for (const struct pb_opt *o = k->f->rows; o && o->type != PB_OPT_END; o++) {
		if (!is_first(k->f->rows, o) || !only_accepted(k, pb_option_section(o)))
			continue;
		pb_text_addf(k->t, "%s[%s]", any ? ", " : "\n; Sections accepted without effect: ",
			     pb_option_section(o));
		any = true;
	}
	if (any)
		pb_text_lit(k->t, ".\n");
}

static void write_ini(struct making *k)
{
	for (const struct pb_opt *o = k->f->rows; o && o->type != PB_OPT_END; o++) {
		if (is_first(k->f->rows, o))
			add_section(k, pb_option_section(o));
	}
	add_unused(k);
	add_without_effect(k);
}

/* ---- engine.cfg -------------------------------------------------------------------------- */

static void add_amount(const struct pb_opt *o, struct pb_text *t)
{
	bool s = strcmp(o->unit, "s") == 0;

	if (!strcmp(o->unit, "bytes"))
		pb_text_addf(t, o->def % 1024 || !o->def ? "\"%lldB\"" : "\"%lldK\"",
			     (long long)(o->def % 1024 ? o->def : o->def / 1024));
	else if (s || o->def % 1000 == 0)
		pb_text_addf(t, "\"%llds\"", (long long)(s ? o->def : o->def / 1000));
	else
		pb_text_addf(t, "\"%lldms\"", (long long)o->def);
}

static void add_cfg_value(const struct pb_opt *o, struct pb_text *t)
{
	switch (o->type) {
	case PB_OPT_BOOL:
		pb_text_add(t, o->def ? PB_STR("true") : PB_STR("false"));
		break;
	case PB_OPT_INT:
		if (o->unit &&
		    (!strcmp(o->unit, "ms") || !strcmp(o->unit, "s") || !strcmp(o->unit, "bytes")))
			add_amount(o, t);
		else
			pb_text_addi(t, o->def);
		break;
	case PB_OPT_STR:
	case PB_OPT_ADDR:
	case PB_OPT_WORD:
	case PB_OPT_OTHER:
	case PB_OPT_END:
		pb_text_addc(t, '"');
		pb_option_default(o, t);
		pb_text_addc(t, '"');
		break;
	}
}

static void add_group(struct making *k, const char *section)
{
	struct pb_str name = pb_str_z(section);
	bool inner = pb_str_ends(name, PB_STR(".*"));

	if (inner)
		name = pb_str_head(name, name.n - 2);
	pb_text_addc(k->t, '\n');
	for (const struct pb_opt *o = k->f->rows; o->type != PB_OPT_END; o++) {
		if (!is_in(o, section))
			continue;
		pb_text_addf(k->t, "# %.*s%s.%s:", PB_STR_F(name), inner ? ".NAME" : "", o->name);
		add_help(k, o, "");
	}
	if (add_items(k, k->site.sections, name))
		return;
	pb_text_addf(k->t, "%s%.*s = { %s", inner ? "# " : "#", PB_STR_F(name),
		     inner ? "NAME = { " : "");
	for (const struct pb_opt *o = k->f->rows; o->type != PB_OPT_END; o++) {
		if (!is_in(o, section))
			continue;
		pb_text_addf(k->t, "%s = ", o->name);
		add_cfg_value(o, k->t);
		pb_text_lit(k->t, "; ");
	}
	pb_text_add(k->t, inner ? PB_STR("}; };\n") : PB_STR("};\n"));
}

static void write_cfg(struct making *k)
{
	for (const struct pb_opt *o = k->f->rows; o->type != PB_OPT_END; o++) {
		if (is_first(k->f->rows, o))
			add_group(k, pb_option_section(o));
	}
	pb_text_addc(k->t, '\n');
	add_rest(k, k->site.sections);
}

/* ---- Files -------------------------------------------------------------------------------- */

bool pb_sample_file(const struct pb_registry *r, size_t i, struct pb_text *t)
{
	struct pb_option_file f;

	if (!pb_registry_file(r, i, &f))
		return false;
	pb_text_addf(t, "%s.%s", f.name, f.cfg ? "cfg" : "conf");
	return true;
}

static bool find(const struct pb_registry *r, struct pb_str file, struct pb_option_file *f)
{
	struct pb_text name;
	char buf[256];

	for (size_t i = 0; pb_registry_file(r, i, f); i++) {
		pb_text_init_buf(&name, buf, sizeof(buf));
		pb_sample_file(r, i, &name);
		if (pb_str_eq(pb_text_str(&name), file))
			return true;
	}
	return false;
}

/* Lines of the site's, or what the module says of itself. */
static void add_preamble(struct making *k)
{
	const char *sign = k->f->cfg ? "#" : ";";

	if (k->site.preamble.n)
		pb_text_add(k->t, k->site.preamble);
	else
		pb_text_addf(k->t, "%s %s", sign, k->f->module->doc);
	pb_text_addf(
		k->t,
		"\n%s Every option with its default: take the sign away to set it. See %s.%s(5).\n",
		sign, k->f->name, k->f->cfg ? "cfg" : "conf");
}

int pb_sample(const struct pb_registry *r, struct pb_str file, struct pb_str site,
	      struct pb_text *t)
{
	struct pb_arena *a = pb_arena_new(1u << 20);
	struct pb_option_file f;
	struct making k = { .f = &f, .t = t };
	int err = !a                  ? -ENOMEM
		  : find(r, file, &f) ? pbi_site_read(site, f.cfg, a, &k.site)
				      : -ENOENT;

	if (!err) {
		add_preamble(&k);
		(f.cfg ? write_cfg : write_ini)(&k);
	}
	pb_arena_free(&a);
	return err;
}
