/*
 * A task: one coroutine of a script, begun by a message, a watched message or
 * the start of the script, and living until it returns.
 */
#ifndef LUA_TASK_H
#define LUA_TASK_H

#include "lua/script.h"

enum mlua_task_kind {
	MLUA_MAIN,
	MLUA_HANDLER,
	MLUA_WATCHER,
};

/** A message that a task has dispatched and waits for. */
struct mlua_wait {
	struct pb_work work;
	struct mlua_script *script; /* a reference */
	struct mlua_task *task;     /* NULL: it was killed meanwhile */
	struct mlua_msg *msg;       /* in the task's coroutine */
	struct pb_msg *m;           /* under way */
};

struct mlua_task {
	struct pb_list node;        /* script->tasks */
	struct mlua_script *script; /* a reference */
	enum mlua_task_kind kind;
	lua_State *co;
	int co_ref, msg_ref; /* in the registry */
	struct mlua_msg *msg;
	struct pb_timer timer;
	struct pb_token token; /* the message it holds */
	struct mlua_wait *wait;
	bool held;
	bool waiting;      /* it yielded to us: by sleep or dispatch */
	unsigned enqueued; /* since it was entered */
	bool ok, handled;  /* how it ended */
	bool dispatched;   /* was the message last dispatched handled? */
};

/** Handle `m` with the function of `r`. */
enum pb_verdict mlua_task_handle(struct mlua_reg *r, struct pb_msg *m);
/** Tell the function of `r` about `m`, which the task takes over. */
void mlua_task_watch(struct mlua_reg *r, struct pb_msg **m, bool handled);
/**
 * Run the function on top of the main state's stack, which is taken off.
 * @return 0 when it has returned or waits, else -EINVAL or -ENOMEM.
 */
int mlua_task_main(struct mlua_script *s);
/** End a task that waits. A message it holds is passed on. */
void mlua_task_kill(struct mlua_task *t);

/** Of the running task of L; an error in L when that is a coroutine of the script's own. */
struct mlua_task *mlua_task_current(lua_State *L, const char *what);
/** For the functions that yield: `lua_yieldk` follows. */
void mlua_task_sleep(struct mlua_task *t, uint64_t ms);
/** Dispatch the message in `msg`; the task goes on when it is back. @return 0 or -ENOMEM. */
int mlua_task_dispatch(struct mlua_task *t, struct mlua_msg *msg);
/** Of the dispatch that has just come back. */
bool mlua_task_dispatched(const struct mlua_task *t);

#endif
