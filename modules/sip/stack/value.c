/*
 * Readers of header values, one for each shape that a value can have.
 *
 * All work on a cursor (a slice that shrinks from the front). Blanks include CR
 * and LF, which can only be there as part of a fold.
 */
#include "sip/stack/value.h"

#include <errno.h>

#include "sip/stack/chars.h"

static struct pb_str take(struct pb_str *s, unsigned kind)
{
	size_t n = sip_span(*s, kind);
	struct pb_str head = pb_str(s->p, n);

	if (n) /* an absent slice stays absent */
		*s = pb_str(s->p + n, s->n - n);
	return head;
}

static void skip_blanks(struct pb_str *s)
{
	take(s, SIP_CH_BLANK);
}

/* One character with blanks around it. */
static bool take_char(struct pb_str *s, char c)
{
	skip_blanks(s);
	if (!s->n || s->p[0] != c)
		return false;
	*s = pb_str_from(*s, 1);
	skip_blanks(s);
	return true;
}

/* What stands behind the fixed part: nothing, or ";params". */
static int take_params(struct pb_str s, struct pb_str *params)
{
	*params = PB_STR_NULL;
	s = sip_trim(s);
	if (!s.n)
		return 0;
	if (s.p[0] != ';')
		return -EINVAL;
	*params = pb_str_from(s, 1);
	return 0;
}

bool sip_list_cut(struct pb_str *list, struct pb_str *item)
{
	struct pb_str s = *list;
	const char *close;
	size_t i = 0, n;

	if (!s.p)
		return false;
	if (!s.n || !memchr(s.p, ',', s.n))
		i = s.n; /* nearly always */
	while (i < s.n && s.p[i] != ',') {
		n = 1;
		if (s.p[i] == '"') {
			n = sip_quoted_span(pb_str_from(s, i));
		} else if (s.p[i] == '<') {
			close = memchr(s.p + i, '>', s.n - i);
			n = close ? (size_t)(close - s.p) - i + 1 : 0;
		}
		i = n ? i + n : s.n; /* what does not end takes all the rest */
	}
	*item = sip_trim(pb_str_head(s, i));
	*list = i < s.n ? pb_str_from(s, i + 1) : PB_STR_NULL;
	return true;
}

void sip_values_init(struct sip_values *v, const struct sip_msg *m, enum sip_hdr_id id)
{
	*v = (struct sip_values){ .m = m, .h = sip_msg_first(m, id) };
}

bool sip_values_next(struct sip_values *v, struct pb_str *item)
{
	for (;;) {
		if (v->rest.p && sip_list_cut(&v->rest, item)) {
			if (item->n)
				return true;
			continue;
		}
		if (!v->h)
			return false;
		v->rest = sip_hdr_value(v->m, v->h);
		if (!sip_hdr_list((enum sip_hdr_id)v->h->id)) {
			*item = v->rest;
			v->rest = PB_STR_NULL;
		}
		v->h = sip_msg_next(v->m, v->h);
		if (!v->rest.p && item->n)
			return true;
	}
}

bool sip_msg_has_token(const struct sip_msg *m, enum sip_hdr_id id, struct pb_str token)
{
	struct sip_values v;
	struct pb_str item;

	for (sip_values_init(&v, m, id); sip_values_next(&v, &item);)
		if (pb_str_ieq(item, token))
			return true;
	return false;
}

/* Display names without quotes are words; UTF-8 is let pass. */
static bool words(struct pb_str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!sip_is(s.p[i], SIP_CH_TOKEN | SIP_CH_BLANK) && (unsigned char)s.p[i] < 128)
			return false;
	return true;
}

static bool has_blank_or(struct pb_str s, char c)
{
	for (size_t i = 0; i < s.n; i++)
		if (sip_is(s.p[i], SIP_CH_BLANK) || s.p[i] == c)
			return true;
	return false;
}

/* A bare URI may hold neither ';' nor '?' nor ',' (RFC 3261 section 20). */
static int parse_bare_addr(struct pb_str s, struct sip_addr *a)
{
	ptrdiff_t semi = pb_str_chr(s, ';');

	a->uri = semi < 0 ? s : sip_trim(pb_str_head(s, (size_t)semi));
	if (semi >= 0)
		a->params = pb_str_from(s, (size_t)semi + 1);
	if (!a->uri.n || has_blank_or(a->uri, '?') || a->uri.p[0] == '"')
		return -EINVAL;
	return 0;
}

