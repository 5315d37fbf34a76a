/*
 * modules/extmodule: scripts over real connections and pipes, with a bus of
 * three loops. The test's own thread is the script.
 */
#include "../../support/test.h"

#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "extmodule/command.h"
#include "extmodule/execute.h"
#include "extmodule/listeners.h"
#include "extmodule/script.h"
#include "loop/world.h"

#define LOOPS 3

/* ---- The scene ---------------------------------------------------------------- */

static struct {
	struct pb_loops *loops;
	struct pb_bus *bus;
	struct ext_host host;
	struct ext_settings settings;
	struct ext_listen listen;
	struct ext_listeners *listeners;
	struct pb_reg *execute, *last;
	sem_t done;
	struct pb_addr at;
} sc;

/* The handler behind the scripts, on every message of the tests. */
static enum pb_verdict on_last(struct pb_msg *m, struct pb_ctx *cx)
{
	pb_msg_add(m, PB_STR("last"), PB_STR("seen"));
	return pb_msg_get_bool(m, PB_STR("take"), false) ? PB_HANDLED : PB_PASS;
}

static void on_start(void *arg)
{
	struct pb_handler_args last = { .message = PB_STR_INIT("test"),
					.priority = 500,
					.fn = on_last };

	sc.host.bus = sc.bus;
	sc.host.loop = pb_loops_at(sc.loops, 0);
	sc.host.settings = &sc.settings;
	CU_ASSERT_EQUAL_FATAL(ext_host_init(&sc.host), 0);
	CU_ASSERT_EQUAL_FATAL(ext_execute_start(&sc.host, &sc.execute), 0);
	CU_ASSERT_EQUAL_FATAL(ext_listeners_open(&sc.host, &sc.listeners), 0);
	CU_ASSERT_EQUAL_FATAL(pb_bus_add(sc.bus, &last, NULL, NULL, &sc.last), 0);
	sc.at = *ext_listeners_local(sc.listeners, 0);
}

static void begin(void)
{
	struct pb_loops_args la = { .calls = LOOPS, .world = pb_world_real(), .name = "test" };
	struct pb_bus_args ba = { .track_param = "handlers", .parked_max = 100000 };

	memset(&sc, 0, sizeof(sc));
	sem_init(&sc.done, 0, 0);
	pb_log_set_level(getenv("V") ? PB_ALL : PB_CONF);
	sc.listen = (struct ext_listen){ .name = PB_STR_INIT("listener x"),
					 .addr = PB_STR_INIT("127.0.0.1") };
	sc.settings = (struct ext_settings){
		.scripts_dir = PB_STR_INIT("/tmp"),
		.priority = 100,
		.timeout_ms = 10000,
		.maxqueue = 1000,
		.die_wait_ms = 50,
		.use_filter = true,
		.listeners = &sc.listen,
		.listener_count = 1,
	};
	CU_ASSERT_EQUAL_FATAL(pb_loops_new(&la, &sc.loops), 0);
	ba.loops = sc.loops;
	CU_ASSERT_EQUAL_FATAL(pb_bus_new(&ba, &sc.bus), 0);
	CU_ASSERT_EQUAL_FATAL(pb_loops_start(sc.loops), 0);
	pb_loop_call(pb_loops_at(sc.loops, 0), on_start, NULL);
}

static void on_stop(void *arg)
{
	ext_listeners_close(&sc.listeners);
	pb_bus_remove(sc.bus, &sc.execute, NULL, NULL);
	pb_bus_remove(sc.bus, &sc.last, NULL, NULL);
	ext_scripts_end(&sc.host);
}

static void nothing(void *arg)
{
}

static void end(void)
{
	pb_loop_call(pb_loops_at(sc.loops, 0), on_stop, NULL);
	for (int turn = 0; turn < 4; turn++) {
		for (unsigned i = 0; i < LOOPS; i++)
			pb_loop_call(pb_loops_at(sc.loops, i), nothing, NULL);
	}
	pb_loops_free(&sc.loops);
	CU_ASSERT_TRUE(pb_list_empty(&sc.host.scripts));
	pb_bus_free(&sc.bus);
	sem_destroy(&sc.done);
}

