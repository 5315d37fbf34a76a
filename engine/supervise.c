/*
 * The supervisor: a parent that runs the engine in a child and starts it anew
 * when it dies of a signal, answers with an exit code over 127, or gives no sign
 * of life.
 *
 * Life is an octet in a pipe for each engine.timer. A pool of patience starts at
 * 30, loses one each 1.2 s and gains one with each octet, up to -S; an empty pool
 * means that the child hangs: it is killed. One that somebody has stopped (a
 * debugger, SIGSTOP) is waited for. Between two children passes a second, doubled
 * each time up to a minute and shortened while a child does well.
 *
 * With -r the child's output comes through a pipe and is written here, so that
 * the file can be reopened for all that the engine and its scripts print.
 */
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"

#define LOOK_MS      1200
#define PATIENCE     30
#define SANITY       5
#define DELAY_MIN_MS 1000
#define DELAY_MAX_MS 60000
#define DELAY_LESS   20  /* for each look at a child that does well */
#define ABORT_MS     500 /* to tell where it hangs, before it is killed */

struct supervisor {
	struct pb_program *p;
	int (*engine)(struct pb_program *p, const struct pb_supervised *s);
	int signals, log; /* descriptors; log: the relayed one, -1 */
	/* The child. */
	pid_t pid, last_pid; /* 0: none */
	int alive, output;   /* ends of its pipes; -1 */
	int status;          /* of the one that ended */
	int pool, killed;    /* how often we have tried to */
	unsigned attempt, delay_ms;
	int last_signal;
	bool ending; /* do not start another */
};

static void shut(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static int open_log(const struct pb_program *p)
{
	return open(p->log_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
}

/* ---- What it says --------------------------------------------------------------- */

static void say(const struct supervisor *s, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* With the date, as ctime has it. The log may have been renamed: it is opened anew. */
static void say(const struct supervisor *s, const char *fmt, ...)
{
	char buf[512], date[32];
	time_t now = time(NULL);
	struct pb_text t;
	va_list ap;
	int fd, to;

	pb_text_init_buf(&t, buf, sizeof(buf));
	va_start(ap, fmt);
	pb_text_addv(&t, fmt, ap);
	va_end(ap);
	pb_text_addf(&t, " on %s", ctime_r(&now, date));
	fd = s->log < 0 && s->p->log_file ? open_log(s->p) : -1;
	to = s->log >= 0 ? s->log : fd;
	(void)!write(to >= 0 ? to : 2, t.p, t.n); /* nobody is left to tell */
	shut(&fd);
}

static void reopen_log(struct supervisor *s)
{
	int fd;

	if (s->log < 0)
		return;
	say(s, "Supervisor (%ld) closing the log file", (long)getpid());
	fd = open_log(s->p);
	if (fd >= 0) {
		close(s->log);
		s->log = fd;
	}
	say(s, "Supervisor (%ld) reopening the log file", (long)getpid());
}

/* ---- Pipes ------------------------------------------------------------------------- */

static void take_signs(struct supervisor *s)
{
	char buf[64];
	ssize_t n = read(s->alive, buf, sizeof(buf));
	int most = (int)(s->p->sanity ? s->p->sanity : SANITY);

	if (n == 0)
		shut(&s->alive);
	if (n <= 0)
		return;
	s->pool = s->pool + (int)n < most ? s->pool + (int)n : most;
}

static void relay(struct supervisor *s)
{
	char buf[65536];
	ssize_t n = read(s->output, buf, sizeof(buf)), done = 0, w = 0;

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		shut(&s->output);
	for (; done < n && w >= 0; done += w)
		w = write(s->log, buf + done, (size_t)(n - done));
}

/* ---- The child ------------------------------------------------------------------------ */

static void keep_streams(int output)
{
	if (output < 0)
		return;
	dup2(output, 1);
	dup2(output, 2);
	close(output);
}

static _Noreturn void be_child(struct supervisor *s, int alive, int output)
{
	struct pb_supervised me = { .attempt = s->attempt,
				    .last_signal = s->last_signal,
				    .alive_fd = alive };
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	shut(&s->alive);
	shut(&s->output);
	shut(&s->log);
	shut(&s->signals);
	keep_streams(output);
	exit(s->engine(s->p, &me));
}

static int make_pipe(int *ours, int *theirs)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK))
		return -errno;
	*ours = fds[0];
	*theirs = fds[1];
	return 0;
}

