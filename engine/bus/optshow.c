/* Values of options as text, and whether two settings have the same. */
#include "bus/opt.h"

static void show_int(const struct pb_opt *row, int64_t v, struct pb_text *t)
{
	if (row->unit && !strcmp(row->unit, "octal"))
		pb_text_addf(t, "0%llo", (unsigned long long)v);
	else
		pb_text_addi(t, v);
}

void pb_opt_show(const struct pb_opt *row, const void *settings, struct pb_text *t)
{
	const char *at = (const char *)settings + row->at;
	struct pb_str s = PB_STR_NULL;
	int64_t i;
	bool b;
	int w;

	if (row->flags & PB_OPT_SECRET) {
		if (row->type == PB_OPT_STR)
			memcpy(&s, at, sizeof(s));
		if (row->type != PB_OPT_STR || s.n)
			pb_text_lit(t, "(hidden)");
		return;
	}
	switch (row->type) {
	case PB_OPT_BOOL:
		memcpy(&b, at, sizeof(b));
		pb_text_add(t, b ? PB_STR("yes") : PB_STR("no"));
		break;
	case PB_OPT_INT:
		memcpy(&i, at, sizeof(i));
		show_int(row, i, t);
		break;
	case PB_OPT_WORD:
		memcpy(&w, at, sizeof(w));
		pb_text_add(t, pb_str_z(row->words[w]));
		break;
	case PB_OPT_STR:
	case PB_OPT_ADDR:
		memcpy(&s, at, sizeof(s));
		pb_text_add(t, s);
		break;
	case PB_OPT_OTHER:
	case PB_OPT_END:
		break;
	}
}

bool pb_opt_same(const struct pb_opt *row, const void *a, const void *b)
{
	const char *x = (const char *)a + row->at, *y = (const char *)b + row->at;
	struct pb_str s, t;

	switch (row->type) {
	case PB_OPT_BOOL:
		return *(const bool *)x == *(const bool *)y;
	case PB_OPT_INT:
		return !memcmp(x, y, sizeof(int64_t));
	case PB_OPT_WORD:
		return !memcmp(x, y, sizeof(int));
	case PB_OPT_STR:
	case PB_OPT_ADDR:
		memcpy(&s, x, sizeof(s));
		memcpy(&t, y, sizeof(t));
		return pb_str_eq(s, t);
	case PB_OPT_OTHER:
	case PB_OPT_END:
		break;
	}
	return true;
}
