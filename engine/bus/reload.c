/*
 * Reload in two phases: the main files and every module are read anew; only if
 * nobody finds an error all of it is taken over, module by module and loop by
 * loop. A tentative reload keeps what was in force beside what is, and puts it
 * back by the same exchange unless it is confirmed in time.
 */
#include "bus/engine_impl.h"

#include <errno.h>

#include "base/text.h"
#include "bus/confdiff.h"
#include "bus/configlog.h"

#define LINE_BYTES 1500

const struct pb_log_row pbi_config_rows[] = {
	[PBI_CONFIG_CHANGED] = { "config-001", PB_NOTE, "What a reload finds changed in the files of a module." },
	[PBI_CONFIG_AT_START] = { "config-002", PB_NOTE, "Changed options that take effect at the next start only." },
	[PBI_CONFIG_TENTATIVE] = { "config-003", PB_NOTE, "A reload is in force for some seconds, and for good only "
							  "if it is confirmed in that time." },
	[PBI_CONFIG_KEPT] = { "config-004", PB_NOTE, "A tentative reload was confirmed." },
	[PBI_CONFIG_ROLLED_BACK] = { "config-005", PB_WARN, "A tentative reload was not confirmed in time: what was in "
							    "force before is again. The files are still the new ones." },
	[PBI_CONFIG_BUSY] = { "config-006", PB_WARN, "A reload was refused because one before it is not confirmed yet." },
	[PBI_CONFIG_NOTHING] = { "config-007", PB_NOTE, "There is no tentative reload to confirm." },
	[PBI_CONFIG_NO_MODULE] = { "config-008", PB_NOTE, "No module has the name that was to be reloaded." },
	{ NULL },
};

PB_LOG_SOURCE(pbi_config_log, "config", pbi_config_rows);

/* ---- The exchange ------------------------------------------------------------------- */

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

/* @return what was in force: the caller's now. */
static struct pbi_settings *swap_settings(struct pbi_module *m, struct pbi_settings *fresh)
{
	struct swap s = { m, m->settings, fresh };

	m->settings = fresh;
	for (unsigned i = 0; i < pb_loops_count(m->e->loops); i++)
		pb_loop_call(pb_loops_at(m->e->loops, i), swap_on_loop, &s);
	pb_loop_call(m->home, reload_home, &s);
	return s.old;
}

/* ---- What is said of it --------------------------------------------------------------- */

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

static void say_changed(const char *who, const char *name, const struct pb_conf *was, const struct pb_conf *is)
{
	struct pb_text t;

	pb_text_init(&t, LINE_BYTES);
	if (pbi_conf_diff(was, is, &t))
		PBI_CONFIG_SAY(CHANGED, "%s%s: changed %.*s", who, name, PB_STR_F(pb_text_str(&t)));
	pb_text_fini(&t);
}

static void say_at_start(const char *who, const char *name, const struct pb_opt *rows, const void *was, const void *is)
{
	struct pb_text t;

	pb_text_init(&t, LINE_BYTES);
	if (pbi_opt_diff(rows, PB_OPT_ONCE, was, is, &t))
		PBI_CONFIG_SAY(AT_START, "%s%s: takes effect at the next start: %.*s", who, name,
			       PB_STR_F(pb_text_str(&t)));
	pb_text_fini(&t);
}

static void say_base(const struct pbi_base *was, const struct pbi_base *is)
{
	struct pb_text t;

	say_changed("the main file", "", was->main, is->main);
	say_at_start("the main file", "", pbi_main_rows, &was->yate, &is->yate);
	pb_text_init(&t, LINE_BYTES);
	if (pbi_opt_diff(pbi_cfg_rows, 0, &was->set, &is->set, &t))
		PBI_CONFIG_SAY(CHANGED, "engine.cfg: changed %.*s", PB_STR_F(pb_text_str(&t)));
	pb_text_fini(&t);
	say_at_start("engine.cfg", "", pbi_cfg_rows, &was->set, &is->set);
}

static void say_module(const struct pbi_module *m, const struct pbi_settings *fresh)
{
	say_changed("module ", m->d->name, m->settings->conf, fresh->conf);
	say_at_start("module ", m->d->name, m->d->options, m->settings->data, fresh->data);
}

