/*
 * Digest computing over OpenSSL's EVP interface. Fetching an algorithm by name
 * costs more than hashing a header with it, so both are fetched once and live,
 * with one context, in the object that the caller keeps per thread.
 */
#include "sip/stack/digest.h"

#include <errno.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/alloc.h"
#include "sip/stack/build.h"
#include "sip/stack/chars.h"

struct sip_digest {
	EVP_MD *md[SIP_ALG_UNKNOWN];
	EVP_MD_CTX *ctx;
};

static const struct alg_row {
	struct pb_str name; /* on the wire and in OpenSSL's own list the same */
	size_t hex_n;
} algs[SIP_ALG_UNKNOWN] = {
	[SIP_ALG_MD5] = { PB_STR_INIT("MD5"), 32 },
	[SIP_ALG_SHA256] = { PB_STR_INIT("SHA-256"), 64 },
};

struct sip_digest *sip_digest_new(void)
{
	struct sip_digest *d = pb_alloc_zero(1, sizeof(*d));

	if (!d)
		return NULL;
	d->ctx = EVP_MD_CTX_new();
	d->md[SIP_ALG_MD5] = EVP_MD_fetch(NULL, "MD5", NULL);
	d->md[SIP_ALG_SHA256] = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (!d->ctx || !d->md[SIP_ALG_MD5] || !d->md[SIP_ALG_SHA256])
		sip_digest_free(&d);
	return d;
}

void sip_digest_free(struct sip_digest **dp)
{
	struct sip_digest *d = *dp;

	*dp = NULL;
	if (!d)
		return;
	EVP_MD_free(d->md[SIP_ALG_MD5]);
	EVP_MD_free(d->md[SIP_ALG_SHA256]);
	EVP_MD_CTX_free(d->ctx);
	pb_free(d);
}

enum sip_alg sip_alg_id(struct pb_str name)
{
	if (!name.p)
		return SIP_ALG_MD5;
	for (unsigned i = 0; i < SIP_ALG_UNKNOWN; i++)
		if (pb_str_ieq(algs[i].name, name))
			return (enum sip_alg)i;
	return SIP_ALG_UNKNOWN;
}

struct pb_str sip_alg_name(enum sip_alg alg)
{
	return alg < SIP_ALG_UNKNOWN ? algs[alg].name : PB_STR_NULL;
}

static void to_hex(struct sip_hex *out, const unsigned char *p, size_t n)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		out->text[2 * i] = digits[p[i] >> 4];
		out->text[2 * i + 1] = digits[p[i] & 15];
	}
	out->n = 2 * n;
}

/* The hash of the parts with ':' between them. */
static int hash(struct sip_digest *d, enum sip_alg alg, const struct pb_str *parts, size_t n,
		struct sip_hex *out)
{
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned len;

	out->n = 0;
	if (alg >= SIP_ALG_UNKNOWN)
		return -EINVAL;
	if (!EVP_DigestInit_ex2(d->ctx, d->md[alg], NULL))
		return -EIO;
	for (size_t i = 0; i < n; i++) {
		if (i && !EVP_DigestUpdate(d->ctx, ":", 1))
			return -EIO;
		if (parts[i].n && !EVP_DigestUpdate(d->ctx, parts[i].p, parts[i].n))
			return -EIO;
	}
	if (!EVP_DigestFinal_ex(d->ctx, md, &len) || 2 * len != algs[alg].hex_n)
		return -EIO;
	to_hex(out, md, len);
	OPENSSL_cleanse(md, sizeof(md));
	return 0;
}

#define HASH(d, alg, out, ...)                                                                     \
	hash((d), (alg), (const struct pb_str[]){ __VA_ARGS__ },                                   \
	     sizeof((const struct pb_str[]){ __VA_ARGS__ }) / sizeof(struct pb_str), (out))

int sip_digest_ha1(struct sip_digest *d, enum sip_alg alg, struct pb_str username,
		   struct pb_str realm, struct pb_str password, struct sip_hex *out)
{
	return HASH(d, alg, out, username, realm, password);
}

/* RFC 7616 section 3.4.1, and without qop RFC 2069 section 2.1.2 */
int sip_digest_response(struct sip_digest *d, const struct sip_digest_args *a, struct sip_hex *out)
{
	struct sip_hex ha2;
	int err;

	out->n = 0;
	if (a->qop.p && !pb_str_ieq(a->qop, PB_STR("auth")))
		return -EINVAL;
	err = HASH(d, a->alg, &ha2, a->method, a->uri);
	if (err)
		return err;
	if (!a->qop.p)
		return HASH(d, a->alg, out, a->ha1, a->nonce, sip_hex_str(&ha2));
	return HASH(d, a->alg, out, a->ha1, a->nonce, a->nc, a->cnonce, a->qop, sip_hex_str(&ha2));
}

