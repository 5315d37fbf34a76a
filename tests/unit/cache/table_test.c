/* modules/cache: the table. */
#include "../../support/test.h"

#include <pthread.h>
#include <stdio.h>

#include "base/text.h"
#include "cache/table.h"

static struct cache_table *table;
static char seen[200];

static void see(void *arg, const struct pb_param *params, size_t n)
{
	struct pb_text t;

	(void)arg;
	pb_text_init_buf(&t, seen, sizeof(seen) - 1);
	for (size_t i = 0; i < n; i++)
		pb_text_addf(&t, "%.*s=%.*s;", PB_STR_F(params[i].name), PB_STR_F(params[i].value));
	seen[t.n] = '\0';
}

static int put(const char *id, const char *value, uint64_t ends_ms)
{
	struct pb_param p[] = { { PB_STR("routing"), pb_str_z(value) }, { PB_STR("x"), PB_STR("") } };

	return cache_table_put(table, pb_str_z(id), p, 2, ends_ms);
}

static void found(const char *id, size_t shortest, uint64_t now_ms, const char *want)
{
	seen[0] = '\0';
	CU_ASSERT_EQUAL(cache_table_get(table, pb_str_z(id), shortest, now_ms, see, NULL), want != NULL);
	PB_SAME(pb_str_z(seen), want ? want : "");
}

static void finding(void)
{
	static const char long_id[] = "0123456789012345678901234567890123456789012345678901234567890123456789";

	CU_ASSERT_EQUAL_FATAL(cache_table_new(&table), 0);
	put("4021", "a", 0);
	put("40", "b", 0);
	put("402155", "c", 1000);
	found("4021", 0, 0, "routing=a;x=;");
	found("40211", 0, 0, NULL);
	found("402155", 0, 999, "routing=c;x=;");
	found("402155", 0, 1000, NULL); /* over, though still there */
	found("402155", 1, 1000, "routing=a;x=;");
	found("40299", 2, 0, "routing=b;x=;");
	found("40299", 3, 0, NULL);
	found("", 1, 0, NULL);
	put("01234", "d", 0);
	found(long_id, 4, 0, "routing=d;x=;");
	put("4021", "e", 0);
	found("4021", 0, 0, "routing=e;x=;");
	CU_ASSERT_EQUAL(cache_table_count(table), 4);
	CU_ASSERT_TRUE(cache_table_remove(table, PB_STR("4021")));
	CU_ASSERT_FALSE(cache_table_remove(table, PB_STR("4021")));
	found("4021", 0, 0, NULL);
	CU_ASSERT_EQUAL(cache_table_count(table), 3);
	cache_table_free(&table);
	CU_ASSERT_PTR_NULL(table);
}

/* The oldest goes, wherever it is. */
static void limit(void)
{
	char id[20];

	CU_ASSERT_EQUAL_FATAL(cache_table_new(&table), 0);
	cache_table_set_limit(table, 10);
	for (unsigned i = 0; i < 100; i++) {
		snprintf(id, sizeof(id), "%u", i);
		CU_ASSERT_EQUAL(put(id, id, 0), 0);
		CU_ASSERT_EQUAL(cache_table_count(table), i < 10 ? i + 1 : 10);
	}
	for (unsigned i = 0; i < 100; i++) {
		snprintf(id, sizeof(id), "%u", i);
		CU_ASSERT_EQUAL(cache_table_get(table, pb_str_z(id), 0, 0, see, NULL), i >= 90);
	}
	put("90", "again", 0); /* is not the oldest any more */
	cache_table_set_limit(table, 9);
	put("100", "x", 0);
	CU_ASSERT_EQUAL(cache_table_count(table), 9);
	found("90", 0, 0, "routing=again;x=;");
	found("91", 0, 0, NULL);
	cache_table_free(&table);
}

static bool is_over(void *arg, struct pb_str id, uint64_t ends_ms)
{
	unsigned *shown = arg;

	(void)id;
	++*shown;
	return ends_ms == 1;
}

/* Many steps, each of them small, over all that is there. */
static void walking(void)
{
	struct cache_walk at = { 0 };
	unsigned shown = 0, before, steps = 0, most = 0;
	size_t removed = 0;
	char id[20];
	bool more;

	CU_ASSERT_EQUAL_FATAL(cache_table_new(&table), 0);
	for (unsigned i = 0; i < 20000; i++) {
		snprintf(id, sizeof(id), "%u", i);
		put(id, "", i % 4 == 0);
	}
	do {
		before = shown;
		more = cache_table_step(table, &at, is_over, &shown, &removed);
		most = shown - before > most ? shown - before : most;
		steps++;
	} while (more);
	CU_ASSERT_EQUAL(removed, 5000);
	CU_ASSERT_EQUAL(shown, 20000);
	CU_ASSERT_EQUAL(cache_table_count(table), 15000);
	CU_ASSERT_TRUE(steps >= 16 && most < 1000);
	CU_ASSERT_TRUE(at.shard == 0 && at.slot == 0);
	cache_table_free(&table);
}

#define THREADS 4

static void look(void *arg, const struct pb_param *params, size_t n)
{
	(void)arg;
	CU_ASSERT_TRUE(n == 1 && params[0].name.n == 1);
}

static void *work(void *arg)
{
	struct cache_walk at = { 0 };
	unsigned shown = 0;
	size_t removed = 0;
	char id[20], value[200] = "";

	(void)arg;
	for (unsigned i = 0; i < 10000; i++) {
		struct pb_param p = { PB_STR("v"), pb_str_z(value) };

		snprintf(id, sizeof(id), "%u", i % 700);
		cache_table_put(table, pb_str_z(id), &p, 1, i % 3);
		cache_table_get(table, pb_str_z(id), 1, 0, look, NULL);
		cache_table_step(table, &at, is_over, &shown, &removed);
		if (i % 5 == 0)
			cache_table_remove(table, pb_str_z(id));
	}
	return NULL;
}

static void threads(void)
{
	pthread_t ids[THREADS];

	CU_ASSERT_EQUAL_FATAL(cache_table_new(&table), 0);
	cache_table_set_limit(table, 500);
	for (unsigned i = 0; i < THREADS; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&ids[i], NULL, work, NULL), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(ids[i], NULL);
	CU_ASSERT_TRUE(cache_table_count(table) <= 500);
	cache_table_free(&table);
}

static void once(void)
{
	if (cache_table_new(&table))
		return;
	put("1", "a", 0);
	put("1", "b", 0);
	put("2", "b", 0);
	cache_table_free(&table);
}

static void alloc_failures(void)
{
	pb_test_each_alloc(once);
}

PB_TESTS("cache/table", { "finding", finding }, { "limit", limit }, { "walking", walking },
	 { "threads", threads }, { "each allocation fails", alloc_failures })
