/*
 * What every driver hears on the bus: the handlers that are the same for all,
 * and the counts and lines of status.
 *
 * Each handler's row says by which parameter the channel is named; the bus
 * carries the message to the loop in that id, so a channel found here is ours.
 */
#include "call/call_impl.h"

#include <errno.h>

#include "base/text.h"

enum { ENDING, ENDED };
static const struct pb_log_row call_rows[] = {
	[ENDING] = { "call-001", PB_NOTE, "Channels of a driver end because the engine stops." },
	[ENDED] = { "call-002", PB_CALL, "A channel ends because the engine stops." },
	{ NULL },
};
static PB_LOG_SOURCE(call_log, "call", call_rows);

int pb_driver_new(const struct pb_ctx *cx, const char *prefix, const struct pb_chan_ops *ops, struct pb_driver **out)
{
	struct pb_driver *d = pb_alloc_zero(1, sizeof(*d));

	*out = NULL;
	if (!d)
		return -ENOMEM;
	d->cx = *cx;
	d->calls = pbi_calls_of(cx);
	d->ops = ops;
	d->prefix = pb_str_z(prefix);
	d->name = pb_str_head(d->prefix, d->prefix.n - 1);
	pb_list_init(&d->chans);
	if (!d->calls) {
		pb_free(d);
		return -ENOMEM;
	}
	d->calls->drivers++;
	pb_log_register(&call_log);
	pb_driver_limits(d, 0, 0, 0);
	*out = d;
	return 0;
}

void pb_driver_free(struct pb_driver **dp)
{
	struct pb_driver *d = *dp;
	struct pbi_calls *k;

	if (!d)
		return;
	*dp = NULL;
	pb_assert(pb_list_empty(&d->chans));
	k = d->calls;
	if (!--k->drivers) {
		pb_map_fini(&k->ids);
		pb_free(k->slots);
		pb_loop_set_data(k->loop, NULL);
		pb_free(k);
	}
	pb_free(d);
}

/* Each loop has its part of a limit, rounded up. */
static unsigned share_of(unsigned limit, unsigned loops)
{
	return (limit + loops - 1) / loops;
}

void pb_driver_limits(struct pb_driver *d, unsigned max_chans, unsigned max_routing, unsigned timeout_ms)
{
	struct pb_telephony all = pb_engine_telephony(pb_engine_of(&d->cx));
	unsigned loops = d->calls->loops;

	d->max_chans = max_chans ? max_chans : share_of(all.max_chans, loops);
	d->max_routing = max_routing ? max_routing : share_of(all.max_routing, loops);
	d->timeout_ms = timeout_ms ? timeout_ms : all.timeout_ms;
}

const struct pb_driver_counts *pb_driver_counts(const struct pb_driver *d)
{
	return &d->counts;
}

struct pb_ctx *pb_driver_ctx(const struct pb_driver *d)
{
	return (struct pb_ctx *)(uintptr_t)&d->cx;
}

bool pb_driver_accepts(const struct pb_driver *d)
{
	if (d->max_chans && d->counts.chans >= d->max_chans)
		return false;
	return !d->max_routing || d->counts.routing < d->max_routing;
}

bool pb_driver_takes(const struct pb_driver *d)
{
	return pb_engine_accept(pb_engine_of(&d->cx)) < PB_ACCEPT_CONGESTION && pb_driver_accepts(d);
}

void pb_driver_drop_all(struct pb_driver *d, struct pb_str reason, struct pb_msg *m)
{
	/* A drop may end the joined leg too: begin again each time. */
	size_t n = d->counts.chans;

	while (n-- && !pb_list_empty(&d->chans)) {
		struct pb_list *first = d->chans.next;
		struct pb_chan *c = pb_container(first, struct pb_chan, node);
		struct pb_handle h = c->handle;

		d->ops->drop(c, reason, m);
		if (pb_chan_get(h)) { /* goes on ending: look at the others first */
			pb_list_remove(&c->node);
			pb_list_push(&d->chans, &c->node);
		}
	}
}

/* ---- Status ------------------------------------------------------------------------ */

/* Separators of the status grammar never come out of a value. */
static void add_shown(struct pb_text *t, struct pb_str s)
{
	static const char special[] = ",;| +?&%";

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c < 0x20 || strchr(special, c)) {
			pb_text_addc(t, '%');
			pb_text_add_hex(t, &c, 1);
		} else {
			pb_text_addc(t, (char)c);
		}
	}
}

