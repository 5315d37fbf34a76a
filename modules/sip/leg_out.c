/*
 * Outgoing legs: call.execute becomes an INVITE, and what the far end answers
 * becomes call.progress, call.ringing, call.answered, or the end.
 */
#include "bus/flight.h"
#include "sip/leg.h"

#include <errno.h>

/* ---- What the far end says ---------------------------------------------------------------- */

static struct pb_msg *event_message(struct sip_leg *leg, const char *name, const struct sip_msg *rsp)
{
	struct pb_msg *m = pb_chan_msg(leg->chan, pb_str_z(name), false);

	if (!m)
		return NULL;
	sip_put_headers(m, rsp, true);
	sip_put_body(m, rsp);
	sip_leg_put_media(m, rsp);
	return m;
}

static void on_provisional(struct sip_leg *leg, const struct sip_msg *rsp)
{
	struct pb_msg *m;

	if (rsp->status == 100)
		return;
	if (rsp->status == 180) {
		pb_chan_set_status(leg->chan, PB_STR("ringing"));
		m = event_message(leg, "call.ringing", rsp);
	} else {
		if (rsp->status <= 183)
			pb_chan_set_status(leg->chan, PB_STR("progressing"));
		m = event_message(leg, "call.progress", rsp);
	}
	if (!m)
		return;
	if (rsp->status == 181 || rsp->status == 182)
		pb_msg_set(m, PB_STR("reason"), rsp->status == 181 ? PB_STR("forwarded") : PB_STR("queued"));
	if (!sip_is_sdp(rsp))
		pb_msg_set(m, PB_STR("earlymedia"), PB_STR("false"));
	pb_chan_notice(leg->chan, m);
}

static void on_answer(struct sip_leg *leg, const struct sip_msg *rsp)
{
	const struct sip_dialog_core *d = sip_dialog_core(leg->dialog);

	leg->inviting = false;
	leg->callid = pb_arena_printf(leg->arena, "sip/%.*s/%.*s/%.*s", PB_STR_F(d->call_id), PB_STR_F(d->local_tag),
				      PB_STR_F(d->remote.tag));
	/* An offer in the 200 is answered in the ACK, when the caller has. */
	leg->ack_owed = leg->late_offer && sip_is_sdp(rsp);
	if (!leg->ack_owed)
		sip_dialog_ack(leg->dialog);
	pb_chan_set_status(leg->chan, PB_STR("answered"));
	pb_chan_notice(leg->chan, event_message(leg, "call.answered", rsp));
}

static void keep_headers(struct sip_leg *leg, const struct sip_msg *rsp)
{
	struct pb_msg *m = pb_msg_new(PB_STR("answer"));

	if (m)
		sip_put_headers(m, rsp, true);
	for (size_t i = 0; m && i < pb_msg_count(m); i++)
		pb_chan_set_param(leg->chan, pb_msg_at(m, i)->name, pb_msg_at(m, i)->value);
	pb_msg_free(&m);
}

static void on_refusal(struct sip_leg *leg, const struct sip_msg *rsp)
{
	struct pb_str word = sip_word_of_code(rsp->status), phrase = rsp->reason;
	struct sip_addr a;

	leg->inviting = false;
	keep_headers(leg, rsp);
	if (!phrase.n)
		phrase = sip_reason_phrase(rsp->status);
	sip_leg_cause(leg, rsp->status, phrase);
	if (rsp->status < 400 && !sip_addr_parse(sip_msg_value(rsp, SIP_HDR_CONTACT), &a)) {
		pb_chan_set_param(leg->chan, PB_STR("redirect"), PB_STR("true"));
		pb_chan_set_param(leg->chan, PB_STR("called"), sip_user_of(a.uri, leg->arena));
		pb_chan_set_param(leg->chan, PB_STR("calleduri"), a.uri);
	}
	sip_leg_end(&leg, word.n ? word : pb_arena_str(leg->arena, phrase));
}

