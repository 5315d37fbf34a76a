/*
 * The functions that scripts call: bus, log, engine and sleep.
 *
 * A C function that raises an error does not come back, so whatever it has made
 * belongs to Lua before anything can go wrong.
 */
#include <errno.h>
#include <lauxlib.h>
#include <math.h>

#include "lua/task.h"

/* Messages that one script may enqueue before it lets others run. */
#define ENQUEUED_MAX 10000
#define SLEEP_MAX_S  2000000.0

/* ---- bus.handle, bus.watch ------------------------------------------------------------- */

static struct pb_str string_at(lua_State *L, int index)
{
	struct pb_str s;

	s.p = luaL_checklstring(L, index, &s.n);
	return s;
}

static unsigned priority_at(lua_State *L, int index)
{
	lua_Integer v = luaL_optinteger(L, index, 100);

	if (v < 0 || v > UINT32_MAX)
		luaL_error(L, "a priority is a number from 0 to %I", (LUAI_UACINT)UINT32_MAX);
	return (unsigned)v;
}

/* filter = { called = "123" } */
static void read_filter(lua_State *L, int table, struct mlua_reg *r)
{
	luaL_checktype(L, table, LUA_TTABLE);
	lua_pushnil(L);
	if (!lua_next(L, table))
		luaL_error(L, "the filter is empty");
	if (lua_type(L, -2) != LUA_TSTRING)
		luaL_error(L, "a filter is a table like { called = \"123\" }");
	r->filter_name = string_at(L, -2);
	r->filter_value = mlua_check_text(L, -1);
	lua_pushvalue(L, -2);
	if (lua_next(L, table))
		luaL_error(L, "a filter has one parameter");
}

/* bus.handle{ name = , priority = , filter = , timeout = , function }; the
 * function is on top afterwards, and what was read stays below it. */
static void read_handler(lua_State *L, struct mlua_reg *r)
{
	lua_getfield(L, 1, "name");
	r->message = string_at(L, -1);
	lua_getfield(L, 1, "priority");
	r->priority = priority_at(L, lua_gettop(L));
	if (lua_getfield(L, 1, "timeout") != LUA_TNIL) {
		lua_Number s = luaL_checknumber(L, -1);

		if (!(s > 0 && s <= 3600))
			luaL_error(L, "a timeout is in seconds, up to an hour");
		r->hold_ms = (unsigned)(s * 1000 + 0.5);
	}
	if (lua_getfield(L, 1, "filter") != LUA_TNIL)
		read_filter(L, lua_gettop(L), r);
	if (lua_rawgeti(L, 1, 1) == LUA_TNIL)
		lua_getfield(L, 1, "fn");
	luaL_checktype(L, -1, LUA_TFUNCTION);
}

static int add(lua_State *L, const struct mlua_reg *r)
{
	int err = mlua_reg_add(mlua_script_of(L), L, lua_gettop(L), r);

	if (err)
		return luaL_error(L, "the handler cannot be added: %s", strerror(-err));
	return 0;
}

static int bus_handle(lua_State *L)
{
	struct mlua_reg r = { .priority = 100, .filter_value = PB_STR_INIT("") };

	if (lua_istable(L, 1)) {
		read_handler(L, &r);
		return add(L, &r);
	}
	r.message = string_at(L, 1);
	if (lua_isfunction(L, 2)) {
		lua_settop(L, 2);
		return add(L, &r);
	}
	r.priority = priority_at(L, 2);
	luaL_checktype(L, 3, LUA_TFUNCTION);
	lua_settop(L, 3);
	return add(L, &r);
}

/* bus.watch([name,] function): without a name every message. */
static int bus_watch(lua_State *L)
{
	struct mlua_reg r = { .watch = true, .message = PB_STR_INIT("") };

	if (!lua_isfunction(L, 1))
		r.message = string_at(L, 1);
	lua_settop(L, lua_isfunction(L, 1) ? 1 : 2);
	luaL_checktype(L, -1, LUA_TFUNCTION);
	return add(L, &r);
}

/* ---- bus.dispatch, bus.enqueue ------------------------------------------------------------ */

/* The message of (name, params) in a userdata on top of the stack. */
static struct mlua_msg *make_message(lua_State *L)
{
	struct pb_str name = string_at(L, 1);
	struct mlua_msg *msg;

