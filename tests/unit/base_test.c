/* engine/base: slices, arenas, texts, maps. */
#include "../support/test.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/map.h"
#include "base/text.h"

static void numbers(void)
{
	static const struct {
		const char *text;
		int base, want;
		int64_t value;
	} rows[] = {
		{ "250", 10, 0, 250 },	     { " 12", 10, 0, 12 },	{ "-5", 10, 0, -5 },
		{ "010", 0, 0, 8 },	     { "0x1F", 0, 0, 31 },	{ "08", 0, -EINVAL, 77 },
		{ "0", 0, 0, 0 },	     { "25x", 10, -EINVAL, 77 }, { "", 10, -EINVAL, 77 },
		{ "-", 10, -EINVAL, 77 },    { "7 ", 10, -EINVAL, 77 },	{ "1001", 10, -ERANGE, 1000 },
		{ "-11", 10, -ERANGE, -10 }, { "99999999999999999999", 10, -ERANGE, 1000 },
		{ "-99999999999999999999", 10, -ERANGE, -10 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t v = 77;

		CU_ASSERT_EQUAL(pb_str_to_i64(pb_str_z(rows[i].text), rows[i].base, -10, 1000, &v),
				rows[i].want);
		CU_ASSERT_EQUAL(v, rows[i].value);
	}
}

static void wire_numbers(void)
{
	uint32_t v = 0;

	CU_ASSERT_EQUAL(pb_str_to_u32(PB_STR("4294967295"), 0, UINT32_MAX, &v), 0);
	CU_ASSERT_EQUAL(v, UINT32_MAX);
	CU_ASSERT_EQUAL(pb_str_to_u32(PB_STR("4294967296"), 0, UINT32_MAX, &v), -ERANGE);
	CU_ASSERT_EQUAL(pb_str_to_u32(PB_STR("+1"), 0, 9, &v), -EINVAL);
	CU_ASSERT_EQUAL(pb_str_to_u32(PB_STR("99999999999999999999999999"), 0, 9, &v), -ERANGE);
	CU_ASSERT_EQUAL(v, 9);
}

static void booleans(void)
{
	CU_ASSERT_TRUE(pb_str_to_bool(PB_STR("enable"), false));
	CU_ASSERT_FALSE(pb_str_to_bool(PB_STR("f"), true));
	CU_ASSERT_TRUE(pb_str_to_bool(PB_STR("1"), true));
	CU_ASSERT_FALSE(pb_str_to_bool(PB_STR("True"), false));
	CU_ASSERT_FALSE(pb_str_is_bool(PB_STR("YES")));
}

static void cuts(void)
{
	struct pb_str list = PB_STR("a,,b"), item;

	CU_ASSERT_TRUE(pb_str_cut(&list, ',', &item));
	PB_SAME(item, "a");
	CU_ASSERT_TRUE(pb_str_cut(&list, ',', &item));
	PB_SAME(item, "");
	CU_ASSERT_TRUE(pb_str_cut(&list, ',', &item));
	PB_SAME(item, "b");
	CU_ASSERT_FALSE(pb_str_cut(&list, ',', &item));
	list = PB_STR("  one\t two ");
	CU_ASSERT_TRUE(pb_str_word(&list, &item));
	PB_SAME(item, "one");
	PB_SAME(list, "two");
	list = PB_STR("status  sip");
	CU_ASSERT_TRUE(pb_str_skip_word(&list, PB_STR("status")));
	PB_SAME(list, "sip");
	list = PB_STR("statusx");
	CU_ASSERT_FALSE(pb_str_skip_word(&list, PB_STR("status")));
	PB_SAME(pb_str_trim(PB_STR(" \ta b\t")), "a b");
	PB_SAME(pb_str_trim_space(PB_STR("\r\n a\v\f")), "a");
}

static void distances(void)
{
	CU_ASSERT_EQUAL(pb_str_distance(PB_STR("maxpkt"), PB_STR("maxpkt")), 0);
	CU_ASSERT_EQUAL(pb_str_distance(PB_STR("maxpkt"), PB_STR("maxptk")), 1);
	CU_ASSERT_EQUAL(pb_str_distance(PB_STR("maxpk"), PB_STR("maxpkt")), 1);
	CU_ASSERT_EQUAL(pb_str_distance(PB_STR("abc"), PB_STR("")), 3);
}

static void arenas(void)
{
	struct pb_arena *a = pb_arena_new(20000);
	struct pb_str s;

	CU_ASSERT_PTR_NOT_NULL_FATAL(a);
	s = pb_arena_str(a, PB_STR("hello"));
	PB_SAME(s, "hello");
	CU_ASSERT_EQUAL(s.p[5], '\0');
	for (int i = 0; i < 50; i++) {
		void *p = pb_arena_alloc(a, 100);

		CU_ASSERT_PTR_NOT_NULL(p);
		CU_ASSERT_EQUAL((uintptr_t)p % 16, 0);
		memset(p, 0xaa, 100);
	}
	CU_ASSERT_PTR_NOT_NULL(pb_arena_alloc(a, 9000));
	CU_ASSERT_FALSE(pb_arena_failed(a));
	CU_ASSERT_PTR_NULL(pb_arena_alloc(a, 9000));
	CU_ASSERT_TRUE(pb_arena_failed(a));
	CU_ASSERT_PTR_NULL(pb_arena_bytes(a, 1)); /* for good */
	pb_arena_reset(a);
	CU_ASSERT_FALSE(pb_arena_failed(a));
	PB_SAME(pb_arena_printf(a, "%d-%s", 7, "x"), "7-x");
	pb_arena_free(&a);
	CU_ASSERT_PTR_NULL(a);
}

static void texts(void)
{
	struct pb_arena *a;
	struct pb_text t;
	char buf[8];
	unsigned char out[16];

	pb_text_init(&t, 1000);
	pb_text_lit(&t, "n=");
	pb_text_addu(&t, 0);
	pb_text_addc(&t, ' ');
	pb_text_addi(&t, INT64_MIN);
	pb_text_addf(&t, " %s", "ok");
	PB_SAME(pb_text_str(&t), "n=0 -9223372036854775808 ok");
	pb_text_reset(&t);
	a = pb_arena_new(1000);
	PB_SAME(pb_percent(a, PB_STR("a b,c;d|e%\n\xc3\xa9/1")), "a%20b%2Cc%3Bd%7Ce%25%0A\xc3\xa9/1");
	PB_SAME(pb_percent(a, PB_STR("\n\n\n")), "%0A%0A%0A");
	PB_SAME(pb_percent(a, PB_STR_NULL), "");
	pb_arena_free(&a);
	pb_text_add_base64(&t, "any carnal", 10);
	PB_SAME(pb_text_str(&t), "YW55IGNhcm5hbA==");
	CU_ASSERT_EQUAL(pb_base64_decode(pb_text_str(&t), out), 10);
	CU_ASSERT_EQUAL(memcmp(out, "any carnal", 10), 0);
	CU_ASSERT_EQUAL(pb_base64_decode(PB_STR("A"), out), -EINVAL);
	CU_ASSERT_EQUAL(pb_base64_decode(PB_STR("A*AA"), out), -EINVAL);
	CU_ASSERT_EQUAL(pb_hex_decode(PB_STR("0aFF"), out), 2);
	CU_ASSERT_EQUAL(out[1], 0xff);
	for (int i = 0; i < 200; i++)
		pb_text_lit(&t, "0123456789");
	CU_ASSERT_TRUE(pb_text_failed(&t));
	pb_text_fini(&t);

	pb_text_init_buf(&t, buf, sizeof(buf));
	pb_text_lit(&t, "12345678");
	CU_ASSERT_FALSE(pb_text_failed(&t));
	pb_text_addc(&t, '9');
	CU_ASSERT_TRUE(pb_text_failed(&t));
	CU_ASSERT_EQUAL(t.n, 8);
}

struct thing {
	struct pb_map_node node;
	int key;
};

static void maps(void)
{
	struct pb_map m = { 0 };
	static struct thing things[1000];
	size_t seen = 0;

	for (int i = 0; i < 1000; i++) {
		things[i].key = i;
		CU_ASSERT_EQUAL(pb_map_add(&m, &things[i].node, pb_hash(pb_str((char *)&i, sizeof(i)))), 0);
	}
	CU_ASSERT_EQUAL(m.count, 1000);
	for (int i = 0; i < 1000; i += 2)
		pb_map_remove(&m, &things[i].node);
	for (int i = 0; i < 1000; i++) {
		struct pb_map_node *n = pb_map_first(&m, pb_hash(pb_str((char *)&i, sizeof(i))));

		CU_ASSERT_EQUAL(n == &things[i].node, i % 2 == 1);
	}
	for (struct pb_map_node *n = pb_map_each(&m, NULL); n; n = pb_map_each(&m, n))
		seen++;
	CU_ASSERT_EQUAL(seen, 500);
	pb_map_fini(&m);
	CU_ASSERT_EQUAL(pb_hash_nocase(PB_STR("Call-ID@[Z")), pb_hash_nocase(PB_STR("cALL-id@[z")));
	CU_ASSERT_NOT_EQUAL(pb_hash_nocase(PB_STR("@")), pb_hash_nocase(PB_STR("`")));
	CU_ASSERT_NOT_EQUAL(pb_hash(PB_STR("a")), pb_hash(PB_STR("A")));
}

static void allocating(void)
{
	struct pb_arena *a = pb_arena_new(100000);
	struct pb_text t;

	if (a) {
		pb_arena_alloc(a, 5000);
		pb_arena_printf(a, "%5000d", 1);
	}
	pb_arena_free(&a);
	pb_text_init(&t, 10000);
	for (int i = 0; i < 100; i++)
		pb_text_lit(&t, "some text");
	pb_text_fini(&t);
}

static void alloc_failures(void)
{
	pb_test_each_alloc(allocating);
}

static void json(void)
{
	struct pb_text t;

	pb_text_init(&t, 1000);
	pb_text_add_json(&t, PB_STR("a\"b\\c\r\n\x7f \xc3\xa4\xc3(\xff"));
	PB_SAME(pb_text_str(&t), "\"a\\\"b\\\\c\\u000d\\u000a\\u007f \xc3\xa4\\ufffd(\\ufffd\"");
	pb_text_fini(&t);
}

PB_TESTS("base", { "json", json }, { "numbers", numbers }, { "wire numbers", wire_numbers }, { "booleans", booleans },
	 { "cuts", cuts }, { "distances", distances }, { "arenas", arenas }, { "texts", texts },
	 { "maps", maps }, { "each allocation fails", alloc_failures })
