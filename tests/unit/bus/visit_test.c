/* engine/bus: handlers that run on other loops: HOME, OWNER, EACH, and the way
 * from a script loop to the bus and back. */
#include "bus_scene.h"

#include <semaphore.h>

/* The loop's number behind the tag. */
static void where(struct actor *a, struct pb_msg *m, struct pb_ctx *cx)
{
	(void)a;
	(void)m;
	CU_ASSERT(pb_loop_is_mine(cx->loop));
	note((char)('0' + pb_loop_index(cx->loop)));
}

static void keep_msg(struct pb_msg *m, bool handled, void *arg)
{
	note(handled ? '+' : '-');
	*(struct pb_msg **)arg = m;
}

static void home(void)
{
	struct actor a = { 'a', .then = where }, b = { 'b', .then = where, .set = "x" }, c = { 'c', .then = where };
	struct pb_msg *m = msg("m");

	up();
	ADD(&a, "m", 1);
	ADD(&b, "m", 2, .place = PB_HOME, .home = at(2));
	ADD(&c, "m", 3, .place = PB_HOME, .home = at(3));
	pb_msg_add(m, PB_STR("y"), PB_STR("1"));
	pb_msg_add(m, PB_STR("y"), PB_STR("2"));
	send_done(1, m, NULL, keep_msg, &m);
	PB_SAME(look(), "a1");
	pass_ms(2);
	PB_SAME(look(), "b2c3-");
	PB_SAME(pb_msg_get(m, PB_STR("x")), "b");
	CU_ASSERT_EQUAL(pb_msg_count(m), 4);
	PB_SAME(pb_msg_get(m, PB_STR("handlers")), "a:1,b:2,c:3");
	pb_msg_again(m, PB_STR("z"));
	CU_ASSERT(!pb_msg_has(m, PB_STR("handlers")));
	pb_msg_free(&m);
	send_name(2, "m"); /* already at home: no journey */
	PB_SAME(look(), "a2b2");
	pass_ms(2);
	PB_SAME(look(), "c3-");
	CU_ASSERT_EQUAL(counts().parked, 0);
	down();
}

static void home_verdicts(void)
{
	struct actor a = { 'a', PB_HANDLED, .rename = "n", .retval = "r" }, b = { 'b' }, c = { 'c' };

	up();
	ADD(&a, "m", 10, .place = PB_HOME, .home = at(1));
	ADD(&b, "m", 20);
	ADD(&c, "n", 15);
	PB_SAME(sent("m"), "a+r");
	a.verdict = PB_PASS; /* the name travels back: the walk goes on among n's */
	PB_SAME(sent("m"), "ac-r");
	down();
}

static void owner(void)
{
	struct actor a = { 'a', .then = where };
	static const struct {
		const char *id, *peer, *want;
	} rows[] = {
		{ "sip/4", "", "a1-" },	    { "sip/5", "sip/6", "a2-" }, { "iax/4", "sip/2", "a2-" },
		{ "iax/4", "iax/2", "a0-" }, { "sip/x", "", "a0-" },	 { NULL, NULL, "a0-" },
		{ NULL, "sip/1", "a1-" },
	};

	up();
	ADD(&a, "m", 1, .place = PB_OWNER, .owner_param = PB_STR("id"), .owner_else = PB_STR("peer"),
	    .owner_prefix = PB_STR("sip/"));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pb_msg *m = msg("m");

		if (rows[i].id)
			pb_msg_set(m, PB_STR("id"), pb_str_z(rows[i].id));
		if (rows[i].peer)
			pb_msg_set(m, PB_STR("peer"), pb_str_z(rows[i].peer));
		send_msg(0, m, NULL);
		pass_ms(2);
		PB_SAME(look(), rows[i].want);
	}
	down();
}

/* ---- Held away ------------------------------------------------------------------- */

static void held_away(void)
{
	struct actor a = { 'a', PB_HOLD, .then = where }, b = { 'b' };
	struct pb_patch *p = pb_patch_new();

	up();
	ADD(&a, "m", 1, .place = PB_HOME, .home = at(2));
	ADD(&b, "m", 2);
	PB_SAME(sent("m"), "a2");
	CU_ASSERT_EQUAL(a.token.loop, 2);
	pb_patch_retval(p, PB_STR("r"));
	pb_bus_resume(bus, a.token, p, PB_PASS);
	pass_ms(2);
	PB_SAME(look(), "b-r");
	pb_bus_resume(bus, a.token, NULL, PB_PASS);
	pass_ms(1);
	CU_ASSERT_EQUAL(counts().stale, 1);
	CU_ASSERT_EQUAL(counts().parked, 0);
	down();
}

