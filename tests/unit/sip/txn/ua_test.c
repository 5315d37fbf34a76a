/* modules/sip/stack/ua: dialogs seen from the wire. */
#include "wire.h"

#include <errno.h>

static struct user {
	struct sip_ua *ua;
	struct sip_dialog *d;
	struct sip_txn_id id;
	unsigned outside, inside, cancels, acks, no_acks, fails;
	enum sip_method method; /* of the last request */
	unsigned provisional, final, timeout, status;
	unsigned code;
	int err;
	struct pb_str tag; /* ours, kept in: */
	char tag_text[SIP_ID_BYTES];
	bool free_on_final, no_memory;
} user;

static void in_dialog(void *arg, struct sip_dialog *d, struct sip_txn_id id,
		      const struct sip_arrival *in)
{
	user.inside++;
	user.method = in->msg->method;
	user.id = id;
	if (in->msg->method == SIP_BYE) {
		sip_dialog_answer(d, id, 200, PB_STR_NULL);
		sip_dialog_free(&user.d);
	}
}

static void on_dialog_cancel(void *arg, struct sip_dialog *d, struct sip_txn_id invite,
			     const struct sip_arrival *in)
{
	user.cancels++;
	sip_dialog_answer(d, invite, 487, PB_STR_NULL);
}

static void on_ack(void *arg, struct sip_dialog *d, const struct sip_arrival *in)
{
	user.acks++;
}

static void on_no_ack(void *arg, struct sip_dialog *d)
{
	user.no_acks++;
	CU_ASSERT_EQUAL(sip_dialog_bye(d), 0);
}

static const struct sip_dialog_ops dialog_ops = {
	.request = in_dialog,
	.cancel = on_dialog_cancel,
	.ack = on_ack,
	.no_ack = on_no_ack,
};

static const struct sip_dialog_args dialog_args = { .ops = &dialog_ops };

static void on_request(void *arg, struct sip_txn_id id, const struct sip_arrival *in)
{
	user.outside++;
	user.id = id;
	if (in->msg->method != SIP_INVITE) {
		sip_server_answer(sip_ua_stack(user.ua), id, 200, PB_STR_NULL);
		return;
	}
	user.err = sip_dialog_new_uas(user.ua, id, in, &dialog_args, &user.d);
	if (user.err)
		sip_server_answer(sip_ua_stack(user.ua), id, user.err == -EINVAL ? 400 : 503,
				  PB_STR_NULL);
}

static const struct sip_ua_ops ops = { .request = on_request };

static void do_open(void *arg)
{
	struct sip_ua_args a = { .loop = pb_loop_current(), .net = wire.net, .ops = &ops };
	struct sip_listener_args l = { .name = PB_STR("general"), .local = wire.here };

	if (sip_ua_new(&a, &user.ua) != 0 ||
	    sip_transport_listen(sip_ua_transport(user.ua), &l) != 0)
		abort();
}

static void do_close(void *arg)
{
	sip_ua_free(&user.ua);
}

static void begin(void)
{
	memset(&user, 0, sizeof(user));
	wire_up(1, 5);
	wire_on(0, do_open, NULL);
}

static void do_free(void *arg)
{
	sip_dialog_free(&user.d);
}

static void end(void)
{
	struct sip_txn_count c;

	wire_on(0, do_free, NULL);
	wire_run(400000);
	c = sip_stack_count(sip_ua_stack(user.ua));
	CU_ASSERT_EQUAL(c.client + c.invite_client + c.server + c.invite_server, 0);
	CU_ASSERT_EQUAL(sip_ua_dialogs(user.ua), 0);
	CU_ASSERT_EQUAL(pb_loop_timers(wire.loops[0]), 0);
	wire_on(0, do_close, NULL);
	wire_down();
}

static void do_answer(void *arg)
{
	user.err = sip_dialog_answer(user.d, user.id, user.code, PB_STR_NULL);
}

