/*
 * `cfgmerge`: files are read and written on a helper thread while the command
 * waits. Who asked may be gone when that is done: then nobody is told.
 */
#include <errno.h>

#include "base/alloc.h"
#include "console/command.h"
#include "loop/pool.h"

#define TEXTS_MAX_BYTES 65536

struct console_merge {
	struct pb_job job;
	struct console_conn *c; /* NULL: gone */
	struct pb_engine *engine;
	struct pb_arena *arena;
	struct pb_str name, path;
	int err;
};

/** On a helper thread. */
static void merge(void *arg)
{
	struct console_merge *m = arg;

	m->err = pb_engine_merge_conf(m->engine, m->name, m->arena, &m->path);
}

static void tell(struct console_conn *c, const struct console_merge *m)
{
	struct pb_str path = m->path;

	if (!m->err) {
		console_printf(c, "Saved merged configuration to '%.*s'\r\n", PB_STR_F(path));
		return;
	}
	console_fail(c);
	if (m->err == -EINVAL)
		console_printf(c, "Failed to load configuration file '%.*s'\r\n", PB_STR_F(m->name));
	else
		console_printf(c, "Could not save merged configuration to '%.*s'\r\n", PB_STR_F(path));
}

static void merged(void *arg)
{
	struct console_merge *m = arg;
	struct console_conn *c = m->c;

	if (c) {
		c->merge = NULL;
		tell(c, m);
	}
	pb_arena_free(&m->arena);
	pb_free(m);
	if (c)
		console_command_over(c);
}

void console_merge_forget(struct console_conn *c)
{
	if (c->merge)
		c->merge->c = NULL;
	c->merge = NULL;
}

static struct console_merge *merge_new(void)
{
	struct console_merge *m = pb_alloc_zero(1, sizeof(*m));

	if (!m)
		return NULL;
	m->arena = pb_arena_new(TEXTS_MAX_BYTES);
	if (m->arena)
		return m;
	pb_free(m);
	return NULL;
}

bool console_do_cfgmerge(struct console_conn *c, struct pb_str args)
{
	struct console_merge *m;

	if (!args.n) {
		console_print(c, PB_STR("Missing configuration name\r\n"));
		console_fail(c);
		return true;
	}
	m = merge_new();
	if (!m) {
		console_fail(c);
		return true;
	}
	m->c = c;
	m->engine = c->c->engine;
	m->name = pb_arena_str(m->arena, args);
	m->job = (struct pb_job){ .home = c->c->cx->loop, .run = merge, .done = merged, .arg = m };
	c->merge = m;
	pb_pool_submit(pb_engine_pool(m->engine), &m->job);
	return false;
}
