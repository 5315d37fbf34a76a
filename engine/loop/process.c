/*
 * Child processes by vfork: the engine's page tables, which may be large, are
 * not copied, and only the calling thread waits, for the few system calls up
 * to exec. posix_spawn would do but for the ignored signals that scripts are
 * promised. All signals are blocked meanwhile, so no handler of ours can run
 * in the child, which shares our memory.
 *
 * A forgotten child still has to be reaped: it goes on a lock-free stack that
 * every later start or forget looks through.
 */
#include "loop/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"

/** Descriptors 0..4 are the child's (struct pb_process_args). */
#define CHILD_FDS 5
/** Closed up to here where the kernel has no close_range. */
#define OLD_LIMIT 1024

struct pb_process {
	struct pb_fd fd; /* pidfd */
	pid_t pid;
	bool over; /* reaped */
	void (*ended)(void *arg, int status);
	void *arg;
	struct pb_process *next; /* forgotten */
};

static struct pb_process *_Atomic forgotten;

static void push_forgotten(struct pb_process *p)
{
	p->next = atomic_load(&forgotten);
	while (!atomic_compare_exchange_weak(&forgotten, &p->next, p))
		;
}

static void reap_forgotten(void)
{
	struct pb_process *list = atomic_exchange(&forgotten, NULL), *next;

	for (struct pb_process *p = list; p; p = next) {
		next = p->next;
		if (waitpid(p->pid, NULL, WNOHANG) != 0)
			pb_free(p);
		else
			push_forgotten(p);
	}
}

/* ---- In the child: system calls only ----------------------------------------------- */

struct child {
	const char *const *argv;
	int fd[CHILD_FDS]; /* all >= CHILD_FDS, or -1 */
	int report; /* a pipe closed by exec; gets errno */
};

static void child_signals(void)
{
	struct sigaction sa = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		sigaction(sig, &sa, NULL); /* refused for KILL and STOP */
	sa.sa_handler = SIG_IGN;
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGQUIT, &sa, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static bool child_fds(const struct child *c)
{
	for (int i = 0; i < CHILD_FDS; i++) {
		if (c->fd[i] >= 0 && dup2(c->fd[i], i) < 0)
			return false;
		if (c->fd[i] < 0 && i > 2)
			close(i);
	}
	/* At exec, not now: the report must live that long. */
	if (syscall(SYS_close_range, CHILD_FDS, ~0u, 4u /* CLOSE_RANGE_CLOEXEC */) == 0)
		return true;
	for (int i = CHILD_FDS; i < OLD_LIMIT; i++)
		fcntl(i, F_SETFD, FD_CLOEXEC);
	return true;
}

static void __attribute__((noreturn, noinline)) child_run(const struct child *c)
{
	int err;

	if (child_fds(c)) {
		child_signals();
		execv(c->argv[0], (char *const *)(uintptr_t)c->argv);
	}
	err = errno;
	if (write(c->report, &err, sizeof(err)) < 0)
		_exit(126);
	_exit(127);
}

/* ---- In the engine -------------------------------------------------------------------- */

/** Copies above the child's numbers, so that placing one cannot overwrite another. */
static int lift(const struct pb_process_args *args, struct child *c)
{
	for (int i = 0; i < CHILD_FDS; i++) {
		if (args->fd[i] < 0)
			continue;
		c->fd[i] = fcntl(args->fd[i], F_DUPFD_CLOEXEC, CHILD_FDS);
		if (c->fd[i] < 0)
			return -errno;
	}
	return 0;
}

static void drop_lifted(struct child *c)
{
	for (int i = 0; i < CHILD_FDS; i++) {
		if (c->fd[i] >= 0)
			close(c->fd[i]);
	}
	if (c->report >= 0)
		close(c->report);
}

static pid_t spawn(const struct child *c)
{
	sigset_t all, old;
	pid_t pid;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pid = vfork();
	if (pid == 0)
		child_run(c);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return pid < 0 ? -errno : pid;
}

/** Start it and learn whether exec went. @return the pid or -errno. */
static pid_t launch(struct child *c)
{
	int pipefd[2], err = 0;
	ssize_t n;
	pid_t pid;

	if (pipe2(pipefd, O_CLOEXEC) < 0)
		return -errno;
	c->report = fcntl(pipefd[1], F_DUPFD_CLOEXEC, CHILD_FDS);
	err = errno;
	close(pipefd[1]);
	pid = c->report < 0 ? -err : spawn(c);
	if (c->report >= 0)
		close(c->report);
	c->report = -1;
	/* Empty once exec has closed it: the child is past that already. */
	while (pid > 0 && (n = read(pipefd[0], &err, sizeof(err))) < 0 && errno == EINTR)
		;
	close(pipefd[0]);
	if (pid > 0 && n == (ssize_t)sizeof(err)) {
		waitpid(pid, NULL, 0);
		return -err;
	}
	return pid;
}

static void on_end(void *arg, unsigned events)
{
	struct pb_process *p = arg;
	int status = 0;

	if (waitpid(p->pid, &status, WNOHANG) == 0)
		return;
	p->over = true;
	pb_fd_stop(&p->fd);
	close(p->fd.fd);
	p->fd.fd = -1;
	p->ended(p->arg, status);
	pb_free(p);
}

static int watch(struct pb_loop *l, struct pb_process *p)
{
	p->fd = (struct pb_fd){ .fd = pidfd_open(p->pid, 0), .fn = on_end, .arg = p };
	if (p->fd.fd < 0)
		return -errno;
	return pb_fd_start(l, &p->fd, PB_FD_READ);
}

int pb_process_start(struct pb_loop *l, const struct pb_process_args *args, struct pb_process **out)
{
	struct child c = { .argv = args->argv, .fd = { -1, -1, -1, -1, -1 }, .report = -1 };
	struct pb_process *p = pb_alloc_zero(1, sizeof(*p));
	int err;

	*out = NULL;
	reap_forgotten();
	if (!p)
		return -ENOMEM;
	p->ended = args->ended;
	p->arg = args->arg;
	err = lift(args, &c);
	if (!err) {
		p->pid = launch(&c);
		err = p->pid < 0 ? p->pid : watch(l, p);
	}
	drop_lifted(&c);
	if (!err) {
		*out = p;
		return 0;
	}
	if (p->pid > 0) {
		/* It runs, but could not be watched: as if it had not been started. */
		kill(p->pid, SIGKILL);
		waitpid(p->pid, NULL, 0);
		if (p->fd.fd >= 0)
			close(p->fd.fd);
	}
	pb_free(p);
	return err;
}

pid_t pb_process_pid(const struct pb_process *p)
{
	return p->pid;
}

void pb_process_signal(struct pb_process *p, int sig)
{
	if (!p->over)
		pidfd_send_signal(p->fd.fd, sig, NULL, 0);
}

void pb_process_forget(struct pb_process **pp)
{
	struct pb_process *p = *pp;

	*pp = NULL;
	if (!p || p->over)
		return;
	pb_fd_stop(&p->fd);
	close(p->fd.fd);
	push_forgotten(p);
	reap_forgotten();
}
