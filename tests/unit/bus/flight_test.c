/* engine/bus/flight: ring, budget, handles, what of a walk is written, secrets. */
#include "bus_scene.h"

#include "bus/flight_impl.h"
#include "base/text.h"

static const struct pb_flight_args usual = { 16u << 10, 8u << 20, 1000, 100, 3600000 };

static void up_flights(const struct pb_flight_args *fa)
{
	if (!up_with(1, &(struct pb_bus_args){ .track_param = "handlers", .flights = fa }))
		abort();
}

/* Run `fn(NULL)` as on loop 0. */
static void on_loop(void (*fn)(void *))
{
	pb_loop_call(at(0), fn, NULL);
}

static struct pb_handle begin(const char *key)
{
	enum pb_flight_begun how;

	return pb_flight_begin(bus, pb_str_z(key), &how);
}

/* All entries of a record as one text. */
static char told[65536];
static struct pb_text told_text;

static bool tell(void *arg, const struct pb_flight_event *e)
{
	struct pb_str rest = e->fields;
	struct pb_flight_field f;
	unsigned *n = arg;

	(*n)++;
	pb_text_addf(&told_text, "%d:%.*s%s%.*s", e->kind, PB_STR_F(e->object), e->object.n ? "=" : "",
		     PB_STR_F(e->text));
	while (pb_flight_field(e, &rest, &f)) {
		pb_text_addf(&told_text, "%c%.*s", e->kind == PB_FLIGHT_HANDLERS ? '!' : ' ', PB_STR_F(f.name));
		if (e->kind == PB_FLIGHT_HANDLERS)
			pb_text_addf(&told_text, "/%d", f.verdict);
		else
			pb_text_addf(&told_text, "=%.*s%s", PB_STR_F(f.value.p ? f.value : PB_STR("(hidden)")),
				     f.cut ? "..." : "");
	}
	pb_text_addc(&told_text, '|');
	return true;
}

static struct pb_str read_all(struct pb_handle h, unsigned *count)
{
	*count = 0;
	pb_text_init_buf(&told_text, told, sizeof(told));
	pb_flight_read(bus, h, tell, count);
	return pb_text_str(&told_text);
}

/* ---- Ring -------------------------------------------------------------------------------- */

static void put(struct pbi_ring *r, unsigned i, unsigned n)
{
	struct pbi_entry_head h = { .no = i };
	uint32_t size = pbi_ring_wants(r, n);
	char *c;

	if (size)
		CU_ASSERT_EQUAL(pbi_ring_grow(r, size), 0);
	c = pbi_ring_add(r, &h, n);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	memset(c, (int)('a' + i % 26), n);
}

/* The numbers there are: pinned ones, then a gap, then up to the newest; whole. */
static unsigned check_ring(const struct pbi_ring *r, unsigned pinned, unsigned newest)
{
	const struct pbi_entry_head *h = NULL;
	unsigned count = 0, last = 0;

	while ((h = pbi_ring_next(r, h))) {
		const char *c = (const char *)(h + 1);

		CU_ASSERT(count < pinned ? h->no == count : !count || count == pinned || h->no == last + 1);
		for (unsigned i = 0; i < h->used; i++)
			CU_ASSERT_EQUAL_FATAL(c[i], (char)('a' + h->no % 26));
		last = h->no;
		count++;
	}
	CU_ASSERT_EQUAL(last, newest);
	CU_ASSERT_EQUAL(count + r->lost, newest + 1);
	return count;
}

static void ring_wraps(void)
{
	for (unsigned pinned = 0; pinned < 3; pinned++) {
		struct pbi_ring r = { .limit = 8192 };
		unsigned seed = 7 + pinned;

		for (unsigned i = 0; i < 3000; i++) {
			seed = seed * 1103515245 + 12345;
			put(&r, i, (seed >> 16) % (i % 50 == 49 ? 3000 : 300));
			if (i + 1 == pinned)
				pbi_ring_pin(&r);
			check_ring(&r, pinned, i);
		}
		CU_ASSERT(check_ring(&r, pinned, 2999) > 4);
		CU_ASSERT_EQUAL(r.size, 8192);
		CU_ASSERT_EQUAL(pbi_ring_wants(&r, 100), 0);
		pbi_ring_fini(&r);
	}
}

