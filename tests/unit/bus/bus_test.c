/* engine/bus: registering, the walk, hooks, the queue, lines of notices. */
#include "bus_scene.h"

static void order(void)
{
	struct actor a = { 'a' }, b = { 'b' }, c = { 'c' }, any = { '*' }, d = { 'd', .verdict = PB_HANDLED };
	struct actor e = { 'e' };

	up();
	ADD(&c, "m", 100);
	ADD(&a, "m", 10);
	ADD(&d, "m", 100); /* a tie: as they came */
	ADD(&e, "m", 101);
	ADD(&any, "", 50);
	ADD(&b, "other", 20);
	PB_SAME(sent("m"), "a*cd+");
	PB_SAME(sent("other"), "b*-");
	PB_SAME(sent("nobody"), "*-");
	PB_SAME(sent("M"), "*-");
	down();
}

static void broadcasts(void)
{
	struct actor a = { 'a', PB_HANDLED, .retval = "x" }, b = { 'b' };
	struct pb_msg *m;

	up();
	ADD(&a, "m", 1);
	ADD(&b, "m", 2);
	m = msg("m");
	pb_msg_set_broadcast(m, true);
	send_msg(0, m, NULL);
	PB_SAME(look(), "ab+x");
	PB_SAME(sent("m"), "a+x");
	down();
}

static bool is_long(void *arg, struct pb_str v)
{
	(void)arg;
	return v.n > 3;
}

static void filters(void)
{
	struct actor a = { 'a' }, b = { 'b' }, c = { 'c' };
	struct pb_msg *m;

	up();
	ADD(&a, "m", 1, .filter_name = PB_STR("p"), .filter_value = PB_STR("v"));
	ADD(&b, "m", 2, .filter_name = PB_STR("p"), .filter_value = PB_STR(""));
	ADD(&c, "m", 3, .filter_name = PB_STR("p"), .filter = is_long);
	PB_SAME(sent("m"), "b-");
	m = msg("m");
	pb_msg_add(m, PB_STR("p"), PB_STR("v"));
	pb_msg_add(m, PB_STR("p"), PB_STR("long one"));
	send_msg(0, m, NULL);
	PB_SAME(look(), "a-");
	m = msg("m");
	pb_msg_add(m, PB_STR("p"), PB_STR("long one"));
	send_msg(0, m, NULL);
	PB_SAME(look(), "c-");
	down();
}

/* The walk goes on with the handlers of the new name at later positions. */
static void renames(void)
{
	struct actor a = { 'a', .rename = "n" }, b = { 'b' }, c = { 'c' }, d = { 'd' }, e = { 'e', .rename = "m" };
	struct actor any = { '*' }, f = { 'f' };

	up();
	ADD(&d, "n", 50); /* the same place, but earlier: not met */
	ADD(&a, "m", 50);
	ADD(&b, "m", 60);
	ADD(&c, "n", 10);
	ADD(&e, "n", 50); /* the same place, later */
	ADD(&any, "", 55);
	ADD(&f, "m", 40);
	PB_SAME(sent("m"), "fae*b-");
	PB_SAME(sent("n"), "cde*b-");
	down();
}

static struct pb_msg *kept;

static void keep_it(struct pb_msg *m, bool handled, void *arg)
{
	(void)arg;
	note(handled ? '+' : '-');
	kept = m;
}

static void tracks(void)
{
	struct actor a = { 'a' }, b = { 'b', PB_HANDLED };
	struct actor c = { 'c' };

	up();
	ADD(&a, "m", 7);
	ADD(&c, "", 50);
	ADD(&b, "m", 100);
	send_done(0, msg("m"), NULL, keep_it, NULL);
	PB_SAME(pb_msg_get(kept, PB_STR("handlers")), "a:7,c:50,b:100");
	/* the same object again keeps accumulating, unless told */
	send_done(0, kept, NULL, keep_it, NULL);
	PB_SAME(pb_msg_get(kept, PB_STR("handlers")), "a:7,c:50,b:100,a:7,c:50,b:100");
	pb_msg_again(kept, PB_STR("x"));
	send_done(0, kept, NULL, keep_it, NULL);
	PB_SAME(pb_msg_get(kept, PB_STR("handlers")), "c:50");
	pb_msg_free(&kept);
	down();
}

/* ---- Hooks ---------------------------------------------------------------------- */

