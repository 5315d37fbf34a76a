/*
 * `top`: where time goes. Loops by how busy they were in the last seconds, which
 * a sample a second tells; handlers by their calls and how long one usually
 * takes, of the bus's statistics: what it holds counts as its time.
 */
#include "bus/builtin.h"

#include <stdlib.h>

#include "bus/bus_impl.h"

#define HANDLERS_MAX 1000

/* ---- Samples ---------------------------------------------------------------------------- */

enum pb_verdict pbi_on_second(struct pb_msg *m, struct pb_ctx *cx)
{
	struct pbi_busy *load = &((struct pbi_builtin *)cx->shared)->busy;
	unsigned at = load->count++ % (PBI_BUSY_SECONDS + 1);
	struct pb_loops *loops = pb_bus_loops(cx->bus);

	(void)m;
	load->taken[at].at_us = pb_loop_read_us(cx->loop);
	for (unsigned i = 0; i < pb_loops_count(loops); i++)
		load->taken[at].busy_us[i] = pb_loop_busy_us(pb_loops_at(loops, i), &load->taken[at].turns[i]);
	return PB_PASS;
}

struct loop_row {
	double busy, turns; /* per cent; a second */
};

/** Between the oldest and the newest sample. */
static struct loop_row loop_row(const struct pbi_busy *load, unsigned loop)
{
	unsigned n = load->count, size = PBI_BUSY_SECONDS + 1;
	unsigned last = (n - 1) % size, first = n > size ? n % size : 0;
	uint64_t us;

	if (n < 2)
		return (struct loop_row){ 0 };
	us = load->taken[last].at_us - load->taken[first].at_us;
	if (!us)
		return (struct loop_row){ 0 };
	return (struct loop_row){
		.busy = 100.0 * (double)(load->taken[last].busy_us[loop] - load->taken[first].busy_us[loop]) / (double)us,
		.turns = 1e6 * (double)(load->taken[last].turns[loop] - load->taken[first].turns[loop]) / (double)us,
	};
}

/* ---- Handlers ----------------------------------------------------------------------------- */

struct rows {
	struct pb_handler_stats *of;
	unsigned count;
};

static bool take(void *arg, const struct pb_handler_stats *s)
{
	struct rows *r = arg;

	if (s->count)
		r->of[r->count++] = *s;
	return r->count < HANDLERS_MAX;
}

static uint64_t time_us(const struct pb_handler_stats *s)
{
	return s->count * s->latency.p50_us;
}

static int by_time(const void *a, const void *b)
{
	uint64_t x = time_us(a), y = time_us(b);

	return x < y ? 1 : x > y ? -1 : 0;
}

static const char *breaker_word(enum pb_breaker b)
{
	return b == PB_BREAKER_CLOSED ? "closed" : b == PB_BREAKER_OPEN ? "open" : "trial";
}

/* ---- Shown ---------------------------------------------------------------------------------- */

static void add_loops(struct pb_text *t, struct pb_ctx *cx)
{
	const struct pbi_busy *load = &((struct pbi_builtin *)cx->shared)->busy;
	struct pb_bus_doing doing;

	pb_text_addf(t, "%4s %7s %9s  %s\r\n", "LOOP", "BUSY %", "TURNS/s", "DOING");
	for (unsigned i = 0; i < pb_loops_count(pb_bus_loops(cx->bus)); i++) {
		struct loop_row r = loop_row(load, i);
		bool busy = i != pb_loop_index(cx->loop) && pb_bus_doing(cx->bus, i, &doing);

		pb_text_addf(t, "%4u %7.1f %9.0f  %s%s%s\r\n", i, r.busy, r.turns, busy ? doing.message : "",
			     busy ? " " : "", busy ? doing.handler : "");
	}
}

