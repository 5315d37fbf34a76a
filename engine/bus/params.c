/*
 * Run parameters: what the engine knows of this run, for ${...} in files, and
 * for everybody who asks. All but those of the command `runparam` are made
 * between the two readings of the main file. None is ever changed or taken away,
 * so readers on any thread need no lock: a new one is written behind the last
 * and then counted.
 */
#include "bus/engine_impl.h"

#include <errno.h>
#include <unistd.h>

/* ---- The table ---------------------------------------------------------------------- */

struct pb_str pb_engine_run_param(const struct pb_engine *e, struct pb_str name)
{
	unsigned n = atomic_load_explicit(&e->param_count, memory_order_acquire);

	for (unsigned i = 0; i < n; i++) {
		if (pb_str_eq(e->params[i].name, name))
			return e->params[i].value;
	}
	return PB_STR_NULL;
}

/* @return 0, -EEXIST, -ENOSPC, -ENOMEM. */
static int add_param(struct pb_engine *e, struct pb_arena *a, struct pb_str name, struct pb_str value)
{
	unsigned n = atomic_load_explicit(&e->param_count, memory_order_relaxed);

	if (pb_engine_run_param(e, name).p)
		return -EEXIST;
	if (n == PBI_PARAMS_MAX)
		return -ENOSPC;
	e->params[n] = (struct run_param){ pb_arena_str(a, name), pb_arena_str(a, value) };
	if (pb_arena_failed(a))
		return -ENOMEM;
	atomic_store_explicit(&e->param_count, n + 1, memory_order_release);
	return 0;
}

static struct pb_str get_param(void *arg, struct pb_str name)
{
	return pb_engine_run_param(arg, name);
}

struct pb_str pb_engine_expand(const struct pb_engine *e, struct pb_str text, struct pb_arena *into)
{
	return pb_expand(text, get_param, (void *)(uintptr_t)e, into);
}

int pb_engine_add_run_param(struct pb_engine *e, struct pb_str name, struct pb_str value)
{
	pb_assert(pb_loop_is_mine(pb_loops_at(e->loops, 0)));
	if (!e->late_params)
		e->late_params = pb_arena_new(4u << 20);
	if (!e->late_params)
		return -ENOMEM;
	value = pb_engine_expand(e, value, e->late_params);
	return value.p ? add_param(e, e->late_params, pb_str_trim(name), pb_str_trim(value)) : -ENOMEM;
}

/* ---- What the engine knows ------------------------------------------------------------ */

static void set(struct pb_engine *e, const char *name, struct pb_str value)
{
	add_param(e, e->arena, pb_str_z(name), value.p ? value : PB_STR(""));
}

static void set_int(struct pb_engine *e, const char *name, int64_t v)
{
	set(e, name, pb_arena_printf(e->arena, "%lld", (long long)v));
}

static void set_bool(struct pb_engine *e, const char *name, bool v)
{
	set(e, name, v ? PB_STR("true") : PB_STR("false"));
}

/* A limit of [general] that nothing here goes by, for who still asks for it. */
static int64_t said(struct pb_engine *e, const char *key, int64_t def, int64_t lo, int64_t hi)
{
	return pb_conf_get_int(e->main, PB_STR("general"), pb_str_z(key), def, lo, hi);
}

static struct pb_str node_name(struct pb_engine *e)
{
	struct pb_str of[] = { pb_str_z(e->args.node_name), e->set.node_name, e->yate.nodename };
	char *host = pb_arena_alloc(e->arena, 256);

	for (size_t i = 0; i < sizeof(of) / sizeof(of[0]); i++) {
		if (pb_str_trim(of[i]).n)
			return pb_str_trim(of[i]);
	}
	return host && !gethostname(host, 255) ? pb_str_z(host) : PB_STR("localhost");
}

static struct pb_str work_path(struct pb_engine *e)
{
	char *buf = pb_arena_alloc(e->arena, 4096);

	return buf && getcwd(buf, 4096) ? pb_str_z(buf) : PB_STR(".");
}

static struct pb_str module_path(struct pb_engine *e)
{
	const char *const *dirs = e->args.module_dirs;

	return e->yate.modpath.n ? e->yate.modpath : pb_str_z(dirs && dirs[0] ? dirs[0] : "");
}

