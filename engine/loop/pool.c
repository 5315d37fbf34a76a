/* Jobs wait in a mailbox (mailbox.h) and a semaphore counts them; at the end it
 * is raised once more for each thread, which finds nothing and ends. */
#include "loop/pool.h"

#include <errno.h>
#include <semaphore.h>
#include <signal.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "loop/real.h"

struct pb_pool {
	struct pbi_mailbox jobs;
	sem_t waiting; /* jobs, and threads told to end */
	bool inline_jobs;
	unsigned count;
	pthread_t threads[];
};

static void run_job(struct pb_job *j)
{
	j->run(j->arg);
	j->work = (struct pb_work){ .fn = j->done, .arg = j->arg };
	pb_loop_post(j->home, &j->work);
}

static void *serve(void *arg)
{
	struct pb_pool *p = arg;

	for (;;) {
		struct pb_work *w;

		while (sem_wait(&p->waiting) < 0)
			; /* interrupted by a signal */
		w = pbi_mailbox_take_one(&p->jobs);
		if (!w)
			return NULL;
		run_job(w->arg);
	}
}

static int start_threads(struct pb_pool *p, unsigned threads)
{
	sigset_t old;
	int err = 0;

	pbi_real_block_signals(&old);
	while (!err && p->count < threads) {
		err = -pthread_create(&p->threads[p->count], NULL, serve, p);
		if (!err) {
			pthread_setname_np(p->threads[p->count], "helper");
			p->count++;
		}
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return err;
}

int pb_pool_new(unsigned threads, struct pb_world *world, struct pb_pool **out)
{
	struct pb_pool *p;
	int err;

	*out = NULL;
	if (threads == 0)
		return -EINVAL;
	p = pb_alloc_zero(1, sizeof(*p) + threads * sizeof(p->threads[0]));
	if (!p)
		return -ENOMEM;
	pbi_mailbox_init(&p->jobs);
	sem_init(&p->waiting, 0, 0);
	p->inline_jobs = !world->ops->threads;
	err = p->inline_jobs ? 0 : start_threads(p, threads);
	if (err < 0)
		pb_pool_free(&p);
	*out = p;
	return err;
}

void pb_pool_free(struct pb_pool **pp)
{
	struct pb_pool *p = *pp;

	if (!p)
		return;
	for (unsigned i = 0; i < p->count; i++)
		sem_post(&p->waiting);
	for (unsigned i = 0; i < p->count; i++)
		pthread_join(p->threads[i], NULL);
	sem_destroy(&p->waiting);
	pbi_mailbox_fini(&p->jobs);
	pb_free(p);
	*pp = NULL;
}

/** As on a thread of its own: on no loop. */
static void run_inline(struct pb_job *j)
{
	struct pb_loop *former = pbi_loop_enter(NULL);

	run_job(j);
	pbi_loop_enter(former);
}

void pb_pool_submit(struct pb_pool *p, struct pb_job *j)
{
	pb_assert(j->home && j->run && j->done);
	if (p->inline_jobs) {
		run_inline(j);
		return;
	}
	j->work = (struct pb_work){ .arg = j };
	pbi_mailbox_post(&p->jobs, &j->work);
	sem_post(&p->waiting);
}
