/* modules/lua/sandbox and message: what a script can and cannot do. */
#include "../../support/test.h"

#include <errno.h>
#include <lauxlib.h>

#include "lua/message.h"
#include "lua/sandbox.h"

static int open_messages(lua_State *L)
{
	mlua_message_open(L);
	return 0;
}

static void open_box(struct mlua_sandbox *b)
{
	*b = (struct mlua_sandbox){ .memory_limit = 8u << 20, .instructions = 2000000 };
	CU_ASSERT_EQUAL_FATAL(mlua_sandbox_open(b), 0);
	CU_ASSERT_EQUAL_FATAL(mlua_sandbox_call(b, open_messages, NULL), LUA_OK);
}

struct chunk {
	const char *text;
	lua_State *co;
	struct pb_msg *m;
};

static int load_chunk(lua_State *L)
{
	struct chunk *c = lua_touserdata(L, 1);
	lua_State *co = lua_newthread(L);

	luaL_ref(L, LUA_REGISTRYINDEX);
	if (luaL_loadbufferx(co, c->text, strlen(c->text), "@t.lua", "t") != LUA_OK)
		return luaL_error(L, "%s", lua_tostring(co, -1));
	if (c->m)
		mlua_message_push(co)->m = c->m;
	c->co = co;
	return 0;
}

/* The first result as text, or "ERROR " and what went wrong. */
static void eval(struct mlua_sandbox *b, struct chunk *c, struct pb_text *t)
{
	int n = 0, status;

	pb_text_reset(t);
	if (mlua_sandbox_call(b, load_chunk, c) != LUA_OK) {
		pb_text_lit(t, "ERROR load");
		return;
	}
	status = mlua_sandbox_resume(b, c->co, c->m != NULL, &n);
	if (status != LUA_OK) {
		CU_ASSERT_TRUE(status != LUA_YIELD || mlua_sandbox_spent(b));
		pb_text_lit(t, "ERROR ");
		mlua_sandbox_error(b, c->co, t);
	} else if (n) {
		size_t len;
		const char *p = luaL_tolstring(c->co, -n, &len);

		pb_text_add(t, pb_str(p, len));
	}
}

static void expect(const char *text, const char *want, struct pb_msg *m)
{
	struct chunk c = { text, NULL, m };
	struct mlua_sandbox b;
	struct pb_text t;

	open_box(&b);
	pb_text_init(&t, 10000);
	eval(&b, &c, &t);
	if (pb_str_starts(pb_str_z(want), PB_STR("ERROR "))) {
		bool there = pb_str_find(pb_text_str(&t), pb_str_from(pb_str_z(want), 6)) >= 0;

		if (!there)
			printf("%s: %.*s\n", text, PB_STR_F(pb_text_str(&t)));
		CU_ASSERT_TRUE(there && pb_str_starts(pb_text_str(&t), PB_STR("ERROR ")));
	} else {
		PB_SAME(pb_text_str(&t), want);
	}
	pb_text_fini(&t);
	mlua_sandbox_close(&b);
	CU_ASSERT_EQUAL(b.memory, 0);
}

static void library(void)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "return tostring(io)", "nil" },
		{ "return tostring(os.execute)", "nil" },
		{ "return tostring(os.getenv)", "nil" },
		{ "return tostring(os.exit)", "nil" },
		{ "return tostring(os.remove)", "nil" },
		{ "return tostring(require or package or debug or dofile or loadfile)", "nil" },
		{ "return tostring(string.dump)", "nil" },
		{ "return type(os.time()) .. type(os.date()) .. type(os.clock())",
		  "numberstringnumber" },
		{ "return os.time{year=2000,month=1,day=1,hour=12} > 900000000", "true" },
		{ "return load('return 1 + 1')()", "2" },
		{ "x = 5 return load('return x')()", "5" },
		{ "return load('return x', 'n', 't', {x = 7})()", "7" },
		{ "return (load('\\27Lua'))", "nil" },
		{ "return select(2, load('\\27Lua', 'n', 'b')) ~= nil", "true" },
		{ "return setmetatable({}, {__index = {a = 3}}).a", "3" },
		{ "setmetatable({}, {__gc = print})", "ERROR __gc is not allowed" },
		{ "return (pcall(setmetatable, {}, {__gc = print}))", "false" },
		{ "return math.type(collectgarbage('count'))", "float" },
		{ "collectgarbage('stop')", "ERROR invalid option" },
		{ "return utf8.char(228) .. table.concat({1, 2}, ',') .. string.rep('x', 3)",
		  "\xc3\xa4"
		  "1,2xxx" },
		{ "local co = coroutine.wrap(function() coroutine.yield(4) end) return co()", "4" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect(rows[i].text, rows[i].want, NULL);
}

