/*
 * A hash table whose nodes live inside the things it finds.
 *
 * The key is the caller's: it hashes it (pb_hash, keyed, so that strangers
 * cannot choose collisions) and compares it. Insertion, removal and lookup are
 * O(1); the table grows by doubling and never shrinks. One thread at a time.
 */
#ifndef PB_BASE_MAP_H
#define PB_BASE_MAP_H

#include "base/list.h"
#include "base/str.h"

struct pb_map_node {
	struct pb_map_node *next;
	uint64_t hash;
};

struct pb_map {
	struct pb_map_node **slots;
	size_t mask; /* slots - 1, or 0 when there are none */
	size_t count;
};

/** A zeroed map is valid and empty. Frees the slots, not the things. */
void pb_map_fini(struct pb_map *m);

/** @return 0, or -ENOMEM: the node is not in the map. Duplicates are kept. */
int pb_map_add(struct pb_map *m, struct pb_map_node *node, uint64_t hash);
void pb_map_remove(struct pb_map *m, struct pb_map_node *node);

/** The newest node with this hash, or NULL. */
struct pb_map_node *pb_map_first(const struct pb_map *m, uint64_t hash);
/** The next one with the same hash. */
struct pb_map_node *pb_map_next(const struct pb_map_node *node);

/**
 * Every node, in no order: start with NULL. The map must not change in between,
 * except that nodes already stepped past may be removed.
 */
struct pb_map_node *pb_map_each(const struct pb_map *m, const struct pb_map_node *after);

/** Keyed hash of octets (SipHash-1-3), the key drawn once per process. */
uint64_t pb_hash(struct pb_str s);
/** The same without regard to ASCII case. */
uint64_t pb_hash_nocase(struct pb_str s);
/** Mix a second value in: pb_hash_mix(pb_hash(a), pb_hash(b)). */
uint64_t pb_hash_mix(uint64_t a, uint64_t b);
/** Simulation and tests: fix the key so that a run repeats. Before any use. */
void pb_hash_seed(uint64_t seed);

#endif
