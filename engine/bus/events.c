/*
 * Events: what modules and alarms tell in module.update, the newest of each
 * sender, and the log of the start. For `events`, `logview`, and whoever hears
 * module.update.
 *
 * All lists live on the module's home loop, but for the log of the start: its
 * lines come from any thread, inside the log's own lock, and nobody reads them
 * before the capture has ended.
 */
#include "bus/builtin.h"

#define TYPES_MAX 64
#define START_LINES_MAX 1000
/** Kept of each type when maxevents says "all". */
#define EVENTS_MAX 1000
#define TEXT_MAX_BYTES 2048
#define TYPE_MAX_BYTES 128

struct event {
	struct pb_list node;
	int level;
	size_t n;
	char text[];
};

/* ---- Lists ----------------------------------------------------------------------- */

static void drop_oldest(struct pbi_event_list *l)
{
	struct event *e = pb_container(l->events.next, struct event, node);

	pb_list_remove(&e->node);
	pb_free(e);
	l->count--;
}

static void clear(struct pbi_event_list *l)
{
	while (l->count)
		drop_oldest(l);
}

static void append(struct pbi_event_list *l, int level, struct pb_str text, unsigned max)
{
	struct event *e;

	text = pb_str_head(text, TEXT_MAX_BYTES);
	e = pb_alloc(sizeof(*e) + text.n);
	if (!e)
		return;
	while (l->count >= max)
		drop_oldest(l);
	e->level = level;
	e->n = text.n;
	memcpy(e->text, text.p, text.n);
	pb_list_push(&l->events, &e->node);
	l->count++;
}

static struct pbi_event_list *find(struct pbi_events *ev, struct pb_str type)
{
	pb_list_each(n, &ev->types) {
		struct pbi_event_list *l = pb_container(n, struct pbi_event_list, node);

		if (pb_str_eq(pb_str_z(l->name), type))
			return l;
	}
	return NULL;
}

static struct pbi_event_list *list_new(struct pbi_events *ev, struct pb_str type)
{
	struct pbi_event_list *l = NULL;

	if (ev->type_count < TYPES_MAX && type.n <= TYPE_MAX_BYTES)
		l = pb_alloc_zero(1, sizeof(*l) + type.n + 1);
	if (!l)
		return NULL;
	l->name = (char *)(l + 1);
	memcpy(l->name, type.p, type.n);
	pb_list_init(&l->events);
	pb_list_push(&ev->types, &l->node);
	ev->type_count++;
	return l;
}

/* ---- Coming in -------------------------------------------------------------------------- */

/** As of a line of the log: that is how it is shown. */
static void add_full_text(struct pb_msg *m, struct pb_str from, struct pb_str text)
{
	struct pb_text t;

	pb_text_init(&t, PB_MSG_LIMIT_BYTES);
	pb_log_add_stamp(&t);
	pb_text_addf(&t, "<%.*s> %.*s", PB_STR_F(from), PB_STR_F(text));
	pb_msg_set(m, PB_STR("fulltext"), pb_text_str(&t));
	pb_text_fini(&t);
}

static void store(struct pbi_events *ev, struct pb_str from, int level, struct pb_str text)
{
	struct pbi_event_list *l = find(ev, from);

	if (ev->closed)
		return;
	l = l ? l : list_new(ev, from);
	if (l)
		append(l, level, text, ev->max);
}

/** On its way to the home loop. */
struct report {
	struct pb_work work;
	struct pbi_events *ev;
	int level;
	size_t from_n, text_n;
	char bytes[]; /* from, text */
};

static void arrives(void *arg)
{
	struct report *r = arg;

	store(r->ev, pb_str(r->bytes, r->from_n), r->level, pb_str(r->bytes + r->from_n, r->text_n));
	pb_free(r);
}