static void answer(unsigned code)
{
	user.code = code;
	wire_on(0, do_answer, NULL);
	wire_run(1);
}

static void do_bye(void *arg)
{
	user.err = sip_dialog_bye(user.d);
}

/* ---- Called ----------------------------------------------------------------------- */

/** The peer sends a request with our tag, or none yet. */
static void request(const char *method, const char *branch, unsigned cseq)
{
	wire_send("%s sip:b@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bK%s\n"
		  "Max-Forwards: 70\nFrom: <sip:a@example.org>;tag=f1\n"
		  "To: <sip:b@example.org>%s%.*s\nCall-ID: c1\nCSeq: %u %s\n"
		  "Contact: <sip:a@192.0.2.9:5070>\nContent-Length: 0\n\n",
		  method, branch, user.tag.n ? ";tag=" : "", PB_STR_F(user.tag), cseq, method);
}

static void keep_tag(struct pb_str tag)
{
	CU_ASSERT_EQUAL_FATAL(tag.n, SIP_ID_BYTES);
	memcpy(user.tag_text, tag.p, tag.n);
	user.tag = pb_str(user.tag_text, tag.n);
}

/** A call from the peer, answered and acknowledged. */
static void called(void)
{
	request("INVITE", "i1", 10);
	answer(180);
	CU_ASSERT_TRUE(wire_has(1, "Contact: <sip:192.0.2.1:5060>"));
	CU_ASSERT_EQUAL(sip_dialog_core(user.d)->state, SIP_DIALOG_EARLY);
	answer(200);
	keep_tag(wire_tag(wire_header(2, "To")));
	CU_ASSERT_EQUAL(sip_dialog_core(user.d)->state, SIP_DIALOG_CONFIRMED);
	request("ACK", "a1", 10);
	CU_ASSERT_EQUAL(user.acks, 1);
	wire_run(3000);
	wire.got_n = 0;
}

static void call_taken(void)
{
	begin();
	called();
	request("ACK", "a1", 10);
	CU_ASSERT_EQUAL(user.acks, 1);
	request("BYE", "b1", 11);
	PB_SAME(wire_line(0), "SIP/2.0 200 OK");
	CU_ASSERT_EQUAL(user.inside, 1);
	request("BYE", "b1", 11);
	PB_SAME(wire_line(1), "SIP/2.0 200 OK");
	request("BYE", "b2", 12);
	PB_SAME(wire_line(2), "SIP/2.0 481 Call/Transaction Does Not Exist");
	CU_ASSERT_EQUAL(user.inside, 1);
	end();
}

static void two_hundred_repeated(void)
{
	static const uint64_t at[] = { 0,     500,   1500,  3500,  7500, 11500,
				       15500, 19500, 23500, 27500, 31500 };

	begin();
	request("INVITE", "i1", 10);
	answer(200);
	wire_run(33000);
	for (unsigned i = 0; i < 11; i++) {
		PB_SAME(wire_line(1 + i), "SIP/2.0 200 OK");
		CU_ASSERT_EQUAL(wire.got_ms[1 + i] - wire.got_ms[1], at[i]);
	}
	CU_ASSERT_EQUAL(user.no_acks, 1);
	PB_SAME(wire_line(12), "BYE sip:a@192.0.2.9:5070 SIP/2.0");
	end();
}

static void bye_waits_for_ack(void)
{
	begin();
	request("INVITE", "i1", 10);
	answer(200);
	keep_tag(wire_tag(wire_header(1, "To")));
	wire_on(0, do_bye, NULL);
	wire_on(0, do_free, NULL);
	wire_run(100);
	CU_ASSERT_EQUAL(wire.got_n, 2);
	request("ACK", "a1", 10);
	PB_SAME(wire_line(2), "BYE sip:a@192.0.2.9:5070 SIP/2.0");
	CU_ASSERT_EQUAL(user.acks, 0); /* its owner has gone */
	end();
}

