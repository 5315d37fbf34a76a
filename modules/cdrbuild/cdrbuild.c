/*
 * Records of legs, built from what is said about them on the bus.
 *
 * A record lives on the loop that owns its channel (the handlers run at the
 * owner of `id`), so nothing is locked; a message that also concerns the other
 * leg posts a note when that leg lives elsewhere. Channels that have hung up are
 * remembered for a while, so that a message that comes late begins no new record.
 */
#include "bus/module.h"

#include <errno.h>
#include <stdatomic.h>

#include "base/alloc.h"
#include "base/map.h"
#include "base/text.h"
#include "cdrbuild/guard.h"
#include "cdrbuild/record.h"

struct settings {
	int resolution; /* enum cdr_resolution */
	int64_t guard_ms, status_interval_s;
	bool updates, status, status_answer, ring_on_progress;
	struct cdr_params params;
	struct cdr_formats formats;
};

struct shared {
	atomic_uint_fast64_t next_number;
	struct pb_str runid;
};

struct state {
	struct pb_ctx *cx; /* this loop's */
	struct pb_map records;
	struct pb_list open; /* records in order of begin */
	struct cdr_guards guards;
};

struct leg {
	struct pb_map_node node;
	struct pb_list in_open;
	struct state *st;
	struct pb_timer status_timer;
	struct cdr cdr;
};

enum { LOG_NO_MEMORY };

static const struct pb_log_row log_rows[] = {
	[LOG_NO_MEMORY] = { "cdrbuild-001", PB_WARN,
			    "A record is lost or incomplete for lack of memory." },
	{ NULL },
};

static PB_LOG_SOURCE(log_source, "cdrbuild", log_rows);

static const char *const resolutions[] = { "sec", "msec", "usec", NULL };

static const struct pb_opt options[] = {
	{ PB_OPT_WORD, "resolution", offsetof(struct settings, resolution), .def = CDR_MSEC,
	  .words = resolutions, .doc = "How fine times are." },
	{ PB_OPT_INT, "guardtime", offsetof(struct settings, guard_ms), .def = 5000, .lo = 0,
	  .hi = 600000, .unit = "ms", .doc = "How long a channel that has hung up is remembered." },
	{ PB_OPT_BOOL, "updates", offsetof(struct settings, updates), .def = 1,
	  .doc = "Send a record at each change, not only the first and the last." },
	{ PB_OPT_BOOL, "status", offsetof(struct settings, status),
	  .doc = "Send records of answered legs at intervals." },
	{ PB_OPT_INT, "status_interval", offsetof(struct settings, status_interval_s), .def = 60,
	  .lo = 0, .hi = 600, .unit = "s", .doc = "The interval, from 60; 0: once." },
	{ PB_OPT_BOOL, "status_answer", offsetof(struct settings, status_answer), .def = 1,
	  .doc = "Send the first of them at the answer." },
	{ PB_OPT_BOOL, "ring_on_progress", offsetof(struct settings, ring_on_progress),
	  .doc = "call.progress counts as ringing, also without a parameter that says so." },
	{ PB_OPT_OTHER, "", .flags = PB_OPT_PREFIX, .section = "parameters",
	  .doc = "Further parameter to copy; yes: a later value replaces an earlier one." },
	{ PB_OPT_STR, "call_start_time", offsetof(struct settings, formats.start),
	  .section = "formatted-timers",
	  .doc = "Format of the start time, for example YYYY-MM-DD HH:mm:SS.uuu UTC." },
	{ PB_OPT_STR, "call_answer_time", offsetof(struct settings, formats.answer),
	  .section = "formatted-timers", .doc = "Format of the answer time." },
	{ PB_OPT_STR, "call_hangup_time", offsetof(struct settings, formats.hangup),
	  .section = "formatted-timers", .doc = "Format of the hangup time." },
	{ PB_OPT_STR, "call_duration", offsetof(struct settings, formats.duration),
	  .section = "formatted-timers", .doc = "Format of the duration, for example HH:mm:SS." },
	{ PB_OPT_END },
};

