/*
 * What is allocated now: memory.c stands in for engine/base/alloc.c in a test
 * that lists it among its sources, counts every block of the engine, and fills
 * what is freed, so that whoever still reads it reads no sense.
 */
#ifndef PB_TEST_MEMORY_H
#define PB_TEST_MEMORY_H

#include <stdint.h>

struct pb_test_memory {
	int64_t blocks, bytes; /* bytes as the C library rounded them */
};

/** Of all threads together. */
struct pb_test_memory pb_test_memory(void);
/** The most octets there were at once. */
int64_t pb_test_memory_peak(void);
/** Filling freed blocks costs time: on unless said otherwise. */
void pb_test_memory_fill(int on);

#endif
