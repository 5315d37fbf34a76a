/*
 * Which part takes a request. What can be refused without state is, before a
 * transaction is made.
 */
#include "sip/sip.h"

static void refuse_with_allow(struct sip_loop *sl, const struct sip_arrival *in, unsigned code)
{
	struct sip_build *b;

	sip_reply_begin(sl->transport, in, code, PB_STR_NULL, &b);
	sip_common_headers(sip_conf(sl), b, true);
	sip_reply_send(sl->transport, PB_STR_NULL, PB_STR_NULL);
}

/* Option tags that we understand: none yet. RFC 3261 section 8.2.2.3. */
static bool refuse_required(struct sip_loop *sl, const struct sip_arrival *in)
{
	struct sip_values v;
	struct pb_str item, first = PB_STR_NULL;
	struct sip_build *b;

	for (sip_values_init(&v, in->msg, SIP_HDR_REQUIRE); !first.n && sip_values_next(&v, &item);)
		first = item;
	if (!first.n)
		return false;
	sip_reply_begin(sl->transport, in, 420, PB_STR_NULL, &b);
	sip_build_hdr(b, SIP_HDR_UNSUPPORTED, first);
	sip_common_headers(sip_conf(sl), b, true);
	sip_reply_send(sl->transport, PB_STR_NULL, PB_STR_NULL);
	return true;
}

/* Without Accept, or with one that names SDP or everything (section 20.1). */
static bool takes_sdp(const struct sip_msg *msg)
{
	struct sip_values v;
	struct pb_str item;
	bool any = false;

	for (sip_values_init(&v, msg, SIP_HDR_ACCEPT); sip_values_next(&v, &item);) {
		any = true;
		if (pb_str_istarts(item, PB_STR("application/sdp")) || pb_str_istarts(item, PB_STR("*/*")) ||
		    pb_str_istarts(item, PB_STR("application/*")))
			return true;
	}
	return !any;
}

/* OPTIONS needs no state: the answer to a repeated one is the same. */
static void options(struct sip_loop *sl, const struct sip_arrival *in)
{
	unsigned code = 200;
	struct sip_build *b;

	if (!takes_sdp(in->msg))
		code = 415;
	else if (!pb_driver_takes(sl->driver))
		code = 503;
	sip_reply_begin(sl->transport, in, code, PB_STR_NULL, &b);
	sip_common_headers(sip_conf(sl), b, true);
	if (code == 200 || code == 415)
		sip_build_hdr(b, SIP_HDR_ACCEPT, PB_STR("application/sdp"));
	sip_reply_send(sl->transport, PB_STR_NULL, PB_STR_NULL);
}

/* RFC 3261 section 16.3 step 3: a request that would go further. */
static bool hops_used_up(const struct sip_arrival *in)
{
	uint32_t mf = 70;

	return in->msg->method != SIP_OPTIONS && in->msg->method != SIP_REGISTER &&
	       !sip_number_parse(sip_msg_value(in->msg, SIP_HDR_MAX_FORWARDS), 255, &mf) && mf == 0;
}

unsigned sip_admit(void *arg, const struct sip_arrival *in)
{
	struct sip_loop *sl = arg;
	const struct sip_settings *s = sip_conf(sl);
	struct pb_str method = in->msg->method_name;

	if (!sl->started) /* it comes again, and finds who is to decide upon it */
		return SIP_ADMIT_DONE;
	if (!sip_settings_allows(s, method)) {
		/* A method nobody knows is 501, one that is only not allowed 405. */
		refuse_with_allow(sl, in, in->msg->method == SIP_METHOD_OTHER ? 501 : 405);
		return SIP_ADMIT_DONE;
	}
	if (refuse_required(sl, in))
		return SIP_ADMIT_DONE;
	if (hops_used_up(in))
		return 483;
	if (in->msg->method == SIP_OPTIONS && s->options_enable && !in->core->to_tag.n) {
		options(sl, in);
		return SIP_ADMIT_DONE;
	}
	if (in->msg->method == SIP_INVITE && !in->core->to_tag.n && !pb_driver_takes(sl->driver))
		return 503;
	return 0;
}

static void generic(struct sip_loop *sl, struct sip_txn_id id, const struct sip_arrival *in,
		    struct pb_chan *chan)
{
	const struct sip_method_conf *m = sip_settings_method(sip_conf(sl), in->msg->method_name);
	struct sip_op *op;

	if (!m && !(in->msg->method == SIP_INFO && chan)) {
		sip_server_answer(sl->stack, id, in->msg->method == SIP_INFO ? 415 : 405, PB_STR_NULL);
		return;
	}
	op = sip_op_new(sl, id, in);
	if (!op) {
		sip_server_answer(sl->stack, id, 503, PB_STR_NULL);
		return;
	}
	op->method = m;
	if (chan)
		op->chan = pb_chan_handle(chan);
	sip_generic(op);
}

void sip_on_request(void *arg, struct sip_txn_id id, const struct sip_arrival *in)
{
	struct sip_loop *sl = arg;
	struct sip_op *op;

	switch (in->msg->method) {
	case SIP_INVITE:
		sip_invite(sl, id, in);
		return;
	case SIP_REGISTER:
		if (!sip_conf(sl)->registrar_enable)
			break;
		op = sip_op_new(sl, id, in);
		if (op)
			sip_register(op);
		else
			sip_server_answer(sl->stack, id, 503, PB_STR_NULL);
		return;
	case SIP_BYE:
	case SIP_PRACK:
	case SIP_UPDATE:
	case SIP_REFER: /* without a call there is nothing to transfer */
		sip_server_answer(sl->stack, id, 481, PB_STR_NULL);
		return;
	default:
		break;
	}
	generic(sl, id, in, NULL);
}

void sip_in_dialog(struct sip_loop *sl, struct sip_txn_id id, const struct sip_arrival *in,
		   struct pb_chan *chan)
{
	struct sip_build *b;

	if (in->msg->method == SIP_OPTIONS) {
		if (!sip_server_begin(sl->stack, id, 200, PB_STR_NULL, &b)) {
			sip_common_headers(sip_conf(sl), b, true);
			sip_server_send(sl->stack, PB_STR_NULL, PB_STR_NULL);
		}
		return;
	}
	generic(sl, id, in, chan);
}
