/* engine/bus: messages that are held, resumed, out of time, given up. */
#include "bus_scene.h"

static void resume_as(void *arg)
{
	struct actor *a = arg;

	pb_bus_resume(bus, a->token, NULL, PB_HANDLED);
}

/* From outside every loop. */
static void resume(struct actor *a, enum pb_verdict v)
{
	pb_bus_resume(bus, a->token, NULL, v);
	pass_ms(1);
}

static void after(void)
{
	struct actor a = { 'a', PB_HOLD }, b = { 'b', .retval = "r" };

	up();
	ADD(&a, "m", 1);
	ADD(&b, "m", 2);
	PB_SAME(sent("m"), "a");
	CU_ASSERT_EQUAL(counts().parked, 1);
	resume(&a, PB_PASS);
	PB_SAME(look(), "b-r");
	PB_SAME(sent("m"), "a");
	resume(&a, PB_HANDLED);
	PB_SAME(look(), "+");
	PB_SAME(sent("m"), "a");
	pb_loop_call(at(0), resume_as, &a); /* on its own loop: at once */
	PB_SAME(look(), "+");
	PB_SAME(sent("m"), "a");
	pb_loop_call(at(2), resume_as, &a); /* from another */
	pass_ms(1);
	PB_SAME(look(), "+");
	CU_ASSERT_EQUAL(counts().parked, 0);
	CU_ASSERT_EQUAL(counts().held, 4);
	CU_ASSERT_EQUAL(counts().handled, 3);
	down();
}

static void resume_now(struct actor *a, struct pb_msg *m, struct pb_ctx *cx)
{
	struct pb_patch *p = pb_patch_new();

	(void)m;
	pb_patch_retval(p, PB_STR("r"));
	pb_bus_resume(cx->bus, a->token, p, a->arg ? PB_HANDLED : PB_PASS);
	pb_bus_resume(cx->bus, a->token, NULL, PB_HANDLED); /* stale */
	note('|');
}

static void before(void)
{
	struct actor a = { 'a', PB_HOLD, .then = resume_now }, b = { 'b' };

	up();
	ADD(&a, "m", 1);
	ADD(&b, "m", 2);
	PB_SAME(sent("m"), "a|b-r");
	a.arg = &a;
	PB_SAME(sent("m"), "a|+r");
	CU_ASSERT_EQUAL(counts().stale, 2);
	CU_ASSERT_EQUAL(counts().parked, 0);
	down();
}

static void thinks_better(struct actor *a, struct pb_msg *m, struct pb_ctx *cx)
{
	(void)cx;
	a->token = pb_bus_hold(m, NULL);
}

/* Held, but answered otherwise: the hold is over. */
static void not_held_after_all(void)
{
	struct actor a = { 'a', PB_HANDLED, .then = thinks_better };

	up();
	ADD(&a, "m", 1);
	PB_SAME(sent("m"), "a+");
	CU_ASSERT_EQUAL(counts().parked, 0);
	resume(&a, PB_PASS);
	CU_ASSERT_EQUAL(counts().stale, 1);
	down();
}

static void stale(void)
{
	struct actor a = { 'a', PB_HOLD };
	struct pb_token old, wrong;

	up();
	ADD(&a, "m", 1);
	PB_SAME(sent("m"), "a");
	old = wrong = a.token;
	wrong.gen += 7;
	pb_bus_resume(bus, wrong, pb_patch_new(), PB_PASS);
	wrong = old;
	wrong.slot += 1000000;
	pb_bus_resume(bus, wrong, pb_patch_new(), PB_PASS);
	pb_bus_resume(bus, (struct pb_token){ 0 }, pb_patch_new(), PB_PASS); /* none: not even counted */
	wrong = old;
	wrong.loop = 60; /* no such loop */
	pb_bus_resume(bus, wrong, pb_patch_new(), PB_PASS);
	pass_ms(1);
	PB_SAME(look(), "");
	CU_ASSERT_EQUAL(counts().stale, 2);
	resume(&a, PB_PASS);
	resume(&a, PB_PASS);
	PB_SAME(look(), "-");
	CU_ASSERT_EQUAL(counts().stale, 3);
	PB_SAME(sent("m"), "a"); /* the slot again, another generation */
	CU_ASSERT_EQUAL(a.token.slot, old.slot);
	pb_bus_resume(bus, old, NULL, PB_PASS);
	pass_ms(1);
	PB_SAME(look(), "");
	CU_ASSERT_EQUAL(counts().stale, 4);
	down();
}

