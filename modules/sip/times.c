/*
 * How long the engine took over requests, by period: least, most, mean and
 * deviation.
 *
 * Each loop counts into one of two slots, that of the present period; whoever
 * asks reads the other one of every loop, which nobody writes until the next
 * period is over. So nothing is locked and a reader disturbs nobody.
 */
#include "sip/sip.h"

#include <math.h>

#define PERIOD_MS 5000

static uint64_t period_of(const struct pb_loop *l)
{
	return pb_loop_now_ms(l) / PERIOD_MS + 1; /* 0: never used */
}

static void set(_Atomic uint64_t *to, uint64_t v)
{
	atomic_store_explicit(to, v, memory_order_relaxed);
}

static uint64_t get(const _Atomic uint64_t *from)
{
	return atomic_load_explicit(from, memory_order_relaxed);
}

void sip_times_add(struct sip_loop *sl, uint64_t us)
{
	struct sip_shared *sh = sl->cx->shared;
	uint64_t period = period_of(sl->cx->loop);
	struct sip_times *t = &sh->times[pb_loop_index(sl->cx->loop)][period & 1];

	if (get(&t->period) != period) {
		set(&t->count, 0);
		set(&t->sum, 0);
		set(&t->squares, 0);
		set(&t->least, UINT64_MAX);
		set(&t->most, 0);
		set(&t->period, period);
	}
	set(&t->count, get(&t->count) + 1);
	set(&t->sum, get(&t->sum) + us);
	set(&t->squares, get(&t->squares) + us * us);
	if (us < get(&t->least))
		set(&t->least, us);
	if (us > get(&t->most))
		set(&t->most, us);
}

struct figures {
	uint64_t count, least, most;
	double sum, squares;
};

static void collect(struct figures *f, const struct sip_times *t, uint64_t period)
{
	if (get(&t->period) != period)
		return;
	f->count += get(&t->count);
	f->sum += (double)get(&t->sum);
	f->squares += (double)get(&t->squares);
	if (get(&t->least) < f->least)
		f->least = get(&t->least);
	if (get(&t->most) > f->most)
		f->most = get(&t->most);
}

/* The period that was over last. */
static struct figures last_period(const struct sip_shared *sh, const struct pb_loop *l)
{
	struct figures f = { .least = UINT64_MAX };
	uint64_t period = period_of(l) - 1;

	for (unsigned i = 0; i < pb_loops_calls(pb_loop_set(l)); i++)
		collect(&f, &sh->times[i][period & 1], period);
	if (!f.count)
		f.least = 0;
	return f;
}

enum pb_verdict sip_on_stats_times(struct pb_msg *m, struct pb_ctx *cx)
{
	struct figures f = last_period(cx->shared, cx->loop);
	double mean = f.count ? f.sum / (double)f.count : 0;
	double variance = f.count ? f.squares / (double)f.count - mean * mean : 0;
	bool json = pb_str_ends(pb_str_trim_space(pb_msg_get(m, PB_STR("line"))), PB_STR("--json"));
	struct pb_text t;
	char buf[256];

	pb_text_init_buf(&t, buf, sizeof(buf));
	pb_text_addf(&t,
		     json ? "{\"period_s\":%d,\"count\":%llu,\"min_ms\":%.3f,\"max_ms\":%.3f,\"avg_ms\":%.3f,\"std_ms\":%.3f}\r\n" :
			    "period=%ds,count=%llu,min=%.3f,max=%.3f,avg=%.3f,std=%.3f (ms)\r\n",
		     PERIOD_MS / 1000, (unsigned long long)f.count, (double)f.least / 1e3, (double)f.most / 1e3, mean / 1e3,
		     variance > 0 ? sqrt(variance) / 1e3 : 0.0);
	pb_msg_set_retval(m, pb_text_str(&t));
	return PB_HANDLED;
}
