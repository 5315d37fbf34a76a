/*
 * Writing messages. Everything goes through two gates: put() takes what comes
 * from the caller and refuses line ends, put_read() takes what was read from a
 * message and turns its folds into blanks. So no third way to a new line exists.
 */
#include "sip/stack/build.h"

#include <errno.h>

#include "sip/stack/chars.h"

static bool has_line_end(struct pb_str s)
{
	return s.n && (memchr(s.p, '\n', s.n) || memchr(s.p, '\r', s.n));
}

static void put(struct sip_build *b, struct pb_str s)
{
	if (has_line_end(s) || (s.n && memchr(s.p, 0, s.n)))
		b->bad = true;
	else
		pb_text_add(b->out, s);
}

/* A token, or the message is bad. */
static void put_token(struct sip_build *b, struct pb_str s)
{
	if (sip_is_token(s))
		pb_text_add(b->out, s);
	else
		b->bad = true;
}

/* A URI or host: no blank or control character, nothing that ends a name-addr. */
static void put_uri(struct sip_build *b, struct pb_str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' || s.p[i] == '<' || s.p[i] == '>' || s.p[i] == 127)
			b->bad = true;
	if (!s.n)
		b->bad = true;
	if (!b->bad)
		pb_text_add(b->out, s);
}

static void put_read(struct sip_build *b, struct pb_str s)
{
	size_t n = 0;

	if (!has_line_end(s)) {
		pb_text_add(b->out, s);
		return;
	}
	while (s.n) {
		while (n < s.n && s.p[n] != '\r' && s.p[n] != '\n')
			n++;
		pb_text_add(b->out, pb_str_head(s, n));
		s = pb_str_from(s, n);
		n = sip_span(s, SIP_CH_BLANK);
		if (n)
			pb_text_addc(b->out, ' ');
		s = pb_str_from(s, n);
		n = 0;
	}
}

static void put_name(struct sip_build *b, enum sip_hdr_id id)
{
	struct pb_str name = sip_hdr_name(id);

	if (!name.p || b->ended)
		b->bad = true;
	pb_text_add(b->out, name);
	pb_text_lit(b->out, ": ");
}

static void end_line(struct sip_build *b)
{
	pb_text_lit(b->out, "\r\n");
}

void sip_build_request(struct sip_build *b, struct pb_text *out, struct pb_str method,
		       struct pb_str uri)
{
	*b = (struct sip_build){ .out = out };
	put_token(b, method);
	pb_text_addc(out, ' ');
	put_uri(b, uri);
	pb_text_lit(out, " SIP/2.0\r\n");
}

/* The parameters of the top Via: what others claim to have seen is replaced. */
static void put_via_params(struct sip_build *b, const struct sip_via *v, const struct sip_answer *a)
{
	struct pb_str list = v->params, name, value;

	while (sip_param_cut(&list, &name, &value)) {
		bool rport = pb_str_ieq(name, PB_STR("rport"));

		if (pb_str_ieq(name, PB_STR("received")))
			continue;
		pb_text_addc(b->out, ';');
		put_read(b, name);
		if (rport) {
			pb_text_addc(b->out, '=');
			pb_text_addu(b->out, a->rport);
		} else if (value.p) {
			pb_text_addc(b->out, '=');
			put_read(b, value);
		}
	}
	if (v->rport.p || !pb_str_ieq(v->host, a->received)) {
		pb_text_lit(b->out, ";received=");
		put(b, a->received);
	}
}

static void put_top_via(struct sip_build *b, struct pb_str item, const struct sip_answer *a)
{
	struct sip_via v;

	if (!a->received.p || sip_via_parse(item, &v)) {
		put_read(b, item);
		return;
	}
	put_read(b,
		 v.params.p ? sip_trim(pb_str(item.p, (size_t)(v.params.p - 1 - item.p))) : item);
	put_via_params(b, &v, a);
}

