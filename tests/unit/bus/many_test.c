/*
 * engine/bus on real threads: a hundred thousand messages held at once by one
 * handler and released in random order from four threads of no loop. Each is
 * completed once, with the answer that was given to it; no thread is made for
 * any of them; what they took is given back.
 *
 * Twice: the slots of parked messages are kept for the next burst (as many as
 * were ever parked at once), so the second must take nothing that it does not
 * give back.
 */
#include "../../support/memory.h"
#include "../../support/sanitized.h"
#include "../../support/test.h"

#include <dirent.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>

#include "bus/msg_impl.h"
#include "loop/world.h"

/* Sanitizers take several times the memory and the time for each. */
#define TOTAL     (PB_TEST_SANITIZED ? 20000 : 100000)
#define CALLS     2
#define RELEASERS 4
#define LIMIT_MS  600000 /* none passes here */
#define SLOT_MAX  256    /* octets that stay for each message that was parked at once */

static struct pb_loops *loops;
static struct pb_bus *bus;
static struct pb_token tokens[TOTAL];
static unsigned order[TOTAL];
static atomic_uint completed[TOTAL], ended, held, wrong;
static sem_t all_held, all_ended;

static enum pb_verdict on_hold(struct pb_msg *m, struct pb_ctx *cx)
{
	int64_t n = pb_msg_get_int(m, PB_STR("n"), -1, -1, TOTAL - 1);

	(void)cx;
	tokens[n] = pb_bus_hold(m, NULL);
	if (atomic_fetch_add(&held, 1) + 1 == TOTAL)
		sem_post(&all_held);
	return PB_HOLD;
}

static void done(struct pb_msg *m, bool handled, void *arg)
{
	int64_t n = pb_msg_get_int(m, PB_STR("n"), -1, -1, TOTAL - 1);

	if (n < 0 || pb_msg_get_int(m, PB_STR("answer"), -1, -1, TOTAL) != n ||
	    handled != (n % 2 == 1) || !pb_loop_is_mine(arg))
		atomic_fetch_add(&wrong, 1);
	else
		atomic_fetch_add(&completed[n], 1);
	pb_msg_free(&m);
	if (atomic_fetch_add(&ended, 1) + 1 == TOTAL)
		sem_post(&all_ended);
}

static void ask_all(void *arg)
{
	struct pb_loop *l = arg;

	for (unsigned n = pb_loop_index(l); n < TOTAL; n += CALLS) {
		struct pb_msg *m = pb_msg_new(PB_STR("m"));

		pb_msg_set_int(m, PB_STR("n"), n);
		pb_bus_dispatch(bus, m, NULL, done, l);
	}
}

static void *release(void *arg)
{
	for (unsigned i = *(const unsigned *)arg; i < TOTAL; i += RELEASERS) {
		struct pb_patch *p = pb_patch_new();
		char text[16];

		snprintf(text, sizeof(text), "%u", order[i]);
		pb_patch_set(p, PB_STR("answer"), pb_str_z(text));
		pb_bus_resume(bus, tokens[order[i]], p, order[i] % 2 ? PB_HANDLED : PB_PASS);
	}
	return NULL;
}

static void shuffle(uint64_t state)
{
	for (unsigned i = 0; i < TOTAL; i++)
		order[i] = i;
	for (unsigned i = TOTAL - 1; i; i--) {
		unsigned k, was = order[i];

		state = state * 6364136223846793005u + 1442695040888963407u;
		k = (unsigned)(state >> 33) % (i + 1);
		order[i] = order[k];
		order[k] = was;
	}
}

