/*
 * Records of legs, built from what is said about them on the bus.
 *
 * A record lives on the loop that owns its channel (the handlers run at the
 * owner of `id`), so nothing is locked; a message that also concerns the other
 * leg posts a note when that leg lives elsewhere. Channels that have hung up are
 * remembered for a while, so that a message that comes late begins no new record.
 */
#include "cdrbuild/cdrbuild.h"

#include "cdrbuild/leg.h"
#include "cdrbuild/other.h"

/* ---- Events -------------------------------------------------------------------------- */

/* The first word of a channel that has hung up already: all at once. */
static void report_late(struct cdr_state *st, struct cdr_guard *g, enum cdr_event ev,
			const struct pb_msg *m)
{
	const struct cdr_settings *s = st->cx->settings;
	struct cdr_leg *leg = cdr_leg_open(st, g->chan);

	if (!leg)
		return;
	g->reported = true;
	cdr_take(&leg->cdr, &s->params, ev, m);
	cdr_note(&leg->cdr, CDR_HANGUP, g->hangup_us, PB_STR_NULL);
	cdr_leg_send(leg, PB_STR("finalize"));
	cdr_leg_free(leg);
}

static bool begins_record(enum cdr_event ev)
{
	return ev == CDR_STARTUP || ev == CDR_EXECUTE || ev == CDR_ANSWERED;
}

static struct cdr_leg *leg_for(struct cdr_state *st, struct pb_str chan, enum cdr_event ev,
			       const struct pb_msg *m)
{
	struct cdr_leg *leg = cdr_leg_find(st, chan);
	struct cdr_guard *g;

	if (leg || !begins_record(ev) || !pb_msg_get_bool(m, PB_STR("cdrcreate"), true))
		return leg;
	g = cdr_guards_find(&st->guards, chan);
	if (!g)
		return cdr_leg_open(st, chan);
	if (!g->reported)
		report_late(st, g, ev, m);
	return NULL;
}

static void take(struct cdr_state *st, enum cdr_event ev, const struct pb_msg *m)
{
	const struct cdr_settings *s = st->cx->settings;
	struct pb_str chan = pb_msg_get(m, PB_STR("id"));
	struct cdr_leg *leg;

	if (!chan.n)
		return;
	leg = leg_for(st, chan, ev, m);
	if (!leg) {
		if (ev == CDR_HANGUP && !cdr_guards_find(&st->guards, chan))
			cdr_guards_add(&st->guards, chan, pb_msg_time_us(m), false,
				       (uint64_t)s->guard_ms);
		return;
	}
	cdr_take(&leg->cdr, &s->params, ev, m);
	if (ev == CDR_HANGUP)
		cdr_leg_finish(leg);
	else if (ev != CDR_ROUTE) /* which only changes what the next one says */
		cdr_leg_changed(leg);
}

/* ---- Handlers ------------------------------------------------------------------------ */

static bool is_tracked(const struct pb_msg *m)
{
	return pb_msg_get_bool(m, PB_STR("cdrtrack"), true);
}

static enum pb_verdict on_event(struct pb_msg *m, struct pb_ctx *cx, enum cdr_event ev)
{
	if (is_tracked(m))
		take(cx->state, ev, m);
	return PB_PASS;
}

static enum pb_verdict on_startup(struct pb_msg *m, struct pb_ctx *cx)
{
	return on_event(m, cx, CDR_STARTUP);
}

static enum pb_verdict on_route(struct pb_msg *m, struct pb_ctx *cx)
{
	return on_event(m, cx, CDR_ROUTE);
}

static enum pb_verdict on_execute(struct pb_msg *m, struct pb_ctx *cx)
{
	return on_event(m, cx, CDR_EXECUTE);
}

static enum pb_verdict on_hangup(struct pb_msg *m, struct pb_ctx *cx)
{
	return on_event(m, cx, CDR_HANGUP);
}

static enum pb_verdict on_both(struct pb_msg *m, struct pb_ctx *cx, enum cdr_event ev)
{
	if (!is_tracked(m))
		return PB_PASS;
	take(cx->state, ev, m);
	cdr_other_tell(cx->state, ev, m);
	return PB_PASS;
}

static enum pb_verdict on_progress(struct pb_msg *m, struct pb_ctx *cx)
{
	const struct cdr_settings *s = cx->settings;

	if (!pb_msg_get_bool(m, PB_STR("earlymedia"), false) &&
	    !pb_msg_get_bool(m, PB_STR("ringing"), s->ring_on_progress))
		return PB_PASS;
	return on_both(m, cx, CDR_RINGING);
}

static enum pb_verdict on_ringing(struct pb_msg *m, struct pb_ctx *cx)
{
	return on_both(m, cx, CDR_RINGING);
}

static enum pb_verdict on_answered(struct pb_msg *m, struct pb_ctx *cx)
{
	return on_both(m, cx, CDR_ANSWERED);
}

