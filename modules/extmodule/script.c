/*
 * The life of a script: made from a connection or a process, fed line by line,
 * ended once. After its end the object stays, deaf, until nobody owes it
 * anything: the bus its handlers, its own messages their results, the system
 * its process. Each of these holds a reference.
 */
#include "extmodule/script.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "extmodule/delivery.h"

#define TEXTS_LIMIT_BYTES (64u << 10)
#define SAY_AGAIN_MS      10000
#define RESTART_MS        1000

/* ---- References ------------------------------------------------------------------ */

void ext_script_ref(struct ext_script *s)
{
	s->refs++;
}

void ext_script_unref(struct ext_script **sp)
{
	struct ext_script *s = *sp;
	struct ext_host *h;

	*sp = NULL;
	if (!s || --s->refs)
		return;
	h = s->host;
	pb_list_remove(&s->node);
	pb_timer_stop(&s->grace);
	pb_timer_stop(&s->again);
	pb_map_fini(&s->installed);
	pb_map_fini(&s->watched);
	pb_map_fini(&s->pending);
	pb_arena_free(&s->arena);
	pb_free(s);
	if (h->stopping && pb_list_empty(&h->scripts))
		ext_host_fini(h);
}

static struct ext_script *script_new(struct ext_host *h, enum ext_role role)
{
	const struct ext_settings *set = h->settings;
	struct ext_script *s = pb_alloc_zero(1, sizeof(*s));

	if (!s)
		return NULL;
	s->arena = pb_arena_new(TEXTS_LIMIT_BYTES);
	if (!s->arena) {
		pb_free(s);
		return NULL;
	}
	s->host = h;
	s->refs = 1;
	s->role = role;
	s->locals = (struct ext_locals){
		.timeout_ms = set->timeout_ms,
		.maxqueue = set->maxqueue,
		.bufsize = EXT_IN_BYTES,
		.debug_level = 10,
		.timebomb = set->timebomb,
		.settime = set->settime,
		.setdata = true,
		.track = set->trackparam ? PB_STR("extmodule") : PB_STR_NULL,
	};
	pb_list_push(&h->scripts, &s->node);
	return s;
}

/* ---- What it says in the log --------------------------------------------------------- */

void ext_script_complain(struct ext_script *s, int say, const char *fmt, ...)
{
	uint64_t now_ms = pb_loop_now_ms(s->host->loop);
	unsigned more = s->said[say].more;
	char text[256];
	va_list ap;

	if (s->said[say].last_ms && now_ms - s->said[say].last_ms < SAY_AGAIN_MS) {
		s->said[say].more++;
		return;
	}
	s->said[say].last_ms = now_ms ? now_ms : 1;
	s->said[say].more = 0;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (more)
		pb_log(&ext_log, &ext_said[say], "script '%.*s': %s (and %u times before)",
		       PB_STR_F(s->name), text, more);
	else
		pb_log(&ext_log, &ext_said[say], "script '%.*s': %s", PB_STR_F(s->name), text);
}

/* ---- Lines out ------------------------------------------------------------------------ */

struct pb_text *ext_script_line(struct ext_script *s)
{
	pb_text_reset(&s->host->line);
	return &s->host->line;
}

bool ext_script_send(struct ext_script *s)
{
	const struct pb_text *t = &s->host->line;

	if (s->dying || !s->stream || pb_text_failed(t))
		return false;
	/* A stream that refuses closes itself in a later turn. */
	return pb_stream_write(s->stream, pb_text_str(t)) == 0;
}

/* ---- Lines in ------------------------------------------------------------------------- */

static void on_connect(struct ext_script *s, struct pb_str rest)
{
	struct ext_connect c;

	ext_parse_connect(rest, &c);
	if (pb_str_eq(c.role, PB_STR("global")))
		s->role = EXT_ROLE_GLOBAL;
	else if (pb_str_eq(c.role, PB_STR("channel")))
		s->role = EXT_ROLE_CHANNEL;
	else
		ext_script_end(s, "it asked for a role that there is not");
}

static bool on_install(struct ext_script *s, struct pb_str rest)
{
	struct ext_install in;

	if (ext_parse_install(rest, s->host->decoded, &in) < 0)
		return false;
	ext_install(s, &in);
	return true;
}

