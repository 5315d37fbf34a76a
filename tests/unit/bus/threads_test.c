/*
 * engine/bus on real threads, for the thread and address sanitizers: two call
 * loops and a script loop send each other messages whose handlers hold on any
 * of them, and threads of no loop resume them.
 */
#include "../../support/test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "bus/bus.h"
#include "loop/world.h"

#define TOTAL	 100000
#define WINDOW	 256 /* under way at once, from one loop */
#define FOREIGN	 2
#define QUEUE	 4096

static struct pb_loops *loops;
static struct pb_bus *bus;
static atomic_uint completed, stale_sent, handled_n;

/* ---- Threads of no loop that resume what is handed to them ---------------------- */

static struct {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct pb_token tokens[QUEUE];
	unsigned n;
	bool over;
} out = { .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER };

static bool hand_out(struct pb_token t)
{
	bool taken;

	pthread_mutex_lock(&out.lock);
	taken = out.n < QUEUE;
	if (taken)
		out.tokens[out.n++] = t;
	pthread_cond_signal(&out.more);
	pthread_mutex_unlock(&out.lock);
	return taken;
}

static void answer(struct pb_token t)
{
	struct pb_patch *p = pb_patch_new();

	pb_patch_set(p, PB_STR("answer"), PB_STR("from a foreign thread"));
	pb_bus_resume(bus, t, p, PB_PASS);
	if (t.slot % 16 == 0) { /* a second answer does nothing */
		atomic_fetch_add(&stale_sent, 1);
		pb_bus_resume(bus, t, NULL, PB_PASS);
	}
}

static void *foreign(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&out.lock);
	for (;;) {
		while (!out.n && !out.over)
			pthread_cond_wait(&out.more, &out.lock);
		if (!out.n)
			break;
		struct pb_token t = out.tokens[--out.n];

		pthread_mutex_unlock(&out.lock);
		answer(t);
		pthread_mutex_lock(&out.lock);
	}
	pthread_mutex_unlock(&out.lock);
	return NULL;
}

/* ---- Handlers --------------------------------------------------------------------- */

static enum pb_verdict on_hold(struct pb_msg *m, struct pb_ctx *cx)
{
	struct pb_token t = pb_bus_hold(m, NULL);

	(void)cx;
	if (!hand_out(t))
		pb_bus_resume(bus, t, NULL, PB_PASS);
	return PB_HOLD;
}

static enum pb_verdict on_each(struct pb_msg *m, struct pb_ctx *cx)
{
	pb_msg_set_retval(m, pb_loop_index(cx->loop) ? PB_STR("1") : PB_STR("0"));
	return PB_PASS;
}

static enum pb_verdict on_last(struct pb_msg *m, struct pb_ctx *cx)
{
	(void)m;
	(void)cx;
	return PB_HANDLED;
}

/* ---- Senders, one a loop ------------------------------------------------------------- */

static struct sender {
	struct pb_loop *loop;
	struct pb_work start;
	unsigned left, under_way;
	bool filling;
} senders[3];

static void fill(struct sender *s);

static void done(struct pb_msg *m, bool handled, void *arg)
{
	struct sender *s = arg;

	if (handled)
		atomic_fetch_add(&handled_n, 1);
	pb_msg_free(&m);
	s->under_way--;
	atomic_fetch_add(&completed, 1);
	fill(s);
}

static void fill(struct sender *s)
{
	static const char *const names[] = { "here", "home", "owner", "each", "plain" };

	if (s->filling)
		return; /* a done within the dispatch below */
	s->filling = true;
	while (s->left && s->under_way < WINDOW) {
		struct pb_msg *m = pb_msg_new(pb_str_z(names[s->left % 5]));

		s->left--;
		s->under_way++;
		pb_msg_setf(m, PB_STR("id"), "x/%u", s->left);
		pb_bus_dispatch(bus, m, NULL, done, s);
	}
	s->filling = false;
}

static void begin(void *arg)
{
	fill(arg);
}

/* ---- Somebody who adds and removes handlers meanwhile ----------------------------------- */

static atomic_bool enough;

static bool seen_message(void *arg, const struct pb_message_stats *s)
{
	*(uint64_t *)arg += s->count;
	return true;
}

static bool seen_handler(void *arg, const struct pb_handler_stats *s)
{
	*(uint64_t *)arg += s->count;
	return true;
}

