/*
 * Following: packets, and what the bus does for their records, as they happen.
 *
 * Each loop has its own copy of the filter and its own allowance of entries a
 * second, so that following a busy engine costs a bounded part of it and floods
 * no console; what was left out is told.
 */
#include "trace/trace.h"

#include "trace/ladder.h"
#include "trace/pcapng.h"

#define A_SECOND_MAX 200u
#define TEXT_LIMIT (128u << 10)

static bool may_say(struct trace_loop *tl)
{
	uint64_t now = pb_loop_now_ms(tl->cx->loop) / 1000;

	if (now != tl->second) {
		if (tl->dropped) {
			char buf[80];
			struct pb_text t;

			pb_text_init_buf(&t, buf, sizeof(buf));
			pb_text_addf(&t, "trace: %u entries were not shown: too many", tl->dropped);
			pb_log_output(pb_text_str(&t));
		}
		tl->second = now;
		tl->left = A_SECOND_MAX;
		tl->dropped = 0;
	}
	if (!tl->left) {
		tl->dropped++;
		return false;
	}
	tl->left--;
	return true;
}

static struct pb_str record_name(struct trace_loop *tl, struct pb_handle h)
{
	struct pb_flight_info f;

	return pb_flight_info(tl->cx->bus, h, &f) && f.key_count ? f.keys[0] : PB_STR("-");
}

static void say_packet(struct trace_loop *tl, struct pb_handle h, const struct pb_flight_event *e)
{
	char a[PB_ADDR_TEXT], b[PB_ADDR_TEXT];
	struct pb_text t;

	pb_text_init(&t, TEXT_LIMIT);
	pb_text_addf(&t, "trace %.*s %+.6f %s %u octets, %.*s %s %.*s\r\n-----\r\n", PB_STR_F(record_name(tl, h)),
		     (double)e->at_us / 1e6, e->out ? "sent" : "received", e->bytes,
		     PB_STR_F(pb_addr_print(&e->local, a)), e->out ? "->" : "<-", PB_STR_F(pb_addr_print(&e->peer, b)));
	pb_text_add(&t, e->text);
	pb_text_lit(&t, "\r\n-----");
	pb_log_output(pb_text_str(&t));
	pb_text_fini(&t);
}

static void say_event(struct trace_loop *tl, struct pb_handle h, const struct pb_flight_event *e)
{
	struct pb_text t;

	pb_text_init(&t, TEXT_LIMIT);
	pb_text_addf(&t, "trace %.*s %+.6f ", PB_STR_F(record_name(tl, h)), (double)e->at_us / 1e6);
	trace_say(&t, e, true);
	pb_log_output(pb_text_str(&t));
	pb_text_fini(&t);
}

static void to_file(struct trace_loop *tl, const struct pb_flight_event *e)
{
	struct pb_text t;

	pb_text_init(&t, TEXT_LIMIT);
	trace_pcapng_packet(&t, pb_loop_wall_us(tl->cx->loop), e, PB_STR_NULL);
	if (pb_text_failed(&t))
		atomic_fetch_add(&tl->sink->lost, 1);
	else
		trace_sink_add(tl->sink, pb_text_str(&t));
	pb_text_fini(&t);
}

static void on_entry(void *arg, struct pb_handle h, const struct pb_flight_event *e, bool *chosen)
{
	struct trace_loop *tl = arg;

	if (e->kind != PB_FLIGHT_PACKET) { /* of a record that was chosen */
		if (tl->shown && may_say(tl))
			say_event(tl, h, e);
		return;
	}
	/* Once a packet of it was taken, all of a call is: both of its legs. */
	if (tl->filter && !*chosen && !trace_filter_takes(tl->filter, e))
		return;
	if (tl->shown && pb_handle_is_set(h))
		*chosen = true;
	if (tl->shown && may_say(tl))
		say_packet(tl, h, e);
	if (atomic_load_explicit(&tl->sink->open, memory_order_relaxed))
		to_file(tl, e);
}

void trace_live_update(struct trace_loop *tl)
{
	bool wanted = tl->shown || atomic_load(&tl->sink->open);

	pb_flight_follow(tl->cx->bus, wanted ? on_entry : NULL, tl);
}

void trace_live_set(struct trace_loop *tl, struct trace_filter *f, bool shown)
{
	trace_filter_free(&tl->filter);
	tl->filter = f;
	tl->shown = shown;
	trace_live_update(tl);
}
