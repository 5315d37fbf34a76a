/* engine/bus: statistics per message and handler, who has a loop, the breaker. */
#include "bus_scene.h"

#include <stdio.h>

#include "loop/log.h"

/* ---- Reading ------------------------------------------------------------------------ */

struct wanted {
	struct pb_str name;
	struct pb_message_stats m;
	struct pb_handler_stats h;
	unsigned rows;
};

static bool take_message(void *arg, const struct pb_message_stats *s)
{
	struct wanted *w = arg;

	w->rows++;
	if (pb_str_eq(s->name, w->name))
		w->m = *s;
	return true;
}

static struct pb_message_stats of_message(const char *name)
{
	struct wanted w = { .name = pb_str_z(name) };

	pb_bus_stats_messages(bus, take_message, &w);
	return w.m;
}

static bool take_handler(void *arg, const struct pb_handler_stats *s)
{
	struct wanted *w = arg;

	w->rows++;
	if (pb_str_eq(s->track, w->name))
		w->h = *s;
	return true;
}

static struct pb_handler_stats of_handler(const char *track)
{
	struct wanted w = { .name = pb_str_z(track) };

	pb_bus_stats_handlers(bus, take_handler, &w);
	return w.h;
}

static void counted(void)
{
	struct actor a = { 'a' }, b = { 'b', PB_HANDLED }, c = { 'c', PB_HOLD };
	struct wanted all = { .rows = 0 };
	struct pb_handler_stats s;

	up();
	ADD(&a, "call.route", 1);
	ADD(&b, "call.route", 2);
	ADD(&c, "chan.text", 3, .place = PB_HOME, .home = at(2), .parked_max = 2,
	    .refuse_when_full = true);
	for (unsigned i = 0; i < 9; i++)
		send_name(i % CALLS, "call.route");
	CU_ASSERT_EQUAL(of_message("call.route").count, 9);
	CU_ASSERT_EQUAL(of_message("call.route").handled, 9);
	CU_ASSERT_EQUAL(of_message("call.route").latency.samples,
			9); /* the first of each name are timed */
	CU_ASSERT_EQUAL(of_handler("a").count, 9);
	CU_ASSERT_EQUAL(of_handler("a").handled, 0);
	CU_ASSERT_EQUAL(of_handler("b").handled, 9);
	for (unsigned i = 0; i < 3; i++)
		send_name(0, "chan.text");
	pass_ms(2);
	s = of_handler("c");
	CU_ASSERT(s.count == 2 && s.parked == 2 && s.held == 2 && s.full == 1);
	CU_ASSERT_EQUAL(of_message("chan.text").parked, 2);
	CU_ASSERT_EQUAL(of_message("chan.text").refused, 1);
	pass_ms(30000);
	s = of_handler("c");
	CU_ASSERT(s.parked == 0 && s.expired == 2 && s.handled == 0);
	CU_ASSERT(s.latency.max_us >= 9990000 && s.latency.p50_us >= 9990000 &&
		  s.latency.p50_us <= s.latency.max_us);
	CU_ASSERT_EQUAL(of_message("chan.text").expired, 2);
	CU_ASSERT_EQUAL(of_message("chan.text").parked, 0);
	for (unsigned i = 0; i < 100; i++) {
		char name[16];

		snprintf(name, sizeof(name), "made.up.%u", i);
		send_name(0, name);
	}
	CU_ASSERT_EQUAL(of_message("(others)").count, 100); /* one row, whatever they are called */
	pb_bus_stats_messages(bus, take_message, &all);
	CU_ASSERT_EQUAL(all.rows, 3);
	down();
}

/* A number is used again: its counters begin anew. */
static void used_again(void)
{
	struct actor a = { 'a' }, b = { 'b' };

	up();
	ADD(&a, "m", 1);
	send_name(0, "m");
	remove_actor(&a);
	pass_ms(1);
	ADD(&b, "m", 1);
	CU_ASSERT_EQUAL(of_handler("b").count, 0);
	send_name(0, "m");
	CU_ASSERT_EQUAL(of_handler("b").count, 1);
	down();
}

/* ---- Who has a loop ------------------------------------------------------------------- */

static uint64_t call_number;

static void look_who(struct actor *a, struct pb_msg *m, struct pb_ctx *cx)
{
	struct pb_bus_doing d;

	(void)a;
	(void)m;
	note(pb_bus_doing(bus, pb_loop_index(cx->loop), &d) ? '[' : '(');
	note_text(pb_str_z(d.message));
	note(' ');
	note_text(pb_str_z(d.handler));
	note(']');
	CU_ASSERT(d.call != call_number);
	call_number = d.call;
}

static void look_and_ask(struct actor *a, struct pb_msg *m, struct pb_ctx *cx)
{
	uint64_t before;

	look_who(a, m, cx);
	before = call_number;
	pb_bus_dispatch(cx->bus, msg("inner"), NULL, NULL, NULL);
	look_who(a, m, cx);
	CU_ASSERT_EQUAL(call_number, before); /* the same call still */
}