static void outcome(void *arg, enum sip_outcome what, const struct sip_arrival *in)
{
	struct sip_leg *leg = arg;

	switch (what) {
	case SIP_OUT_PROVISIONAL:
		on_provisional(leg, in->msg);
		return;
	case SIP_OUT_FINAL:
		if (in->msg->status < 300)
			on_answer(leg, in->msg);
		else
			on_refusal(leg, in->msg);
		return;
	case SIP_OUT_TIMEOUT:
		leg->inviting = false;
		sip_leg_cause(leg, 408, PB_STR_NULL);
		sip_leg_end(&leg, sip_word_of_code(408));
		return;
	case SIP_OUT_ERROR:
		leg->inviting = false;
		sip_leg_cause(leg, 503, PB_STR_NULL);
		sip_leg_end(&leg, PB_STR("noconn"));
		return;
	}
}

/* ---- What the bus says ----------------------------------------------------------------------- */

/* The caller's answer to the offer in our 200: it goes into the ACK. */
static bool late_answer(struct sip_leg *leg, struct pb_msg *m)
{
	struct pb_str sdp = sip_leg_sdp(m);
	struct sip_build *b;

	if (!leg->ack_owed || !pb_str_eq(pb_msg_get(m, PB_STR("operation")), PB_STR("notify")))
		return false;
	leg->ack_owed = false;
	if (sip_dialog_ack_begin(leg->dialog, &b))
		return false;
	sip_dialog_ack_send(leg->dialog, sdp.n ? PB_STR("application/sdp") : PB_STR_NULL, sdp);
	return true;
}

bool sip_leg_out_event(struct sip_leg *leg, enum pb_chan_event ev, struct pb_msg *m)
{
	switch (ev) {
	case PB_CHAN_UPDATE:
		return late_answer(leg, m);
	case PB_CHAN_DTMF:
	case PB_CHAN_PROGRESS:
	case PB_CHAN_RINGING:
	case PB_CHAN_ANSWERED:
	case PB_CHAN_TEXT:
		break;
	}
	return false;
}

/* ---- Calling out ---------------------------------------------------------------------------------- */

static struct pb_str target_uri(struct sip_leg *leg, struct pb_str callto)
{
	struct pb_str uri = pb_str_from(callto, 4);
	struct sip_uri u;

	if (!sip_uri_parse(uri, &u) && u.scheme != SIP_SCHEME_OTHER)
		return uri;
	return pb_arena_printf(leg->arena, "sip:%.*s", PB_STR_F(uri));
}

static struct pb_str from_header(struct sip_leg *leg, const struct pb_msg *m, const struct sip_path *path)
{
	struct pb_str caller = pb_msg_get(m, PB_STR("caller")), name = pb_msg_get(m, PB_STR("callername"));
	struct pb_str domain = pb_msg_get(m, PB_STR("domain"));
	struct sip_local local;
	struct pb_text t;
	char buf[2048];

	if (caller.p && !caller.n)
		caller = PB_STR("anonymous");
	if (!domain.n)
		domain = sip_path_local(leg->on->transport, path, &local) ? PB_STR("localhost") : local.host;
	pb_text_init_buf(&t, buf, sizeof(buf));
	if (name.n) {
		sip_quote(&t, name);
		pb_text_addc(&t, ' ');
	}
	pb_text_lit(&t, "<sip:");
	if (caller.n) {
		sip_escape_user(&t, caller);
		pb_text_addc(&t, '@');
	}
	if (pb_str_chr(domain, ':') >= 0 && domain.p[0] != '[')
		pb_text_addf(&t, "[%.*s]>", PB_STR_F(domain));
	else
		pb_text_addf(&t, "%.*s>", PB_STR_F(domain));
	return pb_text_failed(&t) ? PB_STR_NULL : pb_arena_str(leg->arena, pb_text_str(&t));
}

