/*
 * Streams. Callbacks are made from two places only, the descriptor's event and
 * the deferred work; writing never calls back, it queues and defers one flush
 * to the end of the turn, so that many small writes leave as one.
 *
 * A stream ends in steps that settle() puts in order when no callback of it is
 * on the stack: `ended` (the peer or an error ended it) leads to the one call
 * of `closed`; `released` (nobody owns it any more) leads to its end as soon
 * as the queue is empty, failed, or not wanted. So a peer that closed its own
 * direction still gets what was queued for it.
 *
 * As long as there is queued output, a flush is deferred, the descriptor is
 * watched for writing (`blocked`), or the connection is being made.
 */
#include "loop/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"

#define IN_LIMIT_BYTES 8192
#define OUT_LIMIT_BYTES (1u << 20)
#define FIRST_BYTES 2048
/** A buffer larger than this is given back when it has emptied. */
#define KEEP_BYTES 16384
/** How long a stream without an owner tries to write what is queued. */
#define LINGER_MS 10000
/** Reads after a failed write. */
#define LAST_READS 16

struct buffer {
	char *p;
	size_t at, n, size; /* n bytes from `at` */
};

struct pb_stream {
	struct pb_loop *loop;
	const struct pb_stream_ops *ops;
	void *arg;
	struct pb_fd in, out; /* a socket: `in` watches both directions */
	bool socket; /* one descriptor */
	struct buffer ibuf, obuf;
	size_t in_limit, out_limit;
	bool connecting, blocked;
	bool ended; /* `err` says how */
	bool half; /* nothing more comes in; the owner still writes */
	bool released; /* nobody to call */
	bool now; /* do not write what is queued */
	bool dead; /* to be freed by the deferred work */
	bool deferred;
	unsigned busy; /* callbacks on the stack */
	int err;
	struct pb_work work;
	struct pb_timer linger;
	char peer[PB_ADDR_TEXT], local[PB_ADDR_TEXT];
	struct pb_str peer_text, local_text;
};

/* ---- Buffers ------------------------------------------------------------------- */

/** Room for `n` more bytes behind, at most `limit` in all. -ENOBUFS, -ENOMEM. */
static int buffer_reserve(struct buffer *b, size_t n, size_t limit)
{
	size_t size = b->size ? b->size : FIRST_BYTES;
	char *p;

	if (n > limit || b->n > limit - n)
		return -ENOBUFS;
	if (b->at && b->at + b->n + n > b->size) {
		memmove(b->p, b->p + b->at, b->n);
		b->at = 0;
	}
	if (b->n + n <= b->size)
		return 0;
	while (size < b->n + n)
		size *= 2;
	if (size > limit)
		size = limit;
	p = pb_alloc_grow(b->p, size);
	if (!p)
		return -ENOMEM;
	b->p = p;
	b->size = size;
	return 0;
}

static void buffer_use(struct buffer *b, size_t n)
{
	b->n -= n;
	b->at = b->n ? b->at + n : 0;
	if (!b->n && b->size > KEEP_BYTES) {
		pb_free(b->p);
		b->p = NULL;
		b->size = 0;
	}
}

/* ---- Ending ---------------------------------------------------------------------- */

static void flush_later(void *arg);

static void defer(struct pb_stream *s)
{
	if (s->deferred)
		return;
	s->deferred = true;
	s->work = (struct pb_work){ .fn = flush_later, .arg = s };
	pb_loop_defer(s->loop, &s->work);
}

/** It has failed (or ended, err 0); the first cause counts. */
static void end(struct pb_stream *s, int err)
{
	if (s->ended)
		return;
	s->ended = true;
	s->err = err;
}

static void stop_fd(struct pb_fd *f)
{
	if (f->loop)
		pb_fd_stop(f);
}

static void destroy(struct pb_stream *s)
{
	stop_fd(&s->in);
	stop_fd(&s->out);
	pb_timer_stop(&s->linger);
	if (s->socket)
		shutdown(s->in.fd, SHUT_RDWR);
	else if (s->out.fd >= 0)
		close(s->out.fd);
	close(s->in.fd);
	pb_free(s->ibuf.p);
	pb_free(s->obuf.p);
	s->ibuf = s->obuf = (struct buffer){ 0 };
	s->dead = true;
	if (!s->deferred)
		pb_free(s);
}

static void linger_over(void *arg)
{
	destroy(arg);
}

/** Watch `f` for `want`, or not at all. */
static void want(struct pb_stream *s, struct pb_fd *f, unsigned events)
{
	int err;

	if (!events) {
		stop_fd(f);
		return;
	}
	if (f->loop && f->want == events)
		return;
	err = pb_fd_start(s->loop, f, events);
	if (err) {
		end(s, err);
		defer(s);
	}
}

static void watch(struct pb_stream *s)
{
	unsigned in = s->connecting || s->ended || s->half || s->released ? 0 : PB_FD_READ;
	unsigned out = s->connecting || s->blocked ? PB_FD_WRITE : 0;

	if (s->socket) {
		want(s, &s->in, in | out);
		return;
	}
	want(s, &s->in, in);
	want(s, &s->out, out);
}

