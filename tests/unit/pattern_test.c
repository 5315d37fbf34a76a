/* engine/base/pattern: the simple forms answer as the C library would. */
#include "../support/test.h"

#include <errno.h>
#include <regex.h>

#include "base/pattern.h"

#define X PB_PATTERN_EXTENDED
#define I PB_PATTERN_NOCASE

static struct pb_arena *arena;

static const struct row {
	const char *pattern;
	unsigned flags;
	const char *text;
	const char *zero, *one; /* captures; zero == NULL: no match */
} rows[] = {
	{ ".*", 0, "abc", "abc", "abc" },
	{ ".*", 0, "", "", "" },
	{ "", 0, "", NULL, NULL },
	{ "", 0, "abc", NULL, NULL },
	{ "^$", 0, "", "", "" },
	{ "^$", 0, "a", NULL, NULL },
	{ "^ab", 0, "abc", "ab", "ab" },
	{ "^ab", 0, "xab", NULL, NULL },
	{ "^ab$", 0, "ab", "ab", "ab" },
	{ "^ab$", 0, "abc", NULL, NULL },
	{ "^ab.*", 0, "abc", "abc", "abc" },
	{ "^ab.*$", 0, "ab", "ab", "ab" },
	{ "^ab\\(.*\\)", 0, "abc", "abc", "c" },
	{ "^ab\\(.*\\)$", 0, "ab", "ab", "" },
	{ "^ab(.*)$", X, "abcd", "abcd", "cd" },
	{ "^ab\\(.*\\)c", 0, "abxc", "abxc", "x" },
	{ "^99*$", 0, "9", "9", "9" },
	{ "^99*$", 0, "", NULL, NULL },
	{ "^*9", 0, "*9", "*9", "*9" },
	{ "^9\\?1", 0, "1", "1", "1" },
	{ "^9+$", 0, "9+", "9+", "9+" },
	{ "^9+$", X, "999", "999", "999" },
	{ "^9{2}$", X, "99", "99", "99" },
	{ "^9\\{2\\}$", 0, "99", "99", "99" },
	{ "^a\\|b", 0, "xb", "b", "b" },
	{ "^a|b$", X, "xb", "b", "b" },
	{ "^a.c", 0, "abc", "abc", "abc" },
	{ "^a\\.c", 0, "a.c", "a.c", "a.c" },
	{ "^a\\.c", 0, "abc", NULL, NULL },
	{ "^sip/\\(sip:.*\\)$", 0, "sip/sip:234@h", "sip/sip:234@h", "sip:234@h" },
	{ "^AB", I, "abc", "ab", "ab" },
	{ "^AB\\(.*\\)$", I, "aBc", "aBc", "c" },
	{ "^ab", 0, "ABC", NULL, NULL },
	{ "b", 0, "abc", "b", "b" },
	{ "\\(x\\)*b", 0, "abc", "b", "b" },
	{ "^\\(a\\)\\(b\\)", 0, "abc", "ab", "a" },
	{ "^a$b", 0, "a$b", "a$b", "a$b" },
	{ "^a^b", 0, "a^b", "a^b", "a^b" },
	{ "^\\(.*\\)$", 0, "q", "q", "q" },
	{ "^ab\\w", 0, "abc", "abc", "abc" },
};

static void answers(void)
{
	arena = pb_arena_new(1 << 20);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *r = &rows[i];
		const struct pb_pattern *p;
		struct pb_captures c;
		bool hit;

		CU_ASSERT_EQUAL_FATAL(pb_pattern_new(pb_str_z(r->pattern), r->flags, arena, &p, NULL), 0);
		hit = pb_pattern_match(p, pb_str_z(r->text), &c);
		if (hit != (r->zero != NULL))
			fprintf(stderr, "%s against '%s'\n", r->pattern, r->text);
		CU_ASSERT_EQUAL(hit, r->zero != NULL);
		if (!hit || !r->zero)
			continue;
		PB_SAME(c.at[0], r->zero);
		PB_SAME(c.at[1], r->one);
	}
	pb_arena_free(&arena);
}

/* Whether the short cuts agree with regexec, over all texts of a small alphabet. */
static void agrees(const char *pattern, int flags)
{
	static const size_t texts[] = { 1, 7, 7 * 7, 7 * 7 * 7 }; /* of each length */
	static const char alphabet[] = "ab.*$^(";
	regmatch_t m[PB_CAPTURES];
	const struct pb_pattern *p;
	struct pb_captures c;
	char text[4] = "";
	regex_t re;

	if (regcomp(&re, pattern, flags & X ? REG_EXTENDED : 0))
		return;
	CU_ASSERT_EQUAL_FATAL(pb_pattern_new(pb_str_z(pattern), (unsigned)flags, arena, &p, NULL), 0);
	for (size_t n = 0; n < 7 * 7 * 7 * 4; n++) {
		size_t len = n % 4, rest = n / 4;
		bool hit;

		if (rest >= texts[len])
			continue;

		for (size_t i = 0; i < len; i++, rest /= 7)
			text[i] = alphabet[rest % 7];
		text[len] = '\0';
		hit = !regexec(&re, text, PB_CAPTURES, m, 0);
		CU_ASSERT_EQUAL(pb_pattern_match(p, pb_str_z(text), &c), hit);
		if (hit) {
			CU_ASSERT_EQUAL(c.at[0].n, (size_t)(m[0].rm_eo - m[0].rm_so));
			CU_ASSERT_PTR_EQUAL(c.at[0].p, text + m[0].rm_so);
		}
	}
	regfree(&re);
}