/* ---- Patches ------------------------------------------------------------------- */

static void patched(void)
{
	struct actor a = { 'a', PB_HOLD }, b = { 'b' }, c = { 'c' };
	struct pb_patch *p = pb_patch_new();
	struct pb_msg *m = msg("m");

	up();
	ADD(&a, "m", 50);
	ADD(&b, "m", 60);
	ADD(&c, "n", 55);
	pb_msg_add(m, PB_STR("x"), PB_STR("1"));
	pb_msg_add(m, PB_STR("x"), PB_STR("2"));
	send_msg(0, m, NULL);
	pb_patch_clear(p, PB_STR("x"));
	pb_patch_set(p, PB_STR("y"), PB_STR("3"));
	pb_patch_name(p, PB_STR("n")); /* goes on among the handlers of n */
	pb_patch_retval(p, PB_STR("r"));
	pb_bus_resume(bus, a.token, p, PB_PASS);
	pass_ms(1);
	PB_SAME(look(), "ac-r");
	down();
}

static void keep_msg(struct pb_msg *m, bool handled, void *arg)
{
	note(handled ? '+' : '-');
	*(struct pb_msg **)arg = m;
}

static void replaced(void)
{
	struct actor a = { 'a', PB_HOLD }, b = { 'b' }, c = { 'c' };
	struct pb_patch *p = pb_patch_new();
	struct pb_msg *m = msg("m"), *copy;

	up();
	ADD(&a, "m", 50);
	ADD(&b, "m", 60);
	ADD(&c, "n", 60);
	pb_msg_set_chan(m, (struct pb_handle){ 1, 2, 0 });
	send_done(0, m, NULL, keep_msg, &m);
	copy = pb_msg_new(PB_STR("n"));
	pb_msg_set(copy, PB_STR("q"), PB_STR("v"));
	pb_patch_replace(p, &copy);
	CU_ASSERT_PTR_NULL(copy);
	pb_bus_resume(bus, a.token, p, PB_PASS);
	pass_ms(1);
	PB_SAME(look(), "ac-");
	PB_SAME(pb_msg_get(m, PB_STR("q")), "v");
	CU_ASSERT_EQUAL(pb_msg_chan(m).gen, 2); /* what a script cannot know stays */
	pb_msg_free(&m);
	p = pb_patch_new();
	copy = msg("z");
	pb_patch_replace(p, &copy);
	pb_patch_free(&p); /* never sent */
	down();
}

/* ---- Limits ---------------------------------------------------------------------- */

static void out_of_time(void)
{
	struct actor a = { 'a', PB_HOLD }, b = { 'b', PB_HANDLED };

	up();
	ADD(&a, "m", 1, .hold_ms = 300);
	ADD(&b, "m", 2);
	PB_SAME(sent("m"), "a");
	pass_ms(290);
	PB_SAME(look(), "");
	pass_ms(10);
	PB_SAME(look(), "^ab+"); /* told, then the walk goes on */
	resume(&a, PB_PASS);
	CU_ASSERT_EQUAL(counts().stale, 1);
	CU_ASSERT_EQUAL(counts().expired, 1);
	a.limit_ms = 500; /* the hold says otherwise than its row */
	PB_SAME(sent("m"), "a");
	pass_ms(490);
	PB_SAME(look(), "");
	pass_ms(10);
	PB_SAME(look(), "^ab+");
	down();
}

static void innermost_first(void)
{
	struct actor a = { 'a', PB_HOLD }, b = { 'b', PB_HOLD }, c = { 'c', PB_HOLD }, d = { 'd' };

	if (!up_with(1, &(struct pb_bus_args){ .hold_ms = 1000, .message_ms = 1500 }))
		abort();
	ADD(&a, "m", 1);
	ADD(&b, "m", 2);
	ADD(&c, "m", 3);
	ADD(&d, "m", 4);
	PB_SAME(sent("m"), "a");
	pass_ms(1000);
	PB_SAME(look(), "^ab");
	pass_ms(510); /* b has what is left of the message, c next to nothing */
	PB_SAME(look(), "^bc^cd-");
	down();
}

