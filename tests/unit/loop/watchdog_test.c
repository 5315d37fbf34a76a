/* engine/loop/watchdog: what counts as stuck; the thread over real loops. */
#include "../../support/test.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>

#include "loop/watchdog.h"
#include "loop/world.h"

#define LOOK 250

static void steps(void)
{
	static const struct {
		uint64_t turn, passed;
		enum pbi_watch want;
		uint64_t ms;
	} rows[] = {
		{ 5, LOOK, PBI_WATCH_GOOD, 0 },    /* a turn it has not seen */
		{ 5, LOOK, PBI_WATCH_GOOD, 250 },  /* the same */
		{ 5, 60000, PBI_WATCH_GOOD, 625 }, /* the process was stopped: one look and a half
						    */
		{ 5, LOOK, PBI_WATCH_GOOD, 875 },
		{ 5, LOOK, PBI_WATCH_STUCK, 1125 },
		{ 5, LOOK, PBI_WATCH_STILL, 1375 },
		{ 6, LOOK, PBI_WATCH_FREED, 1375 },
		{ 6, LOOK, PBI_WATCH_GOOD, 250 },
		{ 0, LOOK, PBI_WATCH_GOOD, 250 }, /* it sleeps, however long */
		{ 0, 60000, PBI_WATCH_GOOD, 0 },
		{ 0, 60000, PBI_WATCH_GOOD, 0 },
		{ 7, LOOK, PBI_WATCH_GOOD, 0 },
		{ 7, 1000, PBI_WATCH_GOOD, 375 },
		{ 7, 1000, PBI_WATCH_GOOD, 750 },
		{ 7, 1000, PBI_WATCH_STUCK, 1125 },
		{ 7, 1000, PBI_WATCH_STILL, 1500 },
		{ 7, 1000, PBI_WATCH_STILL, 1875 },
		{ 7, 1000, PBI_WATCH_STUCK, 2250 }, /* it has doubled */
		{ 7, 1000, PBI_WATCH_STILL, 2625 },
		{ 7, 1000, PBI_WATCH_GIVEN_UP, 3000 },
	};
	struct pb_watchdog_args a = { .warn_ms = 1000, .kill_ms = 3000 };
	struct pbi_watched w = { 0 };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t ms;
		enum pbi_watch got =
			pbi_watch_step(&w, rows[i].turn, rows[i].passed, LOOK * 3 / 2, &a, &ms);

		if (got != rows[i].want || ms != rows[i].ms)
			printf("row %zu: %d after %d ms\n", i, (int)got, (int)ms);
		CU_ASSERT(got == rows[i].want && ms == rows[i].ms);
	}
}

/* ---- Real loops ----------------------------------------------------------------------- */

static struct seen {
	sem_t stuck, freed, alive;
	unsigned loop;
} seen;

static void on_stuck(void *arg, unsigned loop, uint64_t ms)
{
	seen.loop = loop;
	sem_post(&seen.stuck);
}

static void on_freed(void *arg, unsigned loop, uint64_t ms)
{
	sem_post(&seen.freed);
}

static void on_alive(void *arg)
{
	sem_post(&seen.alive);
}

static void hang(void *arg)
{
	sem_wait(arg);
}

static void tells(void)
{
	static const struct pb_watchdog_ops ops = { .stuck = on_stuck,
						    .freed = on_freed,
						    .alive = on_alive };
	struct pb_loops_args la = { .calls = 2, .world = pb_world_real(), .name = "dog" };
	struct pb_watchdog_args wa = { .warn_ms = 20, .ops = &ops };
	struct pb_watchdog *wd;
	struct pb_loops *ls;
	sem_t go;
	struct pb_work work = { .fn = hang, .arg = &go };

	sem_init(&go, 0, 0);
	sem_init(&seen.stuck, 0, 0);
	sem_init(&seen.freed, 0, 0);
	sem_init(&seen.alive, 0, 0);
	CU_ASSERT_EQUAL_FATAL(pb_loops_new(&la, &ls), 0);
	CU_ASSERT_EQUAL_FATAL(pb_loops_start(ls), 0);
	wa.loops = ls;
	CU_ASSERT_EQUAL_FATAL(pb_watchdog_new(&wa, &wd), 0);
	sem_wait(&seen.alive);
	pb_loop_post(pb_loops_at(ls, 1), &work);
	sem_wait(&seen.stuck);
	CU_ASSERT_EQUAL(seen.loop, 1);
	sem_post(&go);
	sem_wait(&seen.freed);
	while (sem_trywait(&seen.alive) == 0)
		;
	sem_wait(&seen.alive);
	pb_watchdog_free(&wd);
	CU_ASSERT_PTR_NULL(wd);
	pb_loops_stop(ls);
	pb_loops_free(&ls);
}

PB_TESTS("loop/watchdog", { "steps", steps }, { "tells", tells })
