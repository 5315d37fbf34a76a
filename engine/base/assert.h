/*
 * Assertions that are never compiled out: for our own mistakes, never for
 * anything that came from outside.
 */
#ifndef PB_BASE_ASSERT_H
#define PB_BASE_ASSERT_H

/** Ends the process with "file:line: assertion failed: expression". */
#define pb_assert(expr)                                                                            \
	(__builtin_expect(!!(expr), 1) ? (void)0 : pb_assert_failed(__FILE__, __LINE__, #expr))

_Noreturn void pb_assert_failed(const char *file, int line, const char *expr);

#endif
