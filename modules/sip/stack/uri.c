/*
 * URIs: cut into parts by the few characters that cannot occur unescaped.
 *
 * An '@' can stand only behind the user part, so the first one decides; what
 * follows the host is parameters up to '?', then headers. Comparison works on
 * the text as written, one decoded octet at a time: nothing is copied.
 */
#include "sip/stack/uri.h"

#include <errno.h>

#include "base/map.h"
#include "sip/stack/chars.h"

/* More parameters or headers than this on one URI are compared as different. */
enum { COMPARE_LIMIT = 32 };

/* All octets of that kind, of `also`, non-ASCII, or escapes in good form. */
static bool all_escaped(struct pb_str s, unsigned kind, char also)
{
	for (size_t i = 0; i < s.n; i++) {
		if (sip_is(s.p[i], kind) || s.p[i] == also || (unsigned char)s.p[i] >= 128)
			continue;
		if (s.p[i] != '%' || s.n - i < 3 || !sip_is(s.p[i + 1], SIP_CH_HEX) ||
		    !sip_is(s.p[i + 2], SIP_CH_HEX))
			return false;
		i += 2;
	}
	return true;
}

/* Parameters and headers are taken widely: what would end a URI is refused. */
static bool plain(struct pb_str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' || s.p[i] == '<' || s.p[i] == '>' ||
		    s.p[i] == '"' || s.p[i] == 127)
			return false;
	return true;
}

static bool dotted_quad(struct pb_str s)
{
	struct pb_str part;
	uint32_t v;
	unsigned n = 0;

	while (pb_str_cut(&s, '.', &part))
		if (++n > 4 || part.n > 3 || pb_str_to_u32(part, 0, 255, &v))
			return false;
	return n == 4;
}

/*
 * Groups of up to four digits, one gap "::", a dotted quad at the end. ":::" is
 * taken for "::", as RFC 5118 section 4.10 asks.
 */
static bool ip6_valid(struct pb_str s)
{
	unsigned groups = 0, gaps = 0;
	size_t n;

	while (s.n) {
		n = sip_span(s, SIP_CH_HEX);
		if (n < s.n && s.p[n] == '.')
			return dotted_quad(s) && (gaps ? groups < 6 : groups == 6);
		if (n > 4 || (n && ++groups > 8))
			return false;
		s = pb_str_from(s, n);
		for (n = 0; n < s.n && s.p[n] == ':';)
			n++;
		if (n > 3 || (n > 1 && ++gaps > 1) || (s.n && !n) ||
		    (n == 1 && (s.n == 1 || !groups)))
			return false;
		s = pb_str_from(s, n);
	}
	return gaps ? groups < 8 : groups == 8;
}

bool sip_host_valid(struct pb_str host, bool ip6)
{
	return ip6 ? ip6_valid(host) : sip_all(host, SIP_CH_HOST);
}

/* host or [ip6], then an optional port, off the head of *s. */
static int take_hostport(struct pb_str *s, struct sip_uri *u)
{
	ptrdiff_t end;
	uint32_t port;
	size_t n;

	if (s->n && s->p[0] == '[') {
		end = pb_str_chr(*s, ']');
		if (end < 0)
			return -EINVAL;
		u->host = pb_str(s->p + 1, (size_t)end - 1);
		u->host_ip6 = true;
		*s = pb_str_from(*s, (size_t)end + 1);
	} else {
		n = sip_span(*s, SIP_CH_HOST);
		u->host = pb_str_head(*s, n);
		*s = pb_str_from(*s, n);
	}
	if (!sip_host_valid(u->host, u->host_ip6))
		return -EINVAL;
	if (!s->n || s->p[0] != ':')
		return 0;
	*s = pb_str_from(*s, 1);
	for (n = 0; n < s->n && pb_is_digit(s->p[n]);)
		n++;
	if (pb_str_to_u32(pb_str_head(*s, n), 0, 65535, &port))
		return -EINVAL;
	u->port = (uint16_t)port;
	*s = pb_str_from(*s, n);
	return 0;
}