/* Whoever looks on, from a thread of no loop. */
static void look_on(void)
{
	struct pb_bus_doing d;
	struct pb_bus_counts c;
	uint64_t sum = 0;

	pb_bus_stats_messages(bus, seen_message, &sum);
	pb_bus_stats_handlers(bus, seen_handler, &sum);
	pb_bus_count(bus, &c);
	for (unsigned i = 0; i < 3; i++) {
		if (pb_bus_doing(bus, i, &d))
			CU_ASSERT(d.message[0] && d.handler[0]);
	}
}

static void *changer(void *arg)
{
	unsigned *changes = arg;

	while (!atomic_load(&enough)) {
		struct pb_handler_args h = { .message = PB_STR("here"), .priority = 5, .fn = on_each };
		struct pb_reg *r;

		if (!pb_bus_add(bus, &h, NULL, NULL, &r))
			pb_bus_remove(bus, &r, NULL, NULL);
		++*changes;
		if (*changes % 16 == 0)
			look_on();
		usleep(200); /* a rate, not a wait for anything */
	}
	return NULL;
}

static void add(const char *name, unsigned priority, enum pb_place place, pb_handle_fn fn, struct pb_reg **r)
{
	struct pb_handler_args h = { .message = pb_str_z(name), .priority = priority, .place = place, .fn = fn,
				     .home = pb_loops_at(loops, 2), .owner_param = PB_STR("id"),
				     .track = PB_STR("t"), .hold_ms = 50000 };

	CU_ASSERT_EQUAL(pb_bus_add(bus, &h, NULL, NULL, r), 0);
}

static void nothing(void *arg)
{
	(void)arg;
}

static void everything(void)
{
	struct pb_loops_args la = { .calls = 2, .scripts = 1, .world = pb_world_real(), .name = "test" };
	struct pb_reg *regs[6];
	pthread_t threads[FOREIGN], change;
	struct pb_bus_counts c;
	unsigned changes = 0;

	CU_ASSERT_EQUAL_FATAL(pb_loops_new(&la, &loops), 0);
	CU_ASSERT_EQUAL_FATAL(pb_bus_new(&(struct pb_bus_args){ .loops = loops, .track_param = "handlers" }, &bus), 0);
	add("here", 10, PB_HERE, on_hold, &regs[0]);
	add("home", 10, PB_HOME, on_hold, &regs[1]);
	add("owner", 10, PB_OWNER, on_hold, &regs[2]);
	add("each", 10, PB_EACH, on_hold, &regs[3]);
	add("each", 20, PB_EACH, on_each, &regs[4]);
	add("", 100, PB_HERE, on_last, &regs[5]);
	for (unsigned i = 0; i < FOREIGN; i++)
		pthread_create(&threads[i], NULL, foreign, NULL);
	CU_ASSERT_EQUAL_FATAL(pb_loops_start(loops), 0);
	for (unsigned i = 0; i < 3; i++) /* the handlers are known everywhere */
		pb_loop_call(pb_loops_at(loops, i), nothing, NULL);
	pthread_create(&change, NULL, changer, &changes);
	for (unsigned i = 0; i < 3; i++) {
		senders[i] = (struct sender){ .loop = pb_loops_at(loops, i), .left = (TOTAL + i) / 3 };
		senders[i].start = (struct pb_work){ .fn = begin, .arg = &senders[i] };
		pb_loop_post(senders[i].loop, &senders[i].start);
	}
	while (atomic_load(&completed) < TOTAL)
		usleep(1000); /* the time limit of the test ends it */
	atomic_store(&enough, true);
	pthread_join(change, NULL);
	pthread_mutex_lock(&out.lock);
	out.over = true;
	pthread_cond_broadcast(&out.more);
	pthread_mutex_unlock(&out.lock);
	for (unsigned i = 0; i < FOREIGN; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < 6; i++)
		pb_bus_remove(bus, &regs[i], NULL, NULL);
	CU_ASSERT(pb_bus_settle(bus));
	pb_bus_count(bus, &c);
	CU_ASSERT_EQUAL(atomic_load(&completed), TOTAL);
	CU_ASSERT_EQUAL(atomic_load(&handled_n), TOTAL);
	CU_ASSERT_EQUAL(c.parked, 0);
	CU_ASSERT_EQUAL(c.expired, 0);
	CU_ASSERT_EQUAL(c.stale, atomic_load(&stale_sent));
	CU_ASSERT(changes > 10);
	pb_loops_stop(loops);
	pb_loops_free(&loops);
	pb_bus_free(&bus);
}

PB_TESTS("bus/threads", { "every message is completed once", everything })
