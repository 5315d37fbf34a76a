/*
 * A hundred phones register with digest at one engine of three loops, again and
 * again for an hour, and chat by MESSAGE meanwhile, over a wire that loses,
 * doubles and reorders. Nobody is ever found offline, each text arrives once,
 * and when the phones stop nothing is left.
 */
#include "site.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../support/test.h"
#include "sip/stack/digest.h"

enum { USERS = 100, EXPIRES_S = 300, AGAIN_MS = 150000, CHAT_MS = 60000, HOUR_MS = 3600000 };
enum { TEXTS_MAX = USERS * (HOUR_MS / CHAT_MS + 2) };

/* A series of requests of one phone: one at a time, challenged when it comes. */
struct series {
	struct user *user;
	struct pb_timer timer; /* the next one */
	unsigned every_ms;
	unsigned number, text; /* sent so far; which text it is */
	unsigned tries;        /* of the present one */
	uint32_t cseq, nc;
	char method[16], call_id[64], tag[64];
	char challenge[512]; /* the last one: used again until it is stale */
	unsigned accepted;
};

struct user {
	struct series registers, chats;
};

static struct user users[USERS];
static struct sip_digest *digest;
static unsigned texts, arrived[TEXTS_MAX], heard[TEXTS_MAX], stored;
static bool ending;

static unsigned number_of(const struct series *s)
{
	return (unsigned)(s->user - users);
}

static bool is_register(const struct series *s)
{
	return s == &s->user->registers;
}

/* ---- Requests ------------------------------------------------------------------- */

static void add_credentials(struct series *s, struct sip_build *b, struct pb_str uri)
{
	char user[16], password[16], cnonce[SIP_ID_BYTES], buf[1024];
	struct pb_text t;
	struct sip_auth a;
	struct sip_login login = {
		.method = pb_str_z(s->method),
		.uri = uri,
		.nc = ++s->nc,
		.cnonce = sip_transport_id(sip_ua_transport(site.ua), cnonce),
	};

	snprintf(user, sizeof(user), "%u", number_of(s));
	snprintf(password, sizeof(password), "p%u", number_of(s));
	login.username = pb_str_z(user);
	login.password = pb_str_z(password);
	pb_text_init_buf(&t, buf, sizeof(buf));
	if (sip_auth_parse(pb_str_z(s->challenge), &a) ||
	    sip_digest_answer(digest, &a, &login, &t) != 0)
		abort();
	sip_build_hdr(b, SIP_HDR_AUTHORIZATION, pb_text_str(&t));
}

static void add_headers(struct series *s, struct sip_build *b)
{
	unsigned to = is_register(s) ? number_of(s) : (number_of(s) + s->number) % USERS;
	char from[64], uri[64];

	snprintf(from, sizeof(from), "sip:%u@10.0.0.1", number_of(s));
	snprintf(uri, sizeof(uri), "sip:%u@10.0.0.1", to);
	sip_build_number(b, SIP_HDR_MAX_FORWARDS, 70);
	sip_build_addr(b, SIP_HDR_FROM,
		       &(struct sip_addr_args){ .uri = pb_str_z(from), .tag = pb_str_z(s->tag) });
	sip_build_addr(b, SIP_HDR_TO, &(struct sip_addr_args){ .uri = pb_str_z(uri) });
	sip_build_hdr(b, SIP_HDR_CALL_ID, pb_str_z(s->call_id));
	sip_build_cseq(b, ++s->cseq, pb_str_z(s->method));
	if (!is_register(s))
		return;
	snprintf(uri, sizeof(uri), "sip:%u@10.0.0.2", number_of(s));
	sip_build_addr(b, SIP_HDR_CONTACT, &(struct sip_addr_args){ .uri = pb_str_z(uri) });
	sip_build_number(b, SIP_HDR_EXPIRES, EXPIRES_S);
}

static void on_outcome(void *arg, enum sip_outcome what, const struct sip_arrival *in);