static void out_of_time_away(void)
{
	struct actor a = { 'a', PB_HOLD, .set = "x" }, b = { 'b' };
	struct pb_msg *m = msg("m");

	up();
	ADD(&a, "m", 1, .place = PB_HOME, .home = at(2), .hold_ms = 100);
	ADD(&b, "m", 2);
	send_done(0, m, NULL, keep_msg, &m);
	pass_ms(200);
	PB_SAME(look(), "a^ab-");
	PB_SAME(pb_msg_get(m, PB_STR("x")), "a"); /* what it changed before came back */
	pb_msg_free(&m);
	CU_ASSERT_EQUAL(counts().expired, 1);
	CU_ASSERT_EQUAL(counts().parked, 0);
	down();
}

/* A hold that asks for more than the row says has it, also away. */
static void longer_away(void)
{
	struct actor a = { 'a', PB_HOLD, .limit_ms = 20000 }, b = { 'b' };

	up();
	ADD(&a, "m", 1, .place = PB_HOME, .home = at(2));
	ADD(&b, "m", 2);
	PB_SAME(sent("m"), "a");
	pass_ms(19000);
	PB_SAME(look(), "");
	pass_ms(1500);
	PB_SAME(look(), "^ab-");
	a.limit_ms = 0;
	PB_SAME(sent("m"), "a");
	pass_ms(10500);
	PB_SAME(look(), "^ab-");
	down();
}

/* The message's own limit, while its copy is held elsewhere. */
static void message_limit_away(void)
{
	struct actor a = { 'a', PB_HOLD, .limit_ms = 100000 }, b = { 'b' };

	if (!up_with(1, &(struct pb_bus_args){ .message_ms = 1000 }))
		abort();
	ADD(&a, "m", 1, .place = PB_HOME, .home = at(2));
	ADD(&b, "m", 2);
	PB_SAME(sent("m"), "a");
	pass_ms(1100);
	CU_ASSERT_PTR_NOT_NULL(strstr(seen, "^a")); /* before or after, as the loops' turns fall */
	CU_ASSERT_PTR_NOT_NULL(strstr(seen, "b-"));
	CU_ASSERT_EQUAL(look().n, 4);
	CU_ASSERT_EQUAL(counts().parked, 0);
	down();
}

static struct pb_questions asked;

static void cancel(void *arg)
{
	(void)arg;
	pb_questions_cancel(&asked);
	note('x');
}

static void given_up_away(void)
{
	struct actor a = { 'a', PB_HOLD }, b = { 'b' };

	up();
	pb_questions_init(&asked);
	ADD(&a, "m", 1, .place = PB_HOME, .home = at(2));
	ADD(&b, "m", 2);
	send_msg(0, msg("m"), &asked);
	pass_ms(2);
	pb_loop_call(at(0), cancel, NULL);
	PB_SAME(look(), "ax");
	pass_ms(1);
	PB_SAME(look(), "^a"); /* on its loop */
	CU_ASSERT_EQUAL(counts().parked, 0);
	/* given up on the way there: runs, and is dropped when back */
	send_msg(0, msg("m"), &asked);
	pb_loop_call(at(0), cancel, NULL);
	pass_ms(2);
	PB_SAME(look(), "xa^a");
	/* resumed, and given up on the way back */
	send_msg(0, msg("m"), &asked);
	pass_ms(2);
	pb_bus_resume(bus, a.token, NULL, PB_PASS);
	pb_loop_call(at(0), cancel, NULL);
	pass_ms(2);
	PB_SAME(look(), "ax");
	CU_ASSERT_EQUAL(counts().parked, 0);
	down();
}

static void removed_on_the_way(void)
{
	struct actor a = { 'a' }, b = { 'b' };

	up();
	ADD(&a, "m", 1, .place = PB_HOME, .home = at(2));
	ADD(&b, "m", 2);
	send_name(0, "m");
	remove_actor(&a);
	pass_ms(2);
	PB_SAME(look(), "b-");
	down();
}

/* ---- Each loop ------------------------------------------------------------------------ */

static void retval_of_loop(struct actor *a, struct pb_msg *m, struct pb_ctx *cx)
{
	char digit = (char)('0' + pb_loop_index(cx->loop));

	(void)a;
	PB_SAME(pb_msg_retval(m), "");
	pb_msg_set_retval(m, pb_str(&digit, 1));
}

