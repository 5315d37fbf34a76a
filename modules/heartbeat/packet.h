/*
 * One packet of the Linux-HA heartbeat protocol, as its daemons send it. Pure.
 */
#ifndef HEARTBEAT_PACKET_H
#define HEARTBEAT_PACKET_H

#include "base/text.h"

enum heartbeat_auth { HEARTBEAT_CRC, HEARTBEAT_MD5, HEARTBEAT_SHA1 };

struct heartbeat_say {
	const char *status; /* "up", "active", "dead" */
	struct pb_str node;
	uint32_t seq;	     /* from 1 */
	uint32_t generation; /* changes with every start */
	uint64_t time_s;     /* since 1970 */
	unsigned ttl;
	unsigned index; /* of the key; 0: no line of authentication */
	enum heartbeat_auth auth;
	struct pb_str key;
};

/** Append it, the closing NUL octet included. @return 0, -EIO (the library refuses). */
int heartbeat_packet(struct pb_text *t, const struct heartbeat_say *say);
/** POSIX cksum's polynomial, without the length. */
uint32_t heartbeat_crc(struct pb_str s);

#endif
