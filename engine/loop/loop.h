/*
 * A loop: one thread, its clock, timers, mailbox and descriptors.
 *
 * What lives on a loop is touched by its thread alone and is never locked;
 * another thread reaches it by posting work. Call loops own calls; script loops
 * own none (Lua and other things that may hog a thread live there).
 *
 * A loop gets time, random numbers, datagrams and wake-ups from its world
 * (struct pb_world): the real one (epoll, one thread a loop) or the simulated
 * one, where a single thread runs all loops of several engines from a seed and
 * time jumps to the next timer.
 */
#ifndef PB_LOOP_LOOP_H
#define PB_LOOP_LOOP_H

#include "base/list.h"
#include "base/str.h"

struct pb_loop;
struct pb_world;

/* ---- Loops of an engine ------------------------------------------------ */

/** The most loops of one engine, call and script loops together. */
#define PB_LOOPS_MAX 64

struct pb_loops;

struct pb_loops_args {
	unsigned calls;	  /* loops that own calls, 1.. */
	unsigned scripts; /* loops that own none, 0.. */
	struct pb_world *world; /* borrowed; outlives the loops */
	const char *name; /* for thread names and logs; "patchbay" */
};

/**
 * Make the loops, not yet running. Indexes 0 .. calls-1 are call loops, the
 * script loops follow.
 *
 * @return 0, -ENOMEM, -EINVAL (too many), or what the world could not get.
 */
int pb_loops_new(const struct pb_loops_args *args, struct pb_loops **out);
/** Stop, join the threads, free. What is still in a mailbox is dropped. */
void pb_loops_free(struct pb_loops **ls);
/**
 * Let them run: the real world starts a thread for each loop and returns; the
 * simulated one only makes them eligible.
 */
int pb_loops_start(struct pb_loops *ls);
/** Ask all to end after their present turn. Any thread, also from a loop. */
void pb_loops_stop(struct pb_loops *ls);

/** All of them; only the first `calls` own calls. */
unsigned pb_loops_count(const struct pb_loops *ls);
unsigned pb_loops_calls(const struct pb_loops *ls);
struct pb_loop *pb_loops_at(const struct pb_loops *ls, unsigned index);

/* ---- One loop ------------------------------------------------------------ */

/** The loop whose thread this is; NULL on other threads. */
struct pb_loop *pb_loop_current(void);
static inline bool pb_loop_is_mine(const struct pb_loop *l)
{
	return pb_loop_current() == l;
}
unsigned pb_loop_index(const struct pb_loop *l);
struct pb_loops *pb_loop_set(const struct pb_loop *l);
/** One pointer for who runs on the loops (the bus keeps its per-loop state). */
void *pb_loop_data(const struct pb_loop *l);
void pb_loop_set_data(struct pb_loop *l, void *data);

/** Monotonic, read once a turn. */
uint64_t pb_loop_now_ms(const struct pb_loop *l);
uint64_t pb_loop_now_us(const struct pb_loop *l);
/** Monotonic, read now: for measuring inside a turn. */
uint64_t pb_loop_read_us(const struct pb_loop *l);
/** Microseconds since 1970, UTC, read once a turn. */
uint64_t pb_loop_wall_us(const struct pb_loop *l);
/** `n` random octets: the kernel's, or the simulation's from its seed. */
void pb_loop_random(struct pb_loop *l, void *p, size_t n);

/** Microseconds it has spent in turns, not asleep, and how many turns. Any thread. */
uint64_t pb_loop_busy_us(const struct pb_loop *l, uint64_t *turns);

/* ---- Work: crossing from any thread to a loop ---------------------------- */

/** Embedded in what is posted; zeroed is valid. */
struct pb_work {
	struct pb_work *next;
	void (*fn)(void *arg);
	void *arg;
};

/**
 * Hand `w` to loop `to`, whose thread will call w->fn(w->arg) once, after all
 * work posted to it earlier from this thread.
 *
 * @thread  Any. From here until the call, `w` and all it points to belong to
 *          `to`; the poster must not touch them again.
 */
void pb_loop_post(struct pb_loop *to, struct pb_work *w);
/**
 * The same for one's own loop, without the mailbox: later in this turn, after
 * its timers. What deferred work defers in turn runs in the next turn, which
 * follows at once.
 */
void pb_loop_defer(struct pb_loop *l, struct pb_work *w);
/**
 * Run `fn` as on loop `l` and wait for it. While the loops have no threads
 * (before pb_loops_start, after the loop has ended, in the simulated world) it
 * simply runs, with pb_loop_current() == l and the clock read anew.
 *
 * @thread  One that is no loop (asserted): start, stop and tests.
 */
void pb_loop_call(struct pb_loop *l, void (*fn)(void *arg), void *arg);

/**
 * One turn of each loop where they have no threads of their own (the simulated
 * world), with time standing still; else nothing. For who must see something
 * through that crosses loops: starting and stopping an engine.
 *
 * @thread  One that is no loop (asserted).
 */
void pb_loops_turn(struct pb_loops *ls);

/* ---- Timers: armed and stopped in O(1), one millisecond fine ------------- */

/** Embedded; zeroed is valid and inactive. */
struct pb_timer {
	struct pb_list node;
	struct pb_loop *loop; /* while armed */
	uint64_t due_ms;
	void (*fn)(void *arg);
	void *arg;
};

static inline void pb_timer_init(struct pb_timer *t, void (*fn)(void *), void *arg)
{
	*t = (struct pb_timer){ .fn = fn, .arg = arg };
}
/**
 * Call t->fn(t->arg) once, `after_ms` from the present turn's time; an armed
 * timer is moved. It never fires within the call. At most 2^31 ms.
 *
 * @thread  The loop's.
 */
void pb_timer_start(struct pb_loop *l, struct pb_timer *t, uint64_t after_ms);
/** Does nothing to an inactive one. @thread the loop's. */
void pb_timer_stop(struct pb_timer *t);
static inline bool pb_timer_active(const struct pb_timer *t)
{
	return pb_list_linked(&t->node);
}
/** How many are armed on this loop. */
size_t pb_loop_timers(const struct pb_loop *l);

/* ---- Descriptors (real world only) --------------------------------------- */

#define PB_FD_READ 1u
#define PB_FD_WRITE 2u
#define PB_FD_ERROR 4u /* reported only: error or hang-up */

/** Embedded; zeroed with fd == -1 is inactive. */
struct pb_fd {
	int fd;
	unsigned want; /* PB_FD_READ | PB_FD_WRITE */
	struct pb_loop *loop;
	void (*fn)(void *arg, unsigned events);
	void *arg;
};

/** Watch (level-triggered) or change what is wanted. @return 0 or -errno. */
int pb_fd_start(struct pb_loop *l, struct pb_fd *f, unsigned want);
/** Stop watching, before the descriptor is closed. Legal inside the callback. */
void pb_fd_stop(struct pb_fd *f);

#endif
