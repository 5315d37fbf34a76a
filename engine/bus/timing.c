/*
 * What is known of a walk whose clock is read: because it is one of the sampled,
 * because delays are to be told of (warntime), or because the tracking parameter
 * shows what each handler took. All other walks pay one comparison a handler.
 *
 * The end of one handler is the beginning of the next, so that a walk costs one
 * reading more than it has handlers. A hold counts until it is resumed: to the
 * caller that is the time the handler took.
 */
#include "bus/bus_impl.h"

#include "bus/names.h"

#define TEXT_LIMIT 16384

void pbi_timing_begin(struct pb_msg *m)
{
	struct pbi_bus_loop *pl = m->w.on;
	unsigned timing = PBI_GET(pl->bus->timing);

	if (timing & PBI_TIME_MESSAGES)
		m->b.dispatched_us = pb_loop_wall_us(pl->loop);
	m->w.timed = m->w.sampled || (timing & (PBI_TIME_WARN | PBI_TIME_HANDLERS));
	m->w.care = m->w.timed;
	if (m->w.timed)
		m->w.began_us = m->w.called_us = pb_loop_read_us(pl->loop);
}

void pbi_timing_handler(struct pb_msg *m, struct pb_reg *r)
{
	struct pbi_bus_loop *pl = m->w.on;
	struct pb_bus *b = pl->bus;
	unsigned timing = PBI_GET(b->timing);
	uint64_t now = pb_loop_read_us(pl->loop), took = now - m->w.called_us;

	m->w.called_us = now;
	if (m->w.sampled)
		pbi_hist_add(&pbi_reg_counts(pl, r)->hist, took);
	if ((timing & PBI_TIME_HANDLERS) && r->track.n && b->track.n)
		pbi_msg_track_time(m, b->track, m->w.track_at, took);
	if ((timing & PBI_TIME_WARN) && took > PBI_GET(b->warn_us))
		pb_log(&pbi_bus_log, &pbi_bus_rows[PBI_BUS_SLOW_HANDLER],
		       "Message '%.*s' [%p] passed through %p '%.*s' in %llu usec",
		       PB_STR_F(m->b.name), (void *)m, (void *)r, PB_STR_F(r->track),
		       (unsigned long long)took);
}

static void add_content(struct pb_text *t, const struct pb_msg *m)
{
	const struct pb_name_message *row = pb_name_message(m->b.name);
	bool hide = row && (row->flags & PB_NAME_SECRET_RETVAL) && m->b.retval.n;

	pb_text_addf(t, "  retval='%.*s'", PB_STR_F(hide ? PB_STR("(hidden)") : m->b.retval));
	for (uint32_t i = 0; i < m->b.count; i++) {
		const struct pb_param *p = &m->b.params[i];

		hide = pb_name_is_secret(m->b.name, p->name);
		pb_text_addf(t, "\r\n  param['%.*s'] = '%.*s'", PB_STR_F(p->name),
			     PB_STR_F(hide ? PB_STR("(hidden)") : p->value));
	}
}

static void tell_slow(struct pb_msg *m, uint64_t took_us)
{
	char head[512];
	struct pb_text h, t;

	if (!pb_log_wants(&pbi_performance_log, PB_MILD))
		return;
	pb_text_init_buf(&h, head, sizeof(head));
	pb_text_addf(&h, "Message %p '%.*s' returned %s in %llu usec", (void *)m,
		     PB_STR_F(m->b.name), m->w.handled ? "true" : "false",
		     (unsigned long long)took_us);
	pb_text_init(&t, TEXT_LIMIT);
	add_content(&t, m);
	pb_log_block(&pbi_performance_log, &pbi_performance_rows[PBI_PERF_SLOW_MESSAGE],
		     pb_text_str(&h), pb_text_str(&t));
	pb_text_fini(&t);
}

void pbi_timing_end(struct pb_msg *m)
{
	struct pbi_bus_loop *pl = m->w.on;
	uint64_t took = pb_loop_read_us(pl->loop) - m->w.began_us;

	if (m->w.sampled)
		pbi_hist_add(&pl->msgs[m->w.stat].hist, took);
	if ((PBI_GET(pl->bus->timing) & PBI_TIME_WARN) && took > PBI_GET(pl->bus->warn_us))
		tell_slow(m, took);
}

/* Between 1 and 127, 64 in the mean: no traffic of a fixed pattern has always the
 * same of its messages timed. */
uint32_t pbi_sample_next(struct pbi_bus_loop *pl)
{
	uint32_t x = pl->sample_state;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	pl->sample_state = x;
	return 1 + x % 127;
}

/* ---- Switches --------------------------------------------------------------------- */

static void timing_switch(struct pb_bus *b, unsigned what, bool on)
{
	if (on)
		atomic_fetch_or(&b->timing, what);
	else
		atomic_fetch_and(&b->timing, ~what);
}

void pb_bus_set_warntime(struct pb_bus *b, unsigned ms)
{
	PBI_PUT(b->warn_us, (uint64_t)ms * 1000);
	timing_switch(b, PBI_TIME_WARN, ms != 0);
}

void pb_bus_trace_times(struct pb_bus *b, bool on)
{
	timing_switch(b, PBI_TIME_MESSAGES, on);
}

void pb_bus_trace_handler_times(struct pb_bus *b, bool on)
{
	timing_switch(b, PBI_TIME_HANDLERS, on);
}
