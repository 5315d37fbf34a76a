/* engine/loop: loops with threads: mailbox, wake-ups, timers, descriptors, the
 * helper pool. With the argument `measure` it prints what these cost. */
#include "../../support/test.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "loop/pool.h"
#include "loop/world.h"

static struct pb_loops *loops_up(unsigned calls, unsigned scripts)
{
	struct pb_loops_args args = {
		.calls = calls, .scripts = scripts, .world = pb_world_real(), .name = "test"
	};
	struct pb_loops *ls;

	if (pb_loops_new(&args, &ls) < 0 || pb_loops_start(ls) < 0)
		exit(99); /* also outside of a test: measure */
	return ls;
}

/* ---- The set ----------------------------------------------------------------- */

static void note_current(void *arg)
{
	*(struct pb_loop **)arg = pb_loop_current();
}

static void sets(void)
{
	struct pb_loops_args args = { .calls = 2, .scripts = 1, .world = pb_world_real() };
	struct pb_loop *seen = NULL;
	struct pb_loops *ls;

	CU_ASSERT_EQUAL_FATAL(pb_loops_new(&args, &ls), 0);
	CU_ASSERT_EQUAL(pb_loops_count(ls), 3);
	CU_ASSERT_EQUAL(pb_loops_calls(ls), 2);
	for (unsigned i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(pb_loop_index(pb_loops_at(ls, i)), i);
		CU_ASSERT_PTR_EQUAL(pb_loop_set(pb_loops_at(ls, i)), ls);
	}
	pb_loop_call(pb_loops_at(ls, 1), note_current, &seen); /* not started: at once */
	CU_ASSERT_PTR_EQUAL(seen, pb_loops_at(ls, 1));
	CU_ASSERT_PTR_NULL(pb_loop_current());
	CU_ASSERT_EQUAL(pb_loops_start(ls), 0);
	pb_loop_call(pb_loops_at(ls, 2), note_current, &seen);
	CU_ASSERT_PTR_EQUAL(seen, pb_loops_at(ls, 2));
	pb_loops_stop(ls);
	pb_loop_call(pb_loops_at(ls, 0), note_current, &seen); /* ending or ended */
	CU_ASSERT_PTR_EQUAL(seen, pb_loops_at(ls, 0));
	pb_loops_free(&ls);
	CU_ASSERT_PTR_NULL(ls);
	pb_loops_free(&ls);
	args.calls = PB_LOOPS_MAX;
	CU_ASSERT_EQUAL(pb_loops_new(&args, &ls), -EINVAL);
	args.calls = 0;
	CU_ASSERT_EQUAL(pb_loops_new(&args, &ls), -EINVAL);
}

static void set_without_memory(void)
{
	struct pb_loops_args args = { .calls = 2, .world = pb_world_real() };
	struct pb_loops *ls;

	if (pb_loops_new(&args, &ls) == 0)
		pb_loops_free(&ls);
}

static void sets_without_memory(void)
{
	pb_test_each_alloc(set_without_memory);
}

/* ---- Mailbox -------------------------------------------------------------------- */

#define POSTERS 4
#define POSTS   20000

static struct {
	struct pb_loop *to;
	sem_t all;
	unsigned next[POSTERS], total, wrong;
	struct post {
		struct pb_work work;
		unsigned poster, number;
	} posts[POSTERS][POSTS];
} box;

static void on_post(void *arg)
{
	struct post *p = arg;

	box.wrong += !pb_loop_is_mine(box.to) || p->number != box.next[p->poster];
	box.next[p->poster]++;
	if (++box.total == POSTERS * POSTS)
		sem_post(&box.all);
}

static void *poster(void *arg)
{
	struct post *posts = arg;

	for (unsigned i = 0; i < POSTS; i++) {
		posts[i].work = (struct pb_work){ .fn = on_post, .arg = &posts[i] };
		pb_loop_post(box.to, &posts[i].work);
		if (i % 64 == 0)
			sched_yield(); /* let the loop doze off now and then */
	}
	return NULL;
}

static void mail_keeps_order(void)
{
	struct pb_loops *ls = loops_up(2, 0);
	pthread_t threads[POSTERS];

	memset(&box, 0, sizeof(box));
	box.to = pb_loops_at(ls, 1);
	sem_init(&box.all, 0, 0);
	for (unsigned i = 0; i < POSTERS; i++) {
		for (unsigned k = 0; k < POSTS; k++)
			box.posts[i][k] = (struct post){ .poster = i, .number = k };
		pthread_create(&threads[i], NULL, poster, box.posts[i]);
	}
	sem_wait(&box.all);
	for (unsigned i = 0; i < POSTERS; i++)
		pthread_join(threads[i], NULL);
	CU_ASSERT_EQUAL(box.wrong, 0);
	pb_loops_free(&ls);
	sem_destroy(&box.all);
}

