/* engine/bus/msg: parameters, copies, escapes, tracking text. */
#include "../../support/test.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/text.h"
#include "bus/msg_impl.h"

#define S(lit) PB_STR(lit)

/* "a=1 b=2" in order. */
static struct pb_str all(const struct pb_msg *m)
{
	static char buf[512];
	struct pb_text t;

	pb_text_init_buf(&t, buf, sizeof(buf));
	for (size_t i = 0; i < pb_msg_count(m); i++) {
		if (i)
			pb_text_addc(&t, ' ');
		pb_text_add(&t, pb_msg_at(m, i)->name);
		pb_text_addc(&t, '=');
		pb_text_add(&t, pb_msg_at(m, i)->value);
	}
	return pb_text_str(&t);
}

static struct pb_msg *abc(void)
{
	struct pb_msg *m = pb_msg_new(S("test"));

	pb_msg_add(m, S("a"), S("1"));
	pb_msg_add(m, S("b"), S("2"));
	pb_msg_add(m, S("a"), S("3"));
	return m;
}

static void params(void)
{
	struct pb_msg *m = abc();

	PB_SAME(all(m), "a=1 b=2 a=3");
	PB_SAME(pb_msg_get(m, S("a")), "1");
	pb_msg_set(m, S("a"), S("x"));
	pb_msg_set(m, S("c"), S(""));
	PB_SAME(all(m), "a=x b=2 a=3 c=");
	CU_ASSERT(pb_msg_has(m, S("c")) && pb_msg_get(m, S("c")).p && !pb_msg_get(m, S("c")).n);
	CU_ASSERT(!pb_msg_has(m, S("d")) && !pb_msg_get(m, S("d")).p);
	CU_ASSERT(!pb_msg_has(m, S("A")));
	pb_msg_clear(m, S("a"));
	PB_SAME(all(m), "b=2 c=");
	pb_msg_set(m, S("b"), PB_STR_NULL);
	PB_SAME(all(m), "b= c=");
	CU_ASSERT_PTR_NULL(pb_msg_at(m, 2));
	pb_msg_set(m, S("e"), pb_msg_name(m)); /* a view into itself */
	PB_SAME(pb_msg_get(m, S("e")), "test");
	pb_msg_free(&m);
	CU_ASSERT_PTR_NULL(m);
	pb_msg_free(&m);
}

static void typed(void)
{
	struct pb_msg *m = pb_msg_new(S("test"));

	pb_msg_set_int(m, S("i"), INT64_MIN);
	PB_SAME(pb_msg_get(m, S("i")), "-9223372036854775808");
	pb_msg_set(m, S("i"), S("010"));
	CU_ASSERT_EQUAL(pb_msg_get_int(m, S("i"), 5, 0, 100), 8);
	CU_ASSERT_EQUAL(pb_msg_get_int(m, S("i"), 5, 0, 7), 7);
	pb_msg_set(m, S("i"), S("08"));
	CU_ASSERT_EQUAL(pb_msg_get_int(m, S("i"), 5, 0, 7), 5);
	CU_ASSERT_EQUAL(pb_msg_get_int(m, S("none"), 5, 0, 7), 5);
	pb_msg_set_bool(m, S("t"), true);
	CU_ASSERT(pb_msg_get_bool(m, S("t"), false));
	pb_msg_set(m, S("t"), S("True"));
	CU_ASSERT(!pb_msg_get_bool(m, S("t"), false) && pb_msg_get_bool(m, S("t"), true));
	pb_msg_setf(m, S("f"), "%d-%s", 3, "x");
	PB_SAME(pb_msg_get(m, S("f")), "3-x");
	pb_msg_setf(m, S("long"), "%0600d", 1);
	CU_ASSERT_EQUAL(pb_msg_get(m, S("long")).n, 600);
	CU_ASSERT(!pb_msg_failed(m));
	pb_msg_free(&m);
}

static void copies(void)
{
	struct pb_msg *m = abc(), *c, *other = pb_msg_new(S("other"));

	pb_msg_set_retval(m, S("ret"));
	pb_msg_set_broadcast(m, true);
	pb_msg_set_time_us(m, 77);
	pb_msg_set_chan(m, (struct pb_handle){ 1, 2, 3 });
	c = pb_msg_copy(m);
	pb_msg_set(m, S("a"), S("changed"));
	PB_SAME(all(c), "a=1 b=2 a=3");
	PB_SAME(pb_msg_retval(c), "ret");
	CU_ASSERT(pb_msg_broadcast(c) && pb_msg_time_us(c) == 77 && pb_msg_chan(c).gen == 2);
	pb_msg_swap(c, other);
	PB_SAME(pb_msg_name(c), "other");
	PB_SAME(all(other), "a=1 b=2 a=3");
	pb_msg_free(&m);
	pb_msg_free(&c);
	pb_msg_free(&other);
}

