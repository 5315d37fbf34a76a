/*
 * External scripts: the module's options, its start and stop, its command.
 *
 * Everything lives on the home loop. Programs and listeners are started once,
 * at the beginning; a reload changes what scripts that begin later get.
 */
#include <errno.h>

#include "extmodule/command.h"
#include "extmodule/execute.h"
#include "extmodule/listeners.h"
#include "extmodule/script.h"

/* Shared state; touched on the home loop alone. */
struct shared {
	struct ext_host host;
	struct ext_listeners *listeners;
	struct pb_reg *execute;
};

/* ---- Options ----------------------------------------------------------------------- */

#define AT(field)        offsetof(struct ext_settings, field)
#define LISTEN_AT(field) offsetof(struct ext_listen, field)

static const struct pb_opt options[] = {
	{ PB_OPT_STR, "scripts_dir", AT(scripts_dir), .defs = "${sharedpath}/scripts",
	  .flags = PB_OPT_ONCE,
	  .doc = "Where scripts and programs named without a path are; run parameters are filled in." },
	{ PB_OPT_INT, "priority", AT(priority), .def = 100, .lo = 0, .hi = UINT32_MAX,
	  .flags = PB_OPT_ONCE, .doc = "Priority of the handler of call.execute." },
	{ PB_OPT_INT, "timeout", AT(timeout_ms), .def = 10000, .unit = "ms",
	  .doc = "How long a message waits for a script's answer; 0 or less: as long as the bus lets it." },
	{ PB_OPT_BOOL, "timebomb", AT(timebomb),
	  .doc = "End a script that did not answer in time." },
	{ PB_OPT_INT, "maxqueue", AT(maxqueue), .def = 1000, .lo = 0, .hi = 10000,
	  .doc = "Messages that may wait for one script's answers; 0: any number." },
	{ PB_OPT_BOOL, "settime", AT(settime),
	  .doc = "Messages made by scripts get the time of their arrival." },
	{ PB_OPT_BOOL, "trackparam", AT(trackparam),
	  .doc = "Name extmodule in the 'handlers' parameter; a script may choose another name." },
	{ PB_OPT_BOOL, "execute_use_filter", AT(use_filter), .def = true, .flags = PB_OPT_ONCE,
	  .doc = "Handle call.execute only for callto=external/..., by a filter." },
	{ PB_OPT_BOOL, "halt_cleanup", .flags = PB_OPT_ACCEPTED,
	  .doc = "Scripts always stop with the engine." },
	{ PB_OPT_INT, "recv_die_waitpid", AT(die_wait_ms), .def = 60, .lo = 0, .hi = 200,
	  .unit = "ms",
	  .doc = "How long a script has to end by itself, once its input is closed, before SIGTERM." },
	{ PB_OPT_INT, "halt_priority", .flags = PB_OPT_ACCEPTED,
	  .doc = "Modules are stopped by the engine." },
	{ PB_OPT_INT, "waitflush", .flags = PB_OPT_ACCEPTED, .doc = "Nothing waits here." },
	{ PB_OPT_INT, "recv_cleanup_waitpid", .flags = PB_OPT_ACCEPTED,
	  .doc = "Nothing waits here." },
	{ PB_OPT_BOOL, "exec_use_printf", .flags = PB_OPT_ACCEPTED,
	  .doc = "Failures are always logged." },
	{ PB_OPT_OTHER, "", .section = "scripts", .flags = PB_OPT_PREFIX,
	  .doc = "FILE=ARG: a script to start, with one argument; a file may repeat." },
	{ PB_OPT_OTHER, "", .section = "execute", .flags = PB_OPT_PREFIX,
	  .doc = "FILE=ARG: a program to start that does not speak the protocol." },
	{ PB_OPT_STR, "type", LISTEN_AT(type_word), .section = "listener *",
	  .doc = "What scripts connect to: tcp or unix." },
	{ PB_OPT_ADDR, "addr", LISTEN_AT(addr), .defs = "127.0.0.1", .section = "listener *",
	  .doc = "Address to listen on, type tcp." },
	{ PB_OPT_INT, "port", LISTEN_AT(port), .lo = 0, .hi = 65535, .section = "listener *",
	  .doc = "Port to listen on, type tcp." },
	{ PB_OPT_STR, "path", LISTEN_AT(path), .section = "listener *",
	  .doc = "Path of the socket, type unix; a file that is there is removed." },
	{ PB_OPT_STR, "role", LISTEN_AT(role_word), .section = "listener *",
	  .doc = "global or channel; unset: the script says so in its first line." },
	{ PB_OPT_END },
};

