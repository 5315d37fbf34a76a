/*
 * Lua scripts: the module's options, its start, reload and stop, its command.
 *
 * A script's file is read and compiled when the settings are read, so `check`
 * finds its mistakes and a reload with a broken file leaves the script that
 * runs as it is. Everything else happens at home, on a script loop.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lua/script.h"

#define TEXT_LIMIT_BYTES (4u << 20)

/* ---- Settings ------------------------------------------------------------------------- */

#define AT(field) offsetof(struct mlua_settings, field)

static const struct pb_opt options[] = {
	{ PB_OPT_STR, "scripts_dir", AT(dir), .defs = "${sharedpath}/scripts",
	  .doc = "Where scripts named without a path are; run parameters are filled in." },
	{ PB_OPT_INT, "instructions", AT(instructions), .def = 10000000, .lo = 10000,
	  .hi = 1000000000000,
	  .doc = "Instructions that a script may take each time it is entered." },
	{ PB_OPT_INT, "memory", AT(memory_mb), .def = 64, .lo = 1, .hi = 65536, .unit = "MB",
	  .doc = "Memory that one script may use." },
	{ PB_OPT_OTHER, "", .section = "scripts", .flags = PB_OPT_PREFIX,
	  .doc = "NAME=FILE: a script to run." },
	{ PB_OPT_END },
};

static struct pb_str script_path(const struct mlua_settings *set, struct pb_str dir,
				 struct pb_str file, struct pb_arena *a)
{
	if (pb_str_starts(file, PB_STR("/")))
		return pb_arena_str(a, file);
	return pb_arena_printf(a, "%.*s%s%.*s", PB_STR_F(dir),
			       pb_str_ends(dir, PB_STR("/")) ? "" : "/", PB_STR_F(file));
}

/* The whole file. @return 0 or -errno. */
static int read_file(const char *path, struct pb_arena *a, struct pb_str *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err = 0;
	struct stat st;
	size_t n = 0;
	char *p;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > TEXT_LIMIT_BYTES) {
		close(fd);
		return -EFBIG;
	}
	p = pb_arena_bytes(a, (size_t)st.st_size + 1);
	while (p && n < (size_t)st.st_size) {
		ssize_t got = read(fd, p + n, (size_t)st.st_size - n);

		if (got <= 0) {
			err = got < 0 ? -errno : 0;
			break;
		}
		n += (size_t)got;
	}
	close(fd);
	if (!p)
		return -ENOMEM;
	*out = pb_str(p, n);
	return err;
}

/* A script that cannot run is a finding, and the others run without it. */
static int read_source(struct mlua_source *src, struct pb_arena *a, struct pb_findings *f)
{
	struct pb_str text = PB_STR_NULL;
	struct pb_text why;
	unsigned line = 0;
	int err = read_file(src->path.p, a, &text);

	if (err) {
		pb_findings_add(f, src->at, PB_SEV_ERROR, "lua-101", "script %s cannot be read: %s",
				src->path.p, strerror(-err));
		return err == -ENOMEM ? err : 0;
	}
	pb_text_init(&why, 1000);
	err = mlua_sandbox_check(src->path, text, &line, &why);
	if (!err)
		src->text = text;
	else if (err != -ENOMEM)
		pb_findings_add(f, (struct pb_pos){ src->path.p, line, 0 }, PB_SEV_ERROR, "lua-102",
				"%.*s", PB_STR_F(pb_text_str(&why)));
	pb_text_fini(&why);
	return err == -ENOMEM ? err : 0;
}

static int read_settings(const struct pb_conf *c, void *settings, struct pb_arena *a,
			 struct pb_findings *f)
{
	struct mlua_settings *set = settings;
	const struct pb_conf_section *s = pb_conf_section(c, PB_STR("scripts"));
	struct pb_str dir = pb_conf_expand(c, set->dir, a);
	int err = 0;

	set->sources = pb_arena_alloc(a, ((s ? s->count : 0) + 1) * sizeof(*set->sources));
	if (!set->sources)
		return -ENOMEM;
	for (size_t i = 0; s && i < s->count && !err; i++) {
		const struct pb_conf_entry *e = &s->entries[i];
		struct mlua_source *src = &set->sources[set->count++];

		src->name = pb_arena_str(a, e->key);
		src->path = script_path(set, dir, pb_conf_expand(c, e->value, a), a);
		src->at = e->value_at;
		if (!src->name.p || !src->path.p)
			return -ENOMEM;
		err = read_source(src, a, f);
	}
	return err;
}

/* ---- Life -------------------------------------------------------------------------------- */

