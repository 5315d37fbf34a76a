/* engine/loop: addresses, and datagrams through the kernel on the loopback. With
 * the argument `measure` it prints what a datagram costs. */
#include "../../support/test.h"

#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "loop/world.h"

static struct pb_addr addr(const char *ip, uint16_t port)
{
	struct pb_addr a;

	if (pb_addr_parse(pb_str_z(ip), port, &a) < 0)
		abort();
	return a;
}

/* ---- Addresses ----------------------------------------------------------------- */

static void addresses(void)
{
	static const struct {
		const char *text, *ip, *whole; /* NULL: refused */
		bool any, loopback;
	} rows[] = {
		{ "192.0.2.1", "192.0.2.1", "192.0.2.1:5060" },
		{ "2001:DB8:0::1", "2001:db8::1", "[2001:db8::1]:5060" },
		{ "[2001:db8::1]", "2001:db8::1", "[2001:db8::1]:5060" },
		{ "0.0.0.0", "0.0.0.0", "0.0.0.0:5060", .any = true },
		{ "::", "::", "[::]:5060", .any = true },
		{ "127.9.0.1", "127.9.0.1", "127.9.0.1:5060", .loopback = true },
		{ "::1", "::1", "[::1]:5060", .loopback = true },
		{ "fe80::1%lo", "fe80::1%lo", "[fe80::1%lo]:5060" },
		{ "fe80::1%" },
		{ "fe80::1%no-such-one" },
		{ "192.0.2.256" },
		{ "192.0.2" },
		{ "[192.0.2.1]" },
		{ "192.0.2.1 " },
		{ "localhost" },
		{ "[::1" },
		{ "" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pb_addr a;
		char buf[PB_ADDR_TEXT];
		int err = pb_addr_parse(pb_str_z(rows[i].text), 5060, &a);

		CU_ASSERT_EQUAL(err, rows[i].ip ? 0 : -EINVAL);
		if (err || !rows[i].ip)
			continue;
		PB_SAME(pb_addr_print_ip(&a, buf), rows[i].ip);
		PB_SAME(pb_addr_print(&a, buf), rows[i].whole);
		CU_ASSERT_EQUAL(pb_addr_is_any(&a), rows[i].any);
		CU_ASSERT_EQUAL(pb_addr_is_loopback(&a), rows[i].loopback);
	}
}

static void address_equality(void)
{
	struct pb_addr a = addr("192.0.2.1", 5060), b = addr("192.0.2.1", 5061);

	CU_ASSERT_TRUE(pb_addr_eq_ip(&a, &b));
	CU_ASSERT_FALSE(pb_addr_eq(&a, &b));
	CU_ASSERT(pb_addr_hash(&a) != pb_addr_hash(&b));
	pb_addr_set_port(&b, 5060);
	CU_ASSERT_TRUE(pb_addr_eq(&a, &b));
	CU_ASSERT_EQUAL(pb_addr_hash(&a), pb_addr_hash(&b));
	b = addr("::1", 5060);
	CU_ASSERT_FALSE(pb_addr_eq_ip(&a, &b));
	CU_ASSERT(pb_addr_is_v6(&b) && pb_addr_len(&b) > pb_addr_len(&a));
}

/* ---- Two sockets, one loop each ---------------------------------------------------- */

#define SENDS 1000

static struct {
	struct pb_loops *ls;
	struct pb_udp_args args[2];
	struct pb_udp *socks[2]; /* 0 sends, 1 receives and answers */
	int err[2];
	unsigned got, answered, expect, truncated;
	_Atomic unsigned wrong; /* both loops find fault */
	bool close_at_first;
	struct pb_udp_stats stats;
	sem_t end;
} wire;

static void check_bytes(const struct pb_datagram *d, unsigned number)
{
	unsigned char seen[2];

	wire.wrong += d->bytes.n < 2;
	memcpy(seen, d->bytes.p, 2);
	wire.wrong += seen[0] != number % 256 || seen[1] != number / 256;
}

static void on_request(void *arg, const struct pb_datagram *d)
{
	check_bytes(d, wire.got++);
	wire.wrong += !pb_addr_eq(&d->from, pb_udp_local(wire.socks[0]));
	wire.truncated += d->truncated;
	pb_udp_send(wire.socks[1], &d->from, pb_str_head(d->bytes, 2));
	if (wire.close_at_first)
		pb_udp_close(&wire.socks[1]);
}

static void on_answer(void *arg, const struct pb_datagram *d)
{
	check_bytes(d, wire.answered++);
	if (wire.answered == wire.expect)
		sem_post(&wire.end);
}

static void open_sock(void *arg)
{
	unsigned i = *(unsigned *)arg;

	wire.err[i] = pb_udp_open(pb_loop_current(), &wire.args[i], &wire.socks[i]);
}

static void close_sock(void *arg)
{
	unsigned i = *(unsigned *)arg;

	if (i == 0 && wire.socks[0])
		pb_udp_get_stats(wire.socks[0], &wire.stats);
	pb_udp_close(&wire.socks[i]);
}

/** Numbered ones, a batch's worth and more in one turn. */
static void send_many(void *arg)
{
	char bytes[600] = { 0 };

	for (unsigned i = 0; i < *(unsigned *)arg; i++) {
		bytes[0] = (char)(i % 256);
		bytes[1] = (char)(i / 256);
		pb_udp_send(wire.socks[0], pb_udp_local(wire.socks[1]),
			    pb_str(bytes, i % 3 ? 20 : sizeof(bytes)));
	}
}

static void each_sock(void (*fn)(void *arg))
{
	for (unsigned i = 0; i < 2; i++)
		pb_loop_call(pb_loops_at(wire.ls, i), fn, &i);
}

static void wire_up(const char *ip)
{
	struct pb_loops_args args = { .calls = 2, .world = pb_world_real() };

	memset(&wire, 0, sizeof(wire));
	sem_init(&wire.end, 0, 0);
	CU_ASSERT_EQUAL_FATAL(pb_loops_new(&args, &wire.ls), 0);
	for (unsigned i = 0; i < 2; i++)
		wire.args[i] = (struct pb_udp_args){ .local = addr(ip, 0),
						     .max_bytes = 512,
						     .buffer_bytes = 4 << 20,
						     .fn = i ? on_request : on_answer };
	each_sock(open_sock);
	CU_ASSERT_EQUAL_FATAL(wire.err[0], 0);
	CU_ASSERT_EQUAL_FATAL(wire.err[1], 0);
	CU_ASSERT_EQUAL_FATAL(pb_loops_start(wire.ls), 0);
}

static void wire_down(void)
{
	each_sock(close_sock);
	pb_loops_free(&wire.ls);
	sem_destroy(&wire.end);
	CU_ASSERT_EQUAL(wire.wrong, 0);
}

static void send_and_wait(unsigned count)
{
	wire.got = wire.answered = wire.truncated = 0;
	wire.expect = count;
	pb_loop_call(pb_loops_at(wire.ls, 0), send_many, &count);
	sem_wait(&wire.end);
}

static void batches(void)
{
	wire_up("127.0.0.1");
	/* As many at once as any receive buffer holds, often enough for all. */
	for (unsigned i = 0; i < SENDS / 100; i++) {
		send_and_wait(100);
		CU_ASSERT_EQUAL(wire.truncated, 34); /* each third: 600 > 512 */
	}
	wire_down();
	CU_ASSERT_EQUAL(wire.stats.sent, SENDS);
	CU_ASSERT_EQUAL(wire.stats.received, SENDS);
	CU_ASSERT_EQUAL(wire.stats.refused, 0);
}

static void over_v6(void)
{
	wire_up("::1");
	send_and_wait(3);
	wire_down();
}

static void closed_in_callback(void)
{
	wire_up("127.0.0.1");
	wire.close_at_first = true;
	wire.expect = 1; /* what was sent before the close leaves */
	pb_loop_call(pb_loops_at(wire.ls, 0), send_many, &(unsigned){ 1 });
	sem_wait(&wire.end);
	wire_down();
	CU_ASSERT_EQUAL(wire.got, 1);
}

/* ---- What the kernel refuses ----------------------------------------------------------- */

static void send_badly(void *arg)
{
	static const char big[200000];
	struct pb_addr nobody = *pb_udp_local(wire.socks[1]);

	pb_addr_set_port(&nobody, 9);
	for (unsigned i = 0; i < 5; i++) /* ICMP port unreachable comes back */
		pb_udp_send(wire.socks[0], &nobody, PB_STR("x"));
	pb_udp_send(wire.socks[0], pb_udp_local(wire.socks[1]), pb_str(big, 66000));
	pb_udp_send(wire.socks[0], pb_udp_local(wire.socks[1]), pb_str(big, sizeof(big)));
}

static void errors_stop_nothing(void)
{
	wire_up("127.0.0.1");
	pb_loop_call(pb_loops_at(wire.ls, 0), send_badly, NULL);
	send_and_wait(100);
	wire_down();
	CU_ASSERT_EQUAL(wire.stats.refused, 2);
	CU_ASSERT_EQUAL(wire.stats.sent, 105);
}

static void failing_open(void)
{
	unsigned zero = 0;

	memset(&wire, 0, sizeof(wire));
	if (pb_loops_new(&(struct pb_loops_args){ .calls = 1, .world = pb_world_real() },
			 &wire.ls) < 0)
		return;
	wire.args[0] = (struct pb_udp_args){ .local = addr("127.0.0.1", 0),
					     .max_bytes = 100,
					     .fn = on_answer };
	pb_loop_call(pb_loops_at(wire.ls, 0), open_sock, &zero);
	CU_ASSERT(wire.err[0] == 0 || wire.err[0] == -ENOMEM);
	pb_loop_call(pb_loops_at(wire.ls, 0), close_sock, &zero);
	pb_loops_free(&wire.ls);
}

static void open_without_memory(void)
{
	pb_test_each_alloc(failing_open);
}

/* ---- Probing, sources ------------------------------------------------------------------- */

static void probing(void)
{
	struct pb_world *w = pb_world_real();
	struct pb_addr taken, foreign = addr("192.0.2.1", 0);
	int err[2];

	wire_up("127.0.0.1");
	taken = *pb_udp_local(wire.socks[1]);
	CU_ASSERT_EQUAL(pb_udp_probe(w, &taken), -EADDRINUSE);
	CU_ASSERT_EQUAL(pb_udp_probe(w, &foreign), -EADDRNOTAVAIL);
	each_sock(close_sock);
	CU_ASSERT_EQUAL(pb_udp_probe(w, &taken), 0);

	/* One socket a loop on one address; a second engine still finds it taken. */
	wire.args[0].local = wire.args[1].local = taken;
	wire.args[0].share = wire.args[1].share = true;
	each_sock(open_sock);
	memcpy(err, wire.err, sizeof(err));
	CU_ASSERT(err[0] == 0 && err[1] == 0);
	CU_ASSERT_EQUAL(pb_udp_probe(w, &taken), -EADDRINUSE);
	wire_down();
}

static void ask_sources(void *arg)
{
	struct pb_loop *l = pb_loop_current();
	struct pb_addr from, to = addr("127.0.0.5", 5060);
	char buf[PB_ADDR_TEXT];

	for (unsigned i = 0; i < 2; i++) { /* asked, remembered */
		CU_ASSERT_EQUAL(pb_udp_source(l, &to, &from), 0);
		PB_SAME(pb_addr_print(&from, buf), "127.0.0.1:0");
	}
	to = addr("::1", 0);
	CU_ASSERT_EQUAL(pb_udp_source(l, &to, &from), 0);
	PB_SAME(pb_addr_print(&from, buf), "[::1]:0");
}

static void sources(void)
{
	struct pb_loops *ls;

	CU_ASSERT_EQUAL_FATAL(
		pb_loops_new(&(struct pb_loops_args){ .calls = 1, .world = pb_world_real() }, &ls),
		0);
	pb_loop_call(pb_loops_at(ls, 0), ask_sources, NULL);
	pb_loops_free(&ls);
}

/* ---- What it costs: one socket sending to itself, ours and bare ------------------------ */

#define BATCH  32
#define ROUNDS 20000
#define BYTES  500

static struct {
	struct pb_udp *sock;
	unsigned got;
	uint64_t began_us;
	sem_t end;
} cost;

static void say(const char *who, uint64_t us)
{
	printf("%s: %.0f ns a datagram, sent and received\n", who,
	       (double)us * 1000 / ((double)BATCH * ROUNDS));
}

static void on_own(void *arg, const struct pb_datagram *d)
{
	if (++cost.got <= BATCH * (ROUNDS - 1))
		pb_udp_send(cost.sock, &d->from, d->bytes);
	else if (cost.got == BATCH * ROUNDS)
		sem_post(&cost.end);
}

static void begin_cost(void *arg)
{
	static const char bytes[BYTES];
	struct pb_loop *l = pb_loop_current();
	struct pb_udp_args args = { .local = addr("127.0.0.1", 0),
				    .max_bytes = 65536,
				    .fn = on_own };

	cost.got = 0;
	if (pb_udp_open(l, &args, &cost.sock) < 0)
		exit(99);
	cost.began_us = pb_loop_read_us(l);
	for (unsigned i = 0; i < BATCH; i++)
		pb_udp_send(cost.sock, pb_udp_local(cost.sock), pb_str(bytes, BYTES));
}

static void end_cost(void *arg)
{
	say("patchbay", pb_loop_read_us(pb_loop_current()) - cost.began_us);
	pb_udp_close(&cost.sock);
}

/** The system calls alone. */
static void bare(void *arg)
{
	static char bytes[BATCH][BYTES];
	static struct sockaddr_in from[BATCH];
	struct mmsghdr in[BATCH] = { 0 };
	struct iovec iov[BATCH];
	struct pb_addr local = addr("127.0.0.1", 0);
	socklen_t n = sizeof(local);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	uint64_t began = pb_loop_read_us(pb_loop_current());

	if (bind(fd, &local.sa, sizeof(local.in)) < 0 || getsockname(fd, &local.sa, &n) < 0)
		exit(99);
	for (unsigned i = 0; i < BATCH; i++) {
		from[i] = local.in;
		iov[i] = (struct iovec){ bytes[i], BYTES };
		in[i].msg_hdr = (struct msghdr){ .msg_name = &from[i],
						 .msg_namelen = sizeof(from[i]),
						 .msg_iov = &iov[i],
						 .msg_iovlen = 1 };
	}
	for (unsigned i = 0; i < ROUNDS; i++) {
		if (sendmmsg(fd, in, BATCH, 0) != BATCH ||
		    recvmmsg(fd, in, BATCH, 0, NULL) != BATCH)
			exit(99);
	}
	say("bare    ", pb_loop_read_us(pb_loop_current()) - began);
	close(fd);
}

static int measure(void)
{
	struct pb_loops_args args = { .calls = 1, .world = pb_world_real() };
	struct pb_loops *ls;

	if (pb_loops_new(&args, &ls) < 0 || pb_loops_start(ls) < 0)
		return 99;
	sem_init(&cost.end, 0, 0);
	for (unsigned i = 0; i < 3; i++) {
		pb_loop_call(pb_loops_at(ls, 0), bare, NULL);
		pb_loop_call(pb_loops_at(ls, 0), begin_cost, NULL);
		sem_wait(&cost.end);
		pb_loop_call(pb_loops_at(ls, 0), end_cost, NULL);
	}
	pb_loops_free(&ls);
	return 0;
}

static void types_of_service(void)
{
	static const struct {
		const char *text;
		int want; /* -1: refused */
	} rows[] = {
		{ "0", 0 },	       { "0x10", 16 },	  { "255", 255 },   { "256", -1 },  { "", -1 },
		{ "lowdelay", 16 },    { "cs3", 0x60 },	  { "cs8", -1 },    { "af31", 0x68 }, { "af43", 0x98 },
		{ "af51", -1 },	       { "af34", -1 },	  { "expedited", 0xb8 }, { "voice", 0xb0 }, { "EF", -1 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t tos = 0;
		int err = pb_tos_parse(pb_str_z(rows[i].text), &tos);

		CU_ASSERT_EQUAL(err ? -1 : tos, rows[i].want);
	}
}

int main(int argc, char **argv)
{
	static const struct pb_test tests[] = {
		{ "addresses", addresses },
		{ "equal addresses", address_equality },
		{ "batches and truncation", batches },
		{ "IPv6", over_v6 },
		{ "closed in its callback", closed_in_callback },
		{ "errors stop nothing", errors_stop_nothing },
		{ "opening without memory", open_without_memory },
		{ "probing", probing },
		{ "source addresses", sources },
		{ "types of service", types_of_service },
		{ NULL, NULL },
	};

	if (argc > 1 && strcmp(argv[1], "measure") == 0)
		return measure();
	return pb_test_main("loop/udp", tests, 60, argc, argv);
}
