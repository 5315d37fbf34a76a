/*
 * Questions to the database, and the rows that come back.
 *
 * A row is the parameters row.N.COLUMN of the message, N from 1; a column that
 * has no value there is absent.
 */
#ifndef CACHE_QUERY_H
#define CACHE_QUERY_H

#include "cache/cache.h"

struct cache_query_args {
	struct pb_str account, query;
	struct pb_str id, chunk, offset, expires; /* for ${}; absent: not known */
	const struct cache_params *params;        /* for ${} too; NULL: none */
	bool rows;                                /* wanted? */
};

/** Message `database`; values are made harmless in the text. NULL: no memory, or no account. */
struct pb_msg *cache_query(const struct cache_query_args *q);

/** Was it answered, and well? Else it has been said. */
bool cache_query_good(struct cache_shared *sh, const struct pb_msg *m, bool handled);

struct cache_row {
	struct pb_str id; /* absent: there is no such column */
	int64_t expires_s;
	struct cache_params params; /* other columns that `names` has */
};
/**
 * The row that begins at parameter *at, which goes on to the next one. Texts are
 * the message's.
 */
bool cache_row_next(const struct pb_msg *m, struct pb_str names, size_t *at, struct cache_row *out);

#endif
