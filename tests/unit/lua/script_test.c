/* modules/lua: scripts on a bus of two call loops and one script loop. */
#include "../../support/test.h"

#include <semaphore.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "loop/world.h"
#include "lua/script.h"

#define CALLS 2

static struct {
	struct pb_loops *loops;
	struct pb_bus *bus;
	struct mlua_host host;
	struct mlua_settings settings;
	struct mlua_source source;
	struct mlua_script *script;
	struct pb_reg *last;
	int err;
} sc;

static enum pb_verdict on_last(struct pb_msg *m, struct pb_ctx *cx)
{
	pb_msg_add(m, PB_STR("last"), PB_STR("seen"));
	return PB_PASS;
}

static struct pb_loop *home(void)
{
	return pb_loops_at(sc.loops, CALLS);
}

static void on_load(void *arg)
{
	struct mlua_script *old = sc.script;

	sc.source =
		(struct mlua_source){ PB_STR_INIT("test"), PB_STR_INIT("test.lua"), pb_str_z(arg) };
	sc.err = mlua_script_start(&sc.host, &sc.source, &sc.script);
	if (sc.err)
		sc.script = old;
	else if (old)
		mlua_script_retire(old);
}

static void nothing(void *arg)
{
}

static void settle(void)
{
	for (int turn = 0; turn < 4; turn++) {
		for (unsigned i = 0; i <= CALLS; i++)
			pb_loop_call(pb_loops_at(sc.loops, i), nothing, NULL);
	}
}

static void load(const char *text)
{
	pb_loop_call(home(), on_load, (void *)(uintptr_t)text);
	settle(); /* every loop has heard of the handlers */
}

static void begin(const char *text)
{
	struct pb_loops_args la = {
		.calls = CALLS, .scripts = 1, .world = pb_world_real(), .name = "test"
	};
	struct pb_bus_args ba = { .track_param = NULL, .hold_ms = 5000 };
	struct pb_handler_args last = { .message = PB_STR_INIT("test"),
					.priority = 500,
					.fn = on_last };

	memset(&sc, 0, sizeof(sc));
	pb_log_set_level(getenv("V") ? PB_ALL : PB_FAIL);
	CU_ASSERT_EQUAL_FATAL(pb_loops_new(&la, &sc.loops), 0);
	ba.loops = sc.loops;
	CU_ASSERT_EQUAL_FATAL(pb_bus_new(&ba, &sc.bus), 0);
	CU_ASSERT_EQUAL_FATAL(pb_bus_add(sc.bus, &last, NULL, NULL, &sc.last), 0);
	CU_ASSERT_EQUAL_FATAL(pb_loops_start(sc.loops), 0);
	sc.settings = (struct mlua_settings){ .instructions = 1000000, .memory_mb = 64 };
	sc.host.bus = sc.bus;
	sc.host.loop = home();
	sc.host.settings = &sc.settings;
	pb_list_init(&sc.host.scripts);
	load(text);
}

static void on_stop(void *arg)
{
	sc.host.stopping = true;
	pb_bus_remove(sc.bus, &sc.last, NULL, NULL);
	pb_list_each_safe(n, &sc.host.scripts) {
		mlua_script_kill(pb_container(n, struct mlua_script, node));
	}
}

static void end(void)
{
	pb_loop_call(home(), on_stop, NULL);
	settle();
	pb_loops_free(&sc.loops);
	CU_ASSERT_TRUE(pb_list_empty(&sc.host.scripts));
	CU_ASSERT_EQUAL(sc.host.coroutines, 0);
	pb_bus_free(&sc.bus);
}

static void on_measure(void *arg)
{
	*(size_t *)arg = sc.script->box.memory;
}

static size_t memory(void)
{
	size_t n = 0;

	pb_loop_call(home(), on_measure, &n);
	return n;
}

/* ---- Asking ------------------------------------------------------------------------ */

struct question {
	struct pb_msg *m;
	bool handled;
	sem_t over;
};

static void on_done(struct pb_msg *m, bool handled, void *arg)
{
	struct question *q = arg;

	q->handled = handled;
	sem_post(&q->over);
}

