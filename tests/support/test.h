/*
 * Unit tests: CUnit's assertions, one suite a program, a time limit on the
 * whole, and `N passed, N failed` as the last line.
 *
 *     static void cuts(void) { CU_ASSERT(...); }
 *     PB_TESTS("base/str", { "cuts at separators", cuts })
 */
#ifndef PB_TEST_H
#define PB_TEST_H

#include <CUnit/CUnit.h>

#include "base/str.h"

struct pb_test {
	const char *name;
	void (*fn)(void);
};

/** Run them in order; the process ends by SIGALRM after `limit_s` seconds. */
int pb_test_main(const char *suite, const struct pb_test *tests, unsigned limit_s, int argc, char **argv);

#define PB_TESTS(suite, ...)                                                                       \
	int main(int argc, char **argv)                                                            \
	{                                                                                          \
		static const struct pb_test tests[] = { __VA_ARGS__, { NULL, NULL } };              \
		return pb_test_main(suite, tests, 60, argc, argv);                                  \
	}

/** Print `proves: NK-007` when the running test ends without a failure. */
void pb_test_proves(const char *row);

/**
 * Run `fn` with the 1st, 2nd, 3rd ... allocation failing, until one run gets
 * through without a failure. Leaks and crashes on failure paths come to light
 * under the address sanitizer.
 */
void pb_test_each_alloc(void (*fn)(void));

/** Equal text, both printed when they differ. */
#define PB_SAME(got, want) pb_test_same(__FILE__, __LINE__, (got), (want))
void pb_test_same(const char *file, unsigned line, struct pb_str got, const char *want);

#endif
