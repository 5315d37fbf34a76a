/*
 * Which packets are followed: by address, by user, by pattern; all that are
 * given must hold. Immutable once read; pure.
 */
#ifndef TRACE_FILTER_H
#define TRACE_FILTER_H

#include "base/arena.h"
#include "base/text.h"
#include "bus/flight.h"

struct trace_filter;

/**
 * From the words of a command: `ip ADDR[/BITS],...` (the peer's), `at
 * ADDR[:PORT]` (our side: one listener), `user NAME` (in From or To), `regex
 * EXPRESSION` (the rest of the line; somewhere in the message).
 *
 * @return 0; -EINVAL: `why` (at most a line) says what is wrong; -ENOMEM.
 */
int trace_filter_new(struct pb_str words, struct pb_text *why, struct trace_filter **out);
void trace_filter_free(struct trace_filter **f);
bool trace_filter_takes(const struct trace_filter *f, const struct pb_flight_event *packet);

#endif
