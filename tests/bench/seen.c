/*
 * One pass over the lines; what the generator does not use falls through.
 */
#include "seen.h"

static void keep(struct pb_str *list, unsigned *count, struct pb_str v)
{
	if (*count < SEEN_LINES)
		list[(*count)++] = v;
}

static void keep_challenge(struct seen *s, struct pb_str v)
{
	struct pb_str algorithm = seen_param(v, PB_STR("algorithm"));

	if (!s->challenge.p && (!algorithm.n || pb_str_ieq(algorithm, PB_STR("MD5"))))
		s->challenge = v;
}

static void take_header(struct seen *s, struct pb_str name, struct pb_str v)
{
	if (pb_str_ieq(name, PB_STR("Via")))
		keep(s->vias, &s->via_count, v);
	else if (pb_str_ieq(name, PB_STR("From")))
		s->from = v;
	else if (pb_str_ieq(name, PB_STR("To")))
		s->to = v;
	else if (pb_str_ieq(name, PB_STR("Call-ID")))
		s->call_id = v;
	else if (pb_str_ieq(name, PB_STR("CSeq")))
		s->cseq = v;
	else if (pb_str_ieq(name, PB_STR("Contact")))
		s->contact = v;
	else if (pb_str_ieq(name, PB_STR("Record-Route")))
		keep(s->routes, &s->route_count, v);
	else if (pb_str_ieq(name, PB_STR("WWW-Authenticate")) ||
		 pb_str_ieq(name, PB_STR("Proxy-Authenticate")))
		keep_challenge(s, v);
}

static bool take_first_line(struct seen *s, struct pb_str line)
{
	struct pb_str word;

	if (!pb_str_word(&line, &word))
		return false;
	if (pb_str_eq(word, PB_STR("SIP/2.0")))
		return pb_str_word(&line, &word) && !pb_str_to_u32(word, 100, 699, &s->status);
	s->method = word;
	return pb_str_word(&line, &s->uri);
}

static struct pb_str without_cr(struct pb_str line)
{
	return line.n && line.p[line.n - 1] == '\r' ? pb_str_head(line, line.n - 1) : line;
}

bool seen_read(struct pb_str datagram, struct seen *s)
{
	struct pb_str line;

	memset(s, 0, sizeof(*s));
	if (!pb_str_cut(&datagram, '\n', &line) || !take_first_line(s, without_cr(line)))
		return false;
	while (pb_str_cut(&datagram, '\n', &line)) {
		ptrdiff_t colon;

		line = without_cr(line);
		if (!line.n)
			break;
		colon = pb_str_chr(line, ':');
		if (colon > 0)
			take_header(s, pb_str_trim(pb_str_head(line, (size_t)colon)),
				    pb_str_trim(pb_str_from(line, (size_t)colon + 1)));
	}
	s->body = datagram;
	return true;
}

struct pb_str seen_param(struct pb_str challenge, struct pb_str name)
{
	struct pb_str item;

	if (!pb_str_word(&challenge, &item))
		return PB_STR_NULL;
	while (pb_str_cut(&challenge, ',', &item)) {
		ptrdiff_t eq = pb_str_chr(item, '=');
		struct pb_str v;

		if (eq < 0 || !pb_str_ieq(pb_str_trim(pb_str_head(item, (size_t)eq)), name))
			continue;
		v = pb_str_trim(pb_str_from(item, (size_t)eq + 1));
		return v.n >= 2 && v.p[0] == '"' ? pb_str(v.p + 1, v.n - 2) : v;
	}
	return PB_STR_NULL;
}

struct pb_str seen_uri(struct pb_str addr)
{
	ptrdiff_t open = pb_str_chr(addr, '<'), end;

	if (open < 0) {
		end = pb_str_chr(addr, ';');
		return end < 0 ? addr : pb_str_head(addr, (size_t)end);
	}
	addr = pb_str_from(addr, (size_t)open + 1);
	end = pb_str_chr(addr, '>');
	return end < 0 ? addr : pb_str_head(addr, (size_t)end);
}
