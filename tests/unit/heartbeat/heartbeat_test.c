/* modules/heartbeat in an engine, over the simulated wire. */
#include "../../support/scene_engine.h"

extern const struct pb_module pb_module_descriptor;

static const struct pb_module *const modules[] = { &pb_module_descriptor, NULL };

static void sent(void *arg, uint64_t now_us, const char *what, const struct pb_addr *from, const struct pb_addr *to,
		 struct pb_str bytes)
{
	char addr[PB_ADDR_TEXT], text[128];
	struct pb_str line;

	(void)arg;
	(void)now_us;
	(void)from;
	if (strcmp(what, "sent") != 0)
		return;
	CU_ASSERT_EQUAL(bytes.p[bytes.n - 1], '\0');
	for (unsigned i = 0; i < 3; i++)
		pb_str_cut(&bytes, '\n', &line);
	snprintf(text, sizeof(text), "%.*s:%.*s:%s", PB_STR_F(pb_addr_print(to, addr)), PB_STR_F(line),
		 pb_str_find(bytes, PB_STR("auth=1 ")) >= 0 ? "signed" : "");
	say(text);
}

static void up(const char *conf)
{
	conf_new();
	conf_write("heartbeat.conf", conf);
	CU_ASSERT_EQUAL_FATAL(engine_up(modules), 0);
	pb_sim_set_tap(sim, sent, NULL);
}

static void a_life(void)
{
	up("[general]\nhost=192.0.2.255\nnode=me\n[authentication]\nindex=1\nmethod=md5\nkey=k\n");
	pass_ms(2500);
	PB_SAME(look(), "192.0.2.255:694:st=up:signed 192.0.2.255:694:st=active:signed");
	pb_engine_stop(engine);
	PB_SAME(look(), "192.0.2.255:694:st=dead:signed");
	engine_down();
}

static void no_host(void)
{
	up("[authentication]\nindex=1\nmethod=md5\n");
	pass_ms(5000);
	PB_SAME(look(), "");
	engine_down();
}

static void no_method(void)
{
	up("[general]\nhost=192.0.2.255\nport=7000\n[authentication]\nindex=1\n");
	pass_ms(1500);
	PB_SAME(look(), "192.0.2.255:7000:st=up:");
	engine_down();
}

PB_TESTS("heartbeat", { "a_life", a_life }, { "no_host", no_host }, { "no_method", no_method })