static void strangers(void)
{
	begin();
	called();
	user.tag_text[5] ^= 1;
	request("BYE", "b1", 11);
	PB_SAME(wire_line(0), "SIP/2.0 481 Call/Transaction Does Not Exist");
	user.tag_text[5] ^= 1;
	wire_send("BYE sip:b@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bKb2\n"
		  "Max-Forwards: 70\nFrom: <sip:a@example.org>;tag=guess\n"
		  "To: <sip:b@example.org>;tag=%.*s\nCall-ID: c1\nCSeq: 11 BYE\n"
		  "Content-Length: 0\n\n",
		  PB_STR_F(user.tag));
	PB_SAME(wire_line(1), "SIP/2.0 481 Call/Transaction Does Not Exist");
	CU_ASSERT_EQUAL(user.inside, 0);
	CU_ASSERT(user.d != NULL);
	end();
}

static void backwards(void)
{
	begin();
	called();
	request("INFO", "n1", 20);
	CU_ASSERT_EQUAL(user.inside, 1);
	answer(200);
	request("INFO", "n2", 19);
	PB_SAME(wire_line(1), "SIP/2.0 500 Server Internal Error");
	CU_ASSERT_EQUAL(user.inside, 1);
	end();
}

static void cancelled(void)
{
	begin();
	request("INVITE", "i1", 10);
	request("CANCEL", "i1", 10);
	CU_ASSERT_EQUAL(user.cancels, 1);
	PB_SAME(wire_line(1), "SIP/2.0 200 OK");
	PB_SAME(wire_line(2), "SIP/2.0 487 Request Terminated");
	CU_ASSERT_EQUAL(sip_dialog_core(user.d)->state, SIP_DIALOG_ENDED);
	request("ACK", "i1", 10);
	end();
}

static void bye_while_ringing(void)
{
	begin();
	request("INVITE", "i1", 10);
	answer(180);
	keep_tag(wire_tag(wire_header(1, "To")));
	request("BYE", "b1", 11);
	PB_SAME(wire_line(2), "SIP/2.0 200 OK");
	PB_SAME(wire_line(3), "SIP/2.0 487 Request Terminated");
	request("ACK", "i1", 10);
	end();
}

static void reinvited(void)
{
	begin();
	called();
	request("INVITE", "i2", 11);
	CU_ASSERT_EQUAL(user.inside, 1);
	PB_SAME(wire_line(0), "SIP/2.0 100 Trying");
	request("INVITE", "i3", 12); /* while the other is open */
	PB_SAME(wire_line(1), "SIP/2.0 500 Server Internal Error");
	CU_ASSERT_TRUE(wire_header(1, "Retry-After").n > 0);
	answer(200);
	request("ACK", "a2", 11);
	CU_ASSERT_EQUAL(user.acks, 2);
	end();
}

static void no_contact(void)
{
	begin();
	wire_send_z(
		"INVITE sip:b@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bKi\n"
		"Max-Forwards: 70\nFrom: <sip:a@example.org>;tag=f1\nTo: <sip:b@example.org>\n"
		"Call-ID: c1\nCSeq: 1 INVITE\nContent-Length: 0\n\n");
	PB_SAME(wire_line(0), "SIP/2.0 400 Bad Request");
	end();
}

/* ---- Calling ------------------------------------------------------------------------ */

static void on_outcome(void *arg, enum sip_outcome what, const struct sip_arrival *in)
{
	user.provisional += what == SIP_OUT_PROVISIONAL;
	user.final += what == SIP_OUT_FINAL;
	user.timeout += what == SIP_OUT_TIMEOUT;
	if (in)
		user.status = in->msg->status;
	if (what == SIP_OUT_FINAL && in->msg->status < 300)
		CU_ASSERT(sip_dialog_ack(user.d) == 0 || user.no_memory);
	if (what == SIP_OUT_FINAL && user.free_on_final)
		sip_dialog_free(&user.d);
}

