/*
 * Headers to parameters and back.
 *
 * Names and values of parameters come from the wire here: they are copied as
 * they are (unfolded), and everything that goes the other way is refused by the
 * builder when it could become a line of its own; such a parameter is left out
 * and logged, the rest of the message goes.
 */
#include "sip/sip.h"

#include <errno.h>

/* Headers that handlers have no use for, or must not see. */
static bool hidden(enum sip_hdr_id id)
{
	switch (id) {
	case SIP_HDR_VIA:
	case SIP_HDR_ROUTE:
	case SIP_HDR_RECORD_ROUTE:
	case SIP_HDR_CALL_ID:
	case SIP_HDR_CSEQ:
	case SIP_HDR_MAX_FORWARDS:
	case SIP_HDR_CONTENT_LENGTH:
	case SIP_HDR_AUTHORIZATION:
	case SIP_HDR_PROXY_AUTHORIZATION:
	case SIP_HDR_WWW_AUTHENTICATE:
	case SIP_HDR_PROXY_AUTHENTICATE:
		return true;
	default:
		return false;
	}
}

static struct pb_str param_name(struct pb_msg *m, struct pb_str header)
{
	struct pb_str s = pb_arena_printf(pb_msg_arena(m), "sip_%.*s", PB_STR_F(header));
	char *p = (char *)(uintptr_t)s.p;

	for (size_t i = 4; i < s.n; i++)
		p[i] = pb_to_lower(p[i]);
	return s;
}

void sip_put_headers(struct pb_msg *m, const struct sip_msg *msg, bool from_to)
{
	for (unsigned i = 0; i < msg->hdr_n; i++) {
		const struct sip_hdr *h = &msg->hdr[i];
		struct pb_str name = sip_hdr_name(h->id);

		if (hidden(h->id) || (!from_to && (h->id == SIP_HDR_FROM || h->id == SIP_HDR_TO)))
			continue;
		if (!name.p)
			name = sip_hdr_text_name(msg, h);
		pb_msg_add(m, param_name(m, name), sip_hdr_unfold(msg, h, pb_msg_arena(m)));
	}
}

void sip_put_party(struct pb_msg *m, const struct sip_path *path, bool address_first)
{
	char buf[PB_ADDR_TEXT];

	if (address_first)
		pb_msg_add(m, PB_STR("address"), pb_addr_print(&path->peer, buf));
	pb_msg_add(m, PB_STR("ip_host"), pb_addr_print_ip(&path->peer, buf));
	pb_msg_add(m, PB_STR("ip_port"),
		   pb_arena_printf(pb_msg_arena(m), "%u", pb_addr_port(&path->peer)));
	pb_msg_add(m, PB_STR("ip_transport"), PB_STR("UDP"));
	if (!address_first)
		pb_msg_add(m, PB_STR("address"), pb_addr_print(&path->peer, buf));
}

void sip_put_connection(struct sip_loop *sl, struct pb_msg *m, const struct sip_path *path)
{
	const struct sip_settings *s = sip_conf(sl);
	struct pb_str name = sip_listener_name(sl->transport, path->listener);

	if (name.n)
		pb_msg_add(m, PB_STR("connection_id"), name);
	pb_msg_add(m, PB_STR("connection_reliable"), PB_STR("false"));
	for (size_t i = 0; i < s->listener_count; i++) {
		if (s->listeners[i].role.n && pb_str_eq(s->listeners[i].name, name))
			pb_msg_add(m, PB_STR("role"), s->listeners[i].role);
	}
}

/* ---- Bodies ------------------------------------------------------------------------------ */

static struct pb_str type_only(const struct sip_msg *msg)
{
	struct pb_str v = sip_msg_value(msg, SIP_HDR_CONTENT_TYPE);
	ptrdiff_t at = pb_str_chr(v, ';');

	return pb_str_trim_space(at < 0 ? v : pb_str_head(v, (size_t)at));
}

bool sip_is_sdp(const struct sip_msg *msg)
{
	return msg->body.n && pb_str_ieq(type_only(msg), PB_STR("application/sdp"));
}

/* Text as it is; everything else encoded. */
static bool is_text(struct pb_str type)
{
	static const struct pb_str texts[] = {
		PB_STR_INIT("application/dtmf"), PB_STR_INIT("application/dtmf-relay"),
		PB_STR_INIT("application/json"), PB_STR_INIT("application/yaml"),
		PB_STR_INIT("application/x-yaml"), PB_STR_INIT("message/sipfrag"),
	};

	if (pb_str_istarts(type, PB_STR("text/")))
		return true;
	if (type.n > 5 && (pb_str_ieq(pb_str_from(type, type.n - 4), PB_STR("+xml")) ||
			   pb_str_ieq(pb_str_from(type, type.n - 5), PB_STR("+json"))))
		return true;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (pb_str_ieq(type, texts[i]))
			return true;
	}
	return false;
}