static void holds_inner(struct actor *a, struct pb_msg *m, struct pb_ctx *cx)
{
	(void)a;
	(void)m;
	pb_bus_dispatch(cx->bus, msg("inner"), NULL, over, NULL);
}

static void inherited(void)
{
	struct actor a = { 'a', PB_HOLD }, b = { 'b', .then = holds_inner }, c = { 'c', PB_HOLD };

	if (!up_with(1, &(struct pb_bus_args){ .hold_ms = 1000, .message_ms = 1500 }))
		abort();
	ADD(&a, "m", 1);
	ADD(&b, "m", 2);
	ADD(&c, "inner", 1);
	PB_SAME(sent("m"), "a");
	pass_ms(1000);
	PB_SAME(look(), "^abc-");
	pass_ms(400);
	PB_SAME(look(), "");
	pass_ms(100); /* the inner one had 500 ms left, not 1000 */
	PB_SAME(look(), "^c-");
	down();
}

/* Who resumes another's message does not lend it his own time. */
static void resumes_arg(struct actor *a, struct pb_msg *m, struct pb_ctx *cx)
{
	(void)m;
	pb_bus_resume(cx->bus, ((struct actor *)a->arg)->token, NULL, PB_PASS);
}

static void then_ask(struct pb_msg *m, bool handled, void *arg)
{
	(void)handled;
	(void)arg;
	pb_msg_free(&m);
	pb_bus_dispatch(bus, msg("inner"), NULL, over, NULL);
}

static void not_inherited_by_strangers(void)
{
	struct actor a = { 'a', PB_HOLD }, b = { 'b', .then = resumes_arg, .arg = &a }, c = { 'c', PB_HOLD };
	struct actor slow = { 's', PB_HOLD };

	if (!up_with(1, &(struct pb_bus_args){ .hold_ms = 1000, .message_ms = 1500 }))
		abort();
	ADD(&a, "mine", 1, .hold_ms = 1400);
	ADD(&slow, "other", 1);
	ADD(&b, "other", 2);
	ADD(&c, "inner", 1);
	send_name(0, "other");
	pass_ms(500);
	send_done(0, msg("mine"), NULL, then_ask, NULL);
	pass_ms(500); /* other's hold ends, b resumes mine, whose asker asks inner */
	PB_SAME(look(), "sa^sbc-");
	pass_ms(900);
	PB_SAME(look(), "");
	pass_ms(100);
	PB_SAME(look(), "^c-");
	down();
}

/* A message used again has its whole time again. */
static void fresh_time(void)
{
	struct actor a = { 'a', PB_HOLD };
	struct pb_msg *m = msg("m");

	if (!up_with(1, &(struct pb_bus_args){ .hold_ms = 1000, .message_ms = 1000 }))
		abort();
	ADD(&a, "m", 1);
	send_done(0, m, NULL, keep_msg, &m);
	pass_ms(900);
	resume(&a, PB_PASS);
	send_done(0, m, NULL, keep_msg, &m);
	pass_ms(900);
	PB_SAME(look(), "a-a");
	pass_ms(100);
	PB_SAME(look(), "^a-");
	pb_msg_free(&m);
	down();
}

/* ---- Cap ---------------------------------------------------------------------------- */

static void full(void)
{
	struct actor a = { 'a', PB_HOLD }, b = { 'b' }, c = { 'c', PB_HOLD }, d = { 'd' };
	struct pb_msg *m;

	up();
	ADD(&a, "m", 1, .parked_max = 2);
	ADD(&b, "m", 2);
	ADD(&c, "n", 1, .parked_max = 1, .refuse_when_full = true);
	ADD(&d, "n", 2);
	send_name(0, "m");
	send_name(0, "m");
	send_name(0, "m"); /* passed by */
	PB_SAME(look(), "aab-");
	send_name(1, "m"); /* a loop's own cap */
	PB_SAME(look(), "a");
	send_name(0, "n");
	send_done(0, m = msg("n"), NULL, keep_msg, &m); /* refused */
	PB_SAME(look(), "c-");
	PB_SAME(pb_msg_get(m, PB_STR("error")), "congestion");
	pb_msg_free(&m);
	CU_ASSERT_EQUAL(counts().full, 2);
	pass_ms(20000);
	CU_ASSERT_EQUAL(counts().parked, 0);
	look();
	PB_SAME(sent("m"), "a"); /* room again */
	down();
}

