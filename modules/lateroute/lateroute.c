/*
 * lateroute: find the target of a call or message when it is about to be
 * executed.
 *
 * A call.execute or msg.execute to "lateroute/234" becomes a question, "where is
 * 234?", put to the routing modules as a copy of the message under another name.
 * The message itself is held while they think; their answer comes back as a
 * patch with the new target, and the walk goes on to whoever executes that.
 *
 * Messages ask msg.route when somebody listens to it, so that texts can be
 * routed by rules of their own; else, and for calls always, call.route.
 */
#include <errno.h>

#include "base/alloc.h"
#include "base/pattern.h"
#include "bus/module.h"

/* The message's own limit applies; the modules that route have theirs. */
#define HOLD_MS 60000

struct settings {
	struct pb_str types, regexp, called, call_type, msg_type;
	int64_t priority;
	bool enabled;
	const struct pb_pattern *pattern; /* of `regexp` */
};

struct shared {
	struct pb_reg *regs[2]; /* home loop only */
	int64_t priority;
};

/* One question. */
struct late {
	struct pb_ctx *cx;                  /* of this loop, for as long as the module lives */
	struct pb_str name, retval, callto; /* as they were; in `arena` */
	struct pb_arena *arena;
	struct pb_questions asked;
	struct pb_msg *answer; /* the copy, when it has been walked */
	bool routed, parked;
	struct pb_token token;
};

enum { LATE_ROUTED, LATE_NO_HANDLER };
static const struct pb_log_row rows[] = {
	[LATE_ROUTED] = { "lateroute-001", PB_INFO,
			  "A late target was found: as asked for, as found." },
	[LATE_NO_HANDLER] = { "lateroute-002", PB_WARN, "A handler could not be made for want of memory." },
	{ NULL },
};
/* Users know the first line without a facility. */
static PB_LOG_SOURCE(plain_log, "", rows);
static PB_LOG_SOURCE(lateroute_log, "lateroute", rows);

#define AT(field) offsetof(struct settings, field)
static const struct pb_opt options[] = {
	{ PB_OPT_BOOL, "enabled", AT(enabled), .def = 1, .doc = "Whether to route late at all." },
	{ PB_OPT_INT, "priority", AT(priority), .def = 75, .lo = 1, .hi = INT32_MAX,
	  .doc = "Priority of the handlers; lower than those that execute." },
	{ PB_OPT_STR, "types", AT(types), .defs = "lateroute,route,pstn,voice",
	  .doc = "Targets TYPE/NUMBER that are routed late." },
	{ PB_OPT_STR, "regexp", AT(regexp), .defs = "",
	  .doc = "Older form, when types is empty: expression on the target." },
	{ PB_OPT_STR, "called", AT(called), .defs = "\\0",
	  .doc = "With regexp: the number, from its groups." },
	{ PB_OPT_STR, "call.execute", AT(call_type), .defs = "call", .section = "route type",
	  .doc = "Parameter route_type of late routed calls." },
	{ PB_OPT_STR, "msg.execute", AT(msg_type), .defs = "msg", .section = "route type",
	  .doc = "TYPE.route is asked for late routed messages." },
	{ PB_OPT_END },
};

/* ---- The question ---------------------------------------------------------- */

/* The number in "TYPE/NUMBER", or by the expression; absent: not ours. */
static struct pb_str number_of(const struct settings *s, struct pb_str callto, struct pb_arena *a)
{
	struct pb_str list = s->types, type, rest = callto, head;
	struct pb_captures c;

	if (!s->types.n) {
		if (!s->pattern || !pb_pattern_match(s->pattern, callto, &c))
			return PB_STR_NULL;
		return pb_captures_expand(&c, s->called, a);
	}
	pb_str_cut(&rest, '/', &head);
	while (rest.n && pb_str_cut(&list, ',', &type))
		if (head.n && pb_str_eq(pb_str_trim(type), head))
			return rest;
	return PB_STR_NULL;
}

struct search {
	struct pb_str message;
	bool found;
};

static bool look(void *arg, const struct pb_handler_row *r)
{
	struct search *s = arg;

	s->found = pb_str_eq(r->message, s->message);
	return !s->found;
}

/* Turn the copy into the question. */
static void ask_as(struct pb_msg *q, struct pb_bus *bus, struct pb_str type, struct pb_str called)
{
	struct search s = { .message = pb_arena_printf(pb_msg_arena(q), "%.*s.route",
						       PB_STR_F(type)) };
	bool is_call = pb_str_eq(s.message, PB_STR("call.route"));

	pb_msg_clear(q, PB_STR("callto"));
	pb_msg_set(q, PB_STR("called"), called);
	pb_msg_set_retval(q, PB_STR(""));
	if (!is_call)
		pb_bus_handlers(bus, look, &s);
	if (s.found) {
		pb_msg_set_name(q, s.message);
		return;
	}
	if (!pb_msg_has(q, PB_STR("route_type")))
		pb_msg_set(q, PB_STR("route_type"), type);
	pb_msg_set_name(q, PB_STR("call.route"));
}

