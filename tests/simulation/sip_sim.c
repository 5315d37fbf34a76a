/*
 * Two user agents of three loops each over a wire that loses, doubles and
 * reorders: 1000 calls one way, 1000 OPTIONS the other way. Every one ends on
 * both sides, no request reaches its user twice, nothing is left in any table,
 * and a run can be had again from its seed.
 */
#include "../support/test.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/map.h"
#include "loop/world.h"
#include "sip/stack/ua.h"

enum { LOOPS = 3, CALLS = 1000, QUESTIONS = 1000, EVERY_MS = 20 };

enum fate { BUSY, GIVEN_UP, CALLER_ENDS, CALLEE_ENDS, FATES };

struct call {
	unsigned loop; /* of this side */
	enum fate fate;
	struct sip_dialog *dialog;
	struct sip_txn_id invite; /* callee */
	struct pb_timer timer;
	bool used, answered, over;
	unsigned outcome; /* caller: final status, 408 for a time-out */
};

struct question {
	struct pb_timer timer; /* asker: when; answerer: how long it thinks */
	unsigned loop, outcome, seen;
	struct sip_txn_id id;
	bool over;
};

static struct scene {
	struct pb_sim *sim;
	struct pb_loops *engine[2]; /* callers, callees */
	struct sip_net *net[2];
	struct sip_ua *ua[2][LOOPS];
	struct pb_addr addr[2];
	struct call caller[CALLS], callee[CALLS];
	struct question asked[QUESTIONS], answer[QUESTIONS];
	uint64_t digest, taps;
} * scene;

static struct sip_ua *ua_here(unsigned side)
{
	return scene->ua[side][pb_loop_index(pb_loop_current())];
}

static void mix_in(const void *p, size_t n)
{
	const unsigned char *c = p;

	for (size_t i = 0; i < n; i++)
		scene->digest = (scene->digest ^ c[i]) * 0x100000001b3u;
}

static void on_tap(void *arg, uint64_t now_us, const char *what, const struct pb_addr *from,
		   const struct pb_addr *to, struct pb_str bytes)
{
	scene->taps++;
	mix_in(&now_us, sizeof(now_us));
	mix_in(what, strlen(what));
	mix_in(bytes.p, bytes.n);
}

/** The number at the end of a Request-URI's user: "sip:b17@...". */
static unsigned number_of(const struct sip_msg *m)
{
	struct sip_uri u;
	uint32_t n = 0;

	if (sip_uri_parse(m->uri, &u) != 0 || !u.user.n ||
	    pb_str_to_u32(pb_str_from(u.user, 1), 0, CALLS - 1, &n) != 0)
		abort();
	return n;
}

static uint64_t spread_ms(uint64_t from, uint64_t span)
{
	uint32_t r;

	pb_loop_random(pb_loop_current(), &r, sizeof(r));
	return from + r % span;
}

/* ---- Caller ------------------------------------------------------------------------------ */

static void caller_over(struct call *c)
{
	c->over = true;
	pb_timer_stop(&c->timer);
	sip_dialog_free(&c->dialog);
}

static void on_call_timer(void *arg)
{
	struct call *c = arg;

	if (!c->answered) {
		sip_dialog_cancel(c->dialog);
		return;
	}
	sip_dialog_bye(c->dialog);
	caller_over(c);
}

static void on_outcome(void *arg, enum sip_outcome what, const struct sip_arrival *in)
{
	struct call *c = arg;

	if (what == SIP_OUT_PROVISIONAL)
		return;
	CU_ASSERT_EQUAL(c->outcome, 0);
	c->outcome = what == SIP_OUT_FINAL ? in->msg->status : 408;
	if (c->outcome != 200) {
		caller_over(c);
		return;
	}
	c->answered = true;
	CU_ASSERT_EQUAL(sip_dialog_ack(c->dialog), 0);
	/* The callee's patience is shorter when it is to hang up. */
	pb_timer_start(pb_loop_current(), &c->timer,
		       c->fate == CALLEE_ENDS ? 100000 : spread_ms(500, 40000));
}

static void caller_request(void *arg, struct sip_dialog *d, struct sip_txn_id id,
			   const struct sip_arrival *in)
{
	struct call *c = arg;

	CU_ASSERT_EQUAL(in->msg->method, SIP_BYE);
	sip_dialog_answer(d, id, 200, PB_STR_NULL);
	caller_over(c);
}

static const struct sip_dialog_ops caller_ops = { .request = caller_request };