/* Every Via row; of the first, the first value is the top one. */
static void put_vias(struct sip_build *b, const struct sip_msg *req, const struct sip_answer *a)
{
	const struct sip_hdr *h = sip_msg_first(req, SIP_HDR_VIA);
	struct pb_str rest, item;

	if (!h)
		return;
	rest = sip_hdr_value(req, h);
	do {
		sip_list_cut(&rest, &item);
	} while (!item.n && rest.p);
	put_name(b, SIP_HDR_VIA);
	put_top_via(b, item, a);
	if (rest.p) {
		pb_text_lit(b->out, ", ");
		put_read(b, sip_trim(rest));
	}
	end_line(b);
	while ((h = sip_msg_next(req, h))) {
		put_name(b, SIP_HDR_VIA);
		put_read(b, sip_hdr_value(req, h));
		end_line(b);
	}
}

static void put_to(struct sip_build *b, const struct sip_msg *req, const struct sip_answer *a)
{
	struct pb_str value = sip_msg_value(req, SIP_HDR_TO);
	struct sip_addr to;

	if (!value.p)
		return;
	put_name(b, SIP_HDR_TO);
	put_read(b, value);
	if (a->code != 100 && a->to_tag.p &&
	    (sip_addr_parse(value, &to) || !sip_param(to.params, PB_STR("tag")).p)) {
		pb_text_lit(b->out, ";tag=");
		put_token(b, a->to_tag);
	}
	end_line(b);
}

static void put_first(struct sip_build *b, const struct sip_msg *from, enum sip_hdr_id id)
{
	const struct sip_hdr *h = sip_msg_first(from, id);

	if (!h)
		return;
	put_name(b, id);
	put_read(b, sip_hdr_value(from, h));
	end_line(b);
}

void sip_build_response(struct sip_build *b, struct pb_text *out, const struct sip_msg *req,
			const struct sip_answer *a)
{
	*b = (struct sip_build){ .out = out, .bad = a->code < 100 || a->code > 699 };
	pb_text_lit(out, "SIP/2.0 ");
	pb_text_addu(out, a->code);
	pb_text_addc(out, ' ');
	put(b, a->reason.p ? a->reason : sip_reason_phrase(a->code));
	end_line(b);
	put_vias(b, req, a);
	if (a->code > 100 && a->code < 300)
		sip_build_copy(b, req, SIP_HDR_RECORD_ROUTE);
	put_first(b, req, SIP_HDR_FROM);
	put_to(b, req, a);
	put_first(b, req, SIP_HDR_CALL_ID);
	put_first(b, req, SIP_HDR_CSEQ);
	if (a->code == 100)
		put_first(b, req, SIP_HDR_TIMESTAMP);
}

/* The topmost Via alone, as ACK and CANCEL have it. */
static void put_own_via(struct sip_build *b, const struct sip_msg *sent)
{
	struct sip_values v;
	struct pb_str item;

	sip_values_init(&v, sent, SIP_HDR_VIA);
	if (!sip_values_next(&v, &item)) {
		b->bad = true;
		return;
	}
	put_name(b, SIP_HDR_VIA);
	put_read(b, item);
	end_line(b);
}

/* A request that goes the way of another one, with its CSeq number. */
static int build_beside(struct pb_text *out, const struct sip_msg *sent, struct pb_str method,
			const struct sip_msg *to_of)
{
	struct sip_build b;
	struct sip_cseq cseq;

	sip_build_request(&b, out, method, sent->uri);
	put_own_via(&b, sent);
	sip_build_copy(&b, sent, SIP_HDR_ROUTE);
	sip_build_number(&b, SIP_HDR_MAX_FORWARDS, 70);
	put_first(&b, sent, SIP_HDR_FROM);
	put_first(&b, to_of, SIP_HDR_TO);
	put_first(&b, sent, SIP_HDR_CALL_ID);
	if (sip_cseq_parse(sip_msg_value(sent, SIP_HDR_CSEQ), &cseq))
		b.bad = true;
	sip_build_cseq(&b, cseq.number, method);
	return sip_build_end(&b, PB_STR_NULL, PB_STR_NULL);
}

