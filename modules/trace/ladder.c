/*
 * Lanes are columns of LANE octets; the bus is the second one, so that the
 * caller stands on its left and everybody else on its right. A line is a buffer
 * of blanks in which lanes, arrow and words are laid over each other.
 */
#include "trace/ladder.h"

#include <stdio.h>
#include <time.h>

#define TIME 13u
#define LANE 24u
#define LINE (TIME + LANE * (TRACE_PEERS_MAX + 1))
#define BUS 1u
#define WORDS_END 150u /* of what the bus says */

struct line {
	char c[LINE];
	unsigned n;
};

static unsigned column(unsigned lane)
{
	return TIME + lane * LANE + LANE / 2;
}

static unsigned lane_of_peer(unsigned i)
{
	return i ? i + 1 : 0;
}

static unsigned lane_of(const struct trace_ladder *l, const struct pb_addr *peer)
{
	for (unsigned i = 0; i < l->peer_count; i++) {
		if (pb_addr_eq(&l->peers[i], peer))
			return lane_of_peer(i);
	}
	return lane_of_peer(l->peer_count ? l->peer_count - 1 : 0);
}

void trace_ladder_meet(struct trace_ladder *l, const struct pb_flight_event *e)
{
	if (e->kind != PB_FLIGHT_PACKET || l->peer_count == TRACE_PEERS_MAX)
		return;
	for (unsigned i = 0; i < l->peer_count; i++) {
		if (pb_addr_eq(&l->peers[i], &e->peer))
			return;
	}
	l->peers[l->peer_count++] = e->peer;
}

/* ---- Lines ------------------------------------------------------------------------------ */

static void lay(struct line *x, unsigned at, struct pb_str s)
{
	if (at + s.n > LINE)
		s.n = at < LINE ? LINE - at : 0;
	memcpy(x->c + at, s.n ? s.p : "", s.n);
	if (s.n && at + s.n > x->n)
		x->n = at + (unsigned)s.n;
}

static void lanes(const struct trace_ladder *l, struct line *x)
{
	memset(x->c, ' ', LINE);
	x->n = 0;
	lay(x, column(BUS), PB_STR("|"));
	for (unsigned i = 0; i < l->peer_count; i++)
		lay(x, column(lane_of_peer(i)), PB_STR("|"));
}

static void add_relative(struct line *x, uint64_t at_us)
{
	char buf[32];
	int n = snprintf(buf, sizeof(buf), "%+11.6f", (double)at_us / 1e6);

	lay(x, 0, pb_str(buf, n > 0 ? (size_t)n : 0));
}

static void end_line(struct trace_ladder *l, struct line *x)
{
	pb_log_add_visible(l->to, pb_str(x->c, x->n), false);
	pb_text_lit(l->to, "\r\n");
}

/* ---- Words ------------------------------------------------------------------------------ */

void trace_add_time(struct pb_text *t, uint64_t us)
{
	time_t s = (time_t)(us / 1000000);
	struct tm tm;

	gmtime_r(&s, &tm);
	pb_text_addf(t, "%04d-%02d-%02d %02d:%02d:%02d.%06u UTC", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
		     tm.tm_hour, tm.tm_min, tm.tm_sec, (unsigned)(us % 1000000));
}

void trace_summary(struct pb_text *t, const struct pb_flight_info *f)
{
	pb_text_addf(t, "%.*s %.*s -> %.*s, ", PB_STR_F(f->what.n ? f->what : PB_STR("call")),
		     PB_STR_F(f->caller.n ? f->caller : PB_STR("?")), PB_STR_F(f->called.n ? f->called : PB_STR("?")));
	pb_text_add(t, !f->ended ? PB_STR("running") : f->failed ? PB_STR("failed") : PB_STR("ended"));
	if (f->cause.n)
		pb_text_addf(t, " (%.*s)", PB_STR_F(f->cause));
	pb_text_addf(t, ", %.3f s", (double)f->lasted_us / 1e6);
	if (f->ended)
		pb_text_addf(t, ", %llu s ago", (unsigned long long)(f->ended_ago_us / 1000000));
	pb_text_lit(t, ":");
	for (unsigned i = 0; i < f->key_count; i++)
		pb_text_addf(t, " %.*s", PB_STR_F(f->keys[i]));
}

