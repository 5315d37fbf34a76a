/*
 * Messages as a phone would write them: the headers that phones send, no more.
 */
#include "load.h"

#include "base/text.h"

#include <arpa/inet.h>
#include <openssl/evp.h>

#define SDP                                                                                        \
	"v=0\r\no=load 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"               \
	"m=audio 20000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n"

static void add_addr(struct pb_text *t, const struct sockaddr_in *a)
{
	char host[INET_ADDRSTRLEN];

	inet_ntop(AF_INET, &a->sin_addr, host, sizeof(host));
	pb_text_addf(t, "%s:%u", host, (unsigned)ntohs(a->sin_port));
}

/* ---- Digest (RFC 2617, as phones still speak it) ------------------------------------------ */

struct hex {
	char text[33];
};

static struct hex md5(struct pb_str s)
{
	static EVP_MD *algorithm;
	unsigned char sum[EVP_MAX_MD_SIZE];
	struct pb_text t;
	struct hex h = { "" };

	if (!algorithm)
		algorithm = EVP_MD_fetch(NULL, "MD5", NULL);
	if (!EVP_Digest(s.p, s.n, sum, NULL, algorithm, NULL))
		return h;
	pb_text_init_buf(&t, h.text, sizeof(h.text));
	pb_text_add_hex(&t, sum, 16);
	return h;
}

static struct hex md5_of(const char *fmt, struct pb_str a, struct pb_str b, struct pb_str c)
{
	char buf[512];
	struct pb_text t;

	pb_text_init_buf(&t, buf, sizeof(buf));
	pb_text_addf(&t, fmt, PB_STR_F(a), PB_STR_F(b), PB_STR_F(c));
	return md5(pb_text_str(&t));
}

static void add_credentials(struct pb_text *t, const struct request *r, struct pb_str uri)
{
	struct pb_str realm = seen_param(r->challenge, PB_STR("realm"));
	struct pb_str nonce = seen_param(r->challenge, PB_STR("nonce"));
	struct pb_str opaque = seen_param(r->challenge, PB_STR("opaque"));
	bool qop = seen_param(r->challenge, PB_STR("qop")).n > 0;
	struct hex ha1 = md5_of("%.*s:%.*s:%.*s", r->user, realm, r->password);
	struct hex ha2 = md5_of("%.*s:%.*s%.*s", r->method, uri, PB_STR(""));
	struct hex answer = md5_of(qop ? "%.*s:%.*s:00000001:6c6f6164:auth:%.*s" : "%.*s:%.*s:%.*s",
				   pb_str(ha1.text, 32), nonce, pb_str(ha2.text, 32));

	pb_text_addf(t,
		     "Authorization: Digest username=\"%.*s\", realm=\"%.*s\", nonce=\"%.*s\", "
		     "uri=\"%.*s\", response=\"%s\", algorithm=MD5",
		     PB_STR_F(r->user), PB_STR_F(realm), PB_STR_F(nonce), PB_STR_F(uri), answer.text);
	if (qop)
		pb_text_lit(t, ", qop=auth, nc=00000001, cnonce=\"6c6f6164\"");
	if (opaque.n)
		pb_text_addf(t, ", opaque=\"%.*s\"", PB_STR_F(opaque));
	pb_text_lit(t, "\r\n");
}

/* ---- Requests --------------------------------------------------------------------------- */

static struct pb_str own_uri(struct load *l, const struct request *r, char *buf, size_t size)
{
	struct pb_text t;

	if (r->uri.p)
		return r->uri;
	pb_text_init_buf(&t, buf, size);
	pb_text_lit(&t, "sip:");
	/* REGISTER names the registrar, not the user (RFC 3261 section 10.2) */
	if (!pb_str_eq(r->method, PB_STR("REGISTER")))
		pb_text_addf(&t, "%.*s@", PB_STR_F(r->user));
	add_addr(&t, &l->plan.server);
	return pb_text_str(&t);
}

static void add_to(struct pb_text *t, struct load *l, const struct request *r)
{
	if (r->to.p) {
		pb_text_addf(t, "To: %.*s\r\n", PB_STR_F(r->to));
		return;
	}
	pb_text_addf(t, "To: <sip:%.*s@", PB_STR_F(r->user));
	add_addr(t, &l->plan.server);
	pb_text_lit(t, ">\r\n");
}

/* RFC 3261 section 12.1.2: the caller's route set is Record-Route reversed. */
static void add_routes(struct pb_text *t, const struct seen *dialog)
{
	for (unsigned i = dialog ? dialog->route_count : 0; i > 0; i--)
		pb_text_addf(t, "Route: %.*s\r\n", PB_STR_F(dialog->routes[i - 1]));
}

/* A REGISTER comes from whom it is for, everything else from a neighbour. */
static void add_from(struct pb_text *t, struct load *l, const struct op *op, const struct request *r)
{
	if (pb_str_eq(r->method, PB_STR("REGISTER")))
		pb_text_addf(t, "From: <sip:%.*s@", PB_STR_F(r->user));
	else
		pb_text_addf(t, "From: \"Load\" <sip:u%u@", op->number % l->plan.users);
	add_addr(t, &l->plan.server);
	pb_text_addf(t, ">;tag=%x\r\n", op->number);
}

static void add_body(struct pb_text *t, struct pb_str type, struct pb_str body)
{
	if (body.n)
		pb_text_addf(t, "Content-Type: %.*s\r\n", PB_STR_F(type));
	pb_text_addf(t, "Content-Length: %u\r\n\r\n", (unsigned)body.n);
	pb_text_add(t, body);
}

