/*
 * sip: the SIP channel. Descriptor, life on each loop, status.
 *
 * Every call loop has the whole stack of its own, listening on the same
 * addresses; what belongs to another loop is handed over by the stack. The home
 * loop has nothing more than the others.
 */
#include "sip/sip.h"

#include <errno.h>

#include "base/alloc.h"
#include "loop/world.h"

const struct pb_log_row sip_log_rows[] = {
	[SIP_LOG_LISTEN] = { "sip-001", PB_NOTE, "A listener is open." },
	[SIP_LOG_NO_LISTEN] = { "sip-002", PB_CONF, "A listener cannot be opened; the text says why, and who has the port." },
	[SIP_LOG_AUTH_FAILED] = { "sip-003", PB_NOTE, "Credentials were wrong. Many of them: somebody is guessing." },
	[SIP_LOG_BAD_HEADER] = { "sip-004", PB_WARN, "A parameter that should become a header cannot be one." },
	[SIP_LOG_MEMORY] = { "sip-005", PB_CRIT, "No memory: a request was refused." },
	[SIP_LOG_TRAFFIC] = { "sip-006", PB_INFO, "A SIP message, in or out." },
	[SIP_LOG_NO_TARGET] = { "sip-007", PB_NOTE, "A request or call could not be sent there." },
	[SIP_LOG_SERVES] = { "sip-011", PB_NOTE, "A listener serves, or serves again." },
	[SIP_LOG_SERVES_NOT] = { "sip-012", PB_WARN, "A listener does not serve: the network under it has changed." },
	[SIP_LOG_NO_WATCH] = { "sip-013", PB_MILD, "Addresses that come and go are not noticed: listeners count as active." },
	{ NULL },
};

PB_LOG_SOURCE(sip_log, "sip", sip_log_rows);

/* Nonces used within their 30 s, a loop: 4000 registrations a second and some
 * room to find a place; pages of it that are not used cost nothing. */
#define COUNTS (1u << 18)

/* ---- One loop's stack ------------------------------------------------------------------ */

static struct sip_timing timing_of(const struct sip_settings *s)
{
	return (struct sip_timing){ .t1_ms = (unsigned)s->t1, .t4_ms = (unsigned)s->t4 };
}

static const struct sip_ua_ops ua_ops = {
	.admit = sip_admit,
	.request = sip_on_request,
};

/* A limit of the engine, divided among the loops; rounded up, so that it is
 * never a call less than asked for. */
static unsigned share_of(const struct sip_loop *sl, int64_t limit)
{
	unsigned n = pb_loops_calls(pb_loop_set(sl->cx->loop));

	return (unsigned)((limit + n - 1) / n);
}

static void loop_stop(struct pb_ctx *cx)
{
	struct sip_loop *sl = sip_on(cx);

	if (!sl->driver)
		return;
	sip_listeners_close(sl);
	sip_seeks_end(sl);
	sip_sendings_end(sl);
	pb_driver_drop_all(sl->driver, PB_STR("shutdown"), NULL);
	while (!pb_list_empty(&sl->ops)) {
		struct sip_op *op = pb_container(sl->ops.next, struct sip_op, node);

		sip_op_free(&op);
	}
	sip_ua_free(&sl->ua);
	sip_digest_free(&sl->digest);
	sip_nonces_free(&sl->nonces);
	sip_counts_free(&sl->counts);
	pb_driver_free(&sl->driver);
}

static void set_server(struct sip_loop *sl)
{
	const struct sip_settings *s = sip_conf(sl);

	if (sl->transport)
		sip_transport_set_server(sl->transport, s->flags & 4 ? PB_STR("") : s->useragent);
}

static int loop_start(struct pb_ctx *cx)
{
	struct sip_loop *sl = sip_on(cx);
	struct sip_shared *sh = cx->shared;
	const struct sip_settings *s = cx->settings;
	struct sip_ua_args ua = {
		.loop = cx->loop,
		.net = sh->net,
		.timing = timing_of(s),
		.ops = &ua_ops,
		.tap = sip_trace,
		.arg = sl,
	};
	int err;

	if (pb_loop_index(cx->loop) >= pb_loops_calls(pb_loop_set(cx->loop)))
		return 0;
	sl->cx = pb_engine_ctx(cx, cx->loop);
	pb_list_init(&sl->ops);
	pb_list_init(&sl->sendings);
	pb_list_init(&sl->seeks);
	pb_list_init(&sl->legs);
	err = pb_driver_new(sl->cx, "sip/", &sip_chan_ops, &sl->driver);
	if (err)
		return err;
	pb_driver_limits(sl->driver, share_of(sl, s->maxchans), 0, 0);
	sl->digest = sip_digest_new();
	sl->nonces = sip_nonces_new(pb_str(sh->key, sizeof(sh->key)));
	sl->counts = sip_counts_new(COUNTS);
	err = sl->digest && sl->nonces && sl->counts ? sip_ua_new(&ua, &sl->ua) : -ENOMEM;
	if (!err) {
		sl->stack = sip_ua_stack(sl->ua);
		sl->transport = sip_ua_transport(sl->ua);
	}
	set_server(sl);
	return err;
}

