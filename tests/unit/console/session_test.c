/* modules/console in a running engine: sessions over TCP and the Unix socket. */
#include "../../support/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "bus/engine.h"
#include "loop/addr.h"

extern const struct pb_module pb_module_descriptor;

static char dir[] = "/tmp/pb_console_XXXXXX", path[64], seen[1 << 16];
static struct pb_engine *engine;
static uint16_t port;

static void write_file(const char *name, const char *text)
{
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(text, f);
	fclose(f);
}

/** A port that was free a moment ago. */
static uint16_t free_port(void)
{
	struct pb_addr a;
	socklen_t size = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	pb_addr_parse(PB_STR("127.0.0.1"), 0, &a);
	CU_ASSERT_EQUAL(bind(fd, &a.sa, pb_addr_len(&a)), 0);
	CU_ASSERT_EQUAL(getsockname(fd, &a.sa, &size), 0);
	close(fd);
	return pb_addr_port(&a);
}

static void begin(const char *section)
{
	const struct pb_module *const built_in[] = { &pb_module_descriptor, NULL };
	struct pb_engine_args args = { .conf_dir = dir, .node_name = "here", .built_in = built_in, .calls = 2,
				       .scripts = 1 };
	struct pb_findings *f = pb_findings_new();
	char text[1000];

	if (strchr(dir, 'X'))
		CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	port = free_port();
	snprintf(text, sizeof(text), "[general]\nport=%d\n%s", port, section);
	write_file("rmanager.conf", text);
	snprintf(text, sizeof(text), "console: { socket = \"%s/socket\"; };\n", dir);
	write_file("engine.cfg", text);
	pb_log_open("/dev/null", false);
	CU_ASSERT_EQUAL_FATAL(pb_engine_new(&args, f, &engine), 0);
	CU_ASSERT_EQUAL_FATAL(pb_engine_start(engine), 0);
	pb_findings_free(&f);
}

static void end(void)
{
	static const char *const files[] = { "rmanager.conf", "engine.cfg" };

	pb_engine_stop(engine);
	pb_engine_free(&engine);
	snprintf(path, sizeof(path), "%s/socket", dir);
	CU_ASSERT_EQUAL(access(path, F_OK), -1);
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
		unlink(path);
	}
	rmdir(dir);
	memcpy(dir + strlen(dir) - 6, "XXXXXX", 6);
	pb_log_open(NULL, false);
}

static int dial_tcp(void)
{
	struct pb_addr a;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	pb_addr_parse(PB_STR("127.0.0.1"), port, &a);
	CU_ASSERT_EQUAL_FATAL(connect(fd, &a.sa, pb_addr_len(&a)), 0);
	return fd;
}

