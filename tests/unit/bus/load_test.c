/* engine/bus: queues and their limit, ages and rates, congestion, delays that
 * are told of, times in messages and in the tracking parameter. */
#include "bus_scene.h"

#include <stdio.h>

#include "loop/log.h"

/* ---- What the bus says -------------------------------------------------------------- */

static char said[8192];
static size_t said_n;

static void hear(struct pb_str level, struct pb_str text)
{
	int n = snprintf(said + said_n, sizeof(said) - said_n, "%.*s%.*s\n", PB_STR_F(level),
			 PB_STR_F(text));

	said_n += n > 0 && said_n + (size_t)n < sizeof(said) ? (size_t)n : 0;
}

static void on_alarm(void *arg, struct pb_log_source *src, const struct pb_log_row *row,
		     const char *info, struct pb_str text)
{
	(void)arg;
	CU_ASSERT_PTR_NOT_NULL(src);
	CU_ASSERT_STRING_EQUAL(info, "performance");
	hear(pb_str_z(pb_log_tag((int)row->level)), PB_STR(" "));
	said_n--; /* one line */
	hear(PB_STR(""), text);
}

static struct pb_str heard(void)
{
	static char copy[sizeof(said)];
	size_t n = said_n;

	memcpy(copy, said, n);
	said_n = 0;
	return pb_str(copy, n);
}

static void on_line(void *arg, int level, struct pb_str line)
{
	(void)arg;
	(void)level;
	hear(PB_STR(""), line);
}

static struct pb_log_tap tap = { .fn = on_line };

static void up_heard(struct pb_bus_args args)
{
	said_n = 0;
	args.alarm = on_alarm;
	if (!up_with(1, &args))
		abort();
}

static void second(void *arg)
{
	(void)arg;
	pb_bus_second(bus);
}

static void a_second(void)
{
	pb_loop_call(at(0), second, NULL);
}

/* ---- The queue ------------------------------------------------------------------------ */

static void enqueue_twice(void *arg)
{
	struct pb_msg *m = msg("m");

	(void)arg;
	CU_ASSERT(pb_bus_enqueue(bus, m));
	CU_ASSERT(!pb_bus_enqueue(bus, m));
}

static void enqueue_own(struct actor *a, struct pb_msg *m, struct pb_ctx *cx)
{
	(void)a;
	CU_ASSERT(!pb_bus_enqueue(cx->bus, m)); /* it is dispatched now */
}

static void once(void)
{
	struct actor a = { 'a', .then = enqueue_own };

	up();
	ADD(&a, "m", 1);
	pb_loop_call(at(1), enqueue_twice, NULL);
	pass_ms(1);
	PB_SAME(look(), "a");
	CU_ASSERT_EQUAL(counts().enqueued, 1);
	CU_ASSERT_EQUAL(counts().dequeued, 1);
	down();
}

static void enqueue_five(void *arg)
{
	unsigned *taken = arg;

	for (unsigned i = 0; i < 5; i++)
		*taken += pb_bus_enqueue(bus, msg("m"));
}

static void bounded(void)
{
	struct actor a = { 'a' };
	unsigned taken = 0;

	up_heard((struct pb_bus_args){ .queued_max = 3 });
	ADD(&a, "m", 1);
	pb_loop_call(at(1), enqueue_five, &taken);
	CU_ASSERT_EQUAL(taken, 3);
	PB_SAME(heard(), "WARN Loop 1 has 3 messages queued: 'm' and others are dropped\n");
	CU_ASSERT_EQUAL(counts().dropped, 2);
	CU_ASSERT_EQUAL(counts().queued, 3);
	pass_ms(1);
	PB_SAME(look(), "aaa");
	for (unsigned i = 0; i < 5; i++) /* from no loop: what is on its way counts too */
		taken += pb_bus_enqueue_to(bus, at(1), msg("m"));
	CU_ASSERT_EQUAL(taken, 6);
	pass_ms(1);
	PB_SAME(look(), "aaa");
	CU_ASSERT_EQUAL(counts().dropped, 4);
	PB_SAME(heard(), ""); /* told once, until a second has passed without */
	a_second();
	a_second();
	taken = 0;
	pb_loop_call(at(1), enqueue_five, &taken);
	CU_ASSERT(heard().n > 0);
	CU_ASSERT_EQUAL(counts().queued_max, 3);
	pass_ms(1);
	pb_bus_count_reset(bus);
	CU_ASSERT_EQUAL(counts().queued_max, 0);
	CU_ASSERT_EQUAL(counts().queued, 0);
	down();
}

static struct pb_notices *line;

static void line_up(void *arg)
{
	unsigned n = *(unsigned *)arg;

	line = pb_notices_new(bus);
	while (n--)
		pb_notices_add(line, msg("m"));
	pb_notices_unref(&line);
}

static void line_bounded(void)
{
	struct actor a = { 'a' };

	up();
	ADD(&a, "m", 1);
	pb_loop_call(at(0), line_up, &(unsigned){ 1500 });
	pass_ms(1);
	CU_ASSERT_EQUAL(look().n, 1000);
	CU_ASSERT_EQUAL(counts().dropped, 500);
	down();
}