static void budgets(void)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "while true do end",
		  "ERROR t.lua:1: the budget of 2000000 instructions is used up" },
		{ "while true do pcall(function() while true do end end) end", "ERROR budget" },
		{ "local function f() while true do pcall(f) end end f()", "ERROR " },
		{ "while true do coroutine.wrap(function() while true do end end)() end",
		  "ERROR budget" },
		{ "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
		  "ERROR budget" },
		{ "xpcall(function() while true do end end, function() while true do end end) while true do end",
		  "ERROR budget" },
		{ "table.sort({1, 2}, function() while true do end end)", "ERROR budget" },
		{ "pcall(table.sort, {1, 2}, function() while true do end end) while true do end",
		  "ERROR budget" },
		{ "local f = function() while true do end end "
		  "local co = coroutine.create(function() local x <close> = setmetatable({}, {__close = f}) "
		  "table.sort({1, 2}, f) end) coroutine.resume(co) coroutine.close(co)",
		  "ERROR budget" },
		{ "local f = function() while true do end end "
		  "coroutine.wrap(function() local x <close> = setmetatable({}, {__close = f}) "
		  "table.sort({1, 2}, f) end)()",
		  "ERROR budget" },
		{ "local x <close> = setmetatable({}, {__close = function() while true do end end}) error('x')",
		  "ERROR " },
		{ "local a, b = xpcall(error, function(e) return e .. '!' end, 'x') return tostring(a) .. b",
		  "falsex!" },
		{ "local a, b, c = xpcall(function(...) return ... end, print, 1, 2) return tostring(a) .. b .. c",
		  "true12" },
		{ "return select('#', xpcall(error, function() return 1, 2, 3 end))", "2" },
		{ "for i = 1, 100000 do end return 'fits'", "fits" },
		{ "local t = {} while true do t[#t + 1] = {} end", "ERROR not enough memory" },
		{ "local s = 'x' while true do s = s .. s end", "ERROR not enough memory" },
		{ "return string.rep('x', 1 << 40)", "ERROR " },
		{ "return #string.rep('x', 1 << 21)", "2097152" },
		{ "pcall(string.rep, 'x', 1 << 30) return 'lives'", "lives" },
		{ "local function f() return f() + 1 end f()", "ERROR in upvalue 'f'" },
		{ "error({})", "ERROR (an error that is no text)" },
		{ "error()", "ERROR " },
		{ "local function g() error('boom') end\nlocal function h() g() end\nh()",
		  "ERROR t.lua:1: boom | stack traceback: | [C]: in function 'error'" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect(rows[i].text, rows[i].want, NULL);
}

static void messages(void)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "return (...).name", "call.route" },
		{ "return (...).caller", "7" },
		{ "return tostring((...).nobody)", "nil" },
		{ "local m = ... m.called = 42 m.flag = true return m.called .. m.flag", "42true" },
		{ "local m = ... m.caller = nil return tostring(m.caller)", "nil" },
		{ "local m = ... return m:get('nobody', 'x') .. m:get('caller')", "x7" },
		{ "local m = ... m:add('a', 1) m:add('a', 2) local s = '' "
		  "for k, v in m:pairs() do s = s .. k .. '=' .. v .. ';' end return s",
		  "caller=7;name=inner;a=1;a=2;" },
		{ "local m = ... local s = '' for k, v in pairs(m.params) do s = s .. k .. v end return s",
		  "caller7nameinner" },
		{ "local m = ... return #m.params .. m.params[2].name .. m.params.name .. m.name",
		  "2nameinnercall.route" },
		{ "local m = ... m.params.name = 'x' return m.params.name .. m.name",
		  "xcall.route" },
		{ "local m = ... m.retval = 'sip/x' return m.retval", "sip/x" },
		{ "local m = ... m.x = {}",
		  "ERROR a text, number or boolean is needed, not a table" },
		{ "local m = ... m[1] = 1 return m['1']", "1" },
		{ "local m = ... for i = 1, 100 do m:add('x', string.rep('y', 20000)) end",
		  "ERROR the message is full" },
		{ "return tostring(getmetatable((...)))", "false" },
		{ "return tostring(...)", "message 'call.route'" },
		{ "local m = ... m.params = {}", "ERROR params cannot be replaced" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pb_msg *m = pb_msg_new(PB_STR("call.route"));

		pb_msg_add(m, PB_STR("caller"), PB_STR("7"));
		pb_msg_add(m, PB_STR("name"), PB_STR("inner"));
		expect(rows[i].text, rows[i].want, m);
		pb_msg_free(&m);
	}
}

static void checks(void)
{
	struct pb_text why;
	unsigned line = 7;

	pb_text_init(&why, 1000);
	CU_ASSERT_EQUAL(mlua_sandbox_check(PB_STR("/a/b.lua"), PB_STR("x = 1"), &line, &why), 0);
	CU_ASSERT_EQUAL(mlua_sandbox_check(PB_STR("/a/b.lua"), PB_STR("x = 1\ny ="), &line, &why),
			-EINVAL);
	CU_ASSERT_EQUAL(line, 2);
	PB_SAME(pb_text_str(&why), "unexpected symbol near <eof>");
	CU_ASSERT_EQUAL(mlua_sandbox_check(PB_STR("b"), PB_STR("\033Lua"), &line, &why), -EINVAL);
	pb_text_fini(&why);
}

/* Every allocation fails once: nothing but errors comes of it. */
static void no_memory(void)
{
	struct mlua_sandbox b = { .memory_limit = 8u << 20, .instructions = 100000 };
	struct chunk c = {
		"local t = {} for i = 1, 20 do t[i] = 'x' .. i end return table.concat(t)"
	};
	int n;

	if (mlua_sandbox_open(&b) < 0)
		return;
	if (mlua_sandbox_call(&b, load_chunk, &c) == LUA_OK)
		mlua_sandbox_resume(&b, c.co, 0, &n);
	mlua_sandbox_close(&b);
}

static void each_allocation(void)
{
	pb_test_each_alloc(no_memory);
}

PB_TESTS("lua/sandbox", { "the library", library }, { "budgets", budgets },
	 { "messages", messages }, { "checking", checks }, { "without memory", each_allocation })
