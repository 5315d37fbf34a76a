/*
 * How many there are of each value: a table that every loop changes and reads.
 */
#ifndef CALLCOUNTERS_COUNTERS_H
#define CALLCOUNTERS_COUNTERS_H

#include "base/str.h"

struct counters;

/** @return 0 or -ENOMEM. */
int counters_new(struct counters **out);
void counters_free(struct counters **c);

/** One more. @return 0 or -ENOMEM: it is not counted. Any thread. */
int counters_add(struct counters *c, struct pb_str value);
/** One less of what was added; a value without any is forgotten. Any thread. */
void counters_drop(struct counters *c, struct pb_str value);
/** Any thread. */
uint64_t counters_get(struct counters *c, struct pb_str value);
/** How many values there are now. Any thread. */
size_t counters_values(struct counters *c);
/**
 * Each value with its count, in no order, until `fn` answers false. `fn` must be
 * short and call nothing of this table. Any thread.
 */
void counters_each(struct counters *c, bool (*fn)(void *arg, struct pb_str value, uint64_t n),
		   void *arg);

#endif
