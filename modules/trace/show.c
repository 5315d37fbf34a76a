/*
 * One record, or all of a loop, as text for a console, as JSON, or as the octets
 * of a pcapng file.
 */
#include "trace/trace.h"

#include "trace/ladder.h"
#include "trace/pcapng.h"

#define COMMENT_LIMIT 60000

/* ---- Ladder ----------------------------------------------------------------------------- */

static bool meet(void *arg, const struct pb_flight_event *e)
{
	trace_ladder_meet(arg, e);
	return true;
}

static bool step(void *arg, const struct pb_flight_event *e)
{
	struct trace_ladder *l = arg;

	trace_ladder_event(l, e);
	return !pb_text_failed(l->to);
}

static void ladder(struct pb_ctx *cx, const struct pb_flight_info *f, enum trace_form form, struct pb_text *t)
{
	struct trace_ladder l = { .to = t, .brief = form == TRACE_BRIEF, .full = form == TRACE_FULL };

	pb_flight_read(cx->bus, f->handle, meet, &l);
	trace_ladder_begin(&l, f);
	pb_flight_read(cx->bus, f->handle, step, &l);
}

/* ---- JSON --------------------------------------------------------------------------------- */

static void add_string(struct pb_text *t, struct pb_str s)
{
	pb_text_addc(t, '"');
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == '"' || c == '\\')
			pb_text_addf(t, "\\%c", c);
		else if (c < 0x20 || c >= 0x7f) /* octets as they are: what is UTF-8 is not known */
			pb_text_addf(t, "\\u%04x", c);
		else
			pb_text_addc(t, (char)c);
	}
	pb_text_addc(t, '"');
}

static void add_pair(struct pb_text *t, const char *name, struct pb_str value)
{
	pb_text_addf(t, ",\"%s\":", name);
	add_string(t, value);
}

static void json_info(struct pb_text *t, const struct pb_flight_info *f)
{
	pb_text_addf(t, "{\"state\":\"%s\",\"began_us\":%llu,\"lasted_us\":%llu,\"lost\":%u,\"bytes\":%zu",
		     !f->ended ? "running" : f->failed ? "failed" : "ended", (unsigned long long)f->began_us,
		     (unsigned long long)f->lasted_us, f->lost, f->bytes);
	add_pair(t, "what", f->what);
	add_pair(t, "caller", f->caller);
	add_pair(t, "called", f->called);
	add_pair(t, "cause", f->cause);
	pb_text_lit(t, ",\"keys\":[");
	for (unsigned i = 0; i < f->key_count; i++) {
		if (i)
			pb_text_addc(t, ',');
		add_string(t, f->keys[i]);
	}
	pb_text_addc(t, ']');
}

static void json_fields(struct pb_text *t, const struct pb_flight_event *e)
{
	struct pb_str rest = e->fields;
	struct pb_flight_field f;
	bool handlers = e->kind == PB_FLIGHT_HANDLERS, first = true;

	pb_text_addf(t, ",\"%s\":[", handlers ? "handlers" : "params");
	while (pb_flight_field(e, &rest, &f)) {
		pb_text_add(t, first ? PB_STR("{\"name\":") : PB_STR(",{\"name\":"));
		first = false;
		add_string(t, f.name);
		if (handlers)
			pb_text_addf(t, ",\"handled\":%s,\"took_us\":%u}", f.verdict == PB_HANDLED ? "true" : "false",
				     f.took_us);
		else if (f.value.p)
			add_pair(t, "value", f.value), pb_text_addc(t, '}');
		else
			pb_text_lit(t, ",\"secret\":true}");
	}
	pb_text_addc(t, ']');
}

static void json_packet(struct pb_text *t, const struct pb_flight_event *e)
{
	char buf[PB_ADDR_TEXT];

	pb_text_addf(t, ",\"out\":%s,\"octets\":%u", e->out ? "true" : "false", e->bytes);
	add_pair(t, "local", pb_addr_print(&e->local, buf));
	add_pair(t, "peer", pb_addr_print(&e->peer, buf));
}

struct events {
	struct pb_text *t;
	bool any;
};

