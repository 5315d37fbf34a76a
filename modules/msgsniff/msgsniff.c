/*
 * msgsniff: print messages as they enter and leave the bus.
 *
 * While it is off it has neither handler nor hook, so it costs a message
 * nothing. While it is on, the rules ride with the registration: a command
 * takes the old pair off the bus and puts a new one there with new rules, and
 * the old rules are freed when every loop has let go of them. Nothing is shared
 * that changes.
 */
#include <errno.h>
#include <pthread.h>

#include "base/alloc.h"
#include "bus/module.h"
#include "msgsniff/block.h"
#include "msgsniff/filter.h"

/* Longest message that is printed whole. */
#define BLOCK_BYTES (256u << 10)

/* Handler and hook with the rules they go by; freed when both are gone. */
struct tap {
	struct sniff_rules *rules;
	struct pb_reg *handler, *hook;
	unsigned left; /* registrations still known somewhere */
};

/* Home loop only. */
struct shared {
	struct sniff_rules *rules; /* while off: no tap has them */
	struct tap *tap;           /* while on */
	struct pb_str track;       /* absent: not in `handlers` */
};

enum { SNIFF_BAD_EXPRESSION, SNIFF_NO_MEMORY };
static const struct pb_log_row rows[] = {
	[SNIFF_BAD_EXPRESSION] = { "msgsniff-001", PB_WARN,
				   "An expression of the sniffer is broken and takes no message." },
	[SNIFF_NO_MEMORY] = { "msgsniff-002", PB_WARN,
			      "The sniffer could not be changed for want of memory." },
	{ NULL },
};
static PB_LOG_SOURCE(msgsniff_log, "msgsniff", rows);

/* ---- On the loops ------------------------------------------------------------ */

/* Wall clock read now: the loop's is of the beginning of its turn, and how long
 * a message took inside one turn is what people look for. */
static uint64_t now_us(struct pb_loop *l)
{
	return pb_loop_wall_us(l) + (pb_loop_read_us(l) - pb_loop_now_us(l));
}

static struct sniff_scene scene(struct pb_loop *l, char name[32])
{
	name[0] = '\0';
	pthread_getname_np(pthread_self(), name, 32);
	return (struct sniff_scene){ .now_us = now_us(l),
				     .thread = (uintptr_t)pthread_self(),
				     .thread_name = pb_str_z(name) };
}

static bool is_shown(const struct pb_msg *m, const struct tap *tap, const struct sniff_scene *s)
{
	uint64_t then = pb_msg_time_us(m);

	return sniff_rules_take(tap->rules, m, s->now_us > then ? s->now_us - then : 0);
}

static enum pb_verdict on_message(struct pb_msg *m, struct pb_ctx *cx)
{
	char name[32];
	struct sniff_scene s = scene(cx->loop, name);
	struct pb_text t;

	if (!is_shown(m, cx->arg, &s))
		return PB_PASS;
	pb_text_init(&t, BLOCK_BYTES);
	sniff_block_in(m, &s, &t);
	pb_log_output(pb_text_str(&t));
	pb_text_fini(&t);
	return PB_PASS;
}

static void on_end(const struct pb_msg *m, bool handled, struct pb_ctx *cx)
{
	char name[32];
	struct sniff_scene s = scene(cx->loop, name);
	struct pb_text t;

	if (!is_shown(m, cx->arg, &s))
		return;
	pb_text_init(&t, BLOCK_BYTES);
	sniff_block_out(m, handled, &s, &t);
	pb_log_output(pb_text_str(&t));
	pb_text_fini(&t);
}

/* ---- The pair on the bus ------------------------------------------------------- */

/* One of the two registrations is known nowhere any more. */
static void gone(void *arg)
{
	struct tap *tap = arg;

	if (--tap->left)
		return;
	sniff_rules_free(&tap->rules);
	pb_free(tap);
}

static void tap_remove(struct pb_bus *bus, struct tap **tp)
{
	struct tap *tap = *tp;

	if (!tap)
		return;
	*tp = NULL;
	tap->left = 1 + (tap->handler != NULL) + (tap->hook != NULL);
	if (tap->handler)
		pb_bus_remove(bus, &tap->handler, gone, tap);
	if (tap->hook)
		pb_bus_remove(bus, &tap->hook, gone, tap);
	gone(tap);
}

/* The rules are the tap's from here on. */
static int tap_add(struct pb_bus *bus, struct pb_str track, struct sniff_rules *rules,
		   struct tap **out)
{
	struct pb_handler_args handler = { .message = PB_STR(""),
					   .fn = on_message,
					   .track = track };
	struct pb_hook_args hook = { .fn = on_end };
	struct tap *tap = pb_alloc_zero(1, sizeof(*tap));
	int err;

