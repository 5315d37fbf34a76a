/*
 * The server side. A transaction keeps, instead of its request, the header lines
 * that all its answers carry, built once; whoever answers later, however much
 * later, needs nothing else. The answer sent last is kept for retransmissions,
 * which never come further up than here.
 */
#include <errno.h>

#include "base/alloc.h"
#include "sip/stack/txn_impl.h"

enum { UNIT_BYTES = 4096 }; /* of the limit */

static struct sip_server *server_of(const struct sip_stack *s, struct sip_txn_id id)
{
	struct sip_txn *t = sip_txn_find(s, id);

	if (!t || t->state == SIP_ST_TERMINATED)
		return NULL;
	return t->kind == SIP_IST || t->kind == SIP_NIST ? (struct sip_server *)t : NULL;
}

/* ---- Matching: RFC 3261 section 17.2.3 ------------------------------------- */

/**
 * What makes two requests the same, as text: branch, sent-by and method; of a
 * client without a good branch what RFC 2543 went by. ACK and CANCEL are asked
 * for as their INVITE.
 */
static struct pb_str key_of(struct sip_stack *s, const struct sip_arrival *in, bool invite)
{
	const struct sip_core *c = in->core;
	struct pb_text *k = &s->key;

	pb_text_reset(k);
	pb_text_add(k, invite ? PB_STR("INVITE") : c->cseq.method_name);
	pb_text_addc(k, '\n');
	pb_text_add(k, c->via.host);
	pb_text_addc(k, ':');
	pb_text_addu(k, c->via.port);
	pb_text_addc(k, '\n');
	pb_text_add(k, c->via.branch);
	if (!sip_branch_magic(c->via.branch)) {
		pb_text_addc(k, '\n');
		pb_text_add(k, c->call_id);
		pb_text_addc(k, '\n');
		pb_text_add(k, c->from_tag);
		pb_text_addc(k, '\n');
		pb_text_addu(k, c->cseq.number);
		pb_text_addc(k, '\n');
		pb_text_add(k, in->msg->uri);
	}
	return pb_text_str(k);
}

static struct sip_server *server_find(const struct sip_stack *s, struct pb_str key)
{
	struct pb_map_node *n = pb_map_first(&s->servers, pb_hash(key));

	for (; n; n = pb_map_next(n)) {
		struct sip_server *v = pb_container(n, struct sip_server, t.node);

		if (pb_str_eq(v->key, key))
			return v;
	}
	return NULL;
}

/**
 * Section 8.2.2.2: the same request by two ways. The hash alone decides: 64 bits
 * under a key that nobody knows.
 */
static uint64_t merge_hash(const struct sip_core *c)
{
	uint64_t h = pb_hash_mix(pb_hash(c->call_id), pb_hash(c->from_tag));

	return pb_hash_mix(pb_hash_mix(h, c->cseq.number), pb_hash(c->cseq.method_name));
}

static bool may_merge(const struct sip_core *c)
{
	return !c->to_tag.p && c->from_tag.p;
}

/* ---- Birth and death ------------------------------------------------------- */

/** The lines of all answers, status line apart, in the loop's text; at *routes the Record-Routes.
 */
static struct pb_str build_head(struct sip_stack *s, const struct sip_arrival *in,
				struct pb_str tag, size_t *routes)
{
	struct sip_build *b = sip_transport_build(s->transport);
	char ip[PB_ADDR_TEXT];
	struct pb_str all;
	ptrdiff_t line;

	s->draft.b = NULL;
	sip_build_response(b, b->out, in->msg,
			   &(struct sip_answer){
				   .code = 400, /* of a code without Record-Route */
				   .to_tag = tag,
				   .received = pb_addr_print_ip(&in->path.peer, ip),
				   .rport = pb_addr_port(&in->path.peer),
			   });
	*routes = b->out->n;
	sip_build_copy(b, in->msg, SIP_HDR_RECORD_ROUTE);
	all = pb_text_str(b->out);
	line = pb_str_find(all, PB_STR("\r\n"));
	if (b->bad || pb_text_failed(b->out) || line < 0)
		return PB_STR_NULL;
	*routes -= (size_t)line + 2;
	return pb_str_from(all, (size_t)line + 2);
}

/** Append to the tail. */
static struct pb_str put(char **at, struct pb_str s)
{
	struct pb_str copy = pb_str(*at, s.n);

	if (s.n)
		memcpy(*at, s.p, s.n);
	*at += s.n;
	return copy;
}