static int read_settings(const struct pb_conf *c, void *settings, struct pb_arena *a,
			 struct pb_findings *f)
{
	struct settings *s = settings;

	if (s->status_interval_s > 0 && s->status_interval_s < 60)
		s->status_interval_s = 60;
	return cdr_params_read(c, &s->params, a, f);
}

/* ---- Records sent ------------------------------------------------------------------ */

static struct pb_msg *make_record(struct leg *leg, struct pb_str operation)
{
	const struct settings *s = leg->st->cx->settings;
	const struct shared *sh = leg->st->cx->shared;
	struct cdr_style style = { sh->runid, (enum cdr_resolution)s->resolution, &s->formats };
	struct pb_msg *m = pb_msg_new(PB_STR("call.cdr"));

	if (m) {
		pb_msg_set_broadcast(m, true);
		cdr_write(&leg->cdr, m, operation, &style, pb_loop_wall_us(leg->st->cx->loop));
	}
	if (!m || pb_msg_failed(m) || leg->cdr.failed)
		pb_log(&log_source, &log_rows[LOG_NO_MEMORY], "Record of %.*s is %s: no memory",
		       PB_STR_F(leg->cdr.chan), m ? "incomplete" : "lost");
	return m;
}

static void send_record(struct leg *leg, struct pb_str operation)
{
	struct pb_msg *m = make_record(leg, operation);

	leg->cdr.initialized = true;
	if (m)
		pb_bus_enqueue(leg->st->cx->bus, m);
}

static void send_change(struct leg *leg)
{
	const struct settings *s = leg->st->cx->settings;

	if (!leg->cdr.initialized)
		send_record(leg, PB_STR("initialize"));
	else if (s->updates)
		send_record(leg, PB_STR("update"));
}

static void on_status_timer(void *arg)
{
	struct leg *leg = arg;
	const struct settings *s = leg->st->cx->settings;

	send_record(leg, PB_STR("status"));
	if (s->status_interval_s)
		pb_timer_start(leg->st->cx->loop, &leg->status_timer,
			       (uint64_t)s->status_interval_s * 1000);
}

/* An answered leg tells at intervals that it is still there. */
static void start_status(struct leg *leg)
{
	const struct settings *s = leg->st->cx->settings;

	if (!s->status || !leg->cdr.answer_us || pb_timer_active(&leg->status_timer))
		return;
	if (s->status_answer)
		on_status_timer(leg);
	else
		pb_timer_start(leg->st->cx->loop, &leg->status_timer,
			       (uint64_t)(s->status_interval_s ? s->status_interval_s : 60) * 1000);
}

/* ---- Legs ---------------------------------------------------------------------------- */

static struct leg *find_leg(struct state *st, struct pb_str chan)
{
	struct pb_map_node *n = pb_map_first(&st->records, pb_hash(chan));

	for (; n; n = pb_map_next(n)) {
		struct leg *leg = pb_container(n, struct leg, node);

		if (pb_str_eq(leg->cdr.chan, chan))
			return leg;
	}
	return NULL;
}

static void free_leg(struct leg *leg)
{
	pb_timer_stop(&leg->status_timer);
	if (pb_list_linked(&leg->in_open)) {
		pb_map_remove(&leg->st->records, &leg->node);
		pb_list_remove(&leg->in_open);
	}
	cdr_fini(&leg->cdr);
	pb_free(leg);
}

static struct leg *open_leg(struct state *st, struct pb_str chan)
{
	struct shared *sh = st->cx->shared;
	struct leg *leg = pb_alloc_zero(1, sizeof(*leg));

