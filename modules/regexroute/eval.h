/*
 * Walking the rules of a context for one message.
 *
 * The walk touches nothing but the message and the variables: what has an
 * effect outside (a line to print, a message to send, a time to wait) is handed
 * to the caller, who does it and steps on. Between two steps the walk may lie
 * as long as it likes; the message may meanwhile have been replaced by a copy.
 */
#ifndef REGEXROUTE_EVAL_H
#define REGEXROUTE_EVAL_H

#include "regexroute/expand.h"

/** What the walk wants done before the next step. */
enum regex_effect {
	REGEX_DO_FINISH,      /* at its end: regex_eval_holds, regex_eval_result */
	REGEX_DO_PRINT,       /* an output line: text */
	REGEX_DO_LOG,         /* a log line: level, text */
	REGEX_DO_COMPLAIN,    /* something is wrong with the rules: text */
	REGEX_DO_NOTE_RENAME, /* the message has a new name; text is the old one */
	REGEX_DO_ENQUEUE,     /* enqueue `msg` */
	REGEX_DO_DISPATCH,    /* dispatch `msg`; step on when it has been walked */
	REGEX_DO_WAIT,        /* step on after `wait_ms` */
};

struct regex_request {
	struct pb_str text;
	int level;
	struct pb_msg *msg; /* the caller's now */
	uint32_t wait_ms;
	/* Where in the rules it came from. */
	struct pb_str context;
	const struct regex_rule *rule; /* NULL: from no rule */
	size_t number;                 /* of the rule, from 1 */
};

struct regex_eval;

struct regex_eval_args {
	const struct regex_rules *rules; /* outlive the walk */
	const struct regex_env *env;     /* outlives the walk */
	struct pb_str context, text;     /* copied */
	/** The result goes to the message's return value as soon as it is set. */
	bool result_to_retval;
};

/** @return NULL when there is no memory. */
struct regex_eval *regex_eval_new(const struct regex_eval_args *args);
void regex_eval_free(struct regex_eval **e);
/** Start over with other arguments, keeping the memory. */
int regex_eval_restart(struct regex_eval *e, const struct regex_eval_args *args);

/** Go on until something is to be done. `out` is valid until the next step. */
enum regex_effect regex_eval_step(struct regex_eval *e, struct pb_msg *m,
				  struct regex_request *out);

/** After REGEX_DO_FINISH: did the context return true? */
bool regex_eval_holds(const struct regex_eval *e);
/** The result text, absent when none was set. Valid as long as the walk. */
struct pb_str regex_eval_result(const struct regex_eval *e);
/** It ran out of memory: it does not hold. */
bool regex_eval_failed(const struct regex_eval *e);

#endif
