/*
 * The userdata is a box around a pointer, so that a script that keeps a message
 * beyond its time finds an empty box. Text is copied both ways; a number or
 * boolean becomes the text that messages have for it, and never comes back as
 * anything but text.
 */
#include "lua/message.h"

#include <lauxlib.h>
#include <stdlib.h>

#define MSG_META    "patchbay.msg"
#define PARAMS_META "patchbay.params"

struct mlua_msg *mlua_message_push(lua_State *L)
{
	struct mlua_msg *box = lua_newuserdatauv(L, sizeof(*box), 0);

	*box = (struct mlua_msg){ 0 };
	luaL_setmetatable(L, MSG_META);
	return box;
}

struct mlua_msg *mlua_message_test(lua_State *L, int index)
{
	return luaL_testudata(L, index, MSG_META);
}

struct mlua_msg *mlua_message_check(lua_State *L, int index)
{
	struct mlua_msg *box = luaL_checkudata(L, index, MSG_META);

	if (!box->m)
		luaL_error(L, "this message has gone: it was handled or sent on");
	return box;
}

static struct pb_msg *readable(lua_State *L, int index)
{
	return mlua_message_check(L, index)->m;
}

static struct pb_msg *writable(lua_State *L, int index)
{
	struct mlua_msg *box = mlua_message_check(L, index);

	if (box->read_only)
		luaL_error(L, "a watched message cannot be changed");
	return box->m;
}

static void check_room(lua_State *L, const struct pb_msg *m)
{
	if (pb_msg_failed(m))
		luaL_error(L, "the message is full: %d bytes are all it holds",
			   (int)PB_MSG_LIMIT_BYTES);
}

/* ---- Text ------------------------------------------------------------------------ */

static struct pb_str check_string(lua_State *L, int index)
{
	struct pb_str s;

	s.p = luaL_checklstring(L, index, &s.n);
	return s;
}

struct pb_str mlua_check_text(lua_State *L, int index)
{
	if (lua_isboolean(L, index))
		return lua_toboolean(L, index) ? PB_STR("true") : PB_STR("false");
	if (!lua_isstring(L, index))
		luaL_error(L, "a text, number or boolean is needed, not a %s",
			   luaL_typename(L, index));
	return check_string(L, index);
}

static void push_text(lua_State *L, struct pb_str s)
{
	if (s.p)
		lua_pushlstring(L, s.p, s.n);
	else
		lua_pushnil(L);
}

/* A value of nil takes the parameter away. */
static void set_param(lua_State *L, struct pb_msg *m, int name, int value)
{
	if (lua_isnil(L, value))
		pb_msg_clear(m, check_string(L, name));
	else
		pb_msg_set(m, check_string(L, name), mlua_check_text(L, value));
	check_room(L, m);
}

/* ---- Methods ------------------------------------------------------------------------ */

static int msg_get(lua_State *L)
{
	struct pb_str v = pb_msg_get(readable(L, 1), check_string(L, 2));

	if (v.p)
		push_text(L, v);
	else
		lua_settop(L, 3); /* the default that was given, or nil */
	return 1;
}

static int msg_set(lua_State *L)
{
	lua_settop(L, 3);
	set_param(L, writable(L, 1), 2, 3);
	return 0;
}

static int msg_add(lua_State *L)
{
	struct pb_msg *m = writable(L, 1);

	pb_msg_add(m, check_string(L, 2), mlua_check_text(L, 3));
	check_room(L, m);
	return 0;
}

static int msg_clear(lua_State *L)
{
	pb_msg_clear(writable(L, 1), check_string(L, 2));
	return 0;
}

/* Upvalues: the message and how far the walk is. */
static int next_param(lua_State *L)
{
	struct pb_msg *m = readable(L, lua_upvalueindex(1));
	lua_Integer i = lua_tointeger(L, lua_upvalueindex(2));
	const struct pb_param *p = pb_msg_at(m, (size_t)i);

	if (!p)
		return 0;
	lua_pushinteger(L, i + 1);
	lua_replace(L, lua_upvalueindex(2));
	push_text(L, p->name);
	push_text(L, p->value);
	return 2;
}

