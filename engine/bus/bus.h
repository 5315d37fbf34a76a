/*
 * The bus: named messages walk handlers in order of priority; the first that
 * handles one wins.
 *
 * A handler answers PB_PASS, PB_HANDLED, or PB_HOLD. Hold parks the message:
 * the thread goes on with other work, and pb_bus_resume, from any thread,
 * continues the walk at the next handler on the message's own loop. No thread
 * ever waits for a message.
 *
 * A message is dispatched on one loop and walks an immutable snapshot of the
 * handlers as they were when its walk began: one added meanwhile is seen by the
 * next message, one removed meanwhile is skipped. A handler that runs on
 * another loop (HOME, OWNER, EACH) gets a copy there, and what it changed comes
 * back with its verdict.
 */
#ifndef PB_BUS_BUS_H
#define PB_BUS_BUS_H

#include "base/list.h"
#include "bus/msg.h"
#include "loop/loop.h"

struct pb_bus;
struct pb_flight_args;
struct pb_log_source;
struct pb_log_row;
struct pbi_module;

enum pb_verdict {
	PB_PASS,    /* not mine, or only looked at: go on */
	PB_HANDLED, /* mine: stop (a broadcast goes on) */
	PB_HOLD,    /* pb_bus_hold was called: wait for a resume */
};

/** Where a handler runs. */
enum pb_place {
	PB_HERE,  /* the message's loop: per-loop state and immutable snapshots only */
	PB_HOME,  /* the loop named at registration (`home`) */
	PB_OWNER, /* the loop in the channel id that parameter `owner_param` names */
	PB_EACH,  /* every call loop; return values appended, verdicts OR-ed */
};

/**
 * What a handler is called with, besides the message. Valid during the call;
 * one that stays is got from pb_engine_ctx().
 */
struct pb_ctx {
	struct pb_bus *bus;
	struct pb_loop *loop; /* the one it runs on */
	const void *settings; /* the module's, immutable; NULL outside modules */
	void *state;	      /* the module's per-loop state on this loop */
	void *shared;	      /* the module's shared state */
	void *arg;	      /* given at registration */
	struct pbi_module *module; /* the engine's record of the module */
};

typedef enum pb_verdict (*pb_handle_fn)(struct pb_msg *m, struct pb_ctx *cx);
/** What the loops' copies of a message (NULL: lost) give for the message itself. */
typedef void (*pb_merge_fn)(struct pb_msg *m, struct pb_msg *const *parts, unsigned n, void *arg);

/** A row of a module's table of handlers; ends with message == NULL. */
struct pb_handler {
	const char *message; /* exact name; "" hears every message */
	unsigned priority;   /* lower first; 100 is usual */
	enum pb_place place;
	pb_handle_fn fn;
	const char *owner_param; /* PB_OWNER: parameter with the channel id */
	const char *owner_else;	 /* the second choice when that one is not a channel of `owner_prefix` */
	const char *owner_prefix; /* "sip/"; NULL: any id with a number */
	const char *filter_name, *filter_value; /* exact; absent parameter == "" */
	bool untracked;	     /* do not appear in `handlers` */
	unsigned hold_ms;    /* limit of one hold; 0: the bus's (10 s) */
	unsigned parked_max; /* parked at once and loop; 0: the bus's */
	bool refuse_when_full; /* at the cap: end unhandled with error=congestion; else pass by */
	pb_merge_fn merge; /* PB_EACH; NULL: return values are appended */
};

/* ---- Handlers made at run time -------------------------------------------- */

struct pb_handler_args {
	struct pb_str message;
	unsigned priority;
	enum pb_place place;
	struct pb_loop *home; /* PB_HOME */
	struct pb_str owner_param, owner_else, owner_prefix;
	/** The first parameter of that name must fit; a missing one counts as empty. Absent: no filter. */
	struct pb_str filter_name;
	struct pb_str filter_value; /* exact */
	/** Instead: a basic regular expression; a '^' at its end negates. Absent: none; empty: never fits. */
	struct pb_str filter_regexp;
	/** Instead: must be safe on any loop; `arg` below. */
	bool (*filter)(void *arg, struct pb_str value);
	struct pb_str track; /* name in `handlers`; absent: untracked */
	unsigned hold_ms, parked_max;
	bool refuse_when_full;
	pb_handle_fn fn;
	void *arg;
	/** Per-loop contexts of a module, index by loop; NULL: made from `arg`. */
	struct pb_ctx *contexts;
	pb_merge_fn merge; /* PB_EACH; with `arg` */
};

struct pb_reg; /* a registered handler */

