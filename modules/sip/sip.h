/*
 * The SIP module from inside: its settings, what it has on each loop, and the
 * parts it is made of. The stack (sip/stack/) knows none of this.
 *
 * settings.c  what the file says        auth.c      user.auth and challenges
 * sip.c       descriptor, life, status   registrar.c REGISTER
 * listeners.c sockets and the network
 * request.c   which part takes a request generic.c   sip.<method>
 * params.c    headers <-> parameters     generate.c  xsip.generate
 * leg.c, leg_in.c, leg_out.c, leg_dtmf.c: calls      target.c    where a URI leads
 */
#ifndef SIP_MODULE_H
#define SIP_MODULE_H

#include "call/chan.h"
#include "loop/dns.h"
#include "sip/stack/digest.h"
#include "sip/stack/nonce.h"
#include "sip/stack/ua.h"

/* ---- Settings: immutable once read ------------------------------------------------ */

struct sip_listener_conf {
	struct pb_str name, addr, advertised, tos_text;
	int64_t port, maxpkt, buffer;
	uint8_t tos;
	bool enable, fallback, ipv6;
	struct pb_str role;
	int type; /* index into sip_transports */
	struct pb_pos at;
};

struct sip_method_conf {
	struct pb_str name;  /* upper case */
	struct pb_str message; /* "sip.message" */
	bool auth;
};

/** Which algorithms a challenge offers: the words of the key `digest`. */
enum sip_digest_offer { SIP_OFFER_MD5, SIP_OFFER_SHA256, SIP_OFFER_BOTH };

struct sip_settings {
	int64_t maxforwards, t1, t4, maxchans, maxpkt, buffer, port;
	struct pb_str addr, useragent, realm;
	bool generate, info, options, transfer, registrar, update, prack, nat, progress;
	struct pb_str nat_address, transfer_mode, tos;
	int digest; /* enum sip_digest_offer */
	int64_t flags;
	/* [registrar], [options] */
	bool registrar_enable, options_enable, auth_required;
	int64_t expires_min, expires_def, expires_max, nat_refresh;
	/* made by sip_settings_read: */
	struct sip_listener_conf *listeners;
	size_t listener_count;
	struct sip_method_conf *methods;
	size_t method_count;
	struct pb_str allow; /* "ACK, INVITE, BYE, ..." */
};

extern const struct pb_opt sip_options[];
int sip_settings_read(const struct pb_conf *c, void *settings, struct pb_arena *a, struct pb_findings *f);
/** The row of a method that [methods] names; NULL. */
const struct sip_method_conf *sip_settings_method(const struct sip_settings *s, struct pb_str method);
bool sip_settings_allows(const struct sip_settings *s, struct pb_str method);

/* ---- State --------------------------------------------------------------------------- */

/* Of one period on one loop; written there, read by all. */
struct sip_times {
	_Atomic uint64_t period, count, sum, squares, least, most; /* microseconds */
};

struct sip_listeners;

/* Shared by all loops: made at start, then only read (but for the times). */
struct sip_shared {
	struct sip_net *net;
	struct sip_listeners *listeners;
	char key[32]; /* signs nonces */
	struct sip_times times[PB_LOOPS_MAX][2]; /* of this period and the one before */
};

/* On each call loop; the driver comes first (call/chan.h). */
struct sip_loop {
	struct pb_driver *driver;
	struct pb_ctx *cx;
	struct sip_ua *ua;
	struct sip_stack *stack;
	struct sip_transport *transport;
	struct sip_digest *digest;
	struct sip_nonces *nonces;
	struct sip_counts *counts;
	bool started; /* engine.start has been heard by all */
	uint32_t nonce_serial;
	uint64_t failed_auths;
	struct pb_list ops; /* requests under way */
	struct pb_list sendings; /* those that generate.c sends */
	struct pb_list seeks; /* struct sip_seek: names under way */
	struct pb_list legs; /* struct sip_leg */
	struct pb_work news; /* the home loop has judged listeners anew */
	_Atomic bool news_out;
	uint8_t listener_states[SIP_LISTENERS_MAX]; /* as carried out here */
};

static inline struct sip_loop *sip_on(const struct pb_ctx *cx)
{
	return cx->state;
}

static inline const struct sip_settings *sip_conf(const struct sip_loop *sl)
{
	return sl->cx->settings;
}