/* Two loops that each sleep until the other has posted. */
static struct ball {
	struct pb_work work;
	struct pb_loops *ls;
	unsigned hops;
	sem_t end;
} ball;

static void hop(void *arg)
{
	struct ball *b = arg;
	unsigned here = pb_loop_index(pb_loop_current());

	if (--b->hops)
		pb_loop_post(pb_loops_at(b->ls, !here), &b->work);
	else
		sem_post(&b->end);
}

static void throw_ball(unsigned hops)
{
	ball = (struct ball){ .work = { .fn = hop, .arg = &ball }, .hops = hops };
	ball.ls = loops_up(2, 0);
	sem_init(&ball.end, 0, 0);
	pb_loop_post(pb_loops_at(ball.ls, 0), &ball.work);
	sem_wait(&ball.end);
	pb_loops_free(&ball.ls);
	sem_destroy(&ball.end);
}

static void no_wakeup_is_lost(void)
{
	throw_ball(20000);
	CU_ASSERT_EQUAL(ball.hops, 0);
}

/* ---- Turns: timers, deferred work -------------------------------------------------- */

static struct {
	struct pb_loop *loop;
	struct pb_timer timers[3];
	struct pb_work work, inner;
	char order[16];
	unsigned n;
	uint64_t began_ms, ended_ms;
	sem_t end;
} turn;

static void note(char c)
{
	turn.order[turn.n++] = c;
}

static void on_inner(void *arg)
{
	note('i');
}

static void on_deferred(void *arg)
{
	note('d');
	turn.inner = (struct pb_work){ .fn = on_inner };
	pb_loop_defer(turn.loop, &turn.inner);
}

static void on_first(void *arg)
{
	note('1');
	turn.work = (struct pb_work){ .fn = on_deferred };
	pb_loop_defer(turn.loop, &turn.work);
	note('.');
}

static void on_second(void *arg)
{
	note('2');
}

static void on_last(void *arg)
{
	note('3');
	turn.ended_ms = pb_loop_now_ms(turn.loop);
	CU_ASSERT(pb_loop_timers(turn.loop) == 0);
	sem_post(&turn.end);
}

static void begin_turn(void *arg)
{
	struct pb_loop *l = turn.loop;

	turn.began_ms = pb_loop_now_ms(l);
	pb_timer_init(&turn.timers[0], on_first, NULL);
	pb_timer_init(&turn.timers[1], on_second, NULL);
	pb_timer_init(&turn.timers[2], on_last, NULL);
	pb_timer_start(l, &turn.timers[2], 1);
	pb_timer_start(l, &turn.timers[0], 5);
	pb_timer_start(l, &turn.timers[1], 5);
	pb_timer_start(l, &turn.timers[2], 20); /* moved */
	CU_ASSERT_EQUAL(pb_loop_timers(l), 3);
	CU_ASSERT(pb_loop_wall_us(l) > 1700000000000000u);
}

static void timers_and_deferred(void)
{
	struct pb_loops *ls = loops_up(1, 0);

	memset(&turn, 0, sizeof(turn));
	turn.loop = pb_loops_at(ls, 0);
	sem_init(&turn.end, 0, 0);
	pb_loop_call(turn.loop, begin_turn, NULL);
	sem_wait(&turn.end);
	pb_loops_free(&ls);
	PB_SAME(pb_str_z(turn.order), "1.2di3");
	CU_ASSERT(turn.ended_ms >= turn.began_ms + 20);
	CU_ASSERT(turn.ended_ms < turn.began_ms + 1000);
	sem_destroy(&turn.end);
}

/* ---- Descriptors ---------------------------------------------------------------------- */

static struct {
	struct pb_loop *loop;
	struct pb_fd in, out;
	int pipe[2];
	unsigned got, wrong;
	sem_t end;
} fds;

static void on_in(void *arg, unsigned events)
{
	char c;

	if (read(fds.pipe[0], &c, 1) == 1) {
		fds.got++;
		fds.wrong += !(events & PB_FD_READ);
		return;
	}
	fds.wrong += !(events & PB_FD_ERROR);
	pb_fd_stop(&fds.in);
	pb_fd_stop(&fds.in);
	sem_post(&fds.end);
}

