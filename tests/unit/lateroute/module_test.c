/* modules/lateroute: who is asked, and what becomes of the message. */
#include "../stage.h"

/* ---- Modules that route, made up ------------------------------------------- */

static struct pb_token held;
static sem_t holding;

/* By the number: 2.. is found, 4.. is not and says why, 5 is itself, 9 takes long. */
static enum pb_verdict answer(struct pb_msg *m, struct pb_ctx *cx)
{
	struct pb_str called = pb_msg_get(m, PB_STR("called"));

	(void)cx;
	pb_msg_set(m, PB_STR("asked"), pb_msg_name(m));
	pb_msg_set(m, PB_STR("had_callto"), pb_msg_has(m, PB_STR("callto")) ? PB_STR("yes") : PB_STR("no"));
	switch (called.n ? called.p[0] : 0) {
	case '2':
		pb_msg_set_retval(m, PB_STR("sip/x"));
		return PB_HANDLED;
	case '4':
		pb_msg_set(m, PB_STR("error"), PB_STR("offline"));
		return PB_PASS;
	case '5':
		pb_msg_set_retval(m, PB_STR("route/5"));
		return PB_HANDLED;
	case '6':
		pb_msg_set_retval(m, PB_STR("-"));
		return PB_HANDLED;
	case '9':
		held = pb_bus_hold(m, &(struct pb_hold){ 0 });
		sem_post(&holding);
		return PB_HOLD;
	default:
		return PB_PASS;
	}
}

static enum pb_verdict execute(struct pb_msg *m, struct pb_ctx *cx)
{
	(void)cx;
	pb_msg_set_retval(m, pb_msg_get(m, PB_STR("callto")));
	return pb_str_starts(pb_msg_get(m, PB_STR("callto")), PB_STR("sip/")) ? PB_HANDLED : PB_PASS;
}

static struct pb_reg *regs[4];

static void add(unsigned i, struct pb_str message, unsigned priority, pb_handle_fn fn)
{
	struct pb_handler_args args = { .message = message, .priority = priority, .fn = fn };

	CU_ASSERT_EQUAL(pb_bus_add(pb_engine_bus(stage), &args, NULL, NULL, &regs[i]), 0);
}

static void begin(const char *conf, bool with_msg_route)
{
	stage_open();
	stage_file("lateroute", conf);
	stage_start();
	add(0, PB_STR("call.route"), 100, answer);
	add(1, PB_STR("msg.execute"), 90, execute);
	add(2, PB_STR("call.execute"), 90, execute);
	if (with_msg_route)
		add(3, PB_STR("msg.route"), 50, answer);
	stage_settle();
}

static void end(void)
{
	for (unsigned i = 0; i < 4; i++)
		if (regs[i])
			pb_bus_remove(pb_engine_bus(stage), &regs[i], NULL, NULL);
	stage_close();
}

/* ---- Tests --------------------------------------------------------------------- */

static void routes(void)
{
	static const struct {
		const char *message, *want;
	} rows[] = {
		{ "call.execute callto=lateroute/234 id=x",
		  "true 'sip/x' call.execute id=x handlers=lateroute:75 called=234 route_type=call "
		  "asked=call.route had_callto=no callto=sip/x" },
		{ "msg.execute called=1 callto=route/234 text=t route_type=z",
		  "true 'sip/x' msg.execute called=234 text=t route_type=z handlers=lateroute:75 "
		  "asked=call.route had_callto=no callto=sip/x" },
		/* nothing found: as it was, but for the reason */
		{ "call.execute callto=voice/1 a=b", "false 'voice/1' call.execute callto=voice/1 a=b handlers=lateroute:75" },
		{ "call.execute callto=pstn/4",
		  "false 'pstn/4' call.execute callto=pstn/4 handlers=lateroute:75 error=offline" },
		{ "call.execute callto=route/5", "false 'route/5' call.execute callto=route/5 handlers=lateroute:75" },
		{ "call.execute callto=route/6", "false 'route/6' call.execute callto=route/6 handlers=lateroute:75" },
		/* not ours */
		{ "call.execute callto=sip/234", "true 'sip/234' call.execute callto=sip/234 handlers=lateroute:75" },
		{ "call.execute callto=lateroute/", "false 'lateroute/' call.execute callto=lateroute/ handlers=lateroute:75" },
		{ "call.execute callto=/234", "false '/234' call.execute callto=/234 handlers=lateroute:75" },
		{ "call.execute callto=lateroute/234 lateroute=no",
		  "false 'lateroute/234' call.execute callto=lateroute/234 lateroute=no handlers=lateroute:75" },
		{ "call.execute", "false '' call.execute handlers=lateroute:75" },
	};

	begin("", false);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		PB_SAME(stage_ask(i % 2, rows[i].message), rows[i].want);
	end();
}

