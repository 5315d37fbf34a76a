/*
 * Addresses are compared as octets: an IPv4 one in its IPv6 form is the same.
 */
#include "trace/filter.h"

#include <errno.h>

#include "base/pattern.h"

#define RANGES_MAX 64

struct range {
	unsigned char ip[16];
	unsigned bits;
};

struct trace_filter {
	struct pb_arena *arena;
	struct range ranges[RANGES_MAX];
	unsigned range_count;
	struct pb_addr at;
	bool has_at;
	struct pb_str user; /* absent: any */
	const struct pb_pattern *pattern; /* NULL: any */
};

static void octets_of(const struct pb_addr *a, unsigned char out[16])
{
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (pb_addr_is_v6(a)) {
		memcpy(out, &a->in6.sin6_addr, 16);
		return;
	}
	memcpy(out, mapped, 12);
	memcpy(out + 12, &a->in.sin_addr, 4);
}

static int read_range(struct pb_str s, struct range *r)
{
	ptrdiff_t slash = pb_str_chr(s, '/');
	struct pb_addr a;
	uint32_t bits, most;

	if (pb_addr_parse(slash < 0 ? s : pb_str_head(s, (size_t)slash), 0, &a))
		return -EINVAL;
	most = pb_addr_is_v6(&a) ? 128 : 32;
	bits = most;
	if (slash >= 0 && pb_str_to_u32(pb_str_from(s, (size_t)slash + 1), 0, most, &bits))
		return -EINVAL;
	octets_of(&a, r->ip);
	r->bits = bits + 128 - most;
	return 0;
}

static int read_ranges(struct trace_filter *f, struct pb_str list)
{
	struct pb_str item;

	while (pb_str_cut(&list, ',', &item)) {
		if (f->range_count == RANGES_MAX || read_range(pb_str_trim(item), &f->ranges[f->range_count]))
			return -EINVAL;
		f->range_count++;
	}
	return 0;
}

/* "192.0.2.1:5060", "[2001:db8::1]:5060", "192.0.2.1" */
static int read_at(struct trace_filter *f, struct pb_str s)
{
	size_t n = s.n;
	uint32_t port = 0;

	while (n && pb_is_digit(s.p[n - 1]))
		n--;
	if (n && n < s.n && s.p[n - 1] == ':' &&
	    (s.p[0] == '[' || pb_str_chr(s, ':') == (ptrdiff_t)n - 1)) {
		if (pb_str_to_u32(pb_str_from(s, n), 1, 65535, &port))
			return -EINVAL;
		s = pb_str_head(s, n - 1);
	}
	f->has_at = true;
	return pb_addr_parse(s, (uint16_t)port, &f->at);
}

static int read_word(struct trace_filter *f, struct pb_str word, struct pb_str *rest, struct pb_str *why)
{
	struct pb_str value = *rest;

	if (pb_str_eq(word, PB_STR("regex"))) {
		*rest = PB_STR("");
		if (!value.n)
			return -EINVAL;
		return pb_pattern_new(value, PB_PATTERN_EXTENDED, f->arena, &f->pattern, why);
	}
	if (!pb_str_word(rest, &value))
		return -EINVAL;
	if (pb_str_eq(word, PB_STR("ip")))
		return read_ranges(f, value);
	if (pb_str_eq(word, PB_STR("at")))
		return read_at(f, value);
	if (!pb_str_eq(word, PB_STR("user")))
		return -EINVAL;
	f->user = pb_arena_str(f->arena, value);
	return f->user.p ? 0 : -ENOMEM;
}

int trace_filter_new(struct pb_str words, struct pb_text *why, struct trace_filter **out)
{
	struct pb_arena *a = pb_arena_new(256u << 10);
	struct trace_filter *f = a ? pb_arena_alloc(a, sizeof(*f)) : NULL;
	struct pb_str word, text = PB_STR_NULL;
	int err = f ? 0 : -ENOMEM;

	*out = NULL;
	if (f)
		f->arena = a;
	while (!err && pb_str_word(&words, &word)) {
		err = read_word(f, word, &words, &text);
		if (err == -EINVAL)
			pb_text_addf(why, "cannot use '%.*s'%s%.*s", PB_STR_F(word), text.n ? ": " : "",
				     PB_STR_F(text));
	}
	if (err)
		pb_arena_free(&a);
	else
		*out = f;
	return err;
}

void trace_filter_free(struct trace_filter **fp)
{
	struct pb_arena *a = *fp ? (*fp)->arena : NULL;

	*fp = NULL;
	pb_arena_free(&a);
}

/* ---- Matching ------------------------------------------------------------------------ */

static bool in_range(const struct range *r, const unsigned char ip[16])
{
	unsigned whole = r->bits / 8, rest = r->bits % 8;

	if (memcmp(r->ip, ip, whole))
		return false;
	return !rest || !((r->ip[whole] ^ ip[whole]) >> (8 - rest));
}

static bool takes_peer(const struct trace_filter *f, const struct pb_addr *peer)
{
	unsigned char ip[16];

	octets_of(peer, ip);
	for (unsigned i = 0; i < f->range_count; i++) {
		if (in_range(&f->ranges[i], ip))
			return true;
	}
	return !f->range_count;
}

static bool takes_local(const struct trace_filter *f, const struct pb_addr *local)
{
	return !f->has_at || (pb_addr_port(&f->at) ? pb_addr_eq(&f->at, local) : pb_addr_eq_ip(&f->at, local));
}

/* "sip:NAME@" or "tel:NAME" in a line that begins as From or To do. */
static bool names_user(struct pb_str line, struct pb_str user)
{
	static const struct pb_str heads[] = { PB_STR_INIT("From"), PB_STR_INIT("To"), PB_STR_INIT("f"),
					       PB_STR_INIT("t") };
	bool is_party = false;
	ptrdiff_t colon = pb_str_chr(line, ':'), at;

	for (size_t i = 0; colon > 0 && i < sizeof(heads) / sizeof(heads[0]); i++)
		is_party |= pb_str_ieq(pb_str_trim(pb_str_head(line, (size_t)colon)), heads[i]);
	line = is_party ? pb_str_from(line, (size_t)colon + 1) : PB_STR("");
	while ((at = pb_str_find(line, user)) >= 0) {
		char before = at ? line.p[at - 1] : ' ';
		struct pb_str after = pb_str_from(line, (size_t)at + user.n);

		if (before == ':' && (!after.n || after.p[0] == '@' || after.p[0] == '>' || after.p[0] == ';'))
			return true;
		line = pb_str_from(line, (size_t)at + 1);
	}
	return false;
}

static bool takes_user(const struct trace_filter *f, struct pb_str text)
{
	struct pb_str line;

	if (!f->user.n)
		return true;
	while (pb_str_cut(&text, '\n', &line)) {
		line = pb_str_trim_space(line);
		if (!line.n)
			return false;
		if (names_user(line, f->user))
			return true;
	}
	return false;
}

bool trace_filter_takes(const struct trace_filter *f, const struct pb_flight_event *p)
{
	return takes_peer(f, &p->peer) && takes_local(f, &p->local) && takes_user(f, p->text) &&
	       (!f->pattern || pb_pattern_match(f->pattern, p->text, NULL));
}