static void on_out(void *arg, unsigned events)
{
	fds.wrong += events != PB_FD_WRITE;
	fds.wrong += write(fds.pipe[1], "abc", 3) != 3;
	fds.wrong += pb_fd_start(fds.loop, &fds.out, 0) != 0; /* changed */
	pb_fd_stop(&fds.out);
	close(fds.pipe[1]);
}

static void watch(void *arg)
{
	fds.in = (struct pb_fd){ .fd = fds.pipe[0], .fn = on_in };
	fds.out = (struct pb_fd){ .fd = fds.pipe[1], .fn = on_out };
	fds.wrong += pb_fd_start(fds.loop, &fds.in, PB_FD_READ) != 0;
	fds.wrong += pb_fd_start(fds.loop, &fds.out, PB_FD_WRITE) != 0;
}

static void descriptors(void)
{
	struct pb_loops *ls = loops_up(1, 0);

	memset(&fds, 0, sizeof(fds));
	fds.loop = pb_loops_at(ls, 0);
	sem_init(&fds.end, 0, 0);
	CU_ASSERT_EQUAL_FATAL(pipe(fds.pipe), 0);
	pb_loop_call(fds.loop, watch, NULL);
	sem_wait(&fds.end);
	pb_loops_free(&ls);
	close(fds.pipe[0]);
	CU_ASSERT_EQUAL(fds.got, 3);
	CU_ASSERT_EQUAL(fds.wrong, 0);
	sem_destroy(&fds.end);
}

/* Two are ready in one turn; the first to be told stops the other. */
static void stop_other(void *arg, unsigned events)
{
	fds.got++;
	pb_fd_stop(&fds.in);
	pb_fd_stop(&fds.out);
	sem_post(&fds.end);
}

static void watch_twice(void *arg)
{
	fds.in = (struct pb_fd){ .fd = fds.pipe[0], .fn = stop_other };
	fds.out = (struct pb_fd){ .fd = fds.pipe[1], .fn = stop_other };
	fds.wrong += pb_fd_start(fds.loop, &fds.in, PB_FD_READ) != 0;
	fds.wrong += pb_fd_start(fds.loop, &fds.out, PB_FD_WRITE) != 0;
}

static void stopped_is_not_told(void)
{
	struct pb_loops *ls = loops_up(1, 0);

	memset(&fds, 0, sizeof(fds));
	fds.loop = pb_loops_at(ls, 0);
	sem_init(&fds.end, 0, 0);
	CU_ASSERT_EQUAL_FATAL(pipe(fds.pipe), 0);
	CU_ASSERT_EQUAL(write(fds.pipe[1], "x", 1), 1);
	pb_loop_call(fds.loop, watch_twice, NULL);
	sem_wait(&fds.end);
	pb_loops_free(&ls);
	close(fds.pipe[0]);
	close(fds.pipe[1]);
	CU_ASSERT_EQUAL(fds.got, 1);
	CU_ASSERT_EQUAL(fds.wrong, 0);
	sem_destroy(&fds.end);
}

/* ---- Randomness, pool -------------------------------------------------------------------- */

static void draw_random(void *arg)
{
	unsigned char *p = arg;

	pb_loop_random(pb_loop_current(), p, 16);
	pb_loop_random(pb_loop_current(), p + 16, 16);
	pb_loop_random(pb_loop_current(), p + 32, 3000);
}

static void randomness(void)
{
	struct pb_loops *ls = loops_up(1, 0);
	unsigned char bytes[3032] = { 0 };
	unsigned zeros = 0;

	pb_loop_call(pb_loops_at(ls, 0), draw_random, bytes);
	pb_loops_free(&ls);
	CU_ASSERT(memcmp(bytes, bytes + 16, 16) != 0);
	for (unsigned i = 0; i < sizeof(bytes); i++)
		zeros += bytes[i] == 0;
	CU_ASSERT(zeros < 100);
}

#define JOBS 100

static struct {
	struct pb_job jobs[JOBS];
	struct pb_loop *home;
	unsigned ran, done;
	_Atomic unsigned wrong;
	sem_t all;
} pool;

static void job_run(void *arg)
{
	struct pb_job *j = arg;

	pool.wrong += pool.ran++ != (unsigned)(j - pool.jobs) || pb_loop_current() != NULL;
}