static void transmit(struct series *s)
{
	struct pb_str text = PB_STR_NULL, type = PB_STR_NULL;
	char uri[64], body[32];
	struct sip_path path;
	struct sip_build *b;
	struct pb_addr addr;
	int n = is_register(s) ? snprintf(uri, sizeof(uri), "sip:10.0.0.1")
			       : snprintf(uri, sizeof(uri), "sip:%u@10.0.0.1",
					  (number_of(s) + s->number) % USERS);

	pb_addr_parse(PB_STR("10.0.0.1"), 5060, &addr);
	if (sip_path_choose(sip_ua_transport(site.ua), &addr, &path) != 0 ||
	    sip_client_begin(sip_ua_stack(site.ua), &path, pb_str_z(s->method),
			     pb_str(uri, (size_t)n), &b) != 0)
		abort();
	add_headers(s, b);
	if (*s->challenge)
		add_credentials(s, b, pb_str(uri, (size_t)n));
	if (!is_register(s)) {
		snprintf(body, sizeof(body), "text %u", s->text);
		text = pb_str_z(body);
		type = PB_STR("text/plain");
	}
	if (sip_client_send(sip_ua_stack(site.ua), type, text, on_outcome, s, NULL) != 0)
		abort();
}

static void on_outcome(void *arg, enum sip_outcome what, const struct sip_arrival *in)
{
	struct series *s = arg;
	unsigned code = what == SIP_OUT_FINAL ? in->msg->status : 408;
	struct pb_str challenge;

	if (what == SIP_OUT_PROVISIONAL)
		return;
	if (code == 401 && s->tries++ < 2) {
		challenge = sip_msg_value(in->msg, SIP_HDR_WWW_AUTHENTICATE);
		snprintf(s->challenge, sizeof(s->challenge), "%.*s", PB_STR_F(challenge));
		s->nc = 0;
		transmit(s);
		return;
	}
	if (code == 200)
		s->accepted++;
	else
		site_fail("user %u: %s number %u is answered %u", number_of(s), s->method,
			  s->number, code);
}

static void on_time(void *arg)
{
	struct series *s = arg;

	if (ending)
		return;
	pb_timer_start(site.phones, &s->timer, s->every_ms);
	s->number++;
	s->tries = 0;
	if (!is_register(s))
		s->text = texts++;
	if (s->text >= TEXTS_MAX)
		abort();
	transmit(s);
}

/* ---- What arrives ------------------------------------------------------------------ */

static unsigned text_of(struct pb_str body)
{
	uint32_t n;

	if (!pb_str_starts(body, PB_STR("text ")) ||
	    pb_str_to_u32(pb_str_from(body, 5), 0, TEXTS_MAX - 1, &n)) {
		site_fail("a text of nobody: %.*s", PB_STR_F(body));
		return 0;
	}
	return n;
}

static void on_request(void *arg, struct sip_txn_id id, const struct sip_arrival *in)
{
	(void)arg;
	if (in->msg->method == SIP_MESSAGE)
		arrived[text_of(in->msg->body)]++;
	else
		site_fail("a phone is asked for %.*s", PB_STR_F(in->msg->method_name));
	sip_server_answer(sip_ua_stack(site.ua), id, 200, PB_STR_NULL);
}

static enum pb_verdict on_message(struct pb_msg *m, struct pb_ctx *cx)
{
	(void)cx;
	heard[text_of(pb_msg_get(m, PB_STR("xsip_body")))]++;
	return PB_PASS;
}

static enum pb_verdict on_register(struct pb_msg *m, struct pb_ctx *cx)
{
	(void)m;
	(void)cx;
	stored++;
	return PB_PASS;
}

static const struct pb_handler handlers[] = {
	{ "sip.message", 1, .fn = on_message },
	{ "user.register", 1, .fn = on_register },
	{ NULL },
};

static const struct pb_module witness = {
	.abi = PB_MODULE_ABI,
	.name = "witness",
	.doc = "Counts the simulated registrations and texts.",
	.handlers = handlers,
	.start = site_watch,
	.stop = site_unwatch,
};

/* ---- The run ------------------------------------------------------------------------- */

