/*
 * What others found out about numbers, remembered: number portability (lnp) for
 * call.route, names of callers (cnam) for call.preroute.
 *
 * Each cache has a handler before those who know and one behind them. The first
 * answers from the table; when it cannot, it marks the message, and the second
 * stores what has come of it. Both run on the message's loop, and the table is
 * shared by all. Loading, expiry and commands are the home loop's.
 */
#include "cache/cache.h"

#include "base/text.h"

const struct pb_log_row cache_log_rows[] = {
	[CACHE_LOG_MEMORY] = { "cache-001", PB_WARN,
			       "Something is not stored or asked for lack of memory." },
	[CACHE_LOG_NOBODY] = { "cache-002", PB_WARN,
			       "No module answers for the database account, or not in time; told "
			       "once." },
	[CACHE_LOG_QUERY] = { "cache-003", PB_WARN, "A query of the cache has failed." },
	[CACHE_LOG_LOADED] = { "cache-004", PB_NOTE, "A cache was loaded from the database." },
	[CACHE_LOG_PART] = { "cache-005", PB_WARN,
			     "A cache was loaded in part: a query failed, a chunk did not fit into "
			     "a message, or there are more than maxchunks." },
	[CACHE_LOG_SAVES] = { "cache-006", PB_WARN,
			      "Items are stored faster than the database saves them." },
	{ NULL },
};

PB_LOG_SOURCE(cache_log, "cache", cache_log_rows);

static const struct cache_conf *conf_of(const struct pb_ctx *cx, enum cache_which w)
{
	return &((const struct cache_settings *)cx->settings)->of[w];
}

/* ---- Before those who know ------------------------------------------------------------------- */

struct found {
	struct pb_msg *m;
	struct pb_str names;
};

/* With the table locked. */
static void copy_params(void *arg, const struct pb_param *params, size_t n)
{
	const struct found *f = arg;

	for (size_t i = 0; i < n; i++)
		if (cache_is_named(f->names, params[i].name))
			pb_msg_set(f->m, params[i].name, params[i].value);
}

/* The message may name others than the file. */
static struct pb_str names_for(const struct pb_msg *m, const struct cache_conf *o,
			       const struct cache_kind *kind)
{
	struct pb_str own = pb_msg_get(m, kind->parameters);

	return own.n ? own : o->copyparams;
}

static bool answer(struct pb_msg *m, struct pb_ctx *cx, enum cache_which w, struct pb_str id)
{
	const struct cache_conf *o = conf_of(cx, w);
	const struct cache_kind *kind = &cache_kinds[w];
	struct cache_shared *sh = cx->shared;
	struct found f = { m, names_for(m, o, kind) };

	if (!cache_table_get(sh->tables[w], id, (size_t)o->shortest, pb_loop_now_ms(cx->loop),
			     copy_params, &f))
		return false;
	pb_msg_set_bool(m, kind->query, false);
	if (w == CACHE_LNP)
		pb_msg_set_bool(m, PB_STR("npdi"), true);
	return true;
}

/* The parameters that are there; false: none of them says anything. */
static bool collect(const struct pb_msg *m, struct pb_str names, struct cache_params *p)
{
	struct pb_str name;
	bool any = false;

	p->count = 0;
	while (p->count < CACHE_PARAMS_MAX && pb_str_cut(&names, ',', &name)) {
		struct pb_str value = pb_msg_get(m, pb_str_trim(name));

		if (value.p)
			p->list[p->count++] = (struct pb_param){ pb_str_trim(name), value };
		any |= value.n > 0;
	}
	return any;
}

static void store(struct pb_msg *m, struct pb_ctx *cx, enum cache_which w, bool empty_too)
{
	const struct cache_conf *o = conf_of(cx, w);
	struct pb_str id = pb_msg_expand(m, o->id_param, pb_msg_arena(m));
	struct cache_params p;

	if (id.n && (collect(m, names_for(m, o, &cache_kinds[w]), &p) || empty_too))
		cache_store(cx, w, id, &p, 0, true);
}

static enum pb_verdict look_up(struct pb_msg *m, struct pb_ctx *cx, enum cache_which w)
{
	const struct cache_conf *o = conf_of(cx, w);
	const struct cache_kind *kind = &cache_kinds[w];
	struct pb_str id;