/* ---- The script's side --------------------------------------------------------------- */

struct peer {
	int fd;
	char buf[1 << 16];
	size_t n, at;
};

static void peer_connect(struct peer *p)
{
	struct timeval limit = { .tv_sec = 20 };

	p->n = p->at = 0;
	p->fd = socket(sc.at.sa.sa_family, SOCK_STREAM, 0);
	CU_ASSERT_EQUAL_FATAL(connect(p->fd, &sc.at.sa, pb_addr_len(&sc.at)), 0);
	setsockopt(p->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
}

static void say(struct peer *p, const char *text)
{
	size_t n = strlen(text);

	CU_ASSERT_EQUAL(send(p->fd, text, n, MSG_NOSIGNAL), (ssize_t)n);
}

/* The next line, without LF; absent at the end of the connection. */
static struct pb_str hear(struct peer *p)
{
	for (;;) {
		char *nl = memchr(p->buf + p->at, '\n', p->n - p->at);
		ssize_t got;

		if (nl) {
			struct pb_str line = pb_str(p->buf + p->at, (size_t)(nl - p->buf) - p->at);

			p->at += line.n + 1;
			return line;
		}
		memmove(p->buf, p->buf + p->at, p->n - p->at);
		p->n -= p->at;
		p->at = 0;
		do { /* the end of a child interrupts a receive with a limit */
			got = recv(p->fd, p->buf + p->n, sizeof(p->buf) - p->n, 0);
		} while (got < 0 && errno == EINTR);
		if (got <= 0)
			return PB_STR_NULL;
		p->n += (size_t)got;
	}
}

static void expect(struct peer *p, const char *line)
{
	PB_SAME(hear(p), line);
}

/* A script with global role that handles "test". */
static void peer_begin(struct peer *p)
{
	peer_connect(p);
	say(p, "%%>connect:global\n%%>install:50:test\n");
	expect(p, "%%<install:50:test:true");
}

/* Its message "test": the id goes into `id`, the rest is checked. */
static void expect_message(struct peer *p, char id[64], const char *rest)
{
	struct pb_str line = hear(p), word, when;

	CU_ASSERT_TRUE(pb_str_starts(line, PB_STR("%%>message:")));
	line = pb_str_from(line, 11);
	pb_str_cut(&line, ':', &word);
	pb_str_cut(&line, ':', &when);
	CU_ASSERT_FATAL(word.n > 0 && word.n < 64);
	memcpy(id, word.p, word.n);
	id[word.n] = '\0';
	PB_SAME(line, rest);
}

static void answer(struct peer *p, const char *id, const char *rest)
{
	char line[512];

	snprintf(line, sizeof(line), "%%%%<message:%s:%s\n", id, rest);
	say(p, line);
}

/* ---- The bus's side -------------------------------------------------------------------- */

struct question {
	struct pb_msg *m;
	bool handled;
	unsigned loop;
	sem_t over;
};

static void on_done(struct pb_msg *m, bool handled, void *arg)
{
	struct question *q = arg;

	q->handled = handled;
	sem_post(&q->over);
}

static void dispatch(void *arg)
{
	struct question *q = arg;

	pb_bus_dispatch(sc.bus, q->m, NULL, on_done, q);
}

static void ask(struct question *q, unsigned loop)
{
	sem_init(&q->over, 0, 0);
	q->loop = loop;
	q->m = pb_msg_new(PB_STR("test"));
	pb_msg_add(q->m, PB_STR("a"), PB_STR("1:2"));
	pb_loop_call(pb_loops_at(sc.loops, loop), dispatch, q);
}

static void await(struct question *q)
{
	while (sem_wait(&q->over) < 0)
		;
	sem_destroy(&q->over);
}

/* The message as NAME:RETVAL:k=v... */
static void expect_result(struct question *q, bool handled, const char *content)
{
	struct pb_text t;

	await(q);
	CU_ASSERT_EQUAL(q->handled, handled);
	pb_text_init(&t, 100000);
	pb_text_add(&t, pb_msg_name(q->m));
	pb_text_addc(&t, ':');
	pb_text_add(&t, pb_msg_retval(q->m));
	for (size_t i = 0; i < pb_msg_count(q->m); i++) {
		const struct pb_param *p = pb_msg_at(q->m, i);

		pb_text_addf(&t, ":%s=%s", p->name.p, p->value.p);
	}
	PB_SAME(pb_text_str(&t), content);
	pb_text_fini(&t);
	pb_msg_free(&q->m);
}

/* ---- Scenes ------------------------------------------------------------------------------ */

static struct peer one, two;

static void answers(void)
{
	static const struct {
		const char *answer;
		bool handled;
		const char *result;
	} rows[] = {
		{ "true:", true, "test::a=1:2" },
		{ "true::", true, "test::a=1:2" },
		{ "true::sip/x%zy", true, "test:sip/x:y:a=1:2" },
		{ "true:::a=2:b=%J", true, "test::a=2:b=\n" },
		{ "true:::a", true, "test:" },
		{ "false::later:b=3", false, "test:later:a=1:2:b=3:last=seen" },
		{ "false:other:", false, "other::a=1:2" },
		{ "false:::take=true", true, "test::a=1:2:take=true:last=seen" },
	};
	struct question q;
	char id[64];

	begin();
	peer_begin(&one);
	for (unsigned loop = 0; loop < LOOPS; loop++) {
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			ask(&q, loop);
			expect_message(&one, id, "test::a=1%z2");
			answer(&one, id, rows[i].answer);
			expect_result(&q, rows[i].handled, rows[i].result);
		}
	}
	close(one.fd);
	end();
}

