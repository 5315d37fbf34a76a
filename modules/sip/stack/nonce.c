/*
 * Nonces: 24 octets in Base64, which makes 32 characters without padding.
 *
 *      0..5   when it was made, milliseconds
 *      6..7   loop
 *      8..11  serial number
 *     12..23  HMAC-SHA256 of the 12 octets before and the IP address, cut
 *
 * Twelve octets of signature cannot be guessed within the 30 s that a guess would
 * be worth. The opaque value is a signature over the nonce's text, so neither
 * needs remembering.
 *
 * Counts are kept in a set-associative table: two sets of eight places for a
 * nonce, chosen by its serial, loop and time through a keyed hash; it takes the
 * emptier one (with one set, one of a hundred nonces finds it full when the table
 * is a third full; with two, none before it is nearly so). A place is free again
 * when its nonce has outlived its life, so the table needs no timer; when all
 * sixteen are alive, the client is made to take a new nonce, never is an old one
 * forgotten.
 */
#include "sip/stack/nonce.h"

#include <errno.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "base/alloc.h"
#include "base/map.h"

enum { HEAD = 12, SIGNATURE = 12, OPAQUE = 12, WAYS = 8, WINDOW = 64 };

struct sip_nonces {
	EVP_MAC *mac;
	EVP_MAC_CTX *ctx; /* keyed once; each signing begins it anew */
};

struct sip_nonces *sip_nonces_new(struct pb_str key)
{
	struct sip_nonces *n = pb_alloc_zero(1, sizeof(*n));
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};

	if (!n)
		return NULL;
	n->mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	n->ctx = n->mac ? EVP_MAC_CTX_new(n->mac) : NULL;
	if (!n->ctx || !EVP_MAC_init(n->ctx, (const unsigned char *)key.p, key.n, params))
		sip_nonces_free(&n);
	return n;
}

void sip_nonces_free(struct sip_nonces **np)
{
	struct sip_nonces *n = *np;

	*np = NULL;
	if (!n)
		return;
	EVP_MAC_CTX_free(n->ctx);
	EVP_MAC_free(n->mac);
	pb_free(n);
}

/* HMAC over both parts; `kind` keeps nonces and opaques apart. */
static int sign(struct sip_nonces *n, char kind, struct pb_str a, struct pb_str b,
		unsigned char out[32])
{
	size_t len;

	if (!EVP_MAC_init(n->ctx, NULL, 0, NULL) ||
	    !EVP_MAC_update(n->ctx, (const unsigned char *)&kind, 1) ||
	    !EVP_MAC_update(n->ctx, (const unsigned char *)a.p, a.n) ||
	    (b.n && !EVP_MAC_update(n->ctx, (const unsigned char *)b.p, b.n)) ||
	    !EVP_MAC_final(n->ctx, out, &len, 32))
		return -EIO;
	return 0;
}

static void put_number(unsigned char *p, unsigned octets, uint64_t v)
{
	while (octets--)
		*p++ = (unsigned char)(v >> 8 * octets);
}

static uint64_t get_number(const unsigned char *p, unsigned octets)
{
	uint64_t v = 0;

	while (octets--)
		v = v << 8 | *p++;
	return v;
}

int sip_nonce_make(struct sip_nonces *n, const struct sip_nonce *nonce, struct pb_str ip,
		   struct pb_text *out)
{
	unsigned char bytes[HEAD + 32];
	int err;

	put_number(bytes, 6, nonce->made_ms);
	put_number(bytes + 6, 2, nonce->loop);
	put_number(bytes + 8, 4, nonce->serial);
	err = sign(n, 'n', pb_str((char *)bytes, HEAD), ip, bytes + HEAD);
	if (!err)
		pb_text_add_base64(out, bytes, HEAD + SIGNATURE);
	return err;
}

static bool decode(struct pb_str text, unsigned char bytes[SIP_NONCE_CHARS])
{
	return text.n == SIP_NONCE_CHARS && pb_base64_decode(text, bytes) == HEAD + SIGNATURE;
}

enum sip_nonce_verdict sip_nonce_check(struct sip_nonces *n, struct pb_str text, struct pb_str ip,
				       uint64_t now_ms, struct sip_nonce *out)
{
	unsigned char bytes[SIP_NONCE_CHARS], want[32];

	if (!decode(text, bytes) || sign(n, 'n', pb_str((char *)bytes, HEAD), ip, want) ||
	    CRYPTO_memcmp(bytes + HEAD, want, SIGNATURE) != 0)
		return SIP_NONCE_FOREIGN;
	*out = (struct sip_nonce){
		.made_ms = get_number(bytes, 6),
		.loop = (uint16_t)get_number(bytes + 6, 2),
		.serial = (uint32_t)get_number(bytes + 8, 4),
	};
	/* Loops read the clock at slightly different times: a little future is now. */
	if (now_ms > out->made_ms && now_ms - out->made_ms > SIP_NONCE_LIFE_MS)
		return SIP_NONCE_STALE;
	return SIP_NONCE_GOOD;
}

