/*
 * `dispatcher`: the handlers that the bus has, as lines or as a line of status,
 * and the switches for times in messages.
 */
#include "bus/builtin.h"

#include <regex.h>

#include "bus/bus_impl.h"

/* ---- Which handlers ------------------------------------------------------------------ */

/** A name, or with '^' in front a basic regular expression; absent: any. */
struct wanted {
	struct pb_str text;
	bool is_regex, broken;
	regex_t re;
};

static void wanted_init(struct wanted *w, struct pb_str text, struct pb_arena *a)
{
	struct pb_str z = pb_arena_str(a, text);

	*w = (struct wanted){ .text = text, .is_regex = text.n && text.p[0] == '^' };
	if (w->is_regex)
		w->broken = !z.p || regcomp(&w->re, z.p, REG_NOSUB) != 0;
}

static void wanted_fini(struct wanted *w)
{
	if (w->is_regex && !w->broken)
		regfree(&w->re);
}

static bool fits(const struct wanted *w, struct pb_str name)
{
	char z[256];

	if (!w->text.n)
		return true;
	if (!w->is_regex)
		return pb_str_eq(w->text, name);
	if (w->broken || name.n >= sizeof(z))
		return false;
	if (name.n)
		memcpy(z, name.p, name.n);
	z[name.n] = '\0';
	return regexec(&w->re, z, 0, NULL, 0) == 0;
}

/** "msgsniff:100" as the bus tracks it: without the priority. */
static struct pb_str track_name(const struct pb_handler_row *r)
{
	ptrdiff_t at = -1;

	for (size_t i = 0; i < r->track.n; i++)
		at = r->track.p[i] == ':' ? (ptrdiff_t)i : at;
	return at < 0 ? r->track : pb_str_head(r->track, (size_t)at);
}

/* ---- Lines ------------------------------------------------------------------------------ */

struct listing {
	struct wanted name, track;
	struct pb_text t;
	unsigned all, count;
	void (*add)(struct listing *l, const struct pb_handler_row *r);
};

static bool each(void *arg, const struct pb_handler_row *r)
{
	struct listing *l = arg;

	l->all++;
	if (!fits(&l->name, r->message) || !fits(&l->track, track_name(r)))
		return true;
	l->count++;
	l->add(l, r);
	return true;
}

static void list(struct listing *l, struct pb_bus *b)
{
	pb_text_init(&l->t, PB_MSG_LIMIT_BYTES / 2);
	pb_bus_handlers(b, each, l);
	wanted_fini(&l->name);
	wanted_fini(&l->track);
}

static void add_line(struct listing *l, const struct pb_handler_row *r)
{
	pb_text_addf(&l->t, "%.*s priority=%u trackname='%.*s'\r\n", PB_STR_F(r->message), r->priority,
		     PB_STR_F(track_name(r)));
	if (r->filter_name.n)
		pb_text_addf(&l->t, "  Filter:\r\n    %.*s\r\n", PB_STR_F(r->filter_name));
}

static void add_object(struct listing *l, const struct pb_handler_row *r)
{
	pb_text_addf(&l->t, "%s{\"message\":", l->count > 1 ? "," : "");
	pb_text_add_json(&l->t, r->message);
	pb_text_addf(&l->t, ",\"priority\":%u,\"trackname\":", r->priority);
	pb_text_add_json(&l->t, track_name(r));
	pb_text_lit(&l->t, ",\"filter\":");
	pb_text_add_json(&l->t, r->filter_name);
	pb_text_addc(&l->t, '}');
}

static enum pb_verdict handlers(struct pb_msg *m, struct pb_ctx *cx, struct pb_str args)
{
	struct pb_str name = PB_STR(""), track = PB_STR(""), word;
	bool json = pbi_take_json(&args), any = !args.n;
	struct listing l = { .add = json ? add_object : add_line };

