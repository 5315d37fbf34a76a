/*
 * The table of commands, who may run what, and aliases. A line is a built-in
 * command, an alias (put in, and queued as further commands), or goes to the
 * bus as engine.command.
 */
#include "console/command.h"

#define BOOLS "on\toff\tyes\tno\ttrue\tfalse\tenable\tdisable"

const struct console_command console_commands[] = {
	{ PB_STR_INIT("quit"), CONSOLE_NONE, "", "Disconnect this control session from the server",
	  console_do_quit, NULL },
	{ PB_STR_INIT("echo"), CONSOLE_NONE, "[on|off]", "Show or turn remote echo on or off", console_do_echo,
	  BOOLS },
	{ PB_STR_INIT("help"), CONSOLE_NONE, "[command]", "Provide help on all or a given command",
	  console_do_help, NULL },
	{ PB_STR_INIT("auth"), CONSOLE_NONE, "password", "Authenticate so you can access privileged commands",
	  console_do_auth, NULL },
	{ PB_STR_INIT("status"), CONSOLE_USER, "[overview] [modulename]",
	  "Shows status of all or selected modules or channels", console_do_status, "overview" },
	{ PB_STR_INIT("uptime"), CONSOLE_USER, "", "Show information on how long the engine has run",
	  console_do_uptime, NULL },
	{ PB_STR_INIT("date"), CONSOLE_USER, "", "Show the date and time and how the log is stamped",
	  console_do_date, NULL },
	{ PB_STR_INIT("machine"), CONSOLE_USER, "[on|off]", "Show or turn machine output mode on or off",
	  console_do_machine, BOOLS },
	{ PB_STR_INIT("output"), CONSOLE_USER, "[on|off]", "Show or turn live output on or off",
	  console_do_output, BOOLS },
	{ PB_STR_INIT("color"), CONSOLE_USER, "[on|off]", "Show or turn colours of live output on or off",
	  console_do_color, BOOLS },
	{ PB_STR_INIT("debug"), CONSOLE_ADMIN, "[module] [level|objects|on|off]",
	  "Show or change levels of the log, or see it live", console_do_debug,
	  "level\tobjects\tthreshold\t" BOOLS },
	{ PB_STR_INIT("meminfo"), CONSOLE_ADMIN, "", "Show what the memory allocator has",
	  console_do_meminfo, NULL },
	{ PB_STR_INIT("drop"), CONSOLE_ADMIN, "{chan|*|all} [reason]", "Drop one or all active calls",
	  console_do_drop, "all" },
	{ PB_STR_INIT("call"), CONSOLE_ADMIN, "chan target", "Call chan and connect it to target",
	  console_do_call, NULL },
	{ PB_STR_INIT("control"), CONSOLE_ADMIN, "chan [operation] [param=val] [param=...]",
	  "Apply control operations to a channel", console_do_control, NULL },
	{ PB_STR_INIT("cfgmerge"), CONSOLE_ADMIN, "configfile",
	  "Write a configuration file with all it includes into one, NAME.conf.merged", console_do_cfgmerge, NULL },
	{ PB_STR_INIT("reload"), CONSOLE_ADMIN, "[plugin] [--confirm seconds] [--keep]",
	  "Read the configuration files again; with --confirm for so long, unless --keep follows",
	  console_do_reload, "--confirm\t--keep" },
	{ PB_STR_INIT("restart"), CONSOLE_ADMIN, "[now]", "Restart the engine if there is a supervisor",
	  console_do_restart, "now" },
	{ PB_STR_INIT("stop"), CONSOLE_ADMIN, "[exitcode]", "Stop the engine", console_do_stop, NULL },
	{ PB_STR_INIT("alias"), CONSOLE_ADMIN, "[name [command...]]", "Show, set or remove an alias of this session",
	  console_do_alias, NULL },
	{ PB_STR_INIT(""), CONSOLE_NONE, NULL, NULL, NULL, NULL },
};

const struct console_command *console_command_find(struct pb_str *line)
{
	struct pb_str rest = *line;

	if (pb_str_skip_word(line, PB_STR("?"))) {
		rest = PB_STR("help");
		return console_command_find(&rest);
	}
	for (const struct console_command *cmd = console_commands; cmd->word.n; cmd++) {
		if (pb_str_skip_word(line, cmd->word))
			return cmd;
	}
	return NULL;
}

/* ---- Rights --------------------------------------------------------------------------------- */

