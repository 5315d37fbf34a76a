/*
 * Where a URI leads: transport parameters first, then the host.
 *
 * Hosts are IP literals here; names need the resolver on the loop and are
 * refused until it is there, never looked up by a call that waits.
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

/* maddr and the host of a SIP URI (RFC 3263 section 4: an address needs no
 * look-up). */
static int uri_address(const struct sip_uri *u, struct pb_addr *out)
{
	struct pb_str maddr = sip_param(u->params, PB_STR("maddr"));
	struct pb_str host = maddr.n ? maddr : u->host;

	if (pb_str_ieq(host, PB_STR("localhost")))
		host = PB_STR("127.0.0.1");
	return pb_addr_parse(host, u->port ? u->port : 5060, out) ? -EHOSTUNREACH : 0;
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

int sip_target(struct sip_loop *sl, struct pb_str uri, const struct pb_msg *m, const char *prefix,
	       struct sip_path *out)
{
	struct pb_str ip = transport_param(m, prefix, "ip_transport_remoteip");
	struct pb_str conn = transport_param(m, prefix, "connection_id");
	struct sip_uri u;
	struct pb_addr to;
	int listener, err;

	if (sip_uri_parse(uri, &u))
		return -EINVAL;
	err = supported(&u, transport_param(m, prefix, "ip_transport"));
	if (!err && ip.n)
		err = pb_addr_parse(ip,
				    (uint16_t)pb_msg_get_int(m, PB_STR("oip_transport_remoteport"),
							     u.port ? u.port : 5060, 1, 65535),
				    &to);
	else if (!err)
		err = uri_address(&u, &to);
	if (err)
		return err;
	if (!pb_addr_port(&to))
		return -EINVAL;
	listener = conn.n ? sip_listener_find(sl->transport, conn) : -1;
	if (listener >= 0 && pb_addr_is_v6(sip_listener_local(sl->transport, (unsigned)listener)) ==
				     pb_addr_is_v6(&to)) {
		*out = (struct sip_path){ .peer = to, .listener = (uint16_t)listener };
		return 0;
	}
	return sip_path_choose(sl->transport, &to, out);
}