/* Entries of [scripts] or [execute], in order. */
static int read_programs(const struct pb_conf *c, struct pb_str section, struct pb_arena *a,
			 struct ext_program **out, size_t *count)
{
	const struct pb_conf_section *s = pb_conf_section(c, section);

	*count = s ? s->count : 0;
	*out = pb_arena_alloc(a, (*count + 1) * sizeof(**out));
	if (!*out)
		return -ENOMEM;
	for (size_t i = 0; i < *count; i++) {
		const struct pb_conf_entry *e = &s->entries[i];

		(*out)[i] = (struct ext_program){ pb_arena_str(a, e->key),
						  pb_arena_str(a, e->value), e->key_at };
	}
	return 0;
}

/* The index of `word` in `words`, or -1. */
static int index_of(struct pb_str word, const char *const *words)
{
	for (int i = 0; words[i]; i++) {
		if (pb_str_eq(word, pb_str_z(words[i])))
			return i;
	}
	return -1;
}

/* What is wrong with a listener that rows cannot see; false: it is left out. */
static bool check_listener(struct ext_listen *l, struct pb_findings *f)
{
	static const char *const types[] = { "tcp", "unix", NULL }, *const roles[] = { "", "global",
										       "channel",
										       NULL };
	int role = index_of(l->role_word, roles);

	l->type = index_of(l->type_word, types);
	if (l->type < 0)
		pb_findings_add(f, l->at, PB_SEV_ERROR, "ext-104",
				"[%.*s] type '%.*s' is neither tcp nor unix", PB_STR_F(l->name),
				PB_STR_F(l->type_word));
	else if (role < 0)
		pb_findings_add(f, l->at, PB_SEV_ERROR, "ext-103",
				"[%.*s] role '%.*s' is neither global nor channel",
				PB_STR_F(l->name), PB_STR_F(l->role_word));
	else if (l->type == 0 && !l->port)
		pb_findings_add(f, l->at, PB_SEV_ERROR, "ext-101", "[%.*s] has no port",
				PB_STR_F(l->name));
	else if (l->type == 1 && !l->path.n)
		pb_findings_add(f, l->at, PB_SEV_ERROR, "ext-102", "[%.*s] has no path",
				PB_STR_F(l->name));
	else
		l->role = (enum ext_role)role;
	return l->type >= 0 && role >= 0 && (l->type == 0 ? l->port != 0 : l->path.n != 0);
}

static int read_listeners(const struct pb_conf *c, struct ext_settings *set, struct pb_arena *a,
			  struct pb_findings *f)
{
	size_t n = pb_conf_sections(c);

	set->listeners = pb_arena_alloc(a, (n + 1) * sizeof(*set->listeners));
	if (!set->listeners)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const struct pb_conf_section *s = pb_conf_section_at(c, i);
		struct ext_listen *l = &set->listeners[set->listener_count];
		int err;

		if (!pb_str_starts(s->name, PB_STR("listener ")))
			continue;
		*l = (struct ext_listen){ .name = pb_arena_str(a, s->name), .at = s->at };
		err = pb_opt_read_section(options, "listener *", s, l, a, f);
		if (err == -ENOMEM)
			return err;
		if (!err && check_listener(l, f))
			set->listener_count++;
	}
	return 0;
}

static int read_settings(const struct pb_conf *c, void *settings, struct pb_arena *a,
			 struct pb_findings *f)
{
	struct ext_settings *set = settings;
	int err = read_programs(c, PB_STR("scripts"), a, &set->scripts, &set->script_count);

	if (!err)
		err = read_programs(c, PB_STR("execute"), a, &set->execute, &set->execute_count);
	if (!err)
		err = read_listeners(c, set, a, f);
	return err;
}

/* ---- Life ---------------------------------------------------------------------------- */

static struct pb_str expand(struct ext_host *h, struct pb_str text)
{
	pb_arena_reset(h->decoded);
	return h->engine ? pb_engine_expand(h->engine, text, h->decoded) : text;
}

