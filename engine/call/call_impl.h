/* Channels from inside; for the files of engine/call. */
#ifndef PB_CALL_IMPL_H
#define PB_CALL_IMPL_H

#include "base/alloc.h"
#include "base/assert.h"
#include "base/list.h"
#include "base/map.h"
#include "bus/flight.h"
#include "call/chan.h"

struct pbi_chan_slot {
	struct pb_chan *chan;
	uint32_t gen;
	uint32_t next_free;
};

/* What a loop knows of its channels, whatever their driver. */
struct pbi_calls {
	struct pb_bus *bus;
	struct pb_loop *loop;
	unsigned index, loops;
	struct pbi_chan_slot *slots;
	uint32_t slot_count, free_slot; /* free_slot: index + 1 */
	struct pb_map ids;
	uint64_t next_bill;
	unsigned drivers; /* the last one frees this */
};

struct pb_driver {
	struct pb_ctx cx;
	struct pbi_calls *calls;
	const struct pb_chan_ops *ops;
	struct pb_str prefix, name, type; /* literals of the module */
	struct pb_list chans;
	uint64_t next_number;
	unsigned max_chans, max_routing, timeout_ms;
	struct pb_driver_counts counts;
};

struct pb_chan {
	struct pb_map_node by_id;
	struct pb_list node; /* in the driver's list */
	struct pb_driver *driver;
	struct pb_handle handle;
	struct pb_arena *arena;
	struct pb_str id, address, billid, targetid, lastpeerid, status, reason;
	struct pb_chan *peer;
	struct pb_msg *params; /* for disconnected and hangup; NULL: none yet */
	struct pb_notices *notices;
	struct pb_questions questions;
	struct pb_timer timeout, maxcall;
	uint64_t maxcall_ms, timeout_ms;
	void *user;
	bool outgoing, answered, routing, ended;
	bool judges; /* its end is the record's */
	struct pb_handle flight;
	uint64_t dtmf_seq;
};

/* The loop's record, made at first use; NULL without memory. */
struct pbi_calls *pbi_calls_of(const struct pb_ctx *cx);

#endif
