/*
 * The calling side of a dialog: requests, and what becomes of an INVITE (RFC
 * 3261 section 13.2.2).
 *
 * All forks of an INVITE share our tag, so they share one object, which turns to
 * whichever spoke last (fork.c), and for good to the first that accepts; the
 * others are acknowledged and ended if they accept too.
 */
#include <errno.h>

#include "base/alloc.h"
#include "sip/stack/ua_impl.h"

/* ---- Requests -------------------------------------------------------------- */

static int may_begin(const struct sip_dialog *d, enum sip_method method)
{
	if (d->core.state == SIP_DIALOG_ENDED)
		return -ENOTCONN;
	if (d->core.state == SIP_DIALOG_HALF && method != SIP_INVITE)
		return -ENOTCONN;
	if (method != SIP_INVITE)
		return 0;
	if (d->invite_pending || d->awaiting_ack || sip_server_open(d->ua->stack, d->invite_in))
		return -EBUSY;
	return 0;
}

/** Request line, Via, and all that the dialog knows. */
static int write_request(const struct sip_dialog *d, struct pb_str method, uint32_t cseq,
			 struct sip_build **b)
{
	struct sip_dialog_hop hop;
	int err;

	sip_dialog_hop(&d->core, &hop);
	err = sip_client_begin(d->ua->stack, &d->path, method, hop.request_uri, b);
	if (!err)
		sip_dialog_write(&d->core, *b, sip_method_id(method), method, cseq);
	return err;
}

int sip_dialog_begin(struct sip_dialog *d, struct pb_str method, struct sip_build **b)
{
	int err = may_begin(d, sip_method_id(method));

	*b = NULL;
	if (err)
		return err;
	d->request = sip_method_id(method);
	return write_request(d, method, ++d->core.local_cseq, b);
}

static void on_invite(void *arg, enum sip_outcome what, const struct sip_arrival *in);

static int send_invite(struct sip_dialog *d, struct pb_str type, struct pb_str body,
		       sip_client_fn fn, void *arg, struct sip_txn_id *out)
{
	/* An older INVITE may still be told of repeated 2xx: that is the ACK kept. */
	int err = sip_client_send(d->ua->stack, type, body, on_invite, d, out);

	if (err)
		return err;
	d->invite_out = *out;
	d->invite_out_cseq = d->core.local_cseq;
	d->invite_pending = true;
	d->fn = fn;
	d->fn_arg = arg;
	return 0;
}

/** Section 15: the callee waits for the ACK before it says goodbye. */
static int send_bye(struct sip_dialog *d, struct pb_str type, struct pb_str body, sip_client_fn fn,
		    void *arg, struct sip_txn_id *out)
{
	int err = sip_client_prepare(d->ua->stack, type, body, fn, arg, out);

	if (err)
		return err;
	d->core.state = SIP_DIALOG_ENDED;
	d->bye = *out;
	d->bye_waits = d->awaiting_ack;
	if (!d->bye_waits)
		sip_client_start(d->ua->stack, d->bye);
	return 0;
}

int sip_dialog_send(struct sip_dialog *d, struct pb_str type, struct pb_str body, sip_client_fn fn,
		    void *arg, struct sip_txn_id *out)
{
	struct sip_txn_id id;

	if (!out)
		out = &id;
	if (d->request == SIP_INVITE)
		return send_invite(d, type, body, fn, arg, out);
	if (d->request == SIP_BYE)
		return send_bye(d, type, body, fn, arg, out);
	return sip_client_send(d->ua->stack, type, body, fn, arg, out);
}

int sip_dialog_cancel(struct sip_dialog *d)
{
	if (!d->invite_pending)
		return -ESTALE;
	return sip_client_cancel(d->ua->stack, d->invite_out);
}

int sip_dialog_bye(struct sip_dialog *d)
{
	struct sip_build *b;
	int err = sip_dialog_begin(d, PB_STR("BYE"), &b);

	return err ? err : sip_dialog_send(d, PB_STR_NULL, PB_STR_NULL, NULL, NULL, NULL);
}

