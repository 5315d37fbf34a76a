/* engine/loop/netwatch: messages as the kernel writes them, whole and cut off, and the kernel itself. */
#include "scene.h"

#include <errno.h>
#include <linux/if.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>

#include "base/text.h"
#include "loop/netwatch.h"

static struct pb_sim *sim;
static struct pb_loops *loops;
static struct pb_netwatch *watch;
static struct pb_text seen; /* what it told: "+10.9.0.1@3 " */
static void (*during)(void); /* the test's body, on the loop */

static void note(void *arg, const struct pb_net_change *c)
{
	static const char signs[] = { [PB_NET_READY] = '.',	   [PB_NET_ADDR_ADDED] = '+',
				      [PB_NET_ADDR_REMOVED] = '-', [PB_NET_LINK_UP] = 'u',
				      [PB_NET_LINK_DOWN] = 'd' };
	char buf[PB_ADDR_TEXT];

	pb_text_addc(&seen, signs[c->what]);
	if (c->what == PB_NET_ADDR_ADDED || c->what == PB_NET_ADDR_REMOVED)
		pb_text_addf(&seen, "%.*s@", PB_STR_F(pb_addr_print_ip(&c->addr, buf)));
	if (c->what != PB_NET_READY)
		pb_text_addf(&seen, "%u", c->link);
	pb_text_addc(&seen, ' ');
}

static void saw(const char *want)
{
	PB_SAME(pb_text_str(&seen), want);
	pb_text_reset(&seen);
}

static void with_watch(void *arg)
{
	struct pb_netwatch_args a = { .loop = pb_loops_at(loops, 0), .fn = note };

	CU_ASSERT_EQUAL_FATAL(pb_netwatch_new(&a, &watch), 0);
	during();
	pb_netwatch_free(&watch);
}

/** In the simulated world, where nothing comes but what is fed. */
static void fed(void (*body)(void))
{
	struct pb_loops_args a = { .calls = 1, .name = "test" };

	CU_ASSERT_EQUAL_FATAL(pb_sim_new(1, &sim), 0);
	a.world = pb_sim_world(sim);
	CU_ASSERT_EQUAL_FATAL(pb_loops_new(&a, &loops), 0);
	pb_text_init(&seen, 65536);
	during = body;
	pb_loop_call(pb_loops_at(loops, 0), with_watch, NULL);
	pb_text_fini(&seen);
	pb_loops_free(&loops);
	pb_sim_free(&sim);
}

/* ---- Messages, one behind the other ------------------------------------------------------- */

static char wire[65536];
static size_t wire_n;
static uint32_t wire_seq;

static void put(const void *p, size_t n)
{
	memcpy(wire + wire_n, p, n);
	wire_n += n;
	while (wire_n % 4)
		wire[wire_n++] = 0;
}

static void message(unsigned type, const void *fixed, size_t n)
{
	struct nlmsghdr h = { .nlmsg_len = (uint32_t)(sizeof(h) + n), .nlmsg_type = (uint16_t)type, .nlmsg_seq = wire_seq };

	put(&h, sizeof(h));
	put(fixed, n);
}

static void link(unsigned type, int index, unsigned flags)
{
	struct ifinfomsg i = { .ifi_index = index, .ifi_flags = flags };

	message(type, &i, sizeof(i));
}

static void addr(unsigned type, unsigned link, const char *text, unsigned bits, unsigned flags)
{
	struct pb_addr a;
	bool v6 = !pb_addr_parse(pb_str_z(text), 0, &a) && pb_addr_is_v6(&a);
	struct {
		struct ifaddrmsg i;
		struct rtattr label;
		char name[4];
		struct rtattr head;
		char value[16];
	} m = { .i = { .ifa_family = v6 ? AF_INET6 : AF_INET,
		       .ifa_prefixlen = (uint8_t)bits,
		       .ifa_flags = (uint8_t)flags,
		       .ifa_index = link },
		.label = { RTA_LENGTH(3), IFA_LABEL },
		.name = "v0",
		.head = { RTA_LENGTH(v6 ? 16 : 4), v6 ? IFA_ADDRESS : IFA_LOCAL } };

	if (v6)
		memcpy(m.value, &a.in6.sin6_addr, 16);
	else
		memcpy(m.value, &a.in.sin_addr, 4);
	message(type, &m, sizeof(m) - (v6 ? 0 : 12));
}

