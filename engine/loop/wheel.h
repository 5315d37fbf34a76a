/*
 * A timer wheel: all timers of one loop. Internal to the loop folder; knows no
 * loop and no clock, so that a test can lay it beside a plain list.
 */
#ifndef PB_LOOP_WHEEL_H
#define PB_LOOP_WHEEL_H

#include "loop/loop.h"

#define PBI_WHEEL_BITS  8
#define PBI_WHEEL_SLOTS (1u << PBI_WHEEL_BITS)
/* 40 bits of milliseconds: a machine up for 34 years. */
#define PBI_WHEEL_LEVELS 5
#define PBI_WHEEL_WORDS  (PBI_WHEEL_LEVELS * PBI_WHEEL_SLOTS / 64)

struct pbi_wheel {
	uint64_t now_ms; /* every timer due before it has fired */
	size_t count;
	uint32_t summary;               /* bit i: bits[i] != 0 */
	uint64_t bits[PBI_WHEEL_WORDS]; /* bit i: slots[i] has timers */
	struct pb_list firing;          /* due now, taken off their slot */
	struct pb_list slots[PBI_WHEEL_LEVELS * PBI_WHEEL_SLOTS];
};

void pbi_wheel_init(struct pbi_wheel *w, uint64_t now_ms);

/** `t` is on no wheel, t->due_ms is not before the wheel's time. */
void pbi_wheel_add(struct pbi_wheel *w, struct pb_timer *t);
/** `t` is on this wheel. */
void pbi_wheel_remove(struct pbi_wheel *w, struct pb_timer *t);
/**
 * Advance to `now_ms` and fire what is due, by time, within a millisecond in
 * the order of arming. What is armed meanwhile for `now_ms` may have to wait for the
 * next run. Firing may add, remove and free any timer.
 */
void pbi_wheel_run(struct pbi_wheel *w, uint64_t now_ms);
/**
 * When to run next; UINT64_MAX: nothing is armed. At times earlier than the
 * first timer (by less than its distance), never later.
 */
uint64_t pbi_wheel_next_ms(const struct pbi_wheel *w);

#endif
