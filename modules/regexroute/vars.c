/*
 * One map under one mutex.
 *
 * Why a lock: a variable is written by the rules of any call on any loop, and
 * rules count with it (round robin: `$(index,$next,a,b)`), so a read and the
 * write that follows must be one step for all loops together. State on a home
 * loop would make every `$(name)` a held message; a copy on each loop would
 * make a counter count per loop. The lock is taken for one lookup and a copy of
 * a few octets, never while anything else is called, and only by rules that
 * name a variable; routing without variables never sees it.
 */
#include "regexroute/vars.h"

#include <errno.h>
#include <pthread.h>

#include "base/alloc.h"
#include "base/map.h"
#include "base/text.h"

struct var {
	struct pb_map_node node;
	struct pb_list order; /* as they were made: for the list */
	struct pb_str name, value;
	char text[]; /* both, until the value is replaced */
};

struct regex_vars {
	pthread_mutex_t lock;
	struct pb_map map;
	struct pb_list order;
};

struct regex_vars *regex_vars_new(void)
{
	struct regex_vars *v = pb_alloc_zero(1, sizeof(*v));

	if (!v)
		return NULL;
	pthread_mutex_init(&v->lock, NULL);
	pb_list_init(&v->order);
	return v;
}

static void drop(struct regex_vars *v, struct var *x)
{
	pb_map_remove(&v->map, &x->node);
	pb_list_remove(&x->order);
	pb_free(x);
}

void regex_vars_free(struct regex_vars **vp)
{
	struct regex_vars *v = *vp;

	if (!v)
		return;
	while (!pb_list_empty(&v->order))
		drop(v, pb_container(v->order.next, struct var, order));
	pb_map_fini(&v->map);
	pthread_mutex_destroy(&v->lock);
	pb_free(v);
	*vp = NULL;
}

static struct var *find(struct regex_vars *v, struct pb_str name)
{
	struct pb_map_node *n = pb_map_first(&v->map, pb_hash(name));

	for (; n; n = pb_map_next(n)) {
		struct var *x = pb_container(n, struct var, node);

		if (pb_str_eq(x->name, name))
			return x;
	}
	return NULL;
}

/* A new variable takes the place in the list of the one it replaces. */
static int put(struct regex_vars *v, struct pb_str name, struct pb_str value)
{
	struct var *old = find(v, name), *x;

	if (old && old->value.n >= value.n) {
		if (value.n)
			memmove((char *)old->value.p, value.p, value.n);
		old->value.n = value.n;
		return 0;
	}
	x = pb_alloc(sizeof(*x) + name.n + value.n);
	if (!x)
		return -ENOMEM;
	*x = (struct var){ .name = { x->text, name.n }, .value = { x->text + name.n, value.n } };
	memcpy(x->text, name.p, name.n);
	if (value.n)
		memcpy(x->text + name.n, value.p, value.n);
	if (pb_map_add(&v->map, &x->node, pb_hash(name))) {
		pb_free(x);
		return -ENOMEM;
	}
	pb_list_push(old ? &old->order : &v->order, &x->order);
	if (old)
		drop(v, old);
	return 0;
}

struct pb_str regex_vars_get(struct regex_vars *v, struct pb_str name, struct pb_arena *into)
{
	struct pb_str value = PB_STR_NULL;
	const struct var *x;

	pthread_mutex_lock(&v->lock);
	x = find(v, name);
	if (x)
		value = pb_arena_str(into, x->value);
	pthread_mutex_unlock(&v->lock);
	return value;
}

int regex_vars_set(struct regex_vars *v, struct pb_str name, struct pb_str value)
{
	int err;

	pthread_mutex_lock(&v->lock);
	err = put(v, name, value);
	pthread_mutex_unlock(&v->lock);
	return err;
}

int regex_vars_set_once(struct regex_vars *v, struct pb_str name, struct pb_str value)
{
	int err = 0;

	pthread_mutex_lock(&v->lock);
	if (!find(v, name))
		err = put(v, name, value);
	pthread_mutex_unlock(&v->lock);
	return err;
}

void regex_vars_clear(struct regex_vars *v, struct pb_str name)
{
	struct var *x;

	pthread_mutex_lock(&v->lock);
	x = find(v, name);
	if (x)
		drop(v, x);
	pthread_mutex_unlock(&v->lock);
}

int64_t regex_vars_count(struct regex_vars *v, struct pb_str name, int64_t delta, int64_t modulo)
{
	const struct var *x;
	struct pb_text t;
	int64_t was = 0, now;
	char buf[24];

	pthread_mutex_lock(&v->lock);
	x = find(v, name);
	if (x && pb_str_to_i64(x->value, 10, INT32_MIN, INT32_MAX, &was))
		was = 0;
	now = was + delta;
	if (modulo > 0)
		now = (now % modulo + modulo) % modulo;
	pb_text_init_buf(&t, buf, sizeof(buf));
	pb_text_addi(&t, (int32_t)now);
	(void)put(v, name, pb_text_str(&t));
	pthread_mutex_unlock(&v->lock);
	return was;
}

size_t regex_vars_total(struct regex_vars *v)
{
	size_t n;

	pthread_mutex_lock(&v->lock);
	n = v->map.count;
	pthread_mutex_unlock(&v->lock);
	return n;
}

struct pb_str regex_vars_list(struct regex_vars *v, struct pb_str sep, size_t limit_bytes,
			      struct pb_arena *into)
{
	struct pb_text t;
	struct pb_str list;

	pb_text_init(&t, limit_bytes + 4096);
	pthread_mutex_lock(&v->lock);
	pb_list_each(it, &v->order)
	{
		if (t.n)
			pb_text_add(&t, sep);
		if (t.n > limit_bytes) {
			pb_text_lit(&t, "...");
			break;
		}
		pb_text_add(&t, pb_container(it, struct var, order)->name);
	}
	pthread_mutex_unlock(&v->lock);
	list = pb_arena_str(into, pb_text_str(&t));
	pb_text_fini(&t);
	return list;
}
