/* modules/regfile in an engine of two loops, in simulated time. */
#include "../../support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/text.h"
#include "bus/engine.h"
#include "loop/world.h"

extern const struct pb_module pb_module_descriptor;

static const struct pb_module *const built_in[] = { &pb_module_descriptor, NULL };
static char dir[] = "/tmp/pb-regfile-XXXXXX";
static struct pb_sim *sim;
static struct pb_engine *engine;

static void write_conf(const char *text)
{
	char path[100];
	FILE *f;

	snprintf(path, sizeof(path), "%s/regfile.conf", dir);
	f = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(text, f);
	fclose(f);
}

static void set_up(const char *conf)
{
	struct pb_engine_args args = {
		.conf_dir = dir, .calls = 2, .scripts = 1, .built_in = built_in, .node_name = "test"
	};

	strcpy(dir + sizeof(dir) - 7, "XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	write_conf(conf);
	CU_ASSERT_EQUAL_FATAL(pb_sim_new(1, &sim), 0);
	args.world = pb_sim_world(sim);
	CU_ASSERT_EQUAL_FATAL(pb_engine_new(&args, NULL, &engine), 0);
	CU_ASSERT_EQUAL_FATAL(pb_engine_start(engine), 0);
	pb_sim_run(sim, 1, NULL, NULL); /* every loop knows the handlers */
}

static void tear_down(void)
{
	char path[100];

	pb_engine_stop(engine);
	pb_engine_free(&engine);
	pb_sim_free(&sim);
	snprintf(path, sizeof(path), "%s/regfile.conf", dir);
	unlink(path);
	rmdir(dir);
}

struct ask {
	struct pb_msg *m;
	struct pb_text result;
	bool done;
};

/* "handled retval=X name=value ..." in order. */
static void answered(struct pb_msg *m, bool handled, void *arg)
{
	struct ask *a = arg;

	pb_text_addf(&a->result, "%s '%.*s'", handled ? "true" : "false",
		     PB_STR_F(pb_msg_retval(m)));
	for (size_t i = 0; i < pb_msg_count(m); i++) {
		const struct pb_param *p = pb_msg_at(m, i);

		if (!pb_str_eq(p->name, PB_STR("handlers")))
			pb_text_addf(&a->result, " %.*s=%.*s", PB_STR_F(p->name),
				     PB_STR_F(p->value));
	}
	pb_msg_free(&m);
	a->done = true;
}

static void dispatch(void *arg)
{
	struct ask *a = arg;

	pb_bus_dispatch(pb_engine_bus(engine), a->m, NULL, answered, a);
}

static bool is_done(void *arg)
{
	return ((struct ask *)arg)->done;
}

/* Dispatch "name" with "a=b c=d" on a loop and compare what came back. */
static void ask(unsigned loop, const char *name, const char *params, const char *want)
{
	struct ask a = { .m = pb_msg_new(pb_str_z(name)) };
	struct pb_str rest = pb_str_z(params), word, key;

	pb_text_init(&a.result, 100000);
	while (pb_str_word(&rest, &word)) {
		pb_str_cut(&word, '=', &key);
		pb_msg_add(a.m, key, word);
	}
	pb_loop_call(pb_loops_at(pb_engine_loops(engine), loop), dispatch, &a);
	pb_sim_run(sim, 5, is_done, &a);
	CU_ASSERT_TRUE(a.done);
	PB_SAME(pb_text_str(&a.result), want);
	pb_text_fini(&a.result);
}

static const char conf[] =
	"[123]\npassword=mypass123\ncallername=Ann\n[234]\npassword=mypass234\nalternatives=9\n"
	"[345]\nalternatives=9\n[456]\npassword=\n";

static void authenticating(void)
{
	set_up(conf);
	ask(0, "user.auth", "username=123", "true 'mypass123' username=123 callername=Ann");
	ask(1, "user.auth", "username=456", "true '' username=456");
	ask(0, "user.auth", "username=345", "false '' username=345");
	ask(0, "user.auth", "username=nobody", "false '' username=nobody");
	ask(0, "user.auth", "protocol=sip", "false '' protocol=sip");
	ask(0, "user.auth", "username=123 auth_regfile=no",
	    "false '' username=123 auth_regfile=no");
	tear_down();
}

static void routing(void)
{
	set_up(conf);
	ask(0, "call.route", "called=234", "false '' called=234 error=offline");
	ask(0, "call.route", "called=999", "false '' called=999");
	ask(0, "user.register",
	    "username=234 driver=sip data=sip/sip:234@a expires=60 route_params=oconnection_id "
	    "oconnection_id=general",
	    "true '' username=234 driver=sip data=sip/sip:234@a expires=60 "
	    "route_params=oconnection_id "
	    "oconnection_id=general");
	ask(1, "call.route", "caller=123 called=234",
	    "true 'sip/sip:234@a' caller=123 called=234 callername=Ann oconnection_id=general "
	    "driver=sip");
	ask(1, "call.route", "called=234 route_regfile=false",
	    "false '' called=234 route_regfile=false");
	ask(1, "user.register", "username=234 data=sip/sip:234@b q=0.5",
	    "true '' username=234 data=sip/sip:234@b q=0.5");
	ask(1, "call.route", "called=234",
	    "true 'sip/sip:234@a' called=234 oconnection_id=general driver=sip");
	pb_sim_run(sim, 60000, NULL, NULL);
	ask(1, "call.route", "called=234", "true 'sip/sip:234@b' called=234");
	ask(0, "user.unregister", "username=234 data=sip/sip:234@b",
	    "true '' username=234 data=sip/sip:234@b");
	ask(0, "user.unregister", "username=234", "false '' username=234");
	ask(1, "call.route", "called=234", "false '' called=234 error=offline");
	ask(1, "user.register", "username=nobody data=x", "false '' username=nobody data=x");
	tear_down();
}

static void alternatives(void)
{
	set_up(conf);
	ask(0, "call.route", "called=9", "false '' called=9 error=offline");
	ask(0, "user.register", "username=345 data=sip/x driver=sip",
	    "true '' username=345 data=sip/x driver=sip");
	ask(0, "call.route", "called=9", "true 'sip/x' called=9 driver=sip");
	ask(0, "user.register", "username=234 data=iax/y route_params=z z=1",
	    "true '' username=234 data=iax/y route_params=z z=1");
	ask(0, "call.route", "called=9",
	    "true 'fork' called=9 callto.1=iax/y callto.1.z=1 callto.2=sip/x callto.2.driver=sip");
	tear_down();
}

static void connections(void)
{
	set_up("[general]\nautocreate=yes\n");
	ask(0, "user.register", "username=a data=1 connection_id=tcp/1 connection_reliable=true",
	    "true '' username=a data=1 connection_id=tcp/1 connection_reliable=true");
	ask(0, "user.register", "username=b data=2 connection_id=general connection_reliable=false",
	    "true '' username=b data=2 connection_id=general connection_reliable=false");
	ask(1, "engine.status", "module=regfile",
	    "true 'name=regfile,type=misc;create=true,defined=0,users=2;a=1,b=2\r\n' "
	    "module=regfile");
	ask(1, "user.unregister", "connection_id=tcp/1", "false '' connection_id=tcp/1");
	ask(1, "engine.status", "module=regfile",
	    "true 'name=regfile,type=misc;create=true,defined=0,users=1;b=2\r\n' module=regfile");
	tear_down();
}

static void reloading(void)
{
	set_up(conf);
	ask(0, "user.register", "username=234 data=x", "true '' username=234 data=x");
	write_conf("[234]\npassword=new\n[general]\nautocreate=yes\n");
	CU_ASSERT_EQUAL(pb_engine_reload_now(engine, PB_STR("regfile"), NULL), 0);
	ask(1, "user.auth", "username=234", "true 'new' username=234");
	ask(1, "user.auth", "username=123", "false '' username=123");
	ask(0, "call.route", "called=234", "true 'x' called=234");
	ask(0, "user.register", "username=z data=x",
	    "false '' username=z data=x"); /* read at start only */
	tear_down();
}

PB_TESTS("regfile", { "authenticating", authenticating }, { "routing", routing },
	 { "alternatives", alternatives }, { "connections", connections },
	 { "reloading", reloading })
