/*
 * A task is entered from the loop (a message, a timer, a dispatch that is back)
 * and left when its coroutine yields or returns; it is never entered while
 * another one of its script runs, because everything that could call back into
 * the script is put off to a later turn.
 *
 * A handler that waits holds its message. From then on the script works on a
 * copy, which goes back whole when the coroutine returns. What ends the waiting
 * from outside, the limit of the hold or the end of the script, kills the
 * coroutine; a suspended coroutine is killed by closing it.
 */
#include "lua/task.h"

#include <errno.h>
#include <lauxlib.h>

#include "base/alloc.h"
#include "base/assert.h"

/* Coroutines of one script; further messages that are only watched pass unseen. */
#define TASKS_MAX 20000

/* ---- Making and ending -------------------------------------------------------------- */

static struct mlua_task *task_new(struct mlua_script *s, enum mlua_task_kind kind)
{
	struct mlua_task *t = pb_alloc_zero(1, sizeof(*t));

	if (!t)
		return NULL;
	t->script = s;
	t->kind = kind;
	t->co_ref = t->msg_ref = LUA_NOREF;
	pb_list_push(&s->tasks, &t->node);
	s->task_count++;
	atomic_fetch_add(&s->host->coroutines, 1);
	s->entered++;
	mlua_script_ref(s);
	return t;
}

static void task_end(struct mlua_task *t)
{
	struct mlua_script *s = t->script;

	pb_timer_stop(&t->timer);
	if (t->wait)
		t->wait->task = NULL;
	if (t->msg) {
		if (t->msg->owned)
			pb_msg_free(&t->msg->m);
		t->msg->m = NULL;
	}
	luaL_unref(s->box.L, LUA_REGISTRYINDEX, t->co_ref);
	luaL_unref(s->box.L, LUA_REGISTRYINDEX, t->msg_ref);
	pb_list_remove(&t->node);
	s->task_count--;
	atomic_fetch_sub(&s->host->coroutines, 1);
	pb_free(t);
	mlua_script_unref(&s);
}

/* What a task begins with. */
struct beginning {
	struct mlua_task *t;
	int fn;
	struct pb_msg *m;
	bool read_only, told, handled;
};

static int begin_protected(lua_State *L)
{
	const struct beginning *b = lua_touserdata(L, 1);
	lua_State *co = lua_newthread(L);
	struct mlua_msg *msg;

	b->t->co_ref = luaL_ref(L, LUA_REGISTRYINDEX);
	b->t->co = co;
	lua_rawgeti(L, LUA_REGISTRYINDEX, b->fn);
	lua_xmove(L, co, 1);
	if (!b->m)
		return 0;
	msg = mlua_message_push(L);
	lua_pushvalue(L, -1);
	lua_xmove(L, co, 1);
	if (b->told)
		lua_pushboolean(co, b->handled);
	b->t->msg_ref = luaL_ref(L, LUA_REGISTRYINDEX);
	b->t->msg = msg;
	msg->m = b->m;
	msg->read_only = b->read_only;
	return 0;
}

static int begin(const struct beginning *b)
{
	int status = mlua_sandbox_call(&b->t->script->box, begin_protected, (void *)(uintptr_t)b);

	return status == LUA_OK ? 0 : -ENOMEM;
}

/* ---- Running --------------------------------------------------------------------------- */

static const char *kind_name(const struct mlua_task *t)
{
	static const char *const names[] = { "start", "handler", "watch" };

	return names[t->kind];
}

/* What the handler returned; a text is the result of the message, too. */
static void take_result(struct mlua_task *t, int n)
{
	struct pb_str text;

	t->ok = true;
	if (!n || t->kind != MLUA_HANDLER)
		return;
	switch (lua_type(t->co, -n)) {
	case LUA_TBOOLEAN:
		t->handled = lua_toboolean(t->co, -n);
		break;
	case LUA_TSTRING:
		text.p = lua_tolstring(t->co, -n, &text.n);
		pb_msg_set_retval(t->msg->m, text);
		t->handled = true;
		break;
	case LUA_TNIL:
		break;
	default:
		pb_log(&mlua_log, &mlua_said[MLUA_SAY_ERROR],
		       "%.*s: a handler returned a %s: true, false or a text is wanted",
		       PB_STR_F(t->script->name), lua_typename(t->co, lua_type(t->co, -n)));
	}
}

