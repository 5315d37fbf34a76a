/*
 * The reference's chapter 0 (primitive rules), section by section, as messages
 * and configuration see them; the section is in each test's name. Here is what
 * base_test, pattern_test, conf_test and msg_test do not show already.
 */
#include "../../support/test.h"

#include <stdio.h>

#include "base/pattern.h"
#include "base/text.h"
#include "bus/msg.h"

#define S(lit) PB_STR(lit)

static struct pb_msg *msg(const char *name)
{
	return pb_msg_new(pb_str_z(name));
}

static void booleans(void)
{
	static const char *const no[] = { "false", "no", "off", "disable", "f" };
	static const char *const yes[] = { "true", "yes", "on", "enable", "t" };
	static const char *const neither[] = { "",  "1", "0",    "True", "FALSE",   "Yes", "YES",
					       "y", "n", " yes", "yes ", "enabled", "None" };
	struct pb_msg *m = msg("m");

	for (size_t i = 0; i < 5; i++) {
		CU_ASSERT_FALSE(pb_str_to_bool(pb_str_z(no[i]), true));
		CU_ASSERT_TRUE(pb_str_to_bool(pb_str_z(yes[i]), false));
		CU_ASSERT_TRUE(pb_str_is_bool(pb_str_z(no[i])) && pb_str_is_bool(pb_str_z(yes[i])));
	}
	for (size_t i = 0; i < sizeof(neither) / sizeof(neither[0]); i++) {
		pb_msg_set(m, S("p"), pb_str_z(neither[i]));
		CU_ASSERT_TRUE(pb_msg_get_bool(m, S("p"), true));
		CU_ASSERT_FALSE(pb_msg_get_bool(m, S("p"), false));
	}
	pb_msg_set_bool(m, S("p"), false);
	PB_SAME(pb_msg_get(m, S("p")), "false");
	pb_msg_set_bool(m, S("p"), true);
	PB_SAME(pb_msg_get(m, S("p")), "true");
	pb_msg_free(&m);
}

static void integers(void)
{
	static const struct {
		const char *text;
		int64_t want; /* default 500, bounds -100 .. 100 */
	} rows[] = {
		{ "5", 5 },
		{ "-5", -5 },
		{ "+5", 5 },
		{ " \t\n5", 5 },
		{ "010", 8 },
		{ "0x1F", 31 },
		{ "0X1f", 31 },
		{ "-010", -8 },
		{ "0", 0 },
		{ "08", 500 },
		{ "5 ", 500 },
		{ "5x", 500 },
		{ "", 500 },
		{ " ", 500 },
		{ "-", 500 },
		{ "0x", 500 },
		{ "x", 500 },
		{ "5.0", 500 },
		{ "101", 100 },
		{ "-101", -100 },
		{ "9223372036854775807", 100 },
		{ "9223372036854775808", 500 },
		{ "-9223372036854775808", -100 },
		{ "-9223372036854775809", 500 },
		{ "99999999999999999999999", 500 },
		{ "0xFFFFFFFFFFFFFFFFFF", 500 },
	};
	struct pb_msg *m = msg("m");

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t got;

		pb_msg_set(m, S("p"), pb_str_z(rows[i].text));
		got = pb_msg_get_int(m, S("p"), 500, -100, 100); /* the default is never clamped */
		if (got != rows[i].want)
			printf("'%s' is %lld\n", rows[i].text, (long long)got);
		CU_ASSERT_EQUAL(got, rows[i].want);
	}
	CU_ASSERT_EQUAL(pb_msg_get_int(m, S("absent"), 500, -100, 100), 500);
	pb_msg_free(&m);
}

static void helpers(void)
{
	struct pb_str s;

	PB_SAME(pb_str_trim(S(" \t\v a\r\n \t")), "\v a\r\n");
	PB_SAME(pb_str_trim_space(S("\v\f\r\n \ta b\n\r")), "a b");
	s = S("status");
	CU_ASSERT(pb_str_skip_word(&s, S("status")) && !s.n);
	s = S("status\r\nx");
	CU_ASSERT(pb_str_skip_word(&s, S("status")));
	s = S("status\tx");
	CU_ASSERT(pb_str_skip_word(&s, S("status")));
	PB_SAME(s, "x");
	s = S("Status x");
	CU_ASSERT(!pb_str_skip_word(&s, S("status")));
	PB_SAME(s, "Status x");
}