struct aged {
	uint64_t us;
};

static void enqueue_aged(void *arg)
{
	struct pb_msg *m = msg("m");

	pb_msg_set_time_us(m, pb_loop_wall_us(pb_loop_current()) - ((struct aged *)arg)->us);
	pb_bus_enqueue(bus, m);
}

/* avg = (3 avg + age) / 4; a minute and more does not count. */
static void ages(void)
{
	static const struct {
		uint64_t age, want;
	} rows[] = { { 4000, 1000 }, { 4000, 1750 }, { 60000000, 1750 }, { 0, 1312 } };

	up();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		pb_loop_call(at(0), enqueue_aged, &(struct aged){ rows[i].age });
		pass_ms(1);
		/* a turn of the simulated loop passes between */
		CU_ASSERT(counts().age_us >= rows[i].want && counts().age_us <= rows[i].want + 20);
	}
	down();
}

/* ---- Rate and congestion ----------------------------------------------------------------- */

static void send_many(unsigned n)
{
	while (n--)
		send_msg(n % CALLS, msg("m"), NULL);
}

static void rates(void)
{
	up();
	send_many(7);
	a_second();
	CU_ASSERT_EQUAL(counts().rate, 7);
	send_many(3);
	a_second();
	CU_ASSERT_EQUAL(counts().rate, 3);
	CU_ASSERT_EQUAL(counts().rate_max, 7);
	pb_bus_count_reset(bus);
	a_second();
	CU_ASSERT_EQUAL(counts().rate, 0);
	CU_ASSERT_EQUAL(counts().rate_max, 0);
	down();
}

static void congested(void)
{
	up_heard((struct pb_bus_args){ .limits = { .rate = 5, .age_ms = 1 } });
	send_many(5);
	a_second();
	PB_SAME(heard(), ""); /* at the limit is not over it */
	send_many(6);
	a_second();
	PB_SAME(heard(), "WARN Engine is congested: message rate over limit\n");
	CU_ASSERT_EQUAL(pb_bus_congestion(bus), 1);
	send_many(6);
	for (unsigned i = 0; i < 3; i++) {
		pb_loop_call(at(0), enqueue_aged, &(struct aged){ 20000 });
		pass_ms(1);
	}
	a_second();
	PB_SAME(heard(), "NOTE Engine extra congestion: message age over limit\n");
	CU_ASSERT_EQUAL(pb_bus_congestion(bus), 2);
	a_second();
	CU_ASSERT_EQUAL(pb_bus_congestion(bus), 1);
	PB_SAME(heard(), "");
	pb_bus_set_limits(bus, &(struct pb_bus_limits){ .queued = 1 }); /* as a reload does */
	a_second();
	PB_SAME(heard(), "NOTE Engine congestion ended\n");
	pb_loop_call(at(2), enqueue_five, &(unsigned){ 0 });
	a_second();
	PB_SAME(heard(), "WARN Engine is congested: message queue over limit\n");
	pass_ms(1);
	a_second();
	PB_SAME(heard(), "NOTE Engine congestion ended\n");
	down();
}

/* ---- Delays --------------------------------------------------------------------------------- */

static void hold_for(struct actor *a, uint64_t ms)
{
	pass_ms(ms);
	pb_bus_resume(bus, a->token, NULL, PB_HANDLED);
	pass_ms(1);
}

static bool hears(struct pb_str all, const char *text)
{
	return pb_str_find(all, pb_str_z(text)) >= 0;
}

static void slow(void)
{
	struct actor a = { 'a', PB_HOLD, .retval = "secret", .set = "caller" };
	struct pb_str all;

	up_heard((struct pb_bus_args){ .warn_ms = 100, .track_param = "handlers" });
	pb_log_set_level(PB_INFO);
	pb_log_tap_add(&tap);
	ADD(&a, "user.auth", 7);
	send_name(0, "user.auth");
	hold_for(&a, 50);
	PB_SAME(heard(), "");
	send_name(0, "user.auth");
	hold_for(&a, 200);
	all = heard();
	CU_ASSERT(hears(all, "<bus:INFO> Message 'user.auth' ["));
	CU_ASSERT(hears(all, " passed through "));
	CU_ASSERT(hears(all, " 'a:7' in 200"));
	CU_ASSERT(hears(all, "<Performance:MILD> Message "));
	CU_ASSERT(hears(all, " 'user.auth' returned true in 200"));
	CU_ASSERT(hears(all, "\r\n  retval='(hidden)'\r\n  param['handlers'] = 'a:7'\r\n  "
			     "param['caller'] = 'a'"));
	pb_bus_set_warntime(bus, 0);
	send_name(0, "user.auth");
	hold_for(&a, 200);
	PB_SAME(heard(), "");
	pb_log_tap_remove(&tap);
	pb_log_set_level(PB_NOTE);
	look();
	down();
}

static struct pb_msg *kept;

static void keep_it(struct pb_msg *m, bool handled, void *arg)
{
	(void)handled;
	(void)arg;
	kept = m;
}

