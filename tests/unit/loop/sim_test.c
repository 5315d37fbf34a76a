/* engine/loop: the simulated world. With the argument `digest` it prints a
 * digest of all that one run put on the wire, for a comparison of processes. */
#include "../../support/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "loop/pool.h"
#include "loop/world.h"

static struct pb_addr addr(const char *ip, uint16_t port)
{
	struct pb_addr a;

	if (pb_addr_parse(pb_str_z(ip), port, &a) < 0)
		abort();
	return a;
}

static struct pb_loops *engine_up(struct pb_sim *s, unsigned calls)
{
	struct pb_loops_args args = { .calls = calls, .world = pb_sim_world(s) };
	struct pb_loops *ls;

	if (pb_loops_new(&args, &ls) < 0 || pb_loops_start(ls) < 0)
		abort();
	return ls;
}

struct opening {
	struct pb_udp_args args;
	struct pb_udp **out;
	int err;
};

static void do_open(void *arg)
{
	struct opening *o = arg;

	o->err = pb_udp_open(pb_loop_current(), &o->args, o->out);
}

static int open_on(struct pb_loop *l, const struct pb_udp_args *args, struct pb_udp **out)
{
	struct opening o = { .args = *args, .out = out };

	pb_loop_call(l, do_open, &o);
	return o.err;
}

/* ---- Two engines of three loops over a bad wire ---------------------------------- */

#define LOOPS     3
#define QUESTIONS 60 /* by each loop */

struct asker {
	struct pb_udp *sock;
	struct pb_timer timer;
	struct pb_loop *loop;
	unsigned answered;
	uint64_t wait_ms;
	char cookie[8]; /* random: what is asked */
};

static struct run {
	struct pb_sim *sim;
	struct pb_loops *askers, *servers;
	struct asker ask[LOOPS];
	struct pb_udp *shared[LOOPS];
	unsigned asked, served_by[LOOPS];
	uint64_t digest, taps, lost, duplicated;
} run;

static void mix_in(const void *p, size_t n)
{
	const unsigned char *c = p;

	for (size_t i = 0; i < n; i++)
		run.digest = (run.digest ^ c[i]) * 0x100000001b3u;
}

static void on_tap(void *arg, uint64_t now_us, const char *what, const struct pb_addr *from,
		   const struct pb_addr *to, struct pb_str bytes)
{
	char buf[PB_ADDR_TEXT];
	struct pb_str text;

	run.taps++;
	run.lost += what[0] == 'l';
	run.duplicated += what[1] == 'u';
	mix_in(&now_us, sizeof(now_us));
	mix_in(what, strlen(what));
	text = pb_addr_print(from, buf);
	mix_in(text.p, text.n);
	text = pb_addr_print(to, buf);
	mix_in(text.p, text.n);
	mix_in(bytes.p, bytes.n);
}

static void on_question(void *arg, const struct pb_datagram *d)
{
	struct pb_udp **sock = arg;

	run.served_by[sock - run.shared]++;
	pb_udp_send(*sock, &d->from, d->bytes);
}

static void ask_again(void *arg)
{
	struct asker *a = arg;
	struct pb_addr to = addr("192.0.2.2", 5060);

	run.asked++;
	pb_udp_send(a->sock, &to, pb_str(a->cookie, sizeof(a->cookie)));
	pb_timer_start(a->loop, &a->timer, a->wait_ms);
	a->wait_ms *= 2;
}

static void ask_next(void *arg)
{
	struct asker *a = arg;

	pb_loop_random(a->loop, a->cookie, sizeof(a->cookie));
	a->wait_ms = 500;
	ask_again(a);
}

static void on_answer(void *arg, const struct pb_datagram *d)
{
	struct asker *a = arg;

	if (!pb_str_eq(d->bytes, pb_str(a->cookie, sizeof(a->cookie))))
		return; /* a late one */
	pb_timer_stop(&a->timer);
	memset(a->cookie, 0, sizeof(a->cookie));
	if (++a->answered < QUESTIONS)
		ask_next(a);
}

static bool all_answered(void *arg)
{
	for (unsigned i = 0; i < LOOPS; i++) {
		if (run.ask[i].answered < QUESTIONS)
			return false;
	}
	return true;
}