static void begin(struct user *u, struct series *s, const char *method, unsigned every_ms,
		  uint64_t first_ms)
{
	struct sip_transport *t = sip_ua_transport(site.ua);
	char id[SIP_ID_BYTES];

	s->user = u;
	s->every_ms = every_ms;
	snprintf(s->method, sizeof(s->method), "%s", method);
	snprintf(s->call_id, sizeof(s->call_id), "%.*s", PB_STR_F(sip_transport_id(t, id)));
	snprintf(s->tag, sizeof(s->tag), "%.*s", PB_STR_F(sip_transport_id(t, id)));
	pb_timer_init(&s->timer, on_time, s);
	pb_timer_start(site.phones, &s->timer, first_ms);
}

static void begin_all(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < USERS; i++) {
		begin(&users[i], &users[i].registers, "REGISTER", AGAIN_MS, site_draw_ms(1, 20000));
		/* Texts begin when everybody has had the time to register. */
		begin(&users[i], &users[i].chats, "MESSAGE", CHAT_MS, site_draw_ms(60000, CHAT_MS));
	}
}

static void expect_texts(void)
{
	for (unsigned i = 0; i < texts; i++) {
		if (heard[i] != 1 || arrived[i] != 1)
			site_fail("text %u was %u times on the bus and arrived %u times", i,
				  heard[i], arrived[i]);
	}
}

static uint64_t run(uint64_t seed)
{
	static const char *const modules[] = { "sip", "regfile", "regexroute", "lateroute", NULL };
	static const struct sip_ua_ops phones = { .request = on_request };
	struct site_args args = {
		.seed = seed,
		.link = { .loss_permille = 100,
			  .duplicate_permille = 50,
			  .delay_min_us = 1000,
			  .delay_max_us = 50000 },
		.engines = 1,
		.conf = "users",
		.modules = modules,
		.witness = &witness,
		.phones = &phones,
	};
	clock_t began = clock();
	unsigned registered = 0;

	memset(users, 0, sizeof(users));
	memset(arrived, 0, sizeof(arrived));
	memset(heard, 0, sizeof(heard));
	texts = stored = 0;
	ending = false;
	digest = sip_digest_new();
	site_open(&args);
	pb_loop_call(site.phones, begin_all, NULL);
	pb_sim_run(site.sim, HOUR_MS, NULL, NULL);
	ending = true; /* contacts run out, and so do all requests */
	pb_sim_run(site.sim, EXPIRES_S * 1000 + 64 * 500 + 5000, NULL, NULL);
	expect_texts();
	site_expect_idle();
	for (unsigned i = 0; i < USERS; i++)
		registered += users[i].registers.accepted;
	if (registered < USERS * (HOUR_MS / AGAIN_MS - 1) || stored != registered)
		site_fail("%u registrations, %u on the bus", registered, stored);
	printf("     seed %llu: %u registrations, %u texts, %llu packets, %.0f s simulated in %.2f "
	       "s, "
	       "log %016llx %016llx\n",
	       (unsigned long long)seed, registered, texts, (unsigned long long)site.wire.lines,
	       (double)pb_sim_now_us(site.sim) / 1e6, (double)(clock() - began) / CLOCKS_PER_SEC,
	       (unsigned long long)site.wire.hash, (unsigned long long)site.bus.hash);
	site_close();
	sip_digest_free(&digest);
	return site.wire.hash ^ site.bus.hash;
}

static void an_hour(void)
{
	run(1);
	CU_ASSERT_EQUAL(site.failures, 0);
}

static void same_seed_same_log(void)
{
	uint64_t first = run(2), again = run(2);

	CU_ASSERT_EQUAL(site.failures, 0);
	CU_ASSERT_EQUAL(first, again);
}

int main(int argc, char **argv)
{
	static const struct pb_test tests[] = {
		{ "an hour of registrations and texts", an_hour },
		{ "same seed, same log", same_seed_same_log },
		{ NULL, NULL },
	};

	return pb_test_main("simulation/users", tests, 300, argc, argv);
}