static void replies(void)
{
	static const struct {
		const char *line, *reply;
	} rows[] = {
		{ "%%>install:x:a.b", "%%<install:100:a.b:true" },
		{ "%%>install:7:a.b:f:1", "%%<install:7:a.b:false" },
		{ "%%>uninstall:a.b", "%%<uninstall:100:a.b:true" },
		{ "%%>uninstall:a.b", "%%<uninstall:0:a.b:false" },
		{ "%%>install:7:", "Error in: %%>install:7:" },
		{ "%%>watch:", "%%<watch::true" },
		{ "%%>watch:", "%%<watch::false" },
		{ "%%>unwatch:", "%%<unwatch::true" },
		{ "%%>unwatch:", "%%<unwatch::false" },
		{ "%%>setlocal:timeout:", "%%<setlocal:timeout:10000:true" },
		{ "%%>setlocal:timeout:2000", "%%<setlocal:timeout:2000:true" },
		{ "%%>setlocal:timeout:x", "%%<setlocal:timeout:2000:true" },
		{ "%%>setlocal:maxqueue:99999", "%%<setlocal:maxqueue:10000:true" },
		{ "%%>setlocal:bufsize:100", "%%<setlocal:bufsize:2048:true" },
		{ "%%>setlocal:reenter:yes", "%%<setlocal:reenter:true:true" },
		{ "%%>setlocal:reenter:1", "%%<setlocal:reenter:true:true" },
		{ "%%>setlocal:setdata:", "%%<setlocal:setdata:true:true" },
		{ "%%>setlocal:restart:true", "%%<setlocal:restart:false:true" },
		{ "%%>setlocal:trackparam:me", "%%<setlocal:trackparam:me:true" },
		{ "%%>setlocal:debugname:x", "%%<setlocal:debugname:x:true" },
		{ "%%>setlocal:debugname:y", "%%<setlocal:debugname:x:false" },
		{ "%%>setlocal:id:x", "%%<setlocal:id:x:false" },
		{ "%%>setlocal:what:x:y", "%%<setlocal:what:x:y:false" },
		{ "%%>setlocal:what", "Error in: %%>setlocal:what" },
		{ "%%>connect:global", "Error in: %%>connect:global" },
		{ "hello", "Error in: hello" },
		{ "%%>message:1:x:y:", "Error in: %%>message:1:x:y:" },
		{ "%%>message:1:0:y:r%Q", "%%<message:1:false:y:r%Q" },
		{ "%%>message:1:0:y:r%q", "Error in: %%>message:1:0:y:r%q" },
		{ "%%>message:a%z:5:test::a=1:a=2:b", "%%<message:a%z:false:test::a=2:last=seen" },
		{ "%%>debug:x", "Error in: %%>debug:x" },
		{ "%%>quit", "%%<quit" },
	};
	char line[200];

	begin();
	peer_begin(&one);
	say(&one, "%%>uninstall:test\n");
	expect(&one, "%%<uninstall:50:test:true");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(line, sizeof(line), "%s\r\n", rows[i].line);
		say(&one, line);
		expect(&one, rows[i].reply);
	}
	CU_ASSERT_PTR_NULL(hear(&one).p);
	close(one.fd);
	peer_connect(&one);
	say(&one, "%%>connect:play\n");
	CU_ASSERT_PTR_NULL(hear(&one).p);
	close(one.fd);
	peer_connect(&one);
	say(&one, "%%>install:1:x\n");
	CU_ASSERT_PTR_NULL(hear(&one).p);
	close(one.fd);
	end();
}

