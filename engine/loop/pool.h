/*
 * The helper pool: a few threads for what can block (files, fdatasync, name
 * service of the system, parsing a large reload). Answers come by mailbox.
 */
#ifndef PB_LOOP_POOL_H
#define PB_LOOP_POOL_H

#include "loop/loop.h"

struct pb_pool;

/** Embedded in the job's owner; zeroed is valid. */
struct pb_job {
	struct pb_work work;     /* used by the pool */
	struct pb_loop *home;    /* where `done` runs */
	void (*run)(void *arg);  /* on a pool thread: may block */
	void (*done)(void *arg); /* on `home`, once, after run */
	void *arg;
};

/**
 * In the simulated world there are no threads: a job runs while it is
 * submitted and `done` is posted, so that a run repeats.
 *
 * @param world  Borrowed; that of the loops which submit.
 * @return 0, -EINVAL (no threads), -ENOMEM, -EAGAIN (no thread to be had).
 */
int pb_pool_new(unsigned threads, struct pb_world *world, struct pb_pool **out);
/** Runs what is queued, joins. */
void pb_pool_free(struct pb_pool **p);
/** @thread any. Jobs of one pool with one thread run in order. */
void pb_pool_submit(struct pb_pool *p, struct pb_job *j);

#endif