struct pb_str trace_packet_title(struct pb_str text, char *buf, size_t size)
{
	ptrdiff_t end = pb_str_chr(text, '\n');
	struct pb_str line = pb_str_trim_space(end < 0 ? text : pb_str_head(text, (size_t)end));
	struct pb_text t;

	if (pb_str_starts(line, PB_STR("SIP/2.0 ")))
		return pb_str_from(line, 8);
	if (pb_str_ends(line, PB_STR(" SIP/2.0")))
		line.n -= 8;
	pb_text_init_buf(&t, buf, size);
	pb_text_add(&t, pb_str_head(line, size));
	return pb_text_str(&t);
}

static void add_took(struct pb_text *t, uint32_t us)
{
	if (us < 10000)
		pb_text_addf(t, "%u us", us);
	else
		pb_text_addf(t, "%u ms", us / 1000);
}

static void add_handlers(struct pb_text *t, const struct pb_flight_event *e)
{
	struct pb_str rest = e->fields;
	struct pb_flight_field f;
	const char *between = "";

	while (pb_flight_field(e, &rest, &f)) {
		pb_text_addf(t, "%s%.*s %s ", between, PB_STR_F(f.name), f.verdict == PB_HANDLED ? "HANDLED" : "passed");
		add_took(t, f.took_us);
		between = ", ";
	}
}

static void add_fields(struct pb_text *t, const struct pb_flight_event *e)
{
	struct pb_str rest = e->fields;
	struct pb_flight_field f;

	while (pb_flight_field(e, &rest, &f)) {
		pb_text_addf(t, " %.*s=", PB_STR_F(f.name));
		pb_text_add(t, f.value.p ? f.value : PB_STR("(hidden)"));
		if (f.cut)
			pb_text_lit(t, "...");
	}
	if (e->cut)
		pb_text_lit(t, " ...");
}

static void add_end(struct pb_text *t, const struct pb_flight_event *e, const char *what)
{
	pb_text_addf(t, "#%u %s", e->no, what);
	if (e->text.n)
		pb_text_addf(t, " '%.*s'", PB_STR_F(e->text));
	pb_text_lit(t, ", ");
	add_took(t, e->took_us);
}

void trace_say(struct pb_text *t, const struct pb_flight_event *e, bool with_fields)
{
	switch (e->kind) {
	case PB_FLIGHT_PACKET:
		return;
	case PB_FLIGHT_START:
		pb_text_addf(t, "#%u %.*s", e->no, PB_STR_F(e->text));
		if (e->parent)
			pb_text_addf(t, " (in #%u)", e->parent);
		break;
	case PB_FLIGHT_HANDLERS:
		pb_text_addf(t, "#%u ", e->no);
		add_handlers(t, e);
		return;
	case PB_FLIGHT_HELD:
		pb_text_addf(t, "#%u held by %.*s", e->no, PB_STR_F(e->text));
		return;
	case PB_FLIGHT_RESUMED:
		pb_text_addf(t, "#%u resumed, %s, after ", e->no, e->verdict == PB_HANDLED ? "HANDLED" : "passed");
		add_took(t, e->took_us);
		return;
	case PB_FLIGHT_EXPIRED:
		pb_text_addf(t, "#%u the hold has run out after ", e->no);
		add_took(t, e->took_us);
		return;
	case PB_FLIGHT_DONE:
		add_end(t, e, e->verdict == PB_HANDLED ? "handled" : "not handled");
		break;
	case PB_FLIGHT_GIVEN_UP:
		add_end(t, e, "given up");
		break;
	case PB_FLIGHT_STATE:
	case PB_FLIGHT_NOTE:
		pb_text_addf(t, "%.*s: %.*s", PB_STR_F(e->object), PB_STR_F(e->text));
		return;
	}
	if (with_fields)
		add_fields(t, e);
}

