/*
 * Inside the transactions: what txn.c, client.c and server.c share.
 */
#ifndef SIP_STACK_TXN_IMPL_H
#define SIP_STACK_TXN_IMPL_H

#include "base/map.h"
#include "sip/stack/fsm.h"
#include "sip/stack/txn.h"

enum sip_kind { SIP_ICT, SIP_NICT, SIP_IST, SIP_NIST, SIP_KINDS };

/** What both sides of a transaction have. */
struct sip_txn {
	struct sip_stack *s;
	struct sip_txn_id id;
	struct pb_map_node node; /* in s->clients or s->servers */
	uint8_t kind;		 /* enum sip_kind */
	uint8_t state;		 /* enum sip_state */
	uint8_t life_event;	 /* enum sip_event: what timer `life` means */
	bool failed;		 /* sending did not work */
	struct pb_timer resend;	 /* A, E, G; server in Trying: the late 100 */
	struct pb_timer life; /* B, C, D, F, H, I, J, K, L, M; server: the user's time */
	unsigned resend_ms;
	struct sip_path path;
	struct pb_str bytes; /* owned: the request, or the last answer */
};

struct sip_client {
	struct sip_txn t;
	sip_client_fn fn;
	void *arg;
	bool cancel; /* is the CANCEL of another */
	bool cancel_wanted, cancel_sent;
	char branch[SIP_BRANCH_BYTES];
};

struct sip_server {
	struct sip_txn t;
	struct pb_map_node merge; /* in s->merges, when the request had no To tag */
	bool merges, final, once, cancelled;
	uint8_t method; /* enum sip_method */
	unsigned units; /* of the limit */
	void *user;
	struct pb_str key;  /* what its retransmissions are known by */
	struct pb_str tag;  /* of To in answers */
	struct pb_str head; /* header lines that all answers carry ... */
	struct pb_str routes; /* ... and those of 101..299 only */
	char tail[]; /* the four texts */
};

struct slot {
	struct sip_txn *txn; /* NULL: free */
	uint32_t gen, next_free;
};

/** What is being built, from begin to send. */
struct sip_draft {
	struct sip_build *b; /* NULL: nothing */
	struct sip_path path;
	struct sip_txn_id server; /* an answer of this one, or a request: */
	unsigned code;
	enum sip_method method;
	char branch[SIP_BRANCH_BYTES];
};

struct sip_stack {
	struct sip_stack_args args;
	struct sip_timing timing;
	struct sip_transport *transport;
	uint64_t *counters;
	struct slot *slots;
	uint32_t slot_n, slot_free; /* slot_free == slot_n: none */
	struct pb_map clients, servers, merges;
	size_t count[SIP_KINDS];
	unsigned units; /* in use, of args.server_limit */
	struct sip_draft draft;
	struct pb_text key; /* scratch */
};

#define SIP_COUNT(s, what) ((s)->counters[SIP_N_##what]++)

/** Give it a slot, an id and its timers. @return 0 or -ENOMEM. */
int sip_txn_init(struct sip_txn *t, struct sip_stack *s, enum sip_kind kind,
		 const struct sip_path *path);
/** Out of its slot, timers stopped, bytes freed; maps are the caller's. */
void sip_txn_fini(struct sip_txn *t);
/** NULL when it is gone. */
struct sip_txn *sip_txn_find(const struct sip_stack *s, struct sip_txn_id id);
/** One step of its machine, and all that follows. It may be gone after. */
void sip_txn_run(struct sip_txn *t, enum sip_event e, const struct sip_arrival *in);
/** Arm timer `life`. */
void sip_txn_live(struct sip_txn *t, enum sip_event e, uint64_t after_ms);
/** Keep a copy of `bytes` in place of what it had. @return 0 or -ENOMEM. */
int sip_txn_keep(struct sip_txn *t, struct pb_str bytes);
void sip_txn_drop_bytes(struct sip_txn *t);
enum sip_event sip_event_of(unsigned status);

void sip_client_response(struct sip_stack *s, const struct sip_arrival *in);
/** The actions that differ by side. */
void sip_client_tell(struct sip_client *c, enum sip_outcome what, const struct sip_arrival *in);
void sip_client_ack_refusal(struct sip_client *c, const struct sip_arrival *in);
void sip_client_free(struct sip_client *c);
/** Timer `life` fired; false: let the machine have it. */
bool sip_client_life(struct sip_client *c);

void sip_server_request(struct sip_stack *s, const struct sip_arrival *in);
void sip_server_fail(struct sip_server *v, enum sip_failure why);
void sip_server_free(struct sip_server *v);
bool sip_server_life(struct sip_server *v);
bool sip_server_resend(struct sip_server *v);

#endif
