/*
 * What the recorders of the engines know of one call, for the report of a
 * failure.
 */
#include "site.h"

#include "trace/ladder.h"
#include "trace/trace.h"

struct showing {
	struct pb_ctx cx;
	struct pb_str called;
	struct pb_str keys[8];
	unsigned count;
};

static bool pick(void *arg, const struct pb_flight_info *f)
{
	struct showing *s = arg;

	if (pb_str_eq(f->called, s->called) && f->key_count && s->count < 8)
		s->keys[s->count++] = f->keys[0];
	return true;
}

static void show(void *arg)
{
	struct showing *s = arg;
	struct pb_text t;

	s->count = 0;
	pb_flight_list(s->cx.bus, pick, s);
	for (unsigned i = 0; i < s->count; i++) {
		pb_text_init(&t, 1u << 20);
		trace_show(&s->cx, s->keys[i], TRACE_BRIEF, &t);
		printf("%.*s\n", PB_STR_F(pb_text_str(&t)));
		pb_text_fini(&t);
	}
}

void site_show_call(struct pb_str called)
{
	for (unsigned side = 0; side < site.engines; side++) {
		struct pb_loops *ls = pb_engine_loops(site.engine[side]);

		printf("engine %c:\n", 'A' + (char)side);
		for (unsigned i = 0; i < pb_loops_calls(ls); i++) {
			struct showing s = { .cx = { .bus = pb_engine_bus(site.engine[side]) }, .called = called };

			s.cx.loop = pb_loops_at(ls, i);
			pb_loop_call(s.cx.loop, show, &s);
		}
	}
	fflush(stdout);
}
