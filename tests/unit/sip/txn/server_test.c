/* modules/sip/stack: transport and server transactions, seen from the wire. */
#include "wire.h"

#include <errno.h>

static struct user {
	struct sip_stack *stack[WIRE_LOOPS];
	struct sip_stack_args args;
	unsigned requests, cancels, acks, fails;
	unsigned requests_on[WIRE_LOOPS];
	enum sip_failure why;
	struct sip_txn_id id; /* of the last request */
	unsigned on; /* loop of it */
	unsigned answer; /* at once with this code; 0: not */
	unsigned refuse; /* admit's code */
	int err;
	unsigned code; /* for do_answer */
} user;

static unsigned loop_no(void)
{
	return pb_loop_index(pb_loop_current());
}

static void do_answer(void *arg)
{
	user.err = sip_server_answer(user.stack[user.on], user.id, user.code, PB_STR_NULL);
}

static int answer(unsigned code)
{
	user.code = code;
	wire_on(user.on, do_answer, NULL);
	wire_run(1);
	return user.err;
}

static unsigned on_admit(void *arg, const struct sip_arrival *in)
{
	return user.refuse;
}

static void on_request(void *arg, struct sip_txn_id id, const struct sip_arrival *in)
{
	user.requests++;
	user.requests_on[loop_no()]++;
	user.id = id;
	user.on = loop_no();
	if (user.answer)
		user.err = sip_server_answer(user.stack[user.on], id, user.answer, PB_STR_NULL);
}

static void on_cancel(void *arg, struct sip_txn_id invite, const struct sip_arrival *in)
{
	user.cancels++;
	CU_ASSERT_TRUE(sip_txn_id_eq(invite, user.id));
	sip_server_answer(user.stack[user.on], invite, 487, PB_STR_NULL);
}

static void on_ack(void *arg, const struct sip_arrival *in)
{
	user.acks++;
}

static void on_failed(void *arg, struct sip_txn_id id, enum sip_failure why)
{
	user.fails++;
	user.why = why;
}

static const struct sip_stack_ops ops = {
	.admit = on_admit,
	.request = on_request,
	.cancel = on_cancel,
	.ack = on_ack,
	.failed = on_failed,
};

static void do_open(void *arg)
{
	unsigned i = loop_no();
	struct sip_listener_args l = { .name = PB_STR("general"),
				       .local = wire.here,
				       .max_bytes = 8192,
				       .share = wire.n > 1 };

	user.args.loop = pb_loop_current();
	user.args.net = wire.net;
	user.args.ops = &ops;
	if (sip_stack_new(&user.args, &user.stack[i]) != 0 ||
	    sip_transport_listen(sip_stack_transport(user.stack[i]), &l) != 0)
		abort();
}

static void do_close(void *arg)
{
	sip_stack_free(&user.stack[loop_no()]);
}

static void up(unsigned loops)
{
	wire_up(loops, 11);
	for (unsigned i = 0; i < loops; i++)
		wire_on(i, do_open, NULL);
}

static void begin(void)
{
	memset(&user, 0, sizeof(user));
	up(1);
}

static uint64_t counted(enum sip_counter c)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < wire.n; i++)
		n += sip_transport_counters(sip_stack_transport(user.stack[i]))[c];
	return n;
}

static size_t open_now(void)
{
	size_t n = 0;

	for (unsigned i = 0; i < wire.n; i++) {
		struct sip_txn_count c = sip_stack_count(user.stack[i]);

		n += c.client + c.invite_client + c.server + c.invite_server;
	}
	return n;
}

/** Time passes until nothing can happen; then nothing must be left. */
static void end(void)
{
	wire_run(400000);
	CU_ASSERT_EQUAL(open_now(), 0);
	for (unsigned i = 0; i < wire.n; i++) {
		CU_ASSERT_EQUAL(pb_loop_timers(wire.loops[i]), 0);
		wire_on(i, do_close, NULL);
	}
	wire_down();
}

/* ---- Requests --------------------------------------------------------------------- */

