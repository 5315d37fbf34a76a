/*
 * The user agent core of one loop: dialogs on top of transactions.
 *
 * It owns the stack of the loop, keeps the dialogs in a table, answers 481 to
 * requests in dialogs that are not ours, orders requests (CSeq), repeats the 2xx
 * of an INVITE until its ACK comes, and acknowledges 2xx again and again (RFC
 * 3261 section 13). The early dialogs of a forked INVITE are one object, turned
 * to the fork that spoke last; the first 2xx wins, further ones are acknowledged
 * and ended.
 *
 * Everything belongs to the loop's thread.
 */
#ifndef SIP_STACK_UA_H
#define SIP_STACK_UA_H

#include "sip/stack/dialog.h"
#include "sip/stack/txn.h"

struct sip_ua;
struct sip_dialog;

struct sip_ua_ops {
	/** As sip_stack_ops.admit, for requests outside of dialogs. Optional. */
	unsigned (*admit)(void *arg, const struct sip_arrival *in);
	/** A request outside of any dialog: answer it, or make a dialog of it. */
	void (*request)(void *arg, struct sip_txn_id id, const struct sip_arrival *in);
	/**
	 * CANCEL of an INVITE of which no dialog was made; NULL: the stack
	 * answers the INVITE with 487.
	 */
	void (*cancel)(void *arg, struct sip_txn_id invite, const struct sip_arrival *in);
	/** Optional: a transaction outside of dialogs has failed. */
	void (*failed)(void *arg, struct sip_txn_id id, enum sip_failure why);
};

/**
 * What a dialog tells its owner. The owner may free the dialog in any of these.
 */
struct sip_dialog_ops {
	/** A request in the dialog, in order, never ACK: answer it. BYE too. */
	void (*request)(void *arg, struct sip_dialog *d, struct sip_txn_id id,
			const struct sip_arrival *in);
	/** The INVITE that made the dialog, or a re-INVITE, is cancelled: answer 487. */
	void (*cancel)(void *arg, struct sip_dialog *d, struct sip_txn_id invite,
		       const struct sip_arrival *in);
	/** The first ACK to our 2xx. */
	void (*ack)(void *arg, struct sip_dialog *d, const struct sip_arrival *in);
	/** 64*T1 and no ACK to our 2xx: end the call (section 13.3.1.4). */
	void (*no_ack)(void *arg, struct sip_dialog *d);
	/**
	 * Optional: a transaction in the dialog has failed (no answer given in
	 * time, no ACK to a refusal).
	 */
	void (*failed)(void *arg, struct sip_dialog *d, struct sip_txn_id id, enum sip_failure why);
};

struct sip_ua_args {
	struct pb_loop *loop;
	struct sip_net *net;
	struct sip_timing timing;
	unsigned server_limit;
	const struct sip_ua_ops *ops;
	void (*tap)(void *arg, bool out, const struct sip_path *path, struct pb_str bytes);
	void *arg;
};

int sip_ua_new(const struct sip_ua_args *args, struct sip_ua **out);
/** Dialogs still there are freed, silently. */
void sip_ua_free(struct sip_ua **ua);
struct sip_stack *sip_ua_stack(struct sip_ua *ua);
struct sip_transport *sip_ua_transport(struct sip_ua *ua);
/** Dialogs in the table, forks too. */
size_t sip_ua_dialogs(const struct sip_ua *ua);

/* ---- Dialogs --------------------------------------------------------------- */

struct sip_dialog_args {
	const struct sip_dialog_ops *ops; /* borrowed */
	void *arg;
	/** Our Contact value, "<sip:...>"; absent: "<sip:LOCAL>" of the path. */
	struct pb_str contact;
	/**
	 * Requests go to where the peer's last INVITE, UPDATE or answer came from,
	 * not to its Contact (peers behind NAT).
	 */
	bool symmetric;
};

/**
 * As UAS, of an INVITE just delivered (within the request callback). Its To tag
 * is that of the transaction. Answer with sip_dialog_answer_*.
 *
 * @return 0, -EINVAL (no usable Contact: answer 400), -ENOMEM.
 */
int sip_dialog_new_uas(struct sip_ua *ua, struct sip_txn_id id, const struct sip_arrival *in,
		       const struct sip_dialog_args *args, struct sip_dialog **out);