static void done(void)
{
	int32_t zero = 0;

	message(NLMSG_DONE, &zero, sizeof(zero));
}

static int feed(void)
{
	/* In a block of its exact size, so that one octet too far is seen. */
	char *copy = malloc(wire_n ? wire_n : 1);
	int err;

	memcpy(copy, wire, wire_n);
	err = pb_netwatch_feed(watch, pb_str(copy, wire_n));
	free(copy);
	wire_n = 0;
	return err;
}

#define UP (IFF_UP | IFF_RUNNING)

static enum pb_net_state look(const char *ip)
{
	struct pb_addr a;

	CU_ASSERT_EQUAL(pb_addr_parse(pb_str_z(ip), 5060, &a), 0);
	return pb_netwatch_look(watch, &a);
}

/* ---- Tests ------------------------------------------------------------------------------- */

static void first_round(void)
{
	wire_seq = 1;
	link(RTM_NEWLINK, 1, UP | IFF_LOOPBACK);
	link(RTM_NEWLINK, 3, UP);
	link(RTM_NEWLINK, 4, IFF_UP); /* no cable */
	done();
	CU_ASSERT_EQUAL(feed(), 0);
	wire_seq = 2;
	addr(RTM_NEWADDR, 1, "127.0.0.1", 8, 0);
	addr(RTM_NEWADDR, 3, "10.9.0.1", 24, 0);
	addr(RTM_NEWADDR, 4, "2001:db8::1", 64, 0);
	done();
	CU_ASSERT_EQUAL(feed(), 0);
	wire_seq = 0;
}

static void learns_body(void)
{
	CU_ASSERT_EQUAL(look("127.0.0.1"), PB_NET_ABSENT);
	first_round();
	saw("u1 u3 +127.0.0.1@1 +10.9.0.1@3 +2001:db8::1@4 . ");
	CU_ASSERT_EQUAL(look("127.3.2.1"), PB_NET_SERVES); /* the network of a loopback link is ours */
	CU_ASSERT_EQUAL(look("10.9.0.1"), PB_NET_SERVES);
	CU_ASSERT_EQUAL(look("10.9.0.2"), PB_NET_ABSENT);
	CU_ASSERT_EQUAL(look("2001:db8::1"), PB_NET_IDLE);
	CU_ASSERT_EQUAL(look("2001:db8::2"), PB_NET_ABSENT);
}

static void learns(void)
{
	fed(learns_body);
}

static void changes_body(void)
{
	first_round();
	pb_text_reset(&seen);
	link(RTM_NEWLINK, 3, 0);
	link(RTM_NEWLINK, 3, 0); /* said twice, told once */
	feed();
	saw("d3 ");
	CU_ASSERT_EQUAL(look("10.9.0.1"), PB_NET_IDLE);
	addr(RTM_DELADDR, 3, "10.9.0.1", 24, 0);
	addr(RTM_DELADDR, 3, "10.9.0.1", 24, 0);
	link(RTM_NEWLINK, 3, UP);
	addr(RTM_NEWADDR, 3, "10.9.0.1", 24, 0);
	addr(RTM_NEWADDR, 3, "10.9.0.1", 24, 0);
	feed();
	saw("-10.9.0.1@3 u3 +10.9.0.1@3 ");
	CU_ASSERT_EQUAL(look("10.9.0.1"), PB_NET_SERVES);
	/* The same address on a second link: it serves while one of them does. */
	addr(RTM_NEWADDR, 1, "10.9.0.1", 32, 0);
	link(RTM_NEWLINK, 3, IFF_UP);
	addr(RTM_DELADDR, 3, "10.9.0.1", 24, 0);
	link(RTM_DELLINK, 3, 0);
	feed();
	saw("+10.9.0.1@1 d3 -10.9.0.1@3 ");
	CU_ASSERT_EQUAL(look("10.9.0.1"), PB_NET_SERVES);
}

