/* Datagrams through the kernel, in batches both ways: recvmmsg fills a block of
 * buffers a socket, sendmmsg empties at the end of the turn what was copied
 * into the socket's outgoing block. Neither side ever stops a socket: what ICMP
 * reports of one peer (as an error of the next call) concerns no other. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "loop/real.h"

/* One system call reads so many; and so often in a turn, that timers and the
 * mailbox get theirs. The rest stays in the kernel, which reports it again. */
#define RECV_BATCH   32
#define RECV_BATCHES 4

/* A turn's output beyond either goes out at once. */
#define SEND_BATCH 64
#define SEND_BYTES (128 * 1024)

struct real_udp {
	struct pb_udp base; /* first */
	struct pb_fd fd;
	bool receiving; /* within recv_all: who closes leaves freeing to it */

	struct mmsghdr in[RECV_BATCH];
	struct iovec in_bytes[RECV_BATCH];
	struct pb_addr in_from[RECV_BATCH];
	char *in_block;

	struct pb_list sending; /* on pbi_real.sending while there is output */
	struct mmsghdr out[SEND_BATCH];
	struct iovec out_bytes[SEND_BATCH];
	struct pb_addr out_to[SEND_BATCH];
	unsigned out_count;
	size_t out_used;
	char *out_block;
};

static struct real_udp *real(struct pb_udp *u)
{
	return (struct real_udp *)u;
}

/* ---- In ---------------------------------------------------------------------- */

static void hand_out(struct real_udp *u, unsigned i)
{
	struct msghdr *h = &u->in[i].msg_hdr;
	struct pb_datagram d = {
		.bytes = { u->in_bytes[i].iov_base, u->in[i].msg_len },
		.from = u->in_from[i],
		.truncated = h->msg_flags & MSG_TRUNC,
	};

	h->msg_namelen = sizeof(u->in_from[i]); /* recvmmsg has changed it */
	u->base.stats.received++;
	u->base.args.fn(u->base.args.arg, &d);
}

static void free_udp(struct real_udp *u)
{
	pb_free(u->in_block);
	pb_free(u->out_block);
	pb_free(u);
}

static bool is_closed(const struct real_udp *u)
{
	return u->fd.fd < 0;
}

static void recv_all(void *arg, unsigned events)
{
	struct real_udp *u = arg;
	int got = RECV_BATCH;

	u->receiving = true;
	for (int b = 0; b < RECV_BATCHES && got == RECV_BATCH && !is_closed(u); b++) {
		/* Also an error (from ICMP) is taken off the socket by this. */
		got = recvmmsg(u->fd.fd, u->in, RECV_BATCH, MSG_DONTWAIT, NULL);
		for (int i = 0; i < got && !is_closed(u); i++)
			hand_out(u, (unsigned)i);
	}
	u->receiving = false;
	if (is_closed(u))
		free_udp(u);
}

/* ---- Out ---------------------------------------------------------------------- */

/** An error that concerns an earlier datagram, reported on this call. */
static bool is_foreign(int err)
{
	return err == ECONNREFUSED || err == EHOSTUNREACH || err == ENETUNREACH ||
	       err == EHOSTDOWN || err == ENETDOWN || err == EPROTO || err == ENOPROTOOPT ||
	       err == EINTR;
}

/** Send the queued ones from `at` on. @return how many are dealt with. */
static unsigned send_some(struct real_udp *u, unsigned at)
{
	int sent = -1;

	for (int tries = 0; tries < 2 && sent < 0; tries++) {
		sent = sendmmsg(u->fd.fd, u->out + at, u->out_count - at, MSG_DONTWAIT);
		if (sent < 0 && !is_foreign(errno))
			break;
	}
	if (sent > 0) {
		u->base.stats.sent += (unsigned)sent;
		return (unsigned)sent;
	}
	u->base.stats.refused++;
	return 1;
}

static void flush_one(struct real_udp *u)
{
	for (unsigned at = 0; at < u->out_count;)
		at += send_some(u, at);
	u->out_count = 0;
	u->out_used = 0;
	pb_list_remove(&u->sending);
}

void pbi_real_udp_flush(struct pb_loop *l)
{
	struct pb_list *sending = &pbi_real(l)->sending;

	while (!pb_list_empty(sending))
		flush_one(pb_container(sending->next, struct real_udp, sending));
}

void pbi_real_udp_send(struct pb_udp *base, const struct pb_addr *to, struct pb_str bytes)
{
	struct real_udp *u = real(base);
	unsigned i;

	if (bytes.n > SEND_BYTES) {
		base->stats.refused++;
		return;
	}
	if (u->out_count == SEND_BATCH || SEND_BYTES - u->out_used < bytes.n)
		flush_one(u);
	i = u->out_count++;
	if (bytes.n)
		memcpy(u->out_block + u->out_used, bytes.p, bytes.n);
	u->out_bytes[i] = (struct iovec){ u->out_block + u->out_used, bytes.n };
	u->out_to[i] = *to;
	u->out[i].msg_hdr.msg_namelen = pb_addr_len(to);
	u->out_used += bytes.n;
	if (!pb_list_linked(&u->sending))
		pb_list_push(&pbi_real(base->loop)->sending, &u->sending);
}

/* ---- Open, close ----------------------------------------------------------------- */

