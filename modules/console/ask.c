/* Commands that ask the bus, and those that ask the engine. */
#include "console/command.h"

#include <errno.h>

/* ---- status ----------------------------------------------------------------------------- */

/** Marked for programs: anything that is not a terminal with echo and a prompt. */
static void on_status(struct console_conn *c, struct pb_msg *m, bool handled)
{
	struct pb_str sel = pb_msg_get(m, PB_STR("module"));
	bool marked = !c->plain && !c->json && !console_edit_shown(&c->tty.edit);

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

/** Objects are always counted (`status objects`): that cannot be changed. */
static bool show_debug(struct console_conn *c, struct pb_str name)
{
	const char *local = c->debug ? "on" : "off";

	if (c->machine)
		console_printf(c, "%%%%=debug:level=%d:objects=true:local=%s:threshold=%d%s%.*s%s\r\n", pb_log_level(),
			       c->debug ? "true" : "false", c->threshold, name.n ? ":" : "", PB_STR_F(name),
			       name.n ? "=true" : "");
	else
		console_printf(c, "Debug level: %d, objects: on, local: %s, threshold: %d%s%.*s%s\r\n",
			       pb_log_level(), local, c->threshold, name.n ? ", " : "", PB_STR_F(name),
			       name.n ? ": on" : "");
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
	if (!args.n)
		return true;
	if (pb_str_skip_word(&args, PB_STR("level")))
		return set_global_level(args);
	if (pb_str_skip_word(&args, PB_STR("threshold")))
		return set_threshold(c, args);
	return console_set_bool(args, &c->debug);
}

/** Of `debug objects NAME B`, not of `debug objects B`. */
static bool is_object_name(struct pb_str word)
{
	return word.n && !pb_str_is_bool(word) && !pb_str_eq(word, PB_STR("all")) &&
	       !pb_str_eq(word, PB_STR("reset"));
}

static void on_debug(struct console_conn *c, struct pb_msg *m, bool handled)
{
	struct pb_str module = pb_msg_get(m, PB_STR("module")), line = pb_msg_get(m, PB_STR("line"));

	if (!handled)
		console_fail(c);
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

	if (pb_str_skip_word(&args, PB_STR("objects"))) {
		pb_str_word(&args, &module);
		return show_debug(c, is_object_name(module) ? module : PB_STR(""));
	}
	if (set_own_debug(c, args)) {
		console_conns_update(c->c);
		return show_debug(c, PB_STR(""));
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

	if (id.p && !handled)
		console_fail(c);
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
		console_fail(c);
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

	if (!handled)
		console_fail(c);
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
		console_fail(c);
		return true;
	}
	m = pb_msg_new(PB_STR("call.execute"));
	if (m) {
		pb_msg_set(m, PB_STR("callto"), chan);
		pb_msg_set(m, pb_str_chr(args, '/') > 0 ? PB_STR("direct") : PB_STR("target"), args);
	}
	return console_ask(c, m, on_call);
}

static void on_control(struct console_conn *c, struct pb_msg *m, bool handled)
{
	struct pb_str id = pb_msg_get(m, PB_STR("targetid")), text = pb_msg_get(m, PB_STR("retVal"));
	bool ok = pb_msg_get_bool(m, PB_STR("operation-status"), true);

	if (!handled || !ok)
		console_fail(c);
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

	if (m && !pb_control_parse(args, m)) {
		pb_msg_free(&m);
		console_fail(c);
		console_print(c, c->machine ? PB_STR("%%=control:fail=noarg\r\n") :
					      PB_STR("You must specify channel and operation!\r\n"));
		return true;
	}
	if (m)
		pb_msg_set(m, PB_STR("module"), PB_STR("rmanager"));
	return console_ask(c, m, on_control);
}

/* ---- Anything else ------------------------------------------------------------------------------ */

/** The answer was one page of several: what the keys need to turn it. */
static void remember_page(struct console_conn *c, const struct pb_msg *m)
{
	struct console_paging *p = &c->paging;

	c->tty.edit.paged = pb_msg_has(m, PB_STR("cmd_offset"));
	p->turning = false;
	if (!c->tty.edit.paged)
		return;
	p->at = pb_msg_get_int(m, PB_STR("cmd_offset"), 0, 0, INT32_MAX);
	p->next = pb_msg_get_int(m, PB_STR("cmd_finish"), -1, -1, INT32_MAX);
	if (p->next > p->at)
		p->rows = p->next - p->at;
	pb_text_reset(&p->line);
	pb_text_add(&p->line, c->line);
}

static void on_other(struct console_conn *c, struct pb_msg *m, bool handled)
{
	remember_page(c, m);
	if (handled) {
		console_print(c, pb_msg_retval(m));
		return;
	}
	console_fail(c);
	console_printf(c, c->machine ? "%%%%=syntax:%.*s\r\n" : "Cannot understand: %.*s\r\n", PB_STR_F(c->line));
}

bool console_do_other(struct console_conn *c, struct pb_str line)
{
	struct pb_msg *m = pb_msg_new(PB_STR("engine.command"));

	if (!m)
		return console_ask(c, m, on_other);
	if (c->json)
		pb_msg_setf(m, PB_STR("line"), "%.*s --json", PB_STR_F(line));
	else
		pb_msg_set(m, PB_STR("line"), line);
	if (c->paging.turning)
		pb_msg_set_int(m, PB_STR("cmd_offset"), c->paging.at);
	return console_ask(c, m, on_other);
}

/* ---- The engine ------------------------------------------------------------------------------------ */

static bool keep(struct console_conn *c)
{
	pb_engine_confirm(c->c->engine);
	console_print(c, c->machine ? PB_STR("%%=reload\r\n") : PB_STR("Keeping the configuration in force\r\n"));
	return true;
}

/** `[X] --confirm N`: X and N. @return false when N is none. */
static bool take_confirm(struct pb_str *args, int64_t *seconds)
{
	ptrdiff_t at = pb_str_find(*args, PB_STR("--confirm"));
	struct pb_str n;

	*seconds = 0;
	if (at < 0)
		return true;
	n = pb_str_trim(pb_str_from(*args, (size_t)at + 9));
	*args = pb_str_trim(pb_str_head(*args, (size_t)at));
	return !pb_str_to_i64(n, 10, 1, 86400, seconds);
}

bool console_do_reload(struct console_conn *c, struct pb_str args)
{
	int64_t seconds;

	if (pb_str_eq(args, PB_STR("--keep")))
		return keep(c);
	if (!take_confirm(&args, &seconds)) {
		console_print(c, PB_STR("How many seconds? reload [plugin] --confirm SECONDS (1 to 86400)\r\n"));
		console_fail(c);
		return true;
	}
	console_print(c, c->machine ? PB_STR("%%=reload\r\n") : PB_STR("Reinitializing...\r\n"));
	args = args.n ? args : PB_STR_NULL;
	if (!seconds) {
		pb_engine_reload(c->c->engine, args);
		return true;
	}
	pb_engine_reload_tentatively(c->c->engine, args, (unsigned)seconds);
	if (!c->machine)
		console_printf(c, "Rolled back in %d seconds, unless: reload --keep\r\n", (int)seconds);
	return true;
}

/** A graceful one waits until nobody is connected: it ends this session. */
bool console_do_restart(struct console_conn *c, struct pb_str args)
{
	bool now = pb_str_eq(args, PB_STR("now"));

	if (!pb_engine_restart(c->c->engine, 0, now)) {
		console_fail(c);
		console_print(c, c->machine ?
					 PB_STR("%%=restart:fail\r\n") :
					 PB_STR("Cannot restart - no supervisor or already shutting down\r\n"));
		return true;
	}
	if (c->machine)
		console_print(c, PB_STR("%%=restart\r\n"));
	else
		console_print(c, now ? PB_STR("Engine restarting - bye!\r\n") :
				       PB_STR("Restart scheduled - please disconnect\r\n"));
	if (!now)
		console_conn_close(c);
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