static enum pb_verdict on_update(struct pb_msg *m, struct pb_ctx *cx)
{
	struct pb_str operation = pb_msg_get(m, PB_STR("operation"));
	bool ours = !operation.n || pb_str_eq(operation, PB_STR("cdrbuild"));

	if (pb_msg_get_bool(m, PB_STR("cdrtrack"), ours))
		take(cx->state, CDR_UPDATE, m);
	return PB_PASS;
}

/* call.drop id=cdrbuild/CHANNEL closes a record, not the channel. */
static enum pb_verdict on_drop(struct pb_msg *m, struct pb_ctx *cx)
{
	struct cdr_state *st = cx->state;
	struct pb_str id = pb_msg_get(m, PB_STR("id")), reason = pb_msg_get(m, PB_STR("reason"));
	struct cdr_leg *leg = NULL;

	if (pb_str_starts(id, PB_STR("cdrbuild/")))
		leg = cdr_leg_find(st, pb_str_from(id, 9));
	if (!leg)
		return PB_PASS;
	cdr_set(&leg->cdr, PB_STR("reason"), reason.n ? reason : PB_STR("CDR dropped"));
	cdr_note(&leg->cdr, CDR_HANGUP, pb_loop_wall_us(cx->loop), PB_STR_NULL);
	cdr_leg_finish(leg);
	return PB_HANDLED;
}

/* ---- Life ---------------------------------------------------------------------------- */

static int start(struct pb_ctx *cx)
{
	struct cdr_shared *sh = cx->shared;

	sh->runid = pb_engine_run_param(pb_engine_of(cx), PB_STR("runid"));
	return 0;
}

static int loop_start(struct pb_ctx *cx)
{
	struct cdr_state *st = cx->state;

	st->cx = pb_engine_ctx(cx, cx->loop);
	pb_list_init(&st->open);
	cdr_guards_init(&st->guards, cx->loop);
	return 0;
}

static void loop_stop(struct pb_ctx *cx)
{
	struct cdr_state *st = cx->state;

	if (!st->cx)
		return;
	while (!pb_list_empty(&st->open))
		cdr_leg_free(pb_container(st->open.next, struct cdr_leg, in_open));
	pb_map_fini(&st->records);
	cdr_guards_fini(&st->guards);
}

#define AT_OWNER(name, prio, handler)                                                              \
	{                                                                                          \
		name, prio, PB_OWNER, handler, .owner_param = "id"                                 \
	}

static const struct pb_handler handlers[] = {
	AT_OWNER("chan.startup", 50, on_startup),
	AT_OWNER("call.route", 50, on_route),
	AT_OWNER("call.execute", 50, on_execute),
	AT_OWNER("call.progress", 50, on_progress),
	AT_OWNER("call.ringing", 50, on_ringing),
	AT_OWNER("call.answered", 50, on_answered),
	AT_OWNER("call.update", 50, on_update),
	AT_OWNER("chan.hangup", 150, on_hangup),
	{ "call.drop", 50, PB_OWNER, on_drop, .owner_param = "id", .owner_prefix = "cdrbuild/" },
	{ "engine.halt", 150, PB_EACH, cdr_on_halt },
	{ NULL },
};

static const struct pb_counter counters[] = {
	{ "cdrs", "legs", "Legs whose record is being built." },
	{ "hungup", "channels", "Channels that have hung up and are remembered for guardtime." },
	{ "Status", NULL, "State of the leg." },
	{ "Caller", NULL, "Who calls." },
	{ "Called", NULL, "Who is called." },
	{ "BillId", NULL, "What the legs of a call have in common." },
	{ "Duration", "s", "How long the leg has lasted." },
	{ NULL },
};

/* And the parameters that the file names. */
static const struct pb_sends sends[] = {
	{ "call.cdr",
	  "time chan cdrid runid operation direction duration billtime ringtime status trace_id "
	  "call_start_time call_answer_time call_hangup_time call_duration external cdrwrite "
	  "billid reason address caller called calledfull username" },
	{ NULL },
};

static const struct pb_finding_row findings[] = {
	{ "cdrbuild-101", "A value of [parameters] is not yes or no: no is used." },
	{ "cdrbuild-102", "[parameters] names what cdrbuild makes itself: it is not copied." },
	{ "cdrbuild-103", "status_interval is between 1 and 59: 60 is used." },
	{ NULL },
};

PB_MODULE(cdrbuild) = {
	.abi = PB_MODULE_ABI,
	.name = "cdrbuild",
	.doc = "Builds a call detail record of each leg and sends it as call.cdr.",
	.conf = "cdrbuild",
	.status_type = "cdr",
	.status_format = "Status|Caller|Called|BillId|Duration",
	.settings_size = sizeof(struct cdr_settings),
	.loop_state_size = sizeof(struct cdr_state),
	.shared_size = sizeof(struct cdr_shared),
	.options = cdr_options,
	.handlers = handlers,
	.log = &cdr_log,
	.read = cdr_settings_read,
	.start = start,
	.loop_start = loop_start,
	.loop_stop = loop_stop,
	.status = cdr_status,
	.counters = counters,
	.sends = sends,
	.findings = findings,
};
