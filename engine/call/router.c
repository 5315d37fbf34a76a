/*
 * Routing an incoming leg: call.preroute, call.route, call.execute, with one
 * and the same message, so that what a handler adds reaches those that follow.
 *
 * Each step is a question of the channel: when the channel ends meanwhile, the
 * question is given up and none of this runs.
 */
#include "call/call_impl.h"

static bool refuses(struct pb_str retval)
{
	return pb_str_eq(retval, PB_STR("-")) || pb_str_eq(retval, PB_STR("error"));
}

static void routing_over(struct pb_chan *c)
{
	if (c->routing)
		c->driver->counts.routing--;
	c->routing = false;
}

static void reject(struct pb_chan *c, struct pb_msg *m, struct pb_str error, struct pb_str reason)
{
	struct pb_str e = pb_msg_get(m, PB_STR("error")), r = pb_msg_get(m, PB_STR("reason"));

	routing_over(c);
	pb_chan_set_status(c, PB_STR("rejected"));
	c->driver->ops->rejected(c, e.n ? e : error, r.n ? r : reason, m);
	pb_msg_free(&m);
}

/* The channel, unless a driver has ended it in a hook: then the message is
 * freed. */
static struct pb_chan *still(struct pb_msg **m, struct pb_handle h)
{
	struct pb_chan *c = pb_chan_get(h);

	if (!c)
		pb_msg_free(m);
	return c;
}

/* chan.disconnected is a notice, which is not given up: the channel may be
 * gone, so it is looked up. */
static void fell_through(struct pb_msg *m, bool handled, void *arg)
{
	struct pb_chan *c = still(&m, pb_msg_chan(m));

	(void)arg;
	if (!c)
		return;
	if (!handled) {
		reject(c, m, PB_STR("noconn"), PB_STR("Could not connect to target"));
		return;
	}
	routing_over(c);
	pb_msg_free(&m);
}

static void accept_call(struct pb_chan *c, struct pb_msg *m)
{
	struct pb_str target = pb_msg_get(m, PB_STR("targetid"));
	int64_t timeout = pb_msg_get_int(m, PB_STR("timeout"), c->driver->timeout_ms, 0, INT32_MAX);
	int64_t maxcall = pb_msg_get_int(m, PB_STR("maxcall"), 0, 0, INT32_MAX);

	routing_over(c);
	c->driver->counts.routed++;
	if (!c->answered)
		pb_chan_set_status(c, PB_STR("accepted"));
	c->targetid = pb_arena_str(c->arena, target);
	pb_chan_set_timeout(c, (uint64_t)timeout);
	if (!c->answered)
		pb_chan_set_maxcall(c, (uint64_t)maxcall);
	c->driver->ops->accepted(c, m);
	pb_msg_free(&m);
}

/* Nobody executed it: chan.disconnected is the last chance for fall-backs. */
static void executed(struct pb_msg *m, bool handled, void *arg)
{
	struct pb_chan *c = arg;
	struct pb_str error, reason;

	if (handled) {
		accept_call(c, m);
		return;
	}
	error = pb_msg_get(m, PB_STR("error"));
	reason = pb_msg_get(m, PB_STR("reason"));
	if (!error.n)
		pb_msg_set(m, PB_STR("error"), PB_STR("noconn"));
	if (!reason.n)
		pb_msg_set(m, PB_STR("reason"), PB_STR("Could not connect to target"));
	pb_chan_complete(c, m, false);
	pb_msg_set(m, PB_STR("reroute"), PB_STR("true"));
	pb_msg_again(m, PB_STR("chan.disconnected"));
	pb_chan_ask(c, m, fell_through, NULL);
}

static void routed(struct pb_msg *m, bool handled, void *arg)
{
	struct pb_chan *c = arg;
	struct pb_str target = pb_str_trim(pb_msg_retval(m));
	struct pb_handle h = c->handle;

	if (!handled || !target.n) {
		reject(c, m, PB_STR("noroute"), PB_STR("No route to call target"));
		return;
	}
	if (refuses(target)) {
		reject(c, m, PB_STR("unknown"), PB_STR_NULL);
		return;
	}
	if (pb_msg_get_int(m, PB_STR("antiloop"), 1, INT32_MIN, INT32_MAX) <= 0) {
		pb_msg_clear(m, PB_STR("error"));
		reject(c, m, PB_STR("looping"), PB_STR("Call is looping"));
		return;
	}
	pb_chan_set_status(c, PB_STR("routed"));
	pb_msg_set(m, PB_STR("callto"), target);
	pb_msg_clear(m, PB_STR("error"));
	if (c->driver->ops->routed)
		c->driver->ops->routed(c, m);
	if (!still(&m, h))
		return;
	pb_msg_again(m, PB_STR("call.execute"));
	pb_chan_complete(c, m, false);
	pb_chan_ask(c, m, executed, c);
}

static void ask_route(struct pb_chan *c, struct pb_msg *m)
{
	pb_msg_again(m, PB_STR("call.route"));
	pb_msg_set(m, PB_STR("status"), c->status);
	pb_chan_ask(c, m, routed, c);
}

static void prerouted(struct pb_msg *m, bool handled, void *arg)
{
	struct pb_chan *c = arg;
	struct pb_str billid = pb_msg_get(m, PB_STR("billid"));
	struct pb_handle h = c->handle;

	if (handled && refuses(pb_msg_retval(m))) {
		reject(c, m, PB_STR("unknown"), PB_STR_NULL);
		return;
	}
	if (billid.n && !pb_str_eq(billid, c->billid)) {
		c->billid = pb_arena_str(c->arena, billid);
		pb_flight_key(c->driver->cx.bus, c->flight, billid);
	}
	pb_chan_set_status(c, PB_STR("prerouted"));
	pb_chan_copy_params(c, m);
	if (c->driver->ops->prerouted)
		c->driver->ops->prerouted(c, m);
	if (still(&m, h))
		ask_route(c, m);
}

void pb_chan_route(struct pb_chan *c, struct pb_msg *m)
{
	c->routing = true;
	c->driver->counts.routing++;
	if (pb_msg_get(m, PB_STR("callto")).n) {
		pb_msg_again(m, PB_STR("call.execute"));
		pb_chan_ask(c, m, executed, c);
		return;
	}
	pb_msg_set_name(m, PB_STR("call.preroute"));
	pb_chan_ask(c, m, prerouted, c);
}
