/*
 * Inside the user agent: what ua.c and invite.c share.
 */
#ifndef SIP_STACK_UA_IMPL_H
#define SIP_STACK_UA_IMPL_H

#include "sip/stack/ua.h"

/** A peer that answered our INVITE, and whose face the dialog does not wear. */
struct sip_fork {
	struct pb_list node;
	struct sip_remote remote; /* zeroed: not known yet */
	bool ended;               /* accepted too late: acknowledged, ended with BYE */
	size_t tag_n;
	char tag[];
};

struct sip_dialog {
	struct sip_dialog_core core;
	struct pb_map_node node; /* in ua->dialogs, by our tag */
	struct sip_ua *ua;
	const struct sip_dialog_ops *ops;
	void *arg;
	struct sip_path path;
	bool symmetric;
	bool orphan;    /* its owner has freed it */
	bool bye_waits; /* `bye` is prepared, and goes when the ACK to our 2xx is settled */
	struct sip_txn_id bye;

	/* An INVITE of the peer, the last one. */
	struct sip_txn_id invite_in;
	uint32_t invite_in_cseq;
	bool awaiting_ack;
	struct pb_timer ack_timer;
	unsigned ack_ms;
	uint64_t ack_until_ms;

	/* An INVITE of ours, the last one. */
	struct sip_txn_id invite_out;
	uint32_t invite_out_cseq;
	bool invite_pending; /* no final answer yet */
	bool missed;         /* it was accepted, but there was no memory to take it */
	sip_client_fn fn;
	void *fn_arg;
	struct pb_list forks;
	unsigned fork_n;
	struct pb_str ack; /* owned: the last ACK, for repeated 2xx ... */
	uint32_t ack_cseq;
	struct pb_timer linger; /* ... while they may come */

	/* What is being built. */
	struct sip_txn_id answer;
	unsigned answer_code;
	enum sip_method request;
};

struct sip_ua {
	struct sip_ua_args args;
	struct sip_stack *stack;
	struct pb_map dialogs;
};

/** Set the path after route set or target have changed; `from`: where the peer's message came from.
 */
void sip_dialog_repath(struct sip_dialog *d, const struct sip_path *from);
/** Free it if it is an orphan that nothing can come for any more. */
void sip_dialog_reap(struct sip_dialog *d);
void sip_dialog_destroy(struct sip_dialog *d);

/** The record of that tag, made when there is none; NULL: no memory, or too many. */
struct sip_fork *sip_fork_get(struct sip_dialog *d, struct pb_str tag);
/** Early: turn to the fork of that tag if it is known. */
bool sip_fork_turn(struct sip_dialog *d, struct pb_str tag);
/** Early: turn to the fork that this response is of, known or new. */
bool sip_fork_face(struct sip_dialog *d, const struct sip_arrival *in);
void sip_forks_fini(struct sip_dialog *d);

void sip_dialog_init_invite(struct sip_dialog *d);
void sip_dialog_fini_invite(struct sip_dialog *d);
/** Whether a repeated 2xx may still ask for an ACK. */
bool sip_dialog_lingers(const struct sip_dialog *d);

#endif
