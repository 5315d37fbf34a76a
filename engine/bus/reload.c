/*
 * Reload in two phases: every module reads its new configuration; only if none
 * finds an error all take it over, module by module and loop by loop.
 */
#include "bus/engine_impl.h"

#include <errno.h>

#include "base/text.h"

struct swap {
	struct pbi_module *m;
	struct pbi_settings *old, *fresh;
};

static void swap_on_loop(void *arg)
{
	struct swap *s = arg;
	struct pb_ctx *cx = &s->m->ctx[pb_loop_index(pb_loop_current())];

	cx->settings = s->fresh->data;
	if (s->m->d->loop_reload)
		s->m->d->loop_reload(cx, s->old->data);
}

static void reload_home(void *arg)
{
	struct swap *s = arg;
	struct pb_ctx *cx = &s->m->ctx[pb_loop_index(pb_loop_current())];

	if (s->m->d->reload && s->m->d->reload(cx, s->old->data) == PB_RELOAD_RESTART)
		pb_log(&pbi_engine_log, &pbi_engine_rows[PBI_ENG_RESTART],
		       "module %s: part of the new configuration needs a restart", s->m->d->name);
}

static void swap_settings(struct pbi_module *m, struct pbi_settings *fresh)
{
	struct swap s = { m, m->settings, fresh };

	m->settings = fresh;
	for (unsigned i = 0; i < pb_loops_count(m->e->loops); i++)
		pb_loop_call(pb_loops_at(m->e->loops, i), swap_on_loop, &s);
	pb_loop_call(m->home, reload_home, &s);
	pbi_settings_put(s.old);
}

/* In the log, because a terminal may not be there any more. */
static void log_findings(const struct pb_findings *f)
{
	struct pb_text t;
	struct pb_str all, line;

	pb_text_init(&t, 16u << 20);
	pb_findings_print(f, &t);
	all = pb_text_str(&t);
	while (pb_str_cut(&all, '\n', &line)) {
		if (line.n)
			pb_log(&pbi_engine_log, &pbi_engine_rows[PBI_ENG_CONF], "%.*s", PB_STR_F(line));
	}
	pb_text_fini(&t);
}

static bool is_meant(const struct pbi_module *m, struct pb_str name)
{
	return m->started && (!name.n || pb_str_eq(name, pb_str_z(m->d->name)));
}

int pb_engine_reload_now(struct pb_engine *e, struct pb_str name, struct pb_findings *f)
{
	struct pbi_settings *fresh[PBI_MODULES_MAX] = { NULL };
	bool all = !name.n || pb_str_eq(name, PB_STR("*")) || pb_str_eq(name, PB_STR("all"));
	unsigned meant = 0;
	int err = 0;

	if (all)
		name = PB_STR("");
	for (unsigned i = 0; i < e->module_count; i++) {
		if (!is_meant(e->modules[i], name))
			continue;
		meant++;
		int one = pbi_module_read(e->modules[i], f, &fresh[i]);

		err = err ? err : one;
	}
	if (f)
		log_findings(f);
	/* What a start would live with, a reload does not: the old rules work. */
	if (!err && f && pb_findings_count(f, PB_SEV_ERROR))
		err = -EINVAL;
	for (unsigned i = 0; i < e->module_count; i++) {
		if (fresh[i] && err)
			pbi_settings_put(fresh[i]);
		else if (fresh[i])
			swap_settings(e->modules[i], fresh[i]);
	}
	if (err) {
		pb_log(&pbi_engine_log, &pbi_engine_rows[PBI_ENG_RELOAD_REFUSED],
		       "reload refused, the old configuration stays");
		return err;
	}
	pbi_ask_and_wait(e, "engine.init", name);
	pb_log(&pbi_engine_log, &pbi_engine_rows[PBI_ENG_RELOADED], "configuration reloaded%s%.*s", name.n ? ": " : "",
	       PB_STR_F(name));
	return meant ? 0 : -ENOENT;
}
