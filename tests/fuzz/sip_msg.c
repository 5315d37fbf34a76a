/*
 * Any octets as a message: datagram and stream readers, check, every value
 * reader on every row, and what the builder makes of it. Every view must lie
 * inside the input; what we write must read back.
 */
#include "sip/stack/build.h"
#include "sip/stack/check.h"

#include "base/map.h"
#include "fuzz.h"

static struct pb_str input;

static void inside(struct pb_str s)
{
	MUST(!s.p ||
	     (s.p >= input.p && s.n <= input.n && (size_t)(s.p - input.p) <= input.n - s.n));
}

static void params_inside(struct pb_str list)
{
	struct pb_str name, value;

	inside(list);
	while (sip_param_cut(&list, &name, &value)) {
		inside(name);
		inside(value);
	}
}

static void try_uri(struct pb_str s)
{
	static char buf[2 * SIP_MSG_LIMIT];
	struct sip_uri u, again;
	struct pb_text t;

	if (sip_uri_parse(s, &u))
		return;
	inside(u.user);
	inside(u.password);
	inside(u.host);
	inside(u.headers);
	inside(u.opaque);
	params_inside(u.params);
	pb_text_init_buf(&t, buf, sizeof(buf));
	sip_uri_print(&t, &u);
	MUST(!sip_uri_parse(pb_text_str(&t), &again));
	/* An URI of over-many parameters equals nothing, itself included. */
	if (u.params.n + u.headers.n < 32)
		MUST(sip_uri_eq(&u, &again) && sip_uri_hash(&u) == sip_uri_hash(&again));
}

static void try_addr(struct pb_str item)
{
	struct sip_contact c;
	struct sip_addr a;

	if (!sip_addr_parse(item, &a)) {
		inside(a.display);
		inside(a.uri);
		params_inside(a.params);
		try_uri(a.uri);
	}
	if (!sip_contact_parse(item, &c))
		MUST(c.q <= 1000);
}

static void try_via(struct pb_str item)
{
	struct sip_via v;

	if (sip_via_parse(item, &v))
		return;
	inside(v.version);
	inside(v.transport);
	inside(v.host);
	inside(v.branch);
	inside(v.received);
	inside(v.maddr);
	inside(v.rport);
	params_inside(v.params);
}

static void try_auth(struct pb_str value)
{
	struct sip_auth a;
	struct pb_str list, name, v;

	if (sip_auth_parse(value, &a))
		return;
	inside(a.nonce);
	inside(a.response);
	for (list = a.params; sip_auth_param_cut(&list, &name, &v);) {
		inside(name);
		inside(v);
	}
}

static void try_small(struct pb_str value)
{
	struct sip_media_type t;
	struct sip_word w;
	struct sip_rack r;
	struct sip_cseq c;

	if (!sip_media_type_parse(value, &t))
		params_inside(t.params);
	if (!sip_word_parse(value, &w))
		params_inside(w.params);
	if (!sip_rack_parse(value, &r))
		inside(r.cseq.method_name);
	if (!sip_cseq_parse(value, &c))
		inside(c.method_name);
}

static void try_row(const struct sip_msg *m, const struct sip_hdr *h)
{
	struct pb_str list = sip_hdr_value(m, h), item;
	struct pb_arena *a = h->folded ? pb_arena_new(SIP_MSG_LIMIT) : NULL;

	inside(list);
	inside(sip_hdr_text_name(m, h));
	MUST(sip_hdr_id(sip_hdr_text_name(m, h)) == h->id);
	if (a) {
		item = sip_hdr_unfold(m, h, a);
		MUST(item.n <= list.n && pb_str_chr(item, '\n') < 0);
		pb_arena_free(&a);
	}
	try_auth(list);
	try_small(list);
	while (sip_list_cut(&list, &item)) {
		inside(item);
		try_addr(item);
		try_via(item);
	}
}

