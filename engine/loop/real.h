/*
 * The real world's part of a loop. Internal to world_real.c and udp_real.c.
 */
#ifndef PB_LOOP_REAL_H
#define PB_LOOP_REAL_H

#include <signal.h>
#include <sys/epoll.h>

#include "loop/world_ops.h"

/* Descriptors handed out in one turn; the others keep their turn. */
#define PBI_REAL_EVENTS 128

/* Destinations whose source address is remembered, for so long: routes change. */
#define PBI_REAL_SOURCES   64
#define PBI_REAL_SOURCE_MS 10000

struct pbi_source {
	struct pb_addr to, from;
	uint64_t until_ms; /* 0: unused */
};

struct pbi_real {
	struct pb_loop *loop;
	pthread_t thread;
	int epoll, wake;

	/* What epoll reported, and how far input has come. */
	struct epoll_event events[PBI_REAL_EVENTS];
	int event_count, event_at;

	struct pb_list sending; /* sockets with something to send */
	struct pbi_source sources[PBI_REAL_SOURCES];
	unsigned char random[1024];
	size_t random_left; /* at the end of it */
	unsigned char signal_stack[32768]; /* for who tells of a crash when the thread's own is full */
};

static inline struct pbi_real *pbi_real(const struct pb_loop *l)
{
	return l->side;
}

/**
 * Block what the main thread hears as data, in the threads made from now on. Not
 * blocked are the signals by which the kernel says that a thread has gone wrong.
 */
void pbi_real_block_signals(sigset_t *old);
/** Close unless negative, whatever that answers. */
void pbi_real_close(int fd);

int pbi_real_udp_open(struct pb_loop *l, const struct pb_udp_args *args, struct pb_udp **out);
void pbi_real_udp_close(struct pb_udp *u);
void pbi_real_udp_send(struct pb_udp *u, const struct pb_addr *to, struct pb_str bytes);
int pbi_real_udp_source(struct pb_loop *l, const struct pb_addr *to, struct pb_addr *out);
int pbi_real_udp_probe(struct pb_world *w, const struct pb_addr *local);
/** Send what the loop's sockets have queued in this turn. */
void pbi_real_udp_flush(struct pb_loop *l);

#endif