int sip_addr_parse(struct pb_str item, struct sip_addr *a)
{
	struct pb_str s = sip_trim(item);
	ptrdiff_t open, close;
	size_t n = 0;

	memset(a, 0, sizeof(*a));
	if (s.n == 1 && s.p[0] == '*') {
		a->star = true;
		return 0;
	}
	if (s.n && s.p[0] == '"' && !(n = sip_quoted_span(s)))
		return -EINVAL;
	open = pb_str_chr(pb_str_from(s, n), '<');
	if (open < 0)
		return n ? -EINVAL : parse_bare_addr(s, a);
	a->display = sip_trim(pb_str_head(s, n + (size_t)open));
	if (n ? a->display.n != n : !words(a->display))
		return -EINVAL;
	s = pb_str_from(s, n + (size_t)open + 1);
	close = pb_str_chr(s, '>');
	if (close <= 0)
		return -EINVAL;
	a->angle = true;
	a->uri = pb_str_head(s, (size_t)close); /* blanks in it are the URI reader's matter */
	if (pb_str_chr(a->uri, '<') >= 0)
		return -EINVAL;
	return take_params(pb_str_from(s, (size_t)close + 1), &a->params);
}

void sip_unquote(struct pb_text *out, struct pb_str s)
{
	s = sip_trim(s);
	if (s.n < 2 || s.p[0] != '"' || s.p[s.n - 1] != '"') {
		pb_text_add(out, s);
		return;
	}
	for (size_t i = 1; i < s.n - 1; i++) {
		if (s.p[i] == '\\' && i + 1 < s.n - 1)
			i++;
		pb_text_addc(out, s.p[i]);
	}
}

static void read_via_params(struct sip_via *v)
{
	struct pb_str list = v->params, name, value;

	while (sip_param_cut(&list, &name, &value)) {
		if (!value.p)
			value = pb_str(name.p + name.n, 0);
		if (!v->branch.p && sip_same(name, PB_STR("branch")))
			v->branch = value;
		else if (!v->rport.p && sip_same(name, PB_STR("rport")))
			v->rport = value;
		else if (!v->received.p && sip_same(name, PB_STR("received")))
			v->received = value;
		else if (!v->maddr.p && sip_same(name, PB_STR("maddr")))
			v->maddr = value;
	}
}

/* host[:port], blanks allowed around the colon */
static int take_sent_by(struct pb_str *s, struct sip_via *v)
{
	ptrdiff_t close;
	uint32_t port;
	size_t n = 0;

	if (s->n && s->p[0] == '[') {
		close = pb_str_chr(*s, ']');
		if (close < 0)
			return -EINVAL;
		v->host_ip6 = true;
		v->host = pb_str(s->p + 1, (size_t)close - 1);
		*s = pb_str_from(*s, (size_t)close + 1);
	} else {
		v->host = take(s, SIP_CH_HOST);
	}
	if (!sip_host_valid(v->host, v->host_ip6))
		return -EINVAL;
	if (!take_char(s, ':'))
		return 0;
	while (n < s->n && pb_is_digit(s->p[n]))
		n++;
	if (pb_str_to_u32(pb_str_head(*s, n), 0, 65535, &port))
		return -EINVAL;
	v->port = (uint16_t)port;
	*s = pb_str_from(*s, n);
	return 0;
}

int sip_via_parse(struct pb_str item, struct sip_via *v)
{
	struct pb_str s = sip_trim(item), name, version;

	memset(v, 0, sizeof(*v));
	name = take(&s, SIP_CH_TOKEN);
	if (!name.n || !take_char(&s, '/'))
		return -EINVAL;
	version = take(&s, SIP_CH_TOKEN);
	if (!version.n || !take_char(&s, '/'))
		return -EINVAL;
	v->version = pb_str(name.p, (size_t)(version.p + version.n - name.p));
	v->transport = take(&s, SIP_CH_TOKEN);
	if (!v->transport.n || !sip_span(s, SIP_CH_BLANK))
		return -EINVAL;
	skip_blanks(&s);
	if (take_sent_by(&s, v) || take_params(s, &v->params))
		return -EINVAL;
	read_via_params(v);
	return 0;
}

