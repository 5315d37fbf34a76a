/*
 * One recvmmsg and one sendmmsg for up to 64 datagrams, into and out of blocks
 * that live as long as the socket. Sending may block for a moment when the
 * kernel's buffer is full: a generator that lost its own packets would measure
 * itself.
 */
#include "wire.h"

#include "base/alloc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define SOCKET_BUFFER (4 << 20)

struct half {
	struct mmsghdr msgs[WIRE_BATCH];
	struct iovec iov[WIRE_BATCH];
	struct sockaddr_in peers[WIRE_BATCH];
	char bytes[WIRE_BATCH][WIRE_DATAGRAM];
};

struct wire {
	int fd;
	uint16_t port;
	unsigned queued;
	struct half in, out;
};

int wire_addr(const char *text, struct sockaddr_in *out)
{
	struct pb_str s = pb_str_z(text);
	ptrdiff_t colon = pb_str_chr(s, ':');
	char host[INET_ADDRSTRLEN] = "";
	uint32_t port;

	if (colon < 0 || colon >= INET_ADDRSTRLEN)
		return -EINVAL;
	memcpy(host, text, (size_t)colon);
	*out = (struct sockaddr_in){ .sin_family = AF_INET };
	if (inet_pton(AF_INET, host, &out->sin_addr) != 1 ||
	    pb_str_to_u32(pb_str_from(s, (size_t)colon + 1), 0, 65535, &port))
		return -EINVAL;
	out->sin_port = htons((uint16_t)port);
	return ntohl(out->sin_addr.s_addr) >> 24 == 127 ? 0 : -EINVAL;
}

static void half_init(struct half *h)
{
	for (unsigned i = 0; i < WIRE_BATCH; i++) {
		h->iov[i] = (struct iovec){ h->bytes[i], WIRE_DATAGRAM };
		h->msgs[i].msg_hdr = (struct msghdr){
			.msg_name = &h->peers[i],
			.msg_namelen = sizeof(h->peers[i]),
			.msg_iov = &h->iov[i],
			.msg_iovlen = 1,
		};
	}
}

static void ask_buffer(int fd, int forced, int plain)
{
	int bytes = SOCKET_BUFFER;

	if (setsockopt(fd, SOL_SOCKET, forced, &bytes, sizeof(bytes)))
		setsockopt(fd, SOL_SOCKET, plain, &bytes, sizeof(bytes));
}

int wire_new(const struct sockaddr_in *local, struct wire **out)
{
	struct wire *w = pb_alloc_zero(1, sizeof(*w));
	struct sockaddr_in bound = *local;
	socklen_t n = sizeof(bound);
	int err;

	*out = NULL;
	if (!w)
		return -ENOMEM;
	half_init(&w->in);
	half_init(&w->out);
	w->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (w->fd < 0 || bind(w->fd, (struct sockaddr *)&bound, sizeof(bound)) ||
	    getsockname(w->fd, (struct sockaddr *)&bound, &n)) {
		err = -errno;
		wire_free(&w);
		return err;
	}
	ask_buffer(w->fd, SO_RCVBUFFORCE, SO_RCVBUF);
	ask_buffer(w->fd, SO_SNDBUFFORCE, SO_SNDBUF);
	w->port = ntohs(bound.sin_port);
	*out = w;
	return 0;
}

void wire_free(struct wire **wp)
{
	struct wire *w = *wp;

	*wp = NULL;
	if (w && w->fd >= 0)
		close(w->fd);
	pb_free(w);
}

int wire_fd(const struct wire *w)
{
	return w->fd;
}

uint16_t wire_port(const struct wire *w)
{
	return w->port;
}

char *wire_room(struct wire *w)
{
	if (w->queued == WIRE_BATCH)
		wire_flush(w);
	return w->out.bytes[w->queued];
}

void wire_queue(struct wire *w, size_t n, const struct sockaddr_in *to)
{
	w->out.iov[w->queued].iov_len = n;
	w->out.peers[w->queued] = *to;
	w->queued++;
}

void wire_flush(struct wire *w)
{
	unsigned done = 0;

	while (done < w->queued) {
		int n = sendmmsg(w->fd, w->out.msgs + done, w->queued - done, 0);

		/* A refused datagram (its peer is gone) is skipped, as if lost. */
		if (n < 0 && errno != EINTR)
			n = 1;
		done += n > 0 ? (unsigned)n : 0;
	}
	w->queued = 0;
}

unsigned wire_read(struct wire *w, bool wait, wire_fn fn, void *arg)
{
	int n = recvmmsg(w->fd, w->in.msgs, WIRE_BATCH, wait ? MSG_WAITFORONE : MSG_DONTWAIT, NULL);

	for (int i = 0; i < n; i++) {
		fn(arg, w, pb_str(w->in.bytes[i], w->in.msgs[i].msg_len), &w->in.peers[i]);
		w->in.msgs[i].msg_hdr.msg_namelen = sizeof(w->in.peers[i]);
	}
	return n > 0 ? (unsigned)n : 0;
}
