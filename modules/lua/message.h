/*
 * A message in Lua: msg.name, msg.retval, msg.params, and every other name is a
 * parameter (msg.caller). Methods: get, set, add, clear, pairs.
 */
#ifndef LUA_MESSAGE_H
#define LUA_MESSAGE_H

#include <lua.h>

#include "bus/msg.h"

/** What the userdata holds. */
struct mlua_msg {
	struct pb_msg *m; /* NULL: it has gone (handled, enqueued, under way) */
	bool owned;       /* m dies with the userdata */
	bool read_only;
};

/** Make the metatables. May raise errors, as all that follow. */
void mlua_message_open(lua_State *L);
/** A message without content yet, on top of the stack. */
struct mlua_msg *mlua_message_push(lua_State *L);
struct mlua_msg *mlua_message_check(lua_State *L, int index);
/** The message at `index`, or NULL when that is something else. */
struct mlua_msg *mlua_message_test(lua_State *L, int index);
/**
 * Add the parameters in what is at `index`: nothing, a message, or a table of
 * pairs {name, value} (in order) and of name = value (by name).
 */
void mlua_message_fill(lua_State *L, int index, struct pb_msg *m);
/** Text of a string, number or boolean; an error for anything else. */
struct pb_str mlua_check_text(lua_State *L, int index);

#endif
