/*
 * xsip.generate: any request, sent for whoever asks on the bus; its answer is
 * reported to who waits for it (wait=yes), and a digest challenge is answered
 * once when credentials are given.
 */
#include "sip/sip.h"

#include <errno.h>

#include "bus/flight.h"

#define SEND_LIMIT (256u << 10)

struct sending {
	struct pb_arena *arena;
	struct pb_list node; /* in its loop's `sendings` */
	struct sip_loop *on;
	struct pb_handle flight; /* once it is sent */
	bool judges; /* nobody asked for it whose record it is in */
	struct pb_msg *m; /* a copy: what to send, and later the result */
	struct pb_token token; /* of who waits; gen 0: nobody does */
	struct sip_seek seek;
	bool wait; /* for the answer */
	struct pb_str method, uri, call_id, from_tag, body, type;
	struct pb_str from, to; /* without tags */
	uint32_t cseq;
	bool challenged;
	enum sip_hdr_id credentials_hdr;
	struct pb_str credentials;
};

static void sending_free(struct sending *s)
{
	struct pb_arena *a = s->arena;

	pb_flight_end(s->on->cx->bus, s->flight, PB_FLIGHT_BADLY, PB_STR("not sent"));
	pb_list_remove(&s->node);
	pb_msg_free(&s->m);
	pb_arena_free(&a);
}

/* ---- What to send ------------------------------------------------------------------------ */

static struct pb_str header_param(const struct sending *s, const char *name)
{
	struct pb_text t;
	char buf[64];
	struct pb_str prefix = pb_msg_get(s->m, PB_STR("osip-prefix"));

	pb_text_init_buf(&t, buf, sizeof(buf));
	pb_text_add(&t, prefix.n ? prefix : PB_STR("sip_"));
	pb_text_add(&t, pb_str_z(name));
	return pb_msg_get(s->m, pb_text_str(&t));
}

/* "<sip:a@b>;x" -> sip:a@b */
static struct pb_str inner_uri(struct pb_str text)
{
	struct sip_addr a;

	return sip_addr_parse(text, &a) ? PB_STR_NULL : a.uri;
}

static struct pb_str own_host(struct sending *s)
{
	struct sip_local l;
	struct pb_str domain = pb_msg_get(s->m, PB_STR("domain"));

	if (domain.n)
		return domain;
	return sip_path_local(s->on->transport, &s->seek.path, &l) ? PB_STR("localhost") : pb_arena_str(s->arena, l.host);
}

static struct pb_str make_from(struct sending *s)
{
	struct pb_str given = header_param(s, "From");
	struct pb_str user = pb_msg_get(s->m, PB_STR("user"));
	struct sip_addr a;

	if (given.n && !sip_addr_parse(given, &a)) {
		struct pb_str tag = sip_param(a.params, PB_STR("tag"));

		if (tag.n)
			s->from_tag = tag;
		return pb_arena_printf(s->arena, "%.*s%s<%.*s>", PB_STR_F(a.display), a.display.n ? " " : "",
				       PB_STR_F(a.uri));
	}
	if (!user.n)
		user = pb_msg_get(s->m, PB_STR("caller"));
	return pb_arena_printf(s->arena, "<sip:%.*s%s%.*s>", PB_STR_F(user), user.n ? "@" : "", PB_STR_F(own_host(s)));
}

/* @return an error word, or NULL. */
static const char *read_request(struct sending *s)
{
	struct pb_str uri = pb_msg_get(s->m, PB_STR("uri"));

	s->method = pb_msg_get(s->m, PB_STR("method"));
	if (!s->method.n || !uri.n)
		return "failure";
	s->uri = inner_uri(uri);
	if (!s->uri.n)
		return "failure";
	if (pb_msg_get_int(s->m, PB_STR("antiloop"), 1, INT32_MIN, INT32_MAX) <= 0)
		return "looping";
	s->wait = pb_msg_get_bool(s->m, PB_STR("wait"), false);
	return NULL;
}

