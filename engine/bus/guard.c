/*
 * What the watchdog (loop/watchdog.h) finds, told as alarms: which loop is
 * stuck, in which message, and whose handler has it.
 */
#include "bus/engine_impl.h"

#include <stdio.h>

#include "loop/watchdog.h"

/* "handler 'regexroute:90' of 'call.route'", or what else a loop may be at. */
static void say_doing(const struct pb_engine *e, unsigned loop, char *buf, size_t size)
{
	struct pb_bus_doing d;

	if (pb_bus_doing(e->bus, loop, &d))
		snprintf(buf, size, "handler '%s' of '%s'", d.handler, d.message);
	else
		snprintf(buf, size, "no message");
}

static void on_stuck(void *arg, unsigned loop, uint64_t ms)
{
	struct pb_engine *e = arg;
	char doing[160];

	say_doing(e, loop, doing, sizeof(doing));
	pb_engine_alarm(e, &pbi_engine_log, &pbi_engine_rows[PBI_ENG_STUCK], "engine",
			"performance", "loop %u has been stuck for %llu ms: %s", loop,
			(unsigned long long)ms, doing);
}

static void on_freed(void *arg, unsigned loop, uint64_t ms)
{
	pb_engine_alarm(arg, &pbi_engine_log, &pbi_engine_rows[PBI_ENG_FREED], "engine",
			"performance", "loop %u goes on after %llu ms", loop,
			(unsigned long long)ms);
}

static void on_given_up(void *arg, unsigned loop, uint64_t ms)
{
	struct pb_engine *e = arg;
	char doing[160], text[256];
	int n;

	say_doing(e, loop, doing, sizeof(doing));
	n = snprintf(text, sizeof(text), "loop %u has been stuck for %llu ms and is given up: %s",
		     loop, (unsigned long long)ms, doing);
	pb_log_last_words(&pbi_engine_log, &pbi_engine_rows[PBI_ENG_GIVEN_UP],
			  pb_str(text, n > 0 && (size_t)n < sizeof(text) ? (size_t)n : 0));
}

static void on_alive(void *arg)
{
	struct pb_engine *e = arg;

	if (e->args.alive)
		e->args.alive(e->args.alive_arg);
}

int pbi_guard_start(struct pb_engine *e)
{
	static const struct pb_watchdog_ops ops = {
		.stuck = on_stuck, .freed = on_freed, .given_up = on_given_up, .alive = on_alive
	};
	struct pb_watchdog_args a = {
		.loops = e->loops,
		.warn_ms = (unsigned)e->set.watchdog_warn_ms,
		.kill_ms = (unsigned)e->set.watchdog_kill_ms,
		.ops = &ops,
		.arg = e,
	};

	return e->world == pb_world_real() ? pb_watchdog_new(&a, &e->watchdog) : 0;
}

void pbi_guard_stop(struct pb_engine *e)
{
	pb_watchdog_free(&e->watchdog);
}