static void changes(void)
{
	fed(changes_body);
}

static void tentative_body(void)
{
	first_round();
	pb_text_reset(&seen);
	addr(RTM_NEWADDR, 3, "2001:db8::5", 64, IFA_F_TENTATIVE);
	feed();
	saw("");
	addr(RTM_NEWADDR, 3, "2001:db8::5", 64, 0);
	addr(RTM_NEWADDR, 3, "2001:db8::5", 64, IFA_F_DADFAILED);
	feed();
	saw("+2001:db8::5@3 -2001:db8::5@3 ");
}

/* An IPv6 address that is not yet known to be nobody else's. */
static void tentative(void)
{
	fed(tentative_body);
}

static void missed_body(void)
{
	first_round();
	pb_text_reset(&seen);
	pb_netwatch_again(watch);
	wire_seq = 3;
	link(RTM_NEWLINK, 1, UP | IFF_LOOPBACK);
	link(RTM_NEWLINK, 3, UP);
	done();
	feed();
	wire_seq = 4;
	addr(RTM_NEWADDR, 1, "127.0.0.1", 8, 0);
	addr(RTM_NEWADDR, 3, "10.9.0.7", 24, 0);
	wire_seq = 3;
	done(); /* an old one */
	feed();
	saw("+10.9.0.7@3 ");
	wire_seq = 4;
	done();
	feed();
	CU_ASSERT_EQUAL(look("10.9.0.1"), PB_NET_ABSENT);
	CU_ASSERT_EQUAL(look("2001:db8::1"), PB_NET_ABSENT);
	CU_ASSERT_EQUAL(look("10.9.0.7"), PB_NET_SERVES);
	CU_ASSERT(pb_str_find(pb_text_str(&seen), PB_STR("-10.9.0.1@3 ")) >= 0);
	CU_ASSERT(pb_str_find(pb_text_str(&seen), PB_STR("-2001:db8::1@4 ")) >= 0);
	CU_ASSERT(pb_str_find(pb_text_str(&seen), PB_STR(". ")) >= 0);
}

/* What the kernel could not tell is noticed by the next round. */
static void missed(void)
{
	fed(missed_body);
}

static void others_body(void)
{
	struct ifinfomsg port = { .ifi_family = AF_BRIDGE, .ifi_index = 3 };
	struct ifaddrmsg strange = { .ifa_family = 77, .ifa_index = 3 };

	first_round();
	pb_text_reset(&seen);
	message(RTM_DELLINK, &port, sizeof(port)); /* a port leaves its bridge: the link stays */
	message(RTM_NEWADDR, &strange, sizeof(strange));
	message(RTM_NEWROUTE, &strange, sizeof(strange));
	link(RTM_NEWLINK, -1, UP);
	CU_ASSERT_EQUAL(feed(), 0);
	saw("");
	CU_ASSERT_EQUAL(look("10.9.0.1"), PB_NET_SERVES);
}

static void others(void)
{
	fed(others_body);
}

static void cut_body(void)
{
	char whole[256];
	size_t n;

	link(RTM_NEWLINK, 3, UP);
	n = wire_n;
	addr(RTM_NEWADDR, 3, "2001:db8::9", 64, 0);
	memcpy(whole, wire, wire_n);
	for (size_t all = wire_n, cut = 1; cut < all; cut++) {
		memcpy(wire, whole, cut);
		wire_n = cut;
		CU_ASSERT_EQUAL(feed(), cut == n ? 0 : -EBADMSG);
		CU_ASSERT_EQUAL(look("2001:db8::9"), PB_NET_ABSENT);
	}
	saw("u3 ");
}

/* Cut off after every octet: refused, and nothing made of the rest. */
static void cut(void)
{
	fed(cut_body);
}