#define HEAD(branch, call, tag)                                                                    \
	"Via: SIP/2.0/UDP 198.51.100.7:5099;branch=z9hG4bK" branch ";rport\n"                      \
	"Max-Forwards: 70\nFrom: <sip:a@example.org>;tag=f1\nTo: <sip:b@example.org>" tag "\n"      \
	"Call-ID: " call "\n"
#define END "Content-Length: 0\n\n"

static void send_invite(void)
{
	wire_send_z("INVITE sip:b@192.0.2.1 SIP/2.0\n" HEAD("i1", "c1", "") "CSeq: 1 INVITE\n"
		    "Contact: <sip:a@192.0.2.9:5070>\nRecord-Route: <sip:p1;lr>,<sip:p2;lr>\n" END);
}

static void send_ack(void)
{
	wire_send_z("ACK sip:b@192.0.2.1 SIP/2.0\n" HEAD("i1", "c1", "") "CSeq: 1 ACK\n" END);
}

static void send_options(const char *branch)
{
	wire_send("OPTIONS sip:192.0.2.1 SIP/2.0\n" HEAD("%s", "c%s", "") "CSeq: 7 OPTIONS\n" END,
		  branch, branch);
}

static void invite_refused(void)
{
	static const uint64_t at[] = { 0, 500, 1500, 3500, 7500, 11500 };

	begin();
	send_invite();
	PB_SAME(wire_line(0), "SIP/2.0 100 Trying");
	CU_ASSERT_FALSE(wire_has(0, "Record-Route"));
	CU_ASSERT(wire_tag(wire_header(0, "To")).p == NULL);
	send_invite();
	PB_SAME(wire_line(1), "SIP/2.0 100 Trying");
	CU_ASSERT_EQUAL(user.requests, 1);
	CU_ASSERT_EQUAL(answer(180), 0);
	PB_SAME(wire_line(2), "SIP/2.0 180 Ringing");
	CU_ASSERT_TRUE(wire_has(2, "Record-Route: <sip:p1;lr>"));
	send_invite();
	PB_SAME(wire_line(3), "SIP/2.0 180 Ringing");
	CU_ASSERT_EQUAL(answer(486), 0);
	wire_run(12000);
	for (unsigned i = 0; i < 6; i++) {
		PB_SAME(wire_line(4 + i), "SIP/2.0 486 Busy Here");
		CU_ASSERT_EQUAL(wire.got_ms[4 + i] - wire.got_ms[4], at[i]);
	}
	CU_ASSERT_FALSE(wire_has(4, "Record-Route"));
	CU_ASSERT_EQUAL(sip_id_loop(wire_tag(wire_header(4, "To")), 1), 0);
	CU_ASSERT_EQUAL(wire.got_n, 10);
	send_ack();
	send_ack();
	CU_ASSERT_EQUAL(answer(200), -EALREADY);
	wire_run(20000);
	CU_ASSERT_EQUAL(wire.got_n, 10);
	CU_ASSERT_EQUAL(user.acks, 0);
	CU_ASSERT_EQUAL(user.fails, 0);
	CU_ASSERT_EQUAL(counted(SIP_N_ANSWER_SECOND), 1);
	end();
}

static void invite_no_ack(void)
{
	begin();
	user.answer = 403;
	send_invite();
	PB_SAME(wire_line(0), "SIP/2.0 403 Forbidden"); /* no 100: it was answered at once */
	wire_run(40000);
	CU_ASSERT_EQUAL(wire.got_n, 11); /* 0, .5, 1.5, 3.5, 7.5 ... 31.5 */
	CU_ASSERT_EQUAL(user.fails, 1);
	CU_ASSERT_EQUAL(user.why, SIP_FAIL_NO_ACK);
	end();
}

static void do_once(void *arg)
{
	sip_server_once(user.stack[0], user.id);
}

