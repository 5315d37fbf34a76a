/*
 * engine/bus: the reference's chapter 1 (message bus), section by section; the
 * section is in each test's name. Here is what msg_test, bus_test, hold_test and
 * visit_test do not show already; where the bus differs on purpose (holds,
 * snapshots), the test shows what it does instead.
 */
#include "bus_scene.h"

#define S(lit) PB_STR(lit)

/* ---- 1.1: messages ---------------------------------------------------------- */

static void fields(void)
{
	struct pb_msg *m;
	uint64_t then;

	up();
	m = msg("m");
	PB_SAME(pb_msg_retval(m), "");
	CU_ASSERT(pb_msg_retval(m).p && !pb_msg_broadcast(m) && !pb_handle_is_set(pb_msg_chan(m)));
	then = pb_msg_time_us(m);
	CU_ASSERT(then > 1000000);
	pb_msg_set_time_us(m, 5);
	pb_msg_again(m, S("m"));
	CU_ASSERT(pb_msg_time_us(m) >= then);
	pb_msg_free(&m);
	down();
}

static struct pb_msg *kept;

static void keep(struct pb_msg *m, bool handled, void *arg)
{
	(void)arg;
	note(handled ? '+' : '-');
	kept = m;
}

/* Renamed and dispatched again it keeps its list of handlers. */
static void renamed_again(void)
{
	struct actor a = { 'a' }, b = { 'b' };

	up();
	ADD(&a, "m", 1);
	ADD(&b, "n", 2);
	send_done(0, msg("m"), NULL, keep, NULL);
	pb_msg_set_name(kept, S("n"));
	send_done(0, kept, NULL, keep, NULL);
	PB_SAME(pb_msg_get(kept, S("handlers")), "a:1,b:2");
	pb_msg_free(&kept);
	down();
}

/* ---- 1.2: handlers ------------------------------------------------------------ */

static bool ends_in_7(void *arg, struct pb_str v)
{
	(void)arg;
	return pb_str_ends(v, S("7"));
}

static bool is_empty(void *arg, struct pb_str v)
{
	(void)arg;
	CU_ASSERT_PTR_NOT_NULL(v.p);
	return !v.n;
}

static void filtered(void)
{
	static const struct {
		const char *first, *second, *want;
	} rows[] = {
		{ NULL, NULL, "ef-" }, { "", NULL, "ef-" },  { "17", NULL, "xs-" },
		{ "x", NULL, "-" },    { "1", "17", "-" },   { "17", "x", "xs-" },
		{ "", "17", "ef-" },   { "17 ", NULL, "-" },
	};
	struct actor x = { 'x' }, s = { 's' }, e = { 'e' }, f = { 'f' };

	up();
	ADD(&x, "m", 1, .filter_name = S("p"), .filter_value = S("17"));
	ADD(&s, "m", 2, .filter_name = S("p"), .filter = ends_in_7);
	ADD(&e, "m", 3, .filter_name = S("p"), .filter_value = S(""));
	ADD(&f, "m", 4, .filter_name = S("p"), .filter = is_empty);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pb_msg *m = msg("m");

		if (rows[i].first)
			pb_msg_add(m, S("p"), pb_str_z(rows[i].first));
		if (rows[i].second)
			pb_msg_add(m, S("p"), pb_str_z(rows[i].second));
		send_msg(0, m, NULL);
		PB_SAME(look(), rows[i].want);
	}
	down();
}

/* A filter sees what handlers before it have made of the parameter. */
static void filtered_late(void)
{
	struct actor a = { 'a', .set = "p" }, b = { 'b' }, c = { 'c' };

	up();
	ADD(&a, "m", 1);
	ADD(&b, "m", 2, .filter_name = S("p"), .filter_value = S("a"));
	ADD(&c, "m", 3, .filter_name = S("p"), .filter_value = S(""));
	PB_SAME(sent("m"), "ab-");
	down();
}

/* At equal priority: as they came, also those of every message and those that went and came again.
 */
