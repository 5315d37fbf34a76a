/*
 * What was asked and held, and what has become of it.
 *
 * Marks travel in the message itself: `n` is its number, `in` the handlers that
 * had it, `handled` set together with the word that says so, by the handler or
 * by the patch of an answer. What is dropped with a copy drops its marks too, so
 * whether a message was handled must follow from the marks it has at its end.
 */
#include "explore.h"

struct ledger book;
struct pb_questions questions;
unsigned faults;
enum when_told when_told;

BOOK void fault(const char *what)
{
	faults++;
	fprintf(stderr, "FAULT %s\n", what);
	steps_print(stderr);
}

/* ---- Marks -------------------------------------------------------------------- */

BOOK unsigned asked_of(const struct pb_msg *m)
{
	return (unsigned)pb_msg_get_int(m, PB_STR("n"), ASKED_MAX, 0, ASKED_MAX);
}

static bool marked_handled(const struct pb_msg *m)
{
	return pb_msg_has(m, PB_STR("handled"));
}

BOOK void enters(struct pb_msg *m, char handler)
{
	struct asked *q = &book.asked[asked_of(m)];
	struct pb_str in = pb_msg_get(m, PB_STR("in"));

	if (pb_str_chr(in, handler) >= 0)
		fault("one handler twice");
	if (marked_handled(m) && !pb_msg_broadcast(m))
		fault("a handler after it was handled");
	/* a copy on its way learns only there that nobody waits for it */
	if (!m->w.visit && (q->done || (q->given_up && !q->notice)))
		fault("a handler after the end");
	q->begun = true;
	pb_msg_setf(m, PB_STR("in"), "%.*s%c", PB_STR_F(in), handler);
}

void says_handled(struct pb_msg *m)
{
	pb_msg_set(m, PB_STR("handled"), PB_STR("yes"));
}

/* The loops' parts of a gathering: the marks of all. */
void on_merge(struct pb_msg *m, struct pb_msg *const *parts, unsigned n, void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < n; i++) {
		if (parts[i] && marked_handled(parts[i]))
			says_handled(m);
		if (parts[i])
			pb_msg_set(m, PB_STR("in"), pb_msg_get(parts[i], PB_STR("in")));
	}
}

/* ---- Asking --------------------------------------------------------------------- */

BOOK struct pb_msg *ask_msg(const char *name, unsigned origin, bool question, struct asked **out)
{
	struct pb_msg *m = pb_msg_new(pb_str_z(name));
	struct asked *q = &book.asked[book.asked_n];

	pb_assert(book.asked_n < ASKED_MAX);
	q->origin = origin;
	q->question = question;
	q->notice = pb_name_is_notice(pb_str_z(name));
	q->sure_ms = time_ms() + 2 * HOLD_MS;
	pb_msg_set_int(m, PB_STR("n"), (int)book.asked_n++);
	pb_msg_set(m, PB_STR("id"), PB_STR("x/2"));
	*out = q;
	return m;
}

BOOK void ask(const char *name, const struct asked *outer, struct held *resumes)
{
	struct asked *q;
	struct pb_msg *m = ask_msg(name, pb_loop_index(pb_loop_current()), false, &q);

	q->resumes = resumes;
	if (outer) /* it has no more time than the hold that waits for it */
		q->sure_ms = outer->sure_ms - 3 * HOLD_MS / 2;
	q->begun = q->origin < pb_loops_calls(pb_bus_loops(bus));
	pb_bus_dispatch(bus, m, NULL, on_done, q);
}

BOOK void on_done(struct pb_msg *m, bool handled, void *arg)
{
	struct asked *q = arg;

	q->order = ++book.ended;
	if (q->done++)
		fault("completed twice");
	if (q->given_up)
		fault("completed after it was given up");
	if (!pb_loop_is_mine(loop_at(q->origin)))
		fault("completed on another loop");
	if (handled != marked_handled(m))
		fault(handled ? "handled, and nobody did" : "not handled, and somebody did");
	if (!q->hooked || handled != q->handled)
		fault("the hook did not see its end, or another");
	pb_msg_free(&m);
	if (q->resumes)
		answer(q->resumes, PB_PASS, NULL);
}

BOOK void on_hook(const struct pb_msg *m, bool handled, struct pb_ctx *cx)
{
	struct asked *q = &book.asked[asked_of(m)];

	if (!pb_loop_is_mine(cx->loop))
		fault("a hook on another loop");
	if (q->hooked++)
		fault("two ends of one walk");
	if (q->given_up && !q->notice)
		fault("a walk to the end after it was given up");
	q->handled = handled;
	if (handled != marked_handled(m))
		fault("the hook was told otherwise");
	if (time_ms() < q->sure_ms)
		check_met(m, handled);
}

BOOK void give_up(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < book.asked_n; i++) {
		if (book.asked[i].question && !book.asked[i].done)
			book.asked[i].given_up = true;
	}
	pb_questions_cancel(&questions);
}

bool all_ended(void)
{
	for (unsigned i = 0; i < book.asked_n; i++) {
		const struct asked *q = &book.asked[i];

		if (!q->done && (!q->given_up || (q->notice && !q->hooked)))
			return false;
	}
	return true;
}

/* ---- Holding ---------------------------------------------------------------------- */

static BOOK void on_told(void *arg)
{
	struct held *h = arg;

	if (h->told++)
		fault("a holder told twice");
	if (!pb_loop_is_mine(loop_at(h->on)))
		fault("a holder told on another loop");
	if (when_told == TOLD_ANSWERS)
		answer(h, PB_HANDLED, NULL);
	if (when_told == TOLD_GIVES_UP && h->on == 0)
		give_up(NULL);
}

BOOK struct held *hold(struct pb_msg *m, char handler, unsigned limit_ms)
{
	struct held *h = &book.held[book.held_n++];

	pb_assert(book.held_n < HELD_MAX);
	h->handler = handler;
	h->on = pb_loop_index(pb_loop_current());
	h->token = pb_bus_hold(m, &(struct pb_hold){ limit_ms, on_told, h });
	pb_assert(h->token.gen);
	return h;
}

BOOK void answer(struct held *h, enum pb_verdict v, const char *rename)
{
	struct pb_patch *p = pb_patch_new();

	h->sent++;
	book.sent++;
	pb_patch_set(p, v == PB_HANDLED ? PB_STR("handled") : PB_STR("passed"), PB_STR("yes"));
	if (rename)
		pb_patch_name(p, pb_str_z(rename));
	pb_bus_resume(bus, h->token, p, v);
}

/* ---- At the end --------------------------------------------------------------------- */

BOOK void ledger_check(void)
{
	struct pb_bus_counts c;
	unsigned told = 0;

	pb_bus_count(bus, &c);
	for (unsigned i = 0; i < book.asked_n; i++) {
		const struct asked *q = &book.asked[i];

		if (!q->done && !q->given_up)
			fault("never completed");
		if (q->hooked != (!q->given_up || q->notice))
			fault("its walk had no end, or more than one");
	}
	for (unsigned i = 0; i < book.held_n; i++) {
		told += book.held[i].told;
		if (!book.held[i].told && !book.held[i].sent)
			fault("a hold that ended without a word");
	}
	if (c.stale != book.sent - (book.held_n - told))
		fault("answers taken and stale do not add up");
	if (c.parked || c.queued || world_timers())
		fault("something is still parked, queued or armed");
	if (c.held < book.held_n)
		fault("holds that were not counted");
}
