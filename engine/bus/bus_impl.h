/*
 * The bus from inside: the table of handlers, the state on each loop, parked
 * messages and visits to other loops. For the files of engine/bus only.
 */
#ifndef PB_BUS_BUS_IMPL_H
#define PB_BUS_BUS_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/assert.h"
#include "base/pattern.h"
#include "bus/msg_impl.h"
#include "loop/log.h"

struct pbi_change;
struct pbi_flights;

/* What one thread writes and any other may read. */
#define PBI_GET(x)    atomic_load_explicit(&(x), memory_order_relaxed)
#define PBI_PUT(x, v) atomic_store_explicit(&(x), (v), memory_order_relaxed)
#define PBI_ADD(x, d) PBI_PUT(x, PBI_GET(x) + (d))

/* ---- Handlers -------------------------------------------------------------- */

/* What the first parameter of a name must be. Without name and fn: nothing. */
struct pbi_filter {
	struct pb_str name, value;
	const struct pb_pattern *pattern;
	bool by_pattern, negate;
	bool (*fn)(void *arg, struct pb_str value);
	void *arg;
};

struct pbi_miss {
	uint64_t at_ms, calls; /* calls: of the handler, until then */
};

/* A handler that missed its limits; under the bus's lock but for the atomics. */
struct pbi_breaker {
	_Atomic enum pb_breaker state;
	_Atomic uint64_t retry_ms; /* open: when one message may try again */
	struct pbi_miss *misses;   /* the last `breaker_misses` of them, as a ring */
	unsigned count, next;
};

/* Why a handler is not simply called. */
enum {
	PBI_CARE_DEAD = 1,    /* removed */
	PBI_CARE_BREAKER = 2, /* open, or on trial */
	PBI_CARE_PLACE = 4,   /* has a filter, or runs elsewhere; never changes */
};

/* One registered handler or hook. Immutable but for `care` and `breaker`; alive
 * while a table or its owner refers to it. First what every call looks at. */
struct pb_reg {
	atomic_uint care;
	/* where its counters are on each loop; used again after removal */
	uint32_t number;
	uint32_t row_chunk, row_bytes;
	uint64_t seq; /* order of registration: ties at equal priority */
	pb_handle_fn fn;
	struct pb_ctx *ready; /* contexts by loop that need nothing added; or NULL */
	struct pb_str track;  /* "name:priority"; absent: untracked */
	uint32_t parked_max;  /* the row's or the bus's */
	uint16_t label;
	bool is_hook;
	struct pbi_filter filter;
	struct pb_arena *arena;
	struct pb_bus *bus;
	atomic_uint refs;
	struct pbi_change *removal; /* made beforehand: removing cannot fail */
	struct pbi_breaker breaker;
	struct pb_handler_args h;
	struct pb_hook_args hook;
};

static inline bool pbi_reg_dead(const struct pb_reg *r)
{
	return PBI_GET(r->care) & PBI_CARE_DEAD;
}

struct pbi_entry {
	uint32_t priority;
	uint64_t seq;
	struct pb_reg *reg;
};

#define PBI_STAT_ASK 0xffff /* a list for many names: the message's own tells */

/* The handlers one name meets (those of that name and those of every message),
 * in order. */
struct pbi_list {
	struct pb_str name;
	uint32_t count;
	uint16_t stat, label;
	struct pbi_entry *entries;
};

/* An immutable snapshot of all handlers. */
struct pbi_table {
	struct pb_arena *arena;
	atomic_uint refs; /* one a loop, one of the bus */
	uint64_t version; /* of two tables the one with more is newer */
	uint32_t reg_count, hook_count, list_mask;
	struct pb_reg **regs;    /* handlers by (priority, seq) */
	struct pb_reg **hooks;   /* by seq */
	struct pbi_list **lists; /* open-addressed by name */
	struct pbi_list any;     /* for names nobody named */
};

/* A loop's reference to a table; walks count on it without atomics. */
struct pbi_table_ref {
	struct pbi_table *table;
	uint32_t walks;
	bool current;
};

const struct pbi_list *pbi_table_find(const struct pbi_table *t, struct pb_str name);
/* A new table like `old` (may be NULL) with `add` or without `drop`. */
struct pbi_table *pbi_table_make(struct pb_bus *b, const struct pbi_table *old, struct pb_reg *add,
				 struct pb_reg *drop);
