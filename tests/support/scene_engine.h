/*
 * An engine with built-in modules in the simulated world, its configuration in
 * a folder of its own that goes with it. What happens leaves words in `seen`.
 */
#ifndef PB_TEST_SCENE_ENGINE_H
#define PB_TEST_SCENE_ENGINE_H

#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bus/engine.h"
#include "loop/world.h"

static struct pb_sim *sim;
static struct pb_engine *engine;
static char conf_dir[64];
static char seen[8192];

static inline void say(const char *word)
{
	size_t n = strlen(seen);

	snprintf(seen + n, sizeof(seen) - n, "%s%s", n ? " " : "", word);
}

/* What was said since the last look. */
static inline struct pb_str look(void)
{
	static char copy[sizeof(seen)];

	memcpy(copy, seen, sizeof(seen));
	seen[0] = '\0';
	return pb_str_z(copy);
}

static inline void conf_write(const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", conf_dir, name);
	f = fopen(path, "w");
	if (!f || fputs(text, f) < 0 || fclose(f))
		abort();
}

static inline void conf_new(void)
{
	snprintf(conf_dir, sizeof(conf_dir), "/tmp/pb-engine-XXXXXX");
	if (!mkdtemp(conf_dir))
		abort();
	seen[0] = '\0';
}

static inline int engine_make(const struct pb_module *const *modules, struct pb_findings *f)
{
	struct pb_engine_args a = { .conf_dir = conf_dir, .node_name = "node", .calls = 3, .scripts = 1,
				    .built_in = modules };

	if (pb_sim_new(1, &sim))
		abort();
	a.world = pb_sim_world(sim);
	return pb_engine_new(&a, f, &engine);
}

static inline int engine_up(const struct pb_module *const *modules)
{
	struct pb_findings *f = pb_findings_new();
	int err = engine_make(modules, f);

	pb_findings_free(&f);
	return err ? err : pb_engine_start(engine);
}

static inline void engine_down(void)
{
	char command[128];

	if (engine)
		pb_engine_stop(engine);
	pb_engine_free(&engine);
	pb_sim_free(&sim);
	snprintf(command, sizeof(command), "rm -r %s", conf_dir);
	if (system(command))
		abort();
}

static inline void pass_ms(uint64_t ms)
{
	pb_sim_run(sim, ms, NULL, NULL);
}

static inline struct pb_loop *at(unsigned i)
{
	return pb_loops_at(pb_engine_loops(engine), i);
}

/* ---- Asking ---------------------------------------------------------------- */

struct asking {
	struct pb_msg *m;
	bool done, handled;
};

static inline void asking_done(struct pb_msg *m, bool handled, void *arg)
{
	struct asking *a = arg;

	a->m = m;
	a->handled = handled;
	a->done = true;
}

static inline void asking_now(void *arg)
{
	struct asking *a = arg;

	pb_bus_dispatch(pb_engine_bus(engine), a->m, NULL, asking_done, a);
}

static inline bool asking_is_done(void *arg)
{
	return ((struct asking *)arg)->done;
}

/* Dispatch `m` on loop `i` and let the world run until it is back. */
static inline struct asking ask_on(unsigned i, struct pb_msg *m)
{
	struct asking a = { .m = m };

	pb_loop_call(at(i), asking_now, &a);
	pb_sim_run(sim, 100000, asking_is_done, &a);
	CU_ASSERT(a.done);
	return a;
}

/* The return value of `name` with one parameter; '-' before it: not handled. */
static inline struct pb_str answer(const char *name, const char *param, const char *value)
{
	static char text[4096];
	struct pb_msg *m = pb_msg_new(pb_str_z(name));
	struct asking a;

	if (param)
		pb_msg_set(m, pb_str_z(param), pb_str_z(value));
	a = ask_on(1, m);
	snprintf(text, sizeof(text), "%s%.*s", a.handled ? "" : "-", PB_STR_F(pb_msg_retval(a.m)));
	pb_msg_free(&a.m);
	return pb_str_z(text);
}

#endif
