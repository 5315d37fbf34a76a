/*
 * Our own mistakes: never compiled out, never for anything from outside.
 */
#ifndef PB_BASE_ASSERT_H
#define PB_BASE_ASSERT_H

/** Print file, line and expression to stderr and abort. Any thread. */
_Noreturn void pb_assert_failed(const char *file, int line, const char *expr);

#define pb_assert(expr)                                                                            \
	(__builtin_expect(!!(expr), 1) ? (void)0 : pb_assert_failed(__FILE__, __LINE__, #expr))

#endif