void pbi_table_unref(struct pbi_table *t);
/* A loop lets go once no walk is on it and a newer one is current. */
void pbi_table_ref_release(struct pbi_table_ref *tr);
void pbi_reg_unref(struct pb_reg *r);

/* @return 0, -EINVAL, -ENOMEM. */
int pbi_filter_make(struct pbi_filter *f, struct pb_arena *a, struct pb_str name,
		    struct pb_str value, struct pb_str regexp);
bool pbi_filter_passes(const struct pbi_filter *f, const struct pb_msg *m);

/* ---- Statistics ---------------------------------------------------------------- */

/* Bucket 0 counts what took less than 1 us, bucket n what took less than 2^n. */
#define PBI_HIST_BUCKETS 28

/* Written by one loop, read by anybody; so are all counters below. */
struct pbi_hist {
	_Atomic uint64_t max_us;
	_Atomic uint32_t bucket[PBI_HIST_BUCKETS];
};

struct pbi_msg_count {
	_Atomic uint64_t count, handled, expired, refused, parked;
	struct pbi_hist hist;
};

struct pbi_reg_count {
	_Atomic uint64_t seq; /* of the handler it counts */
	_Atomic uint64_t calls, handled, held, expired, full, passed_by, parked;
	struct pbi_hist hist;
};

#define PBI_REGS_CHUNK  128
#define PBI_REGS_CHUNKS 256

struct pbi_counts {
	_Atomic uint64_t dispatched, enqueued, dequeued, handled, held, visits, expired, stale,
		full, passed_by, dropped, parked, queued, queued_max, age_us;
};
#define PBI_COUNT(pl, what, d) PBI_ADD((pl)->counts.what, d)

/* ---- Per loop ----------------------------------------------------------------- */

/* A parked message. The slot number and generation are the token. */
struct pbi_slot {
	uint32_t gen, number;
	bool used;
	bool handler_running; /* not yet back from the handler that holds */
	bool resumed;         /* ... and the answer has already come */
	bool expired;         /* its limit has passed */
	enum pb_verdict verdict;
	struct pb_patch *patch;
	struct pb_msg *msg;
	struct pb_reg *reg;
	struct pb_timer limit;
	uint64_t since_us;
	struct pb_hold hold;
	struct pbi_visit *away;    /* the message has a visit out */
	struct pbi_gather *gather; /* ... or one on each loop */
	struct pbi_bus_loop *on;
	struct pb_list node; /* in order of parking */
	struct pbi_slot *next_free;
};

struct pbi_bus_loop {
	struct pb_bus *bus;
	struct pb_loop *loop;
	unsigned index;
	uint32_t ctx_bytes;  /* where this loop's is among contexts by loop */
	bool script;         /* owns no calls: nothing is walked here but copies */
	struct pb_str track; /* the bus's */
	struct pbi_table_ref *table;
	struct pb_msg *running; /* innermost message whose handler runs now */
	/* who has the loop: number of the call, label of the message, of the handler */
	_Atomic uint64_t doing;
	uint64_t calls; /* the number, shifted to its place */
	/* statistics; the chunks never move */
	struct pbi_msg_count *msgs;
	struct pbi_reg_count *_Atomic regs[PBI_REGS_CHUNKS + 1];
	struct pbi_reg_count spare; /* for those without memory, or removed */
	uint32_t sample_in, sample_state;
	struct pbi_counts counts;
	/* slots, allocated in chunks that never move */
	struct pbi_slot **slots;
	uint32_t slot_count;
	struct pbi_slot *free_slots;
	struct pb_list parked; /* oldest first */
	/* queue of enqueued messages */
	struct pb_msg *head, **tail;
	bool draining;
	struct pb_work drain;
	atomic_bool dropping;    /* the queue overflows, and that has been told */
	uint64_t dropped_before; /* counts.dropped a second ago; pb_bus_second's */
	atomic_uint under_way;   /* posted to this loop and not yet arrived */
	struct pbi_flights *flights; /* NULL: no recorder, or a script loop */
};

