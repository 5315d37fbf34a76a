/* What regexroute.conf says, read once and never changed. */
#ifndef REGEXROUTE_SETTINGS_H
#define REGEXROUTE_SETTINGS_H

#include "bus/module.h"
#include "regexroute/rule.h"

/** What a message is asked for and where its answer goes. */
enum regex_kind {
	REGEX_PREROUTE,
	REGEX_ROUTE,
	REGEX_EXTRA,
};

/** A message that rules listen to. */
struct regex_entry {
	enum regex_kind kind;
	unsigned priority;
	struct pb_str message;
	struct pb_str param; /* its value is the match string; empty: the message's name */
	struct pb_str context;
	struct pb_str filter_name; /* empty: none */
	struct pb_str filter_value;
	const struct pb_pattern *filter; /* instead of filter_value */
	struct pb_pos at; /* EXTRA: of the key */
};

struct regex_assignment {
	struct pb_str name, value;
};

struct regex_assignments {
	const struct regex_assignment *at;
	size_t count;
};

struct regex_settings {
	int64_t preroute, route, status, maxdepth;
	bool extended, insensitive, prerouteall, trackparam, rex_debug, add_once;
	struct pb_str defaultrule;
	/* From here on by regex_settings_read. */
	const struct regex_rules *rules;
	const struct regex_entry *entries;
	size_t entries_n, sections;
	struct regex_assignments once, init;
};

extern const struct pb_opt regex_options[];

/** As pb_module.uses. */
void regex_uses(const void *settings, struct pb_uses *u);
/** As pb_module.read. */
int regex_settings_read(const struct pb_conf *c, void *settings, struct pb_arena *a,
			struct pb_findings *f);

#endif
