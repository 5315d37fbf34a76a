/*
 * Each second, on call loop 0: engine.timer, and what is looked at once a second:
 * whether the wall clock has jumped, and whether a restart is due.
 *
 * The tick comes shortly after each full second of the wall clock.
 */
#include "bus/engine_impl.h"

/* Between two tries of a restart that found somebody busy. */
#define RETRY_MS 10000

static void send_timer(struct pb_engine *e, uint64_t wall_us)
{
	struct pb_msg *m = pb_msg_new(PB_STR("engine.timer"));

	if (!m)
		return;
	pb_msg_set_broadcast(m, true);
	pb_msg_set_int(m, PB_STR("time"), (int64_t)(wall_us / 1000000));
	pb_msg_set(m, PB_STR("nodename"), pb_engine_run_param(e, PB_STR("nodename")));
	pb_bus_enqueue(e->bus, m);
}

enum pbi_jump pbi_clock_jump(uint64_t last_us, uint64_t now_us, int64_t limit_s, int64_t *by_ms)
{
	*by_ms = (int64_t)(now_us - last_us) / 1000;
	if (!last_us || (now_us > last_us && (!limit_s || *by_ms <= limit_s * 1000)))
		return PBI_JUMP_NONE;
	return limit_s ? PBI_JUMP_RESTART : PBI_JUMP_TELL;
}

static void look_at_clock(struct pb_engine *e, uint64_t wall_us)
{
	int64_t by_ms;
	enum pbi_jump jump = pbi_clock_jump(e->tick_wall_us, wall_us, e->yate.timejump, &by_ms);
	bool restart = jump == PBI_JUMP_RESTART && e->args.supervised;

	e->tick_wall_us = wall_us;
	if (jump == PBI_JUMP_NONE)
		return;
	pb_engine_alarm(e, &pbi_engine_log, &pbi_engine_rows[PBI_ENG_CLOCK], "engine", "system",
			"System time advanced by %lld msec.%s", (long long)by_ms,
			restart ? " Restarting!" : "");
	if (restart)
		pb_engine_restart(e, 0, true);
}

/* `restarts`: so long after the start; again and again until the control thread does it. */
static void look_at_restart(struct pb_engine *e, uint64_t now_ms)
{
	if (!e->restart_due_ms || now_ms < e->restart_due_ms)
		return;
	e->restart_due_ms = now_ms + RETRY_MS;
	pb_engine_restart(e, 0, false);
}

static void each_second(void *arg)
{
	struct pb_engine *e = arg;
	struct pb_loop *l = pb_loop_current();
	uint64_t wall_us = pb_loop_wall_us(l);

	pb_timer_start(l, &e->tick, 1000 - wall_us / 1000 % 1000);
	pb_bus_second(e->bus);
	look_at_clock(e, wall_us);
	look_at_restart(e, pb_loop_now_ms(l));
	send_timer(e, wall_us);
}

void pbi_tick_start(void *engine)
{
	struct pb_engine *e = engine;
	struct pb_loop *l = pb_loop_current();

	if (e->yate.restarts && e->args.supervised)
		e->restart_due_ms = pb_loop_now_ms(l) + (uint64_t)e->yate.restarts * 1000;
	else if (e->yate.restarts)
		pb_log(&pbi_engine_log, &pbi_engine_rows[PBI_ENG_UNSUPERVISED],
		       "restarts=%lld is ignored: the engine is not supervised",
		       (long long)e->yate.restarts);
	pb_timer_init(&e->tick, each_second, e);
	pb_timer_start(l, &e->tick, 1000 - pb_loop_wall_us(l) / 1000 % 1000);
}

void pbi_tick_stop(void *engine)
{
	pb_timer_stop(&((struct pb_engine *)engine)->tick);
}