static void each(void)
{
	struct actor a = { 'a', .retval = "before," }, b = { 'b', .then = retval_of_loop }, c = { 'c' };

	up();
	ADD(&a, "m", 1);
	ADD(&b, "m", 2, .place = PB_EACH);
	ADD(&c, "m", 3);
	PB_SAME(sent("m"), "abbbc-before,012");
	b.verdict = PB_HANDLED;
	PB_SAME(sent("m"), "abbb+before,012");
	CU_ASSERT_EQUAL(counts().parked, 0);
	down();
}

static void each_with_a_hold(void)
{
	struct actor b = { 'b', .then = retval_of_loop, .holds_on = 2 }, c = { 'c' };

	up();
	ADD(&b, "m", 2, .place = PB_EACH);
	ADD(&c, "m", 3);
	PB_SAME(sent("m"), "bbb");
	pb_bus_resume(bus, b.token, NULL, PB_HANDLED);
	pass_ms(2);
	PB_SAME(look(), "+012");
	PB_SAME(sent("m"), "bbb");
	pass_ms(11000); /* out of time: the loop's part comes as it is */
	PB_SAME(look(), "^bc-012");
	CU_ASSERT_EQUAL(counts().parked, 0);
	down();
}

static void merge(struct pb_msg *m, struct pb_msg *const *parts, unsigned n, void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < n; i++) {
		note(parts[i] ? 'p' : '0');
		if (parts[i])
			pb_msg_add(m, PB_STR("part"), pb_msg_retval(parts[i]));
	}
}

static void each_merged(void)
{
	struct actor b = { 'b', .then = retval_of_loop }, d = { 'd', .then = retval_of_loop, .holds_on = 2, .limit_ms = 100000 };
	struct pb_msg *m = msg("m");

	if (!up_with(1, &(struct pb_bus_args){ .message_ms = 1000 }))
		abort();
	ADD(&b, "m", 2, .place = PB_EACH, .merge = merge);
	send_done(2, m, NULL, keep_msg, &m);
	pass_ms(2);
	PB_SAME(look(), "bbbppp-");
	CU_ASSERT_EQUAL(pb_msg_count(m), 3);
	PB_SAME(pb_msg_at(m, 2)->value, "2");
	pb_msg_free(&m);
	/* one that never comes: the others count, and its holder is told */
	ADD(&d, "n", 2, .place = PB_EACH, .merge = merge);
	send_name(2, "n");
	pass_ms(2);
	PB_SAME(look(), "ddd");
	pass_ms(1100);
	CU_ASSERT(pb_str_find(look(), PB_STR("-")) >= 0);
	CU_ASSERT_EQUAL(counts().parked, 0);
	down();
}

static void each_given_up(void)
{
	struct actor b = { 'b', .then = retval_of_loop, .holds_on = 2 };

	up();
	pb_questions_init(&asked);
	ADD(&b, "m", 2, .place = PB_EACH);
	send_msg(0, msg("m"), &asked);
	pass_ms(2);
	pb_loop_call(at(0), cancel, NULL);
	pass_ms(2);
	PB_SAME(look(), "bbbx^b");
	CU_ASSERT_EQUAL(counts().parked, 0);
	send_msg(0, msg("m"), &asked); /* before it is anywhere */
	pb_loop_call(at(0), cancel, NULL);
	pass_ms(2);
	PB_SAME(look(), "xbbb^b");
	CU_ASSERT_EQUAL(counts().parked, 0);
	down();
}

/* ---- From a script loop ------------------------------------------------------------------ */

static void over_where(struct pb_msg *m, bool handled, void *arg)
{
	note((char)('0' + pb_loop_index(pb_loop_current())));
	over(m, handled, arg);
}

static void from_script(void)
{
	struct actor a = { 'a', PB_HANDLED, .retval = "r", .then = where };
	struct pb_msg *m = msg("m");

	up();
	ADD(&a, "m", 1);
	pb_msg_set(m, PB_STR("id"), PB_STR("sip/5"));
	send_done(3, m, NULL, over_where, NULL);
	PB_SAME(look(), "");
	pass_ms(2);
	PB_SAME(look(), "a23+r"); /* walked on the channel's loop, answered at home */
	send_done(3, msg("m"), NULL, NULL, NULL); /* nobody wants the answer */
	pass_ms(2);
	CU_ASSERT_EQUAL(look().n, 2);
	down();
}

