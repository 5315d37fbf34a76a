/* engine/loop: names in the simulated world: both steps, the cache and its
 * bounds, order of SRV records, what is given up. */
#include "../../support/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/text.h"
#include "loop/dns.h"
#include "loop/world.h"

/* ---- One loop, and what it was answered -------------------------------------- */

static struct {
	struct pb_sim *sim;
	struct pb_loops *loops;
	struct pb_loop *loop;
} net;

struct asker {
	struct pb_dns_args args;
	struct pb_dns_query *query;
	unsigned answers;
	int err;
	size_t n;
	struct pb_addr to[PB_DNS_ADDRS_MAX];
	bool cancel;
	struct pb_dns_query **cancels; /* when answered */
};

static bool net_up(uint64_t seed)
{
	memset(&net, 0, sizeof(net));
	if (pb_sim_new(seed, &net.sim) < 0)
		return false;
	if (pb_loops_new(&(struct pb_loops_args){ .calls = 1, .world = pb_sim_world(net.sim) },
			 &net.loops) < 0)
		return false;
	net.loop = pb_loops_at(net.loops, 0);
	return pb_dns_setup(net.loops, NULL) == 0 && pb_loops_start(net.loops) == 0;
}

static void net_down(void)
{
	pb_loops_free(&net.loops);
	pb_sim_free(&net.sim);
}

static void begin(void)
{
	CU_ASSERT_TRUE_FATAL(net_up(3));
}

static void has(const char *name, const char *type, unsigned ttl_s, const char *data)
{
	CU_ASSERT_EQUAL(pb_sim_dns_add(net.sim, name, type, ttl_s, data), 0);
}

static void answered(void *arg, int err, const struct pb_addr *to, size_t n)
{
	struct asker *a = arg;

	CU_ASSERT_PTR_NULL(a->query);
	a->answers++;
	a->err = err;
	a->n = n;
	for (size_t i = 0; i < n; i++)
		a->to[i] = to[i];
	if (a->cancels)
		pb_dns_cancel(a->cancels);
}

static struct asker asker(const char *host, uint16_t port)
{
	return (struct asker){ .args = { .host = pb_str_z(host),
					 .port = port,
					 .service = "_sip._udp",
					 .usual_port = 5060,
					 .families = PB_DNS_V4 | PB_DNS_V6,
					 .fn = answered } };
}

static void do_ask(void *arg)
{
	struct asker *a = arg;

	a->args.arg = a;
	pb_dns_ask(net.loop, &a->args, &a->query);
	if (a->cancel)
		pb_dns_cancel(&a->query);
}

static void ask(struct asker *a)
{
	pb_loop_call(net.loop, do_ask, a);
}

static void nothing(void *arg)
{
}

static void start_pause(void *arg)
{
	static struct pb_timer pause;

	pb_timer_init(&pause, nothing, NULL);
	pb_timer_start(net.loop, &pause, *(uint64_t *)arg);
}

/** Time passes, also when there is nothing to do. */
static void run(uint64_t ms)
{
	pb_loop_call(net.loop, start_pause, &ms);
	pb_sim_run(net.sim, ms + 1, NULL, NULL);
}

static struct asker asked(const char *host, uint16_t port)
{
	static struct asker a;

	a = asker(host, port);
	ask(&a);
	run(100);
	CU_ASSERT_EQUAL(a.answers, 1);
	return a;
}

static struct pb_dns_counts counts(void)
{
	struct pb_dns_counts c;

	pb_dns_count(net.loop, &c);
	return c;
}

/** All addresses, with blanks between. */
static struct pb_str text_of(const struct asker *a)
{
	static char buf[1000];
	char one[PB_ADDR_TEXT];
	struct pb_text t;

	pb_text_init_buf(&t, buf, sizeof(buf));
	for (size_t i = 0; i < a->n; i++) {
		if (i)
			pb_text_addc(&t, ' ');
		pb_text_add(&t, pb_addr_print(&a->to[i], one));
	}
	return pb_text_str(&t);
}