	if (!leg || cdr_init(&leg->cdr, chan, atomic_fetch_add(&sh->next_number, 1) + 1) ||
	    pb_map_add(&st->records, &leg->node, pb_hash(chan))) {
		pb_log(&log_source, &log_rows[LOG_NO_MEMORY], "No record for %.*s: no memory",
		       PB_STR_F(chan));
		if (leg)
			free_leg(leg);
		return NULL;
	}
	leg->st = st;
	pb_timer_init(&leg->status_timer, on_status_timer, leg);
	pb_list_push(&st->open, &leg->in_open);
	return leg;
}

/* ---- Events -------------------------------------------------------------------------- */

static void guard_chan(struct state *st, struct pb_str chan, uint64_t hangup_us, bool reported)
{
	const struct settings *s = st->cx->settings;

	cdr_guards_add(&st->guards, chan, hangup_us, reported, (uint64_t)s->guard_ms);
}

static void finish(struct leg *leg)
{
	send_record(leg, PB_STR("finalize"));
	guard_chan(leg->st, leg->cdr.chan, leg->cdr.hangup_us, true);
	free_leg(leg);
}

/* The first word of a channel that has hung up already: all at once. */
static void report_late(struct state *st, struct cdr_guard *g, enum cdr_event ev,
			const struct pb_msg *m)
{
	const struct settings *s = st->cx->settings;
	struct leg *leg = open_leg(st, g->chan);

	if (!leg)
		return;
	g->reported = true;
	cdr_take(&leg->cdr, &s->params, ev, m);
	cdr_note(&leg->cdr, CDR_HANGUP, g->hangup_us, PB_STR_NULL);
	send_record(leg, PB_STR("finalize"));
	free_leg(leg);
}

static bool begins_record(enum cdr_event ev)
{
	return ev == CDR_STARTUP || ev == CDR_EXECUTE || ev == CDR_ANSWERED;
}

static struct leg *leg_for(struct state *st, struct pb_str chan, enum cdr_event ev,
			   const struct pb_msg *m)
{
	struct leg *leg = find_leg(st, chan);
	struct cdr_guard *g;

	if (leg || !begins_record(ev) || !pb_msg_get_bool(m, PB_STR("cdrcreate"), true))
		return leg;
	g = cdr_guards_find(&st->guards, chan);
	if (!g)
		return open_leg(st, chan);
	if (!g->reported)
		report_late(st, g, ev, m);
	return NULL;
}

static void take(struct state *st, enum cdr_event ev, const struct pb_msg *m)
{
	const struct settings *s = st->cx->settings;
	struct pb_str chan = pb_msg_get(m, PB_STR("id"));
	struct leg *leg;

	if (!chan.n)
		return;
	leg = leg_for(st, chan, ev, m);
	if (!leg) {
		if (ev == CDR_HANGUP && !cdr_guards_find(&st->guards, chan))
			guard_chan(st, chan, pb_msg_time_us(m), false);
		return;
	}
	cdr_take(&leg->cdr, &s->params, ev, m);
	if (ev == CDR_HANGUP) {
		finish(leg);
	} else if (ev != CDR_ROUTE) { /* which only changes what the next one says */
		send_change(leg);
		start_status(leg);
	}
}

/* ---- The other leg ------------------------------------------------------------------- */

static void note_leg(struct state *st, struct pb_str chan, enum cdr_event ev, uint64_t at_us,
		     struct pb_str status)
{
	struct leg *leg = find_leg(st, chan);

	if (!leg)
		return;
	cdr_note(&leg->cdr, ev, at_us, status);
	send_change(leg);
	start_status(leg);
}

/* A note on its way to the loop of the other leg. */
struct note {
	struct pb_work work;
	struct state *st;
	enum cdr_event ev;
	uint64_t at_us;
	struct pb_str chan, status; /* behind the struct */
};

static void note_arrives(void *arg)
{
	struct note *n = arg;

	note_leg(n->st, n->chan, n->ev, n->at_us, n->status);
	pb_free(n);
}

