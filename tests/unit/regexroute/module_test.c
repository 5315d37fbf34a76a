/*
 * modules/regexroute in an engine: entry points, waiting without a thread,
 * reload under a held message, status.
 */
#include "../stage.h"

/* Does `text` hold `part`? Prints both when not. */
static void has(struct pb_str text, const char *part)
{
	if (pb_str_find(text, pb_str_z(part)) < 0)
		fprintf(stderr, "no '%s' in '%.*s'\n", part, PB_STR_F(text));
	CU_ASSERT_TRUE(pb_str_find(text, pb_str_z(part)) >= 0);
}

static void calls(void)
{
	stage_open();
	stage_file("regexroute", "[priorities]\nroute=80\n"
				 "[contexts]\n^10=inside\n^666=-\n"
				 "[default]\n^234$=sip/sip:234@h\n^5=retval x\n"
				 "[inside]\n\\(.*\\)=line/\\1;line=gw\n");
	stage_start();
	PB_SAME(stage_ask(0, "call.route called=234"),
		"true 'sip/sip:234@h' call.route called=234 handlers=regexroute:80");
	has(stage_log(), "<INFO> Routing call to '234' in context 'default' via 'sip/sip:234@h' in ");
	PB_SAME(stage_ask(1, "call.route called=235"), "false '' call.route called=235 handlers=regexroute:80");
	has(stage_log(), "<INFO> Could not route call to '235' in context 'default', wasted ");
	PB_SAME(stage_ask(1, "call.route called=2 context=inside"),
		"true 'line/2' call.route called=2 context=inside handlers=regexroute:80 line=gw");
	/* an empty context is none; no number is no question; retval alone is no answer */
	PB_SAME(stage_ask(1, "call.route called=2 context="),
		"false '' call.route called=2 context= handlers=regexroute:80");
	PB_SAME(stage_ask(0, "call.route called="), "false '' call.route called= handlers=regexroute:80");
	PB_SAME(stage_ask(0, "call.route called=5"), "false '' call.route called=5 handlers=regexroute:80");
	PB_SAME(stage_ask(0, "call.preroute caller=101"),
		"true '' call.preroute caller=101 handlers=regexroute:100 context=inside");
	PB_SAME(stage_ask(0, "call.preroute caller=666"),
		"true '-' call.preroute caller=666 handlers=regexroute:100");
	PB_SAME(stage_ask(0, "call.preroute caller=10 context=set"),
		"false '' call.preroute caller=10 context=set handlers=regexroute:100");
	PB_SAME(stage_ask(0, "call.preroute caller="), "false '' call.preroute caller= handlers=regexroute:100");
	stage_close();
}

static void extras(void)
{
	stage_open();
	stage_file("regexroute",
		   "[extra]\nm=50\nm=60,p\nm=70,p,ctx\nf=10,,ctx,a,1\nf=20,,ctx,a,^2\nnowhere=10\nq=x\n"
		   "[q]\n.*=\\0\n"
		   "[m]\n${at}1=if .*=;second=\\0\n.*=;at=1;first=\\0\n"
		   "[ctx]\n.*=done \\0;$n=$(++$n)\n");
	stage_start();
	PB_SAME(stage_ask(0, "m p=P"), "true 'done P' m p=P handlers=regexroute:50,regexroute:60,regexroute:70 "
				       "at=1 first=P second=P");
	PB_SAME(stage_ask(1, "f a=1"), "true 'done f' f a=1 handlers=regexroute:10");
	PB_SAME(stage_ask(1, "f a=23"), "true 'done f' f a=23 handlers=regexroute:20");
	PB_SAME(stage_ask(1, "f a=3"), "false '' f a=3");
	PB_SAME(stage_ask(1, "nowhere"), "false '' nowhere");
	PB_SAME(stage_ask(1, "q"), "true 'q' q handlers=regexroute:100");
	PB_SAME(stage_ask(0, "engine.status module=regexroute"),
		"true 'name=regexroute,type=route;sections=4,extra=6,variables=1,processing=0\r\n' "
		"engine.status module=regexroute");
	stage_close();
}