static int set_int(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int bind_and_ask(int fd, const struct pb_addr *local, struct pb_addr *bound)
{
	socklen_t n = sizeof(*bound);

	if (bind(fd, &local->sa, pb_addr_len(local)) < 0)
		return -errno;
	return getsockname(fd, &bound->sa, &n) < 0 ? -errno : 0;
}

static int open_socket(const struct pb_addr *local)
{
	int fd = socket(local->sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? -errno : fd;
}

static int set_options(int fd, const struct pb_udp_args *args)
{
	int err = 0;

	if (args->share)
		err = set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (!err && pb_addr_is_v6(&args->local))
		err = set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, args->v6_only);
	if (!err && args->tos && pb_addr_is_v6(&args->local))
		err = set_int(fd, IPPROTO_IPV6, IPV6_TCLASS, args->tos);
	else if (!err && args->tos)
		err = set_int(fd, IPPROTO_IP, IP_TOS, args->tos);
	if (!err && args->broadcast)
		err = set_int(fd, SOL_SOCKET, SO_BROADCAST, 1);
	if (!err && args->buffer_bytes) /* the kernel may give less */
		err = set_int(fd, SOL_SOCKET, SO_RCVBUF, (int)args->buffer_bytes);
	return err;
}

/** Lay out the blocks once; a turn only changes lengths. */
static int make_blocks(struct real_udp *u)
{
	size_t max = u->base.args.max_bytes;
	/* Beginnings on different cache sets, also when `max` is a power of two. */
	size_t stride = (max + 63) / 64 * 64 + 576;

	u->in_block = pb_alloc(RECV_BATCH * stride);
	u->out_block = pb_alloc(SEND_BYTES);
	if (!u->in_block || !u->out_block)
		return -ENOMEM;
	for (unsigned i = 0; i < RECV_BATCH; i++) {
		u->in_bytes[i] = (struct iovec){ u->in_block + i * stride, max };
		u->in[i].msg_hdr = (struct msghdr){ .msg_name = &u->in_from[i],
						    .msg_namelen = sizeof(u->in_from[i]),
						    .msg_iov = &u->in_bytes[i],
						    .msg_iovlen = 1 };
	}
	for (unsigned i = 0; i < SEND_BATCH; i++)
		u->out[i].msg_hdr = (struct msghdr){ .msg_name = &u->out_to[i],
						     .msg_iov = &u->out_bytes[i],
						     .msg_iovlen = 1 };
	return 0;
}

static int open_udp(struct real_udp *u)
{
	int err = make_blocks(u);

	if (err < 0)
		return err;
	u->fd.fd = open_socket(&u->base.args.local);
	if (u->fd.fd < 0)
		return u->fd.fd;
	err = set_options(u->fd.fd, &u->base.args);
	if (!err)
		err = bind_and_ask(u->fd.fd, &u->base.args.local, &u->base.local);
	return err < 0 ? err : pb_fd_start(u->base.loop, &u->fd, PB_FD_READ);
}

int pbi_real_udp_open(struct pb_loop *l, const struct pb_udp_args *args, struct pb_udp **out)
{
	struct real_udp *u = pb_alloc_zero(1, sizeof(*u));
	int err;

	if (!u)
		return -ENOMEM;
	u->base.loop = l;
	u->base.args = *args;
	u->fd = (struct pb_fd){ .fd = -1, .fn = recv_all, .arg = u };
	err = open_udp(u);
	if (err < 0) {
		pbi_real_udp_close(&u->base);
		return err;
	}
	*out = &u->base;
	return 0;
}

void pbi_real_udp_close(struct pb_udp *base)
{
	struct real_udp *u = real(base);

	if (u->out_count)
		flush_one(u);
	pb_fd_stop(&u->fd);
	pbi_real_close(u->fd.fd);
	u->fd.fd = -1;
	if (!u->receiving)
		free_udp(u);
}

int pbi_real_udp_probe(struct pb_world *w, const struct pb_addr *local)
{
	struct pb_addr bound;
	int fd = open_socket(local);
	int err = 0;

	if (fd < 0)
		return fd;
	/* The IPv4 half of a dual-stack socket is probed as IPv4, if at all: our
	 * own listener on 0.0.0.0 must not make [::] look taken. */
	if (pb_addr_is_v6(local))
		err = set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (!err)
		err = bind_and_ask(fd, local, &bound);
	pbi_real_close(fd);
	return err;
}

/* ---- Source addresses --------------------------------------------------------------- */

/** Connecting sends nothing; it makes the kernel choose route and source. */
static int ask_source(const struct pb_addr *to, struct pb_addr *out)
{
	struct pb_addr reachable = *to;
	socklen_t n = sizeof(*out);
	int fd = open_socket(to);
	int err = 0;

	if (fd < 0)
		return fd;
	if (!pb_addr_port(to))
		pb_addr_set_port(&reachable, 9); /* any will do, 0 is refused */
	if (connect(fd, &reachable.sa, pb_addr_len(to)) < 0 || getsockname(fd, &out->sa, &n) < 0)
		err = -errno;
	pbi_real_close(fd);
	pb_addr_set_port(out, 0);
	return err;
}

int pbi_real_udp_source(struct pb_loop *l, const struct pb_addr *to, struct pb_addr *out)
{
	struct pb_addr key = *to;
	struct pbi_source *s;
	int err;

	pb_addr_set_port(&key, 0);
	s = &pbi_real(l)->sources[pb_addr_hash(&key) % PBI_REAL_SOURCES];
	if (s->until_ms <= l->now_ms || !pb_addr_eq_ip(&s->to, &key)) {
		s->until_ms = 0;
		err = ask_source(&key, &s->from);
		if (err < 0)
			return err;
		s->to = key;
		s->until_ms = l->now_ms + PBI_REAL_SOURCE_MS;
	}
	*out = s->from;
	return 0;
}
