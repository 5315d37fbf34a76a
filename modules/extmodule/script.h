/*
 * One script: a process over a pair of pipes, or a connection that one made.
 *
 * It lives on the host's loop. What it may do to others is bounded: its line
 * length, the messages waiting for it, the messages it has under way, the
 * output it does not read. Whoever breaks a bound is cut off or refused, and
 * each kind of complaint about one script is one line in ten seconds.
 */
#ifndef EXTMODULE_SCRIPT_H
#define EXTMODULE_SCRIPT_H

#include "extmodule/host.h"
#include "loop/process.h"
#include "loop/stream.h"

/** Output that a script has not read; past it it is cut off. */
#define EXT_OUT_LIMIT_BYTES (8u << 20)
/** Messages of one script under way at once. */
#define EXT_OWN_MAX  50000
#define EXT_IN_BYTES 8192

/** What `setlocal` can change. */
struct ext_locals {
	int64_t timeout_ms, maxqueue, bufsize, debug_level;
	bool timebomb, reenter, selfwatch, setdata, settime, restart;
	struct pb_str track, reason, debug_name;
};

struct ext_script {
	struct pb_list node; /* host->scripts */
	struct ext_host *host;
	unsigned refs; /* itself while alive; handlers, watches, messages, process */
	enum ext_role role;
	bool dying, mid_line;
	struct pb_arena *arena; /* names and texts below */
	struct pb_str file, arg;
	struct pb_str name; /* for the log: "FILE ARG" or the peer's address */
	struct pb_stream *stream;
	struct pb_process *process;
	struct pb_timer grace, again;
	struct ext_locals locals;
	struct pb_handle chan;            /* the channel it drives, when it has one */
	struct pb_map installed, watched; /* struct ext_interest by name */
	struct pb_map pending;            /* struct ext_pending by id */
	size_t own;                       /* its messages under way */
	struct {
		uint64_t last_ms;
		unsigned more;
	} said[EXT_SAY_COUNT];
};

struct ext_start {
	struct pb_str file, arg;
	enum ext_role role;
};

/**
 * Start the program as a script. A relative file is looked for in scripts_dir.
 *
 * @return 0 or -errno, logged.
 */
int ext_script_start(struct ext_host *h, const struct ext_start *args, struct ext_script **out);
/** Make a connection a script; the descriptor is taken over in any case. */
int ext_script_adopt(struct ext_host *h, int fd, struct pb_str peer, enum ext_role role);
/** The full path of a program, NUL behind; absent when there is no memory. */
struct pb_str ext_script_path(const struct ext_host *h, struct pb_str file, struct pb_arena *into);

/**
 * End it: its handlers and watches go, messages that wait for it are passed
 * on, its input is closed and after a grace time SIGTERM follows. `why` (may be
 * NULL) is logged. Harmless when it is ending already.
 */
void ext_script_end(struct ext_script *s, const char *why);
/**
 * End all of them at once, for the end of the module. The last one that is
 * owed nothing any more takes the host's memory along.
 */
void ext_scripts_end(struct ext_host *h);
/** The living one of that file and argument, or NULL. */
struct ext_script *ext_script_find(struct ext_host *h, struct pb_str file, struct pb_str arg);

void ext_script_ref(struct ext_script *s);
void ext_script_unref(struct ext_script **s);

/** Send what was built in host->line. @return false: not sent (it is ending, or did not fit). */
bool ext_script_send(struct ext_script *s);
/** Begin a line: the empty host->line. */
struct pb_text *ext_script_line(struct ext_script *s);

/**
 * Log `say` about this script unless that was said in the last ten seconds;
 * then it is counted, and told with the next.
 */
void ext_script_complain(struct ext_script *s, int say, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** %%>setlocal: answers whether it is known and taken; `*value` gets the present value. */
bool ext_setlocal(struct ext_script *s, struct pb_str name, struct pb_str *value);

#endif
