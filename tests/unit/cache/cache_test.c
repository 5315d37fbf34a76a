/* modules/cache: what is stored and told, without a database. */
#include "scene.h"

#include "cache/cache.h"

/* Between the two priorities: somebody who knows the network's answer. */
static enum pb_verdict on_route(struct pb_msg *m, struct pb_ctx *cx)
{
	(void)cx;
	if (!pb_msg_get_bool(m, PB_STR("querylnp"), false))
		return PB_PASS;
	if (pb_str_starts(pb_msg_get(m, PB_STR("called")), PB_STR("4"))) {
		pb_msg_set(m, PB_STR("routing"), PB_STR("net"));
		pb_msg_set_bool(m, PB_STR("querylnp"), false);
		pb_msg_set_bool(m, PB_STR("npdi"), true);
	}
	return PB_PASS;
}

static enum pb_verdict on_preroute(struct pb_msg *m, struct pb_ctx *cx)
{
	(void)cx;
	if (!pb_msg_get_bool(m, PB_STR("querycnam"), false) ||
	    pb_str_eq(pb_msg_get(m, PB_STR("caller")), PB_STR("fails")))
		return PB_PASS;
	if (pb_str_eq(pb_msg_get(m, PB_STR("caller")), PB_STR("100")))
		pb_msg_set(m, PB_STR("callername"), PB_STR("Anna"));
	pb_msg_set_bool(m, PB_STR("querycnam"), false);
	return PB_PASS;
}

static const struct pb_handler handlers[] = {
	{ "call.route", 50, PB_HERE, on_route },
	{ "call.preroute", 50, PB_HERE, on_preroute },
	{ NULL },
};
const struct pb_module other = { .abi = PB_MODULE_ABI, .name = "other", .handlers = handlers };

#define STATUS "engine.status module=cache"
#define COUNTS(s) "'name=cache,type=misc,format=Count;" s "\r\n' module=cache "

static void portability(void)
{
	set_up("[lnp]\nenable=yes\n");
	ask(0, "call.route called=41", "called=41 "); /* nobody asked */
	ask(0, "call.route called=41 querylnp=yes", "called=41 querylnp=false routing=net npdi=true ");
	ask(1, STATUS, COUNTS("caches=1;lnp=1"));
	/* told from the table, on the other loop */
	ask(1, "call.route called=41 querylnp=yes routing=x",
	    "called=41 querylnp=false routing=net npdi=true ");
	ask(0, "call.route called=41 querylnp=yes querylnp_cache=no",
	    "called=41 querylnp=false querylnp_cache=no routing=net npdi=true ");
	ask(0, "call.route called=5 querylnp=yes", "called=5 querylnp=yes "); /* nobody knows: not stored */
	ask(0, "call.route querylnp=yes", "querylnp=yes ");
	ask(1, STATUS, COUNTS("caches=1;lnp=1"));
	/* what others found out before */
	ask(0, "call.route called=6 npdi=yes routing=r", "called=6 npdi=yes routing=r ");
	ask(1, STATUS, COUNTS("caches=1;lnp=1"));
	ask(0, "call.route called=6 npdi=yes routing=r cache_lnp_store=yes",
	    "called=6 npdi=yes routing=r cache_lnp_store=yes ");
	ask(0, "call.route called=6 querylnp=yes", "called=6 querylnp=false routing=r npdi=true ");
	tear_down();
}

static void choices(void)
{
	set_up("[lnp]\nenable=yes\nid_param=${country}-${called}\ncopyparams= routing , zone\n"
	       "store_failed_requests=yes\nstore_npdi_before=yes\nshortest_prefix=3\n");
	ask(0, "call.route country=1 called=5 querylnp=yes", "country=1 called=5 querylnp=yes ");
	/* that nobody knows is known */
	ask(0, "call.route country=1 called=5 querylnp=yes",
	    "country=1 called=5 querylnp=false npdi=true ");
	ask(0, "call.route country=2 called=6 npdi=yes zone=z", "country=2 called=6 npdi=yes zone=z ");
	ask(0, "call.route country=2 called=699 querylnp=yes",
	    "country=2 called=699 querylnp=false zone=z npdi=true ");
	ask(0, "call.route country=2 called=7 npdi=yes zone=z cache_lnp_store=no",
	    "country=2 called=7 npdi=yes zone=z cache_lnp_store=no ");
	ask(1, STATUS, COUNTS("caches=1;lnp=2"));
	/* the message names other parameters */
	ask(0, "call.route country=3 called=8 npdi=yes zone=z x=1 cache_lnp_parameters=x",
	    "country=3 called=8 npdi=yes zone=z x=1 cache_lnp_parameters=x ");
	ask(0, "call.route country=3 called=8 querylnp=yes cache_lnp_parameters=x,y",
	    "country=3 called=8 querylnp=false cache_lnp_parameters=x,y x=1 npdi=true ");
	tear_down();
}