static void ask_from_script(struct actor *a, struct pb_msg *m, struct pb_ctx *cx)
{
	(void)a;
	(void)m;
	pb_bus_dispatch(cx->bus, msg("inner"), NULL, over_where, NULL);
}

/* A handler on a script loop asks in turn: it lends what time is left. */
static void script_inherits(void)
{
	struct actor a = { 'a', PB_HOLD }, b = { 'b', .then = ask_from_script }, c = { 'c', PB_HOLD };

	if (!up_with(1, &(struct pb_bus_args){ .hold_ms = 1000, .message_ms = 1500 }))
		abort();
	ADD(&a, "m", 1);
	ADD(&b, "m", 2, .place = PB_HOME, .home = at(3));
	ADD(&c, "inner", 1);
	PB_SAME(sent("m"), "a");
	pass_ms(1002);
	PB_SAME(look(), "^abc-");
	pass_ms(400);
	PB_SAME(look(), "");
	pass_ms(105);
	PB_SAME(look(), "^c3-");
	down();
}

static void keep_copy(struct actor *a, struct pb_msg *m, struct pb_ctx *cx)
{
	(void)cx;
	*(struct pb_msg **)a->arg = pb_msg_copy(m);
}

/* After the handler has come back nobody lends: who holds says from what. */
static void time_handed_on(void)
{
	struct pb_msg *copy = NULL, *inner;
	struct actor a = { 'a', PB_HOLD, .limit_ms = 100000, .then = keep_copy, .arg = &copy };
	struct actor c = { 'c', PB_HOLD, .limit_ms = 100000 };

	if (!up_with(1, &(struct pb_bus_args){ .message_ms = 1500 }))
		abort();
	ADD(&a, "m", 1, .place = PB_HOME, .home = at(3));
	ADD(&c, "inner", 1);
	PB_SAME(sent("m"), "a");
	pass_ms(1000);
	inner = msg("inner");
	pb_msg_inherit(inner, copy);
	send_done(3, inner, NULL, over_where, NULL);
	pass_ms(400);
	PB_SAME(look(), "c");
	pass_ms(120);
	CU_ASSERT_PTR_NOT_NULL(strstr(seen, "^c3-"));
	look();
	pb_msg_free(&copy);
	down();
}

/* ---- A loop that is stuck: real threads --------------------------------------------------- */

static sem_t stuck, ended;

static enum pb_verdict sticks(struct pb_msg *m, struct pb_ctx *cx)
{
	(void)m;
	(void)cx;
	sem_wait(&stuck);
	return PB_HANDLED;
}

static void ended_without(struct pb_msg *m, bool handled, void *arg)
{
	*(bool *)arg = handled;
	pb_msg_free(&m);
	sem_post(&stuck);
	sem_post(&ended);
}

static void stuck_loop(void)
{
	struct pb_loops_args la = { .calls = 2, .world = pb_world_real(), .name = "test" };
	struct pb_handler_args h = { .message = PB_STR("m"), .priority = 1, .place = PB_HOME, .fn = sticks };
	struct pb_bus_counts c;
	struct pb_reg *r;
	bool handled = true;

	sem_init(&stuck, 0, 0);
	sem_init(&ended, 0, 0);
	CU_ASSERT_EQUAL_FATAL(pb_loops_new(&la, &loops), 0);
	CU_ASSERT_EQUAL_FATAL(pb_bus_new(&(struct pb_bus_args){ .loops = loops, .hold_ms = 50 }, &bus), 0);
	h.home = at(1);
	CU_ASSERT_EQUAL_FATAL(pb_bus_add(bus, &h, NULL, NULL, &r), 0);
	CU_ASSERT_EQUAL_FATAL(pb_loops_start(loops), 0);
	send_done(0, msg("m"), NULL, ended_without, &handled);
	while (sem_wait(&ended) < 0)
		;
	CU_ASSERT(!handled); /* after the handler's limit and a second, not the message's 60 */
	pb_bus_remove(bus, &r, NULL, NULL);
	CU_ASSERT(pb_bus_settle(bus));
	pb_bus_count(bus, &c);
	CU_ASSERT_EQUAL(c.expired, 1);
	CU_ASSERT_EQUAL(c.parked, 0);
	pb_loops_stop(loops);
	pb_loops_free(&loops);
	pb_bus_free(&bus);
	sem_destroy(&stuck);
	sem_destroy(&ended);
}

