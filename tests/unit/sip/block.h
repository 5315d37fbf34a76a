/*
 * A text in a heap block of exactly its size: the address sanitizer sees the
 * first octet that a reader takes beyond it.
 */
#ifndef TEST_SIP_BLOCK_H
#define TEST_SIP_BLOCK_H

#include "base/alloc.h"
#include "base/str.h"

static inline struct pb_str block_of(struct pb_str s)
{
	char *p = pb_alloc(s.n ? s.n : 1);

	if (!p)
		return PB_STR_NULL;
	if (s.n)
		memcpy(p, s.p, s.n);
	/* An empty text ends where the block does. */
	return (struct pb_str){ s.n ? p : p + 1, s.n };
}

static inline void block_free(struct pb_str s)
{
	pb_free((char *)(s.n ? s.p : s.p - 1));
}

#endif
