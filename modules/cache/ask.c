/*
 * One item that the cache has not got. The message that wants it is held while
 * the database thinks; its answer is stored and comes back as a patch. An answer
 * that comes at once needs no hold.
 */
#include "base/alloc.h"
#include "cache/query.h"

#define COMMAND_HOLD_MS 60000

struct ask {
	struct pb_list node; /* of the loop's */
	struct pb_ctx *cx;   /* of this loop, for as long as the module lives */
	enum cache_which which;
	bool command;
	bool parked, answered;
	struct pb_token token;
	struct pb_questions asked;
	struct pb_msg *answer; /* when it is good */
	struct pb_str id;      /* behind the struct */
};

static void ask_free(struct ask *k)
{
	pb_questions_cancel(&k->asked);
	pb_list_remove(&k->node);
	pb_msg_free(&k->answer);
	pb_free(k);
}

/* ---- What comes of it ----------------------------------------------------------------------- */

/* The message itself, or a patch for it. */
struct target {
	struct pb_msg *m;
	struct pb_patch *p;
};

static void set(const struct target *t, struct pb_str name, struct pb_str value)
{
	if (t->m)
		pb_msg_set(t->m, name, value);
	else
		pb_patch_set(t->p, name, value);
}

static void tell_route(const struct ask *k, const struct cache_row *r, const struct target *t)
{
	const struct cache_kind *kind = &cache_kinds[k->which];

	if (!r) { /* somebody else may know */
		set(t, kind->posthook, PB_STR("true"));
		return;
	}
	for (size_t i = 0; i < r->params.count; i++)
		set(t, r->params.list[i].name, r->params.list[i].value);
	set(t, kind->query, PB_STR("false"));
	if (k->which == CACHE_LNP)
		set(t, PB_STR("npdi"), PB_STR("true"));
}

static void tell_command(const struct ask *k, const struct cache_row *r, const struct target *t)
{
	struct pb_str name = cache_kinds[k->which].name;
	struct pb_arena *a = pb_arena_new(4096);
	struct pb_str text = PB_STR_NULL;

	if (a)
		text = pb_arena_printf(a, "Cache %.*s: %d loaded\r\n", PB_STR_F(name), r != NULL);
	if (t->m)
		pb_msg_set_retval(t->m, text);
	else
		pb_patch_retval(t->p, text);
	pb_arena_free(&a);
}

static void tell(struct ask *k, const struct target *t)
{
	const struct cache_settings *s = k->cx->settings;
	struct cache_row row;
	size_t at = 0;
	bool found = k->answer && cache_row_next(k->answer, s->of[k->which].copyparams, &at, &row);

	if (found)
		cache_store(k->cx, k->which, row.id.n ? row.id : k->id, &row.params, row.expires_s,
			    false);
	if (k->command)
		tell_command(k, found ? &row : NULL, t);
	else
		tell_route(k, found ? &row : NULL, t);
}

static void resume(struct ask *k)
{
	struct target t = { .p = pb_patch_new() };

	if (t.p)
		tell(k, &t);
	pb_bus_resume(k->cx->bus, k->token, t.p, k->command ? PB_HANDLED : PB_PASS);
	ask_free(k);
}

/* ---- The question --------------------------------------------------------------------------- */

static void answered(struct pb_msg *m, bool handled, void *arg)
{
	struct ask *k = arg;

	k->answered = true;
	if (cache_query_good(k->cx->shared, m, handled))
		k->answer = m;
	else
		pb_msg_free(&m);
	if (k->parked)
		resume(k);
}

static void expired(void *arg)
{
	ask_free(arg);
}

static enum pb_verdict wait_for(struct ask *k, struct pb_msg *m)
{
	k->token = pb_bus_hold(m, &(struct pb_hold){ .limit_ms = k->command ? COMMAND_HOLD_MS : 0,
						     .expired = expired,
						     .arg = k });
	if (!k->token.gen) {
		ask_free(k);
		return PB_PASS;
	}
	k->parked = true;
	return PB_HOLD;
}

static struct ask *ask_new(struct pb_ctx *cx, enum cache_which w, struct pb_str id)
{
	struct cache_state *st = cx->state;
	struct ask *k = pb_alloc_zero(1, sizeof(*k) + id.n);

	if (!k)
		return NULL;
	memcpy(k + 1, id.p, id.n);
	k->id = pb_str((char *)(k + 1), id.n);
	k->cx = st->cx;
	k->which = w;
	pb_questions_init(&k->asked);
	pb_list_push(&st->asks, &k->node);
	return k;
}

static enum pb_verdict ask(struct pb_msg *m, struct pb_ctx *cx, struct ask *k, struct pb_str query)
{
	const struct cache_settings *s = cx->settings;
	struct pb_msg *q = NULL;
	enum pb_verdict v;

	if (k)
		q = cache_query(&(struct cache_query_args){ .account = s->of[k->which].own.account,
							    .query = query,
							    .id = k->id,
							    .rows = true });
	if (q)
		pb_bus_dispatch(cx->bus, q, &k->asked, answered, k);
	if (q && !k->answered)
		return wait_for(k, m);
	if (!k)
		return PB_PASS;
	tell(k, &(struct target){ .m = m });
	v = k->command ? PB_HANDLED : PB_PASS;
	ask_free(k);
	return v;
}

enum pb_verdict cache_ask_route(struct pb_msg *m, struct pb_ctx *cx, enum cache_which w,
				struct pb_str id)
{
	const struct cache_settings *s = cx->settings;

	return ask(m, cx, ask_new(cx, w, id), s->of[w].item);
}

enum pb_verdict cache_ask_command(struct pb_msg *m, struct pb_ctx *cx, enum cache_which w,
				  struct pb_str id)
{
	const struct cache_conf *o = &((const struct cache_settings *)cx->settings)->of[w];
	struct ask *k = ask_new(cx, w, id);

	if (k)
		k->command = true;
	return ask(m, cx, k, o->item_command.n ? o->item_command : o->item);
}

/* Those who are held go on as if nothing had been found. */
void cache_asks_end(struct cache_state *st)
{
	while (st->asks.next && !pb_list_empty(&st->asks)) {
		struct ask *k = pb_container(st->asks.next, struct ask, node);

		pb_bus_resume(k->cx->bus, k->token, NULL, PB_PASS);
		ask_free(k);
	}
}