static void ring_entry_grows(void)
{
	struct pbi_ring r = { .limit = 4096 };
	char *c;

	put(&r, 0, 8);
	for (unsigned i = 0; (c = pbi_ring_extend(&r, 16)); i++)
		memset(c, 'a', 16);
	CU_ASSERT_EQUAL(check_ring(&r, 0, 0), 1);
	CU_ASSERT(r.tail <= r.size);
	put(&r, 1, 100);
	pbi_ring_fini(&r);
}

/* ---- Life ----------------------------------------------------------------------------------- */

static void lives_on(void *arg)
{
	enum pb_flight_begun how;
	struct pb_handle a = pb_flight_begin(bus, PB_STR("call-1"), &how), b, gone = a;
	struct pb_flight_info f;

	(void)arg;
	CU_ASSERT_EQUAL(how, PB_FLIGHT_MADE);
	b = pb_flight_begin(bus, PB_STR("call-1"), &how);
	CU_ASSERT(how == PB_FLIGHT_JOINED && b.slot == a.slot && b.gen == a.gen);
	pb_flight_key(bus, a, PB_STR("sip/1"));
	pb_flight_key(bus, a, PB_STR("sip/1")); /* once is enough */
	pb_flight_about(bus, a, PB_STR("INVITE"), PB_STR("100"), PB_STR("200"));
	CU_ASSERT(pb_flight_find(bus, PB_STR("sip/1"), &f) && !f.ended && f.key_count == 2);
	pb_flight_end(bus, a, PB_FLIGHT_WELL, PB_STR("hangup"));
	pb_flight_end(bus, b, PB_FLIGHT_NO_OPINION, PB_STR("x"));
	CU_ASSERT(pb_flight_find(bus, PB_STR("call-1"), &f) && f.ended && !f.failed);
	PB_SAME(f.cause, "hangup");
	PB_SAME(f.called, "200");
	pb_flight_note(bus, a, PB_STR("x"), PB_STR("late")); /* kept ones are still written to */
	a = pb_flight_begin(bus, PB_STR("call-1"), &how);
	CU_ASSERT_EQUAL(how, PB_FLIGHT_AGAIN);
	pb_flight_end(bus, a, PB_FLIGHT_NO_OPINION, PB_STR("")); /* nobody judged: badly */
	CU_ASSERT(pb_flight_info(bus, a, &f) && f.failed);
	gone.gen++;
	CU_ASSERT(!pb_flight_info(bus, gone, &f));
	gone = a;
	gone.loop = 1;
	CU_ASSERT(!pb_flight_info(bus, gone, &f));
	pb_flight_end(bus, gone, PB_FLIGHT_WELL, PB_STR(""));
	CU_ASSERT(!pb_handle_is_set(pb_flight_use(bus, gone)));
}

static void life(void)
{
	up_flights(&usual);
	on_loop(lives_on);
	down();
}

static unsigned listed, listed_bad;

static bool count_one(void *arg, const struct pb_flight_info *f)
{
	(void)arg;
	listed++;
	listed_bad += f->failed;
	return true;
}

static void count_all(void)
{
	listed = listed_bad = 0;
	pb_flight_list(bus, count_one, NULL);
}