/* ---- Given up --------------------------------------------------------------------------- */

static struct pb_questions asked;

static void cancel(void *arg)
{
	(void)arg;
	pb_questions_cancel(&asked);
	note('x');
}

static void cancel_expired(struct actor *a)
{
	(void)a;
	cancel(NULL);
}

static void cancel_in(struct actor *a, struct pb_msg *m, struct pb_ctx *cx)
{
	(void)a;
	(void)m;
	(void)cx;
	cancel(NULL);
}

static void given_up_parked(void)
{
	struct actor a = { 'a', PB_HOLD }, b = { 'b' };

	up();
	pb_questions_init(&asked);
	ADD(&a, "m", 1);
	ADD(&b, "m", 2);
	send_msg(0, msg("m"), &asked);
	send_msg(0, msg("m"), &asked);
	send_msg(0, msg("chan.text"), &asked);
	PB_SAME(look(), "aa-");
	pb_loop_call(at(0), cancel, NULL);
	PB_SAME(look(), "^a^ax");
	CU_ASSERT_EQUAL(counts().parked, 0);
	resume(&a, PB_PASS);
	CU_ASSERT_EQUAL(counts().stale, 1);
	pb_loop_call(at(0), cancel, NULL); /* nothing left */
	PB_SAME(look(), "x");
	down();
}

static void given_up_walking(void)
{
	struct actor a = { 'a', .then = cancel_in }, b = { 'b' };

	up();
	pb_questions_init(&asked);
	ADD(&a, "m", 1);
	ADD(&b, "m", 2);
	send_msg(0, msg("m"), &asked);
	PB_SAME(look(), "ax");
	send_msg(0, msg("m"), NULL);
	PB_SAME(look(), "axb-");
	down();
}

/* Held by the handler within which it is given up: the holder is told, nothing
 * stays parked. */
static void given_up_while_holding(void)
{
	struct actor a = { 'a', PB_HOLD, .then = cancel_in }, b = { 'b' };

	up();
	pb_questions_init(&asked);
	ADD(&a, "m", 1);
	ADD(&b, "m", 2);
	send_msg(0, msg("m"), &asked);
	PB_SAME(look(), "ax^a");
	CU_ASSERT_EQUAL(counts().parked, 0);
	down();
}

/* The holder, told that time is up, ends what asked: told once, freed once. */
static void given_up_when_told(void)
{
	struct actor a = { 'a', PB_HOLD, .when_expired = cancel_expired }, b = { 'b' };

	up();
	pb_questions_init(&asked);
	ADD(&a, "m", 1, .hold_ms = 100);
	ADD(&b, "m", 2);
	send_msg(0, msg("m"), &asked);
	pass_ms(200);
	PB_SAME(look(), "a^ax");
	CU_ASSERT_EQUAL(counts().parked, 0);
	send_msg(0, msg("m"), &asked);
	pb_loop_call(at(0), cancel, NULL); /* and within a giving up */
	PB_SAME(look(), "a^axx");
	down();
}

static void resume_when_told(struct actor *a)
{
	pb_bus_resume(bus, a->token, NULL, PB_HANDLED);
}

static void resumed_when_told(void)
{
	struct actor a = { 'a', PB_HOLD, .when_expired = resume_when_told }, b = { 'b' };

	up();
	ADD(&a, "m", 1, .hold_ms = 100);
	ADD(&b, "m", 2);
	PB_SAME(sent("m"), "a");
	pass_ms(200);
	PB_SAME(look(), "^ab-");
	CU_ASSERT_EQUAL(counts().stale, 1);
	down();
}

