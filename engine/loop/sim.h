/*
 * The simulated world from the inside: world_sim.c has its clock and its loops,
 * udp_sim.c its network. Internal to these two.
 */
#ifndef PB_LOOP_SIM_H
#define PB_LOOP_SIM_H

#include "base/map.h"
#include "loop/dns.h"
#include "loop/world_ops.h"

/** splitmix64: one addition and a mixing step a number. */
struct pbi_rng {
	uint64_t state;
};

/** Several of one seed, each with its own `stream`, know nothing of each other. */
void pbi_rng_init(struct pbi_rng *r, uint64_t seed, uint64_t stream);
uint64_t pbi_rng_draw(struct pbi_rng *r);
/** 0 .. n-1; n > 0. */
static inline uint64_t pbi_rng_below(struct pbi_rng *r, uint64_t n)
{
	return pbi_rng_draw(r) % n;
}

struct pbi_packet;

/** What is between the sockets. */
struct pbi_wire {
	struct pb_sim_link link;
	struct pbi_rng fate;
	struct pbi_packet **heap; /* under way, the next to arrive first */
	size_t count, size;
	uint64_t number;       /* of packets so far: the earlier first at equal times */
	struct pb_map sockets; /* by local address and port */
	uint16_t next_port;
	void (*tap)(void *arg, uint64_t now_us, const char *what, const struct pb_addr *from,
		    const struct pb_addr *to, struct pb_str bytes);
	void *tap_arg;
};

/** What its name servers know, and how they answer. */
struct pbi_sim_names {
	struct pb_list records;
	struct pb_sim_dns how;
};

struct pb_sim {
	struct pb_world world; /* first */
	uint64_t seed, now_us;
	struct pbi_rng order;
	struct pb_list loops;
	uint64_t loops_made;
	unsigned hosts; /* an engine each: 10.0.0.1, 10.0.0.2 ... */
	struct pbi_wire wire;
	struct pbi_sim_names names;
};

/** A loop's part. */
struct pbi_sim_loop {
	struct pb_loop *loop;
	struct pb_sim *sim;
	struct pb_list node; /* on pb_sim.loops */
	unsigned host;
	bool started;
	struct pbi_rng random;
	struct pb_list sockets;
	struct pb_list inbox; /* packets that have arrived */
	size_t inbox_count;
};

static inline struct pb_sim *pbi_sim(struct pb_world *w)
{
	return (struct pb_sim *)w;
}

static inline struct pbi_sim_loop *pbi_sim_loop(const struct pb_loop *l)
{
	return l->side;
}

void pbi_wire_init(struct pbi_wire *w, uint64_t seed);
void pbi_wire_fini(struct pbi_wire *w);
/** When the next packet arrives; UINT64_MAX: none is under way. */
uint64_t pbi_wire_next_us(const struct pbi_wire *w);
/** Put what has arrived by now into the inboxes. */
void pbi_wire_deliver(struct pb_sim *s);
/** Hand out some of a loop's inbox, as many as the seed says. */
void pbi_sim_input(struct pb_loop *l);
/** The loop goes: so do its packets and sockets. */
void pbi_sim_forget(struct pbi_sim_loop *sl);

int pbi_sim_udp_open(struct pb_loop *l, const struct pb_udp_args *args, struct pb_udp **out);
void pbi_sim_udp_close(struct pb_udp *u);
void pbi_sim_udp_send(struct pb_udp *u, const struct pb_addr *to, struct pb_str bytes);
int pbi_sim_udp_source(struct pb_loop *l, const struct pb_addr *to, struct pb_addr *out);
int pbi_sim_udp_probe(struct pb_world *w, const struct pb_addr *local);

#endif
