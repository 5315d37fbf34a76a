/* Commands that ask the bus, and those that ask the engine. */
#include "console/command.h"

#include <errno.h>

/* ---- status ----------------------------------------------------------------------------- */

/** Marked for programs: anything that is not a terminal with echo and a prompt. */
static void on_status(struct console_conn *c, struct pb_msg *m, bool handled)
{
	struct pb_str sel = pb_msg_get(m, PB_STR("module"));
	bool marked = console_conn_is_terminal(c) && !console_edit_shown(&c->tty.edit);

	if (marked)
		console_printf(c, "%%%%+status%s%.*s\r\n", sel.n ? ":" : "", PB_STR_F(sel));
	console_print(c, pb_msg_retval(m));
	if (marked)
		console_print(c, PB_STR("%%-status\r\n"));
}

bool console_do_status(struct console_conn *c, struct pb_str args)
{
	struct pb_msg *m = pb_msg_new(PB_STR("engine.status"));
	bool overview = pb_str_skip_word(&args, PB_STR("overview"));

	if (m && overview)
		pb_msg_set_bool(m, PB_STR("details"), false);
	if (m && args.n)
		pb_msg_set(m, PB_STR("module"), args);
	return console_ask(c, m, on_status);
}

/* ---- debug ------------------------------------------------------------------------------- */

static bool show_debug(struct console_conn *c)
{
	const char *local = c->debug ? "on" : "off";

	if (c->machine)
		console_printf(c, "%%%%=debug:level=%d:objects=false:local=%s:threshold=%d\r\n", pb_log_level(),
			       c->debug ? "true" : "false", c->threshold);
	else
		console_printf(c, "Debug level: %d, objects: off, local: %s, threshold: %d\r\n", pb_log_level(),
			       local, c->threshold);
	return true;
}

/** "N", "N+", "N-" and nothing behind. */
static bool set_global_level(struct pb_str arg)
{
	int64_t level, now = pb_log_level();
	char sign = arg.n > 1 ? arg.p[arg.n - 1] : 0;

	if (sign == '+' || sign == '-')
		arg.n--;
	if (pb_str_to_i64(arg, 10, PB_CONF, PB_ALL, &level) == -EINVAL)
		return false;
	if ((sign == '+' && level < now) || (sign == '-' && level > now))
		level = now;
	pb_log_set_level((int)level);
	return true;
}

static bool set_threshold(struct console_conn *c, struct pb_str arg)
{
	int64_t n;

	if (pb_str_to_i64(arg, 10, PB_CONF, PB_ALL, &n) == -EINVAL)
		return false;
	c->threshold = (int)n;
	return true;
}

/** The forms that need no module. */
static bool set_own_debug(struct console_conn *c, struct pb_str args)
{
	if (!args.n || pb_str_skip_word(&args, PB_STR("objects")))
		return true; /* objects are not counted here */
	if (pb_str_skip_word(&args, PB_STR("level")))
		return set_global_level(args);
	if (pb_str_skip_word(&args, PB_STR("threshold")))
		return set_threshold(c, args);
	return console_set_bool(args, &c->debug);
}

static void on_debug(struct console_conn *c, struct pb_msg *m, bool handled)
{
	struct pb_str module = pb_msg_get(m, PB_STR("module")), line = pb_msg_get(m, PB_STR("line"));

	if (handled)
		console_print(c, pb_msg_retval(m));
	else
		console_printf(c, c->machine ? "%%%%=debug:fail:%.*s %.*s\r\n" : "Cannot set debug: %.*s %.*s\r\n",
			       PB_STR_F(module), PB_STR_F(line));
}

bool console_do_debug(struct console_conn *c, struct pb_str args)
{
	struct pb_str module = PB_STR("");
	struct pb_msg *m;

	if (set_own_debug(c, args)) {
		console_conns_update(c->c);
		return show_debug(c);
	}
	pb_str_word(&args, &module);
	m = pb_msg_new(PB_STR("engine.debug"));
	if (m) {
		pb_msg_set(m, PB_STR("module"), module);
		pb_msg_set(m, PB_STR("line"), args);
	}
	return console_ask(c, m, on_debug);
}

