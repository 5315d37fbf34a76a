/* malloc behind a switch. The counters are per thread, so tests in parallel
 * loops do not disturb each other and production pays one thread-local load. */
#include "base/alloc.h"

#include <stdlib.h>

static _Thread_local long fail_after = -1;
static _Thread_local unsigned long failures;

static int must_fail(void)
{
	if (__builtin_expect(fail_after < 0, 1))
		return 0;
	if (fail_after > 0) {
		fail_after--;
		return 0;
	}
	failures++;
	return 1;
}

void *pb_alloc(size_t n)
{
	return must_fail() ? NULL : malloc(n ? n : 1);
}

void *pb_alloc_zero(size_t count, size_t size)
{
	return must_fail() ? NULL : calloc(count ? count : 1, size ? size : 1);
}

void *pb_alloc_grow(void *p, size_t n)
{
	return must_fail() ? NULL : realloc(p, n ? n : 1);
}

void pb_free(void *p)
{
	free(p);
}

void pb_alloc_fail_after(long after)
{
	fail_after = after;
	failures = 0;
}

unsigned long pb_alloc_failures(void)
{
	return failures;
}