static void short_cuts(void)
{
	static const char atoms[][6] = { "a", "b", ".", "*", "$", "^", "\\.", "(", ")", "\\(", "\\)",
					 ".*", "+", "{", "\\{2\\}", "{1}", "[a]", "[]a]", "\\?", "\\w" };
	enum { N = sizeof(atoms) / sizeof(atoms[0]) };
	char pattern[32];

	for (size_t n = 0; n < 2 * N * N * N; n++) {
		size_t used = 0;

		if (n >= N * N * N)
			pattern[used++] = '^';
		for (size_t k = 0, rest = n % (N * N * N); k < 3; k++, rest /= N) {
			size_t len = strlen(atoms[rest % N]);

			memcpy(pattern + used, atoms[rest % N], len);
			used += len;
		}
		pattern[used] = '\0';
		arena = pb_arena_new(1 << 20);
		agrees(pattern, 0);
		agrees(pattern, X);
		pb_arena_free(&arena);
	}
}

static void broken(void)
{
	const struct pb_pattern *p;
	struct pb_str why = PB_STR_NULL;

	arena = pb_arena_new(1 << 16);
	CU_ASSERT_EQUAL(pb_pattern_new(PB_STR("^\\(a"), 0, arena, &p, &why), -EINVAL);
	CU_ASSERT_PTR_NULL(p);
	CU_ASSERT_TRUE(why.n > 0);
	CU_ASSERT_EQUAL(pb_pattern_new(PB_STR("[a"), X, arena, &p, NULL), -EINVAL);
	pb_arena_free(&arena);
}

static void prefixes(void)
{
	static const struct {
		const char *pattern;
		unsigned flags;
		const char *prefix;
	} want[] = {
		{ "^123", 0, "123" },	 { "^123*", 0, "12" },	    { "^1\\.2[34]", 0, "1.2" },
		{ "123", 0, "" },	 { "^12\\|3", 0, "" },	    { "^12|3", X, "" },
		{ "^12|3", 0, "12|3" },	 { "^\\(12\\)", 0, "" },    { "^sip:\\([0-9]*\\)", 0, "sip:" },
		{ "^AB", I, "ab" },	 { "^a{2}", X, "" },	    { "^ba\\+", 0, "b" },
	};

	arena = pb_arena_new(1 << 16);
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		const struct pb_pattern *p;

		CU_ASSERT_EQUAL_FATAL(
			pb_pattern_new(pb_str_z(want[i].pattern), want[i].flags, arena, &p, NULL), 0);
		PB_SAME(pb_pattern_prefix(p), want[i].prefix);
	}
	pb_arena_free(&arena);
}

static void negation(void)
{
	const struct pb_pattern *p;
	bool negate;

	arena = pb_arena_new(1 << 16);
	CU_ASSERT_EQUAL(pb_pattern_new_negatable(PB_STR("^99.*$^"), 0, arena, &p, &negate, NULL), 0);
	CU_ASSERT_TRUE(negate);
	CU_ASSERT_TRUE(pb_pattern_match(p, PB_STR("991"), NULL));
	CU_ASSERT_EQUAL(pb_pattern_new_negatable(PB_STR("^99"), 0, arena, &p, &negate, NULL), 0);
	CU_ASSERT_FALSE(negate);
	pb_arena_free(&arena);
}

static void templates(void)
{
	static const struct {
		const char *text, *want;
	} want[] = {
		{ "\\0", "ab" },	 { "x\\1y\\2z", "xaybz" }, { "\\9\\8", "" },
		{ "\\\\1", "\\1" },	 { "\\n", "\\n" },	   { "a\\", "a\\" },
		{ "\\3", "" },		 { "\\10", "a0" },
	};
	const struct pb_pattern *p;
	struct pb_captures c;

	arena = pb_arena_new(1 << 16);
	CU_ASSERT_EQUAL(pb_pattern_new(PB_STR("^\\(a\\)\\(b\\)"), 0, arena, &p, NULL), 0);
	CU_ASSERT_TRUE(pb_pattern_match(p, PB_STR("ab"), &c));
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		PB_SAME(pb_captures_expand(&c, pb_str_z(want[i].text), arena), want[i].want);
	PB_SAME(pb_captures_expand(NULL, PB_STR("<\\0\\1>"), arena), "<>");
	pb_arena_free(&arena);
}

static void out_of_memory(void)
{
	struct pb_arena *a = pb_arena_new(1 << 20);
	const struct pb_pattern *p;

	if (!a)
		return;
	for (int i = 0; i < 40; i++)
		if (pb_pattern_new(PB_STR("^abc[de]*f"), 0, a, &p, NULL))
			break;
	pb_arena_free(&a);
}

static void allocations(void)
{
	pb_test_each_alloc(out_of_memory);
}

PB_TESTS("base/pattern", { "matches and captures", answers },
	 { "short cuts agree with the C library", short_cuts }, { "broken patterns", broken },
	 { "literal beginnings", prefixes }, { "negation", negation }, { "templates", templates },
	 { "allocation failures", allocations })
