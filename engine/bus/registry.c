/*
 * The walk over all that has a name: tables are only read, and in the order in
 * which they stand, so that what is generated from them stays as it is until a
 * row changes.
 */
#include "bus/registry.h"

#include <dlfcn.h>
#include <glob.h>

#include "base/alloc.h"
#include "bus/bus_impl.h"
#include "bus/configlog.h"
#include "bus/engine_impl.h"

const char *const pb_kind_words[] = { "message", "parameter", "module", "option",
				      "command", "counter",   "log",    NULL };

/* ---- Modules ---------------------------------------------------------------------- */

void pb_registry_init(struct pb_registry *r)
{
	/* Also when no engine has been made. */
	pb_log_register(&pbi_bus_log);
	pb_log_register(&pbi_performance_log);
	pb_log_register(&pbi_config_log);
	*r = (struct pb_registry){ .modules = { &pbi_engine_module }, .count = 1 };
}

void pb_registry_add(struct pb_registry *r, const struct pb_module *d)
{
	for (size_t i = 0; i < r->count; i++) {
		if (strcmp(r->modules[i]->name, d->name) == 0)
			return;
	}
	if (r->count < PB_REGISTRY_MODULES_MAX)
		r->modules[r->count++] = d;
}

void pb_registry_of(struct pb_registry *r, const struct pb_engine *e)
{
	pb_registry_init(r);
	for (unsigned i = 0; i < e->module_count; i++)
		pb_registry_add(r, e->modules[i]->d);
}

static void open_one(struct pb_registry *r, const char *path)
{
	void *dl = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	const struct pb_module *d = dl ? dlsym(dl, "pb_module_descriptor") : NULL;

	if (d && d->abi == PB_MODULE_ABI)
		pb_registry_add(r, d);
	else if (dl)
		dlclose(dl);
}

void pb_registry_open(struct pb_registry *r, const char *dir)
{
	struct pb_text t;
	glob_t found;

	pb_text_init(&t, 8192);
	pb_text_addf(&t, "%s/*.so", dir);
	pb_text_addc(&t, '\0');
	if (!pb_text_failed(&t) && glob(t.p, 0, NULL, &found) == 0) {
		for (size_t i = 0; i < found.gl_pathc; i++)
			open_one(r, found.gl_pathv[i]);
		globfree(&found);
	}
	pb_text_fini(&t);
}

static bool is_called(const struct pb_module *d, struct pb_str name)
{
	struct pb_str list = pb_str_z(d->aliases), item;

	if (pb_str_eq(name, pb_str_z(d->name)) || (d->conf && pb_str_eq(name, pb_str_z(d->conf))))
		return true;
	while (pb_str_cut(&list, ',', &item)) {
		if (pb_str_eq(pb_str_trim(item), name))
			return true;
	}
	return false;
}

const struct pb_module *pb_registry_module(const struct pb_registry *r, struct pb_str name)
{
	if (pb_str_ends(name, PB_STR(".conf")))
		name = pb_str_head(name, name.n - 5);
	for (size_t i = 0; i < r->count; i++) {
		if (is_called(r->modules[i], name))
			return r->modules[i];
	}
	return NULL;
}

/* ---- Files and their options ---------------------------------------------------------- */

/* The engine's two first, then the modules', each by its own name. */
static const struct pb_option_file own_files[] = {
	{ "yate", false, pbi_main_rows, &pbi_engine_module },
	{ "engine", true, pbi_cfg_rows, &pbi_engine_module },
};
#define OWN_FILES (sizeof(own_files) / sizeof(own_files[0]))

bool pb_registry_file(const struct pb_registry *r, size_t i, struct pb_option_file *out)
{
	if (i < OWN_FILES) {
		*out = own_files[i];
		return true;
	}
	i -= OWN_FILES;
	for (size_t k = 0; k < r->count; k++) {
		const struct pb_module *d = r->modules[k];

		if (!d->conf || i--)
			continue;
		*out = (struct pb_option_file){ d->conf, false, d->options, d };
		return true;
	}
	return false;
}

const char *pb_option_section(const struct pb_opt *o)
{
	return o->section ? o->section : "general";
}

/* ---- Kinds, one after the other --------------------------------------------------------- */

struct walk {
	const struct pb_registry *r;
	pb_named_fn fn;
	void *arg;
	bool going;
};

static void tell(struct walk *w, const struct pb_named *row)
{
	w->going = w->going && w->fn(w->arg, row);
}

static void walk_messages(struct walk *w)
{
	const struct pb_name_message *m;

	for (size_t i = 0; w->going && (m = pb_name_message_at(i)); i++)
		tell(w, &(struct pb_named){ .kind = PB_KIND_MESSAGE,
					    .name = m->name,
					    .prefix = pb_name_message_is_prefix(m),
					    .doc = m->doc,
					    .as.message = m });
}

