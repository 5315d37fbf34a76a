/*
 * Substitution in the texts of rules: \N, then ${param}, then $(function).
 *
 * What a message carries is data, never program: a "$(" or "${" that comes in
 * with a parameter or a capture stays text, whatever stands around it. What the
 * rules themselves and their variables hold is evaluated as often as it turns
 * up, so "$($)(length,abc)" is 3. Here we are stricter than Yate, where a caller
 * named "$(config,...)" is evaluated.
 */
#ifndef REGEXROUTE_EXPAND_H
#define REGEXROUTE_EXPAND_H

#include "bus/msg.h"
#include "regexroute/rule.h"
#include "regexroute/vars.h"

/** What functions ask of the world outside the rules. */
enum regex_ask {
	REGEX_ASK_CONFIG, /* a: section, b: key of the main configuration */
	REGEX_ASK_ENGINE, /* a: run parameter */
	REGEX_ASK_LOADED, /* a: module; "true" or "false" */
	REGEX_ASK_RUNID,
	REGEX_ASK_NODENAME,
	REGEX_ASK_THREADNAME,
	REGEX_ASK_TIMESTAMP,
	REGEX_ASK_ACCEPTING,
	REGEX_ASK_DISPATCHING,
	REGEX_ASK_DIGIT, /* one random digit */
};

struct regex_env {
	struct regex_vars *vars;
	/** Absent: unknown. The answer is valid as long as `into`. */
	struct pb_str (*ask)(void *arg, enum regex_ask what, struct pb_str a, struct pb_str b,
			     struct pb_arena *into);
	void *arg;
};

/** One substitution under way. */
struct regex_expand {
	const struct regex_env *env;
	const struct pb_msg *msg;
	const struct pb_captures *captures; /* NULL: all empty */
	struct pb_arena *into;
	struct pb_str complaint; /* first thing that was wrong; absent: nothing */
};

/** The text, in `into` or the rule's own. Trimmed of blanks. */
struct pb_str regex_expand(struct regex_expand *x, const struct regex_text *t);
/**
 * The same with data still marked as such (regex_unshield): the form in which
 * variables keep their values, so that data does not become program by way of
 * a variable.
 */
struct pb_str regex_expand_shielded(struct regex_expand *x, const struct regex_text *t);

/* ---- For functions.c --------------------------------------------------------- */

/**
 * Evaluate the inside of one "$(...)". Data in it is marked by regex_shield,
 * and so is the answer when any data went in.
 */
struct pb_str regex_function(struct regex_expand *x, struct pb_str inside);
/** Replace what is syntax in `s` by octets that are none. */
struct pb_str regex_shield(struct pb_str s, struct pb_arena *into);
/** The other way; `*any` tells whether there was something to undo. */
struct pb_str regex_unshield(struct pb_str s, struct pb_arena *into, bool *any);
void regex_complain(struct regex_expand *x, const char *what, struct pb_str about);

#endif
