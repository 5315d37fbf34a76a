/*
 * rtnetlink, read with bounds: a datagram is messages, a message is a header, a
 * fixed part and attributes; nothing is looked at that is not inside all three.
 *
 * All that is there is asked for in two dumps, links and then addresses, one
 * after the other because the kernel gives one at a time. Each entry notes in
 * which round it was last heard of; when a dump ends, those of older rounds are
 * gone. Rounds begin at the start, and whenever something may have been missed.
 */
#include "loop/netwatch.h"

#include <errno.h>
#include <linux/if.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "loop/world_ops.h"

enum {
	DATAGRAM_MAX = 32768,	 /* the kernel makes no longer ones for a dump */
	BUFFER_BYTES = 256 << 10, /* of the socket: some hundred changes at once */
	BATCH = 16,		 /* datagrams of one turn */
	AGAIN_MS = 200,		 /* a flood of changes brings this many rounds, not more */
};

struct link {
	unsigned index, round;
	bool up, loopback;
};

struct local {
	struct pb_addr addr;
	unsigned link, round;
	uint8_t prefix; /* bits */
};

enum phase { RESTING, LINKS, ADDRS };

struct pb_netwatch {
	struct pb_netwatch_args args;
	struct pb_fd fd; /* -1: none in this world */
	struct pb_timer again;
	enum phase phase;
	uint32_t seq; /* of the last question */
	unsigned round;
	bool torn; /* the dump under way is not to be trusted */
	struct link links[PB_NET_LINKS_MAX];
	size_t link_n;
	struct local locals[PB_NET_ADDRS_MAX];
	size_t local_n;
	char buffer[DATAGRAM_MAX];
};

/* ---- What is known --------------------------------------------------------- */

static void tell(struct pb_netwatch *w, enum pb_net_event what, unsigned link, const struct pb_addr *addr)
{
	struct pb_net_change c = { .what = what, .link = link };

	if (addr)
		c.addr = *addr;
	w->args.fn(w->args.arg, &c);
}

static struct link *link_find(const struct pb_netwatch *w, unsigned index)
{
	for (size_t i = 0; i < w->link_n; i++)
		if (w->links[i].index == index)
			return (struct link *)&w->links[i];
	return NULL;
}

static void link_set(struct pb_netwatch *w, unsigned index, unsigned flags)
{
	bool up = (flags & IFF_UP) && (flags & IFF_RUNNING), was;
	struct link *l = link_find(w, index);

	if (!l && w->link_n == PB_NET_LINKS_MAX)
		return;
	if (!l) {
		l = &w->links[w->link_n++];
		*l = (struct link){ .index = index };
	}
	was = l->up;
	l->up = up;
	l->loopback = flags & IFF_LOOPBACK;
	l->round = w->round;
	if (was != up)
		tell(w, up ? PB_NET_LINK_UP : PB_NET_LINK_DOWN, index, NULL);
}

static void link_remove(struct pb_netwatch *w, struct link *l)
{
	struct link gone = *l;

	*l = w->links[--w->link_n];
	if (gone.up)
		tell(w, PB_NET_LINK_DOWN, gone.index, NULL);
}

static struct local *local_find(const struct pb_netwatch *w, const struct pb_addr *a, unsigned link)
{
	for (size_t i = 0; i < w->local_n; i++)
		if (w->locals[i].link == link && pb_addr_eq_ip(&w->locals[i].addr, a))
			return (struct local *)&w->locals[i];
	return NULL;
}

static void local_set(struct pb_netwatch *w, const struct pb_addr *a, unsigned link, uint8_t prefix)
{
	struct local *l = local_find(w, a, link);

	if (l) {
		l->round = w->round;
		l->prefix = prefix;
	} else if (w->local_n < PB_NET_ADDRS_MAX) {
		w->locals[w->local_n++] =
			(struct local){ .addr = *a, .link = link, .round = w->round, .prefix = prefix };
		tell(w, PB_NET_ADDR_ADDED, link, a);
	}
}

static void local_remove(struct pb_netwatch *w, struct local *l)
{
	struct local gone = *l;

	*l = w->locals[--w->local_n];
	tell(w, PB_NET_ADDR_REMOVED, gone.link, &gone.addr);
}

/** What the round that ends has not heard of is gone. */
static void sweep_links(struct pb_netwatch *w)
{
	for (size_t i = 0; i < w->link_n;) {
		if (w->links[i].round != w->round)
			link_remove(w, &w->links[i]);
		else
			i++;
	}
}

static void sweep_locals(struct pb_netwatch *w)
{
	for (size_t i = 0; i < w->local_n;) {
		if (w->locals[i].round != w->round)
			local_remove(w, &w->locals[i]);
		else
			i++;
	}
}