/* A number, blanks, and the rest. RFC 3261 section 8.1.1.5: below 2**31. */
static int take_number(struct pb_str *s, uint32_t *out)
{
	size_t n = 0;

	while (n < s->n && pb_is_digit(s->p[n]))
		n++;
	if (pb_str_to_u32(pb_str_head(*s, n), 0, INT32_MAX, out))
		return -EINVAL;
	*s = pb_str_from(*s, n);
	if (!sip_span(*s, SIP_CH_BLANK))
		return -EINVAL;
	skip_blanks(s);
	return 0;
}

int sip_cseq_parse(struct pb_str value, struct sip_cseq *c)
{
	struct pb_str s = sip_trim(value);

	memset(c, 0, sizeof(*c));
	if (take_number(&s, &c->number) || !sip_is_token(s))
		return -EINVAL;
	c->method_name = s;
	c->method = sip_method_id(s);
	return 0;
}

int sip_rack_parse(struct pb_str value, struct sip_rack *r)
{
	struct pb_str s = sip_trim(value);

	memset(r, 0, sizeof(*r));
	if (take_number(&s, &r->rseq))
		return -EINVAL;
	return sip_cseq_parse(s, &r->cseq);
}

/* 0, 0.5, 1.000: thousandths; three decimals at most, 1 at most */
static int read_q(struct pb_str s, unsigned *out)
{
	unsigned q, scale = 100;

	if (!s.n || s.n > 5 || (s.p[0] != '0' && s.p[0] != '1') || (s.n > 1 && s.p[1] != '.'))
		return -EINVAL;
	q = s.p[0] == '1' ? 1000 : 0;
	for (size_t i = 2; i < s.n; i++, scale /= 10) {
		if (!pb_is_digit(s.p[i]))
			return -EINVAL;
		q += (unsigned)(s.p[i] - '0') * scale;
	}
	if (q > 1000)
		return -EINVAL;
	*out = q;
	return 0;
}

int sip_contact_parse(struct pb_str item, struct sip_contact *c)
{
	struct pb_str v;

	memset(c, 0, sizeof(*c));
	c->q = 1000;
	if (sip_addr_parse(item, &c->addr))
		return -EINVAL;
	if (!c->addr.params.p)
		return 0;
	v = sip_param(c->addr.params, PB_STR("q"));
	if (v.p && read_q(v, &c->q))
		return -EINVAL;
	v = sip_param(c->addr.params, PB_STR("expires"));
	c->has_expires = v.p != NULL;
	if (v.p && pb_str_to_u32(v, 0, UINT32_MAX, &c->expires_s))
		c->expires_s = 3600;
	return 0;
}

int sip_media_type_parse(struct pb_str value, struct sip_media_type *t)
{
	struct pb_str s = sip_trim(value);

	memset(t, 0, sizeof(*t));
	t->type = take(&s, SIP_CH_TOKEN);
	if (!t->type.n || !take_char(&s, '/'))
		return -EINVAL;
	t->subtype = take(&s, SIP_CH_TOKEN);
	return t->subtype.n ? take_params(s, &t->params) : -EINVAL;
}

int sip_word_parse(struct pb_str value, struct sip_word *w)
{
	struct pb_str s = sip_trim(value);
	size_t n = 0;

	memset(w, 0, sizeof(*w));
	while (n < s.n && s.p[n] != ';' && !sip_is(s.p[n], SIP_CH_BLANK))
		n++;
	w->word = pb_str_head(s, n);
	return n ? take_params(pb_str_from(s, n), &w->params) : -EINVAL;
}

int sip_number_parse(struct pb_str value, uint32_t max, uint32_t *out)
{
	return pb_str_to_u32(sip_trim(value), 0, max, out);
}