/* Thousands at once, answered last to first, each with its own result. */
static void many(void)
{
	enum { N = 5000 };
	static struct question q[N];
	static char ids[N][64];

	begin();
	peer_begin(&one);
	say(&one, "%%>setlocal:maxqueue:0\n");
	expect(&one, "%%<setlocal:maxqueue:0:true");
	for (unsigned i = 0; i < N; i++)
		ask(&q[i], i % LOOPS);
	for (unsigned i = 0; i < N; i++)
		expect_message(&one, ids[i], "test::a=1%z2");
	for (unsigned i = N; i-- > 0;)
		answer(&one, ids[i], "true::x");
	for (unsigned i = 0; i < N; i++)
		expect_result(&q[i], true, "test:x:a=1:2");
	answer(&one, ids[0], "true::again"); /* nobody waits */
	say(&one, "%%>setlocal:timeout:\n");
	expect(&one, "%%<setlocal:timeout:10000:true");
	close(one.fd);
	end();
}

static void limits(void)
{
	struct question q, r;
	char id[64], late[64];

	begin();
	peer_begin(&one);
	say(&one, "%%>setlocal:timeout:400\n%%>setlocal:maxqueue:1\n");
	expect(&one, "%%<setlocal:timeout:400:true");
	expect(&one, "%%<setlocal:maxqueue:1:true");
	ask(&q, 1);
	expect_message(&one, late, "test::a=1%z2");
	ask(&r, 2); /* one waits already */
	expect_result(&r, false, "test::a=1:2:last=seen");
	expect_result(&q, false, "test::a=1:2:last=seen"); /* out of time */
	ask(&q, 1);
	expect_message(&one, id, "test::a=1%z2");
	answer(&one, late, "true::late");
	answer(&one, id, "true::x:%"); /* malformed: its word stands at the limit */
	expect_result(&q, true, "test::a=1:2");
	say(&one, "%%>setlocal:timebomb:true\n");
	expect(&one, "%%<setlocal:timebomb:true:true");
	ask(&q, 0);
	expect_message(&one, id, "test::a=1%z2");
	expect_result(&q, false, "test::a=1:2:last=seen");
	CU_ASSERT_PTR_NULL(hear(&one).p);
	close(one.fd);
	end();
}

/* It dies in the middle of a line: what waits goes on, the others notice nothing. */
static void death(void)
{
	struct question q, r;
	char id[64];

	begin();
	peer_begin(&one);
	peer_connect(&two);
	say(&two, "%%>connect:global\n%%>install:60:test\n");
	expect(&two, "%%<install:60:test:true");
	ask(&q, 1);
	ask(&r, 0);
	expect_message(&one, id, "test::a=1%z2");
	say(&one, "%%<message:");
	close(one.fd);
	expect_message(&two, id, "test::a=1%z2");
	answer(&two, id, "true::two");
	expect_message(&two, id, "test::a=1%z2");
	answer(&two, id, "true::two");
	expect_result(&q, true, "test:two:a=1:2");
	expect_result(&r, true, "test:two:a=1:2");
	/* A line without an end fills the buffer: cut off. */
	for (int i = 0; i < 9000; i++)
		send(two.fd, "x", 1, MSG_NOSIGNAL);
	CU_ASSERT_PTR_NULL(hear(&two).p);
	close(two.fd);
	end();
}

