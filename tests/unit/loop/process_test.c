/* engine/loop/process: starting, descriptors, signals, ends. */
#include "scene.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loop/process.h"

static const char *const *command;
static int fds[5], result, status;
static struct pb_process *child;
static int stop_with; /* signal to send after the start */

static void ended(void *arg, int st)
{
	CU_ASSERT_PTR_EQUAL(arg, &status);
	status = st;
	pb_process_signal(child, SIGTERM); /* has ended: nothing */
	pb_process_forget(&child);
	scene_end();
}

static void begin(void *arg)
{
	struct pb_process_args args = { .argv = command, .ended = ended, .arg = &status };

	memcpy(args.fd, fds, sizeof(fds));
	result = pb_process_start(scene_loop, &args, &child);
	if (result) {
		CU_ASSERT_PTR_NULL(child);
		scene_end();
		return;
	}
	CU_ASSERT_TRUE(pb_process_pid(child) > 0);
	if (stop_with)
		pb_process_signal(child, stop_with);
}

/** Run a command with its output on a pipe. @return the output. */
static struct pb_str run(const char *const *av)
{
	static char out[4000];
	ssize_t n;
	int p[2];

	CU_ASSERT_EQUAL(pipe2(p, O_CLOEXEC), 0);
	command = av;
	fds[0] = fds[2] = fds[3] = fds[4] = -1;
	fds[1] = p[1];
	scene_run(begin, NULL);
	close(p[1]);
	n = read(p[0], out, sizeof(out));
	close(p[0]);
	stop_with = 0;
	return pb_str(out, n > 0 ? (size_t)n : 0);
}

static struct pb_str shell(const char *script)
{
	const char *av[] = { "/bin/sh", "-c", script, NULL };

	return run(av);
}

static void runs(void)
{
	const char *av[] = { "/bin/echo", "two words", "", NULL };

	PB_SAME(run(av), "two words \n");
	CU_ASSERT_EQUAL(result, 0);
	CU_ASSERT_EQUAL(status, 0);
	shell("exit 7");
	CU_ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

static void refusals(void)
{
	const char *missing[] = { "/nowhere/script", NULL }, *not_executable[] = { "/etc/passwd", NULL };

	run(missing);
	CU_ASSERT_EQUAL(result, -ENOENT);
	run(not_executable);
	CU_ASSERT_EQUAL(result, -EACCES);
}

/** Only 0..2 are open, whatever the engine has, with or without CLOEXEC. */
static void descriptors(void)
{
	int extra = dup(1), high = fcntl(1, F_DUPFD, 200);

	PB_SAME(shell("for f in 0 1 2 3 4 5 6 7 8 9; do"
		      " if ( : >&$f ) 2>/dev/null; then echo $f; fi; done;"
		      " test -e /proc/self/fd/200 && echo high; true"),
		"0\n1\n2\n");
	close(extra);
	close(high);
}

/** Numbers that cross: what becomes 3 was 4 and the other way. */
static void crossing(void)
{
	const char *av[] = { "/bin/sh", "-c", "cat <&3; cat <&4", NULL };
	int p[2], q[2], o[2];
	char out[10];

	CU_ASSERT_EQUAL(pipe2(p, O_CLOEXEC) + pipe2(q, O_CLOEXEC) + pipe2(o, O_CLOEXEC), 0);
	CU_ASSERT_EQUAL(write(p[1], "third", 5) + write(q[1], "four", 4), 9);
	close(p[1]);
	close(q[1]);
	command = av;
	fds[0] = fds[2] = -1;
	fds[1] = o[1];
	fds[3] = p[0];
	fds[4] = q[0];
	scene_run(begin, NULL);
	CU_ASSERT_EQUAL(read(o[0], out, sizeof(out)), 9);
	CU_ASSERT_EQUAL(memcmp(out, "thirdfour", 9), 0);
	close(p[0]);
	close(q[0]);
	close(o[0]);
	close(o[1]);
}

/** Of `name` in /proc/PID/status; the C library keeps signals from 32 on to itself. */
static unsigned long signal_set(struct pb_str text, const char *name)
{
	ptrdiff_t at = pb_str_find(text, pb_str_z(name));

	CU_ASSERT_TRUE_FATAL(at >= 0);
	return strtoul(text.p + at + strlen(name), NULL, 16) & 0x7fffffff;
}

/** INT and QUIT are ignored, the rest is default, nothing is blocked. */
static void signals(void)
{
	const char *av[] = { "/bin/sed", "-n", "/^Sig[BIC]/p", "/proc/self/status", NULL };
	sigset_t some, old;
	struct pb_str got;

	sigemptyset(&some);
	sigaddset(&some, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &some, &old);
	signal(SIGPIPE, SIG_IGN);
	got = run(av);
	CU_ASSERT_EQUAL(signal_set(got, "SigBlk:"), 0);
	CU_ASSERT_EQUAL(signal_set(got, "SigIgn:"), 1u << (SIGINT - 1) | 1u << (SIGQUIT - 1));
	CU_ASSERT_EQUAL(signal_set(got, "SigCgt:"), 0);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void killed(void)
{
	const char *av[] = { "/bin/sleep", "100", NULL };

	stop_with = SIGTERM;
	run(av);
	CU_ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

static pid_t left;

static void begin_forgotten(void *arg)
{
	begin(arg);
	if (!result) {
		left = pb_process_pid(child);
		pb_process_forget(&child);
	}
	scene_end();
}

/** It lives on; a later start takes its end away. */
static void forgotten(void)
{
	const char *av[] = { "/bin/cat", NULL };
	siginfo_t info;
	int p[2], in[2];
	char c;

	CU_ASSERT_EQUAL(pipe2(p, O_CLOEXEC) + pipe2(in, O_CLOEXEC), 0);
	command = av;
	for (int i = 0; i < 5; i++)
		fds[i] = -1;
	fds[1] = p[1];
	fds[0] = in[0]; /* it lives until we close the other end */
	scene_run(begin_forgotten, NULL);
	close(in[0]);
	close(in[1]);
	close(p[1]);
	CU_ASSERT_EQUAL(read(p[0], &c, 1), 0); /* it has ended */
	close(p[0]);
	CU_ASSERT_EQUAL(waitid(P_PID, (id_t)left, &info, WEXITED | WNOWAIT), 0);
	shell("exit 0");
	CU_ASSERT_EQUAL(waitpid(left, NULL, WNOHANG), -1);
	CU_ASSERT_EQUAL(errno, ECHILD);
}

PB_TESTS("loop/process", { "runs", runs }, { "refusals", refusals }, { "descriptors", descriptors },
	 { "crossing", crossing }, { "signals", signals }, { "killed", killed },
	 { "forgotten", forgotten })