/* ---- Answers ------------------------------------------------------------------- */

static void without_servers(void)
{
	static const struct {
		const char *host;
		uint16_t port;
		int err;
		const char *to;
	} rows[] = {
		{ "192.0.2.1", 0, 0, "192.0.2.1:5060" },
		{ "192.0.2.1", 5070, 0, "192.0.2.1:5070" },
		{ "[2001:db8::1]", 0, 0, "[2001:db8::1]:5060" },
		{ "2001:db8::1", 1, 0, "[2001:db8::1]:1" },
		{ "localhost", 0, 0, "127.0.0.1:5060 [::1]:5060" },
		{ "LocalHost.", 7, 0, "127.0.0.1:7 [::1]:7" },
		{ "a.localhost", 0, 0, "127.0.0.1:5060 [::1]:5060" },
		{ "", 0, -EINVAL, "" },
		{ ".", 0, -EINVAL, "" },
		{ "a..b", 0, -EINVAL, "" },
		{ ".a", 0, -EINVAL, "" },
		{ "a b", 0, -EINVAL, "" },
		{ "a\xc3\xa4", 0, -EINVAL, "" },
		{ "192.0.2", 0, -EINVAL, "" },
		{ "256.0.2.1", 0, -EINVAL, "" },
		{ "a.1", 0, -EINVAL, "" },
		{ "a123456789012345678901234567890123456789012345678901234567890123.b", 0, -EINVAL,
		  "" },
	};

	begin();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct asker a = asker(rows[i].host, rows[i].port);

		ask(&a);
		CU_ASSERT_EQUAL(a.answers, 1); /* at once */
		CU_ASSERT_EQUAL(a.err, rows[i].err);
		PB_SAME(text_of(&a), rows[i].to);
	}
	CU_ASSERT_EQUAL(counts().asked, 0);
	net_down();
}

static void longest_names(void)
{
	char name[256];
	struct asker a;

	begin();
	for (int i = 0; i < 255; i++)
		name[i] = i % 50 == 49 ? '.' : 'a';
	name[254] = '\0';
	CU_ASSERT_EQUAL(asked(name, 0).err, -EINVAL);
	name[253] = '\0';
	has(name, "A", 60, "192.0.2.1");
	a = asked(name, 0); /* with the service it would be too long: that is left out */
	CU_ASSERT_EQUAL(a.err, 0);
	CU_ASSERT_EQUAL(counts().asked, 2);
	net_down();
}

static void addresses(void)
{
	struct asker a;

	begin();
	has("host.test", "AAAA", 60, "2001:db8::1");
	has("host.test", "A", 60, "192.0.2.1");
	has("host.test", "A", 60, "192.0.2.2");
	has("six.test", "AAAA", 60, "2001:db8::6");
	a = asked("Host.Test.", 5070);
	PB_SAME(text_of(&a), "192.0.2.1:5070 192.0.2.2:5070 [2001:db8::1]:5070");
	a = asked("host.test", 0); /* no SRV records */
	PB_SAME(text_of(&a), "192.0.2.1:5060 192.0.2.2:5060 [2001:db8::1]:5060");
	a = asked("six.test", 0);
	PB_SAME(text_of(&a), "[2001:db8::6]:5060");
	a = asked("none.test", 0);
	CU_ASSERT_EQUAL(a.err, -ENOENT);
	a = asker("six.test", 0);
	a.args.families = PB_DNS_V4;
	ask(&a);
	run(1000);
	CU_ASSERT_EQUAL(a.err, -ENOENT);
	net_down();
}

static void without_setup(void)
{
	struct asker a = asker("host.test", 0), b = asker("192.0.2.1", 0);

	CU_ASSERT_EQUAL_FATAL(pb_sim_new(1, &net.sim), 0);
	CU_ASSERT_EQUAL_FATAL(
		pb_loops_new(&(struct pb_loops_args){ .calls = 1, .world = pb_sim_world(net.sim) },
			     &net.loops),
		0);
	net.loop = pb_loops_at(net.loops, 0);
	ask(&a);
	CU_ASSERT_EQUAL(a.err, -ENOTSUP);
	ask(&b);
	CU_ASSERT_EQUAL(b.err, 0);
	net_down();
}

