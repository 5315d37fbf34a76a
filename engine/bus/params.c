/*
 * Run parameters: what the engine knows of this run, for ${...} in files, and
 * for everybody who asks. Made before and while the main file is read; never
 * changed afterwards.
 */
#include "bus/engine_impl.h"

#include <unistd.h>

struct pb_str pb_engine_run_param(const struct pb_engine *e, struct pb_str name)
{
	for (unsigned i = 0; i < e->param_count; i++) {
		if (pb_str_eq(e->params[i].name, name))
			return e->params[i].value;
	}
	return PB_STR_NULL;
}

static void set_param(struct pb_engine *e, const char *name, struct pb_str value)
{
	struct pb_str n = pb_str_z(name);

	if (!value.p || pb_engine_run_param(e, n).p || e->param_count == PBI_PARAMS_MAX)
		return;
	e->params[e->param_count++] =
		(struct run_param){ pb_arena_str(e->arena, n), pb_arena_str(e->arena, value) };
}

static struct pb_str get_param(void *arg, struct pb_str name)
{
	return pb_engine_run_param(arg, name);
}

struct pb_str pb_engine_expand(const struct pb_engine *e, struct pb_str text, struct pb_arena *into)
{
	return pb_expand(text, get_param, (void *)(uintptr_t)e, into);
}

struct pb_str pb_engine_main(const struct pb_engine *e, struct pb_str section, struct pb_str key)
{
	return pb_conf_get(e->main, section, key);
}

static struct pb_str host_name(struct pb_engine *e)
{
	char *buf = pb_arena_alloc(e->arena, 256);

	if (!buf || gethostname(buf, 255))
		return PB_STR("localhost");
	return pb_str_z(buf);
}

static struct pb_str work_path(struct pb_engine *e)
{
	char *buf = pb_arena_alloc(e->arena, 4096);

	return buf && getcwd(buf, 4096) ? pb_str_z(buf) : PB_STR(".");
}

/* The parameters that stand before the main file is read (it may ask). */
void pbi_params_early(struct pb_engine *e)
{
	const struct pb_engine_args *a = &e->args;

	set_param(e, "version", PB_STR(PACKAGE_VERSION));
	set_param(e, "release", PB_STR(""));
	set_param(e, "revision", PB_STR("0"));
	set_param(e, "configname", pb_str_z(a->name));
	set_param(e, "sharedpath", pb_str_z(a->share_dir ? a->share_dir : PB_SHARE_DIR));
	set_param(e, "configpath", pb_str_z(a->conf_dir));
	set_param(e, "cfgsuffix", PB_STR(".conf"));
	set_param(e, "modulepath", pb_str_z(a->module_dirs && a->module_dirs[0] ? a->module_dirs[0] : ""));
	set_param(e, "modsuffix", PB_STR(".yate"));
	set_param(e, "logfile", pb_str_z(a->log_file ? a->log_file : ""));
	set_param(e, "workpath", work_path(e));
}

void pbi_params_late(struct pb_engine *e)
{
	struct pb_str node = pb_str_z(e->args.node_name);
	const struct pb_conf_section *s = pb_conf_section(e->main, PB_STR("run_params"));

	if (!node.n)
		node = pb_str_trim(e->yate.nodename);
	set_param(e, "nodename", node.n ? node : host_name(e));
	set_param(e, "runid", pb_arena_printf(e->arena, "%llu", (unsigned long long)(e->started_us / 1000000)));
	set_param(e, "consolesocket", e->set.console_socket);
	for (size_t i = 0; s && i < s->count; i++) {
		struct pb_str v = pb_engine_expand(e, s->entries[i].value, e->arena);

		set_param(e, s->entries[i].key.p, pb_str_trim(v));
	}
}
