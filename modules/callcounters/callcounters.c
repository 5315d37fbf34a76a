/*
 * Calls that go on, counted by a parameter of their records, told to routing.
 *
 * A leg's records all come on the loop that owns its channel, so which value it
 * counts for is kept there; the counts themselves are shared by all loops, so
 * that a call that is routed reads them where it is.
 */
#include "bus/module.h"

#include "base/alloc.h"
#include "base/map.h"
#include "base/text.h"
#include "callcounters/counters.h"

/* With allcounters, no more than this into one message. */
#define ALL_MAX 1000

struct settings {
	struct pb_str parameter, direction;
	bool all;
	int64_t cdr_priority, route_priority;
};

struct shared {
	struct counters *counts;
	struct pb_reg *regs[2]; /* home loop only */
	int64_t priorities[2];  /* theirs */
};

struct state {
	struct pb_map calls; /* by channel */
};

/* A leg that is counted. */
struct call {
	struct pb_map_node node;
	struct pb_str chan, value; /* behind the struct */
};

enum { LOG_NO_MEMORY };

static const struct pb_log_row log_rows[] = {
	[LOG_NO_MEMORY] = { "callcounters-001", PB_WARN,
			    "A call is not counted, or nothing is, for lack of memory." },
	{ NULL },
};

static PB_LOG_SOURCE(log_source, "callcounters", log_rows);

#define AT(field) offsetof(struct settings, field)

static const struct pb_opt options[] = {
	{ PB_OPT_STR, "parameter", AT(parameter), .defs = "",
	  .doc = "Parameter of call.cdr whose values are counted; empty: nothing is." },
	{ PB_OPT_STR, "direction", AT(direction), .defs = "incoming",
	  .doc = "Only legs of this direction; empty: all." },
	{ PB_OPT_BOOL, "allcounters", AT(all),
	  .doc = "Tell routing the count of every value, not of the message's own." },
	{ PB_OPT_INT, "call.cdr", AT(cdr_priority), .def = 20, .lo = 0, .hi = INT32_MAX,
	  .section = "priorities", .doc = "Priority of counting." },
	{ PB_OPT_INT, "call.route", AT(route_priority), .def = 20, .lo = 0, .hi = INT32_MAX,
	  .section = "priorities", .doc = "Priority of telling." },
	{ PB_OPT_END },
};

static int read_settings(const struct pb_conf *c, void *settings, struct pb_arena *a,
			 struct pb_findings *f)
{
	const struct settings *s = settings;
	size_t i = 0;

	(void)a;
	while (i < pb_conf_sections(c) && !pb_conf_section_at(c, i)->count)
		i++; /* a sample sets nothing */
	if (!s->parameter.n && i < pb_conf_sections(c))
		pb_findings_add(f, pb_conf_section_at(c, i)->at, PB_SEV_WARNING, "callcounters-101",
				"[general] has no 'parameter': nothing is counted");
	return 0;
}

/* ---- Counting: the loop that owns the channel ------------------------------------------- */

static struct call *find_call(struct state *st, struct pb_str chan)
{
	struct pb_map_node *n = pb_map_first(&st->calls, pb_hash(chan));

	for (; n; n = pb_map_next(n)) {
		struct call *c = pb_container(n, struct call, node);

		if (pb_str_eq(c->chan, chan))
			return c;
	}
	return NULL;
}

static void end_call(struct state *st, struct counters *counts, struct call *c)
{
	pb_map_remove(&st->calls, &c->node);
	counters_drop(counts, c->value);
	pb_free(c);
}

static struct call *call_new(struct pb_str chan, struct pb_str value)
{
	struct call *c = pb_alloc_zero(1, sizeof(*c) + chan.n + value.n);
	char *at = (char *)(c + 1);

	if (!c)
		return NULL;
	memcpy(at, chan.p, chan.n);
	memcpy(at + chan.n, value.p, value.n);
	c->chan = pb_str(at, chan.n);
	c->value = pb_str(at + chan.n, value.n);
	return c;
}

static void count_call(struct state *st, struct counters *counts, struct pb_str chan,
		       struct pb_str value)
{
	struct call *c = call_new(chan, value);