static void who(void)
{
	struct actor a = { 'a', .then = look_and_ask }, b = { 'b', .then = look_who },
		     c = { 'c', .then = look_who };
	struct pb_bus_doing d;

	up();
	ADD(&a, "m", 1);
	ADD(&b, "inner", 2);
	ADD(&c, "", 3);
	CU_ASSERT(!pb_bus_doing(bus, 0, &d));
	PB_SAME(sent("m"), "a[m a:1]b[inner b:2]c[inner c:3][m a:1]c[m c:3]-");
	CU_ASSERT(!pb_bus_doing(bus, 0, &d));
	PB_SAME(pb_str_z(d.message), "");
	PB_SAME(sent("nobody.named"), "c[(others) c:3]-");
	PB_SAME(sent("call.route"), "c[call.route c:3]-"); /* the registry knows it */
	CU_ASSERT(!pb_bus_doing(bus, 1000, &d));
	down();
}

/* More names than there are labels: one stands for the rest. */
static void many_names(void)
{
	struct actor a = { 'a', .then = look_who };
	char name[80];

	up();
	for (unsigned i = 0; i < 17000; i += 1000) {
		for (unsigned k = i; k < i + 1000; k++) {
			struct pb_handler_args h = {
				.message = PB_STR("m"), .priority = k, .fn = act, .arg = &a
			};
			struct pb_reg *r;

			h.track = pb_str(name,
					 (size_t)snprintf(name, sizeof(name), "%05u-%060u", k, 0u));
			CU_ASSERT_EQUAL(pb_bus_add(bus, &h, NULL, NULL, &r), 0);
			pb_bus_remove(bus, &r, NULL, NULL);
		}
		pass_ms(1);
	}
	ADD(&a, "late", 1);
	PB_SAME(sent("late"), "a[(others) (others)]-");
	down();
}

/* Time passes though nothing is to be done. */
static void nothing(void *arg)
{
	(void)arg;
}

static struct pb_timer clock_timer;

static void start_clock(void *arg)
{
	pb_timer_init(&clock_timer, nothing, NULL);
	pb_timer_start(pb_loop_current(), &clock_timer, *(uint64_t *)arg);
}

static void elapse(uint64_t ms)
{
	pb_loop_call(at(0), start_clock, &ms);
	pass_ms(ms + 1);
}

/* ---- The breaker ------------------------------------------------------------------------- */

static void tell(void *arg, struct pb_log_source *src, const struct pb_log_row *row,
		 const char *info, struct pb_str text)
{
	(void)arg;
	(void)src;
	(void)info;
	note(row->level == PB_WARN ? '!' : '~');
	if (row->level == PB_WARN)
		PB_SAME(text, "Handler 'a:1' of 'm' missed its time limit 3 times within 10 s: "
			      "passed by for 20 s");
}

static void up_breaker(void)
{
	struct pb_bus_args ba = { .breaker_misses = 3,
				  .breaker_window_ms = 10000,
				  .breaker_pause_ms = 20000,
				  .hold_ms = 1000,
				  .alarm = tell };

	if (!up_with(1, &ba))
		abort();
}

static struct pb_str sent_for(unsigned loop, uint64_t ms)
{
	send_name(loop, "m");
	elapse(ms);
	return look();
}

static void trips_at(struct actor *a)
{
	PB_SAME(sent_for(0, 1100), "a^ab-");
	PB_SAME(sent_for(1, 1100), "a^ab-");
	PB_SAME(sent_for(2, 1100), "a!^ab-"); /* counted over all loops */
	CU_ASSERT_EQUAL(of_handler("a").breaker, PB_BREAKER_OPEN);
	for (unsigned i = 0; i < CALLS; i++)
		PB_SAME(sent_for(i, 10), "b-");
	CU_ASSERT_EQUAL(counts().passed_by, 3);
	CU_ASSERT_EQUAL(of_handler("a").passed_by, 3);
	elapse(20000);
	PB_SAME(sent_for(0, 10), "a"); /* the trial */
	CU_ASSERT_EQUAL(of_handler("a").breaker, PB_BREAKER_TRIAL);
	PB_SAME(sent_for(1, 10), "b-"); /* one alone */
	elapse(1100);
	PB_SAME(look(), "^ab-");
	CU_ASSERT_EQUAL(of_handler("a").breaker, PB_BREAKER_OPEN);
	PB_SAME(sent_for(0, 19000), "b-");
	elapse(1000);
	a->verdict = PB_PASS;
	PB_SAME(sent_for(0, 10), "a~b-"); /* back */
	CU_ASSERT_EQUAL(of_handler("a").breaker, PB_BREAKER_CLOSED);
	a->verdict = PB_HOLD;
	PB_SAME(sent_for(0, 1100), "a^ab-"); /* counts from nothing again */
	CU_ASSERT_EQUAL(of_handler("a").breaker, PB_BREAKER_CLOSED);
}