	*out = NULL;
	if (!tap) {
		sniff_rules_free(&rules);
		return -ENOMEM;
	}
	tap->rules = rules;
	handler.arg = hook.arg = tap;
	err = pb_bus_add(bus, &handler, NULL, NULL, &tap->handler);
	if (!err)
		err = pb_bus_hook_add(bus, &hook, &tap->hook);
	if (err)
		tap_remove(bus, &tap);
	*out = tap;
	return err;
}

/* ---- Changing -------------------------------------------------------------------- */

/* Apply a command line; the state stays as it is without memory. */
static int change(struct pb_ctx *cx, struct pb_str line)
{
	struct shared *sh = cx->shared;
	struct pb_str why;
	struct sniff_rules *fresh =
		sniff_rules_change(sh->tap ? sh->tap->rules : sh->rules, line, &why);

	if (!fresh)
		return -ENOMEM;
	if (why.p)
		pb_log(&msgsniff_log, &rows[SNIFF_BAD_EXPRESSION], "%.*s", PB_STR_F(why));
	tap_remove(cx->bus, &sh->tap);
	sniff_rules_free(&sh->rules);
	if (!fresh->on) {
		sh->rules = fresh;
		return 0;
	}
	if (!tap_add(cx->bus, sh->track, fresh, &sh->tap))
		return 0;
	sh->rules = sniff_rules_new();
	return -ENOMEM;
}

static enum pb_verdict on_command(struct pb_msg *m, struct pb_ctx *cx)
{
	struct shared *sh = cx->shared;
	struct pb_str line = pb_str_trim_space(pb_msg_get(m, PB_STR("line")));
	struct pb_text t;

	if (!pb_str_skip_word(&line, PB_STR("sniffer")))
		return PB_PASS;
	if (line.n && change(cx, line))
		pb_log(&msgsniff_log, &rows[SNIFF_NO_MEMORY], "no memory: '%.*s' not done",
		       PB_STR_F(line));
	pb_text_init(&t, BLOCK_BYTES);
	if (sh->tap || sh->rules)
		sniff_rules_print(sh->tap ? sh->tap->rules : sh->rules, &t);
	pb_msg_set_retval(m, pb_text_str(&t));
	pb_text_fini(&t);
	return PB_HANDLED;
}

/* ---- The module ------------------------------------------------------------------- */

/* [general] of the main file, by the commands they stand for. */
static const struct {
	struct pb_str key;
	const char *command;
} main_keys[] = {
	{ PB_STR_INIT("filtersniff"), "filter " },
	{ PB_STR_INIT("agesniff"), "age " },
	{ PB_STR_INIT("filtersniffparams"), "params " },
};

static int from_main(struct pb_ctx *cx, struct pb_str key, const char *command)
{
	struct pb_str value = pb_engine_main(pb_engine_of(cx), PB_STR("general"), key);
	struct pb_text t;
	int err;

	if (!value.n)
		return 0;
	pb_text_init(&t, BLOCK_BYTES);
	pb_text_add(&t, pb_str_z(command));
	pb_text_add(&t, value);
	err = pb_text_failed(&t) ? -ENOMEM : change(cx, pb_text_str(&t));
	pb_text_fini(&t);
	return err;
}

/* A boolean word or the name itself. */
static struct pb_str track_name(const struct pb_engine *e)
{
	struct pb_str s = pb_engine_main(e, PB_STR("general"), PB_STR("msgsniff_trackname"));

	if (!pb_str_is_bool(s))
		return s.n ? s : PB_STR_NULL;
	return pb_str_to_bool(s, false) ? PB_STR("msgsniff") : PB_STR_NULL;
}

static int start(struct pb_ctx *cx)
{
	const struct pb_engine *e = pb_engine_of(cx);
	struct shared *sh = cx->shared;
	int err = 0;

	sh->track = track_name(e);
	sh->rules = sniff_rules_new();
	if (!sh->rules)
		return -ENOMEM;
	for (size_t i = 0; i < sizeof(main_keys) / sizeof(main_keys[0]) && !err; i++)
		err = from_main(cx, main_keys[i].key, main_keys[i].command);
	if (!err && pb_str_to_bool(pb_engine_main(e, PB_STR("general"), PB_STR("msgsniff")), false))
		err = change(cx, PB_STR("on"));
	return err;
}

static void stop(struct pb_ctx *cx)
{
	struct shared *sh = cx->shared;

	tap_remove(cx->bus, &sh->tap);
	sniff_rules_free(&sh->rules);
}

static const struct pb_command commands[] = {
	{ "sniffer",
	  "sniffer [on|off] [timer [on|off]] [filter REGEX | age SECONDS | params ... | set ... | "
	  "reset ...]",
	  "Print messages as they enter and leave the bus.", PB_HOME, on_command },
	{ NULL },
};

PB_MODULE(msgsniff) = {
	.abi = PB_MODULE_ABI,
	.name = "msgsniff",
	.doc = "Prints messages as they enter and leave the bus.",
	.aliases = "msgsniff",
	.shared_size = sizeof(struct shared),
	.commands = commands,
	.log = &msgsniff_log,
	.start = start,
	.stop = stop,
};
