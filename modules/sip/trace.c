/*
 * Packets as they are seen by eyes: into the record of their call, to who
 * follows, and to the log at its level. What nobody may read is masked first,
 * and only when somebody is there to read.
 */
#include "bus/flight.h"
#include "sip/sip.h"
#include "sip/stack/mask.h"

#define TRACE_LIMIT (64u << 10)

static void to_log(bool out, const struct sip_path *path, struct pb_str text, size_t octets)
{
	char addr[PB_ADDR_TEXT], head[160];
	struct pb_text h;

	pb_text_init_buf(&h, head, sizeof(head));
	pb_text_addf(&h, "%s %zu octets %s %.*s", out ? "sent" : "received", octets, out ? "to" : "from",
		     PB_STR_F(pb_addr_print(&path->peer, addr)));
	pb_log_block(&sip_log, &sip_log_rows[SIP_LOG_TRAFFIC], pb_text_str(&h), text);
}

static void to_record(struct sip_loop *sl, struct pb_flight_packet *p, const struct sip_path *path,
		      struct pb_str key)
{
	const struct pb_addr *local = sip_listener_local(sl->transport, path->listener);

	p->peer = path->peer;
	if (local)
		p->local = *local;
	else
		p->local.in.sin_family = path->peer.sa.sa_family;
	pb_flight_packet(sl->cx->bus, key, p);
}

void sip_trace(void *arg, bool out, const struct sip_path *path, struct pb_str bytes)
{
	struct sip_loop *sl = arg;
	bool log = pb_log_wants(&sip_log, PB_INFO), record;
	struct pb_str text = bytes;
	struct pb_str key = sip_find_call_id(bytes);
	struct sip_glance g;
	struct pb_text t;

	record = pb_flight_wants(sl->cx->bus, key);
	if (!record && !log)
		return;
	sip_glance(bytes, &g);
	pb_text_init(&t, TRACE_LIMIT + 1024);
	if (g.secret) {
		sip_mask(&t, bytes, &g);
		text = pb_text_str(&t);
	}
	if (record)
		to_record(sl, &(struct pb_flight_packet){ .out = out, .text = text }, path, key);
	if (log)
		to_log(out, path, text, bytes.n);
	pb_text_fini(&t);
}

/* ---- Records of requests ------------------------------------------------------------- */

static void write_first(struct sip_loop *sl, const struct sip_arrival *in)
{
	struct sip_glance g;
	struct pb_text t;

	sip_glance(in->msg->raw, &g);
	pb_text_init(&t, TRACE_LIMIT + 1024);
	if (g.secret)
		sip_mask(&t, in->msg->raw, &g);
	to_record(sl, &(struct pb_flight_packet){ .told = true, .text = g.secret ? pb_text_str(&t) : in->msg->raw },
		  &in->path, in->core->call_id);
	pb_text_fini(&t);
}

struct pb_handle sip_record_begin(struct sip_loop *sl, const struct sip_arrival *in, bool *judges)
{
	enum pb_flight_begun how;
	struct pb_handle h = pb_flight_begin(sl->cx->bus, in->core->call_id, &how);
	struct pb_arena *a;

	*judges = how != PB_FLIGHT_JOINED;
	if (!pb_handle_is_set(h) || how != PB_FLIGHT_MADE)
		return h;
	a = pb_arena_new_small(4096);
	if (a)
		pb_flight_about(sl->cx->bus, h, in->msg->method_name, sip_user_of(in->core->from.uri, a),
				sip_user_of(in->msg->method == SIP_REGISTER ? in->core->to.uri : in->msg->uri, a));
	pb_arena_free(&a);
	write_first(sl, in); /* when it came in there was no record to write it to */
	return h;
}
