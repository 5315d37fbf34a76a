/*
 * The flight recorder: for each call (and each request outside calls) a ring of
 * compact entries of what happened: packets in and out, bus messages with every
 * handler's verdict and time, state changes, notes. Always on; freed when it
 * ends well, kept when it does not.
 *
 * A record lives on one loop and is named by a handle {loop, slot, generation}
 * that travels in messages; whoever holds a stale one, or one of another loop,
 * writes nothing. It is found by its keys: channel ids, Call-IDs, billid.
 *
 * Secrets never enter: parameters and return values that the table of names
 * calls secret are written as such, not as they are; who writes a packet masks
 * it first.
 *
 * @thread  Everything here: the loop's own, unless said otherwise.
 */
#ifndef PB_BUS_FLIGHT_H
#define PB_BUS_FLIGHT_H

#include "bus/bus.h"
#include "loop/addr.h"

/* ---- Limits --------------------------------------------------------------------- */

/** Of the whole engine; a loop has its share. */
struct pb_flight_args {
	size_t ring_bytes;   /* of one record; 0: no recorder */
	size_t total_bytes;  /* of all together */
	unsigned keep, keep_good; /* ended records kept: those that failed, those that did not */
	uint64_t age_ms;     /* how long */
};

/* ---- Writing ---------------------------------------------------------------------- */

enum pb_flight_outcome {
	PB_FLIGHT_NO_OPINION, /* somebody else knows */
	PB_FLIGHT_WELL,
	PB_FLIGHT_BADLY,
};

enum pb_flight_begun {
	PB_FLIGHT_JOINED, /* others use it, and will judge it */
	PB_FLIGHT_AGAIN,  /* it had ended, and goes on */
	PB_FLIGHT_MADE,
};

/**
 * The record that has `key`, or a new one with it. The caller is one of its
 * users until pb_flight_end.
 *
 * @return gen 0: no recorder, no memory, or its budget is used up by records
 *         that are in use. Everything else takes that and does nothing.
 */
struct pb_handle pb_flight_begin(struct pb_bus *b, struct pb_str key, enum pb_flight_begun *how);
/** One more user of a record that is there; gen 0 when it is not. */
struct pb_handle pb_flight_use(struct pb_bus *b, struct pb_handle h);
/**
 * A user goes. With the last one the record has ended: well or badly, as the
 * last opinion was (badly, when there was none), because of `cause`.
 */
void pb_flight_end(struct pb_bus *b, struct pb_handle h, enum pb_flight_outcome how, struct pb_str cause);
/** A further name to find it by; the first 16 count. */
void pb_flight_key(struct pb_bus *b, struct pb_handle h, struct pb_str key);
/** What it is about, for lists: "INVITE"; absent ones stay as they are. */
void pb_flight_about(struct pb_bus *b, struct pb_handle h, struct pb_str what, struct pb_str caller,
		     struct pb_str called);

/** A packet, without its secrets. */
struct pb_flight_packet {
	bool out;
	bool told; /* who follows has had it already */
	struct pb_addr local, peer;
	struct pb_str text;
};
/**
 * Into the record with that key, if there is one, and to who follows (below).
 * @return whether anybody took it.
 */
bool pb_flight_packet(struct pb_bus *b, struct pb_str key, const struct pb_flight_packet *p);
/** Would anybody? For who has to mask it first. */
bool pb_flight_wants(struct pb_bus *b, struct pb_str key);
/** "sip/1 ringing". */
void pb_flight_state(struct pb_bus *b, struct pb_handle h, struct pb_str object, struct pb_str state);
/** A line of text: a timer that ran out, something odd. No secrets. */
void pb_flight_note(struct pb_bus *b, struct pb_handle h, struct pb_str object, struct pb_str text);

/** The record that this message's walk is written to; messages dispatched inside it inherit it. */
struct pb_handle pb_msg_flight(const struct pb_msg *m);
void pb_msg_set_flight(struct pb_msg *m, struct pb_handle h);

/* ---- Reading ---------------------------------------------------------------------- */

enum pb_flight_kind {
	PB_FLIGHT_PACKET,   /* out, local, peer, text; bytes: its whole length */
	PB_FLIGHT_START,    /* walk `no` of message `text` begins, inside walk `parent` (0: none); fields */
	PB_FLIGHT_HANDLERS, /* fields: name:priority, value: verdict, time */
	PB_FLIGHT_HELD,	    /* text holds it */
	PB_FLIGHT_RESUMED,  /* verdict; took_us: how long it was held */
	PB_FLIGHT_EXPIRED,  /* the limit of the hold has passed */
	PB_FLIGHT_DONE,	    /* verdict PB_HANDLED or not; text: return value; fields: what has changed */
	PB_FLIGHT_GIVEN_UP, /* the question was cancelled */
	PB_FLIGHT_STATE,    /* object, text */
	PB_FLIGHT_NOTE,	    /* object, text */
};

/** One entry; its slices view the record. */
struct pb_flight_event {
	enum pb_flight_kind kind;
	uint32_t no, parent;
	uint64_t at_us; /* since the record began */
	bool out, cut;	/* cut: text or fields are not all there */
	enum pb_verdict verdict;
	uint32_t took_us, bytes;
	struct pb_addr local, peer;
	struct pb_str object, text;
	struct pb_str fields; /* see pb_flight_field */
};

/** A parameter, or a handler. */
struct pb_flight_field {
	struct pb_str name, value; /* value absent: secret */
	enum pb_verdict verdict;   /* of a handler, and what it took */
	uint32_t took_us;
	bool cut;
};
/** Take the next one off `*fields`; false at the end. */
bool pb_flight_field(const struct pb_flight_event *e, struct pb_str *fields, struct pb_flight_field *out);

struct pb_flight_info {
	struct pb_handle handle;
	bool ended, failed;
	uint64_t began_us; /* since 1970 */
	uint64_t lasted_us, ended_ago_us; /* lasted: until now, when it has not ended */
	struct pb_str what, caller, called, cause;
	struct pb_str keys[16];
	unsigned key_count;
	uint32_t lost; /* entries that the ring has forgotten */
	size_t bytes;
};

/** By key or handle; false: not on this loop. */
bool pb_flight_find(struct pb_bus *b, struct pb_str key, struct pb_flight_info *out);
bool pb_flight_info(struct pb_bus *b, struct pb_handle h, struct pb_flight_info *out);
/** This loop's: those in use, then the failed, then the good, each oldest first; false stops. */
void pb_flight_list(struct pb_bus *b, bool (*fn)(void *arg, const struct pb_flight_info *f), void *arg);
/** Its entries, oldest first; `fn` writes to no record; false stops. */
void pb_flight_read(struct pb_bus *b, struct pb_handle h, bool (*fn)(void *arg, const struct pb_flight_event *e),
		    void *arg);

/**
 * One who hears entries on this loop as they are written: every packet, in a
 * record or not, and the other entries of records that it chose by setting
 * *chosen. It writes to no record. NULL fn: nobody any more.
 */
typedef void (*pb_flight_follow_fn)(void *arg, struct pb_handle h, const struct pb_flight_event *e, bool *chosen);
void pb_flight_follow(struct pb_bus *b, pb_flight_follow_fn fn, void *arg);

struct pb_flight_counts {
	uint64_t begun, failed, refused; /* refused: no room */
	uint64_t active, kept, bytes;	 /* now */
};
/** Of the calling loop. */
struct pb_flight_counts pb_flight_count(struct pb_bus *b);

#endif
