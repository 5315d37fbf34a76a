/*
 * From who reports an event to the name of a file. What the reporter is called
 * comes from anywhere: the name never leaves its folder. Pure.
 */
#ifndef EVENTLOGS_MAPPING_H
#define EVENTLOGS_MAPPING_H

#include "base/pattern.h"

#define EVENTLOGS_NAME_MAX 200 /* octets */

struct eventlogs_mapping {
	const struct pb_pattern *pattern;
	struct pb_str file; /* template */
};

/** Neither absolute nor upwards: what a mapping may name. */
bool eventlogs_name_is_safe(struct pb_str name);
/**
 * Name by the first mapping that matches; empty: none does, or the name is too
 * long. Of what matched, '/' and leading dots become '_'.
 */
struct pb_str eventlogs_name(const struct eventlogs_mapping *m, size_t count, struct pb_str from, struct pb_arena *a);

#endif