static void walk_parameters(struct walk *w)
{
	const struct pb_name_param *p;

	for (size_t i = 0; w->going && (p = pb_name_param_at(i)); i++)
		tell(w, &(struct pb_named){ .kind = PB_KIND_PARAMETER,
					    .name = p->name,
					    .prefix = pb_name_param_is_prefix(p),
					    .doc = p->doc,
					    .as.param = p });
}

static void walk_modules(struct walk *w)
{
	for (size_t i = 0; w->going && i < w->r->count; i++) {
		const struct pb_module *d = w->r->modules[i];

		tell(w, &(struct pb_named){ .kind = PB_KIND_MODULE,
					    .name = pb_str_z(d->name),
					    .doc = d->doc,
					    .module = d });
	}
}

static void walk_options(struct walk *w)
{
	struct pb_option_file f;

	for (size_t i = 0; w->going && pb_registry_file(w->r, i, &f); i++) {
		for (const struct pb_opt *o = f.rows; o && o->type != PB_OPT_END; o++)
			tell(w, &(struct pb_named){ .kind = PB_KIND_OPTION,
						    .name = pb_str_z(o->name),
						    .prefix = (o->flags & PB_OPT_PREFIX) != 0,
						    .doc = o->doc,
						    .module = f.module,
						    .file = f.name,
						    .cfg = f.cfg,
						    .as.option = o });
	}
}

/* The syntax begins with the word, or is empty: then it is told elsewhere. */
static const char *args_of(const struct pb_command *c)
{
	size_t n = strlen(c->word);

	if (strncmp(c->syntax, c->word, n) != 0)
		return c->syntax;
	return c->syntax + n + (c->syntax[n] == ' ');
}

static void walk_commands(struct walk *w)
{
	for (size_t i = 0; w->going && i < w->r->count; i++) {
		const struct pb_module *d = w->r->modules[i];
		struct pb_named row = { .kind = PB_KIND_COMMAND, .module = d };
		struct pb_verb v;

		for (const struct pb_command *c = d->commands; c && c->word; c++) {
			row.name = pb_str_z(c->word);
			row.args = args_of(c);
			row.doc = c->doc;
			tell(w, &row);
		}
		for (size_t k = 0; d->verb && d->verb(k, &v); k++) {
			row.name = v.word;
			row.args = v.args;
			row.doc = v.doc;
			tell(w, &row);
		}
	}
}

static void walk_counters(struct walk *w)
{
	for (size_t i = 0; w->going && i < w->r->count; i++) {
		const struct pb_module *d = w->r->modules[i];
		const struct pb_counter *tables[] = { d->part ? d->part->counters : NULL,
						      d->counters };

		for (size_t t = 0; t < 2; t++) {
			for (const struct pb_counter *c = tables[t]; c && c->key; c++)
				tell(w, &(struct pb_named){ .kind = PB_KIND_COUNTER,
							    .name = pb_str_z(c->key),
							    .doc = c->doc,
							    .module = d,
							    .as.counter = c });
		}
	}
}

static void walk_log_rows(struct walk *w, const struct pb_log_source *src,
			  const struct pb_module *d)
{
	for (const struct pb_log_row *l = src->rows; l && l->id; l++)
		tell(w, &(struct pb_named){ .kind = PB_KIND_LOG,
					    .name = pb_str_z(l->id),
					    .doc = l->doc,
					    .module = d,
					    .facility = src->name,
					    .level = l->level });
}

static void walk_findings(struct walk *w, const struct pb_finding_row *rows,
			  const struct pb_module *d)
{
	for (const struct pb_finding_row *f = rows; f && f->id; f++)
		tell(w, &(struct pb_named){ .kind = PB_KIND_LOG,
					    .name = pb_str_z(f->id),
					    .doc = f->doc,
					    .module = d,
					    .facility = "check",
					    .level = -1 });
}

/* Several sources may have one table: the one with a name has it. */
static bool is_seen(struct walk *w, const struct pb_log_source *src)
{
	if (src == &pbi_engine_log)
		return true;
	for (size_t i = 0; i < w->r->count; i++) {
		const struct pb_module *d = w->r->modules[i];

		if ((d->log && d->log->rows == src->rows) || (d->part && d->part->log == src))
			return true;
	}
	return false;
}

/* What modules share is told once. */
static bool is_first_of(const struct pb_registry *r, size_t i)
{
	for (size_t k = 0; k < i; k++) {
		if (r->modules[k]->part == r->modules[i]->part)
			return false;
	}
	return true;
}

