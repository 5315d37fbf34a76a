/*
 * Where memory comes from, so that a test can make the n-th request fail.
 *
 * Everything in the tree that allocates does it here or in an arena. In
 * production these are malloc and friends with one predictable branch.
 */
#ifndef PB_BASE_ALLOC_H
#define PB_BASE_ALLOC_H

#include <stddef.h>

/** NULL when there is no memory, or when the test says so. Any thread. */
void *pb_alloc(size_t n) __attribute__((malloc, warn_unused_result));
/** The same, zeroed; NULL too when count * size overflows. */
void *pb_alloc_zero(size_t count, size_t size) __attribute__((malloc, warn_unused_result));
/** As realloc: on NULL the old block is untouched. */
void *pb_alloc_grow(void *p, size_t n) __attribute__((warn_unused_result));
/** Accepts NULL. */
void pb_free(void *p);

/**
 * Tests only: let `after` requests of this thread succeed, then fail each one;
 * negative (the start value) never fails.
 */
void pb_alloc_fail_after(long after);
/** Tests only: how many requests of this thread have failed since then. */
unsigned long pb_alloc_failures(void);

#endif
