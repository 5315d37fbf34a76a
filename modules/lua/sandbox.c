/*
 * The sandbox. Four gates:
 *
 * Memory: Lua asks one allocator for everything, and it refuses beyond the
 * limit; Lua collects garbage and tries again, then raises an error. Telling
 * about one needs a little memory, which is granted above the limit.
 *
 * Instructions: a hook every hundred instructions counts down. At the end it
 * yields, which no pcall catches: from coroutine to coroutine up to whoever
 * resumed the outermost one. Where yielding is impossible (inside a sort or
 * gsub) it raises an error, and from then on at each single instruction of that
 * coroutine, so that a script which catches it has no time to use it. Lua does
 * not count while an error is on its way out of a hook, so nothing of the
 * script may run then: xpcall calls its handler afterwards, and coroutines that
 * died of it are not closed. A C function cannot be interrupted (string.find
 * with a hostile pattern runs to its end); that is why scripts live on loops
 * that own no calls.
 *
 * Time: what an instruction takes is not bounded (each allocation refused costs
 * a whole collection), so the hook looks at the thread's CPU time too.
 *
 * Library: what reaches files, processes, foreign code or byte code is not
 * there. Finalizers (__gc) are refused, as hooks do not count inside them.
 *
 * Nothing of Lua's interface that can raise an error is called outside a
 * protected call: an error there would end the process.
 */
#include "lua/sandbox.h"

#include <errno.h>
#include <lauxlib.h>
#include <lualib.h>
#include <time.h>

#include "base/alloc.h"

#define HOOK_EVERY 100
/* Hooks between two looks at the clock. */
#define LOOK_EVERY 10
/* CPU time for so many instructions of budget; they take a tenth of that. */
#define INSTRUCTIONS_A_MS 2000
#define LEAST_MS          200
/* For the text of an error and the list of calls. */
#define SLACK_BYTES        (64u << 10)
#define CHECK_MEMORY_BYTES (256u << 20)

struct mlua_sandbox *mlua_sandbox_of(lua_State *L)
{
	return *(struct mlua_sandbox **)lua_getextraspace(L);
}

/* ---- Memory ------------------------------------------------------------------------ */

static void *allocate(void *ud, void *p, size_t old, size_t want)
{
	struct mlua_sandbox *b = ud;
	void *q;

	if (!p)
		old = 0; /* it is a type then */
	if (!want) {
		pb_free(p);
		b->memory -= old;
		return NULL;
	}
	if (want > old && b->memory + (want - old) > b->memory_limit)
		return NULL;
	q = pb_alloc_grow(p, want);
	if (q)
		b->memory = b->memory - old + want;
	return q;
}

/* ---- Instructions ------------------------------------------------------------------- */

static uint64_t cpu_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* The full budget, for one entry. */
static void grant(struct mlua_sandbox *b)
{
	uint64_t ms = (uint64_t)b->instructions / INSTRUCTIONS_A_MS;

	b->left = b->instructions;
	b->until_ms = cpu_ms() + (ms > LEAST_MS ? ms : LEAST_MS);
}

/* "file:line: ...", where `co` is now: a hook has no level of its own. */
static void push_spent(lua_State *L, lua_State *co, const struct mlua_sandbox *b)
{
	lua_Debug ar;

	if (lua_getstack(co, 0, &ar) && lua_getinfo(co, "Sl", &ar) && ar.currentline > 0)
		lua_pushfstring(L, "%s:%d: ", ar.short_src, ar.currentline);
	else
		lua_pushliteral(L, "");
	lua_pushfstring(L, "the budget of %I instructions is used up",
			(LUAI_UACINT)b->instructions);
	lua_concat(L, 2);
}

static void on_count(lua_State *L, lua_Debug *ar)
{
	struct mlua_sandbox *b = mlua_sandbox_of(L);

	b->left -= HOOK_EVERY;
	if (++b->hooks % LOOK_EVERY == 0 && cpu_ms() >= b->until_ms)
		b->left = 0;
	if (b->left > 0)
		return;
	lua_sethook(L, on_count, LUA_MASKCOUNT, 1);
	if (lua_isyieldable(L)) {
		lua_yield(L, 0);
		return;
	}
	push_spent(L, L, b);
	lua_error(L);
}

