/*
 * Transactions of one loop: RFC 3261 section 17, RFC 6026, RFC 4320.
 *
 * A stack holds the transport of its loop and the transactions on it. Requests
 * come up once each, whatever the wire repeats, through the stack's user's ops;
 * responses come up through the callback of the client transaction that asked.
 *
 * Transactions are named by ids {slot, generation}. An id stays harmless
 * forever: what is asked of a transaction that is gone answers -ESTALE and is
 * counted. Whatever time a handler takes, its late answer can do no harm.
 *
 * Everything belongs to the loop's thread.
 */
#ifndef SIP_STACK_TXN_H
#define SIP_STACK_TXN_H

#include "sip/stack/transport.h"

struct sip_stack;

/** Zeroed: no transaction. */
struct sip_txn_id {
	uint32_t slot, gen;
};

static inline bool sip_txn_id_set(struct sip_txn_id id)
{
	return id.gen != 0;
}

static inline bool sip_txn_id_eq(struct sip_txn_id a, struct sip_txn_id b)
{
	return a.slot == b.slot && a.gen == b.gen;
}

struct sip_timing {
	unsigned t1_ms;         /* 0: 500 */
	unsigned t2_ms;         /* 0: 4000 */
	unsigned t4_ms;         /* 0: 5000 */
	unsigned proceeding_ms; /* client INVITE after a provisional, timer C; 0: 180000 */
	unsigned answer_ms;     /* server: how long the user may take; 0: 180000 */
};

/** Why a server transaction ended otherwise than its user might expect. */
enum sip_failure {
	SIP_FAIL_NO_ANSWER, /* the user never answered: 408 has been sent (INVITE) */
	SIP_FAIL_NO_ACK,    /* timer H: the refusal of an INVITE was never acknowledged */
	SIP_FAIL_TRANSPORT, /* an answer could not be sent */
};

struct sip_stack_ops {
	/**
	 * Optional, asked for each new request other than ACK and CANCEL before
	 * a transaction is made: 0 lets it in; a code refuses it without state
	 * (404, 481, 405 ...); for an answer with headers of its own reply with
	 * sip_reply_* and return SIP_ADMIT_DONE.
	 */
	unsigned (*admit)(void *arg, const struct sip_arrival *in);
	/**
	 * A new request, never ACK or CANCEL; `id` is its transaction. Answer
	 * now or at any later time. An INVITE that got no answer when this
	 * returns is sent 100 Trying.
	 */
	void (*request)(void *arg, struct sip_txn_id id, const struct sip_arrival *in);
	/**
	 * A CANCEL for `invite`, which has no final answer yet. The CANCEL has
	 * been answered; the user answers the INVITE (487). NULL: the stack does.
	 */
	void (*cancel)(void *arg, struct sip_txn_id invite, const struct sip_arrival *in);
	/** An ACK to a 2xx, or one that belongs to nothing. */
	void (*ack)(void *arg, const struct sip_arrival *in);
	/** Optional: a response without transaction (a late 2xx). */
	void (*response)(void *arg, const struct sip_arrival *in);
	/** Optional: the transaction has failed; the id is valid during the call. */
	void (*failed)(void *arg, struct sip_txn_id id, enum sip_failure why);
};

#define SIP_ADMIT_DONE 1u

struct sip_stack_args {
	struct pb_loop *loop;
	struct sip_net *net;
	struct sip_timing timing;
	/**
	 * Server transactions held before new requests get 503, in units of 4 kB
	 * (a transaction takes one unless its request had very long headers);
	 * requests in dialogs, BYE, ACK and CANCEL are taken beyond it. 0: 65536.
	 */
	unsigned server_limit;
	const struct sip_stack_ops *ops; /* borrowed */
	void (*tap)(void *arg, bool out, const struct sip_path *path, struct pb_str bytes);
	void *arg;
};

int sip_stack_new(const struct sip_stack_args *args, struct sip_stack **out);
/** Transactions die silently: no callback is made. */
void sip_stack_free(struct sip_stack **s);
struct sip_transport *sip_stack_transport(struct sip_stack *s);
const struct sip_timing *sip_stack_timing(const struct sip_stack *s);
/** From now on, for what is begun after. */
void sip_stack_set_timing(struct sip_stack *s, const struct sip_timing *timing);
void sip_stack_set_server_limit(struct sip_stack *s, unsigned units);

/**
 * Its listener is cut (sip_transport_set_way): the transactions on it end at
 * once, clients with SIP_OUT_ERROR, servers as SIP_FAIL_TRANSPORT. Not from a
 * callback of the stack.
 */
void sip_stack_cut(struct sip_stack *s, unsigned listener);

struct sip_txn_count {
	size_t invite_client, client, invite_server, server;
};
struct sip_txn_count sip_stack_count(const struct sip_stack *s);

/* ---- Server --------------------------------------------------------------- */

