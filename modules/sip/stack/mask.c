/*
 * Line by line, told apart by the first octet, so that a message without secrets
 * costs one look at each of its lines. Lines are judged in header and body
 * alike: a body may hold a message.
 */
#include "sip/stack/mask.h"

/* Of headers: the name, then blanks and a colon. */
static bool is_header(struct pb_str line, struct pb_str name, struct pb_str *value)
{
	if (!pb_str_istarts(line, name))
		return false;
	line = pb_str_trim(pb_str_from(line, name.n));
	if (!line.n || line.p[0] != ':')
		return false;
	*value = pb_str_trim_space(pb_str_from(line, 1));
	return true;
}

static size_t seen_of_header(struct pb_str line, struct pb_str name)
{
	struct pb_str value;

	return is_header(line, name, &value) ? (size_t)pb_str_chr(line, ':') + 1 : line.n;
}

static size_t seen_of_begin(struct pb_str line, struct pb_str begin)
{
	return pb_str_istarts(line, begin) ? begin.n : line.n;
}

/* "Signal=5", "Signal = 5" */
static size_t seen_of_signal(struct pb_str line)
{
	struct pb_str rest = pb_str_istarts(line, PB_STR("Signal")) ? pb_str_trim(pb_str_from(line, 6)) : PB_STR("");

	return rest.n && rest.p[0] == '=' ? (size_t)pb_str_chr(line, '=') + 1 : line.n;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* How much of a line may be seen; all of it when nothing must be hidden. */
static size_t seen_of(struct pb_str line)
{
	if (line.n < 7) /* too short for any of them and a secret */
		return line.n;
	switch (line.p[0]) {
	case 'A':
	case 'a':
		if (line.p[1] == '=')
			return least(seen_of_begin(line, PB_STR("a=crypto:")), seen_of_begin(line, PB_STR("a=key-mgmt:")));
		if (pb_to_lower(line.p[1]) != 'u') /* Allow, Accept */
			return line.n;
		return least(seen_of_header(line, PB_STR("Authorization")),
			     seen_of_header(line, PB_STR("Authentication-Info")));
	case 'P':
	case 'p':
		return seen_of_header(line, PB_STR("Proxy-Authorization"));
	case 'S':
	case 's':
		return seen_of_signal(line);
	case 'K':
	case 'k':
		return least(seen_of_begin(line, PB_STR("k=clear:")), seen_of_begin(line, PB_STR("k=base64:")));
	default:
		return line.n;
	}
}

static bool is_of_keys(struct pb_str type)
{
	for (; type.n > 3; type = pb_str_from(type, 1)) {
		if (pb_str_istarts(type, PB_STR("dtmf")) || pb_str_istarts(type, PB_STR("kpml")))
			return true;
	}
	return false;
}

struct pb_str sip_find_call_id(struct pb_str message)
{
	struct pb_str line, v;

	while (pb_str_cut(&message, '\n', &line)) {
		if (!line.n || line.p[0] == '\r')
			break;
		switch (line.p[0] | 0x20) {
		case 'c':
			if (is_header(line, PB_STR("Call-ID"), &v))
				return v;
			break;
		case 'i':
			if (is_header(line, PB_STR("i"), &v))
				return v;
			break;
		default:
			break;
		}
	}
	return PB_STR_NULL;
}

static bool is_type_of_keys(struct pb_str line)
{
	struct pb_str v;

	return (line.p[0] | 0x20) == 'c' &&
	       (is_header(line, PB_STR("Content-Type"), &v) || is_header(line, PB_STR("c"), &v)) && is_of_keys(v);
}

void sip_glance(struct pb_str message, struct sip_glance *g)
{
	struct pb_str rest = message, line;
	bool head = true;

	*g = (struct sip_glance){ .body = message.n };
	g->body_secret = pb_str_starts(message, PB_STR("INFO ")); /* keys pressed, most of them */
	while (pb_str_cut(&rest, '\n', &line)) {
		if (head && (!line.n || (line.n == 1 && line.p[0] == '\r')) && rest.p) {
			head = false;
			g->body = (size_t)(rest.p - message.p);
			continue;
		}
		if (!line.n)
			continue;
		if (head && is_type_of_keys(line))
			g->body_secret = true;
		if (seen_of(line) < line.n)
			g->secret = true;
	}
	g->body_secret = g->body_secret && g->body < message.n;
	g->secret |= g->body_secret;
}

void sip_mask(struct pb_text *t, struct pb_str message, const struct sip_glance *g)
{
	struct pb_str rest = g->body_secret ? pb_str_head(message, g->body) : message, line;
	bool hiding = false;

	while (pb_str_cut(&rest, '\n', &line)) {
		size_t seen;

		/* A folded header goes on in the lines that begin with a blank. */
		if (hiding && line.n && (line.p[0] == ' ' || line.p[0] == '\t'))
			continue;
		seen = seen_of(line);
		hiding = seen < line.n;
		pb_text_add(t, pb_str_head(line, seen));
		if (hiding)
			pb_text_lit(t, " (hidden)\r");
		if (rest.p)
			pb_text_addc(t, '\n');
	}
	if (g->body_secret)
		pb_text_lit(t, "(hidden)\r\n");
}
