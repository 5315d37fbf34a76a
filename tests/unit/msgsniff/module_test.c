/* modules/msgsniff in an engine: on, off, and what a message costs meanwhile. */
#include "../stage.h"

static unsigned wild; /* handlers of every message */

static bool count(void *arg, const struct pb_handler_row *r)
{
	(void)arg;
	wild += !r->message.n;
	return true;
}

static void count_wild(void *arg)
{
	(void)arg;
	wild = 0;
	pb_bus_handlers(pb_engine_bus(stage), count, NULL);
}

static unsigned wildcards(unsigned loop)
{
	pb_loop_call(pb_loops_at(pb_engine_loops(stage), loop), count_wild, NULL);
	return wild;
}

/* Numbers and pointers differ from run to run: each becomes '#'. */
static struct pb_str plain(struct pb_str s)
{
	static char out[65536];
	struct pb_text t;

	pb_text_init_buf(&t, out, sizeof(out));
	for (size_t i = 0; i < s.n;) {
		bool value = i && s.p[i - 1] == '=' && pb_is_digit(s.p[i]);

		if (!value) {
			pb_text_addc(&t, s.p[i++]);
			continue;
		}
		pb_text_addc(&t, '#');
		while (i < s.n && s.p[i] != ' ' && s.p[i] != '\r')
			i++;
	}
	return pb_text_str(&t);
}

static void switches(void)
{
	stage_open();
	stage_start();
	CU_ASSERT_EQUAL(wildcards(0), 0);
	PB_SAME(stage_ask(0, "engine.command line=sniffer"),
		"true 'Message sniffer: off\r\n' engine.command line=sniffer");
	PB_SAME(stage_ask(1, "engine.command line=sniffer_on_filter_^call"),
		"true 'Message sniffer: on, timer: off\r\nMessage: ^call\r\n' engine.command "
		"line=sniffer on filter ^call");
	stage_settle();
	CU_ASSERT_EQUAL(wildcards(1), 1);
	(void)stage_log();
	stage_ask(1, "chan.startup");
	stage_ask(1, "call.route called=234");
	PB_SAME(plain(stage_log()), "Sniffed 'call.route' time=# age=#\r\n  thread=# 'patchbay/1'\r\n"
				    "  data=(nil)\r\n  retval=''\r\n  param['called'] = '234'|"
				    "Returned false 'call.route' delay=#\r\n  thread=# 'patchbay/1'\r\n"
				    "  data=(nil)\r\n  retval=''\r\n  param['called'] = '234'|");
	PB_SAME(stage_ask(0, "engine.command line=sniffer_off"),
		"true 'Message sniffer: off\r\nMessage: ^call\r\n' engine.command line=sniffer off");
	stage_settle();
	CU_ASSERT_EQUAL(wildcards(0), 0);
	(void)stage_log();
	stage_ask(1, "call.route called=234");
	PB_SAME(stage_log(), "");
	pb_test_proves("YM-63");
	stage_close();
}

static void starts_on(void)
{
	stage_open();
	stage_file("yate", "[general]\nmsgsniff=yes\nfiltersniff=^a$\nagesniff=0\n"
			   "filtersniffparams=x=^1\nmsgsniff_trackname=yes\n");
	stage_start();
	PB_SAME(stage_ask(0, "engine.command line=sniffer"),
		"true 'Message sniffer: on, timer: off\r\nMessage: ^a$\r\nParams\r\n  x: ^1\r\n' "
		"engine.command line=sniffer handlers=msgsniff:0");
	(void)stage_log();
	stage_ask(0, "a x=2");
	stage_ask(0, "b x=1");
	PB_SAME(stage_log(), "");
	stage_ask(0, "a x=12");
	CU_ASSERT_TRUE(pb_str_starts(stage_log(), PB_STR("Sniffed 'a' ")));
	stage_close();
}

/* Rules of their own in the file, and what is told of channels: read again. */
static void named_rules(void)
{
	stage_open();
	stage_file("yate", "[general]\nmsgsniff:one=filter=^a$ age=0\nmsgsniff:two=filter=^b$ params x=^1\n"
			   "msgsniff:three=\nmsgsniff_trackname=peek\nmsgsniff:four=filter=[\n");
	stage_start();
	PB_SAME(stage_ask(0, "engine.command line=sniffer_on"),
		"true 'Message sniffer: on, timer: off\r\n-----\r\nName: one\r\nMessage: ^a$\r\n-----\r\n"
		"Name: two\r\nMessage: ^b$\r\nParams\r\n  x: ^1\r\n-----\r\nName: four\r\nMessage: [\r\n"
		"-----\r\n' engine.command line=sniffer on");
	stage_settle();
	PB_SAME(stage_ask(1, "a"), "false '' a handlers=peek:0");
	(void)stage_log();
	stage_ask(1, "b x=2");
	PB_SAME(stage_log(), "");
	stage_ask(1, "b x=1");
	CU_ASSERT_TRUE(pb_str_starts(stage_log(), PB_STR("Sniffed 'b' ")));
	/* commands are kept by a reload, whatever the file says now */
	stage_ask(0, "engine.command line=sniffer_reset_name=five_filter=^c$");
	stage_file("yate", "[general]\nmsgsniff=no\nmsgsniff:one=filter=^a$\ndump_msg_data=yes\n");
	CU_ASSERT_EQUAL(pb_engine_reload_now(stage, PB_STR("msgsniff"), NULL), 0);
	PB_SAME(stage_ask(0, "engine.command line=sniffer"),
		"true 'Message sniffer: on, timer: off\r\nName: five\r\nMessage: ^c$\r\n' engine.command "
		"line=sniffer handlers=peek:0");
	stage_close();
}

PB_TESTS("msgsniff/module", { "rules of the main file", named_rules }, { "on and off", switches }, { "by the main file", starts_on })
