/*
 * Parts of the manual's pages: each is one walk over rows.
 */
#include "bus/manual.h"

#include "bus/describe.h"
#include "bus/roff.h"

#define TEXT_MAX 4096

/* ---- Options -------------------------------------------------------------------------- */

/* "listener *" is [listener NAME], "*" any other section. */
static void add_section(const struct pb_option_file *f, const char *section, struct pb_text *t)
{
	struct pb_str s = pb_str_z(section), head = s;
	bool pattern = pb_str_ends(s, PB_STR("*"));
	struct pb_text title;
	char buf[256];

	if (pattern)
		head = pb_str_head(s, s.n - 1);
	pb_text_init_buf(&title, buf, sizeof(buf));
	pb_text_addf(&title, f->cfg ? "%.*s%s" : "[%.*s%s]", PB_STR_F(head), pattern ? "NAME" : "");
	pb_roff_subsection(t, pb_text_str(&title));
}

static bool has_value(const struct pb_opt *o)
{
	return o->type != PB_OPT_OTHER && !(o->flags & (PB_OPT_PREFIX | PB_OPT_ACCEPTED));
}

static void add_option(const struct pb_opt *o, struct pb_text *t)
{
	struct pb_text v;
	char buf[TEXT_MAX];

	pb_text_init_buf(&v, buf, sizeof(buf));
	if (o->flags & PB_OPT_PREFIX)
		pb_text_add(&v, *o->name ? PB_STR("...=") : PB_STR("any key"));
	else if (has_value(o) && !(o->flags & PB_OPT_SECRET)) {
		pb_text_addc(&v, '=');
		pb_option_default(o, &v);
	}
	pb_roff_item(t, pb_str_z(o->name), pb_text_str(&v));
	if (o->flags & PB_OPT_ACCEPTED)
		pb_text_lit(t, "Accepted without effect. ");
	pb_roff_line(t, pb_str_z(o->doc));
	if (!has_value(o))
		return;
	pb_roff_break(t);
	pb_text_reset(&v);
	pb_text_lit(&v, "Value: ");
	pb_option_values(o, &v);
	pb_text_add(&v, o->flags & PB_OPT_ONCE ? PB_STR("; read at start only.") : PB_STR("."));
	pb_roff_line(t, pb_text_str(&v));
}

void pbi_manual_options(const struct pb_option_file *f, struct pb_text *t)
{
	const char *section = NULL;

	if (!f->rows || f->rows->type == PB_OPT_END)
		pb_roff_line(t, PB_STR("None."));
	for (const struct pb_opt *o = f->rows; o && o->type != PB_OPT_END; o++) {
		if (!section || strcmp(section, pb_option_section(o)) != 0)
			add_section(f, section = pb_option_section(o), t);
		add_option(o, t);
	}
}

/* ---- What a module has besides ------------------------------------------------------------ */

static const char *message_doc(const char *name)
{
	const struct pb_name_message *m = pb_name_message(pb_str_z(name));

	return m ? m->doc : "";
}

/* A heading when its first item comes. */
struct heading {
	struct pb_text *t;
	const char *section, *title;
	bool *begun;
	bool done;
};

static void head(struct heading *h)
{
	if (!*h->begun)
		pb_roff_section(h->t, h->section);
	if (!h->done && h->title)
		pb_roff_subsection(h->t, pb_str_z(h->title));
	*h->begun = h->done = true;
}

static void add_heard(struct heading *h, const char *message, unsigned priority, const char *option,
		      bool filtered)
{
	struct pb_text v;
	char buf[256];

	if (!*message)
		return;
	head(h);
	pb_text_init_buf(&v, buf, sizeof(buf));
	pb_text_addf(&v, ", priority %u", priority);
	if (option)
		pb_text_addf(&v, " (option %s)", option);
	if (filtered)
		pb_text_lit(&v, ", some of them");
	pb_roff_item(h->t, pb_str_z(message), pb_text_str(&v));
	pb_roff_line(h->t, pb_str_z(message_doc(message)));
}

static void add_handlers(struct heading *h, const struct pb_handler *rows)
{
	for (; rows && rows->message; rows++)
		add_heard(h, rows->message, rows->priority, NULL,
			  rows->filter_name || (rows->place == PB_OWNER && rows->owner_prefix));
}

