/*
 * The phones: callers and callees of all calls on one user agent.
 */
#include "calls.h"

#include <stdlib.h>
#include <string.h>

#define SDP                                                                                        \
	PB_STR("v=0\r\no=- 1 1 IN IP4 10.0.0.3\r\ns=-\r\nc=IN IP4 10.0.0.3\r\nt=0 0\r\n"           \
	       "m=audio 4000 RTP/AVP 0\r\n")
#define SDP_TYPE PB_STR("application/sdp")

/* Whose other side does not hang up in this time never will. */
enum { CALLER_PATIENCE_MS = 120000, CALLEE_PATIENCE_MS = 200000 };

struct phone callers[CALLS_MAX], callees[CALLS_MAX];

static void over(struct phone *p)
{
	p->over = true;
	pb_timer_stop(&p->timer);
	sip_dialog_free(&p->dialog);
}

static void wait_for(struct phone *p, struct span s, uint64_t otherwise_ms)
{
	pb_timer_start(site.phones, &p->timer,
		       s.span ? site_draw_ms(s.from, s.span) : otherwise_ms);
}

/* ---- Callers -------------------------------------------------------------------- */

static unsigned caller_number(const struct phone *p)
{
	return (unsigned)(p - callers);
}

static void give_up(struct phone *p)
{
	const struct fate *f = fate_of(caller_number(p));
	bool early = sip_dialog_core(p->dialog)->state == SIP_DIALOG_EARLY;

	if ((f->flags & FATE_EARLY_BYE) && early)
		sip_dialog_bye(p->dialog);
	else
		sip_dialog_cancel(p->dialog);
}

static void on_caller_timer(void *arg)
{
	struct phone *p = arg;
	const struct fate *f = fate_of(caller_number(p));

	if (!p->answered) {
		give_up(p);
		return;
	}
	if (!f->caller_bye.span && !(f->flags & FATE_CALLER_GONE))
		site_fail("call %u, %s: nobody has hung up on the caller", caller_number(p),
			  f->name);
	sip_dialog_bye(p->dialog);
	over(p);
}

static void acknowledge(struct phone *p, const struct fate *f)
{
	struct sip_build *b;

	if (f->flags & FATE_NO_ACK)
		return;
	if (!(f->flags & FATE_LATE_OFFER))
		sip_dialog_ack(p->dialog);
	else if (!sip_dialog_ack_begin(p->dialog, &b))
		sip_dialog_ack_send(p->dialog, SDP_TYPE, SDP);
}

static void on_outcome(void *arg, enum sip_outcome what, const struct sip_arrival *in)
{
	struct phone *p = arg;
	const struct fate *f = fate_of(caller_number(p));

	if (what == SIP_OUT_PROVISIONAL)
		return;
	if (p->outcome)
		site_fail("call %u, %s: a second outcome", caller_number(p), f->name);
	p->outcome = what == SIP_OUT_FINAL ? in->msg->status : 408;
	if (p->outcome != 200) {
		over(p);
		return;
	}
	p->answered = true;
	acknowledge(p, f);
	wait_for(p, f->caller_bye, CALLER_PATIENCE_MS);
}

static void on_caller_request(void *arg, struct sip_dialog *d, struct sip_txn_id id,
			      const struct sip_arrival *in)
{
	struct phone *p = arg;

	if (in->msg->method != SIP_BYE) {
		site_fail("the caller is asked for a %.*s", PB_STR_F(in->msg->method_name));
		sip_dialog_answer(d, id, 405, PB_STR_NULL);
		return;
	}
	/* RFC 3261 section 15: not before the ACK, so after the answer. */
	if (!p->answered)
		site_fail("call %u, %s: hung up on before the answer", caller_number(p),
			  fate_of(caller_number(p))->name);
	sip_dialog_answer(d, id, 200, PB_STR_NULL);
	over(p);
}

static const struct sip_dialog_ops caller_ops = { .request = on_caller_request };

static int make_caller(struct phone *p, const struct fate *f, struct pb_str target)
{
	struct sip_dialog_target to = {
		.target = target,
		.local_uri = PB_STR("<sip:caller@example.org>"),
		.remote_uri = PB_STR("<sip:callee@example.org>"),
	};
	struct sip_dialog_args args = { .ops = &caller_ops, .arg = p };
	struct pb_addr addr;

	if (f->flags & FATE_CALLER_GONE)
		args.contact = PB_STR("<sip:gone@" SITE_NOWHERE ">");
	pb_addr_parse(PB_STR("10.0.0.1"), 5060, &addr);
	if (sip_path_choose(sip_ua_transport(site.ua), &addr, &to.path) != 0)
		return -1;
	return sip_dialog_new_uac(site.ua, &to, &args, &p->dialog);
}

void phone_calls(unsigned number)
{
	struct phone *p = &callers[number];
	const struct fate *f = fate_of(number);
	bool late = f->flags & FATE_LATE_OFFER;
	struct sip_build *b;
	char target[64];
	int n = snprintf(target, sizeof(target), "sip:%u@10.0.0.1", number);

	p->used++;
	pb_timer_init(&p->timer, on_caller_timer, p);
	if (make_caller(p, f, pb_str(target, (size_t)n)) != 0 ||
	    sip_dialog_begin(p->dialog, PB_STR("INVITE"), &b) != 0 ||
	    sip_dialog_send(p->dialog, late ? PB_STR_NULL : SDP_TYPE, late ? PB_STR_NULL : SDP,
			    on_outcome, p, NULL) != 0)
		abort();
	if (f->cancel.span)
		wait_for(p, f->cancel, 0);
}

