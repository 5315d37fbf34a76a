/* modules/callcounters in an engine of two loops. sip/1 belongs to loop 1, sip/2 to loop 0. */
#include "../stage.h"

static void open_with(const char *conf)
{
	stage_open();
	stage_file("callcounters", conf);
	stage_start();
}

static void close_stage(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/callcounters.conf", stage_dir);
	unlink(path);
	stage_close();
}

static void counting(void)
{
	open_with("[general]\nparameter=context\n");
	PB_SAME(stage_ask(0, "call.route context=a"),
		"false '' call.route context=a handlers=callcounters:20 context_count=0");
	stage_ask(0, "call.cdr operation=initialize chan=sip/1 direction=incoming"); /* not known yet */
	stage_ask(1, "call.cdr operation=update chan=sip/1 direction=incoming context=a");
	stage_ask(1, "call.cdr operation=update chan=sip/1 direction=incoming context=a");
	stage_ask(0, "call.cdr operation=initialize chan=sip/2 direction=incoming context=a");
	stage_ask(0, "call.cdr operation=initialize chan=sip/3 direction=outgoing context=a");
	stage_ask(0, "call.cdr operation=combined chan=sip/4 direction=incoming context=a");
	stage_ask(0, "call.cdr operation=finalize chan=sip/5 direction=incoming context=a");
	PB_SAME(stage_ask(1, "call.route context=a"),
		"false '' call.route context=a handlers=callcounters:20 context_count=2");
	PB_SAME(stage_ask(1, "call.route"), "false '' call.route handlers=callcounters:20");
	/* the value changes */
	stage_ask(0, "call.cdr operation=update chan=sip/1 direction=incoming context=b_c");
	PB_SAME(stage_ask(1, "call.route context=a"),
		"false '' call.route context=a handlers=callcounters:20 context_count=1");
	stage_ask(1, "call.cdr operation=finalize chan=sip/2 direction=incoming context=a");
	PB_SAME(stage_ask(0, "engine.status module=callcounters"),
		"true 'name=callcounters,type=misc,format=Context|Count;counters=1;b%20c=1\r\n' engine.status "
		"module=callcounters");
	stage_ask(1, "call.cdr operation=finalize chan=sip/1 direction=incoming context=a");
	stage_ask(1, "call.cdr operation=finalize chan=sip/2 direction=incoming context=a");
	PB_SAME(stage_ask(0, "engine.status module=callcounters"),
		"true 'name=callcounters,type=misc,format=Context|Count;counters=0\r\n' engine.status "
		"module=callcounters");
	close_stage();
}

static void choices(void)
{
	open_with("[general]\nparameter=caller\ndirection=\nallcounters=yes\n"
		  "[priorities]\ncall.cdr=30\ncall.route=40\n");
	stage_ask(0, "call.cdr operation=initialize chan=sip/1 direction=outgoing caller=x");
	PB_SAME(stage_ask(0, "call.cdr operation=initialize chan=sip/2 direction=unknown caller=x"),
		"false '' call.cdr operation=initialize chan=sip/2 direction=unknown caller=x "
		"handlers=callcounters:30");
	PB_SAME(stage_ask(0, "call.route caller=y"),
		"false '' call.route caller=y handlers=callcounters:40 caller_count_x=2");
	PB_SAME(stage_ask(0, "call.route caller=x allcounters=no"),
		"false '' call.route caller=x allcounters=no handlers=callcounters:40 caller_count=2");
	close_stage();
}

static void reloading(void)
{
	open_with(""); /* no parameter: nothing is heard */
	PB_SAME(stage_ask(0, "call.route context=a"), "false '' call.route context=a");
	stage_file("callcounters", "[general]\nparameter=context\n");
	CU_ASSERT_EQUAL(pb_engine_reload_now(stage, PB_STR("callcounters"), NULL), 0);
	stage_settle();
	stage_ask(0, "call.cdr operation=initialize chan=sip/1 direction=incoming context=a");
	PB_SAME(stage_ask(0, "call.route context=a allcounters=no"),
		"false '' call.route context=a allcounters=no handlers=callcounters:20 context_count=1");
	stage_file("callcounters", "[general]\nparameter=caller\n[priorities]\ncall.route=50\n");
	CU_ASSERT_EQUAL(pb_engine_reload_now(stage, PB_STR("callcounters"), NULL), 0);
	stage_settle();
	PB_SAME(stage_ask(0, "call.route caller=a allcounters=yes"),
		"false '' call.route caller=a allcounters=yes handlers=callcounters:50");
	stage_file("callcounters", "[general]\n");
	CU_ASSERT_EQUAL(pb_engine_reload_now(stage, PB_STR("callcounters"), NULL), 0);
	stage_settle();
	PB_SAME(stage_ask(0, "call.route caller=a"), "false '' call.route caller=a");
	close_stage();
}

PB_TESTS("callcounters", { "counting", counting }, { "choices", choices }, { "reloading", reloading })