/**
 * Add a handler. Messages whose walk starts afterwards on the calling thread's
 * loop see it at once, those on other loops as soon as their mailbox brought it;
 * `known` (optional) is called on the calling loop when all have it.
 *
 * @return 0, -EINVAL (also: a broken filter_regexp), -ENOMEM. @thread any;
 *         `known` needs a loop.
 */
int pb_bus_add(struct pb_bus *b, const struct pb_handler_args *args,
	       void (*known)(void *arg), void *known_arg, struct pb_reg **out);
/**
 * Remove it: no new call of `fn` on this loop from now on, nor on the others
 * once `gone` (optional) has been called on the calling loop. Messages it holds
 * stay parked until resumed or out of time.
 */
void pb_bus_remove(struct pb_bus *b, struct pb_reg **r, void (*gone)(void *arg), void *gone_arg);

/** Post-dispatch hooks: called on the message's loop when a walk has ended. */
typedef void (*pb_hook_fn)(const struct pb_msg *m, bool handled, struct pb_ctx *cx);
struct pb_hook_args {
	struct pb_str message; /* absent: every message */
	struct pb_str filter_name, filter_value, filter_regexp; /* as a handler's; of what came out */
	pb_hook_fn fn;
	void *arg;
	struct pb_ctx *contexts; /* as above */
};
/** In the order in which they were added. @return as pb_bus_add. */
int pb_bus_hook_add(struct pb_bus *b, const struct pb_hook_args *args, struct pb_reg **out);
/* removed by pb_bus_remove */

/* ---- Dispatch --------------------------------------------------------------- */

typedef void (*pb_done_fn)(struct pb_msg *m, bool handled, void *arg);

/** Questions of one asker, so that they can be given up together. */
struct pb_questions {
	struct pb_list list;
};
void pb_questions_init(struct pb_questions *q);
/**
 * Give up: no `done` of theirs is called any more; the bus frees the messages.
 * Holders are told as if the limit had passed. Messages described as notices
 * are walked to their end all the same.
 */
void pb_questions_cancel(struct pb_questions *q);

/**
 * Walk the handlers with `m`, which is the bus's until `done` is called with it
 * (once, on this loop, possibly before this returns); then it is the caller's
 * again. NULL `done`: the bus frees it. `q` may be NULL, and is on a script
 * loop.
 *
 * Nested: a message dispatched from inside a handler inherits what is left of
 * the outer one's time. @thread a loop's.
 */
void pb_bus_dispatch(struct pb_bus *b, struct pb_msg *m, struct pb_questions *q, pb_done_fn done, void *arg);

/**
 * Dispatch later, from a turn of its own; the bus owns `m`. On a loop: on that
 * loop, in order. From another thread: on call loop 0. Its time begins when it
 * leaves the queue.
 *
 * @return false: not queued. Either it is queued or dispatched already (asked
 *         on the same loop; nothing changes), or the queue is at its limit
 *         (pb_bus_args.queued_max): then it is freed, counted, and the first
 *         of such a time told of in an alarm. `m` is the bus's in any case.
 */
bool pb_bus_enqueue(struct pb_bus *b, struct pb_msg *m);
/** On a loop of one's choice. Any thread. */
bool pb_bus_enqueue_to(struct pb_bus *b, struct pb_loop *l, struct pb_msg *m);
/**
 * What is left of the time of `from` (a copy of a message that one holds or
 * held) is all that `m` has, once dispatched. What is dispatched from inside a
 * handler has that anyhow.
 */
void pb_msg_inherit(struct pb_msg *m, const struct pb_msg *from);

/**
 * A line of notices (those of one call): each is dispatched when the one before
 * has been walked to its end, also when a handler holds it.
 */
struct pb_notices;
struct pb_notices *pb_notices_new(struct pb_bus *b);
void pb_notices_ref(struct pb_notices *n);
/** What is queued still runs; the line frees itself behind the last. */
void pb_notices_unref(struct pb_notices **n);
/**
 * Enqueue in line; the bus owns `m`. Beyond 1000 in one line it is freed and
 * counted as dropped. @thread the loop that made the line.
 */
void pb_notices_add(struct pb_notices *n, struct pb_msg *m);
/** The same, never dropped, and `done` gets it back at the end of its walk. */
void pb_notices_add_done(struct pb_notices *n, struct pb_msg *m, pb_done_fn done, void *arg);

/* ---- Hold and resume ---------------------------------------------------------- */

/** Names a parked message. Zeroed: none. */
struct pb_token {
	uint32_t slot, gen;
	uint16_t loop;
};