	lua_settop(L, 2);
	msg = mlua_message_push(L);
	msg->m = pb_msg_new(name);
	msg->owned = true;
	if (!msg->m)
		luaL_error(L, "there is no memory for the message");
	mlua_message_fill(L, 2, msg->m);
	return msg;
}

/* The message is where it was on the stack when the task yielded. */
static int after_dispatch(lua_State *L, int status, lua_KContext kcx)
{
	lua_pushboolean(L, mlua_task_dispatched(mlua_script_of(L)->running));
	lua_pushvalue(L, 3);
	return 2;
}

static int bus_dispatch(lua_State *L)
{
	struct mlua_task *t = mlua_task_current(L, "bus.dispatch");
	struct mlua_msg *msg = make_message(L);

	if (mlua_task_dispatch(t, msg) < 0)
		return luaL_error(L, "there is no memory to dispatch the message");
	return lua_yieldk(L, 0, 0, after_dispatch);
}

static int bus_enqueue(lua_State *L)
{
	struct mlua_script *s = mlua_script_of(L);
	struct mlua_msg *msg = make_message(L);
	struct pb_msg *m = msg->m;

	if (s->running && s->running->enqueued++ >= ENQUEUED_MAX)
		return luaL_error(L, "bus.enqueue: %d messages without a sleep between are enough",
				  ENQUEUED_MAX);
	msg->m = NULL;
	pb_bus_enqueue(s->host->bus, m);
	return 0;
}

/* ---- sleep ------------------------------------------------------------------------------------
 */

static int after_sleep(lua_State *L, int status, lua_KContext kcx)
{
	return 0;
}

static int api_sleep(lua_State *L)
{
	lua_Number s = luaL_checknumber(L, 1);
	struct mlua_task *t = mlua_task_current(L, "sleep");

	if (!(s >= 0)) /* also what is no number */
		s = 0;
	if (s > SLEEP_MAX_S)
		s = SLEEP_MAX_S;
	mlua_task_sleep(t, (uint64_t)ceil((double)s * 1000));
	return lua_yieldk(L, 0, 0, after_sleep);
}

/* ---- log, engine --------------------------------------------------------------------------------
 */

/* Upvalue: the level. */
static int log_line(lua_State *L)
{
	struct mlua_script *s = mlua_script_of(L);
	enum pb_level level = (enum pb_level)lua_tointeger(L, lua_upvalueindex(1));
	int n = lua_gettop(L);
	struct pb_str text;

	if (!pb_log_wants(&mlua_log, level))
		return 0;
	for (int i = 1; i <= n; i++) {
		luaL_tolstring(L, i, NULL);
		if (i < n)
			lua_pushliteral(L, " ");
	}
	lua_concat(L, n ? 2 * n - 1 : 0);
	text.p = lua_tolstring(L, -1, &text.n);
	pb_log_at(&mlua_log, level, "%.*s: %.*s", PB_STR_F(s->name), PB_STR_F(text));
	return 0;
}

static int engine_run_param(lua_State *L)
{
	struct mlua_host *h = mlua_script_of(L)->host;
	struct pb_str v = h->engine ? pb_engine_run_param(h->engine, string_at(L, 1)) : PB_STR_NULL;

	if (v.p)
		lua_pushlstring(L, v.p, v.n);
	else
		lua_pushnil(L);
	return 1;
}

static void open_log(lua_State *L)
{
	static const struct {
		const char *name;
		enum pb_level level;
	} rows[] = {
		{ "warn", PB_WARN },
		{ "note", PB_NOTE },
		{ "info", PB_INFO },
		{ "debug", PB_ALL },
	};

	lua_newtable(L);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		lua_pushinteger(L, rows[i].level);
		lua_pushcclosure(L, log_line, 1);
		lua_setfield(L, -2, rows[i].name);
	}
	lua_setglobal(L, "log");
}

int mlua_api_open(lua_State *L)
{
	static const luaL_Reg bus[] = {
		{ "handle", bus_handle },   { "watch", bus_watch }, { "dispatch", bus_dispatch },
		{ "enqueue", bus_enqueue }, { NULL, NULL },
	};
	static const luaL_Reg engine[] = { { "run_param", engine_run_param }, { NULL, NULL } };

	luaL_newlib(L, bus);
	lua_setglobal(L, "bus");
	luaL_newlib(L, engine);
	lua_setglobal(L, "engine");
	lua_register(L, "sleep", api_sleep);
	open_log(L);
	return 0;
}