static void do_invite(void *arg)
{
	struct sip_build *b;

	user.err = sip_dialog_begin(user.d, PB_STR("INVITE"), &b);
	if (!user.err)
		user.err = sip_dialog_send(user.d, PB_STR("application/sdp"), PB_STR("v=0\r\n"),
					   on_outcome, NULL, NULL);
}

static void do_call(void *arg)
{
	struct sip_dialog_target to = {
		.target = PB_STR("sip:b@192.0.2.9:5070"),
		.local_uri = PB_STR("<sip:a@example.org>"),
		.remote_uri = PB_STR("<sip:b@example.org>"),
	};

	if (sip_path_choose(sip_ua_transport(user.ua), &wire.there, &to.path) != 0)
		abort();
	user.err = sip_dialog_new_uac(user.ua, &to, &dialog_args, &user.d);
	if (!user.err)
		do_invite(NULL);
}

static void call(void)
{
	wire_on(0, do_call, NULL);
	wire_run(1);
	CU_ASSERT_EQUAL(user.err, 0);
}

static void respond(unsigned i, unsigned code, const char *tag)
{
	wire_send("SIP/2.0 %u Some Reason\nVia: %.*s\nFrom: %.*s\n"
		  "To: <sip:b@example.org>;tag=%s\nCall-ID: %.*s\nCSeq: %.*s\n"
		  "Contact: <sip:%s@192.0.2.9:5070>\nContent-Length: 0\n\n",
		  code, PB_STR_F(wire_header(i, "Via")), PB_STR_F(wire_header(i, "From")), tag,
		  PB_STR_F(wire_header(i, "Call-ID")), PB_STR_F(wire_header(i, "CSeq")), tag);
}

static void call_made(void)
{
	begin();
	call();
	CU_ASSERT_TRUE(wire_has(0, "Contact: <sip:192.0.2.1:5060>"));
	CU_ASSERT_EQUAL(sip_id_loop(wire_header(0, "Call-ID"), 1), 0);
	CU_ASSERT_EQUAL(sip_id_loop(wire_tag(wire_header(0, "From")), 1), 0);
	respond(0, 180, "t1");
	CU_ASSERT_EQUAL(sip_dialog_core(user.d)->state, SIP_DIALOG_EARLY);
	respond(0, 200, "t1");
	CU_ASSERT_EQUAL(sip_dialog_core(user.d)->state, SIP_DIALOG_CONFIRMED);
	PB_SAME(wire_line(1), "ACK sip:t1@192.0.2.9:5070 SIP/2.0");
	PB_SAME(wire_header(1, "CSeq"), "1 ACK");
	CU_ASSERT_FALSE(pb_str_eq(wire_header(0, "Via"), wire_header(1, "Via")));
	respond(0, 200, "t1"); /* the ACK got lost */
	CU_ASSERT_EQUAL(wire.got_n, 3);
	CU_ASSERT_STRING_EQUAL(wire.got[2], wire.got[1]);
	CU_ASSERT_EQUAL(user.final, 1);
	wire_on(0, do_bye, NULL);
	wire_run(1);
	PB_SAME(wire_line(3), "BYE sip:t1@192.0.2.9:5070 SIP/2.0");
	PB_SAME(wire_header(3, "CSeq"), "2 BYE");
	respond(3, 200, "t1");
	end();
}

/** A request of a fork of our INVITE, which the peer got as the i-th. */
static void early_request(unsigned i, const char *tag, unsigned cseq, const char *branch)
{
	wire_send("INFO sip:a@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bK%s\n"
		  "Max-Forwards: 70\nFrom: <sip:b@example.org>;tag=%s\nTo: %.*s\n"
		  "Call-ID: %.*s\nCSeq: %u INFO\nContent-Length: 0\n\n",
		  branch, tag, PB_STR_F(wire_header(i, "From")),
		  PB_STR_F(wire_header(i, "Call-ID")), cseq);
}