static void start_call(void *arg)
{
	struct call *c = arg;
	unsigned n = (unsigned)(c - scene->caller);
	struct sip_ua *ua = ua_here(0);
	char target[64], ip[PB_ADDR_TEXT];
	struct sip_dialog_target to = {
		.target = pb_str(target,
				 (size_t)snprintf(target, sizeof(target), "sip:b%u@%.*s", n,
						  PB_STR_F(pb_addr_print(&scene->addr[1], ip)))),
		.local_uri = PB_STR("\"A\" <sip:a@example.org>"),
		.remote_uri = PB_STR("<sip:b@example.org>"),
	};
	struct sip_build *b;

	pb_timer_init(&c->timer, on_call_timer, c);
	if (sip_path_choose(sip_ua_transport(ua), &scene->addr[1], &to.path) != 0 ||
	    sip_dialog_new_uac(ua, &to, &(struct sip_dialog_args){ .ops = &caller_ops, .arg = c },
			       &c->dialog) != 0 ||
	    sip_dialog_begin(c->dialog, PB_STR("INVITE"), &b) != 0 ||
	    sip_dialog_send(c->dialog, PB_STR("application/sdp"), PB_STR("v=0\r\n"), on_outcome, c,
			    NULL) != 0)
		abort();
	if (c->fate == GIVEN_UP)
		pb_timer_start(pb_loop_current(), &c->timer, spread_ms(0, 3000));
}

/* ---- Callee -------------------------------------------------------------------------------- */

static void callee_over(struct call *c)
{
	c->over = true;
	pb_timer_stop(&c->timer);
	sip_dialog_free(&c->dialog);
}

static void on_callee_timer(void *arg)
{
	struct call *c = arg;

	if (c->answered) {
		sip_dialog_bye(c->dialog);
		callee_over(c);
	} else if (c->fate == BUSY) {
		sip_dialog_answer(c->dialog, c->invite, 486, PB_STR_NULL);
		callee_over(c);
	} else {
		struct sip_build *b;

		c->answered = true;
		if (sip_dialog_answer_begin(c->dialog, c->invite, 200, PB_STR_NULL, &b) != 0 ||
		    sip_dialog_answer_send(c->dialog, PB_STR("application/sdp"),
					   PB_STR("v=0\r\n")) != 0)
			abort();
		pb_timer_start(pb_loop_current(), &c->timer,
			       c->fate == CALLEE_ENDS ? spread_ms(100, 40000) : 300000);
	}
}

static void callee_request(void *arg, struct sip_dialog *d, struct sip_txn_id id,
			   const struct sip_arrival *in)
{
	CU_ASSERT_EQUAL(in->msg->method, SIP_BYE);
	sip_dialog_answer(d, id, 200, PB_STR_NULL);
	callee_over(arg);
}

static void callee_cancel(void *arg, struct sip_dialog *d, struct sip_txn_id invite,
			  const struct sip_arrival *in)
{
	sip_dialog_answer(d, invite, 487, PB_STR_NULL);
	callee_over(arg);
}

/** The caller may be gone by a time-out of its own: say goodbye in vain. */
static void callee_no_ack(void *arg, struct sip_dialog *d)
{
	sip_dialog_bye(d);
	callee_over(arg);
}

static const struct sip_dialog_ops callee_ops = {
	.request = callee_request,
	.cancel = callee_cancel,
	.no_ack = callee_no_ack,
};

static void callee_invited(struct sip_ua *ua, struct sip_txn_id id, const struct sip_arrival *in)
{
	struct call *c = &scene->callee[number_of(in->msg)];

	CU_ASSERT_FALSE(c->used); /* once, whatever the wire does */
	c->used = true;
	c->invite = id;
	c->fate = scene->caller[c - scene->callee].fate;
	pb_timer_init(&c->timer, on_callee_timer, c);
	if (sip_dialog_new_uas(ua, id, in,
			       &(struct sip_dialog_args){ .ops = &callee_ops, .arg = c },
			       &c->dialog) != 0)
		abort();
	sip_dialog_answer(c->dialog, id, 180, PB_STR_NULL);
	pb_timer_start(pb_loop_current(), &c->timer,
		       c->fate == GIVEN_UP ? 20000 : spread_ms(0, 3000));
}

static void on_request_b(void *arg, struct sip_txn_id id, const struct sip_arrival *in)
{
	CU_ASSERT_EQUAL(in->msg->method, SIP_INVITE);
	callee_invited(ua_here(1), id, in);
}

/* ---- Questions: OPTIONS from the callees' engine to the callers' ----------- */

static void on_thought(void *arg)
{
	struct question *q = arg;

	CU_ASSERT_EQUAL(sip_server_answer(sip_ua_stack(ua_here(0)), q->id, 200, PB_STR_NULL), 0);
	q->over = true;
}

