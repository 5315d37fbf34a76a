/*
 * Statistics per message and per handler.
 *
 * Each loop counts in rows of its own, written by it alone and read by whoever
 * sums them; nothing is shared in the hot path. Messages have a row for each
 * name of the registry and one for all others: names come from scripts and from
 * the wire, rows do not. A handler's row is found by its number, in chunks that
 * never move, and is taken over by the next handler of that number.
 */
#include "bus/bus_impl.h"

#include <errno.h>

#include "base/alloc.h"
#include "bus/names.h"

/* ---- Histograms ------------------------------------------------------------------ */

void pbi_hist_longest(struct pbi_hist *h, uint64_t us)
{
	if (us > PBI_GET(h->max_us))
		PBI_PUT(h->max_us, us);
}

void pbi_hist_add(struct pbi_hist *h, uint64_t us)
{
	unsigned n = us ? 64 - (unsigned)__builtin_clzll(us) : 0;

	n = n < PBI_HIST_BUCKETS ? n : PBI_HIST_BUCKETS - 1;
	PBI_ADD(h->bucket[n], 1);
	pbi_hist_longest(h, us);
}

/* Of several loops. */
struct sum {
	uint64_t max_us, samples, bucket[PBI_HIST_BUCKETS];
};

static void sum_add(struct sum *s, const struct pbi_hist *h)
{
	uint64_t max = PBI_GET(h->max_us);

	s->max_us = max > s->max_us ? max : s->max_us;
	for (unsigned i = 0; i < PBI_HIST_BUCKETS; i++) {
		uint64_t n = PBI_GET(h->bucket[i]);

		s->bucket[i] += n;
		s->samples += n;
	}
}

static uint64_t quantile(const struct sum *s, unsigned percent)
{
	uint64_t below = 0, want = (s->samples * percent + 99) / 100;
	unsigned n = 0;

	if (!s->samples)
		return 0;
	while (n < PBI_HIST_BUCKETS - 1 && (below += s->bucket[n]) < want)
		n++;
	return (uint64_t)1 << n < s->max_us ? (uint64_t)1 << n : s->max_us;
}

static struct pb_latency latency(const struct sum *s)
{
	return (struct pb_latency){ s->samples, quantile(s, 50), quantile(s, 95), quantile(s, 99),
				    s->max_us };
}

/* ---- Rows -------------------------------------------------------------------------- */

static struct pbi_reg_count *chunk_make(struct pbi_bus_loop *pl, uint32_t n)
{
	struct pbi_reg_count *c =
		n < PBI_REGS_CHUNKS ? pb_alloc_zero(PBI_REGS_CHUNK, sizeof(*c)) : NULL;

	if (c)
		atomic_store_explicit(&pl->regs[n], c, memory_order_release);
	return c;
}

static void row_clear(struct pbi_reg_count *c, uint64_t seq)
{
	PBI_PUT(c->seq, 0); /* nobody's, for who reads meanwhile */
	PBI_PUT(c->calls, 0);
	PBI_PUT(c->handled, 0);
	PBI_PUT(c->held, 0);
	PBI_PUT(c->expired, 0);
	PBI_PUT(c->full, 0);
	PBI_PUT(c->passed_by, 0);
	PBI_PUT(c->parked, 0);
	PBI_PUT(c->hist.max_us, 0);
	for (unsigned i = 0; i < PBI_HIST_BUCKETS; i++)
		PBI_PUT(c->hist.bucket[i], 0);
	PBI_PUT(c->seq, seq);
}

/* Without memory counting stops, nothing else. A number is used again once its
 * handler has been removed; what that one still holds is no longer counted. */
struct pbi_reg_count *pbi_reg_counts_anew(struct pbi_bus_loop *pl, const struct pb_reg *r)
{
	struct pbi_reg_count *c = PBI_GET(pl->regs[r->row_chunk]);

	if (!c)
		c = chunk_make(pl, r->row_chunk);
	if (c && PBI_GET((c += r->number % PBI_REGS_CHUNK)->seq) <= r->seq) {
		row_clear(c, r->seq);
		return c;
	}
	row_clear(&pl->spare, 0);
	return &pl->spare;
}

uint16_t pbi_stat_of(const struct pb_bus *b, struct pb_str name)
{
	const struct pb_name_message *row = pb_name_message(name), *first = pb_name_message_at(0);
	size_t exact = b->name_exact;

	if (!row)
		return b->name_count;
	if (row >= first && row < first + exact)
		return (uint16_t)(row - first);
	return (uint16_t)(exact + (size_t)(row - pb_name_message_at(exact)));
}

/* The registry is two arrays behind each other: whole names, then beginnings. */
static void measure_registry(struct pb_bus *b)
{
	const struct pb_name_message *first = pb_name_message_at(0);

	while (pb_name_message_at(b->name_count))
		b->name_count++;
	while (b->name_exact < b->name_count &&
	       pb_name_message_at(b->name_exact) == first + b->name_exact)
		b->name_exact++;
}

