/*
 * Shards by a hash of the id, each behind a mutex: a call asks on the loop where
 * it is, and any loop stores. A lock is held for one look-up and the copying of
 * some texts, or for one step of a walk. With 16 shards two loops rarely want the
 * same one.
 *
 * In each shard items stand in the order in which they were stored; the oldest of
 * all is the one with the lowest number among the first ones. What is out of date
 * is not found any more and taken away by a walk: over the slots of the maps and
 * not over the items, since a slot is a place that outlives what lies in it.
 */
#include "cache/table.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/alloc.h"
#include "base/map.h"

#define SHARDS 16
/* Slots of a step; a slot holds one item or so. */
#define STEP_SLOTS 256
/* No number is longer; of what is, shorter beginnings are not looked up one by one. */
#define PREFIX_MAX 40

struct item {
	struct pb_map_node node;
	struct pb_list in_order;
	uint64_t number; /* in order of storing */
	uint64_t ends_ms;
	size_t count;
	struct pb_str id; /* texts behind the parameters */
	struct pb_param params[];
};

struct shard {
	_Alignas(64) pthread_mutex_t lock;
	struct pb_map items;
	struct pb_list in_order;
};

struct cache_table {
	struct shard shards[SHARDS];
	atomic_size_t count, limit;
	atomic_uint_fast64_t next_number;
	void *block; /* what this lies in, not aligned */
};

static struct shard *shard_of(struct cache_table *t, uint64_t hash)
{
	return &t->shards[hash >> 60]; /* the map uses the lower bits */
}

int cache_table_new(struct cache_table **out)
{
	void *block = pb_alloc_zero(1, sizeof(struct cache_table) + 63);
	struct cache_table *t = (struct cache_table *)(((uintptr_t)block + 63) & ~(uintptr_t)63);

	*out = NULL;
	if (!block)
		return -ENOMEM;
	t->block = block;
	atomic_init(&t->limit, SIZE_MAX);
	for (unsigned i = 0; i < SHARDS; i++) {
		pthread_mutex_init(&t->shards[i].lock, NULL);
		pb_list_init(&t->shards[i].in_order);
	}
	*out = t;
	return 0;
}

/* ---- Items; the shard is locked -------------------------------------------------------- */

static struct pb_str put_text(char **at, struct pb_str s)
{
	struct pb_str copy = pb_str(*at, s.n);

	if (s.n)
		memcpy(*at, s.p, s.n);
	*at += s.n;
	return copy;
}

static struct item *item_new(struct pb_str id, const struct pb_param *params, size_t n)
{
	size_t texts = id.n;
	struct item *it;
	char *at;

	for (size_t i = 0; i < n; i++)
		texts += params[i].name.n + params[i].value.n;
	it = pb_alloc(sizeof(*it) + n * sizeof(*params) + texts);
	if (!it)
		return NULL;
	*it = (struct item){ .count = n };
	at = (char *)&it->params[n];
	it->id = put_text(&at, id);
	for (size_t i = 0; i < n; i++) {
		it->params[i].name = put_text(&at, params[i].name);
		it->params[i].value = put_text(&at, params[i].value);
	}
	return it;
}

static struct item *find(const struct shard *s, struct pb_str id, uint64_t hash)
{
	struct pb_map_node *n = pb_map_first(&s->items, hash);

	for (; n; n = pb_map_next(n)) {
		struct item *it = pb_container(n, struct item, node);

		if (pb_str_eq(it->id, id))
			return it;
	}
	return NULL;
}

static void drop(struct cache_table *t, struct shard *s, struct item *it)
{
	pb_map_remove(&s->items, &it->node);
	pb_list_remove(&it->in_order);
	atomic_fetch_sub(&t->count, 1);
	pb_free(it);
}

static struct item *oldest_of(const struct shard *s)
{
	if (pb_list_empty(&s->in_order))
		return NULL;
	return pb_container(s->in_order.next, struct item, in_order);
}

void cache_table_free(struct cache_table **tp)
{
	struct cache_table *t = *tp;
	struct item *it;

	*tp = NULL;
	if (!t)
		return;
	for (unsigned i = 0; i < SHARDS; i++) {
		while ((it = oldest_of(&t->shards[i])))
			drop(t, &t->shards[i], it);
		pb_map_fini(&t->shards[i].items);
		pthread_mutex_destroy(&t->shards[i].lock);
	}
	pb_free(t->block);
}

void cache_table_set_limit(struct cache_table *t, size_t limit)
{
	atomic_store(&t->limit, limit);
}

size_t cache_table_count(const struct cache_table *t)
{
	return atomic_load(&t->count);
}

/* ---- Storing ------------------------------------------------------------------------------ */

