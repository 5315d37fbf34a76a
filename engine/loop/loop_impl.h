/*
 * A loop from the inside, for the worlds that drive it. Internal to the loop
 * folder.
 *
 * A world calls pbi_loop_enter on the thread that runs the loop, then
 * pbi_loop_turn as often as pbi_loop_next_us says there is something to do,
 * and pbi_loop_leave at the end.
 */
#ifndef PB_LOOP_LOOP_IMPL_H
#define PB_LOOP_LOOP_IMPL_H

#include "loop/mailbox.h"
#include "loop/wheel.h"

struct pb_loop {
	/* Never changed after pb_loops_new. */
	struct pb_loops *set;
	struct pb_world *world;
	void *side; /* the world's own part */
	unsigned index;
	struct pb_dns *dns; /* NULL: pb_dns_setup was not called */

	/* The loop's own. */
	void *data;
	uint64_t now_us, now_ms;
	uint64_t wall_us; /* 0: not yet asked for in this turn */
	struct pbi_queue deferred;
	struct pbi_wheel wheel;
	_Atomic uint64_t busy_us, turns; /* written by its thread alone */

	/* Everybody's, on cache lines of its own. */
	char apart[64];
	struct pbi_mailbox mail;
};

struct pb_loops {
	struct pb_world *world;
	unsigned calls, count;
	char name[16];
	bool started;
	_Atomic bool ending;
	struct pbi_dns_common *names; /* NULL: as above */
	struct pb_loop *loops[PB_LOOPS_MAX];
};

/** This thread is the loop's from now on; NULL: no loop's. @return the former. */
struct pb_loop *pbi_loop_enter(struct pb_loop *l);
/** The loop has ended: its thread is nobody's and pb_loop_call needs none. */
void pbi_loop_leave(struct pb_loop *l);
/** One turn: clock, input, mailbox, timers, deferred work, output. */
void pbi_loop_turn(struct pb_loop *l);
/** When the next turn is due: 0 at once, UINT64_MAX when something comes in. */
uint64_t pbi_loop_next_us(struct pb_loop *l);

static inline bool pbi_loop_ending(const struct pb_loop *l)
{
	return atomic_load_explicit(&l->set->ending, memory_order_relaxed);
}

#endif