static void hook(const struct pb_msg *m, bool handled, struct pb_ctx *cx)
{
	note(*(const char *)cx->arg);
	note(handled ? '1' : '0');
	(void)m;
}

static struct pb_ctx many[CALLS + 1];

static void hooks(void)
{
	struct actor a = { 'a', PB_HANDLED };
	struct pb_hook_args every = { .fn = hook, .arg = (void *)"h" };
	struct pb_hook_args one = { .message = PB_STR("m"), .fn = hook, .arg = (void *)"i", .contexts = many };
	struct pb_reg *r, *s;

	up();
	ADD(&a, "m", 1);
	CU_ASSERT_EQUAL(pb_bus_hook_add(bus, &every, &r), 0);
	CU_ASSERT_EQUAL(pb_bus_hook_add(bus, &one, &s), 0);
	pass_ms(1);
	PB_SAME(sent("m"), "ah1i1+");
	PB_SAME(sent("x"), "h0-");
	pb_bus_remove(bus, &r, NULL, NULL);
	pass_ms(1);
	PB_SAME(sent("m"), "ai1+");
	pb_bus_remove(bus, &s, NULL, NULL);
	down();
}

/* ---- Nested, queued ---------------------------------------------------------------- */

static void ask_inner(struct actor *a, struct pb_msg *m, struct pb_ctx *cx)
{
	(void)a;
	(void)m;
	pb_bus_dispatch(cx->bus, msg("inner"), NULL, over, NULL);
	note('|');
}

static void nested(void)
{
	struct actor a = { 'a', .then = ask_inner }, b = { 'b', PB_HANDLED, .retval = "r" }, c = { 'c', PB_HOLD };

	up();
	ADD(&a, "m", 1);
	ADD(&b, "inner", 5);
	PB_SAME(sent("m"), "ab+r|-");
	ADD(&c, "inner", 1);
	PB_SAME(sent("m"), "ac|-");
	pb_bus_resume(bus, c.token, NULL, PB_PASS);
	pass_ms(1);
	PB_SAME(look(), "b+r");
	down();
}

static void enqueue_more(struct actor *a, struct pb_msg *m, struct pb_ctx *cx)
{
	(void)a;
	(void)m;
	pb_bus_enqueue(cx->bus, msg("b"));
	pb_bus_enqueue(cx->bus, msg("c"));
	note('|');
}

static void queued(void)
{
	struct actor a = { 'a', .then = enqueue_more }, b = { 'b' }, c = { 'c' };

	up();
	ADD(&a, "a", 1);
	ADD(&b, "b", 1);
	ADD(&c, "c", 1);
	pb_bus_enqueue(bus, msg("a")); /* from no loop: on call loop 0 */
	pb_bus_enqueue_to(bus, at(0), msg("b"));
	CU_ASSERT_EQUAL(pb_loop_current(), NULL);
	pass_ms(5);
	PB_SAME(look(), "a|bbc");
	CU_ASSERT_EQUAL(counts().enqueued, 4);
	CU_ASSERT_EQUAL(counts().queued, 0);
	pb_bus_enqueue_to(bus, at(2), msg("b"));
	pass_ms(5);
	PB_SAME(look(), "b");
	down();
}

/* ---- Handlers that come and go ------------------------------------------------------ */

static struct actor late = { 'l' };

static void add_late(struct actor *a, struct pb_msg *m, struct pb_ctx *cx)
{
	(void)m;
	(void)cx;
	CU_ASSERT_EQUAL(add_with(&late, "m", 90, (struct pb_handler_args){ .hold_ms = 0 }), 0);
	a->then = NULL;
}

static void remove_arg(struct actor *a, struct pb_msg *m, struct pb_ctx *cx)
{
	(void)m;
	(void)cx;
	remove_actor(a->arg);
}

static void during_a_walk(void)
{
	struct actor a = { 'a', .then = add_late }, b = { 'b' }, c = { 'c' };

	up();
	ADD(&a, "m", 1);
	ADD(&b, "m", 2);
	PB_SAME(sent("m"), "ab-"); /* added: seen by the next */
	PB_SAME(sent("m"), "abl-");
	a.then = remove_arg;
	a.arg = &late;
	PB_SAME(sent("m"), "ab-"); /* removed: skipped at once */
	ADD(&c, "m", 3);
	b.then = remove_arg;
	b.arg = &b; /* from its own callback */
	PB_SAME(sent("m"), "abc-");
	PB_SAME(sent("m"), "ac-");
	down();
}