int pbi_stats_new(struct pb_bus *b)
{
	measure_registry(b);
	b->labels = pbi_labels_new();
	b->name_labels = pb_alloc_zero(b->name_count + 1u, sizeof(*b->name_labels));
	if (!b->labels || !b->name_labels)
		return -ENOMEM;
	for (uint16_t i = 0; i < b->name_count; i++)
		b->name_labels[i] = pbi_label(b->labels, pb_name_message_at(i)->name);
	b->name_labels[b->name_count] = PBI_LABEL_OTHERS;
	for (unsigned i = 0; i < pb_loops_count(b->loops); i++) {
		struct pbi_bus_loop *pl = &b->on[i];

		pl->msgs = pb_alloc_zero(b->name_count + 1u, sizeof(*pl->msgs));
		if (!pl->msgs)
			return -ENOMEM;
		pl->sample_state = 2463534242u + i;
		pl->sample_in = pbi_sample_next(pl);
	}
	return 0;
}

void pbi_stats_free(struct pb_bus *b)
{
	for (unsigned i = 0; i < PB_LOOPS_MAX; i++) {
		pb_free(b->on[i].msgs);
		for (unsigned k = 0; k < PBI_REGS_CHUNKS; k++)
			pb_free(PBI_GET(b->on[i].regs[k]));
	}
	pb_free(b->name_labels);
	pbi_labels_free(&b->labels);
}

/* ---- Reading ------------------------------------------------------------------------- */

void pb_bus_stats_messages(struct pb_bus *b,
			   bool (*fn)(void *arg, const struct pb_message_stats *s), void *arg)
{
	for (unsigned n = 0; n <= b->name_count; n++) {
		struct pb_message_stats s = { .name = PB_STR("(others)") };
		struct sum sum = { 0 };

		for (unsigned i = 0; i < pb_loops_count(b->loops); i++) {
			const struct pbi_msg_count *c = &b->on[i].msgs[n];

			s.count += PBI_GET(c->count);
			s.handled += PBI_GET(c->handled);
			s.expired += PBI_GET(c->expired);
			s.refused += PBI_GET(c->refused);
			s.parked += PBI_GET(c->parked);
			sum_add(&sum, &c->hist);
		}
		if (n < b->name_count)
			s.name = pb_name_message_at(n)->name;
		s.latency = latency(&sum);
		if (s.count && !fn(arg, &s))
			return;
	}
}

static const struct pbi_reg_count *row_of(const struct pbi_bus_loop *pl, const struct pb_reg *r)
{
	const struct pbi_reg_count *c =
		atomic_load_explicit(&pl->regs[r->row_chunk], memory_order_acquire);

	if (!c)
		return NULL;
	c += r->number % PBI_REGS_CHUNK;
	return PBI_GET(c->seq) == r->seq ? c : NULL;
}

uint64_t pbi_reg_calls(const struct pb_bus *b, const struct pb_reg *r)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < pb_loops_count(b->loops); i++) {
		const struct pbi_reg_count *c = row_of(&b->on[i], r);

		sum += c ? PBI_GET(c->calls) : 0;
	}
	return sum;
}

static void read_row(struct pb_handler_stats *s, const struct pb_bus *b, const struct pb_reg *r)
{
	struct sum sum = { 0 };

	for (unsigned i = 0; i < pb_loops_count(b->loops); i++) {
		const struct pbi_reg_count *c = row_of(&b->on[i], r);

		if (!c)
			continue;
		s->count += PBI_GET(c->calls);
		s->handled += PBI_GET(c->handled);
		s->held += PBI_GET(c->held);
		s->expired += PBI_GET(c->expired);
		s->full += PBI_GET(c->full);
		s->passed_by += PBI_GET(c->passed_by);
		s->parked += PBI_GET(c->parked);
		sum_add(&sum, &c->hist);
	}
	s->latency = latency(&sum);
}

/* The calling loop's, or, elsewhere, a reference to the newest. */
static struct pbi_table *table_now(struct pb_bus *b)
{
	struct pb_loop *l = pb_loop_current();
	struct pbi_table *t;

	pthread_mutex_lock(&b->lock);
	t = l && pb_loop_set(l) == b->loops ? pbi_on(b, l)->table->table : b->table;
	atomic_fetch_add(&t->refs, 1);
	pthread_mutex_unlock(&b->lock);
	return t;
}

void pb_bus_stats_handlers(struct pb_bus *b,
			   bool (*fn)(void *arg, const struct pb_handler_stats *s), void *arg)
{
	struct pbi_table *t = table_now(b);

	for (uint32_t i = 0; i < t->reg_count; i++) {
		const struct pb_reg *r = t->regs[i];
		struct pb_handler_stats s = { .message = r->h.message,
					      .track = r->h.track,
					      .priority = r->h.priority,
					      .breaker = PBI_GET(r->breaker.state) };

		if (pbi_reg_dead(r))
			continue;
		read_row(&s, b, r);
		if (!fn(arg, &s))
			break;
	}
	pbi_table_unref(t);
}

void pb_bus_handlers(struct pb_bus *b, bool (*fn)(void *arg, const struct pb_handler_row *r),
		     void *arg)
{
	struct pbi_table *t = table_now(b);

	for (uint32_t i = 0; i < t->reg_count; i++) {
		const struct pb_reg *r = t->regs[i];
		struct pb_handler_row row = {
			r->h.message,  r->h.track, r->filter.name,
			r->h.priority, r->h.place, PBI_GET(r->breaker.state)
		};

		if (!pbi_reg_dead(r) && !fn(arg, &row))
			break;
	}
	pbi_table_unref(t);
}
