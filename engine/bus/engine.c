/*
 * The engine as a whole: its files read, its loops, bus and modules made, and
 * all of it freed. What happens in between is in life.c and reload.c.
 */
#include "bus/engine_impl.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bus/cfg.h"
#include "bus/configlog.h"

const struct pb_log_row pbi_engine_rows[] = {
	[PBI_ENG_LOADED] = { "engine-001", PB_INFO, "A module was loaded and started." },
	[PBI_ENG_NOT_LOADED] = { "engine-002", PB_WARN, "A module library cannot be used; the text says why." },
	[PBI_ENG_START_FAILED] = { "engine-003", PB_CRIT, "A module did not start; the engine goes on without it "
							   "unless it is required." },
	[PBI_ENG_RELOADED] = { "engine-004", PB_NOTE, "New configuration is in force." },
	[PBI_ENG_RELOAD_REFUSED] = { "engine-005", PB_WARN, "New configuration has errors: the old one stays." },
	[PBI_ENG_READY] = { "engine-006", PB_NOTE, "Everything is started: modules, loops, how long it took." },
	[PBI_ENG_STOPPING] = { "engine-007", PB_NOTE, "The engine is stopping: no new calls, those in progress are "
						      "ended." },
	[PBI_ENG_CONF] = { "engine-008", PB_CONF, "A finding about the configuration: file, line, column, text." },
	[PBI_ENG_RESTART] = { "engine-009", PB_NOTE, "New configuration that takes effect at the next start." },
	[PBI_ENG_STUCK] = { "engine-020", PB_CRIT, "A loop does not come back from a handler: its calls stand still. "
						   "The handler's module is at fault, or what it waits for." },
	[PBI_ENG_FREED] = { "engine-021", PB_NOTE, "A loop that was stuck turns again." },
	[PBI_ENG_GIVEN_UP] = { "engine-022", PB_FAIL, "A loop was stuck for so long that the engine ends, for its "
						      "supervisor to start it anew; where it is stuck follows." },
	[PBI_ENG_CLOCK] = { "engine-023", PB_CRIT, "The wall clock has jumped: look at what sets it. Records have "
						   "wrong times." },
	[PBI_ENG_UNSUPERVISED] = { "engine-024", PB_WARN, "Nobody would start the engine again: run it with -s, or "
							  "leave the restart to who started it." },
	[PBI_ENG_CRASH] = { "engine-025", PB_FAIL, "The engine dies: signal, message and handler, then a backtrace; "
						   "addr2line -e FILE OFFSET tells the line. Report it." },
	[PBI_ENG_COMMAND] = { "engine-026", PB_WARN, "A command of the command line is known to no module." },
	[PBI_ENG_BUSY] = { "engine-028", PB_NOTE, "A restart waits until calls have ended; it is asked again every 10 "
						  "s." },
	[PBI_ENG_ORPHAN] = { "engine-029", PB_WARN, "The supervisor has gone: the engine goes on, but nobody would "
						    "start it again." },
	[PBI_ENG_IGNORED] = { "engine-030", PB_CALL, "Options of the command line that mean nothing here." },
	[PBI_ENG_SIGNAL] = { "engine-031", PB_NOTE, "A signal was heard, and what is done about it." },
	{ NULL },
};

PB_LOG_SOURCE(pbi_engine_log, "engine", pbi_engine_rows);

static const char *const log_formats[] = { "text", "json", NULL };