/** The last thing of every entry: `s` may be gone afterwards. */
static void settle(struct pb_stream *s)
{
	if (s->busy)
		return;
	if (s->ended && !s->released) {
		s->busy++;
		s->ops->closed(s->arg, s->err);
		s->busy--;
		s->released = true;
	}
	if (!s->released) {
		watch(s);
		return;
	}
	if (s->now || s->err || !s->obuf.n) {
		destroy(s);
		return;
	}
	watch(s);
	if (!pb_timer_active(&s->linger))
		pb_timer_start(s->loop, &s->linger, LINGER_MS);
}

/* ---- Bytes in and out --------------------------------------------------------------- */

static void offer(struct pb_stream *s)
{
	size_t used;

	s->busy++;
	used = s->ops->data(s->arg, pb_str(s->ibuf.p + s->ibuf.at, s->ibuf.n));
	s->busy--;
	pb_assert(used <= s->ibuf.n);
	if (!used && s->ibuf.n >= s->in_limit)
		end(s, -EMSGSIZE);
	buffer_use(&s->ibuf, used);
}

/** The peer's end of file: the owner may want to write on. */
static void input_ends(struct pb_stream *s)
{
	s->busy++;
	s->half = s->ops->half_closed && s->ops->half_closed(s->arg);
	s->busy--;
	if (!s->half)
		end(s, 0);
}

/** One read and what follows from it. @return whether bytes came. */
static bool take(struct pb_stream *s)
{
	struct buffer *b = &s->ibuf;
	size_t room;
	ssize_t n;
	int err;

	if (b->at + b->n == b->size) {
		/* Space in front, doubled, or what the limit leaves. */
		room = b->n < s->in_limit - b->n ? b->n : s->in_limit - b->n;
		err = buffer_reserve(b, room ? room : 1, s->in_limit);
		if (err) {
			end(s, err == -ENOBUFS ? -EMSGSIZE : err);
			return false;
		}
	}
	room = b->size - b->at - b->n;
	if (room > s->in_limit - b->n)
		room = s->in_limit - b->n;
	n = read(s->in.fd, b->p + b->at + b->n, room);
	if (n > 0) {
		b->n += (size_t)n;
		offer(s);
		return true;
	}
	if (n == 0)
		input_ends(s);
	else if (errno != EAGAIN && errno != EINTR)
		end(s, -errno);
	return false;
}

static ssize_t put(struct pb_stream *s)
{
	const char *p = s->obuf.p + s->obuf.at;

	return s->socket ? send(s->in.fd, p, s->obuf.n, MSG_NOSIGNAL) : write(s->out.fd, p, s->obuf.n);
}

/** Whoever reads no more may have said something before: that comes first. */
static void write_failed(struct pb_stream *s, int err)
{
	for (int i = 0; i < LAST_READS && !s->ended && !s->half && !s->released && take(s); i++)
		;
	buffer_use(&s->obuf, s->obuf.n);
	end(s, err);
}

static void tell_drained(struct pb_stream *s)
{
	if (!s->ops->drained || s->ended || s->released)
		return;
	s->busy++;
	s->ops->drained(s->arg);
	s->busy--;
}

static void flush(struct pb_stream *s)
{
	bool wrote = false;

	s->blocked = false;
	while (s->obuf.n && !s->err) {
		ssize_t n = put(s);

		if (n > 0) {
			wrote = true;
			buffer_use(&s->obuf, (size_t)n);
		} else if (n < 0 && errno == EAGAIN) {
			s->blocked = true;
			return;
		} else if (n < 0 && errno != EINTR) {
			write_failed(s, -errno);
			return;
		}
	}
	if (wrote)
		tell_drained(s);
}

static void flush_later(void *arg)
{
	struct pb_stream *s = arg;

	s->deferred = false;
	if (s->dead) {
		pb_free(s);
		return;
	}
	if (!s->connecting && !s->blocked)
		flush(s);
	settle(s);
}

static void set_texts(struct pb_stream *s);

/** A connection attempt has come to its end. */
static void connected(struct pb_stream *s)
{
	socklen_t size = sizeof(int);
	int err = 0;

	if (getsockopt(s->in.fd, SOL_SOCKET, SO_ERROR, &err, &size) < 0)
		err = errno;
	s->connecting = false;
	if (err) {
		end(s, -err);
		return;
	}
	set_texts(s);
	tell_drained(s);
	if (s->obuf.n)
		defer(s);
}

static void on_in(void *arg, unsigned events)
{
	struct pb_stream *s = arg;

	if (s->connecting) {
		connected(s);
	} else {
		if (s->blocked && (events & (PB_FD_WRITE | PB_FD_ERROR)))
			flush(s);
		if ((events & (PB_FD_READ | PB_FD_ERROR)) && !s->ended && !s->half && !s->released)
			take(s);
	}
	settle(s);
}