static struct pb_token listed;

static bool take_token(void *arg, const struct pb_parked *p)
{
	(void)arg;
	note((char)('0' + p->loop));
	note(p->held ? 'h' : 'w');
	listed = p->token;
	return true;
}

static void list_them(void *arg)
{
	(void)arg;
	pb_bus_parked(bus, take_token, NULL);
}

static void listed_once(void)
{
	struct actor a = { 'a', PB_HOLD }, e = { 'e', .holds_on = 2 };

	up();
	ADD(&a, "m", 1, .place = PB_HOME, .home = at(2));
	ADD(&e, "n", 1, .place = PB_EACH);
	send_name(0, "m");
	pb_loop_call(at(0), list_them, NULL);
	PB_SAME(look(), "2w");
	pass_ms(1);
	for (unsigned i = 0; i < CALLS; i++)
		pb_loop_call(at(i), list_them, NULL);
	PB_SAME(look(), "a2h");
	pb_bus_resume(bus, listed, NULL, PB_HANDLED); /* over the head of who holds it there */
	pass_ms(1);
	PB_SAME(look(), "+^a");
	PB_SAME(sent("n"), "eee");
	pb_loop_call(at(0), list_them, NULL);
	pb_bus_resume(bus, listed, NULL, PB_PASS);
	pass_ms(1);
	CU_ASSERT(pb_str_find(look(), PB_STR("-")) >= 0);
	CU_ASSERT_EQUAL(counts().parked, 0);
	down();
}

/* ---- Ended in the middle, without memory ---------------------------------------------------- */

static void freed_in_the_middle(void)
{
	struct actor a = { 'a', PB_HOLD }, b = { 'b', .then = retval_of_loop, .holds_on = 2 };

	up();
	ADD(&a, "m", 2, .place = PB_HOME, .home = at(1));
	ADD(&b, "n", 2, .place = PB_EACH);
	send_name(0, "m");
	send_name(2, "n");
	pass_ms(2);
	CU_ASSERT_EQUAL(counts().parked, 2); /* each once, wherever it is held */
	CU_ASSERT_EQUAL(counts().held, 2);
	CU_ASSERT_EQUAL(counts().visits, 4);
	down();
}

static void scenario(void)
{
	struct actor a = { 'a' }, b = { 'b', .then = retval_of_loop };
	struct pb_msg *m = NULL;

	if (!up_with(1, &(struct pb_bus_args){ .track_param = "handlers" }))
		return;
	if (!add_with(&a, "m", 1, (struct pb_handler_args){ .place = PB_HOME, .home = at(1) }) &&
	    !add_with(&b, "m", 2, (struct pb_handler_args){ .place = PB_EACH })) {
		pass_ms(1);
		m = msg("m");
		for (unsigned i = 0; m && i < 40; i++)
			pb_msg_add(m, PB_STR("p"), PB_STR("a value long enough to fill the first block soon, and "
							  "then another: all of it comes back or none"));
		if (m && !pb_msg_failed(m)) {
			size_t n = pb_msg_count(m);
			struct pb_msg *back = NULL;

			send_done(0, m, NULL, keep_msg, &back);
			pass_ms(100000);
			CU_ASSERT_PTR_NOT_NULL(back);
			if (back)
				CU_ASSERT(pb_msg_count(back) >= n);
			m = back;
		}
		pb_msg_free(&m);
	}
	remove_actor(&a);
	remove_actor(&b);
	pass_ms(1);
	CU_ASSERT_EQUAL(counts().parked, 0);
	down();
}

static void each_alloc(void)
{
	pb_test_each_alloc(scenario);
}

PB_TESTS("bus/visit", { "home", home }, { "verdict and name come back", home_verdicts },
	 { "the owner's loop", owner }, { "held away", held_away }, { "out of time away", out_of_time_away },
	 { "longer than the row says", longer_away }, { "the message's limit", message_limit_away },
	 { "given up away", given_up_away }, { "removed on the way", removed_on_the_way },
	 { "each loop", each }, { "each loop, one holds", each_with_a_hold }, { "merged", each_merged },
	 { "each loop, given up", each_given_up }, { "from a script loop", from_script },
	 { "a script lends its time", script_inherits }, { "time handed on", time_handed_on },
	 { "a loop that is stuck", stuck_loop }, { "listed once, resumed from there", listed_once }, { "freed in the middle", freed_in_the_middle },
	 { "each allocation fails", each_alloc })