	if (!o->enable || !pb_msg_get_bool(m, kind->query, false))
		return PB_PASS;
	id = pb_msg_expand(m, o->id_param, pb_msg_arena(m));
	if (!id.n || answer(m, cx, w, id))
		return PB_PASS;
	if (o->item.n && o->own.account.n)
		return cache_ask_route(m, cx, w, id);
	pb_msg_set_bool(m, kind->posthook, true);
	return PB_PASS;
}

static enum pb_verdict lnp_before(struct pb_msg *m, struct pb_ctx *cx)
{
	const struct cache_conf *o = conf_of(cx, CACHE_LNP);

	if (!pb_msg_get_bool(m, cache_kinds[CACHE_LNP].use, true))
		return PB_PASS;
	if (!pb_msg_get_bool(m, PB_STR("npdi"), false))
		return look_up(m, cx, CACHE_LNP);
	if (o->enable && pb_msg_get_bool(m, PB_STR("cache_lnp_store"), o->store_before))
		store(m, cx, CACHE_LNP, true);
	return PB_PASS;
}

static enum pb_verdict cnam_before(struct pb_msg *m, struct pb_ctx *cx)
{
	if (!pb_msg_get_bool(m, cache_kinds[CACHE_CNAM].use, true))
		return PB_PASS;
	return look_up(m, cx, CACHE_CNAM);
}

/* ---- Behind them -------------------------------------------------------------------------------
 */

/* Who still asks has got no answer. */
static void after(struct pb_msg *m, struct pb_ctx *cx, enum cache_which w, bool empty_too)
{
	const struct cache_conf *o = conf_of(cx, w);
	const struct cache_kind *kind = &cache_kinds[w];
	bool known = w == CACHE_LNP && pb_msg_get_bool(m, PB_STR("npdi"), false);
	bool failed = pb_msg_get_bool(m, kind->query, false) && !known;

	if (!pb_msg_get_bool(m, kind->posthook, false))
		return;
	pb_msg_clear(m, kind->posthook);
	if (o->enable && (!failed || o->store_failed))
		store(m, cx, w, empty_too || failed);
}

static enum pb_verdict lnp_after(struct pb_msg *m, struct pb_ctx *cx)
{
	after(m, cx, CACHE_LNP, true);
	return PB_PASS;
}

static enum pb_verdict cnam_after(struct pb_msg *m, struct pb_ctx *cx)
{
	after(m, cx, CACHE_CNAM, conf_of(cx, CACHE_CNAM)->store_empty);
	return PB_PASS;
}

static const pb_handle_fn handlers_of[CACHE_COUNT][2] = {
	[CACHE_LNP] = { lnp_before, lnp_after },
	[CACHE_CNAM] = { cnam_before, cnam_after },
};

/* ---- Commands: the home loop --------------------------------------------------------------------
 */

static enum pb_verdict say(struct pb_msg *m, const char *text, struct pb_str name)
{
	pb_msg_set_retval(
		m, pb_arena_printf(pb_msg_arena(m), "Cache %.*s %s\r\n", PB_STR_F(name), text));
	return PB_HANDLED;
}

static bool which_of(struct pb_ctx *cx, struct pb_str name, enum cache_which *out)
{
	for (unsigned w = 0; w < CACHE_COUNT; w++) {
		*out = (enum cache_which)w;
		if (pb_str_eq(cache_kinds[w].name, name))
			return conf_of(cx, *out)->enable;
	}
	return false;
}

/* "id=..." or "regexp=...": what stands behind KEY, to the end of the line. */
static struct pb_str value_of(struct pb_str rest, struct pb_str key)
{
	rest = pb_str_trim_space(rest);
	return pb_str_starts(rest, key) && rest.n > key.n ? pb_str_from(rest, key.n) : PB_STR_NULL;
}

static enum pb_verdict do_load(struct pb_msg *m, struct pb_ctx *cx, enum cache_which w,
			       struct pb_str rest)
{
	const struct cache_conf *o = conf_of(cx, w);
	struct pb_str name = cache_kinds[w].name, id = value_of(rest, PB_STR("id="));