void pb_driver_status(struct pb_driver *d, struct pb_status *s)
{
	pb_status_count(s, "routed", (int64_t)d->counts.routed);
	pb_status_count(s, "routing", d->counts.routing);
	pb_status_count(s, "total", (int64_t)d->counts.total);
	pb_status_count(s, "chans", d->counts.chans);
	if (!pb_status_details(s))
		return;
	pb_list_each(n, &d->chans) {
		const struct pb_chan *c = pb_container(n, struct pb_chan, node);
		struct pb_str peer = c->peer ? c->peer->id : PB_STR("");
		struct pb_text t;

		pb_text_init(&t, 4096);
		add_shown(&t, c->address);
		pb_status_item(s, c->id, "%.*s|%.*s|%.*s", PB_STR_F(c->status), PB_STR_F(pb_text_str(&t)),
			       PB_STR_F(peer));
		pb_text_fini(&t);
	}
}

static uint64_t seconds_left(const struct pb_chan *c, const struct pb_timer *t)
{
	uint64_t now = pb_loop_now_ms(c->driver->cx.loop);

	return t->due_ms > now ? (t->due_ms - now) / 1000 : 0;
}

static void add_limit(struct pb_text *t, const struct pb_chan *c, const char *name, const struct pb_timer *timer)
{
	if (pb_timer_active(timer))
		pb_text_addf(t, ",%s=%llu", name, (unsigned long long)seconds_left(c, timer));
}

void pb_driver_status_chan(struct pb_driver *d, struct pb_status *s, struct pb_str id)
{
	struct pb_chan *c = pb_chan_find(id);
	struct pb_text t;

	if (!c || c->driver != d)
		return;
	pb_text_init(&t, 8192);
	pb_text_addf(&t, "name=%.*s,type=channel;module=%.*s", PB_STR_F(c->id), PB_STR_F(d->name));
	if (c->peer)
		pb_text_addf(&t, ",peerid=%.*s", PB_STR_F(c->peer->id));
	pb_text_addf(&t, ",status=%.*s,direction=%s,answered=%s,targetid=%.*s,address=", PB_STR_F(c->status),
		     c->outgoing ? "outgoing" : "incoming", c->answered ? "true" : "false", PB_STR_F(c->targetid));
	add_shown(&t, c->address);
	pb_text_addf(&t, ",billid=%.*s", PB_STR_F(c->billid));
	add_limit(&t, c, "timeout", &c->timeout);
	add_limit(&t, c, "maxcall", &c->maxcall);
	pb_status_line(s, pb_text_str(&t));
	pb_text_fini(&t);
}

/* ---- Handlers -------------------------------------------------------------------------- */

/* A module's loop state begins with its driver. */
static struct pb_driver *driver_of(const struct pb_ctx *cx)
{
	return cx->state ? *(struct pb_driver **)cx->state : NULL;
}

static struct pb_chan *named(const struct pb_ctx *cx, const struct pb_msg *m, struct pb_str param)
{
	struct pb_driver *d = driver_of(cx);
	struct pb_chan *c = d ? pb_chan_find(pb_msg_get(m, param)) : NULL;

	return c && c->driver == d ? c : NULL;
}

/* By peerid when that is one of ours, else by targetid. */
static struct pb_chan *addressed(const struct pb_ctx *cx, const struct pb_msg *m)
{
	struct pb_chan *c = named(cx, m, PB_STR("peerid"));

	return c ? c : named(cx, m, PB_STR("targetid"));
}

static enum pb_verdict on_masquerade(struct pb_msg *m, struct pb_ctx *cx)
{
	struct pb_chan *c = named(cx, m, PB_STR("id"));
	struct pb_str name = pb_msg_get(m, PB_STR("message"));

	if (!c || !name.n)
		return PB_PASS;
	pb_msg_set_name(m, name);
	name = pb_msg_name(m);
	pb_msg_clear(m, PB_STR("message"));
	pb_chan_complete(c, m, pb_msg_get_bool(m, PB_STR("complete_minimal"), false));
	if (pb_str_eq(name, PB_STR("call.answered")))
		pb_chan_set_status(c, PB_STR("answered"));
	else if (pb_str_eq(name, PB_STR("call.ringing")))
		pb_chan_set_status(c, PB_STR("ringing"));
	else if (pb_str_eq(name, PB_STR("call.progress")))
		pb_chan_set_status(c, PB_STR("progressing"));
	return PB_PASS;
}

static enum pb_verdict on_locate(struct pb_msg *m, struct pb_ctx *cx)
{
	struct pb_chan *c = named(cx, m, PB_STR("id"));

	if (!c)
		return PB_PASS;
	pb_msg_set_chan(m, c->handle);
	return PB_HANDLED;
}