static void on_request_a(void *arg, struct sip_txn_id id, const struct sip_arrival *in)
{
	struct question *q = &scene->answer[number_of(in->msg)];

	CU_ASSERT_EQUAL(in->msg->method, SIP_OPTIONS);
	CU_ASSERT_EQUAL(q->seen, 0);
	q->seen++;
	q->id = id;
	pb_timer_init(&q->timer, on_thought, q);
	/* Some think until after the late 100. */
	pb_timer_start(pb_loop_current(), &q->timer, spread_ms(0, 8000));
}

static void on_reply(void *arg, enum sip_outcome what, const struct sip_arrival *in)
{
	struct question *q = arg;

	if (what == SIP_OUT_PROVISIONAL)
		return;
	CU_ASSERT_FALSE(q->over);
	q->over = true;
	q->outcome = what == SIP_OUT_FINAL ? in->msg->status : 408;
}

static void ask(void *arg)
{
	struct question *q = arg;
	struct sip_ua *ua = ua_here(1);
	struct sip_transport *t = sip_ua_transport(ua);
	char uri[64], ip[PB_ADDR_TEXT], id[SIP_ID_BYTES], tag[SIP_ID_BYTES];
	int n = snprintf(uri, sizeof(uri), "sip:q%u@%.*s", (unsigned)(q - scene->asked),
			 PB_STR_F(pb_addr_print(&scene->addr[0], ip)));
	struct sip_build *b;
	struct sip_path path;

	if (sip_path_choose(t, &scene->addr[0], &path) != 0 ||
	    sip_client_begin(sip_ua_stack(ua), &path, PB_STR("OPTIONS"), pb_str(uri, (size_t)n),
			     &b) != 0)
		abort();
	sip_build_number(b, SIP_HDR_MAX_FORWARDS, 70);
	sip_build_addr(b, SIP_HDR_FROM,
		       &(struct sip_addr_args){ .uri = PB_STR("sip:q@example.org"),
						.tag = sip_transport_id(t, tag) });
	sip_build_addr(b, SIP_HDR_TO, &(struct sip_addr_args){ .uri = pb_str(uri, (size_t)n) });
	sip_build_hdr(b, SIP_HDR_CALL_ID, sip_transport_id(t, id));
	sip_build_cseq(b, 1, PB_STR("OPTIONS"));
	if (sip_client_send(sip_ua_stack(ua), PB_STR_NULL, PB_STR_NULL, on_reply, q, NULL) != 0)
		abort();
}

/* ---- The run --------------------------------------------------------------- */

static const struct sip_ua_ops ua_ops[2] = { { .request = on_request_a },
					     { .request = on_request_b } };

static void open_ua(void *arg)
{
	unsigned side = *(unsigned *)arg, i = pb_loop_index(pb_loop_current());
	struct sip_ua_args a = { .loop = pb_loop_current(),
				 .net = scene->net[side],
				 .ops = &ua_ops[side] };
	struct sip_listener_args l = { .name = PB_STR("general"),
				       .local = scene->addr[side],
				       .share = true };

	if (sip_ua_new(&a, &scene->ua[side][i]) != 0 ||
	    sip_transport_listen(sip_ua_transport(scene->ua[side][i]), &l) != 0)
		abort();
}

static void close_ua(void *arg)
{
	unsigned side = *(unsigned *)arg;

	sip_ua_free(&scene->ua[side][pb_loop_index(pb_loop_current())]);
}

static void each_loop(void (*fn)(void *))
{
	for (unsigned side = 0; side < 2; side++)
		for (unsigned i = 0; i < LOOPS; i++)
			pb_loop_call(pb_loops_at(scene->engine[side], i), fn, &side);
}

static void arm_start(void *arg)
{
	struct call *c = arg;

	pb_timer_init(&c->timer, start_call, c);
	pb_timer_start(pb_loop_current(), &c->timer, EVERY_MS * (uint64_t)(c - scene->caller));
}

static void arm_ask(void *arg)
{
	struct question *q = arg;

	pb_timer_init(&q->timer, ask, q);
	pb_timer_start(pb_loop_current(), &q->timer, EVERY_MS * (uint64_t)(q - scene->asked));
}

static void set_up(uint64_t seed)
{
	static const struct pb_sim_link bad = { .loss_permille = 100,
						.duplicate_permille = 50,
						.delay_min_us = 1000,
						.delay_max_us = 60000 };

	scene = calloc(1, sizeof(*scene));
	pb_hash_seed(seed);
	if (!scene || pb_sim_new(seed, &scene->sim) != 0)
		abort();
	pb_sim_set_link(scene->sim, &bad);
	pb_sim_set_tap(scene->sim, on_tap, NULL);
	for (unsigned side = 0; side < 2; side++) {
		struct pb_loops_args a = { .calls = LOOPS, .world = pb_sim_world(scene->sim) };

		pb_addr_parse(side ? PB_STR("192.0.2.2") : PB_STR("192.0.2.1"), 5060,
			      &scene->addr[side]);
		if (pb_loops_new(&a, &scene->engine[side]) != 0 ||
		    pb_loops_start(scene->engine[side]) != 0 ||
		    sip_net_new(LOOPS, &scene->net[side]) != 0)
			abort();
	}
	each_loop(open_ua);
}

