/*
 * The load generator: one thread, callers and callees in one process.
 *
 * load.c keeps the schedule and counts, ops.c holds the operations under way,
 * modes.c says what each kind of work does, speak.c writes the messages.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "seen.h"
#include "wire.h"

#define OPS_MAX     32768
#define TEXT_MAX    1400
#define CALLERS_MAX 16
#define NS_PER_S    1000000000ull
#define NS_PER_MS   1000000ull

enum op_state {
	OP_FREE,
	OP_ASKED, /* the request is out */
	OP_AGAIN, /* REGISTER: the one with credentials is out */
	OP_UP,    /* a call was answered and is held */
	OP_LEFT,  /* its BYE is out */
};

struct op {
	enum op_state state;
	uint32_t slot, number;
	uint64_t due_ns;     /* when the schedule wanted it */
	uint64_t up_ns;      /* when the call was answered */
	uint64_t resend_ns;  /* when `asked` goes out again; 0: never */
	uint64_t resend_gap; /* doubles each time */
	bool provisional;    /* the caller has a 1xx: INVITE is not sent again */
	bool answered;       /* the caller has its final answer */
	bool arrived;        /* the callee has its copy */
	bool acked;          /* the callee has the ACK */
	struct wire *wire;   /* the caller's */
	struct wire *back_wire;
	struct sockaddr_in back; /* where the callee's answer goes, by back_wire */
	size_t asked_n, told_n;
	char asked[TEXT_MAX]; /* the caller's last request */
	char told[TEXT_MAX];  /* the callee's last final answer */
};

struct mode;

/** What the command line said. */
struct plan {
	const struct mode *mode;
	struct sockaddr_in server, callee;
	double rate_per_s, warm_s, round_s;
	unsigned rounds, users, callers, bytes;
	uint64_t tick_ns, hold_ns;
	uint64_t count; /* 0: as many as fit the time */
};

/** Counted over what was due in a round, not while warming up. */
struct tally {
	uint64_t offered, finished, failed, resent, unexpected;
	uint32_t last_status; /* of the unexpected ones */
	uint32_t *latency_ns;
	size_t latency_n, latency_max;
};

struct load {
	struct plan plan;
	struct wire *callers[CALLERS_MAX], *callee;
	struct op *ops;
	uint32_t *free_slots, free_count, slots_used;
	uint32_t run; /* tells this run's branches from the last one's */
	uint64_t now_ns, start_ns, measure_from_ns, measure_to_ns;
	uint64_t offered, finished, up;
	uint32_t *held, held_head, held_tail; /* ring of slots in the order they were answered */
	struct tally tally;
};

/* ---- ops.c ------------------------------------------------------------------------- */

/** 0 or -ENOMEM. */
int ops_init(struct load *l);
void ops_fini(struct load *l);

/** NULL when OPS_MAX are under way. */
struct op *ops_take(struct load *l, uint64_t due_ns);
/** Named by "cSLOT-NUMBER" somewhere at the start of `text`; NULL when it is over. */
struct op *ops_find(struct load *l, struct pb_str text);
/** It is over; well or not. */
void ops_end(struct load *l, struct op *op, bool well);
/** The latency of `op` is what has passed since it was due. */
void ops_clock(struct load *l, const struct op *op);
/** Send again what is due, give up what has waited too long. */
void ops_scan(struct load *l);

/* ---- modes.c ------------------------------------------------------------------------ */

struct mode {
	const char *name;
	void (*start)(struct load *l, struct op *op);
	void (*answer)(struct load *l, struct op *op, const struct seen *s);
};

/** NULL when there is no such mode. */
const struct mode *mode_find(const char *name);
/** wire_fn of every socket. */
void mode_input(void *load, struct wire *w, struct pb_str datagram, const struct sockaddr_in *from);
/** Hang up a call. */
void mode_leave(struct load *l, struct op *op);

/* ---- speak.c ------------------------------------------------------------------------- */

struct request {
	struct pb_str method;
	struct pb_str uri;    /* absent: sip:USER@SERVER */
	struct pb_str user;   /* whom it is for */
	struct pb_str to;     /* whole value of To; absent: the URI */
	const struct seen *dialog; /* its Record-Routes become the route set */
	struct pb_str challenge, password;
	struct pb_str body, type;
	unsigned cseq;
	enum {
		SAY_KEEP,  /* send, keep for sending again */
		SAY_ONCE,  /* an ACK: send, do not keep */
		SAY_LATER, /* keep, do not send yet */
	} fate;
};

/** Write it, queue it, keep it in op->asked; as `fate` says. */
void say_request(struct load *l, struct op *op, const struct request *r);
/** Answer what `w` received; kept in op->told when final and `op` is there. */
void say_answer(struct load *l, struct op *op, struct wire *w, const struct sockaddr_in *to,
		const struct seen *s, unsigned status, bool sdp);
/** Anything of `bytes` octets that names the operation. */
void say_ball(struct load *l, struct op *op);
/** Send kept bytes again. */
void say_again(struct wire *w, const char *p, size_t n, const struct sockaddr_in *to);

#endif
