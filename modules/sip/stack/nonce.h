/*
 * Server nonces that need no table to be recognised, and the counts that do.
 *
 * A nonce carries when and on which loop it was made and a serial number, signed
 * together with the source IP address by a key of the process. Whoever holds the
 * key can tell a nonce of ours from another, and from an old one.
 */
#ifndef SIP_STACK_NONCE_H
#define SIP_STACK_NONCE_H

#include "sip/stack/digest.h"

enum {
	SIP_NONCE_LIFE_MS = 30000,
	SIP_NONCE_CHARS = 32,
	SIP_OPAQUE_CHARS = 16,
};

/** Signs and checks; one per thread, made of the same key on all. */
struct sip_nonces;

/** @param key  Random, 32 bytes, the same on every loop. NULL: no memory. */
struct sip_nonces *sip_nonces_new(struct pb_str key);
void sip_nonces_free(struct sip_nonces **n);

struct sip_nonce {
	uint64_t made_ms; /* the clock of whoever made it; wall or loop, but one for all */
	uint16_t loop;
	uint32_t serial; /* made different by the caller for each nonce of a millisecond */
};

/**
 * Append the 32 characters of a nonce. @param ip  The source address, 4 or 16
 * octets or text: bytes that compare equal for the same address.
 */
int sip_nonce_make(struct sip_nonces *n, const struct sip_nonce *nonce, struct pb_str ip,
		   struct pb_text *out);

enum sip_nonce_verdict {
	SIP_NONCE_GOOD,
	SIP_NONCE_STALE,  /* ours and for this address, but over its life: challenge with stale=true
			   */
	SIP_NONCE_FOREIGN /* not ours, changed, or made for another address */
};

/** @param out  Filled when the answer is GOOD or STALE. */
enum sip_nonce_verdict sip_nonce_check(struct sip_nonces *n, struct pb_str text, struct pb_str ip,
				       uint64_t now_ms, struct sip_nonce *out);

/** The loop that a nonce names, unchecked: where to send the request for it. -EINVAL. */
int sip_nonce_loop(struct pb_str text);

/** Append the 16 characters of the opaque value that belongs to a nonce. */
int sip_nonce_opaque(struct sip_nonces *n, struct pb_str nonce, struct pb_text *out);
/** Whether `opaque` is the one that was sent with `nonce`. */
bool sip_nonce_opaque_is(struct sip_nonces *n, struct pb_str nonce, struct pb_str opaque);

/**
 * Nonce counts seen, so that none is taken twice: a table of a fixed size. Ask
 * it only after the response proved right, or strangers could fill it.
 */
struct sip_counts;

/** @param capacity  How many nonces at once, rounded up to a power of two. */
struct sip_counts *sip_counts_new(size_t capacity);
void sip_counts_free(struct sip_counts **c);

enum sip_count_verdict {
	SIP_COUNT_NEW,    /* first time: go on */
	SIP_COUNT_REPLAY, /* seen, or older than the window of 64: refuse */
	SIP_COUNT_FULL,   /* no room among nonces still alive: treat the nonce as stale */
};

/** Take note of a count. O(1). @param nc  8 hex digits as sent. */
enum sip_count_verdict sip_counts_use(struct sip_counts *c, const struct sip_nonce *nonce,
				      struct pb_str nc, uint64_t now_ms);
/** Nonces remembered now, dead ones not yet replaced included. */
size_t sip_counts_used(const struct sip_counts *c);

#endif
