/*
 * What a world does for loops: the line between loop.c, which knows no system
 * call for time or I/O, and the real and the simulated outside. Internal to
 * the loop folder.
 */
#ifndef PB_LOOP_WORLD_OPS_H
#define PB_LOOP_WORLD_OPS_H

#include "loop/loop_impl.h"
#include "loop/world.h"

struct pb_dns;
struct pbi_dns_entry;

/** What both worlds' sockets begin with; `local` and `stats` are theirs. */
struct pb_udp {
	struct pb_loop *loop;
	struct pb_udp_args args;
	struct pb_addr local;
	struct pb_udp_stats stats;
};

struct pbi_world_ops {
	/** Loops and the pool have threads; else one thread runs everything. */
	bool threads;
	/** Monotonic, and since 1970. Any thread. */
	uint64_t (*now_us)(struct pb_world *w);
	uint64_t (*wall_us)(struct pb_world *w);

	/** Make and free l->side, the world's own part of a loop. */
	int (*attach)(struct pb_loop *l);
	void (*detach)(struct pb_loop *l);
	/** Let the loops run; on failure none does. */
	int (*start)(struct pb_loops *ls);
	/** All have been asked to end: wait until they have. */
	void (*join)(struct pb_loops *ls);
	/** End the loop's sleep, or its next one. Any thread. */
	void (*wake)(struct pb_loop *l);

	/* On the loop's thread. */
	void (*random)(struct pb_loop *l, void *p, size_t n);
	/** In a turn: hand out what has come in; send what was queued. */
	void (*input)(struct pb_loop *l);
	void (*flush)(struct pb_loop *l);
	/** NULL: this world has no descriptors. */
	int (*fd_start)(struct pb_loop *l, struct pb_fd *f, unsigned want);
	void (*fd_stop)(struct pb_fd *f);

	int (*udp_open)(struct pb_loop *l, const struct pb_udp_args *args, struct pb_udp **out);
	void (*udp_close)(struct pb_udp *u);
	void (*udp_send)(struct pb_udp *u, const struct pb_addr *to, struct pb_str bytes);
	int (*udp_source)(struct pb_loop *l, const struct pb_addr *to, struct pb_addr *out);

	/**
	 * A resolver's part; before the loop runs, and after. On failure of
	 * dns_open dns_close still comes.
	 */
	int (*dns_open)(struct pb_dns *d);
	void (*dns_close)(struct pb_dns *d);
	/** Ask for e->name; pbi_dns_answered once, possibly at once, unless this fails. */
	int (*dns_ask)(struct pb_dns *d, struct pbi_dns_entry *e);

	/** Any thread. */
	int (*udp_probe)(struct pb_world *w, const struct pb_addr *local);
};

struct pb_world {
	const struct pbi_world_ops *ops;
};

#endif
