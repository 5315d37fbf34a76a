/*
 * The engine's life: made, started, reloaded, stopped, all from one control
 * thread; and the built-in module "engine" with its commands and status line.
 */
#include "bus/engine_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/text.h"
#include "bus/cfg.h"
#include "loop/dns.h"

const struct pb_log_row pbi_engine_rows[] = {
	[PBI_ENG_LOADED] = { "engine-001", PB_INFO, "A module was loaded and started." },
	[PBI_ENG_NOT_LOADED] = { "engine-002", PB_WARN, "A module library cannot be used; the text says why." },
	[PBI_ENG_START_FAILED] = { "engine-003", PB_CRIT, "A module did not start; the engine goes on without it "
							   "unless it is required." },
	[PBI_ENG_RELOADED] = { "engine-004", PB_NOTE, "New configuration is in force." },
	[PBI_ENG_RELOAD_REFUSED] = { "engine-005", PB_WARN, "New configuration has errors: the old one stays." },
	[PBI_ENG_READY] = { "engine-006", PB_NOTE, "Everything is started." },
	[PBI_ENG_STOPPING] = { "engine-007", PB_NOTE, "The engine is stopping." },
	[PBI_ENG_CONF] = { "engine-008", PB_CONF, "A finding about the configuration: file, line, column, text." },
	[PBI_ENG_RESTART] = { "engine-009", PB_NOTE, "New configuration that takes effect at the next start." },
	{ NULL },
};

PB_LOG_SOURCE(pbi_engine_log, "engine", pbi_engine_rows);

const struct pb_opt pbi_cfg_rows[] = {
	{ PB_OPT_INT, "calls", offsetof(struct pbi_cfg, calls), .def = 0, .lo = 0, .hi = 48, .section = "loops",
	  .doc = "Loops that own calls, a thread each; 0: one a core." },
	{ PB_OPT_INT, "scripts", offsetof(struct pbi_cfg, scripts), .def = 1, .lo = 1, .hi = 15, .section = "loops",
	  .doc = "Loops on which scripts run; they own no calls." },
	{ PB_OPT_INT, "hold", offsetof(struct pbi_cfg, hold_ms), .def = 10000, .lo = 1, .hi = 3600000, .unit = "ms",
	  .section = "limits", .doc = "How long one handler may hold a message." },
	{ PB_OPT_INT, "message", offsetof(struct pbi_cfg, message_ms), .def = 60000, .lo = 1, .hi = 3600000,
	  .unit = "ms", .section = "limits", .doc = "How long a message may be held in all." },
	{ PB_OPT_INT, "parked", offsetof(struct pbi_cfg, parked), .def = 10000, .lo = 1, .hi = 1000000,
	  .section = "limits", .doc = "Messages that one handler may hold at once on a loop." },
	{ PB_OPT_STR, "servers", offsetof(struct pbi_cfg, dns_servers), .defs = "", .section = "dns",
	  .doc = "Name servers as \"192.0.2.1, [2001:db8::1]:5353\"; empty: those of /etc/resolv.conf, read at start." },
	{ PB_OPT_INT, "timeout", offsetof(struct pbi_cfg, dns_timeout_ms), .def = 5000, .lo = 100, .hi = 30000,
	  .unit = "ms", .section = "dns", .doc = "How long a name may take to resolve." },
	{ PB_OPT_STR, "socket", offsetof(struct pbi_cfg, console_socket), .defs = "", .section = "console",
	  .doc = "Unix socket of the console; empty: none." },
	{ PB_OPT_STR, "file", offsetof(struct pbi_cfg, log_file), .defs = "", .section = "log",
	  .doc = "Log file; empty: standard error." },
	{ PB_OPT_INT, "level", offsetof(struct pbi_cfg, log_level), .def = 7, .lo = 3, .hi = 10, .section = "log",
	  .doc = "Lines up to this level are written." },
	{ PB_OPT_STR, "stamp", offsetof(struct pbi_cfg, log_stamp), .defs = "Z", .section = "log",
	  .doc = "Time stamps: n none, t since start, e epoch, f/z compact, F/Z separated (GMT/local)." },
	{ PB_OPT_BOOL, "required", 0, .section = "modules.*",
	  .doc = "The engine does not start without this module." },
	{ PB_OPT_END },
};

