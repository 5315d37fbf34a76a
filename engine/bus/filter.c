/* Filters of handlers and hooks: what the first parameter of a name must be. */
#include "bus/bus_impl.h"

int pbi_filter_make(struct pbi_filter *f, struct pb_arena *a, struct pb_str name,
		    struct pb_str value, struct pb_str regexp)
{
	f->name = pb_arena_str(a, name);
	f->value = pb_arena_str(a, value);
	f->by_pattern = regexp.p != NULL;
	return f->by_pattern ? pb_pattern_new_negatable(regexp, 0, a, &f->pattern, &f->negate, NULL)
			     : 0;
}

bool pbi_filter_passes(const struct pbi_filter *f, const struct pb_msg *m)
{
	struct pb_str v;

	if (!f->name.p && !f->fn)
		return true;
	v = pb_msg_get(m, f->name);
	if (!v.p)
		v = PB_STR("");
	if (f->fn)
		return f->fn(f->arg, v);
	if (f->by_pattern)
		return pb_pattern_match(f->pattern, v, NULL) != f->negate;
	return pb_str_eq(v, f->value);
}
