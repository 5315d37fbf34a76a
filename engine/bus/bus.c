/* The bus itself: made, let come to rest, and freed; how it crosses loops, and
 * what it has to say. What it does is in walk.c, ask.c, queue.c, hold.c, visit.c. */
#include "bus/flight_impl.h"

#include <errno.h>
#include <stdarg.h>

#include "base/alloc.h"

#define HOLD_MS        10000
#define MESSAGE_MS     60000
#define PARKED_MAX     10000
#define QUEUED_MAX     100000
#define BREAKER_MISSES 5
#define BREAKER_MOST   64
#define WINDOW_MS      60000
#define PAUSE_MS       30000
#define SETTLE_ROUNDS  1000

/* ---- The log -------------------------------------------------------------------- */

const struct pb_log_row pbi_bus_rows[] = {
	[PBI_BUS_BROADCAST] = { "bus-001", PB_INFO,
				"A handler was installed that hears every message." },
	[PBI_BUS_DROPPED] = { "bus-002", PB_WARN,
			      "A queue is at its limit (engine.cfg, limits.queued): messages are "
			      "dropped. A handler puts messages faster than they are walked." },
	[PBI_BUS_BREAKER_OPEN] = { "bus-003", PB_WARN,
				   "A handler missed its time limit too often and is passed by for "
				   "a while: see what it waits for." },
	[PBI_BUS_BREAKER_CLOSED] = { "bus-004", PB_NOTE,
				     "A handler that was passed by answers in time again." },
	[PBI_BUS_CONGESTED] = { "bus-005", PB_WARN,
				"A limit of yate.conf (maxmsgrate, maxmsgage, maxqueued) is "
				"passed." },
	[PBI_BUS_EXTRA_CONGESTED] = { "bus-006", PB_NOTE, "One more of these limits is passed." },
	[PBI_BUS_CONGESTION_ENDED] = { "bus-007", PB_NOTE,
				       "None of these limits is passed any more." },
	[PBI_BUS_SLOW_HANDLER] = { "bus-008", PB_INFO,
				   "A handler took longer than warntime of yate.conf." },
	{ NULL },
};

PB_LOG_SOURCE(pbi_bus_log, "bus", pbi_bus_rows);

const struct pb_log_row pbi_performance_rows[] = {
	[PBI_PERF_SLOW_MESSAGE] = { "bus-009", PB_MILD,
				    "A message took longer than warntime of yate.conf in all." },
	{ NULL },
};

PB_LOG_SOURCE(pbi_performance_log, "Performance", pbi_performance_rows);

void pbi_alarm(struct pb_bus *b, unsigned row, const char *info, const char *fmt, ...)
{
	char buf[512];
	struct pb_text t;
	va_list ap;

	pb_text_init_buf(&t, buf, sizeof(buf));
	va_start(ap, fmt);
	pb_text_addv(&t, fmt, ap);
	va_end(ap);
	if (b->args.alarm)
		b->args.alarm(b->args.alarm_arg, &pbi_bus_log, &pbi_bus_rows[row], info,
			      pb_text_str(&t));
	else
		pb_log(&pbi_bus_log, &pbi_bus_rows[row], "%.*s", PB_STR_F(pb_text_str(&t)));
}

/* ---- Crossing ---------------------------------------------------------------------- */

void pbi_post(struct pbi_bus_loop *to, struct pb_work *w, void (*fn)(void *arg), void *arg)
{
	atomic_fetch_add_explicit(&to->under_way, 1, memory_order_relaxed);
	*w = (struct pb_work){ .fn = fn, .arg = arg };
	pb_loop_post(to->loop, w);
}

void pbi_arrived(struct pbi_bus_loop *pl)
{
	atomic_fetch_sub_explicit(&pl->under_way, 1, memory_order_relaxed);
}

static void nothing(void *arg)
{
	(void)arg;
}

static bool at_rest(const struct pb_bus *b)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < pb_loops_count(b->loops); i++)
		n += PBI_GET(b->on[i].under_way) + PBI_GET(b->on[i].counts.queued);
	return !n;
}

bool pb_bus_settle(struct pb_bus *b)
{
	for (unsigned round = 0; round < SETTLE_ROUNDS && !at_rest(b); round++) {
		for (unsigned i = 0; i < pb_loops_count(b->loops); i++)
			pb_loop_call(pb_loops_at(b->loops, i), nothing, NULL);
		pb_loops_turn(b->loops); /* where they have no threads */
	}
	return at_rest(b);
}

/* ---- Made -------------------------------------------------------------------------------- */

static unsigned or_else(unsigned given, unsigned def)
{
	return given ? given : def;
}

static void take_args(struct pb_bus *b, const struct pb_bus_args *args)
{
	struct pb_bus_args *a = &b->args;

	*a = *args;
	a->hold_ms = or_else(a->hold_ms, HOLD_MS);
	a->message_ms = or_else(a->message_ms, MESSAGE_MS);
	a->parked_max = or_else(a->parked_max, PARKED_MAX);
	a->queued_max = or_else(a->queued_max, QUEUED_MAX);
	a->breaker_misses = or_else(a->breaker_misses, BREAKER_MISSES);
	if (a->breaker_misses > BREAKER_MOST)
		a->breaker_misses = BREAKER_MOST;
	a->breaker_window_ms = or_else(a->breaker_window_ms, WINDOW_MS);
	a->breaker_pause_ms = or_else(a->breaker_pause_ms, PAUSE_MS);
	b->track = pb_str_z(args->track_param);
	pb_bus_set_limits(b, &a->limits);
	pb_bus_set_warntime(b, a->warn_ms);
	pb_bus_trace_times(b, a->trace_times);
	pb_bus_trace_handler_times(b, a->trace_handler_times);
}