struct sip_dialog_target {
	struct sip_path path;                /* first hop */
	struct pb_str target;                /* Request-URI */
	struct pb_str local_uri, remote_uri; /* From and To, as name-addr without tag */
	struct pb_str routes;                /* Route values; absent: none */
	struct pb_str call_id;               /* absent: made */
};

/** As UAC: half. Begin with sip_dialog_begin(INVITE). */
int sip_dialog_new_uac(struct sip_ua *ua, const struct sip_dialog_target *to,
		       const struct sip_dialog_args *args, struct sip_dialog **out);
/**
 * No more callbacks. An INVITE of its own under way is cancelled, or, if it is
 * accepted after all, acknowledged and ended with BYE. Else no BYE is sent of
 * itself. Open server transactions of it are the owner's to answer before.
 */
void sip_dialog_free(struct sip_dialog **d);

const struct sip_dialog_core *sip_dialog_core(const struct sip_dialog *d);
/** Where its requests go. */
const struct sip_path *sip_dialog_path(const struct sip_dialog *d);
/**
 * After the owner has resolved a host name (sip_dialog_hop tells which). Where
 * the next hop is an IP address, the path follows by itself.
 */
void sip_dialog_set_path(struct sip_dialog *d, const struct sip_path *path);
/** Max-Forwards of its requests from now on; 0: 70. */
void sip_dialog_set_hops(struct sip_dialog *d, unsigned hops);
void *sip_dialog_arg(const struct sip_dialog *d);
struct sip_ua *sip_dialog_ua(const struct sip_dialog *d);
/** By Call-ID and both tags as we see them (Replaces, Join); NULL. */
struct sip_dialog *sip_dialog_find(struct sip_ua *ua, const struct sip_dialog_id *id);

/* ---- Requests in a dialog ------------------------------------------------------ */

/**
 * Begin a request: all that the dialog knows is written; add the rest to *b,
 * then sip_dialog_send. Not for ACK.
 *
 * @return 0, -ENOTCONN (no listener; ended, or half and not INVITE), -EBUSY (an
 *         INVITE in either direction is under way and this is one).
 */
int sip_dialog_begin(struct sip_dialog *d, struct pb_str method, struct sip_build **b);
/**
 * As sip_client_send. Outcomes of an INVITE: provisional responses of each
 * fork; FINAL once. A 2xx is to be acknowledged with sip_dialog_ack_* at once.
 * A CSeq number is used up also when it fails.
 *
 * BYE ends the dialog; while the ACK to our 2xx is awaited it waits too (section
 * 15), also when the dialog is freed.
 */
int sip_dialog_send(struct sip_dialog *d, struct pb_str type, struct pb_str body, sip_client_fn fn,
		    void *arg, struct sip_txn_id *out);
/**
 * After a refusal the dialog is half again: the INVITE may be begun anew in it,
 * with credentials, or after this at another target (3xx). @return 0, -ENOMEM,
 * -EBUSY (not half, or an INVITE is under way).
 */
int sip_dialog_redirect(struct sip_dialog *d, struct pb_str target, const struct sip_path *path);
/** Acknowledge the 2xx to our INVITE: begin, headers, send. Repeated by itself. */
int sip_dialog_ack_begin(struct sip_dialog *d, struct sip_build **b);
int sip_dialog_ack_send(struct sip_dialog *d, struct pb_str type, struct pb_str body);
/** Both, without body. */
int sip_dialog_ack(struct sip_dialog *d);
/** Cancel the INVITE under way; as sip_client_cancel, -ESTALE when there is none. */
int sip_dialog_cancel(struct sip_dialog *d);
/** BYE without anything; outcomes are of no interest. */
int sip_dialog_bye(struct sip_dialog *d);

/* ---- Answers in a dialog --------------------------------------------------------- */

/**
 * As sip_server_begin and _send for a request of this dialog (also the one that
 * made it): 101..299 to INVITE and 2xx to UPDATE get our Contact; a 2xx to an
 * INVITE confirms the dialog and is repeated until acknowledged.
 */
int sip_dialog_answer_begin(struct sip_dialog *d, struct sip_txn_id id, unsigned code,
			    struct pb_str reason, struct sip_build **b);
int sip_dialog_answer_send(struct sip_dialog *d, struct pb_str type, struct pb_str body);
/** Both. */
int sip_dialog_answer(struct sip_dialog *d, struct sip_txn_id id, unsigned code,
		      struct pb_str reason);

#endif
