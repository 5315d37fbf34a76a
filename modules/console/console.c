/*
 * The module `console`: its descriptor, listeners opened and closed, status.
 *
 * Listeners are those of the first configuration; a reload does not touch
 * them. All sessions live on the home loop; where a command has to run
 * elsewhere, the bus carries its message there.
 */
#include "console/console.h"

#include <errno.h>
#include <unistd.h>

#include "console/command.h"
#include "console/conn.h"
#include "loop/holder.h"

#define BACKLOG 128 /* a full one makes a peer wait a second */
#define TEXTS_MAX_BYTES (1u << 20)

const struct pb_log_row console_log_rows[] = {
	[CONSOLE_LISTENS] = { "console-001", PB_INFO, "A listener is open." },
	[CONSOLE_NOT_OPENED] = { "console-002", PB_WARN,
				 "A listener could not be opened. Is another engine running?" },
	[CONSOLE_NO_PASSWORD] = { "console-003", PB_CONF,
				  "A listener beyond loopback has no password and stays closed. Set password, or "
				  "listen on 127.0.0.1." },
	[CONSOLE_NO_TLS] = { "console-004", PB_CONF,
			     "A listener asks for TLS, which is not supported, and stays closed." },
	[CONSOLE_BAD_REGEX] = { "console-005", PB_CONF, "user_regexp cannot be used." },
	[CONSOLE_OPENED] = { "console-006", PB_INFO, "Somebody has connected." },
	[CONSOLE_ENDED] = { "console-007", PB_INFO, "A connection has ended." },
	[CONSOLE_BAD_AUTH] = { "console-008", PB_WARN, "Somebody has given a wrong password." },
	[CONSOLE_FULL] = { "console-009", PB_WARN, "Too many connections to one listener; a new one was refused." },
	[CONSOLE_LIMIT] = { "console-010", PB_NOTE,
			    "A line was too long, or too much input waited; its connection was closed." },
	[CONSOLE_STALLED] = { "console-011", PB_NOTE,
			      "Somebody did not read what was sent to him for long; his connection was closed." },
	[CONSOLE_NOT_TAKEN] = { "console-012", PB_NOTE,
				"The usual place of the Unix socket could not be had; another engine may have it." },
	{ NULL },
};
PB_LOG_SOURCE(console_log, "rmanager", console_log_rows);

static void accepted(void *arg, int fd, const struct pb_addr *from)
{
	console_conn_new(arg, fd, from);
}

/* ---- Opening -------------------------------------------------------------------------------- */

static struct pb_str expand(struct console *c, struct pb_str text)
{
	return pb_engine_expand(c->engine, text, c->arena);
}

static bool may_open(const struct console_listener *set)
{
	if (!set->port || !set->addr.n)
		return false;
	if (!console_is_safe(set)) {
		console_say(CONSOLE_NO_PASSWORD, "listener '%.*s' on %.*s:%d would need a password: not opened",
			    PB_STR_F(set->name), PB_STR_F(set->addr), (int)set->port);
		return false;
	}
	if (set->context.n || set->domain.n) {
		console_say(CONSOLE_NO_TLS, "listener '%.*s' wants TLS, which is not supported: not opened",
			    PB_STR_F(set->name));
		return false;
	}
	return true;
}

static void prepare(struct console_port *p)
{
	const struct console_listener *set = p->set;

	p->header = expand(p->c, set->header);
	p->goodbye = expand(p->c, set->goodbye);
	p->prompt[CONSOLE_NONE] = expand(p->c, set->prompt_guest);
	p->prompt[CONSOLE_USER] = expand(p->c, set->prompt_user);
	p->prompt[CONSOLE_ADMIN] = expand(p->c, set->prompt);
	if (set->user_regexp.n)
		p->has_regex = regcomp(&p->user_regex, set->user_regexp.p, REG_NOSUB) == 0;
}

static void say_closed(const struct console_listener *set, const struct pb_addr *local, int err)
{
	struct pb_text why;

	pb_text_init(&why, 1024);
	pb_port_say(&why, PB_TCP, local, err);
	console_say(CONSOLE_NOT_OPENED, "cannot listen on TCP %.*s:%d: %.*s", PB_STR_F(set->addr), (int)set->port,
		    PB_STR_F(pb_text_str(&why)));
	pb_text_fini(&why);
}

