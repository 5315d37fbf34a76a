/* modules/callcounters: the shared table. */
#include "../../support/test.h"

#include <pthread.h>

#include "base/text.h"
#include "callcounters/counters.h"

static bool add_up(void *arg, struct pb_str value, uint64_t n)
{
	uint64_t *sum = arg;

	CU_ASSERT_TRUE(value.n > 0);
	*sum += n;
	return true;
}

static bool first_only(void *arg, struct pb_str value, uint64_t n)
{
	(void)value;
	(void)n;
	++*(uint64_t *)arg;
	return false;
}

static void counting(void)
{
	struct counters *c;
	uint64_t sum = 0;

	CU_ASSERT_EQUAL_FATAL(counters_new(&c), 0);
	CU_ASSERT_EQUAL(counters_get(c, PB_STR("a")), 0);
	counters_add(c, PB_STR("a"));
	counters_add(c, PB_STR("a"));
	counters_add(c, PB_STR("b"));
	CU_ASSERT_EQUAL(counters_get(c, PB_STR("a")), 2);
	CU_ASSERT_EQUAL(counters_values(c), 2);
	counters_each(c, add_up, &sum);
	CU_ASSERT_EQUAL(sum, 3);
	sum = 0;
	counters_each(c, first_only, &sum);
	CU_ASSERT_EQUAL(sum, 1);
	counters_drop(c, PB_STR("a"));
	counters_drop(c, PB_STR("b"));
	counters_drop(c, PB_STR("none"));
	CU_ASSERT_EQUAL(counters_get(c, PB_STR("a")), 1);
	CU_ASSERT_EQUAL(counters_get(c, PB_STR("b")), 0);
	CU_ASSERT_EQUAL(counters_values(c), 1); /* nobody's value is forgotten */
	counters_free(&c);
	CU_ASSERT_PTR_NULL(c);
	counters_free(&c);
}

#define THREADS 4
#define ROUNDS	20000

static void *work(void *arg)
{
	struct counters *c = arg;
	char buf[16];

	for (unsigned i = 0; i < ROUNDS; i++) {
		struct pb_str value = pb_str(buf, (size_t)snprintf(buf, sizeof(buf), "v%u", i % 40));

		counters_add(c, value);
		CU_ASSERT_TRUE(counters_get(c, value) >= 1);
		counters_drop(c, value);
		counters_add(c, PB_STR("kept"));
	}
	return NULL;
}

static void threads(void)
{
	struct counters *c;
	pthread_t ids[THREADS];

	CU_ASSERT_EQUAL_FATAL(counters_new(&c), 0);
	for (unsigned i = 0; i < THREADS; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&ids[i], NULL, work, c), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(ids[i], NULL);
	CU_ASSERT_EQUAL(counters_get(c, PB_STR("kept")), THREADS * ROUNDS);
	CU_ASSERT_EQUAL(counters_values(c), 1);
	counters_free(&c);
}

static void once(void)
{
	struct counters *c;

	if (counters_new(&c))
		return;
	if (!counters_add(c, PB_STR("a")))
		counters_drop(c, PB_STR("a"));
	counters_add(c, PB_STR("b"));
	counters_free(&c);
}

static void alloc_failures(void)
{
	pb_test_each_alloc(once);
}

PB_TESTS("callcounters/counters", { "counting", counting }, { "threads", threads },
	 { "each allocation fails", alloc_failures })