static int loop_open(struct pb_ctx *cx)
{
	struct sip_loop *sl = sip_on(cx);

	return sl->transport ? sip_listeners_open(sl) : 0;
}

static void loop_reload(struct pb_ctx *cx, const void *old)
{
	struct sip_loop *sl = sip_on(cx);
	const struct sip_settings *s = cx->settings;
	struct sip_timing t = timing_of(s);

	(void)old;
	if (!sl->driver)
		return;
	sip_stack_set_timing(sl->stack, &t);
	set_server(sl);
	pb_driver_limits(sl->driver, share_of(sl, s->maxchans), 0, 0);
}

/* ---- The module --------------------------------------------------------------------------- */

static void stop(struct pb_ctx *cx)
{
	struct sip_shared *sh = cx->shared;

	sip_listeners_free(cx);
	sip_net_free(&sh->net);
}

static int start(struct pb_ctx *cx)
{
	struct sip_shared *sh = cx->shared;
	int err = sip_listeners_new(cx);

	pb_loop_random(cx->loop, sh->key, sizeof(sh->key));
	if (!err)
		err = sip_net_new(pb_loops_calls(pb_loop_set(cx->loop)), &sh->net);
	if (!err)
		err = pb_driver_add_handlers(cx, "sip/");
	if (err)
		stop(cx);
	return err;
}

/* ---- Status --------------------------------------------------------------------------------- */

static void status(struct pb_ctx *cx, struct pb_status *s)
{
	struct sip_loop *sl = sip_on(cx);
	struct pb_str sel = pb_status_selector(s);
	struct sip_txn_count n;
	uint64_t *counters;

	if (!sl->driver)
		return;
	if (pb_str_eq(sel, PB_STR("sip listeners")))
		sip_listeners_status(sl, s);
	if (pb_str_starts(sel, PB_STR("sip/")))
		pb_driver_status_chan(sl->driver, s, sel);
	if (sel.n)
		return;
	n = sip_stack_count(sl->stack);
	pb_driver_status(sl->driver, s);
	pb_status_count(s, "transactions", (int64_t)(n.client + n.invite_client + n.server + n.invite_server));
	pb_status_count(s, "dialogs", (int64_t)sip_ua_dialogs(sl->ua));
	pb_status_count(s, "failed_auths", (int64_t)sl->failed_auths);
	counters = sip_transport_counters(sl->transport);
	for (unsigned i = 0; i < SIP_COUNTERS; i++) {
		if (counters[i])
			pb_status_count(s, sip_counter_name(i), (int64_t)counters[i]);
	}
}

/* The last to hear of it: from here on requests are taken. */
static enum pb_verdict on_engine_start(struct pb_msg *m, struct pb_ctx *cx)
{
	(void)m;
	sip_on(cx)->started = true;
	return PB_PASS;
}

static const struct pb_handler handlers[] = {
	{ .message = "engine.start", .priority = 1000, .place = PB_EACH, .fn = on_engine_start },
	{ .message = "call.execute", .priority = 90, .place = PB_HERE, .fn = sip_on_execute },
	{ .message = "xsip.generate", .priority = 110, .place = PB_HERE, .fn = sip_on_generate, .hold_ms = 40000 },
	{ .message = "msg.execute", .priority = 100, .place = PB_HERE, .fn = sip_on_msg_execute, .hold_ms = 40000 },
	{ NULL },
};

static const struct pb_command commands[] = {
	{ "stats times", "stats times [--json]",
	  "How long requests took until they were decided upon, in the last whole period of 5 s.", PB_HERE,
	  sip_on_stats_times },
	{ NULL },
};

PB_MODULE(sip) = {
	.abi = PB_MODULE_ABI,
	.name = "sip",
	.required = true,
	.doc = "SIP calls, registrations and messages over UDP.",
	.aliases = "ysipchan",
	.conf = "ysipchan",
	.status_type = "varchans",
	.status_format = "Status|Address|Peer",
	.settings_size = sizeof(struct sip_settings),
	.loop_state_size = sizeof(struct sip_loop),
	.shared_size = sizeof(struct sip_shared),
	.options = sip_options,
	.handlers = handlers,
	.commands = commands,
	.log = &sip_log,
	.read = sip_settings_read,
	.start = start,
	.loop_start = loop_start,
	.loop_open = loop_open,
	.loop_reload = loop_reload,
	.loop_stop = loop_stop,
	.stop = stop,
	.status = status,
	.counters = sip_counters,
	.sends = sip_sends,
	.findings = sip_findings,
	.uses = sip_uses,
	.part = &pb_driver_part,
};
