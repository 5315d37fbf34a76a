/* The functions of base/alloc.h over malloc, counting. All of them are here, so
 * that the linker has no reason to take the engine's own. */
#include "memory.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#define FREED 0xdd

static _Atomic int64_t blocks, bytes, peak;
static _Atomic int filling = 1;
static _Thread_local long fail_after = -1;
static _Thread_local unsigned long failures;

static int must_fail(void)
{
	if (fail_after < 0)
		return 0;
	if (fail_after > 0) {
		fail_after--;
		return 0;
	}
	failures++;
	return 1;
}

static void count(int64_t more_blocks, int64_t more_bytes)
{
	int64_t most = atomic_load_explicit(&peak, memory_order_relaxed), now;

	atomic_fetch_add_explicit(&blocks, more_blocks, memory_order_relaxed);
	now = atomic_fetch_add_explicit(&bytes, more_bytes, memory_order_relaxed) + more_bytes;
	while (now > most && !atomic_compare_exchange_weak(&peak, &most, now))
		; /* another thread was quicker */
}

static void *taken(void *p)
{
	if (p)
		count(1, (int64_t)malloc_usable_size(p));
	return p;
}

void *pb_alloc(size_t n)
{
	return must_fail() ? NULL : taken(malloc(n ? n : 1));
}

void *pb_alloc_zero(size_t count, size_t size)
{
	return must_fail() ? NULL : taken(calloc(count ? count : 1, size ? size : 1));
}

void *pb_alloc_grow(void *p, size_t n)
{
	int64_t had = p ? (int64_t)malloc_usable_size(p) : 0;
	void *to = must_fail() ? NULL : realloc(p, n ? n : 1);

	if (to)
		count(p ? 0 : 1, (int64_t)malloc_usable_size(to) - had);
	return to;
}

void pb_free(void *p)
{
	if (!p)
		return;
	count(-1, -(int64_t)malloc_usable_size(p));
	if (atomic_load_explicit(&filling, memory_order_relaxed))
		memset(p, FREED, malloc_usable_size(p));
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

struct pb_test_memory pb_test_memory(void)
{
	return (struct pb_test_memory){ atomic_load(&blocks), atomic_load(&bytes) };
}

int64_t pb_test_memory_peak(void)
{
	return atomic_load(&peak);
}

void pb_test_memory_fill(int on)
{
	atomic_store(&filling, on);
}
