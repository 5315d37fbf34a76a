/* Name servers of the real world, asked by c-ares: it makes and reads messages,
 * resends, changes over to TCP, and takes the next server. Its sockets are the
 * loop's descriptors and its timeout is a loop timer.
 *
 * Only ares_query is used, which needs neither files nor the system's resolver;
 * /etc/resolv.conf is read by ares_init_options, before the loop runs. c-ares
 * of Debian 12 does not tell the TTL of SRV records nor of negative answers:
 * those are read here. */
#include "loop/dns_impl.h"

#include <ares.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>

#include "base/alloc.h"

#define TRIES 2

struct cares {
	struct pb_dns *dns;
	ares_channel channel;
	struct pb_timer timer;
	struct pb_list sockets;
	bool closing; /* its last calls are to be ignored */
};

struct sock {
	struct pb_list node; /* on cares.sockets */
	struct cares *cares;
	struct pb_fd fd;
};

/* ---- Sockets and time ---------------------------------------------------- */

/** c-ares has been called: it may want to be woken at another time now. */
static void arm(struct cares *c)
{
	struct timeval tv, *left = ares_timeout(c->channel, NULL, &tv);

	if (left)
		pb_timer_start(c->dns->loop, &c->timer,
			       (uint64_t)left->tv_sec * 1000 + (uint64_t)left->tv_usec / 1000 + 1);
	else
		pb_timer_stop(&c->timer);
}