static int open_tcp(struct console_port *p)
{
	const struct console_listener *set = p->set;
	char text[PB_ADDR_TEXT];
	struct pb_addr local;
	int err;

	if (!may_open(set))
		return 0;
	err = pb_addr_parse(set->addr, (uint16_t)set->port, &local);
	if (!err)
		err = pb_listener_open(p->c->cx->loop, &local, BACKLOG, accepted, p, &p->listener);
	if (err) {
		say_closed(set, &local, err);
		return err;
	}
	p->c->open++;
	prepare(p);
	console_say(CONSOLE_LISTENS, "listener '%.*s' on %.*s", PB_STR_F(set->name),
		    PB_STR_F(pb_addr_print(pb_listener_local(p->listener), text)));
	return 0;
}

/** Where `patchbay console` looks when engine.cfg names no socket, too. */
static struct pb_str local_path(const struct console *c, bool *chosen)
{
	struct pb_str path = pb_engine_run_param(c->engine, PB_STR("consolesocket"));

	*chosen = path.n > 0;
	if (*chosen)
		return pb_arena_str(c->arena, path);
	return access(PB_CONSOLE_DIR, W_OK | X_OK) ? PB_STR("") : PB_STR(PB_CONSOLE_SOCKET);
}

/** For `patchbay console`: whoever may open the socket is an administrator. */
static int open_local(struct console_port *p)
{
	bool chosen;
	struct pb_str path = local_path(p->c, &chosen);
	int err;

	p->local = true;
	p->header = expand(p->c, PB_STR(CONSOLE_HEADER));
	p->goodbye = PB_STR("Goodbye!");
	p->prompt[CONSOLE_ADMIN] = PB_STR("patchbay> ");
	if (path.p && !path.n)
		return 0;
	err = path.p ? pb_listener_open_unix(p->c->cx->loop, path.p, 0660, BACKLOG, accepted, p, &p->listener) :
		       -ENOMEM;
	if (err)
		console_say(chosen ? CONSOLE_NOT_OPENED : CONSOLE_NOT_TAKEN, "cannot listen on %.*s: %s",
			    PB_STR_F(path), strerrordesc_np(-err));
	else
		console_say(CONSOLE_LISTENS, "listener on %.*s", PB_STR_F(path));
	return chosen ? err : 0;
}

/* ---- Life ------------------------------------------------------------------------------------- */

static void on_relay(void *arg, int level, struct pb_str line)
{
	struct console *c = arg;

	pb_list_each_safe(it, &c->conns)
		console_conn_relay(pb_container(it, struct console_conn, node), level, line);
}

/** Since the engine's start, which its run id tells. */
static uint64_t started_us(const struct console *c)
{
	struct pb_str id = pb_engine_run_param(c->engine, PB_STR("runid"));
	uint64_t now = pb_loop_wall_us(c->cx->loop);
	int64_t s;

	if (pb_str_to_i64(id, 10, 0, (int64_t)(now / 1000000), &s) < 0)
		return now;
	return (uint64_t)s * 1000000;
}

static int start(struct pb_ctx *cx)
{
	struct console *c = cx->shared;

	c->cx = pb_engine_ctx(cx, cx->loop);
	c->engine = pb_engine_of(cx);
	c->set = pb_settings_ref(cx);
	c->arena = pb_arena_new(TEXTS_MAX_BYTES);
	pb_list_init(&c->conns);
	c->started_us = started_us(c);
	c->port_count = c->set->count + 1;
	c->ports = c->arena ? pb_arena_alloc(c->arena, c->port_count * sizeof(*c->ports)) : NULL;
	if (!c->ports)
		return -ENOMEM;
	c->relay.home = cx->loop;
	c->relay.bus = cx->bus;
	c->relay.fn = on_relay;
	c->relay.arg = c;
	console_relay_start(&c->relay);
	for (size_t i = 0; i < c->port_count; i++)
		c->ports[i].c = c;
	for (size_t i = 0; i < c->set->count; i++)
		c->ports[i].set = &c->set->listeners[i];
	return 0;
}