/* Whatever put the tracking parameter there, the next question has it not. */
static void again(void)
{
	for (unsigned how = 0; how < 4; how++) {
		struct pb_msg *m = abc(), *c;

		pbi_msg_track(m, S("handlers"), S("x:5"));
		if (how == 1) {
			c = pb_msg_copy(m);
			pb_msg_swap(m, c);
			pb_msg_free(&c);
		} else if (how == 2) {
			pb_msg_set(m, S("handlers"), S("else"));
		} else if (how == 3) {
			c = pb_msg_copy(m);
			pbi_msg_take_over(m, c);
			pb_msg_free(&c);
		}
		pb_msg_set_retval(m, S("r"));
		pb_msg_again(m, S("next"));
		PB_SAME(all(m), "a=1 b=2 a=3");
		PB_SAME(pb_msg_name(m), "next");
		PB_SAME(pb_msg_retval(m), "");
		pb_msg_free(&m);
	}
}

static void tracking(void)
{
	struct pb_msg *m = abc(), *c;
	char want[2048] = "";
	size_t n = 0;

	for (unsigned i = 0; i < 60; i++) {
		n += (size_t)snprintf(want + n, sizeof(want) - n, "%smod%u:%u", n ? "," : "", i, i * 70000000);
		pbi_msg_track(m, S("handlers"), pb_arena_printf(pb_msg_arena(m), "mod%u:%u", i, i * 70000000));
		if (i == 30)
			pb_msg_add(m, S("after"), S("1")); /* no longer the last */
	}
	PB_SAME(pb_msg_get(m, S("handlers")), want);
	c = pb_msg_copy(m);
	pbi_msg_track(c, S("handlers"), S("y:0"));
	PB_SAME(pb_msg_get(m, S("handlers")), want);
	snprintf(want + n, sizeof(want) - n, ",y:0");
	PB_SAME(pb_msg_get(c, S("handlers")), want);
	pb_msg_free(&c);
	pb_msg_set(m, S("handlers"), S("q"));
	pbi_msg_track(m, S("handlers"), S("z:1"));
	PB_SAME(pb_msg_get(m, S("handlers")), "q,z:1");
	pb_msg_clear(m, S("handlers"));
	pbi_msg_track(m, S("handlers"), S("z:4294967295"));
	PB_SAME(pb_msg_get(m, S("handlers")), "z:4294967295");
	pb_msg_free(&m);
}

/* A swap in the middle of a walk is a change of name like any other. */
static void swap_renames(void)
{
	struct pb_msg *a = pb_msg_new(S("a")), *b = pb_msg_new(S("b"));
	uint32_t before = a->b.renamed;

	pb_msg_swap(a, b);
	CU_ASSERT_NOT_EQUAL(a->b.renamed, before);
	pb_msg_free(&a);
	pb_msg_free(&b);
}

static void limits(void)
{
	struct pb_msg *m = abc();
	static char big[PB_MSG_LIMIT_BYTES];

	memset(big, 'x', sizeof(big));
	for (unsigned i = 0; i < 1000; i++)
		pb_msg_add(m, S("many"), S("v"));
	CU_ASSERT(!pb_msg_failed(m));
	CU_ASSERT_EQUAL(pb_msg_count(m), 1003);
	pb_msg_set(m, S("big"), pb_str(big, sizeof(big)));
	CU_ASSERT(pb_msg_failed(m));
	PB_SAME(pb_msg_get(m, S("a")), "1");
	pb_msg_set_name(m, S("other"));
	PB_SAME(pb_msg_name(m), "test"); /* a name is never lost */
	pb_msg_free(&m);
}

static struct pb_str escaped(struct pb_str s, bool names)
{
	static char buf[256];
	struct pb_text t;

	pb_text_init_buf(&t, buf, sizeof(buf));
	pb_msg_escape(&t, s, names);
	return pb_text_str(&t);
}

