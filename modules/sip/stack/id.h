/*
 * Ids that we make: branches, tags, Call-IDs.
 *
 * Each carries the index of the loop that made it, so that whatever comes back
 * with it finds its loop by reading, without a table (design: one loop owns a
 * call). The rest is random: 69 bits that nobody can guess. Decimal digits
 * only, because peers may compare and copy without regard to case.
 */
#ifndef SIP_STACK_ID_H
#define SIP_STACK_ID_H

#include "base/str.h"

enum {
	SIP_ID_BYTES = 24,                   /* text of a tag or Call-ID, no NUL */
	SIP_ID_RANDOM = 9,                   /* random octets that go into one */
	SIP_BRANCH_BYTES = 7 + SIP_ID_BYTES, /* with z9hG4bK */
};

/** Write an id of loop `loop` (below 1000) from `random` into `out`. */
struct pb_str sip_id_make(char out[SIP_ID_BYTES], const unsigned char random[SIP_ID_RANDOM],
			  unsigned loop);
/** The same for a branch, with its magic cookie (RFC 3261 section 8.1.1.7). */
struct pb_str sip_branch_make(char out[SIP_BRANCH_BYTES], const unsigned char random[SIP_ID_RANDOM],
			      unsigned loop);
/**
 * The loop of an id of the form that we make, or -1 when it is not of that form
 * or names a loop at or over `loops`. A stranger can write such an id too: it
 * finds a loop, and there nothing.
 */
int sip_id_loop(struct pb_str id, unsigned loops);
int sip_branch_loop(struct pb_str branch, unsigned loops);
/** Whether the branch begins with the cookie, in any case. */
bool sip_branch_magic(struct pb_str branch);

#endif
