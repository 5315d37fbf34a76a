/*
 * Listeners: accept in a bounded batch, hand the descriptor over.
 *
 * When the process is out of descriptors a pending connection would make the
 * descriptor ready for ever: one is kept in reserve, given up to accept and
 * refuse that connection, and taken again. Should even that fail, the listener
 * pauses instead of spinning.
 */
#include "loop/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"

/** Connections taken in one turn. */
#define BATCH 64
#define PAUSE_MS 100

struct pb_listener {
	struct pb_loop *loop;
	struct pb_fd fd;
	struct pb_timer pause;
	void (*accepted)(void *arg, int fd, const struct pb_addr *from);
	void *arg;
	struct pb_addr local;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* "": TCP */
	int reserve;
	bool busy, closed;
};

static void listener_free(struct pb_listener *l)
{
	if (l->fd.loop)
		pb_fd_stop(&l->fd);
	pb_timer_stop(&l->pause);
	if (l->fd.fd >= 0)
		close(l->fd.fd);
	if (l->reserve >= 0)
		close(l->reserve);
	if (l->path[0])
		unlink(l->path);
	pb_free(l);
}

static int open_reserve(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/** Refuse one connection with the reserve. @return whether that went. */
static bool refuse(struct pb_listener *l)
{
	int fd;

	if (l->reserve < 0)
		return false;
	close(l->reserve);
	fd = accept4(l->fd.fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		close(fd);
	l->reserve = open_reserve();
	return fd >= 0;
}

static void resume(void *arg)
{
	struct pb_listener *l = arg;

	if (l->reserve < 0)
		l->reserve = open_reserve();
	if (pb_fd_start(l->loop, &l->fd, PB_FD_READ) < 0)
		pb_timer_start(l->loop, &l->pause, PAUSE_MS);
}

/** One connection. @return whether to look for another. */
static bool take(struct pb_listener *l)
{
	struct sockaddr_storage ss = { 0 };
	struct pb_addr from = { 0 };
	socklen_t size = sizeof(ss);
	int fd = accept4(l->fd.fd, (struct sockaddr *)&ss, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0) {
		memcpy(&from, &ss, sizeof(from));
		l->accepted(l->arg, fd, &from);
		return !l->closed;
	}
	switch (errno) {
	case EAGAIN:
		return false;
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		if (refuse(l))
			return true;
		pb_fd_stop(&l->fd);
		pb_timer_start(l->loop, &l->pause, PAUSE_MS);
		return false;
	default: /* that connection alone: ECONNABORTED, EPROTO, EINTR ... */
		return true;
	}
}

static void on_ready(void *arg, unsigned events)
{
	struct pb_listener *l = arg;

	l->busy = true;
	for (int i = 0; i < BATCH && take(l); i++)
		;
	l->busy = false;
	if (l->closed)
		listener_free(l);
}

static struct pb_listener *listener_new(struct pb_loop *loop,
					void (*accepted)(void *, int, const struct pb_addr *), void *arg)
{
	struct pb_listener *l = pb_alloc_zero(1, sizeof(*l));

	if (!l)
		return NULL;
	l->loop = loop;
	l->accepted = accepted;
	l->arg = arg;
	l->fd = (struct pb_fd){ .fd = -1, .fn = on_ready, .arg = l };
	l->reserve = open_reserve();
	pb_timer_init(&l->pause, resume, l);
	return l;
}

static int start(struct pb_listener *l, int backlog)
{
	socklen_t size = sizeof(l->local);

	if (listen(l->fd.fd, backlog) < 0)
		return -errno;
	if (!l->path[0] && getsockname(l->fd.fd, &l->local.sa, &size) < 0)
		return -errno;
	return pb_fd_start(l->loop, &l->fd, PB_FD_READ);
}

static int bind_tcp(struct pb_listener *l, const struct pb_addr *local)
{
	int on = 1;

	l->fd.fd = socket(local->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->fd.fd < 0)
		return -errno;
	if (setsockopt(l->fd.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return -errno;
	if (pb_addr_is_v6(local) &&
	    setsockopt(l->fd.fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0)
		return -errno;
	return bind(l->fd.fd, &local->sa, pb_addr_len(local)) < 0 ? -errno : 0;
}

/* After binding, which answered `err`: listen, or free it. */
static int bound(struct pb_listener *n, int err, int backlog, struct pb_listener **out)
{
	if (!err)
		err = start(n, backlog);
	if (err)
		listener_free(n);
	else
		*out = n;
	return err;
}

int pb_listener_open(struct pb_loop *l, const struct pb_addr *local, int backlog,
		     void (*accepted)(void *arg, int fd, const struct pb_addr *from), void *arg,
		     struct pb_listener **out)
{
	struct pb_listener *n = listener_new(l, accepted, arg);

	*out = NULL;
	return n ? bound(n, bind_tcp(n, local), backlog, out) : -ENOMEM;
}

/** Does somebody listen there? Backlog full (EAGAIN) means yes. */
static bool is_live(const struct sockaddr_un *un)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool live = fd >= 0 && (connect(fd, (const struct sockaddr *)un, sizeof(*un)) == 0 || errno == EAGAIN);

	if (fd >= 0)
		close(fd);
	return live;
}

/** Only left-over sockets are removed: a mistaken path must not cost a file. */
static int bind_unix(struct pb_listener *l, const char *path, unsigned mode)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct stat st;

	if (strlen(path) >= sizeof(un.sun_path))
		return -ENAMETOOLONG;
	memcpy(un.sun_path, path, strlen(path) + 1);
	l->fd.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->fd.fd < 0)
		return -errno;
	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode)) {
		if (is_live(&un))
			return -EADDRINUSE;
		unlink(path);
	}
	if (bind(l->fd.fd, (struct sockaddr *)&un, sizeof(un)) < 0)
		return -errno;
	memcpy(l->path, un.sun_path, sizeof(l->path));
	l->local.sa.sa_family = AF_UNIX;
	/* Nobody can connect before listen(). */
	return chmod(path, mode) < 0 ? -errno : 0;
}

int pb_listener_open_unix(struct pb_loop *l, const char *path, unsigned mode, int backlog,
			  void (*accepted)(void *arg, int fd, const struct pb_addr *from), void *arg,
			  struct pb_listener **out)
{
	struct pb_listener *n = listener_new(l, accepted, arg);

	*out = NULL;
	return n ? bound(n, bind_unix(n, path, mode), backlog, out) : -ENOMEM;
}

void pb_listener_close(struct pb_listener **lp)
{
	struct pb_listener *l = *lp;

	*lp = NULL;
	if (!l)
		return;
	if (l->busy) {
		l->closed = true;
		pb_fd_stop(&l->fd);
	} else {
		listener_free(l);
	}
}

const struct pb_addr *pb_listener_local(const struct pb_listener *l)
{
	return &l->local;
}
