/*
 * What is remembered of numbers: texts under an id, for a time. Every loop reads
 * and writes it.
 */
#ifndef CACHE_TABLE_H
#define CACHE_TABLE_H

#include "bus/msg.h"

struct cache_table;

/** @return 0 or -ENOMEM. */
int cache_table_new(struct cache_table **out);
void cache_table_free(struct cache_table **t);

/** The most items; with one more the oldest goes. From 1. Any thread. */
void cache_table_set_limit(struct cache_table *t, size_t limit);
/** How many there are. Any thread. */
size_t cache_table_count(const struct cache_table *t);

/**
 * Store copies under `id`, in the place of what is there.
 *
 * @param ends_ms  When it is forgotten, by the loops' clock; 0: never.
 * @return 0 or -ENOMEM: what was there stays. Any thread.
 */
int cache_table_put(struct cache_table *t, struct pb_str id, const struct pb_param *params,
		    size_t n, uint64_t ends_ms);

/** Called with the table locked: to copy, no more. */
typedef void (*cache_found_fn)(void *arg, const struct pb_param *params, size_t n);
/**
 * Find `id`, else the longest beginning of it that is there and has at least
 * `shortest` octets (0: none but itself). Any thread.
 */
bool cache_table_get(struct cache_table *t, struct pb_str id, size_t shortest, uint64_t now_ms,
		     cache_found_fn fn, void *arg);
/** @return whether it was there. Any thread. */
bool cache_table_remove(struct cache_table *t, struct pb_str id);

/** Where a walk over the table is; zeroed: at its begin. */
struct cache_walk {
	unsigned shard;
	size_t slot;
};

/** Whether an item goes. Called with the table locked. */
typedef bool (*cache_goes_fn)(void *arg, struct pb_str id, uint64_t ends_ms);
/**
 * A step of a walk: a bounded number of items is shown to `goes`, and those for
 * which it answers true are removed (and counted in *removed). What is stored or
 * removed between steps does no harm.
 *
 * @return whether there is more; if not, the next step begins anew.
 */
bool cache_table_step(struct cache_table *t, struct cache_walk *at, cache_goes_fn goes, void *arg,
		      size_t *removed);

#endif
