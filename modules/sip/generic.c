/*
 * Generic requests: a method of [methods] becomes the message sip.<method>, and
 * what the handler says becomes the answer.
 */
#include "bus/flight.h"
#include "sip/sip.h"

/* Parameters in the order that users know from the sniffer. */
static struct pb_msg *make_message(struct sip_op *op)
{
	struct sip_loop *sl = op->on;
	struct pb_msg *m = pb_msg_new(op->method ? op->method->message : PB_STR("sip.info"));
	struct pb_str tag = sip_server_tag(sl->stack, op->txn), user;
	struct pb_arena *a = op->arena;
	struct pb_chan *c = pb_chan_get(op->chan);

	if (!m)
		return NULL;
	if (c)
		pb_msg_add(m, PB_STR("id"), pb_chan_id(c));
	pb_msg_set_flight(m, op->flight);
	sip_auth_copy(op, m);
	sip_put_connection(sl, m, &op->path);
	if (c)
		pb_chan_complete(c, m, false);
	if (op->auth && pb_msg_has(op->auth, PB_STR("username")))
		pb_msg_add(m, PB_STR("username"), pb_msg_get(op->auth, PB_STR("username")));
	user = sip_user_of(op->msg->uri, a);
	if (user.p)
		pb_msg_add(m, PB_STR("called"), user);
	user = sip_user_of(op->core.from.uri, a);
	if (user.p)
		pb_msg_add(m, PB_STR("caller"), user);
	user = sip_display_of(&op->core.from, a);
	if (user.n)
		pb_msg_add(m, PB_STR("callername"), user);
	pb_msg_add(m, PB_STR("antiloop"),
		   pb_arena_printf(a, "%lld", (long long)sip_antiloop(sip_conf(sl), op->msg)));
	sip_put_party(m, &op->path, true);
	pb_msg_add(m, PB_STR("sip_uri"), op->msg->uri);
	pb_msg_add(m, PB_STR("sip_callid"), op->core.call_id);
	pb_msg_add(m, PB_STR("xsip_dlgtag"), tag);
	sip_put_headers(m, op->msg, true);
	sip_put_body(m, op->msg);
	pb_msg_add(m, PB_STR("request_uri"), op->msg->uri);
	return m;
}

static bool number(struct pb_str s, unsigned *code)
{
	uint32_t v;

	if (pb_str_to_u32(s, 0, 699, &v))
		return false;
	*code = v;
	return true;
}

static unsigned word_code(const struct pb_msg *m, unsigned def)
{
	unsigned code = sip_code_of_word(pb_msg_get(m, PB_STR("reason")));

	return code ? code : def;
}

/* The answer's code, or 0: not handled. */
static unsigned answer_code(const struct pb_msg *m, bool handled)
{
	unsigned code = 0;

	if (handled) {
		if (!number(pb_msg_get(m, PB_STR("code")), &code) && !number(pb_msg_retval(m), &code))
			code = word_code(m, 200);
		return code >= 200 && code <= 699 ? code : 0;
	}
	if (!number(pb_msg_get(m, PB_STR("code")), &code))
		code = word_code(m, 0);
	return code >= 300 && code <= 699 ? code : 0;
}

/* A reason that is no word for a code is the phrase. */
static struct pb_str phrase(const struct pb_msg *m)
{
	struct pb_str r = pb_msg_get(m, PB_STR("reason"));

	return r.n && !sip_code_of_word(r) ? r : PB_STR_NULL;
}

static void answered(struct pb_msg *m, bool handled, void *arg)
{
	struct sip_op *op = arg;
	unsigned code = answer_code(m, handled);
	struct pb_str body = PB_STR_NULL, type = PB_STR_NULL;
	struct sip_build *b;

	if (!code) {
		pb_msg_free(&m);
		sip_op_answer(&op, op->msg->method == SIP_INFO ? 415 : 405, PB_STR_NULL);
		return;
	}
	if (!sip_op_begin(op, code, phrase(m), &b)) {
		sip_add_headers(b, m, PB_STR("osip_"));
		body = sip_take_body(m, op->arena);
		type = pb_msg_get(m, PB_STR("xsip_type"));
		/* What came in is not echoed. */
		if (!type.n || !body.n || pb_str_eq(body, op->msg->body))
			body = type = PB_STR_NULL;
		sip_op_send(op, type, body);
	}
	pb_msg_free(&m);
	sip_op_free(&op);
}

static void ask(struct sip_op *op)
{
	struct pb_msg *m = make_message(op);

	if (!m) {
		sip_op_answer(&op, 503, PB_STR_NULL);
		return;
	}
	pb_bus_dispatch(op->on->cx->bus, m, &op->questions, answered, op);
}

static void authenticated(struct sip_op *op)
{
	if (op->result == SIP_AUTH_GOOD)
		ask(op);
	else
		sip_auth_refuse(&op);
}

void sip_generic(struct sip_op *op)
{
	if (op->method && op->method->auth)
		sip_auth_ask(op, NULL, false, authenticated);
	else
		ask(op);
}
