/*
 * Values in force, by the rows that describe them. Those of fixed sections lie in
 * the settings; sections of patterns ("listener *") are objects that only their
 * module knows, so they are read once more into a scratch one; what a module
 * reads by itself is shown as it stands in the file.
 */
#include "bus/dump.h"

#include <errno.h>

#include "bus/cfg.h"
#include "bus/engine_impl.h"
#include "bus/names.h"

/** One file with what describes it. */
struct source {
	const struct pb_dump_args *args;
	struct pb_str conf_name, module;
	const struct pb_conf *conf; /* NULL: there is none */
	const struct pb_opt *rows;  /* NULL: none */
	const void *settings;
	struct pb_engine *e; /* the main file; else NULL */
	struct pb_arena *scratch;
};

/* ---- Secrets --------------------------------------------------------------------------- */

/* By a row, by the bus's name of it, or because it sounds like one. */
static bool is_secret(const struct pb_opt *row, struct pb_str key)
{
	static const struct pb_str sounds[] = {
		PB_STR_INIT("pass"), PB_STR_INIT("secret"), PB_STR_INIT("token"), PB_STR_INIT("connection"),
	};

	if ((row && row->flags & PB_OPT_SECRET) || pb_name_is_secret(PB_STR_NULL, key) ||
	    pb_str_eq(key, PB_STR("key")))
		return true;
	for (size_t i = 0; i < sizeof(sounds) / sizeof(sounds[0]); i++) {
		if (pb_str_find(key, sounds[i]) >= 0)
			return true;
	}
	return false;
}

static void tell(const struct source *s, const struct pb_opt *row, struct pb_value *v)
{
	v->conf = s->conf_name;
	v->module = s->module;
	if (is_secret(row, v->name)) {
		if (v->value.n)
			v->value = PB_STR("(hidden)");
		v->written = PB_STR_NULL;
	}
	s->args->fn(s->args->arg, v);
}

/* ---- By rows ----------------------------------------------------------------------------- */

/* As the file has it. */
static void tell_entry(const struct source *s, const struct pb_conf_section *sec, const struct pb_opt *row,
		       const struct pb_conf_entry *e)
{
	struct pb_value v = { .section = sec->name, .name = e->key, .value = e->value, .at = e->value_at };

	tell(s, row, &v);
}

/* Who else may say what yate.conf says: the command line, then engine.cfg. */
static void override(const struct source *s, const struct pb_opt *row, struct pb_value *v)
{
	const struct pb_engine *e = s->e;

	if (!e || row->section || strcmp(row->name, "nodename"))
		return;
	v->value = pb_engine_run_param(e, PB_STR("nodename"));
	v->written = PB_STR_NULL;
	if (e->args.node_name && *e->args.node_name) {
		v->from = PB_FROM_COMMAND_LINE;
	} else if (e->set.node_name.n) {
		v->from = PB_FROM_FILE;
		v->at = pb_cfg_at(e->base_at_start->cfg, "node", "name");
	}
}

static bool is_written_so(const struct pb_opt *row, const struct pb_conf_entry *e, struct pb_str shown)
{
	if (row->type == PB_OPT_BOOL && pb_str_is_bool(e->value))
		return true; /* "true" and "yes" are one */
	return pb_str_eq(e->value, shown);
}

static void tell_row(const struct source *s, const struct pb_opt *row, struct pb_str section,
		     const struct pb_conf_section *sec, const void *settings)
{
	const struct pb_conf_entry *e = sec ? pb_conf_find(sec, pb_str_z(row->name)) : NULL;
	struct pb_value v = { .section = section, .name = pb_str_z(row->name), .from = PB_FROM_DEFAULT };
	struct pb_text t;

	if (s->e && row->flags & PB_OPT_ONCE) /* a reload has not changed it yet */
		settings = &s->e->base_at_start->yate;
	pb_text_init(&t, 1u << 20);
	pb_opt_show(row, settings, &t);
	v.value = pb_text_str(&t);
	if (e) {
		v.from = PB_FROM_FILE;
		v.at = e->value_at;
		v.written = is_written_so(row, e, v.value) ? PB_STR_NULL : e->value;
	}
	override(s, row, &v);
	tell(s, row, &v);
	pb_text_fini(&t);
}

/* What the module reads by itself; what has no effect is left out. */
static void tell_others(const struct source *s, const char *as, const struct pb_conf_section *sec)
{
	for (size_t i = 0; i < sec->count; i++) {
		const struct pb_opt *row = pb_opt_find(s->rows, as, sec->entries[i].key);

		if (row && !pb_opt_is_stored(row) && !(row->flags & PB_OPT_ACCEPTED))
			tell_entry(s, sec, row, &sec->entries[i]);
	}
}

static bool is_pattern(const char *as)
{
	return pb_str_ends(pb_str_z(as), PB_STR("*"));
}

static const char *section_of(const struct pb_opt *row)
{
	return row->section ? row->section : "general";
}

