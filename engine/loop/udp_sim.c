/* The simulated network. A packet's fate is drawn when it is sent: lost, or put
 * on a heap by its time of arrival, perhaps twice. Arriving, it looks for its
 * socket: by exact address, else a wildcard one on its port, of the engine whose
 * host address was meant. Of several that share an address one is chosen by
 * hashing the sender, as the kernel does. */
#include <arpa/inet.h>
#include <errno.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "loop/sim.h"

/* What an IPv4 datagram can carry. */
#define PACKET_MAX 65507
/* Of one inbox in one turn, as in the real world. */
#define INPUT_MAX  128
#define FIRST_PORT 40000

struct sim_udp {
	struct pb_udp base; /* first */
	struct pbi_sim_loop *side;
	struct pb_map_node found; /* in pbi_wire.sockets */
	struct pb_list node;      /* on pbi_sim_loop.sockets */
};

struct pbi_packet {
	struct pb_list node;    /* in an inbox */
	struct sim_udp *socket; /* then: whose */
	uint64_t due_us, number;
	struct pb_addr from, to;
	size_t n;
	char bytes[];
};

static void tell(struct pb_sim *s, const char *what, const struct pb_addr *from,
		 const struct pb_addr *to, struct pb_str bytes)
{
	if (s->wire.tap)
		s->wire.tap(s->wire.tap_arg, s->now_us, what, from, to, bytes);
}

/* ---- Under way: a heap by time of arrival ---------------------------------------------- */

static bool earlier(const struct pbi_packet *a, const struct pbi_packet *b)
{
	return a->due_us != b->due_us ? a->due_us < b->due_us : a->number < b->number;
}

static int heap_push(struct pbi_wire *w, struct pbi_packet *p)
{
	size_t i = w->count;

	if (w->count == w->size) {
		size_t size = w->size ? 2 * w->size : 64;
		void *heap = pb_alloc_grow(w->heap, size * sizeof(w->heap[0]));

		if (!heap)
			return -ENOMEM;
		w->heap = heap;
		w->size = size;
	}
	for (; i > 0 && earlier(p, w->heap[(i - 1) / 2]); i = (i - 1) / 2)
		w->heap[i] = w->heap[(i - 1) / 2];
	w->heap[i] = p;
	w->count++;
	return 0;
}

static struct pbi_packet *heap_pop(struct pbi_wire *w)
{
	struct pbi_packet *first = w->heap[0], *last = w->heap[--w->count];
	size_t i = 0, child;

	while ((child = 2 * i + 1) < w->count) {
		if (child + 1 < w->count && earlier(w->heap[child + 1], w->heap[child]))
			child++;
		if (!earlier(w->heap[child], last))
			break;
		w->heap[i] = w->heap[child];
		i = child;
	}
	if (w->count)
		w->heap[i] = last;
	return first;
}

uint64_t pbi_wire_next_us(const struct pbi_wire *w)
{
	return w->count ? w->heap[0]->due_us : UINT64_MAX;
}

void pbi_wire_init(struct pbi_wire *w, uint64_t seed)
{
	pbi_rng_init(&w->fate, seed, 1);
	w->next_port = FIRST_PORT;
}

void pbi_wire_fini(struct pbi_wire *w)
{
	while (w->count)
		pb_free(heap_pop(w));
	pb_free(w->heap);
	pb_map_fini(&w->sockets);
}

/* ---- Finding the socket ------------------------------------------------------------------ */

static struct sim_udp *of_node(struct pb_map_node *n)
{
	return n ? pb_container(n, struct sim_udp, found) : NULL;
}

/** 10.0.0.host or fd00::host. */
static void host_addr(unsigned host, bool v6, struct pb_addr *out)
{
	*out = (struct pb_addr){ 0 };
	if (!v6) {
		out->in.sin_family = AF_INET;
		out->in.sin_addr.s_addr = htonl(10u << 24 | host);
		return;
	}
	out->in6.sin6_family = AF_INET6;
	out->in6.sin6_addr.s6_addr[0] = 0xfd;
	out->in6.sin6_addr.s6_addr[14] = (uint8_t)(host >> 8);
	out->in6.sin6_addr.s6_addr[15] = (uint8_t)host;
}

/** Whose host address it is; 0: nobody's. */
static unsigned host_of(const struct pb_sim *s, const struct pb_addr *a)
{
	struct pb_addr own;
	unsigned host;

	if (pb_addr_is_v6(a))
		host = (unsigned)a->in6.sin6_addr.s6_addr[14] << 8 | a->in6.sin6_addr.s6_addr[15];
	else
		host = ntohl(a->in.sin_addr.s_addr) & 0xffffff;
	host_addr(host, pb_addr_is_v6(a), &own);
	return host <= s->hosts && pb_addr_eq_ip(a, &own) ? host : 0;
}