static void send_note(struct state *st, struct pb_loop *to, struct pb_str chan, enum cdr_event ev,
		      const struct pb_msg *m)
{
	struct pb_str status = pb_msg_get(m, PB_STR("status"));
	struct note *n = pb_alloc_zero(1, sizeof(*n) + chan.n + status.n + 1);
	char *at = (char *)(n + 1);

	if (!n)
		return;
	memcpy(at, chan.p, chan.n);
	if (status.n)
		memcpy(at + chan.n, status.p, status.n);
	n->chan = pb_str(at, chan.n);
	n->status = pb_str(at + chan.n, status.n);
	n->st = pb_engine_ctx(st->cx, to)->state;
	n->ev = ev;
	n->at_us = pb_msg_time_us(m);
	n->work = (struct pb_work){ .fn = note_arrives, .arg = n };
	pb_loop_post(to, &n->work);
}

static void tell_other(struct state *st, enum cdr_event ev, const struct pb_msg *m)
{
	struct pb_str chan = pb_msg_get(m, PB_STR("peerid"));
	int owner;

	if (!chan.n)
		chan = pb_msg_get(m, PB_STR("targetid"));
	if (!chan.n)
		return;
	owner = pb_bus_owner_of(st->cx->bus, chan);
	if (owner < 0 || (unsigned)owner == pb_loop_index(st->cx->loop))
		note_leg(st, chan, ev, pb_msg_time_us(m), pb_msg_get(m, PB_STR("status")));
	else
		send_note(st, pb_loops_at(pb_bus_loops(st->cx->bus), (unsigned)owner), chan, ev, m);
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
	tell_other(cx->state, ev, m);
	return PB_PASS;
}

static enum pb_verdict on_progress(struct pb_msg *m, struct pb_ctx *cx)
{
	const struct settings *s = cx->settings;

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
	struct state *st = cx->state;
	struct pb_str id = pb_msg_get(m, PB_STR("id")), reason = pb_msg_get(m, PB_STR("reason"));
	struct leg *leg = NULL;

	if (pb_str_starts(id, PB_STR("cdrbuild/")))
		leg = find_leg(st, pb_str_from(id, 9));
	if (!leg)
		return PB_PASS;
	cdr_set(&leg->cdr, PB_STR("reason"), reason.n ? reason : PB_STR("CDR dropped"));
	cdr_note(&leg->cdr, CDR_HANGUP, pb_loop_wall_us(cx->loop), PB_STR_NULL);
	finish(leg);
	return PB_HANDLED;
}

/* ---- The end of the engine ------------------------------------------------------------ */

/* engine.halt is held until the last records have been through all handlers. */
struct halt {
	struct pb_bus *bus;
	struct pb_token token;
	unsigned left;
	bool held;
};

static void halt_step(struct halt *h)
{
	if (--h->left || !h->held)
		return;
	pb_bus_resume(h->bus, h->token, NULL, PB_PASS);
	pb_free(h);
}

static void last_done(struct pb_msg *m, bool handled, void *arg)
{
	(void)handled;
	pb_msg_free(&m);
	halt_step(arg);
}

static void close_leg(struct leg *leg, struct halt *h)
{
	struct pb_msg *m;

	cdr_set(&leg->cdr, PB_STR("reason"), PB_STR("CDR shutdown"));
	cdr_note(&leg->cdr, CDR_HANGUP, pb_loop_wall_us(leg->st->cx->loop), PB_STR_NULL);
	m = make_record(leg, PB_STR("finalize"));
	guard_chan(leg->st, leg->cdr.chan, leg->cdr.hangup_us, true);
	free_leg(leg);
	if (!m)
		return;
	h->left++;
	pb_bus_dispatch(h->bus, m, NULL, last_done, h);
}

static enum pb_verdict on_halt(struct pb_msg *m, struct pb_ctx *cx)
{
	struct state *st = cx->state;
	struct halt *h;