static void set_up(unsigned i)
{
	struct asker *a = &run.ask[i];
	struct pb_udp_args asking = { .local = addr("192.0.2.1", (uint16_t)(5060 + i)),
				      .max_bytes = 100,
				      .fn = on_answer,
				      .arg = a };
	struct pb_udp_args serving = { .local = addr("192.0.2.2", 5060),
				       .max_bytes = 100,
				       .share = true,
				       .fn = on_question,
				       .arg = &run.shared[i] };

	a->loop = pb_loops_at(run.askers, i);
	pb_timer_init(&a->timer, ask_again, a);
	if (open_on(a->loop, &asking, &a->sock) < 0 ||
	    open_on(pb_loops_at(run.servers, i), &serving, &run.shared[i]) < 0)
		abort();
	pb_loop_call(a->loop, ask_next, a);
}

static bool run_seed(uint64_t seed)
{
	static const struct pb_sim_link bad = { .loss_permille = 100,
						.duplicate_permille = 100,
						.delay_min_us = 1000,
						.delay_max_us = 50000 };
	bool done;

	memset(&run, 0, sizeof(run));
	if (pb_sim_new(seed, &run.sim) < 0)
		abort();
	pb_sim_set_link(run.sim, &bad);
	pb_sim_set_tap(run.sim, on_tap, NULL);
	run.askers = engine_up(run.sim, LOOPS);
	run.servers = engine_up(run.sim, LOOPS);
	for (unsigned i = 0; i < LOOPS; i++)
		set_up(i);
	done = pb_sim_run(run.sim, 3600000, all_answered, NULL);
	pb_loops_free(&run.askers);
	pb_loops_free(&run.servers);
	pb_sim_free(&run.sim);
	return done;
}

static void bad_wire(void)
{
	CU_ASSERT_TRUE(run_seed(7));
	CU_ASSERT(run.lost > run.asked / 20 && run.lost < run.asked);
	CU_ASSERT(run.duplicated > run.asked / 20 && run.duplicated < run.asked);
	CU_ASSERT(run.asked > LOOPS * QUESTIONS);
	CU_ASSERT(run.served_by[0] + run.served_by[1] + run.served_by[2] > LOOPS * QUESTIONS);
}

static void seeds(void)
{
	uint64_t first, taps;

	run_seed(1);
	first = run.digest;
	taps = run.taps;
	run_seed(2);
	CU_ASSERT(run.digest != first);
	pb_free(pb_alloc(12345)); /* addresses move */
	run_seed(1);
	CU_ASSERT_EQUAL(run.digest, first);
	CU_ASSERT_EQUAL(run.taps, taps);
}

static void digest_of_process(const char *self, char *out, int n)
{
	char command[4200] = "";
	FILE *f;

	snprintf(command, sizeof(command), "'%s' digest", self);
	f = popen(command, "r");
	CU_ASSERT_FATAL(f && fgets(out, n, f));
	pclose(f);
}