static void dispatch(void *arg)
{
	struct question *q = arg;

	pb_bus_dispatch(sc.bus, q->m, NULL, on_done, q);
}

static void ask(struct question *q, unsigned loop, const char *name, const char *caller)
{
	sem_init(&q->over, 0, 0);
	q->m = pb_msg_new(pb_str_z(name));
	pb_msg_add(q->m, PB_STR("caller"), pb_str_z(caller));
	pb_loop_call(pb_loops_at(sc.loops, loop), dispatch, q);
}

static void expect(struct question *q, bool handled, const char *content)
{
	struct pb_text t;

	while (sem_wait(&q->over) < 0)
		;
	sem_destroy(&q->over);
	CU_ASSERT_EQUAL(q->handled, handled);
	pb_text_init(&t, 100000);
	pb_text_add(&t, pb_msg_name(q->m));
	pb_text_addc(&t, ':');
	pb_text_add(&t, pb_msg_retval(q->m));
	for (size_t i = 0; i < pb_msg_count(q->m); i++) {
		const struct pb_param *p = pb_msg_at(q->m, i);

		pb_text_addf(&t, ":%s=%s", p->name.p, p->value.p);
	}
	PB_SAME(pb_text_str(&t), content);
	pb_text_fini(&t);
	pb_msg_free(&q->m);
}

static void one(const char *name, const char *caller, bool handled, const char *content)
{
	struct question q;

	ask(&q, 1, name, caller);
	expect(&q, handled, content);
}

/* ---- Scenes ---------------------------------------------------------------------------- */

static void handles(void)
{
	begin("bus.handle('test', 50, function(msg)\n"
	      "  if msg.caller == 'text' then return 'sip/x' end\n"
	      "  if msg.caller == 'true' then msg.retval = 'r' return true end\n"
	      "  if msg.caller == 'false' then msg.a = 1 return false end\n"
	      "  if msg.caller == 'rename' then msg.name = 'other' return true end\n"
	      "  if msg.caller == 'error' then error('boom') end\n"
	      "  if msg.caller == 'loop' then while true do end end\n"
	      "  if msg.caller == 'yield' then coroutine.yield(1) end\n"
	      "  if msg.caller == 'table' then return {} end\n"
	      "  if msg.caller == 'sleep' then sleep(0.01) msg.slept = 1 return 'late' end\n"
	      "  if msg.caller == 'tick' then sleep(0) sleep(0.001) msg.caller = nil end\n"
	      "  if msg.caller == 'sleeperror' then sleep(0.001) error('late boom') end\n"
	      "end)\n"
	      "bus.handle{name='filtered', priority=10, filter={caller='7'}, function() return true end}\n");
	CU_ASSERT_EQUAL_FATAL(sc.err, 0);
	one("test", "text", true, "test:sip/x:caller=text");
	one("test", "true", true, "test:r:caller=true");
	one("test", "false", false, "test::caller=false:a=1:last=seen");
	one("test", "rename", true, "other::caller=rename");
	one("test", "error", false, "test::caller=error:last=seen");
	one("test", "loop", false, "test::caller=loop:last=seen");
	one("test", "yield", false, "test::caller=yield:last=seen");
	one("test", "table", false, "test::caller=table:last=seen");
	one("test", "none", false, "test::caller=none:last=seen");
	one("test", "sleep", true, "test:late:caller=sleep:slept=1");
	one("test", "tick", false, "test::last=seen");
	one("test", "sleeperror", false, "test::caller=sleeperror:last=seen");
	one("filtered", "7", true, "filtered::caller=7");
	one("filtered", "8", false, "filtered::caller=8");
	end();
}