/* ---- Run parameters ------------------------------------------------------------- */

#define PARAMS_MAX 128

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

	if (!value.p || pb_engine_run_param(e, n).p || e->param_count == PARAMS_MAX)
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

static uint64_t real_wall_us(struct pb_engine *e)
{
	return pb_loop_wall_us(pb_loops_at(e->loops, 0));
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
static void early_params(struct pb_engine *e)
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

static void late_params(struct pb_engine *e)
{
	struct pb_str node = pb_str_z(e->args.node_name);
	const struct pb_conf_section *s = pb_conf_section(e->main, PB_STR("run_params"));

	if (!node.n)
		node = pb_str_trim(pb_engine_main(e, PB_STR("general"), PB_STR("nodename")));
	set_param(e, "nodename", node.n ? node : host_name(e));
	set_param(e, "runid", pb_arena_printf(e->arena, "%llu", (unsigned long long)(e->started_us / 1000000)));
	set_param(e, "consolesocket", e->set.console_socket);
	for (size_t i = 0; s && i < s->count; i++) {
		struct pb_str v = pb_engine_expand(e, s->entries[i].value, e->arena);

		set_param(e, s->entries[i].key.p, pb_str_trim(v));
	}
}

/* ---- Making ------------------------------------------------------------------------ */

static int check_dns(struct pb_engine *e, struct pb_findings *f)
{
	struct pb_str servers = e->set.dns_servers;

	if (!servers.n || !pb_dns_check_servers(servers))
		return 0;
	pb_findings_add(f, pb_cfg_at(e->cfg, "dns", "servers"), PB_SEV_ERROR, PB_FIND(CFG_RANGE),
			"'%.*s' is not a list of IP addresses, each with or without a port", PB_STR_F(servers));
	return -EINVAL;
}

static int read_main(struct pb_engine *e, struct pb_findings *f)
{
	struct pb_conf_env env = pbi_conf_env(e);
	struct pb_str path = pb_arena_printf(e->arena, "%s/%s.conf", e->args.conf_dir, e->args.name);
	struct pb_str cfg = pb_arena_printf(e->arena, "%s/engine.cfg", e->args.conf_dir);
	int err;

	if (!path.p || !cfg.p)
		return -ENOMEM;
	err = pb_conf_load(path.p, &env, true, f, &e->main);
	if (!err)
		err = pbi_main_check(e->main, e->arena, f);
	if (!err)
		err = pb_cfg_load(cfg.p, f, &e->cfg);
	if (!err)
		err = pb_cfg_read(e->cfg, pbi_cfg_rows, &e->set, e->arena, f);
	return err ? err : check_dns(e, f);
}

static unsigned cores(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > PB_LOOPS_MAX - 8 ? PB_LOOPS_MAX - 8 : (unsigned)n;
}

static int make_loops(struct pb_engine *e)
{
	struct pb_loops_args la = {
		.calls = e->args.calls ? e->args.calls : e->set.calls ? (unsigned)e->set.calls : cores(),
		.scripts = e->args.scripts ? e->args.scripts : (unsigned)e->set.scripts,
		.world = e->world,
		.name = "patchbay",
	};
	struct pb_str track = pb_engine_main(e, PB_STR("general"), PB_STR("trackparam"));
	struct pb_bus_args ba = {
		.hold_ms = (unsigned)e->set.hold_ms,
		.message_ms = (unsigned)e->set.message_ms,
		.parked_max = (unsigned)e->set.parked,
	};
	int err = pb_loops_new(&la, &e->loops);

	if (err)
		return err;
	if (!track.n || (pb_str_is_bool(track) && pb_str_to_bool(track, false)))
		ba.track_param = "handlers";
	else if (!pb_str_is_bool(track))
		ba.track_param = track.p;
	ba.loops = e->loops;
	err = pb_bus_new(&ba, &e->bus);
	return err ? err : pb_pool_new(2, e->world, &e->pool);
}

static bool is_required(struct pb_engine *e, const struct pb_module *d)
{
	for (size_t i = 0; i < pb_cfg_members(e->cfg, "modules"); i++) {
		bool required = d->required;

		if (!pb_str_eq(pb_cfg_member_name(e->cfg, "modules", i), pb_str_z(d->name)))
			continue;
		return !pb_cfg_read_member(e->cfg, "modules", i, pbi_cfg_rows, &required, e->arena, NULL) &&
		       required;
	}
	return d->required;
}

static int read_modules(struct pb_engine *e, struct pb_findings *f)
{
	int bad = 0;

	for (unsigned i = 0; i < e->module_count; i++) {
		struct pbi_module *m = e->modules[i];
		int err = pbi_module_read(m, f, &m->settings);

		m->required = is_required(e, m->d);
		if (err == -ENOMEM)
			return err;
		if (err)
			bad = -EINVAL;
	}
	return bad;
}

int pb_engine_new(const struct pb_engine_args *args, struct pb_findings *f, struct pb_engine **out)
{
	struct pb_engine *e = pb_alloc_zero(1, sizeof(*e));
	int err = -ENOMEM;

	*out = NULL;
	if (!e)
		return err;
	e->args = *args;
	if (!e->args.name)
		e->args.name = "yate";
	e->world = args->world ? args->world : pb_world_real();
	e->control_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&e->control_lock, NULL);
	e->arena = pb_arena_new(16u << 20);
	e->params = pb_alloc_zero(PARAMS_MAX, sizeof(*e->params));
	if (!e->arena || !e->params)
		goto fail;
	pb_log_register(&pbi_engine_log);
	early_params(e);
	err = read_main(e, f);
	if (!err)
		err = make_loops(e);
	if (err)
		goto fail;
	e->started_us = real_wall_us(e);
	late_params(e);
	err = pbi_modules_load(e, f);
	if (!err)
		err = read_modules(e, f);
	if (err)
		goto fail;
	*out = e;
	return 0;

fail:
	pb_engine_free(&e);
	return err;
}