static int start_child(struct supervisor *s)
{
	int alive = -1, output = -1;
	int err = make_pipe(&s->alive, &alive);

	if (!err && s->log >= 0)
		err = make_pipe(&s->output, &output);
	if (!err && output >= 0 && fcntl(output, F_SETFL, 0) < 0)
		err = -errno; /* who prints into it expects to wait */
	s->attempt++;
	s->pool = PATIENCE;
	s->killed = 0;
	s->pid = err ? -1 : fork();
	if (s->pid == 0)
		be_child(s, alive, output);
	if (s->pid < 0 && !err)
		err = -errno;
	shut(&alive);
	shut(&output);
	if (err)
		s->pid = 0;
	return err;
}

static bool reap(struct supervisor *s)
{
	if (!s->pid || waitpid(s->pid, &s->status, WNOHANG) != s->pid)
		return false;
	while (s->output >= 0 &&
	       poll(&(struct pollfd){ .fd = s->output, .events = POLLIN }, 1, 0) == 1)
		relay(s);
	shut(&s->alive);
	shut(&s->output);
	s->last_pid = s->pid;
	s->pid = 0;
	return true;
}

/* State T or t of /proc/PID/stat: somebody has stopped it on purpose. */
static bool is_stopped(pid_t pid)
{
	char path[64], buf[512];
	const char *end;
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	n = fread(buf, 1, sizeof(buf) - 1, f);
	fclose(f);
	buf[n] = '\0';
	end = strrchr(buf, ')');
	return end && end[1] == ' ' && (end[2] == 'T' || end[2] == 't');
}

static unsigned end_hanging(struct supervisor *s)
{
	bool tell = !s->killed && (s->p->abort_on_fail || s->p->core);

	if (!s->killed)
		say(s, "Supervisor: killing unresponsive child %ld", (long)s->pid);
	s->killed++;
	kill(s->pid, tell ? SIGABRT : SIGKILL);
	return tell ? ABORT_MS : LOOK_MS;
}

/* @return ms until the next look. */
static unsigned look(struct supervisor *s)
{
	if (s->killed)
		return end_hanging(s);
	if (--s->pool > 0) {
		s->delay_ms = s->delay_ms > DELAY_MIN_MS + DELAY_LESS ? s->delay_ms - DELAY_LESS
								      : DELAY_MIN_MS;
		return LOOK_MS;
	}
	if (!is_stopped(s->pid))
		return end_hanging(s);
	s->pool = 1;
	return LOOK_MS;
}

/* ---- Signals --------------------------------------------------------------------------- */