	if (!id.n && rest.n)
		return PB_PASS;
	if (!id.n)
		return say(m, cache_load(cx, w) ? "is being loaded" : "cannot be loaded", name);
	if ((!o->item.n && !o->item_command.n) || !o->own.account.n)
		return say(m, "has no query for one item", name);
	return cache_ask_command(m, cx, w, id);
}

static enum pb_verdict do_flush(struct pb_msg *m, struct pb_ctx *cx, enum cache_which w,
				struct pb_str rest)
{
	struct cache_shared *sh = cx->shared;
	struct pb_str id = value_of(rest, PB_STR("id=")),
		      regexp = value_of(rest, PB_STR("regexp="));

	if (rest.n && !id.n && !regexp.n)
		return PB_PASS;
	if (id.n)
		return say(m,
			   cache_table_remove(sh->tables[w], id) ? "had it: removed"
								 : "had no such item",
			   cache_kinds[w].name);
	return cache_flush(m, cx, w, regexp);
}

static enum pb_verdict on_command(struct pb_msg *m, struct pb_ctx *cx)
{
	struct pb_str line = pb_str_trim_space(pb_msg_get(m, PB_STR("line"))), verb, name;
	enum cache_which w;

	if (!pb_str_skip_word(&line, PB_STR("cache")) || !pb_str_word(&line, &verb) ||
	    !pb_str_word(&line, &name))
		return PB_PASS;
	if (!which_of(cx, name, &w))
		return say(m, "is not there", name);
	if (pb_str_eq(verb, PB_STR("load")))
		return do_load(m, cx, w, line);
	if (pb_str_eq(verb, PB_STR("flush")))
		return do_flush(m, cx, w, line);
	return PB_PASS;
}

/* ---- Status
 * ---------------------------------------------------------------------------------------- */

static void status(struct pb_ctx *cx, struct pb_status *s)
{
	struct cache_shared *sh = cx->shared;
	unsigned caches = 0;

	if (cx->loop != pb_engine_home(cx))
		return;
	for (unsigned w = 0; w < CACHE_COUNT; w++)
		caches += conf_of(cx, (enum cache_which)w)->enable;
	pb_status_count(s, "caches", caches);
	for (unsigned w = 0; w < CACHE_COUNT; w++)
		if (conf_of(cx, (enum cache_which)w)->enable)
			pb_status_item(s, cache_kinds[w].name, "%zu",
				       cache_table_count(sh->tables[w]));
}

/* ---- Life
 * ------------------------------------------------------------------------------------------- */

static void remove_handlers(struct pb_ctx *cx, enum cache_which w)
{
	struct cache_shared *sh = cx->shared;

	for (unsigned i = 0; i < 2; i++)
		if (sh->regs[w][i])
			pb_bus_remove(cx->bus, &sh->regs[w][i], NULL, NULL);
}

static int add_handlers(struct pb_ctx *cx, enum cache_which w)
{
	const struct cache_conf *o = conf_of(cx, w);
	struct cache_shared *sh = cx->shared;
	int err = 0;

	for (unsigned i = 0; i < 2 && o->enable && !err; i++) {
		struct pb_handler row = { cache_kinds[w].message.p,
					  (unsigned)(i ? o->after : o->before), PB_HERE,
					  handlers_of[w][i] };

		err = pb_engine_add_handler(cx, &row, &sh->regs[w][i]);
	}
	return err;
}

/* What the file says of a cache takes effect, but for its handlers. */
static void set_up(struct pb_ctx *cx, enum cache_which w)
{
	const struct cache_conf *o = conf_of(cx, w);
	struct cache_shared *sh = cx->shared;

	cache_table_set_limit(sh->tables[w], o->own.limit ? (size_t)o->own.limit : CACHE_ITEMS_MAX);
	if (o->enable)
		cache_expiry_start(cx, w);
}

/* Home is the first loop that stops; the others know of it before their turn. */
static void end_at_home(struct pb_ctx *cx)
{
	struct cache_shared *sh = cx->shared;

	for (unsigned w = 0; w < CACHE_COUNT; w++) {
		remove_handlers(cx, (enum cache_which)w);
		cache_load_end(sh, (enum cache_which)w);
		cache_sweeps_end(sh, (enum cache_which)w);
	}
}