static int take_user(struct pb_str *s, struct sip_uri *u)
{
	ptrdiff_t at = pb_str_chr(*s, '@'), colon;

	if (at < 0)
		return 0;
	u->user = pb_str_head(*s, (size_t)at);
	*s = pb_str_from(*s, (size_t)at + 1);
	colon = pb_str_chr(u->user, ':');
	if (colon >= 0) {
		u->password = pb_str_from(u->user, (size_t)colon + 1);
		u->user = pb_str_head(u->user, (size_t)colon);
	}
	/* '#' is not in the grammar, but on every phone's keypad. */
	if (!u->user.n || !all_escaped(u->user, SIP_CH_USER, '#') ||
	    !all_escaped(u->password, SIP_CH_PASSWORD, '#'))
		return -EINVAL;
	return 0;
}

/* ;params?headers, which is all that may be left. */
static int take_tail(struct pb_str s, struct sip_uri *u)
{
	ptrdiff_t q = pb_str_chr(s, '?');

	if (q >= 0) {
		u->headers = pb_str_from(s, (size_t)q + 1);
		s = pb_str_head(s, (size_t)q);
	}
	if (s.n && s.p[0] != ';')
		return -EINVAL;
	if (s.n)
		u->params = pb_str_from(s, 1);
	return plain(u->params) && plain(u->headers) ? 0 : -EINVAL;
}

/* tel:+1-201-555-0123;ext=..., RFC 3966 section 3 */
static int parse_tel(struct pb_str s, struct sip_uri *u)
{
	ptrdiff_t semi = pb_str_chr(s, ';');

	u->user = semi < 0 ? s : pb_str_head(s, (size_t)semi);
	if (semi >= 0)
		u->params = pb_str_from(s, (size_t)semi + 1);
	if (!u->user.n || !plain(u->params))
		return -EINVAL;
	for (size_t i = u->user.p[0] == '+'; i < u->user.n; i++) {
		char c = u->user.p[i];

		if (!sip_is(c, SIP_CH_HEX) && !memchr("*#-.()", c, 6))
			return -EINVAL;
	}
	return 0;
}

static int parse_scheme(struct pb_str *s, struct sip_uri *u)
{
	ptrdiff_t colon = pb_str_chr(*s, ':');

	if (colon <= 0 || !pb_is_alpha(s->p[0]))
		return -EINVAL;
	u->scheme_name = pb_str_head(*s, (size_t)colon);
	for (size_t i = 1; i < u->scheme_name.n; i++) {
		char c = s->p[i];

		if (!pb_is_alpha(c) && !pb_is_digit(c) && c != '+' && c != '-' && c != '.')
			return -EINVAL;
	}
	*s = pb_str_from(*s, (size_t)colon + 1);
	u->scheme = sip_same(u->scheme_name, PB_STR("sip"))    ? SIP_SCHEME_SIP
		    : sip_same(u->scheme_name, PB_STR("sips")) ? SIP_SCHEME_SIPS
		    : sip_same(u->scheme_name, PB_STR("tel"))  ? SIP_SCHEME_TEL
							       : SIP_SCHEME_OTHER;
	return 0;
}

int sip_uri_parse(struct pb_str s, struct sip_uri *u)
{
	memset(u, 0, sizeof(*u));
	u->scheme = SIP_SCHEME_OTHER;
	if (parse_scheme(&s, u))
		return -EINVAL;
	switch (u->scheme) {
	case SIP_SCHEME_TEL:
		return parse_tel(s, u);
	case SIP_SCHEME_OTHER:
		u->opaque = s;
		return s.n && plain(s) ? 0 : -EINVAL;
	case SIP_SCHEME_SIP:
	case SIP_SCHEME_SIPS:
		break;
	}
	if (take_user(&s, u) || take_hostport(&s, u))
		return -EINVAL;
	return take_tail(s, u);
}

static unsigned hex_value(char c)
{
	return pb_is_digit(c) ? (unsigned)(c - '0') : (unsigned)(pb_to_lower(c) - 'a' + 10);
}

static bool escape_at(struct pb_str s, size_t i)
{
	return s.p[i] == '%' && s.n - i >= 3 && sip_is(s.p[i + 1], SIP_CH_HEX) &&
	       sip_is(s.p[i + 2], SIP_CH_HEX);
}

/*
 * The next unit for comparison: an octet, or an escaped octet of the reserved
 * set, which differs from the same octet unescaped (RFC 3261 section 19.1.4).
 */