static void while_held(void)
{
	struct actor a = { 'a', PB_HOLD }, b = { 'b' }, c = { 'c' };

	up();
	ADD(&a, "m", 1);
	ADD(&b, "m", 2);
	PB_SAME(sent("m"), "a");
	ADD(&c, "m", 3);
	remove_actor(&b);
	remove_actor(&a); /* the holder itself: its message goes on */
	pass_ms(1);
	pb_bus_resume(bus, a.token, NULL, PB_PASS);
	pass_ms(1);
	PB_SAME(look(), "-");
	PB_SAME(sent("m"), "c-");
	down();
}

static void say(void *arg)
{
	note(*(const char *)arg);
}

struct change {
	struct actor *a;
	const char *tag;
	bool add;
};

static void do_change(void *arg)
{
	struct change *c = arg;
	struct pb_handler_args h = { .message = PB_STR("m"), .priority = 1, .fn = act, .arg = c->a };

	if (c->add && pb_bus_add(bus, &h, say, (void *)(uintptr_t)c->tag, &c->a->reg))
		CU_FAIL("not added");
	if (!c->add)
		pb_bus_remove(bus, &c->a->reg, say, (void *)(uintptr_t)c->tag);
}

static void known_and_gone(void)
{
	struct actor a = { 'a' };

	up();
	pb_loop_call(at(1), do_change, &(struct change){ &a, "k", true });
	PB_SAME(look(), "");
	send_name(1, "m"); /* at once on the loop that added it */
	send_name(0, "m"); /* not yet elsewhere */
	PB_SAME(look(), "a--");
	pass_ms(1);
	PB_SAME(look(), "k");
	PB_SAME(sent("m"), "a-");
	pb_loop_call(at(1), do_change, &(struct change){ &a, "g", false });
	send_name(1, "m");
	PB_SAME(look(), "-");
	pass_ms(1);
	PB_SAME(look(), "g");
	PB_SAME(sent("m"), "-");
	down();
}

/* A change of one's own is taken over at once; an older one that is still in
 * the mailbox must not undo it. */
static void changes_cross(void)
{
	struct actor a = { 'a' }, b = { 'b' };

	up();
	CU_ASSERT_EQUAL(add_with(&a, "m", 1, (struct pb_handler_args){ .hold_ms = 0 }), 0); /* on its way to all */
	pb_loop_call(at(0), do_change, &(struct change){ &b, "k", true });
	send_name(0, "m");
	PB_SAME(look(), "ab-");
	pass_ms(1);
	PB_SAME(look(), "k");
	for (unsigned i = 0; i < CALLS; i++)
		send_name(i, "m");
	PB_SAME(look(), "ab-ab-ab-");
	remove_actor(&b);
	down();
}

static void come_and_go(void)
{
	struct actor a = { 'a' };

	up();
	for (unsigned i = 0; i < 5000; i++) {
		CU_ASSERT_EQUAL(add_with(&a, "m", 1, (struct pb_handler_args){ .hold_ms = 0 }), 0);
		remove_actor(&a);
		if (i % 100 == 0)
			PB_SAME(sent("m"), "-");
	}
	down();
}

static bool count_row(void *arg, const struct pb_handler_row *r)
{
	note_text(r->track);
	return ++*(unsigned *)arg < 2;
}

static void listed(void)
{
	struct actor a = { 'a' }, b = { 'b' }, c = { 'c' }, none = { 'n' };
	unsigned n = 0;

	up();
	ADD(&c, "n", 3);
	ADD(&a, "m", 1);
	ADD(&b, "m", 2);
	pb_bus_handlers(bus, count_row, &n);
	PB_SAME(look(), "ab");
	CU_ASSERT_EQUAL(pb_bus_add(bus, &(struct pb_handler_args){ .message = PB_STR("m") }, NULL, NULL,
				   &none.reg),
			-EINVAL);
	CU_ASSERT_PTR_NULL(none.reg);
	CU_ASSERT_EQUAL(pb_bus_owner_of(bus, PB_STR("sip/17")), 17 % CALLS);
	CU_ASSERT_EQUAL(pb_bus_owner_of(bus, PB_STR("a/b/4")), 1);
	CU_ASSERT_EQUAL(pb_bus_owner_of(bus, PB_STR("sip/")), -1);
	CU_ASSERT_EQUAL(pb_bus_owner_of(bus, PB_STR("17")), -1);
	CU_ASSERT_EQUAL(pb_bus_owner_of(bus, PB_STR("sip/1x")), -1);
	CU_ASSERT_EQUAL(pb_bus_owner_of(bus, PB_STR_NULL), -1);
	down();
}