int sip_dialog_redirect(struct sip_dialog *d, struct pb_str target, const struct sip_path *path)
{
	int err;

	if (d->core.state != SIP_DIALOG_HALF || d->invite_pending)
		return -EBUSY;
	err = sip_dialog_retarget(&d->core, target);
	if (!err)
		d->path = *path;
	return err;
}

/* ---- ACK ------------------------------------------------------------------- */

int sip_dialog_ack_begin(struct sip_dialog *d, struct sip_build **b)
{
	*b = NULL;
	if (d->core.state == SIP_DIALOG_HALF)
		return -ENOTCONN;
	return write_request(d, PB_STR("ACK"), d->invite_out_cseq, b);
}

static void keep_ack(struct sip_dialog *d, struct pb_str bytes)
{
	char *p = pb_alloc(bytes.n);

	pb_free((char *)d->ack.p);
	d->ack = PB_STR_NULL;
	if (!p)
		return; /* a repeated 2xx will find none and be repeated again */
	memcpy(p, bytes.p, bytes.n);
	d->ack = pb_str(p, bytes.n);
	d->ack_cseq = d->invite_out_cseq;
}

int sip_dialog_ack_send(struct sip_dialog *d, struct pb_str type, struct pb_str body)
{
	struct pb_str bytes = PB_STR_NULL;
	int err = sip_client_send_ack(d->ua->stack, type, body, &bytes);

	if (bytes.n)
		keep_ack(d, bytes);
	return err;
}

int sip_dialog_ack(struct sip_dialog *d)
{
	struct sip_build *b;
	int err = sip_dialog_ack_begin(d, &b);

	return err ? err : sip_dialog_ack_send(d, PB_STR_NULL, PB_STR_NULL);
}

static void ack_again(struct sip_dialog *d, uint32_t cseq)
{
	if (!d->ack.n || d->ack_cseq != cseq)
		return;
	sip_transport_counters(sip_ua_transport(d->ua))[SIP_N_DIALOG_REACK]++;
	sip_path_send(sip_ua_transport(d->ua), &d->path, d->ack);
}

/* ---- Lingering ------------------------------------------------------------- */

static void on_refused(struct sip_dialog *d, enum sip_outcome what, const struct sip_arrival *in);

static void on_linger(void *arg)
{
	struct sip_dialog *d = arg;

	pb_free((char *)d->ack.p);
	d->ack = PB_STR_NULL;
	if (d->missed && d->invite_pending)
		on_refused(d, SIP_OUT_TIMEOUT, NULL);
	else
		sip_dialog_reap(d);
}

void sip_dialog_init_invite(struct sip_dialog *d)
{
	pb_timer_init(&d->linger, on_linger, d);
}

bool sip_dialog_lingers(const struct sip_dialog *d)
{
	return pb_timer_active(&d->linger);
}

void sip_dialog_fini_invite(struct sip_dialog *d)
{
	sip_client_forget(d->ua->stack, d->invite_out);
	sip_forks_fini(d);
	pb_timer_stop(&d->linger);
	pb_free((char *)d->ack.p);
	d->ack = PB_STR_NULL;
}

/* ---- Forks that accept too late ----------------------------------------------- */

static void send_bare(struct sip_dialog *d, struct pb_str method, uint32_t cseq)
{
	struct sip_build *b;

	if (write_request(d, method, cseq, &b) != 0)
		return;
	if (pb_str_eq(method, PB_STR("ACK")))
		sip_client_send_ack(d->ua->stack, PB_STR_NULL, PB_STR_NULL, NULL);
	else
		sip_client_send(d->ua->stack, PB_STR_NULL, PB_STR_NULL, NULL, NULL, NULL);
}

/** ACK, and BYE once (section 13.2.2.4), by the dialog while it wears the fork's face. */
static void fork_end(struct sip_dialog *d, const struct sip_arrival *in)
{
	struct sip_fork *f = sip_fork_get(d, in->core->to_tag);
	struct sip_path path = d->path;
	struct sip_remote mine = d->core.remote;

	if (!f)
		return; /* no memory, or a flood of forks: they will come again, or give up */
	d->core.remote = f->remote;
	if (sip_dialog_learn(&d->core, in->msg, in->core) == 0 && d->core.remote.target.n) {
		sip_dialog_repath(d, &in->path);
		send_bare(d, PB_STR("ACK"), in->core->cseq.number);
		if (!f->ended)
			send_bare(d, PB_STR("BYE"), in->core->cseq.number + 1);
		if (!f->ended)
			sip_transport_counters(sip_ua_transport(d->ua))[SIP_N_DIALOG_FORKED]++;
		f->ended = true;
	}
	f->remote = d->core.remote;
	d->core.remote = mine;
	d->path = path;
}