	if (pb_list_empty(&st->open))
		return PB_PASS;
	h = pb_alloc_zero(1, sizeof(*h));
	if (!h)
		return PB_PASS;
	h->bus = cx->bus;
	h->left = 1;
	while (!pb_list_empty(&st->open))
		close_leg(pb_container(st->open.next, struct leg, in_open), h);
	if (--h->left == 0) {
		pb_free(h);
		return PB_PASS;
	}
	h->token = pb_bus_hold(m, &(struct pb_hold){ 0 });
	h->held = true;
	return PB_HOLD;
}

/* ---- Status -------------------------------------------------------------------------- */

/* Separators of the status grammar, blanks and controls as %XX. */
static struct pb_str escape(struct pb_arena *a, struct pb_str s)
{
	struct pb_text t;
	struct pb_str out;

	pb_text_init(&t, 4096);
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c <= ' ' || c == 0x7f || strchr("%,;|+?&", c))
			pb_text_addf(&t, "%%%02X", c);
		else
			pb_text_addc(&t, (char)c);
	}
	out = pb_arena_str(a, pb_text_str(&t));
	pb_text_fini(&t);
	return out;
}

static void status_leg(struct pb_status *s, const struct leg *leg, struct pb_arena *a)
{
	const struct cdr *r = &leg->cdr;
	uint64_t us = cdr_duration_us(r, pb_loop_wall_us(leg->st->cx->loop));

	pb_status_item(s, r->chan, "%.*s|%.*s|%.*s|%.*s|%llu", PB_STR_F(escape(a, r->status)),
		       PB_STR_F(escape(a, cdr_get(r, PB_STR("caller")))),
		       PB_STR_F(escape(a, cdr_get(r, PB_STR("called")))),
		       PB_STR_F(escape(a, cdr_get(r, PB_STR("billid")))),
		       (unsigned long long)(us / 1000000));
}

static void status(struct pb_ctx *cx, struct pb_status *s)
{
	struct state *st = cx->state;
	struct pb_arena *a;

	pb_status_count(s, "cdrs", (int64_t)st->records.count);
	pb_status_count(s, "hungup", (int64_t)st->guards.by_chan.count);
	a = pb_status_details(s) ? pb_arena_new(1u << 20) : NULL;
	if (!a)
		return;
	pb_list_each(it, &st->open) status_leg(s, pb_container(it, struct leg, in_open), a);
	pb_arena_free(&a);
}

/* ---- Life ---------------------------------------------------------------------------- */

static int start(struct pb_ctx *cx)
{
	struct shared *sh = cx->shared;

	sh->runid = pb_engine_run_param(pb_engine_of(cx), PB_STR("runid"));
	return 0;
}

static int loop_start(struct pb_ctx *cx)
{
	struct state *st = cx->state;

	st->cx = pb_engine_ctx(cx, cx->loop);
	pb_list_init(&st->open);
	cdr_guards_init(&st->guards, cx->loop);
	return 0;
}

static void loop_stop(struct pb_ctx *cx)
{
	struct state *st = cx->state;

	if (!st->cx)
		return;
	while (!pb_list_empty(&st->open))
		free_leg(pb_container(st->open.next, struct leg, in_open));
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
	{ "engine.halt", 150, PB_EACH, on_halt },
	{ NULL },
};

PB_MODULE(cdrbuild) = {
	.abi = PB_MODULE_ABI,
	.name = "cdrbuild",
	.doc = "Builds a call detail record of each leg and sends it as call.cdr.",
	.conf = "cdrbuild",
	.status_type = "cdr",
	.status_format = "Status|Caller|Called|BillId|Duration",
	.settings_size = sizeof(struct settings),
	.loop_state_size = sizeof(struct state),
	.shared_size = sizeof(struct shared),
	.options = options,
	.handlers = handlers,
	.log = &log_source,
	.read = read_settings,
	.start = start,
	.loop_start = loop_start,
	.loop_stop = loop_stop,
	.status = status,
};