	while (pb_str_word(&args, &word)) {
		if (pb_str_starts(word, PB_STR("name=")))
			name = pb_str_from(word, 5);
		else if (pb_str_starts(word, PB_STR("trackname=")))
			track = pb_str_from(word, 10);
	}
	if (!any && !name.n && !track.n) {
		pb_msg_set_retval(m, PB_STR("Empty name and trackname\r\n"));
		return PB_HANDLED;
	}
	wanted_init(&l.name, name, pb_msg_arena(m));
	wanted_init(&l.track, track, pb_msg_arena(m));
	list(&l, cx->bus);
	if (json) {
		struct pb_text t;

		pb_text_init(&t, PB_MSG_LIMIT_BYTES / 2);
		pb_text_addf(&t, "[%.*s]\r\n", PB_STR_F(pb_text_str(&l.t)));
		pb_text_fini(&l.t);
		return pbi_answer(m, &t);
	}
	if (!l.count)
		pb_text_lit(&l.t, "Empty list\r\n");
	return pbi_answer(m, &l.t);
}

/* ---- Switches ------------------------------------------------------------------------------ */

/** Without a boolean word it is only shown. */
static enum pb_verdict trace(struct pb_msg *m, struct pb_bus *b, struct pb_str arg, unsigned what, const char *name,
			     void (*set)(struct pb_bus *b, bool on))
{
	struct pb_text t;

	if (pb_str_is_bool(arg))
		set(b, pb_str_to_bool(arg, false));
	pb_text_init(&t, 1000);
	pb_text_addf(&t, "Message trace %s is %s\r\n", name, atomic_load(&b->timing) & what ? "on" : "off");
	return pbi_answer(m, &t);
}

enum pb_verdict pbi_on_dispatcher(struct pb_msg *m, struct pb_ctx *cx)
{
	struct pb_str args = pbi_command_args(m, "dispatcher");

	if (pb_str_skip_word(&args, PB_STR("handlers")))
		return handlers(m, cx, args);
	if (pb_str_skip_word(&args, PB_STR("trace_msg_time")))
		return trace(m, cx->bus, args, PBI_TIME_MESSAGES, "time", pb_bus_trace_times);
	if (pb_str_skip_word(&args, PB_STR("trace_msg_handler_time")))
		return trace(m, cx->bus, args, PBI_TIME_HANDLERS, "handler time", pb_bus_trace_handler_times);
	return PB_PASS;
}

/* ---- status dispatcher -------------------------------------------------------------------- */

static void add_item(struct listing *l, const struct pb_handler_row *r)
{
	pb_text_addf(&l->t, "%c%.*s=%u|%.*s|%s", l->count > 1 ? ',' : ';', PB_STR_F(r->message), r->priority,
		     PB_STR_F(track_name(r)), r->filter_name.n ? "yes" : "no");
}

enum pb_verdict pbi_on_dispatcher_status(struct pb_msg *m, struct pb_ctx *cx)
{
	struct pb_str sel = pb_msg_get(m, PB_STR("module"));
	struct listing l = { .add = add_item };
	struct pb_text t;
	bool by_track;

	pb_str_skip_word(&sel, PB_STR("dispatcher"));
	by_track = pb_str_skip_word(&sel, PB_STR("handlers-trackname"));
	if (!by_track)
		pb_str_skip_word(&sel, PB_STR("handlers"));
	wanted_init(by_track ? &l.track : &l.name, pb_str_trim(sel), pb_msg_arena(m));
	list(&l, cx->bus);
	pb_text_init(&t, PB_MSG_LIMIT_BYTES / 2);
	pb_text_addf(&t, "name=dispatcher,type=system,format=Priority|TrackName|Filtered;handlers=%u,count=%u%.*s\r\n",
		     l.all, l.count, PB_STR_F(pb_text_str(&l.t)));
	pb_text_fini(&l.t);
	return pbi_answer(m, &t);
}
