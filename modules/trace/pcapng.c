/*
 * Blocks are in the order of octets of this machine, which the section header
 * tells. Addresses of a listener on all addresses are 0.0.0.0: where it was
 * reached is not known. A text that was cut is a packet that was captured in
 * part: its lengths are those of the whole.
 */
#include "trace/pcapng.h"

#include <arpa/inet.h>

enum {
	BLOCK_SECTION = 0x0a0d0d0a,
	BLOCK_INTERFACE = 1,
	BLOCK_PACKET = 6,
	BYTE_ORDER_MAGIC = 0x1a2b3c4d,
	LINKTYPE_RAW = 101, /* IPv4 or IPv6, as the first octet says */
	OPT_COMMENT = 1,
	COMMENT_MAX = 60000,
};

static void add16(struct pb_text *t, uint16_t v)
{
	pb_text_add(t, pb_str((const char *)&v, sizeof(v)));
}

static void add32(struct pb_text *t, uint32_t v)
{
	pb_text_add(t, pb_str((const char *)&v, sizeof(v)));
}

static void pad(struct pb_text *t, size_t n)
{
	pb_text_add(t, pb_str("\0\0\0", (4 - n % 4) % 4));
}

static size_t padded(size_t n)
{
	return (n + 3) & ~(size_t)3;
}

void trace_pcapng_begin(struct pb_text *t)
{
	add32(t, BLOCK_SECTION);
	add32(t, 28);
	add32(t, BYTE_ORDER_MAGIC);
	add16(t, 1); /* version 1.0 */
	add16(t, 0);
	add32(t, UINT32_MAX); /* length of the section: not known */
	add32(t, UINT32_MAX);
	add32(t, 28);
	add32(t, BLOCK_INTERFACE);
	add32(t, 20);
	add16(t, LINKTYPE_RAW);
	add16(t, 0);
	add32(t, 0); /* no limit of a packet; times are microseconds unless said otherwise */
	add32(t, 20);
}

/* ---- The packet that never was ------------------------------------------------------- */

static uint32_t sum16(uint32_t sum, const void *p, size_t n)
{
	const unsigned char *c = p;

	for (size_t i = 0; i + 1 < n; i += 2)
		sum += (uint32_t)c[i] << 8 | c[i + 1];
	if (n & 1)
		sum += (uint32_t)c[n - 1] << 8;
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

struct udp {
	uint16_t from, to, length, sum;
};

struct ip4 {
	uint8_t version, tos;
	uint16_t length, id, fragment;
	uint8_t ttl, protocol;
	uint16_t sum;
	struct in_addr from, to;
};

struct ip6 {
	uint32_t version;
	uint16_t length;
	uint8_t next, hops;
	struct in6_addr from, to;
};

static size_t put_ip4(char *c, const struct pb_addr *from, const struct pb_addr *to, size_t length)
{
	struct ip4 h = { .version = 0x45, .ttl = 64, .protocol = IPPROTO_UDP };

	h.length = htons((uint16_t)(sizeof(h) + length));
	h.from = from->in.sin_addr;
	h.to = to->in.sin_addr;
	h.sum = fold(sum16(0, &h, sizeof(h)));
	memcpy(c, &h, sizeof(h));
	return sizeof(h);
}

static size_t put_ip6(char *c, const struct pb_addr *from, const struct pb_addr *to, size_t length)
{
	struct ip6 h = { .version = htonl(0x60000000), .next = IPPROTO_UDP, .hops = 64 };

	h.length = htons((uint16_t)length);
	h.from = from->in6.sin6_addr;
	h.to = to->in6.sin6_addr;
	memcpy(c, &h, sizeof(h));
	return sizeof(h);
}

/* IPv6 wants a checksum (RFC 8200 section 8.1); IPv4 takes 0 for none. */
static uint16_t udp_sum6(const struct pb_addr *from, const struct pb_addr *to, const struct udp *u, struct pb_str text)
{
	uint32_t sum = sum16(0, &from->in6.sin6_addr, 16);
	uint16_t result;

	sum = sum16(sum, &to->in6.sin6_addr, 16) + IPPROTO_UDP + ntohs(u->length);
	sum = sum16(sum, u, sizeof(*u));
	sum = fold(sum16(sum, text.p, text.n));
	result = (uint16_t)sum;
	return result ? result : 0xffff;
}

/* IP and UDP headers into `c`; how many octets. */
static size_t put_headers(char *c, const struct pb_flight_event *e)
{
	const struct pb_addr *from = e->out ? &e->local : &e->peer, *to = e->out ? &e->peer : &e->local;
	size_t length = sizeof(struct udp) + (e->bytes > 65000 ? 65000 : e->bytes), n;
	struct udp u = { .from = htons(pb_addr_port(from)), .to = htons(pb_addr_port(to)),
			 .length = htons((uint16_t)length) };

	if (pb_addr_is_v6(&e->peer)) {
		n = put_ip6(c, from, to, length);
		u.sum = udp_sum6(from, to, &u, e->text);
	} else {
		n = put_ip4(c, from, to, length);
	}
	memcpy(c + n, &u, sizeof(u));
	return n + sizeof(u);
}

void trace_pcapng_packet(struct pb_text *t, uint64_t at_us, const struct pb_flight_event *e, struct pb_str comment)
{
	char head[sizeof(struct ip6) + sizeof(struct udp)];
	size_t head_n = put_headers(head, e), n = head_n + e->text.n, length;

	comment = pb_str_head(comment, COMMENT_MAX);
	length = 32 + padded(n) + (comment.n ? 8 + padded(comment.n) : 0);
	add32(t, BLOCK_PACKET);
	add32(t, (uint32_t)length);
	add32(t, 0); /* the interface */
	add32(t, (uint32_t)(at_us >> 32));
	add32(t, (uint32_t)at_us);
	add32(t, (uint32_t)n);
	add32(t, (uint32_t)(head_n + e->bytes));
	pb_text_add(t, pb_str(head, head_n));
	pb_text_add(t, e->text);
	pad(t, n);
	if (comment.n) {
		add16(t, OPT_COMMENT);
		add16(t, (uint16_t)comment.n);
		pb_text_add(t, comment);
		pad(t, comment.n);
		add32(t, 0); /* end of options */
	}
	add32(t, (uint32_t)length);
}
