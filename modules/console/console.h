/*
 * The console module from inside: listeners, connections, commands. All of it
 * lives on the module's home loop, except the relay's inbox (relay.h).
 */
#ifndef CONSOLE_CONSOLE_H
#define CONSOLE_CONSOLE_H

#include <regex.h>

#include "bus/module.h"
#include "console/relay.h"
#include "console/telnet.h"
#include "loop/stream.h"

/** Connections of one listener; more are refused. */
#define CONSOLE_CONNS_MAX 64
/** Between two password tries, over all connections. */
#define CONSOLE_AUTH_GAP_MS 200

/** First line of a session, run parameters put in. */
#define CONSOLE_HEADER "Patchbay ${version} ready on ${nodename}."

enum console_level { CONSOLE_NONE, CONSOLE_USER, CONSOLE_ADMIN };

/** What can be said: rows of console_log_rows. */
enum console_said {
	CONSOLE_LISTENS,
	CONSOLE_NOT_OPENED,
	CONSOLE_NO_PASSWORD,
	CONSOLE_NO_TLS,
	CONSOLE_BAD_REGEX,
	CONSOLE_OPENED,
	CONSOLE_ENDED,
	CONSOLE_BAD_AUTH,
	CONSOLE_FULL,
	CONSOLE_LIMIT,
	CONSOLE_STALLED,
	CONSOLE_NOT_TAKEN,
};
extern const struct pb_log_row console_log_rows[];
extern struct pb_log_source console_log;
#define console_say(said, ...) pb_log(&console_log, &console_log_rows[said], __VA_ARGS__)

/* ---- Settings -------------------------------------------------------------------- */

struct console_alias {
	struct pb_str name, text;
};

/** One section of rmanager.conf. */
struct console_listener {
	struct pb_str name;
	int64_t port;
	struct pb_str addr, header, goodbye, prompt, prompt_user, prompt_guest;
	struct pb_str password, userpass, user_prefix, user_regexp;
	struct pb_str context, domain, verify;
	int64_t timeout_ms, history;
	bool logged, telnet, echoing, color, debug, output, interactive;
	const struct console_alias *aliases;
	size_t alias_count;
};

struct console_settings {
	struct console_listener *listeners;
	size_t count;
};

extern const struct pb_opt console_options[];
/** Descriptor hook: one listener a section. */
int console_read(const struct pb_conf *c, void *settings, struct pb_arena *a, struct pb_findings *f);
/** May it listen there without a password? */
bool console_is_safe(const struct console_listener *l);

/* ---- Run time --------------------------------------------------------------------- */

/** An open listener; texts expanded. */
struct console_port {
	struct console *c;
	const struct console_listener *set;
	struct pb_listener *listener;
	struct pb_str header, goodbye, prompt[3]; /* by level */
	regex_t user_regex;
	bool has_regex, local; /* local: the Unix socket */
	unsigned conns;
};

struct console {
	struct pb_ctx *cx; /* on the home loop */
	struct pb_engine *engine;
	struct pb_arena *arena;
	const struct console_settings *set; /* as of start: reload leaves listeners alone */
	struct console_port *ports;
	size_t port_count, open;
	struct pb_list conns;
	unsigned conn_count;
	uint64_t next_auth_ms; /* the next password is looked at then */
	uint64_t started_us;
	struct console_relay relay;
};

#endif