static void trips(void)
{
	struct actor a = { 'a', PB_HOLD }, b = { 'b' };

	up_breaker();
	ADD(&a, "m", 1);
	ADD(&b, "m", 2);
	trips_at(&a);
	down();
}

static void trips_away(void)
{
	struct actor a = { 'a', PB_HOLD }, b = { 'b' };

	up_breaker();
	ADD(&a, "m", 1, .place = PB_HOME, .home = at(3));
	ADD(&b, "m", 2);
	trips_at(&a);
	down();
}

static void window_passes(void)
{
	struct actor a = { 'a', PB_HOLD }, b = { 'b' };

	up_breaker();
	ADD(&a, "m", 1);
	ADD(&b, "m", 2);
	for (unsigned i = 0; i < 8; i++) /* never three within ten seconds */
		PB_SAME(sent_for(0, 5100), "a^ab-");
	CU_ASSERT_EQUAL(of_handler("a").breaker, PB_BREAKER_CLOSED);
	down();
}

/* A few late answers among many in time do not cost the others their handler. */
static void few_of_many(void)
{
	struct actor a = { 'a', PB_HOLD }, b = { 'b' };

	up_breaker();
	ADD(&a, "m", 1);
	ADD(&b, "m", 2);
	for (unsigned i = 0; i < 8; i++) {
		a.verdict = PB_HOLD;
		send_name(i % CALLS, "m");
		a.verdict = PB_PASS;
		for (unsigned k = 0; k < 9; k++)
			send_name(k % CALLS, "m");
		elapse(1100);
	}
	CU_ASSERT_EQUAL(of_handler("a").expired, 8);
	CU_ASSERT_EQUAL(of_handler("a").breaker, PB_BREAKER_CLOSED);
	down();
}

static struct pb_questions asked;

static void cancel(void *arg)
{
	(void)arg;
	pb_questions_cancel(&asked);
}

/* A trial whose asker gives up says nothing: the next message tries. */
static void trial_given_up(void)
{
	struct actor a = { 'a', PB_HOLD }, b = { 'b' };

	up_breaker();
	pb_questions_init(&asked);
	ADD(&a, "m", 1);
	ADD(&b, "m", 2);
	for (unsigned i = 0; i < 3; i++)
		sent_for(0, 1100);
	elapse(20000);
	look();
	send_msg(0, msg("m"), &asked);
	CU_ASSERT_EQUAL(of_handler("a").breaker, PB_BREAKER_TRIAL);
	pb_loop_call(at(0), cancel, NULL);
	CU_ASSERT_EQUAL(of_handler("a").breaker, PB_BREAKER_OPEN);
	PB_SAME(look(), "a^a");
	PB_SAME(sent_for(0, 10), "a");
	pb_bus_resume(bus, a.token, NULL, PB_HANDLED);
	pass_ms(1);
	PB_SAME(look(), "~+");
	CU_ASSERT_EQUAL(of_handler("a").breaker, PB_BREAKER_CLOSED);
	down();
}

static void ask_inner(struct actor *a, struct pb_msg *m, struct pb_ctx *cx)
{
	(void)m;
	pb_bus_dispatch(cx->bus, msg("inner"), NULL, over, NULL);
	(void)a;
}

/* Who holds for the sake of a question inside hears its end before its own. */
static void inner_first(void)
{
	struct actor a = { 'a', PB_HOLD, .then = ask_inner }, b = { 'b', PB_HOLD };

	up_breaker();
	ADD(&a, "m", 1);
	ADD(&b, "inner", 1);
	PB_SAME(sent_for(0, 1100), "ab^b-^a-");
	down();
}

/* ---- Rest before the end -------------------------------------------------------------------- */

static void settles(void)
{
	struct actor a = { 'a', .then = ask_inner }, b = { 'b' }, c = { 'c' };

	up();
	ADD(&a, "m", 1, .place = PB_HOME, .home = at(2));
	ADD(&b, "m", 2, .place = PB_EACH);
	ADD(&c, "inner", 2, .place = PB_HOME, .home = at(3));
	send_name(0, "m");
	pb_bus_enqueue_to(bus, at(1), msg("m"));
	CU_ASSERT(pb_bus_settle(bus));
	CU_ASSERT_EQUAL(counts().parked, 0);
	CU_ASSERT_EQUAL(look().n, 13); /* twice: a, c and its end, b three times; the end of one */
	down();
}

PB_TESTS("bus/stats", { "messages and handlers", counted }, { "a number used again", used_again },
	 { "who has a loop", who }, { "more names than labels", many_names }, { "breaker", trips },
	 { "breaker, away", trips_away }, { "misses too far apart", window_passes }, { "few of many", few_of_many },
	 { "a trial given up", trial_given_up }, { "inner questions end first", inner_first },
	 { "comes to rest", settles })