/* ---- drop, call, control -------------------------------------------------------------------- */

static void on_drop(struct console_conn *c, struct pb_msg *m, bool handled)
{
	struct pb_str id = pb_msg_get(m, PB_STR("id"));

	if (!id.p)
		console_print(c, c->machine ? PB_STR("%%=drop:unknown:all calls\r\n") :
					      PB_STR("Tried to drop all calls\r\n"));
	else if (handled)
		console_printf(c, c->machine ? "%%%%=drop:success:%.*s\r\n" : "Dropped %.*s\r\n", PB_STR_F(id));
	else
		console_printf(c, c->machine ? "%%%%=drop:fail:%.*s\r\n" : "Could not drop %.*s\r\n", PB_STR_F(id));
}

bool console_do_drop(struct console_conn *c, struct pb_str args)
{
	struct pb_str id;
	struct pb_msg *m;

	if (!pb_str_word(&args, &id)) {
		console_print(c, c->machine ? PB_STR("%%=drop:fail=noarg\r\n") :
					      PB_STR("You must specify what connection to drop!\r\n"));
		return true;
	}
	m = pb_msg_new(PB_STR("call.drop"));
	if (m && !pb_str_eq(id, PB_STR("*")) && !pb_str_eq(id, PB_STR("all")))
		pb_msg_set(m, PB_STR("id"), id);
	if (m && args.n)
		pb_msg_set(m, PB_STR("reason"), args);
	return console_ask(c, m, on_drop);
}

static void on_call(struct console_conn *c, struct pb_msg *m, bool handled)
{
	struct pb_str id = pb_msg_get(m, PB_STR("id")), to = pb_msg_get(m, PB_STR("callto"));
	struct pb_str direct = pb_msg_get(m, PB_STR("direct"));
	struct pb_str target = direct.p ? direct : pb_msg_get(m, PB_STR("target"));

	if (handled)
		console_printf(c, c->machine ? "%%%%=call:success:%.*s:%.*s %.*s\r\n" : "Calling '%.*s' %.*s %.*s\r\n",
			       PB_STR_F(id), PB_STR_F(to), PB_STR_F(target));
	else
		console_printf(c, c->machine ? "%%%%=call:fail:%.*s %.*s\r\n" : "Could not call %.*s %.*s\r\n",
			       PB_STR_F(to), PB_STR_F(target));
}

bool console_do_call(struct console_conn *c, struct pb_str args)
{
	struct pb_str chan;
	struct pb_msg *m;

	if (!pb_str_word(&args, &chan) || !args.n) {
		console_print(c, c->machine ? PB_STR("%%=call:fail=noarg\r\n") :
					      PB_STR("You must specify source and target!\r\n"));
		return true;
	}
	m = pb_msg_new(PB_STR("call.execute"));
	if (m) {
		pb_msg_set(m, PB_STR("callto"), chan);
		pb_msg_set(m, pb_str_chr(args, '/') > 0 ? PB_STR("direct") : PB_STR("target"), args);
	}
	return console_ask(c, m, on_call);
}

/** The last blank-separated group of `*text` when it is k=v. */
static bool last_pair(struct pb_str *text, struct pb_str *key, struct pb_str *value)
{
	size_t at = text->n;
	struct pb_str pair;
	ptrdiff_t eq;

	while (at > 0 && text->p[at - 1] != ' ' && text->p[at - 1] != '\t')
		at--;
	pair = pb_str_from(*text, at);
	eq = pb_str_chr(pair, '=');
	if (eq <= 0)
		return false;
	*key = pb_str_head(pair, (size_t)eq);
	*value = pb_str_from(pair, (size_t)eq + 1);
	*text = pb_str_trim(pb_str_head(*text, at));
	return true;
}