static void watching(void)
{
	struct question q;
	char id[64];

	begin();
	peer_begin(&one);
	peer_connect(&two);
	say(&two, "%%>connect:global\n%%>watch:test\n%%>watch:none\n");
	expect(&two, "%%<watch:test:true");
	expect(&two, "%%<watch:none:true");
	for (unsigned i = 0; i < LOOPS; i++) {
		/* A hook reaches the other loops a little later: twice round. */
		pb_loop_call(pb_loops_at(sc.loops, i), nothing, NULL);
		ask(&q, i);
		expect_message(&one, id, "test::a=1%z2");
		answer(&one, id, "true::x");
		expect_result(&q, true, "test:x:a=1:2");
		expect(&two, "%%<message::true:test:x:a=1%z2");
	}
	/* Its own messages: neither handed to it nor told, unless it wants. */
	say(&one, "%%>watch:test\n%%>message:1:0:test::\n");
	expect(&one, "%%<watch:test:true");
	expect(&one, "%%<message:1:false:test::last=seen");
	expect(&two, "%%<message::false:test::last=seen");
	say(&one, "%%>setlocal:selfwatch:true\n%%>message:2:0:test::\n");
	expect(&one, "%%<setlocal:selfwatch:true:true");
	expect(&one, "%%<message::false:test::last=seen");
	expect(&one, "%%<message:2:false:test::last=seen");
	say(&one, "%%>setlocal:reenter:true\n%%>message:3:0:test::\n");
	expect(&one, "%%<setlocal:reenter:true:true");
	expect_message(&one, id, "test:");
	answer(&one, id, "true:");
	expect(&one, "%%<message::true:test:");
	expect(&one, "%%<message:3:true:test:");
	close(one.fd);
	close(two.fd);
	end();
}

static void on_count(void *arg)
{
	*(bool *)arg = pb_list_empty(&sc.host.scripts);
}

/* Watches all and never reads: it is cut off, in bounded memory. */
static void deaf(void)
{
	static char big[100000];
	bool gone = false;

	begin();
	memset(big, 'x', sizeof(big) - 1);
	peer_connect(&one);
	say(&one, "%%>connect:global\n%%>watch:\n");
	expect(&one, "%%<watch::true");
	for (int i = 0; i < 2000 && !gone; i++) {
		struct question q;

		sem_init(&q.over, 0, 0);
		q.m = pb_msg_new(PB_STR("big"));
		pb_msg_add(q.m, PB_STR("x"), pb_str_z(big));
		pb_loop_call(pb_loops_at(sc.loops, 0), dispatch, &q);
		await(&q);
		pb_msg_free(&q.m);
		pb_loop_call(pb_loops_at(sc.loops, 0), on_count, &gone);
	}
	CU_ASSERT_TRUE(gone);
	close(one.fd);
	end();
}

/* A process: it installs, handles, is listed, asked to end, and ends. */
static char script_file[] = "/tmp/pb_script_XXXXXX";

static void write_script(const char *text)
{
	int fd;

	memcpy(script_file + sizeof(script_file) - 7, "XXXXXX", 6);
	fd = mkstemp(script_file);
	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	fchmod(fd, 0700);
	close(fd);
}

static void order(void *arg)
{
	struct pb_text t;

	pb_text_init(&t, 10000);
	ext_command(&sc.host, pb_str_z(arg), &t);
	pb_text_reset(&t);
	pb_text_fini(&t);
}