/* ---- The answer --------------------------------------------------------------- */

static bool is_target(const struct late *l, struct pb_str to)
{
	return to.n && !pb_str_eq(to, PB_STR("-")) && !pb_str_eq(to, PB_STR("error")) &&
	       !pb_str_eq(to, l->callto);
}

/* Make the answer what the message shall be. False: nothing was found. */
static bool take_answer(struct late *l)
{
	struct pb_str to = pb_str_trim(pb_msg_retval(l->answer));

	if (!l->routed || !is_target(l, to))
		return false;
	pb_log(&plain_log, &rows[LATE_ROUTED], "Late routing call to '%.*s' via '%.*s'",
	       PB_STR_F(l->callto), PB_STR_F(to));
	pb_msg_set(l->answer, PB_STR("callto"), to);
	pb_msg_set_retval(l->answer, l->retval);
	pb_msg_set_name(l->answer, l->name);
	return !pb_msg_failed(l->answer);
}

/* Why there is no target is worth knowing: whoever asked tells the caller. */
static const struct pb_str kept[] = { PB_STR_INIT("error"), PB_STR_INIT("reason") };

static void copy_all(struct pb_msg *to, const struct pb_msg *from)
{
	while (pb_msg_count(to))
		pb_msg_clear(to, pb_msg_at(to, pb_msg_count(to) - 1)->name);
	for (size_t i = 0; i < pb_msg_count(from); i++)
		pb_msg_add(to, pb_msg_at(from, i)->name, pb_msg_at(from, i)->value);
}

static void apply(struct late *l, struct pb_msg *m)
{
	if (take_answer(l)) {
		copy_all(m, l->answer);
		return;
	}
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (pb_msg_has(l->answer, kept[i]))
			pb_msg_set(m, kept[i], pb_msg_get(l->answer, kept[i]));
}

static struct pb_patch *patch_of(struct late *l)
{
	struct pb_patch *p = pb_patch_new();

	if (!p)
		return NULL;
	if (take_answer(l)) {
		pb_patch_replace(p, &l->answer);
		return p;
	}
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (pb_msg_has(l->answer, kept[i]))
			pb_patch_set(p, kept[i], pb_msg_get(l->answer, kept[i]));
	return p;
}

/* ---- Asking --------------------------------------------------------------------- */

static void late_free(struct late *l)
{
	struct pb_arena *a = l->arena; /* it lies inside */

	pb_questions_cancel(&l->asked);
	pb_msg_free(&l->answer);
	pb_arena_free(&a);
}

static struct late *late_new(const struct pb_msg *m, struct pb_ctx *cx)
{
	struct pb_arena *a = pb_arena_new(64u << 10);
	struct late *l = a ? pb_arena_alloc(a, sizeof(*l)) : NULL;

	if (!l)
		return NULL;
	l->arena = a;
	l->cx = pb_engine_ctx(cx, cx->loop);
	pb_questions_init(&l->asked);
	l->name = pb_arena_str(a, pb_msg_name(m));
	l->retval = pb_arena_str(a, pb_msg_retval(m));
	l->callto = pb_arena_str(a, pb_msg_get(m, PB_STR("callto")));
	if (pb_arena_failed(a))
		pb_arena_free(&a);
	return a ? l : NULL;
}

static void routed(struct pb_msg *m, bool handled, void *arg)
{
	struct late *l = arg;
	struct pb_bus *bus = l->cx->bus;
	struct pb_token token = l->token;
	struct pb_patch *patch;

	l->answer = m;
	l->routed = handled;
	if (!l->parked)
		return; /* still inside the handler */
	patch = patch_of(l);
	late_free(l);
	pb_bus_resume(bus, token, patch, PB_PASS);
}

static void expired(void *arg)
{
	late_free(arg);
}

static enum pb_verdict wait_for(struct late *l, struct pb_msg *m)
{
	struct pb_hold h = { .limit_ms = HOLD_MS, .expired = expired, .arg = l };

	l->token = pb_bus_hold(m, &h);
	if (!l->token.gen) {
		late_free(l);
		return PB_PASS;
	}
	l->parked = true;
	return PB_HOLD;
}

