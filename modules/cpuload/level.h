/*
 * Levels of a load for one target: "accept,50,4;partial,65,2;congestion,80,2;reject".
 *
 * Each level but the last has a threshold in percent and a hysteresis: going up
 * takes more than threshold + hysteresis, coming down less than threshold -
 * hysteresis. Pure.
 */
#ifndef CPULOAD_LEVEL_H
#define CPULOAD_LEVEL_H

#include "base/str.h"

#define CPULOAD_LEVELS_MAX 16

struct cpuload_level {
	struct pb_str name; /* a view of the text that was read */
	unsigned threshold, hysteresis; /* percent; of the last: 0 */
};

struct cpuload_levels {
	struct cpuload_level at[CPULOAD_LEVELS_MAX];
	unsigned count;
};

/**
 * @param wrong  What is the matter with the text, when it is refused.
 * @return 0, -EINVAL (a name or number is missing, thresholds do not rise, too many).
 */
int cpuload_levels_read(struct pb_str text, struct cpuload_levels *out, const char **wrong);
/** The level to be in, coming from level `now`. */
unsigned cpuload_level_step(const struct cpuload_levels *l, unsigned now, unsigned percent);

#endif
