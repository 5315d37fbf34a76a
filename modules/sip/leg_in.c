/*
 * Incoming legs: an INVITE becomes a channel, is routed, and is answered by what
 * the other leg tells.
 */
#include "sip/leg.h"

/* ---- Answers to the INVITE -------------------------------------------------------------- */

/* An answer with what `m` adds: osip_ headers and, when asked for, its SDP. */
static int answer(struct sip_leg *leg, unsigned code, struct pb_str phrase, const struct pb_msg *m, bool sdp)
{
	struct pb_str body = m && sdp ? sip_leg_sdp(m) : PB_STR_NULL;
	struct sip_build *b;
	int err = sip_dialog_answer_begin(leg->dialog, leg->invite, code, phrase, &b);

	if (err)
		return err;
	sip_common_headers(sip_conf(leg->on), b, true);
	if (m)
		sip_add_headers(b, m, PB_STR("osip_"));
	return sip_dialog_answer_send(leg->dialog, body.n ? PB_STR("application/sdp") : PB_STR_NULL, body);
}

void sip_leg_refuse(struct sip_leg **legp, unsigned code, struct pb_str phrase, const struct pb_msg *m,
		    struct pb_str reason)
{
	struct sip_leg *leg = *legp;

	leg->inviting = false;
	answer(leg, code, phrase, m, false);
	sip_leg_end(legp, reason);
}

static void provisional(struct sip_leg *leg, unsigned code, struct pb_msg *m)
{
	bool early = pb_msg_get_bool(m, PB_STR("earlymedia"), sip_leg_sdp(m).n > 0);

	answer(leg, code, PB_STR_NULL, m, early);
	if (early && sip_leg_sdp(m).n)
		pb_msg_set(m, PB_STR("rtp_forward"), PB_STR("accepted"));
}

static bool answered(struct sip_leg *leg, struct pb_msg *m)
{
	if (answer(leg, 200, PB_STR_NULL, m, true))
		return false;
	leg->inviting = false;
	pb_chan_set_status(leg->chan, PB_STR("answered"));
	if (sip_leg_sdp(m).n)
		pb_msg_set(m, PB_STR("rtp_forward"), PB_STR("accepted"));
	return true;
}

bool sip_leg_in_event(struct sip_leg *leg, enum pb_chan_event ev, struct pb_msg *m)
{
	struct pb_str reason = pb_msg_get(m, PB_STR("reason"));

	if (!leg->inviting)
		return false;
	switch (ev) {
	case PB_CHAN_RINGING:
		provisional(leg, 180, m);
		pb_chan_set_status(leg->chan, PB_STR("ringing"));
		return true;
	case PB_CHAN_PROGRESS:
		provisional(leg,
			    pb_str_eq(reason, PB_STR("forwarded")) ? 181 :
			    pb_str_eq(reason, PB_STR("queued"))	   ? 182 :
								     183,
			    m);
		pb_chan_set_status(leg->chan, PB_STR("progressing"));
		return true;
	case PB_CHAN_ANSWERED:
		return answered(leg, m);
	case PB_CHAN_UPDATE:
	case PB_CHAN_DTMF:
	case PB_CHAN_TEXT:
		break;
	}
	return false;
}

/* ---- What routing says --------------------------------------------------------------------- */

void sip_leg_accepted(struct pb_chan *c, struct pb_msg *m)
{
	struct sip_leg *leg = pb_chan_user(c);

	sip_op_free(&leg->op);
	if (!leg->inviting)
		return;
	if (pb_msg_get_bool(m, PB_STR("autoanswer"), false) ||
	    (!pb_chan_targetid(c).n && pb_msg_get_bool(m, PB_STR("autoanswer"), true) &&
	     !pb_msg_get_bool(m, PB_STR("autoring"), false) && !pb_msg_get_bool(m, PB_STR("autoprogress"), false))) {
		pb_msg_clear(m, PB_STR("sdp_raw")); /* that is the caller's own offer */
		if (!answered(leg, m))
			sip_leg_refuse(&leg, 488, PB_STR_NULL, NULL, PB_STR("nomedia"));
	} else if (pb_msg_get_bool(m, PB_STR("autoring"), false)) {
		answer(leg, 180, PB_STR_NULL, NULL, false);
		pb_chan_set_status(c, PB_STR("ringing"));
	} else if (pb_msg_get_bool(m, PB_STR("autoprogress"), sip_conf(leg->on)->progress)) {
		answer(leg, 183, PB_STR_NULL, NULL, false);
	}
}