struct pb_hold {
	unsigned limit_ms; /* 0: the handler's row, or the bus's */
	/**
	 * The limit has passed, or the question was given up: undo. Called on the
	 * loop where the handler ran; a later resume is stale. May be NULL.
	 */
	void (*expired)(void *arg);
	void *arg;
};

/**
 * In a handler, before answering PB_HOLD: park this message. The pointer `m`
 * must not be used after the handler has returned: take a copy. A token with
 * gen 0: there was no memory; PB_HOLD then counts as PB_PASS.
 */
struct pb_token pb_bus_hold(struct pb_msg *m, const struct pb_hold *h);

/** What the holder changes; applied in order, whatever the verdict. */
struct pb_patch;
struct pb_patch *pb_patch_new(void);
void pb_patch_free(struct pb_patch **p);
void pb_patch_set(struct pb_patch *p, struct pb_str name, struct pb_str value);
void pb_patch_clear(struct pb_patch *p, struct pb_str name);
void pb_patch_retval(struct pb_patch *p, struct pb_str text);
void pb_patch_name(struct pb_patch *p, struct pb_str name);
/** Take over all of `m` (a changed copy) in place of the present content. */
void pb_patch_replace(struct pb_patch *p, struct pb_msg **m);

/**
 * Apply `patch` (may be NULL; the bus owns it) and go on with PB_PASS or
 * PB_HANDLED. A token that is stale is counted and nothing happens.
 *
 * @thread any.
 */
void pb_bus_resume(struct pb_bus *b, struct pb_token t, struct pb_patch *patch, enum pb_verdict v);

/* ---- The bus itself ------------------------------------------------------------ */

/** From when on the bus counts as congested; 0: never. */
struct pb_bus_limits {
	unsigned rate;	 /* dispatched in a second */
	unsigned age_ms; /* mean age of what leaves a queue */
	unsigned queued; /* waiting now */
};

/** An alarm of the bus: the row is of `src`; `info` is one word more, or NULL. Any loop. */
typedef void (*pb_bus_alarm_fn)(void *arg, struct pb_log_source *src, const struct pb_log_row *row,
				const char *info, struct pb_str text);

struct pb_bus_args {
	struct pb_loops *loops;
	unsigned hold_ms; /* 0: 10000 */
	unsigned message_ms; /* 0: 60000 */
	unsigned parked_max; /* per handler and loop; 0: 10000 */
	unsigned queued_max; /* per loop; 0: 100000 */
	/** A handler that missed its hold's limit so often within the window is passed by for the pause. */
	unsigned breaker_misses; /* 0: 5; at most 64 */
	unsigned breaker_window_ms; /* 0: 60000 */
	unsigned breaker_pause_ms; /* 0: 30000 */
	unsigned warn_ms; /* a handler or message that took longer is logged; 0: none */
	bool trace_times, trace_handler_times; /* see pb_bus_trace_times */
	bool bare; /* no statistics: to measure what they cost */
	struct pb_bus_limits limits;
	const char *track_param; /* "handlers"; NULL: no tracking */
	const struct pb_flight_args *flights; /* NULL: nothing is recorded; read while made */
	pb_bus_alarm_fn alarm; /* NULL: the log alone hears of it */
	void *alarm_arg;
};
int pb_bus_new(const struct pb_bus_args *args, struct pb_bus **out);
/**
 * Let what travels between loops arrive, so that stopping the loops drops
 * nothing of the bus: to be called when the handlers have been removed and
 * before pb_loops_stop. What handlers do meanwhile is given some rounds, not
 * more. @return whether nothing is under way. @thread one that is no loop.
 */
bool pb_bus_settle(struct pb_bus *b);
/** The loops have stopped. Parked and queued messages are freed. */
void pb_bus_free(struct pb_bus **b);
struct pb_loops *pb_bus_loops(const struct pb_bus *b);

/** Loop index in a channel id: "sip/17" is 17 modulo call loops; -1: none. */
int pb_bus_owner_of(const struct pb_bus *b, struct pb_str id);

/* ---- Switches at run time; any thread -------------------------------------------- */

void pb_bus_set_limits(struct pb_bus *b, const struct pb_bus_limits *l);
/** Log handlers (INFO) and messages (MILD, "Performance") that took longer; 0: none. */
void pb_bus_set_warntime(struct pb_bus *b, unsigned ms);
/** Messages keep when they were queued and dispatched (pb_msg_enqueued_us, pb_msg_dispatched_us). */
void pb_bus_trace_times(struct pb_bus *b, bool on);
/** The tracking parameter gets "#MSEC.UUU" behind each handler that has returned. */
void pb_bus_trace_handler_times(struct pb_bus *b, bool on);

