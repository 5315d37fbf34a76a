/* Captures are made harmless before they are put in; the whole is looked at again. */
#include "eventlogs/mapping.h"

bool eventlogs_name_is_safe(struct pb_str name)
{
	struct pb_str left = name, part;

	if (!name.n || name.p[0] == '/')
		return false;
	while (pb_str_cut(&left, '/', &part)) {
		if (!part.n || pb_str_eq(part, PB_STR(".")) || pb_str_eq(part, PB_STR("..")))
			return false;
	}
	return true;
}

static struct pb_str harmless(struct pb_str s, struct pb_arena *a)
{
	struct pb_str copy = s.n ? pb_arena_str(a, s) : PB_STR_NULL;
	char *p = (char *)(uintptr_t)copy.p;

	for (size_t i = 0; i < copy.n; i++) {
		if (p[i] == '/' || (unsigned char)p[i] < ' ' || (p[i] == '.' && !i))
			p[i] = '_';
	}
	return copy;
}

struct pb_str eventlogs_name(const struct eventlogs_mapping *m, size_t count, struct pb_str from, struct pb_arena *a)
{
	for (size_t i = 0; i < count; i++) {
		struct pb_captures c;
		struct pb_str name;

		if (!pb_pattern_match(m[i].pattern, from, &c))
			continue;
		for (unsigned k = 0; k < PB_CAPTURES; k++)
			c.at[k] = harmless(c.at[k], a);
		name = pb_captures_expand(&c, m[i].file, a);
		return name.n < EVENTLOGS_NAME_MAX && eventlogs_name_is_safe(name) ? name : PB_STR("");
	}
	return PB_STR("");
}
