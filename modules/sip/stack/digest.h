/*
 * Digest authentication: RFC 7616 as RFC 8760 brings it to SIP; qop "auth" or
 * none (RFC 2069), MD5 and SHA-256.
 *
 * A struct sip_digest holds the crypto library's handles, fetched once; it
 * belongs to one thread. Each loop has its own.
 */
#ifndef SIP_STACK_DIGEST_H
#define SIP_STACK_DIGEST_H

#include "base/text.h"
#include "sip/stack/value.h"

struct sip_digest;

/** NULL when there is no memory or the library refuses. */
struct sip_digest *sip_digest_new(void);
void sip_digest_free(struct sip_digest **d);

enum sip_alg {
	SIP_ALG_MD5,
	SIP_ALG_SHA256,
	SIP_ALG_UNKNOWN,
};

/** Of the algorithm parameter, any case; absent is MD5. */
enum sip_alg sip_alg_id(struct pb_str name);
struct pb_str sip_alg_name(enum sip_alg alg);

/** A hash as lower-case hex. */
struct sip_hex {
	char text[64];
	size_t n; /* 32 or 64; 0: could not be computed */
};

static inline struct pb_str sip_hex_str(const struct sip_hex *h)
{
	return (struct pb_str){ h->text, h->n };
}

/** H(username ":" realm ":" password): what may be stored instead of a password. */
int sip_digest_ha1(struct sip_digest *d, enum sip_alg alg, struct pb_str username,
		   struct pb_str realm, struct pb_str password, struct sip_hex *out);

struct sip_digest_args {
	enum sip_alg alg;
	struct pb_str ha1; /* hex */
	struct pb_str method, uri, nonce;
	struct pb_str qop; /* absent: as RFC 2069 */
	struct pb_str nc, cnonce;
};

/** The `response` value. @return 0, -EINVAL (unknown algorithm or qop), -EIO. */
int sip_digest_response(struct sip_digest *d, const struct sip_digest_args *a, struct sip_hex *out);

/**
 * Whether credentials hold for a user whose HA1 is known. Compared in constant
 * time. Uri, realm, algorithm and qop (absent too) are taken as sent; comparing
 * them with the request and with what was offered is the caller's matter.
 */
bool sip_digest_verify(struct sip_digest *d, const struct sip_auth *credentials, struct pb_str ha1,
		       struct pb_str method);

struct sip_login {
	struct pb_str username, password;
	struct pb_str method, uri;
	struct pb_str cnonce; /* random, made by the caller */
	uint32_t nc;          /* 1 for the first use of the nonce */
};

/**
 * Append the value of Authorization for a challenge. Picks qop=auth out of a
 * list; a challenge without qop gets an answer without.
 *
 * @return 0, -EINVAL (not Digest, unknown algorithm, only auth-int, no nonce), -EIO, -ENOSPC.
 */
int sip_digest_answer(struct sip_digest *d, const struct sip_auth *challenge,
		      const struct sip_login *login, struct pb_text *out);

struct sip_challenge {
	struct pb_str realm, nonce, opaque;
	struct pb_str domain; /* absent: none */
	enum sip_alg alg;
	bool stale;
};

/** Append the value of WWW-Authenticate: qop="auth" is always offered. */
void sip_digest_challenge(struct pb_text *out, const struct sip_challenge *c);

#endif
