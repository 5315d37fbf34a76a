/*
 * What a dispatch over five handlers costs: alone, with building and freeing a
 * message of ten parameters, with a hold and its resume; each without statistics
 * (bare), with them as the engine has them (histograms of sampled dispatches by
 * the real clock), and with the tracking parameter too.
 *
 *     dispatch [ROUNDS]     each number is the best of nine tries, in ns
 *
 * One loop with its thread, which does nothing else; CPU time of the process. The
 * tries of the columns take turns, so that the machine's moods fall on all alike.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bus/flight.h"
#include "loop/world.h"

#define TRIES 9

static unsigned rounds = 1000000;

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
	enum pb_flight_begun how;
	struct pb_handle flight = pb_flight_begin(w->bus, PB_STR("bench"), &how);

	for (unsigned i = 0; i < rounds; i++) {
		struct pb_msg *m = build(w->name);

		if (pb_handle_is_set(flight))
			pb_msg_set_flight(m, flight);
		pb_bus_dispatch(w->bus, m, NULL, NULL, NULL);
	}
	pb_flight_end(w->bus, flight, PB_FLIGHT_WELL, PB_STR(""));
}

/* ---- A column: a bus of its own on the one loop ----------------------------------- */

enum { BARE, COUNTED, TRACKED, RECORDED, COLUMNS };

static const struct pb_flight_args flights = { 16u << 10, 8u << 20, 10, 10, 1000 };

static const struct pb_bus_args columns[COLUMNS] = {
	[BARE] = { .bare = true },
	[COUNTED] = { .bare = false },
	[TRACKED] = { .track_param = "handlers" },
	[RECORDED] = { .flights = &flights },
};

static struct pb_bus *buses[COLUMNS];
static struct pb_ctx contexts[COLUMNS][PB_LOOPS_MAX]; /* as a module's handlers have them */

static void add(unsigned column, const char *name, unsigned priority, pb_handle_fn fn)
{
	struct pb_handler_args h = { .message = pb_str_z(name),
				     .priority = priority,
				     .fn = fn,
				     .track = PB_STR("module"),
				     .contexts = contexts[column] };
	struct pb_reg *r;

	if (pb_bus_add(buses[column], &h, NULL, NULL, &r))
		abort();
}

/* Some hundred handlers of other messages, as an engine has them. */
static void add_all(unsigned column)
{
	for (unsigned i = 0; i < 300; i++) {
		char name[32];

		snprintf(name, sizeof(name), "other.message%u", i % 60);
		add(column, name, i, looks_on);
	}
	for (unsigned i = 0; i < 5; i++) {
		add(column, "call.route", 10 * (i + 1), looks_on);
		add(column, "user.auth", 10 * (i + 1), i == 2 ? holds : looks_on);
	}
}

static void make_bus(unsigned column, struct pb_loops *loops)
{
	struct pb_bus_args ba = columns[column];

	ba.loops = loops;
	if (pb_bus_new(&ba, &buses[column]))
		abort();
	contexts[column][0] =
		(struct pb_ctx){ .bus = buses[column], .loop = pb_loops_at(loops, 0) };
	add_all(column);
}

static void measure(struct pb_loop *l, const char *what, void (*fn)(void *), struct pb_str name)
{
	uint64_t best[COLUMNS] = { UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX };

	for (unsigned i = 0; i < TRIES * COLUMNS; i++) {
		struct work w = { buses[i % COLUMNS], name };
		uint64_t from = now_ns();

		pb_loop_call(l, fn, &w);
		from = now_ns() - from;
		best[i % COLUMNS] = from < best[i % COLUMNS] ? from : best[i % COLUMNS];
	}
	printf("%-46s", what);
	for (unsigned c = 0; c < COLUMNS; c++)
		printf(" %8.1f", (double)best[c] / rounds);
	printf(" %8.2f\n", (double)best[COUNTED] / (double)best[BARE]);
}

int main(int argc, char **argv)
{
	struct pb_loops_args la = { .calls = 1, .world = pb_world_real(), .name = "bench" };
	struct pb_loops *loops;
	struct pb_loop *l;

	if (argc > 1)
		rounds = (unsigned)strtoul(argv[1], NULL, 10);
	if (!rounds)
		rounds = 1;
	if (pb_loops_new(&la, &loops))
		abort();
	for (unsigned c = 0; c < COLUMNS; c++)
		make_bus(c, loops);
	if (pb_loops_start(loops))
		abort();
	l = pb_loops_at(loops, 0);
	printf("%-46s %8s %8s %8s %8s %8s\n", "ns", "bare", "counted", "tracked", "recorded", "ratio");
	measure(l, "dispatch over 5 handlers", same_message, PB_STR("call.route"));
	measure(l, "10 parameters built, dispatch over 5, freed", built_message,
		PB_STR("call.route"));
	measure(l, "the same, the third handler holds and resumes", built_message,
		PB_STR("user.auth"));
	pb_loops_stop(loops);
	pb_loops_free(&loops);
	for (unsigned c = 0; c < COLUMNS; c++)
		pb_bus_free(&buses[c]);
	return 0;
}
