/*
 * The background: a child in a session of its own, while the first process waits
 * for word of it. `patchbay run -d` thus returns when the engine serves, or with
 * the exit code and the reason of one that does not start; the standard streams
 * stay until then. The working folder is kept.
 */
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static int word = -1; /* where we tell; -1: nobody waits */

/* In the first process: one octet, the exit code; none when the child died. */
static int wait_for_word(int fd)
{
	unsigned char code;
	ssize_t n;

	do
		n = read(fd, &code, 1);
	while (n < 0 && errno == EINTR);
	if (n == 1 && !code)
		return PB_EXIT_OK;
	fprintf(stderr, "patchbay: it did not start\n");
	return n == 1 ? code : PB_EXIT_FAILED;
}

int pb_daemon_begin(const struct pb_program *p)
{
	int fds[2];
	pid_t pid;

	(void)p;
	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid) {
		close(fds[1]);
		_exit(wait_for_word(fds[0]));
	}
	close(fds[0]);
	word = fds[1];
	setsid();
	unsetenv("DISPLAY");
	return 0;
}

void pb_daemon_streams(const struct pb_program *p)
{
	int in = open("/dev/null", O_RDWR | O_CLOEXEC);
	int out = p->log_file ? open(p->log_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640)
			      : -1;

	if (p->daemonise && in >= 0)
		dup2(in, 0);
	if (out >= 0 || in >= 0) {
		dup2(out >= 0 ? out : in, 1);
		dup2(out >= 0 ? out : in, 2);
	}
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
}

void pb_daemon_leave(const struct pb_program *p)
{
	(void)p;
	if (word >= 0)
		close(word);
	word = -1;
}

void pb_daemon_tell(const struct pb_program *p, int code)
{
	unsigned char octet = (unsigned char)code;

	if (word >= 0 && write(word, &octet, 1) < 0)
		perror("patchbay");
	pb_daemon_leave(p);
}
