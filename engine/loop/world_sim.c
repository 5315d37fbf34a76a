/* The simulated world: one thread, and a turn of one loop at a time. Which loop,
 * of those with something to do, is drawn from the seed; when none has, the
 * clock jumps to the next timer or packet. A turn takes a microsecond, so that
 * loops which post to each other for ever still come to the limit.
 *
 * Nothing here may depend on an address, on real time or on the machine: loops
 * are listed in the order of their making, sockets found by their address. */
#include "loop/world.h"

#include <errno.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "loop/dns_impl.h"
#include "loop/sim.h"

#define TURN_US 1
/* 2023-11-14T22:13:20Z */
#define WALL_START_US 1700000000000000u

/* ---- Random numbers ------------------------------------------------------------ */

static uint64_t mix(uint64_t z)
{
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

void pbi_rng_init(struct pbi_rng *r, uint64_t seed, uint64_t stream)
{
	r->state = mix(seed) ^ mix(~stream);
}

uint64_t pbi_rng_draw(struct pbi_rng *r)
{
	r->state += 0x9e3779b97f4a7c15u;
	return mix(r->state);
}

/* ---- A loop's part ----------------------------------------------------------------- */

static uint64_t now_us(struct pb_world *w)
{
	return pbi_sim(w)->now_us;
}

static uint64_t wall_us(struct pb_world *w)
{
	return WALL_START_US + pbi_sim(w)->now_us;
}

static int attach(struct pb_loop *l)
{
	struct pb_sim *s = pbi_sim(l->world);
	struct pbi_sim_loop *sl = pb_alloc_zero(1, sizeof(*sl));

	if (!sl)
		return -ENOMEM;
	if (l->index == 0)
		s->hosts++;
	sl->loop = l;
	sl->sim = s;
	sl->host = s->hosts;
	pbi_rng_init(&sl->random, s->seed, 2 + s->loops_made++);
	pb_list_init(&sl->sockets);
	pb_list_init(&sl->inbox);
	pb_list_push(&s->loops, &sl->node);
	l->side = sl;
	return 0;
}

static void detach(struct pb_loop *l)
{
	struct pbi_sim_loop *sl = pbi_sim_loop(l);

	pbi_sim_forget(sl);
	pb_list_remove(&sl->node);
	pb_free(sl);
	l->side = NULL;
}

static int start(struct pb_loops *ls)
{
	for (unsigned i = 0; i < ls->count; i++)
		pbi_sim_loop(ls->loops[i])->started = true;
	return 0;
}

static void join(struct pb_loops *ls)
{
	/* No threads. */
}

static void wake(struct pb_loop *l)
{
	/* Who has something to do is looked up before each turn. */
}

static void flush(struct pb_loop *l)
{
	/* Packets go on the wire at once: within a turn time stands still. */
}

static void draw_bytes(struct pb_loop *l, void *p, size_t n)
{
	struct pbi_rng *r = &pbi_sim_loop(l)->random;
	unsigned char *to = p;

	for (size_t i = 0; i < n; i++)
		to[i] = (unsigned char)(pbi_rng_draw(r) >> 56);
}

/* ---- The scheduler ------------------------------------------------------------------- */

/** When the loop has something to do; UINT64_MAX: not before something comes. */
static uint64_t due_us(const struct pbi_sim_loop *sl)
{
	if (!sl->started || pbi_loop_ending(sl->loop))
		return UINT64_MAX;
	return sl->inbox_count ? 0 : pbi_loop_next_us(sl->loop);
}

static size_t count_due(const struct pb_sim *s)
{
	size_t n = 0;

	pb_list_each(it, &s->loops) n +=
		due_us(pb_container(it, struct pbi_sim_loop, node)) <= s->now_us;
	return n;
}

static struct pb_loop *draw_due(struct pb_sim *s)
{
	size_t n = count_due(s), at = n > 1 ? pbi_rng_below(&s->order, n) : 0;

	pb_list_each(it, &s->loops)
	{
		struct pbi_sim_loop *sl = pb_container(it, struct pbi_sim_loop, node);

		if (due_us(sl) <= s->now_us && at-- == 0)
			return sl->loop;
	}
	return NULL;
}

static uint64_t next_us(const struct pb_sim *s)
{
	uint64_t next = pbi_wire_next_us(&s->wire);

	pb_list_each(it, &s->loops)
	{
		uint64_t due = due_us(pb_container(it, struct pbi_sim_loop, node));

		next = due < next ? due : next;
	}
	return next;
}

static void run_turn(struct pb_sim *s, struct pb_loop *l)
{
	pbi_loop_enter(l);
	pbi_loop_turn(l);
	pbi_loop_enter(NULL);
	s->now_us += TURN_US;
}

bool pb_sim_run(struct pb_sim *s, uint64_t limit_ms, bool (*done)(void *arg), void *arg)
{
	uint64_t end = s->now_us + limit_ms * 1000;

	pb_assert(!pb_loop_current());
	while (!done || !done(arg)) {
		struct pb_loop *l;
		uint64_t next;

		if (s->now_us > end)
			return false;
		pbi_wire_deliver(s);
		l = draw_due(s);
		if (l) {
			run_turn(s, l);
			continue;
		}
		next = next_us(s);
		if (next == UINT64_MAX)
			return false;
		s->now_us = next < end ? next : end;
		if (next > end)
			return false;
	}
	return true;
}

bool pb_world_run(struct pb_world *w, uint64_t limit_ms, bool (*done)(void *arg), void *arg)
{
	return !w->ops->threads && pb_sim_run(pbi_sim(w), limit_ms, done, arg);
}

/* ---- The world -------------------------------------------------------------------------- */

static const struct pbi_world_ops ops = {
	.threads = false,
	.now_us = now_us,
	.wall_us = wall_us,
	.attach = attach,
	.detach = detach,
	.start = start,
	.join = join,
	.wake = wake,
	.random = draw_bytes,
	.input = pbi_sim_input,
	.flush = flush,
	.udp_open = pbi_sim_udp_open,
	.udp_close = pbi_sim_udp_close,
	.udp_send = pbi_sim_udp_send,
	.udp_source = pbi_sim_udp_source,
	.udp_probe = pbi_sim_udp_probe,
	.dns_open = pbi_sim_dns_open,
	.dns_close = pbi_sim_dns_close,
	.dns_ask = pbi_sim_dns_ask,
};

int pb_sim_new(uint64_t seed, struct pb_sim **out)
{
	struct pb_sim *s = pb_alloc_zero(1, sizeof(*s));

	*out = s;
	if (!s)
		return -ENOMEM;
	pb_hash_seed(seed);
	s->world.ops = &ops;
	s->seed = seed;
	pbi_rng_init(&s->order, seed, 0);
	pb_list_init(&s->loops);
	pbi_wire_init(&s->wire, seed);
	pb_list_init(&s->names.records);
	s->names.how = (struct pb_sim_dns){ .delay_ms = 5, .negative_ttl_s = 60 };
	return 0;
}

void pb_sim_free(struct pb_sim **sp)
{
	struct pb_sim *s = *sp;

	if (!s)
		return;
	pb_assert(pb_list_empty(&s->loops));
	pb_sim_dns_clear(s);
	pbi_wire_fini(&s->wire);
	pb_free(s);
	*sp = NULL;
}

struct pb_world *pb_sim_world(struct pb_sim *s)
{
	return &s->world;
}

uint64_t pb_sim_now_us(const struct pb_sim *s)
{
	return s->now_us;
}