static unsigned next_unit(struct pb_str s, size_t *i, bool fold)
{
	unsigned c = (unsigned char)s.p[*i];

	if (!escape_at(s, *i)) {
		*i += 1;
		return fold ? (unsigned char)pb_to_lower((char)c) : c;
	}
	c = hex_value(s.p[*i + 1]) << 4 | hex_value(s.p[*i + 2]);
	*i += 3;
	if (c && memchr(";/?:@&=+$,%", (int)c, 11))
		return 256 + c;
	return fold ? (unsigned char)pb_to_lower((char)c) : c;
}

static bool text_eq(struct pb_str a, struct pb_str b, bool fold)
{
	size_t i = 0, k = 0;

	if ((a.p == NULL) != (b.p == NULL))
		return false;
	while (i < a.n && k < b.n)
		if (next_unit(a, &i, fold) != next_unit(b, &k, fold))
			return false;
	return i == a.n && k == b.n;
}

/* These matter also when only one of two URIs has them. */
static bool counts_alone(struct pb_str name)
{
	static const struct pb_str names[] = { PB_STR_INIT("user"), PB_STR_INIT("ttl"),
					       PB_STR_INIT("method"), PB_STR_INIT("maddr"),
					       PB_STR_INIT("transport") };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (pb_str_ieq(names[i], name))
			return true;
	return false;
}

enum fit { FIT_ABSENT, FIT_DIFFERENT, FIT_SAME };

/* A name that stands twice fits with either of its values. */
static enum fit param_fits(struct pb_str list, struct pb_str name, struct pb_str value)
{
	enum fit fit = FIT_ABSENT;
	struct pb_str n, v;

	while (fit != FIT_SAME && sip_param_cut(&list, &n, &v))
		if (sip_same(n, name))
			fit = text_eq(v, value, true) ? FIT_SAME : FIT_DIFFERENT;
	return fit;
}

/* Every parameter of `a` fits `b`; `strict`: must also be there. */
static bool params_fit(struct pb_str a, struct pb_str b, bool strict)
{
	struct pb_str name, value;
	enum fit fit;

	for (unsigned n = 0; sip_param_cut(&a, &name, &value); n++) {
		fit = n < COMPARE_LIMIT ? param_fits(b, name, value) : FIT_DIFFERENT;
		if (fit == FIT_DIFFERENT || (fit == FIT_ABSENT && (strict || counts_alone(name))))
			return false;
	}
	return true;
}

static bool header_in(struct pb_str list, struct pb_str name, struct pb_str value)
{
	struct pb_str item, k;
	unsigned n = 0;

	while (n++ < COMPARE_LIMIT && pb_str_cut(&list, '&', &item)) {
		pb_str_cut(&item, '=', &k);
		if (text_eq(k, name, true) && text_eq(item, value, true))
			return true;
	}
	return false;
}

static bool headers_fit(struct pb_str a, struct pb_str b)
{
	struct pb_str item, name;

	for (unsigned n = 0; pb_str_cut(&a, '&', &item); n++) {
		if (n == COMPARE_LIMIT || !pb_str_cut(&item, '=', &name) ||
		    !header_in(b, name, item))
			return false;
	}
	return true;
}

/* Digits alone count; the visual separators do not (RFC 3966 section 4). */
static bool number_eq(struct pb_str a, struct pb_str b)
{
	size_t i = 0, k = 0;

	for (;; i++, k++) {
		while (i < a.n && memchr("-.()", a.p[i], 4))
			i++;
		while (k < b.n && memchr("-.()", b.p[k], 4))
			k++;
		if (i == a.n || k == b.n)
			return i == a.n && k == b.n;
		if (pb_to_lower(a.p[i]) != pb_to_lower(b.p[k]))
			return false;
	}
}

bool sip_uri_eq(const struct sip_uri *a, const struct sip_uri *b)
{
	if (a->scheme != b->scheme)
		return false;
	switch (a->scheme) {
	case SIP_SCHEME_OTHER:
		return pb_str_ieq(a->scheme_name, b->scheme_name) &&
		       pb_str_eq(a->opaque, b->opaque);
	case SIP_SCHEME_TEL:
		return number_eq(a->user, b->user) && params_fit(a->params, b->params, true) &&
		       params_fit(b->params, a->params, true);
	case SIP_SCHEME_SIP:
	case SIP_SCHEME_SIPS:
		break;
	}
	return a->port == b->port && a->host_ip6 == b->host_ip6 && pb_str_ieq(a->host, b->host) &&
	       text_eq(a->user, b->user, false) && text_eq(a->password, b->password, false) &&
	       params_fit(a->params, b->params, false) && params_fit(b->params, a->params, false) &&
	       headers_fit(a->headers, b->headers) && headers_fit(b->headers, a->headers);
}