static bool on_setlocal(struct ext_script *s, struct pb_str rest)
{
	struct ext_setlocal in;
	bool ok;

	if (ext_parse_setlocal(rest, &in) < 0)
		return false;
	ok = ext_setlocal(s, in.name, &in.value);
	ext_put_setlocal(ext_script_line(s), in.name, in.value, ok);
	ext_script_send(s);
	return true;
}

/* Text of a script reaches terminals: control characters do not. */
static struct pb_str printable(struct ext_script *s, struct pb_str text)
{
	char *p = pb_arena_bytes(s->host->decoded, text.n + 1);

	if (!p)
		return PB_STR("");
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];

		p[i] = (c < 0x20 && c != '\t') || c == 0x7f ? '?' : (char)c;
	}
	return pb_str(p, text.n);
}

static void on_output(struct ext_script *s, struct pb_str text)
{
	pb_log_output(printable(s, pb_str_trim_space(text)));
}

static bool on_debug(struct ext_script *s, struct pb_str rest)
{
	struct ext_debug in;

	if (ext_parse_debug(rest, s->host->decoded, &in) < 0)
		return false;
	if (in.level > s->locals.debug_level)
		return true;
	if (s->locals.debug_name.n)
		pb_log_at(&ext_log, in.level, "%.*s: %.*s", PB_STR_F(s->locals.debug_name),
			  PB_STR_F(in.text));
	else
		pb_log_at(&ext_log, in.level, "%.*s", PB_STR_F(in.text));
	return true;
}

/* An answer that fits nothing gets no reply, as its writer may be late only. */
static void on_answer(struct ext_script *s, struct pb_str rest)
{
	if (!ext_answer(s, rest))
		ext_script_complain(s, EXT_SAY_UNMATCHED,
				    "an answer to no message that waits, or malformed: '%.*s'",
				    PB_STR_F(pb_str_head(rest, 80)));
}

static void on_quit(struct ext_script *s)
{
	pb_text_lit(ext_script_line(s), "%%<quit\n");
	ext_script_send(s);
	ext_script_end(s, NULL);
}

/* @return false: to be answered with "Error in". */
static bool act(struct ext_script *s, enum ext_verb verb, struct pb_str rest)
{
	switch (verb) {
	case EXT_UNKNOWN:
	case EXT_CONNECT: /* it has a role */
		return false;
	case EXT_MESSAGE:
		return ext_enqueue(s, rest);
	case EXT_ANSWER:
		on_answer(s, rest);
		return true;
	case EXT_INSTALL:
		return on_install(s, rest);
	case EXT_UNINSTALL:
		ext_uninstall(s, rest);
		return true;
	case EXT_WATCH:
		ext_watch(s, rest);
		return true;
	case EXT_UNWATCH:
		ext_unwatch(s, rest);
		return true;
	case EXT_SETLOCAL:
		return on_setlocal(s, rest);
	case EXT_OUTPUT:
		on_output(s, rest);
		return true;
	case EXT_DEBUG:
		return on_debug(s, rest);
	case EXT_QUIT:
		on_quit(s);
		return true;
	}
	return false;
}

static void on_line(struct ext_script *s, struct pb_str line)
{
	struct pb_str rest;
	enum ext_verb verb = ext_line_verb(line, &rest);

	pb_arena_reset(s->host->decoded);
	if (s->role == EXT_ROLE_NONE) {
		if (verb == EXT_CONNECT)
			on_connect(s, rest);
		else
			ext_script_end(s, "its first line was not %%>connect");
		return;
	}
	if (act(s, verb, rest))
		return;
	ext_script_complain(s, EXT_SAY_BAD_LINE, "a line that cannot be understood: '%.*s'",
			    PB_STR_F(pb_str_head(line, 80)));
	ext_put_error(ext_script_line(s), line);
	ext_script_send(s);
}

static size_t on_data(void *arg, struct pb_str bytes)
{
	struct ext_script *s = arg;
	struct pb_str left = bytes, line;
	size_t used;

	ext_script_ref(s);
	while (!s->dying && ext_line_cut(&left, &line)) {
		if (line.n)
			on_line(s, line);
	}
	s->mid_line = left.n > 0;
	used = s->dying ? bytes.n : bytes.n - left.n;
	ext_script_unref(&s);
	return used;
}