	if (c && !pb_map_add(&st->calls, &c->node, pb_hash(chan))) {
		if (!counters_add(counts, value))
			return;
		pb_map_remove(&st->calls, &c->node);
	}
	pb_free(c);
	pb_log(&log_source, &log_rows[LOG_NO_MEMORY], "'%.*s' is not counted: no memory",
	       PB_STR_F(chan));
}

/* Records of legs; those of whole calls need not travel. */
static bool is_of_leg(void *arg, struct pb_str operation)
{
	(void)arg;
	return pb_str_eq(operation, PB_STR("initialize")) ||
	       pb_str_eq(operation, PB_STR("update")) || pb_str_eq(operation, PB_STR("status")) ||
	       pb_str_eq(operation, PB_STR("finalize"));
}

static bool is_counted(const struct settings *s, const struct pb_msg *m)
{
	return !s->direction.n || pb_str_eq(pb_msg_get(m, PB_STR("direction")), s->direction);
}

/* Begins with the first record that has a value; the value may change. */
static enum pb_verdict on_cdr(struct pb_msg *m, struct pb_ctx *cx)
{
	const struct settings *s = cx->settings;
	struct shared *sh = cx->shared;
	struct pb_str chan = pb_msg_get(m, PB_STR("chan")), value = pb_msg_get(m, s->parameter);
	struct call *c = find_call(cx->state, chan);
	bool is_end = pb_str_eq(pb_msg_get(m, PB_STR("operation")), PB_STR("finalize"));

	if (c && is_end)
		end_call(cx->state, sh->counts, c);
	if (is_end || !s->parameter.n || !chan.n || !value.n || !is_counted(s, m) ||
	    (c && pb_str_eq(c->value, value)))
		return PB_PASS;
	if (c)
		end_call(cx->state, sh->counts, c);
	count_call(cx->state, sh->counts, chan, value);
	return PB_PASS;
}

/* ---- Telling: the message's loop ---------------------------------------------------------- */

struct all {
	struct pb_msg *m;
	struct pb_str parameter;
	unsigned left;
};

static bool tell_one(void *arg, struct pb_str value, uint64_t n)
{
	struct all *a = arg;

	pb_msg_set_int(a->m,
		       pb_arena_printf(pb_msg_arena(a->m), "%.*s_count_%.*s",
				       PB_STR_F(a->parameter), PB_STR_F(value)),
		       (int64_t)n);
	return --a->left > 0;
}

static enum pb_verdict on_route(struct pb_msg *m, struct pb_ctx *cx)
{
	const struct settings *s = cx->settings;
	struct shared *sh = cx->shared;
	struct pb_str value = pb_msg_get(m, s->parameter);

	if (!s->parameter.n)
		return PB_PASS;
	if (pb_msg_get_bool(m, PB_STR("allcounters"), s->all))
		counters_each(sh->counts, tell_one, &(struct all){ m, s->parameter, ALL_MAX });
	else if (value.n)
		pb_msg_set_int(
			m, pb_arena_printf(pb_msg_arena(m), "%.*s_count", PB_STR_F(s->parameter)),
			(int64_t)counters_get(sh->counts, value));
	return PB_PASS;
}

/* ---- Status ------------------------------------------------------------------------------- */

struct listing {
	struct pb_status *s;
	struct pb_arena *a;
};

static bool list_one(void *arg, struct pb_str value, uint64_t n)
{
	struct listing *l = arg;

	pb_status_item(l->s, pb_percent(l->a, value), "%llu", (unsigned long long)n);
	return !pb_arena_failed(l->a);
}

static void status(struct pb_ctx *cx, struct pb_status *s)
{
	struct shared *sh = cx->shared;
	struct listing l = { .s = s };

	if (cx->loop != pb_engine_home(cx))
		return;
	pb_status_count(s, "counters", (int64_t)counters_values(sh->counts));
	l.a = pb_status_details(s) ? pb_arena_new(1u << 20) : NULL;
	if (l.a)
		counters_each(sh->counts, list_one, &l);
	pb_arena_free(&l.a);
}

/* ---- Life --------------------------------------------------------------------------------- */

static void remove_handlers(struct pb_ctx *cx)
{
	struct shared *sh = cx->shared;

	for (unsigned i = 0; i < 2; i++)
		if (sh->regs[i])
			pb_bus_remove(cx->bus, &sh->regs[i], NULL, NULL);
}

