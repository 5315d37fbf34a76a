/* engine/loop/stream, listener: over socket pairs, pipes, TCP and Unix sockets. */
#include "scene.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/text.h"
#include "loop/stream.h"

/** A stream and what has happened to it, as text. */
struct end {
	struct pb_stream *s;
	struct pb_text log;
	size_t received;
	size_t (*on_data)(struct end *e, struct pb_str bytes);
	void (*on_closed)(struct end *e, int err);
	void (*on_drained)(struct end *e);
	bool in_write;
};

static struct end a, b;

static size_t data(void *arg, struct pb_str bytes)
{
	struct end *e = arg;

	e->received += bytes.n;
	if (e->on_data)
		return e->on_data(e, bytes);
	pb_text_addf(&e->log, "<%.*s>", PB_STR_F(bytes));
	return bytes.n;
}

static void closed(void *arg, int err)
{
	struct end *e = arg;

	CU_ASSERT_FALSE(e->in_write);
	pb_text_addf(&e->log, "closed %s", err ? strerrorname_np(-err) : "0");
	if (e->on_closed)
		e->on_closed(e, err);
}

static void drained(void *arg)
{
	struct end *e = arg;

	if (e->on_drained)
		e->on_drained(e);
}

static const struct pb_stream_ops ops = { data, closed, drained };

static void put(struct end *e, const char *text)
{
	e->in_write = true;
	CU_ASSERT_EQUAL(pb_stream_write(e->s, pb_str_z(text)), 0);
	e->in_write = false;
}

static void adopt(struct end *e, int in, int out, size_t in_limit, size_t out_limit)
{
	struct pb_stream_args args = { &ops, e, in_limit, out_limit };

	CU_ASSERT_EQUAL(pb_stream_adopt(scene_loop, in, out, &args, &e->s), 0);
}

static void pair(size_t in_limit, size_t out_limit)
{
	int fd[2];

	CU_ASSERT_EQUAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	adopt(&a, fd[0], fd[0], 0, out_limit);
	adopt(&b, fd[1], fd[1], in_limit, 0);
}

static void over(struct end *e, int err)
{
	scene_end();
}

static void play(void (*begin)(void *))
{
	pb_text_init(&a.log, 1u << 20);
	pb_text_init(&b.log, 1u << 20);
	scene_run(begin, NULL);
}

static void curtain(const char *a_log, const char *b_log)
{
	PB_SAME(pb_text_str(&a.log), a_log);
	PB_SAME(pb_text_str(&b.log), b_log);
	pb_text_fini(&a.log);
	pb_text_fini(&b.log);
	a = b = (struct end){ 0 };
}

/* ---- Talking --------------------------------------------------------------------- */

static size_t answer_and_close(struct end *e, struct pb_str bytes)
{
	pb_text_addf(&e->log, "<%.*s>", PB_STR_F(bytes));
	put(e, "hello yourself");
	pb_stream_close(&e->s, false);
	CU_ASSERT_PTR_NULL(e->s);
	return bytes.n;
}

static void begin_talk(void *arg)
{
	pair(0, 0);
	PB_SAME(pb_stream_peer(a.s), "unix");
	b.on_data = answer_and_close;
	a.on_closed = over;
	put(&a, "hel");
	put(&a, "lo");
	CU_ASSERT_EQUAL(pb_stream_queued(a.s), 5);
}

static void talk(void)
{
	play(begin_talk);
	curtain("<hello yourself>closed 0", "<hello>");
}

/** Uses whole lines only. */
static size_t lines(struct end *e, struct pb_str bytes)
{
	struct pb_str rest = bytes, line;
	ptrdiff_t at;

	while ((at = pb_str_chr(rest, '\n')) >= 0) {
		line = pb_str_head(rest, (size_t)at);
		pb_text_addf(&e->log, "[%.*s]", PB_STR_F(line));
		rest = pb_str_from(rest, (size_t)at + 1);
	}
	return bytes.n - rest.n;
}

