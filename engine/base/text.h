/*
 * Building text: append freely, ask once at the end whether it fitted.
 *
 * Two homes: a fixed buffer of the caller (pb_text_init_buf: wire packets), or
 * heap memory that grows up to a limit (pb_text_init). A text that did not fit
 * has failed for good and keeps what it had.
 */
#ifndef PB_BASE_TEXT_H
#define PB_BASE_TEXT_H

#include <stdarg.h>

#include "base/arena.h"

struct pb_text {
	char *p;
	size_t n;     /* bytes written */
	size_t size;  /* bytes there are */
	size_t limit; /* heap: may grow to this; fixed: == size */
	bool heap, failed;
};

/** Into `size` bytes at `p`, which the caller keeps; nothing to free. */
void pb_text_init_buf(struct pb_text *t, char *p, size_t size);
/** Into growing heap memory of at most `limit_bytes`; end with pb_text_fini. */
void pb_text_init(struct pb_text *t, size_t limit_bytes);
void pb_text_fini(struct pb_text *t);
/** Forget what was written, keep the memory, clear the failure. */
void pb_text_reset(struct pb_text *t);

void pb_text_add(struct pb_text *t, struct pb_str s);
void pb_text_addc(struct pb_text *t, char c);
/** Decimal. */
void pb_text_addu(struct pb_text *t, uint64_t v);
void pb_text_addi(struct pb_text *t, int64_t v);
void pb_text_addf(struct pb_text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void pb_text_addv(struct pb_text *t, const char *fmt, va_list args) __attribute__((format(printf, 2, 0)));
/** Lower-case hexadecimal of `n` octets. */
void pb_text_add_hex(struct pb_text *t, const void *p, size_t n);
/** Base64 with padding, RFC 4648 section 4. */
void pb_text_add_base64(struct pb_text *t, const void *p, size_t n);

/**
 * As a JSON string in quotes (RFC 8259 section 7). Octets that are not UTF-8
 * become U+FFFD, so that what is read from outside cannot break the text.
 */
void pb_text_add_json(struct pb_text *t, struct pb_str s);

static inline bool pb_text_failed(const struct pb_text *t)
{
	return t->failed;
}

/** What was written; a view that the next append may move. */
static inline struct pb_str pb_text_str(const struct pb_text *t)
{
	return (struct pb_str){ t->p ? t->p : "", t->n };
}

/** A literal: pb_text_lit(t, "SIP/2.0 "). */
#define pb_text_lit(t, lit) pb_text_add((t), PB_STR(lit))

/**
 * `s` as a field of the status grammar: its separators , ; | + ? & and %, blanks
 * and control characters as %XX. Absent when the arena has failed.
 */
struct pb_str pb_percent(struct pb_arena *into, struct pb_str s);
/**
 * Base64 (RFC 4648 section 4; missing padding accepted, white space refused)
 * into `out`, which has room for s.n / 4 * 3 + 3 bytes.
 *
 * @return how many bytes, or -EINVAL.
 */
ptrdiff_t pb_base64_decode(struct pb_str s, unsigned char *out);
/** Pairs of hex digits into `out` (s.n / 2 bytes); count or -EINVAL. */
ptrdiff_t pb_hex_decode(struct pb_str s, unsigned char *out);

#endif
