/*
 * Lines of NAME=VALUE between ">>>" and "<<<", in an order that receivers rely
 * on; numbers are hexadecimal, but for the ttl. What is signed are the lines
 * before the signature; md5 and sha1 are HMACs (RFC 2104).
 */
#include "heartbeat/packet.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

uint32_t heartbeat_crc(struct pb_str s)
{
	uint32_t crc = 0;

	for (size_t i = 0; i < s.n; i++) {
		crc ^= (uint32_t)(unsigned char)s.p[i] << 24;
		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc & 0x80000000u ? crc << 1 ^ 0x04c11db7u : crc << 1;
	}
	return ~crc;
}

static int add_signature(struct pb_text *t, const struct heartbeat_say *say, struct pb_str text)
{
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	pb_text_addf(t, "auth=%u ", say->index);
	if (say->auth == HEARTBEAT_CRC) {
		pb_text_addf(t, "%x\n", heartbeat_crc(text));
		return 0;
	}
	if (!HMAC(say->auth == HEARTBEAT_MD5 ? EVP_md5() : EVP_sha1(), say->key.n ? say->key.p : "", (int)say->key.n,
		  (const unsigned char *)text.p, text.n, md, &n))
		return -EIO;
	pb_text_add_hex(t, md, n);
	pb_text_addc(t, '\n');
	return 0;
}

int heartbeat_packet(struct pb_text *t, const struct heartbeat_say *say)
{
	char buf[512];
	struct pb_text lines;
	int err = 0;

	pb_text_init_buf(&lines, buf, sizeof(buf));
	pb_text_addf(&lines, "t=status\nst=%s\nsrc=%.*s\nseq=%x\nhg=%x\nts=%llx\nld=n/a\nttl=%u\n", say->status,
		     PB_STR_F(say->node), say->seq, say->generation, (unsigned long long)say->time_s, say->ttl);
	pb_text_lit(t, ">>>\n");
	pb_text_add(t, pb_text_str(&lines));
	if (say->index)
		err = add_signature(t, say, pb_text_str(&lines));
	pb_text_lit(t, "<<<\n");
	pb_text_addc(t, '\0');
	return err;
}