/* ---- Load --------------------------------------------------------------------------- */

/**
 * To be called once a second on call loop 0: messages a second are counted, and
 * what is over a limit (or no longer) is told of in an alarm.
 */
void pb_bus_second(struct pb_bus *b);
/** How many limits are passed now: purely for information. */
unsigned pb_bus_congestion(const struct pb_bus *b);

struct pb_bus_counts {
	uint64_t dispatched, enqueued, dequeued, handled;
	uint64_t held;	  /* holds begun */
	uint64_t visits;  /* journeys to a handler on another loop */
	uint64_t expired; /* holds whose limit has passed */
	uint64_t stale;	  /* answers to what is parked no more */
	uint64_t full;	  /* passed by or refused at the cap of parked messages */
	uint64_t passed_by; /* ... while the breaker was open */
	uint64_t dropped; /* beyond the limit of a queue or line */
	uint64_t parked;  /* now: each message once, wherever it is held */
	uint64_t queued;  /* now */
	uint64_t queued_max; /* the most in the queue of one loop since the reset */
	uint64_t age_us;     /* mean age when leaving the queue, of the loop where it is highest */
	uint64_t rate, rate_max; /* dispatched in the last second; the most since the reset */
};
/** Summed over the loops as they last told (counters are per loop). Any thread. */
void pb_bus_count(const struct pb_bus *b, struct pb_bus_counts *out);
/** queued_max and rate_max begin anew. Any thread. */
void pb_bus_count_reset(struct pb_bus *b);

/* ---- Who, what, how long -------------------------------------------------------------- */

/** Parked messages of the calling loop, oldest first; false from `fn` stops. */
struct pb_parked {
	struct pb_str message, holder;
	uint64_t age_ms;
	unsigned loop; /* where its handler runs */
	bool held;     /* false: on its way there, or its handler runs now */
	struct pb_token token;
};
void pb_bus_parked(struct pb_bus *b, bool (*fn)(void *arg, const struct pb_parked *p), void *arg);

enum pb_breaker {
	PB_BREAKER_CLOSED, /* called as ever */
	PB_BREAKER_OPEN,   /* passed by */
	PB_BREAKER_TRIAL,  /* one message is tried; others pass by */
};

/** Handlers in order as the calling thread's snapshot has them; false stops. */
struct pb_handler_row {
	struct pb_str message, track, filter_name;
	unsigned priority;
	enum pb_place place;
	enum pb_breaker breaker;
};
void pb_bus_handlers(struct pb_bus *b, bool (*fn)(void *arg, const struct pb_handler_row *r), void *arg);

/**
 * How long it took, of the dispatches that were timed (the first of each row,
 * then one of some dozens); what parks is measured to its end. Upper bounds of
 * the powers of two that the quantiles lie in; a handler's max_us knows every hold.
 */
struct pb_latency {
	uint64_t samples, p50_us, p95_us, p99_us, max_us;
};
struct pb_message_stats {
	struct pb_str name; /* of the registry, by the name it began with; "(others)" */
	uint64_t count, handled;
	uint64_t expired, refused; /* a limit passed; ended at a full handler */
	uint64_t parked; /* now */
	struct pb_latency latency;
};
struct pb_handler_stats {
	struct pb_str message, track;
	unsigned priority;
	uint64_t count, handled, held;
	uint64_t expired; /* holds whose limit has passed */
	uint64_t full, passed_by; /* not called: at its cap; breaker */
	uint64_t parked; /* now */
	enum pb_breaker breaker;
	struct pb_latency latency;
};
/** Summed over all loops, as they last told. Messages never seen are left out; false stops. Any thread. */
void pb_bus_stats_messages(struct pb_bus *b, bool (*fn)(void *arg, const struct pb_message_stats *s), void *arg);
/** In order of the walk. Any thread. */
void pb_bus_stats_handlers(struct pb_bus *b, bool (*fn)(void *arg, const struct pb_handler_stats *s), void *arg);

/** Which handler has a loop at this moment. */
struct pb_bus_doing {
	char message[64], handler[64]; /* NUL behind, cut when longer; handler as tracked ("name:priority") */
	uint64_t call; /* differs from call to call: the same twice is one long call */
};
/**
 * Safe from any thread and from a signal handler: nothing is locked, allocated
 * or freed. The names are never torn; that of a message nobody named a handler
 * for, or no registry, is "(others)". @return false: the bus has nothing on that
 * loop.
 */
bool pb_bus_doing(const struct pb_bus *b, unsigned loop, struct pb_bus_doing *out);

#endif
