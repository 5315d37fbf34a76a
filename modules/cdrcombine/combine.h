/*
 * Calls whose legs are not all over: what is known of each leg, and the record
 * made of them in the end. No bus, loop or clock.
 */
#ifndef CDRCOMBINE_COMBINE_H
#define CDRCOMBINE_COMBINE_H

#include "base/list.h"
#include "base/map.h"
#include "bus/msg.h"

/** The most legs of one call that are combined. */
#define COMBINE_LEGS_MAX 200

struct combine_leg {
	struct pb_map_node by_chan;
	struct pb_list node; /* in order of begin */
	struct combine *of;
	struct pb_str chan, caller, called, address; /* as it began; behind the struct */
	bool incoming;
	struct pb_msg *last; /* its final record; NULL: not over */
};

struct combine {
	struct pb_map_node by_billid;
	struct pb_list in_order;
	struct pb_list legs;
	unsigned count, open;
	struct pb_str billid; /* behind the struct */
};

/** Zeroed but for the list: combines_init(). */
struct combines {
	struct pb_map by_billid, by_chan;
	struct pb_list in_order; /* of begin */
	struct pb_str track;     /* name of the tracking parameter; never copied */
};

enum combine_result {
	COMBINE_TAKEN,   /* noted */
	COMBINE_OVER,    /* it was the last one: the record is in *out */
	COMBINE_UNKNOWN, /* the end of a leg of no call */
	COMBINE_FULL,    /* the call has too many legs: this one is left out */
	COMBINE_NO_MEMORY,
};

void combines_init(struct combines *cs);
void combines_fini(struct combines *cs);

/** A leg begins: record `m` with operation initialize. */
enum combine_result combine_begin(struct combines *cs, const struct pb_msg *m);
/**
 * A leg is over: record `m` with operation finalize. With the last leg the call
 * is forgotten; *out is the caller's (NULL when there was no memory), else NULL.
 */
enum combine_result combine_end(struct combines *cs, const struct pb_msg *m, struct pb_msg **out);

/** The first incoming leg, else the first one. */
const struct combine_leg *combine_main(const struct combine *c);

#endif