/* A notice that was asked for by a call is walked to its end; the call hears no more of it. */
static void notices_stay(void)
{
	struct actor a = { 'a', PB_HOLD }, b = { 'b' };

	up();
	pb_questions_init(&asked);
	ADD(&a, "chan.hangup", 1);
	ADD(&b, "chan.hangup", 2);
	send_msg(0, msg("chan.hangup"), &asked);
	pb_loop_call(at(0), cancel, NULL);
	PB_SAME(look(), "ax");
	resume(&a, PB_PASS);
	PB_SAME(look(), "b");
	send_msg(0, msg("chan.hangup"), &asked);
	resume(&a, PB_PASS);
	PB_SAME(look(), "ab-"); /* not given up: told as ever */
	down();
}

/* ---- Seen, ended, without memory ------------------------------------------------------------ */

static bool count_parked(void *arg, const struct pb_parked *p)
{
	note_text(p->message);
	note_text(p->holder);
	CU_ASSERT(p->age_ms >= 50);
	return ++*(unsigned *)arg < 2;
}

static void list_parked(void *arg)
{
	pb_bus_parked(bus, count_parked, arg);
}

static void listed(void)
{
	struct actor a = { 'a', PB_HOLD }, b = { 'b', PB_HOLD };
	unsigned n = 0;

	up();
	ADD(&a, "m", 1);
	ADD(&b, "n", 1);
	send_name(0, "m");
	pass_ms(10);
	send_name(0, "n");
	send_name(0, "n");
	pass_ms(100);
	look();
	pb_loop_call(at(0), list_parked, &n);
	PB_SAME(look(), "manb");
	down(); /* with messages parked */
}

static void many(void)
{
	struct actor a = { 'a', PB_HOLD };
	struct pb_token tokens[500];

	up();
	ADD(&a, "m", 1);
	for (unsigned i = 0; i < 500; i++) {
		send_name(0, "m");
		tokens[i] = a.token;
	}
	CU_ASSERT_EQUAL(counts().parked, 500);
	look();
	for (unsigned i = 0; i < 500; i++)
		pb_bus_resume(bus, tokens[i * 7 % 500], NULL, PB_PASS);
	pass_ms(1);
	CU_ASSERT_EQUAL(look().n, 500);
	CU_ASSERT_EQUAL(counts().parked, 0);
	CU_ASSERT_EQUAL(counts().stale, 0);
	down();
}

/* Whatever cannot be had, every message comes to its end. */
static void scenario(void)
{
	struct actor a = { 'a', PB_HOLD, .set = "x" };
	struct pb_patch *p;
	struct pb_msg *m;

	if (!up_with(1, &(struct pb_bus_args){ .track_param = "handlers" }))
		return;
	m = msg("m");
	if (m && !add_with(&a, "m", 1, (struct pb_handler_args){ .hold_ms = 50 })) {
		pass_ms(1);
		send_msg(0, m, NULL);
		m = NULL;
		p = pb_patch_new();
		pb_patch_set(p, PB_STR("y"), PB_STR("z"));
		pb_bus_resume(bus, a.token, p, PB_HANDLED);
		pass_ms(100);
		CU_ASSERT(seen_n && strchr("+-", seen[seen_n - 1]));
	}
	pb_msg_free(&m);
	remove_actor(&a);
	pass_ms(1);
	down();
}

static void each_alloc(void)
{
	pb_test_each_alloc(scenario);
}

PB_TESTS("bus/hold", { "resumed after the handler returned", after },
	 { "resumed before it returned", before }, { "not held after all", not_held_after_all },
	 { "stale tokens", stale }, { "patches", patched }, { "a whole new content", replaced },
	 { "out of time", out_of_time }, { "the innermost limit first", innermost_first },
	 { "what is left is inherited", inherited }, { "but not by strangers", not_inherited_by_strangers },
	 { "used again, whole time again", fresh_time }, { "full: pass or refuse", full },
	 { "given up while parked", given_up_parked }, { "given up while walking", given_up_walking },
	 { "given up by the handler that holds", given_up_while_holding },
	 { "given up when told", given_up_when_told }, { "resumed when told", resumed_when_told },
	 { "notices are not given up", notices_stay }, { "listed, and freed with the bus", listed },
	 { "many at once", many }, { "each allocation fails", each_alloc })