static int dial_unix(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s/socket", dir);
	CU_ASSERT_EQUAL_FATAL(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

/** Send, and read until `until` has come or the peer has closed. */
static struct pb_str talk(int fd, const char *text, const char *until)
{
	size_t n = 0;
	ssize_t got = 1;

	CU_ASSERT(!text[0] || send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text));
	while (got > 0 && pb_str_find(pb_str(seen, n), pb_str_z(until)) < 0) {
		got = recv(fd, seen + n, sizeof(seen) - n, 0);
		n += got > 0 ? (size_t)got : 0;
	}
	return pb_str(seen, n);
}

#define NEVER "\1never"

static void telnet_session(void)
{
	int fd;

	begin("header=Hello ${nodename}\nprompt=\"> \"\n");
	fd = dial_tcp();
	PB_SAME(talk(fd, "", "here\r\n"), "\xff\xfb\x03\xff\xfb\x01\xff\xfd\x1f\r         "
					  "\b\b\b\b\b\b\b\b\b\rHello here\r\n");
	PB_SAME(talk(fd, "status rmanager\r\n", "-status\r\n"),
		"%%+status:rmanager\r\nname=rmanager,type=misc;listeners=1,conn=1\r\n%%-status\r\n");
	PB_SAME(talk(fd, "\xff\xfd\x01", "> "), "\xff\xfb\x01> ");
	PB_SAME(talk(fd, "status rmanager\r\n", "\r\n> "),
		"status rmanager\r\nname=rmanager,type=misc;listeners=1,conn=1\r\n> ");
	PB_SAME(talk(fd, "n\xc2\x9bx\r", "\n> "), "n\xc2\x9bx\r\nCannot understand: n\\xC2\\x9Bx\r\n> ");
	PB_SAME(talk(fd, "quit\r", NEVER), "quit\r\nGoodbye!\r\n");
	close(fd);
	end();
}

static void machine_session(void)
{
	int fd;

	begin("telnet=no\nheader=\n");
	fd = dial_tcp();
	PB_SAME(talk(fd, "drop sip/1\n", "\n"), "Could not drop sip/1\r\n");
	PB_SAME(talk(fd, "machine on\n", "\n"), "Machine mode: on\r\n");
	CU_ASSERT_TRUE(pb_str_starts(talk(fd, "drop sip/1 why\n", "cmd_admin=true\r\n"),
				     PB_STR("%%=drop:fail:sip/1\r\n"
					    "%%<message::false:call.drop::id=sip/1:reason=why:cmd_address=127.0.0.1%z")));
	talk(fd, "machine off\n", "off\r\n");
	PB_SAME(talk(fd, "quit\n", NEVER), "Goodbye!\r\n");
	close(fd);
	end();
}

static void authentication(void)
{
	struct timespec a, b;
	int fd;

	begin("telnet=no\nheader=\npassword=adm\nuserpass=usr\nuser_prefix=drop\n");
	fd = dial_tcp();
	PB_SAME(talk(fd, "uptime\n", "\n"), "Not authenticated!\r\n");
	PB_SAME(talk(fd, "auth ad\n", "\n"), "Bad authentication password!\r\n");
	PB_SAME(talk(fd, "auth usr\n", "\n"), "Authenticated successfully as user!\r\n");
	PB_SAME(talk(fd, "drop x\n", "\n"), "Could not drop x\r\n");
	PB_SAME(talk(fd, "call x y\n", "\n"), "Not authenticated!\r\n");
	clock_gettime(CLOCK_MONOTONIC, &a);
	talk(fd, "auth 1\nauth 2\nauth 3\nauth 4\nauth 5\nuptime\n", "Uptime");
	clock_gettime(CLOCK_MONOTONIC, &b);
	/* Five tries, one each 200 ms; two were before. */
	CU_ASSERT_TRUE((b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000 >= 790);
	PB_SAME(talk(fd, "auth adm\n", "admin!\r\n"), "Authenticated successfully as admin!\r\n");
	close(fd);
	end();
}

static void live_output(void)
{
	int fd;

	begin("telnet=no\nheader=\n");
	fd = dial_tcp();
	talk(fd, "output on\n", "\n");
	pb_log_output(PB_STR("what the sniffer says\r\n\033"));
	PB_SAME(talk(fd, "", "x1B\r\n"), "what the sniffer says\r\n\\x1B\r\n");
	close(fd);
	end();
}

static void unix_session(void)
{
	int fd;

	begin("telnet=no\nheader=\n");
	fd = dial_unix();
	PB_SAME(talk(fd, "status rmanager\n", "%%=done\r\n"),
		"name=rmanager,type=misc;listeners=1,conn=1\r\n%%=done\r\n");
	PB_SAME(talk(fd, "alias two date$()nix\n\nquit\n", NEVER),
		"Alias two set to: date$()nix\r\n%%=done\r\n%%=done\r\nGoodbye!\r\n%%=done\r\n");
	close(fd);
	fd = dial_unix();
	PB_SAME(talk(fd, "nonsense\n", "failed\r\n"), "Cannot understand: nonsense\r\n%%=done:failed\r\n");
	PB_SAME(talk(fd, "status rmanager --json\n", "done\r\n"),
		"{\"command\":\"status rmanager\",\"ok\":true,\"status\":[{\"name\":\"rmanager\",\"type\":\"misc\","
		"\"counts\":{\"listeners\":1,\"conn\":1},\"items\":[]}]}\r\n%%=done\r\n");
	PB_SAME(talk(fd, "module list --json\n", "done\r\n"),
		"{\"command\":\"module list\",\"ok\":true,\"text\":[\"rmanager\"]}\r\n%%=done\r\n");
	PB_SAME(talk(fd, "parked --json\n", "done\r\n"), "[]\r\n%%=done\r\n");
	PB_SAME(talk(fd, "nonsense --json\n", "failed\r\n"),
		"{\"command\":\"nonsense\",\"ok\":false,\"text\":[\"Cannot understand: nonsense\"]}\r\n"
		"%%=done:failed\r\n");
	close(fd);
	end();
}

/** A terminal on the Unix socket: echo, prompt, pages, and a word before the end. */
static void unix_terminal(void)
{
	int fd;

	begin("telnet=no\nheader=\n");
	fd = dial_unix();
	PB_SAME(talk(fd, "%%terminal 80x8\n", "patchbay> "),
		"\rPatchbay " PACKAGE_VERSION " ready on here.\r\npatchbay> ");
	PB_SAME(talk(fd, "status rmanager\r", "\npatchbay> "),
		"status rmanager\r\nname=rmanager,type=misc;listeners=1,conn=1\r\npatchbay> ");
	PB_SAME(talk(fd, "statu\t", "status "), "statu\r\033[K\rpatchbay> status ");
	PB_SAME(talk(fd, "\25\3", NEVER), "\r\033[K\rpatchbay> ^C\r\n\xff\xfb\x12");
	close(fd);
	fd = dial_unix();
	talk(fd, "%%terminal 80x8\n", "patchbay> ");
	end();
	PB_SAME(talk(fd, "", NEVER), "\r\033[K\rThe engine is stopping.\r\n\xff\xfb\x12");
	close(fd);
}

/** A table longer than the screen comes in pages, turned by keys. */
static void pages(void)
{
	struct pb_str got;
	int fd;

	begin("telnet=no\nheader=\n");
	fd = dial_unix();
	talk(fd, "%%terminal 80x8\n", "patchbay> ");
	got = talk(fd, "dispatcher handlers\r", "\npatchbay> ");
	CU_ASSERT(pb_str_find(got, PB_STR("-- 1 to 6 of ")) > 0);
	got = talk(fd, "\033[6~", "\npatchbay> ");
	CU_ASSERT(pb_str_find(got, PB_STR("-- 7 to 12 of ")) > 0);
	got = talk(fd, "\033[F", "\npatchbay> ");
	CU_ASSERT(pb_str_find(got, PB_STR("-- 1 to 6 of ")) < 0);
	PB_SAME(talk(fd, "\6", "\a"), "\a");
	got = talk(fd, "\033[H", "\npatchbay> ");
	CU_ASSERT(pb_str_find(got, PB_STR("-- 1 to 6 of ")) > 0);
	PB_SAME(talk(fd, "\033[5~", "\a"), "\a");
	got = talk(fd, "date\r", "\npatchbay> ");
	PB_SAME(talk(fd, "\2", "\a"), "\a");
	close(fd);
	end();
}

/** Who ends his own direction gets all his answers. */
static void half_closed(void)
{
	int fd;

	begin("telnet=no\nheader=\n");
	fd = dial_unix();
	CU_ASSERT_EQUAL(send(fd, "drop x\nstatus rmanager\n", 23, 0), 23);
	shutdown(fd, SHUT_WR);
	PB_SAME(talk(fd, "", NEVER), "Could not drop x\r\n%%=done:failed\r\n"
				     "name=rmanager,type=misc;listeners=1,conn=1\r\n%%=done\r\n");
	close(fd);
	fd = dial_tcp();
	CU_ASSERT_EQUAL(send(fd, "drop x\nhalf a li", 16, 0), 16);
	shutdown(fd, SHUT_WR);
	PB_SAME(talk(fd, "", NEVER), "Could not drop x\r\n");
	close(fd);
	end();
}

static void long_line(void)
{
	char *big = malloc(70001);
	int fd;

	memset(big, 'x', 70000);
	big[70000] = 0;
	begin("telnet=no\nheader=\n");
	fd = dial_tcp();
	PB_SAME(talk(fd, big, NEVER), "");
	close(fd);
	fd = dial_unix();
	PB_SAME(talk(fd, big, NEVER), "");
	close(fd);
	free(big);
	end();
}

/** Sessions open at the end, one of them in the middle of a wait. */
static void ends_with_sessions(void)
{
	int a, b;

	begin("telnet=no\nheader=\nuserpass=x\n");
	a = dial_tcp();
	b = dial_tcp();
	talk(a, "auth 1\nauth 2\nauth 3\n", "\n");
	end();
	PB_SAME(talk(b, "", NEVER), "");
	close(a);
	close(b);
}

/* Answers that come when the one who asked has gone are for nobody. */
static void gone_before_the_answer(void)
{
	struct linger reset = { .l_onoff = 1 };
	int fd;

	begin("");
	for (int i = 0; i < 200; i++) {
		fd = dial_tcp();
		if (i % 2)
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		send(fd, "status\r\nhelp\r\n", 14, MSG_NOSIGNAL);
		close(fd);
	}
	fd = dial_tcp();
	talk(fd, "status rmanager\r\n", "-status\r\n");
	close(fd);
	end();
}

PB_TESTS("console/session", { "telnet session", telnet_session }, { "machine session", machine_session },
	 { "authentication", authentication }, { "live output", live_output },
	 { "unix session", unix_session }, { "unix terminal", unix_terminal },
	 { "pages", pages }, { "half closed", half_closed }, { "long line", long_line },
	 { "ends with sessions", ends_with_sessions },
	 { "gone before the answer", gone_before_the_answer })
