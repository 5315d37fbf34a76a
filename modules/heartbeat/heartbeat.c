/*
 * Tells a Linux-HA cluster once a second that this node is alive, and at the end
 * that it is not. A node whose engine has stopped turning says nothing, which is
 * what the others listen for.
 */
#include "bus/module.h"

#include <errno.h>

#include "base/text.h"
#include "heartbeat/packet.h"
#include "loop/world.h"

#define NODE_MAX_BYTES 128

struct settings {
	bool enabled, broadcast;
	struct pb_str node, host, key;
	int64_t port, ttl, index;
	int auth; /* enum heartbeat_auth; HEARTBEAT_SHA1 + 1: none */
	int64_t timer_priority, halt_priority;
};

/* The home loop's alone. */
struct shared {
	struct pb_ctx *cx;
	struct pb_udp *udp;
	struct pb_addr to;
	uint32_t seq;
	bool dead; /* the end has been told */
};

enum { LOG_OPENED, LOG_NOT_OPENED, LOG_NOT_SENT, LOG_CHANGED };

static const struct pb_log_row log_rows[] = {
	[LOG_OPENED] = { "heartbeat-001", PB_INFO, "Heartbeats are sent." },
	[LOG_NOT_OPENED] = { "heartbeat-002", PB_WARN, "No socket for heartbeats: the cluster will think this node dead." },
	[LOG_NOT_SENT] = { "heartbeat-003", PB_WARN, "A heartbeat cannot be signed, so none is sent." },
	[LOG_CHANGED] = { "heartbeat-004", PB_NOTE, "A new address or node name takes effect at the next start." },
	{ NULL },
};

static PB_LOG_SOURCE(log_source, "heartbeat", log_rows);

#define SAY(row, ...) pb_log(&log_source, &log_rows[row], __VA_ARGS__)

static const char *const methods[] = { "crc", "md5", "sha1", "none", NULL };

static const struct pb_opt options[] = {
	{ PB_OPT_BOOL, "enabled", offsetof(struct settings, enabled), .def = 1, .flags = PB_OPT_ONCE,
	  .doc = "Send heartbeats, when there is a host." },
	{ PB_OPT_STR, "node", offsetof(struct settings, node), .flags = PB_OPT_ONCE,
	  .doc = "Name of this node in the cluster; empty: the engine's." },
	{ PB_OPT_ADDR, "host", offsetof(struct settings, host), .flags = PB_OPT_ONCE,
	  .doc = "Where to: an IPv4 address, broadcast or multicast too. Empty: nothing is sent." },
	{ PB_OPT_INT, "port", offsetof(struct settings, port), .def = 694, .lo = 1, .hi = 65535, .flags = PB_OPT_ONCE,
	  .doc = "UDP port." },
	{ PB_OPT_BOOL, "broadcast", offsetof(struct settings, broadcast), .def = 1, .flags = PB_OPT_ONCE,
	  .doc = "Allow a broadcast address." },
	{ PB_OPT_INT, "ttl", offsetof(struct settings, ttl), .def = 2, .lo = 1, .hi = 255,
	  .doc = "Hops within the cluster, as the packet says." },
	{ PB_OPT_INT, "index", offsetof(struct settings, index), .lo = 0, .hi = 15, .section = "authentication",
	  .doc = "Number of the key in the cluster's authkeys; 0: packets are not signed." },
	{ PB_OPT_WORD, "method", offsetof(struct settings, auth), .def = 3, .words = methods,
	  .section = "authentication", .doc = "crc, md5 or sha1; anything else: packets are not signed." },
	{ PB_OPT_STR, "key", offsetof(struct settings, key), .flags = PB_OPT_SECRET, .section = "authentication",
	  .doc = "The key." },
	{ PB_OPT_INT, "engine.timer", offsetof(struct settings, timer_priority), .def = 150, .lo = 0, .hi = 65535,
	  .flags = PB_OPT_ONCE, .section = "priorities", .doc = "Priority of the handler that sends." },
	{ PB_OPT_INT, "engine.halt", offsetof(struct settings, halt_priority), .def = 50, .lo = 0, .hi = 65535,
	  .flags = PB_OPT_ONCE, .section = "priorities", .doc = "Priority of the handler that says goodbye." },
	{ PB_OPT_END },
};

/* ---- Sending ----------------------------------------------------------------------- */

static struct pb_str node_name(const struct shared *sh, const struct settings *s)
{
	struct pb_str name = s->node.n ? s->node : pb_engine_run_param(pb_engine_of(sh->cx), PB_STR("nodename"));

	return pb_str_head(name, name.n < NODE_MAX_BYTES ? name.n : NODE_MAX_BYTES);
}