/* ---- Callees ---------------------------------------------------------------------- */

static unsigned callee_number(const struct phone *p)
{
	return (unsigned)(p - callees);
}

static void answer(struct phone *p, const struct fate *f)
{
	struct sip_build *b;

	if (f->code != 200) {
		sip_dialog_answer(p->dialog, p->invite, f->code, PB_STR_NULL);
		over(p);
		return;
	}
	p->answered = true;
	if (sip_dialog_answer_begin(p->dialog, p->invite, 200, PB_STR_NULL, &b) != 0 ||
	    sip_dialog_answer_send(p->dialog, SDP_TYPE, SDP) != 0)
		abort();
	wait_for(p, f->callee_bye, CALLEE_PATIENCE_MS);
}

static void on_callee_timer(void *arg)
{
	struct phone *p = arg;
	const struct fate *f = fate_of(callee_number(p));

	if (!p->answered) {
		answer(p, f);
		return;
	}
	if (!f->callee_bye.span)
		site_fail("call %u, %s: nobody has hung up on the callee", callee_number(p),
			  f->name);
	sip_dialog_bye(p->dialog);
	over(p);
}

static void on_callee_request(void *arg, struct sip_dialog *d, struct sip_txn_id id,
			      const struct sip_arrival *in)
{
	if (in->msg->method != SIP_BYE) {
		site_fail("the callee is asked for a %.*s", PB_STR_F(in->msg->method_name));
		sip_dialog_answer(d, id, 405, PB_STR_NULL);
		return;
	}
	sip_dialog_answer(d, id, 200, PB_STR_NULL);
	over(arg);
}

static void on_cancel(void *arg, struct sip_dialog *d, struct sip_txn_id invite,
		      const struct sip_arrival *in)
{
	(void)in;
	sip_dialog_answer(d, invite, 487, PB_STR_NULL);
	over(arg);
}

static void on_ack(void *arg, struct sip_dialog *d, const struct sip_arrival *in)
{
	struct phone *p = arg;

	(void)d;
	(void)in;
	p->acknowledged = true;
}

static void on_no_ack(void *arg, struct sip_dialog *d)
{
	struct phone *p = arg;
	unsigned flags = fate_of(callee_number(p))->flags;
	bool late = (flags & FATE_LATE_OFFER) && (flags & FATE_NO_ACK);

	if (!late && !(flags & FATE_CALLEE_GONE))
		site_fail("call %u, %s: the callee got no ACK", callee_number(p),
			  fate_of(callee_number(p))->name);
	sip_dialog_bye(d);
	over(p);
}

/* Whoever called has not said that it gave up. */
static void on_failed(void *arg, struct sip_dialog *d, struct sip_txn_id id, enum sip_failure why)
{
	struct phone *p = arg;

	(void)d;
	(void)id;
	if (why != SIP_FAIL_NO_ANSWER || p->over)
		return;
	site_fail("call %u, %s: rings for ever", callee_number(p), fate_of(callee_number(p))->name);
	over(p);
}

static const struct sip_dialog_ops callee_ops = {
	.request = on_callee_request,
	.cancel = on_cancel,
	.ack = on_ack,
	.no_ack = on_no_ack,
	.failed = on_failed,
};

static void on_invite(struct sip_txn_id id, const struct sip_arrival *in, unsigned number)
{
	struct phone *p = &callees[number];
	const struct fate *f = fate_of(number);
	struct sip_dialog_args args = { .ops = &callee_ops, .arg = p };

	if (p->used++) {
		site_fail("call %u, %s: a second INVITE reaches the callee", number, f->name);
		return;
	}
	p->invite = id;
	if (f->flags & FATE_CALLEE_GONE)
		args.contact = PB_STR("<sip:gone@" SITE_NOWHERE ">");
	pb_timer_init(&p->timer, on_callee_timer, p);
	if (sip_dialog_new_uas(site.ua, id, in, &args, &p->dialog) != 0)
		abort();
	if (f->answer.from)
		sip_dialog_answer(p->dialog, id, 180, PB_STR_NULL);
	if (f->answer.span)
		wait_for(p, f->answer, 0);
}

static void on_request(void *arg, struct sip_txn_id id, const struct sip_arrival *in)
{
	struct sip_uri u;
	unsigned number = CALLS_MAX;

	(void)arg;
	if (!sip_uri_parse(in->msg->uri, &u))
		number = call_number(u.user);
	if (in->msg->method != SIP_INVITE || number == CALLS_MAX) {
		site_fail("a phone is asked for %.*s %.*s", PB_STR_F(in->msg->method_name),
			  PB_STR_F(in->msg->uri));
		sip_server_answer(sip_ua_stack(site.ua), id, 404, PB_STR_NULL);
		return;
	}
	on_invite(id, in, number);
}

const struct sip_ua_ops phone_ops = { .request = on_request };
