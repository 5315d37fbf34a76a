/*
 * The world outside a loop: clock, randomness, datagrams, waking up.
 *
 * Two exist: pb_world_real (epoll, recvmmsg, sendmmsg, getrandom) and the
 * simulation's. Everything in the engine reaches the outside through this or
 * through streams (loop/stream.h), so a run can be replayed from a seed.
 */
#ifndef PB_LOOP_WORLD_H
#define PB_LOOP_WORLD_H

#include "loop/addr.h"
#include "loop/loop.h"

/** The one of production. Never freed. */
struct pb_world *pb_world_real(void);

/* ---- Datagrams ------------------------------------------------------------ */

struct pb_udp;

/** One datagram as received; everything valid during the callback only. */
struct pb_datagram {
	struct pb_str bytes;
	struct pb_addr from;
	bool truncated; /* it was longer than max_bytes */
};

struct pb_udp_args {
	struct pb_addr local; /* port 0: any */
	unsigned max_bytes;   /* receive size of one datagram */
	unsigned buffer_bytes; /* SO_RCVBUF, 0: the system's */
	bool share; /* SO_REUSEPORT: one socket a loop on the same address */
	bool v6_only;
	uint8_t tos; /* of every packet sent (pb_tos_parse); 0: the system's */
	bool broadcast; /* may send to broadcast addresses */
	/** Called for each datagram, in batches, on the socket's loop. */
	void (*fn)(void *arg, const struct pb_datagram *d);
	void *arg;
};

/**
 * Bind and receive on `l` from now on. With `share` the caller has probed the
 * address before (pb_udp_probe), so that a second engine fails.
 *
 * @return 0, -EADDRINUSE, -EADDRNOTAVAIL, -EACCES, -ENOMEM ...
 */
int pb_udp_open(struct pb_loop *l, const struct pb_udp_args *args, struct pb_udp **out);
void pb_udp_close(struct pb_udp **u);
/** Where it is bound, the port filled in. */
const struct pb_addr *pb_udp_local(const struct pb_udp *u);
/**
 * Send `bytes` (copied) to `to`. Datagrams of one turn leave in one batch at
 * its end. What the kernel refuses is counted and lost, as the wire may.
 */
void pb_udp_send(struct pb_udp *u, const struct pb_addr *to, struct pb_str bytes);
/** Bind once without sharing and close again: is the address free? 0 or -errno. */
int pb_udp_probe(struct pb_world *w, const struct pb_addr *local);
/**
 * Which local address packets to `to` leave from (for wildcard sockets).
 * @return 0 or -errno.
 */
int pb_udp_source(struct pb_loop *l, const struct pb_addr *to, struct pb_addr *out);

struct pb_udp_stats {
	uint64_t received, sent, refused; /* refused: the kernel did not take it */
};
void pb_udp_get_stats(const struct pb_udp *u, struct pb_udp_stats *out);

/**
 * A type of service: a number (base 0) up to 255, or a word: lowdelay, throughput,
 * reliability, mincost (RFC 1349), cs0..cs7, af11..af43, expedited (RFC 4594),
 * voice (RFC 5865). @return 0, -EINVAL.
 */
int pb_tos_parse(struct pb_str text, uint8_t *out);

/* ---- The simulated world --------------------------------------------------- */

struct pb_sim;

struct pb_sim_link {
	unsigned loss_permille;
	unsigned duplicate_permille;
	unsigned delay_min_us, delay_max_us; /* a spread reorders */
};

/**
 * A clock at 0 (1700000000 s since 1970) and an empty network. One thread:
 * pb_sim_run runs every loop of every engine made with its world, in an order
 * drawn from the seed. A turn takes a microsecond.
 *
 * Addresses need no setting up: who binds one has it. Packets to one that
 * nobody has bound are lost. Each set of loops is a host of its own: the n-th
 * has 10.0.0.n and fd00::n for its sockets bound to a wildcard, which also get
 * packets to addresses that are nobody's (the lowest host with that port).
 */
int pb_sim_new(uint64_t seed, struct pb_sim **out);
/** After all its loops. To free loops closes the sockets left open on them. */
void pb_sim_free(struct pb_sim **s);
struct pb_world *pb_sim_world(struct pb_sim *s);
/** For packets between any two addresses from now on. */
void pb_sim_set_link(struct pb_sim *s, const struct pb_sim_link *link);
/**
 * Run until `done(arg)` answers true (asked before the first and after each
 * turn; NULL: never), or nothing is left to happen, or `limit_ms` of simulated
 * time have passed.
 *
 * @return true when done.
 */
bool pb_sim_run(struct pb_sim *s, uint64_t limit_ms, bool (*done)(void *arg), void *arg);
/**
 * The same for whoever knows only the world, from its control thread; a world
 * with threads goes on by itself: false.
 */
bool pb_world_run(struct pb_world *w, uint64_t limit_ms, bool (*done)(void *arg), void *arg);
uint64_t pb_sim_now_us(const struct pb_sim *s);
/**
 * Told of every datagram put on the wire, before loss is decided; `what` is
 * "sent", "lost", "duplicated" or "delivered". For logs that two runs compare.
 */
void pb_sim_set_tap(struct pb_sim *s,
		    void (*tap)(void *arg, uint64_t now_us, const char *what, const struct pb_addr *from,
				const struct pb_addr *to, struct pb_str bytes),
		    void *arg);

#endif
