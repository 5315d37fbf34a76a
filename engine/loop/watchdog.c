/*
 * A loop writes down when its turn began, and 0 before it sleeps (one relaxed
 * store a turn). The watchdog compares two looks: the same turn in both means
 * that the loop has not moved. It adds up the time between looks instead of
 * trusting the clock, and counts no more for one look than a look is long: when
 * the watchdog itself came late, everybody stood still.
 */
#include "loop/watchdog.h"

#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "loop/real.h"

#define LOOK_MS 250

struct pb_watchdog {
	struct pb_watchdog_args args;
	unsigned look_ms;
	pthread_t thread;
	sem_t end;
	struct pbi_watched loops[PB_LOOPS_MAX];
};

enum pbi_watch pbi_watch_step(struct pbi_watched *w, uint64_t turn_us, uint64_t passed_ms,
			      uint64_t most_ms, const struct pb_watchdog_args *a, uint64_t *ms)
{
	if (!turn_us || turn_us != w->turn_us) {
		bool told = w->told_ms > 0;

		*ms = w->stuck_ms;
		*w = (struct pbi_watched){ .turn_us = turn_us };
		return told ? PBI_WATCH_FREED : PBI_WATCH_GOOD;
	}
	*ms = w->stuck_ms += passed_ms < most_ms ? passed_ms : most_ms;
	if (a->kill_ms && w->stuck_ms >= a->kill_ms)
		return PBI_WATCH_GIVEN_UP;
	if (w->stuck_ms < a->warn_ms)
		return PBI_WATCH_GOOD;
	if (w->told_ms && w->stuck_ms < 2 * w->told_ms)
		return PBI_WATCH_STILL;
	w->told_ms = w->stuck_ms;
	return PBI_WATCH_STUCK;
}

/* The stuck thread tells where it is, by the handler of that signal; when even
 * that does not come back the process ends without. */
static void give_up(struct pb_watchdog *wd, unsigned loop)
{
	pthread_kill(pbi_real(pb_loops_at(wd->args.loops, loop))->thread, SIGABRT);
	sleep(2);
	signal(SIGABRT, SIG_DFL);
	abort();
}

/* @return whether it is not stuck. */
static bool look_at(struct pb_watchdog *wd, unsigned i, uint64_t passed_ms)
{
	const struct pb_watchdog_args *a = &wd->args;
	struct pb_loop *l = pb_loops_at(a->loops, i);
	uint64_t turn_us = atomic_load_explicit(&l->turn_us, memory_order_relaxed), ms;

	switch (pbi_watch_step(&wd->loops[i], turn_us, passed_ms, wd->look_ms * 3 / 2, a, &ms)) {
	case PBI_WATCH_GOOD:
		return true;
	case PBI_WATCH_FREED:
		a->ops->freed(a->arg, i, ms);
		return true;
	case PBI_WATCH_STILL:
		return false;
	case PBI_WATCH_STUCK:
		a->ops->stuck(a->arg, i, ms);
		return false;
	case PBI_WATCH_GIVEN_UP:
		a->ops->given_up(a->arg, i, ms);
		give_up(wd, i);
	}
	return false;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* @return false: the end was asked for. */
static bool wait_a_look(struct pb_watchdog *wd)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += wd->look_ms * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	while (sem_clockwait(&wd->end, CLOCK_MONOTONIC, &until)) {
		if (errno == ETIMEDOUT)
			return true;
	}
	return false;
}

static void *watch(void *arg)
{
	struct pb_watchdog *wd = arg;
	uint64_t last = now_ms();

	while (wait_a_look(wd)) {
		uint64_t now = now_ms(), passed = now - last;
		bool good = true;

		last = now;
		for (unsigned i = 0; i < pb_loops_count(wd->args.loops); i++)
			good &= look_at(wd, i, passed);
		if (good && wd->args.ops->alive)
			wd->args.ops->alive(wd->args.arg);
	}
	return NULL;
}

int pb_watchdog_new(const struct pb_watchdog_args *args, struct pb_watchdog **out)
{
	struct pb_watchdog *wd = pb_alloc_zero(1, sizeof(*wd));
	sigset_t old;
	int err;

	*out = NULL;
	if (!wd)
		return -ENOMEM;
	wd->args = *args;
	wd->look_ms = args->warn_ms / 4 < LOOK_MS ? args->warn_ms / 4 + 1 : LOOK_MS;
	sem_init(&wd->end, 0, 0);
	pbi_real_block_signals(&old);
	err = -pthread_create(&wd->thread, NULL, watch, wd);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err) {
		pb_free(wd);
		return err;
	}
	pthread_setname_np(wd->thread, "watchdog");
	*out = wd;
	return 0;
}

void pb_watchdog_free(struct pb_watchdog **wp)
{
	struct pb_watchdog *wd = *wp;

	if (!wd)
		return;
	*wp = NULL;
	sem_post(&wd->end);
	pthread_join(wd->thread, NULL);
	sem_destroy(&wd->end);
	pb_free(wd);
}