static void substitution(void)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "${a}${b}", "1${c}" },      /* what was inserted is not scanned again */
		{ "${e$default}|", "|" },     /* there, and empty */
		{ "${none$ x y }|", "x y|" }, /* both sides are trimmed */
		{ "${\ta }", "1" },
		{ "${A$no}", "no" },           /* names are exact */
		{ "${none$${a}}", "${a}" },    /* the first '}' ends it: no nesting */
		{ "${a}-${open", "1-${open" }, /* replaced so far stays so */
		{ "$a ${ $}", "$a " },
		{ "}${a}{", "}1{" },
	};
	struct pb_msg *m = msg("m");

	pb_msg_add(m, S("a"), S("1"));
	pb_msg_add(m, S("b"), S("${c}"));
	pb_msg_add(m, S("c"), S("3"));
	pb_msg_add(m, S("e"), S(""));
	pb_msg_add(m, S("a"), S("second"));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		PB_SAME(pb_msg_expand(m, pb_str_z(rows[i].text), pb_msg_arena(m)), rows[i].want);
	pb_msg_free(&m);
}

static void expressions(void)
{
	static const struct {
		const char *pattern;
		unsigned flags;
		const char *text, *template, *want; /* want NULL: no match */
	} rows[] = {
		{ "", 0, "", "", NULL },
		{ "", PB_PATTERN_EXTENDED, "a", "", NULL },
		{ "b.d", 0, "abcde", "[\\0][\\1][\\2][\\9]",
		  "[bcd][bcd][][]" },                                  /* no group: \1 is all */
		{ "b\\(x\\)*d", 0, "abde", "[\\0][\\1]", "[bd][bd]" }, /* nor one that took part */
		{ "\\(a\\)\\(x\\)*\\(c\\)", 0, "ac", "[\\1][\\2][\\3]", "[a][][c]" },
		{ "\\(1\\)\\(2\\)\\(3\\)\\(4\\)\\(5\\)\\(6\\)\\(7\\)\\(8\\)\\(9\\)", 0, "123456789",
		  "\\8|\\9|", "8||" },                    /* no more than eight groups */
		{ "a\\+b\\|c", 0, "xaab", "\\0", "aab" }, /* basic, with GNU's additions */
		{ "(a+)", 0, "aa", "", NULL },
		{ "(a+)", PB_PATTERN_EXTENDED, "aa", "\\1", "aa" },
		{ "ABC", PB_PATTERN_NOCASE, "xabc", "\\0", "abc" },
		{ "ABC", 0, "xabc", "", NULL },
		{ "a", 0, "a", "\\\\1 \\n \\", "\\1 \\n \\" },
	};
	struct pb_arena *a = pb_arena_new(1 << 20);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct pb_pattern *p;
		struct pb_captures c;
		bool hit;

		CU_ASSERT_EQUAL_FATAL(
			pb_pattern_new(pb_str_z(rows[i].pattern), rows[i].flags, a, &p, NULL), 0);
		hit = pb_pattern_match(p, pb_str_z(rows[i].text), &c);
		CU_ASSERT_EQUAL(hit, rows[i].want != NULL);
		if (hit && rows[i].want)
			PB_SAME(pb_captures_expand(&c, pb_str_z(rows[i].template), a),
				rows[i].want);
	}
	pb_arena_free(&a);
}

static void escaping(void)
{
	struct pb_msg *m = msg("a:b%\n");
	struct pb_text t;
	struct pb_str out;

	pb_msg_set_retval(m, S("r:\x01"));
	pb_msg_add(m, S("k=:1"), S("v=:1 \xc3\xa9"));
	pb_msg_add(m, S("k=:1"), S(""));
	pb_msg_set_chan(m, (struct pb_handle){ 1, 2, 3 }); /* 1.1: never on the wire */
	pb_text_init(&t, 1000);
	pb_msg_write(&t, m, false);
	PB_SAME(pb_text_str(&t), "a%zb%%%J:r%z%A:k%}%z1=v=%z1 \xc3\xa9:k%}%z1=");
	/* what the engine wrote for '=' in a name does not come back */
	CU_ASSERT_EQUAL(pb_msg_unescape(pb_msg_arena(m), S("k%}1"), &out), -3);
	pb_text_fini(&t);
	pb_msg_free(&m);
}

PB_TESTS("bus/primitive", { "0.1 booleans", booleans }, { "0.2 integers", integers },
	 { "0.3 helpers", helpers }, { "0.4 substitution", substitution },
	 { "0.5 regular expressions", expressions }, { "0.6 escaping", escaping })
