/* Out of line, so that an assertion costs its test and a jump never taken. */
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

void pb_assert_failed(const char *file, int line, const char *expr)
{
	fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, expr);
	abort();
}
