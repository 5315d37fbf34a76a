/*
 * Modules: found, read, started, stopped.
 *
 * A module's code is a constant descriptor; what it has at run time is in struct
 * pbi_module: settings behind a pointer that reload exchanges, and one context a
 * loop. Loading and reading happen on the control thread, which may block;
 * start hooks run on the loops they will belong to.
 */
#include "bus/engine_impl.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>

#define SETTINGS_LIMIT (256u << 20)

/* ---- Settings ---------------------------------------------------------------- */

void pbi_settings_put(struct pbi_settings *s)
{
	struct pb_arena *a;

	if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
		return;
	pb_conf_free(&s->conf);
	a = s->arena;
	pb_arena_free(&a);
}

const void *pb_settings_ref(const struct pb_ctx *cx)
{
	struct pbi_settings *s;

	if (!cx->settings)
		return NULL;
	s = pb_container(cx->settings, struct pbi_settings, data);
	atomic_fetch_add(&s->refs, 1);
	return cx->settings;
}

void pb_settings_unref(const struct pb_ctx *cx, const void *settings)
{
	(void)cx;
	if (settings)
		pbi_settings_put(pb_container(settings, struct pbi_settings, data));
}

static struct pb_str env_param(void *arg, struct pb_str name)
{
	return pb_engine_run_param(arg, name);
}

static bool env_loaded(void *arg, struct pb_str module)
{
	return pb_engine_loaded(arg, module);
}

struct pb_conf_env pbi_conf_env(struct pb_engine *e)
{
	return (struct pb_conf_env){ .run_param = env_param, .loaded = env_loaded, .arg = e };
}

/* The module's file into fresh settings. What it says wrong is a finding; an
 * error among them means these settings must not be used. */
int pbi_module_read(struct pbi_module *m, struct pb_findings *f, struct pbi_settings **out)
{
	const struct pb_module *d = m->d;
	struct pb_conf_env env = pbi_conf_env(m->e);
	struct pb_arena *a = pb_arena_new(SETTINGS_LIMIT);
	struct pbi_settings *s = a ? pb_arena_alloc(a, sizeof(*s) + d->settings_size) : NULL;
	struct pb_str path;
	int err = 0;

	*out = NULL;
	if (!s) {
		pb_arena_free(&a);
		return -ENOMEM;
	}
	atomic_init(&s->refs, 1);
	s->arena = a;
	if (d->options)
		pb_opt_defaults(d->options, s->data, a);
	if (d->conf) {
		path = pb_arena_printf(a, "%s/%s.conf", m->e->args.conf_dir, d->conf);
		err = path.p ? pb_conf_load(path.p, &env, true, f, &s->conf) : -ENOMEM;
		if (!err && d->options)
			err = pb_opt_read(d->options, s->conf, s->data, a, f);
	}
	if (!err && d->read)
		err = d->read(s->conf, s->data, a, f);
	if (!err && pb_arena_failed(a))
		err = -ENOMEM;
	if (err) {
		pbi_settings_put(s);
		return err;
	}
	*out = s;
	return 0;
}

/* ---- Finding and loading ----------------------------------------------------------- */

/* "ysipchan.yate", "ysipchan", "sip" -> the name without suffix. */
static struct pb_str base_name(struct pb_str file)
{
	static const struct pb_str suffixes[] = { PB_STR_INIT(".yate"), PB_STR_INIT(".so") };

	for (size_t i = 0; i < 2; i++) {
		if (pb_str_ends(file, suffixes[i]))
			return pb_str_head(file, file.n - suffixes[i].n);
	}
	return file;
}

static bool is_called(const struct pb_module *d, struct pb_str name)
{
	struct pb_str list = pb_str_z(d->aliases), item;

	name = base_name(name);
	if (pb_str_eq(name, pb_str_z(d->name)))
		return true;
	while (pb_str_cut(&list, ',', &item)) {
		if (pb_str_eq(pb_str_trim(item), name))
			return true;
	}
	return false;
}

struct pbi_module *pbi_module_find(struct pb_engine *e, struct pb_str name)
{
	for (unsigned i = 0; i < e->module_count; i++) {
		if (is_called(e->modules[i]->d, name))
			return e->modules[i];
	}
	return NULL;
}

bool pb_engine_loaded(const struct pb_engine *e, struct pb_str module)
{
	return pbi_module_find((struct pb_engine *)(uintptr_t)e, module) != NULL;
}

/* [modules] FILE.yate=BOOL, an empty value means yes; else [general] modload. */
static bool wanted(struct pb_engine *e, const struct pb_module *d)
{
	bool def = pb_conf_get_bool(e->main, PB_STR("general"), PB_STR("modload"), true);
	const struct pb_conf_section *s = pb_conf_section(e->main, PB_STR("modules"));

	for (size_t i = 0; s && i < s->count; i++) {
		if (!is_called(d, s->entries[i].key))
			continue;
		return !s->entries[i].value.n || pb_str_to_bool(s->entries[i].value, def);
	}
	return def;
}

