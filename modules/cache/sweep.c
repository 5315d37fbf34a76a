/*
 * Walks over a table: what is over goes, now and again, and a command takes away
 * what it likes. A walk does one step a turn, whatever the size of the table; its
 * loop works on in between.
 */
#include "base/alloc.h"
#include "base/pattern.h"
#include "base/text.h"
#include "cache/query.h"

#define HOLD_MS 60000

struct cache_sweep {
	struct pb_ctx *cx;
	enum cache_which which;
	struct cache_walk at;
	cache_goes_fn goes;
	size_t removed;
	uint64_t now_ms;
	struct pb_work step;
	bool walking, ended;   /* `step` is on its way; and shall be the last */
	struct pb_timer timer; /* expiry: the next walk */
	struct pb_questions asked;
	struct pb_arena *arena;           /* flush: of the pattern */
	const struct pb_pattern *pattern; /* NULL: all go */
	struct pb_token token;            /* flush: who waits; zeroed: nobody */
};

static struct cache_table *table_of(const struct cache_sweep *w)
{
	return ((struct cache_shared *)w->cx->shared)->tables[w->which];
}

static void sweep_free(struct cache_sweep *w)
{
	pb_questions_cancel(&w->asked);
	pb_timer_stop(&w->timer);
	pb_arena_free(&w->arena);
	pb_free(w);
}

static struct cache_sweep *sweep_new(struct pb_ctx *cx, enum cache_which which,
				     void (*step)(void *arg), void (*timer)(void *arg))
{
	struct cache_sweep *w = pb_alloc_zero(1, sizeof(*w));

	if (!w) {
		CACHE_SAY(CACHE_LOG_MEMORY, "Cache %.*s is not walked over: no memory",
			  PB_STR_F(cache_kinds[which].name));
		return NULL;
	}
	w->cx = pb_engine_ctx(cx, cx->loop);
	w->which = which;
	w->step = (struct pb_work){ .fn = step, .arg = w };
	pb_questions_init(&w->asked);
	pb_timer_init(&w->timer, timer, w);
	return w;
}

static void walk(struct cache_sweep *w)
{
	w->walking = true;
	pb_loop_defer(w->cx->loop, &w->step);
}

/* One step; true: there is more, and it is on its way. */
static bool walk_on(struct cache_sweep *w)
{
	w->walking = false;
	if (!cache_table_step(table_of(w), &w->at, w->goes, w, &w->removed))
		return false;
	walk(w);
	return true;
}

/* ---- What is over -------------------------------------------------------------------------- */

static bool is_over(void *arg, struct pb_str id, uint64_t ends_ms)
{
	const struct cache_sweep *w = arg;

	(void)id;
	return ends_ms && ends_ms <= w->now_ms;
}

static const struct cache_conf *conf_of(const struct cache_sweep *w)
{
	return &((const struct cache_settings *)w->cx->settings)->of[w->which];
}

static void wait_for_next(struct cache_sweep *w)
{
	pb_timer_start(w->cx->loop, &w->timer, (uint64_t)conf_of(w)->own.check_s * 1000);
}

static void expiry_step(void *arg)
{
	struct cache_sweep *w = arg;

	if (w->ended)
		sweep_free(w);
	else if (!walk_on(w))
		wait_for_next(w);
}

static void expired_there(struct pb_msg *m, bool handled, void *arg)
{
	struct cache_sweep *w = arg;

	cache_query_good(w->cx->shared, m, handled);
	pb_msg_free(&m);
}

/* The database forgets what is over, too. */
static void ask_expire(struct cache_sweep *w)
{
	const struct cache_conf *o = conf_of(w);
	struct pb_msg *m = cache_query(
		&(struct cache_query_args){ .account = o->own.account, .query = o->expire });

	pb_questions_cancel(&w->asked); /* the last one has had its time */
	if (m)
		pb_bus_dispatch(w->cx->bus, m, &w->asked, expired_there, w);
}

static void on_expiry_timer(void *arg)
{
	struct cache_sweep *w = arg;

	if (conf_of(w)->expire.n)
		ask_expire(w);
	w->now_ms = pb_loop_now_ms(w->cx->loop);
	walk(w);
}

