/*
 * Rows as text. A list is one line a row; one row alone says all there is,
 * with who sends and hears a message, found in the descriptors.
 *
 * A name is looked for as it is, then as one of a described beginning
 * ("sip_date" of "sip_*"), and what is near is offered when there is none.
 */
#include "bus/describe.h"

#include <errno.h>

#include "base/alloc.h"

#define NAMES_MAX 4096

const char *pb_named_level(const struct pb_named *row)
{
	return row->level < 0 ? "check" : pb_log_tag(row->level);
}

/* ---- Options ------------------------------------------------------------------------ */

static bool is_duration(const struct pb_opt *o)
{
	return o->unit && (!strcmp(o->unit, "ms") || !strcmp(o->unit, "s"));
}

static void add_number(const struct pb_opt *o, int64_t v, struct pb_text *t)
{
	if (o->unit && !strcmp(o->unit, "octal"))
		pb_text_addf(t, "0%llo", (unsigned long long)v);
	else
		pb_text_addi(t, v);
}

bool pb_option_is_unset(const struct pb_opt *o)
{
	return o->type == PB_OPT_INT && (o->lo || o->hi) && (o->def < o->lo || o->def > o->hi);
}

void pb_option_default(const struct pb_opt *o, struct pb_text *t)
{
	switch (o->type) {
	case PB_OPT_BOOL:
		pb_text_add(t, o->def ? PB_STR("yes") : PB_STR("no"));
		break;
	case PB_OPT_INT:
		if (!pb_option_is_unset(o))
			add_number(o, o->def, t);
		break;
	case PB_OPT_WORD:
		pb_text_add(t, pb_str_z(o->words[o->def]));
		break;
	case PB_OPT_STR:
	case PB_OPT_ADDR:
		pb_text_add(t, pb_str_z(o->defs));
		break;
	case PB_OPT_OTHER:
	case PB_OPT_END:
		break;
	}
}

static void add_range(const struct pb_opt *o, struct pb_text *t)
{
	bool octal = o->unit && !strcmp(o->unit, "octal");

	pb_text_add(t, octal ? PB_STR("octal number") : PB_STR("number"));
	if (o->lo || o->hi) {
		pb_text_lit(t, ", ");
		add_number(o, o->lo, t);
		pb_text_lit(t, " to ");
		add_number(o, o->hi, t);
	}
	if (o->unit && !octal)
		pb_text_addf(t, "%s%s", o->lo || o->hi ? " " : " of ", o->unit);
}

void pb_option_values(const struct pb_opt *o, struct pb_text *t)
{
	switch (o->type) {
	case PB_OPT_BOOL:
		pb_text_lit(t, "yes or no");
		break;
	case PB_OPT_INT:
		add_range(o, t);
		break;
	case PB_OPT_WORD:
		for (size_t i = 0; o->words[i]; i++)
			pb_text_addf(t, "%s%s", i ? ", " : "", o->words[i]);
		break;
	case PB_OPT_ADDR:
		pb_text_lit(t, "IP address");
		break;
	case PB_OPT_STR:
	case PB_OPT_OTHER:
	case PB_OPT_END:
		pb_text_lit(t, "text");
		break;
	}
}

/* ---- One line ------------------------------------------------------------------------- */

static void add_name(const struct pb_named *row, struct pb_text *t)
{
	pb_text_add(t, row->name);
	if (row->prefix)
		pb_text_addc(t, '*');
}

/* Whose it is, so that two of the same name can be told apart. */
static void add_owner(const struct pb_named *row, struct pb_text *t)
{
	if (row->kind == PB_KIND_OPTION)
		pb_text_addf(t, " [%s.%s: %s]", row->file, row->cfg ? "cfg" : "conf",
			     pb_option_section(row->as.option));
	else if (row->kind == PB_KIND_PARAMETER && row->as.param->message.n)
		pb_text_addf(t, " [%.*s]", PB_STR_F(row->as.param->message));
	else if (row->kind == PB_KIND_LOG)
		pb_text_addf(t, " [%s %s]", row->facility, pb_named_level(row));
	else if (row->module && row->kind != PB_KIND_MODULE)
		pb_text_addf(t, " [%s]", row->module->name);
}

static void add_line(const struct pb_named *row, struct pb_text *t)
{
	pb_text_addf(t, "%-10s", pb_kind_words[row->kind]);
	add_name(row, t);
	if (row->kind == PB_KIND_COMMAND && *row->args)
		pb_text_addf(t, " %s", row->args);
	add_owner(row, t);
	pb_text_addf(t, " - %s\n", row->doc);
}

/* ---- All of one ------------------------------------------------------------------------- */

static void add_label(struct pb_text *t, const char *label)
{
	pb_text_addf(t, "  %-12s", label);
}

