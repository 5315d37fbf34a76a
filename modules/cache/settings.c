/*
 * Rows of cache.conf. The two caches have the same keys; those of [general] may
 * stand in their sections too, and count there.
 */
#include "cache/cache.h"

#define TTL_MIN_S 10
#define CHUNK_MIN 500

const struct cache_kind cache_kinds[CACHE_COUNT] = {
	[CACHE_LNP] = { PB_STR_INIT("lnp"), PB_STR_INIT("call.route"), PB_STR_INIT("querylnp"),
			PB_STR_INIT("querylnp_cache"), PB_STR_INIT("cache_lnp_posthook"),
			PB_STR_INIT("cache_lnp_parameters") },
	[CACHE_CNAM] = { PB_STR_INIT("cnam"), PB_STR_INIT("call.preroute"),
			 PB_STR_INIT("querycnam"), PB_STR_INIT("querycnam_cache"),
			 PB_STR_INIT("cache_cnam_posthook"), PB_STR_INIT("cache_cnam_parameters") },
};

#define GENERAL(field)   offsetof(struct cache_settings, general.field)
#define OF(which, field) offsetof(struct cache_settings, of[which].field)

/* clang-format off */
/* [general], and a cache's own in its place; `none` stands for what is not given. */
#define COMMON(sec, at, none_ttl, none_limit, none_chunk, none_chunks, none_check)                  \
	{ PB_OPT_INT, "ttl", at(ttl_s), .def = none_ttl, .lo = 0, .hi = INT32_MAX, .unit = "s",      \
	  .section = sec, .doc = "How long an item is kept, from 10; 0: for good." },               \
	{ PB_OPT_INT, "limit", at(limit), .def = none_limit, .lo = 0, .hi = 100000000,              \
	  .section = sec, .doc = "The most items, the oldest goes; 0: a million." },                \
	{ PB_OPT_INT, "loadchunk", at(loadchunk), .def = none_chunk, .lo = 0, .hi = 50000,          \
	  .section = sec, .doc = "Rows asked for at once, from 500; 0: all." },                     \
	{ PB_OPT_INT, "maxchunks", at(maxchunks), .def = none_chunks, .lo = 1, .hi = 10000,         \
	  .section = sec, .doc = "The most such questions of one load." },                          \
	{ PB_OPT_INT, "expire_check_interval", at(check_s), .def = none_check, .lo = 1, .hi = 300,  \
	  .unit = "s", .section = sec, .doc = "How often what is over is taken away." },            \
	{ PB_OPT_STR, "account", at(account), .section = sec,                                       \
	  .doc = "Database account." },                                                             \
	{ PB_OPT_STR, "account_loadcache", at(account_load), .section = sec,                        \
	  .doc = "Database account to load the whole cache from; empty: account." },                \
	{ PB_OPT_OTHER, "size", .flags = PB_OPT_ACCEPTED, .section = sec,                           \
	  .doc = "The table grows as it is needed." },                                              \
	{ PB_OPT_OTHER, "loadcache_priority", .flags = PB_OPT_ACCEPTED, .section = sec,             \
	  .doc = "No thread loads a cache." }

#define LNP(field) OF(CACHE_LNP, field)
#define LNP_OWN(field) OF(CACHE_LNP, own.field)
#define CNAM(field) OF(CACHE_CNAM, field)
#define CNAM_OWN(field) OF(CACHE_CNAM, own.field)

#define CACHE(sec, at, id, copy)                                                                    \
	{ PB_OPT_BOOL, "enable", at(enable), .section = sec, .doc = "Whether there is this cache." }, \
	{ PB_OPT_STR, "id_param", at(id_param), .defs = id, .section = sec,                         \
	  .doc = "What an item is found by; ${} is expanded from the message." },                   \
	{ PB_OPT_STR, "copyparams", at(copyparams), .defs = copy, .section = sec,                   \
	  .doc = "Parameters that an item holds, comma list." },                                    \
	{ PB_OPT_INT, "routebefore", at(before), .def = 25, .lo = 0, .hi = INT32_MAX, .section = sec, \
	  .doc = "Priority of looking up." },                                                       \
	{ PB_OPT_INT, "routeafter", at(after), .def = 75, .lo = 0, .hi = INT32_MAX, .section = sec, \
	  .doc = "Priority of storing what others have found out." },                               \
	{ PB_OPT_BOOL, "store_failed_requests", at(store_failed), .section = sec,                   \
	  .doc = "Store also that nothing was found out." },                                        \
	{ PB_OPT_INT, "shortest_prefix", at(shortest), .lo = 0, .hi = 40, .section = sec,           \
	  .doc = "Beginnings of the id are looked up too, down to so many octets; 0: none." },      \
	{ PB_OPT_INT, "reload_interval", at(reload_s), .lo = 0, .hi = 1000000, .unit = "s",         \
	  .section = sec, .doc = "How often the cache is loaded again; 0: never." },                \
	{ PB_OPT_STR, "query_loadcache", at(load), .section = sec,                                  \
	  .doc = "Query for all items, with ${chunk} and ${offset}; columns id, expires, parameters." }, \
	{ PB_OPT_STR, "query_loaditem", at(item), .section = sec,                                   \
	  .doc = "Query for one item that is not in the cache, with ${id}." },                  \
	{ PB_OPT_STR, "query_loaditem_command", at(item_command), .section = sec,                   \
	  .doc = "The same for the command; empty: query_loaditem." },                              \
	{ PB_OPT_STR, "query_save", at(save), .section = sec,                                       \
	  .doc = "Query that stores an item; ${} is expanded from it." },             \
	{ PB_OPT_STR, "query_expire", at(expire), .section = sec,                                   \
	  .doc = "Query that takes away what is over." }