static int server_index(struct sip_server *v, const struct sip_core *core)
{
	struct sip_stack *s = v->t.s;

	if (pb_map_add(&s->servers, &v->t.node, pb_hash(v->key)) != 0)
		return -ENOMEM;
	if (!may_merge(core))
		return 0;
	if (pb_map_add(&s->merges, &v->merge, merge_hash(core)) != 0) {
		pb_map_remove(&s->servers, &v->t.node);
		return -ENOMEM;
	}
	v->merges = true;
	return 0;
}

static int server_new(struct sip_stack *s, const struct sip_arrival *in, struct pb_str key,
		      struct sip_server **out)
{
	bool invite = in->msg->method == SIP_INVITE;
	char made[SIP_ID_BYTES];
	struct pb_str tag = in->core->to_tag, head;
	size_t routes, n;
	struct sip_server *v;
	char *at;

	*out = NULL;
	if (!tag.n)
		tag = sip_transport_id(s->transport, made);
	head = build_head(s, in, tag, &routes);
	if (!head.p)
		return -ENOMEM;
	n = sizeof(*v) + key.n + tag.n + head.n;
	v = pb_alloc(n);
	if (!v)
		return -ENOMEM;
	memset(v, 0, sizeof(*v));
	at = v->tail;
	v->key = put(&at, key);
	v->tag = put(&at, tag);
	v->head = put(&at, pb_str_head(head, routes));
	v->routes = put(&at, pb_str_from(head, routes));
	v->method = (uint8_t)in->msg->method;
	v->units = (unsigned)((n + UNIT_BYTES - 1) / UNIT_BYTES);
	if (sip_txn_init(&v->t, s, invite ? SIP_IST : SIP_NIST, &in->path) != 0) {
		pb_free(v);
		return -ENOMEM;
	}
	if (server_index(v, in->core) != 0) {
		sip_txn_fini(&v->t);
		pb_free(v);
		return -ENOMEM;
	}
	s->units += v->units;
	SIP_COUNT(s, SERVER_NEW);
	*out = v;
	return 0;
}

void sip_server_free(struct sip_server *v)
{
	struct sip_stack *s = v->t.s;

	pb_map_remove(&s->servers, &v->t.node);
	if (v->merges)
		pb_map_remove(&s->merges, &v->merge);
	s->units -= v->units;
	sip_txn_fini(&v->t);
	pb_free(v);
}

/* ---- Answers --------------------------------------------------------------- */

static bool plain(struct pb_str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
			return false;
	return true;
}

/** The server whose answer may be begun; else -errno. */
static int answerable(struct sip_stack *s, struct sip_txn_id id, struct sip_server **out)
{
	struct sip_server *v = server_of(s, id);

	*out = v;
	if (!v) {
		SIP_COUNT(s, ANSWER_STALE);
		return -ESTALE;
	}
	if (v->final) {
		SIP_COUNT(s, ANSWER_SECOND);
		return -EALREADY;
	}
	return 0;
}

static void add_server(struct sip_stack *s, struct sip_build *b)
{
	struct pb_str server = sip_transport_server(s->transport);

	if (server.n)
		sip_build_hdr(b, SIP_HDR_SERVER, server);
}

int sip_server_begin(struct sip_stack *s, struct sip_txn_id id, unsigned code, struct pb_str reason,
		     struct sip_build **b)
{
	struct sip_server *v;
	int err = answerable(s, id, &v);

	s->draft.b = NULL;
	*b = NULL;
	if (err)
		return err;
	if (code < 100 || code > 699)
		return -EINVAL;
	if (!reason.p)
		reason = sip_reason_phrase(code);
	*b = sip_transport_build(s->transport);
	if (!plain(reason))
		(*b)->bad = true;
	pb_text_lit((*b)->out, "SIP/2.0 ");
	pb_text_addu((*b)->out, code);
	pb_text_addc((*b)->out, ' ');
	pb_text_add((*b)->out, reason);
	pb_text_lit((*b)->out, "\r\n");
	pb_text_add((*b)->out, v->head);
	if (code > 100 && code < 300)
		pb_text_add((*b)->out, v->routes);
	add_server(s, *b);
	s->draft = (struct sip_draft){ .b = *b, .server = id, .code = code };
	return 0;
}

int sip_server_send(struct sip_stack *s, struct pb_str type, struct pb_str body)
{
	struct sip_draft d = s->draft;
	struct sip_server *v;
	int err;

	if (!d.b)
		return -EINVAL;
	s->draft.b = NULL;
	err = answerable(s, d.server, &v);
	if (!err)
		err = sip_build_end(d.b, type, body);
	if (!err)
		err = sip_txn_keep(&v->t, pb_text_str(d.b->out));
	if (err)
		return err;
	v->final = d.code >= 200;
	sip_txn_run(&v->t, sip_event_of(d.code), NULL);
	return 0;
}

