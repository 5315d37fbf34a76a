/*
 * Registering: handlers and hooks come and go.
 *
 * Each change makes a new table under the bus's one mutex and sends it to every
 * loop; the loop that asked has it at once. What a removal needs to tell when
 * all loops have come that far is allocated with the handler, so that removing
 * cannot fail.
 */
#include "bus/bus_impl.h"

#include <errno.h>

#include "base/alloc.h"

#define REG_LIMIT (1u << 16)

/* ---- A change on its way ------------------------------------------------------ */

/* A change on its way to one loop; without a fresh table it is only the word
 * that the loop has come this far. */
struct change_part {
	struct pb_work work;
	struct pbi_change *of;
	struct pbi_bus_loop *pl;
	struct pbi_table_ref *fresh;
};

struct pbi_change {
	atomic_uint left;
	struct pb_loop *home;
	struct pb_work tell;
	void (*known)(void *arg);
	void *arg;
	struct change_part parts[];
};

static void change_tell(void *arg)
{
	struct pbi_change *c = arg;
	struct pb_bus *b = c->parts[0].pl->bus;

	if (c->home && pb_loop_set(c->home) == b->loops)
		pbi_arrived(pbi_on(b, c->home));
	if (c->known)
		c->known(c->arg);
	pb_free(c);
}

/* A loop applies its own changes at once, and may meet an older one of another
 * thread in its mailbox afterwards: the newest stays. */
static void take_over(struct pbi_bus_loop *pl, struct pbi_table_ref *fresh)
{
	struct pbi_table_ref *old = pl->table;

	if (old->table->version > fresh->table->version) {
		old = fresh;
	} else {
		pl->table = fresh;
	}
	old->current = false;
	pbi_table_ref_release(old);
}

static void change_done(struct pbi_change *c)
{
	struct pb_bus *b = c->parts[0].pl->bus;

	if (atomic_fetch_sub(&c->left, 1) != 1)
		return;
	if (!c->home) {
		change_tell(c);
	} else if (pb_loop_set(c->home) == b->loops) {
		pbi_post(pbi_on(b, c->home), &c->tell, change_tell, c);
	} else {
		c->tell = (struct pb_work){ .fn = change_tell, .arg = c };
		pb_loop_post(c->home, &c->tell);
	}
}

static void change_arrives(void *arg)
{
	struct change_part *p = arg;

	if (p->fresh)
		take_over(p->pl, p->fresh);
	change_done(p->of);
}

static void change_travelled(void *arg)
{
	struct change_part *p = arg;

	pbi_arrived(p->pl);
	change_arrives(arg);
}

static struct pbi_change *change_new(const struct pb_bus *b)
{
	size_t n = pb_loops_count(b->loops);

	return pb_alloc_zero(1, sizeof(struct pbi_change) + n * sizeof(struct change_part));
}

/* A reference to `t` for each loop, or none at all. */
static bool change_load(struct pb_bus *b, struct pbi_change *c, struct pbi_table *t)
{
	unsigned n = pb_loops_count(b->loops), made = 0;

	while (made < n && (c->parts[made].fresh = pb_alloc_zero(1, sizeof(struct pbi_table_ref))))
		made++;
	for (unsigned i = 0; i < made; i++) {
		if (made < n) {
			pb_free(c->parts[i].fresh);
			c->parts[i].fresh = NULL;
			continue;
		}
		atomic_fetch_add(&t->refs, 1);
		*c->parts[i].fresh = (struct pbi_table_ref){ .table = t, .current = true };
	}
	return made == n;
}

/* Under the lock, so that every loop's mailbox gets tables in the same order. */
static void change_send(struct pb_bus *b, struct pbi_change *c, void (*known)(void *), void *arg)
{
	unsigned n = pb_loops_count(b->loops);

	atomic_init(&c->left, n + 1);
	c->home = pb_loop_current();
	c->known = known;
	c->arg = arg;
	for (unsigned i = 0; i < n; i++) {
		struct change_part *p = &c->parts[i];

		p->of = c;
		p->pl = &b->on[i];
		if (p->pl->loop == c->home)
			change_arrives(p);
		else
			pbi_post(p->pl, &p->work, change_travelled, p);
	}
	change_done(c);
}

/* A number for its counters: one given back, or a new one with room to give it
 * back later. */
static bool number_take(struct pb_bus *b, struct pb_reg *r)
{
	if (b->number_count) {
		r->number = b->numbers[--b->number_count];
		return true;
	}
	if (b->next_number == b->number_room) {
		uint32_t room = b->number_room * 2 + 64;
		uint32_t *p = pb_alloc_grow(b->numbers, room * sizeof(*p));

		if (!p)
			return false;
		b->numbers = p;
		b->number_room = room;
	}
	r->number = b->next_number++;
	return true;
}

static void row_place(struct pb_reg *r)
{
	r->row_chunk = r->number / PBI_REGS_CHUNK;
	r->row_bytes = r->number % PBI_REGS_CHUNK * (uint32_t)sizeof(struct pbi_reg_count);
	if (r->row_chunk > PBI_REGS_CHUNKS)
		r->row_chunk = PBI_REGS_CHUNKS; /* never made: not counted */
}

static void number_give(struct pb_bus *b, const struct pb_reg *r)
{
	b->numbers[b->number_count++] = r->number;
}

static void table_is(struct pb_bus *b, struct pbi_table *t)
{
	pbi_table_unref(b->table);
	b->table = t;
}

