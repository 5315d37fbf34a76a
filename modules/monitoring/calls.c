/*
 * How calls ended, by direction, from the final records of legs; and the alarms
 * when too few are answered or served.
 */
#include "base/text.h"
#include "monitoring/monitoring.h"

static bool is_of(const struct monitor_direction *d, const struct pb_msg *m)
{
	struct pb_str leg = pb_msg_get(m, PB_STR("direction")), want = d->direction;

	if (!want.n)
		want = PB_STR("outgoing");
	if (pb_str_eq(want, PB_STR("incoming")) || pb_str_eq(want, PB_STR("outgoing")))
		return pb_str_eq(leg, want);
	return pb_str_starts(pb_msg_get(m, PB_STR("address")), want);
}

enum pb_verdict monitor_on_cdr(struct pb_msg *m, struct pb_ctx *cx)
{
	const struct monitor_settings *s = cx->settings;
	struct monitor *mo = cx->shared;
	struct pb_str bill = pb_msg_get(m, PB_STR("billtime"));
	bool answered = pb_str_eq(pb_msg_get(m, PB_STR("status")), PB_STR("answered")) ||
			(bill.n && !pb_str_eq(bill, PB_STR("0")) && !pb_str_starts(bill, PB_STR("0.000")));

	for (unsigned i = 0; i < s->count; i++) {
		if (is_of(&s->directions[i], m))
			quality_add(&mo->counted[i].quality, answered, pb_msg_get(m, PB_STR("reason")));
	}
	return PB_PASS;
}

/* ---- Alarms ---------------------------------------------------------------------------- */

static void check(struct monitor *mo, const struct monitor_direction *d, bool crossed, bool *told, int row, int value)
{
	if (crossed && !*told)
		pb_engine_alarm(pb_engine_of(mo->cx), &monitor_log, &monitor_log_rows[row], "monitoring", "performance",
				"direction %.*s: %d %%", PB_STR_F(d->name), value);
	*told = crossed;
}

static void check_all(struct monitor *mo, const struct monitor_direction *d, struct monitor_counted *c)
{
	int asr = quality_asr(&c->quality.present), ner = quality_ner(&c->quality.present);

	if (c->quality.present.calls < (uint64_t)d->min_calls)
		return;
	check(mo, d, d->low_asr >= 0 && asr < d->low_asr, &c->low_asr, MONITOR_LOG_LOW_ASR, asr);
	check(mo, d, d->high_asr >= 0 && asr > d->high_asr, &c->high_asr, MONITOR_LOG_HIGH_ASR, asr);
	check(mo, d, d->low_ner >= 0 && ner < d->low_ner, &c->low_ner, MONITOR_LOG_LOW_NER, ner);
}

enum pb_verdict monitor_on_timer(struct pb_msg *m, struct pb_ctx *cx)
{
	const struct monitor_settings *s = cx->settings;
	uint64_t now = pb_loop_now_ms(cx->loop);
	struct monitor *mo = cx->shared;

	(void)m;
	for (unsigned i = 0; i < s->count; i++) {
		struct monitor_counted *c = &mo->counted[i];

		check_all(mo, &s->directions[i], c);
		if (now - c->turned_ms < (uint64_t)s->directions[i].interval_s * 1000)
			continue;
		quality_turn(&c->quality);
		c->turned_ms = now;
	}
	return PB_PASS;
}

/* ---- Figures ------------------------------------------------------------------------------ */

static struct pb_str number(int64_t n, struct pb_arena *a)
{
	return n < 0 ? PB_STR("") : pb_arena_printf(a, "%lld", (long long)n);
}

struct pb_str monitor_quality(const struct monitor *mo, int column, int64_t index, struct pb_arena *a)
{
	const struct monitor_settings *s = mo->cx->settings;
	const struct quality *q;
	int cause = column - MONITOR_CAUSES;

	if (column == MONITOR_DIRECTIONS)
		return number(s->count, a);
	if (index < 1 || index > s->count)
		return PB_STR_NULL;
	q = &mo->counted[index - 1].quality;
	switch (column) {
	case MONITOR_DIRECTION_INDEX:
		return number(index, a);
	case MONITOR_DIRECTION_NAME:
		return s->directions[index - 1].name;
	case MONITOR_ASR:
		return number(quality_asr(&q->present), a);
	case MONITOR_ASR_ALL:
		return number(quality_asr(&q->all), a);
	case MONITOR_NER:
		return number(quality_ner(&q->present), a);
	case MONITOR_NER_ALL:
		return number(quality_ner(&q->all), a);
	}
	if (cause < QUALITY_CAUSES)
		return number((int64_t)q->present.causes[cause], a);
	return number((int64_t)q->all.causes[cause - QUALITY_CAUSES], a);
}
