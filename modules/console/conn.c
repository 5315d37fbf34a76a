/*
 * Connections. Input goes through the terminal's state machines one event at a
 * time and stops while a command runs: what the peer sends meanwhile waits in
 * `in`. A command is over when its call says so or, after a question to the
 * bus, when the answer has come; then the next one of an alias runs, then the
 * next line. A peer that sends lines faster than it may waits its turn (`again`),
 * and is dropped when too much waits; one that does not read is dropped too.
 *
 * Every callback is bracketed by enter() and leave(): the last leave() writes
 * what has gathered and frees a connection that was closed meanwhile.
 */
#include "console/conn.h"

#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/text.h"
#include "console/command.h"
#include "console/json.h"

#define OUT_MAX_BYTES (4u << 20)
/** Live lines are left out while more than that waits to be written. */
#define LIVE_MAX_BYTES (1u << 20)
#define IN_MAX_BYTES (2 * CONSOLE_LINE_MAX_BYTES)
/**
 * Commands run in one turn of the loop, and in a second: of those behind which
 * more waits already. Who waits for each answer is as fast as the answers.
 */
#define LINES_A_TURN 16
#define LINES_A_SECOND 10000
/** Who takes nothing of what is queued for so long is dropped. */
#define STALL_MS 30000
#define COMMAND_MAX_BYTES (1u << 20)
#define ALIASES_MAX_BYTES CONSOLE_LINE_MAX_BYTES

/* ---- Entering and leaving ------------------------------------------------------------- */

static void enter(struct console_conn *c)
{
	c->inside++;
}

static uint64_t gone(const struct console_conn *c)
{
	return c->written - pb_stream_queued(c->stream);
}

static void watch_stall(struct console_conn *c)
{
	if (pb_timer_active(&c->stall))
		return;
	c->taken = gone(c);
	pb_timer_start(c->c->cx->loop, &c->stall, STALL_MS);
}

static void on_stall(void *arg)
{
	struct console_conn *c = arg;

	if (!pb_stream_queued(c->stream))
		return;
	if (gone(c) != c->taken) {
		watch_stall(c);
		return;
	}
	console_say(CONSOLE_STALLED, "%.*s does not read: connection closed", PB_STR_F(pb_stream_peer(c->stream)));
	pb_stream_close(&c->stream, true);
	console_conn_free(c);
}

static void flush(struct console_conn *c)
{
	if (c->closed && c->port->local && !c->plain)
		console_telnet_bye(&c->out);
	if (c->stream && c->out.n && !pb_stream_write(c->stream, pb_text_str(&c->out))) {
		c->written += c->out.n;
		watch_stall(c);
	}
	pb_text_reset(&c->out);
}

static void leave(struct console_conn *c)
{
	if (--c->inside)
		return;
	flush(c);
	if (c->closed)
		console_conn_free(c);
}

void console_conn_close(struct console_conn *c)
{
	c->closed = true;
}

void console_conn_free(struct console_conn *c)
{
	struct console *home = c->c;

	pb_questions_cancel(&c->asked);
	console_merge_forget(c);
	pb_timer_stop(&c->wait);
	pb_timer_stop(&c->guest);
	pb_timer_stop(&c->again);
	pb_timer_stop(&c->stall);
	if (pb_list_linked(&c->node)) {
		pb_list_remove(&c->node);
		home->conn_count--;
		c->port->conns--;
		if (c->port->set && c->port->set->logged && c->stream)
			console_say(CONSOLE_ENDED, "Closing connection to %.*s",
				    PB_STR_F(pb_stream_peer(c->stream)));
		console_conns_update(home);
	}
	pb_stream_close(&c->stream, false);
	console_telnet_fini(&c->tty);
	pb_text_fini(&c->out);
	pb_text_fini(&c->in);
	pb_text_fini(&c->todo);
	pb_text_fini(&c->aliases);
	pb_text_fini(&c->reply);
	pb_text_fini(&c->paging.line);
	pb_arena_free(&c->arena);
	pb_free(c);
}

void console_conn_halt(struct console_conn *c)
{
	if (!c->port->local || c->plain)
		return;
	enter(c);
	console_edit_hide(&c->tty.edit, &c->out);
	pb_text_lit(&c->out, "The engine is stopping.\r\n");
	console_conn_close(c);
	leave(c);
}

