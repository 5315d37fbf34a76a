/*
 * The two files that are the engine's own: the main file (yate.conf) and
 * engine.cfg, read together into one immutable thing that a reload exchanges.
 */
#include "bus/engine_impl.h"

#include <errno.h>
#include <unistd.h>

#include "bus/cfg.h"
#include "loop/dns.h"

#define BASE_LIMIT (64u << 20)

/* ---- One reading ------------------------------------------------------------------ */

static int check_dns(struct pbi_base *b, struct pb_findings *f)
{
	struct pb_str servers = b->set.dns_servers;

	if (!servers.n || !pb_dns_check_servers(servers))
		return 0;
	pb_findings_add(f, pb_cfg_at(b->cfg, "dns", "servers"), PB_SEV_ERROR, PB_FIND(CFG_RANGE),
			"'%.*s' is not a list of IP addresses, each with or without a port", PB_STR_F(servers));
	return -EINVAL;
}

static int read_cfg(struct pb_engine *e, struct pbi_base *b, struct pb_findings *f)
{
	struct pb_str path = pb_arena_printf(b->arena, "%s/engine.cfg", e->args.conf_dir);
	int err = path.p ? pb_cfg_load(path.p, f, &b->cfg) : -ENOMEM;

	if (!err)
		err = pb_cfg_read(b->cfg, pbi_cfg_rows, &b->set, b->arena, f);
	return err ? err : check_dns(b, f);
}

/* There was an older parser, with shorter lines, that this file asks for. */
static void check_marker(struct pb_engine *e, struct pbi_base *b, struct pb_findings *f)
{
	struct pb_str path = pb_arena_printf(b->arena, "%s/Configuration_use_old", e->args.conf_dir);

	if (path.p && !access(path.p, F_OK))
		pb_findings_add(f, (struct pb_pos){ path.p, 0, 0 }, PB_SEV_NOTE, PB_FIND(OLD_PARSER),
				"has no effect: all files are read by the one parser there is");
}

/* The same thing in both: engine.cfg counts. */
static void check_both(struct pbi_base *b, struct pb_findings *f)
{
	const struct pb_conf_section *s = pb_conf_section(b->main, PB_STR("general"));
	const struct pb_conf_entry *e = s ? pb_conf_find(s, PB_STR("nodename")) : NULL;

	if (e && pb_cfg_has(b->cfg, "node", "name"))
		pb_findings_add(f, e->key_at, PB_SEV_WARNING, PB_FIND(OVERRIDDEN),
				"'nodename' has no effect: node.name of engine.cfg counts, line %u",
				pb_cfg_at(b->cfg, "node", "name").line);
}

static int read_main(struct pb_engine *e, struct pbi_base *b, struct pb_findings *f)
{
	struct pb_conf_env env = pbi_conf_env(e);
	struct pb_str path = pb_arena_printf(b->arena, "%s/%s.conf", e->args.conf_dir, e->args.name);
	int err;

	env.sets_rules = true;
	pb_conf_free(&b->main);
	err = path.p ? pb_conf_load(path.p, &env, true, f, &b->main) : -ENOMEM;
	if (!err)
		err = pbi_main_read(b->main, &b->yate, b->arena, f);
	check_marker(e, b, f);
	return err;
}

static struct pbi_base *base_new(void)
{
	struct pb_arena *a = pb_arena_new(BASE_LIMIT);
	struct pbi_base *b = a ? pb_arena_alloc(a, sizeof(*b)) : NULL;

	if (b)
		b->arena = a;
	else
		pb_arena_free(&a);
	return b;
}

static void base_free(struct pbi_base *b)
{
	struct pb_arena *a = b->arena;

	pb_conf_free(&b->main);
	pb_cfg_free(&b->cfg);
	pb_arena_free(&a);
}

void pbi_base_free(struct pb_engine *e, struct pbi_base **b)
{
	if (*b && *b != e->base_at_start)
		base_free(*b);
	*b = NULL;
}

void pbi_base_end(struct pb_engine *e)
{
	pbi_base_free(e, &e->base);
	if (e->base_at_start)
		base_free(e->base_at_start);
	e->base_at_start = NULL;
}

