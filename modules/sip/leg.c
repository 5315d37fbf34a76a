/*
 * What both kinds of legs share: ending, causes, requests inside the dialog.
 */
#include "sip/leg.h"

#define LEG_LIMIT (512u << 10)

struct sip_leg *sip_leg_new(struct sip_loop *sl, bool outgoing)
{
	struct pb_arena *a = pb_arena_new_small(LEG_LIMIT);
	struct sip_leg *leg = a ? pb_arena_alloc(a, sizeof(*leg)) : NULL;

	if (!leg) {
		pb_arena_free(&a);
		SIP_LOG(MEMORY, "no memory for a call");
		return NULL;
	}
	leg->arena = a;
	leg->on = sl;
	leg->outgoing = outgoing;
	leg->inviting = true;
	pb_list_push(&sl->legs, &leg->node);
	return leg;
}

void sip_leg_end(struct sip_leg **legp, struct pb_str reason)
{
	struct sip_leg *leg = *legp;
	struct pb_arena *a;

	if (!leg)
		return;
	*legp = NULL;
	pb_list_remove(&leg->node);
	sip_op_free(&leg->op);
	if (leg->info_out)
		sip_client_forget(leg->on->stack, leg->info);
	sip_dialog_free(&leg->dialog);
	pb_chan_end(&leg->chan, reason);
	a = leg->arena;
	pb_arena_free(&a);
}

void sip_leg_cause(struct sip_leg *leg, unsigned code, struct pb_str phrase)
{
	pb_chan_set_param(leg->chan, PB_STR("cause_sip"), pb_arena_printf(leg->arena, "%u", code));
	pb_chan_set_param(leg->chan, PB_STR("reason_sip"), phrase.n ? phrase : sip_reason_phrase(code));
}

/* ---- Media: SDP goes through as it is ------------------------------------------------------- */

void sip_leg_put_media(struct pb_msg *m, const struct sip_msg *msg)
{
	if (sip_is_sdp(msg)) {
		pb_msg_set(m, PB_STR("rtp_forward"), PB_STR("yes"));
		pb_msg_set(m, PB_STR("sdp_raw"), msg->body);
	}
}

struct pb_str sip_leg_sdp(const struct pb_msg *m)
{
	struct pb_str sdp = pb_msg_get(m, PB_STR("sdp_raw"));

	return sdp.n ? sdp : PB_STR_NULL;
}

/* ---- Causes -------------------------------------------------------------------------------------- */

/* The other leg's own code, when it says the same as the reason word: a 603
 * stays a 603 though its word is that of 403. */
static unsigned carried_code(struct pb_str reason, const struct pb_msg *m)
{
	uint32_t code = 0;
	struct pb_str word, phrase;

	if (!m || pb_str_to_u32(pb_msg_get(m, PB_STR("cause_sip")), 400, 699, &code))
		return 0;
	word = sip_word_of_code(code);
	phrase = pb_msg_get(m, PB_STR("reason_sip"));
	return pb_str_eq(word, reason) || pb_str_eq(phrase, reason) ? code : 0;
}

unsigned sip_leg_code(struct pb_str reason, const struct pb_msg *m, struct pb_str *phrase)
{
	unsigned code = carried_code(reason, m);

	*phrase = PB_STR_NULL;
	if (code) {
		*phrase = pb_msg_get(m, PB_STR("reason_sip"));
		return code;
	}
	code = sip_code_of_word(reason);
	if (code >= 300 && code <= 699)
		return code;
	*phrase = reason.n ? reason : PB_STR_NULL;
	return 487;
}

/* ---- Dropping ---------------------------------------------------------------------------------------- */

static void say_bye(struct sip_leg *leg, struct pb_str reason, const struct pb_msg *m)
{
	struct pb_str phrase, prefix = m ? pb_msg_get(m, PB_STR("osip-prefix")) : PB_STR_NULL;
	unsigned code = sip_leg_code(reason, m, &phrase);
	struct pb_text t;
	char buf[512];
	struct sip_build *b;

	if (leg->ack_owed) { /* whoever was to answer its offer does not: section 13.2.2.4 */
		leg->ack_owed = false;
		sip_dialog_ack(leg->dialog);
	}
	if (sip_dialog_begin(leg->dialog, PB_STR("BYE"), &b))
		return;
	sip_common_headers(sip_conf(leg->on), b, false);
	if (reason.n) {
		pb_text_init_buf(&t, buf, sizeof(buf));
		pb_text_lit(&t, "SIP;");
		if (code != 487)
			pb_text_addf(&t, "cause=%u;", code);
		pb_text_lit(&t, "text=");
		sip_quote(&t, phrase.n ? phrase : sip_reason_phrase(code));
		if (!pb_text_failed(&t))
			sip_build_hdr(b, SIP_HDR_REASON, pb_text_str(&t));
	}
	if (prefix.n)
		sip_add_headers(b, m, prefix);
	sip_dialog_send(leg->dialog, PB_STR_NULL, PB_STR_NULL, NULL, NULL, NULL);
}

static void on_drop(struct pb_chan *c, struct pb_str reason, struct pb_msg *m)
{
	struct sip_leg *leg = pb_chan_user(c);
	struct pb_str phrase;
	unsigned code;

	if (!leg->inviting) {
		say_bye(leg, reason, m);
		sip_leg_end(&leg, reason);
		return;
	}
	if (leg->outgoing) { /* freeing the dialog sends the CANCEL */
		sip_leg_end(&leg, reason);
		return;
	}
	code = sip_leg_code(reason, m, &phrase);
	sip_leg_refuse(&leg, code, phrase, m, reason);
}