static int loop_open(struct pb_ctx *cx)
{
	struct console *c = cx->shared;
	int err = 0;

	if (cx->loop != c->cx->loop)
		return 0;
	for (size_t i = 0; i < c->set->count && !err; i++)
		err = open_tcp(&c->ports[i]);
	return err ? err : open_local(&c->ports[c->set->count]);
}

static void stop(struct pb_ctx *cx)
{
	struct console *c = cx->shared;

	if (!c->ports) {
		pb_arena_free(&c->arena);
		pb_settings_unref(cx, c->set);
		return;
	}
	for (size_t i = 0; i < c->port_count; i++)
		pb_listener_close(&c->ports[i].listener);
	pb_list_each_safe(it, &c->conns) {
		struct console_conn *conn = pb_container(it, struct console_conn, node);

		pb_stream_close(&conn->stream, true);
		console_conn_free(conn);
	}
	console_relay_stop(&c->relay);
	for (size_t i = 0; i < c->port_count; i++) {
		if (c->ports[i].has_regex)
			regfree(&c->ports[i].user_regex);
	}
	c->ports = NULL;
	pb_arena_free(&c->arena);
	pb_settings_unref(cx, c->set);
}

static void status(struct pb_ctx *cx, struct pb_status *s)
{
	const struct console *c = cx->shared;

	if (pb_status_selector(s).n || !pb_loop_is_mine(c->cx->loop))
		return;
	pb_status_count(s, "listeners", (int64_t)c->open);
	pb_status_count(s, "conn", c->conn_count);
}

/** A session postpones a graceful restart. */
static enum pb_verdict on_busy(struct pb_msg *m, struct pb_ctx *cx)
{
	const struct console *c = cx->shared;

	return c->conn_count ? PB_HANDLED : PB_PASS;
}

static enum pb_verdict on_halt(struct pb_msg *m, struct pb_ctx *cx)
{
	struct console *c = cx->shared;

	(void)m;
	pb_list_each_safe(it, &c->conns)
		console_conn_halt(pb_container(it, struct console_conn, node));
	return PB_PASS;
}

static const struct pb_handler handlers[] = {
	{ .message = "engine.busy", .priority = 100, .place = PB_HOME, .fn = on_busy },
	{ .message = "engine.halt", .priority = 100, .place = PB_HOME, .fn = on_halt },
	{ NULL },
};

static const struct pb_counter counters[] = {
	{ "listeners", "listeners", "Listeners that are open." },
	{ "conn", "connections", "Consoles that are connected." },
	{ NULL },
};

#define CMD "cmd_address cmd_machine cmd_admin cmd_width cmd_height"
static const struct pb_sends sends[] = {
	{ "engine.status", "module details " CMD },
	{ "engine.debug", "module line " CMD },
	{ "engine.command", "line partial partline partword complete " CMD },
	{ "engine.help", "line " CMD },
	{ "call.drop", "id reason " CMD },
	{ "call.execute", "callto direct target " CMD },
	{ "chan.control", "targetid component module operation " CMD },
	{ NULL },
};

static bool verb(size_t i, struct pb_verb *out)
{
	const struct console_command *c = &console_commands[i];

	*out = (struct pb_verb){ c->word, c->args, c->doc };
	return c->word.n > 0;
}

PB_MODULE(console) = {
	.abi = PB_MODULE_ABI,
	.name = "rmanager",
	.doc = "The console: telnet for people and programs, a Unix socket for `patchbay console`.",
	.aliases = "console",
	.conf = "rmanager",
	.required = true,
	.status_type = "misc",
	.settings_size = sizeof(struct console_settings),
	.shared_size = sizeof(struct console),
	.options = console_options,
	.handlers = handlers,
	.log = &console_log,
	.read = console_read,
	.start = start,
	.loop_open = loop_open,
	.stop = stop,
	.status = status,
	.counters = counters,
	.sends = sends,
	.verb = verb,
};
