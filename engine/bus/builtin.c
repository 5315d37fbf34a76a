/*
 * The built-in module "engine": its status line and the commands that belong
 * to no other module. Those with a file of their own are named in builtin.h.
 */
#include "bus/builtin.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/text.h"
#include "bus/bus_impl.h"
#include "bus/cmd_config.h"
#include "bus/cmd_describe.h"

/* ---- Status --------------------------------------------------------------------------- */

static bool count_one(void *arg, const struct pb_handler_row *r)
{
	(void)r;
	++*(unsigned *)arg;
	return true;
}

static unsigned started_modules(const struct pb_engine *e)
{
	unsigned n = 0;

	for (unsigned i = 0; i < e->module_count; i++)
		n += atomic_load(&e->modules[i]->started);
	return n;
}

static void status_load(struct pb_status *s, struct pb_engine *e, const struct pb_bus_counts *c)
{
	pb_status_count(s, "messages", (int64_t)(c->queued + c->parked));
	pb_status_count(s, "maxqueue", (int64_t)c->queued_max);
	pb_status_count(s, "messageage", (int64_t)(c->age_us / 1000));
	pb_status_count(s, "messagerate", (int64_t)c->rate);
	pb_status_count(s, "maxmsgrate", (int64_t)c->rate_max);
	pb_status_count(s, "enqueued", (int64_t)c->enqueued);
	pb_status_count(s, "dequeued", (int64_t)c->dequeued);
	pb_status_count(s, "dispatched", (int64_t)c->dispatched);
	pb_status_text(s, "supervised", e->args.supervised ? PB_STR("true") : PB_STR("false"));
	pb_status_count(s, "runattempt", e->args.run_attempt);
	pb_status_count(s, "lastsignal", e->args.last_signal);
}

/** As the kernel counts them: a folder of /proc/self/task each, and its two own links. */
static int64_t count_threads(void)
{
	struct stat st;

	return stat("/proc/self/task", &st) ? 0 : (int64_t)st.st_nlink - 2;
}

/** There are no workers but loops, and what is locked is locked for an instant: nobody waits. */
static void status_threads(struct pb_status *s, struct pb_engine *e)
{
	pb_status_count(s, "threads", count_threads());
	pb_status_count(s, "workers", pb_loops_calls(e->loops));
	pb_status_count(s, "mutexes", 0);
	pb_status_count(s, "semaphores", 0);
	pb_status_text(s, "acceptcalls", pb_str_z(pb_accept_words[pb_engine_accept(e)]));
	pb_status_count(s, "congestion", pb_bus_congestion(e->bus));
}

/** What Yate's line does not have stands behind it. */
static void status_ours(struct pb_status *s, struct pb_engine *e, const struct pb_bus_counts *c)
{
	pb_status_count(s, "handled", (int64_t)c->handled);
	pb_status_count(s, "parked", (int64_t)c->parked);
	pb_status_count(s, "held", (int64_t)c->held);
	pb_status_count(s, "expired", (int64_t)c->expired);
	pb_status_count(s, "stale", (int64_t)c->stale);
	pb_status_count(s, "full", (int64_t)c->full);
	pb_status_count(s, "passedby", (int64_t)c->passed_by);
	pb_status_count(s, "dropped", (int64_t)c->dropped);
	pb_status_count(s, "loops", pb_loops_count(e->loops));
}

static void status(struct pb_ctx *cx, struct pb_status *s)
{
	struct pb_engine *e = cx->module->e;
	unsigned handlers = 0;
	struct pb_bus_counts c;

	if (pb_status_selector(s).n || pb_loop_index(cx->loop))
		return;
	pb_bus_count(e->bus, &c);
	pb_bus_handlers(e->bus, count_one, &handlers);
	pb_status_head(s, "version", PB_STR(PACKAGE_VERSION));
	pb_status_head(s, "revision", PB_STR("0"));
	pb_status_head(s, "githash", PB_STR(""));
	pb_status_head(s, "nodename", pb_engine_run_param(e, PB_STR("nodename")));
	pbi_application_head(e, s);
	pb_status_count(s, "plugins", e->module_count);
	pb_status_count(s, "inuse", started_modules(e));
	pb_status_count(s, "handlers", handlers);
	pb_status_count(s, "hooks", pbi_on(e->bus, cx->loop)->table->table->hook_count);
	status_load(s, e, &c);
	status_threads(s, e);
	status_ours(s, e, &c);
	for (unsigned i = 0; i < e->param_count; i++) {
		if (pb_str_find(e->params[i].name, PB_STR("path")) >= 0)
			pb_status_item(s, e->params[i].name, "%.*s", PB_STR_F(e->params[i].value));
	}
}

/* ---- Small commands ---------------------------------------------------------------------- */

static enum pb_verdict on_version(struct pb_msg *m, struct pb_ctx *cx)
{
	struct pb_text t;

	pb_text_init(&t, PB_MSG_LIMIT_BYTES);
	pb_text_lit(&t, "version:  " PACKAGE_VERSION "\r\nrelease:  \r\nrevision: 0\r\ngithash:  \r\n");
	pbi_application_version(cx->module->e, &t);
	return pbi_answer(m, &t);
}

static enum pb_verdict on_runparam(struct pb_msg *m, struct pb_ctx *cx)
{
	struct pb_str value = pbi_command_args(m, "runparam"), name;
	struct pb_text t;

