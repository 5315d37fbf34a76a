/* modules/sip/stack: client transactions, seen from the wire. */
#include "wire.h"

#include <errno.h>

static struct user {
	struct sip_stack *stack;
	struct sip_txn_id id;
	struct pb_str method; /* for do_send */
	unsigned provisional, final, timeout, error, stray;
	unsigned status; /* of the last response */
	bool cancel_on_provisional;
	int err;
} user;

static void on_request(void *arg, struct sip_txn_id id, const struct sip_arrival *in)
{
}

static void on_response(void *arg, const struct sip_arrival *in)
{
	user.stray++;
}

static const struct sip_stack_ops ops = { .request = on_request, .response = on_response };

static void on_outcome(void *arg, enum sip_outcome what, const struct sip_arrival *in)
{
	switch (what) {
	case SIP_OUT_PROVISIONAL:
		user.provisional++;
		if (user.cancel_on_provisional)
			CU_ASSERT_EQUAL(sip_client_cancel(user.stack, user.id), 0);
		break;
	case SIP_OUT_FINAL:
		user.final++;
		break;
	case SIP_OUT_TIMEOUT:
		user.timeout++;
		break;
	case SIP_OUT_ERROR:
		user.error++;
		break;
	}
	if (in)
		user.status = in->msg->status;
}

static void do_open(void *arg)
{
	struct sip_stack_args a = { .loop = pb_loop_current(), .net = wire.net, .ops = &ops };
	struct sip_listener_args l = { .name = PB_STR("general"), .local = wire.here };

	if (sip_stack_new(&a, &user.stack) != 0 ||
	    sip_transport_listen(sip_stack_transport(user.stack), &l) != 0)
		abort();
}

static void do_close(void *arg)
{
	sip_stack_free(&user.stack);
}

static void begin(void)
{
	memset(&user, 0, sizeof(user));
	wire_up(1, 5);
	wire_on(0, do_open, NULL);
}

static void end(void)
{
	struct sip_txn_count c;

	wire_run(400000);
	c = sip_stack_count(user.stack);
	CU_ASSERT_EQUAL(c.client + c.invite_client + c.server + c.invite_server, 0);
	CU_ASSERT_EQUAL(pb_loop_timers(wire.loops[0]), 0);
	wire_on(0, do_close, NULL);
	wire_down();
}

static void do_send(void *arg)
{
	struct sip_transport *t = sip_stack_transport(user.stack);
	struct sip_path path;
	struct sip_build *b;

	user.err = sip_path_choose(t, &wire.there, &path);
	if (!user.err)
		user.err = sip_client_begin(user.stack, &path, user.method,
					    PB_STR("sip:b@192.0.2.9:5070"), &b);
	if (user.err)
		return;
	sip_build_number(b, SIP_HDR_MAX_FORWARDS, 70);
	sip_build_hdr(b, SIP_HDR_ROUTE, PB_STR("<sip:192.0.2.9:5070;lr>"));
	sip_build_hdr(b, SIP_HDR_FROM, PB_STR("<sip:a@example.org>;tag=f"));
	sip_build_hdr(b, SIP_HDR_TO, PB_STR("<sip:b@example.org>"));
	sip_build_hdr(b, SIP_HDR_CALL_ID, PB_STR("c1"));
	sip_build_cseq(b, 3, user.method);
	user.err =
		sip_client_send(user.stack, PB_STR_NULL, PB_STR_NULL, on_outcome, NULL, &user.id);
}

static void send_request(const char *method)
{
	user.method = pb_str_z(method);
	wire_on(0, do_send, NULL);
	wire_run(1);
	CU_ASSERT_EQUAL(user.err, 0);
}

/** Answer what the peer got as the i-th. */
static void respond(unsigned i, unsigned code, const char *tag)
{
	wire_send("SIP/2.0 %u Some Reason\nVia: %.*s\nFrom: <sip:a@example.org>;tag=f\n"
		  "To: <sip:b@example.org>%s\nCall-ID: c1\nCSeq: %.*s\nContact: <sip:b@192.0.2.9>\n"
		  "Content-Length: 0\n\n",
		  code, PB_STR_F(wire_header(i, "Via")), tag, PB_STR_F(wire_header(i, "CSeq")));
}

static void schedule(const char *method, const uint64_t *at, unsigned n)
{
	begin();
	send_request(method);
	wire_run(40000);
	CU_ASSERT_EQUAL(wire.got_n, n);
	for (unsigned i = 0; i < n; i++) {
		CU_ASSERT_EQUAL(wire.got_ms[i] - wire.got_ms[0], at[i]);
		CU_ASSERT_STRING_EQUAL(wire.got[i], wire.got[0]);
	}
	CU_ASSERT_EQUAL(user.timeout, 1);
	CU_ASSERT_EQUAL(user.final + user.provisional + user.error, 0);
	end();
}

static void invite_schedule(void)
{
	static const uint64_t at[] = { 0, 500, 1500, 3500, 7500, 15500, 31500 };

	schedule("INVITE", at, 7);
}