static enum pb_verdict on_drop(struct pb_msg *m, struct pb_ctx *cx)
{
	struct pb_driver *d = driver_of(cx);
	struct pb_str id = pb_msg_get(m, PB_STR("id")), reason = pb_msg_get(m, PB_STR("reason"));
	struct pb_chan *c;

	if (!d)
		return PB_PASS;
	if (!reason.n)
		reason = PB_STR("dropped");
	if (!id.n || pb_str_eq(id, d->name)) {
		pb_driver_drop_all(d, reason, m);
		return id.n ? PB_HANDLED : PB_PASS;
	}
	c = named(cx, m, PB_STR("id"));
	if (!c)
		return PB_PASS;
	pb_chan_set_status(c, reason);
	d->ops->drop(c, reason, m);
	return PB_HANDLED;
}

/* Without an id, or with the driver's name, each loop drops its own. */
static bool means_all(void *arg, struct pb_str id)
{
	(void)arg;
	return pb_str_chr(id, '/') < 0;
}

static enum pb_verdict on_signal(struct pb_msg *m, struct pb_ctx *cx, enum pb_chan_event ev)
{
	struct pb_chan *c = addressed(cx, m);

	if (!c || c->outgoing || c->answered)
		return PB_PASS;
	return c->driver->ops->event(c, ev, m) ? PB_HANDLED : PB_PASS;
}

static enum pb_verdict on_progress(struct pb_msg *m, struct pb_ctx *cx)
{
	return on_signal(m, cx, PB_CHAN_PROGRESS);
}

static enum pb_verdict on_ringing(struct pb_msg *m, struct pb_ctx *cx)
{
	return on_signal(m, cx, PB_CHAN_RINGING);
}

static enum pb_verdict on_answered(struct pb_msg *m, struct pb_ctx *cx)
{
	struct pb_chan *c = addressed(cx, m);

	if (c && !c->outgoing && pb_msg_has(m, PB_STR("timeout")))
		c->timeout_ms = (uint64_t)pb_msg_get_int(m, PB_STR("timeout"), 0, 0, INT32_MAX);
	return on_signal(m, cx, PB_CHAN_ANSWERED);
}

static enum pb_verdict on_any(struct pb_msg *m, struct pb_ctx *cx, enum pb_chan_event ev)
{
	struct pb_chan *c = addressed(cx, m);

	return c && c->driver->ops->event(c, ev, m) ? PB_HANDLED : PB_PASS;
}

static enum pb_verdict on_update(struct pb_msg *m, struct pb_ctx *cx)
{
	return on_any(m, cx, PB_CHAN_UPDATE);
}

static enum pb_verdict on_dtmf(struct pb_msg *m, struct pb_ctx *cx)
{
	return on_any(m, cx, PB_CHAN_DTMF);
}

static enum pb_verdict on_text(struct pb_msg *m, struct pb_ctx *cx)
{
	return on_any(m, cx, PB_CHAN_TEXT);
}

static enum pb_verdict on_control(struct pb_msg *m, struct pb_ctx *cx)
{
	struct pb_chan *c = addressed(cx, m);

	if (!c)
		return PB_PASS;
	if (pb_msg_has(m, PB_STR("timeout")))
		pb_chan_set_timeout(c, (uint64_t)pb_msg_get_int(m, PB_STR("timeout"), 0, 0, INT32_MAX));
	if (pb_msg_has(m, PB_STR("maxcall")))
		pb_chan_set_maxcall(c, (uint64_t)pb_msg_get_int(m, PB_STR("maxcall"), 0, 0, INT32_MAX));
	return c->driver->ops->control && c->driver->ops->control(c, m) ? PB_HANDLED : PB_PASS;
}

static void say_ending(const struct pb_driver *d)
{
	if (!d->counts.chans)
		return;
	pb_log(&call_log, &call_rows[ENDING], "%u channels of %.*s on loop %u end: the engine stops", d->counts.chans,
	       PB_STR_F(d->name), pb_loop_index(d->cx.loop));
	if (!pb_log_wants(&call_log, call_rows[ENDED].level))
		return;
	pb_list_each(n, &d->chans) {
		const struct pb_chan *c = pb_container(n, struct pb_chan, node);

		pb_log(&call_log, &call_rows[ENDED], "%.*s ends: the engine stops", PB_STR_F(c->id));
	}
}

static enum pb_verdict on_halt(struct pb_msg *m, struct pb_ctx *cx)
{
	struct pb_driver *d = driver_of(cx);

	if (d) {
		say_ending(d);
		pb_driver_drop_all(d, PB_STR("shutdown"), m);
	}
	return PB_PASS;
}

