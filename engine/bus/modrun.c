/*
 * Modules that come and go while the engine runs. Unloading stops a module and
 * frees what it had; its code stays, for it may be on a stack, and its record
 * stays for loading it again. All on the control thread.
 */
#include "bus/engine_impl.h"

#include <errno.h>

#include "bus/bus_impl.h"

static void nothing(void *arg)
{
	(void)arg;
}

/** Every loop has taken over what this thread has posted so far. */
static void flush_loops(struct pb_engine *e)
{
	for (unsigned i = 0; i < pb_loops_count(e->loops); i++)
		pb_loop_call(pb_loops_at(e->loops, i), nothing, NULL);
	pb_loops_turn(e->loops); /* where they have no threads */
}

/* ---- Unloading --------------------------------------------------------------------------- */

struct holding {
	struct pbi_module *m;
	unsigned count;
};

static void count_held(void *arg)
{
	struct holding *h = arg;

	pb_list_each(n, &pbi_on(h->m->e->bus, pb_loop_current())->parked) {
		const struct pbi_slot *s = pb_container(n, struct pbi_slot, node);

		h->count += s->reg->h.contexts == h->m->ctx;
	}
}

static bool is_holding(struct pbi_module *m)
{
	struct holding h = { .m = m };

	for (unsigned i = 0; i < pb_loops_count(m->e->loops); i++)
		pb_loop_call(pb_loops_at(m->e->loops, i), count_held, &h);
	return h.count > 0;
}

/** On each loop: it has nothing any more, not even settings. */
static void empty_context(void *arg)
{
	struct pb_ctx *cx = &((struct pbi_module *)arg)->ctx[pb_loop_index(pb_loop_current())];

	pb_free(cx->state);
	cx->state = cx->shared = NULL;
	cx->settings = NULL;
}

static void free_state(struct pbi_module *m)
{
	for (unsigned i = 0; i < pb_loops_count(m->e->loops); i++)
		pb_loop_call(pb_loops_at(m->e->loops, i), empty_context, m);
	pb_free(m->shared);
	m->shared = NULL;
}

int pbi_module_unload(struct pbi_module *m)
{
	if (!m->d->stoppable || is_holding(m))
		return -EBUSY;
	while (m->reg_count) {
		struct pb_reg *r = m->regs[--m->reg_count];

		pb_bus_remove(m->e->bus, &r, NULL, NULL);
	}
	flush_loops(m->e); /* no handler of it runs, nor will */
	pbi_module_stop(m);
	flush_loops(m->e);
	free_state(m);
	return 0;
}

/* ---- Loading ------------------------------------------------------------------------------- */

static int read_anew(struct pbi_module *m)
{
	struct pb_findings *f = pb_findings_new();
	struct pbi_settings *fresh = NULL;
	int err = f ? pbi_module_read(m, f, &fresh) : -ENOMEM;

	if (!err) {
		pbi_settings_put(m->settings);
		m->settings = fresh;
	}
	pb_findings_free(&f);
	return err;
}

static int start(struct pbi_module *m)
{
	int err = pbi_module_start(m);

	flush_loops(m->e);
	if (!err)
		err = pbi_module_open(m);
	if (!err)
		return 0;
	pbi_module_stop(m);
	flush_loops(m->e);
	free_state(m);
	return err;
}

int pbi_module_load(struct pb_engine *e, struct pb_str file)
{
	int err = pbi_module_find(e, file) ? 0 : pbi_module_add_off(e, file);
	struct pbi_module *m = pbi_module_find(e, file);

	if (!err)
		err = read_anew(m);
	if (!err)
		err = start(m);
	if (!err)
		pbi_ask_and_wait(e, "engine.init", pb_str_z(m->d->name));
	return err;
}
