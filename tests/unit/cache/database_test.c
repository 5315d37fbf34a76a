/* modules/cache with a database: loading, asking for one item, saving, and nobody there. */
#include "scene.h"

static struct pb_text asked; /* queries, each ended by '|' */
static unsigned hold_ms;     /* the database thinks for so long; 0: answers at once */
static bool fails, absent, endless;

struct thinking {
	struct pb_timer timer;
	struct pb_bus *bus;
	struct pb_token token;
	struct pb_msg *m;
};

static void row(struct pb_msg *m, unsigned n, const char *id, const char *routing, const char *expires)
{
	pb_msg_add(m, pb_arena_printf(pb_msg_arena(m), "row.%u.id", n), pb_str_z(id));
	if (routing)
		pb_msg_add(m, pb_arena_printf(pb_msg_arena(m), "row.%u.routing", n), pb_str_z(routing));
	if (expires)
		pb_msg_add(m, pb_arena_printf(pb_msg_arena(m), "row.%u.expires", n), pb_str_z(expires));
}

static void chunk(struct pb_msg *m, unsigned offset, unsigned rows)
{
	char id[20];

	for (unsigned i = 0; i < rows; i++) {
		snprintf(id, sizeof(id), "9%u", offset + i);
		row(m, i + 1, id, "c", NULL);
	}
	pb_msg_set_int(m, PB_STR("rows"), rows);
}

static void fill_in(struct pb_msg *m)
{
	struct pb_str q = pb_msg_get(m, PB_STR("query"));

	if (fails) {
		pb_msg_set(m, PB_STR("error"), PB_STR("failure"));
	} else if (pb_str_eq(q, PB_STR("ALL 0 0"))) {
		row(m, 1, "41", "a", NULL);
		row(m, 2, "42", NULL, "1700000030");
		row(m, 3, "43", "over", "1600000000");
		pb_msg_add(m, PB_STR("row.3.other"), PB_STR("x"));
		pb_msg_set_int(m, PB_STR("rows"), 3);
	} else if (pb_str_eq(q, PB_STR("ALL 500 0"))) {
		chunk(m, 0, 500);
	} else if (pb_str_eq(q, PB_STR("ALL 500 500"))) {
		chunk(m, 500, endless ? 500 : 20);
	} else if (pb_str_eq(q, PB_STR("ONE '51'"))) {
		row(m, 1, "51", "one", NULL);
	} else if (pb_str_eq(q, PB_STR("ONE '5''\\\\'"))) {
		row(m, 1, "5'\\", "odd", NULL);
	}
}

static void thought(void *arg)
{
	struct thinking *t = arg;
	struct pb_patch *p = pb_patch_new();

	fill_in(t->m);
	pb_patch_replace(p, &t->m);
	pb_bus_resume(t->bus, t->token, p, PB_HANDLED);
	free(t);
}

static enum pb_verdict on_database(struct pb_msg *m, struct pb_ctx *cx)
{
	struct thinking *t;

	CU_ASSERT_TRUE(pb_str_starts(pb_msg_get(m, PB_STR("account")), PB_STR("acc")));
	pb_text_addf(&asked, "%.*s%s|", PB_STR_F(pb_msg_get(m, PB_STR("query"))),
		     pb_msg_get_bool(m, PB_STR("results"), true) ? "" : " -");
	if (absent)
		return PB_PASS;
	if (!hold_ms) {
		fill_in(m);
		return PB_HANDLED;
	}
	t = calloc(1, sizeof(*t));
	t->bus = cx->bus;
	t->m = pb_msg_copy(m);
	t->token = pb_bus_hold(m, &(struct pb_hold){ 0 });
	pb_timer_init(&t->timer, thought, t);
	pb_timer_start(cx->loop, &t->timer, hold_ms);
	return PB_HOLD;
}

static const struct pb_handler handlers[] = {
	{ "database", 100, PB_HERE, on_database },
	{ NULL },
};
const struct pb_module other = { .abi = PB_MODULE_ABI, .name = "other", .handlers = handlers };

static unsigned told; /* that nobody answers */

static void on_line(void *arg, int level, struct pb_str line)
{
	(void)arg;
	(void)level;
	told += pb_str_ends(line, PB_STR("[cache-002]"));
}

static struct pb_log_tap tap = { .fn = on_line };

static void begin(const char *conf)
{
	pb_text_init(&asked, 100000);
	told = 0;
	pb_log_tap_add(&tap);
	set_up(conf);
}

static void end(void)
{
	tear_down();
	pb_log_tap_remove(&tap);
	pb_text_fini(&asked);
	hold_ms = 0;
	fails = absent = endless = false;
}

static void were_asked(const char *want)
{
	PB_SAME(pb_text_str(&asked), want);
	pb_text_reset(&asked);
}

#define STATUS "engine.status module=cache"
#define COUNTS(s) "'name=cache,type=misc,format=Count;" s "\r\n' module=cache "

static void loading(void)
{
	hold_ms = 100;
	begin("[general]\naccount=acc\n[lnp]\nenable=yes\nquery_loadcache=ALL ${chunk} ${offset}\n"
	      "reload_interval=20\n");
	pb_sim_run(sim, 200, NULL, NULL);
	were_asked("ALL 0 0|");
	ask(0, STATUS, COUNTS("caches=1;lnp=2"));
	ask(1, "call.route called=41 querylnp=yes", "called=41 querylnp=false routing=a npdi=true ");
	ask(1, "call.route called=42 querylnp=yes", "called=42 querylnp=false npdi=true ");
	pb_sim_run(sim, 21000, NULL, NULL);
	were_asked("ALL 0 0|");
	pb_sim_run(sim, 10000, NULL, NULL); /* 42 is over, by its own time */
	ask(1, "call.route called=42 querylnp=yes", "called=42 querylnp=yes ");
	ask(0, "engine.command line=cache_load_lnp", "'Cache lnp is being loaded\r\n' line=cache load lnp ");
	pb_sim_run(sim, 200, NULL, NULL);
	were_asked("ALL 0 0|");
	end();
}