static bool add_hearer(void *arg, const struct pb_hearer *h)
{
	struct pb_text *t = arg;

	add_label(t, "heard by");
	pb_text_addf(t, "%s at %u", h->module->name, h->priority);
	if (h->option)
		pb_text_addf(t, " (option %s)", h->option);
	pb_text_add(t, h->filtered ? PB_STR(", some of them\n") : PB_STR("\n"));
	return true;
}

static bool add_sender(void *arg, const struct pb_module *d, const struct pb_sends *s)
{
	struct pb_text *t = arg;

	add_label(t, s->answers ? "added to by" : "sent by");
	pb_text_addf(t, "%s%s%s\n", d->name, s->params && *s->params ? " with " : "",
		     s->params ? s->params : "");
	return true;
}

static void add_message(const struct pb_registry *r, const struct pb_named *row, struct pb_text *t)
{
	const struct pb_name_message *m = row->as.message;

	add_label(t, "kind");
	pb_text_add(t, m->kind == PB_NAME_NOTICE
			       ? PB_STR("notice: walked to its end in any case\n")
			       : PB_STR("question: given up when its asker ends\n"));
	if (m->flags & PB_NAME_SECRET_RETVAL) {
		add_label(t, "secret");
		pb_text_lit(t, "its return value is never shown\n");
	}
	pb_registry_senders(r, row->name, add_sender, t);
	pb_registry_hearers(r, row->name, add_hearer, t);
}

static void add_setter(const struct pb_module *d, const struct pb_sends *rows, struct pb_str param,
		       struct pb_text *t)
{
	for (const struct pb_sends *s = rows; s && s->message; s++) {
		if (!pb_sends_has(s, param))
			continue;
		add_label(t, "set by");
		pb_text_addf(t, "%s in %s\n", d->name, s->message);
	}
}

static void add_parameter(const struct pb_registry *r, const struct pb_named *row,
			  struct pb_text *t)
{
	if (row->as.param->message.n) {
		add_label(t, "in");
		pb_text_addf(t, "%.*s alone\n", PB_STR_F(row->as.param->message));
	}
	if (row->as.param->flags & PB_NAME_SECRET) {
		add_label(t, "secret");
		pb_text_lit(t, "its value is never shown\n");
	}
	for (size_t i = 0; i < r->count; i++) {
		if (r->modules[i]->part)
			add_setter(r->modules[i], r->modules[i]->part->sends, row->name, t);
		add_setter(r->modules[i], r->modules[i]->sends, row->name, t);
	}
}

static bool count_one(void *arg, const struct pb_named *row)
{
	unsigned *n = arg;

	(void)row;
	++*n;
	return true;
}

/* How much of each kind a module has. */
struct tally {
	const struct pb_module *d;
	unsigned n;
};

static bool count_own(void *arg, const struct pb_named *row)
{
	struct tally *c = arg;

	c->n += row->module == c->d;
	return true;
}

static void add_module(const struct pb_registry *r, const struct pb_named *row, struct pb_text *t)
{
	const struct pb_module *d = row->module;

	if (d->conf) {
		add_label(t, "file");
		pb_text_addf(t, "%s.conf\n", d->conf);
	}
	if (d->aliases) {
		add_label(t, "also called");
		pb_text_addf(t, "%s\n", d->aliases);
	}
	for (int k = PB_KIND_OPTION; k < PB_KIND_COUNT; k++) {
		struct tally c = { d, 0 };

		pb_registry_each_of(r, (enum pb_kind)k, count_own, &c);
		add_label(t, pb_kind_words[k]);
		pb_text_addf(t, "%u\n", c.n);
	}
}

static void add_option(const struct pb_named *row, struct pb_text *t)
{
	const struct pb_opt *o = row->as.option;

	add_label(t, "file");
	pb_text_addf(t, "%s.%s\n", row->file, row->cfg ? "cfg" : "conf");
	add_label(t, row->cfg ? "group" : "section");
	pb_text_addf(t, "%s\n", pb_option_section(o));
	add_label(t, "value");
	if (row->cfg && is_duration(o))
		pb_text_lit(t, "duration, as \"10s\"; ");
	pb_option_values(o, t);
	pb_text_lit(t, "\n");
	if (o->type != PB_OPT_OTHER && !(o->flags & (PB_OPT_PREFIX | PB_OPT_ACCEPTED))) {
		add_label(t, "default");
		pb_option_default(o, t);
		pb_text_lit(t, "\n");
	}
	add_label(t, "");
	pb_text_addf(t, "%s\n",
		     o->flags & PB_OPT_ACCEPTED ? "accepted without effect"
		     : o->flags & PB_OPT_ONCE   ? "read at start"
						: "read at start and reload");
	if (o->flags & PB_OPT_SECRET) {
		add_label(t, "secret");
		pb_text_lit(t, "its value is never shown\n");
	}
}

