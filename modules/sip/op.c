/*
 * A request under way: its message, kept while handlers are asked, and its one
 * answer.
 */
#include "bus/flight.h"
#include "sip/sip.h"

#define OP_LIMIT (256u << 10)

struct sip_op *sip_op_new(struct sip_loop *sl, struct sip_txn_id id, const struct sip_arrival *in)
{
	struct pb_arena *a = pb_arena_new(OP_LIMIT);
	struct sip_op *op = a ? pb_arena_alloc(a, sizeof(*op)) : NULL;

	if (!op)
		goto fail;
	op->on = sl;
	op->arena = a;
	op->msg = sip_msg_copy(in->msg, a);
	op->path = in->path;
	op->txn = id;
	if (!op->msg || !sip_core_read(op->msg, &op->core))
		goto fail;
	op->began_us = pb_loop_read_us(sl->cx->loop);
	op->flight = sip_record_begin(sl, in, &op->judges);
	if (in->msg->method == SIP_INVITE)
		op->judges = false; /* the leg does */
	pb_questions_init(&op->questions);
	pb_list_push(&sl->ops, &op->node);
	return op;

fail:
	pb_arena_free(&a);
	SIP_LOG(MEMORY, "no memory for a request");
	return NULL;
}

static void record_end(struct sip_op *op)
{
	enum pb_flight_outcome how = op->code >= 200 && op->code < 300 ? PB_FLIGHT_WELL : PB_FLIGHT_BADLY;
	struct pb_text t;
	char buf[64];

	pb_text_init_buf(&t, buf, sizeof(buf));
	if (op->code)
		pb_text_addf(&t, "%u %.*s", op->code, PB_STR_F(pb_str_head(sip_reason_phrase(op->code), 40)));
	pb_flight_end(op->on->cx->bus, op->flight, op->judges ? how : PB_FLIGHT_NO_OPINION, pb_text_str(&t));
}

void sip_op_free(struct sip_op **opp)
{
	struct sip_op *op = *opp;
	struct pb_arena *a;

	if (!op)
		return;
	*opp = NULL;
	pb_list_remove(&op->node);
	sip_auth_forget(op);
	pb_questions_cancel(&op->questions);
	pb_msg_free(&op->auth);
	record_end(op);
	sip_times_add(op->on, pb_loop_read_us(op->on->cx->loop) - op->began_us);
	a = op->arena;
	pb_arena_free(&a);
}

void sip_common_headers(const struct sip_settings *s, struct sip_build *b, bool answer)
{
	if (!answer && !(s->flags & 4) && s->useragent.n) /* Server is the stack's to add */
		sip_build_hdr(b, SIP_HDR_USER_AGENT, s->useragent);
	if (!(s->flags & 2))
		sip_build_hdr(b, SIP_HDR_ALLOW, s->allow);
}

int sip_op_begin(struct sip_op *op, unsigned code, struct pb_str reason, struct sip_build **b)
{
	int err = sip_server_begin(op->on->stack, op->txn, code, reason, b);

	op->code = code;
	if (!err)
		sip_common_headers(sip_conf(op->on), *b, true);
	return err;
}

int sip_op_send(struct sip_op *op, struct pb_str type, struct pb_str body)
{
	return sip_server_send(op->on->stack, type, body);
}

void sip_op_answer(struct sip_op **op, unsigned code, struct pb_str reason)
{
	struct sip_build *b;

	if (!sip_op_begin(*op, code, reason, &b))
		sip_op_send(*op, PB_STR_NULL, PB_STR_NULL);
	sip_op_free(op);
}