static void on_timer(void *arg)
{
	struct cares *c = arg;

	ares_process_fd(c->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	arm(c);
}

static void on_ready(void *arg, unsigned events)
{
	struct sock *s = arg;
	struct cares *c = s->cares; /* `s` may go meanwhile */
	int fd = s->fd.fd;

	ares_process_fd(c->channel, events & (PB_FD_READ | PB_FD_ERROR) ? fd : ARES_SOCKET_BAD,
			events & PB_FD_WRITE ? fd : ARES_SOCKET_BAD);
	arm(c);
}

static struct sock *find_sock(struct cares *c, int fd)
{
	pb_list_each (it, &c->sockets) {
		struct sock *s = pb_container(it, struct sock, node);

		if (s->fd.fd == fd)
			return s;
	}
	return NULL;
}

static struct sock *sock_new(struct cares *c, int fd)
{
	struct sock *s = pb_alloc_zero(1, sizeof(*s));

	if (!s)
		return NULL; /* the question will time out */
	s->cares = c;
	s->fd = (struct pb_fd){ .fd = fd, .fn = on_ready, .arg = s };
	pb_list_push(&c->sockets, &s->node);
	return s;
}

/** What c-ares wants of a socket; neither: it is about to close it. */
static void on_socket(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct cares *c = arg;
	struct sock *s = find_sock(c, fd);

	if (!readable && !writable) {
		if (!s)
			return;
		pb_fd_stop(&s->fd);
		pb_list_remove(&s->node);
		pb_free(s);
		return;
	}
	if (!s)
		s = sock_new(c, fd);
	if (s)
		pb_fd_start(c->dns->loop, &s->fd,
			    (readable ? PB_FD_READ : 0) | (writable ? PB_FD_WRITE : 0));
}

/* ---- TTL ----------------------------------------------------------------- */

static uint32_t get32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static unsigned get16(const unsigned char *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

/** Behind the name at `at` (RFC 1035 section 4.1.4); 0: it is cut off. */
static size_t skip_name(struct pb_str m, size_t at)
{
	while (at < m.n) {
		unsigned n = (unsigned char)m.p[at];

		if (n >= 0xc0)
			return at + 2 <= m.n ? at + 2 : 0;
		at += n + 1;
		if (n == 0)
			return at;
	}
	return 0;
}

struct record {
	unsigned type;
	uint32_t ttl_s;
	const unsigned char *data;
	size_t size;
};

/** The record at `*at`, and go behind it (RFC 1035 section 4.1.3). */
static bool next_record(struct pb_str m, size_t *at, struct record *r)
{
	const unsigned char *p = (const unsigned char *)m.p;
	size_t i = skip_name(m, *at);

	if (!i || m.n - i < 10)
		return false;
	r->type = get16(p + i);
	r->ttl_s = get32(p + i + 4);
	r->size = get16(p + i + 8);
	r->data = p + i + 10;
	*at = i + 10 + r->size;
	return *at <= m.n;
}

int64_t pbi_dns_ttl(struct pb_str m)
{
	const unsigned char *p = (const unsigned char *)m.p;
	size_t at = 12;
	int64_t ttl = -ENOENT;
	struct record r;
	unsigned answers, others;

	if (m.n < 12)
		return -ENOENT;
	for (unsigned i = get16(p + 4); i > 0; i--) {
		at = skip_name(m, at) + 4;
		if (at == 4 || at > m.n)
			return -ENOENT;
	}
	answers = get16(p + 6);
	others = answers ? 0 : get16(p + 8);
	for (; answers > 0 && next_record(m, &at, &r); answers--)
		ttl = ttl < 0 || r.ttl_s < ttl ? r.ttl_s : ttl;
	for (; others > 0 && next_record(m, &at, &r); others--) {
		if (r.type == 6 && r.size >= 20) { /* SOA ends in MINIMUM */
			uint32_t minimum = get32(r.data + r.size - 4);

			ttl = minimum < r.ttl_s ? minimum : r.ttl_s;
		}
	}
	return ttl;
}

/* ---- Answers ------------------------------------------------------------- */

static int error_of(int status)
{
	switch (status) {
	case ARES_SUCCESS:
		return 0;
	case ARES_ENODATA:
	case ARES_ENOTFOUND:
		return -ENOENT;
	case ARES_ETIMEOUT:
		return -ETIMEDOUT;
	case ARES_ENOMEM:
		return -ENOMEM;
	default:
		return -EAGAIN;
	}
}

static size_t read_v4(const unsigned char *p, int n, struct pbi_dns_record *out)
{
	struct ares_addrttl found[PBI_DNS_RECORDS_MAX];
	int count = PBI_DNS_RECORDS_MAX;

	if (ares_parse_a_reply(p, n, NULL, found, &count) != ARES_SUCCESS)
		return 0;
	for (int i = 0; i < count; i++) {
		out[i].addr.in.sin_family = AF_INET;
		out[i].addr.in.sin_addr = found[i].ipaddr;
	}
	return (size_t)count;
}

static size_t read_v6(const unsigned char *p, int n, struct pbi_dns_record *out)
{
	struct ares_addr6ttl found[PBI_DNS_RECORDS_MAX];
	int count = PBI_DNS_RECORDS_MAX;

	if (ares_parse_aaaa_reply(p, n, NULL, found, &count) != ARES_SUCCESS)
		return 0;
	for (int i = 0; i < count; i++) {
		out[i].addr.in6.sin6_family = AF_INET6;
		memcpy(&out[i].addr.in6.sin6_addr, &found[i].ip6addr, sizeof(found[i].ip6addr));
	}
	return (size_t)count;
}

static size_t read_srv(struct ares_srv_reply *list, struct pbi_dns_record *out)
{
	size_t n = 0;

	for (struct ares_srv_reply *r = list; r && n < PBI_DNS_RECORDS_MAX; r = r->next)
		out[n++] = (struct pbi_dns_record){ .priority = r->priority,
						    .weight = r->weight,
						    .port = r->port,
						    .target = pb_str_z(r->host) };
	return n;
}

static void answered(void *arg, int status, int timeouts, unsigned char *p, int n)
{
	struct pbi_dns_entry *e = arg;
	struct cares *c = e->dns->side;
	struct pbi_dns_record records[PBI_DNS_RECORDS_MAX] = { 0 };
	struct pbi_dns_answer a = { .err = error_of(status), .records = records };
	struct ares_srv_reply *list = NULL;
	int64_t ttl = p ? pbi_dns_ttl(pb_str((const char *)p, (size_t)n)) : -ENOENT;

	if (c->closing)
		return;
	if (!a.err && e->type == PBI_DNS_A)
		a.count = read_v4(p, n, records);
	else if (!a.err && e->type == PBI_DNS_AAAA)
		a.count = read_v6(p, n, records);
	else if (!a.err && ares_parse_srv_reply(p, n, &list) == ARES_SUCCESS)
		a.count = read_srv(list, records);
	if (!a.count && !a.err)
		a.err = -ENOENT;
	a.ttl_s = ttl >= 0 ? (uint32_t)ttl : PBI_DNS_NEGATIVE_S;
	pbi_dns_answered(e, &a);
	if (list)
		ares_free_data(list);
}

int pbi_cares_ask(struct pb_dns *d, struct pbi_dns_entry *e)
{
	struct cares *c = d->side;

	ares_query(c->channel, e->text, ns_c_in, (int)e->type, answered, e);
	arm(c);
	return 0;
}

/* ---- Open, close --------------------------------------------------------- */

static int library_status;

static void library_init(void)
{
	library_status = ares_library_init_mem(ARES_LIB_INIT_ALL, pb_alloc, pb_free, pb_alloc_grow);
}

static int init_channel(struct cares *c)
{
	struct ares_options o = {
		.flags = ARES_FLAG_NOALIASES,
		.timeout = (int)pbi_dns_try_ms(c->dns),
		.tries = TRIES,
		.sock_state_cb = on_socket,
		.sock_state_cb_data = c,
	};
	const char *servers = c->dns->common->servers;
	int status = ares_init_options(&c->channel, &o,
				       ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
					       ARES_OPT_SOCK_STATE_CB);

	if (status != ARES_SUCCESS) {
		c->channel = NULL;
		return status == ARES_ENOMEM ? -ENOMEM : -EIO;
	}
	if (servers[0] && ares_set_servers_ports_csv(c->channel, servers) != ARES_SUCCESS)
		return -EINVAL;
	return 0;
}

int pbi_cares_open(struct pb_dns *d)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct cares *c = pb_alloc_zero(1, sizeof(*c));

	d->side = c;
	if (!c)
		return -ENOMEM;
	c->dns = d;
	pb_list_init(&c->sockets);
	pb_timer_init(&c->timer, on_timer, c);
	pthread_once(&once, library_init);
	return library_status == ARES_SUCCESS ? init_channel(c) : -ENOMEM;
}

void pbi_cares_close(struct pb_dns *d)
{
	struct cares *c = d->side;

	if (!c)
		return;
	c->closing = true;
	if (c->channel)
		ares_destroy(c->channel); /* closes its sockets through on_socket */
	pb_timer_stop(&c->timer);
	pb_free(c);
	d->side = NULL;
}
