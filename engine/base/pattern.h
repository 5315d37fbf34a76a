/*
 * Patterns: POSIX regular expressions, compiled once and matched often.
 *
 * What stands behind is chosen while compiling: the frequent simple forms
 * (".*", a literal, a literal and its tail) are compared directly, all others
 * run on the C library. A pattern is immutable: any thread may match with it.
 */
#ifndef PB_BASE_PATTERN_H
#define PB_BASE_PATTERN_H

#include "base/arena.h"

enum {
	PB_PATTERN_EXTENDED = 1, /* POSIX extended; else basic with GNU's additions */
	PB_PATTERN_NOCASE = 2,   /* ASCII */
};

/** \0 is the whole match, \1 .. \8 the groups; there is no \9. */
#define PB_CAPTURES 9

/** What matched: views into the text, absent where a group took no part. */
struct pb_captures {
	struct pb_str at[PB_CAPTURES];
};

struct pb_pattern;

/**
 * Compile `text` into `a`, with which it is freed. An empty text never matches.
 *
 * @param why  On failure: what is wrong with it, in `a`; may be NULL.
 * @return 0, -EINVAL (broken) or -ENOMEM.
 */
int pb_pattern_new(struct pb_str text, unsigned flags, struct pb_arena *a,
		   const struct pb_pattern **out, struct pb_str *why);

/**
 * Search `text`, unanchored. Without groups, or when none took part, \1 is the
 * whole match too. `c` may be NULL; on false it is left alone.
 */
bool pb_pattern_match(const struct pb_pattern *p, struct pb_str text, struct pb_captures *c);

/**
 * What every matching text begins with, empty when nothing is certain: for an
 * index over many patterns. Compare without case when compiled so.
 */
struct pb_str pb_pattern_prefix(const struct pb_pattern *p);
bool pb_pattern_nocase(const struct pb_pattern *p);

/**
 * A pattern whose trailing '^' negates it: the form of configuration files.
 * `*negate` tells, the rest is compiled.
 */
int pb_pattern_new_negatable(struct pb_str text, unsigned flags, struct pb_arena *a,
			     const struct pb_pattern **out, bool *negate, struct pb_str *why);

/**
 * \N of `c` (NULL: all empty) into the template: "\\" is one backslash, a
 * backslash before anything else stays with it.
 */
struct pb_str pb_captures_expand(const struct pb_captures *c, struct pb_str template_text,
				 struct pb_arena *into);

#endif
