/*
 * The simulated calls: what becomes of each, and what both its phones and both
 * its engines saw of it.
 *
 * A call goes from a phone through engine A and engine B to another phone, and
 * is known by its number wherever it comes by. Rows of `fates` say how both
 * ends behave; every call has one.
 */
#ifndef PB_TEST_CALLS_H
#define PB_TEST_CALLS_H

#include "site.h"

enum { CALLS_MAX = 1000, EVERY_MS = 20 };

/** A time is drawn from `from` to `from + span - 1`; span 0: it never comes. */
struct span {
	unsigned from, span;
};

enum {
	FATE_UNKNOWN = 1,           /* B knows no such number */
	FATE_SILENT = 2,            /* B sends it where nobody is */
	FATE_PATIENCE = 4,          /* B lets it ring for a limited time */
	FATE_NO_ACK = 8,            /* the caller never acknowledges */
	FATE_CALLER_GONE = 16,      /* the caller's Contact is where nobody is */
	FATE_CALLEE_GONE = 32,      /* ... the callee's */
	FATE_EARLY_BYE = 64,        /* the caller gives up by BYE, if it can */
	FATE_LATE_OFFER = 128,      /* the caller sends no SDP at first */
	FATE_ORIGINATED = 256,      /* engine A calls by itself */
	FATE_DROP_CALLER_LEG = 512, /* `drop` means B's incoming leg, else the outgoing */
};

struct fate {
	const char *name;
	unsigned flags;
	unsigned code;                      /* what the callee answers; 0: it only rings */
	struct span answer;                 /* from its INVITE on */
	struct span cancel;                 /* the caller gives up, from its INVITE on */
	struct span caller_bye, callee_bye; /* from the answer on, as each sees it */
	struct span drop;                   /* call.drop in engine B, or A when it has originated */
	struct span hold;                   /* how long call.route is held in each engine */
	unsigned wants[4];                  /* final codes that the caller may see */
};

extern const struct fate fates[];
unsigned fates_count(void);
const struct fate *fate_of(unsigned number);
/** Of "sip:17@..." or "17"; CALLS_MAX: no call of ours. */
unsigned call_number(struct pb_str user);

/* ---- Phones: phones.c --------------------------------------------------------- */

struct phone {
	struct sip_dialog *dialog;
	struct sip_txn_id invite; /* callee */
	struct pb_timer timer;
	unsigned used; /* INVITEs seen or sent */
	bool answered, acknowledged, over;
	unsigned outcome; /* caller: the final code */
};

extern struct phone callers[CALLS_MAX], callees[CALLS_MAX];
extern const struct sip_ua_ops phone_ops;
/** At its time; on the phones' loop. */
void phone_calls(unsigned number);

/* ---- Witnesses: witness.c, hold.c ------------------------------------------------------- */

/** What an engine's bus said of a call. */
struct sight {
	unsigned preroutes, routes, executes, legs;
	char in_id[24], out_id[24]; /* of its channels */
};

extern struct sight sights[SITE_ENGINES][CALLS_MAX];
extern const struct pb_module witness;
void witness_reset(void);
/**
 * In a handler: hold `m` for that long, then set its return value; every other
 * time the answer comes from another loop. PB_PASS when it is not to be held.
 */
enum pb_verdict witness_hold(struct pb_msg *m, struct pb_ctx *cx, struct span s,
			     struct pb_str retval);
/** The engines have stopped: what is held still will not be answered. */
void witness_let_go(void);
/** Each leg started, hung up and was reported once. */
void witness_expect_ended(void);

#endif