static bool same_net(const struct pb_addr *a, const struct pb_addr *b, uint8_t prefix)
{
	uint32_t mask;

	if (pb_addr_is_v6(a) || pb_addr_is_v6(b))
		return false;
	mask = prefix ? UINT32_MAX << (32 - prefix) : 0;
	return !((ntohl(a->in.sin_addr.s_addr) ^ ntohl(b->in.sin_addr.s_addr)) & mask);
}

enum pb_net_state pb_netwatch_look(const struct pb_netwatch *w, const struct pb_addr *a)
{
	enum pb_net_state found = PB_NET_ABSENT;

	for (size_t i = 0; i < w->local_n; i++) {
		const struct local *l = &w->locals[i];
		const struct link *on = link_find(w, l->link);

		if (!pb_addr_eq_ip(&l->addr, a) && !(on && on->loopback && same_net(&l->addr, a, l->prefix)))
			continue;
		if (on && on->up)
			return PB_NET_SERVES;
		found = PB_NET_IDLE;
	}
	return found;
}

/* ---- Asking ---------------------------------------------------------------- */

static void ask(struct pb_netwatch *w, enum phase phase)
{
	struct {
		struct nlmsghdr h;
		struct rtgenmsg g;
	} q = { .h = { .nlmsg_len = NLMSG_LENGTH(sizeof(q.g)),
		       .nlmsg_type = phase == LINKS ? RTM_GETLINK : RTM_GETADDR,
		       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
		       .nlmsg_seq = ++w->seq } };

	w->phase = phase;
	if (w->fd.fd >= 0 && send(w->fd.fd, &q, q.h.nlmsg_len, MSG_DONTWAIT) < 0)
		pb_timer_start(w->args.loop, &w->again, AGAIN_MS);
}

void pb_netwatch_again(struct pb_netwatch *w)
{
	w->round++;
	w->torn = false;
	ask(w, LINKS);
}

static void on_again(void *arg)
{
	pb_netwatch_again(arg);
}

/** A dump is over; `good`: to its end. */
static void dump_over(struct pb_netwatch *w, bool good)
{
	if (!good || w->torn) {
		w->phase = RESTING;
		pb_timer_start(w->args.loop, &w->again, AGAIN_MS);
	} else if (w->phase == LINKS) {
		sweep_links(w);
		ask(w, ADDRS);
	} else {
		sweep_locals(w);
		w->phase = RESTING;
		tell(w, PB_NET_READY, 0, NULL);
	}
}

/* ---- Reading --------------------------------------------------------------- */

/** The first attribute of that type in `rest`; absent when there is none, or it is cut off. */
static struct pb_str attribute(struct pb_str rest, unsigned type)
{
	struct rtattr a;

	while (rest.n >= sizeof(a)) {
		memcpy(&a, rest.p, sizeof(a));
		if (a.rta_len < sizeof(a) || a.rta_len > rest.n)
			break;
		if ((a.rta_type & NLA_TYPE_MASK) == type)
			return pb_str(rest.p + RTA_LENGTH(0), a.rta_len - RTA_LENGTH(0));
		if (RTA_ALIGN(a.rta_len) >= rest.n)
			break;
		rest = pb_str_from(rest, RTA_ALIGN(a.rta_len));
	}
	return PB_STR_NULL;
}

static int take_link(struct pb_netwatch *w, unsigned type, struct pb_str body)
{
	struct ifinfomsg i;
	struct link *l;

	if (body.n < sizeof(i))
		return -EBADMSG;
	memcpy(&i, body.p, sizeof(i));
	if (i.ifi_family != AF_UNSPEC || i.ifi_index <= 0) /* a bridge speaks of its ports */
		return 0;
	if (type == RTM_NEWLINK) {
		link_set(w, (unsigned)i.ifi_index, i.ifi_flags);
		return 0;
	}
	l = link_find(w, (unsigned)i.ifi_index);
	if (l)
		link_remove(w, l);
	return 0;
}

static bool read_addr(const struct ifaddrmsg *i, struct pb_str value, struct pb_addr *out)
{
	memset(out, 0, sizeof(*out));
	if (i->ifa_family == AF_INET && value.n == sizeof(out->in.sin_addr)) {
		out->in.sin_family = AF_INET;
		memcpy(&out->in.sin_addr, value.p, value.n);
		return i->ifa_prefixlen <= 32;
	}
	if (i->ifa_family == AF_INET6 && value.n == sizeof(out->in6.sin6_addr)) {
		out->in6.sin6_family = AF_INET6;
		memcpy(&out->in6.sin6_addr, value.p, value.n);
		if (IN6_IS_ADDR_LINKLOCAL(&out->in6.sin6_addr))
			out->in6.sin6_scope_id = i->ifa_index;
		return i->ifa_prefixlen <= 128;
	}
	return false;
}