static void second_half(struct end *e)
{
	static int n;

	if (n++ == 0)
		put(e, "ond\nthird\n");
	else
		pb_stream_close(&e->s, false);
}

static void begin_lines(void *arg)
{
	pair(0, 0);
	b.on_data = lines;
	b.on_closed = over;
	a.on_drained = second_half;
	put(&a, "first\nsec");
}

static void line_by_line(void)
{
	play(begin_lines);
	curtain("", "[first][second][third]closed 0");
}

/* ---- Limits ------------------------------------------------------------------------- */

static void begin_full(void *arg)
{
	pair(16, 0);
	b.on_data = lines;
	b.on_closed = over;
	put(&a, "ok\na line of more than sixteen");
	pb_stream_close(&a.s, false);
}

static void full_in(void)
{
	play(begin_full);
	curtain("", "[ok]closed EMSGSIZE");
}

static void begin_no_reader(void *arg)
{
	char *big = calloc(1, 70000);
	int fd[2];

	CU_ASSERT_EQUAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	adopt(&a, fd[0], fd[0], 0, 100000);
	a.on_closed = over;
	a.in_write = true;
	CU_ASSERT_EQUAL(pb_stream_write(a.s, pb_str(big, 70000)), 0);
	CU_ASSERT_EQUAL(pb_stream_write(a.s, pb_str(big, 70000)), -ENOBUFS);
	CU_ASSERT_EQUAL(pb_stream_write(a.s, pb_str(big, 1)), -ENOBUFS);
	a.in_write = false;
	free(big);
}

static void full_out(void)
{
	play(begin_no_reader);
	curtain("closed ENOBUFS", "");
}

#define MUCH 3000000

static size_t swallow(struct end *e, struct pb_str bytes)
{
	return bytes.n;
}

static void begin_much(void *arg)
{
	char *big = calloc(1, MUCH);

	pair(0, MUCH);
	b.on_data = swallow;
	b.on_closed = over;
	CU_ASSERT_EQUAL(pb_stream_write(a.s, pb_str(big, MUCH)), 0);
	pb_stream_close(&a.s, false);
	free(big);
}

static void much(void)
{
	play(begin_much);
	CU_ASSERT_EQUAL(b.received, MUCH);
	curtain("", "closed 0");
}

static void begin_now(void *arg)
{
	pair(0, 0);
	b.on_closed = over;
	put(&a, "never leaves");
	pb_stream_close(&a.s, true);
}

static void close_now(void)
{
	play(begin_now);
	curtain("", "closed 0");
}

/* ---- Ends of one direction ------------------------------------------------------------- */

static int peer_fd;

static void last_words(struct end *e, int err)
{
	put(e, "answer");
	scene_end();
}

static void begin_half(void *arg)
{
	int fd[2];

	CU_ASSERT_EQUAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	peer_fd = fd[1];
	CU_ASSERT_EQUAL(write(fd[1], "question", 8), 8);
	shutdown(fd[1], SHUT_WR);
	adopt(&a, fd[0], fd[0], 0, 0);
	a.on_closed = last_words;
}

/** What is queued when the peer has ended its own direction still gets there. */
static void half_closed(void)
{
	char buf[20];

	play(begin_half);
	CU_ASSERT_EQUAL(read(peer_fd, buf, sizeof(buf)), 6);
	CU_ASSERT_EQUAL(memcmp(buf, "answer", 6), 0);
	close(peer_fd);
	curtain("<question>closed 0", "");
}

static struct pb_timer later;

static void answer_later(void *arg)
{
	put(&a, "answer");
	pb_stream_close(&a.s, false);
	scene_end();
}

static bool will_answer(void *arg)
{
	pb_timer_init(&later, answer_later, NULL);
	pb_timer_start(scene_loop, &later, 5);
	return true;
}