void pb_engine_free(struct pb_engine **ep)
{
	struct pb_engine *e = *ep;

	if (!e)
		return;
	*ep = NULL;
	pb_pool_free(&e->pool);
	pb_loops_free(&e->loops);
	pb_bus_free(&e->bus);
	for (unsigned i = 0; i < e->module_count; i++)
		pbi_module_free(&e->modules[i]);
	pb_conf_free(&e->main);
	pb_cfg_free(&e->cfg);
	pb_free(e->params);
	pb_arena_free(&e->arena);
	if (e->control_fd >= 0)
		close(e->control_fd);
	pthread_mutex_destroy(&e->control_lock);
	pb_free(e);
}

/* ---- Messages of the engine ----------------------------------------------------------- */

static struct pb_msg *engine_msg(struct pb_engine *e, const char *name)
{
	struct pb_msg *m = pb_msg_new(pb_str_z(name));

	if (!m)
		return NULL;
	pb_msg_set_broadcast(m, true);
	pb_msg_set(m, PB_STR("nodename"), pb_engine_run_param(e, PB_STR("nodename")));
	return m;
}

static void each_second(void *arg)
{
	struct pb_engine *e = arg;
	struct pb_loop *l = pb_loop_current();
	struct pb_msg *m = pb_msg_new(PB_STR("engine.timer"));

	pb_timer_start(l, &e->tick, 1000 - pb_loop_wall_us(l) / 1000 % 1000);
	if (!m)
		return;
	pb_msg_set_broadcast(m, true);
	pb_msg_set_int(m, PB_STR("time"), (int64_t)(pb_loop_wall_us(l) / 1000000));
	pb_msg_set(m, PB_STR("nodename"), pb_engine_run_param(e, PB_STR("nodename")));
	pb_bus_enqueue(e->bus, m);
}

/* Dispatch from the control thread, and wait: start, stop and reload only. Two
 * look at it, and the later one frees it: a handler may hold the message for
 * longer than we wait. */
struct ask {
	struct pb_engine *e;
	struct pb_msg *m;
	bool handled;
	atomic_bool done;
	atomic_uint refs;
};

