/*
 * SIP messages for eyes: without credentials, keys of media, and keys pressed.
 * Pure: no state, any thread.
 */
#ifndef SIP_STACK_MASK_H
#define SIP_STACK_MASK_H

#include "base/text.h"

/** The value of Call-ID, absent when there is none: a pass that stops there. */
struct pb_str sip_find_call_id(struct pb_str message);

/** What one pass over the lines of a message tells. */
struct sip_glance {
	size_t body; /* offset; the length of the message when there is none */
	bool secret; /* something must be hidden */
	bool body_secret; /* all of the body must */
};
/** Any octets will do; neither judged nor unfolded. */
void sip_glance(struct pb_str message, struct sip_glance *out);

/** Append `message` with what is secret replaced by "(hidden)". */
void sip_mask(struct pb_text *t, struct pb_str message, const struct sip_glance *g);

#endif
