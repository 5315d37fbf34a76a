/*
 * The client side. A transaction keeps the request as it was sent; ACK and
 * CANCEL are made from it when they are needed, which is rare. Responses find
 * their transaction by the branch that we made (and whether it is a CANCEL's,
 * which shares the branch of its INVITE).
 */
#include <errno.h>

#include "base/alloc.h"
#include "sip/stack/txn_impl.h"

static struct sip_client *client_of(const struct sip_stack *s, struct sip_txn_id id)
{
	struct sip_txn *t = sip_txn_find(s, id);

	return t && (t->kind == SIP_ICT || t->kind == SIP_NICT) ? (struct sip_client *)t : NULL;
}

static uint64_t client_hash(struct pb_str branch, bool cancel)
{
	return pb_hash_mix(pb_hash_nocase(branch), cancel);
}

static struct sip_client *client_find(const struct sip_stack *s, struct pb_str branch, bool cancel)
{
	struct pb_map_node *n = pb_map_first(&s->clients, client_hash(branch, cancel));

	for (; n; n = pb_map_next(n)) {
		struct sip_client *c = pb_container(n, struct sip_client, t.node);

		if (c->cancel == cancel && pb_str_ieq(branch, pb_str(c->branch, SIP_BRANCH_BYTES)))
			return c;
	}
	return NULL;
}

/* ---- Beginning ------------------------------------------------------------- */

int sip_client_begin(struct sip_stack *s, const struct sip_path *path, struct pb_str method,
		     struct pb_str uri, struct sip_build **b)
{
	struct sip_draft *d = &s->draft;
	struct sip_local local;
	int err = sip_path_local(s->transport, path, &local);

	*d = (struct sip_draft){ .path = *path, .method = sip_method_id(method) };
	if (err)
		return err;
	d->b = *b = sip_transport_build(s->transport);
	sip_build_request(d->b, d->b->out, method, uri);
	sip_build_via(d->b, &(struct sip_via_args){
				    .transport = PB_STR("UDP"),
				    .host = local.host,
				    .port = local.port,
				    .branch = sip_transport_branch(s->transport, d->branch),
				    .rport = true,
			    });
	return 0;
}

/** End what is being built; its bytes, or -errno. The draft is used up. */
static int draft_end(struct sip_stack *s, struct pb_str type, struct pb_str body,
		     struct pb_str *bytes)
{
	struct sip_build *b = s->draft.b;
	int err;

	if (!b)
		return -EINVAL;
	s->draft.b = NULL;
	err = sip_build_end(b, type, body);
	*bytes = pb_text_str(b->out);
	return err;
}

static int client_new(struct sip_stack *s, enum sip_kind kind, const struct sip_path *path,
		      const char branch[SIP_BRANCH_BYTES], bool cancel, struct pb_str bytes,
		      struct sip_client **out)
{
	struct sip_client *c = pb_alloc_zero(1, sizeof(*c));
	uint64_t hash = client_hash(pb_str(branch, SIP_BRANCH_BYTES), cancel);

	*out = NULL;
	if (!c)
		return -ENOMEM;
	if (sip_txn_init(&c->t, s, kind, path) != 0) {
		pb_free(c);
		return -ENOMEM;
	}
	c->cancel = cancel;
	memcpy(c->branch, branch, SIP_BRANCH_BYTES);
	if (sip_txn_keep(&c->t, bytes) != 0 || pb_map_add(&s->clients, &c->t.node, hash) != 0) {
		sip_txn_fini(&c->t);
		pb_free(c);
		return -ENOMEM;
	}
	SIP_COUNT(s, CLIENT_NEW);
	*out = c;
	return 0;
}

void sip_client_free(struct sip_client *c)
{
	pb_map_remove(&c->t.s->clients, &c->t.node);
	sip_txn_fini(&c->t);
	pb_free(c);
}

int sip_client_prepare(struct sip_stack *s, struct pb_str type, struct pb_str body,
		       sip_client_fn fn, void *arg, struct sip_txn_id *out)
{
	struct sip_draft *d = &s->draft;
	struct sip_client *c;
	struct pb_str bytes;
	int err = draft_end(s, type, body, &bytes);

	*out = (struct sip_txn_id){ 0 };
	if (err)
		return err;
	err = client_new(s, d->method == SIP_INVITE ? SIP_ICT : SIP_NICT, &d->path, d->branch,
			 d->method == SIP_CANCEL, bytes, &c);
	if (err)
		return err;
	c->fn = fn;
	c->arg = arg;
	*out = c->t.id;
	return 0;
}

void sip_client_start(struct sip_stack *s, struct sip_txn_id id)
{
	struct sip_client *c = client_of(s, id);

	if (c && c->t.state == SIP_ST_INIT)
		sip_txn_run(&c->t, SIP_EV_REQUEST, NULL);
}

int sip_client_send(struct sip_stack *s, struct pb_str type, struct pb_str body, sip_client_fn fn,
		    void *arg, struct sip_txn_id *out)
{
	struct sip_txn_id id;
	int err = sip_client_prepare(s, type, body, fn, arg, &id);

	if (out)
		*out = id;
	if (!err)
		sip_client_start(s, id);
	return err;
}

