/*
 * Which rules of a context can match a text at all?
 *
 * A rule whose first condition begins with a literal is found by that literal;
 * all others are always candidates. A walk over ten thousand prefixes costs a
 * handful of lookups, whatever their number.
 */
#ifndef REGEXROUTE_INDEX_H
#define REGEXROUTE_INDEX_H

#include "regexroute/rule.h"

/** Literals are looked up by at most so many of their first octets. */
#define REGEX_INDEX_OCTETS 16

/** NULL: not worth it, every rule is a candidate (or the arena has failed). */
const struct regex_index *regex_index_new(const struct regex_rule *rules, size_t count,
					  struct pb_arena *a);

/** Where the walk over one text has come to. */
struct regex_cursor {
	const struct regex_index *index;
	struct {
		const uint32_t *at, *end; /* numbers of rules, ascending */
	} lists[REGEX_INDEX_OCTETS + 1];
	unsigned count;
};

/** Start for `text`; a NULL `index` makes every rule a candidate. */
void regex_cursor_start(struct regex_cursor *c, const struct regex_index *index,
			struct pb_str text);

/** The first candidate that is not before `from`; SIZE_MAX: none is left. */
size_t regex_cursor_next(struct regex_cursor *c, size_t from);

#endif
