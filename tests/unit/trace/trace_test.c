/* trace: pcapng octet by octet, filters, the ladder. */
#include "../../support/test.h"

#include <errno.h>
#include <stdlib.h>

#include "trace/filter.h"
#include "trace/ladder.h"
#include "trace/pcapng.h"

static struct pb_flight_event packet(bool out, const char *local, const char *peer, const char *text)
{
	struct pb_flight_event e = { .kind = PB_FLIGHT_PACKET, .out = out, .text = pb_str_z(text) };

	e.bytes = (uint32_t)e.text.n;
	CU_ASSERT_EQUAL(pb_addr_parse(pb_str_z(local), 5060, &e.local), 0);
	CU_ASSERT_EQUAL(pb_addr_parse(pb_str_z(peer), 5061, &e.peer), 0);
	return e;
}

/* ---- pcapng -------------------------------------------------------------------------------- */

static void octets(void)
{
	static const unsigned char want[] = {
		/* section header */
		0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 28, 0, 0, 0,
		/* interface: raw IP */
		1, 0, 0, 0, 20, 0, 0, 0, 101, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0,
		/* packet: 31 octets of it, time 0x1_00000002 */
		6, 0, 0, 0, 76, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 31, 0, 0, 0, 31, 0, 0, 0,
		0x45, 0, 0, 31, 0, 0, 0, 0, 64, 17, 0xf6, 0xca, 192, 0, 2, 1, 192, 0, 2, 2,
		0x13, 0xc4, 0x13, 0xc5, 0, 11, 0, 0, 'a', 'b', 'c', 0,
		/* comment and end of options */
		1, 0, 2, 0, 'h', 'i', 0, 0, 0, 0, 0, 0, 76, 0, 0, 0,
	};
	struct pb_flight_event e = packet(true, "192.0.2.1", "192.0.2.2", "abc");
	struct pb_text t;

	pb_text_init(&t, 4096);
	trace_pcapng_begin(&t);
	trace_pcapng_packet(&t, 0x100000002ull, &e, PB_STR("hi"));
	CU_ASSERT_EQUAL(t.n, sizeof(want));
	for (size_t i = 0; i < t.n && i < sizeof(want); i++)
		CU_ASSERT_EQUAL((unsigned char)t.p[i], want[i]);
	pb_text_fini(&t);
}

static uint32_t u32(const char *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return v;
}

/* Blocks of every size can be walked; a cut packet tells its whole length. */
static void blocks(void)
{
	char text[64];
	struct pb_text t;

	memset(text, 'x', sizeof(text));
	for (size_t n = 0; n < 40; n++) {
		struct pb_flight_event e = packet(false, "2001:db8::1", "2001:db8::2", "");
		size_t at = 0;

		e.text = pb_str(text, n);
		e.bytes = (uint32_t)n + 7;
		pb_text_init(&t, 4096);
		trace_pcapng_begin(&t);
		trace_pcapng_packet(&t, 1, &e, pb_str(text, n % 9));
		trace_pcapng_packet(&t, 2, &e, PB_STR_NULL);
		for (unsigned i = 0; i < 4; i++) {
			uint32_t size = u32(t.p + at + 4);

			CU_ASSERT_FATAL(size % 4 == 0 && size <= t.n - at);
			CU_ASSERT_EQUAL(u32(t.p + at + size - 4), size);
			if (i > 1) {
				CU_ASSERT_EQUAL(u32(t.p + at + 20), 48 + n);
				CU_ASSERT_EQUAL(u32(t.p + at + 24), 48 + n + 7);
			}
			at += size;
		}
		CU_ASSERT_EQUAL(at, t.n);
		pb_text_fini(&t);
	}
}

/* ---- Filters ---------------------------------------------------------------------------------- */

#define CALL "INVITE sip:200@h SIP/2.0\r\nFrom: \"A\" <sip:100@h>;tag=1\r\nt: <sip:200@h>\r\nX: sip:300@h\r\n\r\nbody"

