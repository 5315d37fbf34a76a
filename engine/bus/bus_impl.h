/*
 * The bus from inside: the table of handlers, the state on each loop, parked
 * messages and visits to other loops. For the files of engine/bus only.
 */
#ifndef PB_BUS_BUS_IMPL_H
#define PB_BUS_BUS_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/assert.h"
#include "bus/msg_impl.h"

struct pbi_change;

/* ---- Handlers -------------------------------------------------------------- */

/* One registered handler or hook. Immutable but for `dead`; alive while a table
 * or its owner refers to it. */
struct pb_reg {
	struct pb_arena *arena;
	struct pb_bus *bus;
	atomic_uint refs;
	atomic_bool dead;
	bool is_hook;
	uint64_t seq; /* order of registration: ties at equal priority */
	uint32_t number; /* index of its counters on each loop; used again after removal */
	struct pb_ctx *ready; /* contexts by loop that need nothing added; or NULL */
	uint32_t parked_max; /* the row's or the bus's */
	struct pb_str track; /* "name:priority"; absent: untracked */
	bool plain; /* runs here, no filter: the usual one */
	struct pbi_change *removal; /* made beforehand: removing cannot fail */
	struct pb_handler_args h;
	struct pb_hook_args hook;
};

struct pbi_entry {
	uint32_t priority;
	uint64_t seq;
	struct pb_reg *reg;
};

/* The handlers one name meets (those of that name and those of every message),
 * in order. */
struct pbi_list {
	struct pb_str name;
	uint32_t count;
	struct pbi_entry *entries;
};

/* An immutable snapshot of all handlers. */
struct pbi_table {
	struct pb_arena *arena;
	atomic_uint refs; /* one a loop, one of the bus */
	uint64_t version; /* of two tables the one with more is newer */
	uint32_t reg_count, hook_count, list_mask;
	struct pb_reg **regs;  /* handlers by (priority, seq) */
	struct pb_reg **hooks; /* by seq */
	struct pbi_list **lists; /* open-addressed by name */
	struct pbi_list any;	 /* for names nobody named */
};

/* A loop's reference to a table; walks count on it without atomics. */
struct pbi_table_ref {
	struct pbi_table *table;
	uint32_t walks;
	bool current;
};

const struct pbi_list *pbi_table_find(const struct pbi_table *t, struct pb_str name);
/* A new table like `old` (may be NULL) with `add` or without `drop`. */
struct pbi_table *pbi_table_make(const struct pbi_table *old, struct pb_reg *add, struct pb_reg *drop);
void pbi_table_unref(struct pbi_table *t);
/* A loop lets go once no walk is on it and a newer one is current. */
void pbi_table_ref_release(struct pbi_table_ref *tr);
void pbi_reg_unref(struct pb_reg *r);

/* ---- Per loop ----------------------------------------------------------------- */

/* A parked message. The slot number and generation are the token. */
struct pbi_slot {
	uint32_t gen, number;
	bool used;
	bool handler_running; /* not yet back from the handler that holds */
	bool resumed; /* ... and the answer has already come */
	enum pb_verdict verdict;
	struct pb_patch *patch;
	struct pb_msg *msg;
	struct pb_reg *reg;
	struct pb_timer limit;
	uint64_t since_us;
	struct pb_hold hold;
	struct pbi_visit *away; /* the message has a visit out */
	struct pbi_gather *gather; /* ... or one on each loop */
	struct pbi_bus_loop *on;
	struct pb_list node; /* in order of parking */
	struct pbi_slot *next_free;
};

struct pbi_reg_count {
	uint64_t seq; /* of the handler it counts */
	uint32_t parked;
	uint64_t calls, handled, held, expired;
};

/* Written by its loop alone, read by anybody. */
struct pbi_counts {
	_Atomic uint64_t dispatched, enqueued, handled, held, expired, stale, full, parked, queued;
};
#define PBI_COUNT(pl, what, d)                                                                     \
	atomic_store_explicit(&(pl)->counts.what,                                                  \
			      atomic_load_explicit(&(pl)->counts.what, memory_order_relaxed) + (d), \
			      memory_order_relaxed)