/* ---- The cache ------------------------------------------------------------------- */

static struct asker at_port(const char *host)
{
	struct asker a = asker(host, 5060);

	a.args.families = PB_DNS_V4;
	return a;
}

static void time_to_live(void)
{
	struct asker a = at_port("host.test"), b = a, c = a;

	begin();
	has("host.test", "A", 30, "192.0.2.1");
	ask(&a);
	CU_ASSERT_EQUAL(a.answers, 0);
	run(29000);
	pb_sim_dns_clear(net.sim);
	has("host.test", "A", 30, "192.0.2.2");
	ask(&b);
	CU_ASSERT_EQUAL(b.answers, 1); /* known */
	PB_SAME(text_of(&b), "192.0.2.1:5060");
	run(2000);
	ask(&c);
	CU_ASSERT_EQUAL(c.answers, 0);
	run(1000);
	PB_SAME(text_of(&c), "192.0.2.2:5060");
	CU_ASSERT_EQUAL(counts().asked, 2);
	CU_ASSERT_EQUAL(counts().entries, 1);
	net_down();
}

static void ttl_bounds(void)
{
	struct asker a = at_port("zero.test"), b = a, c = at_port("long.test"), d = c;

	begin();
	has("zero.test", "A", 0, "192.0.2.1");
	has("long.test", "A", 2000000000, "192.0.2.1");
	ask(&a);
	ask(&c);
	run(10);
	ask(&b);
	CU_ASSERT_EQUAL(b.answers, 0); /* for one answer only */
	run(3590000);
	CU_ASSERT_EQUAL(counts().asked, 3);
	run(20000);
	ask(&d);
	CU_ASSERT_EQUAL(d.answers, 0); /* an hour at most */
	run(1000);
	net_down();
}

static void negative(void)
{
	struct asker a = at_port("late.test"), b = a, c = a;

	begin();
	ask(&a);
	run(59000);
	CU_ASSERT_EQUAL(a.err, -ENOENT);
	has("late.test", "A", 30, "192.0.2.1");
	ask(&b);
	CU_ASSERT_EQUAL(b.err, -ENOENT);
	run(2000);
	ask(&c);
	run(10);
	CU_ASSERT_EQUAL(c.err, 0);
	CU_ASSERT_EQUAL(counts().failed, 0);
	net_down();
}

static void silent(void)
{
	struct asker a = asker("host.test", 0), b = a, c = a;

	begin();
	has("host.test", "A", 30, "192.0.2.1");
	pb_sim_dns_set(net.sim, &(struct pb_sim_dns){ .silent = true });
	ask(&a);
	run(4990);
	CU_ASSERT_EQUAL(a.answers, 0);
	run(20);
	CU_ASSERT_EQUAL(a.answers, 1);
	CU_ASSERT_EQUAL(a.err, -ETIMEDOUT);
	CU_ASSERT_EQUAL(counts().asked, 3); /* also the addresses were tried */
	pb_sim_dns_set(net.sim, &(struct pb_sim_dns){ .delay_ms = 5 });
	ask(&b);
	run(100);
	CU_ASSERT_EQUAL(b.err, -ETIMEDOUT); /* remembered for a moment */
	run(2000);
	ask(&c);
	run(100);
	CU_ASSERT_EQUAL(c.err, 0);
	net_down();
}

static void coalesced(void)
{
	struct asker a[10];

	begin();
	has("host.test", "A", 30, "192.0.2.1");
	for (size_t i = 0; i < 10; i++) {
		a[i] = asker(i & 1 ? "host.test" : "HOST.test", 0);
		ask(&a[i]);
	}
	run(100);
	for (size_t i = 0; i < 10; i++)
		CU_ASSERT(a[i].answers == 1 && a[i].err == 0);
	CU_ASSERT_EQUAL(counts().asked, 3); /* SRV, A, AAAA */
	CU_ASSERT_EQUAL(counts().hits, 27);
	net_down();
}