static enum pb_verdict route(struct pb_msg *m, struct pb_ctx *cx, struct pb_str type)
{
	const struct settings *s = cx->settings;
	struct pb_str callto = pb_msg_get(m, PB_STR("callto")), called;
	struct pb_msg *q;
	struct late *l;

	if (!s->enabled || !callto.n || !pb_msg_get_bool(m, PB_STR("lateroute"), true))
		return PB_PASS;
	called = number_of(s, callto, pb_msg_arena(m));
	if (!called.p)
		return PB_PASS;
	q = pb_msg_copy(m);
	l = q ? late_new(m, cx) : NULL;
	if (!l) {
		pb_msg_free(&q);
		return PB_PASS;
	}
	ask_as(q, cx->bus, type, called);
	pb_bus_dispatch(cx->bus, q, &l->asked, routed, l);
	if (!l->answer)
		return wait_for(l, m);
	apply(l, m);
	late_free(l);
	return PB_PASS;
}

static enum pb_verdict on_call(struct pb_msg *m, struct pb_ctx *cx)
{
	return route(m, cx, ((const struct settings *)cx->settings)->call_type);
}

static enum pb_verdict on_msg(struct pb_msg *m, struct pb_ctx *cx)
{
	return route(m, cx, ((const struct settings *)cx->settings)->msg_type);
}

/* ---- The module ------------------------------------------------------------------- */

static int read(const struct pb_conf *c, void *settings, struct pb_arena *a, struct pb_findings *f)
{
	const struct pb_conf_section *g = pb_conf_section(c, PB_STR("general"));
	const struct pb_conf_entry *e = g ? pb_conf_find(g, PB_STR("regexp")) : NULL;
	struct pb_str why = PB_STR_NULL;
	struct settings *s = settings;
	int err;

	if (!s->regexp.n)
		return 0;
	err = pb_pattern_new(s->regexp, 0, a, &s->pattern, &why);
	if (err == -EINVAL && e)
		pb_findings_add(f, e->value_at, PB_SEV_ERROR, "lateroute-101",
				"bad expression '%.*s': %.*s", PB_STR_F(s->regexp), PB_STR_F(why));
	return err == -EINVAL ? 0 : err;
}

static void remove_handlers(struct pb_ctx *cx)
{
	struct shared *sh = cx->shared;

	for (size_t i = 0; i < 2; i++)
		if (sh->regs[i])
			pb_bus_remove(cx->bus, &sh->regs[i], NULL, NULL);
}

static int add_handlers(struct pb_ctx *cx)
{
	static const struct {
		const char *message;
		pb_handle_fn fn;
	} heard[] = { { "call.execute", on_call }, { "msg.execute", on_msg } };
	const struct settings *s = cx->settings;
	struct shared *sh = cx->shared;
	int err = 0;

	pb_log_register(&plain_log);
	sh->priority = s->priority;
	for (size_t i = 0; i < 2 && !err; i++) {
		struct pb_handler row = { heard[i].message, (unsigned)s->priority, PB_HERE,
					  heard[i].fn };

		err = pb_engine_add_handler(cx, &row, &sh->regs[i]);
	}
	return err;
}

static enum pb_reload reload(struct pb_ctx *cx, const void *old)
{
	const struct settings *s = cx->settings;
	const struct shared *sh = cx->shared;

	if (sh->priority == s->priority)
		return PB_RELOAD_OK;
	remove_handlers(cx);
	if (add_handlers(cx))
		pb_log(&lateroute_log, &rows[LATE_NO_HANDLER], "no memory for a handler");
	return PB_RELOAD_OK;
}

static const struct pb_sends sends[] = {
	{ "call.route", "called route_type" },
	{ "msg.route", "called" },
	{ "call.execute", "callto error reason", .answers = true },
	{ "msg.execute", "callto error reason", .answers = true },
	{ NULL },
};

static const struct pb_hears hears[] = {
	{ "call.execute", 75, "priority", true },
	{ "msg.execute", 75, "priority", true },
	{ NULL },
};

static const struct pb_finding_row findings[] = {
	{ "lateroute-101", "regexp is no regular expression." },
	{ NULL },
};

PB_MODULE(lateroute) = {
	.abi = PB_MODULE_ABI,
	.name = "lateroute",
	.stoppable = true,
	.doc = "Finds the target of calls and messages when they are executed.",
	.aliases = "lateroute",
	.conf = "lateroute",
	.settings_size = sizeof(struct settings),
	.shared_size = sizeof(struct shared),
	.options = options,
	.log = &lateroute_log,
	.read = read,
	.start = add_handlers,
	.reload = reload,
	.stop = remove_handlers,
	.sends = sends,
	.hears = hears,
	.findings = findings,
};
