/*
 * The judgement over a message: a table says which reader each header's values
 * must satisfy; one walk over the rows applies it. The five headers that every
 * message must have are decoded first, since everyone needs them anyway.
 */
#include "sip/stack/check.h"

#include "sip/stack/chars.h"

static const char *const invalid[SIP_HDR_COUNT] = {
	[SIP_HDR_OTHER] = "Invalid Header",
#define SIP_HDR(id, name, compact, flags) [SIP_HDR_##id] = "Invalid " name,
#include "sip/stack/hdr.def"
#undef SIP_HDR
};

static bool good_via(struct pb_str item)
{
	struct sip_via v;

	return !sip_via_parse(item, &v);
}

/* Scheme and all: the address must be a URI that can be cut into parts. */
static bool good_addr(struct pb_str item)
{
	struct sip_addr a;
	struct sip_uri u;

	return !sip_addr_parse(item, &a) && !a.star && !sip_uri_parse(a.uri, &u);
}

/* RFC 3261 section 20.34: a route is a name-addr, so <> must be there. */
static bool good_route(struct pb_str item)
{
	return good_addr(item) && pb_str_chr(item, '<') >= 0;
}

/*
 * What stands between <> is looked at by whoever sends there: phones register
 * with things like <sip:bob@192.0.2.1, sip:5060> and are reached all the same.
 */
static bool good_contact(struct pb_str item)
{
	struct sip_contact c;
	struct sip_uri u;

	return !sip_contact_parse(item, &c) &&
	       (c.addr.star || c.addr.angle || !sip_uri_parse(c.addr.uri, &u));
}

static bool good_max_forwards(struct pb_str item)
{
	uint32_t n;

	return !sip_number_parse(item, 255, &n);
}

static bool good_number(struct pb_str item)
{
	uint32_t n;

	return !sip_number_parse(item, UINT32_MAX, &n);
}

static bool good_type(struct pb_str item)
{
	struct sip_media_type t;

	return !sip_media_type_parse(item, &t);
}

static bool good_word(struct pb_str item)
{
	struct sip_word w;

	return !sip_word_parse(item, &w);
}

static bool good_rack(struct pb_str item)
{
	struct sip_rack r;

	return !sip_rack_parse(item, &r);
}

static bool good_token(struct pb_str item)
{
	return sip_is_token(item);
}

typedef bool (*good_fn)(struct pb_str item);

/* From, To, Call-ID and CSeq are not here: the core has read them. */
static const good_fn readers[SIP_HDR_COUNT] = {
	[SIP_HDR_CONTACT] = good_contact,
	[SIP_HDR_CONTENT_TYPE] = good_type,
	[SIP_HDR_EVENT] = good_word,
	[SIP_HDR_EXPIRES] = good_number,
	[SIP_HDR_MAX_FORWARDS] = good_max_forwards,
	[SIP_HDR_MIN_EXPIRES] = good_number,
	[SIP_HDR_PROXY_REQUIRE] = good_token,
	[SIP_HDR_RACK] = good_rack,
	[SIP_HDR_RECORD_ROUTE] = good_route,
	[SIP_HDR_REQUIRE] = good_token,
	[SIP_HDR_ROUTE] = good_route,
	[SIP_HDR_RSEQ] = good_number,
	[SIP_HDR_SUBSCRIPTION_STATE] = good_word,
	[SIP_HDR_SUPPORTED] = good_token,
	[SIP_HDR_VIA] = good_via,
};

/* These may be there and empty; elsewhere an empty value is an error. */
static bool may_be_empty(enum sip_hdr_id id)
{
	return id == SIP_HDR_SUPPORTED || id == SIP_HDR_REQUIRE || id == SIP_HDR_PROXY_REQUIRE;
}

static bool good_row(const struct sip_msg *m, const struct sip_hdr *h)
{
	enum sip_hdr_id id = (enum sip_hdr_id)h->id;
	struct pb_str list = sip_hdr_value(m, h), item;

	if (h->next && sip_hdr_single(id))
		return false;
	if (!readers[id])
		return true;
	if (!sip_hdr_list(id))
		return readers[id](list);
	if (!list.n)
		return may_be_empty(id);
	if (h == sip_msg_first(m, SIP_HDR_VIA))
		sip_list_cut(&list, &item); /* the core has read the topmost */
	while (sip_list_cut(&list, &item))
		if (item.n && !readers[id](item))
			return false;
	return true;
}

/* Which of the five is missing or unreadable; SIP_HDR_OTHER: none. */
static enum sip_hdr_id core_lacks(const struct sip_core *c)
{
	return !c->has_via       ? SIP_HDR_VIA
	       : !c->has_from    ? SIP_HDR_FROM
	       : !c->has_to      ? SIP_HDR_TO
	       : !c->has_call_id ? SIP_HDR_CALL_ID
	       : !c->has_cseq    ? SIP_HDR_CSEQ
				 : SIP_HDR_OTHER;
}

static void refuse(struct sip_verdict *v, unsigned code, const char *reason)
{
	v->code = code;
	v->reason = reason;
}

static bool check_request(const struct sip_msg *m, const struct sip_core *core,
			  struct sip_verdict *v)
{
	struct sip_uri u;

	if (sip_uri_parse(m->uri, &u))
		refuse(v, 400, "Invalid Request-URI");
	else if (u.scheme == SIP_SCHEME_OTHER)
		refuse(v, 416, NULL);
	else if (u.headers.p) /* RFC 3261 section 19.1.1: not in a Request-URI */
		refuse(v, 400, "Invalid Request-URI");
	else if (!pb_str_eq(core->cseq.method_name, m->method_name))
		refuse(v, 400, invalid[SIP_HDR_CSEQ]);
	return !v->code;
}

static bool good_uri(struct pb_str uri)
{
	struct sip_uri u;

	return !sip_uri_parse(uri, &u);
}

static bool check_rows(const struct sip_msg *m, const struct sip_core *core, struct sip_verdict *v)
{
	if (!good_uri(core->from.uri))
		refuse(v, 400, invalid[SIP_HDR_FROM]);
	else if (!good_uri(core->to.uri))
		refuse(v, 400, invalid[SIP_HDR_TO]);
	if (v->code)
		return false;
	for (unsigned i = 0; i < m->hdr_n; i++) {
		if (good_row(m, &m->hdr[i]))
			continue;
		refuse(v, 400, invalid[m->hdr[i].id]);
		return false;
	}
	return true;
}

struct sip_verdict sip_msg_check(const struct sip_msg *m, struct sip_core *core)
{
	struct sip_verdict v = { 0 };
	enum sip_hdr_id lacks;

	sip_core_read(m, core);
	/* Via says where to, CSeq or Call-ID whose; the rest is copied as far as there. */
	v.answerable = m->request && m->method != SIP_ACK && core->has_via &&
		       (m->first[SIP_HDR_CSEQ] || core->has_call_id);
	lacks = core_lacks(core);
	if (m->bad_why)
		refuse(&v, m->bad_code, m->bad_why);
	else if (!pb_str_ieq(m->version, PB_STR("SIP/2.0")))
		refuse(&v, 505, NULL);
	else if (lacks != SIP_HDR_OTHER)
		refuse(&v, 400, invalid[lacks]);
	else if (!m->request || check_request(m, core, &v))
		check_rows(m, core, &v);
	return v;
}