static void cancelled(void)
{
	struct asker a = at_port("host.test"), b = a, c = a, d = a;

	begin();
	has("host.test", "A", 30, "192.0.2.1");
	a.cancel = true;
	ask(&a); /* in the same turn */
	ask(&b);
	ask(&c);
	b.cancels = &c.query; /* told first, it gives up the other */
	run(100);
	CU_ASSERT_EQUAL(a.answers, 0);
	CU_ASSERT_EQUAL(b.answers, 1);
	CU_ASSERT_EQUAL(c.answers, 0);
	CU_ASSERT_PTR_NULL(c.query);
	ask(&d); /* the answer was kept */
	CU_ASSERT_EQUAL(d.answers, 1);
	CU_ASSERT_EQUAL(pb_loop_timers(net.loop), 0);
	net_down();
}

static void dropped_with_the_loops(void)
{
	struct asker a = asker("host.test", 0), b = asker("other.test", 5060);

	begin();
	ask(&a);
	ask(&b);
	CU_ASSERT_PTR_NOT_NULL(a.query);
	net_down();
	CU_ASSERT(a.answers == 0 && b.answers == 0);
	CU_ASSERT_PTR_NULL(a.query);
}

/* ---- Bounds ----------------------------------------------------------------------- */

#define MANY 5000

static void bounded(void)
{
	static struct asker a[MANY];
	static char names[MANY][16];
	struct asker late;

	begin();
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(names[i], sizeof(names[i]), "n%u.test", i);
		a[i] = at_port(names[i]);
		ask(&a[i]);
		if (i == 1000) { /* 512 may be out at once */
			CU_ASSERT_EQUAL(counts().out, 512);
			CU_ASSERT_EQUAL(a[i].err, -EAGAIN);
			run(100);
		}
		if (i > 1000 && i % 400 == 0)
			run(100);
	}
	run(100);
	CU_ASSERT_EQUAL(counts().out, 0);
	CU_ASSERT_EQUAL(counts().entries, 4096);
	CU_ASSERT_EQUAL(counts().refused, 1001 - 512);
	late = at_port(names[MANY - 1]);
	ask(&late);
	CU_ASSERT_EQUAL(late.answers, 1); /* the newest stay */
	late = at_port(names[0]);
	ask(&late);
	CU_ASSERT_EQUAL(late.answers, 0);
	run(100);
	net_down();
}

/* ---- SRV ---------------------------------------------------------------------------- */

static void services(void)
{
	struct asker a;

	begin();
	has("_sip._udp.site.test", "SRV", 60, "20 0 5080 back.test");
	has("_sip._udp.site.test", "SRV", 60, "10 0 5070 front.test.");
	has("_sip._udp.site.test", "SRV", 60, "30 0 5090 gone.test");
	has("front.test", "A", 60, "192.0.2.1");
	has("back.test", "A", 60, "192.0.2.2");
	has("back.test", "AAAA", 60, "2001:db8::2");
	has("site.test", "A", 60, "192.0.2.9");
	a = asked("site.test", 0);
	PB_SAME(text_of(&a), "192.0.2.1:5070 192.0.2.2:5080 [2001:db8::2]:5080");
	a = asked("site.test", 5060); /* a port asks for the host alone */
	PB_SAME(text_of(&a), "192.0.2.9:5060");
	has("_sip._udp.not.test", "SRV", 60, "0 0 0 .");
	has("not.test", "A", 60, "192.0.2.9");
	a = asked("not.test", 0); /* decidedly no such service here */
	CU_ASSERT_EQUAL(a.err, -ENOENT);
	has("_sip._udp.dead.test", "SRV", 60, "0 0 5060 gone.test");
	CU_ASSERT_EQUAL(asked("dead.test", 0).err, -ENOENT);
	net_down();
}

