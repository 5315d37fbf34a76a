#include "test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"

#define PROOFS_MAX 64

static const char *proofs[PROOFS_MAX];
static unsigned proof_count;

static void on_alarm(int sig)
{
	static const char text[] = "time limit reached\n";

	(void)sig;
	if (write(2, text, sizeof(text) - 1) < 0)
		_exit(99);
	_exit(98);
}

void pb_test_proves(const char *row)
{
	if (proof_count < PROOFS_MAX)
		proofs[proof_count++] = row;
}

static bool run_one(const struct pb_test *t, const char *suite)
{
	unsigned before = CU_get_number_of_failures();
	CU_pFailureRecord f = CU_get_failure_list();
	bool failed;

	(void)before;
	proof_count = 0;
	CU_run_test(CU_get_suite(suite), CU_get_test(CU_get_suite(suite), t->name));
	f = CU_get_failure_list();
	failed = f != NULL;
	printf("%s %s: %s\n", failed ? "FAIL" : "ok  ", suite, t->name);
	for (; f; f = f->pNext)
		printf("     %s:%u: %s\n", f->strFileName, f->uiLineNumber, f->strCondition);
	for (unsigned i = 0; !failed && i < proof_count; i++)
		printf("proves: %s\n", proofs[i]);
	fflush(stdout);
	return !failed;
}

int pb_test_main(const char *suite, const struct pb_test *tests, unsigned limit_s, int argc, char **argv)
{
	unsigned passed = 0, failed = 0;
	CU_pSuite s;

	signal(SIGALRM, on_alarm);
	alarm(limit_s);
	if (CU_initialize_registry() != CUE_SUCCESS)
		return 99;
	s = CU_add_suite(suite, NULL, NULL);
	for (const struct pb_test *t = tests; t->name; t++) {
		if (!CU_add_test(s, t->name, t->fn))
			return 99;
	}
	for (const struct pb_test *t = tests; t->name; t++) {
		if (argc > 1 && strcmp(argv[1], t->name) != 0)
			continue;
		if (run_one(t, suite))
			passed++;
		else
			failed++;
	}
	CU_cleanup_registry();
	printf("%s: %u passed, %u failed\n", suite, passed, failed);
	return failed ? 1 : 0;
}

void pb_test_each_alloc(void (*fn)(void))
{
	for (long n = 0; n < 100000; n++) {
		unsigned long failures;

		pb_alloc_fail_after(n);
		fn();
		failures = pb_alloc_failures();
		pb_alloc_fail_after(-1);
		if (!failures)
			return;
	}
	CU_FAIL("no run got through");
}

void pb_test_same(const char *file, unsigned line, struct pb_str got, const char *want)
{
	bool same = pb_str_eq(got, pb_str_z(want));

	if (!same)
		printf("%s:%u: got  '%.*s'\n%s:%u: want '%s'\n", file, line, PB_STR_F(got), file, line, want);
	CU_assertImplementation(same, line, "texts are the same", file, "", CU_FALSE);
}
