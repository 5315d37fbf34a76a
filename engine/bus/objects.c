/*
 * `status objects`: how many there are of what the engine has counts of. Nothing
 * is counted for this: each loop tells its timers and messages, and of every
 * module the counters of its status line that stand for objects.
 */
#include "bus/builtin.h"

#include "bus/bus_impl.h"

/** Counters of modules that count what there is now. */
static bool is_object(struct pb_str key)
{
	static const struct pb_str keys[] = {
		PB_STR_INIT("chans"),	    PB_STR_INIT("dialogs"),  PB_STR_INIT("transactions"),
		PB_STR_INIT("connections"), PB_STR_INIT("conn"),     PB_STR_INIT("contacts"),
		PB_STR_INIT("flows"),	    PB_STR_INIT("scripts"),  PB_STR_INIT("calls"),
		PB_STR_INIT("users"),	    PB_STR_INIT("accounts"), PB_STR_INIT("subscriptions"),
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (pb_str_eq(keys[i], key))
			return true;
	}
	return false;
}

static void tell(struct pb_msg *m, const char *name, int64_t n)
{
	pb_msg_set_int(m, pb_arena_printf(pb_msg_arena(m), "\1o%s", name), n);
}

static void tell_module(struct pb_msg *m, struct pbi_module *mod, struct pb_loop *l)
{
	struct pb_msg *counts = pb_msg_new(PB_STR("counts"));

	if (!counts)
		return;
	pbi_status_counts(mod, l, counts);
	for (size_t i = 0; i < pb_msg_count(counts); i++) {
		const struct pb_param *p = pb_msg_at(counts, i);
		struct pb_str key = pb_str_from(p->name, 2);

		if (p->name.n > 2 && p->name.p[1] == 'c' && is_object(key))
			pb_msg_set(m,
				   pb_arena_printf(pb_msg_arena(m), "\1o%s.%.*s", mod->d->name, PB_STR_F(key)),
				   p->value);
	}
	pb_msg_free(&counts);
}

static bool count_one(void *arg, const struct pb_handler_row *r)
{
	(void)r;
	++*(unsigned *)arg;
	return true;
}

enum pb_verdict pbi_on_objects(struct pb_msg *m, struct pb_ctx *cx)
{
	const struct pbi_bus_loop *pl = pbi_on(cx->bus, cx->loop);
	struct pb_engine *e = cx->module->e;
	unsigned handlers = 0, modules = e->module_count;

	tell(m, "timers", (int64_t)pb_loop_timers(cx->loop));
	tell(m, "messages", (int64_t)(atomic_load(&pl->counts.queued) + atomic_load(&pl->counts.parked)));
	if (!pb_loop_index(cx->loop)) {
		pb_bus_handlers(cx->bus, count_one, &handlers);
		tell(m, "handlers", handlers);
		tell(m, "modules", modules);
	}
	for (unsigned i = 0; i < modules; i++) {
		if (atomic_load(&e->modules[i]->started) && e->modules[i]->d->status)
			tell_module(m, e->modules[i], cx->loop);
	}
	return PB_HANDLED;
}

/* ---- Added up ------------------------------------------------------------------------ */

static bool is_count(const struct pb_param *p)
{
	return p->name.n > 2 && p->name.p[0] == '\1' && p->name.p[1] == 'o';
}

static void add_up(struct pb_msg *sum, const struct pb_msg *part)
{
	for (size_t i = 0; i < pb_msg_count(part); i++) {
		const struct pb_param *p = pb_msg_at(part, i);

		if (is_count(p))
			pb_msg_set_int(sum, p->name,
				       pb_msg_get_int(sum, p->name, 0, INT64_MIN, INT64_MAX) +
					       pb_msg_get_int(part, p->name, 0, INT64_MIN, INT64_MAX));
	}
}

static void write_all(struct pb_text *t, const struct pb_msg *sum)
{
	int64_t total = 0;
	unsigned n = 0;
	char sep = ';';

	for (size_t i = 0; i < pb_msg_count(sum); i++) {
		n += is_count(pb_msg_at(sum, i));
		total += pb_msg_get_int(sum, pb_msg_at(sum, i)->name, 0, 0, INT64_MAX);
	}
	pb_text_addf(t, "name=objects,type=system;enabled=true,counters=%u,objects=%lld", n, (long long)total);
	for (size_t i = 0; i < pb_msg_count(sum); i++) {
		const struct pb_param *p = pb_msg_at(sum, i);

		if (!is_count(p))
			continue;
		pb_text_addf(t, "%c%.*s=%.*s", sep, PB_STR_F(pb_str_from(p->name, 2)), PB_STR_F(p->value));
		sep = ',';
	}
}

void pbi_merge_objects(struct pb_msg *m, struct pb_msg *const *parts, unsigned n, void *arg)
{
	struct pb_str name = pb_msg_get(m, PB_STR("module")), count;
	struct pb_msg *sum = pb_msg_new(PB_STR("sum"));
	struct pb_text t;

	(void)arg;
	if (!sum)
		return;
	for (unsigned i = 0; i < n; i++) {
		if (parts[i])
			add_up(sum, parts[i]);
	}
	pb_str_skip_word(&name, PB_STR("objects"));
	pb_text_init(&t, PB_MSG_LIMIT_BYTES / 2);
	if (name.n) {
		count = pb_msg_get(sum, pb_arena_printf(pb_msg_arena(sum), "\1o%.*s", PB_STR_F(name)));
		pb_text_addf(&t, "name=objects,type=system;enabled=true;%.*s=%.*s", PB_STR_F(name),
			     PB_STR_F(count.p ? count : PB_STR("(not counted)")));
	} else {
		write_all(&t, sum);
	}
	pb_text_lit(&t, "\r\n");
	pb_msg_free(&sum);
	pbi_answer(m, &t);
}