static int msg_pairs(lua_State *L)
{
	mlua_message_check(L, 1);
	lua_pushvalue(L, 1);
	lua_pushinteger(L, 0);
	lua_pushcclosure(L, next_param, 2);
	return 1;
}

static int msg_string(lua_State *L)
{
	struct mlua_msg *box = luaL_checkudata(L, 1, MSG_META);

	lua_pushfstring(L, "message '%s'", box->m ? pb_msg_name(box->m).p : "(gone)");
	return 1;
}

static int msg_collect(lua_State *L)
{
	struct mlua_msg *box = luaL_checkudata(L, 1, MSG_META);

	if (box->owned)
		pb_msg_free(&box->m);
	box->m = NULL;
	return 0;
}

/* ---- Fields ---------------------------------------------------------------------------- */

static void push_params(lua_State *L)
{
	lua_newuserdatauv(L, 0, 1);
	luaL_setmetatable(L, PARAMS_META);
	lua_pushvalue(L, 1);
	lua_setiuservalue(L, -2, 1);
}

/* Upvalue: the methods by name. */
static int msg_index(lua_State *L)
{
	struct pb_msg *m = readable(L, 1);
	struct pb_str key = check_string(L, 2);

	if (pb_str_eq(key, PB_STR("name"))) {
		push_text(L, pb_msg_name(m));
	} else if (pb_str_eq(key, PB_STR("retval"))) {
		push_text(L, pb_msg_retval(m));
	} else if (pb_str_eq(key, PB_STR("params"))) {
		push_params(L);
	} else {
		lua_pushvalue(L, 2);
		if (lua_rawget(L, lua_upvalueindex(1)) == LUA_TNIL)
			push_text(L, pb_msg_get(m, key));
	}
	return 1;
}

static int msg_newindex(lua_State *L)
{
	struct pb_msg *m = writable(L, 1);
	struct pb_str key = check_string(L, 2);

	if (pb_str_eq(key, PB_STR("name")))
		pb_msg_set_name(m, check_string(L, 3));
	else if (pb_str_eq(key, PB_STR("retval")))
		pb_msg_set_retval(m, lua_isnil(L, 3) ? PB_STR("") : mlua_check_text(L, 3));
	else if (pb_str_eq(key, PB_STR("params")))
		luaL_error(L, "params cannot be replaced; set one by one");
	else
		set_param(L, m, 2, 3);
	check_room(L, m);
	return 0;
}

/* ---- msg.params -------------------------------------------------------------------------- */

/* Puts the message in place of its params at 1. */
static void params_to_msg(lua_State *L)
{
	luaL_checkudata(L, 1, PARAMS_META);
	lua_getiuservalue(L, 1, 1);
	lua_replace(L, 1);
}

/* By name the first value; by position {name = , value = }. */
static int params_index(lua_State *L)
{
	struct pb_msg *m;
	const struct pb_param *p;

	params_to_msg(L);
	m = readable(L, 1);
	if (!lua_isinteger(L, 2)) {
		push_text(L, pb_msg_get(m, check_string(L, 2)));
		return 1;
	}
	p = lua_tointeger(L, 2) < 1 ? NULL : pb_msg_at(m, (size_t)lua_tointeger(L, 2) - 1);
	if (!p) {
		lua_pushnil(L);
		return 1;
	}
	lua_createtable(L, 0, 2);
	push_text(L, p->name);
	lua_setfield(L, -2, "name");
	push_text(L, p->value);
	lua_setfield(L, -2, "value");
	return 1;
}

static int params_newindex(lua_State *L)
{
	params_to_msg(L);
	set_param(L, writable(L, 1), 2, 3);
	return 0;
}

static int params_len(lua_State *L)
{
	params_to_msg(L);
	lua_pushinteger(L, (lua_Integer)pb_msg_count(readable(L, 1)));
	return 1;
}