static void weights(void)
{
	unsigned first[3] = { 0 };

	begin();
	has("_sip._udp.site.test", "SRV", 3600, "10 60 1 a.test");
	has("_sip._udp.site.test", "SRV", 3600, "10 30 2 a.test");
	has("_sip._udp.site.test", "SRV", 3600, "10 0 3 a.test");
	has("_sip._udp.site.test", "SRV", 3600, "11 1000 4 a.test");
	has("a.test", "A", 3600, "192.0.2.1");
	for (int i = 0; i < 1000; i++) {
		struct asker a = asked("site.test", 0);
		unsigned ports = 0;

		CU_ASSERT_EQUAL_FATAL(a.n, 4);
		for (int k = 0; k < 4; k++)
			ports |= 1u << pb_addr_port(&a.to[k]);
		CU_ASSERT_EQUAL(ports, 0x1e); /* each once */
		CU_ASSERT_EQUAL(pb_addr_port(&a.to[3]), 4);
		first[pb_addr_port(&a.to[0]) - 1]++;
	}
	CU_ASSERT(first[0] > 580 && first[0] < 740);
	CU_ASSERT(first[1] > 260 && first[1] < 410);
	CU_ASSERT(first[2] < 40);
	net_down();
}

static void many_targets(void)
{
	char data[40];
	struct asker a;

	begin();
	for (int i = 0; i < 20; i++) {
		snprintf(data, sizeof(data), "%d 0 5060 t%d.test", i, i);
		has("_sip._udp.site.test", "SRV", 60, data);
		snprintf(data, sizeof(data), "t%d.test", i);
		has(data, "A", 60, "192.0.2.1");
		has(data, "A", 60, "192.0.2.2");
		has(data, "A", 60, "192.0.2.3");
	}
	a = asked("site.test", 0);
	CU_ASSERT_EQUAL(a.n, PB_DNS_ADDRS_MAX);
	CU_ASSERT_EQUAL(counts().asked, 1 + 2 * 8);
	net_down();
}

/* ---- Memory, words --------------------------------------------------------------------- */

static void little_memory(void)
{
	struct asker a = asker("site.test", 0);

	if (net_up(3)) {
		pb_sim_dns_add(net.sim, "_sip._udp.site.test", "SRV", 60, "20 0 5080 back.test");
		pb_sim_dns_add(net.sim, "back.test", "A", 60, "192.0.2.2");
		ask(&a);
		run(10000);
		CU_ASSERT_EQUAL(a.answers, 1);
		CU_ASSERT(a.err ? !a.n : a.n == 1);
	}
	net_down();
}

static void each_without_memory(void)
{
	pb_test_each_alloc(little_memory);
}

static void server_lists(void)
{
	static const struct {
		const char *text;
		int err;
	} rows[] = {
		{ "127.0.0.1", 0 },
		{ "127.0.0.1:5353", 0 },
		{ " 127.0.0.1 , ::1 ", 0 },
		{ "[2001:db8::1]:53,2001:db8::2", 0 },
		{ "[2001:db8::1]", 0 },
		{ "", -EINVAL },
		{ "127.0.0.1,", -EINVAL },
		{ "name.test", -EINVAL },
		{ "127.0.0.1:0", -EINVAL },
		{ "127.0.0.1:x", -EINVAL },
		{ "127.0.0.1:65536", -EINVAL },
		{ "[::1", -EINVAL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CU_ASSERT_EQUAL(pb_dns_check_servers(pb_str_z(rows[i].text)), rows[i].err);
	}
}

PB_TESTS("loop/dns", { "without servers", without_servers }, { "longest names", longest_names },
	 { "addresses", addresses }, { "without setup", without_setup },
	 { "time to live", time_to_live }, { "bounds of the time to live", ttl_bounds },
	 { "negative answers", negative }, { "silent servers", silent },
	 { "equal questions are one", coalesced }, { "cancelled", cancelled },
	 { "dropped with the loops", dropped_with_the_loops }, { "bounded", bounded },
	 { "services", services }, { "weights", weights }, { "many targets", many_targets },
	 { "each without memory", each_without_memory }, { "lists of servers", server_lists })
