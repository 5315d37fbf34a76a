/*
 * The transport of one loop: UDP listeners, reading, judging and sending.
 *
 * A datagram is read, checked, and either answered at once (malformed), handed
 * to the loop that owns it, or passed up. Answers go to where the packet came
 * from, whatever its Via claims (RFC 3581; an amplifier is never pointed
 * elsewhere).
 *
 * The transports of all call loops of an engine form a net. Each loop opens the
 * same listeners in the same order, so a listener has the same number on each.
 * Everything here belongs to its loop's thread.
 */
#ifndef SIP_STACK_TRANSPORT_H
#define SIP_STACK_TRANSPORT_H

#include "sip/stack/build.h"
#include "sip/stack/check.h"
#include "sip/stack/id.h"
#include "sip/stack/net.h"

enum sip_counter {
#define SIP_COUNTER(id, doc) SIP_N_##id,
#include "sip/stack/counter.def"
#undef SIP_COUNTER
	SIP_COUNTERS
};

/** Name as in counter.def ("SERVER_NEW") and line of help. */
const char *sip_counter_name(enum sip_counter c);
const char *sip_counter_doc(enum sip_counter c);

enum {
	SIP_LISTENERS_MAX = 32,
	SIP_LISTENER_NONE = 0xffff,
	SIP_DATAGRAM_MIN = 16, /* shorter ones are no message */
};

/** A message that came in; everything valid during the call only. */
struct sip_arrival {
	const struct sip_msg *msg;
	const struct sip_core *core;
	struct sip_path path;
};

/* ---- One loop's transport --------------------------------------------------- */

struct sip_transport;

struct sip_transport_args {
	struct pb_loop *loop; /* a call loop */
	struct sip_net *net;
	/** Well-formed and this loop's. */
	void (*message)(void *arg, const struct sip_arrival *in);
	/**
	 * Optional: each message in, on the loop that owns it (what is malformed:
	 * where it arrived), and out, for sniffers and recorders.
	 */
	void (*tap)(void *arg, bool out, const struct sip_path *path, struct pb_str bytes);
	void *arg;
};

/** Server header of every answer from now on; borrowed; empty: none. */
void sip_transport_set_server(struct sip_transport *t, struct pb_str server);
struct pb_str sip_transport_server(const struct sip_transport *t);

/** @thread the loop's, as for all that follows. */
int sip_transport_new(const struct sip_transport_args *args, struct sip_transport **out);
void sip_transport_free(struct sip_transport **t);

struct sip_listener_args {
	struct pb_str name; /* "general" */
	struct pb_addr local;
	unsigned max_bytes;            /* 0: 1500 (as maxpkt) */
	unsigned buffer_bytes;         /* SO_RCVBUF, 0: the system's */
	uint8_t tos;                   /* of packets sent; 0: the system's */
	struct pb_str advertised_host; /* for Via and Contact; absent: the address */
	uint16_t advertised_port;      /* 0: the listener's */
	bool share;                    /* the other loops listen there too; the caller has probed */
	bool fallback;                 /* prefer it when nothing says which (default=yes) */
};

/** @return the listener's number, or -errno of the socket, -ENOSPC, -EEXIST (name). */
int sip_transport_listen(struct sip_transport *t, const struct sip_listener_args *args);
void sip_transport_close(struct sip_transport *t, unsigned listener);

/** What may leave by a listener; SIP_WAY_OPEN at first. */
enum sip_way {
	SIP_WAY_OPEN,
	SIP_WAY_RESTING, /* what is under way; sip_path_choose leads elsewhere */
	SIP_WAY_CUT,	 /* nothing: it is as closed, but for its socket and what comes in */
};
void sip_transport_set_way(struct sip_transport *t, unsigned listener, enum sip_way way);
/** It is there, and its way open. */
bool sip_listener_serves(const struct sip_transport *t, unsigned listener);
/** Its number by name, whether it is open or not; -ENOENT. */
int sip_listener_number(const struct sip_transport *t, struct pb_str name);
/** By name; -ENOENT. */
int sip_listener_find(const struct sip_transport *t, struct pb_str name);
/** By local IP address (port too, when it is not 0); -ENOENT. */
int sip_listener_find_local(const struct sip_transport *t, const struct pb_addr *local);
/** Absent when closed. */
struct pb_str sip_listener_name(const struct sip_transport *t, unsigned listener);
/** NULL when closed. */
const struct pb_addr *sip_listener_local(const struct sip_transport *t, unsigned listener);

/**
 * A path to `peer`: by the listener bound to the address that packets to it
 * leave from, else a wildcard one, the fallback first, of the same family; its way
 * must be open.
 *
 * @return 0 or -EHOSTUNREACH.
 */
int sip_path_choose(struct sip_transport *t, const struct pb_addr *peer, struct sip_path *out);

struct sip_local {
	struct pb_str host; /* without brackets; views the listener or `text` */
	uint16_t port;
	bool ip6;
	char text[PB_ADDR_TEXT];
};

/**
 * What Via and Contact say about us towards that peer: the advertised host and
 * port, or the address that packets really leave from. @return 0 or -ENOTCONN.
 */
int sip_path_local(struct sip_transport *t, const struct sip_path *path, struct sip_local *out);

/** Send. @return 0, -ENOTCONN (listener closed). */
int sip_path_send(struct sip_transport *t, const struct sip_path *path, struct pb_str bytes);

/* ---- Answers without a transaction -------------------------------------------- */

/**
 * Begin an answer to `in` that leaves no state. The To tag, where one is
 * needed, is made from the request, the same for each retransmission (RFC 3261
 * section 8.2.7). Add headers to *b, then sip_reply_send. One message at a time
 * is built on a loop: a begin forgets what was begun before and not sent.
 */
void sip_reply_begin(struct sip_transport *t, const struct sip_arrival *in, unsigned code,
		     struct pb_str reason, struct sip_build **b);
/** The same with a tag of the caller's choice. */
void sip_reply_begin_tagged(struct sip_transport *t, const struct sip_arrival *in, unsigned code,
			    struct pb_str reason, struct pb_str tag, struct sip_build **b);
/** @return 0, -EMSGSIZE (over twice the request: not sent), or what the build says. */
int sip_reply_send(struct sip_transport *t, struct pb_str type, struct pb_str body);
/** Both, without further headers; 503 gets a random Retry-After of 5 to 15 s. */
int sip_reply(struct sip_transport *t, const struct sip_arrival *in, unsigned code,
	      struct pb_str reason);

/* ---- Odds -------------------------------------------------------------------- */

struct pb_loop *sip_transport_loop(const struct sip_transport *t);
/** SIP_COUNTERS values. */
uint64_t *sip_transport_counters(struct sip_transport *t);
/** A fresh id of this loop: tag or Call-ID. */
struct pb_str sip_transport_id(struct sip_transport *t, char out[SIP_ID_BYTES]);
struct pb_str sip_transport_branch(struct sip_transport *t, char out[SIP_BRANCH_BYTES]);

/** The text in which this loop builds its messages, emptied, and its builder. */
struct sip_build *sip_transport_build(struct sip_transport *t);

#endif