static void invite_refused_once(void)
{
	begin();
	send_invite();
	wire_on(0, do_once, NULL);
	CU_ASSERT_EQUAL(answer(401), 0);
	wire_run(10000);
	CU_ASSERT_EQUAL(wire.got_n, 2); /* 100, 401: two packets for a forged one */
	CU_ASSERT_TRUE(strlen(wire.got[0]) + strlen(wire.got[1]) < 2 * 400);
	send_invite();
	PB_SAME(wire_line(2), "SIP/2.0 401 Unauthorized");
	end();
}

static void invite_accepted(void)
{
	begin();
	send_invite();
	CU_ASSERT_EQUAL(answer(200), 0);
	CU_ASSERT_TRUE(wire_has(1, "Record-Route: <sip:p2;lr>") ||
		       wire_has(1, "<sip:p1;lr>,<sip:p2;lr>"));
	send_invite(); /* RFC 6026: absorbed, not even answered */
	CU_ASSERT_EQUAL(wire.got_n, 2);
	send_ack(); /* with the INVITE's branch, as it should not be: passed up */
	CU_ASSERT_EQUAL(user.acks, 1);
	CU_ASSERT_EQUAL(user.requests, 1);
	end();
}

static void never_answered(void)
{
	begin();
	send_invite();
	wire_run(179000);
	CU_ASSERT_EQUAL(wire.got_n, 1);
	wire_run(1100);
	PB_SAME(wire_line(1), "SIP/2.0 408 Request Timeout");
	CU_ASSERT_EQUAL(user.why, SIP_FAIL_NO_ANSWER);
	send_ack();
	wire_run(6000);
	CU_ASSERT_EQUAL(open_now(), 0);
	CU_ASSERT_EQUAL(answer(200), -ESTALE);
	CU_ASSERT_EQUAL(counted(SIP_N_ANSWER_STALE), 1);
	send_options("o1");
	wire_run(200000);
	PB_SAME(wire_line(2), "SIP/2.0 100 Trying");
	CU_ASSERT_EQUAL(wire.got_n, 3); /* no 408, RFC 4320 */
	CU_ASSERT_EQUAL(user.fails, 2);
	CU_ASSERT_EQUAL(counted(SIP_N_SERVER_UNANSWERED), 2);
	end();
}

static void late_trying(void)
{
	begin();
	send_options("o1");
	send_options("o1");
	wire_run(3000);
	CU_ASSERT_EQUAL(wire.got_n, 0);
	wire_run(1000);
	PB_SAME(wire_line(0), "SIP/2.0 100 Trying"); /* timer E of the client is at T2 */
	send_options("o1");
	PB_SAME(wire_line(1), "SIP/2.0 100 Trying");
	wire_run(10000);
	CU_ASSERT_EQUAL(answer(200), 0);
	PB_SAME(wire_line(2), "SIP/2.0 200 OK");
	send_options("o1");
	PB_SAME(wire_line(3), "SIP/2.0 200 OK");
	CU_ASSERT_STRING_EQUAL(wire.got[2], wire.got[3]);
	CU_ASSERT_EQUAL(user.requests, 1);
	CU_ASSERT_EQUAL(answer(200), -EALREADY);
	wire_run(33000);
	CU_ASSERT_EQUAL(answer(200), -ESTALE);
	end();
}

static void source_address(void)
{
	begin();
	user.answer = 200;
	send_options("o1"); /* its Via points elsewhere */
	PB_SAME(wire_line(0), "SIP/2.0 200 OK");
	PB_SAME(wire_header(0, "Via"),
		"SIP/2.0/UDP 198.51.100.7:5099;branch=z9hG4bKo1;rport=5070;received=192.0.2.9");
	end();
}

static void cancelled(void)
{
	static const char cancel[] = "CANCEL sip:b@192.0.2.1 SIP/2.0\n" HEAD("i1", "c1", "")
		"CSeq: 1 CANCEL\n" END;

	begin();
	wire_send_z(cancel);
	PB_SAME(wire_line(0), "SIP/2.0 481 Call/Transaction Does Not Exist");
	send_invite();
	wire_send_z(cancel);
	PB_SAME(wire_line(2), "SIP/2.0 200 OK");
	PB_SAME(wire_line(3), "SIP/2.0 487 Request Terminated");
	CU_ASSERT_TRUE(pb_str_eq(wire_tag(wire_header(2, "To")), wire_tag(wire_header(3, "To"))));
	wire_send_z(cancel);
	PB_SAME(wire_line(4), "SIP/2.0 200 OK");
	send_ack();
	CU_ASSERT_EQUAL(user.cancels, 1);
	end();
}

