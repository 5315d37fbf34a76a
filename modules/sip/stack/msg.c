/*
 * Reading a message in one pass.
 *
 * The pass goes line by line: memchr finds the line's end, a table of octets
 * the header's name. Rows are chained by id as they come, so that the first,
 * next and n-th header of a kind cost nothing to find. What is wrong is noted
 * once (the first time) and the pass goes on behind it, because a request with
 * one bad line can still be answered.
 *
 * A stream is searched for the end of its header first, from where the last
 * search ended; only a whole header is read. So the pass itself never has to
 * stop in the middle, and a peer that sends octet by octet costs linear time.
 */
#include "sip/stack/msg.h"

#include "sip/stack/chars.h"

struct pass {
	struct sip_msg *m;
	const char *p, *end;         /* what is left to read */
	const char *input;           /* where offsets of complaints count from */
	uint8_t last[SIP_HDR_COUNT]; /* last row of each id; valid where m->first is set */
};

static void complain(struct pass *r, const char *at, unsigned code, const char *why)
{
	if (r->m->bad_why)
		return;
	r->m->bad_why = why;
	r->m->bad_code = code;
	r->m->bad_at = (size_t)(at - r->input);
}

static struct pb_str between(const char *from, const char *to)
{
	return pb_str(from, (size_t)(to - from));
}

/*
 * Take a line with its folds off the pass; CR LF not included. A lone LF ends a
 * line too. False when there is no line end any more.
 */
static bool take_line(struct pass *r, struct pb_str *line, bool *folded)
{
	const char *start = r->p, *from = r->p, *nl, *end;

	*folded = false;
	for (;;) {
		nl = memchr(from, '\n', (size_t)(r->end - from));
		if (!nl)
			return false;
		end = nl > start && nl[-1] == '\r' ? nl - 1 : nl;
		/* A CR that ends no line would be one for somebody else. */
		if (end > from && memchr(from, '\r', (size_t)(end - from)))
			complain(r, from, 400, "Invalid Line End");
		from = nl + 1;
		if (from == r->end || (*from != ' ' && *from != '\t') || end == start)
			break;
		*folded = true;
	}
	r->p = from;
	*line = between(start, end);
	return true;
}

static bool is_version(struct pb_str s)
{
	return pb_str_istarts(s, PB_STR("SIP/"));
}

/* SIP/2.0 200 OK; no blank behind the code is let pass when there is no phrase. */
static void read_status_line(struct pass *r, struct pb_str line, bool folded)
{
	struct sip_msg *m = r->m;
	struct pb_str code;
	uint32_t status;

	pb_str_cut(&line, ' ', &m->version);
	code = pb_str(m->version.p + m->version.n, 0);
	pb_str_cut(&line, ' ', &code);
	m->reason = line.p ? line : pb_str(code.p + code.n, 0);
	if (folded || code.n != 3 || pb_str_to_u32(code, 100, 699, &status)) {
		complain(r, m->version.p, 400, "Invalid Status Line");
		return;
	}
	m->status = status;
}

/*
 * INVITE sip:bob@example.org SIP/2.0, single blanks between. Of a bad one the
 * first word is taken for the method and the last for the version, so that it
 * can be answered.
 */
static void read_request_line(struct pass *r, struct pb_str line, bool folded)
{
	struct sip_msg *m = r->m;
	struct pb_str t = sip_trim(line);
	size_t i, k;

	m->request = true;
	i = sip_span(t, SIP_CH_TOKEN);
	m->method_name = pb_str_head(t, i);
	m->method = sip_method_id(m->method_name);
	for (k = t.n; k > i && !sip_is(t.p[k - 1], SIP_CH_BLANK);)
		k--;
	m->version = pb_str_from(t, k);
	m->uri = sip_trim(between(t.p + i, t.p + k));
	if (folded || !i || t.n != line.n || !m->uri.n || t.p[i] != ' ' || t.p[k - 1] != ' ' ||
	    m->uri.n != k - i - 2 || !is_version(m->version) || pb_str_chr(m->uri, ' ') >= 0 ||
	    pb_str_chr(m->uri, '\t') >= 0)
		complain(r, line.p, 400, "Invalid Request Line");
}

static void read_start_line(struct pass *r)
{
	struct pb_str line;
	bool folded;

	if (!take_line(r, &line, &folded)) {
		complain(r, r->p, 400, "Invalid Start Line");
		line = between(r->p, r->end);
		r->p = r->end;
	}
	if (!is_version(line))
		read_request_line(r, line, folded);
	else
		read_status_line(r, line, folded);
}