static void stop(struct pb_ctx *cx)
{
	struct cache_shared *sh = cx->shared;

	for (unsigned w = 0; w < CACHE_COUNT; w++)
		cache_table_free(&sh->tables[w]);
}

static int start(struct pb_ctx *cx)
{
	struct cache_shared *sh = cx->shared;
	int err = 0;

	for (unsigned w = 0; w < CACHE_COUNT && !err; w++) {
		err = cache_table_new(&sh->tables[w]);
		if (err)
			break;
		set_up(cx, (enum cache_which)w);
		err = add_handlers(cx, (enum cache_which)w);
	}
	if (err) {
		end_at_home(cx);
		stop(cx);
	}
	return err;
}

static void load_all(struct pb_ctx *cx)
{
	for (unsigned w = 0; w < CACHE_COUNT; w++)
		cache_load(cx, (enum cache_which)w);
}

/* The databases are there now. */
static enum pb_verdict on_start(struct pb_msg *m, struct pb_ctx *cx)
{
	(void)m;
	load_all(cx);
	return PB_PASS;
}

static void reload_one(struct pb_ctx *cx, enum cache_which w, const struct cache_conf *before)
{
	const struct cache_conf *o = conf_of(cx, w);
	bool same = before->enable == o->enable && before->before == o->before &&
		    before->after == o->after;

	set_up(cx, w);
	if (!same)
		remove_handlers(cx, w);
	if (!same && add_handlers(cx, w))
		CACHE_SAY(CACHE_LOG_MEMORY, "Cache %.*s is not used: no memory",
			  PB_STR_F(cache_kinds[w].name));
	if (before->enable && !o->enable)
		cache_flush_all(cx, w);
	if (!before->enable && o->enable)
		cache_load(cx, w);
}

static enum pb_reload reload(struct pb_ctx *cx, const void *old)
{
	const struct cache_settings *before = old;
	struct cache_shared *sh = cx->shared;

	atomic_store(&sh->nobody_told, false);
	for (unsigned w = 0; w < CACHE_COUNT; w++)
		reload_one(cx, (enum cache_which)w, &before->of[w]);
	return PB_RELOAD_OK;
}

static int loop_start(struct pb_ctx *cx)
{
	struct cache_state *st = cx->state;

	st->cx = pb_engine_ctx(cx, cx->loop);
	pb_list_init(&st->asks);
	return 0;
}

static void loop_stop(struct pb_ctx *cx)
{
	if (cx->loop == pb_engine_home(cx))
		end_at_home(cx);
	cache_asks_end(cx->state);
}

static const struct pb_handler handlers[] = {
	{ "engine.start", 100, PB_HOME, on_start },
	{ NULL },
};

static const struct pb_command commands[] = {
	{ "cache", "cache {load NAME [id=ID]|flush NAME [id=ID|regexp=REGEX]}",
	  "Load a cache from the database, or take items away.", PB_HOME, on_command },
	{ NULL },
};

static const struct pb_counter counters[] = {
	{ "caches", "caches", "Caches that are enabled." },
	{ "Count", "items", "Items of that cache." },
	{ NULL },
};

static const struct pb_sends sends[] = {
	{ "database", "account query results" },
	{ NULL },
};

static const struct pb_finding_row findings[] = {
	{ "cache-101", "A number is below what is possible: the least that is, is used." },
	{ "cache-102", "A cache has queries and no account: they are not asked." },
	{ NULL },
};

PB_MODULE(cache) = {
	.abi = PB_MODULE_ABI,
	.name = "cache",
	.doc = "Remembers number portability and callers' names.",
	.conf = "cache",
	.status_type = "misc",
	.status_format = "Count",
	.settings_size = sizeof(struct cache_settings),
	.loop_state_size = sizeof(struct cache_state),
	.shared_size = sizeof(struct cache_shared),
	.options = cache_options,
	.handlers = handlers,
	.commands = commands,
	.log = &cache_log,
	.read = cache_settings_read,
	.start = start,
	.loop_start = loop_start,
	.reload = reload,
	.loop_stop = loop_stop,
	.stop = stop,
	.status = status,
	.counters = counters,
	.sends = sends,
	.findings = findings,
};
