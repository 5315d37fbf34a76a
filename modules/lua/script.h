/*
 * One Lua script: its state, its handlers and watches, its coroutines.
 *
 * A script is made whole before anything of it takes effect: its file is run
 * once, and only if that went well do its handlers stand on the bus. One that is
 * replaced takes its handlers back, lets the messages it handles come to their
 * end, and then dies.
 */
#ifndef LUA_SCRIPT_H
#define LUA_SCRIPT_H

#include "lua/host.h"
#include "lua/message.h"
#include "lua/sandbox.h"

struct mlua_script {
	struct pb_list node; /* host->scripts */
	struct mlua_host *host;
	unsigned refs; /* itself while it runs; handlers, tasks, dispatches */
	struct pb_arena *arena;
	struct pb_str name, path, text;
	struct mlua_sandbox box;
	struct mlua_task *running;
	struct pb_list tasks, regs;
	unsigned task_count;
	uint64_t entered, errors; /* coroutines begun, errors raised */
	uint64_t error_second_ms; /* errors are logged a few a second */
	unsigned error_logged, error_more;
	bool active, retired;
};

/** A handler or watch. */
struct mlua_reg {
	struct pb_list node;        /* script->regs */
	struct mlua_script *script; /* a reference */
	struct pb_reg *reg;         /* NULL: not yet on the bus */
	int fn;                     /* reference of the function */
	bool watch, dead;
	unsigned priority, hold_ms;
	struct pb_str message, filter_name, filter_value; /* in the script's arena */
};

/**
 * Run the file of `src`, and when that went well put its handlers on the bus.
 * What it has printed and what went wrong is in the log.
 *
 * @return 0, -ENOMEM, -EINVAL (an error in the script).
 */
int mlua_script_start(struct mlua_host *h, const struct mlua_source *src, struct mlua_script **out);
/** Take it off the bus; what it still handles comes to its end. */
void mlua_script_retire(struct mlua_script *s);
/** The end of the module: nothing comes to its end. */
void mlua_script_kill(struct mlua_script *s);
/** The running one of that name, or NULL. */
struct mlua_script *mlua_script_find(struct mlua_host *h, struct pb_str name);

void mlua_script_ref(struct mlua_script *s);
void mlua_script_unref(struct mlua_script **s);
/** The script of a state. */
struct mlua_script *mlua_script_of(lua_State *L);

/**
 * A new handler or watch; its function (at `fn` on the stack) is kept. It takes
 * effect now, or with the script. @return 0 or a negative errno.
 */
int mlua_reg_add(struct mlua_script *s, lua_State *L, int fn, const struct mlua_reg *what);

void mlua_script_count_error(struct mlua_script *s);
/** Count and log what went wrong in `co`, a few lines a second at most. */
void mlua_script_error(struct mlua_script *s, lua_State *co, const char *where);

/** Put the functions that scripts call into the state. May raise errors. */
int mlua_api_open(lua_State *L);

#endif
