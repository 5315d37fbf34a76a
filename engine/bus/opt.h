/*
 * Option tables: the only description of an option. Reading, range checks,
 * `check`, samples, manual pages and help come from these rows.
 */
#ifndef PB_BUS_OPT_H
#define PB_BUS_OPT_H

#include "bus/conf.h"

enum pb_opt_type {
	PB_OPT_END,
	PB_OPT_BOOL,  /* bool */
	PB_OPT_INT,   /* int64_t, base 0, clamped to lo..hi */
	PB_OPT_STR,   /* struct pb_str, in the settings' arena */
	PB_OPT_WORD,  /* int: index into `words` */
	PB_OPT_ADDR,  /* struct pb_str that must be an IP literal or empty */
	PB_OPT_OTHER, /* read by the module's own `read`; the row describes it */
};

enum {
	PB_OPT_SECRET = 1,   /* never printed */
	PB_OPT_ACCEPTED = 2, /* known to users, without effect here: `check` says so */
	PB_OPT_ONCE = 4,     /* read at start only */
	PB_OPT_STRICT = 8,   /* out of range: the default instead of the bound */
	PB_OPT_PREFIX = 16,  /* `name` is the beginning of the key */
};

struct pb_opt {
	enum pb_opt_type type;
	const char *name;
	size_t at; /* offsetof in the settings */
	int64_t def, lo, hi; /* lo == hi == 0: no range */
	const char *defs; /* PB_OPT_STR */
	const char *const *words; /* PB_OPT_WORD, ends with NULL */
	const char *unit; /* "ms", "s", "bytes", "octal" */
	unsigned flags;
	const char *doc; /* one line */
	/**
	 * NULL: "general"; "*": every section that no row names; "listener *":
	 * every section "listener NAME". Rows of a pattern describe an object of
	 * its own: `at` is an offset in that one.
	 */
	const char *section;
};

/** Does the section of a row, which may be a pattern, mean the section `name`? */
bool pb_opt_section_takes(struct pb_str as, struct pb_str name);
/** The rows' section that describes `name`; NULL: none does. */
const char *pb_opt_section(const struct pb_opt *rows, struct pb_str name);
/** The row that describes `key` of section `as` (of pb_opt_section); NULL: none. */
const struct pb_opt *pb_opt_find(const struct pb_opt *rows, const char *as, struct pb_str key);
/** Has it a place in the settings? */
bool pb_opt_is_stored(const struct pb_opt *row);
/** Are the values in two settings the same? */
bool pb_opt_same(const struct pb_opt *row, const void *a, const void *b);
/** The value as one would write it; a secret as "(hidden)". */
void pb_opt_show(const struct pb_opt *row, const void *settings, struct pb_text *t);

/** Fill `settings` with the defaults of every row whose section is no pattern. */
void pb_opt_defaults(const struct pb_opt *rows, void *settings, struct pb_arena *a);
/** The same of the rows whose .section is `as`, which may be a pattern. */
void pb_opt_section_defaults(const struct pb_opt *rows, const char *as, void *settings,
			     struct pb_arena *a);
/**
 * Read each row's value from `c`. Wrong types and ranges are findings and get
 * the documented replacement; unknown keys of described sections are warnings
 * with a suggestion. @return 0, or -EINVAL when a finding was an error.
 */
int pb_opt_read(const struct pb_opt *rows, const struct pb_conf *c, void *settings,
		struct pb_arena *a, struct pb_findings *f);
/**
 * One section by the rows whose .section is `as` ("*", "listener *" ...): their
 * defaults first, then what is there. Same results.
 */
int pb_opt_read_section(const struct pb_opt *rows, const char *as, const struct pb_conf_section *s,
			void *settings, struct pb_arena *a, struct pb_findings *f);

#endif