	if (pb_str_chr(value, '=') <= 0)
		return PB_PASS;
	pb_str_cut(&value, '=', &name);
	name = pb_str_trim(name);
	pb_text_init(&t, PB_MSG_LIMIT_BYTES);
	switch (pb_engine_add_run_param(cx->module->e, name, value)) {
	case 0:
		break;
	case -EEXIST:
		pb_text_addf(&t, "Not overwriting runtime parameter '%.*s'\r\n", PB_STR_F(name));
		break;
	default:
		pb_text_lit(&t, "Too many runtime parameters\r\n");
	}
	return pbi_answer(m, &t);
}

/** `status` is the console's own word; this row is for help. */
static enum pb_verdict on_status_word(struct pb_msg *m, struct pb_ctx *cx)
{
	(void)m;
	(void)cx;
	return PB_PASS;
}

static enum pb_verdict on_debug(struct pb_msg *m, struct pb_ctx *cx)
{
	struct pb_log_source *src = pb_log_find(pb_msg_get(m, PB_STR("module")));
	struct pb_text t;

	(void)cx;
	if (!src)
		return PB_PASS;
	pb_text_init(&t, 4096);
	pb_log_control(src, pb_msg_get(m, PB_STR("line")), &t);
	return pbi_answer(m, &t);
}

/* ---- Life --------------------------------------------------------------------------------- */

static bool is_dispatcher(void *arg, struct pb_str sel)
{
	(void)arg;
	return pb_str_skip_word(&sel, PB_STR("dispatcher"));
}

static bool is_objects(void *arg, struct pb_str sel)
{
	(void)arg;
	return pb_str_skip_word(&sel, PB_STR("objects"));
}

static int start(struct pb_ctx *cx)
{
	static const struct pb_handler dispatcher = { .message = "engine.status", .priority = 90,
						      .place = PB_HERE, .fn = pbi_on_dispatcher_status };
	static const struct pb_handler objects = { .message = "engine.status", .priority = 90, .place = PB_EACH,
						   .fn = pbi_on_objects, .merge = pbi_merge_objects };
	struct pbi_builtin *b = cx->shared;
	int err;

	pbi_events_init(&b->events, pb_engine_of(cx));
	err = pb_engine_add_filtered(cx, &dispatcher, "module", is_dispatcher, NULL);
	return err ? err : pb_engine_add_filtered(cx, &objects, "module", is_objects, NULL);
}

static void stop(struct pb_ctx *cx)
{
	pbi_events_fini(&((struct pbi_builtin *)cx->shared)->events);
}

/* ---- The tables --------------------------------------------------------------------------- */

static const struct pb_command commands[] = {
	{ "module", "module {{load|reload} modulefile|unload modulename|list}",
	  "The modules that are loaded; start or stop one of those marked *.", PB_HERE, pbi_on_module },
	{ "events", "events [clear] [type] [--json]", "What modules and alarms told; log, or nothing: the log of the start.",
	  PB_HOME, pbi_on_events },
	{ "logview", "logview [--json]", "The log of the start.", PB_HOME, pbi_on_logview },
	{ "dispatcher", "dispatcher {handlers|trace_msg_time|trace_msg_handler_time} [--json]",
	  "Handlers, by name=NAME or trackname=NAME (^: a regular expression); times kept in messages.", PB_HERE,
	  pbi_on_dispatcher },
	{ "status dispatcher", "status dispatcher ...", "Handlers as a line of status: handlers NAME, handlers-trackname NAME.",
	  PB_HERE, on_status_word },
	{ "top", "top [--json]", "Loops and handlers by the time they take.", PB_HOME, pbi_on_top },
	{ "runparam", "runparam name=value", "Set a run parameter that is not there yet.", PB_HOME, on_runparam },
	{ "version", "version", "Version of the engine.", PB_HERE, on_version },
	{ "config dump", "config dump [--effective] [--json] [file|module]",
	  "Values of the configuration and where they come from; --effective: those in force, with defaults.", PB_HOME,
	  pbi_on_config },
	{ "control", "", "Change or ask something of a channel.", PB_HERE, pbi_on_control },
	{ "parked", "parked [--json]", "Messages that handlers hold: who, since when.", PB_EACH, pbi_on_parked,
	  pbi_merge_parked },
	{ "who-waits", "who-waits [--json]", "Messages that handlers hold: which, for whom, how long yet.", PB_EACH,
	  pbi_on_who_waits, pbi_merge_who_waits },
	{ "describe", "describe [message|parameter|module|option|command|counter|log] [NAME] [--json]",
	  "What a name means: of the bus, of files, of counters and of the log.", PB_HERE, pbi_on_describe },
	{ "lint", "lint", "What does not fit together on the bus: handlers, messages, parameters.", PB_HERE, pbi_on_lint },
	{ NULL },
};

static const struct pb_handler handlers[] = {
	{ .message = "engine.debug", .priority = 120, .place = PB_HERE, .fn = on_debug },
	{ .message = "engine.init", .priority = 100, .place = PB_HOME, .fn = pbi_on_init },
	{ .message = "engine.timer", .priority = 10, .place = PB_HOME, .fn = pbi_on_second, .untracked = true },
	{ .message = "module.update", .priority = 1, .place = PB_HERE, .fn = pbi_on_update },
	{ NULL },
};

const struct pb_module pbi_engine_module = {
	.abi = PB_MODULE_ABI,
	.name = "engine",
	.doc = "The engine itself.",
	.status_type = "system",
	.shared_size = sizeof(struct pbi_builtin),
	.handlers = handlers,
	.commands = commands,
	.start = start,
	.stop = stop,
	.status = status,
	.counters = pbi_engine_counters,
	.sends = pbi_engine_sends,
};