static void tear_down(void)
{
	each_loop(close_ua);
	for (unsigned side = 0; side < 2; side++) {
		pb_loops_free(&scene->engine[side]);
		sip_net_free(&scene->net[side]);
	}
	pb_sim_free(&scene->sim);
	free(scene);
	scene = NULL;
}

static void run(uint64_t seed, unsigned calls, unsigned questions)
{
	set_up(seed);
	for (unsigned i = 0; i < calls; i++) {
		scene->caller[i].fate = (enum fate)(i % FATES);
		pb_loop_call(pb_loops_at(scene->engine[0], i % LOOPS), arm_start,
			     &scene->caller[i]);
	}
	for (unsigned i = 0; i < questions; i++)
		pb_loop_call(pb_loops_at(scene->engine[1], i % LOOPS), arm_ask, &scene->asked[i]);
	pb_sim_run(scene->sim, 24 * 3600 * 1000ull, NULL, NULL);
}

/* ---- What must hold -------------------------------------------------------- */

static void nothing_left(void)
{
	for (unsigned side = 0; side < 2; side++) {
		for (unsigned i = 0; i < LOOPS; i++) {
			struct sip_ua *ua = scene->ua[side][i];
			struct sip_txn_count c = sip_stack_count(sip_ua_stack(ua));

			CU_ASSERT_EQUAL(c.client + c.invite_client + c.server + c.invite_server, 0);
			CU_ASSERT_EQUAL(sip_ua_dialogs(ua), 0);
			CU_ASSERT_EQUAL(pb_loop_timers(pb_loops_at(scene->engine[side], i)), 0);
		}
	}
}

static uint64_t counted(unsigned side, enum sip_counter c)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < LOOPS; i++)
		n += sip_transport_counters(sip_ua_transport(scene->ua[side][i]))[c];
	return n;
}

static void report(void)
{
	printf("     simulated %llu s, %llu events on the wire\n",
	       (unsigned long long)(pb_sim_now_us(scene->sim) / 1000000),
	       (unsigned long long)scene->taps);
	for (unsigned c = 0; c < SIP_COUNTERS; c++) {
		uint64_t a = counted(0, (enum sip_counter)c), b = counted(1, (enum sip_counter)c);

		if (a || b)
			printf("     %-20s %8llu %8llu\n", sip_counter_name((enum sip_counter)c),
			       (unsigned long long)a, (unsigned long long)b);
	}
}

static void every_call_ends(void)
{
	unsigned accepted = 0, refused = 0, lost = 0;

	run(20251, CALLS, QUESTIONS);
	for (unsigned i = 0; i < CALLS; i++) {
		const struct call *a = &scene->caller[i], *b = &scene->callee[i];

		CU_ASSERT_TRUE(a->over);
		CU_ASSERT_EQUAL(a->dialog, NULL);
		CU_ASSERT_TRUE(!b->used || b->over);
		if (a->outcome == 200)
			accepted++;
		else if (a->outcome == 408)
			lost++;
		else
			refused++;
	}
	for (unsigned i = 0; i < QUESTIONS; i++) {
		CU_ASSERT_TRUE(scene->asked[i].over);
		CU_ASSERT_TRUE(!scene->answer[i].seen || scene->answer[i].over);
	}
	CU_ASSERT(accepted > CALLS / 3);
	CU_ASSERT(refused > CALLS / 4);
	CU_ASSERT(lost < 10);
	nothing_left();
	CU_ASSERT_EQUAL(counted(0, SIP_N_BAD_RESPONSE) + counted(1, SIP_N_BAD_ANSWERED), 0);
	CU_ASSERT(counted(1, SIP_N_HANDED_OVER) > 0);
	printf("     accepted %u, refused %u, timed out %u\n", accepted, refused, lost);
	report();
	tear_down();
}

static void same_seed_same_log(void)
{
	uint64_t first, taps;

	run(7, 200, 200);
	first = scene->digest;
	taps = scene->taps;
	tear_down();
	run(8, 200, 200);
	CU_ASSERT(scene->digest != first);
	tear_down();
	run(7, 200, 200);
	CU_ASSERT_EQUAL(scene->digest, first);
	CU_ASSERT_EQUAL(scene->taps, taps);
	nothing_left();
	tear_down();
}

PB_TESTS("simulation/sip", { "every call ends", every_call_ends },
	 { "same seed, same log", same_seed_same_log })