/* ---- The first phase ---------------------------------------------------------------------- */

/* What takes the place of what: by module, NULL where nothing does. */
struct plan {
	struct pb_str name; /* empty: all */
	struct pbi_base *base;
	struct pbi_settings *settings[PBI_MODULES_MAX];
	unsigned meant;
};

static bool is_meant(const struct pbi_module *m, struct pb_str name)
{
	return m->started && (!name.n || pb_str_eq(name, pb_str_z(m->d->name)));
}

static void plan_free(struct pb_engine *e, struct plan *p)
{
	pbi_base_free(e, &p->base);
	for (unsigned i = 0; i < e->module_count; i++) {
		pbi_settings_put(p->settings[i]);
		p->settings[i] = NULL;
	}
}

/* Everything is read, so that all that is wrong is told at once. */
static int plan_read(struct pb_engine *e, struct plan *p, struct pb_findings *f)
{
	int err = 0;

	if (!p->name.n || pb_str_eq(p->name, PB_STR("engine")))
		err = pbi_base_read(e, f, &p->base);
	for (unsigned i = 0; i < e->module_count; i++) {
		int one;

		if (!is_meant(e->modules[i], p->name))
			continue;
		p->meant++;
		one = pbi_module_read(e->modules[i], f, &p->settings[i]);
		err = err ? err : one;
	}
	/* What a start would live with, a reload does not: the old rules work. */
	if (!err && f && pb_findings_count(f, PB_SEV_ERROR))
		err = -EINVAL;
	return err;
}

static void say_plan(struct pb_engine *e, const struct plan *p)
{
	if (p->base)
		say_base(e->base, p->base);
	for (unsigned i = 0; i < e->module_count; i++) {
		if (p->settings[i])
			say_module(e->modules[i], p->settings[i]);
	}
}

/* ---- The second phase --------------------------------------------------------------------- */

/* The plan's in force, what was in force in the plan. */
static void plan_exchange(struct pb_engine *e, struct plan *p)
{
	if (p->base)
		p->base = pbi_base_take(e, p->base);
	for (unsigned i = 0; i < e->module_count; i++) {
		if (p->settings[i])
			p->settings[i] = swap_settings(e->modules[i], p->settings[i]);
	}
	pbi_ask_and_wait(e, "engine.init", p->name);
	if (p->base)
		pbi_debug_lines(e);
}

/* ---- To be confirmed ------------------------------------------------------------------------ */

struct pbi_undo {
	struct plan plan; /* what to put back */
	char name[64];
	unsigned seconds;
};

/* Until it is done: a request is dropped when too many wait. */
static void on_undo_timer(void *arg)
{
	struct pb_engine *e = arg;
	struct pb_control c = { .request = PB_REQUEST_ROLL_BACK, .code = (int)e->undo_count };

	pb_timer_start(pb_loop_current(), &e->undo_timer, 1000);
	pbi_request(e, &c);
}

static void start_undo_timer(void *arg)
{
	struct pb_engine *e = arg;
	struct pb_loop *l = pb_loop_current();
	uint64_t ms = e->undo->seconds * 1000ull;

	pb_timer_init(&e->undo_timer, on_undo_timer, e);
	pb_timer_start(l, &e->undo_timer, ms);
	atomic_store(&e->undo_due_ms, pb_loop_now_ms(l) + ms);
}

static void stop_undo_timer(void *arg)
{
	struct pb_engine *e = arg;

	pb_timer_stop(&e->undo_timer);
	atomic_store(&e->undo_due_ms, 0);
}

/* From here the plan is the undo's. @return false: no memory, it is in force for good. */
static bool keep_undo(struct pb_engine *e, const struct plan *p, unsigned seconds)
{
	struct pbi_undo *u = pb_alloc_zero(1, sizeof(*u));
	struct pb_text name;

	if (!u)
		return false;
	u->plan = *p;
	u->seconds = seconds;
	pb_text_init_buf(&name, u->name, sizeof(u->name) - 1);
	pb_text_add(&name, p->name);
	u->plan.name = pb_text_str(&name);
	e->undo = u;
	e->undo_count++;
	pb_loop_call(pb_loops_at(e->loops, 0), start_undo_timer, e);
	return true;
}