static void add_whole(const struct pb_registry *r, const struct pb_named *row, struct pb_text *t)
{
	add_line(row, t);
	switch (row->kind) {
	case PB_KIND_MESSAGE:
		add_message(r, row, t);
		break;
	case PB_KIND_PARAMETER:
		add_parameter(r, row, t);
		break;
	case PB_KIND_MODULE:
		add_module(r, row, t);
		break;
	case PB_KIND_OPTION:
		add_option(row, t);
		break;
	case PB_KIND_COUNTER:
		add_label(t, "unit");
		pb_text_addf(t, "%s\n", row->as.counter->unit ? row->as.counter->unit : "none");
		break;
	case PB_KIND_COMMAND:
	case PB_KIND_LOG:
	case PB_KIND_COUNT:
		break;
	}
}

/* ---- Looking for a name -------------------------------------------------------------------- */

struct search {
	const struct pb_registry *r;
	struct pb_str name; /* absent: all */
	bool json, whole;
	bool beginnings; /* rows that describe its beginning count */
	unsigned found;
	struct pb_text *t;
	struct pb_str *names; /* what is offered when nothing is found */
	size_t name_count;
};

static bool is_meant(const struct search *s, const struct pb_named *row)
{
	if (!s->name.p)
		return true;
	if (row->kind == PB_KIND_MODULE)
		return pb_registry_module(s->r, s->name) == row->module;
	if (row->prefix)
		return row->name.n && (s->beginnings ? pb_str_starts(s->name, row->name)
						     : pb_str_eq(s->name, row->name));
	return pb_str_eq(s->name, row->name);
}

static bool look(void *arg, const struct pb_named *row)
{
	struct search *s = arg;

	if (s->names && s->name_count < NAMES_MAX && row->name.n)
		s->names[s->name_count++] = row->name;
	if (!is_meant(s, row))
		return true;
	if (s->json) {
		pb_text_add(s->t, s->found ? PB_STR(",\n") : PB_STR("\n"));
		pb_describe_json(s->r, row, s->t);
	} else if (s->name.p) {
		add_whole(s->r, row, s->t);
	} else {
		add_line(row, s->t);
	}
	s->found++;
	return true;
}

static void walk(struct search *s, int kind)
{
	if (kind < PB_KIND_COUNT)
		pb_registry_each_of(s->r, (enum pb_kind)kind, look, s);
	else
		pb_registry_each(s->r, look, s);
}

/* A first word that is a kind is one, unless it is all there is and a name is sought. */
static int cut_kind(struct pb_str *line)
{
	for (int k = 0; k < PB_KIND_COUNT; k++) {
		if (pb_str_skip_word(line, pb_str_z(pb_kind_words[k])))
			return k;
	}
	return PB_KIND_COUNT;
}

static void add_counts(const struct pb_registry *r, struct pb_text *t)
{
	for (int k = 0; k < PB_KIND_COUNT; k++) {
		unsigned n = 0;

		pb_registry_each_of(r, (enum pb_kind)k, count_one, &n);
		pb_text_addf(t, "%-10s%u\n", pb_kind_words[k], n);
	}
}

static int not_found(struct search *s, int kind)
{
	struct pb_str near = s->names ? pb_suggest(s->name, s->names, s->name_count) : PB_STR_NULL;

	pb_text_reset(s->t);
	pb_text_addf(s->t, "there is no %s '%.*s'",
		     kind < PB_KIND_COUNT ? pb_kind_words[kind] : "name", PB_STR_F(s->name));
	if (near.p)
		pb_text_addf(s->t, ", did you mean '%.*s'?", PB_STR_F(near));
	return -ENOENT;
}

int pb_describe(const struct pb_registry *r, struct pb_str line, bool json, struct pb_text *t)
{
	struct search s = { .r = r, .json = json, .t = t };
	int kind, err = 0;

	line = pb_str_trim(line);
	kind = cut_kind(&line);
	line = pb_str_trim(line);
	if (kind == PB_KIND_COUNT && !line.n && !json) {
		add_counts(r, t);
		return 0;
	}
	if (line.n) {
		s.name = line;
		s.names = pb_alloc_zero(NAMES_MAX, sizeof(*s.names));
	}
	if (json)
		pb_text_addc(t, '[');
	walk(&s, kind);
	if (s.name.p && !s.found) {
		s.beginnings = true;
		s.name_count = 0;
		walk(&s, kind);
	}
	if (json)
		pb_text_lit(t, "\n]\n");
	if (s.name.p && !s.found)
		err = not_found(&s, kind);
	pb_free(s.names);
	return err;
}