static void send_home(struct pbi_events *ev, struct pb_loop *home, struct pb_str from, int level, struct pb_str text)
{
	struct report *r;

	text = pb_str_head(text, TEXT_MAX_BYTES);
	r = from.n <= TYPE_MAX_BYTES ? pb_alloc(sizeof(*r) + from.n + text.n) : NULL;
	if (!r)
		return;
	*r = (struct report){ { .fn = arrives, .arg = r }, ev, level, from.n, text.n };
	memcpy(r->bytes, from.p, from.n);
	memcpy(r->bytes + from.n, text.p, text.n);
	pb_loop_post(home, &r->work);
}

/* Not a visit home: what is dispatched in order is to be heard in order. */
enum pb_verdict pbi_on_update(struct pb_msg *m, struct pb_ctx *cx)
{
	struct pbi_events *ev = &((struct pbi_builtin *)cx->shared)->events;
	struct pb_str from = pb_msg_get(m, PB_STR("from")), text = pb_msg_get(m, PB_STR("text"));
	int level = pb_msg_get_bool(m, PB_STR("operational"), true) ? PB_NOTE : PB_WARN;
	struct pb_loop *home = pb_engine_home(cx);

	if (!pb_msg_has(m, PB_STR("nodename")))
		pb_msg_set(m, PB_STR("nodename"), pb_engine_run_param(ev->engine, PB_STR("nodename")));
	if (from.n && !pb_msg_get(m, PB_STR("fulltext")).n && text.n)
		add_full_text(m, from, text);
	text = pb_msg_get(m, PB_STR("fulltext"));
	if (!from.n || !text.n)
		return PB_PASS;
	level = (int)pb_msg_get_int(m, PB_STR("level"), level, -1, PB_ALL);
	if (cx->loop == home)
		store(ev, from, level, text);
	else
		send_home(ev, home, from, level, text);
	return PB_PASS;
}

/** An alarm is everybody's to hear. On the thread that raised it. */
void pbi_alarm_event(struct pb_engine *e, enum pb_level level, const char *component, const char *info,
		     struct pb_str text)
{
	struct pb_msg *m = atomic_load(&e->hears_alarms) ? pb_msg_new(PB_STR("module.update")) : NULL;

	if (!m)
		return;
	pb_msg_set_int(m, PB_STR("level"), level);
	pb_msg_set(m, PB_STR("from"), pb_str_z(component));
	if (info)
		pb_msg_set(m, PB_STR("info"), pb_str_z(info));
	pb_msg_set(m, PB_STR("text"), text);
	pb_bus_enqueue(e->bus, m);
}

static void on_line(void *arg, int level, struct pb_str line)
{
	struct pbi_events *ev = arg;

	if (ev->start.count < START_LINES_MAX)
		append(&ev->start, level, line, START_LINES_MAX);
}

/* ---- Life ---------------------------------------------------------------------------------- */

static void set_max(struct pbi_events *ev)
{
	int64_t n = ev->engine->yate.maxevents;

	ev->max = n > 0 && n < EVENTS_MAX ? (unsigned)n : EVENTS_MAX;
}

/* The control thread waits for the walk of engine.init: it changes nothing meanwhile. */
enum pb_verdict pbi_on_init(struct pb_msg *m, struct pb_ctx *cx)
{
	struct pbi_events *ev = &((struct pbi_builtin *)cx->shared)->events;

	(void)m;
	set_max(ev);
	return PB_PASS;
}

void pbi_events_init(struct pbi_events *ev, struct pb_engine *e)
{
	ev->engine = e;
	pb_list_init(&ev->types);
	pb_list_init(&ev->start.events);
	set_max(ev);
	ev->tap = (struct pb_log_tap){ .fn = on_line, .arg = ev };
	if (e->yate.startevents) {
		atomic_store(&ev->capturing, true);
		pb_log_tap_add(&ev->tap);
	}
	atomic_store(&e->hears_alarms, true);
}

