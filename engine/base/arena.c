/*
 * Blocks in a list, the current one first. The first block is part of the
 * arena's own allocation and survives a reset, so an arena that is reused for
 * messages of ordinary size never calls the allocator.
 */
#include "base/arena.h"

#include <errno.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"

#define FIRST_BYTES 3072
#define SMALL_BYTES 512
#define BLOCK_BYTES 4096
#define ALIGN alignof(max_align_t)

struct block {
	struct block *next;
	size_t size;
};

struct farewell {
	struct farewell *next;
	void (*fn)(void *arg);
	void *arg;
};

struct pb_arena {
	char *at;  /* next free byte of the current block */
	char *end; /* one past its last */
	struct block *blocks; /* further blocks, newest first; not the first one */
	struct farewell *farewells; /* inside the arena, newest first */
	size_t used, limit;
	uint32_t first_bytes;
	uint32_t block_bytes; /* of the next block */
	bool failed;
	alignas(max_align_t) char first[];
};

static struct pb_arena *make(size_t limit_bytes, uint32_t first_bytes)
{
	struct pb_arena *a = pb_alloc(sizeof(*a) + first_bytes);

	if (!a)
		return NULL;
	a->first_bytes = first_bytes;
	a->block_bytes = first_bytes < BLOCK_BYTES / 2 ? first_bytes * 2 : BLOCK_BYTES;
	a->at = a->first;
	a->end = a->first + first_bytes;
	a->blocks = NULL;
	a->farewells = NULL;
	a->used = 0;
	a->limit = limit_bytes;
	a->failed = false;
	return a;
}

struct pb_arena *pb_arena_new(size_t limit_bytes)
{
	return make(limit_bytes, FIRST_BYTES);
}

struct pb_arena *pb_arena_new_small(size_t limit_bytes)
{
	return make(limit_bytes, SMALL_BYTES);
}

static void drop_blocks(struct pb_arena *a)
{
	while (a->farewells) {
		struct farewell *f = a->farewells;

		a->farewells = f->next;
		f->fn(f->arg);
	}
	while (a->blocks) {
		struct block *b = a->blocks;

		a->blocks = b->next;
		pb_free(b);
	}
}

void pb_arena_free(struct pb_arena **a)
{
	if (!*a)
		return;
	drop_blocks(*a);
	pb_free(*a);
	*a = NULL;
}

void pb_arena_reset(struct pb_arena *a)
{
	drop_blocks(a);
	a->at = a->first;
	a->end = a->first + a->first_bytes;
	a->used = 0;
	a->failed = false;
}

static char *fail(struct pb_arena *a)
{
	a->failed = true;
	a->at = a->end;
	return NULL;
}

/* A large request gets a block of its own size; the tail of the old block is
 * given up, which for text of header size costs little. */
static char *refill(struct pb_arena *a, size_t n)
{
	size_t size = n + ALIGN > a->block_bytes ? n + ALIGN : a->block_bytes;
	struct block *b = pb_alloc(sizeof(*b) + size);

	if (!b)
		return fail(a);
	if (a->block_bytes < BLOCK_BYTES)
		a->block_bytes *= 2;
	b->next = a->blocks;
	b->size = size;
	a->blocks = b;
	a->at = (char *)(b + 1);
	a->end = a->at + size;
	return a->at;
}

char *pb_arena_bytes(struct pb_arena *a, size_t n)
{
	char *p = a->at;

	if (a->failed || n > a->limit - a->used)
		return fail(a);
	if ((size_t)(a->end - p) < n) {
		p = refill(a, n);
		if (!p)
			return NULL;
	}
	a->at = p + n;
	a->used += n;
	return p;
}

void *pb_arena_raw(struct pb_arena *a, size_t n)
{
	size_t pad = (size_t)(-(uintptr_t)a->at & (ALIGN - 1));
	char *p;

	if (a->failed || n > a->limit - a->used)
		return fail(a);
	if ((size_t)(a->end - a->at) < n + pad) {
		p = refill(a, n + ALIGN);
		if (!p)
			return NULL;
		pad = (size_t)(-(uintptr_t)p & (ALIGN - 1));
	}
	p = a->at + pad;
	a->at = p + n;
	a->used += n;
	return p;
}

void *pb_arena_alloc(struct pb_arena *a, size_t n)
{
	void *p = pb_arena_raw(a, n);

	return p ? memset(p, 0, n) : NULL;
}

struct pb_str pb_arena_str(struct pb_arena *a, struct pb_str s)
{
	char *p;

	if (!s.p)
		return s;
	p = pb_arena_bytes(a, s.n + 1);
	if (!p)
		return PB_STR_NULL;
	memcpy(p, s.p, s.n);
	p[s.n] = '\0';
	return pb_str(p, s.n);
}

struct pb_str pb_arena_printf(struct pb_arena *a, const char *fmt, ...)
{
	va_list ap;
	char *p;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	p = n < 0 ? NULL : pb_arena_bytes(a, (size_t)n + 1);
	if (!p)
		return PB_STR_NULL;
	va_start(ap, fmt);
	vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return pb_str(p, (size_t)n);
}

int pb_arena_at_free(struct pb_arena *a, void (*fn)(void *arg), void *arg)
{
	struct farewell *f = pb_arena_alloc(a, sizeof(*f));

	if (!f)
		return -ENOMEM;
	*f = (struct farewell){ .next = a->farewells, .fn = fn, .arg = arg };
	a->farewells = f;
	return 0;
}

bool pb_arena_failed(const struct pb_arena *a)
{
	return a->failed;
}

size_t pb_arena_used(const struct pb_arena *a)
{
	return a->used;
}
