/*
 * An arena: memory of one owner that dies at once.
 *
 * Allocation is a pointer bump; nothing is freed before the arena is. The first
 * refusal (limit reached, no memory) makes the arena fail for good: builders
 * append freely and ask once, at the end, pb_arena_failed(). An arena belongs
 * to one thread at a time and may be handed over with what lives in it.
 */
#ifndef PB_BASE_ARENA_H
#define PB_BASE_ARENA_H

#include "base/str.h"

struct pb_arena;

/**
 * @param limit_bytes  All that may be taken from it; a request past it fails.
 * @return NULL when there is no memory.
 */
struct pb_arena *pb_arena_new(size_t limit_bytes);
/** The same for what lives long and holds little: it begins with half a kilobyte. */
struct pb_arena *pb_arena_new_small(size_t limit_bytes);
void pb_arena_free(struct pb_arena **a);

/**
 * Give everything back but the first block, ready for the next owner. The
 * sticky failure is cleared.
 */
void pb_arena_reset(struct pb_arena *a);

/** `n` zeroed bytes aligned for any type; NULL once the arena has failed. */
void *pb_arena_alloc(struct pb_arena *a, size_t n);
/** The same, not zeroed. */
void *pb_arena_raw(struct pb_arena *a, size_t n);
/** `n` bytes, not zeroed, not aligned: for text. */
char *pb_arena_bytes(struct pb_arena *a, size_t n);

/** A copy with a NUL behind it that is not counted. Absent stays absent. */
struct pb_str pb_arena_str(struct pb_arena *a, struct pb_str s);
/** printf into the arena, NUL behind. Absent when the arena has failed. */
struct pb_str pb_arena_printf(struct pb_arena *a, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/**
 * Call fn(arg) when the arena is freed or reset, newest first: for what its
 * things hold outside it (compiled patterns). @return 0, or -ENOMEM: the arena
 * has failed and `fn` will not be called.
 */
int pb_arena_at_free(struct pb_arena *a, void (*fn)(void *arg), void *arg);

bool pb_arena_failed(const struct pb_arena *a);
/** Bytes handed out so far (not what the blocks occupy). */
size_t pb_arena_used(const struct pb_arena *a);

#endif