static int make_dialog(struct sip_leg *leg, struct pb_msg *m, struct pb_str uri, const struct sip_path *path)
{
	struct sip_dialog_args da = { .ops = &sip_leg_dialog_ops, .arg = leg };
	struct sip_dialog_target to = { .target = uri, .path = *path };
	struct pb_text t;
	char buf[2048];

	to.local_uri = from_header(leg, m, &to.path);
	pb_text_init_buf(&t, buf, sizeof(buf));
	if (pb_msg_get(m, PB_STR("calledname")).n) {
		sip_quote(&t, pb_msg_get(m, PB_STR("calledname")));
		pb_text_addc(&t, ' ');
	}
	pb_text_addf(&t, "<%.*s>", PB_STR_F(uri));
	to.remote_uri = pb_text_str(&t);
	if (pb_text_failed(&t) || !to.local_uri.p)
		return -EINVAL;
	return sip_dialog_new_uac(leg->on->ua, &to, &da, &leg->dialog);
}

static int send_invite(struct sip_leg *leg, struct pb_msg *m)
{
	struct pb_str sdp = sip_leg_sdp(m), type = PB_STR_NULL;
	struct sip_build *b;
	int err;

	sip_dialog_set_hops(leg->dialog,
			    (unsigned)pb_msg_get_int(m, PB_STR("antiloop"), sip_conf(leg->on)->maxforwards, 1, 255));
	err = sip_dialog_begin(leg->dialog, PB_STR("INVITE"), &b);
	if (err)
		return err;
	sip_common_headers(sip_conf(leg->on), b, false);
	sip_add_headers(b, m, PB_STR("osip_"));
	if (sdp.n)
		type = PB_STR("application/sdp");
	else if (pb_msg_get(m, PB_STR("xsip_type")).n)
		sdp = sip_take_body(m, leg->arena), type = pb_msg_get(m, PB_STR("xsip_type"));
	leg->late_offer = !sip_leg_sdp(m).n;
	return sip_dialog_send(leg->dialog, sdp.n ? type : PB_STR_NULL, sdp, outcome, leg, &leg->invite);
}

static void send_startup(struct sip_leg *leg, const struct pb_msg *from, struct pb_str uri)
{
	static const struct pb_str copied[] = { PB_STR_INIT("caller"), PB_STR_INIT("callername"),
						PB_STR_INIT("called"), PB_STR_INIT("billid"),
						PB_STR_INIT("callto"), PB_STR_INIT("username") };
	struct pb_msg *m = pb_chan_msg(leg->chan, PB_STR("chan.startup"), false);

	for (size_t i = 0; m && i < sizeof(copied) / sizeof(copied[0]); i++) {
		if (pb_msg_has(from, copied[i]))
			pb_msg_set(m, copied[i], pb_msg_get(from, copied[i]));
	}
	if (m) {
		pb_msg_set(m, PB_STR("calledfull"), sip_user_of(uri, leg->arena));
		pb_msg_set(m, PB_STR("sip_callid"), sip_dialog_core(leg->dialog)->call_id);
		pb_msg_set(m, PB_STR("connection_id"),
			   sip_listener_name(leg->on->transport, sip_dialog_path(leg->dialog)->listener));
	}
	pb_chan_notice(leg->chan, m);
}

static enum pb_verdict refuse(struct pb_msg *m, struct sip_leg *leg, const char *error, const char *reason)
{
	SIP_LOG(NO_TARGET, "call to %.*s: %s", PB_STR_F(pb_msg_get(m, PB_STR("callto"))), reason);
	pb_msg_set(m, PB_STR("error"), pb_str_z(error));
	pb_msg_set(m, PB_STR("reason"), pb_str_z(reason));
	sip_leg_end(&leg, pb_str_z(error));
	return PB_PASS;
}

static enum pb_verdict call_out(struct sip_leg *leg, struct pb_msg *m, struct pb_str uri, const struct sip_path *path)
{
	struct pb_chan *caller = pb_chan_get(pb_msg_chan(m));
	char address[PB_ADDR_TEXT];
	struct pb_chan_args ca = { .driver = leg->on->driver, .outgoing = true, .user = leg };