static int add_handlers(struct pb_ctx *cx)
{
	const struct settings *s = cx->settings;
	struct shared *sh = cx->shared;
	struct pb_handler rows[2] = {
		{ "call.cdr", (unsigned)s->cdr_priority, PB_OWNER, on_cdr, .owner_param = "chan" },
		{ "call.route", (unsigned)s->route_priority, PB_HERE, on_route },
	};
	int err;

	sh->priorities[0] = s->cdr_priority;
	sh->priorities[1] = s->route_priority;
	if (!s->parameter.n)
		return 0;
	err = pb_engine_add_filtered(cx, &rows[0], "operation", is_of_leg, &sh->regs[0]);
	return err ? err : pb_engine_add_handler(cx, &rows[1], &sh->regs[1]);
}

static int start(struct pb_ctx *cx)
{
	struct shared *sh = cx->shared;
	int err = counters_new(&sh->counts);

	if (!err)
		err = add_handlers(cx);
	if (err) {
		remove_handlers(cx);
		counters_free(&sh->counts);
	}
	return err;
}

static enum pb_reload reload(struct pb_ctx *cx, const void *old)
{
	const struct settings *s = cx->settings;
	const struct settings *before = old;
	struct shared *sh = cx->shared;

	if (sh->priorities[0] == s->cdr_priority && sh->priorities[1] == s->route_priority &&
	    !before->parameter.n == !s->parameter.n)
		return PB_RELOAD_OK;
	remove_handlers(cx);
	if (add_handlers(cx))
		pb_log(&log_source, &log_rows[LOG_NO_MEMORY], "nothing is counted: no memory");
	return PB_RELOAD_OK;
}

static void forget_calls(struct pb_ctx *cx)
{
	struct state *st = cx->state;
	struct shared *sh = cx->shared;
	struct pb_map_node *n, *next;

	for (n = pb_map_each(&st->calls, NULL); n; n = next) {
		next = pb_map_each(&st->calls, n);
		end_call(st, sh->counts, pb_container(n, struct call, node));
	}
}

/* What was counted by another parameter, or of another direction, is no count any more. */
static void loop_reload(struct pb_ctx *cx, const void *old)
{
	const struct settings *s = cx->settings;
	const struct settings *before = old;

	if (!pb_str_eq(s->parameter, before->parameter) ||
	    !pb_str_eq(s->direction, before->direction))
		forget_calls(cx);
}

static void loop_stop(struct pb_ctx *cx)
{
	struct state *st = cx->state;

	if (cx->loop == pb_engine_home(cx)) /* the first; the others know it before their turn */
		remove_handlers(cx);
	forget_calls(cx);
	pb_map_fini(&st->calls);
}

static void stop(struct pb_ctx *cx)
{
	struct shared *sh = cx->shared;

	counters_free(&sh->counts);
}

static const struct pb_counter counters[] = {
	{ "counters", "values", "Values that some call has now." },
	{ "Context", NULL, "Value of the parameter." },
	{ "Count", "calls", "Calls of that value." },
	{ NULL },
};

static const struct pb_hears hears[] = {
	{ "call.cdr", 20, "call.cdr", true },
	{ "call.route", 20, "call.route", false },
	{ NULL },
};

static const struct pb_finding_row findings[] = {
	{ "callcounters-101", "Something is set, and no parameter: nothing is counted." },
	{ NULL },
};

PB_MODULE(callcounters) = {
	.abi = PB_MODULE_ABI,
	.name = "callcounters",
	.doc = "Counts calls by a parameter of their records and tells routing.",
	.conf = "callcounters",
	.status_type = "misc",
	.status_format = "Context|Count",
	.settings_size = sizeof(struct settings),
	.loop_state_size = sizeof(struct state),
	.shared_size = sizeof(struct shared),
	.options = options,
	.log = &log_source,
	.read = read_settings,
	.start = start,
	.loop_reload = loop_reload,
	.reload = reload,
	.loop_stop = loop_stop,
	.stop = stop,
	.status = status,
	.counters = counters,
	.hears = hears,
	.findings = findings,
};