/* The way is known. */
static const char *prepare(struct sending *s)
{
	struct pb_str given;
	char tag[SIP_ID_BYTES], id[SIP_ID_BYTES];

	s->from_tag = pb_arena_str(s->arena, sip_transport_id(s->on->transport, tag));
	s->from = make_from(s);
	given = header_param(s, "To");
	s->to = given.n ? given : pb_arena_printf(s->arena, "<%.*s>", PB_STR_F(s->uri));
	given = header_param(s, "Call-ID");
	s->call_id = given.n ? given : pb_arena_str(s->arena, sip_transport_id(s->on->transport, id));
	s->cseq = 1;
	s->body = sip_take_body(s->m, s->arena);
	s->type = pb_msg_get(s->m, PB_STR("xsip_type"));
	if (!s->type.n)
		s->body = s->type = PB_STR_NULL;
	return pb_arena_failed(s->arena) ? "noresource" : NULL;
}

/* ---- Sending ---------------------------------------------------------------------------------- */

static void outcome(void *arg, enum sip_outcome what, const struct sip_arrival *in);

static int transmit(struct sending *s)
{
	const struct sip_settings *conf = sip_conf(s->on);
	struct pb_str prefix = pb_msg_get(s->m, PB_STR("osip-prefix"));
	struct sip_build *b;
	struct sip_txn_id id;
	struct sip_local local;
	int err = sip_client_begin(s->on->stack, &s->seek.path, s->method, s->uri, &b);

	if (err)
		return err;
	sip_build_hdr(b, SIP_HDR_FROM, pb_arena_printf(s->arena, "%.*s;tag=%.*s", PB_STR_F(s->from),
						       PB_STR_F(s->from_tag)));
	sip_build_hdr(b, SIP_HDR_TO, s->to);
	sip_build_hdr(b, SIP_HDR_CALL_ID, s->call_id);
	sip_build_cseq(b, s->cseq, s->method);
	sip_build_number(b, SIP_HDR_MAX_FORWARDS,
			 (uint64_t)pb_msg_get_int(s->m, PB_STR("antiloop"), conf->maxforwards, 1, 255));
	if (s->credentials.n)
		sip_build_hdr(b, s->credentials_hdr, s->credentials);
	if (!header_param(s, "Contact").n && sip_method_id(s->method) == SIP_SUBSCRIBE &&
	    !sip_path_local(s->on->transport, &s->seek.path, &local))
		sip_build_hdr(b, SIP_HDR_CONTACT, pb_arena_printf(s->arena, "<sip:%.*s:%u>", PB_STR_F(local.host),
								  local.port));
	sip_add_headers(b, s->m, prefix.n ? prefix : PB_STR("sip_"));
	sip_common_headers(conf, b, false);
	return sip_client_send(s->on->stack, s->type, s->body, outcome, s, &id);
}

/* ---- Answers ------------------------------------------------------------------------------------ */

/* All sip_ and xsip_ parameters give way to the answer's. */
static void put_answer(struct pb_msg *m, unsigned code, const struct sip_msg *rsp)
{
	for (size_t i = 0; i < pb_msg_count(m);) {
		struct pb_str name = pb_msg_at(m, i)->name;

		if (pb_str_starts(name, PB_STR("sip_")) || pb_str_starts(name, PB_STR("xsip_")))
			pb_msg_clear(m, name); /* the next one is at `i` now */
		else
			i++;
	}
	pb_msg_set_int(m, PB_STR("code"), code);
	if (!rsp)
		return;
	pb_msg_set(m, PB_STR("reason"), rsp->reason);
	sip_put_headers(m, rsp, true);
	sip_put_body(m, rsp);
}

/* A failure counts whoever asked for it; a success only when nobody did. */
static void record_end(struct sending *s, unsigned code)
{
	enum pb_flight_outcome how = code >= 300 ? PB_FLIGHT_BADLY : s->judges ? PB_FLIGHT_WELL : PB_FLIGHT_NO_OPINION;
	struct pb_text t;
	char buf[64];

	pb_text_init_buf(&t, buf, sizeof(buf));
	pb_text_addf(&t, "%u %.*s", code, PB_STR_F(pb_str_head(sip_reason_phrase(code), 40)));
	pb_flight_end(s->on->cx->bus, s->flight, how, pb_text_str(&t));
	s->flight = (struct pb_handle){ 0 };
}

static void finish(struct sending *s, unsigned code, const struct sip_msg *rsp)
{
	struct pb_patch *p;

	record_end(s, code);
	if (s->token.gen) {
		put_answer(s->m, code, rsp);
		p = pb_patch_new();
		pb_patch_replace(p, &s->m);
		pb_bus_resume(s->on->cx->bus, s->token, p, PB_HANDLED);
	}
	sending_free(s);
}

