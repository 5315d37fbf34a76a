/*
 * Values go into a query with quotes and backslashes doubled, so that none ends
 * its literal; what the file writes itself stays as it is.
 */
#include "cache/query.h"

#include "base/text.h"

#define QUERY_BYTES (64u << 10)

struct expansion {
	const struct cache_query_args *q;
	struct pb_arena *a;
};

static struct pb_str harmless(struct pb_arena *a, struct pb_str s)
{
	char *p = pb_arena_bytes(a, 2 * s.n + 1);
	size_t n = 0;

	for (size_t i = 0; p && i < s.n; i++) {
		if (s.p[i] == '\'' || s.p[i] == '\\')
			p[n++] = s.p[i];
		p[n++] = s.p[i];
	}
	return pb_str(p, n);
}

static struct pb_str get_value(void *arg, struct pb_str name)
{
	const struct expansion *x = arg;
	const struct cache_query_args *q = x->q;
	const struct {
		struct pb_str name, value;
	} known[] = { { PB_STR("id"), q->id },
		      { PB_STR("chunk"), q->chunk },
		      { PB_STR("offset"), q->offset },
		      { PB_STR("expires"), q->expires } };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].value.p && pb_str_eq(known[i].name, name))
			return harmless(x->a, known[i].value);
	for (size_t i = 0; q->params && i < q->params->count; i++)
		if (pb_str_eq(q->params->list[i].name, name))
			return harmless(x->a, q->params->list[i].value);
	return PB_STR_NULL;
}

struct pb_msg *cache_query(const struct cache_query_args *q)
{
	struct pb_arena *a = q->account.n ? pb_arena_new(QUERY_BYTES) : NULL;
	struct pb_msg *m = a ? pb_msg_new(PB_STR("database")) : NULL;
	struct pb_str text;

	if (m) {
		text = pb_expand(q->query, get_value, &(struct expansion){ q, a }, a);
		pb_msg_add(m, PB_STR("account"), q->account);
		pb_msg_add(m, PB_STR("query"), text);
		pb_msg_set_bool(m, PB_STR("results"), q->rows);
		if (pb_arena_failed(a) || pb_msg_failed(m))
			pb_msg_free(&m);
	}
	if (!m && q->account.n)
		CACHE_SAY(CACHE_LOG_MEMORY, "Account '%.*s' is not asked: no memory",
			  PB_STR_F(q->account));
	pb_arena_free(&a);
	return m;
}

bool cache_query_good(struct cache_shared *sh, const struct pb_msg *m, bool handled)
{
	struct pb_str account = pb_msg_get(m, PB_STR("account")),
		      error = pb_msg_get(m, PB_STR("error"));

	if (!handled) {
		if (!atomic_exchange(&sh->nobody_told, true))
			CACHE_SAY(CACHE_LOG_NOBODY, "No answer from database account '%.*s'",
				  PB_STR_F(account));
		return false;
	}
	if (error.n)
		CACHE_SAY(CACHE_LOG_QUERY, "Query to account '%.*s' failed: %.*s",
			  PB_STR_F(account), PB_STR_F(error));
	return !error.n;
}

/* ---- Rows ----------------------------------------------------------------------------------- */

/* "row.N.COLUMN" into its parts. */
static bool is_cell(struct pb_str name, struct pb_str *row, struct pb_str *column)
{
	if (!pb_str_starts(name, PB_STR("row.")))
		return false;
	*column = pb_str_from(name, 4);
	return pb_str_cut(column, '.', row) && row->n && column->p;
}

static void take_cell(struct cache_row *r, struct pb_str names, struct pb_str column,
		      struct pb_str value)
{
	if (pb_str_eq(column, PB_STR("id")))
		r->id = value;
	else if (pb_str_eq(column, PB_STR("expires")))
		pb_str_to_i64(value, 10, 0, INT64_MAX / 1000000, &r->expires_s);
	else if (cache_is_named(names, column) && r->params.count < CACHE_PARAMS_MAX)
		r->params.list[r->params.count++] = (struct pb_param){ column, value };
}

bool cache_row_next(const struct pb_msg *m, struct pb_str names, size_t *at, struct cache_row *out)
{
	struct pb_str row, column, first = PB_STR_NULL;

	out->id = PB_STR_NULL;
	out->expires_s = 0;
	out->params.count = 0;
	for (; *at < pb_msg_count(m); ++*at) {
		const struct pb_param *p = pb_msg_at(m, *at);

		if (!is_cell(p->name, &row, &column))
			continue;
		if (first.p && !pb_str_eq(first, row))
			break;
		first = row;
		take_cell(out, names, column, p->value);
	}
	return first.p != NULL;
}
