/*
 * patchbay console: to the engine's Unix socket.
 *
 * Lines: one command a line; the answer ends with the line "%%=done", or
 * "%%=done:failed" when it was not understood or not done. From a terminal it
 * is the engine that edits, completes and remembers: see terminal.c.
 */
#include "program.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/text.h"
#include "bus/cfg.h"

#define LINE_MAX_BYTES 65536
#define ANSWER_MAX_BYTES (16u << 20)

/* ---- Getting there --------------------------------------------------------------------- */

static int dial(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(a.sun_path))
		return -ENAMETOOLONG;
	memcpy(a.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&a, sizeof(a))) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

/** Where the engine listens: -s, else what engine.cfg says, else the usual place. */
static struct pb_str socket_path(const struct pb_program *p, struct pb_arena *a)
{
	static const struct pb_opt rows[] = {
		{ PB_OPT_STR, "socket", 0, .defs = "", .section = "console", .doc = "Where the engine listens." },
		{ PB_OPT_END },
	};
	struct pb_str path = PB_STR_NULL, file = pb_arena_printf(a, "%s/engine.cfg", p->conf_dir);
	struct pb_cfg *cfg = NULL;

	if (p->socket)
		return pb_str_z(p->socket);
	if (file.p && !pb_cfg_load(file.p, NULL, &cfg))
		pb_cfg_read(cfg, rows, &path, a, NULL);
	pb_cfg_free(&cfg);
	return path.n ? path : PB_STR(PB_CONSOLE_SOCKET);
}

static void tell_why(const char *path, int err)
{
	fprintf(stderr, "patchbay: no engine at %s: %s\n", path, strerror(-err));
	if (err == -ENOENT || err == -ECONNREFUSED)
		fputs("patchbay: is it running? Another socket: -s PATH, or console = { socket = \"PATH\"; }; in "
		      "engine.cfg\n",
		      stderr);
	if (err == -EACCES)
		fputs("patchbay: the socket is for the engine's user and group\n", stderr);
}

/* ---- Lines -------------------------------------------------------------------------------- */

struct talk {
	int fd;
	struct pb_text in; /* received, not yet a whole line */
};

static bool send_all(int fd, struct pb_str s)
{
	while (s.n) {
		ssize_t n = send(fd, s.p, s.n, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			return false;
		s = pb_str_from(s, n > 0 ? (size_t)n : 0);
	}
	return true;
}

static bool receive(struct talk *t)
{
	char buf[16384];
	ssize_t n;

	do
		n = recv(t->fd, buf, sizeof(buf), 0);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return false;
	pb_text_add(&t->in, pb_str(buf, (size_t)n));
	return !pb_text_failed(&t->in);
}

/** Whole lines of what has come to stdout. @return whether the last one was among them; `code` then says more. */
static bool print_lines(struct talk *t, int *code)
{
	struct pb_str in = pb_text_str(&t->in);
	bool done = false;
	ptrdiff_t at;

	while (!done && (at = pb_str_chr(in, '\n')) >= 0) {
		struct pb_str line = pb_str_head(in, (size_t)at + 1), bare = pb_str_trim_space(line);

		done = pb_str_eq(bare, PB_STR("%%=done")) || pb_str_eq(bare, PB_STR("%%=done:failed"));
		if (!done)
			fwrite(line.p, 1, line.n, stdout);
		else
			*code = bare.n == 7 ? PB_EXIT_OK : PB_EXIT_FAILED;
		in = pb_str_from(in, line.n);
	}
	if (in.n)
		memmove(t->in.p, in.p, in.n);
	t->in.n = in.n;
	return done;
}

/** One command and its answer. @return whether the engine is still there. */
static bool ask(struct talk *t, struct pb_str line, bool json, int *code)
{
	bool ok = send_all(t->fd, line) && send_all(t->fd, json ? PB_STR(" --json\n") : PB_STR("\n"));

	*code = PB_EXIT_FAILED;
	while (ok && !print_lines(t, code))
		ok = receive(t);
	fflush(stdout);
	return ok;
}

static int lost(void)
{
	fputs("patchbay: the engine has ended the connection\n", stderr);
	return PB_EXIT_FAILED;
}

static int ask_once(struct talk *t, const struct pb_program *p)
{
	struct pb_text line;
	int code;

	pb_text_init(&line, LINE_MAX_BYTES);
	for (int i = 0; i < p->argc; i++)
		pb_text_addf(&line, "%s%s", i ? " " : "", p->argv[i]);
	if (pb_text_failed(&line) || pb_str_chr(pb_text_str(&line), '\n') >= 0) {
		fputs("patchbay: a command is one line of at most 65536 bytes\n", stderr);
		code = PB_EXIT_USAGE;
	} else if (!ask(t, pb_text_str(&line), p->json, &code)) {
		code = lost();
	}
	pb_text_fini(&line);
	return code;
}

/** Whether all were understood is the exit code. */
static int ask_each(struct talk *t, const struct pb_program *p)
{
	char line[LINE_MAX_BYTES];
	int code = PB_EXIT_OK, one;

	while (fgets(line, sizeof(line), stdin)) {
		struct pb_str s = pb_str_trim_space(pb_str_z(line));

		if (!s.n)
			continue;
		if (!ask(t, s, p->json, &one))
			return pb_str_eq(s, PB_STR("quit")) ? code : lost();
		if (one)
			code = one;
		if (pb_str_eq(s, PB_STR("quit")))
			break;
	}
	return code;
}

static int talk_lines(int fd, const struct pb_program *p)
{
	struct talk t = { .fd = fd };
	int code;

	pb_text_init(&t.in, ANSWER_MAX_BYTES);
	code = p->argc ? ask_once(&t, p) : ask_each(&t, p);
	pb_text_fini(&t.in);
	close(fd);
	return code;
}

int pb_program_console(struct pb_program *p)
{
	struct pb_arena *a = pb_arena_new(1u << 20);
	struct pb_str path = a ? socket_path(p, a) : PB_STR_NULL;
	int code = PB_EXIT_ENVIRONMENT, fd = path.n ? dial(path.p) : -ENOMEM;

	if (fd < 0)
		tell_why(path.n ? path.p : "", fd);
	else if (!p->argc && isatty(0) && isatty(1))
		code = pb_attach_terminal(fd);
	else
		code = talk_lines(fd, p);
	pb_arena_free(&a);
	return code;
}