/* ---- The ladder ------------------------------------------------------------------------------ */

void trace_ladder_begin(struct trace_ladder *l, const struct pb_flight_info *f)
{
	char text[PB_ADDR_TEXT];
	struct line x;

	trace_summary(l->to, f);
	pb_text_lit(l->to, "\r\nbegan ");
	trace_add_time(l->to, f->began_us);
	if (f->lost)
		pb_text_addf(l->to, "; %u entries of its middle are forgotten", f->lost);
	pb_text_lit(l->to, "\r\n");
	memset(x.c, ' ', LINE);
	x.n = 0;
	lay(&x, column(BUS) - 1, PB_STR("bus"));
	for (unsigned i = 0; i < l->peer_count; i++) {
		struct pb_str s = pb_str_head(pb_addr_print(&l->peers[i], text), LANE - 2);

		lay(&x, column(lane_of_peer(i)) - (unsigned)s.n / 2, s);
	}
	end_line(l, &x);
}

static void arrow(struct trace_ladder *l, const struct pb_flight_event *e)
{
	unsigned lane = lane_of(l, &e->peer), left = lane < BUS ? lane : BUS, right = lane < BUS ? BUS : lane;
	bool to_right = e->out == (lane > BUS);
	unsigned from = column(left) + 1, to = column(right) - 1;
	char buf[256];
	struct pb_str title = trace_packet_title(e->text, buf, sizeof(buf));
	struct line x;

	lanes(l, &x);
	add_relative(&x, e->at_us);
	for (unsigned i = from; i <= to; i++)
		x.c[i] = '-';
	x.c[to_right ? to : from] = to_right ? '>' : '<';
	title = pb_str_head(title, LANE - 6);
	lay(&x, from + 2, title);
	end_line(l, &x);
}

/* A text of any length behind the bus, so many octets a line. */
static void words(struct trace_ladder *l, const struct pb_flight_event *e, struct pb_str s)
{
	unsigned most = WORDS_END - column(BUS) - 4, at = column(BUS) + 2;
	bool first = true;

	while (first || s.n) {
		struct pb_str part = pb_str_head(s, first ? most : most - 2);
		struct line x;

		lanes(l, &x);
		if (first)
			add_relative(&x, e->at_us);
		x.c[column(BUS)] = first ? '*' : '|';
		memset(x.c + at, ' ', LINE - at);
		x.n = 0;
		lay(&x, column(BUS), pb_str(x.c + column(BUS), 1));
		lay(&x, first ? at : at + 2, part);
		end_line(l, &x);
		s = pb_str_from(s, part.n);
		first = false;
	}
}

static void full_text(struct trace_ladder *l, const struct pb_flight_event *e)
{
	struct pb_str rest = e->text, line;

	while (pb_str_cut(&rest, '\n', &line)) {
		if (!rest.p && !line.n)
			break;
		pb_text_lit(l->to, "    ");
		pb_log_add_visible(l->to, pb_str_trim_space(line), false);
		pb_text_lit(l->to, "\r\n");
	}
	if (e->cut)
		pb_text_addf(l->to, "    ... %u octets in all\r\n", e->bytes);
}

void trace_ladder_event(struct trace_ladder *l, const struct pb_flight_event *e)
{
	struct pb_text t;

	if (e->kind == PB_FLIGHT_PACKET) {
		arrow(l, e);
		if (l->full)
			full_text(l, e);
		return;
	}
	pb_text_init(&t, 8192);
	trace_say(&t, e, !l->brief);
	words(l, e, pb_text_str(&t));
	pb_text_fini(&t);
}
