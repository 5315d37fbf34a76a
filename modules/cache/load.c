/*
 * A whole cache out of the database, a chunk after the other; each is asked for
 * in a turn of its own, so that other work goes on in between. A chunk has to fit
 * into one message.
 */
#include "base/alloc.h"
#include "base/text.h"
#include "cache/query.h"

struct cache_loading {
	struct pb_ctx *cx;
	enum cache_which which;
	bool busy;
	bool deferred, ended; /* `next` is on its way; and shall be the last */
	uint64_t offset, loaded;
	int64_t chunks;
	struct pb_questions asked;
	struct pb_work next;
	struct pb_timer again;
};

static const struct cache_conf *conf_of(const struct cache_loading *l)
{
	return &((const struct cache_settings *)l->cx->settings)->of[l->which];
}

static void end_load(struct cache_loading *l)
{
	const struct cache_conf *o = conf_of(l);

	l->busy = false;
	if (o->enable && o->reload_s)
		pb_timer_start(l->cx->loop, &l->again, (uint64_t)o->reload_s * 1000);
}

static void finish(struct cache_loading *l, bool whole)
{
	struct pb_str name = cache_kinds[l->which].name;

	if (whole)
		CACHE_SAY(CACHE_LOG_LOADED, "Cache %.*s: %llu items loaded", PB_STR_F(name),
			  (unsigned long long)l->loaded);
	else
		CACHE_SAY(CACHE_LOG_PART, "Cache %.*s is not loaded whole: %llu items",
			  PB_STR_F(name), (unsigned long long)l->loaded);
	end_load(l);
}

/* How many rows there were. */
static uint64_t take_rows(struct cache_loading *l, const struct pb_msg *m)
{
	struct cache_row row;
	uint64_t rows = 0;
	size_t at = 0;

	while (cache_row_next(m, conf_of(l)->copyparams, &at, &row)) {
		rows++;
		if (!row.id.n)
			continue;
		cache_store(l->cx, l->which, row.id, &row.params, row.expires_s, false);
		l->loaded++;
	}
	return rows;
}

static void defer(struct cache_loading *l)
{
	l->deferred = true;
	pb_loop_defer(l->cx->loop, &l->next);
}

static void chunk_came(struct pb_msg *m, bool handled, void *arg)
{
	struct cache_loading *l = arg;
	const struct cache_conf *o = conf_of(l);
	bool good = cache_query_good(l->cx->shared, m, handled);
	int64_t told = pb_msg_get_int(m, PB_STR("rows"), 0, 0, INT64_MAX);
	uint64_t rows = good ? take_rows(l, m) : 0;

	pb_msg_free(&m);
	l->offset += rows;
	if (!handled)
		end_load(l); /* told once, not at each attempt */
	else if (!good || rows < (uint64_t)told)
		finish(l, false);
	else if (!o->own.loadchunk || rows < (uint64_t)o->own.loadchunk)
		finish(l, true);
	else if (++l->chunks >= o->own.maxchunks)
		finish(l, false);
	else
		defer(l);
}

static struct pb_str number(struct pb_text *t, char *buf, size_t size, uint64_t n)
{
	pb_text_init_buf(t, buf, size);
	pb_text_addu(t, n);
	return pb_text_str(t);
}

static void ask_chunk(struct cache_loading *l)
{
	const struct cache_conf *o = conf_of(l);
	char chunk[24], offset[24];
	struct pb_text t;
	struct pb_msg *m = cache_query(&(struct cache_query_args){
		.account = o->own.account_load,
		.query = o->load,
		.chunk = number(&t, chunk, sizeof(chunk), (uint64_t)o->own.loadchunk),
		.offset = number(&t, offset, sizeof(offset), l->offset),
		.rows = true,
	});

	if (m)
		pb_bus_dispatch(l->cx->bus, m, &l->asked, chunk_came, l);
	else
		finish(l, false);
}

static void on_next(void *arg)
{
	struct cache_loading *l = arg;

	l->deferred = false;
	if (l->ended)
		pb_free(l);
	else
		ask_chunk(l);
}

static void begin(struct cache_loading *l)
{
	const struct cache_conf *o = conf_of(l);

	if (l->busy || !o->enable || !o->load.n || !o->own.account_load.n)
		return;
	pb_timer_stop(&l->again);
	l->busy = true;
	l->offset = l->loaded = 0;
	l->chunks = 0;
	defer(l);
}

static void on_again(void *arg)
{
	begin(arg);
}

static struct cache_loading *loading_new(struct pb_ctx *cx, enum cache_which w)
{
	struct cache_loading *l = pb_alloc_zero(1, sizeof(*l));

	if (!l)
		return NULL;
	l->cx = pb_engine_ctx(cx, cx->loop);
	l->which = w;
	l->next = (struct pb_work){ .fn = on_next, .arg = l };
	pb_questions_init(&l->asked);
	pb_timer_init(&l->again, on_again, l);
	return l;
}

bool cache_load(struct pb_ctx *cx, enum cache_which w)
{
	struct cache_shared *sh = cx->shared;

	if (!sh->loading[w])
		sh->loading[w] = loading_new(cx, w);
	if (sh->loading[w])
		begin(sh->loading[w]);
	return sh->loading[w] && sh->loading[w]->busy;
}

void cache_load_end(struct cache_shared *sh, enum cache_which w)
{
	struct cache_loading *l = sh->loading[w];

	if (!l)
		return;
	sh->loading[w] = NULL;
	pb_questions_cancel(&l->asked);
	pb_timer_stop(&l->again);
	if (l->deferred)
		l->ended = true; /* its turn frees it */
	else
		pb_free(l);
}