static void options_schedule(void)
{
	static const uint64_t at[] = { 0,     500,   1500,  3500,  7500, 11500,
				       15500, 19500, 23500, 27500, 31500 };

	schedule("OPTIONS", at, 11);
}

static void via_and_branch(void)
{
	begin();
	send_request("OPTIONS");
	CU_ASSERT_TRUE(wire_has(0, "Via: SIP/2.0/UDP 192.0.2.1:5060;"));
	CU_ASSERT_TRUE(wire_has(0, ";branch=z9hG4bK000"));
	CU_ASSERT_TRUE(wire_has(0, ";rport"));
	respond(0, 200, ";tag=t");
	CU_ASSERT_EQUAL(user.final, 1);
	respond(0, 200, ";tag=t");
	CU_ASSERT_EQUAL(user.final, 1);
	CU_ASSERT_EQUAL(user.stray, 0); /* absorbed until timer K */
	wire_run(5100);
	respond(0, 200, ";tag=t");
	CU_ASSERT_EQUAL(user.stray, 1);
	end();
}

static void options_proceeding(void)
{
	begin();
	send_request("OPTIONS");
	respond(0, 100, "");
	CU_ASSERT_EQUAL(user.provisional, 1);
	wire_run(10000);
	CU_ASSERT_EQUAL(wire.got_ms[1] - wire.got_ms[0], 500);
	CU_ASSERT_EQUAL(wire.got_ms[2] - wire.got_ms[1], 4000);
	respond(0, 404, ";tag=t");
	CU_ASSERT_EQUAL(user.status, 404);
	end();
}

static void invite_refused(void)
{
	begin();
	send_request("INVITE");
	respond(0, 180, ";tag=t");
	wire_run(5000);
	CU_ASSERT_EQUAL(wire.got_n, 1); /* a provisional stops timer A */
	respond(0, 486, ";tag=t");
	PB_SAME(wire_line(1), "ACK sip:b@192.0.2.9:5070 SIP/2.0");
	PB_SAME(wire_header(1, "To"), "<sip:b@example.org>;tag=t");
	PB_SAME(wire_header(1, "CSeq"), "3 ACK");
	PB_SAME(wire_header(1, "Route"), "<sip:192.0.2.9:5070;lr>");
	respond(0, 486, ";tag=t");
	PB_SAME(wire_line(2), "ACK sip:b@192.0.2.9:5070 SIP/2.0");
	CU_ASSERT_EQUAL(user.final, 1);
	end();
}

static void invite_accepted(void)
{
	begin();
	send_request("INVITE");
	respond(0, 200, ";tag=t");
	respond(0, 200, ";tag=t");
	respond(0, 200, ";tag=fork");
	CU_ASSERT_EQUAL(user.final, 3); /* all of them go up; nothing is acknowledged here */
	CU_ASSERT_EQUAL(wire.got_n, 1);
	wire_run(32000);
	respond(0, 200, ";tag=t");
	CU_ASSERT_EQUAL(user.stray, 1);
	end();
}

static void do_cancel(void *arg)
{
	user.err = sip_client_cancel(user.stack, user.id);
}

static void cancel_waits(void)
{
	begin();
	send_request("INVITE");
	wire_on(0, do_cancel, NULL);
	CU_ASSERT_EQUAL(user.err, 0);
	wire_on(0, do_cancel, NULL);
	CU_ASSERT_EQUAL(user.err, -EALREADY);
	wire_run(100);
	CU_ASSERT_EQUAL(wire.got_n, 1);
	respond(0, 100, "");
	PB_SAME(wire_line(1), "CANCEL sip:b@192.0.2.9:5070 SIP/2.0");
	CU_ASSERT_TRUE(pb_str_eq(wire_header(0, "Via"), wire_header(1, "Via")));
	PB_SAME(wire_header(1, "CSeq"), "3 CANCEL");
	respond(1, 200, ";tag=t");
	CU_ASSERT_EQUAL(user.final, 0); /* the CANCEL's own, of no interest */
	respond(0, 487, ";tag=t");
	CU_ASSERT_EQUAL(user.status, 487);
	PB_SAME(wire_line(2), "ACK sip:b@192.0.2.9:5070 SIP/2.0");
	end();
}

static void cancel_in_vain(void)
{
	begin();
	user.cancel_on_provisional = true;
	send_request("INVITE");
	respond(0, 180, ";tag=t");
	PB_SAME(wire_line(1), "CANCEL sip:b@192.0.2.9:5070 SIP/2.0");
	wire_run(33000);
	CU_ASSERT_EQUAL(user.timeout, 1); /* 64*T1 after the CANCEL */
	wire_on(0, do_cancel, NULL);
	CU_ASSERT_EQUAL(user.err, -ESTALE);
	end();
}