static void chunks(void)
{
	begin("[general]\naccount=acc1\naccount_loadcache=acc2\nloadchunk=100\n"
	      "[lnp]\nenable=yes\nquery_loadcache=ALL ${chunk} ${offset}\n");
	were_asked("ALL 500 0|ALL 500 500|");
	ask(0, STATUS, COUNTS("caches=1;lnp=520"));
	end();
	endless = true;
	begin("[general]\naccount=acc\nloadchunk=500\n"
	      "[lnp]\nenable=yes\nmaxchunks=2\nquery_loadcache=ALL ${chunk} ${offset}\n");
	were_asked("ALL 500 0|ALL 500 500|");
	ask(0, STATUS, COUNTS("caches=1;lnp=1000"));
	end();
}

static void one_item(void)
{
	struct question q, r;

	hold_ms = 300;
	begin("[lnp]\nenable=yes\naccount=acc\nquery_loaditem=ONE '${id}'\nttl=100\n");
	question_begin(&q, 0, "call.route called=51 querylnp=yes");
	question_begin(&r, 1, "call.route called=52 querylnp=yes");
	pb_sim_run(sim, 200, NULL, NULL);
	CU_ASSERT_FALSE(q.done || r.done); /* held, and nobody waits */
	question_end(&q, "called=51 querylnp=false routing=one npdi=true ");
	question_end(&r, "called=52 querylnp=yes ");
	were_asked("ONE '51'|ONE '52'|");
	ask(1, "call.route called=51 querylnp=yes", "called=51 querylnp=false routing=one npdi=true ");
	ask(1, "engine.command line=cache_load_lnp_id=5'\\",
	    "'Cache lnp: 1 loaded\r\n' line=cache load lnp id=5'\\ ");
	ask(1, "engine.command line=cache_load_lnp_id=53", "'Cache lnp: 0 loaded\r\n' line=cache load lnp id=53 ");
	were_asked("ONE '5''\\\\'|ONE '53'|");
	ask(0, STATUS, COUNTS("caches=1;lnp=2"));
	hold_ms = 0; /* at once */
	ask(1, "engine.command line=cache_flush_lnp", "'Cache lnp: 2 removed\r\n' line=cache flush lnp ");
	ask(0, "call.route called=51 querylnp=yes", "called=51 querylnp=false routing=one npdi=true ");
	were_asked("ONE '51'|");
	/* the database is lost in thought: the call goes on in time */
	hold_ms = 60000;
	question_begin(&q, 0, "call.route called=54 querylnp=yes");
	pb_sim_run(sim, 9900, NULL, NULL);
	CU_ASSERT_FALSE(q.done);
	pb_sim_run(sim, 200, NULL, NULL);
	CU_ASSERT_TRUE(q.done);
	question_end(&q, "called=54 querylnp=yes ");
	pb_sim_run(sim, 60000, NULL, NULL);
	/* and one is held when the engine stops */
	hold_ms = 5;
	question_begin(&q, 1, "call.route called=55 querylnp=yes");
	pb_sim_run(sim, 10, NULL, NULL);
	CU_ASSERT_TRUE(q.done);
	pb_text_fini(&q.answer);
	end();
}

static void saving(void)
{
	begin("[general]\naccount=acc\nttl=1000\nexpire_check_interval=10\n[lnp]\nenable=yes\nstore_npdi_before=yes\n"
	      "query_save=SAVE '${id}' '${routing}' ${expires}\nquery_expire=EXPIRE\n");
	ask(0, "call.route called=1' npdi=yes routing=r", "called=1' npdi=yes routing=r ");
	were_asked("SAVE '1''' 'r' 1700001000 -|");
	pb_sim_run(sim, 10500, NULL, NULL);
	were_asked("EXPIRE -|");
	fails = true; /* it is remembered all the same */
	ask(0, "call.route called=2 npdi=yes routing=r", "called=2 npdi=yes routing=r ");
	ask(0, STATUS, COUNTS("caches=1;lnp=2"));
	end();
}

/* Said once, until a reload. */
static void nobody(void)
{
	absent = true;
	begin("[lnp]\nenable=yes\naccount=acc\nquery_loaditem=ONE '${id}'\nquery_loadcache=ALL\n");
	CU_ASSERT_EQUAL(told, 1);
	ask(0, "call.route called=51 querylnp=yes", "called=51 querylnp=yes ");
	ask(0, "call.route called=52 querylnp=yes", "called=52 querylnp=yes ");
	CU_ASSERT_EQUAL(told, 1);
	reload("[lnp]\nenable=yes\naccount=acc\nquery_loaditem=ONE '${id}'\n");
	ask(0, "call.route called=51 querylnp=yes", "called=51 querylnp=yes ");
	CU_ASSERT_EQUAL(told, 2);
	end();
}

PB_TESTS("cache/database", { "loading", loading }, { "chunks", chunks }, { "one item", one_item },
	 { "saving", saving }, { "nobody answers", nobody })