const struct pb_opt pbi_cfg_rows[] = {
	{ PB_OPT_INT, "calls", offsetof(struct pbi_cfg, calls), .def = 0, .lo = 0, .hi = 48, .flags = PB_OPT_ONCE, .section = "loops",
	  .doc = "Loops that own calls, a thread each; 0: one a core." },
	{ PB_OPT_INT, "scripts", offsetof(struct pbi_cfg, scripts), .def = 1, .lo = 1, .hi = 15, .flags = PB_OPT_ONCE, .section = "loops",
	  .doc = "Loops on which scripts run; they own no calls." },
	{ PB_OPT_INT, "hold", offsetof(struct pbi_cfg, hold_ms), .def = 10000, .lo = 1, .hi = 3600000, .unit = "ms",
	  .flags = PB_OPT_ONCE, .section = "limits", .doc = "How long one handler may hold a message." },
	{ PB_OPT_INT, "message", offsetof(struct pbi_cfg, message_ms), .def = 60000, .lo = 1, .hi = 3600000,
	  .unit = "ms", .flags = PB_OPT_ONCE, .section = "limits", .doc = "How long a message may be held in all." },
	{ PB_OPT_INT, "parked", offsetof(struct pbi_cfg, parked), .def = 10000, .lo = 1, .hi = 1000000,
	  .flags = PB_OPT_ONCE, .section = "limits", .doc = "Messages that one handler may hold at once on a loop." },
	{ PB_OPT_INT, "queued", offsetof(struct pbi_cfg, queued), .def = 100000, .lo = 100, .hi = 10000000,
	  .flags = PB_OPT_ONCE, .section = "limits", .doc = "Messages that may wait in the queue of a loop; what comes beyond is dropped." },
	{ PB_OPT_INT, "breaker_misses", offsetof(struct pbi_cfg, breaker_misses), .def = 5, .lo = 1, .hi = 64,
	  .flags = PB_OPT_ONCE, .section = "limits", .doc = "A handler that misses the limit of its holds so often, and in half of its calls, is passed by for a while." },
	{ PB_OPT_INT, "breaker_window", offsetof(struct pbi_cfg, breaker_window_ms), .def = 60000, .lo = 1,
	  .hi = 3600000, .unit = "ms", .flags = PB_OPT_ONCE, .section = "limits", .doc = "Within which time these misses count." },
	{ PB_OPT_INT, "breaker_pause", offsetof(struct pbi_cfg, breaker_pause_ms), .def = 30000, .lo = 1,
	  .hi = 3600000, .unit = "ms", .flags = PB_OPT_ONCE, .section = "limits",
	  .doc = "How long such a handler is passed by before one message tries it again." },
	{ PB_OPT_STR, "servers", offsetof(struct pbi_cfg, dns_servers), .defs = "", .flags = PB_OPT_ONCE, .section = "dns",
	  .doc = "Name servers as \"192.0.2.1, [2001:db8::1]:5353\"; empty: those of /etc/resolv.conf, read at start." },
	{ PB_OPT_INT, "timeout", offsetof(struct pbi_cfg, dns_timeout_ms), .def = 5000, .lo = 100, .hi = 30000,
	  .unit = "ms", .flags = PB_OPT_ONCE, .section = "dns", .doc = "How long a name may take to resolve." },
	{ PB_OPT_STR, "socket", offsetof(struct pbi_cfg, console_socket), .defs = "", .flags = PB_OPT_ONCE, .section = "console",
	  .doc = "Unix socket of the console; empty: none." },
	{ PB_OPT_STR, "file", offsetof(struct pbi_cfg, log_file), .defs = "", .flags = PB_OPT_ONCE, .section = "log",
	  .doc = "Log file; empty: standard error." },
	{ PB_OPT_INT, "level", offsetof(struct pbi_cfg, log_level), .def = 7, .lo = 3, .hi = 10, .section = "log",
	  .doc = "Lines up to this level are written." },
	{ PB_OPT_STR, "stamp", offsetof(struct pbi_cfg, log_stamp), .defs = "Z", .flags = PB_OPT_ONCE, .section = "log",
	  .doc = "Time stamps: n none, t since start, e epoch, f/z compact, F/Z separated (GMT/local)." },
	{ PB_OPT_WORD, "format", offsetof(struct pbi_cfg, log_format), .words = log_formats,
	  .flags = PB_OPT_ONCE, .section = "log",
	  .doc = "text, or json: one object a line with time, level, facility, id, text and pid." },
	{ PB_OPT_INT, "rotate_size", offsetof(struct pbi_cfg, log_rotate_bytes), .def = 100 << 20, .lo = 0,
	  .hi = INT64_MAX, .unit = "bytes", .flags = PB_OPT_ONCE, .section = "log",
	  .doc = "From this size on the log file becomes FILE.1 and is begun anew; 0: never." },
	{ PB_OPT_INT, "keep", offsetof(struct pbi_cfg, log_keep), .def = 5, .lo = 0, .hi = 1000,
	  .flags = PB_OPT_ONCE, .section = "log",
	  .doc = "How many such files stay." },
	{ PB_OPT_INT, "warn", offsetof(struct pbi_cfg, watchdog_warn_ms), .def = 2000, .lo = 50, .hi = 3600000,
	  .unit = "ms", .flags = PB_OPT_ONCE, .section = "watchdog",
	  .doc = "A loop that is so long in one turn is told of, with its handler." },
	{ PB_OPT_INT, "kill", offsetof(struct pbi_cfg, watchdog_kill_ms), .def = 60000, .lo = 0, .hi = 3600000,
	  .unit = "ms", .flags = PB_OPT_ONCE, .section = "watchdog",
	  .doc = "After so long the engine ends with SIGABRT, to be started anew; 0: never." },
	{ PB_OPT_STR, "name", offsetof(struct pbi_cfg, node_name), .defs = "", .section = "node", .flags = PB_OPT_ONCE,
	  .doc = "Name of this node; empty: nodename of yate.conf." },
	{ PB_OPT_BOOL, "required", offsetof(struct pbi_cfg_module, required), .section = "modules.*", .flags = PB_OPT_ONCE,
	  .doc = "The engine does not start without this module." },
	{ PB_OPT_BOOL, "load", offsetof(struct pbi_cfg_module, load), .def = 1, .section = "modules.*", .flags = PB_OPT_ONCE,
	  .doc = "Whether to load this module; wins over [modules] of yate.conf." },
	{ PB_OPT_END },
};