extern const struct pb_counter sip_counters[];
extern const struct pb_sends sip_sends[];
extern const struct pb_finding_row sip_findings[];
/** As pb_module.uses. */
void sip_uses(const void *settings, struct pb_uses *u);
extern struct pb_log_source sip_log;
extern const struct pb_log_row sip_log_rows[];
enum {
	SIP_LOG_LISTEN, SIP_LOG_NO_LISTEN, SIP_LOG_AUTH_FAILED, SIP_LOG_BAD_HEADER, SIP_LOG_MEMORY,
	SIP_LOG_TRAFFIC, SIP_LOG_NO_TARGET, SIP_LOG_SERVES, SIP_LOG_SERVES_NOT, SIP_LOG_NO_WATCH
};
#define SIP_LOG(row, ...) pb_log(&sip_log, &sip_log_rows[SIP_LOG_##row], __VA_ARGS__)

/* ---- A request under way: kept while handlers are asked ------------------------------- */

struct sip_op;
struct sip_count_check;
typedef void (*sip_op_fn)(struct sip_op *op);

enum sip_auth_result { SIP_AUTH_NONE, SIP_AUTH_GOOD, SIP_AUTH_STALE, SIP_AUTH_REFUSED };

struct sip_op {
	struct pb_list node;
	struct sip_loop *on;
	struct pb_arena *arena;
	const struct sip_msg *msg; /* a copy in the arena */
	struct sip_core core;
	struct sip_path path;
	struct sip_txn_id txn;
	struct pb_questions questions;
	struct pb_handle chan; /* of the call it belongs to, if any */
	struct pb_handle flight; /* bus/flight.h */
	bool judges; /* its answer decides how that record ends */
	unsigned code; /* of its last answer */
	uint64_t began_us; /* of the loop's clock */
	const struct sip_method_conf *method;
	/* authentication */
	struct pb_msg *auth; /* user.auth as it came back, until the op ends */
	enum sip_auth_result result;
	struct sip_count_check *check; /* out on another loop */
	sip_op_fn then;
	void *user;
};

/** NULL without memory: the caller answers 503. */
struct sip_op *sip_op_new(struct sip_loop *sl, struct sip_txn_id id, const struct sip_arrival *in);
void sip_op_free(struct sip_op **op);
/** Begin the answer: Server and Allow are added; then headers, then sip_op_send. */
int sip_op_begin(struct sip_op *op, unsigned code, struct pb_str reason, struct sip_build **b);
int sip_op_send(struct sip_op *op, struct pb_str type, struct pb_str body);
/** Both, and the op is over. */
void sip_op_answer(struct sip_op **op, unsigned code, struct pb_str reason);
/** User-Agent (requests) and Allow: what all of ours carry. */
void sip_common_headers(const struct sip_settings *s, struct sip_build *b, bool answer);

/* ---- params.c ---------------------------------------------------------------------------- */

/** ip_host, ip_port, ip_transport, address in the order that `user.auth` has. */
void sip_put_party(struct pb_msg *m, const struct sip_path *path, bool address_first);
/** Every header that is not hidden as sip_<lowercase>, in order. */
void sip_put_headers(struct pb_msg *m, const struct sip_msg *msg, bool from_to);
/** xsip_type, xsip_body, xsip_body_encoding; an SDP body is left out. */
void sip_put_body(struct pb_msg *m, const struct sip_msg *msg);
/** Parameters `prefix`NAME as headers; those that could break out are left out. */
void sip_add_headers(struct sip_build *b, const struct pb_msg *m, struct pb_str prefix);
/** xsip_body by its encoding into `into`; absent: none. */
struct pb_str sip_take_body(const struct pb_msg *m, struct pb_arena *into);
bool sip_is_sdp(const struct sip_msg *msg);
/** The user part of a URI, unescaped; absent: none. */
struct pb_str sip_user_of(struct pb_str uri, struct pb_arena *a);
struct pb_str sip_host_of(struct pb_str uri);
struct pb_str sip_display_of(const struct sip_addr *addr, struct pb_arena *a);
/** min(Max-Forwards, limit) - 1. */
int64_t sip_antiloop(const struct sip_settings *s, const struct sip_msg *msg);
/** connection_id, connection_reliable, role. */
void sip_put_connection(struct sip_loop *sl, struct pb_msg *m, const struct sip_path *path);

/* ---- The parts ------------------------------------------------------------------------------ */

/* listeners.c */
enum sip_listener_state {
	SIP_LISTENER_ACTIVE,
	SIP_LISTENER_SUSPENDED,	  /* its interface is down */
	SIP_LISTENER_INACTIVE,	  /* its address is gone */
	SIP_LISTENER_UNAVAILABLE, /* it could not be opened: its address is not here yet */
};
/**
 * At start, on the home loop: are all addresses free? Those that are not here
 * may come later, if there is one that is. @return 0 or a negative errno.
 */