static bool json_event(void *arg, const struct pb_flight_event *e)
{
	static const char *const kinds[] = { "packet",	"start", "handlers", "held",  "resumed",
					     "expired", "done",	 "given_up", "state", "note" };
	struct events *x = arg;
	struct pb_text *t = x->t;

	pb_text_addf(t, "%s{\"at_us\":%llu,\"kind\":\"%s\"", x->any ? "," : "", (unsigned long long)e->at_us,
		     kinds[e->kind]);
	x->any = true;
	if (e->no)
		pb_text_addf(t, ",\"walk\":%u,\"parent\":%u", e->no, e->parent);
	if (e->kind == PB_FLIGHT_PACKET)
		json_packet(t, e);
	if (e->object.n)
		add_pair(t, "object", e->object);
	if (e->kind >= PB_FLIGHT_RESUMED && e->kind <= PB_FLIGHT_GIVEN_UP)
		pb_text_addf(t, ",\"handled\":%s,\"took_us\":%u", e->verdict == PB_HANDLED ? "true" : "false", e->took_us);
	add_pair(t, "text", e->text);
	if (e->fields.n)
		json_fields(t, e);
	pb_text_addc(t, '}');
	return !pb_text_failed(t);
}

/* ---- What commands ask for ------------------------------------------------------------------ */

bool trace_show(struct pb_ctx *cx, struct pb_str key, enum trace_form form, struct pb_text *t)
{
	struct pb_flight_info f;
	struct events x = { .t = t };

	if (!pb_flight_find(cx->bus, key, &f))
		return false;
	if (form != TRACE_JSON) {
		ladder(cx, &f, form, t);
		return true;
	}
	json_info(t, &f);
	pb_text_lit(t, ",\"events\":[");
	pb_flight_read(cx->bus, f.handle, json_event, &x);
	pb_text_lit(t, "]}\r\n");
	return true;
}

struct listing {
	struct pb_text *t;
	bool json;
};

static bool list_one(void *arg, const struct pb_flight_info *f)
{
	struct listing *l = arg;

	if (l->json) {
		json_info(l->t, f);
		pb_text_lit(l->t, "}\r\n");
	} else {
		struct pb_text line;

		pb_text_init(&line, 8192);
		trace_summary(&line, f);
		pb_log_add_visible(l->t, pb_text_str(&line), false);
		pb_text_lit(l->t, "\r\n");
		pb_text_fini(&line);
	}
	return !pb_text_failed(l->t);
}

void trace_list(struct pb_ctx *cx, bool json, struct pb_text *t)
{
	struct listing l = { t, json };

	pb_flight_list(cx->bus, list_one, &l);
}

/* ---- pcapng ------------------------------------------------------------------------------------ */

/* A packet waits for what the bus says until the next one: that is its comment. */
struct export {
	struct pb_text *t;
	uint64_t began_us;
	bool any;
	struct pb_flight_event packet;
	struct pb_text comment;
};

static void flush(struct export *x)
{
	if (x->any)
		trace_pcapng_packet(x->t, x->began_us + x->packet.at_us, &x->packet, pb_text_str(&x->comment));
	pb_text_reset(&x->comment);
}

static bool export_event(void *arg, const struct pb_flight_event *e)
{
	struct export *x = arg;

	if (e->kind == PB_FLIGHT_PACKET) {
		flush(x);
		x->packet = *e;
		x->any = true;
		return !pb_text_failed(x->t);
	}
	pb_text_addf(&x->comment, "%s%+.6f ", x->comment.n ? "\n" : "", (double)e->at_us / 1e6);
	trace_say(&x->comment, e, true);
	return true;
}

bool trace_export(struct pb_ctx *cx, struct pb_str key, struct pb_text *t)
{
	struct pb_flight_info f;
	struct export x = { .t = t };

	if (!pb_flight_find(cx->bus, key, &f))
		return false;
	pb_text_init(&x.comment, COMMENT_LIMIT);
	x.began_us = f.began_us;
	trace_pcapng_begin(t);
	pb_flight_read(cx->bus, f.handle, export_event, &x);
	flush(&x);
	pb_text_fini(&x.comment);
	return !pb_text_failed(t);
}