/** A command of administrators that the listener lets users run. */
static bool is_lent(const struct console_conn *c, struct pb_str line)
{
	struct pb_str list = c->port->set ? c->port->set->user_prefix : PB_STR(""), item;
	const char *z = pb_arena_str(c->arena, line).p;

	while (pb_str_cut(&list, ',', &item)) {
		item = pb_str_trim(item);
		if (item.n && pb_str_starts(line, item))
			return true;
	}
	return c->port->has_regex && z && regexec(&c->port->user_regex, z, 0, NULL, 0) == 0;
}

bool console_command_allowed(const struct console_conn *c, const struct console_command *cmd,
			     struct pb_str line)
{
	enum console_level level = cmd ? cmd->level : CONSOLE_ADMIN;

	if (c->level >= level)
		return true;
	return c->level == CONSOLE_USER && is_lent(c, line);
}

/* ---- Aliases ----------------------------------------------------------------------------------- */

struct pb_str console_alias_find(struct pb_str aliases, struct pb_str name)
{
	struct pb_str key, text;

	while (aliases.n) {
		pb_str_cut(&aliases, '\0', &key);
		pb_str_cut(&aliases, '\0', &text);
		if (pb_str_eq(key, name))
			return text;
	}
	return PB_STR_NULL;
}

void console_alias_set(struct pb_text *aliases, struct pb_str name, struct pb_str text)
{
	struct pb_str old = console_alias_find(pb_text_str(aliases), name);

	if (old.p) {
		/* NAME NUL TEXT NUL: out of the middle. */
		size_t from = (size_t)(old.p - aliases->p) - name.n - 1, n = name.n + old.n + 2;

		memmove(aliases->p + from, aliases->p + from + n, aliases->n - from - n);
		aliases->n -= n;
	}
	if (!text.n || name.n + text.n + 2 > aliases->limit - aliases->n)
		return;
	pb_text_add(aliases, name);
	pb_text_addc(aliases, '\0');
	pb_text_add(aliases, text);
	pb_text_addc(aliases, '\0');
}

/** The n-th word, from 1. */
static struct pb_str nth_word(struct pb_str args, int n)
{
	struct pb_str word = PB_STR("");

	while (n-- > 0) {
		if (!pb_str_word(&args, &word))
			return PB_STR("");
	}
	return word;
}

void console_alias_put_in(struct pb_text *t, struct pb_str text, struct pb_str args)
{
	for (size_t i = 0; i < text.n; i++) {
		char next = i + 1 < text.n ? text.p[i + 1] : 0;

		if (text.p[i] != '\\' || next < '0' || next > '8') {
			pb_text_addc(t, text.p[i]);
			continue;
		}
		pb_text_add(t, next == '0' ? args : nth_word(args, next - '0'));
		i++;
	}
}

/** Queue the commands of an alias's text, `$()` between them. */
static void queue(struct console_conn *c, struct pb_str text, struct pb_str args)
{
	struct pb_str part;
	ptrdiff_t at;

	do {
		at = pb_str_find(text, PB_STR("$()"));
		part = pb_str_trim(at < 0 ? text : pb_str_head(text, (size_t)at));
		text = pb_str_from(text, at < 0 ? text.n : (size_t)at + 3);
		if (!part.n)
			continue;
		console_alias_put_in(&c->todo, part, args);
		pb_text_addc(&c->todo, '\0');
	} while (at >= 0);
}

static void run_alias(struct console_conn *c, struct pb_str name, struct pb_str text, struct pb_str args)
{
	if (c->expanding) {
		console_printf(c, "Error: possible alias loop in '%.*s'\r\n", PB_STR_F(name));
		console_fail(c);
		return;
	}
	c->expanding = true;
	pb_text_reset(&c->todo);
	queue(c, text, args);
	if (pb_text_failed(&c->todo))
		pb_text_reset(&c->todo);
}

/* ---- Running -------------------------------------------------------------------------------------- */

bool console_command_run(struct console_conn *c, struct pb_str line)
{
	struct pb_str args = line, rest = line, word, text;
	const struct console_command *cmd = console_command_find(&args);

	if (!c->paging.turning)
		c->tty.edit.paged = false;
	if (!cmd && pb_str_word(&rest, &word)) {
		text = console_alias_find(pb_text_str(&c->aliases), word);
		if (text.p) {
			run_alias(c, word, text, rest);
			return true;
		}
	}
	if (!console_command_allowed(c, cmd, line)) {
		console_print(c, c->machine ? PB_STR("%%=*:fail=noauth\r\n") : PB_STR("Not authenticated!\r\n"));
		console_fail(c);
		return true;
	}
	return cmd ? cmd->run(c, pb_str_trim(args)) : console_do_other(c, line);
}

bool console_set_bool(struct pb_str args, bool *on)
{
	if (!pb_str_is_bool(args))
		return false;
	*on = pb_str_to_bool(args, *on);
	return true;
}
