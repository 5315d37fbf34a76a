/*
 * The commands: one table for terminals, the Unix socket, help and completion.
 */
#ifndef CONSOLE_COMMAND_H
#define CONSOLE_COMMAND_H

#include "console/conn.h"

struct console_command {
	struct pb_str word;
	enum console_level level;
	const char *args; /* syntax after the word */
	const char *doc;
	/** @return whether it is over; else console_command_over comes later. */
	bool (*run)(struct console_conn *c, struct pb_str args);
	const char *words; /* completion of the first argument, TAB separated */
};

/** Ends with an empty word. */
extern const struct console_command console_commands[];

/** The command that `*line` begins with (word removed), or NULL. `?` is help. */
const struct console_command *console_command_find(struct pb_str *line);
/** May this connection run the line? `cmd` NULL: one for engine.command. */
bool console_command_allowed(const struct console_conn *c, const struct console_command *cmd,
			     struct pb_str line);
/** Run a line. @return whether it is over. */
bool console_command_run(struct console_conn *c, struct pb_str line);
/** Complete the terminal's line. @return whether it is over. */
bool console_complete(struct console_conn *c);

/** Nobody is told of a cfgmerge under way: the connection ends. */
void console_merge_forget(struct console_conn *c);

/* ---- Pure parts -------------------------------------------------------------------------- */

/** `on` by a boolean word; another word leaves it. */
bool console_set_bool(struct pb_str args, bool *on);
/** One text of an alias with \0 (all arguments) and \1..\8 put in. */
void console_alias_put_in(struct pb_text *t, struct pb_str text, struct pb_str args);
/** Text of alias `name` in NAME NUL TEXT NUL ..., absent when there is none. */
struct pb_str console_alias_find(struct pb_str aliases, struct pb_str name);
/** Set, or with an empty text remove. */
void console_alias_set(struct pb_text *aliases, struct pb_str name, struct pb_str text);
/** Built-in candidates for completion, TAB separated. */
void console_complete_words(const struct console_conn *c, struct pb_str line, struct pb_str word,
			    struct pb_text *t);

/* ---- Rows of the table: session.c, ask.c -------------------------------------------------- */

bool console_do_quit(struct console_conn *c, struct pb_str args);
bool console_do_echo(struct console_conn *c, struct pb_str args);
bool console_do_help(struct console_conn *c, struct pb_str args);
bool console_do_auth(struct console_conn *c, struct pb_str args);
bool console_do_uptime(struct console_conn *c, struct pb_str args);
bool console_do_date(struct console_conn *c, struct pb_str args);
bool console_do_machine(struct console_conn *c, struct pb_str args);
bool console_do_output(struct console_conn *c, struct pb_str args);
bool console_do_color(struct console_conn *c, struct pb_str args);
bool console_do_meminfo(struct console_conn *c, struct pb_str args);
bool console_do_alias(struct console_conn *c, struct pb_str args);
bool console_do_status(struct console_conn *c, struct pb_str args);
bool console_do_debug(struct console_conn *c, struct pb_str args);
bool console_do_drop(struct console_conn *c, struct pb_str args);
bool console_do_call(struct console_conn *c, struct pb_str args);
bool console_do_control(struct console_conn *c, struct pb_str args);
bool console_do_cfgmerge(struct console_conn *c, struct pb_str args);
bool console_do_reload(struct console_conn *c, struct pb_str args);
bool console_do_restart(struct console_conn *c, struct pb_str args);
bool console_do_stop(struct console_conn *c, struct pb_str args);
/** Anything else: engine.command. */
bool console_do_other(struct console_conn *c, struct pb_str line);

#endif