/* ---- Making ------------------------------------------------------------------------ */

static unsigned cores(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > PB_LOOPS_MAX - 8 ? PB_LOOPS_MAX - 8 : (unsigned)n;
}

/* Alarms of the bus are alarms of the engine. */
static void on_bus_alarm(void *arg, struct pb_log_source *src, const struct pb_log_row *row, const char *info,
			 struct pb_str text)
{
	pb_engine_alarm(arg, src, row, "engine", info, "%.*s", PB_STR_F(text));
}

static struct pb_bus_limits bus_limits(const struct pbi_main *m)
{
	return (struct pb_bus_limits){
		.rate = (unsigned)m->maxmsgrate,
		.age_ms = (unsigned)m->maxmsgage,
		.queued = (unsigned)m->maxqueued,
	};
}

static int make_loops(struct pb_engine *e)
{
	struct pb_loops_args la = {
		.calls = e->args.calls ? e->args.calls : e->set.calls ? (unsigned)e->set.calls : cores(),
		.scripts = e->args.scripts ? e->args.scripts : (unsigned)e->set.scripts,
		.world = e->world,
		.name = "patchbay",
	};
	struct pb_str track = e->yate.trackparam;
	struct pb_bus_args ba = {
		.hold_ms = (unsigned)e->set.hold_ms,
		.message_ms = (unsigned)e->set.message_ms,
		.parked_max = (unsigned)e->set.parked,
		.queued_max = (unsigned)e->set.queued,
		.breaker_misses = (unsigned)e->set.breaker_misses,
		.breaker_window_ms = (unsigned)e->set.breaker_window_ms,
		.breaker_pause_ms = (unsigned)e->set.breaker_pause_ms,
		.warn_ms = (unsigned)e->yate.warntime,
		.trace_times = e->yate.trace_msg_time,
		.trace_handler_times = e->yate.trace_msg_handler_time,
		.limits = bus_limits(&e->yate),
		.alarm = on_bus_alarm,
		.alarm_arg = e,
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

static int read_modules(struct pb_engine *e, struct pb_findings *f)
{
	int bad = 0;

	for (unsigned i = 0; i < e->module_count; i++) {
		struct pbi_module *m = e->modules[i];
		int err = pbi_module_read(m, f, &m->settings);

		m->required = pbi_module_required(e, m->d);
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
	pb_log_register(&pbi_engine_log);
	e->control_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&e->control_lock, NULL);
	e->arena = pb_arena_new(16u << 20);
	e->params = pb_alloc_zero(PBI_PARAMS_MAX, sizeof(*e->params));
	if (!e->arena || !e->params)
		goto fail;
	pb_log_register(&pbi_engine_log);
	pb_log_register(&pbi_config_log);
	err = pbi_base_first(e, f);
	if (!err)
		err = make_loops(e);
	if (err)
		goto fail;
	e->started_us = pb_loop_wall_us(pb_loops_at(e->loops, 0));
	pbi_params_fill(e, f);
	err = pbi_base_again(e, f);
	if (!err)
		err = pbi_modules_load(e, f);
	if (!err)
		err = read_modules(e, f);
	if (err && !(err == -EINVAL && args->only_check))
		goto fail;
	*out = e;
	return err;

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
	pbi_control_fini(e);
	pb_pool_free(&e->pool);
	pb_loops_free(&e->loops);
	pb_bus_free(&e->bus);
	for (unsigned i = 0; i < e->module_count; i++)
		pbi_module_free(&e->modules[i]);
	pbi_base_end(e);
	pb_free(e->params);
	pb_arena_free(&e->late_params);
	pb_arena_free(&e->arena);
	if (e->control_fd >= 0)
		close(e->control_fd);
	pthread_mutex_destroy(&e->control_lock);
	pb_free(e);
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

bool pb_engine_log_apply(const struct pb_engine *e)
{
	bool json = e->set.log_format == 1;

	pb_log_set_json(json);
	pb_log_set_rotation((uint64_t)e->set.log_rotate_bytes, (unsigned)e->set.log_keep);
	return json;
}