/** The n-th socket bound to `local` (of `host`, 0: of any); NULL: no more. */
static struct sim_udp *bound_at(struct pb_sim *s, const struct pb_addr *local, unsigned host,
				uint64_t n)
{
	struct pb_map_node *it = pb_map_first(&s->wire.sockets, pb_addr_hash(local));

	for (; it; it = pb_map_next(it)) {
		struct sim_udp *u = of_node(it);

		if (pb_addr_eq(&u->base.local, local) && (!host || u->side->host == host) &&
		    n-- == 0)
			return u;
	}
	return NULL;
}

static struct sim_udp *one_of_group(struct pb_sim *s, const struct pb_addr *local, unsigned host,
				    const struct pb_addr *from)
{
	uint64_t n = 0;

	while (bound_at(s, local, host, n))
		n++;
	return n ? bound_at(s, local, host, pb_addr_hash(from) % n) : NULL;
}

static struct sim_udp *find_socket(struct pb_sim *s, const struct pb_addr *to,
				   const struct pb_addr *from)
{
	struct sim_udp *u = one_of_group(s, to, 0, from);
	unsigned host = host_of(s, to);
	struct pb_addr any = { 0 };

	if (u)
		return u;
	any.sa.sa_family = to->sa.sa_family;
	pb_addr_set_port(&any, pb_addr_port(to));
	if (host)
		return one_of_group(s, &any, host, from);
	for (host = 1; host <= s->hosts && !u; host++)
		u = one_of_group(s, &any, host, from);
	return u;
}

/* ---- Arriving ---------------------------------------------------------------------------- */

static void arrive(struct pb_sim *s, struct pbi_packet *p)
{
	struct sim_udp *u = find_socket(s, &p->to, &p->from);

	tell(s, u ? "delivered" : "lost", &p->from, &p->to, pb_str(p->bytes, p->n));
	if (!u) {
		pb_free(p);
		return;
	}
	p->socket = u;
	pb_list_push(&u->side->inbox, &p->node);
	u->side->inbox_count++;
}

void pbi_wire_deliver(struct pb_sim *s)
{
	while (pbi_wire_next_us(&s->wire) <= s->now_us)
		arrive(s, heap_pop(&s->wire));
}

static void hand_out(struct pbi_packet *p)
{
	struct pb_udp *u = &p->socket->base;
	size_t max = u->args.max_bytes;
	struct pb_datagram d = {
		.bytes = pb_str_head(pb_str(p->bytes, p->n), max),
		.from = p->from,
		.truncated = p->n > max,
	};

	u->stats.received++;
	u->args.fn(u->args.arg, &d); /* `u` may be closed from here on */
	pb_free(p);
}

void pbi_sim_input(struct pb_loop *l)
{
	struct pbi_sim_loop *sl = pbi_sim_loop(l);
	size_t most = sl->inbox_count < INPUT_MAX ? sl->inbox_count : INPUT_MAX;
	size_t n = most ? 1 + pbi_rng_below(&sl->sim->order, most) : 0;
	struct pb_list *node;

	while (n-- > 0 && (node = pb_list_pop(&sl->inbox))) {
		sl->inbox_count--;
		hand_out(pb_container(node, struct pbi_packet, node));
	}
}

/* ---- Sending ------------------------------------------------------------------------------- */

/** Who `u` is to somebody at `to`. */
static struct pb_addr sender(const struct sim_udp *u, const struct pb_addr *to)
{
	struct pb_addr from = u->base.local;

	if (pb_addr_is_any(&from)) {
		pbi_sim_udp_source(u->base.loop, to, &from);
		pb_addr_set_port(&from, pb_addr_port(&u->base.local));
	}
	return from;
}

static bool happens(struct pbi_wire *w, unsigned permille)
{
	return pbi_rng_below(&w->fate, 1000) < permille;
}

static uint64_t draw_delay(struct pbi_wire *w)
{
	unsigned min = w->link.delay_min_us, max = w->link.delay_max_us;

	return max > min ? min + pbi_rng_below(&w->fate, (uint64_t)max - min + 1) : min;
}

static void put(struct pb_sim *s, const struct pb_addr *from, const struct pb_addr *to,
		struct pb_str bytes)
{
	struct pbi_packet *p = pb_alloc(sizeof(*p) + bytes.n);
	uint64_t due_us = s->now_us + draw_delay(&s->wire);

	if (!p) {
		tell(s, "lost", from, to, bytes);
		return;
	}
	*p = (struct pbi_packet){
		.due_us = due_us, .number = s->wire.number++, .from = *from, .to = *to, .n = bytes.n
	};
	if (bytes.n)
		memcpy(p->bytes, bytes.p, bytes.n);
	if (heap_push(&s->wire, p) < 0) {
		tell(s, "lost", from, to, bytes);
		pb_free(p);
	}
}