void console_conn_set_level(struct console_conn *c, enum console_level level)
{
	c->level = level;
	c->tty.edit.prompt = c->port->prompt[level];
	if (level != CONSOLE_NONE)
		pb_timer_stop(&c->guest);
}

/* ---- Text ------------------------------------------------------------------------------ */

void console_print(struct console_conn *c, struct pb_str text)
{
	if (c->json)
		pb_text_add(&c->reply, text);
	else
		pb_log_add_visible(&c->out, text, true);
}

void console_fail(struct console_conn *c)
{
	c->failed = true;
}

void console_printf(struct console_conn *c, const char *fmt, ...)
{
	va_list ap, again;
	char *p;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	p = n < 0 ? NULL : pb_arena_bytes(c->arena, (size_t)n + 1);
	if (p) {
		vsnprintf(p, (size_t)n + 1, fmt, again);
		console_print(c, pb_str(p, (size_t)n));
	}
	va_end(again);
}

/* ---- Running commands --------------------------------------------------------------------- */

/** The next command of an alias. */
static bool next_todo(struct console_conn *c, struct pb_str *line)
{
	struct pb_str todo = pb_text_str(&c->todo), first;

	if (!todo.n)
		return false;
	pb_str_cut(&todo, '\0', &first);
	*line = pb_arena_str(c->arena, first);
	memmove(c->todo.p, todo.p, todo.n);
	c->todo.n = todo.n;
	return true;
}

/** No command is left: the terminal is the user's again. */
static void rest(struct console_conn *c)
{
	bool silent = c->closed || c->completing;

	c->running = c->expanding = c->completing = false;
	if (c->plain)
		pb_text_add(&c->out, c->failed ? PB_STR("%%=done:failed\r\n") : PB_STR("%%=done\r\n"));
	else if (!silent)
		console_edit_show(&c->tty.edit, &c->out);
	c->failed = false;
}

/** What it printed was gathered, if JSON was wanted. */
static void end_command(struct console_conn *c)
{
	struct pb_str word = c->line;

	if (!c->json)
		return;
	console_json(&c->out, c->line, pb_text_str(&c->reply), !c->failed,
		     pb_str_skip_word(&word, PB_STR("status")));
	c->json = false;
	pb_text_reset(&c->reply);
}

/** @return whether it is over. */
static bool run_line(struct console_conn *c, struct pb_str line)
{
	c->json = console_json_take(&line) && !c->machine;
	c->line = line;
	if (!console_command_run(c, line))
		return false;
	end_command(c);
	return true;
}

/** Commands until one has to wait for its answer. */
static void run_todo(struct console_conn *c)
{
	struct pb_str line;

	while (!c->closed) {
		pb_arena_reset(c->arena);
		if (!next_todo(c, &line))
			break;
		if (!run_line(c, line))
			return;
	}
	rest(c);
}

static void run(struct console_conn *c, struct pb_str line)
{
	c->running = true;
	c->lines_of_turn++;
	pb_arena_reset(c->arena);
	if (run_line(c, pb_arena_str(c->arena, line)))
		run_todo(c);
}

/** Octets that make a telnet client behave, and the header. */
static void greet(struct console_conn *c)
{
	if (c->port->set && c->port->set->telnet) {
		console_telnet_hello(&c->out);
		pb_text_lit(&c->out, "\r         \b\b\b\b\b\b\b\b\b");
	}
	if (!c->port->header.n)
		return;
	pb_text_lit(&c->out, "\r");
	console_print(c, c->port->header);
	pb_text_lit(&c->out, "\r\n");
}

/* ---- Pages ----------------------------------------------------------------------------------- */

/** The command's answer again, from another line on. */
static void turn_page(struct console_conn *c)
{
	struct console_paging *p = &c->paging;
	int64_t to = 0;

	if (c->tty.edit.page == CONSOLE_PAGE_LAST)
		to = INT32_MAX;
	else if (c->tty.edit.page == CONSOLE_PAGE_DOWN)
		to = p->next;
	else if (c->tty.edit.page == CONSOLE_PAGE_UP)
		to = p->at > p->rows ? p->at - p->rows : 0;
	if (to < 0 || (to == p->at && to == 0)) {
		console_edit_beep(&c->tty.edit, &c->out);
		return;
	}
	console_edit_hide(&c->tty.edit, &c->out);
	p->at = to;
	p->turning = true;
	run(c, pb_text_str(&p->line));
}

/* ---- Input ----------------------------------------------------------------------------------- */

