/*
 * A module in both engines that routes the calls, and remembers what the bus
 * said of each of them and of each leg.
 */
#include "calls.h"

#include <stdlib.h>
#include <string.h>

enum { LEGS_MAX = 16384 };

struct leg {
	unsigned number; /* of its call */
	unsigned startups, hangups, finals, late;
};

static struct leg legs[SITE_ENGINES][LEGS_MAX];
struct sight sights[SITE_ENGINES][CALLS_MAX];

void witness_reset(void)
{
	memset(legs, 0, sizeof(legs));
	memset(sights, 0, sizeof(sights));
}

unsigned call_number(struct pb_str user)
{
	uint32_t n;

	return pb_str_to_u32(user, 0, CALLS_MAX - 1, &n) ? CALLS_MAX : n;
}

/* ---- Routing ---------------------------------------------------------------------- */

static struct sight *sight_of(const struct pb_msg *m, const struct pb_ctx *cx)
{
	unsigned n = call_number(pb_msg_get(m, PB_STR("called")));

	return n == CALLS_MAX ? NULL : &sights[site_side(cx)][n];
}

static void once(unsigned *count, const char *what, const struct pb_msg *m, const struct pb_ctx *cx)
{
	if (++*count > 1)
		site_fail("call %.*s: %u times %s in engine %c",
			  PB_STR_F(pb_msg_get(m, PB_STR("called"))), *count, what,
			  'A' + (char)site_side(cx));
}

static enum pb_verdict on_preroute(struct pb_msg *m, struct pb_ctx *cx)
{
	struct sight *s = sight_of(m, cx);

	if (s)
		once(&s->preroutes, "call.preroute", m, cx);
	return PB_PASS;
}

static enum pb_verdict on_route(struct pb_msg *m, struct pb_ctx *cx)
{
	struct sight *s = sight_of(m, cx);
	struct pb_str called = pb_msg_get(m, PB_STR("called"));
	const struct fate *f = s ? fate_of(call_number(called)) : NULL;
	const char *host = "10.0.0.2";
	char to[64];
	int n;

	if (!s)
		return PB_PASS;
	once(&s->routes, "call.route", m, cx);
	if (site_side(cx) == 1) {
		if (f->flags & FATE_UNKNOWN)
			return PB_PASS;
		if (f->flags & FATE_PATIENCE)
			pb_msg_set(m, PB_STR("maxcall"), PB_STR("20000"));
		host = f->flags & FATE_SILENT ? SITE_NOWHERE : "10.0.0.3";
	}
	n = snprintf(to, sizeof(to), "sip/sip:%.*s@%s", PB_STR_F(called), host);
	if (f->hold.span)
		return witness_hold(m, cx, f->hold, pb_str(to, (size_t)n));
	pb_msg_set_retval(m, pb_str(to, (size_t)n));
	return PB_HANDLED;
}

static enum pb_verdict on_execute(struct pb_msg *m, struct pb_ctx *cx)
{
	struct sight *s = sight_of(m, cx);

	if (s)
		once(&s->executes, "call.execute", m, cx);
	return PB_PASS;
}

/* ---- Legs --------------------------------------------------------------------------- */

static struct leg *leg_of(struct pb_str id, const struct pb_ctx *cx)
{
	uint32_t n;

	if (!pb_str_starts(id, PB_STR("sip/")) ||
	    pb_str_to_u32(pb_str_from(id, 4), 0, LEGS_MAX - 1, &n))
		return NULL;
	return &legs[site_side(cx)][n];
}

static void keep(char to[24], struct pb_str id)
{
	snprintf(to, 24, "%.*s", PB_STR_F(id));
}

static enum pb_verdict on_startup(struct pb_msg *m, struct pb_ctx *cx)
{
	struct pb_str id = pb_msg_get(m, PB_STR("id"));
	struct leg *leg = leg_of(id, cx);
	struct sight *s = sight_of(m, cx);

	if (!leg || !s) {
		site_fail("a leg of no call: %.*s", PB_STR_F(id));
		return PB_PASS;
	}
	leg->startups++;
	leg->number = call_number(pb_msg_get(m, PB_STR("called")));
	s->legs++;
	if (pb_str_eq(pb_msg_get(m, PB_STR("direction")), PB_STR("incoming")))
		keep(s->in_id, id);
	else
		keep(s->out_id, id);
	return PB_PASS;
}

static enum pb_verdict on_hangup(struct pb_msg *m, struct pb_ctx *cx)
{
	struct leg *leg = leg_of(pb_msg_get(m, PB_STR("id")), cx);

	if (leg)
		leg->hangups++;
	return PB_PASS;
}

/* What is said of a leg after its end is said too late. */
static enum pb_verdict on_event(struct pb_msg *m, struct pb_ctx *cx)
{
	struct leg *leg = leg_of(pb_msg_get(m, PB_STR("id")), cx);

	if (leg && leg->hangups)
		leg->late++;
	return PB_PASS;
}

static enum pb_verdict on_cdr(struct pb_msg *m, struct pb_ctx *cx)
{
	struct leg *leg = leg_of(pb_msg_get(m, PB_STR("chan")), cx);

	if (leg && pb_str_eq(pb_msg_get(m, PB_STR("operation")), PB_STR("finalize")))
		leg->finals++;
	return PB_PASS;
}

void witness_expect_ended(void)
{
	for (unsigned side = 0; side < SITE_ENGINES; side++) {
		for (unsigned i = 0; i < LEGS_MAX; i++) {
			const struct leg *leg = &legs[side][i];

			if (!leg->startups && !leg->hangups && !leg->finals)
				continue;
			if (leg->startups != 1 || leg->hangups != 1 || leg->finals != 1 ||
			    leg->late)
				site_fail("call %u, %s: leg %u of engine %c has %u startups, %u "
					  "hangups, %u final records, %u messages too late",
					  leg->number, fate_of(leg->number)->name, i,
					  'A' + (char)side, leg->startups, leg->hangups,
					  leg->finals, leg->late);
		}
	}
}

/* ---- The module ----------------------------------------------------------------------- */

static const struct pb_handler handlers[] = {
	{ "call.preroute", 1, .fn = on_preroute }, { "call.route", 100, .fn = on_route },
	{ "call.execute", 1, .fn = on_execute },   { "chan.startup", 1, .fn = on_startup },
	{ "chan.hangup", 1, .fn = on_hangup },     { "call.progress", 1, .fn = on_event },
	{ "call.ringing", 1, .fn = on_event },     { "call.answered", 1, .fn = on_event },
	{ "chan.connected", 1, .fn = on_event },   { "chan.disconnected", 1, .fn = on_event },
	{ "call.cdr", 100, .fn = on_cdr },         { NULL },
};

const struct pb_module witness = {
	.abi = PB_MODULE_ABI,
	.name = "witness",
	.doc = "Routes and counts the simulated calls.",
	.handlers = handlers,
	.start = site_watch,
	.stop = site_unwatch,
};