/* ---- A line of notices -------------------------------------------------------------- */

static struct pb_notices *line;

static void line_up(void *arg)
{
	const char *names = arg;

	line = pb_notices_new(bus);
	for (; *names; names++) {
		char name[] = { *names, '\0' };

		pb_notices_add(line, msg(name));
	}
}

static void line_let_go(void *arg)
{
	(void)arg;
	pb_notices_unref(&line);
}

static void notices_in_line(void)
{
	struct actor a = { 'a' }, b = { 'b', PB_HOLD }, c = { 'c' };

	up();
	ADD(&a, "a", 1);
	ADD(&b, "b", 1);
	ADD(&c, "c", 1);
	pb_loop_call(at(1), line_up, (void *)"abca");
	PB_SAME(look(), "");
	pass_ms(5);
	PB_SAME(look(), "ab"); /* c waits behind the held one */
	pb_loop_call(at(1), line_let_go, NULL);
	pb_bus_resume(bus, b.token, NULL, PB_PASS);
	pass_ms(5);
	PB_SAME(look(), "ca");
	CU_ASSERT_EQUAL(counts().dispatched, 4);
	down();
}

static void line_with_done(void *arg)
{
	line = pb_notices_new(bus);
	pb_notices_add_done(line, msg("a"), over, NULL);
	pb_notices_add_done(line, msg("x"), over, NULL);
	pb_notices_unref(&line);
	(void)arg;
}

static void notices_told(void)
{
	struct actor a = { 'a', PB_HANDLED };

	up();
	ADD(&a, "a", 1);
	pb_loop_call(at(3), line_with_done, NULL); /* a script loop has lines too */
	pass_ms(5);
	PB_SAME(look(), "a+-");
	down();
}

/* ---- Without memory ------------------------------------------------------------------ */

static void scenario(void)
{
	struct actor a = { 'a' }, b = { 'b', PB_HOLD };
	struct pb_msg *m;

	if (!up_with(1, &(struct pb_bus_args){ .track_param = "handlers" }))
		return;
	if (!add_with(&a, "m", 1, (struct pb_handler_args){ .hold_ms = 0 }) &&
	    !add_with(&b, "m", 2, (struct pb_handler_args){ .place = PB_HOME, .home = at(1) })) {
		pass_ms(1);
		m = msg("m");
		if (m)
			send_msg(0, m, NULL);
		pass_ms(1);
		pb_bus_resume(bus, b.token, NULL, PB_HANDLED);
		pass_ms(100000);
		CU_ASSERT(!m || seen[seen_n - 1] == '+' || seen[seen_n - 1] == '-');
	}
	remove_actor(&a);
	pass_ms(1);
	m = msg("m");
	if (m && b.reg) {
		look();
		b.verdict = PB_PASS;
		send_msg(0, m, NULL);
		pass_ms(1);
		CU_ASSERT_NOT_EQUAL(seen[0], 'a');
	} else {
		pb_msg_free(&m);
	}
	remove_actor(&b);
	pass_ms(1);
	CU_ASSERT_EQUAL(counts().parked, 0);
	down();
}

static void each_alloc(void)
{
	pb_test_each_alloc(scenario);
}

PB_TESTS("bus/bus", { "priorities, ties, every message", order }, { "broadcasts", broadcasts },
	 { "filters", filters }, { "a change of name in the middle", renames }, { "tracking", tracks },
	 { "hooks", hooks }, { "nested dispatch", nested }, { "the queue", queued },
	 { "added and removed during a walk", during_a_walk }, { "added and removed while held", while_held },
	 { "known and gone", known_and_gone }, { "changes that cross", changes_cross },
	 { "handlers that come and go", come_and_go }, { "listed", listed },
	 { "notices in line", notices_in_line }, { "notices with an answer", notices_told },
	 { "each allocation fails", each_alloc })
