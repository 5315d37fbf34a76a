/*
 * Start and stop, from the control thread: loops, modules, ports, and the
 * messages that tell of it (engine.init, .start, .timer, .stop, .halt).
 */
#include "bus/engine_impl.h"

#include <string.h>
#include <unistd.h>

#include "loop/dns.h"

/* ---- Messages of the engine ----------------------------------------------------------- */

static struct pb_msg *engine_msg(struct pb_engine *e, const char *name)
{
	struct pb_msg *m = pb_msg_new(pb_str_z(name));

	if (!m)
		return NULL;
	pb_msg_set_broadcast(m, true);
	pb_msg_set(m, PB_STR("nodename"), pb_engine_run_param(e, PB_STR("nodename")));
	return m;
}

static void each_second(void *arg)
{
	struct pb_engine *e = arg;
	struct pb_loop *l = pb_loop_current();
	struct pb_msg *m = pb_msg_new(PB_STR("engine.timer"));

	pb_timer_start(l, &e->tick, 1000 - pb_loop_wall_us(l) / 1000 % 1000);
	pb_bus_second(e->bus);
	if (!m)
		return;
	pb_msg_set_broadcast(m, true);
	pb_msg_set_int(m, PB_STR("time"), (int64_t)(pb_loop_wall_us(l) / 1000000));
	pb_msg_set(m, PB_STR("nodename"), pb_engine_run_param(e, PB_STR("nodename")));
	pb_bus_enqueue(e->bus, m);
}

/* Dispatch from the control thread, and wait: start, stop and reload only. Two
 * look at it, and the later one frees it: a handler may hold the message for
 * longer than we wait. */
struct ask {
	struct pb_engine *e;
	struct pb_msg *m;
	bool handled;
	atomic_bool done;
	atomic_uint refs;
};

static void ask_unref(struct ask *a)
{
	if (atomic_fetch_sub(&a->refs, 1) == 1)
		pb_free(a);
}

static void asked(struct pb_msg *m, bool handled, void *arg)
{
	struct ask *a = arg;

	pb_msg_free(&m);
	a->handled = handled;
	atomic_store(&a->done, true);
	ask_unref(a);
}

static void ask_on_loop(void *arg)
{
	struct ask *a = arg;

	pb_bus_dispatch(a->e->bus, a->m, NULL, asked, a);
}

static void nothing(void *arg)
{
	(void)arg;
}

/* Let the loops go on for a moment. */
static void give_time(struct pb_engine *e)
{
	pb_loop_call(pb_loops_at(e->loops, 0), nothing, NULL);
	if (e->world == pb_world_real())
		usleep(1000);
	else
		pb_loops_turn(e->loops);
}

bool pbi_ask_and_wait(struct pb_engine *e, const char *name, struct pb_str plugin)
{
	/* A handler may hold it; nothing of the control thread's is needed by
	 * the loops, so waiting here is waiting for their turns. In a simulated
	 * world time stands still meanwhile, so that a hold is not waited for. */
	unsigned most = e->world == pb_world_real() ? 100000 : 1000;
	struct ask *a = pb_alloc_zero(1, sizeof(*a));
	struct pb_msg *m = engine_msg(e, name);
	bool handled;

	if (!a || !m) {
		pb_free(a);
		pb_msg_free(&m);
		return false;
	}
	if (plugin.n)
		pb_msg_set(m, PB_STR("plugin"), plugin);
	a->e = e;
	a->m = m;
	atomic_init(&a->refs, 2);
	pb_loops_turn(e->loops); /* the handlers that were added are known */
	pb_loop_call(pb_loops_at(e->loops, 0), ask_on_loop, a);
	for (unsigned i = 0; !atomic_load(&a->done) && i < most; i++)
		give_time(e);
	handled = atomic_load(&a->done) && a->handled;
	ask_unref(a);
	return handled;
}

static void start_tick(void *arg)
{
	struct pb_engine *e = arg;

	pb_timer_init(&e->tick, each_second, e);
	pb_timer_start(pb_loop_current(), &e->tick, 1000);
}