static void chat(void)
{
	stage_open();
	stage_file("regexroute",
		   "[extra]\nsip.message=120\nmsg.route=25\nmsg.execute=90\n"
		   "[sip.message]\n${xsip_type}^$=415\n"
		   ".*=echo Got SIP MESSAGE type '${xsip_type}' ${xsip_body_encoding} from '${username}': "
		   "${xsip_body}\n"
		   ".*=enqueue msg.execute;caller=${caller};called=${called};\\\n"
		   "  domain=${domain};callto=lateroute/${called};\\\n"
		   "  body_encoding=${xsip_body_encoding};type=${xsip_type};text=${xsip_body}\n"
		   ".*=200\n"
		   "[msg.route]\n.*=rename call.route;message=msg.route\n"
		   "[msg.execute]\n.*=echo ${text} to ${called}\n");
	stage_start();
	PB_SAME(stage_ask(0, "sip.message username=123 caller=123 called=234 xsip_type=text/plain xsip_body=hello_you"),
		"true '200' sip.message username=123 caller=123 called=234 xsip_type=text/plain "
		"xsip_body=hello you handlers=regexroute:120");
	stage_settle();
	PB_SAME(stage_log(),
		"Got SIP MESSAGE type 'text/plain'  from '123': hello you|"
		"<regexroute:ALL> Enqueueing new message 'msg.execute' by rule #3 '.*' in context "
		"'sip.message' [regexroute-002]|"
		"hello you to 234|");
	PB_SAME(stage_ask(1, "msg.route called=234"),
		"false '' call.route called=234 handlers=regexroute:25,regexroute:100 message=msg.route");
	has(stage_log(), "<regexroute:ALL> Renaming message 'msg.route' to 'call.route' by rule #1 '.*' in "
			 "context 'msg.route' [regexroute-004]|<INFO> Could not route call to '234'");
	PB_SAME(stage_ask(0, "sip.message username=123"),
		"true '415' sip.message username=123 handlers=regexroute:120");
	pb_test_proves("YM-29");
	pb_test_proves("YM-30");
	pb_test_proves("YM-32");
	pb_test_proves("YM-33");
	pb_test_proves("YM-35");
	pb_test_proves("YM-57");
	stage_close();
}

/* ---- Holding ------------------------------------------------------------------ */

static struct pb_token held;
static sem_t holding;

static enum pb_verdict hold(struct pb_msg *m, struct pb_ctx *cx)
{
	(void)cx;
	held = pb_bus_hold(m, &(struct pb_hold){ 0 });
	sem_post(&holding);
	return PB_HOLD;
}

static void *ask_later(void *arg)
{
	char answer[256];

	PB_SAME(stage_ask_into(1, arg, answer, sizeof(answer)),
		"true 'old' m t=5 handlers=regexroute:100 a=1 b=2");
	return NULL;
}

static void waits(void)
{
	stage_open();
	stage_file("regexroute", "[extra]\nm=100\n[m]\n.*=;a=1\n.*=msleep 10\n.*=;b=${a}\n.*=msleep 5\n.*=r\\0\n");
	stage_start();
	PB_SAME(stage_ask(1, "m"), "true 'rm' m handlers=regexroute:100 a=1 b=1");
	PB_SAME(stage_ask(0, "m a=0"), "true 'rm' m a=1 handlers=regexroute:100 b=1");
	stage_close();
}

/* A dispatched message that somebody holds parks the asking one; rules that
 * change meanwhile do not touch the walk under way. */
