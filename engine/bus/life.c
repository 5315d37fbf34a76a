/*
 * Start and stop, from the control thread: loops, modules, ports, and the
 * messages that tell of it (engine.init, .start, .busy, .stop, .halt).
 */
#include "bus/engine_impl.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
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
	if (atomic_fetch_sub(&a->refs, 1) == 1) {
		pb_msg_free(&a->m);
		pb_free(a);
	}
}

static void asked(struct pb_msg *m, bool handled, void *arg)
{
	struct ask *a = arg;

	a->m = m;
	a->handled = handled;
	atomic_store(&a->done, true);
	ask_unref(a);
}

static void ask_on_loop(void *arg)
{
	struct ask *a = arg;
	struct pb_msg *m = a->m;

	a->m = NULL; /* the bus's, until it is back */
	pb_bus_dispatch(a->e->bus, m, NULL, asked, a);
}

static void nothing(void *arg)
{
	(void)arg;
}

/* Somebody has asked to stop a second time. */
static bool in_a_hurry(void *arg)
{
	struct pb_engine *e = arg;

	return e->args.hurry && e->args.hurry(e->args.hurry_arg);
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

/*
 * The message when its walk has ended and somebody handled it; NULL otherwise.
 * A handler may hold it; nothing of the control thread's is needed by the loops,
 * so waiting here is waiting for their turns. In a simulated world time stands
 * still meanwhile, so that a hold is not waited for.
 */
static struct pb_msg *ask_with(struct pb_engine *e, struct pb_msg *m)
{
	unsigned most = e->world == pb_world_real() ? 100000 : 1000;
	struct ask *a = pb_alloc_zero(1, sizeof(*a));
	struct pb_msg *answer = NULL;

	if (!a) {
		pb_msg_free(&m);
		return NULL;
	}
	a->e = e;
	a->m = m;
	atomic_init(&a->refs, 2);
	pb_loops_turn(e->loops); /* the handlers that were added are known */
	pb_loop_call(pb_loops_at(e->loops, 0), ask_on_loop, a);
	for (unsigned i = 0; !atomic_load(&a->done) && i < most && !(e->stopping && in_a_hurry(e)); i++)
		give_time(e);
	if (atomic_load(&a->done) && a->handled) {
		answer = a->m;
		a->m = NULL;
	}
	ask_unref(a);
	return answer;
}

bool pbi_ask_and_wait(struct pb_engine *e, const char *name, struct pb_str plugin)
{
	struct pb_msg *m = engine_msg(e, name);
	bool handled;

	if (!m)
		return false;
	if (plugin.n)
		pb_msg_set(m, PB_STR("plugin"), plugin);
	m = ask_with(e, m);
	handled = m;
	pb_msg_free(&m);
	return handled;
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

/* "module.update" tells the event store; without its modules nobody hears it. */
static void tell_started(struct pb_engine *e, struct pb_str line)
{
	struct pb_msg *m = pb_msg_new(PB_STR("module.update"));

	if (!m)
		return;
	pb_msg_set(m, PB_STR("fulltext"), line);
	pb_msg_set(m, PB_STR("nodename"), pb_engine_run_param(e, PB_STR("nodename")));
	pb_bus_enqueue(e->bus, m);
}

static void say_started(struct pb_engine *e, uint64_t took_us)
{
	struct pb_text t;

	pb_log(&pbi_engine_log, &pbi_engine_rows[PBI_ENG_READY], "%u modules on %u loops started in %llu ms",
	       e->module_count, pb_loops_count(e->loops), (unsigned long long)took_us / 1000);
	pb_text_init(&t, 4096);
	pb_text_addf(&t, "Patchbay engine is initialized and starting up on %.*s",
		     PB_STR_F(pb_engine_run_param(e, PB_STR("nodename"))));
	tell_started(e, pb_text_str(&t));
	pb_log_output(pb_text_str(&t));
	pb_text_fini(&t);
}

int pb_engine_start(struct pb_engine *e)
{
	struct pb_dns_setup dns = { .servers = e->set.dns_servers.p, .timeout_ms = (unsigned)e->set.dns_timeout_ms };
	struct pb_loop *first = pb_loops_at(e->loops, 0);
	uint64_t begin_us = pb_loop_read_us(first);
	int err = pb_dns_setup(e->loops, &dns);

	if (!err)
		err = pb_loops_start(e->loops);
	if (err)
		return err;
	e->started = true;
	pb_log_output(PB_STR("Initializing plugins"));
	err = start_modules(e);
	if (!err)
		err = pbi_guard_start(e);
	if (err) {
		pb_engine_stop(e);
		return err;
	}
	pbi_ask_and_wait(e, "engine.init", PB_STR_NULL);
	pb_log_output(PB_STR("Initialization complete"));
	pbi_ask_and_wait(e, "engine.start", PB_STR_NULL);
	pb_loop_call(first, pbi_tick_start, e);
	pbi_debug_lines(e);
	say_started(e, pb_loop_read_us(first) - begin_us);
	pbi_events_started(e);
	return 0;
}

/* ---- Stopping ----------------------------------------------------------------------- */

struct draining {
	struct pb_engine *e;
	bool until_empty;
};

static bool has_drained(void *arg)
{
	struct draining *d = arg;
	struct pb_bus_counts c;

	if (in_a_hurry(d->e))
		return true;
	if (!d->until_empty)
		return false;
	pb_bus_count(d->e->bus, &c);
	return !c.queued && !c.parked;
}

/* Time passes, and the loops go on, for so long or until a second signal; or
 * until the bus is empty. */
static void pass_time(struct pb_engine *e, unsigned ms, bool until_empty)
{
	struct draining d = { e, until_empty };

	if (e->world != pb_world_real()) {
		pb_world_run(e->world, ms, has_drained, &d);
		return;
	}
	for (unsigned i = 0; i < ms / 5 && !has_drained(&d); i++)
		usleep(5000);
}

/* A second apart, five times: who needs more time? */
static void ask_for_patience(struct pb_engine *e)
{
	for (unsigned i = 0; i < 5 && pbi_ask_and_wait(e, "engine.stop", PB_STR_NULL) && !in_a_hurry(e); i++)
		pass_time(e, 1000, false);
}

static void stop_modules(struct pb_engine *e)
{
	for (unsigned i = e->module_count; i-- > 0;)
		pbi_module_stop(e->modules[i]);
	/* Each loop gets turns to let go of what the stops posted. */
	pb_world_run(e->world, 10, NULL, NULL);
	for (unsigned turn = 0; turn < 4; turn++)
		flush_loops(e);
}

void pb_engine_stop(struct pb_engine *e)
{
	if (!e->started)
		return;
	e->started = false;
	e->stopping = true;
	pb_engine_set_accept(e, PB_ACCEPT_REJECT);
	pb_log(&pbi_engine_log, &pbi_engine_rows[PBI_ENG_STOPPING], "stopping: no new calls");
	pbi_undo_end(e);
	ask_for_patience(e);
	pbi_ask_and_wait(e, "engine.halt", PB_STR_NULL);
	pass_time(e, 200, false);
	pass_time(e, 2000, true);
	pb_loop_call(pb_loops_at(e->loops, 0), pbi_tick_stop, e);
	if (e->life)
		pb_bus_remove(e->bus, &e->life, NULL, NULL);
	pbi_guard_stop(e);
	stop_modules(e);
	pb_bus_settle(e->bus);
	pb_pool_free(&e->pool); /* what helpers still do comes back to loops that are there */
	flush_loops(e);
	pb_loops_stop(e->loops);
	pb_loops_free(&e->loops);
	pb_bus_free(&e->bus);
}

/* ---- Restart, commands, signs of life ----------------------------------------------- */

bool pb_engine_is_idle(struct pb_engine *e)
{
	bool busy = pbi_ask_and_wait(e, "engine.busy", PB_STR_NULL);

	if (busy)
		pb_log(&pbi_engine_log, &pbi_engine_rows[PBI_ENG_BUSY], "the restart waits: there are calls");
	return !busy;
}

void pb_engine_command(struct pb_engine *e, struct pb_str line)
{
	struct pb_msg *m = pb_msg_new(PB_STR("engine.command"));

	if (!m)
		return;
	pb_msg_set(m, PB_STR("line"), line);
	m = ask_with(e, m);
	if (m && pb_msg_retval(m).n)
		pb_log_output(pb_msg_retval(m));
	if (!m)
		pb_log(&pbi_engine_log, &pbi_engine_rows[PBI_ENG_COMMAND], "Unrecognized command '%.*s'",
		       PB_STR_F(line));
	pb_msg_free(&m);
}

static enum pb_verdict show_life(struct pb_msg *m, struct pb_ctx *cx)
{
	int fd = (int)(intptr_t)cx->arg;

	(void)m;
	if (write(fd, "", 1) < 0 && errno == EPIPE)
		pb_log(&pbi_engine_log, &pbi_engine_rows[PBI_ENG_ORPHAN], "the supervisor has gone");
	return PB_PASS;
}

int pb_engine_show_life(struct pb_engine *e, int fd)
{
	struct pb_handler_args a = {
		.message = PB_STR("engine.timer"), .priority = 1, .place = PB_HERE, .fn = show_life,
		.arg = (void *)(intptr_t)fd,
	};

	return pb_bus_add(e->bus, &a, NULL, NULL, &e->life);
}

void pb_engine_say_signal(struct pb_engine *e, const char *name, const char *doing)
{
	(void)e;
	pb_log(&pbi_engine_log, &pbi_engine_rows[PBI_ENG_SIGNAL], "%s: %s", name, doing);
}

void pb_engine_say_ignored(struct pb_engine *e, const char *options)
{
	(void)e;
	pb_log(&pbi_engine_log, &pbi_engine_rows[PBI_ENG_IGNORED], "options that mean nothing here: %s", options);
}
