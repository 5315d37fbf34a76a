/*
 * Chained buckets, power-of-two sizes. The hash is SipHash-1-3: it is what
 * keeps an attacker who chooses Call-IDs from turning a bucket into a list.
 */
#include "base/map.h"

#include <errno.h>
#include <stdio.h>
#include <sys/random.h>

#include "base/alloc.h"

#define MIN_SLOTS 16

static uint64_t key[2];
static bool have_key;

void pb_map_fini(struct pb_map *m)
{
	pb_free(m->slots);
	*m = (struct pb_map){ 0 };
}

static int grow(struct pb_map *m)
{
	size_t n = m->slots ? (m->mask + 1) * 2 : MIN_SLOTS;
	struct pb_map_node **slots = pb_alloc_zero(n, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; m->slots && i <= m->mask; i++) {
		struct pb_map_node *next;

		for (struct pb_map_node *it = m->slots[i]; it; it = next) {
			next = it->next;
			it->next = slots[it->hash & (n - 1)];
			slots[it->hash & (n - 1)] = it;
		}
	}
	pb_free(m->slots);
	m->slots = slots;
	m->mask = n - 1;
	return 0;
}

int pb_map_add(struct pb_map *m, struct pb_map_node *node, uint64_t hash)
{
	struct pb_map_node **slot;

	/* A table that cannot grow goes on with longer chains. */
	if ((!m->slots || m->count > m->mask) && grow(m) && !m->slots)
		return -ENOMEM;
	slot = &m->slots[hash & m->mask];
	node->hash = hash;
	node->next = *slot;
	*slot = node;
	m->count++;
	return 0;
}

void pb_map_remove(struct pb_map *m, struct pb_map_node *node)
{
	struct pb_map_node **at;

	if (!m->slots)
		return;
	for (at = &m->slots[node->hash & m->mask]; *at; at = &(*at)->next) {
		if (*at != node)
			continue;
		*at = node->next;
		node->next = NULL;
		m->count--;
		return;
	}
}

struct pb_map_node *pb_map_first(const struct pb_map *m, uint64_t hash)
{
	struct pb_map_node *it = m->slots ? m->slots[hash & m->mask] : NULL;

	while (it && it->hash != hash)
		it = it->next;
	return it;
}

struct pb_map_node *pb_map_next(const struct pb_map_node *node)
{
	struct pb_map_node *it = node->next;

	while (it && it->hash != node->hash)
		it = it->next;
	return it;
}

struct pb_map_node *pb_map_each(const struct pb_map *m, const struct pb_map_node *after)
{
	size_t i = 0;

	if (!m->slots)
		return NULL;
	if (after) {
		if (after->next)
			return after->next;
		i = (after->hash & m->mask) + 1;
	}
	for (; i <= m->mask; i++) {
		if (m->slots[i])
			return m->slots[i];
	}
	return NULL;
}

void pb_hash_seed(uint64_t seed)
{
	key[0] = seed * 0x9e3779b97f4a7c15u + 1;
	key[1] = (seed ^ 0x5851f42d4c957f2du) * 0x2545f4914f6cdd1du;
	have_key = true;
}

/* Runs before main, when there is one thread: a key drawn at first use could
 * be drawn twice. */
__attribute__((constructor)) static void draw_key(void)
{
	if (have_key)
		return;
	if (getrandom(key, sizeof(key), 0) != (ssize_t)sizeof(key))
		key[0] = (uint64_t)(uintptr_t)&key;
	have_key = true;
}

#define ROTL(x, b) ((x) << (b) | (x) >> (64 - (b)))

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = ROTL(v[1], 13) ^ v[0];
	v[0] = ROTL(v[0], 32);
	v[2] += v[3];
	v[3] = ROTL(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = ROTL(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = ROTL(v[1], 17) ^ v[2];
	v[2] = ROTL(v[2], 32);
}

static inline uint64_t lower8(uint64_t w)
{
	/* Set bit 5 of every octet in 'A'..'Z' (Hacker's Delight style). */
	uint64_t heptets = w & 0x7f7f7f7f7f7f7f7fu;
	uint64_t above_z = heptets + 0x2525252525252525u;
	uint64_t from_a = heptets + 0x3f3f3f3f3f3f3f3fu;
	uint64_t is_ascii = ~w & 0x8080808080808080u;

	return w | ((is_ascii & (from_a ^ above_z)) >> 2);
}

static uint64_t siphash(struct pb_str s, bool nocase)
{
	uint64_t v[4] = { key[0] ^ 0x736f6d6570736575u, key[1] ^ 0x646f72616e646f6du,
			  key[0] ^ 0x6c7967656e657261u, key[1] ^ 0x7465646279746573u };
	size_t i = 0;
	uint64_t w;

	for (; i + 8 <= s.n; i += 8) {
		memcpy(&w, s.p + i, 8);
		if (nocase)
			w = lower8(w);
		v[3] ^= w;
		sip_round(v);
		v[0] ^= w;
	}
	w = 0;
	if (i < s.n)
		memcpy(&w, s.p + i, s.n - i);
	if (nocase)
		w = lower8(w);
	w |= (uint64_t)s.n << 56;
	v[3] ^= w;
	sip_round(v);
	v[0] ^= w;
	v[2] ^= 0xff;
	sip_round(v);
	sip_round(v);
	sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t pb_hash(struct pb_str s)
{
	return siphash(s, false);
}

uint64_t pb_hash_nocase(struct pb_str s)
{
	return siphash(s, true);
}

uint64_t pb_hash_mix(uint64_t a, uint64_t b)
{
	a ^= b + 0x9e3779b97f4a7c15u + (a << 6) + (a >> 2);
	a *= 0xff51afd7ed558ccdu;
	return a ^ a >> 33;
}
