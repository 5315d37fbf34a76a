/*
 * The schedule explorer: all interleavings of a few steps on three loops.
 *
 * A schedule is a sequence of choices: what happens next, and what a handler
 * does. It is played in a world of its own from the beginning; then the last
 * choice that has another alternative takes it, and all is played again, until
 * there is none left (choice.c). Nothing is drawn: every schedule up to the
 * depth is played, and counted.
 */
#ifndef PB_TEST_EXPLORE_H
#define PB_TEST_EXPLORE_H

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "bus/bus_impl.h"
#include "bus/names.h"
#include "loop/loop_impl.h"
#include "loop/sim.h"

#define LOOPS      3
#define HOLD_MS    1000
#define MESSAGE_MS 2500

/* ---- Choices (choice.c) ------------------------------------------------------ */

/** One of n, 0 .. n-1: the same question at the same place of a schedule. */
unsigned choose(unsigned n);
/** The next schedule; false: all were played. */
bool choices_next(void);
/** Begin anew; with `given` (ended by -1) exactly these choices, then zeros. */
void choices_begin(const int *given);
void choices_print(FILE *to);

/* ---- The world (world.c) ------------------------------------------------------- */

extern struct pb_bus *bus;

/**
 * What the test itself keeps is written from all loops in turn by one thread.
 * The thread sanitizer takes each loop for a thread (world.c): it watches what
 * the engine keeps, and leaves alone what stands in functions with this mark.
 */
#define BOOK __attribute__((no_sanitize("thread"), noinline))

void world_up(unsigned scripts, unsigned parked_max);
/** All that is under way is dropped. */
void world_down(void);
struct pb_loop *loop_at(unsigned i);
/** As that loop's thread. */
void run_on(unsigned i, void (*fn)(void *arg), void *arg);
/** Has it anything to do now? */
bool loop_due(unsigned i);
void loop_turn(unsigned i);
/** Time passes, and no loop has noticed yet. */
void time_passes(uint64_t ms);
uint64_t time_ms(void);
/** Not after this is the next timer due; UINT64_MAX: none is armed. */
uint64_t timer_next_ms(void);
/** The control thread has seen all that the loops did. */
void world_join(void);
size_t world_timers(void);

/* ---- Plays (plays.c) ------------------------------------------------------------- */

/** What a handler may do. */
enum deed {
	END_OF_DEEDS,
	PASS,
	HANDLE,
	HOLD,
	HOLD_LONG,    /* longer than the message may live */
	HOLD_ANSWER,  /* and answer from within: handled */
	HOLD_GIVE_UP, /* and the asker ends from within */
	HOLD_REMOVE,  /* and remove the handler from within */
	HOLD_ASK,     /* and ask in turn: its end is the answer */
	ASK,          /* ask in turn, without waiting */
};

struct part {
	char tag;
	const char *message;
	unsigned priority;
	enum pb_place place;
	unsigned home;
	enum deed deeds[6];
	bool refuse; /* when full */
};

#define PARTS 4

/** What a holder does when told that it need not answer any more. */
enum when_told { TOLD_NOTHING, TOLD_GIVES_UP, TOLD_ANSWERS };

struct play {
	const char *name;
	const char *message; /* asked on loop `origin` */
	unsigned origin, scripts, parked_max;
	bool question; /* may be given up */
	bool broadcast;
	bool second; /* another of that name may be asked on loop 1 */
	bool line;   /* two in a line of notices instead */
	enum when_told told;
	const char *rename; /* answers may change the name to this */
	struct part parts[PARTS];
};

extern const struct play plays[];
extern const unsigned plays_n;

/* ---- What was asked and held (ledger.c) -------------------------------------- */

#define ASKED_MAX 16
#define HELD_MAX  32
#define SENDS_MAX 2 /* answers to one hold, the second is stale */

struct held {
	struct pb_token token;
	unsigned on, sent, told;
	char handler;
};

struct asked {
	unsigned origin;
	bool given_up, question, notice;
	bool begun, before_late;      /* its walk; before the late handler came */
	unsigned done, hooked, order; /* order: of its end among all */
	uint64_t sure_ms;     /* no copy of it is left behind before, and the marks with it */
	bool handled;         /* as the hook saw it */
	struct held *resumes; /* its end resumes that one */
};

struct ledger {
	struct asked asked[ASKED_MAX];
	struct held held[HELD_MAX];
	unsigned asked_n, held_n, ended, sent;
};
extern struct ledger book;
extern struct pb_questions questions; /* of loop 0 */
extern unsigned faults;

/** A message with its number, for on_done. */
struct pb_msg *ask_msg(const char *name, unsigned origin, bool question, struct asked **out);
/** Dispatch on the present loop; inside `outer` (may be NULL), whose time it has. */
void ask(const char *name, const struct asked *outer, struct held *resumes);
void on_done(struct pb_msg *m, bool handled, void *arg);
void on_hook(const struct pb_msg *m, bool handled, struct pb_ctx *cx);
void on_merge(struct pb_msg *m, struct pb_msg *const *parts, unsigned n, void *arg);
/** Park `m`; 0 limit: the bus's. */
struct held *hold(struct pb_msg *m, char handler, unsigned limit_ms);
/** Answer from the present loop. `rename` may be NULL. */
void answer(struct held *h, enum pb_verdict v, const char *rename);
void give_up(void *arg);
unsigned asked_of(const struct pb_msg *m);
/** Write down that `handler` has it now; a fault when it may not. */
void enters(struct pb_msg *m, char handler);
/** Mark `m`: whoever does answers PB_HANDLED. */
void says_handled(struct pb_msg *m);
bool all_ended(void);
void fault(const char *what);
/** After everything has come to rest. */
void ledger_check(void);

extern enum when_told when_told; /* of the present play */

/* ---- Steps (explore.c) --------------------------------------------------------- */

void steps_print(FILE *to);
/** At the end of a walk: a fault when it has left out a handler. */
void check_met(const struct pb_msg *m, bool handled);

#endif
