/*
 * Slices: text that somebody else owns.
 *
 * A slice is a view into bytes whose owner outlives it (a datagram, an arena,
 * a literal). Nothing here allocates, locks or keeps state; every function may
 * be called from any thread.
 */
#ifndef PB_BASE_STR_H
#define PB_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/** A view of `n` bytes. p == NULL: absent; n == 0 with p != NULL: empty. */
struct pb_str {
	const char *p;
	size_t n;
};

/** A slice of a string literal: PB_STR("call.route"). */
#define PB_STR(lit) ((struct pb_str){ "" lit, sizeof(lit) - 1 })
/** The same where a constant initialiser is needed. */
#define PB_STR_INIT(lit) { "" lit, sizeof(lit) - 1 }
#define PB_STR_NULL ((struct pb_str){ NULL, 0 })

/** For printf("%.*s"): PB_STR_F(s). Never passes more than INT_MAX. */
#define PB_STR_F(s) (int)((s).n > 0x7fffffff ? 0x7fffffff : (s).n), ((s).p ? (s).p : "")

static inline struct pb_str pb_str(const char *p, size_t n)
{
	return (struct pb_str){ p, n };
}

/** Of a NUL-terminated string; NULL gives the absent slice. */
static inline struct pb_str pb_str_z(const char *z)
{
	return (struct pb_str){ z, z ? strlen(z) : 0 };
}

static inline bool pb_str_eq(struct pb_str a, struct pb_str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/** ASCII case-insensitive. */
bool pb_str_ieq(struct pb_str a, struct pb_str b);
/** Byte order, shorter first; <0, 0, >0. */
int pb_str_cmp(struct pb_str a, struct pb_str b);

bool pb_str_starts(struct pb_str s, struct pb_str prefix);
bool pb_str_istarts(struct pb_str s, struct pb_str prefix);
bool pb_str_ends(struct pb_str s, struct pb_str suffix);

/** Offset of the first `c`, or -1. */
ptrdiff_t pb_str_chr(struct pb_str s, char c);
/** Offset of the first occurrence of `needle`, or -1; an empty needle is at 0. */
ptrdiff_t pb_str_find(struct pb_str s, struct pb_str needle);

/** From `at` to the end (at most; never past the end). */
struct pb_str pb_str_from(struct pb_str s, size_t at);
/** The first `n` bytes, or all when there are fewer. */
struct pb_str pb_str_head(struct pb_str s, size_t n);

/** Without spaces and tabs at both ends. */
struct pb_str pb_str_trim(struct pb_str s);
/** Without space, tab, VT, FF, CR and LF at both ends. */
struct pb_str pb_str_trim_space(struct pb_str s);

/**
 * Take the part of `*list` before the first `sep` into `*item` and leave the
 * rest in `*list`. A text without `sep` is one item; the empty text too; after
 * the last item `*list` is absent and the next call answers false.
 */
bool pb_str_cut(struct pb_str *list, char sep, struct pb_str *item);

/**
 * Take the first word (up to a space or tab) of `*line` and the blanks after
 * it. False when nothing but blanks is left.
 */
bool pb_str_word(struct pb_str *line, struct pb_str *word);

/**
 * When `*line` begins with `word` and the next octet is the end, a blank, CR
 * or LF: remove the word and the blanks after it, answer true. Case-sensitive.
 */
bool pb_str_skip_word(struct pb_str *line, struct pb_str word);

/**
 * The whole of `s` as a number. `base` 10 or 16, or 0 for C's prefixes (010 is
 * 8, 0x1F is 31). Leading white space and a sign are accepted.
 *
 * @return 0, -EINVAL (not a number; *out unchanged), -ERANGE (outside lo..hi;
 *         *out is the nearest bound).
 */
int pb_str_to_i64(struct pb_str s, int base, int64_t lo, int64_t hi, int64_t *out);
/** Digits only, no sign or blanks; for wire grammars. Same errors. */
int pb_str_to_u32(struct pb_str s, uint32_t lo, uint32_t hi, uint32_t *out);

/**
 * The configuration's booleans: false no off disable f, true yes on enable t,
 * exact case. Anything else answers `def`.
 */
bool pb_str_to_bool(struct pb_str s, bool def);
/** Whether `s` is one of those ten words. */
bool pb_str_is_bool(struct pb_str s);

/**
 * How far two names are apart (edits: insert, delete, change, swap), for "did
 * you mean". Names over 63 octets are never near.
 */
unsigned pb_str_distance(struct pb_str a, struct pb_str b);

static inline bool pb_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool pb_is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static inline char pb_to_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static inline char pb_to_upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
}

#endif
