/*
 * Offers work at a fixed rate, whatever the server makes of it, and counts.
 *
 * The schedule is made of ticks: at each, the operations that the rate asks for
 * up to then are due, and their latency counts from that instant. A server (or
 * a generator) that falls behind therefore shows it in the latencies instead of
 * quietly lowering the rate.
 *
 *     load MODE [options]          modes: bounce options register message call
 *
 * Warms up, then measures rounds; at the start of each and at the end of the
 * last it prints `mark N offered finished up`, so that whoever watches the server's
 * CPU time can read it at that instant. Ends by one line of name=value.
 */
#include "load.h"

#include "base/alloc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define SCAN_NS  (50 * NS_PER_MS)
#define DRAIN_NS (6 * NS_PER_S)

static uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* ---- The schedule ------------------------------------------------------------------------ */

static uint64_t span_ns(double s)
{
	return (uint64_t)(s * (double)NS_PER_S);
}

static uint64_t due_by(const struct load *l, uint64_t tick)
{
	uint64_t n = (uint64_t)(l->plan.rate_per_s * (double)(tick * l->plan.tick_ns) / (double)NS_PER_S);

	return l->plan.count && n > l->plan.count ? l->plan.count : n;
}

static void offer(struct load *l, uint64_t tick)
{
	uint64_t due_ns = l->start_ns + tick * l->plan.tick_ns, target = due_by(l, tick);

	while (l->offered < target) {
		struct op *op = ops_take(l, due_ns);

		if (op)
			l->plan.mode->start(l, op);
	}
}

/* Calls whose pause is over, or all when the schedule is (at the rate at which
 * they came). */
static void leave(struct load *l, bool all)
{
	unsigned most = 2 + (unsigned)(2 * l->plan.rate_per_s * (double)l->plan.tick_ns / (double)NS_PER_S);

	for (; l->held_head != l->held_tail && most > 0; l->held_head++) {
		struct op *op = &l->ops[l->held[l->held_head % OPS_MAX]];

		if (op->state != OP_UP)
			continue;
		if (!all && op->up_ns + l->plan.hold_ns > l->now_ns)
			return;
		mode_leave(l, op);
		most--;
	}
}

/* ---- The sockets --------------------------------------------------------------------------- */

static void flush(struct load *l)
{
	for (unsigned i = 0; i < l->plan.callers; i++)
		wire_flush(l->callers[i]);
	wire_flush(l->callee);
}

static void read_all(struct load *l, struct pollfd *fds)
{
	for (unsigned i = 0; i <= l->plan.callers; i++) {
		struct wire *w = i < l->plan.callers ? l->callers[i] : l->callee;

		/* two batches at most: the schedule comes first */
		if ((fds[i].revents & POLLIN) && wire_read(w, false, mode_input, l) == WIRE_BATCH)
			wire_read(w, false, mode_input, l);
	}
	flush(l);
}

/* Until `until_ns`, or until something came in. */
static void wait_until(struct load *l, uint64_t until_ns)
{
	uint64_t now = clock_ns(), ns = until_ns > now ? until_ns - now : 0;
	struct timespec t = { (time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S) };
	struct pollfd fds[CALLERS_MAX + 1];

	for (unsigned i = 0; i <= l->plan.callers; i++)
		fds[i] = (struct pollfd){
			.fd = wire_fd(i < l->plan.callers ? l->callers[i] : l->callee),
			.events = POLLIN,
		};
	if (ppoll(fds, l->plan.callers + 1, &t, NULL) > 0) {
		l->now_ns = clock_ns();
		read_all(l, fds);
	}
}

static int open_all(struct load *l)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int err = wire_new(&l->plan.callee, &l->callee);

	for (unsigned i = 0; i < l->plan.callers && !err; i++)
		err = wire_new(&any, &l->callers[i]);
	return err;
}

/* ---- Running --------------------------------------------------------------------------------- */

static void mark(const struct load *l, unsigned n)
{
	printf("mark %u %llu %llu %llu\n", n, (unsigned long long)l->offered,
	       (unsigned long long)l->finished, (unsigned long long)l->up);
	fflush(stdout);
}

static bool over(const struct load *l, uint64_t end_ns)
{
	return l->plan.count ? l->offered >= l->plan.count : l->now_ns >= end_ns;
}

static bool idle(const struct load *l)
{
	return l->free_count == OPS_MAX;
}

static void run(struct load *l)
{
	uint64_t round_ns = span_ns(l->plan.round_s), next_scan, end_ns, drained_ns;
	uint64_t tick = 1;
	unsigned marks = 0;

	l->start_ns = l->now_ns = clock_ns();
	l->measure_from_ns = l->start_ns + span_ns(l->plan.warm_s);
	l->measure_to_ns = end_ns = l->measure_from_ns + l->plan.rounds * round_ns;
	if (l->plan.count)
		l->measure_to_ns = UINT64_MAX;
	next_scan = l->start_ns + SCAN_NS;
	drained_ns = end_ns + DRAIN_NS;
	while (!over(l, end_ns) || (!idle(l) && l->now_ns < drained_ns)) {
		bool all = over(l, end_ns);

		if (!all)
			drained_ns = l->now_ns + DRAIN_NS + l->up * NS_PER_S / (uint64_t)l->plan.rate_per_s;
		if (!l->plan.count && marks <= l->plan.rounds && l->now_ns >= l->measure_from_ns + marks * round_ns)
			mark(l, marks++);
		for (; !all && l->start_ns + tick * l->plan.tick_ns <= l->now_ns; tick++)
			offer(l, tick);
		leave(l, all);
		if (l->now_ns >= next_scan) {
			ops_scan(l);
			next_scan = l->now_ns + SCAN_NS;
		}
		flush(l);
		wait_until(l, all ? l->now_ns + NS_PER_MS : l->start_ns + tick * l->plan.tick_ns);
		l->now_ns = clock_ns();
	}
	if (!l->plan.count && marks <= l->plan.rounds)
		mark(l, marks);
}

