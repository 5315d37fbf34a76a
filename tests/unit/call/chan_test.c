/* engine/call: channels of a driver without a network. */
#include "../../support/fake_driver.h"

static const struct pb_module *const modules[] = { &fake, NULL };

/* ---- Handlers of the test's own ------------------------------------------------ */

struct hand {
	const char *message, *retval, *set, *value; /* set: parameter, value */
	enum pb_verdict verdict;
	bool silent;
	struct pb_token token;
	struct pb_reg *reg;
};

static void hand_expired(void *arg)
{
	(void)arg;
	say("told");
}

static enum pb_verdict hand_fn(struct pb_msg *m, struct pb_ctx *cx)
{
	struct hand *h = cx->arg;
	char text[128];

	snprintf(text, sizeof(text), "%.*s(%.*s)", PB_STR_F(pb_msg_name(m)), PB_STR_F(pb_msg_get(m, PB_STR("id"))));
	if (!h->silent)
		say(text);
	if (h->retval)
		pb_msg_set_retval(m, pb_str_z(h->retval));
	if (h->set)
		pb_msg_set(m, pb_str_z(h->set), pb_str_z(h->value));
	if (h->verdict == PB_HOLD)
		h->token = pb_bus_hold(m, &(struct pb_hold){ 0, hand_expired, h });
	return h->verdict;
}

static struct hand *hands[32];
static unsigned hand_n;

static void hear(struct hand *h)
{
	struct pb_handler_args a = { .message = pb_str_z(h->message), .priority = 200, .fn = hand_fn, .arg = h };

	CU_ASSERT_EQUAL(pb_bus_add(pb_engine_bus(engine), &a, NULL, NULL, &h->reg), 0);
	hands[hand_n++] = h;
	pass_ms(1);
}

static void up_with(const char *main_file)
{
	conf_new();
	conf_write("yate.conf", main_file);
	fake_slow = false;
	CU_ASSERT_EQUAL_FATAL(engine_up(modules), 0);
	pass_ms(1);
	look();
}

static void up(void)
{
	up_with("");
}

static void down(void)
{
	while (hand_n)
		pb_bus_remove(pb_engine_bus(engine), &hands[--hand_n]->reg, NULL, NULL);
	pass_ms(1);
	engine_down();
}

/* ---- Doing something on loop `i` ---------------------------------------------------- */

struct leg {
	struct pb_chan_args args;
	struct pb_chan *c, *other;
	struct pb_handle h;
	const char *word;
};

static void leg_make(void *arg)
{
	struct leg *l = arg;

	l->c = pb_chan_new(&l->args);
	if (l->c)
		l->h = pb_chan_handle(l->c);
}

static struct leg leg_new(unsigned i, bool outgoing)
{
	struct leg l = { .args = { .driver = fake_on(i), .outgoing = outgoing, .address = PB_STR("1.2.3.4;x") } };

	pb_loop_call(at(i), leg_make, &l);
	return l;
}

static void do_route(void *arg)
{
	struct leg *l = arg;
	struct pb_msg *m = pb_chan_msg(l->c, PB_STR("call.preroute"), false);

	if (l->word)
		pb_msg_set(m, pb_str_z(l->word), PB_STR("yes"));
	pb_chan_route(l->c, m);
}

static void do_end(void *arg)
{
	struct leg *l = arg;

	pb_chan_end(&l->c, PB_STR("bye"));
}

static void do_connect(void *arg)
{
	struct leg *l = arg;

	CU_ASSERT_EQUAL(pb_chan_connect(l->c, l->other, PB_STR("why")), 0);
}

static void do_status(void *arg)
{
	struct leg *l = arg;

	pb_chan_set_status(l->c, pb_str_z(l->word));
}

static void do_notice(void *arg)
{
	struct leg *l = arg;

	pb_chan_notice(l->c, pb_chan_msg(l->c, pb_str_z(l->word), true));
}

static void on_loop(unsigned i, void (*fn)(void *), struct leg *l)
{
	pb_loop_call(at(i), fn, l);
	pass_ms(2);
}