static void ties(void)
{
	struct actor a = { 'a' }, b = { 'b' }, c = { 'c' }, d = { 'd' };

	up();
	ADD(&a, "m", 100);
	ADD(&b, "", 100);
	ADD(&c, "m", 100);
	ADD(&d, "m", 0);
	PB_SAME(sent("m"), "dabc-");
	remove_actor(&a);
	ADD(&a, "m", 100);
	PB_SAME(sent("m"), "dbca-");
	down();
}

/* ---- 1.3: dispatch --------------------------------------------------------------- */

static void note_handlers(struct actor *a, struct pb_msg *m, struct pb_ctx *cx)
{
	(void)a;
	(void)cx;
	note('[');
	note_text(pb_msg_get(m, S("handlers")));
	note(']');
}

static enum pb_verdict nameless(struct pb_msg *m, struct pb_ctx *cx)
{
	(void)m;
	(void)cx;
	note('n');
	return PB_PASS;
}

/* Step 3: listed before it is called; one without a name is not; what was there stays. */
static void tracking(void)
{
	struct pb_handler_args h = { .message = S("m"), .priority = 2, .fn = nameless };
	struct actor a = { 'a', .then = note_handlers }, b = { 'b', .then = note_handlers };
	struct pb_msg *m = msg("m");
	struct pb_reg *r;

	up();
	ADD(&a, "m", 1);
	CU_ASSERT_EQUAL(pb_bus_add(bus, &h, NULL, NULL, &r), 0);
	ADD(&b, "m", 3);
	PB_SAME(sent("m"), "a[a:1]nb[a:1,b:3]-");
	pb_msg_set(m, S("handlers"), S("mine"));
	send_msg(0, m, NULL);
	PB_SAME(look(), "a[mine,a:1]nb[mine,a:1,b:3]-");
	pb_bus_remove(bus, &r, NULL, NULL);
	down();
	if (!up_with(1, &(struct pb_bus_args){ .track_param = NULL }))
		abort();
	ADD(&a, "m", 1);
	PB_SAME(sent("m"), "a[]-");
	down();
}

static void clear_handlers(struct actor *a, struct pb_msg *m, struct pb_ctx *cx)
{
	(void)a;
	(void)cx;
	pb_msg_clear(m, S("handlers"));
}

static void tracking_cleared(void)
{
	struct actor a = { 'a', .then = clear_handlers }, b = { 'b', .then = note_handlers };

	up();
	ADD(&a, "m", 1);
	ADD(&b, "m", 2);
	PB_SAME(sent("m"), "ab[b:2]-");
	down();
}

static struct pb_str broadcast(const char *name)
{
	struct pb_msg *m = msg(name);

	pb_msg_set_broadcast(m, true);
	send_msg(0, m, NULL);
	pass_ms(2);
	return look();
}

/* Steps 4, 5 and 8: results are OR-ed; the last return value stays. */
static void results(void)
{
	struct actor a = { 'a', PB_HANDLED, .retval = "1" }, b = { 'b', .retval = "2" };
	struct actor c = { 'c', PB_HANDLED, .retval = "3" }, d = { 'd' };
	struct actor p = { 'p', .retval = "out" };

	up();
	ADD(&a, "m", 1);
	ADD(&b, "m", 2);
	ADD(&c, "m", 3);
	ADD(&d, "m", 4);
	ADD(&p, "n", 1);
	PB_SAME(sent("m"), "a+1");
	PB_SAME(broadcast("m"), "abcd+3");
	a.verdict = c.verdict = PB_PASS;
	PB_SAME(broadcast("m"), "abcd-3");
	PB_SAME(sent("m"), "abcd-3");
	PB_SAME(sent("n"), "p-out"); /* unhandled, and something to say */
	down();
}