static void begin_half_later(void *arg)
{
	static const struct pb_stream_ops patient = { .data = data, .closed = closed, .half_closed = will_answer };
	struct pb_stream_args args = { &patient, &a, 0, 0 };
	int fd[2];

	CU_ASSERT_EQUAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	peer_fd = fd[1];
	CU_ASSERT_EQUAL(write(fd[1], "question", 8), 8);
	shutdown(fd[1], SHUT_WR);
	CU_ASSERT_EQUAL(pb_stream_adopt(scene_loop, fd[0], fd[0], &args, &a.s), 0);
}

/** An owner that wants to answer in a later turn is let. */
static void half_closed_answered_later(void)
{
	char buf[20];

	play(begin_half_later);
	CU_ASSERT_EQUAL(read(peer_fd, buf, sizeof(buf)), 6);
	CU_ASSERT_EQUAL(memcmp(buf, "answer", 6), 0);
	CU_ASSERT_EQUAL(read(peer_fd, buf, sizeof(buf)), 0);
	close(peer_fd);
	curtain("<question>", "");
}

static void begin_pipes(void *arg)
{
	int to[2], from[2];

	CU_ASSERT_EQUAL(pipe2(to, O_CLOEXEC) + pipe2(from, O_CLOEXEC), 0);
	adopt(&a, from[0], to[1], 0, 0);
	adopt(&b, to[0], from[1], 0, 0);
	PB_SAME(pb_stream_peer(a.s), "pipe");
	b.on_data = answer_and_close;
	a.on_closed = over;
	put(&a, "hello");
}

static void pipes(void)
{
	play(begin_pipes);
	curtain("<hello yourself>closed 0", "<hello>");
}

static void begin_broken(void *arg)
{
	int to[2], from[2];

	CU_ASSERT_EQUAL(pipe2(to, O_CLOEXEC) + pipe2(from, O_CLOEXEC), 0);
	close(to[0]);
	CU_ASSERT_EQUAL(write(from[1], "last words", 10), 10);
	peer_fd = from[1];
	adopt(&a, from[0], to[1], 0, 0);
	a.on_closed = over;
	put(&a, "nobody reads this");
}

static void broken_pipe(void)
{
	play(begin_broken);
	close(peer_fd);
	curtain("<last words>closed EPIPE", "");
}

/* ---- Listening and connecting ------------------------------------------------------------- */

static struct pb_listener *listener;

static void accept_b(void *arg, int fd, const struct pb_addr *from)
{
	adopt(&b, fd, fd, 0, 0);
	pb_listener_close(&listener);
}

static void say_hello(struct end *e)
{
	if (e->received == 0 && !pb_stream_queued(e->s) && !e->log.n) {
		pb_text_addf(&e->log, "connected ");
		put(e, "hello");
	}
}

static void connect_a(const struct pb_addr *to)
{
	struct pb_stream_args args = { .ops = &ops, .arg = &a };

	CU_ASSERT_EQUAL(pb_stream_connect(scene_loop, to, &args, &a.s), 0);
}

static void begin_tcp(void *arg)
{
	struct pb_addr local;
	char text[PB_ADDR_TEXT];
	struct pb_str peer;

	CU_ASSERT_EQUAL(pb_addr_parse(PB_STR("127.0.0.1"), 0, &local), 0);
	CU_ASSERT_EQUAL(pb_listener_open(scene_loop, &local, 2, accept_b, NULL, &listener), 0);
	CU_ASSERT_NOT_EQUAL(pb_addr_port(pb_listener_local(listener)), 0);
	a.on_drained = say_hello;
	b.on_data = answer_and_close;
	a.on_closed = over;
	connect_a(pb_listener_local(listener));
	peer = pb_addr_print(pb_listener_local(listener), text);
	CU_ASSERT_TRUE(pb_str_eq(pb_stream_peer(a.s), peer));
}

static void tcp(void)
{
	play(begin_tcp);
	curtain("connected <hello yourself>closed 0", "<hello>");
}

