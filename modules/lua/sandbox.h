/*
 * A Lua state that cannot hurt its host: bounded memory, bounded instructions,
 * and a standard library without files, processes and foreign code.
 */
#ifndef LUA_SANDBOX_H
#define LUA_SANDBOX_H

#include <lua.h>

#include "base/text.h"
#include "loop/loop.h"

struct mlua_sandbox {
	lua_State *L;
	size_t memory, memory_limit; /* bytes now and at most */
	int64_t instructions, left;  /* granted for each entry, left of this one */
	uint64_t until_ms;           /* of the thread's CPU time, for this one */
	unsigned hooks;
	struct pb_loop *loop; /* for the clock; NULL: the system's */
	/** Where print goes; NULL: nowhere. */
	void (*print)(void *arg, struct pb_str text);
	void *arg;
};

/**
 * Fill in memory_limit, instructions, loop, print and arg, and make the state
 * with its library. @return 0 or -ENOMEM. @thread one at a time.
 */
int mlua_sandbox_open(struct mlua_sandbox *b);
void mlua_sandbox_close(struct mlua_sandbox *b);
/** The sandbox of a state or of one of its coroutines. */
struct mlua_sandbox *mlua_sandbox_of(lua_State *L);

/**
 * Resume coroutine `co` with `nargs` values on its stack and the full budget.
 *
 * @return Lua's status; `*nresults` values are on top of co's stack.
 */
int mlua_sandbox_resume(struct mlua_sandbox *b, lua_State *co, int nargs, int *nresults);
/** Whether the budget of the last entry was used up; a coroutine that yields then is not to go on.
 */
bool mlua_sandbox_spent(const struct mlua_sandbox *b);
/** End a coroutine for good; it closes its variables unless the budget is spent. */
void mlua_sandbox_reset(struct mlua_sandbox *b, lua_State *co);
/**
 * Call the C function `fn(L)` with `arg` as its light userdata, protected, with
 * no results. @return Lua's status; the error is dropped.
 */
int mlua_sandbox_call(struct mlua_sandbox *b, lua_CFunction fn, void *arg);
/**
 * What went wrong in `co`, with the calls that led there, in one line into `t`.
 */
void mlua_sandbox_error(struct mlua_sandbox *b, lua_State *co, struct pb_text *t);

/**
 * Does `text` compile? On failure `*line` and `why` say where and why.
 * @return 0, -EINVAL, -ENOMEM. Any thread.
 */
int mlua_sandbox_check(struct pb_str name, struct pb_str text, unsigned *line, struct pb_text *why);

#endif