static void merged(void)
{
	begin();
	send_options("o1");
	wire_send_z("OPTIONS sip:192.0.2.1 SIP/2.0\n" HEAD("other", "co1", "")
		    "CSeq: 7 OPTIONS\n" END);
	PB_SAME(wire_line(0), "SIP/2.0 482 Loop Detected");
	CU_ASSERT_EQUAL(user.requests, 1);
	CU_ASSERT_EQUAL(counted(SIP_N_SERVER_MERGED), 1);
	answer(200);
	end();
}

static void do_limit(void *arg)
{
	sip_stack_set_server_limit(user.stack[0], 3);
}

static void full(void)
{
	uint32_t s = 0;

	begin();
	wire_on(0, do_limit, NULL);
	send_options("o1");
	send_options("o2");
	send_options("o3");
	CU_ASSERT_EQUAL(wire.got_n, 0);
	send_options("o4");
	PB_SAME(wire_line(0), "SIP/2.0 503 Service Unavailable");
	CU_ASSERT_EQUAL(pb_str_to_u32(wire_header(0, "Retry-After"), 5, 15, &s), 0);
	CU_ASSERT_EQUAL(user.requests, 3);
	wire_send_z("BYE sip:192.0.2.1 SIP/2.0\n" HEAD("b1", "cb", ";tag=x") "CSeq: 2 BYE\n" END);
	CU_ASSERT_EQUAL(user.requests, 4);
	send_options("o3"); /* a repetition of one that is in */
	CU_ASSERT_EQUAL(wire.got_n, 1);
	user.refuse = 405;
	user.requests = 0;
	send_options("o5");
	PB_SAME(wire_line(1), "SIP/2.0 405 Method Not Allowed");
	CU_ASSERT_EQUAL(user.requests, 0);
	end();
}

static void malformed(void)
{
	begin();
	wire_send_z("\n\n");
	wire_send_z("hello");
	wire_send_z("this is not SIP at all, not even near it\n\n");
	wire_send_z("OPTIONS sip:192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 1.2.3.4;branch=z9hG4bKx\n\n");
	wire_send_z("ACK sip:192.0.2.1 SIP/2.0\n" HEAD("x", "c", "") "CSeq: -1 ACK\n" END);
	wire_send_z("SIP/2.0 200 OK\n" HEAD("x", "c", "") "CSeq: x OPTIONS\n" END);
	CU_ASSERT_EQUAL(wire.got_n, 0);
	wire_send_z("OPTIONS sip:192.0.2.1 SIP/2.0\n" HEAD("x", "c", "")
		    "CSeq: 1 OPTIONS\nContent-Length: -5\n\n");
	CU_ASSERT_TRUE(wire_has(0, "SIP/2.0 400 "));
	CU_ASSERT_EQUAL(wire.got_n, 1);
	CU_ASSERT_EQUAL(counted(SIP_N_KEEPALIVE), 1);
	CU_ASSERT_EQUAL(counted(SIP_N_SHORT), 1);
	CU_ASSERT_EQUAL(counted(SIP_N_BAD_SILENT), 3);
	CU_ASSERT_EQUAL(counted(SIP_N_BAD_RESPONSE), 1);
	CU_ASSERT_EQUAL(counted(SIP_N_BAD_ANSWERED), 1);
	CU_ASSERT_EQUAL(user.requests, 0);
	end();
}

