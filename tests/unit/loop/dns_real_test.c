/* engine/loop: names asked for by c-ares, from a name server of forty lines on
 * 127.0.0.1 that runs on the same loop. */
#include "../../support/test.h"

#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/text.h"
#include "loop/dns.h"
#include "loop/dns_impl.h"
#include "loop/world.h"

/* ---- The name server ----------------------------------------------------------- */

enum how { ANSWER, NOBODY, FAIL, SILENT, ALIAS, GARBAGE };

/* Types as in RFC 1035 section 3.2.2 */
static const struct row {
	const char *name;
	unsigned type, ttl_s;
	enum how how;
	const char *data; /* octets of the record */
	size_t size;
} rows[] = {
	{ "host.test", 1, 60, ANSWER, "\xc0\x00\x02\x01", 4 },
	{ "host.test", 28, 60, ANSWER, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01", 16 },
	{ "_sip._udp.site.test", 33, 60, ANSWER, "\0\x0a\0\0\x13\xce\x04host\x04test", 17 },
	{ "alias.test", 1, 7, ALIAS, "\xc0\x00\x02\x07", 4 },
	{ "none.test", 1, 9, NOBODY, NULL, 0 },
	{ "broken.test", 1, 0, FAIL, NULL, 0 },
	{ "silent.test", 1, 0, SILENT, NULL, 0 },
	{ "garbage.test", 1, 0, GARBAGE, NULL, 0 },
	{ NULL },
};

static struct {
	struct pb_udp *sock;
	unsigned asked;
} server;

static void put16(struct pb_text *t, unsigned v)
{
	pb_text_addc(t, (char)(v >> 8));
	pb_text_addc(t, (char)v);
}

/** A record of the question's name, its data's length first. */
static void put_record(struct pb_text *t, unsigned type, unsigned ttl_s, struct pb_str data)
{
	put16(t, 0xc00c);
	put16(t, type);
	put16(t, 1);
	put16(t, 0);
	put16(t, ttl_s);
	put16(t, (unsigned)data.n);
	pb_text_add(t, data);
}

/** "4host4test0" of the wire as host.test, and what follows. */
static struct pb_str read_name(struct pb_str *q, char *buf)
{
	size_t n = 0;

	while (q->n && q->p[0]) {
		size_t label = (size_t)q->p[0];

		if (n)
			buf[n++] = '.';
		memcpy(buf + n, q->p + 1, label);
		n += label;
		*q = pb_str_from(*q, label + 1);
	}
	*q = pb_str_from(*q, 1);
	return pb_str(buf, n);
}

static const struct row *find_row(struct pb_str name, unsigned type)
{
	const struct row *r = rows;

	while (r->name && !(r->type == type && pb_str_ieq(pb_str_z(r->name), name)))
		r++;
	return r;
}

static void put_answer(struct pb_text *t, const struct row *r, struct pb_str question,
		       struct pb_str id)
{
	bool found = r->how == ANSWER || r->how == ALIAS;

	pb_text_add(t, id);
	put16(t, !r->name || r->how == NOBODY ? 0x8183 : r->how == FAIL ? 0x8182 : 0x8180);
	put16(t, 1);
	put16(t, r->how == ALIAS ? 2 : found && r->name);
	put16(t, r->how == NOBODY);
	put16(t, 0);
	pb_text_add(t, question);
	if (r->how == NOBODY && r->name) /* SOA: names of no length, numbers, MINIMUM 300 */
		put_record(t, 6, r->ttl_s,
			   pb_str("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x2c", 22));
	if (r->how == ALIAS) { /* www.QUESTION is what it is really called */
		put_record(t, 5, 100, pb_str("\x03www\xc0\x0c", 6));
		put16(t, 0xc000 | (unsigned)(t->n - 6));
		pb_text_add(t, pb_str("\0\1\0\1\0\0\0\7\0\4", 10));
		pb_text_add(t, pb_str(r->data, r->size));
	} else if (found && r->name) {
		put_record(t, r->type, r->ttl_s, pb_str(r->data, r->size));
	}
}

static void on_question(void *arg, const struct pb_datagram *d)
{
	struct pb_str q = pb_str_from(d->bytes, 12), question = q;
	char name[256], buf[512];
	struct pb_text t;
	const struct row *r;
	struct pb_str host = read_name(&q, name);

	server.asked++;
	question.n -= q.n - 4;
	r = find_row(host, (unsigned)(unsigned char)q.p[1]);
	if (r->how == SILENT)
		return;
	pb_text_init_buf(&t, buf, sizeof(buf));
	put_answer(&t, r, question, pb_str_head(d->bytes, 2));
	if (r->how == GARBAGE)
		t.n -= 3;
	pb_udp_send(server.sock, &d->from, pb_text_str(&t));
}

/* ---- A loop that asks it ------------------------------------------------------------- */

static struct {
	struct pb_loops *loops;
	struct pb_loop *loop;
} net;

static struct asker {
	struct pb_dns_args args;
	struct pb_dns_query *query;
	int err;
	size_t n;
	struct pb_addr to[PB_DNS_ADDRS_MAX];
	sem_t done;
} a;

static void open_server(void *arg)
{
	struct pb_udp_args args = { .max_bytes = 1000, .fn = on_question };

	if (pb_addr_parse(PB_STR("127.0.0.1"), *(uint16_t *)arg, &args.local) < 0 ||
	    pb_udp_open(pb_loop_current(), &args, &server.sock) < 0)
		abort();
}

static void close_server(void *arg)
{
	pb_udp_close(&server.sock);
}

static struct pb_loops *loops_new(void)
{
	struct pb_loops_args args = { .calls = 1, .world = pb_world_real() };
	struct pb_loops *ls;

	if (pb_loops_new(&args, &ls) < 0)
		abort();
	return ls;
}

/** The resolver must know the port before its loop runs: let another find one. */
static uint16_t free_port(void)
{
	uint16_t port = 0;
	struct pb_loops *ls = loops_new();

	pb_loop_call(pb_loops_at(ls, 0), open_server, &port);
	port = pb_addr_port(pb_udp_local(server.sock));
	pb_loop_call(pb_loops_at(ls, 0), close_server, NULL);
	pb_loops_free(&ls);
	return port;
}

static void up_with(unsigned timeout_ms, const char *hosts)
{
	uint16_t port = free_port();
	char servers[40];

	snprintf(servers, sizeof(servers), "127.0.0.1:%u", port);
	server.asked = 0;
	net.loops = loops_new();
	net.loop = pb_loops_at(net.loops, 0);
	CU_ASSERT_EQUAL_FATAL(
		pb_dns_setup(net.loops, &(struct pb_dns_setup){ .servers = servers,
								.timeout_ms = timeout_ms,
								.hosts_file = hosts }),
		0);
	CU_ASSERT_EQUAL_FATAL(pb_loops_start(net.loops), 0);
	pb_loop_call(net.loop, open_server, &port);
}

static void down(void)
{
	if (server.sock)
		pb_loop_call(net.loop, close_server, NULL);
	pb_loops_free(&net.loops);
}

static void answered(void *arg, int err, const struct pb_addr *to, size_t n)
{
	a.err = err;
	a.n = n;
	for (size_t i = 0; i < n; i++)
		a.to[i] = to[i];
	sem_post(&a.done);
}

static void do_ask(void *arg)
{
	pb_dns_ask(net.loop, &a.args, &a.query);
}

static void ask(const char *host, uint16_t port, unsigned families)
{
	sem_init(&a.done, 0, 0);
	a.args = (struct pb_dns_args){ .host = pb_str_z(host),
				       .port = port,
				       .service = "_sip._udp",
				       .usual_port = 5060,
				       .families = families,
				       .fn = answered };
	pb_loop_call(net.loop, do_ask, NULL);
	while (sem_wait(&a.done) < 0)
		;
	sem_destroy(&a.done);
}

static struct pb_str first(void)
{
	static char buf[PB_ADDR_TEXT];

	return a.n ? pb_addr_print(&a.to[0], buf) : PB_STR("");
}

/* ---- Tests ------------------------------------------------------------------------------ */

static void found(void)
{
	char buf[PB_ADDR_TEXT];

	up_with(5000, "");
	ask("host.test", 5070, PB_DNS_V4 | PB_DNS_V6);
	CU_ASSERT_EQUAL(a.err, 0);
	CU_ASSERT_EQUAL_FATAL(a.n, 2);
	PB_SAME(first(), "192.0.2.1:5070");
	PB_SAME(pb_addr_print(&a.to[1], buf), "[2001:db8::1]:5070");
	CU_ASSERT_EQUAL(server.asked, 2);
	ask("site.test", 0, PB_DNS_V4);
	PB_SAME(first(), "192.0.2.1:5070"); /* the record's port */
	CU_ASSERT_EQUAL(server.asked, 3);
	ask("alias.test", 5060, PB_DNS_V4);
	PB_SAME(first(), "192.0.2.7:5060");
	down();
}

static void not_found(void)
{
	struct pb_dns_counts n;

	up_with(5000, "");
	ask("none.test", 5060, PB_DNS_V4);
	CU_ASSERT_EQUAL(a.err, -ENOENT);
	ask("none.test", 5060, PB_DNS_V4);
	CU_ASSERT_EQUAL(a.err, -ENOENT);
	CU_ASSERT_EQUAL(server.asked, 1);
	ask("other.test", 0, PB_DNS_V4);
	CU_ASSERT_EQUAL(a.err, -ENOENT);
	ask("broken.test", 5060, PB_DNS_V4);
	CU_ASSERT_EQUAL(a.err, -EAGAIN);
	ask("host.test", 5060, PB_DNS_V4); /* it goes on */
	CU_ASSERT_EQUAL(a.err, 0);
	pb_dns_count(net.loop, &n);
	CU_ASSERT_EQUAL(n.out, 0);
	down();
}

static void no_answer(void)
{
	up_with(300, "");
	ask("silent.test", 5060, PB_DNS_V4);
	CU_ASSERT_EQUAL(a.err, -ETIMEDOUT);
	ask("garbage.test", 5060, PB_DNS_V4);
	CU_ASSERT(a.err < 0);
	pb_loop_call(net.loop, close_server, NULL);
	ask("host.test", 5060, PB_DNS_V4); /* nobody at that port */
	CU_ASSERT(a.err == -EAGAIN || a.err == -ETIMEDOUT);
	down();
}

static void ask_and_leave(void *arg)
{
	a.args = (struct pb_dns_args){ .host = PB_STR("silent.test"),
				       .usual_port = 5060,
				       .families = PB_DNS_V4,
				       .fn = answered };
	do_ask(NULL);
}

static void left_open(void)
{
	up_with(5000, "");
	pb_loop_call(net.loop, ask_and_leave, NULL);
	CU_ASSERT_PTR_NOT_NULL(a.query);
	down(); /* nothing is called, nothing stays */
	CU_ASSERT_PTR_NULL(a.query);
}

static void hosts_file(void)
{
	char path[] = "/tmp/pb-hosts-XXXXXX";
	FILE *f = fdopen(mkstemp(path), "w");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs("# names\n192.0.2.50\tFile.test other\r\n192.0.2.51 file.test # second\n"
	      "2001:db8::50 file.test\nbad line\n192.0.2.52",
	      f);
	fclose(f);
	up_with(5000, path);
	unlink(path);
	ask("file.Test", 0, PB_DNS_V4 | PB_DNS_V6);
	CU_ASSERT_EQUAL(a.n, 3);
	PB_SAME(first(), "192.0.2.50:5060");
	ask("OTHER", 7, PB_DNS_V4);
	PB_SAME(first(), "192.0.2.50:7");
	CU_ASSERT_EQUAL(server.asked, 0);
	down();
	up_with(5000, "/nonexistent/hosts");
	ask("host.test", 5060, PB_DNS_V4);
	CU_ASSERT_EQUAL(a.err, 0);
	down();
}

/* A message as it comes, in a block of its size; every prefix of it is harmless. */
static void ttl_of_messages(void)
{
	static const char message[] = "\x12\x34\x81\x80\0\1\0\2\0\0\0\0\1a\0\0\1\0\1"
				      "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\1\2\3\4"
				      "\xc0\x0c\0\1\0\1\0\0\0\x1e\0\4\1\2\3\5";

	for (size_t n = 0; n < sizeof(message); n++) {
		char *block = malloc(n ? n : 1);
		int64_t ttl;

		memcpy(block, message, n);
		ttl = pbi_dns_ttl(pb_str(block, n));
		CU_ASSERT_EQUAL(ttl, n < 35 ? -ENOENT : n < 51 ? 60 : 30);
		free(block);
	}
}

PB_TESTS("loop/dns_real", { "found", found }, { "not found", not_found },
	 { "no answer", no_answer }, { "left open", left_open }, { "the hosts file", hosts_file },
	 { "TTL of messages", ttl_of_messages })