static void dispatches(void)
{
	begin("bus.handle('test', 50, function(msg)\n"
	      "  local ok, m = bus.dispatch('inner', {{'b', 1}, {'a', 2}, z = true, c = 'x'})\n"
	      "  local s = tostring(ok) .. ' ' .. m.retval .. ' '\n"
	      "  for k, v in m:pairs() do s = s .. k .. v end\n"
	      "  local no, n = bus.dispatch('nobody', msg)\n"
	      "  return s .. tostring(no) .. n.caller\n"
	      "end)\n"
	      "bus.handle('inner', function(msg) sleep(0.001) msg.b = 5 return 'in' end)\n"
	      "bus.handle('twice', function(msg)\n"
	      "  local ok, e = pcall(function() local ok, m = bus.dispatch('inner') return m.retval end)\n"
	      "  local bad, why = pcall(coroutine.wrap(function() sleep(1) end))\n"
	      "  return e .. tostring(bad)\n"
	      "end)\n");
	CU_ASSERT_EQUAL_FATAL(sc.err, 0);
	one("test", "7", true, "test:true in b5a2cxztruefalse7:caller=7");
	one("twice", "7", true, "twice:infalse:caller=7");
	end();
}

static void watches(void)
{
	begin("count = 0\n"
	      "bus.watch('test', function(msg, handled)\n"
	      "  if not pcall(function() msg.x = 1 end) then count = count + 1 end\n"
	      "  bus.enqueue('note', {n = count, handled = handled})\n"
	      "end)\n"
	      "bus.handle('note', function(msg) last = msg.n .. msg.handled end)\n"
	      "bus.handle('count', function(msg) while not last do sleep(0.001) end return last end)\n");
	CU_ASSERT_EQUAL_FATAL(sc.err, 0);
	one("test", "7", false, "test::caller=7:last=seen");
	one("count", "7", true, "count:1false:caller=7");
	end();
}

/* The limit of the hold ends a handler that sleeps too long, and its message
 * goes on; what it had to close is closed. */
static void expires(void)
{
	begin("bus.handle{name='test', timeout=0.02, function(msg)\n"
	      "  local c <close> = setmetatable({}, {__close = function() closed = 'yes' end})\n"
	      "  sleep(1000) never = true end}\n"
	      "bus.handle('closed', function() return closed or 'no' end)\n");
	CU_ASSERT_EQUAL_FATAL(sc.err, 0);
	one("test", "7", false, "test::caller=7:last=seen");
	one("closed", "7", true, "closed:yes:caller=7");
	CU_ASSERT_EQUAL(sc.host.coroutines, 0);
	end();
}

static void reloads(void)
{
	struct question q;

	begin("bus.handle('test', function() sleep(0.05) return 'old' end)\n"
	      "while true do sleep(1000) end\n");
	CU_ASSERT_EQUAL_FATAL(sc.err, 0);
	ask(&q, 0, "test", "1");
	settle();
	load("bus.handle('test', function() return 'new' end");
	CU_ASSERT_NOT_EQUAL(sc.err, 0);
	load("bus.handle('test', function() return 'new' end) error('no')");
	CU_ASSERT_NOT_EQUAL(sc.err, 0);
	load("bus.handle('test', function() return 'new' end) sleep(0) bus.handle('more', function() return 'm' end)");
	CU_ASSERT_EQUAL(sc.err, 0);
	one("test", "7", true, "test:new:caller=7");
	expect(&q, true, "test:old:caller=1"); /* begun before */
	settle();
	one("more", "7", true, "more:m:caller=7");
	end();
}

/* Thousands asleep at once: cheap, and none is lost. */
static void sleepers(void)
{
	enum { N = 2000 };
	static struct question q[N];
	size_t empty, full;

	begin("bus.handle('test', function(msg) sleep(0.3) return msg.caller end)");
	CU_ASSERT_EQUAL_FATAL(sc.err, 0);
	one("test", "7", true, "test:7:caller=7");
	empty = memory();
	for (unsigned i = 0; i < N; i++)
		ask(&q[i], i % CALLS, "test", "7");
	settle();
	full = memory();
	for (unsigned i = 0; i < N; i++)
		expect(&q[i], true, "test:7:caller=7");
	printf("%u asleep: %zu bytes of Lua memory each\n", N, (full - empty) / N);
	CU_ASSERT_TRUE((full - empty) / N < 2500);
	end();
}

PB_TESTS("lua/script", { "handlers", handles }, { "dispatch", dispatches }, { "watches", watches },
	 { "the limit of a hold", expires }, { "reload", reloads }, { "sleepers", sleepers })
