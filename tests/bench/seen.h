/*
 * A SIP message as the generator sees it: split into lines, nothing checked.
 * Good enough for answers to its own requests, and cheap.
 */
#ifndef BENCH_SEEN_H
#define BENCH_SEEN_H

#include "base/str.h"

#define SEEN_LINES 8

struct seen {
	uint32_t status; /* 0: a request */
	struct pb_str method, uri;
	/* values; the challenge is the first that MD5 answers */
	struct pb_str call_id, cseq, from, to, contact, challenge;
	struct pb_str body;
	/* whole values, in order, more than SEEN_LINES forgotten */
	struct pb_str vias[SEEN_LINES], routes[SEEN_LINES];
	unsigned via_count, route_count;
};

/** @return whether it looks like SIP at all. */
bool seen_read(struct pb_str datagram, struct seen *s);

/** The value of `name` in "Digest a=b, name="value"", without quotes; absent when missing. */
struct pb_str seen_param(struct pb_str challenge, struct pb_str name);

/** What stands between < and >, or the whole up to ';'. */
struct pb_str seen_uri(struct pb_str addr);

#endif
