/*
 * Two letters of base 32 for the loop, fourteen for 70 random bits. The alphabet
 * is RFC 4648's in lower case.
 */
#include "sip/stack/id.h"

static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";

static int value_of(char c)
{
	c = pb_to_lower(c);
	if (c >= 'a' && c <= 'z')
		return c - 'a';
	return c >= '2' && c <= '7' ? c - '2' + 26 : -1;
}

struct pb_str sip_id_make(char out[SIP_ID_BYTES], const unsigned char random[SIP_ID_RANDOM],
			  unsigned loop)
{
	uint64_t bits = 0;

	out[0] = letters[loop >> 5 & 31];
	out[1] = letters[loop & 31];
	for (unsigned i = 0; i < 8; i++)
		bits = bits << 8 | random[i];
	for (unsigned i = 2; i < 14; i++, bits >>= 5)
		out[i] = letters[bits & 31];
	/* 60 bits are used up, 4 are left; the ninth octet makes them 10. */
	bits |= (random[8] & 63u) << 4;
	out[14] = letters[bits & 31];
	out[15] = letters[bits >> 5 & 31];
	return pb_str(out, SIP_ID_BYTES);
}

struct pb_str sip_branch_make(char out[SIP_BRANCH_BYTES],
			      const unsigned char random[SIP_ID_RANDOM], unsigned loop)
{
	memcpy(out, "z9hG4bK", 7);
	sip_id_make(out + 7, random, loop);
	return pb_str(out, SIP_BRANCH_BYTES);
}

int sip_id_loop(struct pb_str id, unsigned loops)
{
	unsigned loop;

	if (id.n != SIP_ID_BYTES)
		return -1;
	for (size_t i = 0; i < id.n; i++)
		if (value_of(id.p[i]) < 0)
			return -1;
	loop = (unsigned)value_of(id.p[0]) << 5 | (unsigned)value_of(id.p[1]);
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