static int loop_init(struct pb_bus *b, unsigned i)
{
	struct pbi_bus_loop *pl = &b->on[i];

	pl->bus = b;
	pl->loop = pb_loops_at(b->loops, i);
	pl->index = i;
	pl->ctx_bytes = i * (uint32_t)sizeof(struct pb_ctx);
	pl->script = i >= pb_loops_calls(b->loops);
	pl->track = b->track;
	pl->tail = &pl->head;
	pb_list_init(&pl->parked);
	if (b->args.flights && !pl->script &&
	    pbi_flights_new(pl->loop, b->args.flights, pb_loops_calls(b->loops), &pl->flights))
		return -ENOMEM;
	pl->table = pb_alloc_zero(1, sizeof(*pl->table));
	if (!pl->table)
		return -ENOMEM;
	atomic_fetch_add(&b->table->refs, 1);
	*pl->table = (struct pbi_table_ref){ .table = b->table, .current = true };
	return 0;
}

int pb_bus_new(const struct pb_bus_args *args, struct pb_bus **out)
{
	struct pb_bus *b = pb_alloc_zero(1, sizeof(*b));
	int err;

	*out = NULL;
	if (!b)
		return -ENOMEM;
	b->loops = args->loops;
	pthread_mutex_init(&b->lock, NULL);
	pb_log_register(&pbi_bus_log);
	pb_log_register(&pbi_performance_log);
	take_args(b, args);
	err = pbi_stats_new(b);
	if (!err)
		b->table = pbi_table_make(b, NULL, NULL, NULL);
	if (!err && !b->table)
		err = -ENOMEM;
	for (unsigned i = 0; i < pb_loops_count(b->loops) && !err; i++)
		err = loop_init(b, i);
	b->args.flights = NULL;
	if (err) {
		pb_bus_free(&b);
		return err;
	}
	*out = b;
	return 0;
}

struct pb_loops *pb_bus_loops(const struct pb_bus *b)
{
	return b->loops;
}

int pb_bus_owner_of(const struct pb_bus *b, struct pb_str id)
{
	size_t at = id.n;
	uint64_t number = 0;

	while (at && pb_is_digit(id.p[at - 1]))
		at--;
	if (at == id.n || !at || id.p[at - 1] != '/')
		return -1;
	for (size_t i = at; i < id.n; i++)
		number = number * 10 + (uint64_t)(id.p[i] - '0');
	return (int)(number % pb_loops_calls(b->loops));
}

/* ---- Freed -------------------------------------------------------------------------------- */

/* Copies on other loops go first: their slots may be on any. */
static void free_visits(struct pbi_bus_loop *pl)
{
	pb_list_each (n, &pl->parked) {
		struct pbi_slot *s = pb_container(n, struct pbi_slot, node);

		if (s->away)
			pbi_visit_lost(s->away);
		if (s->gather)
			pbi_gather_lost(s->gather);
		s->away = NULL;
		s->gather = NULL;
	}
}

static void free_parked(struct pbi_slot *s)
{
	struct pb_msg *m = s->msg;

	pb_patch_free(&s->patch);
	pb_list_remove(&s->node);
	if (m->w.visit) { /* abandoned, but the word has not arrived */
		pbi_visit_lost(m->w.visit);
		return;
	}
	if (m->w.table && --m->w.table->walks == 0 && !m->w.table->current)
		pbi_table_ref_release(m->w.table);
	pb_list_remove(&m->w.asked);
	pb_msg_free(&m);
}

static void free_loop(struct pbi_bus_loop *pl)
{
	while (!pb_list_empty(&pl->parked))
		free_parked(pb_container(pl->parked.next, struct pbi_slot, node));
	while (pl->head) {
		struct pb_msg *m = pl->head;

		pl->head = m->next;
		pb_msg_free(&m);
	}
	for (uint32_t i = 0; i < pl->slot_count; i++)
		pb_free(pl->slots[i]);
	pb_free(pl->slots);
	pbi_flights_free(&pl->flights);
	if (pl->table) {
		pl->table->current = false;
		pl->table->walks = 0;
		pbi_table_ref_release(pl->table);
	}
}

void pb_bus_free(struct pb_bus **bp)
{
	struct pb_bus *b = *bp;

	if (!b)
		return;
	*bp = NULL;
	for (unsigned i = 0; i < PB_LOOPS_MAX; i++) {
		if (b->on[i].bus)
			free_visits(&b->on[i]);
	}
	for (unsigned i = 0; i < PB_LOOPS_MAX; i++) {
		if (b->on[i].bus)
			free_loop(&b->on[i]);
	}
	pbi_table_unref(b->table);
	pbi_stats_free(b);
	pthread_mutex_destroy(&b->lock);
	pb_free(b->numbers);
	pb_free(b);
}
