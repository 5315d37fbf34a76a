/*
 * Packets as a pcapng file (draft-ietf-opsawg-pcapng), for whatever reads one:
 * raw IP packets that never were, with UDP around the text of a SIP message, and
 * what the bus did as comments on them. Pure: it appends octets to a text.
 */
#ifndef TRACE_PCAPNG_H
#define TRACE_PCAPNG_H

#include "base/text.h"
#include "bus/flight.h"

/** Section header and the one interface: once, at the beginning. */
void trace_pcapng_begin(struct pb_text *t);
/** A packet of a record or from a follower; at: microseconds since 1970. */
void trace_pcapng_packet(struct pb_text *t, uint64_t at_us, const struct pb_flight_event *e, struct pb_str comment);

#endif
