/*
 * Where a URI leads: transport parameters first, then the host (RFC 3263
 * section 4 for UDP alone: SRV when no port is given, then addresses). A name
 * is asked for on the loop; who asked goes on when its answer is there.
 */
#include "sip/sip.h"

#include <errno.h>

static struct pb_str transport_param(const struct pb_msg *m, const char *prefix, const char *name)
{
	char buf[64];
	struct pb_text t;

	if (!m)
		return PB_STR_NULL;
	pb_text_init_buf(&t, buf, sizeof(buf));
	pb_text_addf(&t, "%s%s", prefix, name);
	return pb_msg_get(m, pb_text_str(&t));
}

static int supported(const struct sip_uri *u, struct pb_str asked)
{
	struct pb_str t = sip_param(u->params, PB_STR("transport"));

	if (u->scheme != SIP_SCHEME_SIP)
		return -EPROTONOSUPPORT;
	if (asked.n ? !pb_str_ieq(asked, PB_STR("udp")) : t.n && !pb_str_ieq(t, PB_STR("udp")))
		return -EPROTONOSUPPORT;
	return 0;
}

/* ---- The path to an address ------------------------------------------------------------ */

static bool listener_fits(struct sip_seek *k, const struct pb_addr *to)
{
	return k->listener >= 0 &&
	       pb_addr_is_v6(sip_listener_local(k->on->transport, (unsigned)k->listener)) ==
		       pb_addr_is_v6(to);
}

/* Asked for one that is known: that one; else any will do. */
static bool may_serve(const struct sip_seek *k)
{
	struct sip_transport *t = k->on->transport;

	if (k->listener >= 0)
		return sip_listener_serves(t, (unsigned)k->listener);
	for (unsigned i = 0; i < SIP_LISTENERS_MAX; i++) {
		if (sip_listener_serves(t, i))
			return true;
	}
	return false;
}

static int choose(struct sip_seek *k, const struct pb_addr *to)
{
	int err;

	if (!may_serve(k))
		return -ENETDOWN;
	if (!listener_fits(k, to)) {
		err = sip_path_choose(k->on->transport, to, &k->path);
		return err == -EHOSTUNREACH && sip_listeners_rest(k->on) ? -ENETDOWN : err;
	}
	k->path = (struct sip_path){ .peer = *to, .listener = (uint16_t)k->listener };
	return 0;
}

/* The first of them that can be reached from here. */
static int choose_first(struct sip_seek *k, const struct pb_addr *to, size_t n)
{
	int err = -EHOSTUNREACH;

	for (size_t i = 0; err && i < n; i++)
		err = choose(k, &to[i]);
	return err;
}

static void on_addresses(void *arg, int err, const struct pb_addr *to, size_t n)
{
	struct sip_seek *k = arg;

	k->err = n ? choose_first(k, to, n) : err == -EINVAL ? -ENOENT : err;
	if (!pb_list_linked(&k->node))
		return; /* at once: sip_seek returns it */
	pb_list_remove(&k->node);
	k->fn(k, k->err);
}

/* ---- Asking ------------------------------------------------------------------------------ */

/* Addresses of a family without a listener would be of no use. */
static unsigned families(struct sip_transport *t)
{
	unsigned found = 0;

	for (unsigned i = 0; i < SIP_LISTENERS_MAX; i++) {
		const struct pb_addr *a = sip_listener_local(t, i);

		if (a && sip_listener_serves(t, i))
			found |= pb_addr_is_v6(a) ? PB_DNS_V6 : PB_DNS_V4;
	}
	return found;
}

static int ask(struct sip_seek *k, struct pb_str host, uint16_t port)
{
	struct pb_dns_args a = {
		.host = host,
		.port = port,
		.service = "_sip._udp",
		.usual_port = 5060,
		.families = families(k->on->transport),
		.fn = on_addresses,
		.arg = k,
	};

	pb_dns_ask(k->on->cx->loop, &a, &k->query);
	if (!k->query)
		return k->err;
	pb_list_push(&k->on->seeks, &k->node);
	return -EINPROGRESS;
}

int sip_seek(struct sip_seek *k, struct sip_loop *sl, struct pb_str uri, const struct pb_msg *m,
	     const char *prefix, void (*fn)(struct sip_seek *k, int err))
{
	struct pb_str ip = transport_param(m, prefix, "ip_transport_remoteip");
	struct pb_str conn = transport_param(m, prefix, "connection_id"), maddr;
	struct sip_uri u;
	int err;

	if (sip_uri_parse(uri, &u))
		return -EINVAL;
	err = supported(&u, transport_param(m, prefix, "ip_transport"));
	if (err)
		return err;
	*k = (struct sip_seek){ .on = sl, .fn = fn };
	k->listener = conn.n ? sip_listener_number(sl->transport, conn) : -1;
	if (!may_serve(k))
		return -ENETDOWN;
	if (ip.n)
		return ask(k, ip,
			   (uint16_t)pb_msg_get_int(m, PB_STR("oip_transport_remoteport"), u.port,
						    1, 65535));
	maddr = sip_param(u.params, PB_STR("maddr"));
	return ask(k, maddr.n ? maddr : u.host, u.port);
}

void sip_seek_drop(struct sip_seek *k)
{
	pb_dns_cancel(&k->query);
	pb_list_remove(&k->node);
}

void sip_seeks_end(struct sip_loop *sl)
{
	while (!pb_list_empty(&sl->seeks)) {
		struct sip_seek *k = pb_container(sl->seeks.next, struct sip_seek, node);

		sip_seek_drop(k);
		k->fn(k, -ECANCELED);
	}
}

const char *sip_seek_error(int err, const char **reason)
{
	const char *ignored;

	if (!reason)
		reason = &ignored;
	switch (err) {
	case -ENOENT:
		*reason = "Name of target does not exist";
		return "noroute";
	case -ETIMEDOUT:
	case -EAGAIN:
		*reason = "Name of target could not be resolved";
		return "noconn";
	case -ENETDOWN:
		*reason = "Listener does not serve";
		return "noconn";
	case -ENOMEM:
		*reason = "No memory";
		return "noresource";
	default:
		*reason = "Failed to create party";
		return "notransport";
	}
}