void pbi_undo_end(struct pb_engine *e)
{
	if (!e->undo)
		return;
	pb_loop_call(pb_loops_at(e->loops, 0), stop_undo_timer, e);
	plan_free(e, &e->undo->plan);
	pb_free(e->undo);
	e->undo = NULL;
}

int pb_engine_keep_now(struct pb_engine *e)
{
	if (!e->undo) {
		PBI_CONFIG_SAY(NOTHING, "there is no reload to confirm");
		return -ENOENT;
	}
	pbi_undo_end(e);
	PBI_CONFIG_SAY(KEPT, "the reload is confirmed: it is in force for good");
	return 0;
}

static void roll_back(struct pb_engine *e, int number)
{
	unsigned seconds;

	/* A confirmation may have come in between, and another reload after it. */
	if (!e->undo || number != (int)e->undo_count)
		return;
	seconds = e->undo->seconds;
	plan_exchange(e, &e->undo->plan);
	pbi_undo_end(e);
	PBI_CONFIG_SAY(ROLLED_BACK, "the reload was not confirmed within %u s: the configuration of before is in force",
		       seconds);
}

uint64_t pb_engine_unconfirmed_ms(const struct pb_engine *e)
{
	uint64_t due = atomic_load(&e->undo_due_ms), now = pb_loop_now_ms(pb_loop_current());

	return due > now ? due - now : 0;
}

/* ---- Asked for ------------------------------------------------------------------------------- */

static void refuse(struct pb_engine *e, struct plan *p)
{
	plan_free(e, p);
	pb_log(&pbi_engine_log, &pbi_engine_rows[PBI_ENG_RELOAD_REFUSED], "reload refused, the old configuration stays");
}

static void take_over(struct pb_engine *e, struct plan *p, unsigned confirm_s)
{
	struct pb_str name = p->name;

	say_plan(e, p);
	plan_exchange(e, p);
	pb_log(&pbi_engine_log, &pbi_engine_rows[PBI_ENG_RELOADED], "configuration reloaded%s%.*s", name.n ? ": " : "",
	       PB_STR_F(name));
	if (confirm_s && keep_undo(e, p, confirm_s))
		PBI_CONFIG_SAY(TENTATIVE, "the reload is rolled back unless it is confirmed within %u s", confirm_s);
	else
		plan_free(e, p);
}

int pb_engine_reload_try(struct pb_engine *e, struct pb_str name, unsigned confirm_s, struct pb_findings *f)
{
	bool all = !name.n || pb_str_eq(name, PB_STR("*")) || pb_str_eq(name, PB_STR("all"));
	struct plan p = { .name = all ? PB_STR("") : name };
	int err;

	if (e->undo) {
		PBI_CONFIG_SAY(BUSY, "reload refused: the one before is neither confirmed nor rolled back yet");
		return -EBUSY;
	}
	err = plan_read(e, &p, f);
	if (f)
		log_findings(f);
	if (err) {
		refuse(e, &p);
		return err;
	}
	if (p.meant) {
		take_over(e, &p, confirm_s);
		return 0;
	}
	if (pbi_ask_and_wait(e, "engine.init", name))
		return 0;
	PBI_CONFIG_SAY(NO_MODULE, "no module '%.*s' to reload", PB_STR_F(name));
	return -ENOENT;
}

int pb_engine_reload_now(struct pb_engine *e, struct pb_str name, struct pb_findings *f)
{
	return pb_engine_reload_try(e, name, 0, f);
}

void pb_engine_obey(struct pb_engine *e, const struct pb_control *c)
{
	struct pb_findings *f;

	if (c->request == PB_REQUEST_RELOAD) {
		f = pb_findings_new();
		pb_engine_reload_try(e, pb_str_z(c->module), c->confirm_s, f);
		pb_findings_free(&f);
	} else if (c->request == PB_REQUEST_CONFIRM) {
		pb_engine_keep_now(e);
	} else if (c->request == PB_REQUEST_ROLL_BACK) {
		roll_back(e, c->code);
	}
}
