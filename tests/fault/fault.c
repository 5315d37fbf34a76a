/*
 * fault: a module that misbehaves when it is told to. For tests; not installed.
 *
 * The words of `fault WORD` on the console, or of a call's `called`: crash,
 * overflow (of the stack), abort, hang-N (ms, on the loop that has the message),
 * flood-N (lines of the log).
 * patience-N: engine.stop is answered so often with "not yet"; busy-1, busy-0:
 * what engine.busy is answered.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "bus/module.h"

struct shared {
	_Atomic int64_t patience;
	_Atomic bool busy;
};

enum { FLOOD };
static const struct pb_log_row rows[] = {
	[FLOOD] = { "fault-001", PB_WARN, "A line of a flood of them." },
	{ NULL },
};
static PB_LOG_SOURCE(fault_log, "fault", rows);

static void __attribute__((noinline)) fault_crash(void)
{
	static char *volatile nowhere;

	*nowhere = 1;
}

static int fault_overflow(volatile char *above);
static int (*volatile deeper)(volatile char *above) = fault_overflow;

static int fault_overflow(volatile char *above)
{
	volatile char here[4096];

	here[0] = above ? above[0] : 0;
	return deeper(here) + here[0];
}

static void __attribute__((noinline)) fault_hang(int64_t ms)
{
	struct pb_loop *l = pb_loop_current();
	uint64_t end_us = pb_loop_read_us(l) + (uint64_t)ms * 1000;

	while (pb_loop_read_us(l) < end_us)
		;
}

static void flood(int64_t lines)
{
	for (int64_t i = 0; i < lines; i++)
		pb_log(&fault_log, &rows[FLOOD],
		       "line %lld of a flood, as long as lines usually are", (long long)i);
}

/* "hang-300": whether `text` is that word; its number. */
static bool is(struct pb_str text, const char *word, int64_t *n)
{
	struct pb_str first;

	*n = 0;
	if (!pb_str_cut(&text, '-', &first) || !pb_str_eq(first, pb_str_z(word)))
		return false;
	return !text.p || !pb_str_to_i64(text, 10, 0, INT32_MAX, n);
}

static bool commit(struct pb_str what)
{
	int64_t n;

	if (is(what, "crash", &n))
		fault_crash();
	else if (is(what, "overflow", &n))
		fault_overflow(NULL);
	else if (is(what, "abort", &n))
		abort();
	else if (is(what, "hang", &n))
		fault_hang(n);
	else if (is(what, "flood", &n))
		flood(n);
	else
		return false;
	return true;
}

static enum pb_verdict on_route(struct pb_msg *m, struct pb_ctx *cx)
{
	(void)cx;
	commit(pb_msg_get(m, PB_STR("called")));
	return PB_PASS;
}

static enum pb_verdict on_stop(struct pb_msg *m, struct pb_ctx *cx)
{
	struct shared *sh = cx->shared;

	(void)m;
	return atomic_fetch_sub(&sh->patience, 1) > 0 ? PB_HANDLED : PB_PASS;
}

static enum pb_verdict on_busy(struct pb_msg *m, struct pb_ctx *cx)
{
	struct shared *sh = cx->shared;

	(void)m;
	return sh->busy ? PB_HANDLED : PB_PASS;
}

static enum pb_verdict on_command(struct pb_msg *m, struct pb_ctx *cx)
{
	struct pb_str line = pb_str_trim_space(pb_msg_get(m, PB_STR("line")));
	struct shared *sh = cx->shared;
	int64_t n;

	pb_str_skip_word(&line, PB_STR("fault"));
	pb_msg_set_retval(m, PB_STR("done\r\n"));
	if (is(line, "patience", &n))
		sh->patience = n;
	else if (is(line, "busy", &n))
		sh->busy = n > 0;
	else if (!commit(line))
		return PB_PASS;
	return PB_HANDLED;
}

static const struct pb_handler handlers[] = {
	{ .message = "call.route", .priority = 1, .place = PB_HERE, .fn = on_route },
	{ .message = "engine.stop", .priority = 100, .place = PB_HERE, .fn = on_stop },
	{ .message = "engine.busy", .priority = 50, .place = PB_HERE, .fn = on_busy },
	{ NULL },
};

static const struct pb_command commands[] = {
	{ "fault", "fault WORD[-N]", "Misbehave.", PB_HERE, on_command },
	{ NULL },
};

PB_MODULE(fault) = {
	.abi = PB_MODULE_ABI,
	.name = "fault",
	.doc = "Misbehaves when told to; for tests.",
	.shared_size = sizeof(struct shared),
	.handlers = handlers,
	.commands = commands,
	.log = &fault_log,
};