static void begin_refused(void *arg)
{
	struct pb_addr to;

	CU_ASSERT_EQUAL(pb_addr_parse(PB_STR("127.0.0.1"), 0, &to), 0);
	CU_ASSERT_EQUAL(pb_listener_open(scene_loop, &to, 2, accept_b, NULL, &listener), 0);
	to = *pb_listener_local(listener);
	pb_listener_close(&listener);
	a.on_closed = over;
	a.in_write = true; /* closed comes from a later turn */
	connect_a(&to);
	a.in_write = false;
}

static void refused(void)
{
	play(begin_refused);
	curtain("closed ECONNREFUSED", "");
}

static char unix_path[64];

static void begin_unix(void *arg)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct pb_listener *second;
	struct stat st;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	for (int again = 0; again < 2; again++) {
		if (again) /* a file left over by a killed engine */
			CU_ASSERT_EQUAL(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
		CU_ASSERT_EQUAL(pb_listener_open_unix(scene_loop, unix_path, 0600, 2, accept_b, NULL, &listener), 0);
		CU_ASSERT_EQUAL(stat(unix_path, &st), 0);
		CU_ASSERT_EQUAL(st.st_mode & 07777, 0600);
		if (!again)
			CU_ASSERT_EQUAL(pb_listener_open_unix(scene_loop, unix_path, 0600, 2, accept_b, NULL,
							      &second), -EADDRINUSE);
		memcpy(un.sun_path, unix_path, sizeof(unix_path));
		if (!again)
			pb_listener_close(&listener);
	}
	close(fd);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	CU_ASSERT_EQUAL(connect(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	adopt(&a, fd, fd, 0, 0);
	a.on_closed = over;
	b.on_data = answer_and_close;
	put(&a, "hello");
}

static void unix_socket(void)
{
	struct pb_listener *l;

	snprintf(unix_path, sizeof(unix_path), "/tmp/pb_stream_test_%d", (int)getpid());
	play(begin_unix);
	CU_ASSERT_EQUAL(access(unix_path, F_OK), -1);
	curtain("<hello yourself>closed 0", "<hello>");
	CU_ASSERT_EQUAL(pb_listener_open_unix(NULL, "/etc/passwd", 0600, 2, accept_b, NULL, &l), -EADDRINUSE);
	CU_ASSERT_EQUAL(access("/etc/passwd", F_OK), 0);
}

static struct rlimit limit;

static void refused_for_want(struct end *e, int err)
{
	struct pb_addr to = *pb_listener_local(listener);

	setrlimit(RLIMIT_NOFILE, &limit);
	PB_SAME(pb_text_str(&e->log), "closed 0");
	e->on_closed = over;
	e->on_drained = say_hello;
	e->log.n = 0;
	connect_a(&to);
}

static void begin_exhausted(void *arg)
{
	struct rlimit few;
	struct pb_addr local;

	CU_ASSERT_EQUAL(pb_addr_parse(PB_STR("127.0.0.1"), 0, &local), 0);
	CU_ASSERT_EQUAL(pb_listener_open(scene_loop, &local, 2, accept_b, NULL, &listener), 0);
	b.on_data = answer_and_close;
	a.on_closed = refused_for_want;
	connect_a(pb_listener_local(listener));
	getrlimit(RLIMIT_NOFILE, &limit);
	few = limit;
	few.rlim_cur = (rlim_t)dup(0);
	close((int)few.rlim_cur);
	setrlimit(RLIMIT_NOFILE, &few);
}

/** Out of descriptors: that connection is refused, the next one is served. */
static void exhausted(void)
{
	play(begin_exhausted);
	curtain("connected <hello yourself>closed 0", "<hello>");
}

PB_TESTS("loop/stream", { "talk", talk }, { "line by line", line_by_line }, { "full in", full_in },
	 { "full out", full_out }, { "much", much }, { "close now", close_now },
	 { "half closed", half_closed }, { "half closed, answered later", half_closed_answered_later },
	 { "pipes", pipes }, { "broken pipe", broken_pipe },
	 { "tcp", tcp }, { "refused", refused }, { "unix socket", unix_socket },
	 { "exhausted", exhausted })
