/*
 * patchbay console: a line to the engine's Unix socket, its answer to stdout.
 *
 * Protocol: one command a line; the answer ends with the line "%%=done".
 */
#include "program.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/text.h"
#include "bus/cfg.h"

static int dial(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(a.sun_path))
		return -ENAMETOOLONG;
	strcpy(a.sun_path, path);
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

/* True when the answer's last line has come; it is not printed. */
static bool print_answer(FILE *in)
{
	char line[65536];

	while (fgets(line, sizeof(line), in)) {
		if (strncmp(line, "%%=done", 7) == 0)
			return true;
		fputs(line, stdout);
	}
	return false;
}

static bool ask(FILE *in, FILE *out, const char *line)
{
	if (fprintf(out, "%s\n", line) < 0 || fflush(out))
		return false;
	return print_answer(in);
}

static int converse(FILE *in, FILE *out, const struct pb_program *p)
{
	char line[65536];
	bool ok = true;

	if (p->argc) {
		size_t n = 0;

		for (int i = 0; i < p->argc && n < sizeof(line); i++)
			n += (size_t)snprintf(line + n, sizeof(line) - n, "%s%s", i ? " " : "", p->argv[i]);
		return ask(in, out, line) ? PB_EXIT_OK : PB_EXIT_FAILED;
	}
	while (ok && (isatty(0) ? fputs("patchbay> ", stdout), fflush(stdout), 1 : 1) &&
	       fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\r\n")] = '\0';
		if (line[0])
			ok = ask(in, out, line);
	}
	return PB_EXIT_OK;
}

/* Where the engine listens: -s, else what engine.cfg says. */
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
	return path;
}

int pb_program_console(struct pb_program *p)
{
	struct pb_arena *a = pb_arena_new(1u << 20);
	struct pb_str path = a ? socket_path(p, a) : PB_STR_NULL;
	int code = PB_EXIT_ENVIRONMENT, fd;
	FILE *in, *out;

	if (!path.n) {
		fprintf(stderr, "patchbay: engine.cfg in %s names no console socket; use -s PATH\n", p->conf_dir);
		goto out;
	}
	fd = dial(path.p);
	if (fd < 0) {
		fprintf(stderr, "patchbay: no engine at %s: %s\n", path.p, strerror(-fd));
		goto out;
	}
	in = fdopen(fd, "r");
	out = fdopen(dup(fd), "w");
	if (in && out)
		code = converse(in, out, p);
	if (out)
		fclose(out);
	if (in)
		fclose(in);
out:
	pb_arena_free(&a);
	return code;
}