static bool on_event(struct pb_chan *c, enum pb_chan_event ev, struct pb_msg *m)
{
	struct sip_leg *leg = pb_chan_user(c);

	if (ev == PB_CHAN_DTMF)
		return sip_leg_dtmf_send(leg, m);
	return leg->outgoing ? sip_leg_out_event(leg, ev, m) : sip_leg_in_event(leg, ev, m);
}

static void on_complete(struct pb_chan *c, struct pb_msg *m)
{
	const struct sip_leg *leg = pb_chan_user(c);

	if (leg->callid.n)
		pb_msg_set(m, PB_STR("callid"), leg->callid);
}

const struct pb_chan_ops sip_chan_ops = {
	.accepted = sip_leg_accepted,
	.rejected = sip_leg_rejected,
	.event = on_event,
	.drop = on_drop,
	.complete = on_complete,
};

/* ---- Requests in the dialog --------------------------------------------------------------------------- */

/* Reason: SIP;cause=486;text="Busy" */
static struct pb_str reason_text(struct sip_leg *leg, const struct sip_msg *msg)
{
	struct pb_str v = sip_msg_value(msg, SIP_HDR_REASON), text;
	struct pb_text t;
	char buf[256];
	ptrdiff_t at = pb_str_chr(v, ';');

	if (at < 0)
		return PB_STR("hangup");
	text = sip_param(pb_str_from(v, (size_t)at), PB_STR("text"));
	pb_text_init_buf(&t, buf, sizeof(buf));
	sip_unquote(&t, text);
	return t.n && !pb_text_failed(&t) ? pb_arena_str(leg->arena, pb_text_str(&t)) : PB_STR("hangup");
}

static void on_bye(struct sip_leg *leg, struct sip_txn_id id, const struct sip_arrival *in)
{
	struct sip_build *b;
	struct pb_str reason = reason_text(leg, in->msg);
	struct pb_msg *m = pb_msg_new(PB_STR("bye"));

	if (!sip_server_begin(leg->on->stack, id, 200, PB_STR_NULL, &b)) {
		sip_common_headers(sip_conf(leg->on), b, true);
		sip_server_send(leg->on->stack, PB_STR_NULL, PB_STR_NULL);
	}
	if (m)
		sip_put_headers(m, in->msg, true);
	for (size_t i = 0; m && i < pb_msg_count(m); i++)
		pb_chan_set_param(leg->chan, pb_msg_at(m, i)->name, pb_msg_at(m, i)->value);
	pb_msg_free(&m);
	if (leg->inviting && !leg->outgoing) /* BYE instead of CANCEL, section 15.1.2 */
		sip_leg_refuse(&leg, 487, PB_STR_NULL, NULL, reason);
	else
		sip_leg_end(&leg, reason);
}

static void on_request(void *arg, struct sip_dialog *d, struct sip_txn_id id, const struct sip_arrival *in)
{
	struct sip_leg *leg = arg;

	switch (in->msg->method) {
	case SIP_BYE:
		on_bye(leg, id, in);
		return;
	case SIP_INVITE: /* media that change in a call come later */
	case SIP_UPDATE:
		sip_dialog_answer(d, id, 488, PB_STR_NULL);
		return;
	case SIP_REFER: /* transfers come later */
		sip_dialog_answer(d, id, 603, PB_STR_NULL);
		return;
	case SIP_PRACK: /* nothing of ours was sent reliably */
		sip_dialog_answer(d, id, 481, PB_STR_NULL);
		return;
	case SIP_INFO:
		if (sip_leg_dtmf_take(leg, id, in))
			return;
		break;
	default:
		break;
	}
	sip_in_dialog(leg->on, id, in, leg->chan);
}

static void on_cancel(void *arg, struct sip_dialog *d, struct sip_txn_id invite, const struct sip_arrival *in)
{
	struct sip_leg *leg = arg;

	if (!leg->inviting || !sip_txn_id_eq(invite, leg->invite)) {
		sip_dialog_answer(d, invite, 487, PB_STR_NULL);
		return;
	}
	sip_leg_cause(leg, 487, PB_STR_NULL);
	sip_leg_refuse(&leg, 487, PB_STR_NULL, NULL, PB_STR("Cancelled"));
}

/* The ACK brings the answer to an offer that our 200 carried. */
static void on_ack(void *arg, struct sip_dialog *d, const struct sip_arrival *in)
{
	struct sip_leg *leg = arg;
	struct pb_msg *m;

	(void)d;
	if (!leg->late_offer || !sip_is_sdp(in->msg))
		return;
	m = pb_chan_msg(leg->chan, PB_STR("call.update"), false);
	if (m) {
		pb_msg_set(m, PB_STR("operation"), PB_STR("notify"));
		sip_leg_put_media(m, in->msg);
	}
	pb_chan_notice(leg->chan, m);
}

static void on_no_ack(void *arg, struct sip_dialog *d)
{
	struct sip_leg *leg = arg;

	(void)d;
	sip_leg_cause(leg, 408, PB_STR("Not received ACK"));
	say_bye(leg, PB_STR("timeout"), NULL);
	sip_leg_end(&leg, PB_STR("Not received ACK"));
}

const struct sip_dialog_ops sip_leg_dialog_ops = {
	.request = on_request,
	.cancel = on_cancel,
	.ack = on_ack,
	.no_ack = on_no_ack,
};