static void lies_body(void)
{
	uint32_t value;
	uint16_t small;

	/* Lengths that lie, in the message and in its attributes. */
	for (uint32_t i = 0; i < 16; i++) {
		link(RTM_NEWLINK, 3, UP);
		value = i;
		memcpy(wire, &value, sizeof(value));
		CU_ASSERT_EQUAL(feed(), -EBADMSG);
	}
	link(RTM_NEWLINK, 3, UP);
	value = UINT32_MAX;
	memcpy(wire, &value, sizeof(value));
	CU_ASSERT_EQUAL(feed(), -EBADMSG);
	saw("");
	for (unsigned i = 0; i < 65536; i += i < 64 ? 1 : 4093) {
		addr(RTM_NEWADDR, 3, "2001:db8::9", 64, 0);
		small = (uint16_t)i;
		memcpy(wire + sizeof(struct nlmsghdr) + sizeof(struct ifaddrmsg), &small, sizeof(small));
		feed();
	}
	/* The label's true length is 7; as 8 it ends at the same place. */
	saw("+2001:db8::9@3 ");
	addr(RTM_NEWADDR, 3, "10.0.0.1", 200, 0);
	CU_ASSERT_EQUAL(feed(), 0);
	saw("");
}

static void lies(void)
{
	fed(lies_body);
}

static void many_body(void)
{
	char ip[64];
	unsigned found = 0;

	for (unsigned i = 0; i < PB_NET_ADDRS_MAX + 100; i++) {
		struct pb_text t;

		link(RTM_NEWLINK, (int)i + 1, UP);
		pb_text_init_buf(&t, ip, sizeof(ip) - 1);
		pb_text_addf(&t, "10.1.%u.%u", i / 250, i % 250 + 1);
		ip[t.n] = '\0';
		addr(RTM_NEWADDR, i + 1, ip, 32, 0);
		CU_ASSERT_EQUAL(feed(), 0);
		found += look(ip) == PB_NET_SERVES;
	}
	CU_ASSERT_EQUAL(found, PB_NET_ADDRS_MAX);
}

/* More than are kept: the rest is not known. */
static void many(void)
{
	fed(many_body);
}

/* ---- The kernel -------------------------------------------------------------------------- */

static void on_real(void *arg, const struct pb_net_change *c)
{
	if (c->what != PB_NET_READY)
		return;
	/* A loopback link exists everywhere; it may be down in a network of its own. */
	CU_ASSERT_EQUAL(look("192.0.2.77"), PB_NET_ABSENT);
	scene_end();
}

static void begin_real(void *arg)
{
	struct pb_netwatch_args a = { .loop = scene_loop, .fn = on_real };

	if (pb_netwatch_new(&a, &watch))
		scene_end(); /* such sockets are not allowed here */
}

static void free_real(void *arg)
{
	pb_netwatch_free(&watch);
}

static void kernel(void)
{
	struct pb_loops_args args = { .calls = 1, .world = pb_world_real(), .name = "test" };
	static struct pb_work work;

	sem_init(&scene_over, 0, 0);
	CU_ASSERT_EQUAL_FATAL(pb_loops_new(&args, &scene_loops), 0);
	scene_loop = pb_loops_at(scene_loops, 0);
	work = (struct pb_work){ .fn = begin_real };
	pb_loop_post(scene_loop, &work);
	CU_ASSERT_EQUAL_FATAL(pb_loops_start(scene_loops), 0);
	while (sem_wait(&scene_over) < 0)
		;
	pb_loop_call(scene_loop, free_real, NULL);
	pb_loops_stop(scene_loops);
	pb_loops_free(&scene_loops);
	sem_destroy(&scene_over);
}

PB_TESTS("loop/netwatch", { "links, then addresses", learns }, { "what comes and goes", changes },
	 { "tentative addresses", tentative }, { "what was missed", missed }, { "what is of no interest", others },
	 { "cut off", cut }, { "lengths that lie", lies }, { "more than are kept", many }, { "the kernel's own", kernel })