bool mlua_sandbox_spent(const struct mlua_sandbox *b)
{
	return b->left <= 0;
}

int mlua_sandbox_resume(struct mlua_sandbox *b, lua_State *co, int nargs, int *nresults)
{
	grant(b);
	return lua_resume(co, b->L, nargs, nresults);
}

int mlua_sandbox_call(struct mlua_sandbox *b, lua_CFunction fn, void *arg)
{
	int status;

	grant(b);
	lua_pushcfunction(b->L, fn);
	lua_pushlightuserdata(b->L, arg);
	status = lua_pcall(b->L, 1, 0, 0);
	if (status != LUA_OK)
		lua_pop(b->L, 1);
	return status;
}

/* ---- Errors ---------------------------------------------------------------------------- */

struct error_job {
	lua_State *co;
	struct pb_text *t;
};

/* Lines of a traceback as one: " | " between them. */
static void add_line(struct pb_text *t, struct pb_str text)
{
	struct pb_str line;
	bool first = true;

	while (pb_str_cut(&text, '\n', &line)) {
		line = pb_str_trim_space(line);
		if (!line.n || pb_str_eq(line, PB_STR("[C]: in ?")))
			continue;
		if (!first)
			pb_text_lit(t, " | ");
		pb_text_add(t, line);
		first = false;
	}
}

static struct pb_str text_at(lua_State *L, int i)
{
	struct pb_str s = PB_STR("(an error that is no text)");

	if (lua_type(L, i) == LUA_TSTRING)
		s.p = lua_tolstring(L, i, &s.n);
	return s;
}

static int put_error(lua_State *L)
{
	struct error_job *j = lua_touserdata(L, 1);

	if (lua_status(j->co) == LUA_YIELD)
		push_spent(L, j->co, mlua_sandbox_of(L));
	else
		lua_pushstring(L, text_at(j->co, -1).p);
	luaL_traceback(L, j->co, lua_tostring(L, -1), 0);
	add_line(j->t, text_at(L, -1));
	return 0;
}

void mlua_sandbox_reset(struct mlua_sandbox *b, lua_State *co)
{
	if (lua_status(co) != LUA_YIELD && mlua_sandbox_spent(b))
		return; /* what it has to close would not be counted */
	grant(b);
	lua_resetthread(co);
}

void mlua_sandbox_error(struct mlua_sandbox *b, lua_State *co, struct pb_text *t)
{
	struct error_job j = { co, t };
	int64_t left = b->left;

	b->memory_limit += SLACK_BYTES;
	if (mlua_sandbox_call(b, put_error, &j) != LUA_OK)
		add_line(t, text_at(co, -1));
	b->memory_limit -= SLACK_BYTES;
	b->left = left; /* whether it was spent is still asked */
}

/* ---- The library -------------------------------------------------------------------------- */

static int lib_print(lua_State *L)
{
	struct mlua_sandbox *b = mlua_sandbox_of(L);
	luaL_Buffer buf;
	int n = lua_gettop(L);
	struct pb_str s;

	luaL_buffinit(L, &buf);
	for (int i = 1; i <= n; i++) {
		if (i > 1)
			luaL_addchar(&buf, '\t');
		luaL_tolstring(L, i, NULL);
		luaL_addvalue(&buf);
	}
	luaL_pushresult(&buf);
	s.p = lua_tolstring(L, -1, &s.n);
	if (b->print)
		b->print(b->arg, s);
	return 0;
}

/* Text only: byte code can do what the language cannot. */
static int lib_load(lua_State *L)
{
	lua_settop(L, 4);
	lua_pushliteral(L, "t");
	lua_replace(L, 3);
	if (lua_isnil(L, 4)) { /* an environment of nil is not none */
		lua_pushglobaltable(L);
		lua_replace(L, 4);
	}
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	lua_call(L, 4, LUA_MULTRET);
	return lua_gettop(L);
}