static void tell_rows_of(const struct source *s, const char *as, struct pb_str section,
			 const struct pb_conf_section *sec, const void *settings)
{
	for (const struct pb_opt *r = s->rows; r->type != PB_OPT_END; r++) {
		if (pb_opt_is_stored(r) && !strcmp(section_of(r), as))
			tell_row(s, r, section, sec, settings);
	}
}

/* Is `row` the first of its section? */
static bool begins_section(const struct source *s, const struct pb_opt *row)
{
	for (const struct pb_opt *r = s->rows; r < row; r++) {
		if (!strcmp(section_of(r), section_of(row)))
			return false;
	}
	return true;
}

static void tell_fixed(const struct source *s, const char *as)
{
	const struct pb_conf_section *sec = s->conf ? pb_conf_section(s->conf, pb_str_z(as)) : NULL;

	tell_rows_of(s, as, pb_str_z(as), sec, s->settings);
	if (sec)
		tell_others(s, as, sec);
}

/* A section of a pattern is an object of its own; big enough for all its rows. */
static void tell_object(const struct source *s, const char *as, const struct pb_conf_section *sec)
{
	size_t size = 0;
	void *object;

	for (const struct pb_opt *r = s->rows; r->type != PB_OPT_END; r++) {
		if (pb_opt_is_stored(r) && !strcmp(section_of(r), as) && r->at + sizeof(struct pb_str) > size)
			size = r->at + sizeof(struct pb_str);
	}
	object = size ? pb_arena_alloc(s->scratch, size) : NULL;
	if (object) {
		pb_opt_read_section(s->rows, as, sec, object, s->scratch, NULL);
		tell_rows_of(s, as, sec->name, sec, object);
	}
	tell_others(s, as, sec);
}

static void tell_effective(const struct source *s)
{
	const struct pb_conf_section *sec;

	for (const struct pb_opt *r = s->rows; r && r->type != PB_OPT_END; r++) {
		if (!is_pattern(section_of(r)) && begins_section(s, r))
			tell_fixed(s, section_of(r));
	}
	for (size_t i = 0; s->rows && s->conf && (sec = pb_conf_section_at(s->conf, i)); i++) {
		const char *as = pb_opt_section(s->rows, sec->name);

		if (as && is_pattern(as))
			tell_object(s, as, sec);
	}
}

static void tell_written(const struct source *s)
{
	const struct pb_conf_section *sec;

	for (size_t i = 0; s->conf && (sec = pb_conf_section_at(s->conf, i)); i++) {
		const char *as = s->rows ? pb_opt_section(s->rows, sec->name) : NULL;

		for (size_t n = 0; n < sec->count; n++)
			tell_entry(s, sec, as ? pb_opt_find(s->rows, as, sec->entries[n].key) : NULL,
				   &sec->entries[n]);
	}
}

static int tell_source(struct source *s)
{
	s->scratch = pb_arena_new(256u << 20);
	if (!s->scratch)
		return -ENOMEM;
	if (s->args->effective)
		tell_effective(s);
	else
		tell_written(s);
	pb_arena_free(&s->scratch);
	return 0;
}

/* ---- engine.cfg --------------------------------------------------------------------------- */

static bool by_command_line(const struct pb_engine *e, const struct pb_opt *row, struct pb_text *t)
{
	if (row->at == offsetof(struct pbi_cfg, log_file) && e->args.log_file)
		pb_text_add(t, pb_str_z(e->args.log_file));
	else if (row->at == offsetof(struct pbi_cfg, calls) && e->args.calls)
		pb_text_addu(t, e->args.calls);
	else if (row->at == offsetof(struct pbi_cfg, scripts) && e->args.scripts)
		pb_text_addu(t, e->args.scripts);
	return t->n > 0;
}

/* As it is written there: with its unit. */
static void show_setting(const struct pb_opt *row, const struct pbi_cfg *set, struct pb_text *t)
{
	pb_opt_show(row, set, t);
	if (row->unit && (!strcmp(row->unit, "ms") || !strcmp(row->unit, "s")))
		pb_text_add(t, pb_str_z(row->unit));
	else if (row->unit && !strcmp(row->unit, "bytes"))
		pb_text_addc(t, 'B');
}

static void tell_setting(const struct source *s, const struct pb_opt *row)
{
	const struct pbi_base *b = pbi_base_of(s->e);
	struct pb_value v = { .section = pb_str_z(row->section), .name = pb_str_z(row->name) };
	struct pb_text t;

	v.at = pb_cfg_at(b->cfg, row->section, row->name);
	v.from = v.at.line ? PB_FROM_FILE : PB_FROM_DEFAULT;
	if (!v.at.line && !s->args->effective)
		return;
	pb_text_init(&t, 1u << 20);
	if (s->args->effective && by_command_line(s->e, row, &t))
		v.from = PB_FROM_COMMAND_LINE;
	else
		show_setting(row, s->args->effective && row->flags & PB_OPT_ONCE ? &s->e->set : &b->set, &t);
	v.value = pb_text_str(&t);
	tell(s, row, &v);
	pb_text_fini(&t);
}

