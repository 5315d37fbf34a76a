/*
 * engine.status: one line a module.
 *
 * A module fills counts and items on each loop; they travel home as parameters
 * of the loop's copy of the message, are added up, and become
 *
 *     name=sip,type=varchans,format=Status|Address|Peer;routed=1,chans=0;sip/1=...
 *
 * A selection other than the module's name, type or nothing goes to the module
 * as it is, which may answer with whole lines (pb_status_line).
 */
#include "bus/engine_impl.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/text.h"

struct pb_status {
	struct pb_msg *m;
	bool details, first;
	struct pb_str selector;
};

void pb_status_head(struct pb_status *s, const char *key, struct pb_str value)
{
	struct pb_str name = pb_arena_printf(pb_msg_arena(s->m), "\1h%s", key);

	if (s->first)
		pb_msg_set(s->m, name, value);
}

void pb_status_count(struct pb_status *s, const char *key, int64_t n)
{
	pb_msg_set_int(s->m, pb_arena_printf(pb_msg_arena(s->m), "\1c%s", key), n);
}

/* Travels with the counters; what is no number is not added up. */
void pb_status_text(struct pb_status *s, const char *key, struct pb_str value)
{
	if (s->first)
		pb_msg_set(s->m, pb_arena_printf(pb_msg_arena(s->m), "\1c%s", key), value);
}

void pb_status_item(struct pb_status *s, struct pb_str id, const char *fmt, ...)
{
	char buf[1024];
	va_list ap;
	int n;

	if (!s->details)
		return;
	va_start(ap, fmt);
	n = vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	if ((size_t)n >= sizeof(buf))
		n = sizeof(buf) - 1;
	pb_msg_add(s->m, pb_arena_printf(pb_msg_arena(s->m), "\1i%.*s", PB_STR_F(id)), pb_str(buf, (size_t)n));
}

void pb_status_line(struct pb_status *s, struct pb_str line)
{
	pb_msg_add(s->m, PB_STR("\1l"), line);
}

bool pb_status_details(const struct pb_status *s)
{
	return s->details;
}

struct pb_str pb_status_selector(const struct pb_status *s)
{
	return s->selector;
}

/* ---- One loop's part ------------------------------------------------------------- */

static bool is_ours(const char *name, struct pb_str sel)
{
	return pb_str_eq(sel, pb_str_z(name));
}

/* Selections meant for this module: none, its name or type, "sip ...", "sip/1". */
static bool selects(void *arg, struct pb_str sel)
{
	const struct pb_module *d = ((struct pbi_module *)arg)->d;
	struct pb_str name = pb_str_z(d->name);

	if (!sel.n || is_ours(d->name, sel) || is_ours(d->status_type, sel))
		return true;
	return pb_str_starts(sel, name) && (sel.p[name.n] == '/' || sel.p[name.n] == ' ');
}

static enum pb_verdict on_status(struct pb_msg *m, struct pb_ctx *cx)
{
	struct pbi_module *mod = cx->arg;
	struct pb_str sel = pb_msg_get(m, PB_STR("module"));
	bool whole = !sel.n || is_ours(mod->d->name, sel) || is_ours(mod->d->status_type, sel);
	struct pb_status s = {
		.m = m,
		.details = pb_msg_get_bool(m, PB_STR("details"), true),
		.first = pb_loop_index(cx->loop) == 0,
		.selector = whole ? PB_STR("") : sel,
	};
	struct pb_ctx own = mod->ctx[pb_loop_index(cx->loop)];

	mod->d->status(&own, &s);
	if (mod->d == &pbi_engine_module && s.first && pb_msg_get_bool(m, PB_STR("reset"), false))
		pb_bus_count_reset(cx->bus);
	if (whole)
		return is_ours(mod->d->name, sel) ? PB_HANDLED : PB_PASS;
	return pb_msg_has(m, PB_STR("\1l")) ? PB_HANDLED : PB_PASS;
}

void pbi_status_counts(struct pbi_module *m, struct pb_loop *l, struct pb_msg *out)
{
	struct pb_status s = { .m = out, .selector = PB_STR("") };
	struct pb_ctx own = m->ctx[pb_loop_index(l)];

	m->d->status(&own, &s);
}

