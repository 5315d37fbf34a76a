/* Commands about the session itself, and those that need no question. */
#include <malloc.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "base/text.h"
#include "console/command.h"

bool console_do_quit(struct console_conn *c, struct pb_str args)
{
	if (c->machine)
		console_print(c, PB_STR("%%=quit\r\n"));
	else if (c->port->goodbye.n)
		console_printf(c, "%.*s\r\n", PB_STR_F(c->port->goodbye));
	console_conn_close(c);
	return true;
}

static bool show_switch(struct console_conn *c, const char *name, bool on, const char *yes, const char *no)
{
	console_printf(c, "%s: %s\r\n", name, on ? yes : no);
	return true;
}

bool console_do_echo(struct console_conn *c, struct pb_str args)
{
	console_set_bool(args, &c->tty.edit.echo);
	return show_switch(c, "Remote echo", c->tty.edit.echo, "on", "off");
}

bool console_do_machine(struct console_conn *c, struct pb_str args)
{
	console_set_bool(args, &c->machine);
	console_conns_update(c->c);
	return show_switch(c, "Machine mode", c->machine, "on", "off");
}

bool console_do_output(struct console_conn *c, struct pb_str args)
{
	console_set_bool(args, &c->output);
	console_conns_update(c->c);
	return show_switch(c, "Output mode", c->output, "on", "off");
}

bool console_do_color(struct console_conn *c, struct pb_str args)
{
	console_set_bool(args, &c->color);
	return show_switch(c, "Colorized output", c->color, "yes", "no");
}

/* ---- Authentication ---------------------------------------------------------------------- */

/** Equal, in a time that tells nothing but the length of what was offered. */
static bool is_password(struct pb_str offered, struct pb_str password)
{
	unsigned char diff = offered.n != password.n;

	if (!password.n)
		return false;
	for (size_t i = 0; i < offered.n; i++)
		diff |= (unsigned char)(offered.p[i] ^ password.p[i % password.n]);
	return !diff;
}

static void authenticated(struct console_conn *c, enum console_level level, const char *as)
{
	console_conn_set_level(c, level);
	if (c->machine)
		console_print(c, PB_STR("%%=auth:success\r\n"));
	else
		console_printf(c, "Authenticated successfully as %s!\r\n", as);
}

static void check_password(struct console_conn *c)
{
	const struct console_listener *set = c->port->set;

	if (is_password(c->password, set->password)) {
		authenticated(c, CONSOLE_ADMIN, "admin");
		return;
	}
	if (is_password(c->password, set->userpass)) {
		if (c->level == CONSOLE_NONE)
			authenticated(c, CONSOLE_USER, "user");
		else
			console_print(c, PB_STR("You are already authenticated as user!\r\n"));
		return;
	}
	console_fail(c);
	console_say(CONSOLE_BAD_AUTH, "wrong password from %.*s", PB_STR_F(pb_stream_peer(c->stream)));
	console_print(c, c->machine ? PB_STR("%%=auth:fail=badpass\r\n") :
				      PB_STR("Bad authentication password!\r\n"));
}

static void on_wait_over(void *arg)
{
	struct console_conn *c = arg;

	check_password(c);
	console_command_over(c);
}

/** Tries stand in one line, over all connections, a gap between any two. */
bool console_do_auth(struct console_conn *c, struct pb_str args)
{
	struct pb_loop *l = c->c->cx->loop;
	uint64_t now = pb_loop_now_ms(l), at = c->c->next_auth_ms > now ? c->c->next_auth_ms : now;

	if (c->level == CONSOLE_ADMIN) {
		console_print(c, PB_STR("You are already authenticated as admin!\r\n"));
		return true;
	}
	c->c->next_auth_ms = at + CONSOLE_AUTH_GAP_MS;
	c->password = args;
	if (at == now) {
		check_password(c);
		return true;
	}
	pb_timer_init(&c->wait, on_wait_over, c);
	pb_timer_start(l, &c->wait, at - now);
	return false;
}

/* ---- Help ----------------------------------------------------------------------------------- */

static void on_help(struct console_conn *c, struct pb_msg *m, bool handled)
{
	struct pb_str line = pb_msg_get(m, PB_STR("line"));

	if (line.n && !handled) {
		console_printf(c, "No help for '%.*s'\r\n", PB_STR_F(line));
		console_fail(c);
	} else {
		console_print(c, pb_msg_retval(m));
	}
}

static bool help_all(struct console_conn *c)
{
	struct pb_msg *m;

	console_print(c, PB_STR("Available commands:\r\n"));
	for (const struct console_command *cmd = console_commands; cmd->word.n; cmd++) {
		if (console_command_allowed(c, cmd, cmd->word))
			console_printf(c, "  %s%s%s\r\n", cmd->word.p, cmd->args[0] ? " " : "", cmd->args);
	}
	if (c->level != CONSOLE_ADMIN)
		return true;
	m = pb_msg_new(PB_STR("engine.help"));
	if (m)
		pb_msg_set_broadcast(m, true);
	return console_ask(c, m, on_help);
}