static void too_much(struct console_conn *c, const char *what, unsigned bytes)
{
	console_say(CONSOLE_LIMIT, "%s of more than %u bytes from %.*s, connection closed", what, bytes,
		    PB_STR_F(pb_stream_peer(c->stream)));
	console_conn_close(c);
}

static void cycle_output(struct console_conn *c)
{
	if (c->level == CONSOLE_NONE) {
		console_edit_beep(&c->tty.edit, &c->out);
		return;
	}
	if (!c->output) {
		c->output = true;
	} else if (!c->debug && c->level == CONSOLE_ADMIN) {
		c->debug = true;
	} else {
		c->output = c->debug = false;
	}
	console_conns_update(c->c);
}

static void feed_terminal(struct console_conn *c, struct pb_str *in)
{
	switch (console_telnet_feed(&c->tty, in, &c->out)) {
	case CONSOLE_MORE:
		break;
	case CONSOLE_LINE:
		run(c, pb_text_str(&c->tty.edit.done));
		break;
	case CONSOLE_TAB:
		c->running = true;
		pb_arena_reset(c->arena);
		if (console_complete(c))
			c->running = c->completing = false;
		break;
	case CONSOLE_CYCLE:
		cycle_output(c);
		break;
	case CONSOLE_PAGE:
		turn_page(c);
		break;
	case CONSOLE_CLOSE:
		console_conn_close(c);
		break;
	case CONSOLE_TOO_LONG:
		too_much(c, "line", CONSOLE_LINE_MAX_BYTES);
		break;
	}
}

/** "%%terminal 80x24": from here on it is one, and speaks telnet. */
static bool become_terminal(struct console_conn *c, struct pb_str line)
{
	struct pb_str width;
	uint32_t n;

	if (!pb_str_skip_word(&line, PB_STR("%%terminal")))
		return false;
	pb_str_cut(&line, 'x', &width);
	c->tty.width = pb_str_to_u32(width, 0, 65535, &n) ? 0 : n;
	c->tty.height = pb_str_to_u32(line, 0, 65535, &n) ? 24 : n;
	c->plain = false;
	c->tty.edit.echo = true;
	console_conn_set_level(c, c->level);
	greet(c);
	console_edit_show(&c->tty.edit, &c->out);
	return true;
}

/** @return whether there was a line. */
static bool feed_plain(struct console_conn *c, struct pb_str *in)
{
	ptrdiff_t at = pb_str_chr(*in, '\n');
	struct pb_str line;

	if (at < 0 || at > CONSOLE_LINE_MAX_BYTES) {
		if (in->n > CONSOLE_LINE_MAX_BYTES)
			too_much(c, "line", CONSOLE_LINE_MAX_BYTES);
		return false;
	}
	line = pb_str_trim_space(pb_str_head(*in, (size_t)at));
	*in = pb_str_from(*in, (size_t)at + 1);
	if (become_terminal(c, line))
		return true;
	if (line.n)
		run(c, line);
	else
		rest(c);
	return true;
}

/** Has it had its share of this turn, or of this second? Then `again` goes on. */
static bool must_wait(struct console_conn *c)
{
	struct pb_loop *l = c->c->cx->loop;
	uint64_t now = pb_loop_now_ms(l);

	if (now / 1000 != c->second) {
		c->second = now / 1000;
		c->lines = 0;
	}
	if (c->lines >= LINES_A_SECOND)
		pb_timer_start(l, &c->again, 1000 - now % 1000);
	else if (c->lines_of_turn >= LINES_A_TURN)
		pb_timer_start(l, &c->again, 1);
	return pb_timer_active(&c->again);
}

static void feed(struct console_conn *c)
{
	struct pb_str in = pb_text_str(&c->in);
	bool waits = false;

	while (in.n && !c->running && !c->closed && !(waits = must_wait(c))) {
		unsigned before = c->lines_of_turn;

		if (!c->plain)
			feed_terminal(c, &in);
		else if (!feed_plain(c, &in))
			break;
		c->lines += c->lines_of_turn != before && in.n > 0;
	}
	if (in.n)
		memmove(c->in.p, in.p, in.n);
	c->in.n = in.n;
	if (c->ending && !c->running && !waits)
		console_conn_close(c);
}

static void on_again(void *arg)
{
	struct console_conn *c = arg;

	enter(c);
	c->lines_of_turn = 0;
	if (!c->running)
		feed(c);
	leave(c);
}

