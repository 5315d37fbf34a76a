/*
 * [configuration] of the main file: how files are read from there on. A value
 * holds for the process once it was seen, whatever later files or reloads say,
 * because what was read under one rule would be read otherwise under another.
 */
#include "bus/confread.h"

enum rule { RULE_DEPTH, RULE_NO_SILENT, RULE_CHECK, RULE_EMPTY, RULE_WARNINGS, RULES };

static const struct pb_str rule_keys[RULES] = {
	[RULE_DEPTH] = PB_STR_INIT("max_depth"),
	[RULE_NO_SILENT] = PB_STR_INIT("disable_include_silent"),
	[RULE_CHECK] = PB_STR_INIT("check_recursive_include"),
	[RULE_EMPTY] = PB_STR_INIT("include_empty"),
	[RULE_WARNINGS] = PB_STR_INIT("warnings"),
};

#define DEPTH_DEFAULT	      10
#define DEPTH_MIN	      3
#define DEPTH_MAX	      50
#define DEPTH_UNCHECKED	      3
#define DEPTH_UNCHECKED_MAX   10

static unsigned read_depth(struct pb_str value)
{
	int64_t v;

	if (pb_str_to_i64(value, 0, INT64_MIN, INT64_MAX, &v))
		return 0;
	return v < DEPTH_MIN ? DEPTH_MIN : v > DEPTH_MAX ? DEPTH_MAX : (unsigned)v;
}

void pbi_rules_take(struct pb_conf_rules *rules, const struct pb_conf_entry *e)
{
	enum rule r = RULE_DEPTH;

	while (r < RULES && !pb_str_eq(rule_keys[r], e->key))
		r++;
	if (r == RULES || rules->seen & 1u << r)
		return;
	rules->seen |= 1u << r;
	switch (r) {
	case RULE_DEPTH:
		rules->max_depth = read_depth(e->value);
		break;
	case RULE_NO_SILENT:
		rules->no_silent = pb_str_to_bool(e->value, false);
		break;
	case RULE_CHECK:
		rules->no_loop_check = !pb_str_to_bool(e->value, true);
		break;
	case RULE_EMPTY:
		rules->include_empty = pb_str_to_bool(e->value, false);
		break;
	case RULE_WARNINGS: /* said nothing: they are told, unlike in Yate */
		rules->quiet = !pb_str_to_bool(e->value, true);
		break;
	case RULES:
		break;
	}
}

struct pb_conf_rules pbi_rules(const struct pbi_reader *r)
{
	struct pb_conf_rules rules = { 0 };

	if (r->env && r->env->rules)
		rules = *r->env->rules;
	if (!rules.max_depth)
		rules.max_depth = rules.no_loop_check ? DEPTH_UNCHECKED : DEPTH_DEFAULT;
	else if (rules.no_loop_check && rules.max_depth > DEPTH_UNCHECKED_MAX)
		rules.max_depth = DEPTH_UNCHECKED_MAX;
	return rules;
}