static void start_script(struct mlua_host *h, const struct mlua_source *src)
{
	struct mlua_script *old = mlua_script_find(h, src->name), *fresh;

	if (!src->text.p) {
		pb_log(&mlua_log, &mlua_said[MLUA_SAY_NOT_LOADED], "%.*s: %.*s cannot be used%s",
		       PB_STR_F(src->name), PB_STR_F(src->path),
		       old ? ", the old one keeps running" : "");
		return;
	}
	if (mlua_script_start(h, src, &fresh) == 0 && old)
		mlua_script_retire(old);
}

static void start_all(struct mlua_host *h)
{
	for (size_t i = 0; i < h->settings->count; i++)
		start_script(h, &h->settings->sources[i]);
}

static int start(struct pb_ctx *cx)
{
	struct mlua_host *h = cx->shared;

	h->bus = cx->bus;
	h->loop = cx->loop;
	h->engine = pb_engine_of(cx);
	h->settings = cx->settings;
	pb_list_init(&h->scripts);
	start_all(h);
	return 0;
}

static bool is_named(const struct mlua_settings *set, struct pb_str name)
{
	for (size_t i = 0; i < set->count; i++) {
		if (pb_str_eq(set->sources[i].name, name))
			return true;
	}
	return false;
}

static enum pb_reload reload(struct pb_ctx *cx, const void *old)
{
	struct mlua_host *h = cx->shared;

	h->settings = cx->settings;
	pb_list_each_safe(n, &h->scripts) {
		struct mlua_script *s = pb_container(n, struct mlua_script, node);

		if (!s->retired && !is_named(h->settings, s->name))
			mlua_script_retire(s);
	}
	start_all(h);
	return PB_RELOAD_OK;
}

static void stop(struct pb_ctx *cx)
{
	struct mlua_host *h = cx->shared;

	h->stopping = true;
	pb_list_each_safe(n, &h->scripts) {
		mlua_script_kill(pb_container(n, struct mlua_script, node));
	}
}

/* ---- Command and status -------------------------------------------------------------------- */

static unsigned count_handlers(const struct mlua_script *s)
{
	unsigned n = 0;

	pb_list_each(it, &s->regs)
		n++;
	return n;
}

static enum pb_verdict on_command(struct pb_msg *m, struct pb_ctx *cx)
{
	struct mlua_host *h = cx->shared;
	struct pb_text t;

	pb_text_init(&t, PB_MSG_LIMIT_BYTES / 2);
	pb_list_each(n, &h->scripts) {
		const struct mlua_script *s = pb_container(n, struct mlua_script, node);

		pb_text_add(&t, s->name);
		pb_text_addf(
			&t,
			"\t%s, %u handlers, %u coroutines, %zu kB, %llu entered, %llu errors\r\n",
			s->retired ? "replaced" : "running", count_handlers(s), s->task_count,
			(s->box.memory + 1023) / 1024, (unsigned long long)s->entered,
			(unsigned long long)s->errors);
	}
	pb_msg_set_retval(m, pb_text_str(&t));
	pb_text_fini(&t);
	return PB_HANDLED;
}

static const struct pb_command commands[] = {
	{ "lua", "lua", "List the Lua scripts: state, handlers, coroutines, memory.", PB_HOME,
	  on_command },
	{ NULL },
};

/* The status is asked of the call loops; home is none. */
static void status(struct pb_ctx *cx, struct pb_status *st)
{
	const struct mlua_host *h = cx->shared;

	if (pb_loop_index(cx->loop))
		return;
	pb_status_count(st, "scripts", (int64_t)atomic_load(&h->running));
	pb_status_count(st, "coroutines", (int64_t)atomic_load(&h->coroutines));
	pb_status_count(st, "errors", (int64_t)atomic_load(&h->errors));
}

static const struct pb_counter counters[] = {
	{ "scripts", "scripts", "Scripts that run." },
	{ "coroutines", "coroutines", "Handlers of scripts that wait for something." },
	{ "errors", NULL, "Errors that scripts have ended a handler with." },
	{ NULL },
};

static const struct pb_finding_row findings[] = {
	{ "lua-101", "A script cannot be read." },
	{ "lua-102", "A script is no valid Lua; the text says where." },
	{ NULL },
};

/* What scripts do is theirs to know. */
static void uses(const void *settings, struct pb_uses *u)
{
	if (!((const struct mlua_settings *)settings)->count)
		return;
	pb_uses_sends(u, PB_STR("*"));
	pb_uses_sets(u, PB_STR("*"));
}

PB_MODULE(lua) = {
	.abi = PB_MODULE_ABI,
	.name = "lua",
	.doc = "Lua 5.4 scripts that handle messages.",
	.conf = "lua",
	.status_type = "misc",
	.settings_size = sizeof(struct mlua_settings),
	.shared_size = sizeof(struct mlua_host),
	.options = options,
	.commands = commands,
	.log = &mlua_log,
	.home_script = true,
	.read = read_settings,
	.start = start,
	.reload = reload,
	.stop = stop,
	.status = status,
	.counters = counters,
	.findings = findings,
	.uses = uses,
};
