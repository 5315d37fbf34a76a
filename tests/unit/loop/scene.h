/*
 * One real loop for a test: `begin` runs on it, `scene_end` from any of its
 * callbacks ends it. Everything in between happens on the loop's thread while
 * the test's own waits.
 */
#ifndef PB_TEST_SCENE_H
#define PB_TEST_SCENE_H

#include "../../support/test.h"

#include <semaphore.h>

#include "loop/loop.h"
#include "loop/world.h"

static struct pb_loops *scene_loops;
static struct pb_loop *scene_loop;
static sem_t scene_over;

static inline void scene_end(void)
{
	sem_post(&scene_over);
}

static inline void scene_run(void (*begin)(void *arg), void *arg)
{
	static struct pb_work work;
	struct pb_loops_args args = { .calls = 1, .world = pb_world_real(), .name = "test" };

	sem_init(&scene_over, 0, 0);
	CU_ASSERT_EQUAL_FATAL(pb_loops_new(&args, &scene_loops), 0);
	scene_loop = pb_loops_at(scene_loops, 0);
	work = (struct pb_work){ .fn = begin, .arg = arg };
	pb_loop_post(scene_loop, &work);
	CU_ASSERT_EQUAL_FATAL(pb_loops_start(scene_loops), 0);
	while (sem_wait(&scene_over) < 0)
		;
	pb_loops_stop(scene_loops);
	pb_loops_free(&scene_loops);
	sem_destroy(&scene_over);
}

#endif