static void many(void *arg)
{
	struct pb_handle running = begin("running"), h;
	struct pb_flight_info f;
	char key[32], text[200];

	(void)arg;
	memset(text, 'x', sizeof(text));
	for (unsigned i = 0; i < 5000; i++) {
		snprintf(key, sizeof(key), "k%u", i);
		h = begin(key);
		CU_ASSERT_FATAL(pb_handle_is_set(h));
		for (unsigned n = 0; n < i % 90; n++)
			pb_flight_note(bus, h, PB_STR("o"), pb_str(text, sizeof(text)));
		pb_flight_end(bus, h, i % 2 ? PB_FLIGHT_WELL : PB_FLIGHT_BADLY, PB_STR("c"));
		CU_ASSERT_FATAL(pb_flight_count(bus).bytes <= 1u << 20);
	}
	CU_ASSERT(pb_flight_find(bus, PB_STR("k4998"), &f) && f.failed);
	CU_ASSERT(!pb_flight_find(bus, PB_STR("k0"), &f));
	CU_ASSERT(pb_flight_info(bus, running, &f) && !f.ended);
	CU_ASSERT(!pb_flight_info(bus, (struct pb_handle){ h.slot, h.gen - 1, h.loop }, &f));
	count_all();
	CU_ASSERT(listed - listed_bad <= 10 + 1 && listed_bad <= 30 && listed_bad > 10);
}

/* Records in use are never taken: then new ones are refused, and rings stay small. */
static void all_in_use(void *arg)
{
	struct pb_handle h;
	unsigned n = 0, count;
	char key[32];

	(void)arg;
	for (;; n++) {
		snprintf(key, sizeof(key), "u%u", n);
		h = begin(key);
		if (!pb_handle_is_set(h))
			break;
		for (unsigned i = 0; i < 100; i++)
			pb_flight_note(bus, h, PB_STR("o"), PB_STR("some text that is not very long, but not short either"));
	}
	CU_ASSERT(n > 50 && pb_flight_count(bus).refused == 1);
	CU_ASSERT(pb_flight_count(bus).bytes <= 1u << 20);
	h = begin("u0");
	read_all(h, &count);
	CU_ASSERT(count > 10);
}

static void budget(void)
{
	const struct pb_flight_args small = { 16u << 10, 3u << 20, 90, 30, 3600000 };

	up_flights(&small);
	on_loop(many);
	down();
	up_flights(&small);
	on_loop(all_in_use);
	down();
}

static struct pb_timer alarm_clock;

static void wake_up(void *arg)
{
	(void)arg;
}

static void two_end(void *arg)
{
	(void)arg;
	pb_flight_end(bus, begin("a"), PB_FLIGHT_WELL, PB_STR(""));
	pb_flight_end(bus, begin("b"), PB_FLIGHT_BADLY, PB_STR(""));
	count_all();
	CU_ASSERT_EQUAL(listed, 2);
	pb_timer_init(&alarm_clock, wake_up, NULL); /* so that the time passes */
	pb_timer_start(at(0), &alarm_clock, 3600001);
}

static void none_left(void *arg)
{
	(void)arg;
	count_all();
	CU_ASSERT_EQUAL(listed, 0);
	CU_ASSERT_EQUAL(pb_flight_count(bus).bytes, 0);
}

static void age(void)
{
	up_flights(&usual);
	on_loop(two_end);
	pass_ms(3600002);
	on_loop(none_left);
	down();
}

/* Whatever fails, nothing else does: a record is less, or none. */
static void some_writing(void *arg)
{
	char text[200] = { 0 };
	struct pb_flight_info f;

	(void)arg;
	for (unsigned i = 0; i < 30; i++) {
		struct pb_handle h = begin("k");

		pb_flight_key(bus, h, PB_STR("sip/1"));
		for (unsigned n = 0; n < 60; n++)
			pb_flight_note(bus, h, PB_STR("o"), pb_str(text, sizeof(text)));
		pb_flight_end(bus, h, PB_FLIGHT_BADLY, PB_STR("c"));
		pb_flight_find(bus, PB_STR("k"), &f);
	}
}

static void each_alloc(void)
{
	if (!up_with(1, &(struct pb_bus_args){ .flights = &usual }))
		return;
	on_loop(some_writing);
	down();
}

static void each_alloc_fails(void)
{
	pb_test_each_alloc(each_alloc);
}

/* ---- The walk ------------------------------------------------------------------------------------ */

static struct pb_handle record;

static struct pb_msg *recorded(const char *name)
{
	struct pb_msg *m = msg(name);

	record = begin("walk");
	pb_msg_set_flight(m, record);
	pb_msg_set(m, PB_STR("id"), PB_STR("sip/1"));
	return m;
}

