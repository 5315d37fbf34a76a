/*
 * What a dispatch over five handlers costs: bare, with tracking, with building
 * and freeing a message of ten parameters, with a hold and its resume.
 *
 *     dispatch [ROUNDS]     each line is the best of seven rounds, in ns
 *
 * One loop of the simulated world, so that nothing but the bus is measured.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bus/bus.h"
#include "loop/world.h"

#define TRIES 7

static unsigned rounds = 1000000;
static struct pb_ctx contexts[PB_LOOPS_MAX]; /* as a module's handlers have them */

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static enum pb_verdict looks_on(struct pb_msg *m, struct pb_ctx *cx)
{
	(void)m;
	(void)cx;
	return PB_PASS;
}

static enum pb_verdict holds(struct pb_msg *m, struct pb_ctx *cx)
{
	pb_bus_resume(cx->bus, pb_bus_hold(m, NULL), NULL, PB_PASS);
	return PB_HOLD;
}

static void keep(struct pb_msg *m, bool handled, void *arg)
{
	(void)handled;
	*(struct pb_msg **)arg = m;
}

static struct pb_msg *build(struct pb_str name)
{
	struct pb_msg *m = pb_msg_new(name);

	pb_msg_add(m, PB_STR("id"), PB_STR("sip/12345"));
	pb_msg_add(m, PB_STR("module"), PB_STR("sip"));
	pb_msg_add(m, PB_STR("status"), PB_STR("incoming"));
	pb_msg_add(m, PB_STR("address"), PB_STR("192.168.1.27:5060"));
	pb_msg_add(m, PB_STR("billid"), PB_STR("1700000000-12345"));
	pb_msg_add(m, PB_STR("answered"), PB_STR("false"));
	pb_msg_add(m, PB_STR("direction"), PB_STR("incoming"));
	pb_msg_add(m, PB_STR("caller"), PB_STR("alice"));
	pb_msg_add(m, PB_STR("called"), PB_STR("bob"));
	pb_msg_add(m, PB_STR("callername"), PB_STR("Alice of the Bench"));
	return m;
}

/* ---- What is measured ---------------------------------------------------------- */

struct work {
	struct pb_bus *bus;
	struct pb_str name;
};

static void same_message(void *arg)
{
	struct work *w = arg;
	struct pb_msg *m = pb_msg_new(w->name);

	for (unsigned i = 0; i < rounds; i++)
		pb_bus_dispatch(w->bus, m, NULL, keep, &m);
	pb_msg_free(&m);
}

static void built_message(void *arg)
{
	struct work *w = arg;

	for (unsigned i = 0; i < rounds; i++)
		pb_bus_dispatch(w->bus, build(w->name), NULL, NULL, NULL);
}

static void measure(struct pb_loop *l, const char *what, void (*fn)(void *), struct work *w)
{
	uint64_t best = UINT64_MAX;

	for (unsigned i = 0; i < TRIES; i++) {
		uint64_t from = now_ns();

		pb_loop_call(l, fn, w);
		from = now_ns() - from;
		best = from < best ? from : best;
	}
	printf("%-52s %8.1f ns\n", what, (double)best / rounds);
}

static void add(struct pb_bus *b, const char *name, unsigned priority, pb_handle_fn fn)
{
	struct pb_handler_args h = { .message = pb_str_z(name), .priority = priority, .fn = fn,
				     .track = PB_STR("module"), .contexts = contexts };
	struct pb_reg *r;

	if (pb_bus_add(b, &h, NULL, NULL, &r))
		abort();
}

/* Some hundred handlers of other messages, as an engine has them. */
static void add_all(struct pb_bus *b)
{
	for (unsigned i = 0; i < 300; i++) {
		char name[32];

		snprintf(name, sizeof(name), "other.message%u", i % 60);
		add(b, name, i, looks_on);
	}
	for (unsigned i = 0; i < 5; i++) {
		add(b, "call.route", 10 * (i + 1), looks_on);
		add(b, "user.auth", 10 * (i + 1), i == 2 ? holds : looks_on);
	}
}

static void with_tracking(const char *track)
{
	struct pb_loops_args la = { .calls = 1 };
	struct pb_bus_args ba = { .track_param = track };
	struct work route = { .name = PB_STR("call.route") }, auth = { .name = PB_STR("user.auth") };
	struct pb_sim *sim;
	struct pb_loop *l;

	if (pb_sim_new(1, &sim))
		abort();
	la.world = pb_sim_world(sim);
	if (pb_loops_new(&la, &ba.loops) || pb_bus_new(&ba, &route.bus) || pb_loops_start(ba.loops))
		abort();
	l = pb_loops_at(ba.loops, 0);
	auth.bus = route.bus;
	contexts[0] = (struct pb_ctx){ .bus = route.bus, .loop = l };
	add_all(route.bus);
	pb_sim_run(sim, 10, NULL, NULL);
	printf("tracking %s\n", track ? "on" : "off");
	if (!track)
		measure(l, "  dispatch over 5 handlers", same_message, &route);
	measure(l, "  10 parameters built, dispatch over 5, freed", built_message, &route);
	measure(l, "  the same, the third handler holds and resumes", built_message, &auth);
	pb_loops_stop(ba.loops);
	pb_loops_free(&ba.loops);
	pb_bus_free(&route.bus);
	pb_sim_free(&sim);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		rounds = (unsigned)strtoul(argv[1], NULL, 10);
	if (!rounds)
		rounds = 1;
	with_tracking(NULL);
	with_tracking("handlers");
	return 0;
}