void cache_expiry_start(struct pb_ctx *cx, enum cache_which which)
{
	struct cache_shared *sh = cx->shared;
	struct cache_sweep *w = sh->expiry[which];

	if (!w)
		w = sh->expiry[which] = sweep_new(cx, which, expiry_step, on_expiry_timer);
	if (!w)
		return;
	w->goes = is_over;
	if (!w->walking)
		wait_for_next(w);
}

/* ---- What a command takes away -----------------------------------------------------------------
 */

static bool is_matched(void *arg, struct pb_str id, uint64_t ends_ms)
{
	const struct cache_sweep *w = arg;

	(void)ends_ms;
	return !w->pattern || pb_pattern_match(w->pattern, id, NULL);
}

static void flush_tell(struct cache_sweep *w)
{
	struct pb_patch *p = w->token.gen ? pb_patch_new() : NULL;
	char buf[80];
	struct pb_text t;

	if (!w->token.gen)
		return;
	pb_text_init_buf(&t, buf, sizeof(buf));
	pb_text_addf(&t, "Cache %.*s: %zu removed\r\n", PB_STR_F(cache_kinds[w->which].name),
		     w->removed);
	if (p)
		pb_patch_retval(p, pb_text_str(&t));
	pb_bus_resume(w->cx->bus, w->token, p, PB_HANDLED);
}

static void flush_step(void *arg)
{
	struct cache_sweep *w = arg;
	struct cache_shared *sh = w->cx->shared;

	if (!w->ended && walk_on(w))
		return;
	if (!w->ended)
		sh->flush[w->which] = NULL;
	flush_tell(w);
	sweep_free(w);
}

static void nobody_waits(void *arg)
{
	((struct cache_sweep *)arg)->token = (struct pb_token){ 0 };
}

static struct cache_sweep *flush_new(struct pb_ctx *cx, enum cache_which which,
				     struct pb_str regexp, struct pb_str *why)
{
	struct cache_shared *sh = cx->shared;
	struct cache_sweep *w = NULL;

	*why = PB_STR("no memory");
	if (sh->flush[which])
		*why = PB_STR("the one before is not done yet");
	else
		w = sweep_new(cx, which, flush_step, NULL);
	if (!w)
		return NULL;
	w->goes = is_matched;
	w->arena = regexp.p ? pb_arena_new(1u << 20) : NULL;
	if (!regexp.p || (w->arena && !pb_pattern_new(regexp, 0, w->arena, &w->pattern, NULL))) {
		sh->flush[which] = w;
		return w;
	}
	if (w->arena)
		*why = PB_STR("the expression is broken");
	sweep_free(w);
	return NULL;
}

enum pb_verdict cache_flush(struct pb_msg *m, struct pb_ctx *cx, enum cache_which which,
			    struct pb_str regexp)
{
	struct pb_str why;
	struct cache_sweep *w = flush_new(cx, which, regexp, &why);

	if (!w) {
		pb_msg_set_retval(
			m, pb_arena_printf(pb_msg_arena(m), "Cache %.*s is not flushed: %.*s\r\n",
					   PB_STR_F(cache_kinds[which].name), PB_STR_F(why)));
		return PB_HANDLED;
	}
	walk(w);
	w->token = pb_bus_hold(
		m, &(struct pb_hold){ .limit_ms = HOLD_MS, .expired = nobody_waits, .arg = w });
	return w->token.gen ? PB_HOLD : PB_PASS;
}

void cache_flush_all(struct pb_ctx *cx, enum cache_which which)
{
	struct pb_str why;
	struct cache_sweep *w = flush_new(cx, which, PB_STR_NULL, &why);

	if (w)
		walk(w);
}

/* ---- The end -------------------------------------------------------------------------------- */

static void end(struct cache_sweep **wp)
{
	struct cache_sweep *w = *wp;

	*wp = NULL;
	if (!w)
		return;
	pb_timer_stop(&w->timer);
	if (w->walking)
		w->ended = true; /* its step frees it */
	else
		sweep_free(w);
}

void cache_sweeps_end(struct cache_shared *sh, enum cache_which which)
{
	end(&sh->expiry[which]);
	end(&sh->flush[which]);
}