int sip_server_answer(struct sip_stack *s, struct sip_txn_id id, unsigned code,
		      struct pb_str reason)
{
	struct sip_build *b;
	int err = sip_server_begin(s, id, code, reason, &b);

	return err ? err : sip_server_send(s, PB_STR_NULL, PB_STR_NULL);
}

void sip_server_once(struct sip_stack *s, struct sip_txn_id id)
{
	struct sip_server *v = server_of(s, id);

	if (v)
		v->once = true;
}

int sip_server_repeat(struct sip_stack *s, struct sip_txn_id id)
{
	struct sip_server *v = server_of(s, id);

	if (!v || v->t.kind != SIP_IST || v->t.state != SIP_ST_ACCEPTED)
		return -ESTALE;
	SIP_COUNT(s, RESENT);
	sip_txn_run(&v->t, SIP_EV_2XX, NULL);
	return 0;
}

bool sip_server_open(const struct sip_stack *s, struct sip_txn_id id)
{
	const struct sip_server *v = server_of(s, id);

	return v && !v->final;
}

void sip_server_set_user(struct sip_stack *s, struct sip_txn_id id, void *user)
{
	struct sip_server *v = server_of(s, id);

	if (v)
		v->user = user;
}

/** Also one that has just failed: its user is being told, and may ask. */
static const struct sip_server *server_or_failed(const struct sip_stack *s, struct sip_txn_id id)
{
	const struct sip_txn *t = sip_txn_find(s, id);

	return t && (t->kind == SIP_IST || t->kind == SIP_NIST) ? (const struct sip_server *)t
								: NULL;
}

void *sip_server_user(const struct sip_stack *s, struct sip_txn_id id)
{
	const struct sip_server *v = server_or_failed(s, id);

	return v ? v->user : NULL;
}

struct pb_str sip_server_tag(const struct sip_stack *s, struct sip_txn_id id)
{
	const struct sip_server *v = server_or_failed(s, id);

	return v ? v->tag : PB_STR_NULL;
}

enum sip_method sip_server_method(const struct sip_stack *s, struct sip_txn_id id)
{
	const struct sip_server *v = server_or_failed(s, id);

	return v ? (enum sip_method)v->method : SIP_METHOD_OTHER;
}

const struct sip_path *sip_server_path(const struct sip_stack *s, struct sip_txn_id id)
{
	const struct sip_server *v = server_of(s, id);

	return v ? &v->t.path : NULL;
}

/* ---- Timers ---------------------------------------------------------------- */

void sip_server_fail(struct sip_server *v, enum sip_failure why)
{
	struct sip_stack *s = v->t.s;

	if (why == SIP_FAIL_NO_ACK)
		SIP_COUNT(s, SERVER_NO_ACK);
	if (s->args.ops->failed)
		s->args.ops->failed(s->args.arg, v->t.id, why);
}

/**
 * The user has had its time. An INVITE is answered for it; for anything else
 * the client gave up long ago, and a 408 would only do harm (RFC 4320 section 4.2).
 */
bool sip_server_life(struct sip_server *v)
{
	struct sip_stack *s = v->t.s;
	struct sip_txn_id id = v->t.id;

	if (v->final)
		return false;
	SIP_COUNT(s, SERVER_UNANSWERED);
	sip_server_fail(v, SIP_FAIL_NO_ANSWER);
	v = server_of(s, id);
	if (!v || v->final)
		return true; /* answered while it was told */
	if (v->t.kind == SIP_NIST || sip_server_answer(s, id, 408, PB_STR_NULL) != 0)
		sip_server_free(v);
	return true;
}

/** RFC 4320 section 4.1: a late 100, when timer E of the client has come to T2. */
bool sip_server_resend(struct sip_server *v)
{
	if (v->t.state == SIP_ST_TRYING)
		sip_server_answer(v->t.s, v->t.id, 100, PB_STR_NULL);
	return true;
}

static unsigned late_trying_ms(const struct sip_timing *timing)
{
	unsigned at = 0;

	for (unsigned e = timing->t1_ms; e < timing->t2_ms; e *= 2)
		at += e;
	return at;
}

/* ---- Requests -------------------------------------------------------------- */

static void on_ack(struct sip_stack *s, const struct sip_arrival *in)
{
	struct sip_server *v = server_find(s, key_of(s, in, true));

	if (v) {
		sip_txn_run(&v->t, SIP_EV_ACK, in);
		return;
	}
	SIP_COUNT(s, ACK_PASSED);
	if (s->args.ops->ack)
		s->args.ops->ack(s->args.arg, in);
}