static void stop_tick(void *arg)
{
	pb_timer_stop(&((struct pb_engine *)arg)->tick);
}

/* ---- Starting, stopping --------------------------------------------------------------------- */

/* A module that fails is left out; the answer is an error only when it is
 * required. */
static int left_out(struct pbi_module *m, int err)
{
	pb_log(&pbi_engine_log, &pbi_engine_rows[PBI_ENG_START_FAILED], "module %s did not start: %s", m->d->name,
	       strerror(-err));
	pbi_module_stop(m);
	return m->required ? err : 0;
}

/* Every loop has taken over what this thread has posted so far. */
static void flush_loops(struct pb_engine *e)
{
	for (unsigned i = 0; i < pb_loops_count(e->loops); i++)
		pb_loop_call(pb_loops_at(e->loops, i), nothing, NULL);
	pb_loops_turn(e->loops); /* where they have no threads */
}

/* Ports are opened last: the first packet finds every handler on every loop. */
static int open_modules(struct pb_engine *e)
{
	int err = 0;

	flush_loops(e);
	for (unsigned i = 0; i < e->module_count && !err; i++) {
		struct pbi_module *m = e->modules[i];
		int one = m->started ? pbi_module_open(m) : 0;

		if (one)
			err = left_out(m, one);
		else if (m->started)
			pb_log(&pbi_engine_log, &pbi_engine_rows[PBI_ENG_LOADED], "module %s started", m->d->name);
	}
	return err;
}

static int start_modules(struct pb_engine *e)
{
	int err = 0;

	for (unsigned i = 0; i < e->module_count && !err; i++) {
		int one = pbi_module_start(e->modules[i]);

		if (one)
			err = left_out(e->modules[i], one);
	}
	return err ? err : open_modules(e);
}

int pb_engine_start(struct pb_engine *e)
{
	struct pb_dns_setup dns = { .servers = e->set.dns_servers.p, .timeout_ms = (unsigned)e->set.dns_timeout_ms };
	int err = pb_dns_setup(e->loops, &dns);

	if (!err)
		err = pb_loops_start(e->loops);
	if (err)
		return err;
	e->started = true;
	err = start_modules(e);
	if (err) {
		pb_engine_stop(e);
		return err;
	}
	pbi_ask_and_wait(e, "engine.init", PB_STR_NULL);
	pbi_ask_and_wait(e, "engine.start", PB_STR_NULL);
	pb_loop_call(pb_loops_at(e->loops, 0), start_tick, e);
	pbi_debug_lines(e);
	pb_log(&pbi_engine_log, &pbi_engine_rows[PBI_ENG_READY],
	       "Patchbay engine is initialized and starting up on %.*s",
	       PB_STR_F(pb_engine_run_param(e, PB_STR("nodename"))));
	return 0;
}

void pb_engine_stop(struct pb_engine *e)
{
	if (!e->started)
		return;
	e->started = false;
	pb_log(&pbi_engine_log, &pbi_engine_rows[PBI_ENG_STOPPING], "stopping");
	pbi_undo_end(e);
	for (unsigned i = 0; i < 5 && pbi_ask_and_wait(e, "engine.stop", PB_STR_NULL); i++) {
		if (e->world == pb_world_real())
			usleep(200000);
	}
	pbi_ask_and_wait(e, "engine.halt", PB_STR_NULL);
	pb_loop_call(pb_loops_at(e->loops, 0), stop_tick, e);
	pb_world_run(e->world, 10, NULL, NULL);
	for (unsigned i = e->module_count; i-- > 0;)
		pbi_module_stop(e->modules[i]);
	/* Each loop gets turns to let go of what the stops posted. */
	pb_world_run(e->world, 10, NULL, NULL);
	for (unsigned turn = 0; turn < 4; turn++)
		flush_loops(e);
	pb_bus_settle(e->bus);
	pb_loops_stop(e->loops);
	pb_loops_free(&e->loops);
	pb_bus_free(&e->bus);
}