uint64_t sip_uri_hash(const struct sip_uri *u)
{
	char user[64];
	size_t i = 0, n = 0;
	uint64_t h;

	if (u->scheme == SIP_SCHEME_OTHER)
		return pb_hash_mix(pb_hash_nocase(u->scheme_name), pb_hash(u->opaque));
	while (i < u->user.n && n < sizeof(user)) {
		if (u->scheme == SIP_SCHEME_TEL && memchr("-.()", u->user.p[i], 4))
			i++;
		else
			user[n++] = (char)next_unit(u->user, &i, u->scheme == SIP_SCHEME_TEL);
	}
	h = pb_hash_mix(pb_hash_nocase(u->host), pb_hash(pb_str(user, n)));
	return pb_hash_mix(h, (uint64_t)u->scheme);
}

/* The octets up to the next `;` outside quotes. */
static size_t param_span(struct pb_str s)
{
	size_t i = 0, quoted;

	while (i < s.n && s.p[i] != ';') {
		quoted = s.p[i] == '"' ? sip_quoted_span(pb_str_from(s, i)) : 0;
		if (s.p[i] == '"' && !quoted)
			return s.n; /* a quote that does not end */
		i += quoted ? quoted : 1;
	}
	return i;
}

bool sip_param_cut(struct pb_str *list, struct pb_str *name, struct pb_str *value)
{
	const char *p = list->p, *end, *eq;
	size_t n;

	if (!list->n)
		return false;
	end = p + list->n;
	while (p < end && (*p == ';' || sip_is(*p, SIP_CH_BLANK)))
		p++;
	n = param_span(pb_str(p, (size_t)(end - p)));
	*list = pb_str(p + n, (size_t)(end - p) - n);
	if (!n)
		return false;
	eq = memchr(p, '=', n);
	*name = sip_trim(pb_str(p, eq ? (size_t)(eq - p) : n));
	*value = eq ? sip_trim(pb_str(eq + 1, n - (size_t)(eq + 1 - p))) : PB_STR_NULL;
	return true;
}

struct pb_str sip_param(struct pb_str list, struct pb_str name)
{
	struct pb_str n, v;

	while (sip_param_cut(&list, &n, &v))
		if (sip_same(n, name))
			return v.p ? v : pb_str(n.p + n.n, 0);
	return PB_STR_NULL;
}

void sip_unescape(struct pb_text *out, struct pb_str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (escape_at(s, i)) {
			pb_text_addc(out,
				     (char)(hex_value(s.p[i + 1]) << 4 | hex_value(s.p[i + 2])));
			i += 2;
		} else {
			pb_text_addc(out, s.p[i]);
		}
	}
}

void sip_escape_user(struct pb_text *out, struct pb_str user)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < user.n; i++) {
		unsigned char c = (unsigned char)user.p[i];

		if (sip_is((char)c, SIP_CH_USER)) {
			pb_text_addc(out, (char)c);
			continue;
		}
		pb_text_addc(out, '%');
		pb_text_addc(out, digits[c >> 4]);
		pb_text_addc(out, digits[c & 15]);
	}
}

static void print_part(struct pb_text *out, char before, struct pb_str part)
{
	if (!part.p)
		return;
	pb_text_addc(out, before);
	pb_text_add(out, part);
}

void sip_uri_print(struct pb_text *out, const struct sip_uri *u)
{
	pb_text_add(out, u->scheme_name);
	pb_text_addc(out, ':');
	pb_text_add(out, u->opaque);
	pb_text_add(out, u->user);
	print_part(out, ':', u->password);
	if (u->host.p) {
		if (u->user.p)
			pb_text_addc(out, '@');
		if (u->host_ip6)
			pb_text_addc(out, '[');
		pb_text_add(out, u->host);
		if (u->host_ip6)
			pb_text_addc(out, ']');
	}
	if (u->port) {
		pb_text_addc(out, ':');
		pb_text_addu(out, u->port);
	}
	print_part(out, ';', u->params);
	print_part(out, '?', u->headers);
}
