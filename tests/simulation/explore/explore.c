/*
 * Steps: what may happen next in a play (plays.c); and all schedules of steps
 * up to the depth, play by play.
 *
 *     explore [--depth N] [--soak] [--only NAME] [--replay CHOICES]
 *
 * A fault prints the play, its steps and the choices that --replay takes.
 */
#include "explore.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "../../support/memory.h"
#include "../../support/sanitized.h"

#if PB_TEST_SANITIZED
#include <sanitizer/common_interface_defs.h>
#endif

#define DEPTH      (PB_TEST_SANITIZED ? 3 : 4)
#define DEPTH_SOAK (DEPTH + 1)

/* ---- The parts on stage ------------------------------------------------------------ */

static struct role {
	const struct part *part;
	struct pb_reg *reg;
	bool gone; /* removed: must not be called */
} roles[PARTS + 1];
static const struct play *now;
static bool resting; /* no more steps */

static BOOK void exit_stage(struct role *r)
{
	struct pb_reg *reg = r->reg;

	r->gone = true;
	r->reg = NULL;
	pb_bus_remove(bus, &reg, NULL, NULL);
}

/* A choice while steps are; afterwards the first. */
static enum deed deed_of(const struct part *p)
{
	unsigned n = 0;

	while (n < sizeof(p->deeds) / sizeof(p->deeds[0]) && p->deeds[n] != END_OF_DEEDS)
		n++;
	return p->deeds[resting ? 0 : choose(n)];
}

static void check_place(const struct part *p, const struct pb_msg *m)
{
	unsigned on = pb_loop_index(pb_loop_current());
	const struct asked *q = &book.asked[asked_of(m)];

	if (p->place == PB_HOME && on != p->home)
		fault("not at home");
	if (p->place == PB_OWNER && on != 2)
		fault("not with its owner");
	if (p->place == PB_HERE && !now->scripts && on != q->origin)
		fault("not where the message is");
}

static BOOK enum pb_verdict play_part(struct pb_msg *m, struct pb_ctx *cx)
{
	const struct asked *q = &book.asked[asked_of(m)];
	struct role *r = cx->arg;
	struct held *h;
	enum deed d;

	if (!pb_loop_is_mine(cx->loop))
		fault("a handler on another loop than it was told");
	if (r->gone)
		fault("a removed handler was called");
	enters(m, r->part->tag);
	check_place(r->part, m);
	d = deed_of(r->part);
	if (d == PASS)
		return PB_PASS;
	if (d == HANDLE) {
		says_handled(m);
		return PB_HANDLED;
	}
	if (d == ASK) {
		ask("inner", q, NULL);
		return PB_PASS;
	}
	h = hold(m, r->part->tag, d == HOLD_LONG ? 10 * MESSAGE_MS : 0);
	if (d == HOLD_ANSWER)
		answer(h, PB_HANDLED, NULL);
	if (d == HOLD_GIVE_UP && pb_loop_index(cx->loop) == 0)
		give_up(NULL);
	if (d == HOLD_REMOVE && r->reg)
		exit_stage(r);
	if (d == HOLD_ASK)
		ask("inner", q, h);
	return PB_HOLD;
}

BOOK void check_met(const struct pb_msg *m, bool handled)
{
	struct pb_str in = pb_msg_get(m, PB_STR("in"));

	if ((handled && !now->broadcast) || now->parked_max)
		return;
	for (const struct part *p = now->parts; p < now->parts + PARTS && p->tag; p++) {
		if (roles[p - now->parts].gone || !pb_str_eq(pb_msg_name(m), pb_str_z(p->message)))
			continue;
		if (pb_str_chr(in, p->tag) < 0)
			fault("a handler was left out");
	}
}

/* One that is added in the middle: walks that began before do not meet it. */
static BOOK enum pb_verdict play_late(struct pb_msg *m, struct pb_ctx *cx)
{
	(void)cx;
	if (roles[PARTS].gone)
		fault("a removed handler was called");
	if (book.asked[asked_of(m)].before_late)
		fault("an added handler in a walk that had begun");
	enters(m, 'x');
	says_handled(m);
	return PB_HANDLED;
}