static void escapes(void)
{
	static const struct {
		const char *plain, *text;
		bool names;
	} rows[] = {
		{ "plain text", "plain text", false }, { "a:b", "a%zb", false },
		{ "100%", "100%%", false },	       { "l\nr\rt\t", "l%Jr%Mt%I", false },
		{ "k=v", "k=v", false },	       { "k=v", "k%}v", true },
		{ "\x1f\x7f\xc3\xa9", "%_\x7f\xc3\xa9", false }, { "", "", false },
	};
	struct pb_arena *a = pb_arena_new(1 << 16);
	struct pb_str out;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		PB_SAME(escaped(pb_str_z(rows[i].plain), rows[i].names), rows[i].text);
		if (rows[i].names)
			continue;
		CU_ASSERT_EQUAL(pb_msg_unescape(a, pb_str_z(rows[i].text), &out), 0);
		PB_SAME(out, rows[i].plain);
	}
	pb_arena_free(&a);
}

static void bad_escapes(void)
{
	static const struct {
		const char *text;
		ptrdiff_t want;
	} rows[] = {
		{ "k%}v", -3 }, { "%@", -2 }, { "ab%", -4 }, { "a\nb", -2 }, { "%a", -2 }, { "%Z%:", -4 }, { "%`", -2 },
	};
	struct pb_arena *a = pb_arena_new(1 << 16);
	struct pb_str out;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CU_ASSERT_EQUAL(pb_msg_unescape(a, pb_str_z(rows[i].text), &out), rows[i].want);
		CU_ASSERT_PTR_NULL(out.p);
	}
	pb_arena_free(&a);
}

/* Every octet comes back, and nothing raw is left that could end a line. */
static void every_octet(void)
{
	struct pb_arena *a = pb_arena_new(1 << 16);
	struct pb_str out;

	for (unsigned c = 1; c < 256; c++) {
		char x = (char)c;
		struct pb_str text = escaped(pb_str(&x, 1), false);

		CU_ASSERT(text.n == 1 ? c >= 0x20 && x != ':' && x != '%' : text.n == 2);
		CU_ASSERT_EQUAL(pb_msg_unescape(a, text, &out), 0);
		CU_ASSERT(out.n == 1 && out.p[0] == x);
	}
	pb_arena_free(&a);
}

static void expands(void)
{
	struct pb_msg *m = abc();

	PB_SAME(pb_msg_expand(m, S("<${a}|${ b }|${none$def}|${none}>"), pb_msg_arena(m)), "<1|2|def|>");
	pb_msg_free(&m);
}

static void without_memory(void)
{
	struct pb_msg *m = pb_msg_new(S("a.name.that.takes.room")), *c;

	if (!m)
		return;
	for (unsigned i = 0; i < 100; i++)
		pb_msg_add(m, S("name"), S("some value of ordinary size, to fill blocks"));
	pbi_msg_track(m, S("handlers"), S("x:1"));
	c = pb_msg_copy(m);
	if (c && !pb_msg_failed(m))
		CU_ASSERT(!pb_msg_failed(c) && pb_msg_count(c) == pb_msg_count(m));
	if (c)
		pb_msg_swap(m, c);
	pb_msg_free(&c);
	pb_msg_free(&m);
	pbi_msg_cache_drop();
}

static void each_alloc(void)
{
	pb_test_each_alloc(without_memory);
}

static void clears_a_tree(void)
{
	static const char *const names[] = { "a", "a.b", "ab", "b.a", "a.c.d", "a." };
	struct pb_msg *m = pb_msg_new(PB_STR("m"));

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		pb_msg_add(m, pb_str_z(names[i]), PB_STR("1"));
	pb_msg_clear_tree(m, PB_STR("a"), '.');
	CU_ASSERT_EQUAL_FATAL(pb_msg_count(m), 2);
	PB_SAME(pb_msg_at(m, 0)->name, "ab");
	PB_SAME(pb_msg_at(m, 1)->name, "b.a");
	pb_msg_free(&m);
}

PB_TESTS("bus/msg", { "a name and what is below it", clears_a_tree }, { "parameters keep order, repeat, are replaced and cleared", params },
	 { "numbers, booleans, formatted text", typed }, { "copy and swap", copies },
	 { "the next question of the same object", again }, { "tracking text", tracking },
	 { "a swap is a change of name", swap_renames }, { "limits", limits }, { "escapes both ways", escapes },
	 { "what unescape refuses, and where", bad_escapes }, { "every octet", every_octet },
	 { "templates", expands }, { "each allocation fails", each_alloc })