static void walk_now(void *arg)
{
	struct pb_msg *m = recorded(arg);

	pb_msg_set(m, PB_STR("sip_subject"), PB_STR("left out"));
	pb_bus_dispatch(bus, m, NULL, over, NULL);
}

static void read_now(void *arg)
{
	unsigned count;

	(void)arg;
	read_all(record, &count);
}

static struct pb_str walked(const char *name)
{
	pb_loop_call(at(0), walk_now, (void *)(uintptr_t)name);
	pass_ms(20000);
	look();
	on_loop(read_now);
	return pb_text_str(&told_text);
}

static void nests(struct actor *a, struct pb_msg *m, struct pb_ctx *cx)
{
	(void)a;
	(void)cx;
	(void)m;
	pb_bus_dispatch(bus, msg("inner"), NULL, over, NULL);
}

static void walk_is_written(void)
{
	struct actor a = { .tag = 'a', .set = "p", .then = nests }, b = { .tag = 'b', .verdict = PB_HANDLED, .retval = "r" };

	up_flights(&usual);
	ADD(&a, "call.route", 50);
	ADD(&b, "call.route", 60);
	PB_SAME(walked("call.route"), "1:call.route id=sip/1|1:inner|6:|2:!a:50/0!b:60/1|6:r p=a|");
	down();
}

static void holds_are_written(void)
{
	struct actor a = { .tag = 'a', .verdict = PB_HOLD, .limit_ms = 100 }, c = { .tag = 'c', .set = "q" };

	up_flights(&usual);
	ADD(&a, "call.route", 50);
	ADD(&c, "call.route", 60, .place = PB_HOME, .home = at(2));
	PB_SAME(walked("call.route"), "1:call.route id=sip/1|3:a:50|5:|3:c:60|4:|6: q=c|");
	down();
}

static void secrets_now(void *arg)
{
	struct pb_msg *m = recorded(arg);

	pb_msg_set(m, PB_STR("password"), PB_STR("SEED"));
	pb_msg_set(m, PB_STR("response"), PB_STR("SEED"));
	pb_msg_set(m, PB_STR("auth_response"), PB_STR("SEED"));
	pb_msg_set(m, PB_STR("sip_authorization"), PB_STR("SEED"));
	pb_msg_set(m, PB_STR("crypto_audio"), PB_STR("SEED"));
	pb_msg_set(m, PB_STR("responsible"), PB_STR("shown"));
	if (pb_str_eq(pb_msg_name(m), PB_STR("chan.dtmf")))
		pb_msg_set(m, PB_STR("text"), PB_STR("SEED"));
	pb_bus_dispatch(bus, m, NULL, over, NULL);
}

/* Every octet of every record of this loop. */
static void no_seed(void *arg)
{
	struct pbi_flights *fs = bus->on[0].flights;

	(void)arg;
	for (uint32_t i = 0; i < fs->slot_count; i++) {
		const struct pbi_flight *f = &fs->chunks[i / 64][i % 64];

		CU_ASSERT(pb_str_find(pb_str((const char *)f, sizeof(*f)), PB_STR("SEED")) < 0);
		if (f->ring.p)
			CU_ASSERT(pb_str_find(pb_str(f->ring.p, f->ring.tail), PB_STR("SEED")) < 0);
	}
}

static void secrets_stay_out(void)
{
	struct actor a = { .tag = 'a', .retval = "SEED", .verdict = PB_HANDLED };
	struct actor b = { .tag = 'b', .retval = "SEED", .rename = "other", .verdict = PB_HANDLED };
	static const char *const names[] = { "user.auth", "chan.dtmf" };

	up_flights(&usual);
	ADD(&a, "user.auth", 50);
	for (unsigned i = 0; i < 2; i++)
		pb_loop_call(at(0), secrets_now, (void *)(uintptr_t)names[i]);
	pass_ms(1);
	on_loop(no_seed);
	on_loop(read_now);
	CU_ASSERT(pb_str_find(pb_text_str(&told_text), PB_STR("password=(hidden)")) > 0);
	CU_ASSERT(pb_str_find(pb_text_str(&told_text), PB_STR("responsible=shown")) > 0);
	remove_actor(&a);
	ADD(&b, "user.auth", 50);
	pb_loop_call(at(0), secrets_now, (void *)(uintptr_t)names[0]);
	pass_ms(1);
	on_loop(no_seed);
	down();
}

