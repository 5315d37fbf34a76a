/*
 * Dialogs: RFC 3261 section 12. Pure: no socket, clock or table.
 *
 * A dialog is made as UAC without a remote tag (half) before the INVITE goes
 * out, and learns its peer from the first response with a To tag; as UAS it is
 * whole from the request on. It knows what its requests must carry, which
 * requests of the peer are in order, and where the next request goes.
 */
#ifndef SIP_STACK_DIALOG_H
#define SIP_STACK_DIALOG_H

#include "base/map.h"
#include "sip/stack/build.h"
#include "sip/stack/id.h"

enum sip_dialog_state {
	SIP_DIALOG_HALF, /* UAC before the first response with a tag */
	SIP_DIALOG_EARLY,
	SIP_DIALOG_CONFIRMED,
	SIP_DIALOG_ENDED, /* BYE sent or received, or the INVITE failed */
};

/** What a dialog learns of its peer; one of these per fork. */
struct sip_remote {
	char *block;          /* owns the next three */
	struct pb_str to;     /* value of To in our requests: URI and tag */
	struct pb_str tag;    /* views `to`; absent: none (yet) */
	struct pb_str routes; /* Route values in order, comma-separated; empty: none */
	char *target_block;
	struct pb_str target; /* remote target URI */
	uint32_t cseq;        /* highest number received */
	bool has_cseq;
};

struct sip_dialog_id {
	struct pb_str call_id, local_tag, remote_tag; /* remote absent: half */
};

/** The state of RFC 3261 section 12; read freely, change by the functions. */
struct sip_dialog_core {
	enum sip_dialog_state state;
	bool uac;    /* we sent the request that made it */
	char *block; /* owns the slices */
	struct pb_str call_id;
	struct pb_str from;           /* value of From in our requests: local_uri and tag */
	struct pb_str local_uri;      /* name-addr, views `from` */
	struct pb_str local_tag;      /* views `from` */
	struct pb_str remote_uri;     /* name-addr of the peer */
	struct pb_str contact;        /* our Contact value; empty: none */
	struct pb_str target, routes; /* UAC: what it began with */
	uint32_t local_cseq;          /* last number sent */
	unsigned hops;                /* Max-Forwards of its requests; 0: 70 */
	struct sip_remote remote;
};

struct sip_dialog_uac {
	struct pb_str call_id, local_tag; /* of our making (id.h) */
	struct pb_str local_uri;          /* `"A" <sip:a@b>`: From without its tag, in <> */
	struct pb_str remote_uri;         /* To, likewise */
	struct pb_str target;             /* first Request-URI */
	struct pb_str routes;             /* preloaded Route values; absent: none */
	struct pb_str contact;
	uint32_t cseq; /* number before the first; 0: start with 1 */
};

/** @return 0, -ENOMEM. */
int sip_dialog_init_uac(struct sip_dialog_core *d, const struct sip_dialog_uac *a);
/**
 * From a request that makes a dialog (INVITE, SUBSCRIBE, REFER): early.
 *
 * @return 0, -EINVAL (no usable Contact: answer 400), -ENOMEM.
 */
int sip_dialog_init_uas(struct sip_dialog_core *d, const struct sip_msg *req,
			const struct sip_core *core, struct pb_str local_tag,
			struct pb_str contact);
/** Zeroed is valid. */
void sip_dialog_fini(struct sip_dialog_core *d);

/**
 * Make `d`'s peer the one that a response names (sections 12.1.2, 13.2.2.4):
 * tag, route set, target. What the response does not say of the target stays.
 *
 * @return 0, or -ENOMEM: as before.
 */
int sip_dialog_learn(struct sip_dialog_core *d, const struct sip_msg *resp,
		     const struct sip_core *core);
/**
 * Half again, as before the first response: its INVITE was refused, and may be
 * sent anew (with credentials, to another target). @return 0 or -ENOMEM.
 */
int sip_dialog_reset(struct sip_dialog_core *d);
/** Another first target for an INVITE that is sent anew (3xx); half ones only. */
int sip_dialog_retarget(struct sip_dialog_core *d, struct pb_str uri);
void sip_remote_fini(struct sip_remote *r);

/** By our tag alone, which is ours to make unique. */
uint64_t sip_dialog_hash(struct pb_str local_tag);
/** Full matching, Call-ID and both tags (section 12.2.2). */
bool sip_dialog_matches(const struct sip_dialog_core *d, const struct sip_dialog_id *id);

/** What becomes of a request in the dialog (section 12.2.2). */
enum sip_order {
	SIP_ORDER_OK,   /* in order; the number is noted */
	SIP_ORDER_LATE, /* lower than one before: 500 */
};
enum sip_order sip_dialog_order(struct sip_dialog_core *d, const struct sip_core *core);
/** Take the Contact of a target refresh (INVITE, UPDATE, their 2xx) if it has one. */
int sip_dialog_refresh(struct sip_dialog_core *d, const struct sip_msg *m);

/** Where a request goes by Request-URI and first Route (section 12.2.1.1). */
struct sip_dialog_hop {
	struct pb_str request_uri;
	struct pb_str next; /* URI whose host is to be asked: topmost route or target */
	bool strict;        /* the first router is a strict one (RFC 2543) */
};
void sip_dialog_hop(const struct sip_dialog_core *d, struct sip_dialog_hop *out);

/** Whether requests of that method and answers to them carry our Contact. */
bool sip_dialog_has_contact(enum sip_method method);
/**
 * Write what a request in the dialog carries after the Via: Route, From, To,
 * Call-ID, CSeq with `cseq`, Max-Forwards 70, Contact when it has one and the
 * method is a target refresh or makes one.
 */
void sip_dialog_write(const struct sip_dialog_core *d, struct sip_build *b, enum sip_method method,
		      struct pb_str method_name, uint32_t cseq);

#endif
