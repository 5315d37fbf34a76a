/*
 * A line is copied where it is said and pushed on a lock-free stack; the first
 * one posts the home loop's work, which takes the stack whole and delivers it
 * some entries a turn. What waits is bounded in entries and bytes, and lines
 * also in how many a second: a console that cannot keep up loses lines (and is
 * told how many), it never slows down who speaks, nor the calls of its loop.
 */
#include "console/relay.h"

#include <time.h>

#include "base/alloc.h"
#include "base/text.h"

#define WAITING_MAX 4096
#define WAITING_MAX_BYTES (4u << 20)
#define LINES_A_SECOND 5000
/** Delivered in one turn. */
#define BATCH 128
#define MESSAGE_MAX_BYTES 65536

struct console_relay_entry {
	struct console_relay_entry *next;
	int level;
	size_t n;
	char text[];
};

/* ---- Coming in, on any thread --------------------------------------------------------- */

/** A rough count will do: two threads at a new second may both begin it. */
static bool is_flood(struct console_relay *r)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	if (atomic_load(&r->second) != now.tv_sec) {
		atomic_store(&r->second, now.tv_sec);
		atomic_store(&r->said, 0);
	}
	return atomic_fetch_add(&r->said, 1) >= LINES_A_SECOND;
}

static struct console_relay_entry *entry_new(struct console_relay *r, int level, struct pb_str text)
{
	bool room = atomic_fetch_add(&r->waiting, 1) < WAITING_MAX;
	struct console_relay_entry *e = NULL;

	if (atomic_fetch_add(&r->waiting_bytes, text.n) + text.n <= WAITING_MAX_BYTES && room &&
	    (level == CONSOLE_RELAY_MESSAGE || !is_flood(r)))
		e = pb_alloc(sizeof(*e) + text.n);
	if (!e) {
		atomic_fetch_sub(&r->waiting, 1);
		atomic_fetch_sub(&r->waiting_bytes, text.n);
		return NULL;
	}
	e->level = level;
	e->n = text.n;
	memcpy(e->text, text.p, text.n);
	return e;
}

static void entry_free(struct console_relay *r, struct console_relay_entry *e)
{
	atomic_fetch_sub(&r->waiting, 1);
	atomic_fetch_sub(&r->waiting_bytes, e->n);
	pb_free(e);
}

static void wake(struct console_relay *r)
{
	if (!atomic_exchange(&r->posted, true))
		pb_loop_post(r->home, &r->work);
}

static void push(struct console_relay *r, int level, struct pb_str text)
{
	struct console_relay_entry *e = entry_new(r, level, text);

	if (!e) {
		atomic_fetch_add(&r->lost, 1);
		return;
	}
	e->next = atomic_load(&r->inbox);
	while (!atomic_compare_exchange_weak(&r->inbox, &e->next, e))
		;
	wake(r);
}

static void on_line(void *arg, int level, struct pb_str line)
{
	struct console_relay *r = arg;

	if (atomic_load_explicit(&r->lines, memory_order_relaxed))
		push(r, level, line);
}

void console_relay_format(struct pb_text *t, const struct pb_msg *m, bool handled)
{
	pb_text_addf(t, "%%%%<message::%s:", handled ? "true" : "false");
	pb_msg_write(t, m, true);
}

/** On every loop. */
static void on_message(const struct pb_msg *m, bool handled, struct pb_ctx *cx)
{
	struct console_relay *r = cx->arg;
	struct pb_text t;

	if (!atomic_load_explicit(&r->messages, memory_order_relaxed))
		return;
	pb_text_init(&t, MESSAGE_MAX_BYTES);
	console_relay_format(&t, m, handled);
	push(r, CONSOLE_RELAY_MESSAGE, pb_text_str(&t));
	pb_text_fini(&t);
}

/* ---- Going out, on the home loop ---------------------------------------------------------- */

/** All that has come, oldest first, behind what still waits. */
static void take(struct console_relay *r)
{
	struct console_relay_entry *e = atomic_exchange(&r->inbox, NULL), *list = NULL, *next, **end;

	for (; e; e = next) {
		next = e->next;
		e->next = list;
		list = e;
	}
	for (end = &r->pending; *end; end = &(*end)->next)
		;
	*end = list;
}

static void tell_lost(struct console_relay *r)
{
	unsigned lost = atomic_exchange(&r->lost, 0);
	char buf[64];
	struct pb_text t;

	if (!lost)
		return;
	pb_text_init_buf(&t, buf, sizeof(buf));
	pb_text_addf(&t, "(%u lines lost: too fast for the console)", lost);
	r->fn(r->arg, -1, pb_text_str(&t));
}

static void deliver(void *arg)
{
	struct console_relay *r = arg;
	unsigned n = 0;

	atomic_store(&r->posted, false);
	if (!r->pending)
		take(r);
	for (; r->pending && n < BATCH; n++) {
		struct console_relay_entry *e = r->pending;

		r->pending = e->next;
		r->fn(r->arg, e->level, pb_str(e->text, e->n));
		entry_free(r, e);
	}
	if (r->pending || atomic_load(&r->inbox))
		wake(r);
	else
		tell_lost(r);
}

/* ---- Life ------------------------------------------------------------------------------------ */

void console_relay_start(struct console_relay *r)
{
	r->work = (struct pb_work){ .fn = deliver, .arg = r };
	r->tap = (struct pb_log_tap){ .fn = on_line, .arg = r };
	pb_log_tap_add(&r->tap);
}

void console_relay_stop(struct console_relay *r)
{
	pb_log_tap_remove(&r->tap);
	console_relay_want(r, false, false);
	take(r);
	while (r->pending) {
		struct console_relay_entry *e = r->pending;

		r->pending = e->next;
		entry_free(r, e);
	}
}

void console_relay_want(struct console_relay *r, bool lines, bool messages)
{
	struct pb_hook_args hook = { .fn = on_message, .arg = r };

	atomic_store(&r->lines, lines);
	atomic_store(&r->messages, messages);
	if (messages && !r->hook)
		pb_bus_hook_add(r->bus, &hook, &r->hook);
	else if (!messages && r->hook)
		pb_bus_remove(r->bus, &r->hook, NULL, NULL);
}
