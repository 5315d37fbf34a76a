/*
 * ${name} and ${name$default}. The text is walked twice, first to measure and
 * then to write, so that the result is one allocation of its exact size.
 */
#include "bus/conf.h"

struct walk {
	struct pb_str (*get)(void *arg, struct pb_str name);
	void *arg;
	char *out; /* NULL: measure only */
	size_t n, room;
};

static void put(struct walk *w, struct pb_str s)
{
	if (w->out && s.n > w->room - w->n) /* `get` changed its mind in between */
		s.n = w->room - w->n;
	if (w->out && s.n)
		memcpy(w->out + w->n, s.p, s.n);
	w->n += s.n;
}

static void put_reference(struct walk *w, struct pb_str inside)
{
	struct pb_str name, value, rest = pb_str_trim(inside);

	pb_str_cut(&rest, '$', &name);
	value = w->get ? w->get(w->arg, pb_str_trim(name)) : PB_STR_NULL;
	put(w, value.p ? value : pb_str_trim(rest));
}

static void walk_text(struct walk *w, struct pb_str text)
{
	for (;;) {
		ptrdiff_t at = pb_str_find(text, PB_STR("${"));
		struct pb_str after = pb_str_from(text, (size_t)at + 2);
		ptrdiff_t end = at < 0 ? -1 : pb_str_chr(after, '}');

		if (end < 0) {
			put(w, text);
			return;
		}
		put(w, pb_str_head(text, (size_t)at));
		put_reference(w, pb_str_head(after, (size_t)end));
		text = pb_str_from(after, (size_t)end + 1);
	}
}

struct pb_str pb_expand(struct pb_str text, struct pb_str (*get)(void *arg, struct pb_str name),
			void *arg, struct pb_arena *into)
{
	struct walk w = { .get = get, .arg = arg };

	if (!text.p)
		return text;
	walk_text(&w, text);
	w.room = w.n;
	w.out = pb_arena_bytes(into, w.n + 1);
	if (!w.out)
		return PB_STR_NULL;
	w.n = 0;
	walk_text(&w, text);
	w.out[w.n] = '\0';
	return pb_str(w.out, w.n);
}
