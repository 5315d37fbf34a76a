/*
 * The watchdog: a thread that looks whether every loop turns.
 *
 * A loop that stays in one turn is stuck: whatever it runs does not come back,
 * and the calls on it stand still. Time during which the whole process stood
 * still (a stopped process, a sleeping machine) does not count.
 */
#ifndef PB_LOOP_WATCHDOG_H
#define PB_LOOP_WATCHDOG_H

#include "loop/loop.h"

/** What it says, on its own thread. */
struct pb_watchdog_ops {
	/** In one turn for that long: once when the warning is due, then each time the span has
	 * doubled. */
	void (*stuck)(void *arg, unsigned loop, uint64_t ms);
	/** It turns again, after so long. */
	void (*freed)(void *arg, unsigned loop, uint64_t ms);
	/**
	 * Past the limit. When this returns the loop's thread gets SIGABRT, and a
	 * second later the process does.
	 */
	void (*given_up)(void *arg, unsigned loop, uint64_t ms);
	/** Several times a second while no loop is stuck. May be NULL. */
	void (*alive)(void *arg);
};

struct pb_watchdog_args {
	struct pb_loops *loops;    /* of a world with threads; started */
	unsigned warn_ms, kill_ms; /* kill_ms 0: never */
	const struct pb_watchdog_ops *ops;
	void *arg;
};

struct pb_watchdog;
int pb_watchdog_new(const struct pb_watchdog_args *args, struct pb_watchdog **out);
/** Before the loops are stopped. */
void pb_watchdog_free(struct pb_watchdog **w);

/* ---- What it knows of a loop; for its test -------------------------------------- */

struct pbi_watched {
	uint64_t turn_us; /* the turn it was in; 0: asleep */
	uint64_t stuck_ms, told_ms;
};

enum pbi_watch {
	PBI_WATCH_GOOD,
	PBI_WATCH_STILL,
	PBI_WATCH_STUCK,
	PBI_WATCH_FREED,
	PBI_WATCH_GIVEN_UP
};

/**
 * Look again, `passed_ms` after the last look, of which at most `most_ms` count.
 * `*ms`: how long it has been, or was, stuck.
 */
enum pbi_watch pbi_watch_step(struct pbi_watched *w, uint64_t turn_us, uint64_t passed_ms,
			      uint64_t most_ms, const struct pb_watchdog_args *a, uint64_t *ms);

#endif
