/*
 * The site. One thread runs everything, so what the witnesses and phones know is
 * plain memory; to reach into an engine they still post, as a module would.
 */
#include "site.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct site site;

/* ---- What is wrong ---------------------------------------------------------- */

void site_fail(const char *fmt, ...)
{
	va_list ap;

	if (site.tolerant || ++site.failures > 20)
		return;
	printf("seed %llu: ", (unsigned long long)site.seed);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
}

/* ---- The log ------------------------------------------------------------------ */

static void mix(struct site_log *log, const void *p, size_t n)
{
	const unsigned char *c = p;

	for (size_t i = 0; i < n; i++)
		log->hash = (log->hash ^ c[i]) * 0x100000001b3u;
}

static void mix_str(struct site_log *log, struct pb_str s)
{
	mix(log, &s.n, sizeof(s.n));
	mix(log, s.p, s.n);
}

static void on_wire(void *arg, uint64_t now_us, const char *what, const struct pb_addr *from,
		    const struct pb_addr *to, struct pb_str bytes)
{
	char a[PB_ADDR_TEXT], b[PB_ADDR_TEXT];
	struct pb_str f = pb_addr_print(from, a), t = pb_addr_print(to, b);

	(void)arg;
	site.wire.lines++;
	mix(&site.wire, &now_us, sizeof(now_us));
	mix_str(&site.wire, pb_str_z(what));
	mix_str(&site.wire, f);
	mix_str(&site.wire, t);
	mix_str(&site.wire, bytes);
	if (site.trace)
		fprintf(site.trace, "%.6f wire %s %.*s > %.*s\n%.*s\n", (double)now_us / 1e6, what,
			PB_STR_F(f), PB_STR_F(t), PB_STR_F(bytes));
}

static void trace_message(const struct pb_msg *m, bool handled, const struct pb_ctx *cx)
{
	fprintf(site.trace, "%.6f bus %c/%u %.*s %s '%.*s'\n",
		(double)pb_loop_now_us(cx->loop) / 1e6, 'A' + (char)site_side(cx),
		pb_loop_index(cx->loop), PB_STR_F(pb_msg_name(m)), handled ? "handled" : "passed",
		PB_STR_F(pb_msg_retval(m)));
	for (size_t i = 0; i < pb_msg_count(m); i++) {
		const struct pb_param *p = pb_msg_at(m, i);

		if (p->value.n < 200)
			fprintf(site.trace, "    %.*s=%.*s\n", PB_STR_F(p->name),
				PB_STR_F(p->value));
	}
}

static void on_message(const struct pb_msg *m, bool handled, struct pb_ctx *cx)
{
	uint64_t head[] = { site_side(cx), pb_loop_index(cx->loop), pb_loop_now_us(cx->loop),
			    handled };

	site.bus.lines++;
	mix(&site.bus, head, sizeof(head));
	mix_str(&site.bus, pb_msg_name(m));
	mix_str(&site.bus, pb_msg_retval(m));
	for (size_t i = 0; i < pb_msg_count(m); i++) {
		mix_str(&site.bus, pb_msg_at(m, i)->name);
		mix_str(&site.bus, pb_msg_at(m, i)->value);
	}
	if (site.trace && !pb_str_eq(pb_msg_name(m), PB_STR("engine.timer")))
		trace_message(m, handled, cx);
}

unsigned site_side(const struct pb_ctx *cx)
{
	unsigned side = 0;

	while (side < site.engines - 1 && site.engine[side] != pb_engine_of(cx))
		side++;
	return side;
}

int site_watch(struct pb_ctx *cx)
{
	struct pb_loop *first = pb_loops_at(pb_loop_set(cx->loop), 0);
	struct pb_hook_args args = { .fn = on_message, .contexts = pb_engine_ctx(cx, first) };

	return pb_bus_hook_add(cx->bus, &args, &site.hooks[site_side(cx)]);
}

void site_unwatch(struct pb_ctx *cx)
{
	pb_bus_remove(cx->bus, &site.hooks[site_side(cx)], NULL, NULL);
}

/* ---- Opening -------------------------------------------------------------------- */

static void open_engine(unsigned side, const struct site_args *args)
{
	static char dirs[8][256], conf[256];
	static const char *list[9];
	const struct pb_module *built_in[] = { args->witness, NULL };
	static const char *const names[SITE_ENGINES] = { "A", "B" };
	struct pb_engine_args ea = {
		.world = pb_sim_world(site.sim),
		.conf_dir = conf,
		.module_dirs = list,
		.node_name = names[side],
		.calls = SITE_LOOPS,
		.scripts = 1,
		.built_in = built_in,
	};
	struct pb_findings *f = pb_findings_new();

	snprintf(conf, sizeof(conf), PB_SOURCE_DIR "/tests/data/simulation/%s", args->conf);
	memset(list, 0, sizeof(list));
	for (unsigned i = 0; args->modules[i] && i < 8; i++) {
		snprintf(dirs[i], sizeof(dirs[i]), PB_BUILD_DIR "/modules/%s/.libs",
			 args->modules[i]);
		list[i] = dirs[i];
	}
	if (pb_engine_new(&ea, f, &site.engine[side]) != 0 ||
	    pb_engine_start(site.engine[side]) != 0) {
		fprintf(stderr, "engine %s does not start\n", names[side]);
		abort();
	}
	pb_findings_free(&f);
}

static void open_phones(void *arg)
{
	struct sip_ua_args a = { .loop = site.phones, .net = site.phone_net, .ops = arg };
	struct sip_listener_args l = { .name = PB_STR("phones") };

	pb_addr_parse(PB_STR("0.0.0.0"), 5060, &l.local);
	if (sip_ua_new(&a, &site.ua) != 0 ||
	    sip_transport_listen(sip_ua_transport(site.ua), &l) != 0)
		abort();
}

