/* modules/cpuload: the texts of /proc, shares and smoothing, levels. */
#include "../../support/test.h"

#include "cpuload/level.h"
#include "cpuload/load.h"

#define PROCESS(user, kernel) "4711 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 " #user " " #kernel " 0 0 20 0\n"

static void system_times(void)
{
	struct cpuload_ticks t = { 0 };

	CU_ASSERT_EQUAL(cpuload_read_system(PB_STR("cpu  100 1 50 800 40 5 4 0 7 0\ncpu0 1 2\ncpu1 3 4\nintr 5\n"), &t), 0);
	CU_ASSERT_EQUAL(t.all, 1000);
	CU_ASSERT_EQUAL(t.busy, 160);
	CU_ASSERT_EQUAL(t.cores, 2);
	CU_ASSERT_NOT_EQUAL(cpuload_read_system(PB_STR("intr 5\n"), &t), 0);
	CU_ASSERT_NOT_EQUAL(cpuload_read_system(PB_STR("cpu 1 2 x\n"), &t), 0);
	CU_ASSERT_NOT_EQUAL(cpuload_read_system(PB_STR_NULL, &t), 0);
}

static void process_times(void)
{
	struct cpuload_ticks t = { 0 };

	CU_ASSERT_EQUAL(cpuload_read_process(PB_STR(PROCESS(30, 12)), &t), 0);
	CU_ASSERT_EQUAL(t.user, 30);
	CU_ASSERT_EQUAL(t.kernel, 12);
	CU_ASSERT_NOT_EQUAL(cpuload_read_process(PB_STR("4711 (a) S 1 2"), &t), 0);
	CU_ASSERT_NOT_EQUAL(cpuload_read_process(PB_STR("4711"), &t), 0);
}

static void shares(void)
{
	struct cpuload l = { .known = false };

	cpuload_step(&l, &(struct cpuload_ticks){ .busy = 500, .all = 1000, .cores = 2, .user = 70, .kernel = 30 }, 0, 50);
	CU_ASSERT_FALSE(l.known);
	cpuload_step(&l, &(struct cpuload_ticks){ .busy = 580, .all = 1200, .cores = 2, .user = 110, .kernel = 50 }, 0, 50);
	CU_ASSERT_TRUE(l.known);
	CU_ASSERT_EQUAL(l.percent[CPULOAD_SYSTEM], 40);
	CU_ASSERT_EQUAL(l.percent[CPULOAD_USER], 20);
	CU_ASSERT_EQUAL(l.percent[CPULOAD_KERNEL], 10);
	CU_ASSERT_EQUAL(l.percent[CPULOAD_TOTAL], 30);
	/* idle since: half of what it was */
	cpuload_step(&l, &(struct cpuload_ticks){ .busy = 580, .all = 1400, .cores = 2, .user = 110, .kernel = 50 }, 0, 50);
	CU_ASSERT_EQUAL(l.percent[CPULOAD_SYSTEM], 20);
	CU_ASSERT_EQUAL(l.percent[CPULOAD_TOTAL], 15);
	/* no time has passed; then the counters have begun anew */
	cpuload_step(&l, &(struct cpuload_ticks){ .busy = 580, .all = 1400, .cores = 2, .user = 110, .kernel = 50 }, 0, 50);
	CU_ASSERT_EQUAL(l.percent[CPULOAD_SYSTEM], 20);
	cpuload_step(&l, &(struct cpuload_ticks){ .cores = 2 }, 0, 50);
	CU_ASSERT_EQUAL(l.percent[CPULOAD_SYSTEM], 20);
}

/* One core of two: all of it is a hundred percent. */
static void of_fewer_cores(void)
{
	struct cpuload l = { .known = false };

	cpuload_step(&l, &(struct cpuload_ticks){ .cores = 2 }, 1, 50);
	cpuload_step(&l, &(struct cpuload_ticks){ .all = 200, .cores = 2, .user = 100 }, 1, 50);
	CU_ASSERT_EQUAL(l.percent[CPULOAD_USER], 100);
}

static void levels(void)
{
	struct cpuload_levels l;
	const char *wrong;

	CU_ASSERT_EQUAL(cpuload_levels_read(PB_STR("accept,50,4;partial,65,2;congestion,80,2;reject"), &l, &wrong), 0);
	CU_ASSERT_EQUAL(l.count, 4);
	PB_SAME(l.at[3].name, "reject");
	CU_ASSERT_EQUAL(cpuload_level_step(&l, 0, 54), 0);
	CU_ASSERT_EQUAL(cpuload_level_step(&l, 0, 55), 1);
	CU_ASSERT_EQUAL(cpuload_level_step(&l, 1, 46), 1);
	CU_ASSERT_EQUAL(cpuload_level_step(&l, 1, 45), 0);
	CU_ASSERT_EQUAL(cpuload_level_step(&l, 0, 100), 3);
	CU_ASSERT_EQUAL(cpuload_level_step(&l, 3, 0), 0);
	CU_ASSERT_EQUAL(cpuload_level_step(&l, 3, 78), 3);
	CU_ASSERT_EQUAL(cpuload_level_step(&l, 3, 77), 2);
}

static void wrong_levels(void)
{
	static const char *const texts[] = { "", "accept", "accept,50,4", "accept;reject", "accept,x;reject",
					     "accept,50,y;reject", "a,50;b,50;c", "a,101;b", ",5;b", "a,50;b,60",
					     "a,1;b,2;c,3;d,4;e,5;f,6;g,7;h,8;i,9;j,10;k,11;l,12;m,13;n,14;o,15;p,16;q" };
	struct cpuload_levels l;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		const char *wrong = NULL;

		CU_ASSERT_NOT_EQUAL(cpuload_levels_read(pb_str_z(texts[i]), &l, &wrong), 0);
		CU_ASSERT_PTR_NOT_NULL(wrong);
	}
}

PB_TESTS("cpuload/load", { "system_times", system_times }, { "process_times", process_times }, { "shares", shares },
	 { "of_fewer_cores", of_fewer_cores }, { "levels", levels }, { "wrong_levels", wrong_levels })