static void enter_stage(unsigned i)
{
	struct pb_reg *reg;
	const struct part *p = &now->parts[i];
	struct pb_handler_args h = {
		.message = pb_str_z(p->message),
		.priority = p->priority,
		.place = p->place,
		.home = loop_at(p->home),
		.owner_param = PB_STR("id"),
		.track = pb_str(&p->tag, 1),
		.refuse_when_full = p->refuse,
		.fn = play_part,
		.arg = &roles[i],
		.merge = p->place == PB_EACH ? on_merge : NULL,
	};

	roles[i].part = p;
	pb_assert(!pb_bus_add(bus, &h, NULL, NULL, &reg));
	roles[i].reg = reg;
}

/* ---- Steps ------------------------------------------------------------------------ */

enum kind { TURN, ANSWER, GIVE_UP, HOLD_LIMIT, MESSAGE_LIMIT, REMOVE, ADD, SECOND };

struct step {
	enum kind kind;
	unsigned on, which; /* loop; hold or part */
	enum pb_verdict verdict;
	bool rename;
};

#define STEPS_MAX 64

static struct step steps[STEPS_MAX];
static unsigned steps_n;
static bool second_asked;

void steps_print(FILE *to)
{
	static const char *const kinds[] = {
		"turn",   "answer", "give up",  "hold limit passes", "message limit passes",
		"remove", "add",    "ask again"
	};

	fprintf(to, "  play '%s', choices ", now->name);
	choices_print(to);
	fprintf(to, "\n");
	for (unsigned i = 0; i < steps_n; i++) {
		const struct step *s = &steps[i];

		fprintf(to, "  %u. %s", i + 1, kinds[s->kind]);
		if (s->kind == ANSWER)
			fprintf(to, " hold %u of '%c' on loop %u: %s%s", s->which,
				book.held[s->which].handler, book.held[s->which].on,
				s->verdict == PB_PASS ? "pass" : "handled",
				s->rename ? ", renamed" : "");
		if (s->kind == REMOVE)
			fprintf(to, " '%c'", now->parts[s->which].tag);
		if (s->kind != HOLD_LIMIT && s->kind != MESSAGE_LIMIT)
			fprintf(to, ", loop %u", s->on);
		fprintf(to, "\n");
	}
}

static void do_answer(void *arg)
{
	const struct step *s = arg;

	answer(&book.held[s->which], s->verdict, s->rename ? now->rename : NULL);
}

static void do_remove(void *arg)
{
	exit_stage(&roles[((const struct step *)arg)->which]);
}

static BOOK void do_add(void *arg)
{
	struct pb_handler_args h = { .message = pb_str_z(now->message),
				     .priority = 30,
				     .fn = play_late };
	struct pb_reg *reg;

	(void)arg;
	for (unsigned i = 0; i < book.asked_n; i++)
		book.asked[i].before_late = book.asked[i].begun;
	pb_assert(!pb_bus_add(bus, &h, NULL, NULL, &reg));
	roles[PARTS].reg = reg;
}

static void do_ask(void *arg)
{
	(void)arg;
	ask(now->message, NULL, NULL);
}

static BOOK void step_take(struct step s)
{
	struct step *kept = &steps[steps_n++];

	*kept = s;
	switch (s.kind) {
	case TURN:
		loop_turn(s.on);
		break;
	case ANSWER:
		run_on(s.on, do_answer, kept);
		break;
	case GIVE_UP:
		run_on(0, give_up, NULL);
		break;
	case HOLD_LIMIT:
		time_passes(HOLD_MS);
		break;
	case MESSAGE_LIMIT:
		time_passes(MESSAGE_MS);
		break;
	case REMOVE:
		run_on(s.on, do_remove, kept);
		break;
	case ADD:
		run_on(s.on, do_add, NULL);
		break;
	case SECOND:
		second_asked = true;
		run_on(1, do_ask, NULL);
		break;
	}
}