static const char *why_closed(const struct ext_script *s, int err)
{
	switch (err) {
	case 0:
		return s->mid_line ? "ended in the middle of a line" : NULL;
	case -EMSGSIZE:
		return "sent a line longer than its buffer";
	case -ENOBUFS:
		return "does not read what it is sent";
	default:
		return "connection lost";
	}
}

static void on_closed(void *arg, int err)
{
	struct ext_script *s = arg;

	s->stream = NULL; /* it frees itself */
	ext_script_end(s, why_closed(s, err));
}

static const struct pb_stream_ops stream_ops = { .data = on_data, .closed = on_closed };

/* ---- The end ---------------------------------------------------------------------------- */

/* Its input was closed and it still runs. */
static void on_grace_over(void *arg)
{
	struct ext_script *s = arg;

	if (s->process)
		pb_process_signal(s->process, SIGTERM);
}

static void on_again(void *arg)
{
	struct ext_script *s = arg, *fresh = NULL;
	struct ext_start start = { s->file, s->arg, s->role };

	if (ext_script_start(s->host, &start, &fresh) == 0)
		fresh->locals.restart = true;
	ext_script_unref(&s);
}

static void restart_later(struct ext_script *s)
{
	if (!s->locals.restart || s->host->stopping)
		return;
	ext_script_ref(s);
	pb_timer_init(&s->again, on_again, s);
	pb_timer_start(s->host->loop, &s->again, RESTART_MS);
}

static void on_process_ended(void *arg, int status)
{
	struct ext_script *s = arg;

	s->process = NULL;
	pb_timer_stop(&s->grace);
	ext_script_unref(&s);
}

static void say_unloading(const struct ext_script *s)
{
	struct pb_text t;
	char buf[512];

	if (!s->file.n || s->role != EXT_ROLE_GLOBAL)
		return;
	pb_text_init_buf(&t, buf, sizeof(buf));
	pb_text_addf(&t, "Unloading external module '%.*s' '%.*s'", PB_STR_F(s->file),
		     PB_STR_F(s->arg));
	pb_log_output(pb_text_str(&t));
}

void ext_script_end(struct ext_script *s, const char *why)
{
	if (s->dying)
		return;
	s->dying = true;
	if (why)
		ext_script_complain(s, EXT_SAY_ENDED, "%s", why);
	say_unloading(s);
	ext_script_ref(s);
	ext_delivery_end(s);
	if (s->stream)
		pb_stream_close(&s->stream, why != NULL);
	if (s->process) {
		pb_timer_init(&s->grace, on_grace_over, s);
		pb_timer_start(s->host->loop, &s->grace, (uint64_t)s->host->settings->die_wait_ms);
	}
	restart_later(s);
	s->refs--; /* the one of being alive; ours is left */
	ext_script_unref(&s);
}

static void kill_now(struct ext_script *s)
{
	ext_script_ref(s);
	s->locals.restart = false;
	ext_script_end(s, NULL);
	if (pb_timer_active(&s->again)) {
		pb_timer_stop(&s->again);
		s->refs--;
	}
	if (s->process) {
		pb_timer_stop(&s->grace);
		pb_process_signal(s->process, SIGTERM);
		pb_process_forget(&s->process);
		s->refs--;
	}
	ext_script_unref(&s);
}

void ext_scripts_end(struct ext_host *h)
{
	h->stopping = true;
	pb_list_each_safe(n, &h->scripts) {
		kill_now(pb_container(n, struct ext_script, node));
	}
	if (pb_list_empty(&h->scripts))
		ext_host_fini(h);
}

struct ext_script *ext_script_find(struct ext_host *h, struct pb_str file, struct pb_str arg)
{
	pb_list_each(n, &h->scripts) {
		struct ext_script *s = pb_container(n, struct ext_script, node);

		if (!s->dying && s->file.n && pb_str_eq(s->file, file) && pb_str_eq(s->arg, arg))
			return s;
	}
	return NULL;
}

/* ---- The beginning ------------------------------------------------------------------------- */

struct pb_str ext_script_path(const struct ext_host *h, struct pb_str file, struct pb_arena *into)
{
	struct pb_str dir = h->settings->scripts_dir;