/* Hex in either case; the length is no secret. */
static bool same_hex(struct pb_str got, const struct sip_hex *want)
{
	char lower[64];

	if (!want->n || got.n != want->n)
		return false;
	for (size_t i = 0; i < got.n; i++)
		lower[i] = pb_to_lower(got.p[i]);
	return CRYPTO_memcmp(lower, want->text, got.n) == 0;
}

bool sip_digest_verify(struct sip_digest *d, const struct sip_auth *credentials, struct pb_str ha1,
		       struct pb_str method)
{
	struct sip_digest_args a = {
		.alg = sip_alg_id(credentials->algorithm),
		.ha1 = ha1,
		.method = method,
		.uri = credentials->uri,
		.nonce = credentials->nonce,
		.qop = credentials->qop,
		.nc = credentials->nc,
		.cnonce = credentials->cnonce,
	};
	struct sip_hex want;

	if (!credentials->digest || !credentials->nonce.p || !credentials->uri.p ||
	    (credentials->qop.p && (credentials->nc.n != 8 || !credentials->cnonce.n)))
		return false;
	return !sip_digest_response(d, &a, &want) && same_hex(credentials->response, &want);
}

/* "auth" out of `auth,auth-int`; absent when the challenge names none. */
static int choose_qop(struct pb_str offered, struct pb_str *qop)
{
	struct pb_str item;

	*qop = PB_STR_NULL;
	if (!offered.p)
		return 0;
	while (pb_str_cut(&offered, ',', &item)) {
		if (!pb_str_ieq(sip_trim(item), PB_STR("auth")))
			continue;
		*qop = PB_STR("auth");
		return 0;
	}
	return -EINVAL;
}

/* The value was read from quotes: its backslashes are as they must be. */
static void add_quoted(struct pb_text *out, const char *name, struct pb_str value)
{
	pb_text_add(out, pb_str_z(name));
	pb_text_lit(out, "=\"");
	pb_text_add(out, value);
	pb_text_addc(out, '"');
}

static void print_count(char text[8], uint32_t nc)
{
	for (int i = 0; i < 8; i++)
		text[i] = "0123456789abcdef"[nc >> (28 - 4 * i) & 15];
}

static bool quotable(struct pb_str s)
{
	return pb_str_chr(s, '"') < 0 && pb_str_chr(s, '\\') < 0 && pb_str_chr(s, '\r') < 0 &&
	       pb_str_chr(s, '\n') < 0;
}

static void print_answer(struct pb_text *out, const struct sip_auth *c, const struct sip_login *l,
			 struct pb_str response)
{
	pb_text_lit(out, "Digest username=");
	sip_quote(out, l->username);
	add_quoted(out, ", realm", c->realm);
	add_quoted(out, ", nonce", c->nonce);
	add_quoted(out, ", uri", l->uri);
	add_quoted(out, ", response", response);
	pb_text_lit(out, ", algorithm=");
	pb_text_add(out, sip_alg_name(sip_alg_id(c->algorithm)));
	if (c->opaque.p)
		add_quoted(out, ", opaque", c->opaque);
}

int sip_digest_answer(struct sip_digest *d, const struct sip_auth *c, const struct sip_login *l,
		      struct pb_text *out)
{
	struct sip_hex ha1, response;
	char count[8];
	struct sip_digest_args a = {
		.alg = sip_alg_id(c->algorithm),
		.method = l->method,
		.uri = l->uri,
		.nonce = c->nonce,
		.nc = pb_str(count, sizeof(count)),
		.cnonce = l->cnonce,
	};
	int err;

	if (!c->digest || !c->nonce.p || !c->realm.p || choose_qop(c->qop, &a.qop) ||
	    !quotable(l->uri) || !quotable(l->cnonce))
		return -EINVAL;
	print_count(count, l->nc);
	err = sip_digest_ha1(d, a.alg, l->username, c->realm, l->password, &ha1);
	a.ha1 = sip_hex_str(&ha1);
	if (!err)
		err = sip_digest_response(d, &a, &response);
	if (err)
		return err;
	print_answer(out, c, l, sip_hex_str(&response));
	if (a.qop.p) {
		pb_text_lit(out, ", qop=auth, nc=");
		pb_text_add(out, a.nc);
		add_quoted(out, ", cnonce", l->cnonce);
	}
	return pb_text_failed(out) ? -ENOSPC : 0;
}

void sip_digest_challenge(struct pb_text *out, const struct sip_challenge *c)
{
	pb_text_lit(out, "Digest realm=");
	sip_quote(out, c->realm);
	if (c->domain.p) {
		pb_text_lit(out, ", domain=");
		sip_quote(out, c->domain);
	}
	add_quoted(out, ", nonce", c->nonce);
	pb_text_lit(out, ", stale=");
	pb_text_add(out, c->stale ? PB_STR("TRUE") : PB_STR("FALSE"));
	pb_text_lit(out, ", algorithm=");
	pb_text_add(out, sip_alg_name(c->alg));
	pb_text_lit(out, ", qop=\"auth\"");
	if (c->opaque.p)
		add_quoted(out, ", opaque", c->opaque);
}