static void job_done(void *arg)
{
	struct pb_job *j = arg;

	pool.wrong += pool.done++ != (unsigned)(j - pool.jobs) || !pb_loop_is_mine(pool.home);
	if (pool.done == JOBS)
		sem_post(&pool.all);
}

static void pool_in_order(void)
{
	struct pb_loops *ls = loops_up(1, 0);
	struct pb_pool *p;

	memset(&pool, 0, sizeof(pool));
	pool.home = pb_loops_at(ls, 0);
	sem_init(&pool.all, 0, 0);
	CU_ASSERT_EQUAL(pb_pool_new(0, pb_world_real(), &p), -EINVAL);
	CU_ASSERT_EQUAL_FATAL(pb_pool_new(1, pb_world_real(), &p), 0);
	for (unsigned i = 0; i < JOBS; i++) {
		pool.jobs[i] = (struct pb_job){
			.home = pool.home, .run = job_run, .done = job_done, .arg = &pool.jobs[i]
		};
		pb_pool_submit(p, &pool.jobs[i]);
	}
	pb_pool_free(&p); /* runs what is queued */
	CU_ASSERT_EQUAL(pool.ran, JOBS);
	sem_wait(&pool.all);
	pb_loops_free(&ls);
	CU_ASSERT_EQUAL(pool.wrong, 0);
	sem_destroy(&pool.all);
}

/* ---- What it costs ------------------------------------------------------------------------- */

#define ROUNDS 2000000

static void measure_timers(void *arg)
{
	struct pb_loop *l = pb_loop_current();
	static struct pb_timer timers[4096];
	uint64_t began = pb_loop_read_us(l);

	for (unsigned i = 0; i < ROUNDS; i++)
		pb_timer_start(l, &timers[i * 7 % 4096], i * 31 % 32000);
	for (unsigned i = 0; i < 4096; i++)
		pb_timer_stop(&timers[i]);
	printf("timer start and stop: %.1f ns\n",
	       (double)(pb_loop_read_us(l) - began) * 1000 / ROUNDS);
}

static struct {
	struct pb_work work;
	unsigned left;
	uint64_t began_us;
	sem_t end;
} self;

static void post_self(void *arg)
{
	struct pb_loop *l = pb_loop_current();

	if (!self.began_us)
		self.began_us = pb_loop_read_us(l);
	if (--self.left) {
		pb_loop_post(l, &self.work);
		return;
	}
	printf("post, turn and run: %.1f ns\n",
	       (double)(pb_loop_read_us(l) - self.began_us) * 1000 / ROUNDS * 10);
	sem_post(&self.end);
}

static void nothing(void *arg)
{
}

static struct pb_work works[ROUNDS];

static void measure_posts(void *arg)
{
	struct pb_loop *l = pb_loop_current();
	uint64_t began = pb_loop_read_us(l);

	for (unsigned i = 0; i < ROUNDS; i++) {
		works[i].fn = nothing;
		pb_loop_post(l, &works[i]);
	}
	self.began_us = began;
}

static void measure_posts_end(void *arg)
{
	uint64_t now = pb_loop_read_us(pb_loop_current());

	printf("post and run, in bulk: %.1f ns\n", (double)(now - self.began_us) * 1000 / ROUNDS);
	self.began_us = 0;
}

static int measure(void)
{
	struct pb_loops *ls = loops_up(1, 0);
	struct pb_loop *l = pb_loops_at(ls, 0);

	memset(works, 0, sizeof(works)); /* mapped */
	pb_loop_call(l, measure_timers, NULL);
	pb_loop_call(l, measure_posts, NULL);
	pb_loop_call(l, measure_posts_end, NULL);
	self.work = (struct pb_work){ .fn = post_self };
	self.left = ROUNDS / 10;
	sem_init(&self.end, 0, 0);
	pb_loop_post(l, &self.work);
	sem_wait(&self.end);
	pb_loops_free(&ls);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct pb_test tests[] = {
		{ "sets of loops", sets },
		{ "sets of loops without memory", sets_without_memory },
		{ "mail of four threads keeps its order", mail_keeps_order },
		{ "no wake-up is lost", no_wakeup_is_lost },
		{ "timers and deferred work", timers_and_deferred },
		{ "descriptors", descriptors },
		{ "a stopped descriptor is not told", stopped_is_not_told },
		{ "random numbers", randomness },
		{ "the pool runs jobs in order", pool_in_order },
		{ NULL, NULL },
	};

	if (argc > 1 && strcmp(argv[1], "measure") == 0)
		return measure();
	return pb_test_main("loop/loop", tests, 60, argc, argv);
}