static void tell_member(const struct source *s, const char *group, size_t i)
{
	const struct pb_cfg *c = pbi_base_of(s->e)->cfg;
	struct pb_str section = pb_arena_printf(s->scratch, "%s.%.*s", group,
						PB_STR_F(pb_cfg_member_name(c, group, i)));
	struct pbi_cfg_module m;
	char buf[64];

	if (pb_cfg_read_member(c, group, i, pbi_cfg_rows, &m, s->scratch, NULL))
		return;
	for (const struct pb_opt *r = pbi_cfg_rows; r->type != PB_OPT_END; r++) {
		struct pb_value v = { .section = section, .name = pb_str_z(r->name) };
		struct pb_text t;

		v.at = pb_cfg_member_name_at(c, group, i, r->name);
		if (strcmp(r->section, "modules.*") || !v.at.line)
			continue;
		pb_text_init_buf(&t, buf, sizeof(buf));
		pb_opt_show(r, &m, &t);
		v.value = pb_text_str(&t);
		tell(s, r, &v);
	}
}

static int tell_cfg(struct source *s)
{
	size_t n = pb_cfg_members(pbi_base_of(s->e)->cfg, "modules");

	s->scratch = pb_arena_new(1u << 20);
	if (!s->scratch)
		return -ENOMEM;
	for (const struct pb_opt *r = pbi_cfg_rows; r->type != PB_OPT_END; r++) {
		if (!is_pattern(r->section))
			tell_setting(s, r);
	}
	for (size_t i = 0; i < n; i++)
		tell_member(s, "modules", i);
	pb_arena_free(&s->scratch);
	return 0;
}

/* ---- Which --------------------------------------------------------------------------------- */

static bool is_file(struct pb_str which, struct pb_str name, const char *suffix)
{
	size_t n = strlen(suffix);

	return pb_str_eq(which, name) ||
	       (which.n == name.n + n && pb_str_starts(which, name) && pb_str_ends(which, pb_str(suffix, n)));
}

/* What the caller's thread goes by; NULL: it was not started. */
static const struct pbi_settings *settings_of(const struct pbi_module *m)
{
	const struct pb_loop *l = pb_loop_current();
	const void *data = l ? m->ctx[pb_loop_index(l)].settings : NULL;

	if (!l)
		return m->settings;
	return data ? pb_container(data, struct pbi_settings, data) : NULL;
}

static bool is_wanted(struct pb_str which, const struct pb_module *d)
{
	return !which.n || pbi_module_is(d, which) || (d->conf && is_file(which, pb_str_z(d->conf), ".conf"));
}

static int dump_main(struct pb_engine *e, const struct pb_dump_args *args, unsigned *found)
{
	const struct pbi_base *b = pbi_base_of(e);
	struct pb_str name = pb_str_z(e->args.name), which = args->which;
	bool own = !which.n || pb_str_eq(which, PB_STR("engine"));
	struct source main = { .args = args, .module = PB_STR("engine"), .conf = b->main, .rows = pbi_main_rows,
			       .settings = &b->yate, .e = e };
	struct source cfg = { .args = args, .module = PB_STR("engine"), .conf_name = PB_STR("engine.cfg"), .e = e };
	char buf[128];
	struct pb_text t;
	int err = 0;

	pb_text_init_buf(&t, buf, sizeof(buf));
	pb_text_addf(&t, "%.*s.conf", PB_STR_F(name));
	main.conf_name = pb_text_str(&t);
	if (own || is_file(which, name, ".conf")) {
		++*found;
		err = tell_source(&main);
	}
	if (!err && (own || pb_str_eq(which, cfg.conf_name))) {
		++*found;
		err = tell_cfg(&cfg);
	}
	return err;
}

static int dump_module(struct pb_engine *e, struct pbi_module *m, const struct pb_dump_args *args, unsigned *found)
{
	const struct pbi_settings *set = settings_of(m);
	struct source s = { .args = args, .module = pb_str_z(m->d->name), .rows = m->d->options };
	char buf[128];
	struct pb_text t;

	(void)e;
	if (!m->d->conf || !is_wanted(args->which, m->d))
		return 0;
	++*found;
	if (!set)
		return 0;
	pb_text_init_buf(&t, buf, sizeof(buf));
	pb_text_addf(&t, "%s.conf", m->d->conf);
	s.conf_name = pb_text_str(&t);
	s.conf = set->conf;
	s.settings = set->data;
	return tell_source(&s);
}

int pb_engine_dump(struct pb_engine *e, const struct pb_dump_args *args)
{
	unsigned found = 0;
	int err = dump_main(e, args, &found);

	for (unsigned i = 0; i < e->module_count && !err; i++)
		err = dump_module(e, e->modules[i], args, &found);
	return err ? err : found ? 0 : -ENOENT;
}