static struct pb_str login_name(const struct sending *s)
{
	struct pb_str n = pb_msg_get(s->m, PB_STR("authname"));

	return n.n ? n : pb_msg_get(s->m, PB_STR("user"));
}

/* A challenge is answered once. True: sent again. */
static bool answer_challenge(struct sending *s, const struct sip_msg *rsp)
{
	bool proxy = rsp->status == 407;
	struct pb_str password = pb_msg_get(s->m, PB_STR("password")), user = login_name(s);
	struct sip_login login = { .username = user, .password = password, .method = s->method, .uri = s->uri, .nc = 1 };
	const struct sip_hdr *h =
		sip_msg_first(rsp, proxy ? SIP_HDR_PROXY_AUTHENTICATE : SIP_HDR_WWW_AUTHENTICATE);
	char cnonce[SIP_ID_BYTES], buf[2048];

	if (s->challenged || !password.p || !user.n || (rsp->status != 401 && rsp->status != 407))
		return false;
	s->challenged = true;
	login.cnonce = sip_transport_id(s->on->transport, cnonce);
	for (; h; h = sip_msg_next(rsp, h)) {
		struct sip_auth a;
		struct pb_text t;

		pb_text_init_buf(&t, buf, sizeof(buf));
		if (sip_auth_parse(sip_hdr_unfold(rsp, h, s->arena), &a) ||
		    sip_digest_answer(s->on->digest, &a, &login, &t) || pb_text_failed(&t))
			continue;
		s->credentials = pb_arena_str(s->arena, pb_text_str(&t));
		s->credentials_hdr = proxy ? SIP_HDR_PROXY_AUTHORIZATION : SIP_HDR_AUTHORIZATION;
		s->cseq++;
		return !transmit(s);
	}
	return false;
}

static void outcome(void *arg, enum sip_outcome what, const struct sip_arrival *in)
{
	struct sending *s = arg;

	switch (what) {
	case SIP_OUT_PROVISIONAL:
		return;
	case SIP_OUT_FINAL:
		if (!answer_challenge(s, in->msg))
			finish(s, in->msg->status, in->msg);
		return;
	case SIP_OUT_TIMEOUT:
		finish(s, 408, NULL);
		return;
	case SIP_OUT_ERROR: /* its listener has gone meanwhile; section 8.1.3.1 */
		pb_msg_set(s->m, PB_STR("error"), PB_STR("noconn"));
		finish(s, 503, NULL);
		return;
	}
}

/* ---- On the bus --------------------------------------------------------------------------------------- */

static struct sending *sending_new(struct sip_loop *sl, const struct pb_msg *m)
{
	struct pb_arena *a = pb_arena_new(SEND_LIMIT);
	struct sending *s = a ? pb_arena_alloc(a, sizeof(*s)) : NULL;

	if (!s) {
		pb_arena_free(&a);
		return NULL;
	}
	s->arena = a;
	s->on = sl;
	pb_list_init(&s->node);
	s->m = pb_msg_copy(m);
	if (!s->m) {
		sending_free(s);
		return NULL;
	}
	pb_list_push(&sl->sendings, &s->node);
	return s;
}

void sip_sendings_end(struct sip_loop *sl)
{
	while (!pb_list_empty(&sl->sendings))
		finish(pb_container(sl->sendings.next, struct sending, node), 503, NULL);
}

static const char *seek_error(int err)
{
	return err == -EINVAL ? "failure" : sip_seek_error(err, NULL);
}

/* In the record of what it is sent for, else in one of its own. */
static void record_begin(struct sending *s)
{
	struct pb_bus *b = s->on->cx->bus;
	enum pb_flight_begun how = PB_FLIGHT_JOINED;

	s->flight = pb_flight_use(b, pb_msg_flight(s->m));
	if (pb_handle_is_set(s->flight))
		pb_flight_key(b, s->flight, s->call_id);
	else
		s->flight = pb_flight_begin(b, s->call_id, &how);
	s->judges = how != PB_FLIGHT_JOINED;
	if (how == PB_FLIGHT_MADE)
		pb_flight_about(b, s->flight, s->method, pb_msg_get(s->m, PB_STR("caller")), s->uri);
}

