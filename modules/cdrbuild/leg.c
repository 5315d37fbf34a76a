/*
 * A leg lives from the first message about its channel to its hangup. Each thing
 * that changes it sends a record; an answered one may tell at intervals that it
 * is still there.
 */
#include "cdrbuild/leg.h"

#include "base/alloc.h"

/* The first record of status after an answer that sends none, once and for all. */
#define STATUS_ONCE_MS 60000

enum { LOG_NO_MEMORY };

static const struct pb_log_row log_rows[] = {
	[LOG_NO_MEMORY] = { "cdrbuild-001", PB_WARN,
			    "A record is lost or incomplete for lack of memory." },
	{ NULL },
};

PB_LOG_SOURCE(cdr_log, "cdrbuild", log_rows);

/* ---- Records sent ------------------------------------------------------------------ */

struct pb_msg *cdr_leg_record(struct cdr_leg *leg, struct pb_str operation)
{
	const struct cdr_settings *s = leg->st->cx->settings;
	const struct cdr_shared *sh = leg->st->cx->shared;
	struct cdr_style style = { sh->runid, (enum cdr_resolution)s->resolution, &s->formats };
	struct pb_msg *m = pb_msg_new(PB_STR("call.cdr"));

	if (m) {
		pb_msg_set_broadcast(m, true);
		cdr_write(&leg->cdr, m, operation, &style, pb_loop_wall_us(leg->st->cx->loop));
	}
	if (!m || pb_msg_failed(m) || leg->cdr.failed)
		pb_log(&cdr_log, &log_rows[LOG_NO_MEMORY], "Record of %.*s is %s: no memory",
		       PB_STR_F(leg->cdr.chan), m ? "incomplete" : "lost");
	return m;
}

void cdr_leg_send(struct cdr_leg *leg, struct pb_str operation)
{
	struct pb_msg *m = cdr_leg_record(leg, operation);

	leg->cdr.initialized = true;
	if (m)
		pb_bus_enqueue(leg->st->cx->bus, m);
}

/* ---- Records of status ---------------------------------------------------------------- */

static void on_status_timer(void *arg)
{
	struct cdr_leg *leg = arg;
	const struct cdr_settings *s = leg->st->cx->settings;

	cdr_leg_send(leg, PB_STR("status"));
	if (s->status_interval_s)
		pb_timer_start(leg->st->cx->loop, &leg->status_timer,
			       (uint64_t)s->status_interval_s * 1000);
}

static void begin_status(struct cdr_leg *leg)
{
	const struct cdr_settings *s = leg->st->cx->settings;
	uint64_t after_ms =
		s->status_interval_s ? (uint64_t)s->status_interval_s * 1000 : STATUS_ONCE_MS;

	if (!s->status || !leg->cdr.answer_us || leg->status_begun)
		return;
	leg->status_begun = true;
	if (s->status_answer)
		on_status_timer(leg);
	else
		pb_timer_start(leg->st->cx->loop, &leg->status_timer, after_ms);
}

void cdr_leg_changed(struct cdr_leg *leg)
{
	const struct cdr_settings *s = leg->st->cx->settings;

	if (!leg->cdr.initialized)
		cdr_leg_send(leg, PB_STR("initialize"));
	else if (s->updates)
		cdr_leg_send(leg, PB_STR("update"));
	begin_status(leg);
}

/* ---- Life ---------------------------------------------------------------------------- */

struct cdr_leg *cdr_leg_find(struct cdr_state *st, struct pb_str chan)
{
	struct pb_map_node *n = pb_map_first(&st->records, pb_hash(chan));

	for (; n; n = pb_map_next(n)) {
		struct cdr_leg *leg = pb_container(n, struct cdr_leg, node);

		if (pb_str_eq(leg->cdr.chan, chan))
			return leg;
	}
	return NULL;
}

void cdr_leg_free(struct cdr_leg *leg)
{
	pb_timer_stop(&leg->status_timer);
	if (pb_list_linked(&leg->in_open)) {
		pb_map_remove(&leg->st->records, &leg->node);
		pb_list_remove(&leg->in_open);
	}
	cdr_fini(&leg->cdr);
	pb_free(leg);
}

struct cdr_leg *cdr_leg_open(struct cdr_state *st, struct pb_str chan)
{
	struct cdr_shared *sh = st->cx->shared;
	struct cdr_leg *leg = pb_alloc_zero(1, sizeof(*leg));

	if (!leg || cdr_init(&leg->cdr, chan, atomic_fetch_add(&sh->next_number, 1) + 1) ||
	    pb_map_add(&st->records, &leg->node, pb_hash(chan))) {
		pb_log(&cdr_log, &log_rows[LOG_NO_MEMORY], "No record for %.*s: no memory",
		       PB_STR_F(chan));
		if (leg)
			cdr_leg_free(leg);
		return NULL;
	}
	leg->st = st;
	pb_timer_init(&leg->status_timer, on_status_timer, leg);
	pb_list_push(&st->open, &leg->in_open);
	return leg;
}

struct pb_msg *cdr_leg_finish_with(struct cdr_leg *leg)
{
	struct cdr_state *st = leg->st;
	const struct cdr_settings *s = st->cx->settings;
	struct pb_msg *m = cdr_leg_record(leg, PB_STR("finalize"));

	cdr_guards_add(&st->guards, leg->cdr.chan, leg->cdr.hangup_us, true, (uint64_t)s->guard_ms);
	cdr_leg_free(leg);
	return m;
}

void cdr_leg_finish(struct cdr_leg *leg)
{
	struct pb_bus *bus = leg->st->cx->bus;
	struct pb_msg *m = cdr_leg_finish_with(leg);

	if (m)
		pb_bus_enqueue(bus, m);
}
