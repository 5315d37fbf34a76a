/*
 * IP addresses with a port: one value type for IPv4 and IPv6.
 *
 * No names: DNS answers give addresses, nothing here resolves.
 */
#ifndef PB_LOOP_ADDR_H
#define PB_LOOP_ADDR_H

#include <netinet/in.h>

#include "base/str.h"

struct pb_addr {
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	};
};

/** Longest text of pb_addr_print, NUL included: "[%s%%iface]:65535". */
#define PB_ADDR_TEXT 80

/**
 * From an IP literal ("192.0.2.1", "2001:db8::1", "[2001:db8::1]") and a port
 * in host order. @return 0 or -EINVAL.
 */
int pb_addr_parse(struct pb_str ip, uint16_t port, struct pb_addr *out);
/** "ip:port", IPv6 in brackets, into `buf`; the slice views `buf`. */
struct pb_str pb_addr_print(const struct pb_addr *a, char buf[PB_ADDR_TEXT]);
/** The address alone, IPv6 without brackets. */
struct pb_str pb_addr_print_ip(const struct pb_addr *a, char buf[PB_ADDR_TEXT]);

uint16_t pb_addr_port(const struct pb_addr *a);
void pb_addr_set_port(struct pb_addr *a, uint16_t port);
bool pb_addr_is_v6(const struct pb_addr *a);
/** Address and port equal. */
bool pb_addr_eq(const struct pb_addr *a, const struct pb_addr *b);
/** Address equal, whatever the port. */
bool pb_addr_eq_ip(const struct pb_addr *a, const struct pb_addr *b);
/** 0.0.0.0 or :: */
bool pb_addr_is_any(const struct pb_addr *a);
/** 127/8, ::1 */
bool pb_addr_is_loopback(const struct pb_addr *a);
/** 10/8, 172.16/12, 192.168/16, 169.254/16; fc00::/7, fe80::/10 */
bool pb_addr_is_private(const struct pb_addr *a);
/** Size for bind, connect, sendmsg. */
socklen_t pb_addr_len(const struct pb_addr *a);
/** Keyed hash of address and port. */
uint64_t pb_addr_hash(const struct pb_addr *a);

#endif