static void ask_unref(struct ask *a)
{
	if (atomic_fetch_sub(&a->refs, 1) == 1)
		pb_free(a);
}

static void asked(struct pb_msg *m, bool handled, void *arg)
{
	struct ask *a = arg;

	pb_msg_free(&m);
	a->handled = handled;
	atomic_store(&a->done, true);
	ask_unref(a);
}

static void ask_on_loop(void *arg)
{
	struct ask *a = arg;

	pb_bus_dispatch(a->e->bus, a->m, NULL, asked, a);
}

static void nothing(void *arg)
{
	(void)arg;
}

/* Let the loops go on for a moment. */
static void give_time(struct pb_engine *e)
{
	pb_loop_call(pb_loops_at(e->loops, 0), nothing, NULL);
	if (e->world == pb_world_real())
		usleep(1000);
	else
		pb_loops_turn(e->loops);
}

static bool ask_and_wait(struct pb_engine *e, const char *name, struct pb_str plugin)
{
	/* A handler may hold it; nothing of the control thread's is needed by
	 * the loops, so waiting here is waiting for their turns. In a simulated
	 * world time stands still meanwhile, so that a hold is not waited for. */
	unsigned most = e->world == pb_world_real() ? 100000 : 1000;
	struct ask *a = pb_alloc_zero(1, sizeof(*a));
	struct pb_msg *m = engine_msg(e, name);
	bool handled;

	if (!a || !m) {
		pb_free(a);
		pb_msg_free(&m);
		return false;
	}
	if (plugin.n)
		pb_msg_set(m, PB_STR("plugin"), plugin);
	a->e = e;
	a->m = m;
	atomic_init(&a->refs, 2);
	pb_loops_turn(e->loops); /* the handlers that were added are known */
	pb_loop_call(pb_loops_at(e->loops, 0), ask_on_loop, a);
	for (unsigned i = 0; !atomic_load(&a->done) && i < most; i++)
		give_time(e);
	handled = atomic_load(&a->done) && a->handled;
	ask_unref(a);
	return handled;
}

static void start_tick(void *arg)
{
	struct pb_engine *e = arg;

	pb_timer_init(&e->tick, each_second, e);
	pb_timer_start(pb_loop_current(), &e->tick, 1000);
}

static void stop_tick(void *arg)
{
	pb_timer_stop(&((struct pb_engine *)arg)->tick);
}

/* ---- Starting, stopping --------------------------------------------------------------------- */

/* A module that fails is left out; the answer is an error only when it is
 * required. */
static int left_out(struct pbi_module *m, int err)
{
	pb_log(&pbi_engine_log, &pbi_engine_rows[PBI_ENG_START_FAILED], "module %s did not start: %s", m->d->name,
	       strerror(-err));
	pbi_module_stop(m);
	return m->required ? err : 0;
}

/* Every loop has taken over what this thread has posted so far. */
static void flush_loops(struct pb_engine *e)
{
	for (unsigned i = 0; i < pb_loops_count(e->loops); i++)
		pb_loop_call(pb_loops_at(e->loops, i), nothing, NULL);
	pb_loops_turn(e->loops); /* where they have no threads */
}

/* Ports are opened last: the first packet finds every handler on every loop. */
static int open_modules(struct pb_engine *e)
{
	int err = 0;

	flush_loops(e);
	for (unsigned i = 0; i < e->module_count && !err; i++) {
		struct pbi_module *m = e->modules[i];
		int one = m->started ? pbi_module_open(m) : 0;

		if (one)
			err = left_out(m, one);
		else if (m->started)
			pb_log(&pbi_engine_log, &pbi_engine_rows[PBI_ENG_LOADED], "module %s started", m->d->name);
	}
	return err;
}

static int start_modules(struct pb_engine *e)
{
	int err = 0;

	for (unsigned i = 0; i < e->module_count && !err; i++) {
		int one = pbi_module_start(e->modules[i]);

		if (one)
			err = left_out(e->modules[i], one);
	}
	return err ? err : open_modules(e);
}