/* ---- Putting the parts together ---------------------------------------------------- */

struct merged {
	struct pb_msg *m; /* counts added up, in order of first mention */
	const struct pb_module *d;
};

static void add_counts(struct pb_msg *sum, const struct pb_msg *part, char kind)
{
	for (size_t i = 0; i < pb_msg_count(part); i++) {
		const struct pb_param *p = pb_msg_at(part, i);

		if (p->name.n < 2 || p->name.p[0] != '\1' || p->name.p[1] != kind)
			continue;
		if (kind == 'c' && !pb_str_to_i64(p->value, 10, INT64_MIN, INT64_MAX, &(int64_t){ 0 }))
			pb_msg_set_int(sum, p->name,
				       pb_msg_get_int(sum, p->name, 0, INT64_MIN, INT64_MAX) +
					       pb_msg_get_int(part, p->name, 0, INT64_MIN, INT64_MAX));
		else
			pb_msg_add(sum, p->name, p->value);
	}
}

static void write_part(struct pb_text *t, const struct pb_msg *sum, char kind, const char *first)
{
	bool any = false;

	for (size_t i = 0; i < pb_msg_count(sum); i++) {
		const struct pb_param *p = pb_msg_at(sum, i);

		if (p->name.n < 2 || p->name.p[1] != kind)
			continue;
		pb_text_add(t, any || kind == 'h' ? PB_STR(",") : pb_str_z(first));
		any = true;
		pb_text_add(t, pb_str_from(p->name, 2));
		pb_text_addc(t, '=');
		pb_text_add(t, p->value);
	}
}

static void write_line(struct pb_text *t, const struct pb_module *d, struct pb_msg *const *parts, unsigned n)
{
	static const char kinds[] = { 'h', 'c', 'i' };
	struct pb_msg *sum = pb_msg_new(PB_STR("sum"));

	if (!sum)
		return;
	for (unsigned k = 0; k < sizeof(kinds); k++) {
		for (unsigned i = 0; i < n; i++) {
			if (parts[i])
				add_counts(sum, parts[i], kinds[k]);
		}
	}
	pb_text_addf(t, "name=%s,type=%s", d->name, d->status_type);
	if (d->status_format)
		pb_text_addf(t, ",format=%s", d->status_format);
	write_part(t, sum, 'h', ",");
	write_part(t, sum, 'c', ";");
	write_part(t, sum, 'i', ";");
	pb_text_lit(t, "\r\n");
	pb_msg_free(&sum);
}

static void write_lines(struct pb_text *t, struct pb_msg *const *parts, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		for (size_t k = 0; parts[i] && k < pb_msg_count(parts[i]); k++) {
			const struct pb_param *p = pb_msg_at(parts[i], k);

			if (!pb_str_eq(p->name, PB_STR("\1l")))
				continue;
			pb_text_add(t, p->value);
			pb_text_lit(t, "\r\n");
		}
	}
}

/* The bus gives merge the message and the parts; which module it is stands in
 * the parts' own parameter, set by nobody else. */
static void merge(struct pb_msg *m, struct pb_msg *const *parts, unsigned n, void *arg)
{
	const struct pbi_module *mod = arg;
	struct pb_str sel = pb_msg_get(m, PB_STR("module"));
	struct pb_text t;

	pb_text_init(&t, PB_MSG_LIMIT_BYTES);
	pb_text_add(&t, pb_msg_retval(m));
	if (!sel.n || is_ours(mod->d->name, sel) || is_ours(mod->d->status_type, sel))
		write_line(&t, mod->d, parts, n);
	else
		write_lines(&t, parts, n);
	pb_msg_set_retval(m, pb_text_str(&t));
	pb_text_fini(&t);
}

int pbi_status_add(struct pbi_module *m)
{
	struct pb_handler_args a = {
		.message = PB_STR("engine.status"),
		.priority = m->d == &pbi_engine_module ? 90 : 110,
		.place = PB_EACH,
		.filter_name = PB_STR("module"),
		.filter = selects,
		.merge = merge,
		.fn = on_status,
		.arg = m,
	};

	return m->d->status && m->d->status_type ? pbi_add(m, &a, NULL) : 0;
}