	if (make_dialog(leg, m, uri, path))
		return refuse(m, leg, "notransport", "Failed to create party");
	ca.billid = pb_msg_get(m, PB_STR("billid"));
	ca.address = pb_addr_print(&path->peer, address);
	ca.flight = pb_msg_flight(m);
	leg->chan = pb_chan_new(&ca);
	if (!leg->chan)
		return refuse(m, leg, "noresource", "Too many calls");
	pb_flight_key(leg->on->cx->bus, pb_chan_flight(leg->chan), sip_dialog_core(leg->dialog)->call_id);
	send_startup(leg, m, uri);
	if (caller)
		pb_chan_connect(leg->chan, caller, pb_msg_get(m, PB_STR("reason")));
	if (send_invite(leg, m))
		return refuse(m, leg, "failure", "The INVITE could not be built");
	pb_chan_set_status(leg->chan, PB_STR("calling"));
	pb_msg_set(m, PB_STR("peerid"), pb_chan_id(leg->chan));
	pb_msg_set(m, PB_STR("targetid"), pb_chan_id(leg->chan));
	if (!caller)
		pb_msg_set(m, PB_STR("id"), pb_chan_id(leg->chan));
	if (sip_leg_sdp(m).n)
		pb_msg_set(m, PB_STR("rtp_forward"), PB_STR("accepted"));
	return PB_HANDLED;
}

static enum pb_verdict no_way(struct pb_msg *m, struct sip_leg *leg, int err)
{
	const char *reason, *error = sip_seek_error(err, &reason);

	return refuse(m, leg, error, reason);
}

/* ---- While the target's name is asked for ----------------------------------------------------------- */

/* In the leg's arena. The leg has neither channel nor dialog yet. */
struct execution {
	struct sip_seek seek;
	struct sip_leg *leg;
	struct pb_str uri;
	struct pb_msg *m; /* a copy of the one that is held */
	struct pb_patch *patch;
	struct pb_token token;
};

static void found(struct sip_seek *k, int err)
{
	struct execution *x = pb_container(k, struct execution, seek);
	struct pb_bus *bus = x->leg->on->cx->bus;
	struct pb_msg *m = x->m;
	struct pb_patch *patch = x->patch;
	struct pb_token token = x->token;
	enum pb_verdict v = err ? no_way(m, x->leg, err) : call_out(x->leg, m, x->uri, &k->path);

	/* Here the leg may be gone. */
	pb_patch_replace(patch, &m);
	pb_bus_resume(bus, token, patch, v);
}

static void give_up(void *arg)
{
	struct execution *x = arg;
	struct sip_leg *leg = x->leg;

	sip_seek_drop(&x->seek);
	pb_msg_free(&x->m);
	pb_patch_free(&x->patch);
	sip_leg_end(&leg, PB_STR("timeout"));
}

static enum pb_verdict hold(struct execution *x, struct pb_msg *m)
{
	x->m = pb_msg_copy(m);
	x->patch = pb_patch_new();
	if (x->m && x->patch)
		x->token = pb_bus_hold(m, &(struct pb_hold){ .limit_ms = pb_dns_limit_ms(x->leg->on->cx->loop) + 1000,
							     .expired = give_up,
							     .arg = x });
	if (x->token.gen)
		return PB_HOLD;
	give_up(x);
	pb_msg_set(m, PB_STR("error"), PB_STR("noresource"));
	return PB_PASS;
}

enum pb_verdict sip_on_execute(struct pb_msg *m, struct pb_ctx *cx)
{
	struct sip_loop *sl = sip_on(cx);
	struct pb_str callto = pb_msg_get(m, PB_STR("callto"));
	struct sip_leg *leg;
	struct execution *x;
	int err;

	if (!pb_str_starts(callto, PB_STR("sip/")) || !pb_driver_accepts(sl->driver))
		return PB_PASS;
	leg = sip_leg_new(sl, true);
	x = leg ? pb_arena_alloc(leg->arena, sizeof(*x)) : NULL;
	if (!x) {
		sip_leg_end(&leg, PB_STR("noresource"));
		return PB_PASS;
	}
	x->leg = leg;
	x->uri = pb_arena_str(leg->arena, target_uri(leg, callto));
	err = sip_seek(&x->seek, sl, x->uri, m, "o", found);
	if (err == -EINPROGRESS)
		return hold(x, m);
	return err ? no_way(m, leg, err) : call_out(leg, m, x->uri, &x->seek.path);
}