static void names(void)
{
	set_up("[cnam]\nenable=yes\n");
	ask(0, "call.preroute caller=100 querycnam=yes", "caller=100 querycnam=false callername=Anna ");
	ask(0, "call.preroute caller=200 querycnam=yes", "caller=200 querycnam=false "); /* has none */
	ask(0, "call.preroute caller=fails querycnam=yes", "caller=fails querycnam=yes ");
	ask(1, STATUS, COUNTS("caches=1;cnam=1"));
	ask(1, "call.preroute caller=100 querycnam=yes callername=x",
	    "caller=100 querycnam=false callername=Anna ");
	reload("[cnam]\nenable=yes\nstore_empty=yes\nstore_failed_requests=yes\n");
	ask(0, "call.preroute caller=200 querycnam=yes", "caller=200 querycnam=false ");
	ask(0, "call.preroute caller=fails querycnam=yes", "caller=fails querycnam=yes ");
	ask(1, STATUS, COUNTS("caches=1;cnam=3"));
	ask(0, "call.preroute caller=fails querycnam=yes", "caller=fails querycnam=false ");
	tear_down();
}

static void expiry(void)
{
	set_up("[general]\nttl=5\nexpire_check_interval=30\n[lnp]\nenable=yes\n[cnam]\nenable=yes\nttl=60\n");
	ask(0, "call.route called=41 querylnp=yes", "called=41 querylnp=false routing=net npdi=true ");
	ask(0, "call.preroute caller=100 querycnam=yes", "caller=100 querycnam=false callername=Anna ");
	pb_sim_run(sim, 9000, NULL, NULL); /* 5 is taken for 10 */
	ask(0, "call.route called=41 querylnp=yes called=9", "called=41 querylnp=false called=9 routing=net npdi=true ");
	pb_sim_run(sim, 2000, NULL, NULL); /* over, though not taken away yet */
	ask(0, STATUS, COUNTS("caches=2;lnp=1,cnam=1"));
	ask(0, "call.route called=41 querylnp=yes querylnp_cache=yes routing=mine",
	    "called=41 querylnp=false querylnp_cache=yes routing=net npdi=true "); /* asked and stored anew */
	pb_sim_run(sim, 8000, NULL, NULL);
	pb_sim_run(sim, 12000, NULL, NULL);
	ask(0, STATUS, COUNTS("caches=2;lnp=0,cnam=1"));
	pb_sim_run(sim, 60000, NULL, NULL);
	ask(0, STATUS, COUNTS("caches=2;lnp=0,cnam=0"));
	tear_down();
}

static void fill(unsigned n)
{
	char text[100], want[100];

	for (unsigned i = 0; i < n; i++) {
		snprintf(text, sizeof(text), "call.route called=%u npdi=yes", i);
		snprintf(want, sizeof(want), "called=%u npdi=yes ", i);
		ask(i % 2, text, want);
	}
}