static void add_sends(struct heading *h, const struct pb_sends *rows, bool answers)
{
	for (; rows && rows->message; rows++) {
		if (rows->answers != answers)
			continue;
		head(h);
		pb_roff_item(h->t, pb_str_z(rows->message), PB_STR(""));
		pb_roff_line(h->t, pb_str_z(message_doc(rows->message)));
		if (!rows->params || !*rows->params)
			continue;
		pb_roff_break(h->t);
		pb_text_lit(h->t, "Parameters: ");
		pb_roff_line(h->t, pb_str_z(rows->params));
	}
}

static void add_messages(const struct pb_module *d, struct pb_text *t)
{
	bool begun = false;
	struct heading heard = { t, "MESSAGES", "Heard", &begun, false };
	struct heading sent = { t, "MESSAGES", "Sent", &begun, false };
	struct heading added = { t, "MESSAGES", "Added to what is heard", &begun, false };

	add_handlers(&heard, d->handlers);
	for (const struct pb_hears *h = d->hears; h && h->message; h++)
		add_heard(&heard, h->message, h->priority, h->option, h->filtered);
	add_handlers(&heard, d->part ? d->part->handlers : NULL);
	for (int answers = 0; answers < 2; answers++) {
		add_sends(answers ? &added : &sent, d->sends, answers);
		add_sends(answers ? &added : &sent, d->part ? d->part->sends : NULL, answers);
	}
}

/* Rows of one module, of one kind. */
struct rows_of {
	const struct pb_module *d;
	struct heading h;
};

static bool add_row(void *arg, const struct pb_named *row)
{
	struct rows_of *x = arg;
	struct pb_text v;
	char buf[TEXT_MAX];

	if (row->module != x->d)
		return true;
	head(&x->h);
	pb_text_init_buf(&v, buf, sizeof(buf));
	if (row->kind == PB_KIND_COMMAND && *row->args)
		pb_text_addf(&v, " %s", row->args);
	else if (row->kind == PB_KIND_COUNTER && row->as.counter->unit)
		pb_text_addf(&v, " (%s)", row->as.counter->unit);
	else if (row->kind == PB_KIND_LOG)
		pb_text_addf(&v, " %s", pb_named_level(row));
	pb_roff_item(x->h.t, row->name, pb_text_str(&v));
	pb_roff_line(x->h.t, pb_str_z(row->doc));
	return true;
}

void pbi_manual_module(const struct pb_registry *r, const struct pb_module *d, struct pb_text *t)
{
	static const struct {
		enum pb_kind kind;
		const char *title;
	} parts[] = { { PB_KIND_COMMAND, "COMMANDS" },
		      { PB_KIND_COUNTER, "COUNTERS" },
		      { PB_KIND_LOG, "LOG" } };

	add_messages(d, t);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		bool begun = false;
		struct rows_of x = { d, { t, parts[i].title, NULL, &begun, false } };

		pb_registry_each_of(r, parts[i].kind, add_row, &x);
	}
}

/* ---- patchbay-bus(7) ------------------------------------------------------------------------ */

struct line {
	struct pb_text v;
	unsigned n;
	const struct pb_module *last;
};

static bool add_hearer(void *arg, const struct pb_hearer *h)
{
	struct line *l = arg;

	pb_text_addf(&l->v, "%s%s at %u", l->n++ ? ", " : "Heard by ", h->module->name,
		     h->priority);
	return true;
}

static bool add_sender(void *arg, const struct pb_module *d, const struct pb_sends *s)
{
	struct line *l = arg;

	if (!s->answers && d != l->last)
		pb_text_addf(&l->v, "%s%s", l->n++ ? ", " : "Sent by ", d->name);
	if (!s->answers)
		l->last = d;
	return true;
}

static void end_line(struct line *l, struct pb_text *t)
{
	if (!l->n)
		return;
	pb_text_addc(&l->v, '.');
	pb_roff_break(t);
	pb_roff_line(t, pb_text_str(&l->v));
}

struct page {
	const struct pb_registry *r;
	struct pb_text *t;
};

