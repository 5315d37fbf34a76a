/*
 * external                      the scripts, numbered
 * external info                 ... with what they are
 * external start|stop|restart FILE [ARG]
 * external execute FILE [ARG]   a program that speaks no protocol
 * external FILE [ARG]           start one more
 */
#include "extmodule/command.h"

#include <errno.h>

#include "extmodule/script.h"

#define PATH_LIMIT_BYTES 16384

/* ---- Listing --------------------------------------------------------------------- */

static const char *role_name(const struct ext_script *s)
{
	static const char *const names[] = { "Unknown", "Global", "Channel" };

	return names[s->role];
}

static void put_info(struct pb_text *t, const struct ext_script *s)
{
	pb_text_addf(t, "\t%s", role_name(s));
	if (s->dying)
		pb_text_addf(t, ", dead, use=%u", s->refs);
	if (pb_handle_is_set(s->chan))
		pb_text_lit(t, ", has channel");
	if (s->locals.restart)
		pb_text_lit(t, ", autorestart");
	if (s->process)
		pb_text_addf(t, ", pid=%ld", (long)pb_process_pid(s->process));
	pb_text_lit(t, "\r\n");
}

static void list(struct ext_host *h, struct pb_text *t, bool info)
{
	unsigned n = 0;

	pb_list_each(it, &h->scripts) {
		const struct ext_script *s = pb_container(it, struct ext_script, node);

		if (s->dying && !info)
			continue;
		pb_text_addf(t, "%u. ", ++n);
		pb_text_add(t, s->file.n ? s->file : s->name);
		pb_text_addc(t, ' ');
		pb_text_add(t, s->arg);
		pb_text_lit(t, "\r\n");
		if (info)
			put_info(t, s);
	}
}

/* ---- Acting ------------------------------------------------------------------------ */

struct order {
	struct ext_host *h;
	struct pb_str file, arg;
};

static void start_one(const struct order *o, struct pb_text *t)
{
	struct ext_start start = { o->file, o->arg, EXT_ROLE_GLOBAL };
	struct ext_script *s;

	if (ext_script_start(o->h, &start, &s) == 0)
		pb_text_lit(t, "External start attempt\r\n");
	else
		pb_text_lit(t, "External command failed\r\n");
}

static void do_start(const struct order *o, struct pb_text *t)
{
	if (ext_script_find(o->h, o->file, o->arg))
		pb_text_lit(t, "External already running\r\n");
	else
		start_one(o, t);
}

static bool stop(const struct order *o)
{
	struct ext_script *s = ext_script_find(o->h, o->file, o->arg);

	if (!s)
		return false;
	s->locals.restart = false;
	ext_script_end(s, NULL);
	return true;
}

static void do_stop(const struct order *o, struct pb_text *t)
{
	if (stop(o))
		pb_text_lit(t, "External command stopped\r\n");
	else
		pb_text_lit(t, "External not running\r\n");
}

static void do_restart(const struct order *o, struct pb_text *t)
{
	stop(o);
	start_one(o, t);
}

static void do_execute(const struct order *o, struct pb_text *t)
{
	if (ext_run(o->h, o->file, o->arg) == 0)
		pb_text_lit(t, "External exec attempt\r\n");
	else
		pb_text_lit(t, "External exec failed\r\n");
}

static const struct {
	struct pb_str word;
	void (*fn)(const struct order *o, struct pb_text *t);
} orders[] = {
	{ PB_STR_INIT("start"), do_start },
	{ PB_STR_INIT("stop"), do_stop },
	{ PB_STR_INIT("restart"), do_restart },
	{ PB_STR_INIT("execute"), do_execute },
};

void ext_command(struct ext_host *h, struct pb_str line, struct pb_text *t)
{
	void (*fn)(const struct order *, struct pb_text *) = start_one;
	struct order o = { .h = h };

	line = pb_str_trim_space(line);
	if (!line.n || pb_str_eq(line, PB_STR("info"))) {
		list(h, t, line.n > 0);
		return;
	}
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		if (pb_str_skip_word(&line, orders[i].word)) {
			fn = orders[i].fn;
			break;
		}
	}
	if (!pb_str_word(&line, &o.file)) {
		pb_text_lit(t, "External command failed\r\n");
		return;
	}
	o.arg = line.p ? line : PB_STR("");
	fn(&o, t);
}

/* ---- Programs without a protocol ------------------------------------------------------ */

static void on_ended(void *arg, int status)
{
}

int ext_run(struct ext_host *h, struct pb_str file, struct pb_str arg)
{
	struct pb_arena *a = pb_arena_new(PATH_LIMIT_BYTES);
	struct pb_str path = a ? ext_script_path(h, file, a) : PB_STR_NULL;
	struct pb_str text = a ? pb_arena_str(a, arg.p ? arg : PB_STR("")) : PB_STR_NULL;
	const char *argv[] = { path.p, text.p, NULL };
	struct pb_process_args args = { .argv = argv,
					.fd = { -1, -1, -1, -1, -1 },
					.ended = on_ended };
	struct pb_process *p;
	int err = a && !pb_arena_failed(a) ? pb_process_start(h->loop, &args, &p) : -ENOMEM;

	if (err)
		pb_log(&ext_log, &ext_said[EXT_SAY_START_FAILED],
		       "program '%.*s' cannot be started: %s", PB_STR_F(file), strerror(-err));
	pb_arena_free(&a);
	return err;
}
