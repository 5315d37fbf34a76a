/*
 * regexroute: routing by regular expressions. The descriptor and the life of
 * the module; rules are compiled in rule.c, walked in eval.c, and the walk's
 * effects carried out in walk.c.
 *
 * Settings are immutable and any loop evaluates them; each loop has a spare
 * walk of its own. The variables are shared by all loops (vars.c says why).
 */
#include "regexroute/regexroute.h"

#include <errno.h>

const struct pb_log_row regex_log_rows[] = {
	[REGEX_LOG_COMPLAINT] = { "regexroute-001", PB_WARN,
				  "A rule asks for what is not possible; the text says what." },
	[REGEX_LOG_ENQUEUE] = { "regexroute-002", PB_ALL, "A rule enqueues a message." },
	[REGEX_LOG_DISPATCH] = { "regexroute-003", PB_ALL, "A rule dispatches a message." },
	[REGEX_LOG_RENAME] = { "regexroute-004", PB_ALL, "A rule gives the message another name." },
	[REGEX_LOG_NO_MEMORY] = { "regexroute-005", PB_WARN,
				  "Rules were given up for want of memory." },
	[REGEX_LOG_NO_HANDLER] = { "regexroute-006", PB_WARN, "A handler could not be made." },
	[REGEX_LOG_ROUTED] = { "regexroute-011", PB_INFO,
			       "A call was routed: number, context, target, time." },
	[REGEX_LOG_NOT_ROUTED] = { "regexroute-012", PB_INFO,
				   "No rule routed a call: it is left to other modules." },
	[REGEX_LOG_CLASSIFIED] = { "regexroute-013", PB_INFO,
				   "A call was classified: its context was set." },
	[REGEX_LOG_NOT_CLASSIFIED] = { "regexroute-014", PB_INFO, "No rule classified a call." },
	{ NULL },
};

static const struct pb_log_row rex_rows[] = { { NULL } };

PB_LOG_SOURCE(regex_log, "regexroute", regex_log_rows);
PB_LOG_SOURCE(regex_rex_log, "rex_debug", rex_rows);

static void set_variables(struct regex_vars *v, const struct regex_assignments *list, bool once)
{
	for (size_t i = 0; i < list->count; i++)
		(void)(once ? regex_vars_set_once : regex_vars_set)(v, list->at[i].name,
								    list->at[i].value);
}

/* Every loop is made ready before the first handler exists anywhere. */
static int start(struct pb_ctx *cx)
{
	const struct regex_settings *s = cx->settings;
	struct regex_shared *sh = cx->shared;
	struct pb_loops *all = pb_bus_loops(cx->bus);

	pb_list_init(&sh->points);
	pb_log_register(&regex_rex_log);
	sh->vars = regex_vars_new();
	if (!sh->vars)
		return -ENOMEM;
	set_variables(sh->vars, &s->once, true);
	set_variables(sh->vars, &s->init, false);
	for (unsigned i = 0; i < pb_loops_count(all); i++) {
		struct pb_ctx *there = pb_engine_ctx(cx, pb_loops_at(all, i));

		regex_walk_init(there->state, there);
	}
	return regex_points_sync(cx);
}

static enum pb_reload reload(struct pb_ctx *cx, const void *old)
{
	const struct regex_settings *s = cx->settings;
	struct regex_shared *sh = cx->shared;

	if (s->add_once)
		set_variables(sh->vars, &s->once, true);
	set_variables(sh->vars, &s->init, false);
	if (regex_points_sync(cx))
		pb_log(&regex_log, &regex_log_rows[REGEX_LOG_NO_HANDLER],
		       "no memory for a handler");
	return PB_RELOAD_OK;
}

static void loop_stop(struct pb_ctx *cx)
{
	regex_walk_fini(cx->state);
}

static void stop(struct pb_ctx *cx)
{
	struct regex_shared *sh = cx->shared;

	regex_points_drop(cx);
	regex_vars_free(&sh->vars);
}

static void status(struct pb_ctx *cx, struct pb_status *st)
{
	const struct regex_settings *s = cx->settings;
	struct regex_shared *sh = cx->shared;
	struct regex_loop *on = cx->state;
	bool home = pb_engine_home(cx) == cx->loop;

	pb_status_count(st, "sections", home ? (int64_t)s->sections : 0);
	pb_status_count(st, "extra", home ? (int64_t)sh->extra : 0);
	pb_status_count(st, "variables", home ? (int64_t)regex_vars_total(sh->vars) : 0);
	pb_status_count(st, "processing", (int64_t)on->processing);
}

static const struct pb_counter counters[] = {
	{ "sections", "contexts", "Sections of the file." },
	{ "extra", "handlers", "Handlers of [extra]." },
	{ "variables", "variables", "Variables that rules count with." },
	{ "processing", "messages", "Messages whose rules are being walked." },
	{ NULL },
};

static const struct pb_sends sends[] = {
	{ "call.preroute", "context", .answers = true },
	{ NULL },
};

static const struct pb_hears hears[] = {
	{ "call.preroute", 100, "preroute", false },
	{ "call.route", 100, "route", false },
	{ NULL },
};

static const struct pb_finding_row findings[] = {
	{ "regexroute-101", "A pattern is no regular expression." },
	{ "regexroute-102", "What a rule looks at cannot be read: it never holds." },
	{ "regexroute-103", "A further condition of a rule has no '=': the rule never holds." },
	{ "regexroute-104", "Blocks nest too deep: the context ends there." },
	{ "regexroute-105", "A } closes no block and is ignored." },
	{ "regexroute-106", "A block is never closed: it ends with its context." },
	{ "regexroute-107", "A filter of [extra] is no regular expression: no handler." },
	{ "regexroute-108", "[extra] names a context that is not there: no handler." },
	{ "regexroute-109", "A priority of [extra] is no number: 100 is used." },
	{ "regexroute-110", "With extended=yes the default rule must be given as an extended expression." },
	{ "regexroute-111", "A rule goes to a context that is not there." },
	{ NULL },
};

PB_MODULE(regexroute) = {
	.abi = PB_MODULE_ABI,
	.name = "regexroute",
	.doc = "Routes calls and handles messages by rules of regular expressions.",
	.aliases = "regexroute",
	.conf = "regexroute",
	.status_type = "route",
	.settings_size = sizeof(struct regex_settings),
	.loop_state_size = sizeof(struct regex_loop),
	.shared_size = sizeof(struct regex_shared),
	.options = regex_options,
	.log = &regex_log,
	.read = regex_settings_read,
	.start = start,
	.reload = reload,
	.loop_stop = loop_stop,
	.stop = stop,
	.status = status,
	.counters = counters,
	.sends = sends,
	.hears = hears,
	.findings = findings,
	.uses = regex_uses,
};
