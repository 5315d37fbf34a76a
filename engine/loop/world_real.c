/* The real world: a thread and an epoll set a loop. A loop sleeps in epoll_wait
 * and nowhere else; an eventfd in the set ends the sleep. That one is
 * edge-triggered, so that it need never be read. A random number costs no
 * system call, but one a kilobyte. */
#include "loop/world.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/text.h"
#include "loop/dns_impl.h"
#include "loop/real.h"

/* ---- Clocks and randomness -------------------------------------------------- */

static uint64_t read_us(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t now_us(struct pb_world *w)
{
	return read_us(CLOCK_MONOTONIC);
}

static uint64_t wall_us(struct pb_world *w)
{
	return read_us(CLOCK_REALTIME);
}

static void get_random(void *p, size_t n)
{
	while (n > 0) {
		ssize_t got = getrandom(p, n, 0);

		pb_assert(got > 0 || errno == EINTR);
		if (got > 0) {
			p = (char *)p + got;
			n -= (size_t)got;
		}
	}
}

static void take_random(struct pb_loop *l, void *p, size_t n)
{
	struct pbi_real *r = pbi_real(l);
	unsigned char *from;

	if (n > sizeof(r->random) / 4) {
		get_random(p, n);
		return;
	}
	if (n > r->random_left) {
		get_random(r->random, sizeof(r->random));
		r->random_left = sizeof(r->random);
	}
	from = r->random + sizeof(r->random) - r->random_left;
	memcpy(p, from, n);
	memset(from, 0, n); /* what was given out is not to be found here */
	r->random_left -= n;
}

/* ---- Descriptors ---------------------------------------------------------------- */

static int fd_start(struct pb_loop *l, struct pb_fd *f, unsigned want)
{
	struct epoll_event ev = { .data.ptr = f };
	int op = f->loop ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	if (f->loop && f->want == want)
		return 0;
	if (want & PB_FD_READ)
		ev.events |= EPOLLIN;
	if (want & PB_FD_WRITE)
		ev.events |= EPOLLOUT;
	if (epoll_ctl(pbi_real(l)->epoll, op, f->fd, &ev) < 0)
		return -errno;
	f->loop = l;
	f->want = want;
	return 0;
}

static void fd_stop(struct pb_fd *f)
{
	struct pbi_real *r = pbi_real(f->loop);

	epoll_ctl(r->epoll, EPOLL_CTL_DEL, f->fd, NULL);
	f->loop = NULL;
	f->want = 0;
	for (int i = r->event_at; i < r->event_count; i++) {
		if (r->events[i].data.ptr == f)
			r->events[i].data.ptr = NULL;
	}
}

static unsigned events_of(uint32_t epoll_events, unsigned want)
{
	unsigned events = 0;

	if (epoll_events & EPOLLIN)
		events |= PB_FD_READ;
	if (epoll_events & EPOLLOUT)
		events |= PB_FD_WRITE;
	events &= want; /* it may have changed since */
	if (epoll_events & (EPOLLERR | EPOLLHUP))
		events |= PB_FD_ERROR;
	return events;
}

static void input(struct pb_loop *l)
{
	struct pbi_real *r = pbi_real(l);

	while (r->event_at < r->event_count) {
		struct epoll_event *ev = &r->events[r->event_at++];
		struct pb_fd *f = ev->data.ptr; /* NULL: the wake-up, or stopped */
		unsigned events = f ? events_of(ev->events, f->want) : 0;

		if (events)
			f->fn(f->arg, events);
	}
}

/* ---- The thread ------------------------------------------------------------------ */

static int sleep_ms(struct pb_loop *l)
{
	uint64_t due = pbi_loop_next_us(l), now;

	if (due == 0 || !pbi_mailbox_doze(&l->mail))
		return 0;
	pbi_loop_rests(l);
	if (due == UINT64_MAX)
		return -1;
	now = now_us(l->world); /* the turn may have been long */
	if (due <= now)
		return 0;
	due = (due - now + 999) / 1000;
	return due > INT_MAX ? INT_MAX : (int)due;
}

/* Sanitizers have one of their own. */
static void use_signal_stack(struct pbi_real *r)
{
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	stack_t st = { .ss_sp = r->signal_stack, .ss_size = sizeof(r->signal_stack) };

	sigaltstack(&st, NULL);
#endif
}

static void *run(void *arg)
{
	struct pb_loop *l = arg;
	struct pbi_real *r = pbi_real(l);

	pbi_loop_enter(l);
	use_signal_stack(r);
	while (!pbi_loop_ending(l)) {
		int n = epoll_wait(r->epoll, r->events, PBI_REAL_EVENTS, sleep_ms(l));

		r->event_at = 0;
		r->event_count = n > 0 ? n : 0;
		pbi_loop_turn(l);
	}
	pbi_loop_leave(l);
	return NULL;
}

static void name_thread(struct pb_loop *l)
{
	char name[16];
	struct pb_text t;

	/* The kernel takes 15 octets: shorten the name, not the number. */
	pb_text_init_buf(&t, name, sizeof(name) - 1);
	pb_text_add(&t, pb_str_head(pb_str_z(l->set->name), sizeof(name) - 4));
	pb_text_addc(&t, '/');
	pb_text_addu(&t, l->index);
	name[t.n] = '\0';
	pthread_setname_np(pbi_real(l)->thread, name);
}

static int start_thread(struct pb_loop *l)
{
	int err;

	pbi_mailbox_open(&l->mail);
	err = -pthread_create(&pbi_real(l)->thread, NULL, run, l);
	if (err < 0)
		pbi_mailbox_close(&l->mail);
	else
		name_thread(l);
	return err;
}

static void join_first(struct pb_loops *ls, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		pthread_join(pbi_real(ls->loops[i])->thread, NULL);
}

void pbi_real_block_signals(sigset_t *old)
{
	static const int own[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS };
	sigset_t set;

	sigfillset(&set);
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		sigdelset(&set, own[i]);
	pthread_sigmask(SIG_SETMASK, &set, old);
}

static int start(struct pb_loops *ls)
{
	unsigned started = 0;
	sigset_t old;
	int err = 0;

	/* Signals are for the main thread; the loops' inherit this mask. */
	pbi_real_block_signals(&old);
	while (!err && started < ls->count) {
		err = start_thread(ls->loops[started]);
		if (!err)
			started++;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err) {
		pb_loops_stop(ls);
		join_first(ls, started);
	}
	return err;
}

static void join(struct pb_loops *ls)
{
	join_first(ls, ls->count);
}

static void wake(struct pb_loop *l)
{
	uint64_t one = 1;
	ssize_t n;

	do
		n = write(pbi_real(l)->wake, &one, sizeof(one));
	while (n < 0 && errno == EINTR);
}

/* ---- A loop's part ------------------------------------------------------------------ */

void pbi_real_close(int fd)
{
	if (fd >= 0)
		close(fd);
}

static void detach(struct pb_loop *l)
{
	struct pbi_real *r = pbi_real(l);

	pbi_real_close(r->epoll);
	pbi_real_close(r->wake);
	memset(r->random, 0, sizeof(r->random));
	pb_free(r);
	l->side = NULL;
}

static int open_both(struct pbi_real *r)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };

	r->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (r->epoll < 0)
		return -errno;
	r->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->wake < 0 || epoll_ctl(r->epoll, EPOLL_CTL_ADD, r->wake, &ev) < 0)
		return -errno;
	return 0;
}

static int attach(struct pb_loop *l)
{
	struct pbi_real *r = pb_alloc_zero(1, sizeof(*r));
	int err;

	if (!r)
		return -ENOMEM;
	l->side = r;
	r->loop = l;
	r->epoll = r->wake = -1;
	pb_list_init(&r->sending);
	err = open_both(r);
	if (err < 0)
		detach(l);
	return err;
}

struct pb_world *pb_world_real(void)
{
	static const struct pbi_world_ops ops = {
		.threads = true,
		.now_us = now_us,
		.wall_us = wall_us,
		.attach = attach,
		.detach = detach,
		.start = start,
		.join = join,
		.wake = wake,
		.random = take_random,
		.input = input,
		.flush = pbi_real_udp_flush,
		.fd_start = fd_start,
		.fd_stop = fd_stop,
		.udp_open = pbi_real_udp_open,
		.udp_close = pbi_real_udp_close,
		.udp_send = pbi_real_udp_send,
		.udp_source = pbi_real_udp_source,
		.udp_probe = pbi_real_udp_probe,
		.dns_open = pbi_cares_open,
		.dns_close = pbi_cares_close,
		.dns_ask = pbi_cares_ask,
	};
	static struct pb_world world = { &ops };

	return &world;
}