struct pbi_bus_loop {
	struct pb_bus *bus;
	struct pb_loop *loop;
	unsigned index;
	struct pbi_table_ref *table;
	struct pb_msg *running; /* innermost message whose handler runs now */
	/* slots, allocated in chunks that never move */
	struct pbi_slot **slots;
	uint32_t slot_count;
	struct pbi_slot *free_slots;
	struct pb_list parked; /* oldest first */
	struct pbi_reg_count *regs, spare; /* spare: for those without memory, or removed */
	uint32_t reg_room;
	/* queue of enqueued messages */
	struct pb_msg *head, **tail;
	bool draining;
	struct pb_work drain;
	struct pbi_counts counts;
};

struct pb_bus {
	struct pb_loops *loops;
	struct pb_bus_args args;
	struct pb_str track;
	pthread_mutex_t lock; /* the one mutex of the bus: making a new table */
	struct pbi_table *table;
	uint64_t next_seq;
	uint32_t *numbers; /* given back; room for all that were ever given */
	uint32_t number_count, number_room, next_number;
	struct pbi_bus_loop on[PB_LOOPS_MAX];
};

static inline struct pbi_bus_loop *pbi_on(struct pb_bus *b, const struct pb_loop *l)
{
	return &b->on[pb_loop_index(l)];
}

struct pbi_reg_count *pbi_reg_counts_anew(struct pbi_bus_loop *pl, const struct pb_reg *r);

static inline struct pbi_reg_count *pbi_reg_counts(struct pbi_bus_loop *pl, const struct pb_reg *r)
{
	if (__builtin_expect(r->number < pl->reg_room && pl->regs[r->number].seq == r->seq, 1))
		return &pl->regs[r->number];
	return pbi_reg_counts_anew(pl, r);
}

/* ---- Walking ---------------------------------------------------------------------- */

/* Go on with the next handler. */
void pbi_walk(struct pb_msg *m);
/* Call one handler on this loop. True: it holds the message. */
bool pbi_call(struct pb_msg *m, struct pb_reg *r, enum pb_verdict *v);

/* ---- Parking ----------------------------------------------------------------------- */

struct pbi_slot *pbi_slot_take(struct pbi_bus_loop *pl, struct pb_msg *m, struct pb_reg *r);
void pbi_slot_arm(struct pbi_slot *s, unsigned limit_ms);
void pbi_slot_free(struct pbi_slot *s);
struct pb_token pbi_slot_token(const struct pbi_slot *s);
struct pbi_slot *pbi_slot_of(struct pbi_bus_loop *pl, struct pb_token t);
/* Continue the walk of what is parked here; the patch is the bus's. */
void pbi_slot_resume(struct pbi_slot *s, struct pb_patch *patch, enum pb_verdict v);
/* The holder is told, visits are abandoned; the slot is free afterwards. */
void pbi_slot_give_up(struct pbi_slot *s);
unsigned pbi_hold_limit(const struct pb_msg *m, const struct pb_reg *r, unsigned asked_ms);
/* What is left for the message; at least 1 ms. */
unsigned pbi_message_limit(const struct pb_msg *m);

/* ---- Visits: handlers on other loops -------------------------------------------------- */

/* Send a copy of `m` to loop `index` for handler `r`; `m` is parked until the
 * verdict is back. False: no memory; the handler is passed by. */
bool pbi_visit_start(struct pb_msg *m, struct pb_reg *r, unsigned index);
bool pbi_gather_start(struct pb_msg *m, struct pb_reg *r);
/* The copy's handler has spoken (the walk of a copy has one step). */
void pbi_visit_end(struct pb_msg *copy, enum pb_verdict v);
/* The origin gives up waiting: what was held away is told. */
void pbi_visit_abandon(struct pbi_visit *v);
/* The same for all that are out; merged with what has come when `merge`. */
void pbi_gather_abandon(struct pbi_gather *g, bool merge);
/* The loops have stopped: nothing will come back. */
void pbi_visit_lost(struct pbi_visit *v);
void pbi_gather_lost(struct pbi_gather *g);

/* ---- Patches ---------------------------------------------------------------------------- */

void pbi_patch_apply(struct pb_patch *p, struct pb_msg *m);

#endif