static void challenge(struct sip_leg **legp, bool stale, bool with_challenge)
{
	struct sip_leg *leg = *legp;
	struct sip_build *b;

	leg->inviting = false;
	sip_server_once(leg->on->stack, leg->invite);
	if (!sip_dialog_answer_begin(leg->dialog, leg->invite, 401, PB_STR_NULL, &b)) {
		sip_common_headers(sip_conf(leg->on), b, true);
		if (with_challenge)
			sip_auth_challenge(leg->on, sip_dialog_path(leg->dialog), b, stale);
		sip_dialog_answer_send(leg->dialog, PB_STR_NULL, PB_STR_NULL);
	}
	sip_leg_cause(leg, 401, PB_STR_NULL);
	sip_leg_end(legp, PB_STR("noauth"));
}

void sip_leg_rejected(struct pb_chan *c, struct pb_str error, struct pb_str reason, struct pb_msg *m)
{
	struct sip_leg *leg = pb_chan_user(c);
	unsigned code = sip_code_of_word(error);

	if (!leg->inviting)
		return;
	if (code == 401) {
		challenge(&leg, leg->op && leg->op->result == SIP_AUTH_STALE, !pb_str_eq(error, PB_STR("noautoauth")));
		return;
	}
	if (code < 300 || code > 699)
		code = 500;
	sip_leg_cause(leg, code, reason);
	sip_leg_refuse(&leg, code, sip_code_of_word(reason) ? PB_STR_NULL : reason, m, error);
}

/* ---- The first message --------------------------------------------------------------------------- */

static void put_uris(struct sip_leg *leg, struct pb_msg *m)
{
	struct sip_op *op = leg->op;

	pb_msg_set_int(m, PB_STR("antiloop"), sip_antiloop(sip_conf(leg->on), op->msg));
	sip_put_party(m, &op->path, false);
	sip_put_connection(leg->on, m, &op->path);
	pb_msg_set(m, PB_STR("sip_uri"), op->msg->uri);
	pb_msg_set(m, PB_STR("sip_from"), op->core.from.uri);
	pb_msg_set(m, PB_STR("sip_to"), op->core.to.uri);
	pb_msg_set(m, PB_STR("sip_callid"), op->core.call_id);
	if (sip_msg_value(op->msg, SIP_HDR_USER_AGENT).n)
		pb_msg_set(m, PB_STR("device"), sip_msg_value(op->msg, SIP_HDR_USER_AGENT));
	sip_put_headers(m, op->msg, false);
}

static void put_identity(struct sip_leg *leg, struct pb_msg *m)
{
	struct sip_op *op = leg->op;
	struct pb_str user = op->auth ? pb_msg_get(op->auth, PB_STR("username")) : PB_STR_NULL;

	sip_auth_copy(op, m);
	pb_msg_clear(m, PB_STR("username"));
	if (user.n && op->result == SIP_AUTH_GOOD)
		pb_msg_set(m, PB_STR("username"), user);
	else if (user.n && op->result == SIP_AUTH_STALE)
		pb_msg_set(m, PB_STR("expired_user"), user);
}

static void put_offer(struct sip_leg *leg, struct pb_msg *m)
{
	if (sip_is_sdp(leg->op->msg)) {
		pb_msg_set(m, PB_STR("sdp_raw"), leg->op->msg->body);
		pb_msg_set(m, PB_STR("rtp_forward"), PB_STR("possible"));
	} else if (!leg->op->msg->body.n) {
		leg->late_offer = true;
		pb_msg_set(m, PB_STR("rtp_forward"), PB_STR("missing"));
	} else {
		pb_msg_set(m, PB_STR("media"), PB_STR("no"));
	}
}