static unsigned threads(void)
{
	DIR *d = opendir("/proc/self/task");
	unsigned n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

static void wait_for(sem_t *s)
{
	while (sem_wait(s) < 0)
		; /* interrupted by a signal */
}

static void nothing(void *arg)
{
	(void)arg;
}

static void burst(uint64_t seed)
{
	static const unsigned parts[RELEASERS] = { 0, 1, 2, 3 };
	struct pb_work asking[CALLS];
	pthread_t helpers[RELEASERS];
	unsigned at_rest = threads(), missing = 0;
	struct pb_bus_counts c;

	shuffle(seed);
	atomic_store(&ended, 0);
	atomic_store(&held, 0);
	for (unsigned i = 0; i < CALLS; i++) {
		asking[i] = (struct pb_work){ .fn = ask_all, .arg = pb_loops_at(loops, i) };
		pb_loop_post(pb_loops_at(loops, i), &asking[i]);
	}
	wait_for(&all_held);
	for (unsigned i = 0; i < CALLS; i++) /* the last holder is back */
		pb_loop_call(pb_loops_at(loops, i), nothing, NULL);
	pb_bus_count(bus, &c);
	CU_ASSERT_EQUAL(c.parked, TOTAL);
	CU_ASSERT_EQUAL(threads(), at_rest);
	for (unsigned i = 0; i < RELEASERS; i++)
		pthread_create(&helpers[i], NULL, release, (void *)&parts[i]);
	for (unsigned i = 0; i < RELEASERS; i++)
		pthread_join(helpers[i], NULL);
	wait_for(&all_ended);
	for (unsigned i = 0; i < CALLS; i++)
		pb_loop_call(pb_loops_at(loops, i), nothing, NULL);
	for (unsigned i = 0; i < TOTAL; i++) {
		missing += atomic_load(&completed[i]) != 1;
		atomic_store(&completed[i], 0);
	}
	CU_ASSERT_EQUAL(missing, 0);
	CU_ASSERT_EQUAL(atomic_load(&wrong), 0);
	CU_ASSERT_EQUAL(atomic_load(&ended), TOTAL);
	pb_bus_count(bus, &c);
	CU_ASSERT_EQUAL(c.parked, 0);
	CU_ASSERT_EQUAL(c.stale, 0);
	CU_ASSERT_EQUAL(c.full, 0);
	CU_ASSERT_EQUAL(c.expired, 0);
	CU_ASSERT_EQUAL(threads(), at_rest);
}

static void held_at_once(void)
{
	struct pb_loops_args la = { .calls = CALLS, .world = pb_world_real(), .name = "test" };
	struct pb_handler_args h = {
		.message = PB_STR("m"), .priority = 10, .fn = on_hold, .parked_max = TOTAL
	};
	struct pb_test_memory before = pb_test_memory(), rest, first, second;
	struct pb_reg *r;

	sem_init(&all_held, 0, 0);
	sem_init(&all_ended, 0, 0);
	CU_ASSERT_EQUAL_FATAL(pb_loops_new(&la, &loops), 0);
	CU_ASSERT_EQUAL_FATAL(pb_bus_new(&(struct pb_bus_args){ .loops = loops,
								.hold_ms = LIMIT_MS,
								.message_ms = LIMIT_MS },
					 &bus),
			      0);
	CU_ASSERT_EQUAL_FATAL(pb_bus_add(bus, &h, NULL, NULL, &r), 0);
	CU_ASSERT_EQUAL_FATAL(pb_loops_start(loops), 0);
	for (unsigned i = 0; i < CALLS; i++)
		pb_loop_call(pb_loops_at(loops, i), nothing, NULL);
	rest = pb_test_memory();
	burst(1);
	first = pb_test_memory();
	burst(2);
	second = pb_test_memory();
	printf("%u held: %lld octets each, %lld stay for the next burst\n", TOTAL,
	       (long long)(pb_test_memory_peak() - rest.bytes) / TOTAL,
	       (long long)(first.bytes - rest.bytes) / TOTAL);
	CU_ASSERT(first.bytes - rest.bytes < (int64_t)TOTAL * SLOT_MAX);
	CU_ASSERT_EQUAL(second.blocks, first.blocks);
	CU_ASSERT_EQUAL(second.bytes, first.bytes);
	pb_bus_remove(bus, &r, NULL, NULL);
	for (unsigned i = 0; i < 2 * CALLS; i++)
		pb_loop_call(pb_loops_at(loops, i % CALLS), nothing, NULL);
	pb_loops_stop(loops);
	pb_loops_free(&loops);
	pb_bus_free(&bus);
	pbi_msg_cache_drop(); /* this thread's; the loops' went with their threads */
	CU_ASSERT_EQUAL(pb_test_memory().blocks, before.blocks);
	CU_ASSERT_EQUAL(pb_test_memory().bytes, before.bytes);
}

PB_TESTS("bus/many", { "held at once, released from four threads", held_at_once })