/* ---- Outcomes -------------------------------------------------------------- */

static void tell(struct sip_dialog *d, enum sip_outcome what, const struct sip_arrival *in)
{
	if (d->fn)
		d->fn(d->fn_arg, what, in);
}

/** The first answer makes it early; an answer of another fork turns it to that. */
static void on_provisional(struct sip_dialog *d, const struct sip_arrival *in)
{
	bool turned = false;

	if (in->msg->status > 100 && in->core->to_tag.p && d->core.state == SIP_DIALOG_HALF) {
		turned = sip_dialog_learn(&d->core, in->msg, in->core) == 0;
		if (turned)
			d->core.state = SIP_DIALOG_EARLY;
	} else if (in->core->to_tag.p && d->core.state == SIP_DIALOG_EARLY) {
		turned = sip_fork_face(d, in);
	}
	if (turned)
		sip_dialog_repath(d, &in->path);
	tell(d, SIP_OUT_PROVISIONAL, in);
}

/** It is accepted after its owner has gone: acknowledge, end. */
static void end_orphan(struct sip_dialog *d)
{
	sip_dialog_ack(d);
	sip_dialog_bye(d);
}

/** The dialog takes its final face. @return false: no memory. */
static bool confirm(struct sip_dialog *d, const struct sip_arrival *in)
{
	if (d->core.state == SIP_DIALOG_EARLY && !sip_fork_face(d, in))
		return false;
	if (sip_dialog_learn(&d->core, in->msg, in->core) != 0)
		return false;
	d->core.state = SIP_DIALOG_CONFIRMED;
	return true;
}

/** The first 2xx of this INVITE. */
static void on_accepted(struct sip_dialog *d, const struct sip_arrival *in)
{
	bool first = d->core.state == SIP_DIALOG_HALF || d->core.state == SIP_DIALOG_EARLY;

	pb_timer_start(d->ua->args.loop, &d->linger, 64ull * sip_stack_timing(d->ua->stack)->t1_ms);
	/* Without memory it has not come; it will come again, or at last on_linger. */
	d->missed = first && !confirm(d, in);
	if (d->missed)
		return;
	if (!first)
		sip_dialog_refresh(&d->core, in->msg);
	d->invite_pending = false;
	sip_dialog_repath(d, &in->path);
	if (d->orphan)
		end_orphan(d);
	else
		tell(d, SIP_OUT_FINAL, in);
}

static void on_2xx(struct sip_dialog *d, const struct sip_arrival *in)
{
	bool ours = pb_str_ieq(in->core->to_tag, d->core.remote.tag);

	if (d->invite_pending && in->core->cseq.number == d->invite_out_cseq)
		on_accepted(d, in);
	else if (ours)
		ack_again(d, in->core->cseq.number);
	else
		fork_end(d, in);
}

/** Refused, timed out, or not to be sent. */
static void on_refused(struct sip_dialog *d, enum sip_outcome what, const struct sip_arrival *in)
{
	bool first = d->core.state == SIP_DIALOG_HALF || d->core.state == SIP_DIALOG_EARLY;

	d->invite_pending = false;
	sip_forks_fini(d);
	/* Whoever was early is so no more; the caller may try again (401, 302). */
	if (first && sip_dialog_reset(&d->core) != 0)
		d->core.state = SIP_DIALOG_ENDED;
	if (d->orphan)
		sip_dialog_reap(d);
	else
		tell(d, what, in);
}

static void on_invite(void *arg, enum sip_outcome what, const struct sip_arrival *in)
{
	struct sip_dialog *d = arg;

	if (what == SIP_OUT_PROVISIONAL)
		on_provisional(d, in);
	else if (what == SIP_OUT_FINAL && in->msg->status < 300)
		on_2xx(d, in);
	else
		on_refused(d, what, in);
}
