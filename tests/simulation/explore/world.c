/*
 * Three loops whose turns the explorer orders, one at a time, and a clock that
 * moves when it says so.
 *
 * A turn is what a schedule is made of: loops touch each other's things only
 * through mailboxes and a few atomics, so what happens in the middle of another
 * loop's turn is no different from what happens before or after it; a handler
 * that does something in the middle (answers, gives up, removes) is a choice.
 *
 * Under the thread sanitizer each loop is a thread of its own to it (a fiber),
 * and changing from one to the other is no order of its own: all that loops do
 * without the mailbox between them is a race in every schedule, not by luck.
 */
#include "explore.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer) && !defined(__SANITIZE_THREAD__)
#define __SANITIZE_THREAD__
#endif
#endif
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#include <ucontext.h>

#define STACK_BYTES (1 << 20)

/* A loop as a thread of its own to the sanitizer, with a stack of its own. */
static struct fiber {
	void *thread;
	ucontext_t at;
	void (*fn)(void *arg);
	void *arg;
	unsigned back; /* how it changes back */
} fibers[LOOPS], control;
static unsigned current;

/* Which loop this thread runs is kept by the thread, of which there is one. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "race:pbi_loop_enter\n";
}

const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "halt_on_error=1";
}

static BOOK void fiber_main(void)
{
	for (;;) {
		struct fiber *f = &fibers[current];

		f->fn(f->arg);
		__tsan_switch_to_fiber(control.thread, f->back);
		swapcontext(&f->at, &control.at);
	}
}

static BOOK void fibers_make(void)
{
	control.thread = __tsan_get_current_fiber();
	for (unsigned i = 0; i < LOOPS && !fibers[i].thread; i++) {
		struct fiber *f = &fibers[i];

		f->thread = __tsan_create_fiber(0);
		getcontext(&f->at);
		f->at.uc_stack.ss_sp = malloc(STACK_BYTES);
		f->at.uc_stack.ss_size = STACK_BYTES;
		makecontext(&f->at, fiber_main, 0);
	}
}

/* `there`, `back`: is changing an order of its own? */
static BOOK void as_loop(unsigned i, void (*fn)(void *arg), void *arg, bool there, bool back)
{
	struct fiber *f = &fibers[i];

	current = i;
	f->fn = fn;
	f->arg = arg;
	f->back = back ? 0 : __tsan_switch_to_fiber_no_sync;
	__tsan_switch_to_fiber(f->thread, there ? 0 : __tsan_switch_to_fiber_no_sync);
	swapcontext(&control.at, &f->at);
}
#else
static void fibers_make(void)
{
}

static void as_loop(unsigned i, void (*fn)(void *arg), void *arg, bool there, bool back)
{
	(void)i, (void)there, (void)back;
	fn(arg);
}
#endif

struct pb_bus *bus;
static struct pb_sim *sim;
static struct pb_loops *loops;

struct pb_loop *loop_at(unsigned i)
{
	return loops->loops[i];
}

static void nothing(void *arg)
{
	(void)arg;
}

/* What the control thread made is there before the loops begin. */
static void world_fork(void)
{
	for (unsigned i = 0; i < LOOPS; i++)
		as_loop(i, nothing, NULL, true, false);
}

void world_join(void)
{
	for (unsigned i = 0; i < LOOPS; i++)
		as_loop(i, nothing, NULL, false, true);
}

void world_up(unsigned scripts, unsigned parked_max)
{
	struct pb_loops_args la = { .calls = LOOPS - scripts, .scripts = scripts };
	struct pb_bus_args ba = { .hold_ms = HOLD_MS,
				  .message_ms = MESSAGE_MS,
				  .parked_max = parked_max,
				  .breaker_misses = 64, /* none is passed by */
				  .track_param = "handlers" };

	fibers_make();
	pb_assert(!pb_sim_new(1, &sim));
	la.world = pb_sim_world(sim);
	pb_assert(!pb_loops_new(&la, &loops));
	ba.loops = loops;
	pb_assert(!pb_bus_new(&ba, &bus) && !pb_loops_start(loops));
	world_fork();
}

void world_down(void)
{
	world_join();
	pb_loops_stop(loops);
	pb_loops_free(&loops);
	pb_bus_free(&bus);
	pb_sim_free(&sim);
	pbi_msg_cache_drop();
}

struct job {
	struct pb_loop *loop;
	void (*fn)(void *arg);
	void *arg;
};

static BOOK void run_job(void *arg)
{
	const struct job *j = arg;

	pbi_loop_enter(j->loop);
	j->fn(j->arg);
	pbi_loop_enter(NULL);
}

BOOK void run_on(unsigned i, void (*fn)(void *arg), void *arg)
{
	struct job j = { loops->loops[i], fn, arg };

	as_loop(i, run_job, &j, false, false);
}

static void turn(void *arg)
{
	pbi_loop_turn(arg);
}

void loop_turn(unsigned i)
{
	run_on(i, turn, loops->loops[i]);
}

struct due {
	struct pb_loop *loop;
	uint64_t timer_ms; /* UINT64_MAX: none */
	bool now;
};

static BOOK void find_due(void *arg)
{
	struct due *d = arg;

	d->timer_ms = pbi_wheel_next_ms(&d->loop->wheel);
	d->now = d->loop->deferred.head || pbi_mailbox_filled(&d->loop->mail);
}

static BOOK struct due due_of(unsigned i)
{
	struct due d = { .loop = loops->loops[i] };

	as_loop(i, find_due, &d, false, false);
	return d;
}

BOOK bool loop_due(unsigned i)
{
	struct due d = due_of(i);

	return d.now || d.timer_ms <= time_ms();
}

BOOK uint64_t timer_next_ms(void)
{
	uint64_t next = UINT64_MAX;

	for (unsigned i = 0; i < LOOPS; i++) {
		struct due d = due_of(i);

		next = d.timer_ms < next ? d.timer_ms : next;
	}
	return next;
}

BOOK void time_passes(uint64_t ms)
{
	sim->now_us += ms * 1000;
}

BOOK uint64_t time_ms(void)
{
	return sim->now_us / 1000;
}

BOOK size_t world_timers(void)
{
	size_t n = 0;

	for (unsigned i = 0; i < LOOPS; i++)
		n += loops->loops[i]->wheel.count;
	return n;
}