/* ---- Ids, counts, status -------------------------------------------------------------- */

static void ids(void)
{
	up();
	for (unsigned i = 0; i < 3; i++) {
		for (unsigned k = 0; k < 3; k++) {
			struct leg l = leg_new(i, false);
			struct pb_str id = pb_chan_id(l.c);

			CU_ASSERT_EQUAL(pb_bus_owner_of(pb_engine_bus(engine), id), (int)i);
			CU_ASSERT_STRING_NOT_EQUAL(id.p, "fake/0");
		}
	}
	down();
}

static void gone(void)
{
	struct leg l;

	up();
	l = leg_new(0, false);
	on_loop(0, do_end, &l);
	CU_ASSERT_PTR_NULL(l.c);
	l = leg_new(0, false); /* the slot again */
	CU_ASSERT(l.h.gen != 1);
	PB_SAME(answer("call.drop", "id", "fake/3"), "-");
	down();
}

static void status(void)
{
	struct leg a, b;

	up();
	a = leg_new(1, false);
	b = leg_new(1, true);
	a.other = b.c;
	on_loop(1, do_connect, &a);
	for (unsigned i = 0; i < 3; i++)
		PB_SAME(answer("engine.status", "module", "fake"),
			"name=fake,type=varchans;routed=0,routing=0,total=2,chans=2;fake/1=incoming|1.2.3.4%3bx|fake/4,"
			"fake/4=outgoing|1.2.3.4%3bx|fake/1\r\n");
	CU_ASSERT(pb_str_find(answer("engine.status", "module", "fake/4"),
			      PB_STR(",status=outgoing,direction=outgoing,answered=false,targetid=,address=1.2.3.4%3bx")) > 0);
	down();
}

/* ---- Routing ----------------------------------------------------------------------------- */

static void routes(void)
{
	struct hand pre = { "call.preroute", .verdict = PB_HOLD }, route = { "call.route", "fake/x", .verdict = PB_HOLD };
	struct hand exec = { "call.execute", .set = "targetid", .value = "fake/77", .verdict = PB_HOLD };
	struct leg l;

	up();
	hear(&pre);
	hear(&route);
	hear(&exec);
	l = leg_new(1, false);
	on_loop(1, do_route, &l);
	PB_SAME(look(), "call.preroute(fake/1)");
	pb_bus_resume(pb_engine_bus(engine), pre.token, NULL, PB_PASS);
	pass_ms(2);
	PB_SAME(look(), "fake/1:prerouted call.route(fake/1)");
	pb_bus_resume(pb_engine_bus(engine), route.token, NULL, PB_HANDLED);
	pass_ms(2);
	PB_SAME(look(), "fake/1:routed=fake/x call.execute(fake/1)");
	CU_ASSERT_EQUAL(pb_driver_counts(l.args.driver)->routing, 1);
	pb_bus_resume(pb_engine_bus(engine), exec.token, NULL, PB_HANDLED);
	pass_ms(2);
	PB_SAME(look(), "fake/1:accepted=fake/77");
	PB_SAME(pb_chan_status(l.c), "accepted");
	CU_ASSERT_EQUAL(pb_driver_counts(l.args.driver)->routing, 0);
	CU_ASSERT_EQUAL(pb_driver_counts(l.args.driver)->routed, 1);
	down();
}