static size_t on_data(void *arg, struct pb_str bytes)
{
	struct console_conn *c = arg;

	enter(c);
	console_edit_chunk(&c->tty.edit);
	pb_text_add(&c->in, bytes);
	if (pb_text_failed(&c->in))
		too_much(c, "input", IN_MAX_BYTES);
	else if (!c->running && !pb_timer_active(&c->again)) {
		c->lines_of_turn = 0;
		feed(c);
	}
	leave(c);
	return bytes.n;
}

/** It says no more, but may wait for its answers. */
static bool on_half_closed(void *arg)
{
	struct console_conn *c = arg;

	c->ending = true;
	enter(c);
	if (!c->running && !pb_timer_active(&c->again))
		feed(c);
	leave(c);
	return true;
}

static void on_drained(void *arg)
{
	pb_timer_stop(&((struct console_conn *)arg)->stall);
}

static void on_closed(void *arg, int err)
{
	struct console_conn *c = arg;

	if (err)
		console_say(CONSOLE_ENDED, "Connection to %.*s lost: %s",
			    PB_STR_F(pb_stream_peer(c->stream)), strerrordesc_np(-err));
	console_conn_free(c);
}

static const struct pb_stream_ops stream_ops = { .data = on_data, .closed = on_closed, .drained = on_drained,
						   .half_closed = on_half_closed };

void console_command_over(struct console_conn *c)
{
	enter(c);
	end_command(c);
	run_todo(c);
	c->lines_of_turn = 0; /* its answer came from another turn */
	if (!c->running && !pb_timer_active(&c->again))
		feed(c);
	leave(c);
}

/* ---- Questions to the bus -------------------------------------------------------------------- */

static void add_cmd_params(struct console_conn *c, struct pb_msg *m)
{
	pb_msg_set(m, PB_STR("cmd_address"), pb_stream_peer(c->stream));
	pb_msg_set_bool(m, PB_STR("cmd_machine"), c->machine);
	pb_msg_set_bool(m, PB_STR("cmd_admin"), c->level == CONSOLE_ADMIN);
	if (c->machine || c->json || !c->tty.width)
		return;
	pb_msg_set_int(m, PB_STR("cmd_width"), c->tty.width);
	pb_msg_set_int(m, PB_STR("cmd_height"), c->tty.height);
}

static void on_answer(struct pb_msg *m, bool handled, void *arg)
{
	struct console_conn *c = arg;

	enter(c);
	c->answered(c, m, handled);
	pb_msg_free(&m);
	if (c->asking)
		c->told = true;
	else
		console_command_over(c);
	leave(c);
}

bool console_ask(struct console_conn *c, struct pb_msg *m,
		 void (*answered)(struct console_conn *c, struct pb_msg *m, bool handled))
{
	if (!m) {
		console_print(c, PB_STR("Out of memory\r\n"));
		return true;
	}
	add_cmd_params(c, m);
	c->answered = answered;
	c->asking = true;
	c->told = false;
	pb_bus_dispatch(c->c->cx->bus, m, &c->asked, on_answer, c);
	c->asking = false;
	return c->told;
}

/* ---- Live output --------------------------------------------------------------------------------- */

/** Codes of 0.7: plain output first, then levels 0 to 10. */
static const char *const colors[] = { "0;40;37", "5;41;1;33", "44;1;37", "41;1;37", "41;37",  "40;31",
				      "40;1;31", "40;1;33",   "40;1;32", "40;1;37", "40;1;36", "40;36" };

static bool wants(const struct console_conn *c, int level)
{
	if (level == CONSOLE_RELAY_MESSAGE)
		return c->machine;
	return level < 0 ? c->output : c->debug && level <= c->threshold;
}

void console_conn_relay(struct console_conn *c, int level, struct pb_str line)
{
	bool shown = !c->running && console_edit_shown(&c->tty.edit);
	bool colored = c->color && level >= -1 && level <= PB_ALL;

	if (!wants(c, level))
		return;
	if (pb_stream_queued(c->stream) > LIVE_MAX_BYTES) {
		c->lost++;
		return;
	}
	enter(c);
	if (shown)
		console_edit_hide(&c->tty.edit, &c->out);
	if (c->lost)
		pb_text_addf(&c->out, "(%u lines lost: too slow for the console)\r\n", c->lost);
	c->lost = 0;
	if (colored)
		pb_text_addf(&c->out, "\033[%sm\033[K", colors[level + 1]);
	pb_log_add_visible(&c->out, line, true);
	pb_text_lit(&c->out, "\r\n");
	if (colored)
		pb_text_lit(&c->out, "\033[0m\033[K");
	if (shown)
		console_edit_show(&c->tty.edit, &c->out);
	leave(c);
}