static const char *send_error(int err)
{
	switch (err) {
	case 0:
		return NULL;
	case -ENOTCONN:
		return "noconn";
	case -ENOMEM:
		return "noresource";
	default: /* what was asked for makes no message */
		return "failure";
	}
}

static const char *send_out(struct sending *s)
{
	const char *error = prepare(s);

	if (!error)
		record_begin(s);
	return error ? error : send_error(transmit(s));
}

static void tell_failure(const struct pb_msg *m, const char *error)
{
	SIP_LOG(NO_TARGET, "xsip.generate %.*s to %.*s: %s", PB_STR_F(pb_msg_get(m, PB_STR("method"))),
		PB_STR_F(pb_msg_get(m, PB_STR("uri"))), error);
}

/* The name of the target has its address, or none. */
static void found(struct sip_seek *k, int err)
{
	struct sending *s = pb_container(k, struct sending, seek);
	struct pb_bus *bus = s->on->cx->bus;
	struct pb_token token = s->token;
	const char *error = err ? seek_error(err) : send_out(s);
	struct pb_patch *p;

	if (error) {
		tell_failure(s->m, error);
		sending_free(s);
		p = pb_patch_new();
		pb_patch_set(p, PB_STR("error"), pb_str_z(error));
		pb_bus_resume(bus, token, p, PB_PASS);
	} else if (!s->wait) {
		s->token = (struct pb_token){ 0 };
		pb_bus_resume(bus, token, NULL, PB_HANDLED);
	}
}

static void give_up(void *arg)
{
	struct sending *s = arg;

	s->token = (struct pb_token){ 0 };
	if (!s->seek.query)
		return; /* it is on its way, and ends with its transaction */
	sip_seek_drop(&s->seek);
	sending_free(s);
}

static bool hold(struct sending *s, struct pb_msg *m)
{
	struct pb_hold h = { .expired = give_up, .arg = s };

	h.limit_ms = s->wait ? 40000 : pb_dns_limit_ms(s->on->cx->loop) + 1000;
	s->token = pb_bus_hold(m, &h);
	return s->token.gen;
}

/* @return an error word, or NULL: sent, or held until it can be. */
static const char *begin(struct sending *s, struct pb_msg *m, bool *held)
{
	const char *error = read_request(s);
	int err = error ? 0 : sip_seek(&s->seek, s->on, s->uri, s->m,
				       pb_msg_has(s->m, PB_STR("oconnection_id")) ? "o" : "", found);

	if (error || (err && err != -EINPROGRESS))
		return error ? error : seek_error(err);
	*held = s->wait || err;
	if (*held && !hold(s, m)) {
		sip_seek_drop(&s->seek);
		return "noresource";
	}
	return err ? NULL : send_out(s);
}

static enum pb_verdict send_for(struct pb_msg *m, struct pb_ctx *cx)
{
	struct sending *s = sending_new(sip_on(cx), m);
	bool held = false;
	const char *error = s ? begin(s, m, &held) : "noresource";

	if (!error)
		return held ? PB_HOLD : PB_HANDLED;
	tell_failure(m, error);
	if (s)
		sending_free(s);
	pb_msg_set(m, PB_STR("error"), pb_str_z(error));
	return PB_PASS;
}

enum pb_verdict sip_on_generate(struct pb_msg *m, struct pb_ctx *cx)
{
	return sip_conf(sip_on(cx))->generate ? send_for(m, cx) : PB_PASS;
}

/* msg.execute with callto=sip/<uri> is a MESSAGE. */
enum pb_verdict sip_on_msg_execute(struct pb_msg *m, struct pb_ctx *cx)
{
	struct pb_str to = pb_msg_get(m, PB_STR("callto"));

	if (!sip_conf(sip_on(cx))->generate || !pb_str_starts(to, PB_STR("sip/")))
		return PB_PASS;
	pb_msg_set(m, PB_STR("uri"), pb_str_from(to, 4));
	pb_msg_set(m, PB_STR("method"), PB_STR("MESSAGE"));
	if (!pb_msg_has(m, PB_STR("xsip_body")) && pb_msg_has(m, PB_STR("body")))
		pb_msg_set(m, PB_STR("xsip_body"), pb_msg_get(m, PB_STR("body")));
	if (!pb_msg_get(m, PB_STR("xsip_type")).n)
		pb_msg_set(m, PB_STR("xsip_type"), PB_STR("text/plain"));
	return send_for(m, cx);
}