static void set_paths(struct pb_engine *e)
{
	const struct pb_engine_args *a = &e->args;

	set(e, "configname", pb_str_z(a->name));
	set(e, "sharedpath", pb_str_z(a->share_dir ? a->share_dir : PB_SHARE_DIR));
	set(e, "configpath", pb_str_z(a->conf_dir));
	set(e, "usercfgpath", pb_str_z(a->user_dir));
	set(e, "cfgsuffix", PB_STR(".conf"));
	set(e, "modulepath", module_path(e));
	set(e, "modsuffix", PB_STR(".yate"));
	set(e, "logfile", pb_str_z(a->log_file));
}

static void set_process(struct pb_engine *e)
{
	const struct pb_engine_args *a = &e->args;

	set_bool(e, "interactive", a->interactive);
	set_bool(e, "clientmode", false);
	set_bool(e, "supervised", a->supervised);
	set_int(e, "runattempt", a->run_attempt);
	set_int(e, "lastsignal", a->last_signal);
	if (a->supervised) {
		set_int(e, "childpid", getpid());
		set_int(e, "superpid", getppid());
	}
}

static void set_limits(struct pb_engine *e)
{
	const struct pbi_main *m = &e->yate;
	int64_t least = said(e, "minworkers", 1, 1, 500);

	set_int(e, "minworkers", least);
	set_int(e, "maxworkers", said(e, "maxworkers", 10, least, 1000));
	set_int(e, "addworkers", said(e, "addworkers", 1, 1, 10));
	set_int(e, "maxmsgrate", m->maxmsgrate);
	set_int(e, "maxmsgage", m->maxmsgage);
	set_int(e, "maxqueued", m->maxqueued);
	set_int(e, "maxevents", m->maxevents);
	if (m->nodebits && m->nodeid < 1 << m->nodebits) {
		set_int(e, "nodeid", m->nodeid);
		set_int(e, "nodebits", m->nodebits);
	}
}

/* ---- What the user adds ---------------------------------------------------------------- */

static void set_application(struct pb_engine *e)
{
	const struct pb_conf_section *s = pb_conf_section(e->main, PB_STR("application"));

	for (size_t i = 0; s && i < s->count; i++) {
		struct pb_str name = pb_arena_printf(e->arena, "%.*s%.*s", PB_STR_F(e->yate.app_prefix),
						     PB_STR_F(s->entries[i].key));

		if (pbi_is_application_key(s->entries[i].key))
			add_param(e, e->arena, name, s->entries[i].value);
	}
}

static void set_of_command_line(struct pb_engine *e)
{
	for (const char *const *p = e->args.run_params; p && *p; p++) {
		struct pb_str value = pb_str_z(*p), name;

		pb_str_cut(&value, '=', &name);
		value = pb_engine_expand(e, value, e->arena);
		add_param(e, e->arena, pb_str_trim(name), value.p ? pb_str_trim(value) : PB_STR(""));
	}
}

static void set_of_file(struct pb_engine *e, struct pb_findings *f)
{
	const struct pb_conf_section *s = pb_conf_section(e->main, PB_STR("run_params"));

	for (size_t i = 0; s && i < s->count; i++) {
		struct pb_str v = pb_engine_expand(e, s->entries[i].value, e->arena);

		if (add_param(e, e->arena, s->entries[i].key, pb_str_trim(v)) != -ENOSPC)
			continue;
		pb_findings_add(f, s->entries[i].key_at, PB_SEV_WARNING, PB_FIND(TOO_MANY),
				"more than %u run parameters: the rest is ignored", PBI_PARAMS_MAX);
		return;
	}
}

void pbi_params_fill(struct pb_engine *e, struct pb_findings *f)
{
	set(e, "version", PB_STR(PACKAGE_VERSION));
	set(e, "release", PB_STR(""));
	set(e, "revision", PB_STR("0"));
	set(e, "nodename", node_name(e));
	set_int(e, "runid", (int64_t)(e->started_us / 1000000));
	set_paths(e);
	set_process(e);
	set_limits(e);
	if (e->yate.trackparam.n)
		set(e, "trackparam", e->yate.trackparam);
	set(e, "workpath", work_path(e));
	set(e, "consolesocket", e->set.console_socket);
	set_application(e);
	set_of_command_line(e);
	set_of_file(e, f);
}