static void handler_times(void)
{
	struct actor a = { 'a' }, b = { 'b', PB_HOLD }, c = { 'c' };
	struct pb_str got;

	up();
	pb_bus_trace_handler_times(bus, true);
	ADD(&a, "m", 1);
	ADD(&b, "m", 2, .place = PB_HOME, .home = at(2));
	ADD(&c, "m", 3);
	send_done(0, msg("m"), NULL, keep_it, NULL);
	pass_ms(20);
	b.verdict = PB_PASS;
	pb_bus_resume(bus, b.token, NULL, PB_PASS);
	pass_ms(1);
	got = pb_msg_get(kept, PB_STR("handlers"));
	CU_ASSERT(pb_str_starts(got, PB_STR("a:1#0.000,b:2#2")));
	CU_ASSERT(hears(got, ",c:3#0.000"));
	pb_msg_free(&kept);
	pb_bus_trace_handler_times(bus, false);
	send_done(2, msg("m"), NULL, keep_it, NULL);
	PB_SAME(pb_msg_get(kept, PB_STR("handlers")), "a:1,b:2,c:3");
	pb_msg_free(&kept);
	look();
	down();
}

static void note_times(struct actor *a, struct pb_msg *m, struct pb_ctx *cx)
{
	uint64_t *t = a->arg;

	(void)cx;
	t[0] = pb_msg_time_us(m);
	t[1] = pb_msg_enqueued_us(m);
	t[2] = pb_msg_dispatched_us(m);
}

static void message_times(void)
{
	uint64_t t[3];
	struct actor a = { 'a', .then = note_times, .arg = t };

	up();
	ADD(&a, "m", 1);
	pb_bus_enqueue_to(bus, at(1), msg("m"));
	pass_ms(1);
	CU_ASSERT(t[0] && !t[1] && !t[2]);
	pb_bus_trace_times(bus, true);
	pb_loop_call(at(1), enqueue_aged, &(struct aged){ 5000 });
	pass_ms(1);
	CU_ASSERT_EQUAL(t[1] - t[0], 5000);
	CU_ASSERT(t[2] >= t[1]);
	down();
}

/* ---- Filters by pattern
 * -------------------------------------------------------------------------- */

static struct pb_str sent_with(const char *value)
{
	struct pb_msg *m = msg("m");

	if (value)
		pb_msg_set(m, PB_STR("p"), pb_str_z(value));
	send_msg(0, m, NULL);
	return look();
}

static void hook(const struct pb_msg *m, bool handled, struct pb_ctx *cx)
{
	(void)m;
	(void)handled;
	note(*(const char *)cx->arg);
}

static void patterns(void)
{
	struct actor a = { 'a' }, b = { 'b' }, c = { 'c' }, bad = { 'x' };
	struct pb_hook_args h = { .fn = hook,
				  .arg = (void *)(uintptr_t) "h",
				  .filter_name = PB_STR("p"),
				  .filter_regexp = PB_STR("^1") };
	struct pb_reg *r;

	up();
	ADD(&a, "m", 1, .filter_name = PB_STR("p"), .filter_regexp = PB_STR("^1[0-9]*$"));
	ADD(&b, "m", 2, .filter_name = PB_STR("p"), .filter_regexp = PB_STR("^1^"));
	ADD(&c, "m", 3, .filter_name = PB_STR("p"), .filter_regexp = PB_STR(""));
	CU_ASSERT_EQUAL(pb_bus_hook_add(bus, &h, &r), 0);
	pass_ms(1);
	PB_SAME(sent_with("12"), "ah-");
	PB_SAME(sent_with("1x"), "h-");
	PB_SAME(sent_with("2"), "b-");
	PB_SAME(sent_with(NULL), "b-"); /* a missing one compares as empty */
	CU_ASSERT_EQUAL(add_with(&bad, "m", 4,
				 (struct pb_handler_args){ .filter_name = PB_STR("p"),
							   .filter_regexp = PB_STR("\\(") }),
			-EINVAL);
	pb_bus_remove(bus, &r, NULL, NULL);
	down();
}

static void told_of_broadcast(void)
{
	struct actor a = { 'a' };
	struct pb_str all;

	up_heard((struct pb_bus_args){ .hold_ms = 0 });
	pb_log_set_level(PB_INFO);
	pb_log_tap_add(&tap);
	ADD(&a, "", 5);
	all = heard();
	CU_ASSERT(hears(all, "<bus:INFO> Registered broadcast message handler 'a:5'"));
	pb_log_tap_remove(&tap);
	pb_log_set_level(PB_NOTE);
	down();
}

PB_TESTS("bus/load", { "an object is queued once", once }, { "a queue is bounded", bounded },
	 { "a line of notices is bounded", line_bounded }, { "mean age", ages }, { "rates", rates },
	 { "congestion", congested }, { "warntime", slow }, { "times of handlers", handler_times },
	 { "times of messages", message_times }, { "filters by pattern", patterns },
	 { "handlers of every message are told of", told_of_broadcast })