void console_conns_update(struct console *c)
{
	bool lines = false, messages = false;

	pb_list_each(it, &c->conns) {
		const struct console_conn *conn = pb_container(it, struct console_conn, node);

		lines |= conn->output || conn->debug;
		messages |= conn->machine;
	}
	console_relay_want(&c->relay, lines, messages);
}

/* ---- Beginning ------------------------------------------------------------------------------------- */

static void on_guest_timeout(void *arg)
{
	struct console_conn *c = arg;

	enter(c);
	console_conn_close(c);
	leave(c);
}

/** What the listener's section says of a fresh connection. */
static void set_up(struct console_conn *c, const struct console_listener *set)
{
	c->tty.edit.echo = !set->telnet && set->echoing;
	c->color = set->telnet && set->color;
	console_conn_set_level(c, set->userpass.n   ? CONSOLE_NONE
				  : set->password.n ? CONSOLE_USER
						    : CONSOLE_ADMIN);
	c->debug = c->level == CONSOLE_ADMIN && set->debug;
	c->output = set->output && !set->userpass.n;
	for (size_t i = 0; i < set->alias_count; i++)
		console_alias_set(&c->aliases, set->aliases[i].name, set->aliases[i].text);
	if (c->level == CONSOLE_NONE && set->timeout_ms)
		pb_timer_start(c->c->cx->loop, &c->guest, (uint64_t)set->timeout_ms);
	if (set->logged)
		console_say(CONSOLE_OPENED, "Remote connection from %.*s to %.*s",
			    PB_STR_F(pb_stream_peer(c->stream)), PB_STR_F(pb_stream_local(c->stream)));
	greet(c);
	console_edit_show(&c->tty.edit, &c->out);
}

static struct console_conn *conn_alloc(struct console_port *port)
{
	struct console_conn *c = pb_alloc_zero(1, sizeof(*c));

	if (!c)
		return NULL;
	c->c = port->c;
	c->port = port;
	c->threshold = PB_ALL;
	c->level = CONSOLE_ADMIN;
	c->plain = port->local;
	pb_text_init(&c->out, OUT_MAX_BYTES);
	pb_text_init(&c->in, IN_MAX_BYTES);
	pb_text_init(&c->todo, CONSOLE_LINE_MAX_BYTES);
	pb_text_init(&c->aliases, ALIASES_MAX_BYTES);
	pb_text_init(&c->reply, OUT_MAX_BYTES / 2);
	pb_text_init(&c->paging.line, CONSOLE_LINE_MAX_BYTES);
	pb_questions_init(&c->asked);
	pb_timer_init(&c->guest, on_guest_timeout, c);
	pb_timer_init(&c->again, on_again, c);
	pb_timer_init(&c->stall, on_stall, c);
	c->arena = pb_arena_new(COMMAND_MAX_BYTES);
	if (console_telnet_init(&c->tty, port->set ? (unsigned)port->set->history : CONSOLE_HISTORY_MAX) < 0 || !c->arena) {
		console_conn_free(c);
		return NULL;
	}
	return c;
}

void console_conn_new(struct console_port *port, int fd, const struct pb_addr *from)
{
	struct console_conn *c = NULL;
	struct pb_stream_args args = { .ops = &stream_ops, .in_limit_bytes = 16384, .out_limit_bytes = OUT_MAX_BYTES };
	int on = 1;

	if (port->conns >= CONSOLE_CONNS_MAX)
		console_say(CONSOLE_FULL, "more than %d connections, one refused", CONSOLE_CONNS_MAX);
	else
		c = conn_alloc(port);
	args.arg = c;
	if (!c || pb_stream_adopt(port->c->cx->loop, fd, fd, &args, &c->stream) < 0) {
		close(fd);
		if (c)
			console_conn_free(c);
		return;
	}
	pb_list_push(&port->c->conns, &c->node);
	port->c->conn_count++;
	port->conns++;
	enter(c);
	if (port->set && port->set->interactive)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (port->set)
		set_up(c, port->set);
	console_conns_update(port->c);
	leave(c);
}