/* All that may happen now. */
struct options {
	struct step of[STEPS_MAX];
	unsigned n;
};

static void may(struct options *o, struct step s)
{
	pb_assert(o->n < STEPS_MAX);
	o->of[o->n++] = s;
}

static BOOK void may_answer(struct options *o)
{
	for (unsigned i = 0; i < book.held_n; i++) {
		if (book.held[i].sent >= SENDS_MAX)
			continue;
		for (unsigned on = 0; on < LOOPS; on++) {
			may(o, (struct step){ ANSWER, on, i, PB_PASS, false });
			may(o, (struct step){ ANSWER, on, i, PB_HANDLED, false });
			if (now->rename && on == book.held[i].on)
				may(o, (struct step){ ANSWER, on, i, PB_PASS, true });
		}
	}
}

static BOOK bool may_give_up(void)
{
	for (unsigned i = 0; i < book.asked_n; i++) {
		const struct asked *q = &book.asked[i];

		if (q->question && !q->done && !q->given_up)
			return true;
	}
	return false;
}

static BOOK void options_find(struct options *o)
{
	o->n = 0;
	for (unsigned i = 0; i < LOOPS; i++) {
		if (loop_due(i))
			may(o, (struct step){ .kind = TURN, .on = i });
	}
	may_answer(o);
	if (may_give_up())
		may(o, (struct step){ .kind = GIVE_UP });
	if (world_timers() && timer_next_ms() > time_ms()) {
		may(o, (struct step){ .kind = HOLD_LIMIT });
		may(o, (struct step){ .kind = MESSAGE_LIMIT });
	}
	for (unsigned i = 0; i < PARTS; i++) {
		if (!roles[i].reg)
			continue;
		may(o, (struct step){ .kind = REMOVE, .on = 0, .which = i });
		may(o, (struct step){ .kind = REMOVE, .on = 2, .which = i });
	}
	if (!roles[PARTS].reg && !roles[PARTS].gone) {
		may(o, (struct step){ .kind = ADD, .on = 0 });
		may(o, (struct step){ .kind = ADD, .on = 2 });
	}
	if (now->second && !second_asked)
		may(o, (struct step){ .kind = SECOND, .on = 1 });
}

/* ---- A schedule ---------------------------------------------------------------------- */

static void turns(void)
{
	for (unsigned i = 0, idle = 0; idle < LOOPS; i = (i + 1) % LOOPS) {
		idle = loop_due(i) ? 0 : idle + 1;
		if (!idle)
			loop_turn(i);
	}
}

#define GRACE_MS 100 /* what the last handlers get when a message has no time left */

/* What is left happens in the plainest order; nothing may outlive its limit. */
static BOOK void come_to_rest(void)
{
	uint64_t last = time_ms() + (now->line ? 2 : 1) * (MESSAGE_MS + GRACE_MS), next;

	resting = true;
	for (turns(); (next = timer_next_ms()) <= last; turns())
		time_passes(next > time_ms() ? next - time_ms() : 1);
	if (!all_ended())
		fault("late: its limit has passed");
}

static struct pb_notices *line;

static void begin_line(void *arg)
{
	struct asked *q;
	struct pb_msg *m;

	(void)arg;
	line = pb_notices_new(bus);
	for (unsigned i = 0; i < 2; i++) {
		m = ask_msg(now->message, 0, false, &q);
		pb_notices_add_done(line, m, on_done, q);
	}
	pb_notices_unref(&line);
}

static void begin(void *arg)
{
	struct asked *q;
	struct pb_msg *m;

	(void)arg;
	m = ask_msg(now->message, now->origin, now->question, &q);
	q->begun = !now->scripts;
	pb_msg_set_broadcast(m, now->broadcast);
	pb_bus_dispatch(bus, m, now->question ? &questions : NULL, on_done, q);
}

static struct pb_reg *hook;