int sip_listeners_new(struct pb_ctx *cx);
void sip_listeners_free(struct pb_ctx *cx);
/** Open them on a call loop; the home loop watches the network from then on. */
int sip_listeners_open(struct sip_loop *sl);
/** No more changes. */
void sip_listeners_close(struct sip_loop *sl);
/** Some listener does not serve. */
bool sip_listeners_rest(const struct sip_loop *sl);
/** `status sip listeners`. */
void sip_listeners_status(struct sip_loop *sl, struct pb_status *s);

/* request.c */
unsigned sip_admit(void *arg, const struct sip_arrival *in);
void sip_on_request(void *arg, struct sip_txn_id id, const struct sip_arrival *in);
/** A request in a dialog that the call itself has no use for. */
void sip_in_dialog(struct sip_loop *sl, struct sip_txn_id id, const struct sip_arrival *in,
		   struct pb_chan *chan);

/* auth.c */
/**
 * Ask user.auth; op->result, op->auth and then op->then(op). `copy` (may be
 * NULL) gives id, number, caller, called, billid, expires.
 */
void sip_auth_ask(struct sip_op *op, const struct pb_msg *copy, bool newcall, sip_op_fn then);
/** The op ends: an answer still under way finds nothing. */
void sip_auth_forget(struct sip_op *op);
/** Parameters of user.auth that travel on, added to `m`. */
void sip_auth_copy(const struct sip_op *op, struct pb_msg *m);
/** Answer by what user.auth said: its error, or the challenge. Ends the op. */
void sip_auth_refuse(struct sip_op **op);
/** WWW-Authenticate headers of a challenge. */
void sip_auth_challenge(struct sip_loop *sl, const struct sip_path *path, struct sip_build *b, bool stale);

/* trace.c */
/** Each datagram in and out, to record, followers and log; secrets are left out. */
void sip_trace(void *arg, bool out, const struct sip_path *path, struct pb_str bytes);
/**
 * Use the record of the request's Call-ID, made if need be; `judges`: nobody
 * else does. Ends with pb_flight_end.
 */
struct pb_handle sip_record_begin(struct sip_loop *sl, const struct sip_arrival *in, bool *judges);

/* times.c */
/** A request was decided upon after so long. */
void sip_times_add(struct sip_loop *sl, uint64_t us);
/** `stats times`: of the last whole period, over all loops. */
enum pb_verdict sip_on_stats_times(struct pb_msg *m, struct pb_ctx *cx);

/* registrar.c, generic.c */
void sip_register(struct sip_op *op);
void sip_generic(struct sip_op *op);

/* generate.c */
enum pb_verdict sip_on_generate(struct pb_msg *m, struct pb_ctx *cx);
/** The loop ends: who waits is told 503. Before the stack goes. */
void sip_sendings_end(struct sip_loop *sl);
enum pb_verdict sip_on_msg_execute(struct pb_msg *m, struct pb_ctx *cx);

/* target.c */

/** A way being looked for. Embedded; zeroed is inactive. */
struct sip_seek {
	struct pb_list node; /* on sip_loop.seeks while a name is asked for */
	struct sip_loop *on;
	struct pb_dns_query *query;
	void (*fn)(struct sip_seek *k, int err);
	struct sip_path path; /* the way, when it was found */
	int listener;	      /* asked for, or negative */
	int err;
};

/**
 * Where a URI leads: transport parameters of `m` with `prefix` ("o" or ""),
 * then the URI's host. Names are asked for without waiting.
 *
 * @return 0: k->path is there; -EINPROGRESS: fn will be called, once, on this
 *         loop; -EINVAL (no URI), -EPROTONOSUPPORT, -EHOSTUNREACH (no listener
 *         for it), -ENETDOWN (its listener does not serve now), or the resolver's (loop/dns.h). fn gets 0, one of these, or
 *         -ECANCELED: the module stops.
 */
int sip_seek(struct sip_seek *k, struct sip_loop *sl, struct pb_str uri, const struct pb_msg *m, const char *prefix,
	     void (*fn)(struct sip_seek *k, int err));
/** fn will not be called. */
void sip_seek_drop(struct sip_seek *k);
/** The loop stops: all that are under way fail. */
void sip_seeks_end(struct sip_loop *sl);
/** The word that the bus has for an error, and a text (unless NULL). */
const char *sip_seek_error(int err, const char **reason);

/* leg*.c */
extern const struct pb_chan_ops sip_chan_ops;
extern const struct sip_dialog_ops sip_leg_dialog_ops;
void sip_invite(struct sip_loop *sl, struct sip_txn_id id, const struct sip_arrival *in);
enum pb_verdict sip_on_execute(struct pb_msg *m, struct pb_ctx *cx);

#endif