static void start_programs(struct ext_host *h)
{
	const struct ext_settings *set = h->settings;
	struct ext_script *s;

	for (size_t i = 0; i < set->script_count; i++) {
		struct ext_start start = { set->scripts[i].file, expand(h, set->scripts[i].arg),
					   EXT_ROLE_GLOBAL };

		ext_script_start(h, &start, &s);
	}
	for (size_t i = 0; i < set->execute_count; i++)
		ext_run(h, set->execute[i].file, expand(h, set->execute[i].arg));
}

static int start(struct pb_ctx *cx)
{
	struct shared *sh = cx->shared;
	struct ext_host *h = &sh->host;
	int err;

	h->bus = cx->bus;
	h->loop = cx->loop;
	h->engine = pb_engine_of(cx);
	h->settings = cx->settings;
	err = ext_host_init(h);
	if (!err)
		err = ext_execute_start(h, &sh->execute);
	if (!err)
		err = ext_listeners_open(h, &sh->listeners);
	if (err)
		return err;
	start_programs(h);
	return 0;
}

static enum pb_reload reload(struct pb_ctx *cx, const void *old)
{
	struct shared *sh = cx->shared;

	sh->host.settings = cx->settings;
	return PB_RELOAD_OK;
}

static void stop(struct pb_ctx *cx)
{
	struct shared *sh = cx->shared;

	ext_listeners_close(&sh->listeners);
	pb_bus_remove(cx->bus, &sh->execute, NULL, NULL);
	ext_scripts_end(&sh->host);
}

/* ---- Command and status ------------------------------------------------------------------ */

static enum pb_verdict on_command(struct pb_msg *m, struct pb_ctx *cx)
{
	struct shared *sh = cx->shared;
	struct pb_str line = pb_msg_get(m, PB_STR("line"));
	struct pb_text t;

	if (!pb_str_skip_word(&line, PB_STR("external")))
		return PB_PASS;
	pb_text_init(&t, PB_MSG_LIMIT_BYTES / 2);
	ext_command(&sh->host, line, &t);
	pb_msg_set_retval(m, pb_text_str(&t));
	pb_text_fini(&t);
	return PB_HANDLED;
}

static const struct pb_command commands[] = {
	{ "external",
	  "external [info] [stop scriptname] [[start|restart] scriptname [parameter]] "
	  "[execute progname [parameter]]",
	  "List, start and stop external scripts.", PB_HOME, on_command },
	{ NULL },
};

static void status(struct pb_ctx *cx, struct pb_status *st)
{
	const struct shared *sh = cx->shared;
	int64_t scripts = 0, chans = 0;

	if (cx->loop == pb_engine_home(cx)) {
		pb_list_each(n, &sh->host.scripts) {
			const struct ext_script *s = pb_container(n, struct ext_script, node);

			scripts += !s->dying;
			chans += pb_handle_is_set(s->chan);
		}
	}
	pb_status_count(st, "scripts", scripts);
	pb_status_count(st, "chans", chans);
}

static const struct pb_counter counters[] = {
	{ "scripts", "scripts", "Scripts that run or are connected." },
	{ "chans", "channels", "Channels of programs that have media." },
	{ NULL },
};

static const struct pb_hears hears[] = {
	{ "call.execute", 100, "priority", true },
	{ NULL },
};

static const struct pb_finding_row findings[] = {
	{ "ext-101", "A listener of type tcp has no port." },
	{ "ext-102", "A listener of type unix has no path." },
	{ "ext-103", "The role of a listener is neither global nor channel." },
	{ "ext-104", "The type of a listener is neither tcp nor unix." },
	{ NULL },
};

/* What scripts do is theirs to know. */
static void uses(const void *settings, struct pb_uses *u)
{
	const struct ext_settings *s = settings;

	if (!s->script_count && !s->execute_count && !s->listener_count)
		return;
	pb_uses_sends(u, PB_STR("*"));
	pb_uses_sets(u, PB_STR("*"));
}

PB_MODULE(extmodule) = {
	.abi = PB_MODULE_ABI,
	.name = "extmodule",
	.doc = "External scripts that speak the line protocol over pipes, TCP and Unix sockets.",
	.conf = "extmodule",
	.status_type = "misc",
	.settings_size = sizeof(struct ext_settings),
	.shared_size = sizeof(struct shared),
	.options = options,
	.commands = commands,
	.log = &ext_log,
	.read = read_settings,
	.start = start,
	.reload = reload,
	.stop = stop,
	.status = status,
	.counters = counters,
	.hears = hears,
	.findings = findings,
	.uses = uses,
};