int pb_engine_start(struct pb_engine *e)
{
	struct pb_dns_setup dns = { .servers = e->set.dns_servers.p, .timeout_ms = (unsigned)e->set.dns_timeout_ms };
	int err = pb_dns_setup(e->loops, &dns);

	if (!err)
		err = pb_loops_start(e->loops);
	if (err)
		return err;
	e->started = true;
	err = start_modules(e);
	if (err) {
		pb_engine_stop(e);
		return err;
	}
	ask_and_wait(e, "engine.init", PB_STR_NULL);
	ask_and_wait(e, "engine.start", PB_STR_NULL);
	pb_loop_call(pb_loops_at(e->loops, 0), start_tick, e);
	pb_log(&pbi_engine_log, &pbi_engine_rows[PBI_ENG_READY],
	       "Patchbay engine is initialized and starting up on %.*s",
	       PB_STR_F(pb_engine_run_param(e, PB_STR("nodename"))));
	return 0;
}

void pb_engine_stop(struct pb_engine *e)
{
	if (!e->started)
		return;
	e->started = false;
	pb_log(&pbi_engine_log, &pbi_engine_rows[PBI_ENG_STOPPING], "stopping");
	for (unsigned i = 0; i < 5 && ask_and_wait(e, "engine.stop", PB_STR_NULL); i++) {
		if (e->world == pb_world_real())
			usleep(200000);
	}
	ask_and_wait(e, "engine.halt", PB_STR_NULL);
	pb_loop_call(pb_loops_at(e->loops, 0), stop_tick, e);
	pb_world_run(e->world, 10, NULL, NULL);
	for (unsigned i = e->module_count; i-- > 0;)
		pbi_module_stop(e->modules[i]);
	/* Each loop gets turns to let go of what the stops posted. */
	pb_world_run(e->world, 10, NULL, NULL);
	for (unsigned turn = 0; turn < 4; turn++) {
		for (unsigned i = 0; i < pb_loops_count(e->loops); i++)
			pb_loop_call(pb_loops_at(e->loops, i), nothing, NULL);
		pb_loops_turn(e->loops);
	}
	pb_loops_stop(e->loops);
	pb_loops_free(&e->loops);
	pb_bus_free(&e->bus);
}

/* ---- Reload ------------------------------------------------------------------------------------ */

struct swap {
	struct pbi_module *m;
	struct pbi_settings *old, *fresh;
};

static void swap_on_loop(void *arg)
{
	struct swap *s = arg;
	struct pb_ctx *cx = &s->m->ctx[pb_loop_index(pb_loop_current())];

	cx->settings = s->fresh->data;
	if (s->m->d->loop_reload)
		s->m->d->loop_reload(cx, s->old->data);
}

static void reload_home(void *arg)
{
	struct swap *s = arg;
	struct pb_ctx *cx = &s->m->ctx[pb_loop_index(pb_loop_current())];

	if (s->m->d->reload && s->m->d->reload(cx, s->old->data) == PB_RELOAD_RESTART)
		pb_log(&pbi_engine_log, &pbi_engine_rows[PBI_ENG_RESTART],
		       "module %s: part of the new configuration needs a restart", s->m->d->name);
}

static void swap_settings(struct pbi_module *m, struct pbi_settings *fresh)
{
	struct swap s = { m, m->settings, fresh };

	m->settings = fresh;
	for (unsigned i = 0; i < pb_loops_count(m->e->loops); i++)
		pb_loop_call(pb_loops_at(m->e->loops, i), swap_on_loop, &s);
	pb_loop_call(m->home, reload_home, &s);
	pbi_settings_put(s.old);
}

/* In the log, because a terminal may not be there any more. */
static void log_findings(const struct pb_findings *f)
{
	struct pb_text t;
	struct pb_str all, line;

	pb_text_init(&t, 16u << 20);
	pb_findings_print(f, &t);
	all = pb_text_str(&t);
	while (pb_str_cut(&all, '\n', &line)) {
		if (line.n)
			pb_log(&pbi_engine_log, &pbi_engine_rows[PBI_ENG_CONF], "%.*s", PB_STR_F(line));
	}
	pb_text_fini(&t);
}