static int add_module(struct pb_engine *e, const struct pb_module *d, void *dl)
{
	struct pbi_module *m;

	if (e->module_count == PBI_MODULES_MAX)
		return -ENOSPC;
	m = pb_alloc_zero(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->d = d;
	m->e = e;
	m->dl = dl;
	e->modules[e->module_count++] = m;
	if (d->log)
		pb_log_register(d->log);
	return 0;
}

static int load_file(struct pb_engine *e, const char *path)
{
	void *dl = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	const struct pb_module *d = dl ? dlsym(dl, "pb_module_descriptor") : NULL;
	int err;

	if (!d) {
		pb_log(&pbi_engine_log, &pbi_engine_rows[PBI_ENG_NOT_LOADED], "module %s not loaded: %s", path,
		       dlerror());
		goto out;
	}
	if (d->abi != PB_MODULE_ABI) {
		pb_log(&pbi_engine_log, &pbi_engine_rows[PBI_ENG_NOT_LOADED],
		       "module %s not loaded: made for interface %u, this engine has %u", path, d->abi,
		       PB_MODULE_ABI);
		goto out;
	}
	if (!wanted(e, d) || pbi_module_find(e, pb_str_z(d->name)))
		goto out;
	err = add_module(e, d, dl);
	if (!err)
		return 0;
out:
	if (dl)
		dlclose(dl);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The *.so files of a folder in order of name, so that a start repeats. */
static int load_dir(struct pb_engine *e, const char *dir)
{
	DIR *d = opendir(dir);
	const char *files[PBI_MODULES_MAX];
	struct dirent *it;
	size_t n = 0;
	int err = 0;

	if (!d)
		return 0;
	while ((it = readdir(d)) && n < PBI_MODULES_MAX) {
		if (pb_str_ends(pb_str_z(it->d_name), PB_STR(".so"))) {
			struct pb_str p = pb_arena_printf(e->arena, "%s/%s", dir, it->d_name);

			if (p.p)
				files[n++] = p.p;
		}
	}
	closedir(d);
	qsort(files, n, sizeof(files[0]), by_name);
	for (size_t i = 0; i < n && !err; i++)
		err = load_file(e, files[i]);
	return err;
}

/* Names in [modules] that nothing answers to are findings with a suggestion. */
static void check_names(struct pb_engine *e, struct pb_findings *f)
{
	const struct pb_conf_section *s = pb_conf_section(e->main, PB_STR("modules"));
	struct pb_str known[PBI_MODULES_MAX * 2];
	size_t n = 0;

	for (unsigned i = 0; i < e->module_count; i++) {
		struct pb_str list = pb_str_z(e->modules[i]->d->aliases), item;

		known[n++] = pb_str_z(e->modules[i]->d->name);
		if (pb_str_cut(&list, ',', &item))
			known[n++] = item;
	}
	for (size_t i = 0; s && i < s->count; i++) {
		struct pb_str name = base_name(s->entries[i].key), near;

		if (pbi_module_find(e, name) || !pb_str_to_bool(s->entries[i].value, true))
			continue;
		near = pb_suggest(name, known, n);
		pb_findings_add(f, s->entries[i].key_at, PB_SEV_WARNING, PB_FIND(UNKNOWN_MODULE),
				near.p ? "unknown module '%.*s', did you mean '%.*s'?" : "unknown module '%.*s'%.*s",
				PB_STR_F(name), PB_STR_F(near));
	}
}

int pbi_modules_load(struct pb_engine *e, struct pb_findings *f)
{
	int err = add_module(e, &pbi_engine_module, NULL);

	for (size_t i = 0; e->args.built_in && e->args.built_in[i] && !err; i++) {
		if (wanted(e, e->args.built_in[i]))
			err = add_module(e, e->args.built_in[i], NULL);
	}
	for (size_t i = 0; e->args.module_dirs && e->args.module_dirs[i] && !err; i++)
		err = load_dir(e, e->args.module_dirs[i]);
	if (!err)
		check_names(e, f);
	return err;
}

/* ---- Starting and stopping ------------------------------------------------------------ */

int pbi_add(struct pbi_module *m, const struct pb_handler_args *args, struct pb_reg **out)
{
	struct pb_reg *r;
	int err;

	if (!out && m->reg_count == PBI_REGS_MAX)
		return -ENOSPC; /* it could not be removed with the module */
	err = pb_bus_add(m->e->bus, args, NULL, NULL, &r);
	if (out)
		*out = err ? NULL : r;
	else if (!err)
		m->regs[m->reg_count++] = r;
	return err;
}

static int add_row(struct pbi_module *m, const struct pb_handler *row, const char *filter_name,
		   bool (*filter)(void *arg, struct pb_str value), struct pb_reg **out)
{
	struct pb_handler_args a = {
		.message = pb_str_z(row->message),
		.priority = row->priority,
		.place = row->place,
		.home = m->home,
		.owner_param = pb_str_z(row->owner_param),
		.owner_else = pb_str_z(row->owner_else),
		.owner_prefix = pb_str_z(row->owner_prefix),
		.filter_name = pb_str_z(filter_name ? filter_name : row->filter_name),
		.filter_value = pb_str_z(row->filter_value),
		.filter = filter,
		.track = row->untracked ? PB_STR_NULL : pb_str_z(m->d->name),
		.hold_ms = row->hold_ms,
		.parked_max = row->parked_max,
		.refuse_when_full = row->refuse_when_full,
		.merge = row->merge,
		.fn = row->fn,
		.contexts = m->ctx,
	};

	return pbi_add(m, &a, out);
}

int pb_engine_add_handler(struct pb_ctx *cx, const struct pb_handler *row, struct pb_reg **out)
{
	return add_row(cx->module, row, NULL, NULL, out);
}

int pb_engine_add_filtered(struct pb_ctx *cx, const struct pb_handler *row, const char *name,
			   bool (*filter)(void *arg, struct pb_str value), struct pb_reg **out)
{
	return add_row(cx->module, row, name, filter, out);
}

static int make_contexts(struct pbi_module *m)
{
	struct pb_engine *e = m->e;
	unsigned n = pb_loops_count(e->loops), calls = pb_loops_calls(e->loops);

	m->home = pb_loops_at(e->loops, m->d->home_script && n > calls ? calls : 0);
	if (m->d->shared_size && !(m->shared = pb_alloc_zero(1, m->d->shared_size)))
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++) {
		m->ctx[i] = (struct pb_ctx){
			.bus = e->bus,
			.loop = pb_loops_at(e->loops, i),
			.settings = m->settings->data,
			.shared = m->shared,
			.module = m,
		};
		if (m->d->loop_state_size && !(m->ctx[i].state = pb_alloc_zero(1, m->d->loop_state_size)))
			return -ENOMEM;
	}
	return 0;
}

struct hook_call {
	int (*fn)(struct pb_ctx *cx);
	void (*plain)(struct pb_ctx *cx);
	struct pb_ctx *cx;
	int err;
};

static void run_hook(void *arg)
{
	struct hook_call *c = arg;

	if (c->fn)
		c->err = c->fn(c->cx);
	else if (c->plain)
		c->plain(c->cx);
}

static int call_hook(struct pbi_module *m, int (*fn)(struct pb_ctx *), struct pb_loop *l)
{
	struct hook_call c = { .fn = fn, .cx = &m->ctx[pb_loop_index(l)] };

	if (fn)
		pb_loop_call(l, run_hook, &c);
	return c.err;
}

static void call_plain(struct pbi_module *m, void (*fn)(struct pb_ctx *), struct pb_loop *l)
{
	struct hook_call c = { .plain = fn, .cx = &m->ctx[pb_loop_index(l)] };

	if (fn)
		pb_loop_call(l, run_hook, &c);
}

int pbi_module_start(struct pbi_module *m)
{
	unsigned n = pb_loops_count(m->e->loops);
	int err = make_contexts(m);

	if (!err)
		err = call_hook(m, m->d->start, m->home);
	m->started = !err;
	for (unsigned i = 0; i < n && !err; i++)
		err = call_hook(m, m->d->loop_start, pb_loops_at(m->e->loops, i));
	for (const struct pb_handler *h = m->d->handlers; h && h->message && !err; h++)
		err = add_row(m, h, NULL, NULL, NULL);
	if (!err)
		err = pbi_status_add(m);
	if (!err)
		err = pbi_commands_add(m);
	return err;
}

int pbi_module_open(struct pbi_module *m)
{
	int err = 0;

	for (unsigned i = 0; i < pb_loops_count(m->e->loops) && !err; i++)
		err = call_hook(m, m->d->loop_open, pb_loops_at(m->e->loops, i));
	return err;
}

void pbi_module_stop(struct pbi_module *m)
{
	struct pb_engine *e = m->e;

	while (m->reg_count) {
		struct pb_reg *r = m->regs[--m->reg_count];

		pb_bus_remove(e->bus, &r, NULL, NULL);
	}
	if (!m->started)
		return;
	m->started = false;
	for (unsigned i = 0; i < pb_loops_count(e->loops); i++)
		call_plain(m, m->d->loop_stop, pb_loops_at(e->loops, i));
	call_plain(m, m->d->stop, m->home);
}

void pbi_module_free(struct pbi_module **mp)
{
	struct pbi_module *m = *mp;

	if (!m)
		return;
	*mp = NULL;
	for (unsigned i = 0; i < PB_LOOPS_MAX; i++)
		pb_free(m->ctx[i].state);
	pb_free(m->shared);
	pbi_settings_put(m->settings);
	/* The library stays mapped: its code may be on a sanitizer's stack, and
	 * the process is ending. */
	pb_free(m);
}

/* ---- What modules ask --------------------------------------------------------------- */

struct pb_engine *pb_engine_of(const struct pb_ctx *cx)
{
	return cx->module->e;
}

struct pb_pool *pb_engine_pool(struct pb_engine *e)
{
	return e->pool;
}

struct pb_loop *pb_engine_home(const struct pb_ctx *cx)
{
	return cx->module->home;
}

struct pb_ctx *pb_engine_ctx(const struct pb_ctx *cx, struct pb_loop *l)
{
	return &cx->module->ctx[pb_loop_index(l)];
}

struct pb_world *pb_engine_world(struct pb_engine *e)
{
	return e->world;
}