static void same_in_every_process(void)
{
	char self[4096] = "", a[40], b[40];

	CU_ASSERT_FATAL(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	digest_of_process(self, a, sizeof(a));
	digest_of_process(self, b, sizeof(b));
	CU_ASSERT_STRING_EQUAL(a, b);
}

/* ---- The clock ------------------------------------------------------------------------ */

static struct {
	struct pb_timer timer;
	struct pb_work work;
	struct pb_loop *loops[2];
	unsigned fired, posts;
} tick;

static void on_tick(void *arg)
{
	if (++tick.fired < 100)
		pb_timer_start(tick.loops[0], &tick.timer, 864000);
}

static void start_tick(void *arg)
{
	pb_timer_init(&tick.timer, on_tick, NULL);
	pb_timer_start(tick.loops[0], &tick.timer, 864000);
}

static void post_other(void *arg)
{
	tick.posts++;
	pb_loop_post(tick.loops[pb_loop_current() == tick.loops[0]], &tick.work);
}

static bool thrice(void *arg)
{
	return tick.fired == 3;
}

static void time_jumps(void)
{
	struct pb_sim *s;
	struct pb_loops *ls;

	memset(&tick, 0, sizeof(tick));
	CU_ASSERT_EQUAL_FATAL(pb_sim_new(5, &s), 0);
	ls = engine_up(s, 2);
	tick.loops[0] = pb_loops_at(ls, 0);
	tick.loops[1] = pb_loops_at(ls, 1);
	CU_ASSERT_EQUAL(pb_loop_wall_us(tick.loops[0]), 1700000000000000u);
	pb_loop_call(tick.loops[0], start_tick, NULL);
	CU_ASSERT_TRUE(pb_sim_run(s, 86400000, thrice, NULL));
	CU_ASSERT_EQUAL(pb_loop_now_ms(tick.loops[0]), 3 * 864000);
	CU_ASSERT_FALSE(pb_sim_run(s, 1000, NULL, NULL)); /* the limit */
	CU_ASSERT_EQUAL(pb_sim_now_us(s) / 1000, 3 * 864000 + 1000);
	CU_ASSERT_FALSE(pb_sim_run(s, 864000000, NULL, NULL)); /* nothing left */
	CU_ASSERT_EQUAL(tick.fired, 100);
	CU_ASSERT_EQUAL(pb_sim_now_us(s) / 1000, 86400000);

	tick.work = (struct pb_work){ .fn = post_other };
	pb_loop_post(tick.loops[1], &tick.work);
	CU_ASSERT_FALSE(pb_sim_run(s, 10, NULL, NULL)); /* for ever, but for the limit */
	CU_ASSERT(tick.posts > 5000);
	pb_loops_free(&ls);
	pb_sim_free(&s);
}

/* ---- Addresses ------------------------------------------------------------------------- */

static struct {
	unsigned got;
	bool truncated;
	struct pb_addr from;
	const char *to;
	struct pb_udp *socks[3];
} net;

static void on_net(void *arg, const struct pb_datagram *d)
{
	net.got++;
	net.from = d->from;
	net.truncated = d->truncated;
	if (pb_str_eq(d->bytes, PB_STR("close")))
		pb_udp_close(arg);
}

static void send_net(void *arg)
{
	struct pb_addr to = addr(net.to, 5060);

	pb_udp_send(net.socks[0], &to, pb_str_z(arg));
}

/** Send from socket 0 on `l`, let everything arrive, answer how many did. */
static unsigned reaches(struct pb_sim *s, struct pb_loop *l, const char *to, const char *text)
{
	net.got = 0;
	net.to = to;
	pb_loop_call(l, send_net, (void *)text);
	pb_sim_run(s, 1000, NULL, NULL);
	return net.got;
}

static void wildcards(void)
{
	struct pb_udp_args args = { .max_bytes = 10, .fn = on_net };
	struct pb_sim *s;
	struct pb_loops *a, *b;
	struct pb_addr from;
	char buf[PB_ADDR_TEXT];

	memset(&net, 0, sizeof(net));
	CU_ASSERT_EQUAL_FATAL(pb_sim_new(5, &s), 0);
	a = engine_up(s, 1);
	b = engine_up(s, 1);
	args.local = addr("0.0.0.0", 0);
	CU_ASSERT_EQUAL(open_on(pb_loops_at(a, 0), &args, &net.socks[0]), 0);
	CU_ASSERT(pb_addr_port(pb_udp_local(net.socks[0])) >= 40000);
	args.local = addr("0.0.0.0", 5060);
	args.arg = &net.socks[1];
	CU_ASSERT_EQUAL(open_on(pb_loops_at(b, 0), &args, &net.socks[1]), 0);
	CU_ASSERT_EQUAL(open_on(pb_loops_at(b, 0), &args, &net.socks[2]), -EADDRINUSE);
	CU_ASSERT_EQUAL(reaches(s, pb_loops_at(a, 0), "10.0.0.2", "x"), 1);
	from = net.from;
	PB_SAME(pb_addr_print_ip(&from, buf), "10.0.0.1");
	CU_ASSERT_EQUAL(reaches(s, pb_loops_at(a, 0), "10.0.0.1", "x"), 0); /* not bound there */
	CU_ASSERT_EQUAL(reaches(s, pb_loops_at(a, 0), "192.0.2.9", "0123456789a"), 1);
	CU_ASSERT_TRUE(net.truncated);
	CU_ASSERT_EQUAL(reaches(s, pb_loops_at(a, 0), "10.0.0.2", "close"), 1);
	CU_ASSERT_PTR_NULL(net.socks[1]);
	CU_ASSERT_EQUAL(reaches(s, pb_loops_at(a, 0), "10.0.0.2", "x"), 0); /* lost */
	pb_loops_free(&a);
	pb_loops_free(&b);
	pb_sim_free(&s);
}

static void probing(void)
{
	struct pb_udp_args args = {
		.local = addr("192.0.2.1", 5060), .max_bytes = 10, .share = true, .fn = on_net
	};
	struct pb_addr other = addr("192.0.2.2", 5060);
	struct pb_sim *s;
	struct pb_loops *ls;

	CU_ASSERT_EQUAL_FATAL(pb_sim_new(5, &s), 0);
	ls = engine_up(s, 2);
	CU_ASSERT_EQUAL(pb_udp_probe(pb_sim_world(s), &args.local), 0);
	for (unsigned i = 0; i < 2; i++)
		CU_ASSERT_EQUAL(open_on(pb_loops_at(ls, i), &args, &net.socks[i]), 0);
	CU_ASSERT_EQUAL(pb_udp_probe(pb_sim_world(s), &args.local), -EADDRINUSE);
	CU_ASSERT_EQUAL(pb_udp_probe(pb_sim_world(s), &other), 0);
	pb_loops_free(&ls); /* closes what is open */
	pb_sim_free(&s);
}

/* ---- Memory, pool ------------------------------------------------------------------------- */

static void without_memory(void)
{
	struct pb_udp_args args = { .max_bytes = 10, .fn = on_net };
	struct pb_loops *ls = NULL;
	struct pb_sim *s;

	memset(&net, 0, sizeof(net));
	args.local = addr("10.0.0.1", 5060);
	if (pb_sim_new(5, &s) < 0)
		return;
	if (pb_loops_new(&(struct pb_loops_args){ .calls = 2, .world = pb_sim_world(s) }, &ls) ==
		    0 &&
	    pb_loops_start(ls) == 0 && open_on(pb_loops_at(ls, 0), &args, &net.socks[0]) == 0)
		CU_ASSERT(reaches(s, pb_loops_at(ls, 0), "10.0.0.1", "x") <= 1);
	pb_loops_free(&ls);
	pb_sim_free(&s);
}

static void each_without_memory(void)
{
	pb_test_each_alloc(without_memory);
}

static unsigned ran, done;

static void job_run(void *arg)
{
	CU_ASSERT_PTR_NULL(pb_loop_current());
	ran++;
}

static void job_done(void *arg)
{
	CU_ASSERT_PTR_EQUAL(pb_loop_current(), arg);
	done++;
}

static void pool_has_no_threads(void)
{
	struct pb_sim *s;
	struct pb_loops *ls;
	struct pb_pool *p;
	struct pb_job j = { .run = job_run, .done = job_done };

	CU_ASSERT_EQUAL_FATAL(pb_sim_new(5, &s), 0);
	ls = engine_up(s, 1);
	CU_ASSERT_EQUAL_FATAL(pb_pool_new(2, pb_sim_world(s), &p), 0);
	j.home = j.arg = pb_loops_at(ls, 0);
	pb_pool_submit(p, &j);
	CU_ASSERT(ran == 1 && done == 0);
	pb_sim_run(s, 1, NULL, NULL);
	CU_ASSERT_EQUAL(done, 1);
	pb_pool_free(&p);
	pb_loops_free(&ls);
	pb_sim_free(&s);
}

int main(int argc, char **argv)
{
	static const struct pb_test tests[] = {
		{ "a bad wire", bad_wire },
		{ "the same seed repeats, another differs", seeds },
		{ "the same in every process", same_in_every_process },
		{ "time jumps", time_jumps },
		{ "wildcard addresses", wildcards },
		{ "probing", probing },
		{ "without memory", each_without_memory },
		{ "the pool has no threads", pool_has_no_threads },
		{ NULL, NULL },
	};

	if (argc > 1 && strcmp(argv[1], "digest") == 0) {
		run_seed(42);
		printf("%016llx\n", (unsigned long long)run.digest);
		return 0;
	}
	return pb_test_main("loop/sim", tests, 60, argc, argv);
}