static void forked(void)
{
	begin();
	call();
	respond(0, 180, "t1");
	respond(0, 183, "t2");
	CU_ASSERT_EQUAL(user.provisional, 2);
	PB_SAME(sip_dialog_core(user.d)->remote.tag, "t2");
	early_request(0, "t1", 70, "u1"); /* each numbers for itself */
	CU_ASSERT_EQUAL(user.inside, 1);
	PB_SAME(sip_dialog_core(user.d)->remote.target, "sip:t1@192.0.2.9:5070");
	early_request(0, "t2", 5, "u2");
	CU_ASSERT_EQUAL(user.inside, 2);
	early_request(0, "t1", 69, "u3");
	PB_SAME(wire_line(1), "SIP/2.0 500 Server Internal Error");
	early_request(0, "t3", 5, "u4");
	PB_SAME(wire_line(2), "SIP/2.0 481 Call/Transaction Does Not Exist");
	CU_ASSERT_EQUAL(user.inside, 2);
	PB_SAME(sip_dialog_core(user.d)->remote.tag, "t1");
	for (unsigned i = 0; i < 2; i++) /* the tests below count from the INVITE */
		memset(wire.got[1 + i], 0, sizeof(wire.got[0]));
	wire.got_n = 1;
	respond(0, 200, "t2"); /* not the one whose face the dialog had */
	PB_SAME(wire_line(1), "ACK sip:t2@192.0.2.9:5070 SIP/2.0");
	PB_SAME(sip_dialog_core(user.d)->remote.tag, "t2");
	respond(0, 200, "t1"); /* too late */
	PB_SAME(wire_line(2), "ACK sip:t1@192.0.2.9:5070 SIP/2.0");
	PB_SAME(wire_line(3), "BYE sip:t1@192.0.2.9:5070 SIP/2.0");
	PB_SAME(wire_header(3, "To"), "<sip:b@example.org>;tag=t1");
	respond(3, 200, "t1");
	respond(0, 200, "t1");
	PB_SAME(wire_line(4), "ACK sip:t1@192.0.2.9:5070 SIP/2.0");
	CU_ASSERT_EQUAL(wire.got_n, 5); /* one BYE is enough */
	CU_ASSERT_EQUAL(user.final, 1);
	PB_SAME(sip_dialog_core(user.d)->remote.target, "sip:t2@192.0.2.9:5070");
	end();
	pb_test_proves("NK-019");
}

static void refused(void)
{
	begin();
	call();
	respond(0, 486, "t1");
	CU_ASSERT_EQUAL(user.status, 486);
	CU_ASSERT_EQUAL(sip_dialog_core(user.d)->state, SIP_DIALOG_HALF);
	end();
}

static void tried_again(void)
{
	begin();
	call();
	respond(0, 183, "t1");
	respond(0, 401, "t1");
	CU_ASSERT_EQUAL(user.status, 401);
	wire_on(0, do_invite, NULL);
	wire_run(1);
	PB_SAME(wire_line(2), "INVITE sip:b@192.0.2.9:5070 SIP/2.0");
	PB_SAME(wire_header(2, "To"), "<sip:b@example.org>");
	PB_SAME(wire_header(2, "CSeq"), "2 INVITE");
	CU_ASSERT_TRUE(pb_str_eq(wire_header(0, "From"), wire_header(2, "From")));
	CU_ASSERT_TRUE(pb_str_eq(wire_header(0, "Call-ID"), wire_header(2, "Call-ID")));
	respond(0, 401, "t1"); /* the old one's ACK got lost: the transaction sees to it */
	PB_SAME(wire_line(3), "ACK sip:b@192.0.2.9:5070 SIP/2.0");
	respond(2, 200, "t2");
	PB_SAME(wire_header(4, "CSeq"), "2 ACK");
	PB_SAME(sip_dialog_core(user.d)->remote.tag, "t2");
	end();
}