static void walk_log(struct walk *w)
{
	const struct pb_log_source *src = NULL;

	walk_log_rows(w, &pbi_engine_log, &pbi_engine_module);
	for (size_t i = 0; i < w->r->count; i++) {
		const struct pb_module *d = w->r->modules[i];

		if (d->log)
			walk_log_rows(w, d->log, d);
		if (d->part && d->part->log && is_first_of(w->r, i))
			walk_log_rows(w, d->part->log, d);
		walk_findings(w, d->findings, d);
	}
	while ((src = pb_log_next(src))) {
		if (!is_seen(w, src))
			walk_log_rows(w, src, NULL);
	}
	walk_findings(w, pb_finding_row((enum pb_finding_id)0), &pbi_engine_module);
}

bool pb_registry_each_of(const struct pb_registry *r, enum pb_kind kind, pb_named_fn fn, void *arg)
{
	static void (*const walks[])(struct walk *) = {
		[PB_KIND_MESSAGE] = walk_messages, [PB_KIND_PARAMETER] = walk_parameters,
		[PB_KIND_MODULE] = walk_modules,   [PB_KIND_OPTION] = walk_options,
		[PB_KIND_COMMAND] = walk_commands, [PB_KIND_COUNTER] = walk_counters,
		[PB_KIND_LOG] = walk_log,
	};
	struct walk w = { r, fn, arg, true };

	walks[kind](&w);
	return w.going;
}

bool pb_registry_each(const struct pb_registry *r, pb_named_fn fn, void *arg)
{
	bool going = true;

	for (int k = 0; k < PB_KIND_COUNT && going; k++)
		going = pb_registry_each_of(r, (enum pb_kind)k, fn, arg);
	return going;
}

/* ---- Who speaks to whom ------------------------------------------------------------------- */

struct hearing {
	struct pb_str message;
	bool (*fn)(void *arg, const struct pb_hearer *h);
	void *arg;
	bool going;
};

static void hear_rows(struct hearing *x, const struct pb_module *d, const struct pb_handler *rows)
{
	for (const struct pb_handler *h = rows; x->going && h && h->message; h++) {
		struct pb_hearer one = { d, h->priority, NULL,
					 h->filter_name ||
						 (h->place == PB_OWNER && h->owner_prefix) };

		if (pb_str_eq(pb_str_z(h->message), x->message))
			x->going = x->fn(x->arg, &one);
	}
}

void pb_registry_hearers(const struct pb_registry *r, struct pb_str message,
			 bool (*fn)(void *arg, const struct pb_hearer *h), void *arg)
{
	struct hearing x = { message, fn, arg, true };

	for (size_t i = 0; i < r->count && x.going; i++) {
		const struct pb_module *d = r->modules[i];

		hear_rows(&x, d, d->handlers);
		hear_rows(&x, d, d->part ? d->part->handlers : NULL);
		for (const struct pb_hears *h = d->hears; x.going && h && h->message; h++) {
			struct pb_hearer one = { d, h->priority, h->option, h->filtered };

			if (pb_str_eq(pb_str_z(h->message), message))
				x.going = fn(arg, &one);
		}
	}
}

/* "sip." and "*" stand for more than themselves. */
static bool names_message(const char *pattern, struct pb_str message)
{
	struct pb_str p = pb_str_z(pattern);

	if (pb_str_ends(p, PB_STR(".")) || pb_str_eq(p, PB_STR("*")))
		return pb_str_starts(message, pb_str_head(p, p.p[0] == '*' ? 0 : p.n));
	return pb_str_eq(p, message);
}

static bool send_rows(const struct pb_module *d, const struct pb_sends *rows, struct pb_str message,
		      bool (*fn)(void *, const struct pb_module *, const struct pb_sends *),
		      void *arg)
{
	for (const struct pb_sends *s = rows; s && s->message; s++) {
		if (names_message(s->message, message) && !fn(arg, d, s))
			return false;
	}
	return true;
}

void pb_registry_senders(const struct pb_registry *r, struct pb_str message,
			 bool (*fn)(void *arg, const struct pb_module *d, const struct pb_sends *s),
			 void *arg)
{
	bool going = true;

	for (size_t i = 0; i < r->count && going; i++) {
		const struct pb_module *d = r->modules[i];

		going = send_rows(d, d->part ? d->part->sends : NULL, message, fn, arg) &&
			send_rows(d, d->sends, message, fn, arg);
	}
}

bool pb_sends_has(const struct pb_sends *s, struct pb_str param)
{
	struct pb_str list = pb_str_z(s->params), word;

	while (pb_str_word(&list, &word)) {
		if (pb_str_eq(word, param))
			return true;
		if (pb_str_ends(word, PB_STR("*")) &&
		    pb_str_starts(param, pb_str_head(word, word.n - 1)))
			return true;
	}
	return false;
}