static void rings_for_ever(void)
{
	begin();
	send_request("INVITE");
	respond(0, 180, ";tag=t");
	wire_run(181000);
	PB_SAME(wire_line(1), "CANCEL sip:b@192.0.2.9:5070 SIP/2.0"); /* timer C */
	wire_run(33000);
	CU_ASSERT_EQUAL(user.timeout, 1);
	end();
}

static void do_close_listener(void *arg)
{
	sip_transport_close(sip_stack_transport(user.stack), 0);
}

static void listener_gone(void)
{
	begin();
	send_request("INVITE");
	wire_on(0, do_close_listener, NULL);
	wire_run(600); /* timer A finds out */
	CU_ASSERT_EQUAL(user.error, 1);
	wire_on(0, do_send, NULL);
	CU_ASSERT_EQUAL(user.err, -EHOSTUNREACH);
	end();
}

static void do_forget(void *arg)
{
	sip_client_forget(user.stack, user.id);
}

static void forgotten(void)
{
	begin();
	send_request("OPTIONS");
	wire_on(0, do_forget, NULL);
	respond(0, 200, ";tag=t");
	CU_ASSERT_EQUAL(user.final, 0);
	CU_ASSERT_EQUAL(user.stray, 0);
	end();
}

static void strangers(void)
{
	begin();
	send_request("INVITE");
	wire_send("SIP/2.0 200 OK\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKguess\n"
		  "From: <sip:a@example.org>;tag=f\nTo: <sip:b@example.org>;tag=x\nCall-ID: c1\n"
		  "CSeq: 3 INVITE\nContent-Length: 0\n\n");
	wire_send("SIP/2.0 200 OK\nVia: %.*s\nFrom: <sip:a@example.org>;tag=f\n"
		  "To: <sip:b@example.org>;tag=x\nCall-ID: c1\nCSeq: 3 BYE\nContent-Length: 0\n\n",
		  PB_STR_F(wire_header(0, "Via")));
	CU_ASSERT_EQUAL(user.stray, 2);
	CU_ASSERT_EQUAL(user.final, 0);
	end();
}

static void do_rest(void *arg)
{
	sip_transport_set_way(sip_stack_transport(user.stack), 0, SIP_WAY_RESTING);
}

static void do_cut(void *arg)
{
	sip_transport_set_way(sip_stack_transport(user.stack), 0, SIP_WAY_CUT);
	sip_stack_cut(user.stack, 0);
}

static void do_join(void *arg)
{
	sip_transport_set_way(sip_stack_transport(user.stack), 0, SIP_WAY_OPEN);
}

/* At rest what is under way goes on and nothing new begins; cut, it ends at once and nothing leaves. */
static void listener_cut(void)
{
	begin();
	send_request("OPTIONS");
	wire_on(0, do_rest, NULL);
	wire_on(0, do_send, NULL);
	CU_ASSERT_EQUAL(user.err, -EHOSTUNREACH);
	wire_run(600);
	CU_ASSERT_EQUAL(wire.got_n, 2); /* timer E */
	CU_ASSERT_EQUAL(user.error, 0);
	wire_on(0, do_cut, NULL);
	CU_ASSERT_EQUAL(user.error, 1);
	CU_ASSERT_EQUAL(sip_stack_count(user.stack).client, 0);
	CU_ASSERT_EQUAL(pb_loop_timers(wire.loops[0]), 0);
	CU_ASSERT_EQUAL(sip_listener_find(sip_stack_transport(user.stack), PB_STR("general")), -ENOENT);
	wire_run(40000);
	CU_ASSERT_EQUAL(wire.got_n, 2);
	wire_on(0, do_join, NULL);
	send_request("INVITE");
	CU_ASSERT_EQUAL(wire.got_n, 3);
	wire_on(0, do_cut, NULL);
	CU_ASSERT_EQUAL(user.error, 2);
	end();
}

static void try_send(void)
{
	user.method = PB_STR("INVITE");
	wire_on(0, do_send, NULL);
}

static void each_alloc(void)
{
	begin();
	/* The simulated network's own memory is not this test's subject. */
	for (long n = 0; n < 4; n++) {
		pb_alloc_fail_after(n);
		try_send();
		pb_alloc_fail_after(-1);
		CU_ASSERT(user.err == 0 || user.err == -ENOMEM || user.err == -ENOSPC);
	}
	wire_run(1);
	try_send();
	CU_ASSERT_EQUAL(user.err, 0);
	end();
}

PB_TESTS("sip/client", { "INVITE: timers A and B", invite_schedule },
	 { "OPTIONS: timers E and F", options_schedule }, { "Via, timer K", via_and_branch },
	 { "OPTIONS proceeding", options_proceeding }, { "INVITE refused", invite_refused },
	 { "INVITE accepted", invite_accepted }, { "CANCEL waits for a provisional", cancel_waits },
	 { "CANCEL in vain", cancel_in_vain }, { "timer C", rings_for_ever },
	 { "listener gone", listener_gone }, { "listener cut off", listener_cut }, { "forgotten", forgotten },
	 { "responses of strangers", strangers }, { "each allocation", each_alloc })