static void messages(void)
{
	begin("", true);
	PB_SAME(stage_ask(1, "msg.execute caller=123 called=234 callto=lateroute/234 text=hi"),
		"true 'sip/x' msg.execute caller=123 called=234 text=hi handlers=lateroute:75 "
		"asked=msg.route had_callto=no callto=sip/x");
	PB_SAME(stage_log(), "<INFO> Late routing call to 'lateroute/234' via 'sip/x' [lateroute-001]|");
	PB_SAME(stage_ask(1, "call.execute callto=lateroute/234"),
		"true 'sip/x' call.execute handlers=lateroute:75 called=234 route_type=call "
		"asked=call.route had_callto=no callto=sip/x");
	pb_test_proves("YM-59");
	pb_test_proves("YM-61");
	end();
}

static void settings(void)
{
	struct pb_findings *f = pb_findings_new();

	begin("[general]\npriority=20\ntypes=\nregexp=^to:\\(.*\\)$\ncalled=\\1\n[route type]\ncall.execute=voice\n",
	      false);
	PB_SAME(stage_ask(0, "call.execute callto=to:234"),
		"true 'sip/x' call.execute handlers=lateroute:20 called=234 route_type=voice "
		"asked=call.route had_callto=no callto=sip/x");
	stage_file("lateroute", "[general]\npriority=30\nenabled=no\n");
	CU_ASSERT_EQUAL(pb_engine_reload_now(stage, PB_STR("lateroute"), f), 0);
	stage_settle();
	PB_SAME(stage_ask(0, "call.execute callto=route/234"),
		"false 'route/234' call.execute callto=route/234 handlers=lateroute:30");
	pb_findings_free(&f);
	end();
}

static void *ask_later(void *arg)
{
	char text[256];

	PB_SAME(stage_ask_into(1, "call.execute callto=lateroute/99 a=b", text, sizeof(text)), arg);
	return NULL;
}

/* The routing module holds the question; the asking message waits, no thread does. */
static void waits(bool handled, const char *want)
{
	struct pb_patch *patch = pb_patch_new();
	char *arg = (char *)(uintptr_t)want;
	pthread_t thread;

	sem_init(&holding, 0, 0);
	begin("", false);
	pthread_create(&thread, NULL, ask_later, arg);
	while (sem_wait(&holding) < 0)
		;
	PB_SAME(stage_ask(1, "call.execute callto=sip/1"),
		"true 'sip/1' call.execute callto=sip/1 handlers=lateroute:75");
	pb_patch_retval(patch, PB_STR("sip/late"));
	pb_patch_set(patch, PB_STR("reason"), PB_STR("r"));
	pb_bus_resume(pb_engine_bus(stage), held, patch, handled ? PB_HANDLED : PB_PASS);
	pthread_join(thread, NULL);
	end();
	sem_destroy(&holding);
}

static void waits_found(void)
{
	waits(true, "true 'sip/late' call.execute a=b handlers=lateroute:75 called=99 route_type=call "
		    "asked=call.route had_callto=no reason=r callto=sip/late");
}

static void waits_lost(void)
{
	waits(false, "false 'lateroute/99' call.execute callto=lateroute/99 a=b handlers=lateroute:75 reason=r");
}

PB_TESTS("lateroute/module", { "targets", routes }, { "messages ask msg.route", messages },
	 { "settings", settings }, { "a held question is answered", waits_found },
	 { "a held question is not", waits_lost })
