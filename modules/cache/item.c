/*
 * An item on its way into the table, and into the database behind it. What is
 * stored there need not be waited for; how many such questions may be under way
 * is limited, since a database that is slow must not cost memory without end.
 */
#include "base/text.h"
#include "cache/query.h"

#define SAVES_MAX 1000

bool cache_is_named(struct pb_str names, struct pb_str name)
{
	struct pb_str one;

	while (pb_str_cut(&names, ',', &one))
		if (name.n && pb_str_eq(pb_str_trim(one), name))
			return true;
	return false;
}

static void saved(struct pb_msg *m, bool handled, void *arg)
{
	struct cache_state *st = arg;

	st->saves--;
	cache_query_good(st->cx->shared, m, handled);
	pb_msg_free(&m);
}

static void save(struct cache_state *st, const struct cache_conf *o, struct pb_str id,
		 const struct cache_params *p, int64_t expires_s)
{
	char buf[24];
	struct pb_text t;
	struct pb_msg *m;

	if (st->saves >= SAVES_MAX) {
		CACHE_SAY(CACHE_LOG_SAVES, "'%.*s' is not saved: %u questions are under way",
			  PB_STR_F(id), st->saves);
		return;
	}
	pb_text_init_buf(&t, buf, sizeof(buf));
	pb_text_addi(&t, expires_s);
	m = cache_query(&(struct cache_query_args){ .account = o->own.account,
						    .query = o->save,
						    .id = id,
						    .expires = pb_text_str(&t),
						    .params = p });
	if (!m)
		return;
	st->saves++;
	pb_bus_dispatch(st->cx->bus, m, NULL, saved, st);
}

/* In seconds of the wall clock; 0: it stays. */
static int64_t expiry_of(const struct cache_conf *o, int64_t now_s, int64_t expires_s)
{
	if (expires_s)
		return expires_s;
	return o->own.ttl_s ? now_s + o->own.ttl_s : 0;
}

void cache_store(struct pb_ctx *cx, enum cache_which w, struct pb_str id,
		 const struct cache_params *p, int64_t expires_s, bool is_new)
{
	const struct cache_settings *s = cx->settings;
	const struct cache_conf *o = &s->of[w];
	struct cache_shared *sh = cx->shared;
	int64_t now_s = (int64_t)(pb_loop_wall_us(cx->loop) / 1000000);
	int64_t at_s = expiry_of(o, now_s, expires_s);
	uint64_t ends_ms = 0;

	if (at_s && at_s <= now_s)
		return;
	if (at_s)
		ends_ms = pb_loop_now_ms(cx->loop) + (uint64_t)(at_s - now_s) * 1000;
	if (cache_table_put(sh->tables[w], id, p->list, p->count, ends_ms))
		CACHE_SAY(CACHE_LOG_MEMORY, "'%.*s' is not stored: no memory", PB_STR_F(id));
	else if (o->save.n && is_new)
		save(cx->state, o, id, p, at_s);
}
