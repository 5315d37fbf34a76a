/*
 * What all Lua scripts share: their loop, the bus, the settings, the log. It
 * belongs to the module's home, a script loop.
 */
#ifndef LUA_HOST_H
#define LUA_HOST_H

#include <stdatomic.h>

#include "bus/module.h"

/** A script of [scripts], as read: its text is what was checked and what runs. */
struct mlua_source {
	struct pb_str name, path, text; /* text absent: could not be read or has a syntax error */
	struct pb_pos at;
};

struct mlua_settings {
	struct pb_str dir;
	int64_t instructions; /* for each time a script is entered */
	int64_t memory_mb;    /* for each script */
	struct mlua_source *sources;
	size_t count;
};

struct mlua_host {
	struct pb_bus *bus;
	struct pb_loop *loop;
	struct pb_engine *engine; /* NULL in tests: no run parameters */
	const struct mlua_settings *settings;
	struct pb_list scripts; /* those that run, and those replaced but not yet ended */
	bool stopping;
	/* Written at home, read by the status on another loop. */
	_Atomic uint64_t running, coroutines, errors;
};

extern struct pb_log_source mlua_log;
extern const struct pb_log_row mlua_said[];
/** Indexes into mlua_said. */
enum { MLUA_SAY_ERROR, MLUA_SAY_NOT_LOADED, MLUA_SAY_LOADED, MLUA_SAY_KILLED, MLUA_SAY_COUNT };

#endif