static bool add_message(void *arg, const struct pb_named *row)
{
	struct page *p = arg;
	struct line l = { .n = 0 };
	char buf[TEXT_MAX];

	pb_roff_item(p->t, row->name,
		     row->as.message->kind == PB_NAME_NOTICE ? PB_STR(" (notice)")
							     : PB_STR(" (question)"));
	pb_roff_line(p->t, pb_str_z(row->doc));
	pb_text_init_buf(&l.v, buf, sizeof(buf));
	pb_registry_senders(p->r, row->name, add_sender, &l);
	end_line(&l, p->t);
	pb_text_reset(&l.v);
	l.n = 0;
	pb_registry_hearers(p->r, row->name, add_hearer, &l);
	end_line(&l, p->t);
	return true;
}

static bool add_parameter(void *arg, const struct pb_named *row)
{
	struct page *p = arg;
	struct pb_text v;
	char buf[256];

	pb_text_init_buf(&v, buf, sizeof(buf));
	if (row->prefix)
		pb_text_lit(&v, "...");
	if (row->as.param->message.n)
		pb_text_addf(&v, " in %.*s", PB_STR_F(row->as.param->message));
	if (row->as.param->flags & PB_NAME_SECRET)
		pb_text_lit(&v, " (secret)");
	pb_roff_item(p->t, row->name, pb_text_str(&v));
	pb_roff_line(p->t, pb_str_z(row->doc));
	return true;
}

void pbi_manual_bus(const struct pb_registry *r, struct pb_text *t)
{
	struct page p = { r, t };

	pb_roff_section(t, "DESCRIPTION");
	pb_roff_line(t, PB_STR("Everything that happens is told in named messages with parameters. "
			       "A message walks the "
			       "handlers of its name in order of priority, lower first, until one "
			       "takes it. A question is "
			       "given up when its asker ends, a notice is always walked to its "
			       "end. Secret values never "
			       "reach a log or a trace. Names that end with a dot, or with dots, "
			       "are beginnings of names."));
	pb_roff_section(t, "MESSAGES");
	pb_registry_each_of(r, PB_KIND_MESSAGE, add_message, &p);
	pb_roff_section(t, "PARAMETERS");
	pb_registry_each_of(r, PB_KIND_PARAMETER, add_parameter, &p);
}

/* ---- patchbay-log(7) --------------------------------------------------------------------------
 */

struct log_page {
	struct pb_text *t;
	const char *facility;
	bool findings; /* these, or the log's */
};

static bool add_log(void *arg, const struct pb_named *row)
{
	struct log_page *p = arg;
	struct pb_text v;
	char buf[64];

	if ((row->level < 0) != p->findings)
		return true;
	if (!p->findings && (!p->facility || strcmp(p->facility, row->facility) != 0))
		pb_roff_subsection(p->t, pb_str_z(row->facility));
	p->facility = row->facility;
	pb_text_init_buf(&v, buf, sizeof(buf));
	if (!p->findings)
		pb_text_addf(&v, " %s", pb_named_level(row));
	pb_roff_item(p->t, row->name, pb_text_str(&v));
	pb_roff_line(p->t, pb_str_z(row->doc));
	return true;
}

void pbi_manual_log(const struct pb_registry *r, struct pb_text *t)
{
	struct log_page p = { .t = t };

	pb_roff_section(t, "DESCRIPTION");
	pb_roff_line(t,
		     PB_STR("A line of the log is <FACILITY:LEVEL> TEXT [ID]. The text may change, "
			    "the id does not. "
			    "Levels are, worst first: FAIL, TEST, CRIT, CONF, STUB, WARN, MILD, "
			    "NOTE, CALL, INFO, ALL; "
			    "`debug FACILITY level N` on the console says up to which one a "
			    "facility is heard. "
			    "Findings are what `patchbay check` and a reload tell about files."));
	pb_roff_section(t, "LOG");
	pb_registry_each_of(r, PB_KIND_LOG, add_log, &p);
	p.findings = true;
	pb_roff_section(t, "FINDINGS");
	pb_registry_each_of(r, PB_KIND_LOG, add_log, &p);
}
