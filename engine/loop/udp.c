/* Datagram sockets of any world: the checks that both share, then the world's
 * own. */
#include "base/assert.h"
#include "loop/world_ops.h"

int pb_udp_open(struct pb_loop *l, const struct pb_udp_args *args, struct pb_udp **out)
{
	pb_assert(pb_loop_is_mine(l));
	pb_assert(args->fn && args->max_bytes > 0);
	*out = NULL;
	return l->world->ops->udp_open(l, args, out);
}

void pb_udp_close(struct pb_udp **u)
{
	if (!*u)
		return;
	pb_assert(pb_loop_is_mine((*u)->loop));
	(*u)->loop->world->ops->udp_close(*u);
	*u = NULL;
}

const struct pb_addr *pb_udp_local(const struct pb_udp *u)
{
	return &u->local;
}

void pb_udp_send(struct pb_udp *u, const struct pb_addr *to, struct pb_str bytes)
{
	pb_assert(pb_loop_is_mine(u->loop));
	u->loop->world->ops->udp_send(u, to, bytes);
}

int pb_udp_probe(struct pb_world *w, const struct pb_addr *local)
{
	return w->ops->udp_probe(w, local);
}

int pb_udp_source(struct pb_loop *l, const struct pb_addr *to, struct pb_addr *out)
{
	pb_assert(pb_loop_is_mine(l));
	return l->world->ops->udp_source(l, to, out);
}

void pb_udp_get_stats(const struct pb_udp *u, struct pb_udp_stats *out)
{
	*out = u->stats;
}
