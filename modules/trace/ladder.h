/*
 * One record as text: peers and the bus side by side, time downwards. Pure: it
 * reads events and writes text.
 */
#ifndef TRACE_LADDER_H
#define TRACE_LADDER_H

#include "base/text.h"
#include "bus/flight.h"
#include "loop/log.h"

/** Lanes beside the bus; further peers share the last one. */
#define TRACE_PEERS_MAX 6

struct trace_ladder {
	struct pb_text *to;
	bool brief; /* without parameters */
	bool full;  /* with the text of packets */
	struct pb_addr peers[TRACE_PEERS_MAX];
	unsigned peer_count;
};

/** First pass over the events: who gets a lane. */
void trace_ladder_meet(struct trace_ladder *l, const struct pb_flight_event *e);
/** What the record is about, and the heads of the lanes. */
void trace_ladder_begin(struct trace_ladder *l, const struct pb_flight_info *f);
void trace_ladder_event(struct trace_ladder *l, const struct pb_flight_event *e);

/** The record in one line: what, from whom, to whom, how it ended, its keys. */
void trace_summary(struct pb_text *t, const struct pb_flight_info *f);
/** What an event says, in one line without its end; nothing for a packet. */
void trace_say(struct pb_text *t, const struct pb_flight_event *e, bool with_fields);
/** "INVITE sip:200@host", "200 OK": the first line of a packet, without what is always there. */
struct pb_str trace_packet_title(struct pb_str text, char *buf, size_t size);
/** YYYY-MM-DD HH:MM:SS.ffffff UTC */
void trace_add_time(struct pb_text *t, uint64_t us);

#endif