static bool is_meant(const struct pbi_module *m, struct pb_str name)
{
	return m->started && (!name.n || pb_str_eq(name, pb_str_z(m->d->name)));
}

int pb_engine_reload_now(struct pb_engine *e, struct pb_str name, struct pb_findings *f)
{
	struct pbi_settings *fresh[PBI_MODULES_MAX] = { NULL };
	bool all = !name.n || pb_str_eq(name, PB_STR("*")) || pb_str_eq(name, PB_STR("all"));
	unsigned meant = 0;
	int err = 0;

	if (all)
		name = PB_STR("");
	for (unsigned i = 0; i < e->module_count; i++) {
		if (!is_meant(e->modules[i], name))
			continue;
		meant++;
		int one = pbi_module_read(e->modules[i], f, &fresh[i]);

		err = err ? err : one;
	}
	if (f)
		log_findings(f);
	/* What a start would live with, a reload does not: the old rules work. */
	if (!err && f && pb_findings_count(f, PB_SEV_ERROR))
		err = -EINVAL;
	for (unsigned i = 0; i < e->module_count; i++) {
		if (fresh[i] && err)
			pbi_settings_put(fresh[i]);
		else if (fresh[i])
			swap_settings(e->modules[i], fresh[i]);
	}
	if (err) {
		pb_log(&pbi_engine_log, &pbi_engine_rows[PBI_ENG_RELOAD_REFUSED],
		       "reload refused, the old configuration stays");
		return err;
	}
	ask_and_wait(e, "engine.init", name);
	pb_log(&pbi_engine_log, &pbi_engine_rows[PBI_ENG_RELOADED], "configuration reloaded%s%.*s", name.n ? ": " : "",
	       PB_STR_F(name));
	return meant ? 0 : -ENOENT;
}

/* ---- Requests to the control thread ----------------------------------------------------------- */

static void request(struct pb_engine *e, const struct pb_control *c)
{
	pthread_mutex_lock(&e->control_lock);
	if (e->pending_count < sizeof(e->pending) / sizeof(e->pending[0]))
		e->pending[e->pending_count++] = *c;
	pthread_mutex_unlock(&e->control_lock);
	if (eventfd_write(e->control_fd, 1))
		return; /* the counter is full: it is readable anyway */
}

void pb_engine_reload(struct pb_engine *e, struct pb_str module)
{
	struct pb_control c = { .request = PB_REQUEST_RELOAD };

	if (module.n >= sizeof(c.module))
		return;
	if (module.n)
		memcpy(c.module, module.p, module.n);
	request(e, &c);
}

void pb_engine_halt(struct pb_engine *e, int code)
{
	request(e, &(struct pb_control){ .request = PB_REQUEST_HALT, .code = code });
}

int pb_engine_control_fd(const struct pb_engine *e)
{
	return e->control_fd;
}

struct pb_control pb_engine_next_request(struct pb_engine *e)
{
	struct pb_control c = { .request = PB_REQUEST_NONE };
	eventfd_t n;

	pthread_mutex_lock(&e->control_lock);
	if (e->pending_count) {
		c = e->pending[0];
		e->pending_count--;
		memmove(e->pending, e->pending + 1, e->pending_count * sizeof(c));
	}
	if (!e->pending_count && eventfd_read(e->control_fd, &n))
		n = 0; /* nothing was written */
	pthread_mutex_unlock(&e->control_lock);
	return c;
}

struct pb_bus *pb_engine_bus(struct pb_engine *e)
{
	return e->bus;
}

struct pb_loops *pb_engine_loops(struct pb_engine *e)
{
	return e->loops;
}

unsigned pb_engine_module_count(const struct pb_engine *e)
{
	return e->module_count;
}

struct pb_str pb_engine_log_file(const struct pb_engine *e)
{
	return e->set.log_file;
}

int pb_engine_log_level(const struct pb_engine *e)
{
	return (int)e->set.log_level;
}

char pb_engine_log_stamp(const struct pb_engine *e)
{
	return e->set.log_stamp.n ? e->set.log_stamp.p[0] : 'Z';
}
