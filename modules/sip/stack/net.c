/*
 * Datagrams travel in parcels: one for each target loop and turn, filled while
 * the turn lasts and posted at its end. A parcel belongs to the loop that fills
 * it and is used again once the receiver has read it, so a steady stream
 * allocates nothing; it is all freed with the net, also what was still in a
 * mailbox when the loops ended.
 *
 * Nothing of a stay is shared but the parcel, whose `busy` says whose it is.
 */
#include "sip/stack/net.h"

#include <errno.h>
#include <stdatomic.h>

#include "base/alloc.h"
#include "base/map.h"
#include "sip/stack/id.h"

enum {
	PARCEL_BYTES = 128 * 1024, /* as full as one gets */
	PARCELS_MAX = 256,	   /* of one loop: a stuck receiver costs datagrams, not memory */
};

struct parcel {
	struct pb_list node; /* on its sender's list of closed ones */
	struct pb_work work;
	struct stay *to;
	_Atomic bool busy; /* posted and not yet read */
	size_t n, size;
	char *bytes; /* struct item and its bytes, again and again */
};

struct item {
	struct sip_path path;
	uint32_t n;
};

/** One loop's place in the net. Touched by that loop only. */
struct stay {
	sip_net_fn fn; /* NULL: nobody there */
	void *arg;
	struct pb_list closed; /* parcels posted, oldest first */
	unsigned parcels;
	struct parcel *open[PB_LOOPS_MAX];
	struct pb_work flush;
	bool flushing;
	uint64_t posts;
	struct sip_net *net;
	struct pb_loop *loop;
};

struct sip_net {
	unsigned loops;
	struct stay stays[];
};

int sip_net_new(unsigned loops, struct sip_net **out)
{
	struct sip_net *n;

	*out = NULL;
	if (loops == 0 || loops > PB_LOOPS_MAX)
		return -EINVAL;
	n = pb_alloc_zero(1, sizeof(*n) + loops * sizeof(n->stays[0]));
	if (!n)
		return -ENOMEM;
	n->loops = loops;
	for (unsigned i = 0; i < loops; i++) {
		n->stays[i].net = n;
		pb_list_init(&n->stays[i].closed);
	}
	*out = n;
	return 0;
}

static void parcel_free(struct parcel *p)
{
	if (!p)
		return;
	pb_free(p->bytes);
	pb_free(p);
}

void sip_net_free(struct sip_net **n)
{
	struct pb_list *p;

	if (!*n)
		return;
	for (unsigned i = 0; i < (*n)->loops; i++) {
		struct stay *s = &(*n)->stays[i];

		while ((p = pb_list_pop(&s->closed)))
			parcel_free(pb_container(p, struct parcel, node));
		for (unsigned j = 0; j < (*n)->loops; j++)
			parcel_free(s->open[j]);
	}
	pb_free(*n);
	*n = NULL;
}

unsigned sip_net_loops(const struct sip_net *n)
{
	return n->loops;
}

/* ---- Receiving -------------------------------------------------------------- */

static size_t item_bytes(size_t n)
{
	const size_t align = _Alignof(struct item);

	return (sizeof(struct item) + n + align - 1) / align * align;
}

/** On the target's loop. */
static void unpack(void *arg)
{
	struct parcel *p = arg;
	struct stay *s = p->to;

	for (size_t at = 0; at < p->n;) {
		const struct item *it = (const struct item *)(const void *)(p->bytes + at);

		if (s->fn)
			s->fn(s->arg, &it->path, pb_str((const char *)(it + 1), it->n));
		at += item_bytes(it->n);
	}
	atomic_store_explicit(&p->busy, false, memory_order_release);
}

/* ---- Sending ---------------------------------------------------------------- */

/** An idle parcel of this loop, the longest posted first; or a new one. */
static struct parcel *parcel_get(struct stay *s)
{
	struct parcel *p;

