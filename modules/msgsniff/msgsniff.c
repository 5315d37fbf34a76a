/*
 * msgsniff: print messages as they enter and leave the bus.
 *
 * While it is off it has neither handler nor hook, so it costs a message
 * nothing. While it is on, the rules ride with the registration: a command
 * takes the old pair off the bus and puts a new one there with new rules, and
 * the old rules are freed when every loop has let go of them. Nothing is shared
 * that changes.
 *
 * Rules are those of the main file at first, of commands afterwards; a reload
 * takes only what is told of channels from the file. Its home is a script loop,
 * which may wait for the disk.
 */
#include <errno.h>
#include <pthread.h>

#include "base/alloc.h"
#include "bus/module.h"
#include "msgsniff/block.h"
#include "msgsniff/filter.h"
#include "msgsniff/mainfile.h"

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
	struct pb_arena *arena;
	struct pb_str track; /* absent: not in `handlers` */
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

static struct sniff_scene scene(const struct pb_msg *m, struct pb_ctx *cx, char name[32])
{
	const struct tap *tap = cx->arg;

	name[0] = '\0';
	pthread_getname_np(pthread_self(), name, 32);
	return (struct sniff_scene){
		.now_us = now_us(cx->loop),
		.thread = (uintptr_t)pthread_self(),
		.thread_name = pb_str_z(name),
		.chan = tap->rules->dump.chan ? pb_chan_get(pb_msg_chan(m)) : NULL,
		.chan_brief = tap->rules->dump.brief,
	};
}

static bool is_shown(const struct pb_msg *m, const struct tap *tap, const struct sniff_scene *s)
{
	uint64_t then = pb_msg_time_us(m);

	return sniff_rules_take(tap->rules, m, s->now_us > then ? s->now_us - then : 0);
}

static enum pb_verdict on_message(struct pb_msg *m, struct pb_ctx *cx)
{
	char name[32];
	struct sniff_scene s = scene(m, cx, name);
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
	struct sniff_scene s = scene(m, cx, name);
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

/* The rules in force, on the bus or not. */
static struct sniff_rules *rules_of(const struct shared *sh)
{
	return sh->tap ? sh->tap->rules : sh->rules;
}

/* Put `fresh` in their place. */
static int replace(struct pb_ctx *cx, struct sniff_rules *fresh)
{
	struct shared *sh = cx->shared;

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

static void tell_broken(struct pb_str why)
{
	if (why.p)
		pb_log(&msgsniff_log, &rows[SNIFF_BAD_EXPRESSION], "%.*s", PB_STR_F(why));
}

/* Apply a command line; the state stays as it is without memory. */
static int change(struct pb_ctx *cx, struct pb_str line)
{
	struct sniff_rules *now = rules_of(cx->shared);
	struct pb_str why;
	struct sniff_rules *fresh = now ? sniff_rules_change(now, line, &why) : NULL;

	if (!fresh)
		return -ENOMEM;
	tell_broken(why);
	return replace(cx, fresh);
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
	if (rules_of(sh))
		sniff_rules_print(rules_of(sh), &t);
	pb_msg_set_retval(m, pb_text_str(&t));
	pb_text_fini(&t);
	return PB_HANDLED;
}

/* ---- The main file ----------------------------------------------------------------- */

static struct pb_str run_param(void *arg, struct pb_str name)
{
	return pb_engine_run_param(arg, name);
}

static bool is_loaded(void *arg, struct pb_str module)
{
	return pb_engine_loaded(arg, module);
}

/* The engine has told what is wrong with it. */
static int load_main(struct pb_ctx *cx, struct pb_conf **out)
{
	struct pb_engine *e = pb_engine_of(cx);
	struct pb_conf_env env = { .run_param = run_param, .loaded = is_loaded, .arg = e };
	struct pb_arena *a = pb_arena_new(16384);
	struct pb_str path = PB_STR_NULL;
	int err = -ENOMEM;

	*out = NULL;
	if (a)
		path = pb_engine_expand(e, PB_STR("${configpath}/${configname}${cfgsuffix}"), a);
	if (path.p)
		err = pb_conf_load(path.p, &env, true, NULL, out);
	pb_arena_free(&a);
	return err;
}

/* ---- The module ------------------------------------------------------------------- */

static int start_rules(struct pb_ctx *cx, const struct pb_conf *main)
{
	struct shared *sh = cx->shared;
	struct pb_str why;
	struct sniff_rules *r;

	sh->track = sniff_main_track(main, sh->arena);
	r = sniff_main_rules(main, &why);
	if (!r || pb_arena_failed(sh->arena)) {
		sniff_rules_free(&r);
		return -ENOMEM;
	}
	tell_broken(why);
	return replace(cx, r);
}

static int start(struct pb_ctx *cx)
{
	struct shared *sh = cx->shared;
	struct pb_conf *main = NULL;
	int err;

	sh->arena = pb_arena_new_small(4096);
	err = sh->arena ? load_main(cx, &main) : -ENOMEM;
	if (!err)
		err = start_rules(cx, main);
	pb_conf_free(&main);
	return err;
}

/* What is told of channels, by the file as it is now. */
static int take_dump(struct pb_ctx *cx, const struct pb_conf *main)
{
	struct sniff_rules *now = rules_of(cx->shared), *fresh;
	struct sniff_dump dump = sniff_main_dump(main);

	if (!now || (now->dump.chan == dump.chan && now->dump.brief == dump.brief))
		return 0;
	fresh = sniff_rules_copy(now);
	if (!fresh)
		return -ENOMEM;
	fresh->dump = dump;
	return replace(cx, fresh);
}

static enum pb_reload reload(struct pb_ctx *cx, const void *old)
{
	struct pb_conf *main;
	int err = load_main(cx, &main);

	(void)old;
	if (!err)
		err = take_dump(cx, main);
	if (err == -ENOMEM)
		pb_log(&msgsniff_log, &rows[SNIFF_NO_MEMORY], "no memory: main file not read");
	pb_conf_free(&main);
	return PB_RELOAD_OK;
}

static void stop(struct pb_ctx *cx)
{
	struct shared *sh = cx->shared;

	tap_remove(cx->bus, &sh->tap);
	sniff_rules_free(&sh->rules);
	pb_arena_free(&sh->arena);
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
	.home_script = true,
	.start = start,
	.reload = reload,
	.stop = stop,
};
