/*
 * Three digits for the loop, 21 for some 69 random bits. Decimal, because that is
 * what handlers know `xsip_dlgtag` to be, and no case can change it on the way.
 */
#include "sip/stack/id.h"

enum { LOOP_DIGITS = 3, WIDE_DIGITS = 19 };

/* The last `n` decimal digits of `v`, leading zeros too. */
static void digits(char *out, unsigned n, uint64_t v)
{
	while (n) {
		out[--n] = (char)('0' + v % 10);
		v /= 10;
	}
}

struct pb_str sip_id_make(char out[SIP_ID_BYTES], const unsigned char random[SIP_ID_RANDOM],
			  unsigned loop)
{
	uint64_t wide = 0;

	for (unsigned i = 0; i < 8; i++)
		wide = wide << 8 | random[i];
	digits(out, LOOP_DIGITS, loop);
	digits(out + LOOP_DIGITS, WIDE_DIGITS, wide);
	digits(out + LOOP_DIGITS + WIDE_DIGITS, SIP_ID_BYTES - LOOP_DIGITS - WIDE_DIGITS, random[8]);
	return pb_str(out, SIP_ID_BYTES);
}

struct pb_str sip_branch_make(char out[SIP_BRANCH_BYTES], const unsigned char random[SIP_ID_RANDOM],
			      unsigned loop)
{
	memcpy(out, "z9hG4bK", 7);
	sip_id_make(out + 7, random, loop);
	return pb_str(out, SIP_BRANCH_BYTES);
}

int sip_id_loop(struct pb_str id, unsigned loops)
{
	unsigned loop = 0;

	if (id.n != SIP_ID_BYTES)
		return -1;
	for (size_t i = 0; i < id.n; i++) {
		if (!pb_is_digit(id.p[i]))
			return -1;
	}
	for (size_t i = 0; i < LOOP_DIGITS; i++)
		loop = loop * 10 + (unsigned)(id.p[i] - '0');
	return loop < loops ? (int)loop : -1;
}

bool sip_branch_magic(struct pb_str branch)
{
	return branch.n > 7 && pb_str_istarts(branch, PB_STR("z9hG4bK"));
}

int sip_branch_loop(struct pb_str branch, unsigned loops)
{
	return sip_branch_magic(branch) ? sip_id_loop(pb_str_from(branch, 7), loops) : -1;
}