/**
 * Answered without a transaction of its own: while its INVITE is there, a
 * repeated CANCEL gets the same answer and does no more (section 9.2).
 */
static void on_cancel(struct sip_stack *s, const struct sip_arrival *in)
{
	struct sip_server *v = server_find(s, key_of(s, in, true));
	struct sip_txn_id id;
	struct sip_build *b;

	s->draft.b = NULL;
	if (!v) {
		SIP_COUNT(s, CANCEL_UNMATCHED);
		sip_reply(s->transport, in, 481, PB_STR_NULL);
		return;
	}
	SIP_COUNT(s, CANCEL_MATCHED);
	sip_reply_begin_tagged(s->transport, in, 200, PB_STR_NULL, v->tag, &b);
	sip_reply_send(s->transport, PB_STR_NULL, PB_STR_NULL);
	if (v->final || v->cancelled)
		return;
	v->cancelled = true;
	id = v->t.id;
	if (s->args.ops->cancel)
		s->args.ops->cancel(s->args.arg, id, in);
	else
		sip_server_answer(s, id, 487, PB_STR_NULL);
}

/** Whether it may make a transaction; if not, it has been answered. */
static bool admitted(struct sip_stack *s, const struct sip_arrival *in)
{
	const struct sip_core *c = in->core;
	unsigned code;

	if (may_merge(c) && pb_map_first(&s->merges, merge_hash(c))) {
		SIP_COUNT(s, SERVER_MERGED);
		sip_reply(s->transport, in, 482, PB_STR_NULL);
		return false;
	}
	if (s->units >= s->args.server_limit && !c->to_tag.p && in->msg->method != SIP_BYE) {
		SIP_COUNT(s, SERVER_FULL);
		sip_reply(s->transport, in, 503, PB_STR_NULL);
		return false;
	}
	code = s->args.ops->admit ? s->args.ops->admit(s->args.arg, in) : 0;
	if (code) {
		SIP_COUNT(s, SERVER_REFUSED);
		if (code != SIP_ADMIT_DONE)
			sip_reply(s->transport, in, code, PB_STR_NULL);
		return false;
	}
	return true;
}

/** The 100 of an INVITE, made from the request: without a tag, with its Timestamp. */
static void trying(struct sip_server *v, const struct sip_arrival *in)
{
	struct sip_stack *s = v->t.s;
	struct sip_build *b = sip_transport_build(s->transport);
	char ip[PB_ADDR_TEXT];

	sip_build_response(b, b->out, in->msg,
			   &(struct sip_answer){
				   .code = 100,
				   .received = pb_addr_print_ip(&in->path.peer, ip),
				   .rport = pb_addr_port(&in->path.peer),
			   });
	add_server(s, b);
	s->draft = (struct sip_draft){ .b = b, .server = v->t.id, .code = 100 };
	sip_server_send(s, PB_STR_NULL, PB_STR_NULL);
}

static void on_new(struct sip_stack *s, const struct sip_arrival *in, struct pb_str key)
{
	struct sip_server *v;
	struct sip_txn_id id;

	if (server_new(s, in, key, &v) != 0) {
		SIP_COUNT(s, SERVER_NO_MEMORY);
		sip_reply(s->transport, in, 503, PB_STR_NULL);
		return;
	}
	id = v->t.id;
	sip_txn_live(&v->t, SIP_EV_END, s->timing.answer_ms);
	if (v->t.kind == SIP_NIST)
		pb_timer_start(s->args.loop, &v->t.resend, late_trying_ms(&s->timing));
	sip_txn_run(&v->t, SIP_EV_REQUEST, in);
	v = server_of(s, id);
	if (v && v->t.kind == SIP_IST && !v->t.bytes.n)
		trying(v, in);
}

void sip_server_request(struct sip_stack *s, const struct sip_arrival *in)
{
	struct sip_server *v;

	s->draft.b = NULL;
	if (in->msg->method == SIP_ACK) {
		on_ack(s, in);
		return;
	}
	if (in->msg->method == SIP_CANCEL) {
		on_cancel(s, in);
		return;
	}
	v = server_find(s, key_of(s, in, in->msg->method == SIP_INVITE));
	if (v) {
		SIP_COUNT(s, SERVER_REPEAT);
		sip_txn_run(&v->t, SIP_EV_REQUEST, in);
	} else if (admitted(s, in)) {
		on_new(s, in, key_of(s, in, in->msg->method == SIP_INVITE));
	}
}
