/*
 * Channels: one leg of a call, driven by a module; a call is two that are
 * joined.
 *
 * A channel lives on one loop, both legs of a routed call on the same one. Its
 * module (the driver) owns it and gives it operations; this part knows what
 * every channel does on the bus: its id, its messages and their order, joining,
 * routing, dropping, time limits. Others name a channel by handle or id, never
 * by pointer.
 */
#ifndef PB_CALL_CHAN_H
#define PB_CALL_CHAN_H

#include "bus/module.h"

struct pb_chan;
struct pb_driver;

enum pb_chan_event {
	PB_CHAN_PROGRESS, /* call.progress */
	PB_CHAN_RINGING,  /* call.ringing */
	PB_CHAN_ANSWERED, /* call.answered */
	PB_CHAN_UPDATE,   /* call.update */
	PB_CHAN_DTMF,	  /* chan.dtmf */
	PB_CHAN_TEXT,	  /* chan.text */
};

/** What a driver does with its channels; all on the channel's loop. */
struct pb_chan_ops {
	/**
	 * call.preroute has been walked: take what you want from it. Optional.
	 * Ending the channel here stops the routing.
	 */
	void (*prerouted)(struct pb_chan *c, struct pb_msg *m);
	/** call.route gave a target, which stands in `callto` of `m`. Optional. */
	void (*routed)(struct pb_chan *c, struct pb_msg *m);
	/** call.execute found somebody; autoanswer and autoring are in `m`. */
	void (*accepted)(struct pb_chan *c, struct pb_msg *m);
	/** Routing refused: end the channel with this error word and text. */
	void (*rejected)(struct pb_chan *c, struct pb_str error, struct pb_str reason, struct pb_msg *m);
	/** An event for this leg. True: taken. */
	bool (*event)(struct pb_chan *c, enum pb_chan_event ev, struct pb_msg *m);
	/**
	 * End this leg towards the network and call pb_chan_end (now or soon).
	 * `m`: the message that caused it, or NULL.
	 */
	void (*drop)(struct pb_chan *c, struct pb_str reason, struct pb_msg *m);
	/** chan.control; true: done. Optional. */
	bool (*control)(struct pb_chan *c, struct pb_msg *m);
	/** Add what is the driver's to a message that is completed. Optional. */
	void (*complete)(struct pb_chan *c, struct pb_msg *m);
};

/* ---- Drivers: one on each loop, in the module's loop state ------------------- */

struct pb_driver_counts {
	uint64_t routed, total; /* ever */
	unsigned routing, chans; /* now */
};

/**
 * Make this loop's part of the driver: call in loop_start. `prefix` is "sip/";
 * name and type are the module's.
 */
int pb_driver_new(const struct pb_ctx *cx, const char *prefix, const struct pb_chan_ops *ops,
		  struct pb_driver **out);
/** Its channels must have ended. */
void pb_driver_free(struct pb_driver **d);
/**
 * Add the handlers every driver has (call.drop, chan.masquerade, chan.locate,
 * call.ringing ...) once, in the module's start. Its loop state must begin with
 * `struct pb_driver *`.
 */
int pb_driver_add_handlers(struct pb_ctx *cx, const char *prefix);
/** Limits of this loop's driver that a reload may change. 0: its part of what [telephony] of the main file says. */
void pb_driver_limits(struct pb_driver *d, unsigned max_chans, unsigned max_routing, unsigned timeout_ms);
/** What every driver hears, counts and sends: the `part` of its module. */
extern const struct pb_part pb_driver_part;
const struct pb_driver_counts *pb_driver_counts(const struct pb_driver *d);
/** Status counts and items of this loop: routed, routing, total, chans. */
void pb_driver_status(struct pb_driver *d, struct pb_status *s);
/** For a selector such as "sip/1": the channel's line is added. */
void pb_driver_status_chan(struct pb_driver *d, struct pb_status *s, struct pb_str id);
/** Drop all of this loop's channels. */
void pb_driver_drop_all(struct pb_driver *d, struct pb_str reason, struct pb_msg *m);
/** Is there room for one more channel? */
bool pb_driver_accepts(const struct pb_driver *d);
/** ... and does the engine take calls that come in (pb_engine_accept)? */
bool pb_driver_takes(const struct pb_driver *d);
struct pb_ctx *pb_driver_ctx(const struct pb_driver *d);