/* The record goes while messages still name it. */
static void stale_now(void *arg)
{
	struct pb_msg *m = msg("call.route");

	(void)arg;
	pb_msg_set_flight(m, (struct pb_handle){ 3, 77, 0 });
	pb_bus_dispatch(bus, m, NULL, over, NULL);
	m = msg("call.route");
	pb_msg_set_flight(m, (struct pb_handle){ 9999999, 1, 2 });
	pb_bus_dispatch(bus, m, NULL, over, NULL);
}

static void stale_handles(void)
{
	struct actor a = { .tag = 'a', .verdict = PB_HOLD, .limit_ms = 5 };

	up_flights(&usual);
	ADD(&a, "call.route", 50);
	on_loop(stale_now);
	pass_ms(100);
	PB_SAME(look(), "aa^a-^a-");
	down();
	up(); /* without a recorder at all */
	ADD(&a, "call.route", 50);
	on_loop(stale_now);
	pass_ms(100);
	PB_SAME(look(), "aa^a-^a-");
	down();
}

/* ---- Packets and followers ------------------------------------------------------------------------- */

static unsigned followed, of_record;

static void follower(void *arg, struct pb_handle h, const struct pb_flight_event *e, bool *chosen)
{
	(void)arg;
	(void)e;
	followed++;
	of_record += pb_handle_is_set(h);
	*chosen = true;
}

static void packets(void *arg)
{
	struct pb_flight_packet p = { .out = true, .text = PB_STR_INIT("OPTIONS sip:a SIP/2.0\r\n\r\n") };
	struct pb_handle h = begin("c1");
	unsigned count;

	(void)arg;
	pb_addr_parse(PB_STR("192.0.2.1"), 5060, &p.peer);
	p.local = p.peer;
	CU_ASSERT(pb_flight_wants(bus, PB_STR("c1")) && !pb_flight_wants(bus, PB_STR("c2")));
	CU_ASSERT(pb_flight_packet(bus, PB_STR("c1"), &p));
	CU_ASSERT(!pb_flight_packet(bus, PB_STR("c2"), &p));
	pb_flight_state(bus, h, PB_STR("sip/1"), PB_STR("ringing"));
	PB_SAME(read_all(h, &count), "0:OPTIONS sip:a SIP/2.0\r\n\r\n|8:sip/1=ringing|");
	pb_flight_follow(bus, follower, NULL);
	CU_ASSERT(pb_flight_packet(bus, PB_STR("c2"), &p));
	CU_ASSERT(pb_flight_packet(bus, PB_STR("c1"), &p));
	pb_flight_state(bus, h, PB_STR("sip/1"), PB_STR("answered"));
	CU_ASSERT_EQUAL(followed, 3);
	CU_ASSERT_EQUAL(of_record, 2);
	pb_flight_follow(bus, NULL, NULL);
	CU_ASSERT(!pb_flight_packet(bus, PB_STR("c2"), &p));
	pb_flight_state(bus, h, PB_STR("sip/1"), PB_STR("x"));
	CU_ASSERT_EQUAL(followed, 3);
}

static void packets_and_followers(void)
{
	up_flights(&usual);
	on_loop(packets);
	down();
}

PB_TESTS("bus/flight", { "ring wraps, pinned or not", ring_wraps }, { "an entry grows", ring_entry_grows },
	 { "life, keys, outcomes", life }, { "budget", budget }, { "age", age }, { "failing allocations", each_alloc_fails },
	 { "a walk", walk_is_written }, { "holds and visits", holds_are_written }, { "secrets", secrets_stay_out },
	 { "stale handles", stale_handles }, { "packets, followers", packets_and_followers })