static BOOK void stage_set(void)
{
	memset(&book, 0, sizeof(book));
	memset(roles, 0, sizeof(roles));
	steps_n = 0;
	second_asked = resting = false;
	when_told = now->told;
	pb_questions_init(&questions);
	world_up(now->scripts, now->parked_max);
	for (unsigned i = 0; i < PARTS && now->parts[i].tag; i++)
		enter_stage(i);
	pb_assert(!pb_bus_hook_add(bus, &(struct pb_hook_args){ .fn = on_hook }, &hook));
	turns(); /* every loop knows */
}

static BOOK void stage_clear(void)
{
	for (unsigned i = 0; i <= PARTS; i++) {
		if (roles[i].reg)
			exit_stage(&roles[i]);
	}
	pb_bus_remove(bus, &hook, NULL, NULL);
	turns();
	world_down();
}

static BOOK void play_once(unsigned depth)
{
	struct pb_test_memory before = pb_test_memory();
	bool ended = false;

	stage_set();
	run_on(now->origin, now->line ? begin_line : begin, NULL);
	while (steps_n < depth && !ended) {
		struct options o;

		options_find(&o);
		if (!o.n)
			break;
		ended = all_ended(); /* one more step: what comes too late */
		step_take(o.of[choose(o.n)]);
	}
	come_to_rest();
	world_join();
	ledger_check();
	if (now->line && book.asked[0].order > book.asked[1].order)
		fault("notices out of order");
	stage_clear();
	if (pb_test_memory().blocks != before.blocks)
		fault("memory is not back");
}

/* ---- All of them ------------------------------------------------------------------------ */

static void say_schedule(void)
{
	fprintf(stderr, "the schedule was:\n");
	steps_print(stderr);
}

static void on_abort(int sig)
{
	say_schedule();
	signal(sig, SIG_DFL);
	raise(sig);
}

static void catch_ends(void)
{
	signal(SIGABRT, on_abort);
#if PB_TEST_SANITIZED
	__sanitizer_set_death_callback(say_schedule);
#endif
}

#define FAULTS_MAX 5

static unsigned long play_all(const struct play *p, unsigned depth, const int *given)
{
	unsigned long n = 0;

	now = p;
	choices_begin(given);
	do {
		play_once(depth);
		n++;
	} while (!given && faults < FAULTS_MAX && choices_next());
	return n;
}

struct wish {
	unsigned depth;
	const char *only;
	int replay[STEPS_MAX * 2];
	bool replays;
};

static bool read_wish(struct wish *w, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--soak")) {
			w->depth = DEPTH_SOAK;
		} else if (!strcmp(argv[i], "--depth") && i + 1 < argc) {
			w->depth = (unsigned)strtoul(argv[++i], NULL, 10);
		} else if (!strcmp(argv[i], "--only") && i + 1 < argc) {
			w->only = argv[++i];
		} else if (!strcmp(argv[i], "--replay") && i + 1 < argc) {
			unsigned n = 0;

			for (char *z = argv[++i]; *z && n + 1 < STEPS_MAX * 2; z += *z == ',')
				w->replay[n++] = (int)strtol(z, &z, 10);
			w->replay[n] = -1;
			w->replays = true;
		} else {
			fprintf(stderr, "explore: %s?\n", argv[i]);
			return false;
		}
	}
	return true;
}

int main(int argc, char **argv)
{
	struct wish w = { .depth = DEPTH };
	unsigned long all = 0;
	unsigned passed = 0, failed = 0;

	if (!read_wish(&w, argc, argv))
		return 1;
	catch_ends();
	alarm(3600); /* should one of them never end */
	for (size_t i = 0; i < plays_n; i++) {
		unsigned long n;

		if (w.only && strcmp(w.only, plays[i].name) != 0)
			continue;
		faults = 0;
		n = play_all(&plays[i], w.depth, w.replays ? w.replay : NULL);
		all += n;
		printf("%s simulation/explore: %s: %lu schedules of %u steps\n",
		       faults ? "FAIL" : "ok  ", plays[i].name, n, w.depth);
		fflush(stdout);
		passed += !faults;
		failed += faults != 0;
	}
	printf("%lu schedules\n", all);
	printf("simulation/explore: %u passed, %u failed\n", passed, failed);
	return failed != 0;
}
