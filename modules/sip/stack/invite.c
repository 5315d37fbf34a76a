/*
 * The calling side of a dialog: requests, and what becomes of an INVITE (RFC
 * 3261 section 13.2.2).
 *
 * All forks of an INVITE share our tag, so they share one object. It takes the
 * face of the first that answers (early), and for good that of the first that
 * accepts; the others are remembered by their tags alone, and are acknowledged
 * and ended if they accept too.
 */
#include <errno.h>

#include "base/alloc.h"
#include "sip/stack/ua_impl.h"

enum { FORKS_MAX = 32 };

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

static void on_linger(void *arg)
{
	struct sip_dialog *d = arg;

	pb_free((char *)d->ack.p);
	d->ack = PB_STR_NULL;
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

static void forget_forks(struct sip_dialog *d)
{
	struct pb_list *n;

	while ((n = pb_list_pop(&d->forks)))
		pb_free(pb_container(n, struct sip_fork, node));
}

void sip_dialog_fini_invite(struct sip_dialog *d)
{
	sip_client_forget(d->ua->stack, d->invite_out);
	forget_forks(d);
	pb_timer_stop(&d->linger);
	pb_free((char *)d->ack.p);
	d->ack = PB_STR_NULL;
}

/* ---- Forks
 * ------------------------------------------------------------------------------------------ */

/** The fork of that tag, made when it is new; NULL: no memory, or too many. */
static struct sip_fork *fork_of(struct sip_dialog *d, struct pb_str tag)
{
	struct sip_fork *f;
	unsigned n = 0;

	pb_list_each(it, &d->forks)
	{
		f = pb_container(it, struct sip_fork, node);
		if (pb_str_ieq(pb_str(f->tag, f->tag_n), tag))
			return f;
		n++;
	}
	f = n < FORKS_MAX ? pb_alloc(sizeof(*f) + tag.n) : NULL;
	if (!f)
		return NULL;
	*f = (struct sip_fork){ .tag_n = tag.n };
	if (tag.n)
		memcpy(f->tag, tag.p, tag.n);
	pb_list_push(&d->forks, &f->node);
	return f;
}

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

/**
 * One that accepted too late: ACK, and BYE once (section 13.2.2.4). It borrows
 * the dialog's face for as long as that takes.
 */
static void fork_end(struct sip_dialog *d, const struct sip_arrival *in)
{
	struct sip_fork *f = fork_of(d, in->core->to_tag);
	struct sip_path path = d->path;
	struct sip_remote mine = d->core.remote;

	d->core.remote = (struct sip_remote){ 0 };
	if (sip_dialog_learn(&d->core, in->msg, in->core) == 0 && d->core.remote.target.n) {
		sip_dialog_repath(d, &in->path);
		send_bare(d, PB_STR("ACK"), in->core->cseq.number);
		if (f && !f->ended)
			send_bare(d, PB_STR("BYE"), in->core->cseq.number + 1);
		if (f && !f->ended)
			sip_transport_counters(sip_ua_transport(d->ua))[SIP_N_DIALOG_FORKED]++;
		if (f)
			f->ended = true;
	}
	sip_remote_fini(&d->core.remote);
	d->core.remote = mine;
	d->path = path;
}

/* ---- Outcomes
 * ------------------------------------------------------------------------------------------ */

static void tell(struct sip_dialog *d, enum sip_outcome what, const struct sip_arrival *in)
{
	if (d->fn)
		d->fn(d->fn_arg, what, in);
}

static void on_provisional(struct sip_dialog *d, const struct sip_arrival *in)
{
	struct pb_str tag = in->core->to_tag;

	if (in->msg->status > 100 && tag.p && d->core.state == SIP_DIALOG_HALF) {
		if (sip_dialog_learn(&d->core, in->msg, in->core) == 0) {
			d->core.state = SIP_DIALOG_EARLY;
			sip_dialog_repath(d, &in->path);
		}
	} else if (tag.p && d->core.state == SIP_DIALOG_EARLY &&
		   !pb_str_ieq(tag, d->core.remote.tag)) {
		fork_of(d, tag);
	}
	tell(d, SIP_OUT_PROVISIONAL, in);
}

/** It is accepted after its owner has gone: acknowledge, end. */
static void end_orphan(struct sip_dialog *d)
{
	sip_dialog_ack(d);
	sip_dialog_bye(d);
}

/** The first 2xx of this INVITE. */
static void on_accepted(struct sip_dialog *d, const struct sip_arrival *in)
{
	struct pb_loop *l = d->ua->args.loop;
	bool first = d->core.state == SIP_DIALOG_HALF || d->core.state == SIP_DIALOG_EARLY;

	if (first) {
		if (!pb_str_ieq(in->core->to_tag, d->core.remote.tag))
			d->core.remote.has_cseq = false; /* another fork than the early one */
		if (sip_dialog_learn(&d->core, in->msg, in->core) != 0)
			return; /* no memory: the 2xx will come again */
		d->core.state = SIP_DIALOG_CONFIRMED;
	} else {
		sip_dialog_refresh(&d->core, in->msg);
	}
	d->invite_pending = false;
	pb_timer_start(l, &d->linger, 64ull * sip_stack_timing(d->ua->stack)->t1_ms);
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
	forget_forks(d);
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