static uint32_t run_id(const struct shared *sh)
{
	int64_t id = 0;

	pb_str_to_i64(pb_engine_run_param(pb_engine_of(sh->cx), PB_STR("runid")), 10, 0, UINT32_MAX, &id);
	return (uint32_t)id;
}

static void beat(struct shared *sh, const char *status)
{
	const struct settings *s = sh->cx->settings;
	char buf[1024];
	struct pb_text t;
	struct heartbeat_say say = {
		.status = status,
		.node = node_name(sh, s),
		.seq = ++sh->seq,
		.generation = run_id(sh),
		.time_s = pb_loop_wall_us(sh->cx->loop) / 1000000,
		.ttl = (unsigned)s->ttl,
		.index = s->auth > HEARTBEAT_SHA1 ? 0 : (unsigned)s->index,
		.auth = (enum heartbeat_auth)s->auth,
		.key = s->key,
	};

	pb_text_init_buf(&t, buf, sizeof(buf));
	if (heartbeat_packet(&t, &say) || pb_text_failed(&t))
		SAY(LOG_NOT_SENT, "the packet of node %.*s cannot be signed", PB_STR_F(say.node));
	else
		pb_udp_send(sh->udp, &sh->to, pb_text_str(&t));
}

static enum pb_verdict on_timer(struct pb_msg *m, struct pb_ctx *cx)
{
	struct shared *sh = cx->shared;

	(void)m;
	if (!sh->dead)
		beat(sh, sh->seq ? "active" : "up");
	return PB_PASS;
}

static enum pb_verdict on_halt(struct pb_msg *m, struct pb_ctx *cx)
{
	struct shared *sh = cx->shared;

	(void)m;
	if (!sh->dead)
		beat(sh, "dead");
	sh->dead = true;
	return PB_PASS;
}

/* ---- Life ---------------------------------------------------------------------------- */

/* What the cluster sends is not listened to. */
static void on_datagram(void *arg, const struct pb_datagram *d)
{
	(void)arg;
	(void)d;
}

static int open_socket(struct shared *sh, const struct settings *s)
{
	struct pb_udp_args args = { .max_bytes = 64, .broadcast = s->broadcast, .fn = on_datagram, .arg = sh };
	char text[PB_ADDR_TEXT];
	int err = pb_addr_parse(s->host, (uint16_t)s->port, &sh->to);

	if (!err)
		err = pb_addr_parse(pb_addr_is_v6(&sh->to) ? PB_STR("::") : PB_STR("0.0.0.0"), 0, &args.local);
	if (!err)
		err = pb_udp_open(sh->cx->loop, &args, &sh->udp);
	if (err)
		SAY(LOG_NOT_OPENED, "no socket for %.*s: %s", PB_STR_F(s->host), strerror(-err));
	else
		SAY(LOG_OPENED, "heartbeats of node %.*s to %.*s", PB_STR_F(node_name(sh, s)),
		    PB_STR_F(pb_addr_print(&sh->to, text)));
	return err;
}

static int start(struct pb_ctx *cx)
{
	const struct settings *s = cx->settings;
	struct shared *sh = cx->shared;
	struct pb_handler timer = { "engine.timer", (unsigned)s->timer_priority, PB_HOME, on_timer };
	struct pb_handler halt = { "engine.halt", (unsigned)s->halt_priority, PB_HOME, on_halt };
	int err;

	sh->cx = pb_engine_ctx(cx, cx->loop);
	if (!s->enabled || !s->host.n)
		return 0;
	err = open_socket(sh, s);
	if (!err)
		err = pb_engine_add_handler(cx, &timer, NULL);
	return err ? err : pb_engine_add_handler(cx, &halt, NULL);
}

static enum pb_reload reload(struct pb_ctx *cx, const void *old)
{
	const struct settings *s = cx->settings, *was = old;
	bool same = s->enabled == was->enabled && pb_str_eq(s->host, was->host) && s->port == was->port;

	if (!same)
		SAY(LOG_CHANGED, "heartbeats go on as before until the next start");
	return same ? PB_RELOAD_OK : PB_RELOAD_RESTART;
}

static void stop(struct pb_ctx *cx)
{
	struct shared *sh = cx->shared;

	pb_udp_close(&sh->udp);
}

PB_MODULE(heartbeat) = {
	.abi = PB_MODULE_ABI,
	.name = "heartbeat",
	.stoppable = true,
	.doc = "Tells a Linux-HA cluster that this node is alive.",
	.conf = "heartbeat",
	.settings_size = sizeof(struct settings),
	.shared_size = sizeof(struct shared),
	.options = options,
	.log = &log_source,
	.start = start,
	.reload = reload,
	.stop = stop,
};