static int add(struct pb_bus *b, struct pb_reg *r, void (*known)(void *), void *arg)
{
	struct pbi_change *c = change_new(b);
	struct pbi_table *t = NULL;
	int err = -ENOMEM;

	r->removal = change_new(b);
	pthread_mutex_lock(&b->lock);
	if (c && r->removal && number_take(b, r)) {
		r->seq = ++b->next_seq;
		row_place(r);
		r->label = r->track.n ? pbi_label(b->labels, r->track) : PBI_LABEL_OTHERS;
		t = pbi_table_make(b, b->table, r, NULL);
		if (t && change_load(b, c, t)) {
			table_is(b, t);
			change_send(b, c, known, arg);
			c = NULL;
			err = 0;
		} else {
			number_give(b, r);
			pbi_table_unref(t);
		}
	}
	pthread_mutex_unlock(&b->lock);
	pb_free(c);
	return err;
}

/* Without memory for a new table the dead entry stays in the old one, is
 * skipped, and leaves with the next change. */
static void drop(struct pb_bus *b, struct pb_reg *r, void (*gone)(void *), void *arg)
{
	struct pbi_change *c = r->removal;
	struct pbi_table *t;

	r->removal = NULL;
	pthread_mutex_lock(&b->lock);
	t = pbi_table_make(b, b->table, NULL, r);
	if (t && change_load(b, c, t))
		table_is(b, t);
	else
		pbi_table_unref(t);
	number_give(b, r);
	change_send(b, c, gone, arg);
	pthread_mutex_unlock(&b->lock);
}

/* ---- Handlers and hooks ------------------------------------------------------- */

static struct pb_reg *reg_new(struct pb_bus *b)
{
	struct pb_arena *a = pb_arena_new(REG_LIMIT);
	struct pb_reg *r = a ? pb_arena_alloc(a, sizeof(*r)) : NULL;

	if (!r) {
		pb_arena_free(&a);
		return NULL;
	}
	r->arena = a;
	r->bus = b;
	atomic_init(&r->refs, 1);
	atomic_init(&r->care, 0);
	return r;
}

int pb_bus_add(struct pb_bus *b, const struct pb_handler_args *args, void (*known)(void *arg),
	       void *known_arg, struct pb_reg **out)
{
	struct pb_reg *r;
	int err;

	*out = NULL;
	if (!args->fn || (args->place == PB_HOME && !args->home) ||
	    (args->place == PB_OWNER && !args->owner_param.n))
		return -EINVAL;
	r = reg_new(b);
	if (!r)
		return -ENOMEM;
	r->h = *args;
	r->h.message = pb_arena_str(r->arena, args->message.p ? args->message : PB_STR(""));
	r->h.owner_param = pb_arena_str(r->arena, args->owner_param);
	r->h.owner_else = pb_arena_str(r->arena, args->owner_else);
	r->h.owner_prefix = pb_arena_str(r->arena, args->owner_prefix);
	r->fn = args->fn;
	r->h.track = pb_arena_str(r->arena, args->track);
	if (args->track.n)
		r->track =
			pb_arena_printf(r->arena, "%.*s:%u", PB_STR_F(args->track), args->priority);
	r->ready = args->arg ? NULL : args->contexts;
	r->filter.fn = args->filter;
	r->filter.arg = args->arg;
	err = pbi_filter_make(&r->filter, r->arena, args->filter_name, args->filter_value,
			      args->filter_regexp);
	if (args->place != PB_HERE || args->filter_name.p || args->filter)
		atomic_init(&r->care, PBI_CARE_PLACE);
	r->breaker.misses = pb_arena_alloc(r->arena, b->args.breaker_misses * sizeof(*r->breaker.misses));
	r->parked_max = args->parked_max ? args->parked_max : b->args.parked_max;
	if (!err)
		err = pb_arena_failed(r->arena) ? -ENOMEM : add(b, r, known, known_arg);
	if (err) {
		pbi_reg_unref(r);
		return err;
	}
	if (!r->h.message.n)
		pb_log(&pbi_bus_log, &pbi_bus_rows[PBI_BUS_BROADCAST],
		       "Registered broadcast message handler '%.*s'", PB_STR_F(r->track));
	*out = r;
	return 0;
}

int pb_bus_hook_add(struct pb_bus *b, const struct pb_hook_args *args, struct pb_reg **out)
{
	struct pb_reg *r = reg_new(b);
	int err;

	*out = NULL;
	if (!r)
		return -ENOMEM;
	r->is_hook = true;
	r->hook = *args;
	r->ready = args->arg ? NULL : args->contexts;
	r->hook.message = pb_arena_str(r->arena, args->message);
	err = pbi_filter_make(&r->filter, r->arena, args->filter_name, args->filter_value,
			      args->filter_regexp);
	if (!err)
		err = pb_arena_failed(r->arena) ? -ENOMEM : add(b, r, NULL, NULL);
	if (err) {
		pbi_reg_unref(r);
		return err;
	}
	*out = r;
	return 0;
}

void pb_bus_remove(struct pb_bus *b, struct pb_reg **rp, void (*gone)(void *arg), void *gone_arg)
{
	struct pb_reg *r = *rp;

	if (!r)
		return;
	*rp = NULL;
	atomic_fetch_or(&r->care, PBI_CARE_DEAD);
	drop(b, r, gone, gone_arg);
	pbi_reg_unref(r);
}