/* ---- Channels ------------------------------------------------------------------- */

struct pb_chan_args {
	struct pb_driver *driver;
	bool outgoing; /* the engine calls out on this leg */
	struct pb_str address;
	struct pb_str billid; /* outgoing: the caller's; absent for incoming: a new one */
	void *user; /* the driver's own */
	/**
	 * The record it is written to: incoming: that of the first packet, outgoing:
	 * that of call.execute, which the caller's leg judges. Unset: one of its own.
	 */
	struct pb_handle flight;
};

/** @return NULL when there is no memory or max_chans is reached. */
struct pb_chan *pb_chan_new(const struct pb_chan_args *args);
/**
 * The leg is over: chan.hangup is sent, open questions are given up, the joined
 * leg is told (chan.disconnected, then dropped unless somebody keeps it), and
 * the channel is freed. `m` may carry parameters that both messages get.
 */
void pb_chan_end(struct pb_chan **c, struct pb_str reason);

struct pb_str pb_chan_id(const struct pb_chan *c);
struct pb_handle pb_chan_handle(const struct pb_chan *c);
void *pb_chan_user(const struct pb_chan *c);
struct pb_driver *pb_chan_driver(const struct pb_chan *c);
struct pb_chan *pb_chan_peer(const struct pb_chan *c);
bool pb_chan_is_outgoing(const struct pb_chan *c);
bool pb_chan_is_answered(const struct pb_chan *c);
struct pb_str pb_chan_status(const struct pb_chan *c);
/** "answered" sets the flag for good. */
void pb_chan_set_status(struct pb_chan *c, struct pb_str status);
struct pb_str pb_chan_billid(const struct pb_chan *c);
struct pb_str pb_chan_targetid(const struct pb_chan *c);
void pb_chan_set_address(struct pb_chan *c, struct pb_str address);
/** For chan.disconnected and chan.hangup: cause_sip, reason_sip, sip_... */
void pb_chan_set_param(struct pb_chan *c, struct pb_str name, struct pb_str value);
/** Copy the parameters that `m` names in `copyparams`. */
void pb_chan_copy_params(struct pb_chan *c, const struct pb_msg *m);
/** Milliseconds until dropped with that reason word; 0 stops. */
void pb_chan_set_timeout(struct pb_chan *c, uint64_t ms);
void pb_chan_set_maxcall(struct pb_chan *c, uint64_t ms);

/** bus/flight.h; may be unset. */
struct pb_handle pb_chan_flight(const struct pb_chan *c);
/** On this loop; NULL when it is gone. */
struct pb_chan *pb_chan_get(struct pb_handle h);
struct pb_chan *pb_chan_find(struct pb_str id);

/** Join two legs of this loop; earlier peers are disconnected. */
int pb_chan_connect(struct pb_chan *a, struct pb_chan *b, struct pb_str reason);

/* ---- Messages -------------------------------------------------------------------- */

/** Fill in id, module, and, unless minimal, status, address, targetid, billid ... */
void pb_chan_complete(struct pb_chan *c, struct pb_msg *m, bool minimal);
/** A message about this channel, completed; NULL without memory. */
struct pb_msg *pb_chan_msg(struct pb_chan *c, struct pb_str name, bool minimal);
/** Send a notice in the channel's order; the bus owns it. NULL is ignored. */
void pb_chan_notice(struct pb_chan *c, struct pb_msg *m);
/** Ask a question that is given up when the channel ends. */
void pb_chan_ask(struct pb_chan *c, struct pb_msg *m, pb_done_fn done, void *arg);
/**
 * Route an incoming leg: `m` is its call.preroute, complete; the channel's ops
 * hear of the outcome. The bus owns `m`.
 */
void pb_chan_route(struct pb_chan *c, struct pb_msg *m);

#endif