static void old_style(void)
{
	static const char invite[] = "INVITE sip:b@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.9:5070\n"
				     "From: <sip:a@example.org>;tag=9\nTo: <sip:b@example.org>\n"
				     "Call-ID: old\nCSeq: 1 INVITE\nMax-Forwards: 70\n"
				     "Contact: <sip:a@192.0.2.9>\n" END;
	static const char ack[] = "ACK sip:b@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.9:5070\n"
				  "From: <sip:a@example.org>;tag=9\nTo: <sip:b@example.org>;tag=x\n"
				  "Call-ID: old\nCSeq: 1 ACK\nMax-Forwards: 70\n" END;

	begin();
	user.answer = 404;
	wire_send_z(invite);
	wire_send_z(invite);
	CU_ASSERT_EQUAL(user.requests, 1);
	CU_ASSERT_EQUAL(wire.got_n, 2);
	wire_send_z(ack);
	wire_run(30000);
	CU_ASSERT_EQUAL(wire.got_n, 2);
	end();
}

/* ---- Loops --------------------------------------------------------------------------- */

static void handed_over(void)
{
	struct pb_str tag;

	memset(&user, 0, sizeof(user));
	up(3);
	for (unsigned i = 0; i < 60; i++)
		wire_send("INVITE sip:b@192.0.2.1 SIP/2.0\n" HEAD("i%u", "c%u", "")
			  "CSeq: 1 INVITE\nContact: <sip:a@192.0.2.9:5070>\n" END, i, i);
	CU_ASSERT_EQUAL(user.requests, 60);
	for (unsigned i = 0; i < 3; i++)
		CU_ASSERT(user.requests_on[i] > 8);
	/* All came in on one socket, the peer being one. */
	CU_ASSERT(counted(SIP_N_HANDED_OVER) > 20);
	CU_ASSERT_EQUAL(counted(SIP_N_RECEIVED), 60);
	user.answer = 486;
	wire.got_n = 0;
	wire_send_z("INVITE sip:b@192.0.2.1 SIP/2.0\n" HEAD("ix", "cx", "") "CSeq: 1 INVITE\n" END);
	tag = wire_tag(wire_header(0, "To"));
	CU_ASSERT_EQUAL(sip_id_loop(tag, 3), (int)user.on);
	wire_send("ACK sip:b@192.0.2.1 SIP/2.0\n" HEAD("ix", "another", ";tag=%.*s")
		  "CSeq: 1 ACK\n" END, PB_STR_F(tag));
	wire_run(1000);
	CU_ASSERT_EQUAL(wire.got_n, 1); /* the ACK found it by the tag */
	end();
}

/* ---- Memory ---------------------------------------------------------------------------- */

static void some_requests(void *arg)
{
	send_invite();
	answer(180);
	answer(200);
	send_options("o1");
	answer(200);
}

static void out_of_memory(void)
{
	/* Only the stack's memory fails: what it cannot do it refuses. */
	for (long n = 0; n < 40; n++) {
		begin();
		pb_alloc_fail_after(n);
		some_requests(NULL);
		pb_alloc_fail_after(-1);
		end();
	}
}

static void do_new(void *arg)
{
	struct sip_stack *s;
	struct sip_stack_args a = { .loop = pb_loop_current(), .net = wire.net, .ops = &ops };

	if (sip_stack_new(&a, &s) == 0)
		sip_stack_free(&s);
}

static void try_new(void)
{
	pb_loop_call(pb_loops_at(wire.outside, 0), do_new, NULL);
}

static void each_new(void)
{
	begin();
	pb_test_each_alloc(try_new);
	end();
}

PB_TESTS("sip/server", { "INVITE refused", invite_refused }, { "no ACK", invite_no_ack },
	 { "refused once", invite_refused_once }, { "INVITE accepted", invite_accepted },
	 { "never answered", never_answered }, { "late 100", late_trying },
	 { "answers go to the source", source_address }, { "CANCEL", cancelled },
	 { "merged requests", merged }, { "limit", full }, { "malformed", malformed },
	 { "RFC 2543 client", old_style }, { "loops", handed_over },
	 { "out of memory", out_of_memory }, { "each allocation of a stack", each_new })
