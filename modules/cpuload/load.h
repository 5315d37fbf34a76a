/*
 * CPU time of the system and of this process, from the texts of /proc, as
 * smoothed percentages. Pure: texts and time come in as arguments.
 */
#ifndef CPULOAD_LOAD_H
#define CPULOAD_LOAD_H

#include "base/str.h"

enum cpuload_kind { CPULOAD_KERNEL, CPULOAD_USER, CPULOAD_TOTAL, CPULOAD_SYSTEM, CPULOAD_KINDS };

/** "kernelLoad", "userLoad", "totalLoad", "systemLoad"; index as above, ends with NULL. */
extern const char *const cpuload_names[];
/** -1: none of them. */
int cpuload_kind_of(struct pb_str name);

/** Ticks of the kernel's clock since some beginning. */
struct cpuload_ticks {
	uint64_t busy, all;    /* the system: of all cores together */
	unsigned cores;	       /* that /proc/stat lists */
	uint64_t user, kernel; /* this process */
};

/** /proc/stat. @return 0, -EINVAL (another form: `t` is as before). */
int cpuload_read_system(struct pb_str text, struct cpuload_ticks *t);
/** /proc/self/stat; the program's name may hold anything. @return 0, -EINVAL. */
int cpuload_read_process(struct pb_str text, struct cpuload_ticks *t);

struct cpuload {
	struct cpuload_ticks last;
	bool started, known; /* known: `percent` holds something */
	unsigned percent[CPULOAD_KINDS]; /* 0..100 */
	uint64_t milli[CPULOAD_KINDS];	 /* the same in thousandths, unrounded */
};

/**
 * One more reading. Loads of the process are shares of `cores` cores (0: all),
 * `smooth` is the weight of the newest reading in percent. The first reading
 * only begins.
 */
void cpuload_step(struct cpuload *l, const struct cpuload_ticks *now, unsigned cores, unsigned smooth);

#endif