int sip_nonce_loop(struct pb_str text)
{
	unsigned char bytes[SIP_NONCE_CHARS];

	return decode(text, bytes) ? (int)get_number(bytes + 6, 2) : -EINVAL;
}

int sip_nonce_opaque(struct sip_nonces *n, struct pb_str nonce, struct pb_text *out)
{
	unsigned char mac[32];
	int err = sign(n, 'o', nonce, PB_STR_NULL, mac);

	if (!err)
		pb_text_add_base64(out, mac, OPAQUE);
	return err;
}

bool sip_nonce_opaque_is(struct sip_nonces *n, struct pb_str nonce, struct pb_str opaque)
{
	char text[SIP_OPAQUE_CHARS];
	struct pb_text want;

	pb_text_init_buf(&want, text, sizeof(text));
	return opaque.n == sizeof(text) && !sip_nonce_opaque(n, nonce, &want) &&
	       !pb_text_failed(&want) && CRYPTO_memcmp(text, opaque.p, sizeof(text)) == 0;
}

struct place {
	struct sip_nonce nonce;
	uint64_t seen;    /* bit i: count `highest - i` was used */
	uint32_t highest; /* 0: the place was never used */
};

struct sip_counts {
	size_t sets; /* a power of two */
	size_t used;
	struct place place[];
};

struct sip_counts *sip_counts_new(size_t capacity)
{
	size_t sets = 1;
	struct sip_counts *c;

	while (sets * WAYS < capacity && sets < SIZE_MAX / 2 / WAYS / sizeof(struct place))
		sets *= 2;
	c = pb_alloc_zero(1, sizeof(*c) + sets * WAYS * sizeof(c->place[0]));
	if (c)
		c->sets = sets;
	return c;
}

void sip_counts_free(struct sip_counts **c)
{
	pb_free(*c);
	*c = NULL;
}

size_t sip_counts_used(const struct sip_counts *c)
{
	return c->used;
}

static bool same_nonce(const struct sip_nonce *a, const struct sip_nonce *b)
{
	return a->made_ms == b->made_ms && a->serial == b->serial && a->loop == b->loop;
}

/* A nonce past its life is refused before its count is asked for. */
static bool dead(const struct place *p, uint64_t now_ms)
{
	return now_ms > p->nonce.made_ms && now_ms - p->nonce.made_ms > SIP_NONCE_LIFE_MS;
}

/* The nonce's place in one set, or a free one; `*room` is how many are free. */
static struct place *look(struct place *set, const struct sip_nonce *n, uint64_t now_ms, unsigned *room)
{
	struct place *free_one = NULL;

	*room = 0;
	for (struct place *p = set; p < set + WAYS; p++) {
		if (p->highest && same_nonce(&p->nonce, n))
			return p;
		if (p->highest && !dead(p, now_ms))
			continue;
		free_one = p;
		++*room;
	}
	return free_one;
}

static struct place *find_place(struct sip_counts *c, const struct sip_nonce *n, uint64_t now_ms)
{
	unsigned char key[14];
	struct place *one, *other;
	unsigned room, other_room;
	uint64_t hash;

	put_number(key, 8, n->made_ms);
	put_number(key + 8, 2, n->loop);
	put_number(key + 10, 4, n->serial);
	hash = pb_hash(pb_str((char *)key, sizeof(key)));
	one = look(&c->place[(hash & (c->sets - 1)) * WAYS], n, now_ms, &room);
	if (one && one->highest && same_nonce(&one->nonce, n))
		return one;
	other = look(&c->place[(hash >> 32 & (c->sets - 1)) * WAYS], n, now_ms, &other_room);
	if (other && other->highest && same_nonce(&other->nonce, n))
		return other;
	if (other_room > room)
		one = other;
	if (!one)
		return NULL;
	c->used += !one->highest;
	*one = (struct place){ .nonce = *n };
	return one;
}

static bool read_count(struct pb_str nc, uint32_t *out)
{
	unsigned char bytes[4];

	if (nc.n != 8 || pb_hex_decode(nc, bytes) != 4)
		return false;
	*out = (uint32_t)get_number(bytes, 4);
	return *out != 0;
}

/* A window of the last 64 counts, as a datagram may overtake another. */
static enum sip_count_verdict mark(struct place *p, uint32_t count)
{
	uint32_t ahead, behind;

	if (count > p->highest) {
		ahead = count - p->highest;
		p->seen = ahead < WINDOW ? p->seen << ahead | 1 : 1;
		p->highest = count;
		return SIP_COUNT_NEW;
	}
	behind = p->highest - count;
	if (behind >= WINDOW || (p->seen >> behind & 1))
		return SIP_COUNT_REPLAY;
	p->seen |= UINT64_C(1) << behind;
	return SIP_COUNT_NEW;
}

enum sip_count_verdict sip_counts_use(struct sip_counts *c, const struct sip_nonce *nonce,
				      struct pb_str nc, uint64_t now_ms)
{
	struct place *p;
	uint32_t count;

	if (!read_count(nc, &count))
		return SIP_COUNT_REPLAY;
	p = find_place(c, nonce, now_ms);
	return p ? mark(p, count) : SIP_COUNT_FULL;
}