static void processes(void)
{
	struct question q;
	char line[200];

	begin();
	write_script("#!/bin/sh\n"
		     "echo '%%>install:50:test'\n"
		     "read -r ok\n"
		     "echo '%%>message::0:ready::arg='\"$1\"\n"
		     "while IFS=: read -r word id rest; do\n"
		     "case $word in '%%>message') echo \"%%<message:$id:true::from $1\";; esac\n"
		     "done\n");
	peer_connect(&one);
	say(&one, "%%>connect:global\n%%>watch:ready\n");
	expect(&one, "%%<watch:ready:true");
	snprintf(line, sizeof(line), "start %s one two", script_file);
	pb_loop_call(pb_loops_at(sc.loops, 0), order, line);
	expect(&one, "%%<message::false:ready::arg=one two");
	ask(&q, 1);
	expect_result(&q, true, "test:from one two:a=1:2");
	snprintf(line, sizeof(line), "stop %s one two", script_file);
	pb_loop_call(pb_loops_at(sc.loops, 0), order, line);
	ask(&q, 1);
	expect_result(&q, false, "test::a=1:2:last=seen");
	close(one.fd);
	end();
	unlink(script_file);
}

/* A process that ends is started again when it asked for that. */
static void restarts(void)
{
	char line[200];

	begin();
	write_script("#!/bin/sh\n"
		     "echo '%%>setlocal:restart:true'\n"
		     "IFS=: read -r word name value ok\n"
		     "echo \"%%>message::0:ready::ok=$value\"\n");
	peer_connect(&one);
	say(&one, "%%>connect:global\n%%>watch:ready\n");
	expect(&one, "%%<watch:ready:true");
	snprintf(line, sizeof(line), "start %s", script_file);
	pb_loop_call(pb_loops_at(sc.loops, 0), order, line);
	expect(&one, "%%<message::false:ready::ok=true");
	expect(&one, "%%<message::false:ready::ok=true");
	close(one.fd);
	end();
	unlink(script_file);
}

static void executes(void)
{
	static const char *const verdicts[] = { "true", "false" };
	char callto[200];

	for (int i = 0; i < 2; i++) {
		struct question q;
		char text[300];

		begin();
		snprintf(text, sizeof(text),
			 "#!/bin/sh\nIFS=: read -r word id rest\necho \"%%%%<message:$id:%s::$1\"\n"
			 "read -r x\n",
			 verdicts[i]);
		write_script(text);
		snprintf(callto, sizeof(callto), "external/nochan/%s  some arg ", script_file);
		sem_init(&q.over, 0, 0);
		q.m = pb_msg_new(PB_STR("call.execute"));
		pb_msg_add(q.m, PB_STR("callto"), pb_str_z(callto));
		pb_loop_call(pb_loops_at(sc.loops, 1), dispatch, &q);
		await(&q);
		CU_ASSERT_EQUAL(q.handled, i == 0);
		PB_SAME(pb_msg_retval(q.m), "some arg");
		pb_msg_free(&q.m);
		end();
		unlink(script_file);
	}
}

static void targets(void)
{
	struct ext_target t;

	CU_ASSERT_TRUE(ext_target_parse(PB_STR("external/nodata/a/b.php  x y "), &t));
	PB_SAME(t.type, "nodata");
	PB_SAME(t.file, "a/b.php");
	PB_SAME(t.arg, "x y");
	CU_ASSERT_TRUE(ext_target_parse(PB_STR("external/play/f"), &t));
	PB_SAME(t.arg, "");
	CU_ASSERT_FALSE(ext_target_parse(PB_STR("external/play"), &t));
	CU_ASSERT_FALSE(ext_target_parse(PB_STR("sip/play/x"), &t));
}

PB_TESTS("extmodule/script", { "answers change the message", answers },
	 { "each line gets its reply", replies }, { "thousands wait, answered backwards", many },
	 { "timeout, maxqueue, timebomb", limits }, { "a death is nobody else's", death },
	 { "watches and own messages", watching }, { "who does not read is cut off", deaf },
	 { "a process", processes }, { "restart", restarts },
	 { "call.execute without a channel", executes }, { "where call.execute points", targets })
