/*
 * Which messages to show: rules, and the commands that change them.
 *
 * A set of rules is immutable; a command makes a new one. A message is shown
 * when any rule takes it, or when there is no rule.
 */
#ifndef MSGSNIFF_FILTER_H
#define MSGSNIFF_FILTER_H

#include "base/pattern.h"
#include "base/text.h"
#include "bus/msg.h"

/** An expression that may end in '^', its negation. Empty: matches nothing there. */
struct sniff_match {
	struct pb_str text; /* as given */
	const struct pb_pattern *pattern;
	bool negate;
};

struct sniff_param {
	struct pb_str name;
	struct sniff_match match;
};

/** All that is given must hold. */
struct sniff_rule {
	struct pb_str name;        /* empty: the unnamed one */
	struct sniff_match filter; /* on the message's name; no text: any */
	uint64_t age_us;           /* at least so old; 0: any */
	const struct sniff_param *params;
	size_t params_n;
	bool any;     /* one of the parameters is enough */
	bool negated; /* the answer of the parameters is turned round */
};

/** What is told of a message's channel beside its handle. */
struct sniff_dump {
	bool chan;  /* its id */
	bool brief; /* and no more than that */
};

struct sniff_rules {
	struct pb_arena *arena; /* everything lies in it, this too */
	bool on, timer;         /* show at all; show engine.timer too */
	struct sniff_dump dump;
	const struct sniff_rule *rules;
	size_t count;
};

/** Off, without rules. NULL: no memory. */
struct sniff_rules *sniff_rules_new(void);
void sniff_rules_free(struct sniff_rules **r);

/** A set of its own with the same content. NULL: no memory. */
struct sniff_rules *sniff_rules_copy(const struct sniff_rules *r);
/**
 * What the rules are after the command "[on|off] [timer [on|off]] [CMD ...]".
 *
 * @param why  Optional: a broken expression; absent when there was none.
 * @return NULL when there is no memory.
 */
struct sniff_rules *sniff_rules_change(const struct sniff_rules *r, struct pb_str command,
				       struct pb_str *why);

bool sniff_rules_take(const struct sniff_rules *r, const struct pb_msg *m, uint64_t age_us);

/** "Message sniffer: on, timer: off ..." with CR LF at the end. */
void sniff_rules_print(const struct sniff_rules *r, struct pb_text *t);

#endif
