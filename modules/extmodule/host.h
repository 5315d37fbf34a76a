/*
 * What all scripts share: the home loop that they live on, the settings, the
 * buffers lines are built and taken apart in, and everything the module can say
 * in the log. All of it belongs to the home loop.
 */
#ifndef EXTMODULE_HOST_H
#define EXTMODULE_HOST_H

#include "base/map.h"
#include "bus/module.h"

enum ext_role {
	EXT_ROLE_NONE, /* a connection that has not said yet */
	EXT_ROLE_GLOBAL,
	EXT_ROLE_CHANNEL,
};

/** A program of [scripts] or [execute]. */
struct ext_program {
	struct pb_str file, arg;
	struct pb_pos at;
};

/** A [listener NAME]. */
struct ext_listen {
	struct pb_str name, path, addr, type_word, role_word;
	struct pb_pos at;
	int type; /* index into "tcp", "unix" */
	enum ext_role role;
	int64_t port;
};

struct ext_settings {
	struct pb_str scripts_dir;
	int64_t priority, timeout_ms, maxqueue, die_wait_ms;
	bool timebomb, settime, trackparam, use_filter;
	struct ext_program *scripts, *execute;
	size_t script_count, execute_count;
	struct ext_listen *listeners;
	size_t listener_count;
};

struct ext_host {
	struct pb_bus *bus;
	struct pb_loop *loop;
	struct pb_engine *engine; /* NULL in tests: no run parameters */
	const struct ext_settings *settings;
	struct pb_list scripts;   /* every one that lives or still owes something */
	struct pb_map own;        /* messages that scripts made, by address */
	struct pb_text line;      /* being built */
	struct pb_arena *decoded; /* of the line being taken apart */
	uint64_t serial;          /* of messages handed over, unique on this host */
	bool stopping;
};

/** @return 0 or -ENOMEM. */
int ext_host_init(struct ext_host *h);
void ext_host_fini(struct ext_host *h);

extern struct pb_log_source ext_log;
extern const struct pb_log_row ext_said[];
/** Indexes into ext_said. */
enum {
	EXT_SAY_START_FAILED,
	EXT_SAY_ENDED,
	EXT_SAY_UNMATCHED,
	EXT_SAY_TIMEOUT,
	EXT_SAY_QUEUE_FULL,
	EXT_SAY_BAD_LINE,
	EXT_SAY_FLOOD,
	EXT_SAY_LISTENER,
	EXT_SAY_NO_CHANNEL,
	EXT_SAY_REFUSED,
	EXT_SAY_STARTED,
	EXT_SAY_COUNT
};

#endif