static int take_addr(struct pb_netwatch *w, unsigned type, struct pb_str body)
{
	struct ifaddrmsg i;
	struct pb_str rest, value;
	struct pb_addr a;
	struct local *l;

	if (body.n < sizeof(i))
		return -EBADMSG;
	memcpy(&i, body.p, sizeof(i));
	if (i.ifa_family != AF_INET && i.ifa_family != AF_INET6)
		return 0;
	rest = pb_str_from(body, NLMSG_ALIGN(sizeof(i)) < body.n ? NLMSG_ALIGN(sizeof(i)) : body.n);
	value = attribute(rest, IFA_LOCAL); /* of a point-to-point link IFA_ADDRESS is the other end */
	if (!value.p)
		value = attribute(rest, IFA_ADDRESS);
	if (!read_addr(&i, value, &a))
		return 0;
	/* Until it is known to be nobody else's it cannot be used; it is told again then. */
	if (type == RTM_NEWADDR && !(i.ifa_flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED))) {
		local_set(w, &a, i.ifa_index, i.ifa_prefixlen);
		return 0;
	}
	l = local_find(w, &a, i.ifa_index);
	if (l)
		local_remove(w, l);
	return 0;
}

static int take(struct pb_netwatch *w, const struct nlmsghdr *h, struct pb_str body)
{
	bool ours = w->phase != RESTING && h->nlmsg_seq == w->seq;

	if (ours && (h->nlmsg_flags & NLM_F_DUMP_INTR))
		w->torn = true;
	switch (h->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		return take_link(w, h->nlmsg_type, body);
	case RTM_NEWADDR:
	case RTM_DELADDR:
		return take_addr(w, h->nlmsg_type, body);
	case NLMSG_DONE:
	case NLMSG_ERROR:
		if (ours)
			dump_over(w, h->nlmsg_type == NLMSG_DONE);
		return 0;
	default:
		return 0;
	}
}

int pb_netwatch_feed(struct pb_netwatch *w, struct pb_str bytes)
{
	struct nlmsghdr h;
	int err;

	while (bytes.n) {
		if (bytes.n < sizeof(h))
			return -EBADMSG;
		memcpy(&h, bytes.p, sizeof(h));
		if (h.nlmsg_len < sizeof(h) || h.nlmsg_len > bytes.n)
			return -EBADMSG;
		err = take(w, &h, pb_str(bytes.p + sizeof(h), h.nlmsg_len - sizeof(h)));
		if (err)
			return err;
		if (NLMSG_ALIGN(h.nlmsg_len) >= bytes.n)
			break;
		bytes = pb_str_from(bytes, NLMSG_ALIGN(h.nlmsg_len));
	}
	return 0;
}

/* ---- The socket ------------------------------------------------------------ */

/** One datagram. @return whether to look for another. */
static bool receive(struct pb_netwatch *w)
{
	struct sockaddr_nl from = { 0 };
	struct iovec v = { w->buffer, sizeof(w->buffer) };
	struct msghdr m = { .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &v, .msg_iovlen = 1 };
	ssize_t n = recvmsg(w->fd.fd, &m, MSG_DONTWAIT);

	if (n < 0) {
		/* ENOBUFS: changes were lost. */
		if (errno == ENOBUFS)
			pb_timer_start(w->args.loop, &w->again, AGAIN_MS);
		return errno == EINTR;
	}
	if (from.nl_pid) /* not the kernel */
		return true;
	if ((m.msg_flags & MSG_TRUNC) || pb_netwatch_feed(w, pb_str(w->buffer, (size_t)n)))
		pb_timer_start(w->args.loop, &w->again, AGAIN_MS);
	return true;
}

static void on_ready(void *arg, unsigned events)
{
	(void)events;
	for (unsigned i = 0; i < BATCH && receive(arg); i++)
		;
}

static int open_socket(struct pb_netwatch *w)
{
	struct sockaddr_nl a = { .nl_family = AF_NETLINK,
				 .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR };
	int bytes = BUFFER_BYTES;

	if (!w->args.loop->world->ops->fd_start)
		return 0;
	w->fd.fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (w->fd.fd < 0)
		return -errno;
	setsockopt(w->fd.fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	if (bind(w->fd.fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return -errno;
	return pb_fd_start(w->args.loop, &w->fd, PB_FD_READ);
}

int pb_netwatch_new(const struct pb_netwatch_args *args, struct pb_netwatch **out)
{
	struct pb_netwatch *w = pb_alloc_zero(1, sizeof(*w));
	int err;

	*out = NULL;
	if (!w)
		return -ENOMEM;
	w->args = *args;
	w->fd = (struct pb_fd){ .fd = -1, .fn = on_ready, .arg = w };
	pb_timer_init(&w->again, on_again, w);
	err = open_socket(w);
	if (err) {
		pb_netwatch_free(&w);
		return err;
	}
	pb_netwatch_again(w);
	*out = w;
	return 0;
}

void pb_netwatch_free(struct pb_netwatch **wp)
{
	struct pb_netwatch *w = *wp;

	*wp = NULL;
	if (!w)
		return;
	pb_timer_stop(&w->again);
	pb_fd_stop(&w->fd);
	if (w->fd.fd >= 0)
		close(w->fd.fd);
	pb_free(w);
}