static void on_out(void *arg, unsigned events)
{
	struct pb_stream *s = arg;

	flush(s);
	settle(s);
}

/* ---- Making them ------------------------------------------------------------------------ */

static void ignore_sigpipe(void)
{
	signal(SIGPIPE, SIG_IGN);
}

/** The address texts of a socket; "unix" or "pipe" for the others. */
static void set_text(struct pb_stream *s, int (*name)(int, struct sockaddr *, socklen_t *), char *buf,
		     struct pb_str *out)
{
	struct pb_addr a = { 0 };
	socklen_t size = sizeof(a);

	*out = s->socket ? PB_STR("unix") : PB_STR("pipe");
	if (s->socket && name(s->in.fd, &a.sa, &size) == 0 &&
	    (a.sa.sa_family == AF_INET || a.sa.sa_family == AF_INET6))
		*out = pb_addr_print(&a, buf);
}

static void set_texts(struct pb_stream *s)
{
	set_text(s, getpeername, s->peer, &s->peer_text);
	set_text(s, getsockname, s->local, &s->local_text);
}

static int set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

static bool is_socket(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

static struct pb_stream *stream_new(struct pb_loop *l, int fd_in, int fd_out,
				    const struct pb_stream_args *args)
{
	struct pb_stream *s = pb_alloc_zero(1, sizeof(*s));

	if (!s)
		return NULL;
	s->loop = l;
	s->ops = args->ops;
	s->arg = args->arg;
	s->in_limit = args->in_limit_bytes ? args->in_limit_bytes : IN_LIMIT_BYTES;
	s->out_limit = args->out_limit_bytes ? args->out_limit_bytes : OUT_LIMIT_BYTES;
	s->socket = fd_in == fd_out && is_socket(fd_in);
	s->in = (struct pb_fd){ .fd = fd_in, .fn = on_in, .arg = s };
	s->out = (struct pb_fd){ .fd = fd_out, .fn = on_out, .arg = s };
	pb_timer_init(&s->linger, linger_over, s);
	return s;
}

int pb_stream_adopt(struct pb_loop *l, int fd_in, int fd_out, const struct pb_stream_args *args,
		    struct pb_stream **out)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct pb_stream *s;
	int err;

	*out = NULL;
	if (fd_in == fd_out && !is_socket(fd_in))
		return -ENOTSOCK;
	s = stream_new(l, fd_in, fd_out, args);
	if (!s)
		return -ENOMEM;
	if (!s->socket)
		pthread_once(&once, ignore_sigpipe); /* write(2) has no MSG_NOSIGNAL */
	err = set_nonblocking(fd_in);
	if (!err)
		err = set_nonblocking(fd_out);
	if (!err)
		err = pb_fd_start(l, &s->in, PB_FD_READ);
	if (err) {
		pb_free(s);
		return err;
	}
	set_texts(s);
	*out = s;
	return 0;
}

int pb_stream_connect(struct pb_loop *l, const struct pb_addr *to, const struct pb_stream_args *args,
		      struct pb_stream **out)
{
	int fd = socket(to->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct pb_stream *s;

	*out = NULL;
	if (fd < 0)
		return -errno;
	s = stream_new(l, fd, fd, args);
	if (!s) {
		close(fd);
		return -ENOMEM;
	}
	s->connecting = true;
	s->peer_text = pb_addr_print(to, s->peer);
	s->local_text = PB_STR("");
	/* Success at once is told by the first event too; failure by a later turn. */
	if (connect(fd, &to->sa, pb_addr_len(to)) < 0 && errno != EINPROGRESS) {
		s->connecting = false;
		end(s, -errno);
		defer(s);
	} else {
		watch(s);
	}
	*out = s;
	return 0;
}

int pb_stream_write(struct pb_stream *s, struct pb_str bytes)
{
	int err;

	if (s->err)
		return s->err;
	if (!bytes.n)
		return 0;
	err = buffer_reserve(&s->obuf, bytes.n, s->out_limit);
	if (err) {
		s->ended = true;
		s->err = err;
		defer(s);
		return err;
	}
	memcpy(s->obuf.p + s->obuf.at + s->obuf.n, bytes.p, bytes.n);
	s->obuf.n += bytes.n;
	if (!s->blocked && !s->connecting)
		defer(s);
	return 0;
}

void pb_stream_close(struct pb_stream **sp, bool now)
{
	struct pb_stream *s = *sp;

	*sp = NULL;
	if (!s)
		return;
	s->released = true;
	s->now |= now;
	settle(s);
}

void pb_stream_set_in_limit(struct pb_stream *s, size_t bytes)
{
	s->in_limit = bytes > s->ibuf.n ? bytes : s->ibuf.n;
}

struct pb_str pb_stream_peer(const struct pb_stream *s)
{
	return s->peer_text;
}

struct pb_str pb_stream_local(const struct pb_stream *s)
{
	return s->local_text;
}

size_t pb_stream_queued(const struct pb_stream *s)
{
	return s->obuf.n;
}
