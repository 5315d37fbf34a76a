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
	struct pb_str filter_name; /* absent: no filter */
	struct pb_str filter_value;
	/** Instead of filter_value: must be safe on any loop; `arg` below. */
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
 * @return 0, -EINVAL, -ENOMEM. @thread any; `known` needs a loop.
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
	pb_hook_fn fn;
	void *arg;
	struct pb_ctx *contexts; /* as above */
};
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
 * loop, in order. From another thread: on call loop 0.
 */
void pb_bus_enqueue(struct pb_bus *b, struct pb_msg *m);
/** On a loop of one's choice. Any thread. */
void pb_bus_enqueue_to(struct pb_bus *b, struct pb_loop *l, struct pb_msg *m);

/**
 * A line of notices (those of one call): each is dispatched when the one before
 * has been walked to its end, also when a handler holds it.
 */
struct pb_notices;
struct pb_notices *pb_notices_new(struct pb_bus *b);
void pb_notices_ref(struct pb_notices *n);
/** What is queued still runs; the line frees itself behind the last. */
void pb_notices_unref(struct pb_notices **n);
/** Enqueue in line; the bus owns `m`. @thread the loop that made the line. */
void pb_notices_add(struct pb_notices *n, struct pb_msg *m);
/** The same, and `done` gets it back at the end of its walk. */
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

struct pb_bus_args {
	struct pb_loops *loops;
	unsigned hold_ms; /* 0: 10000 */
	unsigned message_ms; /* 0: 60000 */
	unsigned parked_max; /* per handler and loop; 0: 10000 */
	const char *track_param; /* "handlers"; NULL: no tracking */
};
int pb_bus_new(const struct pb_bus_args *args, struct pb_bus **out);
/** The loops have stopped. Parked and queued messages are freed. */
void pb_bus_free(struct pb_bus **b);
struct pb_loops *pb_bus_loops(const struct pb_bus *b);

struct pb_bus_counts {
	uint64_t dispatched, enqueued, handled, held, expired, stale, full;
	uint64_t parked, queued; /* now */
};
/** Summed over the loops as they last told (counters are per loop). Any thread. */
void pb_bus_count(const struct pb_bus *b, struct pb_bus_counts *out);

/** Parked messages of the calling loop, oldest first; false from `fn` stops. */
struct pb_parked {
	struct pb_str message, holder;
	uint64_t age_ms;
	struct pb_token token;
};
void pb_bus_parked(struct pb_bus *b, bool (*fn)(void *arg, const struct pb_parked *p), void *arg);

/** Handlers in order as the calling thread's snapshot has them; false stops. */
struct pb_handler_row {
	struct pb_str message, track, filter_name;
	unsigned priority;
};
void pb_bus_handlers(struct pb_bus *b, bool (*fn)(void *arg, const struct pb_handler_row *r), void *arg);

/** Loop index in a channel id: "sip/17" is 17 modulo call loops; -1: none. */
int pb_bus_owner_of(const struct pb_bus *b, struct pb_str id);

#endif