/* @return true: it waits. Else it has ended and `ok` tells how. */
static bool run(struct mlua_task *t, int nargs)
{
	struct mlua_script *s = t->script;
	int n = 0, status;

	t->waiting = false;
	t->enqueued = 0;
	s->running = t;
	status = mlua_sandbox_resume(&s->box, t->co, nargs, &n);
	s->running = NULL;
	if (status == LUA_OK) {
		take_result(t, n);
		return false;
	}
	if (status == LUA_YIELD && t->waiting && !mlua_sandbox_spent(&s->box))
		return true;
	if (status == LUA_YIELD && !mlua_sandbox_spent(&s->box)) {
		mlua_script_count_error(s);
		pb_log(&mlua_log, &mlua_said[MLUA_SAY_ERROR],
		       "%.*s: a %s called coroutine.yield outside of a coroutine of its own",
		       PB_STR_F(s->name), kind_name(t));
	} else {
		mlua_script_error(s, t->co, kind_name(t));
	}
	mlua_sandbox_reset(&s->box, t->co);
	return false;
}

/* The copy takes the message's place. */
static void finish_held(struct mlua_task *t)
{
	struct pb_bus *bus = t->script->host->bus;
	struct pb_patch *patch = t->ok ? pb_patch_new() : NULL;
	enum pb_verdict v = t->handled ? PB_HANDLED : PB_PASS;
	struct pb_token token = t->token;

	if (patch)
		pb_patch_replace(patch, &t->msg->m);
	t->held = false;
	task_end(t);
	pb_bus_resume(bus, token, patch, v);
}

static void go_on(struct mlua_task *t)
{
	if (run(t, 0))
		return;
	if (t->held)
		finish_held(t);
	else
		task_end(t);
}

static void on_expired(void *arg)
{
	struct mlua_task *t = arg;

	pb_log(&mlua_log, &mlua_said[MLUA_SAY_KILLED],
	       "%.*s: a handler of %.*s took too long and was ended", PB_STR_F(t->script->name),
	       PB_STR_F(pb_msg_name(t->msg->m)));
	t->held = false;
	mlua_sandbox_reset(&t->script->box, t->co);
	task_end(t);
}

void mlua_task_kill(struct mlua_task *t)
{
	struct pb_bus *bus = t->script->host->bus;
	struct pb_token token = t->token;
	bool held = t->held;

	pb_assert(t->script->running != t);
	t->held = false;
	mlua_sandbox_reset(&t->script->box, t->co);
	task_end(t);
	if (held)
		pb_bus_resume(bus, token, NULL, PB_PASS);
}

/* ---- Entrances ---------------------------------------------------------------------------- */

/* The handler waits: hold its message and go on with a copy. */
static enum pb_verdict hold(struct mlua_task *t, struct pb_msg *m)
{
	struct pb_hold h = { .expired = on_expired, .arg = t };

	t->msg->m = pb_msg_copy(m);
	t->msg->owned = true;
	if (t->msg->m)
		t->token = pb_bus_hold(m, &h);
	if (!t->token.gen) {
		mlua_task_kill(t);
		return PB_PASS;
	}
	t->held = true;
	return PB_HOLD;
}

enum pb_verdict mlua_task_handle(struct mlua_reg *r, struct pb_msg *m)
{
	struct mlua_task *t = task_new(r->script, MLUA_HANDLER);
	struct beginning b = { .t = t, .fn = r->fn, .m = m };
	enum pb_verdict v;

	if (!t)
		return PB_PASS;
	if (begin(&b) < 0) {
		task_end(t);
		return PB_PASS;
	}
	if (run(t, 1))
		return hold(t, m);
	v = t->handled ? PB_HANDLED : PB_PASS;
	task_end(t);
	return v;
}

