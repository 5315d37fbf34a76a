/*
 * Channels that have hung up, remembered for a while: what comes late about one
 * begins no new record. On one loop.
 */
#ifndef CDRBUILD_GUARD_H
#define CDRBUILD_GUARD_H

#include "base/map.h"
#include "loop/loop.h"

struct cdr_guard {
	struct pb_map_node node;
	struct pb_list in_order;
	uint64_t until_ms, hangup_us;
	bool reported;      /* it had its final record */
	struct pb_str chan; /* behind the struct */
};

struct cdr_guards {
	struct pb_loop *loop;
	struct pb_map by_chan;
	struct pb_list in_order; /* of their end */
	struct pb_timer timer;
};

void cdr_guards_init(struct cdr_guards *gs, struct pb_loop *l);
void cdr_guards_fini(struct cdr_guards *gs);
/** NULL: not remembered. */
struct cdr_guard *cdr_guards_find(struct cdr_guards *gs, struct pb_str chan);
/** For `keep_ms`, 0: not at all. Without memory it is forgotten. */
void cdr_guards_add(struct cdr_guards *gs, struct pb_str chan, uint64_t hangup_us, bool reported,
		    uint64_t keep_ms);

#endif