	if (!pb_list_empty(&s->closed)) {
		p = pb_container(s->closed.next, struct parcel, node);
		if (!atomic_load_explicit(&p->busy, memory_order_acquire)) {
			pb_list_remove(&p->node);
			p->n = 0;
			return p;
		}
	}
	if (s->parcels == PARCELS_MAX)
		return NULL;
	p = pb_alloc_zero(1, sizeof(*p));
	if (p)
		s->parcels++;
	return p;
}

static void parcel_post(struct stay *s, unsigned to)
{
	struct parcel *p = s->open[to];

	s->open[to] = NULL;
	pb_list_push(&s->closed, &p->node);
	p->to = &s->net->stays[to];
	atomic_store_explicit(&p->busy, true, memory_order_relaxed);
	p->work = (struct pb_work){ .fn = unpack, .arg = p };
	s->posts++;
	pb_loop_post(pb_loops_at(pb_loop_set(s->loop), to), &p->work);
}

static void post_all(struct stay *s)
{
	for (unsigned i = 0; i < s->net->loops; i++)
		if (s->open[i] && s->open[i]->n > 0)
			parcel_post(s, i);
}

/** At the end of the turn. */
static void flush(void *arg)
{
	struct stay *s = arg;

	s->flushing = false;
	post_all(s);
}

static bool parcel_room(struct parcel *p, size_t more)
{
	size_t size = p->size ? p->size : 4096;
	char *bytes;

	if (p->n + more > PARCEL_BYTES)
		return false;
	while (size < p->n + more)
		size *= 2;
	if (size == p->size)
		return true;
	bytes = pb_alloc_grow(p->bytes, size);
	if (!bytes)
		return false;
	p->bytes = bytes;
	p->size = size;
	return true;
}

/** The parcel that has room for `need` bytes, opened when there is none. */
static struct parcel *parcel_for(struct stay *s, unsigned to, size_t need)
{
	if (s->open[to] && s->open[to]->n + need > PARCEL_BYTES)
		parcel_post(s, to);
	if (!s->open[to])
		s->open[to] = parcel_get(s);
	return s->open[to] && parcel_room(s->open[to], need) ? s->open[to] : NULL;
}

int sip_net_hand(struct sip_net *n, struct pb_loop *from, unsigned to, const struct sip_path *path,
		 struct pb_str bytes)
{
	struct stay *s = &n->stays[pb_loop_index(from)];
	size_t need = item_bytes(bytes.n);
	struct parcel *p = parcel_for(s, to, need);
	struct item *it;

	if (!p)
		return -ENOBUFS;
	it = (struct item *)(void *)(p->bytes + p->n);
	memset(it, 0, sizeof(*it));
	it->path = *path;
	it->n = (uint32_t)bytes.n;
	memcpy(it + 1, bytes.p, bytes.n);
	p->n += need;
	if (!s->flushing) {
		s->flushing = true;
		s->flush = (struct pb_work){ .fn = flush, .arg = s };
		pb_loop_defer(from, &s->flush);
	}
	return 0;
}

void sip_net_join(struct sip_net *n, struct pb_loop *l, sip_net_fn fn, void *arg)
{
	struct stay *s = &n->stays[pb_loop_index(l)];

	s->loop = l;
	s->fn = fn;
	s->arg = arg;
}

void sip_net_leave(struct sip_net *n, struct pb_loop *l)
{
	struct stay *s = &n->stays[pb_loop_index(l)];

	s->fn = NULL;
	s->arg = NULL;
	post_all(s);
}

uint64_t sip_net_posts(const struct sip_net *n, const struct pb_loop *l)
{
	return n->stays[pb_loop_index(l)].posts;
}

/* ---- Whose is it ---------------------------------------------------------------- */

int sip_owner(const struct sip_msg *m, const struct sip_core *core, unsigned loops)
{
	int loop;

	if (!m->request)
		return sip_branch_loop(core->via.branch, loops);
	loop = sip_id_loop(core->to_tag, loops);
	if (loop >= 0)
		return loop;
	if (m->method != SIP_INVITE && m->method != SIP_CANCEL && m->method != SIP_ACK)
		return -1;
	return (int)(pb_hash(core->call_id) % loops);
}