/* A broadcast goes on also behind a handler that held, wherever it ran. */
static void broadcast_held(void)
{
	struct actor a = { 'a', PB_HOLD }, b = { 'b', PB_HANDLED }, c = { 'c' };

	up();
	ADD(&a, "m", 1);
	ADD(&b, "m", 2, .place = PB_HOME, .home = at(2));
	ADD(&c, "m", 3);
	PB_SAME(broadcast("m"), "a");
	pb_bus_resume(bus, a.token, NULL, PB_HANDLED);
	pass_ms(2);
	PB_SAME(look(), "bc+");
	down();
}

/* Step 2: eligible is whose name is the message's at that step. */
static void renames(void)
{
	struct actor a = { 'a', .rename = "n" }, b = { 'b', .rename = "m" },
		     c = { 'c', PB_HANDLED };
	struct actor d = { 'd' }, e = { 'e', .rename = "nobody" };

	up();
	ADD(&d, "m", 5);
	ADD(&a, "m", 10);
	ADD(&b, "n", 20);
	ADD(&c, "m", 30);
	PB_SAME(sent("m"), "dabc+"); /* there and back */
	ADD(&e, "m", 25);
	PB_SAME(sent("m"), "dabe-");
	e.rename = "m"; /* its own name is no change */
	PB_SAME(sent("m"), "dabec+");
	down();
}

static struct actor comes = { 'x' };

static void comes_at(struct actor *a, struct pb_msg *m, struct pb_ctx *cx)
{
	(void)m;
	(void)cx;
	if (!comes.reg)
		CU_ASSERT_EQUAL(add_with(&comes, "m", *(unsigned *)a->arg,
					 (struct pb_handler_args){ .hold_ms = 0 }),
				0);
}

static void goes_and_comes(struct actor *a, struct pb_msg *m, struct pb_ctx *cx)
{
	if (comes.reg)
		remove_actor(&comes);
	comes_at(a, m, cx);
}

/* Step 6, as we have it: a walk sees the handlers that were there when it began, less those
 * removed. */
static void snapshots(void)
{
	unsigned early = 1, late = 99;
	struct actor a = { 'a', .then = comes_at, .arg = &late }, b = { 'b' };

	up();
	ADD(&a, "m", 10);
	ADD(&b, "m", 20);
	PB_SAME(sent("m"), "ab-"); /* a later place: the reference would meet it now */
	PB_SAME(sent("m"), "abx-");
	a.then = goes_and_comes; /* removed and added again: the old one is gone, the new one for
				    the next */
	PB_SAME(sent("m"), "ab-");
	PB_SAME(sent("m"), "ab-");
	a.then = NULL;
	PB_SAME(sent("m"), "abx-");
	remove_actor(&comes);
	a.then = comes_at;
	a.arg = &early;
	PB_SAME(sent("m"), "ab-");
	PB_SAME(sent("m"), "xab-");
	down();
}

static void hook(const struct pb_msg *m, bool handled, struct pb_ctx *cx)
{
	note(*(const char *)cx->arg);
	note_text(pb_msg_name(m));
	note(handled ? '1' : '0');
	note_text(pb_msg_retval(m));
}

static struct pb_reg *hook_up(const char *tag, const char *message)
{
	struct pb_hook_args args = { .message = pb_str_z(message),
				     .fn = hook,
				     .arg = (void *)(uintptr_t)tag };
	struct pb_reg *r;

	CU_ASSERT_EQUAL_FATAL(pb_bus_hook_add(bus, &args, &r), 0);
	pass_ms(1);
	return r;
}

static void asks_inner(struct actor *a, struct pb_msg *m, struct pb_ctx *cx)
{
	(void)a;
	(void)m;
	pb_bus_dispatch(cx->bus, msg("i"), NULL, over, NULL);
}