	if (file.n && file.p[0] == '/')
		return pb_arena_str(into, file);
	if (h->engine)
		dir = pb_engine_expand(h->engine, dir, into);
	return pb_arena_printf(into, "%.*s%s%.*s", PB_STR_F(dir),
			       pb_str_ends(dir, PB_STR("/")) ? "" : "/", PB_STR_F(file));
}

static int stream_open(struct ext_script *s, int fd_in, int fd_out)
{
	struct pb_stream_args args = {
		.ops = &stream_ops,
		.arg = s,
		.in_limit_bytes = (size_t)s->locals.bufsize,
		.out_limit_bytes = EXT_OUT_LIMIT_BYTES,
	};

	return pb_stream_adopt(s->host->loop, fd_in, fd_out, &args, &s->stream);
}

int ext_script_adopt(struct ext_host *h, int fd, struct pb_str peer, enum ext_role role)
{
	struct ext_script *s = script_new(h, role);
	int err;

	if (!s) {
		close(fd);
		return -ENOMEM;
	}
	s->name = pb_arena_str(s->arena, peer);
	err = stream_open(s, fd, fd);
	if (err) {
		close(fd);
		ext_script_end(s, "connection cannot be used");
		return err;
	}
	pb_log(&ext_log, &ext_said[EXT_SAY_STARTED], "script '%.*s': connected", PB_STR_F(s->name));
	return 0;
}

static void close_pair(int fd[2])
{
	for (int i = 0; i < 2; i++) {
		if (fd[i] >= 0)
			close(fd[i]);
		fd[i] = -1;
	}
}

/* Two pipes: `to` the script and `from` it. */
static int open_pipes(int to[2], int from[2])
{
	if (pipe2(to, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(from, O_CLOEXEC) < 0) {
		int err = -errno;

		close_pair(to);
		return err;
	}
	return 0;
}

static int spawn(struct ext_script *s)
{
	struct pb_str path = ext_script_path(s->host, s->file, s->arena);
	const char *argv[] = { path.p, s->arg.p, NULL };
	struct pb_process_args args = { .argv = argv, .ended = on_process_ended, .arg = s };
	int to[2] = { -1, -1 }, from[2] = { -1, -1 }, err;

	if (pb_arena_failed(s->arena))
		return -ENOMEM;
	err = open_pipes(to, from);
	if (err)
		return err;
	args.fd[0] = to[0];
	args.fd[1] = from[1];
	args.fd[2] = args.fd[3] = args.fd[4] = -1;
	err = pb_process_start(s->host->loop, &args, &s->process);
	if (err) {
		close_pair(to);
		close_pair(from);
		return err;
	}
	ext_script_ref(s);
	close(to[0]);
	close(from[1]);
	err = stream_open(s, from[0], to[1]);
	if (err) {
		close(from[0]);
		close(to[1]);
	}
	return err;
}

static struct pb_str keep(struct ext_script *s, struct pb_str text)
{
	return pb_arena_str(s->arena, text.p ? text : PB_STR(""));
}

static void say_loading(const struct ext_script *s)
{
	struct pb_text t;
	char buf[512];

	if (s->role != EXT_ROLE_GLOBAL)
		return;
	pb_text_init_buf(&t, buf, sizeof(buf));
	pb_text_addf(&t, "Loading external module '%.*s' args='%.*s'", PB_STR_F(s->file),
		     PB_STR_F(s->arg));
	pb_log_output(pb_text_str(&t));
}

int ext_script_start(struct ext_host *h, const struct ext_start *args, struct ext_script **out)
{
	struct ext_script *s = script_new(h, args->role);
	int err;

	*out = NULL;
	if (!s)
		return -ENOMEM;
	s->file = keep(s, args->file);
	s->arg = keep(s, args->arg);
	s->name = args->arg.n ? pb_arena_printf(s->arena, "%.*s %.*s", PB_STR_F(args->file),
						PB_STR_F(args->arg))
			      : s->file;
	err = spawn(s);
	if (err) {
		ext_script_complain(s, EXT_SAY_START_FAILED, "cannot be started: %s",
				    strerror(-err));
		s->file = PB_STR("");
		ext_script_end(s, NULL);
		return err;
	}
	say_loading(s);
	*out = s;
	return 0;
}