static const struct {
	const char *words, *peer;
	int err;
	bool takes;
} rows[] = {
	{ "ip 192.0.2.7", "192.0.2.7", 0, true },
	{ "ip 192.0.2.7", "192.0.2.8", 0, false },
	{ "ip 192.0.2.0/24", "192.0.2.8", 0, true },
	{ "ip 192.0.2.0/29", "192.0.2.8", 0, false },
	{ "ip 10.0.0.1,192.0.2.8/31", "192.0.2.9", 0, true },
	{ "ip 0.0.0.0/0", "192.0.2.9", 0, true },
	{ "ip 0.0.0.0/0", "2001:db8::1", 0, false },
	{ "ip 2001:db8::/33", "2001:db8::1", 0, true },
	{ "ip 2001:db8::/33", "2001:db8:8000::1", 0, false },
	{ "ip 192.0.2.7/33", "192.0.2.7", -EINVAL, false },
	{ "ip", "192.0.2.7", -EINVAL, false },
	{ "ip x", "192.0.2.7", -EINVAL, false },
	{ "nonsense", "192.0.2.7", -EINVAL, false },
	{ "user 100", "192.0.2.7", 0, true },
	{ "user 200", "192.0.2.7", 0, true },
	{ "user 300", "192.0.2.7", 0, false },
	{ "user 10", "192.0.2.7", 0, false },
	{ "user 00", "192.0.2.7", 0, false },
	{ "regex 3[0]+@h", "192.0.2.7", 0, true },
	{ "regex nowhere", "192.0.2.7", 0, false },
	{ "regex (", "192.0.2.7", -EINVAL, false },
	{ "at 198.51.100.1", "192.0.2.7", 0, true },
	{ "at 198.51.100.1:5060 user 100 ip 192.0.2.7", "192.0.2.7", 0, true },
	{ "at 198.51.100.1:5061", "192.0.2.7", 0, false },
	{ "at 198.51.100.2", "192.0.2.7", 0, false },
	{ "at 198.51.100.1:x", "192.0.2.7", -EINVAL, false },
	{ "user 100 regex nowhere", "192.0.2.7", 0, false },
	{ "", "192.0.2.7", 0, true },
};

static void filters(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pb_flight_event e = packet(false, "198.51.100.1", rows[i].peer, CALL);
		struct trace_filter *f;
		struct pb_text why;

		pb_text_init(&why, 4096);
		CU_ASSERT_EQUAL(trace_filter_new(pb_str_z(rows[i].words), &why, &f), rows[i].err);
		CU_ASSERT_EQUAL(why.n > 0, rows[i].err != 0);
		if (f && trace_filter_takes(f, &e) != rows[i].takes) {
			printf("     %s: %s\n", rows[i].words, rows[i].peer);
			CU_FAIL("filter");
		}
		trace_filter_free(&f);
		pb_text_fini(&why);
	}
}

static void filter_alloc(void)
{
	struct trace_filter *f;
	struct pb_text why;
	char buf[256];

	pb_text_init_buf(&why, buf, sizeof(buf));
	trace_filter_new(PB_STR("user 100 ip 192.0.2.1 regex ab*c"), &why, &f);
	trace_filter_free(&f);
}

static void filters_without_memory(void)
{
	pb_test_each_alloc(filter_alloc);
}

/* ---- Ladder -------------------------------------------------------------------------------------- */

static void ladder(void)
{
	struct pb_flight_event in = packet(false, "198.51.100.1", "192.0.2.7", CALL);
	struct pb_flight_event out = packet(true, "198.51.100.1", "192.0.2.8", "SIP/2.0 200 \x1b[31mOK\r\n\r\n");
	struct pb_flight_event bus = { .kind = PB_FLIGHT_DONE, .no = 3, .verdict = PB_HANDLED, .at_us = 2000001,
				       .took_us = 12, .text = PB_STR_INIT("sip/x") };
	struct pb_flight_info f = { .what = PB_STR_INIT("INVITE"), .caller = PB_STR_INIT("100"), .failed = true,
				    .ended = true, .cause = PB_STR_INIT("486 busy") };
	struct trace_ladder l = { 0 };
	struct pb_text t;

	pb_text_init(&t, 65536);
	l.to = &t;
	trace_ladder_meet(&l, &in);
	trace_ladder_meet(&l, &out);
	trace_ladder_meet(&l, &in);
	CU_ASSERT_EQUAL(l.peer_count, 2);
	trace_ladder_begin(&l, &f);
	t.n = 0;
	trace_ladder_event(&l, &in);
	trace_ladder_event(&l, &out);
	trace_ladder_event(&l, &bus);
	PB_SAME(pb_text_str(&t),
		"  +0.000000              |--INVITE sip:200@h---->|                       |\r\n"
		"  +0.000000              |                       |--200 \\x1B[31mOK--------->|\r\n"
		"  +2.000001              |                       * #3 handled 'sip/x', 12 us\r\n");
	pb_text_fini(&t);
}

/* More peers than lanes: the last one takes them. */
static void many_peers(void)
{
	struct trace_ladder l = { 0 };
	char ip[32];
	struct pb_text t;

	pb_text_init(&t, 65536);
	l.to = &t;
	for (unsigned i = 0; i < 20; i++) {
		struct pb_flight_event e;

		snprintf(ip, sizeof(ip), "192.0.2.%u", i + 1);
		e = packet(i % 2, "198.51.100.1", ip, CALL);
		trace_ladder_meet(&l, &e);
		trace_ladder_event(&l, &e);
	}
	CU_ASSERT_EQUAL(l.peer_count, TRACE_PEERS_MAX);
	CU_ASSERT(!pb_text_failed(&t));
	pb_text_fini(&t);
}

PB_TESTS("trace", { "pcapng, octet by octet", octets }, { "pcapng blocks", blocks }, { "filters", filters },
	 { "filters without memory", filters_without_memory }, { "ladder", ladder }, { "many peers", many_peers })