static void add_handlers(struct pb_text *t, const struct rows *r)
{
	pb_text_addf(t, "%-20s %-20s %9s %9s %7s %7s %6s %8s %8s %9s\r\n", "HANDLER", "MESSAGE", "TIME ms", "CALLS",
		     "HELD", "LATE", "PARKED", "P50 us", "P99 us", "MAX us");
	for (unsigned i = 0; i < r->count; i++) {
		const struct pb_handler_stats *s = &r->of[i];

		pb_text_addf(t, "%-20.*s %-20.*s %9llu %9llu %7llu %7llu %6llu %8llu %8llu %9llu%s\r\n",
			     PB_STR_F(s->track), PB_STR_F(s->message), (unsigned long long)(time_us(s) / 1000),
			     (unsigned long long)s->count, (unsigned long long)s->held,
			     (unsigned long long)s->expired, (unsigned long long)s->parked,
			     (unsigned long long)s->latency.p50_us, (unsigned long long)s->latency.p99_us,
			     (unsigned long long)s->latency.max_us,
			     s->breaker == PB_BREAKER_CLOSED ? "" : " passed by");
	}
}

static void add_loops_json(struct pb_text *t, struct pb_ctx *cx)
{
	const struct pbi_busy *load = &((struct pbi_builtin *)cx->shared)->busy;

	pb_text_lit(t, "{\"loops\":[");
	for (unsigned i = 0; i < pb_loops_count(pb_bus_loops(cx->bus)); i++) {
		struct loop_row r = loop_row(load, i);

		pb_text_addf(t, "%s{\"loop\":%u,\"busy_percent\":%.1f,\"turns_per_s\":%.0f}", i ? "," : "", i, r.busy,
			     r.turns);
	}
}

static void add_handlers_json(struct pb_text *t, const struct rows *r)
{
	pb_text_lit(t, "],\"handlers\":[");
	for (unsigned i = 0; i < r->count; i++) {
		const struct pb_handler_stats *s = &r->of[i];

		pb_text_addf(t, "%s{\"handler\":", i ? "," : "");
		pb_text_add_json(t, s->track);
		pb_text_lit(t, ",\"message\":");
		pb_text_add_json(t, s->message);
		pb_text_addf(t,
			     ",\"time_us\":%llu,\"calls\":%llu,\"handled\":%llu,\"held\":%llu,\"expired\":%llu,"
			     "\"parked\":%llu,\"breaker\":\"%s\",\"p50_us\":%llu,\"p95_us\":%llu,\"p99_us\":%llu,"
			     "\"max_us\":%llu}",
			     (unsigned long long)time_us(s), (unsigned long long)s->count,
			     (unsigned long long)s->handled, (unsigned long long)s->held,
			     (unsigned long long)s->expired, (unsigned long long)s->parked, breaker_word(s->breaker),
			     (unsigned long long)s->latency.p50_us, (unsigned long long)s->latency.p95_us,
			     (unsigned long long)s->latency.p99_us, (unsigned long long)s->latency.max_us);
	}
	pb_text_lit(t, "]}\r\n");
}

enum pb_verdict pbi_on_top(struct pb_msg *m, struct pb_ctx *cx)
{
	struct pb_str args = pbi_command_args(m, "top");
	unsigned header = pb_loops_count(pb_bus_loops(cx->bus)) + 2;
	bool json = pbi_take_json(&args);
	struct rows r = { .of = pb_alloc(HANDLERS_MAX * sizeof(*r.of)) };
	struct pb_text t;

	if (!r.of)
		return PB_PASS;
	pb_bus_stats_handlers(cx->bus, take, &r);
	qsort(r.of, r.count, sizeof(*r.of), by_time);
	pb_text_init(&t, PB_MSG_LIMIT_BYTES / 2);
	if (json) {
		add_loops_json(&t, cx);
		add_handlers_json(&t, &r);
	} else {
		add_loops(&t, cx);
		add_handlers(&t, &r);
		pb_msg_set_int(m, PB_STR("cmd_header"), header <= 10 ? header : 0);
	}
	pb_free(r.of);
	return pbi_answer(m, &t);
}