static void on_signal(struct supervisor *s)
{
	struct signalfd_siginfo si;

	if (read(s->signals, &si, sizeof(si)) != (ssize_t)sizeof(si) || si.ssi_signo == SIGCHLD)
		return;
	switch (si.ssi_signo) {
	case SIGHUP:
		reopen_log(s);
		s->ending |= !s->p->daemonise;
		break;
	case SIGINT:
	case SIGTERM:
	case SIGABRT:
		s->ending = true;
		break;
	case SIGUSR1:
	case SIGUSR2:
		s->delay_ms = DELAY_MIN_MS;
		break;
	}
	if (s->pid)
		kill(s->pid, (int)si.ssi_signo);
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* What comes in until `until_ms`, or the child ends. */
static void serve_until(struct supervisor *s, uint64_t until_ms)
{
	for (uint64_t now = now_ms(); now < until_ms && !(s->ending && !s->pid); now = now_ms()) {
		struct pollfd fds[3] = { { .fd = s->signals, .events = POLLIN },
					 { .fd = s->alive, .events = POLLIN },
					 { .fd = s->output, .events = POLLIN } };

		if (poll(fds, 3, (int)(until_ms - now)) <= 0)
			continue;
		if (fds[0].revents)
			on_signal(s);
		if (fds[1].revents)
			take_signs(s);
		if (fds[2].revents)
			relay(s);
		if (fds[0].revents && s->pid && reap(s))
			return;
	}
}

static void serve_child(struct supervisor *s)
{
	uint64_t next = now_ms() + LOOK_MS;

	while (s->pid) {
		serve_until(s, next);
		if (!s->pid || reap(s))
			return;
		next = now_ms() + look(s);
	}
}

/* ---- One child after the other ------------------------------------------------------------ */

/* @return the exit code when that is the last one; -1: another is started. */
static int judge(struct supervisor *s)
{
	int code;

	if (WIFEXITED(s->status)) {
		code = WEXITSTATUS(s->status);
		if (code <= 127 || s->ending)
			return code;
		say(s, "Supervisor: child %ld exited with code %d", (long)s->last_pid, code);
		s->last_signal = code & 0x7f;
		return -1;
	}
	s->last_signal = s->killed ? SIGCHLD : WTERMSIG(s->status);
	say(s, "Supervisor: child %ld died on signal %d", (long)s->last_pid, WTERMSIG(s->status));
	return s->ending ? PB_EXIT_FAILED : -1;
}

static void pause_for(struct supervisor *s, unsigned ms)
{
	if (ms)
		serve_until(s, now_ms() + ms);
}

static void delay(struct supervisor *s)
{
	say(s, "Supervisor (%ld) delaying child start by %u.%02u seconds", (long)getpid(),
	    s->delay_ms / 1000, s->delay_ms % 1000 / 10);
	pause_for(s, s->delay_ms);
	s->delay_ms = 2 * s->delay_ms < DELAY_MAX_MS ? 2 * s->delay_ms : DELAY_MAX_MS;
}

/* In the background: the child alone tells who waits, and has the terminal until then. */
static void leave_terminal(struct supervisor *s)
{
	if (!s->p->daemonise || s->attempt > 1)
		return;
	pb_daemon_leave(s->p);
	pb_daemon_streams(s->p);
}

static int run_children(struct supervisor *s)
{
	int code, err;

	if (s->p->first_delay_ms)
		say(s, "Supervisor (%ld) delaying initial start by %u.%02u seconds", (long)getpid(),
		    s->p->first_delay_ms / 1000, s->p->first_delay_ms % 1000 / 10);
	pause_for(s, s->p->first_delay_ms);
	while (!s->ending) {
		err = start_child(s);
		if (err) {
			say(s, "Supervisor: no child could be started: %s", strerror(-err));
			return PB_EXIT_ENVIRONMENT;
		}
		leave_terminal(s);
		serve_child(s);
		code = judge(s);
		if (code >= 0)
			return code;
		delay(s);
	}
	return PB_EXIT_OK;
}

int pb_supervise(struct pb_program *p,
		 int (*engine)(struct pb_program *p, const struct pb_supervised *s))
{
	static const int ours[] = { SIGHUP,  SIGINT,  SIGTERM, SIGQUIT,
				    SIGABRT, SIGUSR1, SIGUSR2, SIGCHLD };
	struct supervisor s = { .p = p,
				.engine = engine,
				.log = -1,
				.alive = -1,
				.output = -1,
				.delay_ms = DELAY_MIN_MS };
	int code;

	s.signals = pb_program_signals(ours, sizeof(ours) / sizeof(ours[0]));
	if (s.signals < 0)
		return PB_EXIT_ENVIRONMENT;
	if (p->relay)
		s.log = open_log(p);
	say(&s, "Supervisor (%ld) is starting, max sanity %u", (long)getpid(),
	    p->sanity ? p->sanity : SANITY);
	code = run_children(&s);
	say(&s, "Supervisor (%ld) exiting with code %d", (long)getpid(), code);
	return code;
}
