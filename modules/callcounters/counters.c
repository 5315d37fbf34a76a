/*
 * Shards by a hash of the value, each behind a mutex: a call that is routed reads
 * on its own loop what calls of all loops have counted, and a value that nobody
 * has any more must go, which atomics alone cannot do. The lock is held for one
 * look-up; with 16 shards two loops rarely want the same one.
 */
#include "callcounters/counters.h"

#include <errno.h>
#include <pthread.h>

#include "base/alloc.h"
#include "base/map.h"

#define SHARDS 16

struct counter {
	struct pb_map_node node;
	uint64_t n;
	struct pb_str value; /* behind the struct */
};

struct shard {
	_Alignas(64) pthread_mutex_t lock;
	struct pb_map values;
};

struct counters {
	struct shard shards[SHARDS];
	void *block; /* what this lies in, not aligned */
};

static struct shard *shard_of(struct counters *c, uint64_t hash)
{
	return &c->shards[hash >> 60]; /* the map uses the lower bits */
}

int counters_new(struct counters **out)
{
	void *block = pb_alloc_zero(1, sizeof(struct counters) + 63);
	struct counters *c = (struct counters *)(((uintptr_t)block + 63) & ~(uintptr_t)63);

	*out = NULL;
	if (!block)
		return -ENOMEM;
	c->block = block;
	for (unsigned i = 0; i < SHARDS; i++)
		pthread_mutex_init(&c->shards[i].lock, NULL);
	*out = c;
	return 0;
}

static void shard_fini(struct shard *s)
{
	struct pb_map_node *n, *next;

	for (n = pb_map_each(&s->values, NULL); n; n = next) {
		next = pb_map_each(&s->values, n);
		pb_free(pb_container(n, struct counter, node));
	}
	pb_map_fini(&s->values);
	pthread_mutex_destroy(&s->lock);
}

void counters_free(struct counters **cp)
{
	struct counters *c = *cp;

	*cp = NULL;
	if (!c)
		return;
	for (unsigned i = 0; i < SHARDS; i++)
		shard_fini(&c->shards[i]);
	pb_free(c->block);
}

/* The shard is locked. */
static struct counter *find(struct shard *s, struct pb_str value, uint64_t hash)
{
	struct pb_map_node *n = pb_map_first(&s->values, hash);

	for (; n; n = pb_map_next(n)) {
		struct counter *k = pb_container(n, struct counter, node);

		if (pb_str_eq(k->value, value))
			return k;
	}
	return NULL;
}

static struct counter *make(struct shard *s, struct pb_str value, uint64_t hash)
{
	struct counter *k = pb_alloc_zero(1, sizeof(*k) + value.n);

	if (!k)
		return NULL;
	if (value.n)
		memcpy(k + 1, value.p, value.n);
	k->value = pb_str((char *)(k + 1), value.n);
	if (!pb_map_add(&s->values, &k->node, hash))
		return k;
	pb_free(k);
	return NULL;
}

int counters_add(struct counters *c, struct pb_str value)
{
	uint64_t hash = pb_hash(value);
	struct shard *s = shard_of(c, hash);
	struct counter *k;

	pthread_mutex_lock(&s->lock);
	k = find(s, value, hash);
	if (!k)
		k = make(s, value, hash);
	if (k)
		k->n++;
	pthread_mutex_unlock(&s->lock);
	return k ? 0 : -ENOMEM;
}

void counters_drop(struct counters *c, struct pb_str value)
{
	uint64_t hash = pb_hash(value);
	struct shard *s = shard_of(c, hash);
	struct counter *k;

	pthread_mutex_lock(&s->lock);
	k = find(s, value, hash);
	if (k && !--k->n) {
		pb_map_remove(&s->values, &k->node);
		pb_free(k);
	}
	pthread_mutex_unlock(&s->lock);
}

uint64_t counters_get(struct counters *c, struct pb_str value)
{
	uint64_t hash = pb_hash(value), n;
	struct shard *s = shard_of(c, hash);
	const struct counter *k;

	pthread_mutex_lock(&s->lock);
	k = find(s, value, hash);
	n = k ? k->n : 0;
	pthread_mutex_unlock(&s->lock);
	return n;
}

size_t counters_values(struct counters *c)
{
	size_t n = 0;

	for (unsigned i = 0; i < SHARDS; i++) {
		pthread_mutex_lock(&c->shards[i].lock);
		n += c->shards[i].values.count;
		pthread_mutex_unlock(&c->shards[i].lock);
	}
	return n;
}

static bool each_of(struct shard *s, bool (*fn)(void *arg, struct pb_str value, uint64_t n),
		    void *arg)
{
	bool more = true;

	for (struct pb_map_node *n = pb_map_each(&s->values, NULL); n && more;
	     n = pb_map_each(&s->values, n)) {
		const struct counter *k = pb_container(n, struct counter, node);

		more = fn(arg, k->value, k->n);
	}
	return more;
}

void counters_each(struct counters *c, bool (*fn)(void *arg, struct pb_str value, uint64_t n),
		   void *arg)
{
	bool more = true;

	for (unsigned i = 0; i < SHARDS && more; i++) {
		pthread_mutex_lock(&c->shards[i].lock);
		more = each_of(&c->shards[i], fn, arg);
		pthread_mutex_unlock(&c->shards[i].lock);
	}
}