bool console_do_help(struct console_conn *c, struct pb_str args)
{
	struct pb_str word = args;
	const struct console_command *cmd = args.n ? console_command_find(&word) : NULL;
	struct pb_msg *m;

	if (!args.n)
		return help_all(c);
	if (cmd) {
		console_printf(c, "  %s%s%s\r\n%s\r\n", cmd->word.p, cmd->args[0] ? " " : "", cmd->args,
			       cmd->doc);
		return true;
	}
	m = pb_msg_new(PB_STR("engine.help"));
	if (m)
		pb_msg_set(m, PB_STR("line"), args);
	return console_ask(c, m, on_help);
}

/* ---- Time and memory -------------------------------------------------------------------------- */

static double seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

bool console_do_uptime(struct console_conn *c, struct pb_str args)
{
	uint64_t up = (pb_loop_wall_us(c->c->cx->loop) - c->c->started_us) / 1000000;
	unsigned long long s = up;
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	if (c->machine)
		console_printf(c, "%%%%=uptime:%llu:%.3f:%.3f\r\n", s, seconds(ru.ru_utime), seconds(ru.ru_stime));
	else
		console_printf(c, "Uptime: %llu %02llu:%02llu:%02llu (%llu) user: %.3f kernel: %.3f\r\n",
			       s / 86400, s / 3600 % 24, s / 60 % 60, s % 60, s, seconds(ru.ru_utime),
			       seconds(ru.ru_stime));
	return true;
}

static const struct {
	char style;
	const char *name;
	bool local;
} stamps[] = {
	{ 'n', "date and time not logged", false },
	{ 't', "seconds from program start", false },
	{ 'e', "seconds from UNIX EPOCH", false },
	{ 'f', "UTC without separators", false },
	{ 'z', "local time without separators", true },
	{ 'F', "UTC with separators", false },
	{ 'Z', "local time with separators", true },
};

/** "+01:00 " */
static void add_zone(struct pb_text *t)
{
	time_t now = time(NULL);
	struct tm tm;
	long minutes;

	localtime_r(&now, &tm);
	minutes = tm.tm_gmtoff / 60;
	pb_text_addf(t, "%c%02ld:%02ld ", minutes < 0 ? '-' : '+', labs(minutes) / 60, labs(minutes) % 60);
}

bool console_do_date(struct console_conn *c, struct pb_str args)
{
	char style = pb_log_stamp(), buf[128];
	struct pb_text t;

	pb_text_init_buf(&t, buf, sizeof(buf));
	pb_log_add_stamp(&t);
	for (size_t i = 0; i < sizeof(stamps) / sizeof(stamps[0]); i++) {
		if (stamps[i].style != style)
			continue;
		if (stamps[i].local)
			add_zone(&t);
		pb_text_addf(&t, "(%s)\r\n", stamps[i].name);
	}
	console_print(c, pb_text_str(&t));
	return true;
}

bool console_do_meminfo(struct console_conn *c, struct pb_str args)
{
	struct mallinfo2 m = mallinfo2();
	const struct {
		const char *name;
		size_t n;
	} rows[] = {
		{ "arena", m.arena },	    { "ordblks", m.ordblks },	{ "smblks", m.smblks },
		{ "hblks", m.hblks },	    { "hblkhd", m.hblkhd },	{ "usmblks", m.usmblks },
		{ "fsmblks", m.fsmblks },   { "uordblks", m.uordblks }, { "fordblks", m.fordblks },
		{ "keepcost", m.keepcost },
	};

	console_print(c, PB_STR("Memory allocation statistics:\r\n"));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		console_printf(c, "  %-8s = %zu\r\n", rows[i].name, rows[i].n);
	return true;
}

/* ---- Aliases ------------------------------------------------------------------------------------- */

static bool list_aliases(struct console_conn *c)
{
	struct pb_str all = pb_text_str(&c->aliases), name, text;

	while (all.n) {
		pb_str_cut(&all, '\0', &name);
		pb_str_cut(&all, '\0', &text);
		console_printf(c, "%.*s=%.*s\r\n", PB_STR_F(name), PB_STR_F(text));
	}
	return true;
}

bool console_do_alias(struct console_conn *c, struct pb_str args)
{
	struct pb_str name;

	if (!pb_str_word(&args, &name))
		return list_aliases(c);
	console_alias_set(&c->aliases, name, args);
	if (args.n)
		console_printf(c, "Alias %.*s set to: %.*s\r\n", PB_STR_F(name), PB_STR_F(args));
	else
		console_printf(c, "Alias %.*s removed\r\n", PB_STR_F(name));
	return true;
}
