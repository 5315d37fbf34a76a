/* modules/heartbeat: a packet byte for byte; signatures computed by other programs. */
#include "../../support/test.h"

#include "heartbeat/packet.h"

static char buf[1024];

static struct pb_str packet(struct heartbeat_say say)
{
	struct pb_text t;

	pb_text_init_buf(&t, buf, sizeof(buf));
	CU_ASSERT_EQUAL(heartbeat_packet(&t, &say), 0);
	CU_ASSERT_FALSE(pb_text_failed(&t));
	CU_ASSERT_EQUAL(t.p[t.n - 1], '\0');
	return pb_str_head(pb_text_str(&t), t.n - 1);
}

static const struct heartbeat_say first = { .status = "up", .node = PB_STR_INIT("here"), .seq = 1,
					    .generation = 0x65000000, .time_s = 0x65000001, .ttl = 2 };

#define LINES "t=status\nst=up\nsrc=here\nseq=1\nhg=65000000\nts=65000001\nld=n/a\nttl=2\n"

static void unsigned_one(void)
{
	PB_SAME(packet(first), ">>>\n" LINES "<<<\n");
}

/* printf LINES | openssl dgst -md5 -hmac between, and so on; cksum's table for crc. */
static void signed_ones(void)
{
	struct heartbeat_say say = first;

	say.index = 3;
	say.key = PB_STR("between");
	say.auth = HEARTBEAT_MD5;
	PB_SAME(packet(say), ">>>\n" LINES "auth=3 1e2eea0c20d5c09ce7bb3ab5b6fae8e6\n<<<\n");
	say.auth = HEARTBEAT_SHA1;
	PB_SAME(packet(say), ">>>\n" LINES "auth=3 388023fc0f28b4ecc5b599dbced1e326c47f1c85\n<<<\n");
	say.auth = HEARTBEAT_CRC;
	PB_SAME(packet(say), ">>>\n" LINES "auth=3 2a4524ec\n<<<\n");
}

/* cksum appends the length in octets, lowest first: with it the sums are the same. */
static void crc(void)
{
	CU_ASSERT_EQUAL(heartbeat_crc(PB_STR("123456789\x09")), 930766865u);
	CU_ASSERT_EQUAL(heartbeat_crc(PB_STR("")), 0xffffffffu);
}

PB_TESTS("heartbeat/packet", { "unsigned_one", unsigned_one }, { "signed_ones", signed_ones }, { "crc", crc })