/* A restart waits while there are channels. */
static enum pb_verdict on_busy(struct pb_msg *m, struct pb_ctx *cx)
{
	struct pb_driver *d = driver_of(cx);

	(void)m;
	return d && d->counts.chans ? PB_HANDLED : PB_PASS;
}

/** Completion: channels of this loop that begin so, each with a TAB before it. */
static enum pb_verdict on_complete(struct pb_msg *m, struct pb_ctx *cx)
{
	struct pb_str part = pb_msg_get(m, PB_STR("partword"));
	const struct pb_driver *d = driver_of(cx);
	unsigned left = 100;
	struct pb_text t;

	if (!d)
		return PB_PASS;
	pb_text_init(&t, 8192);
	pb_list_each(n, &d->chans) {
		const struct pb_chan *c = pb_container(n, struct pb_chan, node);

		if (left && pb_str_starts(c->id, part)) {
			pb_text_addf(&t, "\t%.*s", PB_STR_F(c->id));
			left--;
		}
	}
	pb_msg_set_retval(m, pb_text_str(&t));
	pb_text_fini(&t);
	return PB_PASS;
}

#define BY_ID .place = PB_OWNER, .owner_param = "id"
#define BY_PEER .place = PB_OWNER, .owner_param = "peerid", .owner_else = "targetid"

static const struct pb_handler rows[] = {
	{ .message = "chan.masquerade", .priority = 10, BY_ID, .fn = on_masquerade },
	{ .message = "chan.locate", .priority = 40, BY_ID, .fn = on_locate },
	{ .message = "call.drop", .priority = 60, BY_ID, .fn = on_drop },
	{ .message = "chan.control", .priority = 90, BY_PEER, .fn = on_control },
	{ .message = "call.progress", .priority = 100, BY_PEER, .fn = on_progress },
	{ .message = "call.ringing", .priority = 100, BY_PEER, .fn = on_ringing },
	{ .message = "call.answered", .priority = 100, BY_PEER, .fn = on_answered },
	{ .message = "call.update", .priority = 100, BY_PEER, .fn = on_update },
	{ .message = "chan.dtmf", .priority = 100, BY_PEER, .fn = on_dtmf },
	{ .message = "chan.text", .priority = 100, BY_PEER, .fn = on_text },
	{ .message = "engine.busy", .priority = 100, .place = PB_EACH, .fn = on_busy },
	{ .message = "engine.command", .priority = 110, .place = PB_EACH, .fn = on_complete,
	  .filter_name = "complete", .filter_value = "channels", .untracked = true },
	{ .message = "engine.halt", .priority = 100, .place = PB_EACH, .fn = on_halt },
	{ NULL },
};

static const struct pb_counter counters[] = {
	{ "routed", "calls", "Incoming calls that were routed." },
	{ "routing", "calls", "Incoming calls being routed now." },
	{ "total", "channels", "Channels there ever were." },
	{ "chans", "channels", "Channels there are." },
	{ "Status", NULL, "State of the channel: incoming, ringing, answered ..." },
	{ "Address", NULL, "Far end of the channel." },
	{ "Peer", NULL, "Channel that it is connected to." },
	{ NULL },
};

#define CHAN "id module status address targetid billid peerid lastpeerid answered direction callid"

static const struct pb_sends sends[] = {
	{ "call.preroute", CHAN },
	{ "call.route", CHAN },
	{ "call.execute", CHAN " callto" },
	{ "chan.connected", CHAN " reason" },
	{ "chan.disconnected", CHAN " callto error reason reroute" },
	{ "chan.hangup", CHAN " reason" },
	{ "chan.masquerade", CHAN, .answers = true },
	{ NULL },
};

const struct pb_part pb_driver_part = { .handlers = rows, .counters = counters, .sends = sends, .log = &call_log };

/* call.drop for all: the same handler, on each loop, when no channel is named. */
static int add_drop_all(struct pb_ctx *cx)
{
	struct pb_handler row = { .message = "call.drop", .priority = 60, .place = PB_EACH, .fn = on_drop };

	return pb_engine_add_filtered(cx, &row, "id", means_all, NULL);
}

int pb_driver_add_handlers(struct pb_ctx *cx, const char *prefix)
{
	int err = add_drop_all(cx);

	for (const struct pb_handler *r = rows; r->message && !err; r++) {
		struct pb_handler row = *r;

		if (row.place == PB_OWNER)
			row.owner_prefix = prefix;
		err = pb_engine_add_handler(cx, &row, NULL);
	}
	return err;
}