static void commands(void)
{
	set_up("[lnp]\nenable=yes\nstore_npdi_before=yes\nlimit=50\n");
	fill(60);
	ask(0, STATUS, COUNTS("caches=1;lnp=50"));
	ask(1, "engine.command line=cache_flush_lnp_id=59", "'Cache lnp had it: removed\r\n' line=cache flush lnp id=59 ");
	ask(1, "engine.command line=cache_flush_lnp_id=59",
	    "'Cache lnp had no such item\r\n' line=cache flush lnp id=59 ");
	ask(1, "engine.command line=cache_flush_lnp_regexp=^4.*[0-4]$",
	    "'Cache lnp: 5 removed\r\n' line=cache flush lnp regexp=^4.*[0-4]$ ");
	ask(1, "engine.command line=cache_flush_lnp_regexp=[",
	    "'Cache lnp is not flushed: the expression is broken\r\n' line=cache flush lnp regexp=[ ");
	ask(0, STATUS, COUNTS("caches=1;lnp=44"));
	ask(0, "engine.command line=cache_flush_lnp", "'Cache lnp: 44 removed\r\n' line=cache flush lnp ");
	ask(0, "engine.command line=cache_flush_cnam", "'Cache cnam is not there\r\n' line=cache flush cnam ");
	ask(0, "engine.command line=cache_load_lnp", "'Cache lnp cannot be loaded\r\n' line=cache load lnp ");
	ask(0, "engine.command line=cache_load_lnp_id=1",
	    "'Cache lnp has no query for one item\r\n' line=cache load lnp id=1 ");
	ask(0, "engine.command line=cache_flush_lnp_x=1", "line=cache flush lnp x=1 ");
	ask(0, "engine.command line=cache_eat_lnp", "line=cache eat lnp ");
	fill(10);
	/* switched off by a reload it is empty, and is not asked */
	reload("[cnam]\nenable=yes\n");
	ask(0, "call.route called=1 querylnp=yes", "called=1 querylnp=yes ");
	reload("[lnp]\nenable=yes\nroutebefore=10\n");
	ask(0, STATUS, COUNTS("caches=1;lnp=0"));
	tear_down();
}

/* What check says of a file, and what counts. */
static void settings(void)
{
	static const char text[] = "[general]\nttl=5\nlimit=7\naccount=a\nsize=17\n"
				   "[lnp]\nenable=yes\nloadchunk=1\nttl=20\n"
				   "[cnam]\nenable=yes\nlimit=8\naccount_loadcache=b\nexpire_check_interval=500\n";
	struct pb_arena *a = pb_arena_new(100000);
	struct pb_findings *f = pb_findings_new();
	struct cache_settings s = { 0 };
	struct pb_conf *c;

	CU_ASSERT_EQUAL_FATAL(pb_conf_parse("cache.conf", pb_str_z(text), NULL, f, &c), 0);
	pb_opt_defaults(cache_options, &s, a);
	CU_ASSERT_EQUAL(pb_opt_read(cache_options, c, &s, a, f), 0);
	CU_ASSERT_EQUAL(cache_settings_read(c, &s, a, f), 0);
	CU_ASSERT_EQUAL(pb_findings_count(f, PB_SEV_WARNING), 3); /* 5, 1, 500 */
	CU_ASSERT_EQUAL(s.of[CACHE_LNP].own.ttl_s, 20);
	CU_ASSERT_EQUAL(s.of[CACHE_LNP].own.loadchunk, 500);
	CU_ASSERT_EQUAL(s.of[CACHE_LNP].own.limit, 7);
	CU_ASSERT_EQUAL(s.of[CACHE_LNP].own.check_s, 10);
	CU_ASSERT_EQUAL(s.of[CACHE_LNP].own.maxchunks, 1000);
	PB_SAME(s.of[CACHE_LNP].own.account_load, "a");
	PB_SAME(s.of[CACHE_LNP].id_param, "${called}");
	CU_ASSERT_EQUAL(s.of[CACHE_CNAM].own.ttl_s, 10);
	CU_ASSERT_EQUAL(s.of[CACHE_CNAM].own.limit, 8);
	CU_ASSERT_EQUAL(s.of[CACHE_CNAM].own.check_s, 300);
	PB_SAME(s.of[CACHE_CNAM].own.account, "a");
	PB_SAME(s.of[CACHE_CNAM].own.account_load, "b");
	PB_SAME(s.of[CACHE_CNAM].copyparams, "callername");
	pb_conf_free(&c);
	CU_ASSERT_EQUAL_FATAL(pb_conf_parse("cache.conf", PB_STR("[lnp]\nenable=yes\nquery_save=x\n"), NULL, f, &c), 0);
	memset(&s, 0, sizeof(s));
	pb_opt_defaults(cache_options, &s, a);
	pb_opt_read(cache_options, c, &s, a, f);
	cache_settings_read(c, &s, a, f);
	CU_ASSERT_EQUAL(pb_findings_count(f, PB_SEV_WARNING), 4); /* no account */
	pb_conf_free(&c);
	pb_findings_free(&f);
	pb_arena_free(&a);
}

PB_TESTS("cache", { "settings", settings }, { "number portability", portability }, { "choices", choices }, { "names", names },
	 { "expiry", expiry }, { "commands", commands })
