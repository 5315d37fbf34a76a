/*
 * Inside the user agent: what ua.c and invite.c share.
 */
#ifndef SIP_STACK_UA_IMPL_H
#define SIP_STACK_UA_IMPL_H

#include "sip/stack/ua.h"

/** Another peer that answered our INVITE: early, or accepted too late. */
struct sip_fork {
	struct pb_list node;
	bool ended; /* acknowledged and ended with BYE */
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
	sip_client_fn fn;
	void *fn_arg;
	struct pb_list forks;
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

void sip_dialog_init_invite(struct sip_dialog *d);
void sip_dialog_fini_invite(struct sip_dialog *d);
/** Whether a repeated 2xx may still ask for an ACK. */
bool sip_dialog_lingers(const struct sip_dialog *d);

#endif
