/*
 * Modules: read, started, stopped (found and loaded: modload.c).
 *
 * A module's code is a constant descriptor; what it has at run time is in struct
 * pbi_module: settings behind a pointer that reload exchanges, and one context a
 * loop. Loading and reading happen on the control thread, which may block;
 * start hooks run on the loops they will belong to.
 */
#include "bus/engine_impl.h"

#include <errno.h>

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
	return (struct pb_conf_env){ .run_param = env_param, .loaded = env_loaded, .arg = e, .rules = &e->rules };
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