void pbi_sim_udp_send(struct pb_udp *u, const struct pb_addr *to, struct pb_str bytes)
{
	struct pb_sim *s = pbi_sim(u->loop->world);
	struct pb_addr from = sender((struct sim_udp *)u, to);

	if (bytes.n > PACKET_MAX || from.sa.sa_family != to->sa.sa_family) {
		u->stats.refused++;
		return;
	}
	u->stats.sent++;
	tell(s, "sent", &from, to, bytes);
	if (happens(&s->wire, s->wire.link.loss_permille)) {
		tell(s, "lost", &from, to, bytes);
		return;
	}
	put(s, &from, to, bytes);
	if (happens(&s->wire, s->wire.link.duplicate_permille)) {
		tell(s, "duplicated", &from, to, bytes);
		put(s, &from, to, bytes);
	}
}

int pbi_sim_udp_source(struct pb_loop *l, const struct pb_addr *to, struct pb_addr *out)
{
	if (pb_addr_is_loopback(to))
		return pb_addr_parse(pb_addr_is_v6(to) ? PB_STR("::1") : PB_STR("127.0.0.1"), 0,
				     out);
	host_addr(pbi_sim_loop(l)->host, pb_addr_is_v6(to), out);
	return 0;
}

/* ---- Open, close ------------------------------------------------------------------------------
 */

/** Whether `u` stands in the way of a socket of `host` (0: unknown) on `local`. */
static bool conflicts(const struct sim_udp *u, const struct pb_addr *local, unsigned host,
		      bool share)
{
	bool same_host = u->side->host == host;
	bool any = pb_addr_is_any(local) || pb_addr_is_any(&u->base.local);

	if (local->sa.sa_family != u->base.local.sa.sa_family ||
	    pb_addr_port(local) != pb_addr_port(&u->base.local) || (share && u->base.args.share))
		return false;
	return any ? same_host : pb_addr_eq_ip(local, &u->base.local);
}

static bool is_taken(struct pb_sim *s, const struct pb_addr *local, unsigned host, bool share)
{
	struct pb_map_node *n = NULL;

	while ((n = pb_map_each(&s->wire.sockets, n))) {
		if (conflicts(of_node(n), local, host, share))
			return true;
	}
	return false;
}

static void draw_port(struct pb_sim *s, struct sim_udp *u)
{
	do {
		if (s->wire.next_port < FIRST_PORT)
			s->wire.next_port = FIRST_PORT; /* past 65535 */
		pb_addr_set_port(&u->base.local, s->wire.next_port++);
	} while (is_taken(s, &u->base.local, u->side->host, false));
}

static int bind_udp(struct pb_sim *s, struct sim_udp *u)
{
	if (!pb_addr_port(&u->base.local))
		draw_port(s, u);
	else if (is_taken(s, &u->base.local, u->side->host, u->base.args.share))
		return -EADDRINUSE;
	return pb_map_add(&s->wire.sockets, &u->found, pb_addr_hash(&u->base.local));
}

int pbi_sim_udp_open(struct pb_loop *l, const struct pb_udp_args *args, struct pb_udp **out)
{
	struct sim_udp *u = pb_alloc_zero(1, sizeof(*u));
	int err;

	if (!u)
		return -ENOMEM;
	u->side = pbi_sim_loop(l);
	u->base.loop = l;
	u->base.args = *args;
	u->base.local = args->local;
	err = bind_udp(u->side->sim, u);
	if (err < 0) {
		pb_free(u);
		return err;
	}
	pb_list_push(&u->side->sockets, &u->node);
	*out = &u->base;
	return 0;
}

static void drop_packets(struct pbi_sim_loop *sl, const struct sim_udp *of)
{
	pb_list_each_safe(it, &sl->inbox)
	{
		struct pbi_packet *p = pb_container(it, struct pbi_packet, node);

		if (p->socket == of) {
			pb_list_remove(it);
			sl->inbox_count--;
			pb_free(p);
		}
	}
}

void pbi_sim_udp_close(struct pb_udp *base)
{
	struct sim_udp *u = (struct sim_udp *)base;

	drop_packets(u->side, u);
	pb_map_remove(&u->side->sim->wire.sockets, &u->found);
	pb_list_remove(&u->node);
	pb_free(u);
}

void pbi_sim_forget(struct pbi_sim_loop *sl)
{
	while (!pb_list_empty(&sl->sockets))
		pbi_sim_udp_close(&pb_container(sl->sockets.next, struct sim_udp, node)->base);
}

int pbi_sim_udp_probe(struct pb_world *w, const struct pb_addr *local)
{
	return pb_addr_port(local) && is_taken(pbi_sim(w), local, 0, false) ? -EADDRINUSE : 0;
}

void pb_sim_set_link(struct pb_sim *s, const struct pb_sim_link *link)
{
	s->wire.link = *link;
}

void pb_sim_set_tap(struct pb_sim *s,
		    void (*tap)(void *arg, uint64_t now_us, const char *what,
				const struct pb_addr *from, const struct pb_addr *to,
				struct pb_str bytes),
		    void *arg)
{
	s->wire.tap = tap;
	s->wire.tap_arg = arg;
}