static void add_request(struct pb_text *t, struct load *l, struct op *op, const struct request *r)
{
	char buf[128];
	struct pb_str uri = own_uri(l, r, buf, sizeof(buf));

	pb_text_addf(t, "%.*s %.*s SIP/2.0\r\n", PB_STR_F(r->method), PB_STR_F(uri));
	pb_text_addf(t, "Via: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bK%x.%x.%u%c;rport\r\n",
		     (unsigned)wire_port(op->wire), l->run, op->number, r->cseq, r->method.p[0]);
	add_routes(t, r->dialog);
	pb_text_lit(t, "Max-Forwards: 70\r\n");
	add_from(t, l, op, r);
	add_to(t, l, r);
	pb_text_addf(t, "Call-ID: c%x-%x.%x@load\r\n", op->slot, op->number, l->run);
	pb_text_addf(t, "CSeq: %u %.*s\r\n", r->cseq, PB_STR_F(r->method));
	if (pb_str_eq(r->method, PB_STR("REGISTER")))
		pb_text_addf(t, "Contact: <sip:%.*s@127.0.0.1:%u>\r\nExpires: 600\r\n",
			     PB_STR_F(r->user), (unsigned)wire_port(l->callee));
	else if (pb_str_eq(r->method, PB_STR("INVITE")))
		pb_text_addf(t, "Contact: <sip:load@127.0.0.1:%u>\r\n", (unsigned)wire_port(op->wire));
	if (r->challenge.p)
		add_credentials(t, r, uri);
	pb_text_lit(t, "User-Agent: load\r\n");
	add_body(t, r->type, r->body);
}

void say_request(struct load *l, struct op *op, const struct request *r)
{
	struct pb_text t;

	pb_text_init_buf(&t, wire_room(op->wire), TEXT_MAX);
	if (pb_str_eq(r->method, PB_STR("INVITE"))) {
		struct request invite = *r;

		invite.type = PB_STR("application/sdp");
		invite.body = PB_STR(SDP);
		add_request(&t, l, op, &invite);
	} else {
		add_request(&t, l, op, r);
	}
	if (pb_text_failed(&t))
		return;
	if (r->fate != SAY_ONCE) {
		memcpy(op->asked, t.p, t.n);
		op->asked_n = t.n;
	}
	if (r->fate != SAY_LATER)
		wire_queue(op->wire, t.n, &l->plan.server);
}

/* ---- Answers ----------------------------------------------------------------------------- */

static void add_answer(struct pb_text *t, struct load *l, const struct op *op, const struct seen *s,
		       unsigned status, bool sdp)
{
	pb_text_addf(t, "SIP/2.0 %u %s\r\n", status, status == 180 ? "Ringing" : "OK");
	for (unsigned i = 0; i < s->via_count; i++)
		pb_text_addf(t, "Via: %.*s\r\n", PB_STR_F(s->vias[i]));
	for (unsigned i = 0; i < s->route_count; i++)
		pb_text_addf(t, "Record-Route: %.*s\r\n", PB_STR_F(s->routes[i]));
	pb_text_addf(t, "From: %.*s\r\nTo: %.*s", PB_STR_F(s->from), PB_STR_F(s->to));
	if (pb_str_find(s->to, PB_STR(";tag=")) < 0)
		pb_text_addf(t, ";tag=callee%x", op ? op->number : 0);
	pb_text_addf(t, "\r\nCall-ID: %.*s\r\nCSeq: %.*s\r\n", PB_STR_F(s->call_id), PB_STR_F(s->cseq));
	if (op && pb_str_eq(s->method, PB_STR("INVITE")))
		pb_text_addf(t, "Contact: <sip:c%x-%x@127.0.0.1:%u>\r\n", op->slot, op->number,
			     (unsigned)wire_port(l->callee));
	add_body(t, PB_STR("application/sdp"), sdp ? PB_STR(SDP) : PB_STR_NULL);
}

void say_answer(struct load *l, struct op *op, struct wire *w, const struct sockaddr_in *to,
		const struct seen *s, unsigned status, bool sdp)
{
	struct pb_text t;

	pb_text_init_buf(&t, wire_room(w), TEXT_MAX);
	add_answer(&t, l, op, s, status, sdp);
	if (pb_text_failed(&t))
		return;
	if (op && status >= 200) {
		memcpy(op->told, t.p, t.n);
		op->told_n = t.n;
		op->back = *to;
		op->back_wire = w;
	}
	wire_queue(w, t.n, to);
}

/* ---- Bare packets --------------------------------------------------------------------------- */

void say_ball(struct load *l, struct op *op)
{
	struct pb_text t;
	char *room = wire_room(op->wire);

	pb_text_init_buf(&t, room, TEXT_MAX);
	pb_text_addf(&t, "BALL x SIP/2.0\r\nCall-ID: c%x-%x\r\n\r\n", op->slot, op->number);
	if (t.n < l->plan.bytes)
		memset(room + t.n, '.', l->plan.bytes - t.n);
	t.n = t.n < l->plan.bytes ? l->plan.bytes : t.n;
	memcpy(op->asked, room, t.n);
	op->asked_n = t.n;
	wire_queue(op->wire, t.n, &l->plan.server);
}

void say_again(struct wire *w, const char *p, size_t n, const struct sockaddr_in *to)
{
	memcpy(wire_room(w), p, n);
	wire_queue(w, n, to);
}
