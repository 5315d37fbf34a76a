/* What a holder changes: a list of edits, or a whole new content. */
#include "bus/bus_impl.h"

#include "base/alloc.h"

#define PATCH_LIMIT (1u << 20)

enum edit { EDIT_SET, EDIT_CLEAR, EDIT_RETVAL, EDIT_NAME };

struct step {
	struct step *next;
	enum edit what;
	struct pb_str name, value;
};

struct pb_patch {
	struct pb_arena *arena;
	struct step *first, **last;
	struct pb_msg *whole;
};

struct pb_patch *pb_patch_new(void)
{
	struct pb_arena *a = pb_arena_new(PATCH_LIMIT);
	struct pb_patch *p = a ? pb_arena_alloc(a, sizeof(*p)) : NULL;

	if (!p) {
		pb_arena_free(&a);
		return NULL;
	}
	p->arena = a;
	p->last = &p->first;
	return p;
}

void pb_patch_free(struct pb_patch **pp)
{
	struct pb_patch *p = *pp;
	struct pb_arena *a;

	if (!p)
		return;
	*pp = NULL;
	pb_msg_free(&p->whole);
	a = p->arena;
	pb_arena_free(&a);
}

static void step_add(struct pb_patch *p, enum edit what, struct pb_str name, struct pb_str value)
{
	struct step *s = p ? pb_arena_alloc(p->arena, sizeof(*s)) : NULL;

	if (!s)
		return;
	s->what = what;
	s->name = pb_arena_str(p->arena, name);
	s->value = pb_arena_str(p->arena, value);
	*p->last = s;
	p->last = &s->next;
}

void pb_patch_set(struct pb_patch *p, struct pb_str name, struct pb_str value)
{
	step_add(p, EDIT_SET, name, value);
}

void pb_patch_clear(struct pb_patch *p, struct pb_str name)
{
	step_add(p, EDIT_CLEAR, name, PB_STR_NULL);
}

void pb_patch_retval(struct pb_patch *p, struct pb_str text)
{
	step_add(p, EDIT_RETVAL, PB_STR_NULL, text);
}

void pb_patch_name(struct pb_patch *p, struct pb_str name)
{
	step_add(p, EDIT_NAME, name, PB_STR_NULL);
}

void pb_patch_replace(struct pb_patch *p, struct pb_msg **m)
{
	if (!p) {
		pb_msg_free(m);
		return;
	}
	pb_msg_free(&p->whole);
	p->whole = *m;
	*m = NULL;
}

/* The content changes hands; what the walk relies on stays: the flag, the
 * deadline, and the count of renamings must tell that the name is another. */
void pbi_msg_take_over(struct pb_msg *m, struct pb_msg *by)
{
	bool broadcast = m->b.broadcast, renamed = !pb_str_eq(m->b.name, by->b.name);
	uint64_t deadline = m->b.deadline_us;
	uint32_t count = m->b.renamed;
	struct pb_handle chan = m->b.chan, flight = m->b.flight;

	pb_msg_swap(m, by);
	m->b.broadcast = broadcast;
	m->b.deadline_us = deadline;
	m->b.flight = flight;
	m->b.renamed = count + renamed;
	if (!pb_handle_is_set(m->b.chan))
		m->b.chan = chan;
}

void pbi_patch_apply(struct pb_patch *p, struct pb_msg *m)
{
	if (!p)
		return;
	if (p->whole)
		pbi_msg_take_over(m, p->whole);
	for (const struct step *s = p->first; s; s = s->next) {
		switch (s->what) {
		case EDIT_SET:
			pb_msg_set(m, s->name, s->value);
			break;
		case EDIT_CLEAR:
			pb_msg_clear(m, s->name);
			break;
		case EDIT_RETVAL:
			pb_msg_set_retval(m, s->value);
			break;
		case EDIT_NAME:
			pb_msg_set_name(m, s->name);
			break;
		}
	}
}