int pbi_base_read(struct pb_engine *e, struct pb_findings *f, struct pbi_base **out)
{
	struct pbi_base *b = base_new();
	int err = b ? read_cfg(e, b, f) : -ENOMEM, other = b ? read_main(e, b, f) : -ENOMEM;

	err = err ? err : other;
	if (!err)
		check_both(b, f);
	if (b && err)
		base_free(b);
	*out = err ? NULL : b;
	return err;
}

/* ---- In force ------------------------------------------------------------------------ */

static void set_in_force(struct pb_engine *e, struct pbi_base *b)
{
	e->base = b;
	e->main = b->main;
	e->cfg = b->cfg;
}

static void show_everybody(struct pb_engine *e, struct pbi_base *b)
{
	for (unsigned i = 0; i < PB_LOOPS_MAX; i++)
		e->base_seen[i] = b;
}

int pbi_base_first(struct pb_engine *e, struct pb_findings *f)
{
	struct pbi_base *b = e->base_at_start = base_new();
	int err = b ? read_cfg(e, b, f) : -ENOMEM;

	/* What is wrong with the main file is told when it is read again, unless
	 * nothing can be begun with it. */
	if (!err && read_main(e, b, NULL))
		err = read_main(e, b, f);
	if (err)
		return err;
	set_in_force(e, b);
	e->set = b->set;
	e->yate = b->yate;
	return 0;
}

int pbi_base_again(struct pb_engine *e, struct pb_findings *f)
{
	struct pbi_base *b = e->base;
	int err = read_main(e, b, f);

	if (err)
		return err;
	check_both(b, f);
	set_in_force(e, b);
	e->yate = b->yate;
	show_everybody(e, b);
	return 0;
}

struct take {
	struct pb_engine *e;
	struct pbi_base *b;
};

/* The values that a reload changes; all others are those of the start. */
static void take_values(struct pbi_main *to, const struct pbi_main *from)
{
	to->maxmsgrate = from->maxmsgrate;
	to->maxmsgage = from->maxmsgage;
	to->maxqueued = from->maxqueued;
	to->maxevents = from->maxevents;
	to->timejump = from->timejump;
}

static void take_on_loop(void *arg)
{
	struct take *t = arg;
	unsigned i = pb_loop_index(pb_loop_current());

	t->e->base_seen[i] = t->b;
	if (!i)
		take_values(&t->e->yate, &t->b->yate);
}

struct pbi_base *pbi_base_take(struct pb_engine *e, struct pbi_base *b)
{
	struct take t = { e, b };
	struct pbi_base *old = e->base;
	struct pb_bus_limits limits = pbi_main_limits(&b->yate);

	for (unsigned i = 0; i < pb_loops_count(e->loops); i++)
		pb_loop_call(pb_loops_at(e->loops, i), take_on_loop, &t);
	pb_bus_set_limits(e->bus, &limits);
	if (b->set.log_level != old->set.log_level)
		pb_log_set_level(pb_log_level() + (int)(b->set.log_level - old->set.log_level));
	set_in_force(e, b);
	return old;
}

const struct pbi_base *pbi_base_of(const struct pb_engine *e)
{
	struct pb_loop *l = pb_loop_current();

	return l ? e->base_seen[pb_loop_index(l)] : e->base;
}

/* ---- What is asked of the main file ---------------------------------------------------- */

struct pb_str pb_engine_main(const struct pb_engine *e, struct pb_str section, struct pb_str key)
{
	return pb_conf_get(pbi_base_of(e)->main, section, key);
}

struct pb_str pb_engine_variable(const struct pb_engine *e, struct pb_str name)
{
	return pb_conf_get(e->base_at_start->main, PB_STR("variables"), name);
}

struct pb_telephony pb_engine_telephony(const struct pb_engine *e)
{
	const struct pbi_main *m = &pbi_base_of(e)->yate;

	return (struct pb_telephony){ (unsigned)m->timeout_ms, (unsigned)m->maxroute, (unsigned)m->maxchans };
}