int sip_build_ack(struct pb_text *out, const struct sip_msg *invite, const struct sip_msg *response)
{
	return build_beside(out, invite, PB_STR("ACK"), response);
}

int sip_build_cancel(struct pb_text *out, const struct sip_msg *request)
{
	return build_beside(out, request, PB_STR("CANCEL"), request);
}

void sip_build_hdr(struct sip_build *b, enum sip_hdr_id id, struct pb_str value)
{
	put_name(b, id);
	put(b, value);
	end_line(b);
}

void sip_build_named(struct sip_build *b, struct pb_str name, struct pb_str value)
{
	if (b->ended)
		b->bad = true;
	put_token(b, name);
	pb_text_lit(b->out, ": ");
	put(b, value);
	end_line(b);
}

void sip_build_number(struct sip_build *b, enum sip_hdr_id id, uint64_t value)
{
	put_name(b, id);
	pb_text_addu(b->out, value);
	end_line(b);
}

void sip_build_copy(struct sip_build *b, const struct sip_msg *from, enum sip_hdr_id id)
{
	const struct sip_hdr *h = sip_msg_first(from, id);

	for (; h; h = sip_msg_next(from, h)) {
		if (id == SIP_HDR_OTHER) {
			put_token(b, sip_hdr_text_name(from, h));
			pb_text_lit(b->out, ": ");
		} else {
			put_name(b, id);
		}
		put_read(b, sip_hdr_value(from, h));
		end_line(b);
	}
}

void sip_build_via(struct sip_build *b, const struct sip_via_args *v)
{
	bool ip6 = pb_str_chr(v->host, ':') >= 0 && v->host.p[0] != '[';

	put_name(b, SIP_HDR_VIA);
	pb_text_lit(b->out, "SIP/2.0/");
	put_token(b, v->transport);
	pb_text_addc(b->out, ' ');
	if (ip6)
		pb_text_addc(b->out, '[');
	put_uri(b, v->host);
	if (ip6)
		pb_text_addc(b->out, ']');
	if (v->port) {
		pb_text_addc(b->out, ':');
		pb_text_addu(b->out, v->port);
	}
	if (v->rport)
		pb_text_lit(b->out, ";rport");
	pb_text_lit(b->out, ";branch=");
	put_token(b, v->branch);
	end_line(b);
}

void sip_build_cseq(struct sip_build *b, uint32_t number, struct pb_str method)
{
	put_name(b, SIP_HDR_CSEQ);
	pb_text_addu(b->out, number);
	pb_text_addc(b->out, ' ');
	put_token(b, method);
	end_line(b);
}

void sip_quote(struct pb_text *out, struct pb_str text)
{
	pb_text_addc(out, '"');
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '"' || text.p[i] == '\\')
			pb_text_addc(out, '\\');
		pb_text_addc(out, text.p[i]);
	}
	pb_text_addc(out, '"');
}

void sip_build_addr(struct sip_build *b, enum sip_hdr_id id, const struct sip_addr_args *a)
{
	put_name(b, id);
	if (a->display.n) {
		if (has_line_end(a->display) || memchr(a->display.p, 0, a->display.n))
			b->bad = true;
		else
			sip_quote(b->out, a->display);
		pb_text_addc(b->out, ' ');
	}
	pb_text_addc(b->out, '<');
	put_uri(b, a->uri);
	pb_text_addc(b->out, '>');
	if (a->tag.p) {
		pb_text_lit(b->out, ";tag=");
		put_token(b, a->tag);
	}
	if (a->params.n) {
		pb_text_addc(b->out, ';');
		put(b, a->params);
	}
	end_line(b);
}

int sip_build_end(struct sip_build *b, struct pb_str type, struct pb_str body)
{
	if (type.p)
		sip_build_hdr(b, SIP_HDR_CONTENT_TYPE, type);
	sip_build_number(b, SIP_HDR_CONTENT_LENGTH, body.n);
	end_line(b);
	pb_text_add(b->out, body);
	b->ended = true;
	if (b->bad)
		return -EINVAL;
	return pb_text_failed(b->out) ? -ENOSPC : 0;
}
