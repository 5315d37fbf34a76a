/*
 * The addresses and links of this machine as they come and go, for who listens
 * on one of them.
 *
 * The kernel tells by rtnetlink, on a socket of the watcher's own; the watcher
 * keeps what it was told, so that it notices what went while the kernel could
 * not tell it (a full socket buffer). At most PB_NET_LINKS_MAX links and
 * PB_NET_ADDRS_MAX addresses are kept; what is beyond is not known.
 *
 * In a world without descriptors (the simulated one) it says nothing but what a
 * test feeds it.
 */
#ifndef PB_LOOP_NETWATCH_H
#define PB_LOOP_NETWATCH_H

#include "loop/addr.h"
#include "loop/loop.h"

enum { PB_NET_LINKS_MAX = 1024, PB_NET_ADDRS_MAX = 1024 };

enum pb_net_event {
	PB_NET_READY, /* all that is there has been told, at first or anew */
	PB_NET_ADDR_ADDED,
	PB_NET_ADDR_REMOVED,
	PB_NET_LINK_UP, /* it is switched on and its cable is plugged */
	PB_NET_LINK_DOWN,
};

struct pb_net_change {
	enum pb_net_event what;
	unsigned link;	     /* interface index */
	struct pb_addr addr; /* ADDR_*; port 0 */
};

/** What is known of an address. */
enum pb_net_state {
	PB_NET_ABSENT, /* no link has it */
	PB_NET_IDLE,   /* one has it, and is down */
	PB_NET_SERVES, /* one has it and is up */
};

struct pb_netwatch;

struct pb_netwatch_args {
	struct pb_loop *loop;
	/**
	 * Each change, after it has been noted; what is there at first comes as
	 * added. It must not free the watcher. On the loop's thread.
	 */
	void (*fn)(void *arg, const struct pb_net_change *c);
	void *arg;
};

/**
 * Begin to watch; fn is not called before this returns.
 *
 * @return 0, -ENOMEM, or why there is no such socket (-EAFNOSUPPORT, -EACCES ...).
 * @thread the loop's, as for all that follows.
 */
int pb_netwatch_new(const struct pb_netwatch_args *args, struct pb_netwatch **out);
void pb_netwatch_free(struct pb_netwatch **w);

/**
 * An address of a loopback link stands for its whole network (127.0.0.1/8 for
 * all of 127): so the kernel has it.
 */
enum pb_net_state pb_netwatch_look(const struct pb_netwatch *w, const struct pb_addr *a);
/** Ask for all anew; what is not told again by PB_NET_READY has gone. */
void pb_netwatch_again(struct pb_netwatch *w);
/**
 * Take messages as the kernel sends them. The watcher reads its socket into
 * this; a test says it directly. The answers to the questions of a watcher
 * without socket have the sequence numbers 1 (links), 2 (addresses), 3, 4 ...
 *
 * @return 0, or -EBADMSG: from the first malformed message on nothing is taken.
 */
int pb_netwatch_feed(struct pb_netwatch *w, struct pb_str bytes);

#endif