static void rejects(void)
{
	static const struct {
		struct hand pre, route;
		const char *want;
	} rows[] = {
		{ { "call.preroute" }, { "call.route" }, "noroute" },
		{ { "call.preroute" }, { "call.route", "", .verdict = PB_HANDLED }, "noroute" },
		{ { "call.preroute" }, { "call.route", "x", .verdict = PB_PASS }, "noroute" },
		{ { "call.preroute" }, { "call.route", "-", .verdict = PB_HANDLED }, "unknown" },
		{ { "call.preroute" }, { "call.route", "error", "error", "busy", PB_HANDLED }, "busy" },
		{ { "call.preroute", "-", .verdict = PB_HANDLED }, { "call.route" }, "unknown" },
		{ { "call.preroute", "-", "error", "noauth", PB_HANDLED }, { "call.route" }, "noauth" },
		{ { "call.preroute" }, { "call.route", "x", "antiloop", "0", PB_HANDLED }, "looping" },
		{ { "call.preroute" }, { "call.route", "x", .verdict = PB_HANDLED }, "noconn" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct hand pre = rows[i].pre, route = rows[i].route;
		char want[64];
		struct leg l;

		pre.silent = route.silent = true;
		up();
		hear(&pre);
		hear(&route);
		l = leg_new(2, false);
		on_loop(2, do_route, &l);
		snprintf(want, sizeof(want), "fake/2:rejected=%s", rows[i].want);
		CU_ASSERT_PTR_NOT_NULL(strstr(seen, want));
		if (!strstr(seen, want))
			printf("row %zu: %s\n", i, seen);
		CU_ASSERT_EQUAL(pb_driver_counts(l.args.driver)->chans, 0);
		CU_ASSERT_EQUAL(pb_driver_counts(l.args.driver)->routing, 0);
		down();
	}
}

/* Nobody executes: chan.disconnected may still save the call, and may be held. */
static void last_chance(void)
{
	struct hand route = { "call.route", "x", .verdict = PB_HANDLED, .silent = true };
	struct hand disc = { "chan.disconnected", .verdict = PB_HOLD };
	struct leg l;

	up();
	hear(&route);
	hear(&disc);
	l = leg_new(1, false);
	on_loop(1, do_route, &l);
	PB_SAME(look(), "fake/1:prerouted fake/1:routed=x chan.disconnected(fake/1)");
	pb_bus_resume(pb_engine_bus(engine), disc.token, NULL, PB_HANDLED);
	pass_ms(2);
	PB_SAME(look(), "");
	CU_ASSERT_EQUAL(pb_driver_counts(l.args.driver)->chans, 1);
	on_loop(1, do_end, &l);
	l = leg_new(1, false); /* ends while its last chance is held */
	on_loop(1, do_route, &l);
	look();
	on_loop(1, do_end, &l);
	pb_bus_resume(pb_engine_bus(engine), disc.token, NULL, PB_PASS);
	pass_ms(2);
	PB_SAME(look(), "");
	down();
}

static void ends_while_asking(void)
{
	struct hand route = { "call.route", .verdict = PB_HOLD }, hang = { "chan.hangup" };
	struct leg l;

	up();
	hear(&route);
	hear(&hang);
	l = leg_new(1, false);
	on_loop(1, do_route, &l);
	PB_SAME(look(), "fake/1:prerouted call.route(fake/1)");
	on_loop(1, do_end, &l);
	PB_SAME(look(), "told chan.hangup(fake/1)");
	CU_ASSERT_EQUAL(pb_driver_counts(l.args.driver)->routing, 0);
	pb_bus_resume(pb_engine_bus(engine), route.token, NULL, PB_HANDLED);
	pass_ms(2);
	PB_SAME(look(), "");
	l = leg_new(1, false); /* in a callback of its routing */
	l.word = "end_me";
	on_loop(1, do_route, &l);
	PB_SAME(look(), "fake/4:prerouted chan.hangup(fake/4)");
	down();
}

/* ---- Joined ------------------------------------------------------------------------------- */

static void joined(void)
{
	struct hand conn = { "chan.connected" }, disc = { "chan.disconnected" }, hang = { "chan.hangup" };
	struct leg a, b;

	up();
	hear(&conn);
	hear(&disc);
	hear(&hang);
	a = leg_new(1, false);
	b = leg_new(1, true);
	a.other = b.c;
	on_loop(1, do_connect, &a);
	PB_SAME(look(), "chan.connected(fake/1) chan.connected(fake/4)");
	CU_ASSERT(pb_chan_peer(a.c) == b.c && pb_chan_peer(b.c) == a.c);
	CU_ASSERT(pb_str_eq(pb_chan_billid(a.c), pb_chan_billid(b.c)));
	on_loop(1, do_end, &a);
	pass_ms(5);
	CU_ASSERT_PTR_NOT_NULL(strstr(seen, "chan.hangup(fake/1)"));
	CU_ASSERT_PTR_NOT_NULL(strstr(seen, "chan.disconnected(fake/4) fake/4:drop=bye chan.hangup(fake/4)"));
	CU_ASSERT_EQUAL(pb_driver_counts(b.args.driver)->chans, 0);
	down();
}

static void kept_by_somebody(void)
{
	struct hand disc = { "chan.disconnected", .verdict = PB_HANDLED };
	struct leg a, b, c;

	up();
	hear(&disc);
	a = leg_new(1, false);
	b = leg_new(1, true);
	c = leg_new(1, true);
	a.other = b.c;
	on_loop(1, do_connect, &a);
	a.other = c.c; /* an earlier peer is told, and kept */
	on_loop(1, do_connect, &a);
	PB_SAME(look(), "chan.disconnected(fake/4)");
	CU_ASSERT_PTR_NULL(pb_chan_peer(b.c));
	on_loop(1, do_end, &c);
	PB_SAME(look(), "chan.disconnected(fake/1)");
	CU_ASSERT_EQUAL(pb_driver_counts(a.args.driver)->chans, 2);
	down();
}

/* ---- Dropping -------------------------------------------------------------------------------- */

static void drops(void)
{
	up();
	for (unsigned i = 0; i < 3; i++)
		leg_new(i, false);
	PB_SAME(answer("call.drop", "id", "fake/2"), "");
	PB_SAME(look(), "fake/2:drop=dropped");
	PB_SAME(answer("call.drop", "id", "fake/99"), "-");
	PB_SAME(answer("call.drop", "id", "other"), "-");
	PB_SAME(look(), "");
	PB_SAME(answer("call.drop", "id", "fake"), "");
	CU_ASSERT_EQUAL(look().n, strlen("fake/1:drop=dropped fake/3:drop=dropped"));
	leg_new(0, false);
	leg_new(2, false);
	PB_SAME(answer("call.drop", "reason", "night"), "-");
	CU_ASSERT_PTR_NOT_NULL(strstr(seen, "drop=night"));
	for (unsigned i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(pb_driver_counts(fake_on(i))->chans, 0);
	down();
}

static void slow_drops(void)
{
	struct leg a, b;

	up();
	a = leg_new(0, false);
	b = leg_new(0, false);
	(void)a;
	(void)b;
	fake_slow = true;
	PB_SAME(answer("call.drop", "id", "fake"), "");
	PB_SAME(look(), "fake/3:drop=dropped fake/6:drop=dropped"); /* each once */
	down();
}

/* ---- Order, time, disguise ------------------------------------------------------------------- */

static void in_order(void)
{
	struct hand text = { "chan.text", .verdict = PB_HOLD }, start = { "chan.startup" }, hang = { "chan.hangup" };
	struct leg l;

	up();
	hear(&text);
	hear(&start);
	hear(&hang);
	l = leg_new(1, false);
	l.word = "chan.startup";
	on_loop(1, do_notice, &l);
	l.word = "chan.text";
	on_loop(1, do_notice, &l);
	on_loop(1, do_end, &l); /* its hangup waits behind what is held */
	PB_SAME(look(), "chan.startup(fake/1) chan.text(fake/1)");
	pb_bus_resume(pb_engine_bus(engine), text.token, NULL, PB_PASS);
	pass_ms(2);
	PB_SAME(look(), "chan.hangup(fake/1)");
	down();
}

static void times(void)
{
	struct hand route = { "call.route", "x", "maxcall", "5000", PB_HANDLED, .silent = true };
	struct hand exec = { "call.execute", .set = "timeout", .value = "9000", .verdict = PB_HANDLED, .silent = true };
	struct leg l;

	up();
	hear(&route);
	hear(&exec);
	l = leg_new(1, false);
	on_loop(1, do_route, &l);
	look();
	pass_ms(4900);
	PB_SAME(look(), "");
	pass_ms(200);
	PB_SAME(look(), "fake/1:drop=noanswer");
	l = leg_new(1, false);
	on_loop(1, do_route, &l);
	l.word = "answered";
	on_loop(1, do_status, &l); /* from now on the other limit */
	look();
	pass_ms(8900);
	PB_SAME(look(), "");
	pass_ms(200);
	PB_SAME(look(), "fake/4:drop=timeout");
	down();
}

struct room {
	struct pb_driver *driver;
	bool any;
};

static void do_ask_room(void *arg)
{
	struct room *r = arg;

	r->any = pb_driver_accepts(r->driver);
}

static bool has_room(unsigned i)
{
	struct room r = { .driver = fake_on(i) };

	pb_loop_call(at(i), do_ask_room, &r);
	return r.any;
}

/* [telephony] of the main file, for a driver that says nothing of its own. */
static void telephony(void)
{
	struct hand route = { "call.route", "x", .verdict = PB_HANDLED, .silent = true };
	struct hand exec = { "call.execute", .verdict = PB_HANDLED, .silent = true };
	struct leg l;

	up_with("[telephony]\ntimeout=9000\nmaxchans=6\n");
	hear(&route);
	hear(&exec);
	l = leg_new(1, false);
	CU_ASSERT_TRUE(has_room(1));
	leg_new(1, false);
	CU_ASSERT_FALSE(has_room(1)); /* two of six: there are three loops */
	CU_ASSERT_TRUE(has_room(2));
	on_loop(1, do_route, &l);
	look();
	pass_ms(8900);
	PB_SAME(look(), "");
	pass_ms(200);
	PB_SAME(look(), "fake/1:drop=timeout");
	down();
}

static void disguised(void)
{
	struct hand answered = { "call.answered", .verdict = PB_PASS };
	struct pb_msg *m = pb_msg_new(PB_STR("chan.masquerade"));
	struct asking a;
	struct leg l;

	up();
	hear(&answered);
	l = leg_new(2, true);
	pb_msg_set(m, PB_STR("id"), PB_STR("fake/2"));
	pb_msg_set(m, PB_STR("message"), PB_STR("call.answered"));
	a = ask_on(0, m); /* from another loop than the channel's */
	PB_SAME(look(), "call.answered(fake/2)");
	PB_SAME(pb_msg_name(a.m), "call.answered");
	PB_SAME(pb_msg_get(a.m, PB_STR("direction")), "outgoing");
	CU_ASSERT(!pb_msg_has(a.m, PB_STR("message")));
	CU_ASSERT(pb_handle_is_set(pb_msg_chan(a.m)) && pb_chan_is_answered(l.c));
	pb_msg_free(&a.m);
	down();
}

static void events(void)
{
	up();
	leg_new(1, false);
	leg_new(2, true);
	PB_SAME(answer("call.ringing", "targetid", "fake/1"), "");
	PB_SAME(answer("call.answered", "peerid", "fake/1"), "");
	PB_SAME(look(), "fake/1:ringing fake/1:answered");
	PB_SAME(answer("call.ringing", "targetid", "fake/1"), "-"); /* no longer */
	PB_SAME(answer("call.answered", "targetid", "fake/2"), "-"); /* we called out: not for us */
	PB_SAME(answer("chan.dtmf", "targetid", "fake/2"), "");
	PB_SAME(look(), "fake/2:dtmf");
	down();
}

PB_TESTS("call/chan", { "ids name their loop", ids }, { "a channel that has gone", gone }, { "status", status },
	 { "routed, each step held", routes }, { "rejected, in which words", rejects },
	 { "the last chance", last_chance }, { "ends while it asks", ends_while_asking },
	 { "joined, and one leg ends", joined }, { "kept by somebody", kept_by_somebody },
	 { "dropped: one, a driver's, all", drops }, { "drops that take their time", slow_drops },
	 { "notices in order", in_order }, { "maxcall and timeout", times }, { "limits of all drivers", telephony }, { "masquerade", disguised },
	 { "events find their leg", events })
