/* Addresses as the socket calls want them, so that nothing is converted on the
 * way of a datagram. Only the fields that mean something are compared and
 * hashed; flow labels and padding are not. */
#include "loop/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>

#include "base/map.h"
#include "base/text.h"

static int parse_v6(char *text, struct in6_addr *ip, uint32_t *scope)
{
	char *zone = strchr(text, '%');

	*scope = 0;
	if (zone) {
		struct pb_str name = pb_str_z(zone + 1);

		*zone = '\0';
		if (pb_str_to_u32(name, 1, UINT32_MAX, scope) != 0)
			*scope = if_nametoindex(name.p);
		if (*scope == 0)
			return -EINVAL;
	}
	return inet_pton(AF_INET6, text, ip) == 1 ? 0 : -EINVAL;
}

int pb_addr_parse(struct pb_str ip, uint16_t port, struct pb_addr *out)
{
	struct pb_addr a = { 0 };
	char text[PB_ADDR_TEXT];
	bool bracketed = ip.n > 2 && ip.p[0] == '[' && ip.p[ip.n - 1] == ']';

	if (bracketed)
		ip = pb_str(ip.p + 1, ip.n - 2);
	if (ip.n == 0 || ip.n >= sizeof(text) || pb_str_chr(ip, '\0') >= 0)
		return -EINVAL;
	memcpy(text, ip.p, ip.n);
	text[ip.n] = '\0';
	if (!bracketed && inet_pton(AF_INET, text, &a.in.sin_addr) == 1) {
		a.in.sin_family = AF_INET;
	} else {
		if (parse_v6(text, &a.in6.sin6_addr, &a.in6.sin6_scope_id) < 0)
			return -EINVAL;
		a.in6.sin6_family = AF_INET6;
	}
	pb_addr_set_port(&a, port);
	*out = a;
	return 0;
}

static void add_ip(struct pb_text *t, const struct pb_addr *a)
{
	char ip[INET6_ADDRSTRLEN] = "", name[IF_NAMESIZE];

	if (!pb_addr_is_v6(a)) {
		inet_ntop(AF_INET, &a->in.sin_addr, ip, sizeof(ip));
		pb_text_add(t, pb_str_z(ip));
		return;
	}
	inet_ntop(AF_INET6, &a->in6.sin6_addr, ip, sizeof(ip));
	pb_text_add(t, pb_str_z(ip));
	if (a->in6.sin6_scope_id == 0)
		return;
	pb_text_addc(t, '%');
	if (if_indextoname(a->in6.sin6_scope_id, name))
		pb_text_add(t, pb_str_z(name));
	else
		pb_text_addu(t, a->in6.sin6_scope_id);
}

struct pb_str pb_addr_print_ip(const struct pb_addr *a, char buf[PB_ADDR_TEXT])
{
	struct pb_text t;

	pb_text_init_buf(&t, buf, PB_ADDR_TEXT - 1);
	add_ip(&t, a);
	buf[t.n] = '\0';
	return pb_text_str(&t);
}

struct pb_str pb_addr_print(const struct pb_addr *a, char buf[PB_ADDR_TEXT])
{
	struct pb_text t;

	pb_text_init_buf(&t, buf, PB_ADDR_TEXT - 1);
	if (pb_addr_is_v6(a))
		pb_text_addc(&t, '[');
	add_ip(&t, a);
	if (pb_addr_is_v6(a))
		pb_text_addc(&t, ']');
	pb_text_addc(&t, ':');
	pb_text_addu(&t, pb_addr_port(a));
	buf[t.n] = '\0';
	return pb_text_str(&t);
}

uint16_t pb_addr_port(const struct pb_addr *a)
{
	return ntohs(pb_addr_is_v6(a) ? a->in6.sin6_port : a->in.sin_port);
}

void pb_addr_set_port(struct pb_addr *a, uint16_t port)
{
	if (pb_addr_is_v6(a))
		a->in6.sin6_port = htons(port);
	else
		a->in.sin_port = htons(port);
}

bool pb_addr_is_v6(const struct pb_addr *a)
{
	return a->sa.sa_family == AF_INET6;
}

bool pb_addr_eq(const struct pb_addr *a, const struct pb_addr *b)
{
	return pb_addr_eq_ip(a, b) && pb_addr_port(a) == pb_addr_port(b);
}

bool pb_addr_eq_ip(const struct pb_addr *a, const struct pb_addr *b)
{
	if (a->sa.sa_family != b->sa.sa_family)
		return false;
	if (!pb_addr_is_v6(a))
		return a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
	return memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, sizeof(struct in6_addr)) == 0 &&
	       a->in6.sin6_scope_id == b->in6.sin6_scope_id;
}

bool pb_addr_is_any(const struct pb_addr *a)
{
	if (!pb_addr_is_v6(a))
		return a->in.sin_addr.s_addr == htonl(INADDR_ANY);
	return IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr);
}

bool pb_addr_is_loopback(const struct pb_addr *a)
{
	if (!pb_addr_is_v6(a))
		return ntohl(a->in.sin_addr.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(&a->in6.sin6_addr);
}

bool pb_addr_is_private(const struct pb_addr *a)
{
	const unsigned char *p = a->in6.sin6_addr.s6_addr;
	uint32_t v4;

	if (pb_addr_is_v6(a))
		return (p[0] & 0xfe) == 0xfc || (p[0] == 0xfe && (p[1] & 0xc0) == 0x80);
	v4 = ntohl(a->in.sin_addr.s_addr);
	return v4 >> 24 == 10 || v4 >> 20 == 0xac1 || v4 >> 16 == 0xc0a8 || v4 >> 16 == 0xa9fe;
}

socklen_t pb_addr_len(const struct pb_addr *a)
{
	return pb_addr_is_v6(a) ? sizeof(a->in6) : sizeof(a->in);
}

uint64_t pb_addr_hash(const struct pb_addr *a)
{
	char key[sizeof(struct in6_addr) + sizeof(uint32_t) + sizeof(uint16_t)];

	if (!pb_addr_is_v6(a)) {
		memcpy(key, &a->in.sin_addr, 4);
		memcpy(key + 4, &a->in.sin_port, 2);
		return pb_hash(pb_str(key, 6));
	}
	memcpy(key, &a->in6.sin6_addr, 16);
	memcpy(key + 16, &a->in6.sin6_scope_id, 4);
	memcpy(key + 20, &a->in6.sin6_port, 2);
	return pb_hash(pb_str(key, 22));
}