/**
 * Begin an answer. What all answers carry (Vias, From, To with our tag, Call-ID,
 * CSeq, Record-Route in 101..299) is written; add headers to *b, then
 * sip_server_send. One message at a time is built on a loop.
 *
 * @param reason  Absent: the code's phrase.
 * @return 0, -ESTALE (the transaction is gone), -EALREADY (it has a final
 *         answer), -EINVAL (code).
 */
int sip_server_begin(struct sip_stack *s, struct sip_txn_id id, unsigned code, struct pb_str reason,
		     struct sip_build **b);
/**
 * End and send it. `type` absent: no body. A final answer is kept for
 * retransmissions.
 *
 * @return 0, -EINVAL, -ENOSPC (as sip_build_end), -ENOMEM: nothing was sent and
 *         the transaction is as before.
 */
int sip_server_send(struct sip_stack *s, struct pb_str type, struct pb_str body);
/** Both, without further headers. */
int sip_server_answer(struct sip_stack *s, struct sip_txn_id id, unsigned code,
		      struct pb_str reason);
/**
 * Refusals are not to be repeated by timer, only when the request is: for who
 * has not proven to be there (401, 403 ... over UDP), so that a forged source
 * gets one packet. Call before the answer is sent.
 */
void sip_server_once(struct sip_stack *s, struct sip_txn_id id);
/** The 2xx of an INVITE again; -ESTALE when the transaction is over. */
int sip_server_repeat(struct sip_stack *s, struct sip_txn_id id);
/** Whether it is there and waits for a final answer. */
bool sip_server_open(const struct sip_stack *s, struct sip_txn_id id);
/** Our To tag in its answers: the request's own, or the one made for it. */
struct pb_str sip_server_tag(const struct sip_stack *s, struct sip_txn_id id);
/** Of its request; SIP_METHOD_OTHER too when it is gone. */
enum sip_method sip_server_method(const struct sip_stack *s, struct sip_txn_id id);
/** One pointer for the user; NULL at first, and when the transaction is gone. */
void sip_server_set_user(struct sip_stack *s, struct sip_txn_id id, void *user);
void *sip_server_user(const struct sip_stack *s, struct sip_txn_id id);
/** Where it came from; NULL when gone. */
const struct sip_path *sip_server_path(const struct sip_stack *s, struct sip_txn_id id);

/* ---- Client ----------------------------------------------------------------- */

enum sip_outcome {
	SIP_OUT_PROVISIONAL, /* 101..199 and 100 */
	SIP_OUT_FINAL,       /* INVITE: again for each further (repeated, forked) 2xx */
	SIP_OUT_TIMEOUT,     /* timers B, F; C after the CANCEL that it brings was in vain */
	SIP_OUT_ERROR,       /* could not be sent */
};

/** `in` is NULL for TIMEOUT and ERROR, after which no further call comes. */
typedef void (*sip_client_fn)(void *arg, enum sip_outcome what, const struct sip_arrival *in);

/**
 * Begin a request: request line and Via with a branch of ours. Add all other
 * headers to *b (From, To, Call-ID, CSeq, Max-Forwards, Route ...), then
 * sip_client_send, or sip_client_send_ack for an ACK to a 2xx.
 *
 * @return 0 or -ENOTCONN: no listener.
 */
int sip_client_begin(struct sip_stack *s, const struct sip_path *path, struct pb_str method,
		     struct pb_str uri, struct sip_build **b);
/**
 * End it, send it, and see to it until there is an outcome; `fn` is never
 * called before this returns.
 *
 * @return 0, -EINVAL, -ENOSPC, -ENOMEM: nothing was sent.
 */
int sip_client_send(struct sip_stack *s, struct pb_str type, struct pb_str body, sip_client_fn fn,
		    void *arg, struct sip_txn_id *out);
/** As sip_client_send, but nothing goes out before sip_client_start. */
int sip_client_prepare(struct sip_stack *s, struct pb_str type, struct pb_str body,
		       sip_client_fn fn, void *arg, struct sip_txn_id *out);
/** Send what was prepared; nothing when it was before, or is gone. */
void sip_client_start(struct sip_stack *s, struct sip_txn_id id);
/**
 * End and send an ACK to a 2xx, which has no transaction. `bytes`, when not
 * NULL, views what was sent until the next message is built.
 */
int sip_client_send_ack(struct sip_stack *s, struct pb_str type, struct pb_str body,
			struct pb_str *bytes);
/**
 * Cancel an INVITE: CANCEL goes out as soon as a provisional response has come
 * (RFC 3261 section 9.1). The outcome still comes: mostly 487, maybe a 2xx.
 *
 * @return 0, -ESTALE, -EALREADY (final response or cancelled before).
 */
int sip_client_cancel(struct sip_stack *s, struct sip_txn_id id);
/** No more calls to its fn; the transaction goes on. */
void sip_client_forget(struct sip_stack *s, struct sip_txn_id id);

#endif
