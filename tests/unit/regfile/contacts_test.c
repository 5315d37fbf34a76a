/* modules/regfile: the table of contacts, on simulated and on real loops. */
#include "../../support/test.h"

#include <errno.h>
#include <stdatomic.h>

#include "base/alloc.h"
#include "loop/world.h"
#include "regfile/contacts.h"

static struct pb_sim *sim;
static struct pb_loops *loops;
static struct regfile_contacts *table;
static unsigned expired;

static void on_expired(void *arg, struct pb_str user, const struct regfile_contact *c)
{
	(void)arg;
	CU_ASSERT_TRUE(user.n > 0 && c->data.n > 0);
	expired++;
}

static void set_up(unsigned n)
{
	struct pb_loops_args la = { .calls = n };

	expired = 0;
	CU_ASSERT_EQUAL_FATAL(pb_sim_new(1, &sim), 0);
	la.world = pb_sim_world(sim);
	CU_ASSERT_EQUAL_FATAL(pb_loops_new(&la, &loops), 0);
	CU_ASSERT_EQUAL_FATAL(pb_loops_start(loops), 0);
	table = regfile_contacts_new(on_expired, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(table);
}

static void leave(void *arg)
{
	regfile_contacts_leave(table, arg);
}

static void tear_down(void)
{
	for (unsigned i = 0; i < pb_loops_count(loops); i++)
		pb_loop_call(pb_loops_at(loops, i), leave, pb_loops_at(loops, i));
	for (unsigned i = 0; i < pb_loops_count(loops); i++)
		CU_ASSERT_EQUAL(pb_loop_timers(pb_loops_at(loops, i)), 0);
	regfile_contacts_free(&table);
	pb_loops_free(&loops);
	pb_sim_free(&sim);
}

/* What a test wants done on a loop. */
struct step {
	const char *user, *data, *connection;
	unsigned q, most;
	uint64_t expires_ms;
	size_t result;
	char found[64];
};

static void do_put(void *arg)
{
	struct step *s = arg;
	struct pb_param param = { PB_STR("oconnection_id"), PB_STR("general") };
	struct regfile_contact c = {
		.data = pb_str_z(s->data),
		.driver = PB_STR("sip"),
		.connection = pb_str_z(s->connection),
		.params = &param,
		.param_count = 1,
		.q_permille = s->q,
		.expires_ms = s->expires_ms,
	};

	s->result =
		(size_t)regfile_contacts_put(table, pb_str_z(s->user), &c, s->most ? s->most : 10);
}

static void do_drop(void *arg)
{
	struct step *s = arg;

	s->result = s->user ? regfile_contacts_drop(table, pb_str_z(s->user), pb_str_z(s->data))
			    : regfile_contacts_drop_connection(table, pb_str_z(s->connection));
}

static void found(void *arg, struct pb_str user, const struct regfile_contact *c)
{
	struct step *s = arg;

	CU_ASSERT_TRUE(c->data.n < sizeof(s->found));
	memcpy(s->found, c->data.p, c->data.n);
	s->found[c->data.n] = '\0';
	CU_ASSERT_EQUAL(c->param_count, 1);
	PB_SAME(c->params[0].value, "general");
	PB_SAME(c->driver, "sip");
	CU_ASSERT_TRUE(user.n > 0);
}

static void do_best(void *arg)
{
	struct step *s = arg;

	s->found[0] = '\0';
	s->result = regfile_contacts_best(table, pb_str_z(s->user), found, s);
}

static size_t on_loop(unsigned i, void (*fn)(void *), struct step s)
{
	pb_loop_call(pb_loops_at(loops, i), fn, &s);
	return s.result;
}

static void best_is(unsigned loop, const char *user, const char *data)
{
	struct step s = { .user = user };

	pb_loop_call(pb_loops_at(loops, loop), do_best, &s);
	PB_SAME(pb_str_z(s.found), data);
}

#define PUT(loop, ...)  on_loop(loop, do_put, (struct step){ __VA_ARGS__ })
#define DROP(loop, ...) on_loop(loop, do_drop, (struct step){ __VA_ARGS__ })

static void several(void)
{
	set_up(3);
	best_is(0, "a", "");
	PUT(0, .user = "a", .data = "one", .q = 500);
	PUT(1, .user = "a", .data = "two", .q = 900);
	PUT(2, .user = "a", .data = "three", .q = 500);
	best_is(1, "a", "two");
	CU_ASSERT_EQUAL(regfile_contacts_users(table), 1);
	CU_ASSERT_EQUAL(DROP(0, .user = "a", .data = "two"), 1);
	CU_ASSERT_EQUAL(DROP(0, .user = "a", .data = "two"), 0);
	best_is(0, "a", "three"); /* the later of the same q */
	PUT(0, .user = "a", .data = "one", .q = 500);
	best_is(0, "a", "one");
	PUT(0, .user = "a", .data = "four", .q = 100, .most = 2);
	best_is(0, "a", "one"); /* three was registered longest ago */
	CU_ASSERT_EQUAL(DROP(2, .user = "a"), 2);
	CU_ASSERT_EQUAL(regfile_contacts_users(table), 0);
	pb_sim_run(sim, 10, NULL, NULL);
	tear_down();
}

static void expiring(void)
{
	set_up(2);
	PUT(0, .user = "a", .data = "one", .expires_ms = 1000);
	PUT(1, .user = "a", .data = "two", .expires_ms = 60000);
	PUT(1, .user = "b", .data = "x");
	pb_sim_run(sim, 999, NULL, NULL);
	CU_ASSERT_EQUAL(DROP(0, .user = "a", .data = "none"), 0);
	CU_ASSERT_EQUAL(expired, 0);
	PUT(1, .user = "a", .data = "two",
	    .expires_ms = 60000); /* a refresh: the old timer is gone */
	pb_sim_run(sim, 1, NULL, NULL);
	CU_ASSERT_EQUAL(expired, 1);
	best_is(0, "a", "two");
	pb_sim_run(sim, 59998, NULL, NULL);
	best_is(0, "a", "two");
	pb_sim_run(sim, 1, NULL, NULL);
	best_is(0, "a", "");
	CU_ASSERT_EQUAL(expired, 2);
	PUT(1, .user = "c", .data = "years", .expires_ms = 1ull << 33); /* beyond one timer */
	pb_sim_run(sim, (1ull << 33) - 1, NULL, NULL);
	best_is(0, "c", "years");
	pb_sim_run(sim, 1, NULL, NULL);
	best_is(0, "c", "");
	best_is(0, "b", "x"); /* never */
	tear_down();
}

static void connections(void)
{
	set_up(2);
	PUT(0, .user = "a", .data = "one", .connection = "tcp/1");
	PUT(1, .user = "a", .data = "two", .connection = "tcp/2");
	PUT(1, .user = "b", .data = "three", .connection = "tcp/1");
	PUT(1, .user = "c", .data = "four");
	CU_ASSERT_EQUAL(DROP(0, .connection = "tcp/1"), 2);
	CU_ASSERT_EQUAL(DROP(0, .connection = "tcp/1"), 0);
	best_is(0, "a", "two");
	best_is(0, "b", "");
	best_is(0, "c", "four");
	PUT(0, .user = "a", .data = "two"); /* moved off its connection */
	CU_ASSERT_EQUAL(DROP(0, .connection = "tcp/2"), 0);
	best_is(0, "a", "two");
	pb_sim_run(sim, 10, NULL, NULL);
	tear_down();
}

static void putting(void)
{
	PUT(0, .user = "a", .data = "one", .connection = "tcp/1", .expires_ms = 5);
	PUT(0, .user = "a", .data = "one", .connection = "tcp/2");
	DROP(0, .connection = "tcp/1");
	DROP(0, .user = "a");
}

static void alloc_failures(void)
{
	set_up(1);
	pb_test_each_alloc(putting);
	tear_down();
}

/* ---- Threads ---------------------------------------------------------------------- */

#define ROUNDS 2000

struct worker {
	struct pb_work work;
	struct pb_loop *loop;
	unsigned round;
};

static atomic_uint working;

static void hammer(void *arg)
{
	struct worker *w = arg;
	static const char *const users[] = { "a", "b", "c" };
	static const char *const data[] = { "1", "2", "3", "4" };
	struct step s = { .user = users[w->round % 3],
			  .data = data[w->round / 3 % 4],
			  .connection = w->round % 2 ? "tcp/1" : NULL,
			  .expires_ms = w->round % 5 };

	do_put(&s);
	do_best(&s);
	if (w->round % 7 == 0)
		do_drop(&s);
	s.user = NULL;
	s.connection = "tcp/1";
	if (w->round % 11 == 0)
		do_drop(&s);
	if (++w->round < ROUNDS)
		pb_loop_defer(w->loop, &w->work);
	else
		atomic_fetch_sub(&working, 1);
}

static void threads(void)
{
	struct pb_loops_args la = { .calls = 3, .world = pb_world_real() };
	struct worker w[3] = { 0 };

	CU_ASSERT_EQUAL_FATAL(pb_loops_new(&la, &loops), 0);
	CU_ASSERT_EQUAL_FATAL(pb_loops_start(loops), 0);
	table = regfile_contacts_new(NULL, NULL);
	atomic_store(&working, 3);
	for (unsigned i = 0; i < 3; i++) {
		w[i].loop = pb_loops_at(loops, i);
		w[i].work = (struct pb_work){ .fn = hammer, .arg = &w[i] };
		pb_loop_post(w[i].loop, &w[i].work);
	}
	while (atomic_load(&working))
		pb_loop_call(pb_loops_at(loops, 0), leave, NULL);
	for (unsigned turn = 0; turn < 2; turn++) {
		for (unsigned i = 0; i < 3; i++)
			pb_loop_call(pb_loops_at(loops, i), leave, pb_loops_at(loops, i));
	}
	pb_loops_stop(loops);
	pb_loops_free(&loops);
	regfile_contacts_free(&table);
}

PB_TESTS("regfile/contacts", { "several contacts", several }, { "expiring", expiring },
	 { "connections", connections }, { "each allocation fails", alloc_failures },
	 { "threads", threads })