int sip_client_send_ack(struct sip_stack *s, struct pb_str type, struct pb_str body,
			struct pb_str *bytes)
{
	struct pb_str ack;
	int err = draft_end(s, type, body, &ack);

	if (err)
		return err;
	if (bytes)
		*bytes = ack;
	return sip_path_send(s->transport, &s->draft.path, ack);
}

/* ---- What comes back ------------------------------------------------------- */

void sip_client_ack_refusal(struct sip_client *c, const struct sip_arrival *in)
{
	struct sip_stack *s = c->t.s;
	struct sip_build *b = sip_transport_build(s->transport);
	struct sip_msg invite;

	s->draft.b = NULL;
	sip_msg_parse(&invite, c->t.bytes);
	if (sip_build_ack(b->out, &invite, in->msg) != 0)
		return;
	if (sip_path_send(s->transport, &c->t.path, pb_text_str(b->out)) != 0)
		c->t.failed = true;
}

/** Its CANCEL, which nobody waits for; then 64*T1 for the INVITE to end (section 9.1). */
static void send_cancel(struct sip_client *c)
{
	struct sip_stack *s = c->t.s;
	struct sip_build *b = sip_transport_build(s->transport);
	struct sip_client *cancel;
	struct sip_msg invite;

	s->draft.b = NULL;
	c->cancel_sent = true;
	sip_txn_live(&c->t, SIP_EV_EXPIRE, 64ull * s->timing.t1_ms);
	sip_msg_parse(&invite, c->t.bytes);
	if (sip_build_cancel(b->out, &invite) != 0)
		return;
	if (client_new(s, SIP_NICT, &c->t.path, c->branch, true, pb_text_str(b->out), &cancel) == 0)
		sip_txn_run(&cancel->t, SIP_EV_REQUEST, NULL);
}

/** An INVITE has a provisional response: it may be cancelled now, and waits long. */
static void proceeding(struct sip_client *c)
{
	if (c->cancel_sent)
		return;
	if (c->cancel_wanted)
		send_cancel(c);
	else
		sip_txn_live(&c->t, SIP_EV_EXPIRE, c->t.s->timing.proceeding_ms);
}

/** Only an accepted INVITE has more to say after a final response. */
static bool is_last(const struct sip_client *c, enum sip_outcome what, const struct sip_arrival *in)
{
	if (what == SIP_OUT_FINAL)
		return c->t.kind == SIP_NICT || in->msg->status >= 300;
	return what != SIP_OUT_PROVISIONAL;
}

void sip_client_tell(struct sip_client *c, enum sip_outcome what, const struct sip_arrival *in)
{
	sip_client_fn fn = c->fn;

	/* Before the user hears of it, who may cancel at once. */
	if (what == SIP_OUT_PROVISIONAL && c->t.kind == SIP_ICT)
		proceeding(c);
	if (what == SIP_OUT_TIMEOUT) {
		SIP_COUNT(c->t.s, CLIENT_TIMEOUT);
		if (pb_str_starts(c->t.bytes, PB_STR("BYE ")))
			SIP_COUNT(c->t.s, BYE_TIMEOUT);
	}
	if (is_last(c, what, in))
		c->fn = NULL;
	if (fn)
		fn(c->arg, what, in);
}

/** Timer C: cancel first, and only when that is in vain give up. */
bool sip_client_life(struct sip_client *c)
{
	if (c->t.kind != SIP_ICT || c->t.state != SIP_ST_PROCEEDING || c->cancel_sent)
		return false;
	send_cancel(c);
	return true;
}

void sip_client_response(struct sip_stack *s, const struct sip_arrival *in)
{
	struct sip_client *c =
		client_find(s, in->core->via.branch, in->core->cseq.method == SIP_CANCEL);
	enum sip_event e = sip_event_of(in->msg->status);

	if (!c || (c->t.kind == SIP_ICT) != (in->core->cseq.method == SIP_INVITE)) {
		SIP_COUNT(s, RESPONSE_STRAY);
		if (s->args.ops->response)
			s->args.ops->response(s->args.arg, in);
		return;
	}
	sip_txn_run(&c->t, e, in);
}

/* ---- Changing one's mind --------------------------------------------------- */

int sip_client_cancel(struct sip_stack *s, struct sip_txn_id id)
{
	struct sip_client *c = client_of(s, id);

	if (!c || c->t.kind != SIP_ICT)
		return -ESTALE;
	if (c->cancel_wanted || (c->t.state != SIP_ST_CALLING && c->t.state != SIP_ST_PROCEEDING))
		return -EALREADY;
	c->cancel_wanted = true;
	if (c->t.state == SIP_ST_PROCEEDING && !c->cancel_sent)
		send_cancel(c);
	return 0;
}

void sip_client_forget(struct sip_stack *s, struct sip_txn_id id)
{
	struct sip_client *c = client_of(s, id);

	if (c)
		c->fn = NULL;
}