static void make_phones(const struct site_args *args)
{
	struct pb_loops_args a = { .calls = 1, .world = pb_sim_world(site.sim) };

	if (pb_loops_new(&a, &site.phone_loops) != 0 || pb_loops_start(site.phone_loops) != 0 ||
	    sip_net_new(1, &site.phone_net) != 0)
		abort();
	site.phones = pb_loops_at(site.phone_loops, 0);
	pb_loop_call(site.phones, open_phones, (void *)(uintptr_t)args->phones);
}

static struct pb_loop *loop_of(unsigned side, unsigned i)
{
	return pb_loops_at(pb_engine_loops(site.engine[side]), i);
}

void site_open(const struct site_args *args)
{
	memset(&site, 0, sizeof(site));
	site.seed = args->seed;
	site.engines = args->engines;
	site.trace = args->trace;
	pb_log_set_level(PB_WARN);
	if (pb_sim_new(args->seed, &site.sim) != 0)
		abort();
	for (unsigned side = 0; side < site.engines; side++)
		open_engine(side, args);
	make_phones(args);
	pb_sim_run(site.sim, 10, NULL, NULL);
	for (unsigned side = 0; side < site.engines; side++) {
		for (unsigned i = 0; i < SITE_LOOPS; i++)
			site.idle_timers[side][i] = pb_loop_timers(loop_of(side, i));
	}
	pb_sim_set_link(site.sim, &args->link);
	pb_sim_set_tap(site.sim, on_wire, NULL);
}

static void close_phones(void *arg)
{
	(void)arg;
	sip_ua_free(&site.ua);
}

void site_close(void)
{
	pb_loops_stop(site.phone_loops);
	pb_loop_call(site.phones, close_phones, NULL);
	for (unsigned side = 0; side < site.engines; side++) {
		pb_engine_stop(site.engine[side]);
		pb_engine_free(&site.engine[side]);
	}
	pb_loops_free(&site.phone_loops);
	sip_net_free(&site.phone_net);
	pb_sim_free(&site.sim);
}

/* ---- Nothing is left -------------------------------------------------------------- */

struct question {
	unsigned side;
	struct pb_msg *m;
	bool done;
};

static void answered(struct pb_msg *m, bool handled, void *arg)
{
	struct question *q = arg;

	(void)handled;
	q->m = m;
	q->done = true;
}

static void ask_status(void *arg)
{
	struct question *q = arg;
	struct pb_msg *m = pb_msg_new(PB_STR("engine.status"));

	pb_msg_set(m, PB_STR("module"), PB_STR("sip"));
	pb_bus_dispatch(pb_engine_bus(site.engine[q->side]), m, NULL, answered, q);
}

static bool is_done(void *arg)
{
	return ((struct question *)arg)->done;
}

/* "...;routed=5,chans=0" has the count that name says. */
static void expect_zero(unsigned side, struct pb_str lines, const char *name)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "%s=", name);
	struct pb_str rest = lines, number;
	ptrdiff_t at;
	bool found = false;

	while ((at = pb_str_find(rest, pb_str(text, (size_t)n))) >= 0) {
		bool whole = at > 0 && (rest.p[at - 1] == ',' || rest.p[at - 1] == ';');

		rest = pb_str_from(rest, (size_t)at + (size_t)n);
		number = pb_str_head(rest, 1);
		found |= whole;
		if (whole && !pb_str_eq(number, PB_STR("0")))
			site_fail("engine %c: %s=%.*s at the end", 'A' + (char)side, name,
				  PB_STR_F(pb_str_head(rest, rest.n < 8 ? rest.n : 8)));
	}
	if (!found)
		site_fail("engine %c: no %s in its status", 'A' + (char)side, name);
}

static void expect_status(unsigned side)
{
	static const char *const zero[] = { "routing", "chans", "transactions", "dialogs" };
	struct question q = { .side = side };

	pb_loop_call(loop_of(side, 0), ask_status, &q);
	if (!pb_sim_run(site.sim, 1000, is_done, &q)) {
		site_fail("engine %c does not say its status", 'A' + (char)side);
		return;
	}
	for (size_t i = 0; i < sizeof(zero) / sizeof(zero[0]); i++)
		expect_zero(side, pb_msg_retval(q.m), zero[i]);
	if (site.trace)
		fprintf(site.trace, "%.*s\n", PB_STR_F(pb_msg_retval(q.m)));
	pb_msg_free(&q.m);
}

void site_expect_idle(void)
{
	for (unsigned side = 0; side < site.engines; side++) {
		struct pb_bus_counts n;

		expect_status(side);
		pb_bus_count(pb_engine_bus(site.engine[side]), &n);
		if (n.parked || n.queued)
			site_fail("engine %c: %llu parked, %llu queued", 'A' + (char)side,
				  (unsigned long long)n.parked, (unsigned long long)n.queued);
		for (unsigned i = 0; i < SITE_LOOPS; i++) {
			size_t timers = pb_loop_timers(loop_of(side, i));

			if (timers != site.idle_timers[side][i])
				site_fail("engine %c, loop %u: %zu timers, %zu at first",
					  'A' + (char)side, i, timers, site.idle_timers[side][i]);
		}
	}
}

uint64_t site_draw_ms(uint64_t from, uint64_t span)
{
	uint32_t r;

	pb_loop_random(pb_loop_current(), &r, sizeof(r));
	return span ? from + r % span : from;
}