void sip_put_body(struct pb_msg *m, const struct sip_msg *msg)
{
	struct pb_str type = type_only(msg);
	struct pb_text t;

	if (!type.n || sip_is_sdp(msg))
		return;
	pb_msg_add(m, PB_STR("xsip_type"), type);
	if (is_text(type)) {
		pb_msg_add(m, PB_STR("xsip_body"), msg->body);
		return;
	}
	pb_msg_add(m, PB_STR("xsip_body_encoding"), PB_STR("base64"));
	pb_text_init(&t, PB_MSG_LIMIT_BYTES);
	pb_text_add_base64(&t, msg->body.p, msg->body.n);
	pb_msg_add(m, PB_STR("xsip_body"), pb_text_str(&t));
	pb_text_fini(&t);
}

struct pb_str sip_take_body(const struct pb_msg *m, struct pb_arena *into)
{
	struct pb_str body = pb_msg_get(m, PB_STR("xsip_body"));
	struct pb_str enc = pb_msg_get(m, PB_STR("xsip_body_encoding"));
	unsigned char *out;
	ptrdiff_t n;

	if (!body.p || !enc.n || pb_str_eq(enc, PB_STR("raw")))
		return body;
	out = pb_arena_alloc(into, body.n + 4);
	if (!out)
		return PB_STR_NULL;
	if (pb_str_eq(enc, PB_STR("base64")))
		n = pb_base64_decode(body, out);
	else if (pb_str_eq(enc, PB_STR("hex")))
		n = pb_hex_decode(body, out);
	else
		n = -EINVAL;
	return n < 0 ? PB_STR_NULL : pb_str((char *)out, (size_t)n);
}

/* ---- Parameters to headers ------------------------------------------------------------------- */

static bool safe(struct pb_str v)
{
	return pb_str_chr(v, '\r') < 0 && pb_str_chr(v, '\n') < 0 && pb_str_chr(v, '\0') < 0;
}

static bool is_token(struct pb_str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!pb_is_alpha(s.p[i]) && !pb_is_digit(s.p[i]) && !strchr("-.!%*_+`'~", s.p[i]))
			return false;
	}
	return s.n > 0;
}

/* What the stack writes itself must not be given twice. */
static bool ours(enum sip_hdr_id id)
{
	switch (id) {
	case SIP_HDR_VIA:
	case SIP_HDR_FROM:
	case SIP_HDR_TO:
	case SIP_HDR_CALL_ID:
	case SIP_HDR_CSEQ:
	case SIP_HDR_CONTENT_LENGTH:
	case SIP_HDR_MAX_FORWARDS:
	case SIP_HDR_CONTENT_TYPE:
		return true;
	default:
		return false;
	}
}

void sip_add_headers(struct sip_build *b, const struct pb_msg *m, struct pb_str prefix)
{
	for (size_t i = 0; i < pb_msg_count(m); i++) {
		const struct pb_param *p = pb_msg_at(m, i);
		struct pb_str name;

		if (!pb_str_starts(p->name, prefix))
			continue;
		name = pb_str_from(p->name, prefix.n);
		if (ours(sip_hdr_id(name)))
			continue;
		if (is_token(name) && safe(p->value))
			sip_build_named(b, name, p->value);
		else
			SIP_LOG(BAD_HEADER, "parameter %.*s is no header: left out", PB_STR_F(p->name));
	}
}

/* ---- Odds --------------------------------------------------------------------------------------- */

struct pb_str sip_user_of(struct pb_str uri, struct pb_arena *a)
{
	struct sip_uri u;
	struct pb_text t;
	struct pb_str out;
	char buf[1024];

	if (sip_uri_parse(uri, &u) || !u.user.p)
		return PB_STR_NULL;
	if (pb_str_chr(u.user, '%') < 0)
		return pb_arena_str(a, u.user);
	pb_text_init_buf(&t, buf, sizeof(buf));
	sip_unescape(&t, u.user);
	out = pb_arena_str(a, pb_text_failed(&t) ? u.user : pb_text_str(&t));
	return out;
}

struct pb_str sip_host_of(struct pb_str uri)
{
	struct sip_uri u;

	return sip_uri_parse(uri, &u) ? PB_STR_NULL : u.host;
}

struct pb_str sip_display_of(const struct sip_addr *addr, struct pb_arena *a)
{
	struct pb_text t;
	char buf[1024];

	if (!addr->display.n)
		return PB_STR_NULL;
	pb_text_init_buf(&t, buf, sizeof(buf));
	sip_unquote(&t, addr->display);
	return pb_arena_str(a, pb_text_str(&t));
}

int64_t sip_antiloop(const struct sip_settings *s, const struct sip_msg *msg)
{
	uint32_t mf = 70;

	sip_number_parse(sip_msg_value(msg, SIP_HDR_MAX_FORWARDS), 255, &mf);
	return (mf < s->maxforwards ? (int64_t)mf : s->maxforwards) - 1;
}