bool sip_auth_param_cut(struct pb_str *list, struct pb_str *name, struct pb_str *value)
{
	struct pb_str item;
	ptrdiff_t eq;

	do {
		if (!sip_list_cut(list, &item))
			return false;
	} while (!item.n);
	eq = pb_str_chr(item, '=');
	*name = sip_trim(eq < 0 ? item : pb_str_head(item, (size_t)eq));
	*value = eq < 0 ? PB_STR_NULL : sip_trim(pb_str_from(item, (size_t)eq + 1));
	return true;
}

static const struct auth_row {
	struct pb_str name;
	size_t at;
} auth_rows[] = {
#define ROW(field)                                                                                 \
	{                                                                                          \
		PB_STR_INIT(#field), offsetof(struct sip_auth, field)                              \
	}
	ROW(username),  ROW(realm),  ROW(nonce),    ROW(uri), ROW(response),
	ROW(algorithm), ROW(cnonce), ROW(opaque),   ROW(qop), ROW(nc),
	ROW(domain),    ROW(stale),  ROW(userhash),
#undef ROW
};

static struct pb_str *auth_field(struct sip_auth *a, struct pb_str name)
{
	for (size_t i = 0; i < sizeof(auth_rows) / sizeof(auth_rows[0]); i++)
		if (sip_same(auth_rows[i].name, name))
			return (struct pb_str *)((char *)a + auth_rows[i].at);
	return NULL;
}

/* Twice the same parameter could mean one thing here and another elsewhere. */
static int read_digest(struct sip_auth *a)
{
	struct pb_str list = a->params, name, value, *field;

	while (sip_auth_param_cut(&list, &name, &value)) {
		if (!sip_is_token(name) || !value.p)
			return -EINVAL;
		field = auth_field(a, name);
		if (field && field->p)
			return -EINVAL;
		if (value.n && value.p[0] == '"') {
			if (sip_quoted_span(value) != value.n)
				return -EINVAL;
			value = pb_str(value.p + 1, value.n - 2);
		}
		if (field)
			*field = value;
	}
	return 0;
}

int sip_auth_parse(struct pb_str value, struct sip_auth *a)
{
	struct pb_str s = sip_trim(value);

	memset(a, 0, sizeof(*a));
	a->scheme = take(&s, SIP_CH_TOKEN);
	if (!a->scheme.n || !sip_span(s, SIP_CH_BLANK))
		return -EINVAL;
	skip_blanks(&s);
	a->params = s;
	a->digest = pb_str_ieq(a->scheme, PB_STR("Digest"));
	return a->digest ? read_digest(a) : 0;
}

static bool read_tagged(const struct sip_msg *m, enum sip_hdr_id id, struct sip_addr *a,
			struct pb_str *tag)
{
	if (!m->first[id] || sip_addr_parse(sip_msg_value(m, id), a) || a->star) {
		memset(a, 0, sizeof(*a));
		return false;
	}
	*tag = sip_param(a->params, PB_STR("tag"));
	return true;
}

static bool read_top_via(const struct sip_msg *m, struct sip_via *v)
{
	struct sip_values values;
	struct pb_str item;

	sip_values_init(&values, m, SIP_HDR_VIA);
	if (sip_values_next(&values, &item) && !sip_via_parse(item, v))
		return true;
	memset(v, 0, sizeof(*v));
	return false;
}

bool sip_core_read(const struct sip_msg *m, struct sip_core *core)
{
	memset(core, 0, sizeof(*core));
	core->has_via = read_top_via(m, &core->via);
	core->has_from = read_tagged(m, SIP_HDR_FROM, &core->from, &core->from_tag);
	core->has_to = read_tagged(m, SIP_HDR_TO, &core->to, &core->to_tag);
	core->call_id = sip_msg_value(m, SIP_HDR_CALL_ID);
	core->has_call_id = core->call_id.n && !has_blank_or(core->call_id, ' ');
	core->has_cseq = !sip_cseq_parse(sip_msg_value(m, SIP_HDR_CSEQ), &core->cseq);
	if (!core->has_call_id)
		core->call_id = PB_STR_NULL;
	if (!core->has_cseq)
		memset(&core->cseq, 0, sizeof(core->cseq));
	return core->has_via && core->has_from && core->has_to && core->has_call_id &&
	       core->has_cseq;
}