/* The shard with the oldest item; one lock at a time. */
static struct shard *shard_of_oldest(struct cache_table *t)
{
	struct shard *best = NULL;
	uint64_t number = UINT64_MAX;

	for (unsigned i = 0; i < SHARDS; i++) {
		struct shard *s = &t->shards[i];
		const struct item *it;

		pthread_mutex_lock(&s->lock);
		it = oldest_of(s);
		if (it && it->number < number) {
			number = it->number;
			best = s;
		}
		pthread_mutex_unlock(&s->lock);
	}
	return best;
}

/* Others may do so at the same time: each takes one away for the one it stored. */
static void make_room(struct cache_table *t)
{
	struct shard *s = shard_of_oldest(t);
	struct item *it;

	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	it = oldest_of(s);
	if (it)
		drop(t, s, it);
	pthread_mutex_unlock(&s->lock);
}

int cache_table_put(struct cache_table *t, struct pb_str id, const struct pb_param *params,
		    size_t n, uint64_t ends_ms)
{
	struct item *it = item_new(id, params, n), *old;
	uint64_t hash = pb_hash(id);
	struct shard *s = shard_of(t, hash);
	int err;

	if (!it)
		return -ENOMEM;
	it->number = atomic_fetch_add(&t->next_number, 1);
	it->ends_ms = ends_ms;
	pthread_mutex_lock(&s->lock);
	old = find(s, id, hash);
	err = pb_map_add(&s->items, &it->node, hash);
	if (!err) {
		pb_list_push(&s->in_order, &it->in_order);
		atomic_fetch_add(&t->count, 1);
		if (old)
			drop(t, s, old);
	}
	pthread_mutex_unlock(&s->lock);
	if (err)
		pb_free(it);
	/* A limit that was lowered is reached two steps at a time. */
	for (unsigned i = 0; i < 2 && cache_table_count(t) > atomic_load(&t->limit); i++)
		make_room(t);
	return err;
}

/* ---- Finding ------------------------------------------------------------------------------ */

static bool get_one(struct cache_table *t, struct pb_str id, uint64_t now_ms, cache_found_fn fn,
		    void *arg)
{
	uint64_t hash = pb_hash(id);
	struct shard *s = shard_of(t, hash);
	const struct item *it;

	pthread_mutex_lock(&s->lock);
	it = find(s, id, hash);
	if (it && it->ends_ms && it->ends_ms <= now_ms)
		it = NULL;
	if (it)
		fn(arg, it->params, it->count);
	pthread_mutex_unlock(&s->lock);
	return it != NULL;
}

bool cache_table_get(struct cache_table *t, struct pb_str id, size_t shortest, uint64_t now_ms,
		     cache_found_fn fn, void *arg)
{
	bool found = get_one(t, id, now_ms, fn, arg);
	size_t n = id.n > PREFIX_MAX ? PREFIX_MAX : id.n - (id.n > 0);

	for (; !found && shortest && n >= shortest; n--)
		found = get_one(t, pb_str_head(id, n), now_ms, fn, arg);
	return found;
}

bool cache_table_remove(struct cache_table *t, struct pb_str id)
{
	uint64_t hash = pb_hash(id);
	struct shard *s = shard_of(t, hash);
	struct item *it;

	pthread_mutex_lock(&s->lock);
	it = find(s, id, hash);
	if (it)
		drop(t, s, it);
	pthread_mutex_unlock(&s->lock);
	return it != NULL;
}

/* ---- Walking ------------------------------------------------------------------------------- */

static void look_at_slot(struct cache_table *t, struct shard *s, size_t slot, cache_goes_fn goes,
			 void *arg, size_t *removed)
{
	struct pb_map_node *n = s->items.slots[slot], *next;

	for (; n; n = next) {
		struct item *it = pb_container(n, struct item, node);

		next = n->next;
		if (!goes(arg, it->id, it->ends_ms))
			continue;
		drop(t, s, it);
		++*removed;
	}
}

bool cache_table_step(struct cache_table *t, struct cache_walk *at, cache_goes_fn goes, void *arg,
		      size_t *removed)
{
	struct shard *s = &t->shards[at->shard];
	size_t slots, end;

	pthread_mutex_lock(&s->lock);
	slots = s->items.slots ? s->items.mask + 1 : 0;
	end = at->slot + STEP_SLOTS < slots ? at->slot + STEP_SLOTS : slots;
	for (size_t i = at->slot; i < end; i++)
		look_at_slot(t, s, i, goes, arg, removed);
	pthread_mutex_unlock(&s->lock);
	at->slot = end;
	if (end < slots)
		return true;
	*at = (struct cache_walk){ .shard = at->shard + 1 };
	if (at->shard < SHARDS)
		return true;
	at->shard = 0;
	return false;
}