/* ---- The report ------------------------------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static double quantile_us(const struct tally *t, double q)
{
	size_t at = (size_t)(q * (double)t->latency_n);

	if (!t->latency_n)
		return 0;
	return (double)t->latency_ns[at < t->latency_n ? at : t->latency_n - 1] / 1000;
}

static int report(struct load *l)
{
	struct tally *t = &l->tally;
	uint64_t lost = t->offered - t->finished - t->failed;

	qsort(t->latency_ns, t->latency_n, sizeof(*t->latency_ns), by_size);
	printf("mode=%s offered=%llu finished=%llu failed=%llu resent=%llu unexpected=%llu status=%u "
	       "p50_us=%.1f p99_us=%.1f\n",
	       l->plan.mode->name, (unsigned long long)t->offered, (unsigned long long)t->finished,
	       (unsigned long long)(t->failed + lost), (unsigned long long)t->resent,
	       (unsigned long long)t->unexpected, t->last_status, quantile_us(t, 0.5), quantile_us(t, 0.99));
	return t->finished == t->offered ? 0 : 4;
}

/* ---- The command line -------------------------------------------------------------------------- */

enum { OPT_SERVER = 1, OPT_CALLEE, OPT_RATE, OPT_WARM, OPT_ROUNDS, OPT_SECONDS, OPT_COUNT, OPT_USERS, OPT_CALLERS,
       OPT_TICK, OPT_HOLD, OPT_BYTES };

static const struct option options[] = {
	{ "server", required_argument, NULL, OPT_SERVER },   /* ADDR:PORT */
	{ "callee", required_argument, NULL, OPT_CALLEE },   /* ADDR:PORT */
	{ "rate", required_argument, NULL, OPT_RATE },       /* operations a second */
	{ "warm", required_argument, NULL, OPT_WARM },       /* ms before the first round */
	{ "rounds", required_argument, NULL, OPT_ROUNDS },
	{ "round", required_argument, NULL, OPT_SECONDS },   /* ms */
	{ "count", required_argument, NULL, OPT_COUNT },     /* operations, instead of rounds */
	{ "users", required_argument, NULL, OPT_USERS },
	{ "callers", required_argument, NULL, OPT_CALLERS }, /* sockets */
	{ "tick", required_argument, NULL, OPT_TICK },       /* us */
	{ "hold", required_argument, NULL, OPT_HOLD },       /* ms of an answered call */
	{ "bytes", required_argument, NULL, OPT_BYTES },     /* of a bounced packet */
	{ NULL, 0, NULL, 0 },
};

static bool set_number(struct plan *p, int opt, uint32_t v)
{
	switch (opt) {
	case OPT_RATE:
		p->rate_per_s = v;
		return v > 0;
	case OPT_WARM:
		p->warm_s = v / 1000.0;
		return true;
	case OPT_ROUNDS:
		p->rounds = v;
		return true;
	case OPT_SECONDS:
		p->round_s = v / 1000.0;
		return v > 0;
	case OPT_COUNT:
		p->count = v;
		return true;
	case OPT_USERS:
		p->users = v;
		return v > 0;
	case OPT_CALLERS:
		p->callers = v;
		return v > 0 && v <= CALLERS_MAX;
	case OPT_TICK:
		p->tick_ns = v * 1000ull;
		return v > 0;
	case OPT_HOLD:
		p->hold_ns = v * NS_PER_MS;
		return true;
	case OPT_BYTES:
		p->bytes = v;
		return v <= TEXT_MAX;
	}
	return false;
}

static bool read_arguments(int argc, char **argv, struct plan *p)
{
	int opt;

	*p = (struct plan){ .rate_per_s = 100, .round_s = 1, .rounds = 1, .users = 1000, .callers = 4,
			    .tick_ns = NS_PER_MS, .hold_ns = 20 * NS_PER_MS, .bytes = 400 };
	wire_addr("127.0.0.1:5060", &p->server);
	wire_addr("127.0.0.1:0", &p->callee);
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		uint32_t v = 0;
		bool good;

		if (opt == OPT_SERVER || opt == OPT_CALLEE)
			good = !wire_addr(optarg, opt == OPT_SERVER ? &p->server : &p->callee);
		else
			good = opt != '?' && !pb_str_to_u32(pb_str_z(optarg), 0, 100000000, &v) &&
			       set_number(p, opt, v);
		if (!good)
			return false;
	}
	p->mode = optind == argc - 1 ? mode_find(argv[optind]) : NULL;
	return p->mode != NULL;
}

int main(int argc, char **argv)
{
	static struct load l;
	int err;

	if (!read_arguments(argc, argv, &l.plan)) {
		fprintf(stderr, "usage: load bounce|options|register|message|call [--server ADDR:PORT] "
				"[--callee ADDR:PORT] [--rate N] [--warm MS] [--rounds N] [--round MS] [--count N] "
				"[--users N] [--callers N] [--tick US] [--hold MS] [--bytes N]\n");
		return 1;
	}
	prctl(PR_SET_TIMERSLACK, 1000);
	l.run = (uint32_t)getpid() ^ (uint32_t)clock_ns();
	err = ops_init(&l);
	if (!err)
		err = open_all(&l);
	if (err) {
		fprintf(stderr, "load: %s\n", strerror(-err));
		return 3;
	}
	run(&l);
	err = report(&l);
	for (unsigned i = 0; i < l.plan.callers; i++)
		wire_free(&l.callers[i]);
	wire_free(&l.callee);
	ops_fini(&l);
	return err;
}