static int params_pairs(lua_State *L)
{
	params_to_msg(L);
	return msg_pairs(L);
}

/* ---- Metatables ---------------------------------------------------------------------------- */

static void make_meta(lua_State *L, const char *name, const luaL_Reg *functions)
{
	luaL_newmetatable(L, name);
	luaL_setfuncs(L, functions, 0);
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
}

void mlua_message_open(lua_State *L)
{
	static const luaL_Reg methods[] = {
		{ "get", msg_get },     { "set", msg_set },     { "add", msg_add },
		{ "clear", msg_clear }, { "pairs", msg_pairs }, { NULL, NULL },
	};
	static const luaL_Reg meta[] = {
		{ "__newindex", msg_newindex },
		{ "__pairs", msg_pairs },
		{ "__tostring", msg_string },
		{ "__gc", msg_collect },
		{ NULL, NULL },
	};
	static const luaL_Reg params[] = {
		{ "__index", params_index },
		{ "__newindex", params_newindex },
		{ "__len", params_len },
		{ "__pairs", params_pairs },
		{ NULL, NULL },
	};

	make_meta(L, MSG_META, meta);
	luaL_newlib(L, methods);
	lua_pushcclosure(L, msg_index, 1);
	lua_setfield(L, -2, "__index");
	make_meta(L, PARAMS_META, params);
	lua_pop(L, 2);
}

/* ---- Filling --------------------------------------------------------------------------------- */

static void fill_from_msg(const struct pb_msg *from, struct pb_msg *m)
{
	for (size_t i = 0; i < pb_msg_count(from); i++)
		pb_msg_add(m, pb_msg_at(from, i)->name, pb_msg_at(from, i)->value);
}

static void fill_pair(lua_State *L, int pair, struct pb_msg *m)
{
	luaL_checktype(L, pair, LUA_TTABLE);
	lua_rawgeti(L, pair, 1);
	lua_rawgeti(L, pair, 2);
	pb_msg_add(m, check_string(L, -2), mlua_check_text(L, -1));
	lua_pop(L, 2);
}

static int by_text(const void *a, const void *b)
{
	return pb_str_cmp(*(const struct pb_str *)a, *(const struct pb_str *)b);
}

static size_t count_names(lua_State *L, int table)
{
	size_t n = 0;

	for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1))
		n += lua_type(L, -2) == LUA_TSTRING;
	return n;
}

/* The names of the table, sorted, on top of the stack: Lua's own order is
 * another one at each start. The table keeps their text alive. */
static const struct pb_str *sorted_names(lua_State *L, int table, size_t n)
{
	struct pb_str *names = lua_newuserdatauv(L, (n + 1) * sizeof(*names), 0);
	size_t i = 0;

	for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
		if (lua_type(L, -2) == LUA_TSTRING)
			names[i++] = check_string(L, -2);
	}
	qsort(names, n, sizeof(*names), by_text);
	return names;
}

static void fill_from_table(lua_State *L, int table, struct pb_msg *m)
{
	size_t n = count_names(L, table);
	const struct pb_str *names;

	for (lua_Integer i = 1; lua_rawgeti(L, table, i) != LUA_TNIL; i++) {
		fill_pair(L, lua_gettop(L), m);
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
	names = sorted_names(L, table, n);
	for (size_t i = 0; i < n; i++) {
		lua_pushlstring(L, names[i].p, names[i].n);
		lua_rawget(L, table);
		pb_msg_add(m, names[i], mlua_check_text(L, -1));
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
}

void mlua_message_fill(lua_State *L, int index, struct pb_msg *m)
{
	struct mlua_msg *from = mlua_message_test(L, index);

	if (lua_isnoneornil(L, index))
		return;
	if (from) {
		fill_from_msg(mlua_message_check(L, index)->m, m);
	} else {
		luaL_checktype(L, index, LUA_TTABLE);
		fill_from_table(L, index, m);
	}
	check_room(L, m);
}