/* What the clock is read for, besides sampling. */
enum {
	PBI_TIME_WARN = 1,
	PBI_TIME_HANDLERS = 2, /* into the tracking parameter */
	PBI_TIME_MESSAGES = 4, /* when queued, when dispatched */
};

/* What pb_bus_second compares; its own but for the atomics. */
struct pbi_load {
	_Atomic unsigned limit_rate, limit_age_ms, limit_queued;
	_Atomic unsigned congestion; /* limits that are passed now */
	_Atomic uint64_t rate, rate_max;
	uint64_t dispatched; /* a second ago */
	bool over_rate, over_age, over_queued;
};

struct pbi_labels;

struct pb_bus {
	struct pb_loops *loops;
	struct pb_bus_args args;
	struct pb_str track;
	atomic_uint timing;
	_Atomic uint64_t warn_us;
	struct pbi_load load;
	struct pbi_labels *labels;
	uint16_t *name_labels; /* of the rows of the statistics */
	uint16_t name_count;   /* of the registry; the row behind them is for all others */
	uint16_t name_exact;   /* of them whole names, not beginnings */
	pthread_mutex_t lock; /* the one mutex of the bus: making a new table, tripping a breaker */
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

/* ---- Crossing ----------------------------------------------------------------------- */

/* Have `fn` run on loop `to`; it says pbi_arrived first. */
void pbi_post(struct pbi_bus_loop *to, struct pb_work *w, void (*fn)(void *arg), void *arg);
void pbi_arrived(struct pbi_bus_loop *pl);

/* ---- Statistics, time, labels (stats.c, timing.c, label.c) ----------------------------- */

int pbi_stats_new(struct pb_bus *b);
void pbi_stats_free(struct pb_bus *b);
/* The row of a message's name. */
uint16_t pbi_stat_of(const struct pb_bus *b, struct pb_str name);
void pbi_hist_add(struct pbi_hist *h, uint64_t us);
void pbi_hist_longest(struct pbi_hist *h, uint64_t us);
struct pbi_reg_count *pbi_reg_counts_anew(struct pbi_bus_loop *pl, const struct pb_reg *r);

static inline struct pbi_reg_count *pbi_reg_counts(struct pbi_bus_loop *pl, const struct pb_reg *r)
{
	struct pbi_reg_count *chunk = PBI_GET(pl->regs[r->row_chunk]), *c;

	if (__builtin_expect(chunk != NULL, 1)) {
		c = (struct pbi_reg_count *)((char *)chunk + r->row_bytes);
		if (__builtin_expect(PBI_GET(c->seq) == r->seq, 1))
			return c;
	}
	return pbi_reg_counts_anew(pl, r);
}

/* A timed walk begins; the present handler has spoken; the walk has ended. */
void pbi_timing_begin(struct pb_msg *m);
void pbi_timing_handler(struct pb_msg *m, struct pb_reg *r);
void pbi_timing_end(struct pb_msg *m);
/* How many dispatches until the next that is timed. */
uint32_t pbi_sample_next(struct pbi_bus_loop *pl);

#define PBI_LABEL_NONE   0
#define PBI_LABEL_OTHERS 1

struct pbi_labels *pbi_labels_new(void);
void pbi_labels_free(struct pbi_labels **l);
/* The number of that text, for ever; PBI_LABEL_OTHERS when there is no room. Under the lock. */
uint16_t pbi_label(struct pbi_labels *l, struct pb_str text);
/* Safe in a signal handler. */
const char *pbi_label_text(const struct pbi_labels *l, uint16_t label);

extern struct pb_log_source pbi_bus_log, pbi_performance_log;
extern const struct pb_log_row pbi_bus_rows[], pbi_performance_rows[];
enum {
	PBI_BUS_BROADCAST,
	PBI_BUS_DROPPED,
	PBI_BUS_BREAKER_OPEN,
	PBI_BUS_BREAKER_CLOSED,
	PBI_BUS_CONGESTED,
	PBI_BUS_EXTRA_CONGESTED,
	PBI_BUS_CONGESTION_ENDED,
	PBI_BUS_SLOW_HANDLER
};
enum { PBI_PERF_SLOW_MESSAGE };
/* Raise pbi_bus_rows[row]. */
void pbi_alarm(struct pb_bus *b, unsigned row, const char *info, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* ---- Breaker -------------------------------------------------------------------------- */

/* `r` is open: may `m` be given to it all the same, to try? Then m->w.trial. */
/* How often it was called, on all loops together, about now. Any thread. */
uint64_t pbi_reg_calls(const struct pb_bus *b, const struct pb_reg *r);
bool pbi_breaker_lets(struct pb_msg *m, struct pb_reg *r);
/* A hold of it has passed its limit. */
void pbi_breaker_missed(struct pbi_bus_loop *pl, struct pb_reg *r);
/* m->w.trial has answered in time; or nothing can be said. */
void pbi_breaker_tried(struct pb_msg *m);
void pbi_breaker_untried(struct pb_msg *m);

/* ---- Walking ---------------------------------------------------------------------- */

/* A new walk, on the calling thread's loop. */
void pbi_walk_begin(struct pbi_bus_loop *pl, struct pb_msg *m);
/* Go on with the next handler. */
void pbi_walk(struct pb_msg *m);
/* It is over: hooks, and whoever asked. */
void pbi_walk_end(struct pb_msg *m);
/* The handler whose turn it was has spoken, at once or when it resumed. */
void pbi_answered(struct pb_msg *m, struct pb_reg *r, enum pb_verdict v);
/* Call one handler on this loop. True: it holds the message. */
bool pbi_call(struct pb_msg *m, struct pb_reg *r, enum pb_verdict *v);

/* ---- Parking ----------------------------------------------------------------------- */

struct pbi_slot *pbi_slot_take(struct pbi_bus_loop *pl, struct pb_msg *m, struct pb_reg *r);
void pbi_slot_arm(struct pbi_slot *s, uint64_t limit_ms);
void pbi_slot_free(struct pbi_slot *s);
struct pb_token pbi_slot_token(const struct pbi_slot *s);
struct pbi_slot *pbi_slot_of(struct pbi_bus_loop *pl, struct pb_token t);
/* Continue the walk of what is parked here; the patch is the bus's. */
void pbi_slot_resume(struct pbi_slot *s, struct pb_patch *patch, enum pb_verdict v);
/* The holder is told, visits are abandoned; the slot is free afterwards. */
void pbi_slot_give_up(struct pbi_slot *s);
/* What a handler may hold at most by itself; `asked_ms` 0: by its row or the bus. */
unsigned pbi_hold_own(const struct pb_msg *m, const struct pb_reg *r, unsigned asked_ms);
/* What is left for the message; at least 1 ms. */
unsigned pbi_message_limit(const struct pb_msg *m);

/* ---- Visits: handlers on other loops -------------------------------------------------- */

/* Send a copy of `m` to loop `index` for handler `r`; `m` is parked until the
 * verdict is back. False: no memory; the handler is passed by. */
bool pbi_visit_start(struct pb_msg *m, struct pb_reg *r, unsigned index);
bool pbi_gather_start(struct pb_msg *m, struct pb_reg *r);
/* The copy's handler holds it until then (loop clock). */
void pbi_visit_holds(struct pbi_visit *v, uint64_t until_us);
/* ... and has missed that. */
void pbi_visit_missed(struct pbi_visit *v);
/* The copy's handler has spoken (the walk of a copy has one step). */
void pbi_visit_end(struct pb_msg *copy, enum pb_verdict v);
/* The origin gives up waiting: what was held away is told. */
void pbi_visit_abandon(struct pbi_visit *v);
/* The same for all that are out; merged with what has come when `merge`. */
void pbi_gather_abandon(struct pbi_gather *g, bool merge);
/* How long from now who has the message may keep it; 0: no longer. */
uint64_t pbi_visit_left_ms(const struct pbi_slot *s);
/* Where it is, and whether its handler there holds it. */
unsigned pbi_visit_where(const struct pbi_visit *v, bool *held);
/* The loops have stopped: nothing will come back. */
void pbi_visit_lost(struct pbi_visit *v);
void pbi_gather_lost(struct pbi_gather *g);

/* ---- Patches ---------------------------------------------------------------------------- */

void pbi_patch_apply(struct pb_patch *p, struct pb_msg *m);

#endif