/* Rows in order, chains complete. */
static void try_msg(const struct sip_msg *m)
{
	unsigned chained = 0;

	inside(m->raw);
	inside(m->method_name);
	inside(m->uri);
	inside(m->version);
	inside(m->reason);
	inside(m->body);
	MUST(m->body.p && m->hdr_n <= SIP_HDRS_LIMIT && m->bad_at <= input.n);
	for (unsigned i = 0; i < m->hdr_n; i++)
		try_row(m, &m->hdr[i]);
	for (unsigned id = 0; id < SIP_HDR_COUNT; id++) {
		const struct sip_hdr *h = sip_msg_first(m, (enum sip_hdr_id)id);

		for (; h; h = sip_msg_next(m, h), chained++)
			MUST(h->id == id);
	}
	MUST(chained == m->hdr_n);
	try_uri(m->uri);
}

static void reads_back(const struct pb_text *t, unsigned status)
{
	static struct sip_msg m;

	sip_msg_parse(&m, pb_text_str(t));
	MUST(!m.bad_why || m.bad_code == 513);
	MUST(m.status == status && m.body.n == 0 && (m.bad_why || m.raw.n == t->n));
}

static void try_builder(const struct sip_msg *m, struct sip_verdict v)
{
	static char buf[2 * SIP_MSG_LIMIT];
	struct sip_answer a = { .code = v.code ? v.code : 180,
				.reason = pb_str_z(v.reason),
				.to_tag = PB_STR("t"),
				.received = PB_STR("192.0.2.1"),
				.rport = 9 };
	struct sip_build b;
	struct pb_text t;

	if (!v.answerable)
		return;
	pb_text_init_buf(&t, buf, sizeof(buf));
	sip_build_response(&b, &t, m, &a);
	sip_build_copy(&b, m, SIP_HDR_OTHER);
	MUST(sip_build_end(&b, PB_STR_NULL, PB_STR_NULL) == 0);
	reads_back(&t, a.code);
	pb_text_reset(&t);
	if (!sip_build_cancel(&t, m))
		reads_back(&t, 0);
	pb_text_reset(&t);
	if (!v.code)
		MUST(!sip_build_ack(&t, m, m));
}

static void try_copy(const struct sip_msg *m)
{
	struct pb_arena *a = pb_arena_new(1 << 20);
	const struct sip_msg *c = sip_msg_copy(m, a);

	MUST(c && pb_str_eq(c->raw, m->raw) && pb_str_eq(c->uri, m->uri));
	for (unsigned i = 0; i < c->hdr_n; i++)
		MUST(pb_str_eq(sip_hdr_value(c, &c->hdr[i]), sip_hdr_value(m, &m->hdr[i])));
	pb_arena_free(&a);
}

/* Fed in two pieces it says the same as in one. */
static void try_stream(struct sip_msg *m)
{
	size_t fresh = 0, kept = 0;
	enum sip_parse whole, first, then;
	struct sip_core core;

	first = sip_msg_parse_stream(m, pb_str_head(input, input.n / 2), &kept);
	then = first == SIP_PARSE_MORE ? sip_msg_parse_stream(m, input, &kept) : first;
	whole = sip_msg_parse_stream(m, input, &fresh);
	MUST(then == whole);
	if (whole == SIP_PARSE_MORE)
		return;
	MUST((whole == SIP_PARSE_BAD) == (m->bad_why != NULL));
	try_msg(m);
	sip_msg_check(m, &core);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct sip_msg m;
	struct sip_core core;
	struct sip_verdict v;
	enum sip_parse r;

	pb_hash_seed(1);
	input = pb_str((const char *)p, n);
	memset(&m, 0xa5, sizeof(m));
	r = sip_msg_parse(&m, input);
	MUST(r != SIP_PARSE_MORE && (r == SIP_PARSE_BAD) == (m.bad_why != NULL));
	try_msg(&m);
	v = sip_msg_check(&m, &core);
	MUST(r == SIP_PARSE_OK || v.code >= 400);
	inside(core.from_tag);
	inside(core.to_tag);
	inside(core.call_id);
	try_builder(&m, v);
	try_copy(&m);
	memset(&m, 0xa5, sizeof(m));
	try_stream(&m);
	return 0;
}