static void add_header(struct pass *r, struct pb_str name, struct pb_str value, bool folded)
{
	struct sip_msg *m = r->m;
	struct sip_hdr *h = &m->hdr[m->hdr_n];
	enum sip_hdr_id id = sip_hdr_id(name);

	*h = (struct sip_hdr){
		.name_at = (uint16_t)(name.p - m->raw.p),
		.name_n = (uint16_t)name.n,
		.value_at = (uint16_t)(value.p - m->raw.p),
		.value_n = (uint16_t)value.n,
		.id = (uint8_t)id,
		.folded = folded,
	};
	m->hdr_n++;
	if (m->first[id])
		m->hdr[r->last[id]].next = (uint8_t)m->hdr_n;
	else
		m->first[id] = (uint8_t)m->hdr_n;
	r->last[id] = (uint8_t)(m->hdr_n - 1);
}

static void read_header(struct pass *r, struct pb_str line, bool folded)
{
	size_t n = sip_span(line, SIP_CH_TOKEN), colon = n;
	struct pb_str value;

	while (colon < line.n && (line.p[colon] == ' ' || line.p[colon] == '\t'))
		colon++;
	if (!n || colon == line.n || line.p[colon] != ':') {
		complain(r, line.p, 400, "Invalid Header Line");
		return;
	}
	value = sip_trim(pb_str_from(line, colon + 1));
	if (line.n > SIP_HDR_LIMIT)
		complain(r, line.p, 513, "Header Too Long");
	else if (r->m->hdr_n == SIP_HDRS_LIMIT)
		complain(r, line.p, 513, "Too Many Headers");
	else
		add_header(r, pb_str_head(line, n), value,
			   folded && value.n && memchr(value.p, '\n', value.n));
}

/* Every line up to the empty one, which is taken too. */
static void read_headers(struct pass *r)
{
	struct pb_str line;
	bool folded;

	while (take_line(r, &line, &folded)) {
		if (!line.n)
			return;
		read_header(r, line, folded);
	}
	complain(r, r->p, 400, "Missing Empty Line");
	r->p = r->end;
}

/* What CSeq of a response names: the word behind the number. */
static enum sip_method cseq_method(const struct sip_msg *m)
{
	struct pb_str v = sip_msg_value(m, SIP_HDR_CSEQ);
	size_t n = 0;

	while (n < v.n && pb_is_digit(v.p[n]))
		n++;
	return sip_method_id(sip_trim(pb_str_from(v, n)));
}

/* Behind empty lines (RFC 3261 section 7.5), which keep-alives also are. */
static size_t skip_empty_lines(struct pb_str in)
{
	size_t at = 0;

	while (at < in.n && at < SIP_KEEPALIVE_LIMIT && (in.p[at] == '\r' || in.p[at] == '\n'))
		at++;
	return at;
}

/* Start line and headers; the rest is left in r->p for the body. */
static void read_head(struct pass *r, struct sip_msg *m, struct pb_str in, size_t at)
{
	memset(m, 0, offsetof(struct sip_msg, hdr));
	r->m = m;
	r->input = in.p;
	r->p = in.p + at;
	r->end = in.p + in.n;
	m->raw = pb_str_from(in, at);
	if (m->raw.n > SIP_MSG_LIMIT) {
		complain(r, r->p, 513, "Message Too Large");
		m->raw.n = SIP_MSG_LIMIT;
		r->end = r->p + SIP_MSG_LIMIT;
	}
	read_start_line(r);
	read_headers(r);
	if (!m->request)
		m->method = cseq_method(m);
}

enum length { LENGTH_GIVEN, LENGTH_ABSENT, LENGTH_BAD };

static enum length content_length(struct pass *r, uint32_t *n)
{
	const struct sip_hdr *h = sip_msg_first(r->m, SIP_HDR_CONTENT_LENGTH);
	struct pb_str v;

	if (!h)
		return LENGTH_ABSENT;
	v = sip_hdr_value(r->m, h);
	/* Two lengths, even equal ones, are how messages are smuggled. */
	if (!h->next && !pb_str_to_u32(v, 0, UINT32_MAX, n))
		return LENGTH_GIVEN;
	complain(r, v.p, 400, "Invalid Content-Length");
	return LENGTH_BAD;
}

static enum sip_parse result(const struct sip_msg *m)
{
	return m->bad_why ? SIP_PARSE_BAD : SIP_PARSE_OK;
}

/* The body is the next `n` octets, and the message ends there. */
static void set_body(struct pass *r, size_t n)
{
	r->m->body = pb_str(r->p, n);
	r->m->raw.n = (size_t)(r->p - r->m->raw.p) + n;
}

enum sip_parse sip_msg_parse(struct sip_msg *m, struct pb_str datagram)
{
	struct pass r;
	uint32_t want;
	size_t have;