static void end_capture(struct pbi_events *ev)
{
	if (!atomic_load(&ev->capturing))
		return;
	pb_log_tap_remove(&ev->tap);
	atomic_store(&ev->capturing, false);
}

void pbi_events_started(struct pb_engine *e)
{
	struct pbi_module *m = pbi_module_find(e, PB_STR("engine"));

	if (m && m->shared)
		end_capture(&((struct pbi_builtin *)m->shared)->events);
}

void pbi_events_fini(struct pbi_events *ev)
{
	if (!ev->engine)
		return;
	atomic_store(&ev->engine->hears_alarms, false);
	end_capture(ev);
	ev->closed = true;
	clear(&ev->start);
	pb_list_each_safe(n, &ev->types) {
		struct pbi_event_list *l = pb_container(n, struct pbi_event_list, node);

		clear(l);
		pb_list_remove(&l->node);
		pb_free(l);
	}
	ev->type_count = 0;
}

/* ---- Going out ----------------------------------------------------------------------------- */

static void write_json(struct pb_text *t, struct pb_str type, const struct pbi_event_list *l)
{
	const char *comma = "";

	pb_text_lit(t, "{\"type\":");
	pb_text_add_json(t, type);
	pb_text_lit(t, ",\"events\":[");
	pb_list_each(n, &l->events) {
		const struct event *e = pb_container(n, struct event, node);

		pb_text_addf(t, "%s{\"level\":\"%s\",\"text\":", comma, pb_log_tag(e->level));
		pb_text_add_json(t, pb_str(e->text, e->n));
		pb_text_addc(t, '}');
		comma = ",";
	}
	pb_text_lit(t, "]}\r\n");
}

static void write_lines(struct pb_text *t, const struct pbi_event_list *l)
{
	pb_text_addf(t, "Events: %u\r\n", l->count);
	pb_list_each(n, &l->events) {
		const struct event *e = pb_container(n, struct event, node);

		pb_text_addf(t, "%.*s\r\n", (int)e->n, e->text);
	}
}

static enum pb_verdict show(struct pb_msg *m, struct pbi_events *ev, struct pb_str type, bool json)
{
	bool log = !type.n || pb_str_eq(type, PB_STR("log"));
	const struct pbi_event_list *l = log ? &ev->start : find(ev, type);
	struct pbi_event_list nothing = { .count = 0 };
	struct pb_text t;

	pb_list_init(&nothing.events);
	if (!l || (log && atomic_load(&ev->capturing)))
		l = &nothing;
	pb_text_init(&t, PB_MSG_LIMIT_BYTES);
	if (json) {
		write_json(&t, log ? PB_STR("log") : type, l);
	} else {
		write_lines(&t, l);
		pb_msg_set_int(m, PB_STR("cmd_header"), 1);
	}
	return pbi_answer(m, &t);
}

static enum pb_verdict forget(struct pb_msg *m, struct pbi_events *ev, struct pb_str type)
{
	bool log = !type.n || pb_str_eq(type, PB_STR("log"));
	struct pbi_event_list *l = log ? &ev->start : find(ev, type);

	if (l && !(log && atomic_load(&ev->capturing)))
		clear(l);
	pb_msg_set_retval(m, PB_STR(""));
	return PB_HANDLED;
}

enum pb_verdict pbi_on_events(struct pb_msg *m, struct pb_ctx *cx)
{
	struct pbi_events *ev = &((struct pbi_builtin *)cx->shared)->events;
	struct pb_str type = pbi_command_args(m, "events");
	bool json = pbi_take_json(&type);

	if (pb_str_skip_word(&type, PB_STR("clear")))
		return forget(m, ev, type);
	return show(m, ev, type, json);
}

enum pb_verdict pbi_on_logview(struct pb_msg *m, struct pb_ctx *cx)
{
	struct pb_str args = pbi_command_args(m, "logview");

	return show(m, &((struct pbi_builtin *)cx->shared)->events, PB_STR("log"), pbi_take_json(&args));
}
