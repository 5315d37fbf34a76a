/*
 * The net: the transports of one engine's call loops, and the way of a datagram
 * from the loop where the kernel delivered it to the loop that owns it.
 */
#ifndef SIP_STACK_NET_H
#define SIP_STACK_NET_H

#include "loop/addr.h"
#include "loop/loop.h"
#include "sip/stack/value.h"

/** Where a message came from or goes to. A value: a closed listener only makes sends fail. */
struct sip_path {
	struct pb_addr peer;
	uint16_t listener; /* its number */
};

struct sip_net;

/** @param loops  How many call loops there are. @return 0, -EINVAL or -ENOMEM. */
int sip_net_new(unsigned loops, struct sip_net **out);
/** After all loops have ended. */
void sip_net_free(struct sip_net **n);
unsigned sip_net_loops(const struct sip_net *n);

/**
 * Which loop owns a message: a response by our branch; a request by our To tag,
 * else INVITE, CANCEL and ACK by keyed hash of Call-ID; -1: any.
 */
int sip_owner(const struct sip_msg *m, const struct sip_core *core, unsigned loops);

/* ---- For the transports ---------------------------------------------------- */

typedef void (*sip_net_fn)(void *arg, const struct sip_path *path, struct pb_str bytes);

/** From now on `fn` gets what others hand to this loop. @thread the loop's. */
void sip_net_join(struct sip_net *n, struct pb_loop *l, sip_net_fn fn, void *arg);
/** No more calls of `fn`; what this loop collected is posted. */
void sip_net_leave(struct sip_net *n, struct pb_loop *l);
/**
 * Hand a copy of `bytes` to call loop `to`. All that one turn hands to one loop
 * travels in one post.
 *
 * @return 0, or -ENOBUFS: lost (no memory, or too much under way).
 */
int sip_net_hand(struct sip_net *n, struct pb_loop *from, unsigned to, const struct sip_path *path,
		 struct pb_str bytes);
/** Posts made by this loop so far. */
uint64_t sip_net_posts(const struct sip_net *n, const struct pb_loop *l);

#endif
