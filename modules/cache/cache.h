/*
 * cache inside: settings, what is shared, and the parts of the module.
 */
#ifndef CACHE_CACHE_H
#define CACHE_CACHE_H

#include <stdatomic.h>

#include "bus/module.h"
#include "cache/table.h"

/** The most items when the file sets no limit. */
#define CACHE_ITEMS_MAX 1000000
/** The most parameters of an item. */
#define CACHE_PARAMS_MAX 32

enum cache_which { CACHE_LNP, CACHE_CNAM, CACHE_COUNT };

/** What a cache is called, and its parameters in messages. */
struct cache_kind {
	struct pb_str name, message;
	struct pb_str query;      /* whether the number is asked for */
	struct pb_str use;        /* no: the cache is left out */
	struct pb_str posthook;   /* the handler behind stores the outcome */
	struct pb_str parameters; /* in place of copyparams */
};
extern const struct cache_kind cache_kinds[CACHE_COUNT];

/** Keys of [general] that a cache may have of its own; below 0, or empty: not given. */
struct cache_common {
	int64_t ttl_s, limit, loadchunk, maxchunks, check_s;
	struct pb_str account, account_load;
};

struct cache_conf {
	bool enable, store_failed;
	bool store_before; /* lnp: what others found out before */
	bool store_empty;  /* cnam: that there is no name */
	struct pb_str id_param, copyparams;
	int64_t before, after; /* priorities */
	int64_t shortest, reload_s;
	struct pb_str load, item, item_command, save, expire; /* queries */
	struct cache_common own;
};

struct cache_settings {
	struct cache_common general;
	struct cache_conf of[CACHE_COUNT];
};

struct cache_loading;
struct cache_sweep;

struct cache_shared {
	struct cache_table *tables[CACHE_COUNT];
	atomic_bool nobody_told; /* that `database` is answered by nobody */
	/* The home loop's alone. */
	struct pb_reg *regs[CACHE_COUNT][2];
	struct cache_loading *loading[CACHE_COUNT];
	struct cache_sweep *expiry[CACHE_COUNT], *flush[CACHE_COUNT];
};

/** A loop's. */
struct cache_state {
	struct pb_ctx *cx;
	struct pb_list asks;
	unsigned saves; /* under way */
};

enum {
	CACHE_LOG_MEMORY,
	CACHE_LOG_NOBODY,
	CACHE_LOG_QUERY,
	CACHE_LOG_LOADED,
	CACHE_LOG_PART,
	CACHE_LOG_SAVES
};
extern struct pb_log_source cache_log;
extern const struct pb_log_row cache_log_rows[];
#define CACHE_SAY(row, ...) pb_log(&cache_log, &cache_log_rows[row], __VA_ARGS__)

/* settings.c */
extern const struct pb_opt cache_options[];
int cache_settings_read(const struct pb_conf *c, void *settings, struct pb_arena *a,
			struct pb_findings *f);

/* item.c: what is stored and told */

/** Parameters of an item on the way in; texts are somebody else's. */
struct cache_params {
	struct pb_param list[CACHE_PARAMS_MAX];
	size_t count;
};
/** Does the list of names (comma list) have `name`? */
bool cache_is_named(struct pb_str names, struct pb_str name);
/**
 * Store; `expires_s` of the wall clock, 0: by the ttl. What is new is saved in
 * the database too.
 */
void cache_store(struct pb_ctx *cx, enum cache_which w, struct pb_str id,
		 const struct cache_params *p, int64_t expires_s, bool is_new);

/* ask.c: one item from the database */

/** Look `id` up for call.route or call.preroute; the answer for a handler to give. */
enum pb_verdict cache_ask_route(struct pb_msg *m, struct pb_ctx *cx, enum cache_which w,
				struct pb_str id);
/** The same for a command; its text is the return value. */
enum pb_verdict cache_ask_command(struct pb_msg *m, struct pb_ctx *cx, enum cache_which w,
				  struct pb_str id);
void cache_asks_end(struct cache_state *st);

/* load.c: all of it from the database; home loop */

/** Begin, unless it is under way. False: there is no query for it, or no memory. */
bool cache_load(struct pb_ctx *cx, enum cache_which w);
void cache_load_end(struct cache_shared *sh, enum cache_which w);

/* sweep.c: walks over a table, a step a turn; home loop */

/** Take away what is over, now and again. */
void cache_expiry_start(struct pb_ctx *cx, enum cache_which w);
/** Take away what `regexp` matches (absent: all), and tell how much in the end. */
enum pb_verdict cache_flush(struct pb_msg *m, struct pb_ctx *cx, enum cache_which w,
			    struct pb_str regexp);
/** The same without a message. */
void cache_flush_all(struct pb_ctx *cx, enum cache_which w);
void cache_sweeps_end(struct cache_shared *sh, enum cache_which w);

#endif