const struct pb_opt cache_options[] = {
	COMMON("general", GENERAL, 0, 0, 0, 1000, 10),
	CACHE("lnp", LNP, "${called}", "routing"),
	COMMON("lnp", LNP_OWN, -1, -1, -1, -1, -1),
	{ PB_OPT_BOOL, "store_npdi_before", LNP(store_before), .section = "lnp",
	  .doc = "Store what comes with npdi already." },
	CACHE("cnam", CNAM, "${caller}", "callername"),
	COMMON("cnam", CNAM_OWN, -1, -1, -1, -1, -1),
	{ PB_OPT_BOOL, "store_empty", CNAM(store_empty), .section = "cnam",
	  .doc = "Store also that there is no name." },
	{ PB_OPT_END },
};
/* clang-format on */

/* ---- What rows cannot say ----------------------------------------------------------------- */

/* 0 is a value of its own, below the range. */
static void check_least(const struct pb_conf *c, struct pb_str section, struct pb_str key,
			int64_t least, int64_t *v, struct pb_findings *f)
{
	const struct pb_conf_section *s = pb_conf_section(c, section);
	const struct pb_conf_entry *e = s ? pb_conf_find(s, key) : NULL;

	if (*v <= 0 || *v >= least)
		return;
	*v = least;
	if (e)
		pb_findings_add(f, e->value_at, PB_SEV_WARNING, "cache-101",
				"%.*s: '%.*s' is below %lld: that is used", PB_STR_F(key),
				PB_STR_F(e->value), (long long)least);
}

static void check_common(const struct pb_conf *c, struct pb_str section, struct cache_common *o,
			 struct pb_findings *f)
{
	check_least(c, section, PB_STR("ttl"), TTL_MIN_S, &o->ttl_s, f);
	check_least(c, section, PB_STR("loadchunk"), CHUNK_MIN, &o->loadchunk, f);
}

static void take_int(int64_t *own, int64_t general)
{
	if (*own < 0)
		*own = general;
}

static void inherit(struct cache_common *own, const struct cache_common *g)
{
	take_int(&own->ttl_s, g->ttl_s);
	take_int(&own->limit, g->limit);
	take_int(&own->loadchunk, g->loadchunk);
	take_int(&own->maxchunks, g->maxchunks);
	take_int(&own->check_s, g->check_s);
	if (!own->account.n)
		own->account = g->account;
	if (!own->account_load.n)
		own->account_load = g->account_load;
	if (!own->account_load.n)
		own->account_load = own->account;
}

static void check_names(const struct pb_conf *c, enum cache_which w, const struct cache_conf *o,
			struct pb_findings *f)
{
	const struct pb_conf_section *s = pb_conf_section(c, cache_kinds[w].name);
	bool asks = o->load.n || o->item.n || o->item_command.n || o->save.n || o->expire.n;

	if (s && o->enable && asks && !o->own.account.n && !o->own.account_load.n)
		pb_findings_add(f, s->at, PB_SEV_WARNING, "cache-102",
				"[%.*s] has queries and no 'account': they are not asked",
				PB_STR_F(s->name));
}

int cache_settings_read(const struct pb_conf *c, void *settings, struct pb_arena *a,
			struct pb_findings *f)
{
	struct cache_settings *s = settings;

	(void)a;
	check_common(c, PB_STR("general"), &s->general, f);
	for (unsigned w = 0; w < CACHE_COUNT; w++) {
		check_common(c, cache_kinds[w].name, &s->of[w].own, f);
		inherit(&s->of[w].own, &s->general);
		check_names(c, (enum cache_which)w, &s->of[w], f);
	}
	return 0;
}