static struct pb_msg *preroute_message(struct sip_leg *leg)
{
	struct sip_op *op = leg->op;
	struct pb_msg *m = pb_chan_msg(leg->chan, PB_STR("call.preroute"), false);
	struct pb_str name;

	if (!m)
		return NULL;
	sip_put_body(m, op->msg);
	name = sip_user_of(op->core.from.uri, op->arena);
	pb_msg_set(m, PB_STR("caller"), name);
	pb_msg_set(m, PB_STR("called"), sip_user_of(op->msg->uri, op->arena));
	name = sip_display_of(&op->core.from, op->arena);
	if (name.n)
		pb_msg_set(m, PB_STR("callername"), name);
	put_uris(leg, m);
	put_identity(leg, m);
	put_offer(leg, m);
	return m;
}

static void send_startup(struct sip_leg *leg, const struct pb_msg *from)
{
	static const struct pb_str copied[] = { PB_STR_INIT("caller"), PB_STR_INIT("called"),
						PB_STR_INIT("username"), PB_STR_INIT("connection_id") };
	struct pb_msg *m = pb_chan_msg(leg->chan, PB_STR("chan.startup"), false);

	for (size_t i = 0; m && i < sizeof(copied) / sizeof(copied[0]); i++) {
		if (pb_msg_has(from, copied[i]))
			pb_msg_set(m, copied[i], pb_msg_get(from, copied[i]));
	}
	pb_chan_notice(leg->chan, m);
}

static void authenticated(struct sip_op *op)
{
	struct sip_leg *leg = op->user;
	struct pb_msg *m = preroute_message(leg);

	if (!m) {
		sip_leg_refuse(&leg, 503, PB_STR_NULL, NULL, PB_STR("noresource"));
		return;
	}
	send_startup(leg, m);
	pb_chan_route(leg->chan, m);
}

static struct pb_str call_id_text(struct sip_leg *leg)
{
	const struct sip_dialog_core *d = sip_dialog_core(leg->dialog);

	return pb_arena_printf(leg->arena, "sip/%.*s/%.*s/%.*s", PB_STR_F(d->call_id),
			       PB_STR_F(leg->outgoing ? d->local_tag : d->remote.tag),
			       PB_STR_F(leg->outgoing ? d->remote.tag : d->local_tag));
}

void sip_invite(struct sip_loop *sl, struct sip_txn_id id, const struct sip_arrival *in)
{
	struct sip_dialog_args da = { .ops = &sip_leg_dialog_ops };
	struct sip_leg *leg = sip_leg_new(sl, false);
	char address[PB_ADDR_TEXT];
	struct pb_chan_args ca = { .driver = sl->driver, .user = leg };
	int err;

	if (!leg) {
		sip_server_answer(sl->stack, id, 503, PB_STR_NULL);
		return;
	}
	leg->invite = id;
	da.arg = leg;
	err = sip_dialog_new_uas(sl->ua, id, in, &da, &leg->dialog);
	leg->op = err ? NULL : sip_op_new(sl, id, in);
	ca.address = pb_addr_print(&in->path.peer, address);
	if (leg->op)
		ca.flight = leg->op->flight;
	leg->chan = leg->op ? pb_chan_new(&ca) : NULL;
	if (!leg->chan) {
		if (leg->op) /* nobody else will judge it */
			leg->op->judges = true, leg->op->code = 503;
		sip_server_answer(sl->stack, id, err ? 400 : 503, err ? PB_STR("Invalid Contact") : PB_STR_NULL);
		sip_leg_end(&leg, PB_STR("noresource"));
		return;
	}
	leg->callid = call_id_text(leg);
	leg->op->user = leg;
	sip_auth_ask(leg->op, NULL, true, authenticated);
}
