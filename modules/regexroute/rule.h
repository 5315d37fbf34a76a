/*
 * The rule set: regexroute.conf compiled once, at load.
 *
 * Every context is an array of rules whose conditions are compiled patterns,
 * whose blocks are jumps and whose texts know what has to be substituted in
 * them. It is immutable, lies in the settings' arena and may be walked by any
 * number of threads at once.
 */
#ifndef REGEXROUTE_RULE_H
#define REGEXROUTE_RULE_H

#include "base/pattern.h"
#include "bus/conf.h"

/** Blocks inside blocks; a deeper one ends its context. */
#define REGEX_BLOCKS_MAX 10

/** A text with \N, ${} or $() in it, and which of them. */
struct regex_text {
	struct pb_str raw;
	bool captures, params, functions;
};

enum regex_subject {
	REGEX_SUBJECT_TEXT, /* the match string of the evaluation */
	REGEX_SUBJECT_PARAM,
	REGEX_SUBJECT_FUNCTION,
	REGEX_SUBJECT_BROKEN, /* cannot be understood: never holds */
};

/** One condition: does a text match? */
struct regex_cond {
	enum regex_subject subject;
	bool alternative; /* joined to the one before by `or` */
	bool negate;
	struct pb_str name, fallback; /* PARAM */
	struct regex_text function;   /* FUNCTION: "$(...)" */
	const struct pb_pattern *pattern;
};

enum regex_action {
	REGEX_PIECES, /* pieces[0] is the action word or result, the rest assigns */
	REGEX_OPEN,   /* "{" */
	REGEX_ECHO,   /* pieces[0] is the text */
	REGEX_DEBUG,
	REGEX_DISPATCH, /* pieces[0] is the name, the rest its parameters */
	REGEX_ENQUEUE,
};

struct regex_rule {
	struct pb_str left, right; /* as written, for the log */
	struct pb_pos at;          /* of the right side */
	const struct regex_cond *conds;
	size_t conds_n;
	enum regex_action action;
	const struct regex_text *pieces;
	size_t pieces_n;
	bool uses_captures;
	bool closes;      /* begins with '}': after a taken branch go to `end` ... */
	bool ignored;     /* a stray '}' */
	bool overflow;    /* opens one block too many: the context ends */
	size_t end;       /* ... the rule behind the whole chain */
	size_t otherwise; /* where to go on when the conditions do not hold */
};

struct regex_index;

struct regex_context {
	struct pb_str name;
	const struct regex_rule *rules;
	size_t count;
	const struct regex_index *index; /* NULL: too few rules for one */
};

struct regex_rules {
	const struct regex_context *contexts; /* ordered by name */
	size_t count;
	const struct pb_pattern *set; /* the default rule: "is set" */
	bool set_negate;
	unsigned max_depth;
};

struct regex_rules_args {
	const struct pb_conf *conf;
	unsigned pattern_flags;
	struct pb_str default_rule;
	unsigned max_depth;
	/** Whether a section is settings, not a context. */
	bool (*is_settings)(struct pb_str section);
};

/**
 * Compile into `a`. What is wrong with a rule is a finding; such a rule never
 * holds. @return 0 or -ENOMEM.
 */
int regex_rules_new(const struct regex_rules_args *args, struct pb_arena *a, struct pb_findings *f,
		    const struct regex_rules **out);

/** NULL when there is none. */
const struct regex_context *regex_rules_context(const struct regex_rules *r, struct pb_str name);

#endif
