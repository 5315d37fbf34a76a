/* The loop proper: whose thread this is, the turn, work and timers. Time,
 * randomness, sleeping and datagrams are the world's (world_ops.h); which
 * thread runs a turn, and when, is the world's affair too. An idle turn touches
 * the clock, two flags and the timer bitmap. */
#include "loop/loop.h"

#include <errno.h>
#include <semaphore.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "loop/dns_impl.h"
#include "loop/world_ops.h"

/* The engine is never dlopen'ed, so this needs no call to find. */
static _Thread_local struct pb_loop *current __attribute__((tls_model("initial-exec")));

/* ---- The set ------------------------------------------------------------- */

static void loop_free(struct pb_loop *l)
{
	if (!l)
		return;
	pbi_dns_free(&l->dns);
	if (l->side)
		l->world->ops->detach(l);
	pbi_mailbox_fini(&l->mail);
	pb_free(l);
}

static void read_clock(struct pb_loop *l)
{
	l->now_us = l->world->ops->now_us(l->world);
	l->now_ms = l->now_us / 1000;
	l->wall_us = 0;
}

static int loop_new(struct pb_loops *ls, unsigned index, struct pb_loop **out)
{
	struct pb_loop *l = pb_alloc_zero(1, sizeof(*l));
	int err;

	*out = NULL;
	if (!l)
		return -ENOMEM;
	l->set = ls;
	l->world = ls->world;
	l->index = index;
	read_clock(l);
	pbi_wheel_init(&l->wheel, l->now_ms);
	pbi_mailbox_init(&l->mail);
	err = l->world->ops->attach(l);
	if (err < 0) {
		loop_free(l);
		return err;
	}
	*out = l;
	return 0;
}

static void copy_name(char *to, size_t size, const char *name)
{
	size_t n = strlen(name);

	n = n < size ? n : size - 1;
	memcpy(to, name, n);
	to[n] = '\0';
}

int pb_loops_new(const struct pb_loops_args *args, struct pb_loops **out)
{
	struct pb_loops *ls;
	int err = 0;

	*out = NULL;
	if (args->calls < 1 || args->calls > PB_LOOPS_MAX ||
	    args->scripts > PB_LOOPS_MAX - args->calls)
		return -EINVAL;
	ls = pb_alloc_zero(1, sizeof(*ls));
	if (!ls)
		return -ENOMEM;
	ls->world = args->world;
	ls->calls = args->calls;
	copy_name(ls->name, sizeof(ls->name), args->name ? args->name : "patchbay");
	while (!err && ls->count < args->calls + args->scripts) {
		err = loop_new(ls, ls->count, &ls->loops[ls->count]);
		if (!err)
			ls->count++;
	}
	if (err)
		pb_loops_free(&ls);
	*out = ls;
	return err;
}

void pb_loops_free(struct pb_loops **lsp)
{
	struct pb_loops *ls = *lsp;

	if (!ls)
		return;
	pb_assert(!current || current->set != ls);
	pb_loops_stop(ls);
	if (ls->started)
		ls->world->ops->join(ls);
	for (unsigned i = 0; i < ls->count; i++)
		loop_free(ls->loops[i]);
	pbi_dns_common_free(&ls->names);
	pb_free(ls);
	*lsp = NULL;
}

int pb_loops_start(struct pb_loops *ls)
{
	int err = ls->world->ops->start(ls);

	ls->started = err == 0;
	return err;
}

void pb_loops_stop(struct pb_loops *ls)
{
	atomic_store(&ls->ending, true);
	for (unsigned i = 0; i < ls->count; i++)
		ls->world->ops->wake(ls->loops[i]);
}

unsigned pb_loops_count(const struct pb_loops *ls)
{
	return ls->count;
}

unsigned pb_loops_calls(const struct pb_loops *ls)
{
	return ls->calls;
}

struct pb_loop *pb_loops_at(const struct pb_loops *ls, unsigned index)
{
	pb_assert(index < ls->count);
	return ls->loops[index];
}

/* ---- The turn -------------------------------------------------------------- */

struct pb_loop *pb_loop_current(void)
{
	return current;
}

struct pb_loop *pbi_loop_enter(struct pb_loop *l)
{
	struct pb_loop *former = current;

	current = l;
	return former;
}

static void run_queue(struct pbi_queue q)
{
	struct pb_work *w;

	while ((w = pbi_queue_pop(&q)))
		w->fn(w->arg);
}

static void run_deferred(struct pb_loop *l)
{
	struct pbi_queue q = l->deferred;

	l->deferred = (struct pbi_queue){ 0 };
	run_queue(q);
}

