/* engine/bus: the tracking parameter as yate.conf names it (reference 1.3). */
#include "../../support/scene_engine.h"

static enum pb_verdict on_m(struct pb_msg *m, struct pb_ctx *cx)
{
	(void)m;
	(void)cx;
	return PB_HANDLED;
}

static const struct pb_handler handlers[] = { { "m", 100, PB_HERE, on_m, NULL }, { NULL } };
static const struct pb_module tracked = { .abi = PB_MODULE_ABI,
					  .name = "tracked",
					  .handlers = handlers };
static const struct pb_module *const modules[] = { &tracked, NULL };

/* Which parameter the handler is listed in; "none" when in none. */
static void listed_in(const char *conf, const char *want)
{
	const struct pb_param *p = NULL;
	struct asking a;

	conf_new();
	conf_write("yate.conf", conf);
	CU_ASSERT_EQUAL_FATAL(engine_up(modules), 0);
	a = ask_on(1, pb_msg_new(PB_STR("m")));
	CU_ASSERT(a.handled && pb_msg_count(a.m) < 2);
	p = pb_msg_at(a.m, 0);
	PB_SAME(p ? p->name : PB_STR("none"), want);
	if (p)
		PB_SAME(p->value, "tracked:100");
	pb_msg_free(&a.m);
	engine_down();
}

static void names(void)
{
	listed_in("", "handlers");
	listed_in("[general]\n", "handlers");
	listed_in("[general]\ntrackparam=\n", "handlers");
	listed_in("[general]\ntrackparam=yes\n", "handlers");
	listed_in("[general]\ntrackparam=enable\n", "handlers");
	listed_in("[general]\ntrackparam=no\n", "none");
	listed_in("[general]\ntrackparam=false\n", "none");
	listed_in("[general]\ntrackparam=path\n", "path");
	listed_in("[general]\ntrackparam=No\n", "No"); /* 0.1: no boolean word */
}

PB_TESTS("bus/track", { "1.3 tracking parameter", names })