	if (!datagram.p)
		datagram = PB_STR("");
	read_head(&r, m, datagram, skip_empty_lines(datagram));
	have = (size_t)(r.end - r.p);
	if (content_length(&r, &want) != LENGTH_GIVEN) {
		want = (uint32_t)have;
	} else if (want > have) {
		complain(&r, r.p, 400, "Invalid Content-Length");
		want = (uint32_t)have;
	}
	set_body(&r, want);
	return result(m);
}

/* Offset behind the empty line that ends the header, or 0; *scanned moves on. */
static size_t head_end(struct pb_str in, size_t at, size_t *scanned)
{
	size_t i = *scanned > at ? *scanned : at, k;
	const char *nl;

	while ((nl = i < in.n ? memchr(in.p + i, '\n', in.n - i) : NULL)) {
		i = (size_t)(nl - in.p);
		*scanned = i;
		k = i + 1;
		if (k < in.n && in.p[k] == '\r')
			k++;
		if (k >= in.n)
			return 0; /* the next octet decides */
		if (in.p[k] == '\n')
			return k + 1;
		i++;
	}
	*scanned = in.n;
	return 0;
}

static enum sip_parse too_large(struct sip_msg *m, struct pb_str in, size_t at)
{
	struct pass r;

	read_head(&r, m, pb_str_head(in, at + SIP_MSG_LIMIT), at);
	set_body(&r, 0);
	m->bad_why = "Message Too Large";
	m->bad_code = 513;
	return SIP_PARSE_BAD;
}

enum sip_parse sip_msg_parse_stream(struct sip_msg *m, struct pb_str in, size_t *scanned)
{
	size_t at = skip_empty_lines(in), end = head_end(in, at, scanned);
	struct pass r;
	uint32_t want = 0;

	if (!end && in.n - at <= SIP_MSG_LIMIT)
		return SIP_PARSE_MORE;
	if (!end || end - at > SIP_MSG_LIMIT)
		return too_large(m, in, at);
	read_head(&r, m, pb_str_head(in, end), at);
	if (content_length(&r, &want) == LENGTH_ABSENT)
		complain(&r, r.p, 400, "Missing Content-Length");
	if (want > SIP_MSG_LIMIT - (end - at)) {
		complain(&r, r.p, 513, "Message Too Large");
		want = 0;
	}
	if (m->bad_why) {
		set_body(&r, 0);
		return SIP_PARSE_BAD;
	}
	if (want > in.n - end)
		return SIP_PARSE_MORE;
	set_body(&r, want);
	return SIP_PARSE_OK;
}

const struct sip_hdr *sip_msg_find(const struct sip_msg *m, struct pb_str name)
{
	enum sip_hdr_id id = sip_hdr_id(name);
	const struct sip_hdr *h = sip_msg_first(m, id);

	while (h && id == SIP_HDR_OTHER && !pb_str_ieq(sip_hdr_text_name(m, h), name))
		h = sip_msg_next(m, h);
	return h;
}

struct pb_str sip_hdr_unfold(const struct sip_msg *m, const struct sip_hdr *h, struct pb_arena *a)
{
	struct pb_str v = sip_hdr_value(m, h);
	char *out;
	size_t n = 0;

	if (!h->folded)
		return v;
	out = pb_arena_bytes(a, v.n);
	if (!out)
		return PB_STR_NULL;
	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] != '\r' && v.p[i] != '\n') {
			out[n++] = v.p[i];
			continue;
		}
		while (n && sip_is(out[n - 1], SIP_CH_BLANK))
			n--;
		while (sip_is(v.p[i + 1], SIP_CH_BLANK)) /* trimmed: the last octet is none */
			i++;
		out[n++] = ' ';
	}
	return pb_str(out, n);
}

static void move(struct pb_str *s, const char *from, const char *to)
{
	if (s->p)
		s->p = to + (s->p - from);
}

const struct sip_msg *sip_msg_copy(const struct sip_msg *m, struct pb_arena *a)
{
	size_t size = offsetof(struct sip_msg, hdr) + m->hdr_n * sizeof(m->hdr[0]);
	struct sip_msg *c = pb_arena_alloc(a, size);
	struct pb_str raw = pb_arena_str(a, m->raw);

	if (!c || !raw.p)
		return NULL;
	memcpy(c, m, size);
	c->raw = raw;
	move(&c->method_name, m->raw.p, raw.p);
	move(&c->uri, m->raw.p, raw.p);
	move(&c->version, m->raw.p, raw.p);
	move(&c->reason, m->raw.p, raw.p);
	move(&c->body, m->raw.p, raw.p);
	return c;
}