static void asks(void)
{
	struct pb_handler_args args = { .message = PB_STR("slow"), .priority = 100, .fn = hold };
	struct pb_findings *f = pb_findings_new();
	struct pb_patch *patch = pb_patch_new();
	struct pb_reg *reg;
	pthread_t thread;

	stage_open();
	sem_init(&holding, 0, 0);
	stage_file("regexroute", "[extra]\nm=100\n[m]\n.*=;a=1\n.*=dispatch quick;x=1\n"
				 ".*=dispatch slow;x=${t}\n.*=old;b=2\n[quick]\n.*=r\n");
	stage_start();
	CU_ASSERT_EQUAL(pb_bus_add(pb_engine_bus(stage), &args, NULL, NULL, &reg), 0);
	stage_settle();
	pthread_create(&thread, NULL, ask_later, (char *)(uintptr_t)"m t=5");
	while (sem_wait(&holding) < 0)
		;
	has(stage_ask(0, "engine.status module=regexroute"), "processing=1");
	stage_file("regexroute", "[extra]\nm=100\n[m]\n.*=new\n");
	CU_ASSERT_EQUAL(pb_engine_reload_now(stage, PB_STR("regexroute"), f), 0);
	PB_SAME(stage_ask(0, "m"), "true 'new' m handlers=regexroute:100");
	has(stage_log(), "<regexroute:ALL> Dispatching new message 'slow' by rule #3 '.*' in context 'm'");
	pb_patch_retval(patch, PB_STR("ignored"));
	pb_bus_resume(pb_engine_bus(stage), held, patch, PB_HANDLED);
	pthread_join(thread, NULL);
	has(stage_ask(0, "engine.status module=regexroute"), "processing=0");
	pb_bus_remove(pb_engine_bus(stage), &reg, NULL, NULL);
	pb_findings_free(&f);
	sem_destroy(&holding);
	stage_close();
}

/* Nobody ever answers: after the limit the walk of the rules is given up and
 * the message goes on as it was. */
static void gives_up(void)
{
	struct pb_handler_args args = { .message = PB_STR("slow"), .priority = 100, .fn = hold };
	struct pb_reg *reg;

	stage_open();
	sem_init(&holding, 0, 0);
	stage_write("engine.cfg", "limits = { message = \"30ms\"; };\n");
	stage_file("regexroute", "[extra]\nm=100\n[m]\n.*=;a=1\n.*=dispatch slow\n.*=never\n");
	stage_start();
	CU_ASSERT_EQUAL(pb_bus_add(pb_engine_bus(stage), &args, NULL, NULL, &reg), 0);
	stage_settle();
	(void)stage_ask(1, "m");
	has(stage_ask(0, "engine.status module=regexroute"), "processing=0");
	pb_bus_remove(pb_engine_bus(stage), &reg, NULL, NULL);
	sem_destroy(&holding);
	stage_close();
}

static void reloads(void)
{
	struct pb_findings *f = pb_findings_new();

	stage_open();
	stage_file("regexroute", "[$once]\no=1\n[$init]\ni=1\n[extra]\na=1\nb=2\n"
				 "[a]\n.*=$(o)$(i);$o=5;$i=5\n[b]\n.*=b\n");
	stage_start();
	PB_SAME(stage_ask(0, "a"), "true '11' a handlers=regexroute:1");
	PB_SAME(stage_ask(0, "b"), "true 'b' b handlers=regexroute:2");
	stage_file("regexroute", "[$once]\no=2\np=3\n[$init]\ni=2\n[extra]\na=1\nc=3,,a\n"
				 "[a]\n.*=$(o)$(i)$(p)\n");
	CU_ASSERT_EQUAL(pb_engine_reload_now(stage, PB_STR("regexroute"), f), 0);
	stage_settle();
	PB_SAME(stage_ask(1, "a"), "true '523' a handlers=regexroute:1");
	PB_SAME(stage_ask(1, "b"), "false '' b");
	PB_SAME(stage_ask(1, "c"), "true '523' c handlers=regexroute:3");
	pb_findings_free(&f);
	stage_close();
}

/* What is parked when the engine stops is let go. */
static void stops(void)
{
	stage_open();
	stage_file("regexroute", "[extra]\nm=100\n[m]\n.*=msleep 60000\n.*=r\\0\n");
	stage_start();
	pb_bus_enqueue(pb_engine_bus(stage), stage_msg("m"));
	stage_settle();
	has(stage_ask(0, "engine.status module=regexroute"), "processing=1");
	stage_close();
}

PB_TESTS("regexroute/module", { "calls", calls }, { "extra messages", extras },
	 { "the chat example", chat }, { "waiting", waits }, { "asking others", asks }, { "nobody answers", gives_up },
	 { "reloading", reloads }, { "stopping", stops })