static void freed_while_ringing(void)
{
	begin();
	call();
	respond(0, 180, "t1");
	wire_on(0, do_free, NULL);
	wire_run(1);
	PB_SAME(wire_line(1), "CANCEL sip:b@192.0.2.9:5070 SIP/2.0");
	respond(1, 200, "t1");
	respond(0, 200, "t1"); /* it was picked up meanwhile */
	PB_SAME(wire_line(2), "ACK sip:t1@192.0.2.9:5070 SIP/2.0");
	PB_SAME(wire_line(3), "BYE sip:t1@192.0.2.9:5070 SIP/2.0");
	respond(3, 200, "t1");
	CU_ASSERT_EQUAL(user.final, 0);
	end();
}

static void freed_in_its_callback(void)
{
	begin();
	user.free_on_final = true;
	call();
	respond(0, 404, "t1");
	CU_ASSERT_EQUAL(user.final, 1);
	CU_ASSERT_EQUAL(sip_ua_dialogs(user.ua), 0);
	end();
}

static void nobody_there(void)
{
	begin();
	call();
	wire_run(33000);
	CU_ASSERT_EQUAL(user.timeout, 1);
	end();
}

static void glare(void)
{
	begin();
	called();
	user.err = 0;
	wire_on(0, do_invite, NULL);
	wire_run(1);
	CU_ASSERT_EQUAL(user.err, 0);
	PB_SAME(wire_line(0), "INVITE sip:a@192.0.2.9:5070 SIP/2.0");
	request("INVITE", "i9", 11);
	PB_SAME(wire_line(1), "SIP/2.0 491 Request Pending");
	wire_on(0, do_invite, NULL);
	CU_ASSERT_EQUAL(user.err, -EBUSY);
	wire_send("SIP/2.0 491 Request Pending\nVia: %.*s\nFrom: %.*s\nTo: %.*s\n"
		  "Call-ID: c1\nCSeq: %.*s\nContent-Length: 0\n\n",
		  PB_STR_F(wire_header(0, "Via")), PB_STR_F(wire_header(0, "From")),
		  PB_STR_F(wire_header(0, "To")), PB_STR_F(wire_header(0, "CSeq")));
	CU_ASSERT_EQUAL(user.status, 491);
	CU_ASSERT_EQUAL(sip_dialog_core(user.d)->state, SIP_DIALOG_CONFIRMED);
	end();
}

static void out_of_memory(void)
{
	for (long n = 0; n < 30; n++) {
		begin();
		pb_alloc_fail_after(n);
		request("INVITE", "i1", 10);
		if (user.d) {
			answer(180);
			answer(200);
		}
		pb_alloc_fail_after(-1);
		end();
	}
	for (long n = 0; n < 60; n++) {
		begin();
		user.no_memory = true;
		pb_alloc_fail_after(n);
		wire_on(0, do_call, NULL);
		wire_run(1);
		for (unsigned i = 0; i < 4 && wire.got_n; i++)
			respond(0, i < 2 ? 180 : 200, i % 2 ? "t1" : "t2");
		pb_alloc_fail_after(-1);
		end();
	}
}

PB_TESTS("sip/ua", { "call taken", call_taken }, { "2xx repeated, no ACK", two_hundred_repeated },
	 { "BYE waits for the ACK", bye_waits_for_ack }, { "strangers", strangers },
	 { "CSeq backwards", backwards }, { "cancelled", cancelled },
	 { "BYE while ringing", bye_while_ringing }, { "re-INVITE", reinvited },
	 { "no Contact", no_contact }, { "call made", call_made }, { "forked", forked },
	 { "refused", refused }, { "tried again", tried_again },
	 { "freed while ringing", freed_while_ringing },
	 { "freed in its callback", freed_in_its_callback }, { "nobody there", nobody_there },
	 { "glare", glare }, { "out of memory", out_of_memory })
