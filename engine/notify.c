/*
 * sd_notify, our own: lines in one datagram to the socket that NOTIFY_SOCKET
 * names. Without it all of this does nothing. The variables are taken out of the
 * environment, so that scripts do not speak for us.
 *
 * WATCHDOG=1 is sent at a third of the time that the service manager allows, by
 * the engine's watchdog, which calls only while every loop turns.
 */
#include "program.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"

static struct {
	int fd;                     /* connected; -1: nobody listens */
	uint64_t every_us, last_us; /* WATCHDOG=1; 0: not wanted */
} notify = { .fd = -1 };

static uint64_t monotonic_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void dial(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	size_t n = strlen(path);

	if (n < 2 || n >= sizeof(a.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(a.sun_path, path, n);
	if (path[0] == '@') /* an abstract name */
		a.sun_path[0] = '\0';
	notify.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (notify.fd < 0)
		return;
	if (connect(notify.fd, (struct sockaddr *)&a,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n))) {
		close(notify.fd);
		notify.fd = -1;
	}
}

void pb_notify_open(void)
{
	const char *path = getenv("NOTIFY_SOCKET"), *every = getenv("WATCHDOG_USEC"),
		   *pid = getenv("WATCHDOG_PID");
	int64_t us = 0, whose = getpid();

	if (path)
		dial(path);
	if (pid && pb_str_to_i64(pb_str_z(pid), 10, 1, INT32_MAX, &whose))
		whose = 0;
	if (every && whose == getpid() && !pb_str_to_i64(pb_str_z(every), 10, 1, INT64_MAX, &us))
		notify.every_us = (uint64_t)us / 3;
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

void pb_notify(const char *fmt, ...)
{
	char buf[512];
	struct pb_text t;
	va_list ap;

	if (notify.fd < 0)
		return;
	pb_text_init_buf(&t, buf, sizeof(buf));
	va_start(ap, fmt);
	pb_text_addv(&t, fmt, ap);
	va_end(ap);
	if (send(notify.fd, t.p, t.n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return; /* the manager has other means to see how we are */
}

void pb_notify_reloading(void)
{
	pb_notify("RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=Reading the configuration",
		  (unsigned long long)monotonic_us());
}

void pb_notify_alive(void *arg)
{
	uint64_t now = monotonic_us();

	(void)arg;
	if (!notify.every_us || now - notify.last_us < notify.every_us)
		return;
	notify.last_us = now;
	pb_notify("WATCHDOG=1");
}