/** Who is shown the load of this loop reads on other threads. */
static void add_busy(struct pb_loop *l)
{
	uint64_t spent = l->world->ops->now_us(l->world) - l->now_us;

	atomic_store_explicit(&l->busy_us, atomic_load_explicit(&l->busy_us, memory_order_relaxed) + spent,
			      memory_order_relaxed);
	atomic_store_explicit(&l->turns, atomic_load_explicit(&l->turns, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

void pbi_loop_turn(struct pb_loop *l)
{
	read_clock(l);
	l->world->ops->input(l);
	run_queue(pbi_mailbox_take(&l->mail));
	pbi_wheel_run(&l->wheel, l->now_ms);
	run_deferred(l);
	l->world->ops->flush(l);
	add_busy(l);
}

uint64_t pbi_loop_next_us(struct pb_loop *l)
{
	uint64_t ms;

	if (l->deferred.head || pbi_mailbox_filled(&l->mail))
		return 0;
	ms = pbi_wheel_next_ms(&l->wheel);
	return ms == UINT64_MAX ? UINT64_MAX : ms * 1000;
}

/* ---- One loop -------------------------------------------------------------- */

uint64_t pb_loop_busy_us(const struct pb_loop *l, uint64_t *turns)
{
	*turns = atomic_load_explicit(&l->turns, memory_order_relaxed);
	return atomic_load_explicit(&l->busy_us, memory_order_relaxed);
}

unsigned pb_loop_index(const struct pb_loop *l)
{
	return l->index;
}

struct pb_loops *pb_loop_set(const struct pb_loop *l)
{
	return l->set;
}

void *pb_loop_data(const struct pb_loop *l)
{
	return l->data;
}

void pb_loop_set_data(struct pb_loop *l, void *data)
{
	l->data = data;
}

uint64_t pb_loop_now_ms(const struct pb_loop *l)
{
	return l->now_ms;
}

uint64_t pb_loop_now_us(const struct pb_loop *l)
{
	return l->now_us;
}

uint64_t pb_loop_read_us(const struct pb_loop *l)
{
	return l->world->ops->now_us(l->world);
}

uint64_t pb_loop_wall_us(const struct pb_loop *l)
{
	/* Few turns ask: read at the first question. */
	if (!l->wall_us)
		((struct pb_loop *)l)->wall_us = l->world->ops->wall_us(l->world);
	return l->wall_us;
}

void pb_loop_random(struct pb_loop *l, void *p, size_t n)
{
	pb_assert(pb_loop_is_mine(l));
	l->world->ops->random(l, p, n);
}

/* ---- Work -------------------------------------------------------------------- */

void pb_loop_post(struct pb_loop *to, struct pb_work *w)
{
	if (pbi_mailbox_post(&to->mail, w))
		to->world->ops->wake(to);
}

void pb_loop_defer(struct pb_loop *l, struct pb_work *w)
{
	pb_assert(pb_loop_is_mine(l));
	pbi_queue_push(&l->deferred, w);
}

struct call {
	struct pb_work work;
	void (*fn)(void *arg);
	void *arg;
	sem_t done;
};

static void run_call(void *arg)
{
	struct call *c = arg;

	c->fn(c->arg);
	sem_post(&c->done);
}

static void call_directly(struct pb_loop *l, void (*fn)(void *arg), void *arg)
{
	current = l;
	read_clock(l);
	fn(arg);
	current = NULL;
}

void pb_loop_call(struct pb_loop *l, void (*fn)(void *arg), void *arg)
{
	struct call c = { .work = { .fn = run_call }, .fn = fn, .arg = arg };
	bool wake;

	pb_assert(!current);
	c.work.arg = &c;
	sem_init(&c.done, 0, 0);
	if (pbi_mailbox_post_open(&l->mail, &c.work, &wake)) {
		if (wake)
			l->world->ops->wake(l);
		while (sem_wait(&c.done) < 0)
			; /* interrupted by a signal */
	} else {
		call_directly(l, fn, arg);
	}
	sem_destroy(&c.done);
}

void pb_loops_turn(struct pb_loops *ls)
{
	for (unsigned i = 0; i < pb_loops_count(ls); i++) {
		struct pb_loop *l = pb_loops_at(ls, i);

		if (l->world->ops->threads)
			return;
		pb_assert(!current);
		pbi_loop_enter(l);
		pbi_loop_turn(l);
		pbi_loop_enter(NULL);
	}
}

void pbi_loop_leave(struct pb_loop *l)
{
	struct pbi_queue left = pbi_mailbox_close(&l->mail);
	struct pb_work *w;

	/* Work is dropped, but somebody waits for each call. */
	while ((w = pbi_queue_pop(&left))) {
		if (w->fn == run_call)
			w->fn(w->arg);
	}
	l->world->ops->flush(l);
	current = NULL;
}

/* ---- Timers -------------------------------------------------------------------- */

void pb_timer_start(struct pb_loop *l, struct pb_timer *t, uint64_t after_ms)
{
	pb_assert(pb_loop_is_mine(l));
	pb_assert(after_ms <= (uint64_t)1 << 31);
	pb_timer_stop(t);
	t->loop = l;
	t->due_ms = l->now_ms + after_ms;
	pbi_wheel_add(&l->wheel, t);
}

void pb_timer_stop(struct pb_timer *t)
{
	if (!pb_timer_active(t))
		return;
	pb_assert(pb_loop_is_mine(t->loop));
	pbi_wheel_remove(&t->loop->wheel, t);
}

size_t pb_loop_timers(const struct pb_loop *l)
{
	return l->wheel.count;
}

/* ---- Descriptors ------------------------------------------------------------------ */

int pb_fd_start(struct pb_loop *l, struct pb_fd *f, unsigned want)
{
	pb_assert(pb_loop_is_mine(l));
	pb_assert(!f->loop || f->loop == l);
	return l->world->ops->fd_start ? l->world->ops->fd_start(l, f, want) : -ENOTSUP;
}

void pb_fd_stop(struct pb_fd *f)
{
	if (!f->loop)
		return;
	pb_assert(pb_loop_is_mine(f->loop));
	f->loop->world->ops->fd_stop(f);
}
