/*
 * A bus over the simulated world, and actors: handlers whose behaviour is data.
 * Whatever happens leaves a letter in `seen`, so that a test is a few lines and
 * the order of events one text.
 */
#ifndef PB_TEST_BUS_SCENE_H
#define PB_TEST_BUS_SCENE_H

#include "../../support/test.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "bus/msg_impl.h"
#include "loop/world.h"

#define CALLS 3

static struct pb_sim *sim;
static struct pb_loops *loops;
static struct pb_bus *bus;
static char seen[4096];
static size_t seen_n;

static inline void note(char c)
{
	if (seen_n + 1 < sizeof(seen))
		seen[seen_n++] = c;
	seen[seen_n] = '\0';
}

static inline void note_text(struct pb_str s)
{
	for (size_t i = 0; i < s.n; i++)
		note(s.p[i]);
}

/* What was seen since the last look. */
static inline struct pb_str look(void)
{
	static char copy[sizeof(seen)];
	size_t n = seen_n;

	memcpy(copy, seen, n);
	seen_n = 0;
	seen[0] = '\0';
	return pb_str(copy, n);
}

static inline void pass_ms(uint64_t ms)
{
	pb_sim_run(sim, ms, NULL, NULL);
}

static inline struct pb_loop *at(unsigned i)
{
	return pb_loops_at(loops, i);
}

static inline bool up_with(uint64_t seed, const struct pb_bus_args *args)
{
	struct pb_loops_args la = { .calls = CALLS, .scripts = 1 };
	struct pb_bus_args ba = *args;

	seen_n = 0;
	if (pb_sim_new(seed, &sim))
		return false;
	la.world = pb_sim_world(sim);
	if (!pb_loops_new(&la, &loops)) {
		ba.loops = loops;
		if (!pb_bus_new(&ba, &bus) && !pb_loops_start(loops))
			return true;
		pb_bus_free(&bus);
		pb_loops_free(&loops);
	}
	pb_sim_free(&sim);
	return false;
}

static inline void up(void)
{
	if (!up_with(1, &(struct pb_bus_args){ .track_param = "handlers" }))
		abort();
}

/* Every handler a test has added and not removed. */
static struct pb_reg **added[64];
static unsigned added_n;

static inline void down(void)
{
	while (added_n)
		pb_bus_remove(bus, added[--added_n], NULL, NULL);
	pass_ms(1);
	pb_loops_stop(loops);
	pb_loops_free(&loops);
	pb_bus_free(&bus);
	pb_sim_free(&sim);
}

/* ---- Actors ---------------------------------------------------------------- */

struct actor {
	char tag; /* noted at each call */
	enum pb_verdict verdict;
	struct pb_reg *reg;
	const char *rename, *retval, *set; /* set: parameter of that name, value the tag */
	unsigned limit_ms;		   /* of its hold */
	unsigned holds_on;		   /* 1 + the loop where it holds; 0: on all */
	struct pb_token token;		   /* of its last hold */
	struct pb_ctx *cx;
	void (*then)(struct actor *a, struct pb_msg *m, struct pb_ctx *cx);
	void *arg;
	void (*when_expired)(struct actor *a);
};

static inline void actor_expired(void *arg)
{
	struct actor *a = arg;

	note('^');
	note(a->tag);
	if (a->when_expired)
		a->when_expired(a);
}

static inline enum pb_verdict act(struct pb_msg *m, struct pb_ctx *cx)
{
	struct actor *a = cx->arg;
	struct pb_str tag = { &a->tag, 1 };
	enum pb_verdict v = a->verdict;

	note(a->tag);
	if (a->holds_on)
		v = a->holds_on == pb_loop_index(cx->loop) + 1 ? PB_HOLD : PB_PASS;
	if (a->rename)
		pb_msg_set_name(m, pb_str_z(a->rename));
	if (a->retval)
		pb_msg_set_retval(m, pb_str_z(a->retval));
	if (a->set)
		pb_msg_set(m, pb_str_z(a->set), tag);
	if (v == PB_HOLD)
		a->token = pb_bus_hold(m, &(struct pb_hold){ a->limit_ms, actor_expired, a });
	if (a->then)
		a->then(a, m, cx);
	return v;
}

static inline int add_with(struct actor *a, const char *message, unsigned priority, struct pb_handler_args h)
{
	struct pb_str tag = { &a->tag, 1 };
	int err;

	h.message = pb_str_z(message);
	h.priority = priority;
	h.fn = act;
	h.arg = a;
	h.track = tag;
	err = pb_bus_add(bus, &h, NULL, NULL, &a->reg);
	for (unsigned i = 0; i < added_n; i++) {
		if (added[i] == &a->reg)
			return err;
	}
	if (!err)
		added[added_n++] = &a->reg;
	return err;
}

static inline void add_known(struct actor *a, const char *message, unsigned priority, struct pb_handler_args h)
{
	CU_ASSERT_EQUAL(add_with(a, message, priority, h), 0);
	pass_ms(1); /* every loop has it */
}

#define ADD(a, message, priority, ...) add_known(a, message, priority, (struct pb_handler_args){ __VA_ARGS__ })

static inline void remove_actor(struct actor *a)
{
	pb_bus_remove(bus, &a->reg, NULL, NULL);
}

/* ---- Sending ----------------------------------------------------------------- */

/* A done callback: '+' handled, '-' not; the return value after it. */
static inline void over(struct pb_msg *m, bool handled, void *arg)
{
	(void)arg;
	note(handled ? '+' : '-');
	note_text(pb_msg_retval(m));
	pb_msg_free(&m);
}

struct sending {
	struct pb_msg *m;
	struct pb_questions *q;
	pb_done_fn done;
	void *arg;
};

static inline void send_now(void *arg)
{
	struct sending *s = arg;

	pb_bus_dispatch(bus, s->m, s->q, s->done, s->arg);
}

static inline struct pb_msg *msg(const char *name)
{
	return pb_msg_new(pb_str_z(name));
}

/* Dispatch on loop `i`, `done` as given. */
static inline void send_done(unsigned i, struct pb_msg *m, struct pb_questions *q, pb_done_fn done, void *arg)
{
	struct sending s = { m, q, done, arg };

	pb_loop_call(at(i), send_now, &s);
}

static inline void send_msg(unsigned i, struct pb_msg *m, struct pb_questions *q)
{
	send_done(i, m, q, over, NULL);
}

static inline void send_name(unsigned i, const char *name)
{
	send_msg(i, msg(name), NULL);
}

/* What was seen when `name` was sent on loop 0 and all came to rest. */
static inline struct pb_str sent(const char *name)
{
	send_name(0, name);
	pass_ms(2);
	return look();
}

static inline struct pb_bus_counts counts(void)
{
	struct pb_bus_counts c;

	pb_bus_count(bus, &c);
	return c;
}

#endif