static int lib_setmetatable(lua_State *L)
{
	if (lua_istable(L, 2)) {
		lua_pushliteral(L, "__gc");
		if (lua_rawget(L, 2) != LUA_TNIL)
			return luaL_error(L, "a metatable with __gc is not allowed here");
		lua_pop(L, 1);
	}
	lua_settop(L, 2);
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	lua_call(L, 2, 1);
	return 1;
}

/* At 1 the handler, above it the results or the error. */
static int after_xpcall(lua_State *L, int status, lua_KContext kcx)
{
	if (status == LUA_OK || status == LUA_YIELD) {
		lua_pushboolean(L, 1);
		lua_replace(L, 1);
		return lua_gettop(L);
	}
	lua_settop(L, 2); /* the handler and the error */
	lua_call(L, 1, 1);
	lua_pushboolean(L, 0);
	lua_insert(L, 1);
	return 2;
}

/* The handler is called after the error has gone up, not before. */
static int lib_xpcall(lua_State *L)
{
	luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_pushvalue(L, 2);
	lua_remove(L, 2);
	lua_insert(L, 1); /* handler, function, arguments */
	return after_xpcall(L, lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, 0, after_xpcall),
			    0);
}

static int lib_collectgarbage(lua_State *L)
{
	static const char *const words[] = { "collect", "count", "step", NULL };
	struct mlua_sandbox *b = mlua_sandbox_of(L);

	switch (luaL_checkoption(L, 1, "collect", words)) {
	case 1:
		lua_pushnumber(L, (lua_Number)b->memory / 1024);
		return 1;
	case 2:
		lua_pushboolean(L, lua_gc(L, LUA_GCSTEP, 0));
		return 1;
	default:
		lua_gc(L, LUA_GCCOLLECT);
		lua_pushinteger(L, 0);
		return 1;
	}
}

static int lib_time(lua_State *L)
{
	struct mlua_sandbox *b = mlua_sandbox_of(L);

	if (lua_isnoneornil(L, 1) && b->loop) {
		lua_pushinteger(L, (lua_Integer)(pb_loop_wall_us(b->loop) / 1000000));
		return 1;
	}
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	lua_call(L, lua_gettop(L) - 1, 1);
	return 1;
}

/* A global of the base library behind a function of ours. */
static void wrap(lua_State *L, const char *name, lua_CFunction fn)
{
	lua_getglobal(L, name);
	lua_pushcclosure(L, fn, 1);
	lua_setglobal(L, name);
}

static void drop(lua_State *L, const char *name)
{
	lua_pushnil(L);
	lua_setglobal(L, name);
}

static void open_base(lua_State *L)
{
	luaL_requiref(L, LUA_GNAME, luaopen_base, 1);
	lua_pop(L, 1);
	drop(L, "dofile");
	drop(L, "loadfile");
	wrap(L, "load", lib_load);
	wrap(L, "setmetatable", lib_setmetatable);
	lua_register(L, "xpcall", lib_xpcall);
	lua_register(L, "print", lib_print);
	lua_register(L, "collectgarbage", lib_collectgarbage);
}

/* os: the three functions that only look at the clock. */
static void open_os(lua_State *L)
{
	static const char *const names[] = { "date", "clock" };

	luaL_requiref(L, LUA_OSLIBNAME, luaopen_os, 0);
	lua_newtable(L);
	for (int i = 0; i < 2; i++) {
		lua_getfield(L, -2, names[i]);
		lua_setfield(L, -2, names[i]);
	}
	lua_getfield(L, -2, "time");
	lua_pushcclosure(L, lib_time, 1);
	lua_setfield(L, -2, "time");
	lua_setglobal(L, LUA_OSLIBNAME);
	lua_pop(L, 1);
}

/* coroutine.close: not for one that died while Lua does not count. */
static int lib_close(lua_State *L)
{
	if (mlua_sandbox_spent(mlua_sandbox_of(L)))
		return luaL_error(L, "the budget of instructions is used up");
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
	return lua_gettop(L);
}

/* coroutine.wrap as Lua's own, but for closing the coroutine after an error. */
static const char wrap_text[] =
	"local create, resume, error = coroutine.create, coroutine.resume, error\n"
	"local function pass(ok, ...) if ok then return ... end error((...), 0) end\n"
	"function coroutine.wrap(f)\n"
	"  local co = create(f)\n"
	"  return function(...) return pass(resume(co, ...)) end\n"
	"end\n";