void mlua_task_watch(struct mlua_reg *r, struct pb_msg **m, bool handled)
{
	struct mlua_task *t =
		r->script->task_count < TASKS_MAX ? task_new(r->script, MLUA_WATCHER) : NULL;
	struct beginning b = { t, r->fn, *m, .read_only = true, .told = true, .handled = handled };

	if (!t)
		return;
	if (begin(&b) == 0) {
		t->msg->owned = true;
		*m = NULL;
		if (run(t, 2))
			return;
	}
	task_end(t);
}

/* Compiled and kept; the source was checked when it was read. */
static int load_main(lua_State *L)
{
	struct beginning *b = lua_touserdata(L, 1);
	struct mlua_script *s = b->t->script;

	lua_pushfstring(L, "@%s", s->path.p);
	if (luaL_loadbufferx(L, s->text.p, s->text.n, lua_tostring(L, -1), "t") != LUA_OK)
		return lua_error(L);
	b->fn = luaL_ref(L, LUA_REGISTRYINDEX);
	return 0;
}

int mlua_task_main(struct mlua_script *s)
{
	struct mlua_task *t = task_new(s, MLUA_MAIN);
	struct beginning b = { .t = t, .fn = LUA_NOREF };
	int status, err;

	if (!t)
		return -ENOMEM;
	status = mlua_sandbox_call(&s->box, load_main, &b);
	err = status == LUA_OK ? begin(&b) : status == LUA_ERRMEM ? -ENOMEM : -EINVAL;
	luaL_unref(s->box.L, LUA_REGISTRYINDEX, b.fn);
	if (!err && run(t, 0))
		return 0;
	if (!err && !t->ok)
		err = -EINVAL;
	task_end(t);
	return err;
}

/* ---- What yields ---------------------------------------------------------------------------- */

struct mlua_task *mlua_task_current(lua_State *L, const char *what)
{
	struct mlua_script *s = mlua_script_of(L);

	if (!s->running)
		luaL_error(L, "%s: not here", what);
	if (s->running->co != L)
		luaL_error(L, "%s: cannot be called inside a coroutine of the script's own", what);
	if (!lua_isyieldable(L))
		luaL_error(L, "%s: cannot wait here (inside a sort, gsub or metamethod)", what);
	return s->running;
}

static void on_timer(void *arg)
{
	go_on(arg);
}

void mlua_task_sleep(struct mlua_task *t, uint64_t ms)
{
	t->waiting = true;
	pb_timer_init(&t->timer, on_timer, t);
	pb_timer_start(t->script->host->loop, &t->timer, ms);
}

static void on_dispatched(struct pb_msg *m, bool handled, void *arg)
{
	struct mlua_wait *w = arg;
	struct mlua_task *t = w->task;
	struct mlua_script *s = w->script;

	if (t) {
		w->msg->m = m;
		t->wait = NULL;
		t->dispatched = handled;
	} else {
		pb_msg_free(&m);
	}
	pb_free(w);
	if (t)
		go_on(t);
	mlua_script_unref(&s);
}

static void dispatch_later(void *arg)
{
	struct mlua_wait *w = arg;

	pb_bus_dispatch(w->script->host->bus, w->m, NULL, on_dispatched, w);
}

int mlua_task_dispatch(struct mlua_task *t, struct mlua_msg *msg)
{
	struct mlua_wait *w = pb_alloc_zero(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->script = t->script;
	mlua_script_ref(t->script);
	w->task = t;
	w->msg = msg;
	w->m = msg->m;
	msg->m = NULL;
	if (t->held && t->msg->m) /* it has waited meanwhile: no handler is on the stack to lend its time */
		pb_msg_inherit(w->m, t->msg->m);
	t->wait = w;
	t->waiting = true;
	w->work = (struct pb_work){ .fn = dispatch_later, .arg = w };
	pb_loop_defer(t->script->host->loop, &w->work);
	return 0;
}

bool mlua_task_dispatched(const struct mlua_task *t)
{
	return t->dispatched;
}