/* Step 7: after every walk, in the order of installation, before whoever asked is told. */
static void hooks(void)
{
	struct actor a = { 'a', .then = asks_inner, .retval = "r" }, i = { '.', PB_HANDLED },
		     h = { 'h', PB_HOLD };
	struct pb_reg *z = NULL, *y = NULL, *x = NULL;

	up();
	z = hook_up("Z", NULL);
	y = hook_up("Y", "i");
	x = hook_up("X", NULL);
	ADD(&a, "m", 1);
	ADD(&i, "i", 1);
	PB_SAME(sent("none"), "Znone0Xnone0-");       /* nobody handled, nobody heard it */
	PB_SAME(sent("m"), "a.Zi1Yi1Xi1+Zm0rXm0r-r"); /* the nested one's before the outer's */
	ADD(&h, "i", 2);
	i.verdict = PB_PASS;
	PB_SAME(sent("m"), "a.hZm0rXm0r-r"); /* held: when it ends */
	pb_bus_resume(bus, h.token, NULL, PB_PASS);
	pass_ms(1);
	PB_SAME(look(), "Zi0Yi0Xi0-");
	h.verdict = PB_PASS;
	h.rename = "k"; /* by the name that it has at the end */
	PB_SAME(sent("i"), ".hZk0Xk0-");
	pb_bus_remove(bus, &z, NULL, NULL);
	pb_bus_remove(bus, &y, NULL, NULL);
	pb_bus_remove(bus, &x, NULL, NULL);
	down();
}

#define DEEP 200
static unsigned depth, deepest;

static void asks_itself(struct actor *a, struct pb_msg *m, struct pb_ctx *cx)
{
	(void)a;
	(void)m;
	if (++depth < DEEP)
		pb_bus_dispatch(cx->bus, msg("m"), NULL, over, NULL);
	deepest = depth > deepest ? depth : deepest;
	depth--;
}

/* A handler may be in many messages at once, one within the other. */
static void reentrant(void)
{
	struct actor a = { 'a', .then = asks_itself };

	up();
	ADD(&a, "m", 1);
	depth = deepest = 0;
	CU_ASSERT_EQUAL(sent("m").n, 2 * DEEP);
	CU_ASSERT_EQUAL(deepest, DEEP);
	CU_ASSERT_EQUAL(counts().dispatched, DEEP);
	down();
}

/* ---- 1.4: the queue ----------------------------------------------------------------- */

static void queue_and_ask(struct actor *a, struct pb_msg *m, struct pb_ctx *cx)
{
	(void)a;
	(void)m;
	for (char c = 'p'; c < 't'; c++)
		pb_bus_enqueue(cx->bus, pb_msg_new(pb_str(&c, 1)));
	pb_bus_dispatch(cx->bus, msg("i"), NULL, over, NULL);
}

/* First in, first out; what is dispatched overtakes what waits. */
static void queue_order(void)
{
	struct actor a = { 'a', .then = queue_and_ask }, p = { 'p', PB_HOLD }, q = { 'q' },
		     r = { 'r' }, s = { 's' };
	struct actor i = { 'i' };

	up();
	ADD(&a, "m", 1);
	ADD(&p, "p", 1); /* one that is held keeps nobody waiting */
	ADD(&q, "q", 1);
	ADD(&r, "r", 1);
	ADD(&s, "s", 1);
	ADD(&i, "i", 1);
	PB_SAME(sent("m"), "ai--pqrs");
	CU_ASSERT_EQUAL(counts().enqueued, 4);
	CU_ASSERT_EQUAL(counts().dispatched, 6);
	CU_ASSERT_EQUAL(counts().queued, 0);
	down();
}

PB_TESTS("bus/reference", { "1.1 fields", fields }, { "1.1 renamed and sent again", renamed_again },
	 { "1.2 filters", filtered }, { "1.2 filters see the present value", filtered_late },
	 { "1.2 ties", ties }, { "1.3 step 2, names", renames },
	 { "1.3 step 3, tracking", tracking }, { "1.3 step 3, tracking cleared", tracking_cleared },
	 { "1.3 steps 4, 5 and 8, results", results },
	 { "1.3 step 5, a broadcast held", broadcast_held }, { "1.3 step 6, snapshots", snapshots },
	 { "1.3 step 7, hooks", hooks }, { "1.3 re-entrant", reentrant },
	 { "1.4 the queue", queue_order })