static void open_coroutine(lua_State *L)
{
	luaL_requiref(L, LUA_COLIBNAME, luaopen_coroutine, 1);
	lua_getfield(L, -1, "close");
	lua_pushcclosure(L, lib_close, 1);
	lua_setfield(L, -2, "close");
	lua_pop(L, 1);
	if (luaL_loadbufferx(L, wrap_text, sizeof(wrap_text) - 1, "=wrap", "t") != LUA_OK)
		lua_error(L);
	lua_call(L, 0, 0);
}

static int open_libraries(lua_State *L)
{
	static const luaL_Reg libs[] = {
		{ LUA_STRLIBNAME, luaopen_string },
		{ LUA_TABLIBNAME, luaopen_table },
		{ LUA_MATHLIBNAME, luaopen_math },
		{ LUA_UTF8LIBNAME, luaopen_utf8 },
	};

	open_base(L);
	for (size_t i = 0; i < sizeof(libs) / sizeof(libs[0]); i++) {
		luaL_requiref(L, libs[i].name, libs[i].func, 1);
		lua_pop(L, 1);
	}
	open_coroutine(L);
	open_os(L);
	lua_getglobal(L, LUA_STRLIBNAME);
	lua_pushnil(L);
	lua_setfield(L, -2, "dump");
	lua_pop(L, 1);
	return 0;
}

/* ---- Life ---------------------------------------------------------------------------------- */

int mlua_sandbox_open(struct mlua_sandbox *b)
{
	b->memory = 0;
	b->L = lua_newstate(allocate, b);
	if (!b->L)
		return -ENOMEM;
	*(struct mlua_sandbox **)lua_getextraspace(b->L) = b;
	lua_sethook(b->L, on_count, LUA_MASKCOUNT, HOOK_EVERY);
	if (mlua_sandbox_call(b, open_libraries, NULL) != LUA_OK) {
		mlua_sandbox_close(b);
		return -ENOMEM;
	}
	return 0;
}

void mlua_sandbox_close(struct mlua_sandbox *b)
{
	if (b->L)
		lua_close(b->L);
	b->L = NULL;
}

/* ---- Checking -------------------------------------------------------------------------------- */

/* "route.lua:12: unexpected symbol" into line and text. */
static void split_place(struct pb_str name, struct pb_str said, unsigned *line, struct pb_text *why)
{
	struct pb_str rest = said, number;
	uint32_t n = 0;

	*line = 0;
	if (pb_str_starts(rest, name)) {
		rest = pb_str_from(rest, name.n + 1);
		if (pb_str_cut(&rest, ':', &number) &&
		    pb_str_to_u32(number, 1, UINT32_MAX, &n) == 0) {
			*line = n;
			said = rest;
		}
	}
	add_line(why, said);
}

struct check_job {
	struct pb_str name, text;
};

static int check(lua_State *L)
{
	const struct check_job *j = lua_touserdata(L, 1);

	lua_pushfstring(L, "@%s", j->name.p);
	if (luaL_loadbufferx(L, j->text.p, j->text.n, lua_tostring(L, -1), "t") != LUA_OK)
		return lua_error(L);
	return 0;
}

int mlua_sandbox_check(struct pb_str name, struct pb_str text, unsigned *line, struct pb_text *why)
{
	struct mlua_sandbox b = { .memory_limit = CHECK_MEMORY_BYTES, .instructions = 1000000 };
	struct check_job j = { name, text };
	int status;

	if (mlua_sandbox_open(&b) < 0)
		return -ENOMEM;
	lua_pushcfunction(b.L, check);
	lua_pushlightuserdata(b.L, &j);
	status = lua_pcall(b.L, 1, 0, 0);
	if (status == LUA_ERRSYNTAX || status == LUA_ERRRUN)
		split_place(name, text_at(b.L, -1), line, why);
	mlua_sandbox_close(&b);
	return status == LUA_OK ? 0 : status == LUA_ERRMEM ? -ENOMEM : -EINVAL;
}