bool console_control_parse(struct pb_str args, struct pb_msg *m)
{
	struct pb_str id, key, value;
	bool any = false;

	if (!pb_str_word(&args, &id))
		return false;
	args = pb_str_trim(args);
	pb_msg_set(m, PB_STR("targetid"), id);
	pb_msg_set(m, PB_STR("component"), id);
	pb_msg_set(m, PB_STR("module"), PB_STR("rmanager"));
	for (; last_pair(&args, &key, &value); any = true)
		pb_msg_set(m, key, value);
	if (args.n)
		pb_msg_set(m, PB_STR("operation"), args);
	return any || args.n;
}

static void on_control(struct console_conn *c, struct pb_msg *m, bool handled)
{
	struct pb_str id = pb_msg_get(m, PB_STR("targetid")), text = pb_msg_get(m, PB_STR("retVal"));
	bool ok = pb_msg_get_bool(m, PB_STR("operation-status"), true);

	if (!handled) {
		console_printf(c, c->machine ? "%%%%=control:fail:%.*s\r\n" : "Could not control %.*s\r\n",
			       PB_STR_F(id));
		return;
	}
	if (!text.p)
		text = pb_msg_retval(m);
	if (!text.n)
		text = ok ? PB_STR("OK") : PB_STR("FAILED");
	if (c->machine)
		console_printf(c, "%%%%=control:%s:%.*s:%.*s\r\n", ok ? "success" : "error", PB_STR_F(id),
			       PB_STR_F(text));
	else
		console_printf(c, "Control '%.*s' %.*s\r\n", PB_STR_F(id), PB_STR_F(text));
}

bool console_do_control(struct console_conn *c, struct pb_str args)
{
	struct pb_msg *m = pb_msg_new(PB_STR("chan.control"));

	if (m && !console_control_parse(args, m)) {
		pb_msg_free(&m);
		console_print(c, c->machine ? PB_STR("%%=control:fail=noarg\r\n") :
					      PB_STR("You must specify channel and operation!\r\n"));
		return true;
	}
	return console_ask(c, m, on_control);
}

/* ---- Anything else ------------------------------------------------------------------------------ */

static void on_other(struct console_conn *c, struct pb_msg *m, bool handled)
{
	struct pb_str line = pb_msg_get(m, PB_STR("line"));

	if (handled)
		console_print(c, pb_msg_retval(m));
	else
		console_printf(c, c->machine ? "%%%%=syntax:%.*s\r\n" : "Cannot understand: %.*s\r\n",
			       PB_STR_F(line));
}

bool console_do_other(struct console_conn *c, struct pb_str line)
{
	struct pb_msg *m = pb_msg_new(PB_STR("engine.command"));

	if (m)
		pb_msg_set(m, PB_STR("line"), line);
	return console_ask(c, m, on_other);
}

/* ---- The engine ------------------------------------------------------------------------------------ */

bool console_do_reload(struct console_conn *c, struct pb_str args)
{
	console_print(c, c->machine ? PB_STR("%%=reload\r\n") : PB_STR("Reinitializing...\r\n"));
	pb_engine_reload(c->c->engine, args.n ? args : PB_STR_NULL);
	return true;
}

/** There is no supervisor: the system's service manager restarts an engine. */
bool console_do_restart(struct console_conn *c, struct pb_str args)
{
	console_print(c, c->machine ? PB_STR("%%=restart:fail\r\n") :
				      PB_STR("Cannot restart - no supervisor or already shutting down\r\n"));
	return true;
}

bool console_do_stop(struct console_conn *c, struct pb_str args)
{
	int64_t code = 0;

	pb_str_to_i64(args, 10, 0, 255, &code);
	console_print(c, c->machine ? PB_STR("%%=shutdown\r\n") : PB_STR("Engine shutting down - bye!\r\n"));
	pb_engine_halt(c->c->engine, (int)code);
	return true;
}

bool console_do_cfgmerge(struct console_conn *c, struct pb_str args)
{
	if (!args.n)
		console_print(c, PB_STR("Missing configuration name\r\n"));
	else
		console_printf(c, "Could not save merged configuration to '%.*s.merged'\r\n", PB_STR_F(args));
	return true;
}
