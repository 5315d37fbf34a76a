/*
 * A loop's store of records: slots that are named by handle, a map of keys,
 * three lists (in use, ended badly, ended well) and one budget of memory.
 *
 * Whoever needs memory when the budget is used up takes it from the oldest
 * record that has ended, the good ones first. Records in use are never taken:
 * when nothing else is left, a ring stops growing and a new record is refused.
 */
#include "bus/flight_impl.h"

#include <errno.h>

#include "base/alloc.h"

#define CHUNK 64u

/* ---- The store ------------------------------------------------------------------------ */

static uint32_t share(uint64_t n, unsigned loops)
{
	uint64_t each = (n + loops - 1) / loops;

	return each < UINT32_MAX ? (uint32_t)each : UINT32_MAX;
}

int pbi_flights_new(struct pb_loop *l, const struct pb_flight_args *args, unsigned loops, struct pbi_flights **out)
{
	struct pbi_flights *fs = pb_alloc_zero(1, sizeof(*fs));

	*out = fs;
	if (!fs)
		return -ENOMEM;
	fs->loop = l;
	fs->index = (uint16_t)pb_loop_index(l);
	fs->ring_bytes = share(args->ring_bytes, 1) & ~7u;
	fs->budget = share(args->total_bytes, loops);
	fs->keep = share(args->keep, loops);
	fs->keep_good = share(args->keep_good, loops);
	fs->age_us = args->age_ms * 1000;
	pbi_secrets_init(&fs->secrets);
	pb_list_init(&fs->active);
	pb_list_init(&fs->bad);
	pb_list_init(&fs->good);
	return 0;
}

static struct pbi_flight *at(const struct pbi_flights *fs, uint32_t slot)
{
	return &fs->chunks[slot / CHUNK][slot % CHUNK];
}

void pbi_flights_free(struct pbi_flights **fsp)
{
	struct pbi_flights *fs = *fsp;

	if (!fs)
		return;
	*fsp = NULL;
	for (uint32_t i = 0; i < fs->slot_count; i++) {
		struct pbi_flight *f = at(fs, i);

		for (unsigned k = 0; k < f->key_count; k++)
			pb_free(f->keys[k]);
		pbi_ring_fini(&f->ring);
	}
	for (uint32_t i = 0; i < fs->slot_count / CHUNK; i++)
		pb_free(fs->chunks[i]);
	for (unsigned i = 0; i < fs->spare_count; i++)
		pb_free(fs->spare[i]);
	pb_free(fs->chunks);
	pb_map_fini(&fs->keys);
	pb_free(fs);
}

static bool more_slots(struct pbi_flights *fs)
{
	struct pbi_flight **chunks = pb_alloc_grow(fs->chunks, (fs->slot_count / CHUNK + 1) * sizeof(*chunks));
	struct pbi_flight *c;

	if (!chunks)
		return false;
	fs->chunks = chunks;
	c = pb_alloc_zero(CHUNK, sizeof(*c));
	if (!c)
		return false;
	fs->chunks[fs->slot_count / CHUNK] = c;
	for (uint32_t i = CHUNK; i-- > 0;) {
		c[i].slot = fs->slot_count + i;
		c[i].gen = 1;
		c[i].next_free = fs->free_slot;
		fs->free_slot = c[i].slot + 1;
	}
	fs->slot_count += CHUNK;
	return true;
}

/* ---- Memory ----------------------------------------------------------------------------- */

static void charge(struct pbi_flights *fs, struct pbi_flight *f, size_t n)
{
	f->bytes += n;
	fs->bytes += n;
}

/* Rings of full size come and go with every call: a few are kept at hand, which
 * the budget does not count. */
static void ring_free(struct pbi_flights *fs, struct pbi_ring *r)
{
	if (r->p && r->size == fs->ring_bytes && fs->spare_count < sizeof(fs->spare) / sizeof(fs->spare[0])) {
		fs->spare[fs->spare_count++] = r->p;
		r->p = NULL;
	}
	pbi_ring_fini(r);
}

static void record_free(struct pbi_flights *fs, struct pbi_flight *f)
{
	fs->bytes -= f->bytes;
	f->bytes = 0;
	for (unsigned i = 0; i < f->key_count; i++) {
		pb_map_remove(&fs->keys, &f->keys[i]->by_key);
		pb_free(f->keys[i]);
	}
	f->key_count = 0;
	ring_free(fs, &f->ring);
	pb_list_remove(&f->node);
	f->used = false;
	if (!++f->gen)
		f->gen = 1;
	f->next_free = fs->free_slot;
	fs->free_slot = f->slot + 1;
}

static void drop_oldest(struct pbi_flights *fs, struct pb_list *list)
{
	struct pbi_flight *f = pb_container(list->next, struct pbi_flight, node);

	if (list == &fs->good)
		fs->good_count--;
	else
		fs->bad_count--;
	record_free(fs, f);
}

/* Room for `n` more octets, at the cost of ended records but not of `keep`. */
static bool make_room(struct pbi_flights *fs, size_t n, const struct pbi_flight *keep)
{
	while (fs->bytes + n > fs->budget) {
		if (!pb_list_empty(&fs->good) && fs->good.next != &keep->node)
			drop_oldest(fs, &fs->good);
		else if (!pb_list_empty(&fs->bad) && fs->bad.next != &keep->node)
			drop_oldest(fs, &fs->bad);
		else
			return false;
	}
	return true;
}

static bool is_old(const struct pbi_flights *fs, const struct pb_list *list, uint64_t now)
{
	const struct pbi_flight *f = pb_container(list->next, struct pbi_flight, node);

	return !pb_list_empty(list) && f->ended_us + fs->age_us <= now;
}

static void drop_superfluous(struct pbi_flights *fs)
{
	uint64_t now = pb_loop_now_us(fs->loop);

	while (fs->good_count > fs->keep_good || is_old(fs, &fs->good, now))
		drop_oldest(fs, &fs->good);
	while (fs->bad_count > fs->keep || is_old(fs, &fs->bad, now))
		drop_oldest(fs, &fs->bad);
}

/* ---- Finding ----------------------------------------------------------------------------- */

static struct pbi_flights *here(struct pb_bus *b)
{
	struct pb_loop *l = pb_loop_current();

	return l && pb_loop_set(l) == b->loops ? pbi_on(b, l)->flights : NULL;
}

struct pbi_flight *pbi_flight_of(struct pbi_flights *fs, struct pb_handle h)
{
	struct pbi_flight *f;

	if (!fs || !h.gen || h.loop != fs->index || h.slot >= fs->slot_count)
		return NULL;
	f = at(fs, h.slot);
	return f->used && f->gen == h.gen ? f : NULL;
}

static struct pb_handle handle_of(const struct pbi_flights *fs, const struct pbi_flight *f)
{
	return (struct pb_handle){ .slot = f->slot, .gen = f->gen, .loop = fs->index };
}

static struct pbi_flight *by_key(const struct pbi_flights *fs, struct pb_str key)
{
	if (!key.n || !fs->keys.count)
		return NULL;
	for (struct pb_map_node *n = pb_map_first(&fs->keys, pb_hash(key)); n; n = pb_map_next(n)) {
		struct pbi_flight_key *k = pb_container(n, struct pbi_flight_key, by_key);

		if (pb_str_eq(k->text, key))
			return k->of;
	}
	return NULL;
}

/* ---- Life --------------------------------------------------------------------------------- */

static bool key_add(struct pbi_flights *fs, struct pbi_flight *f, struct pb_str text)
{
	size_t n = sizeof(struct pbi_flight_key) + text.n;
	struct pbi_flight_key *k;

	if (f->key_count == PBI_FLIGHT_KEYS || !make_room(fs, n, f))
		return false;
	k = pb_alloc(n);
	if (!k)
		return false;
	*k = (struct pbi_flight_key){ .of = f, .text = { (char *)(k + 1), text.n } };
	memcpy(k + 1, text.p, text.n);
	if (pb_map_add(&fs->keys, &k->by_key, pb_hash(text))) {
		pb_free(k);
		return false;
	}
	f->keys[f->key_count++] = k;
	charge(fs, f, n);
	return true;
}

static struct pbi_flight *record_new(struct pbi_flights *fs, struct pb_str key)
{
	struct pbi_flight *f;
	uint32_t gen, slot;

	drop_superfluous(fs);
	if (!make_room(fs, sizeof(*f) + key.n, NULL) || (!fs->free_slot && !more_slots(fs)))
		return NULL;
	f = at(fs, fs->free_slot - 1);
	fs->free_slot = f->next_free;
	slot = f->slot;
	gen = f->gen;
	*f = (struct pbi_flight){ .slot = slot, .gen = gen, .used = true };
	f->ring.limit = fs->ring_bytes;
	f->began_us = pb_loop_read_us(fs->loop);
	f->began_wall_us = pb_loop_wall_us(fs->loop);
	pb_list_push(&fs->active, &f->node);
	charge(fs, f, sizeof(*f));
	if (key.n && !key_add(fs, f, key)) {
		record_free(fs, f);
		return NULL;
	}
	fs->counts.begun++;
	return f;
}

/* Its first user. */
static void wake(struct pbi_flights *fs, struct pbi_flight *f)
{
	if (f->ended_us) {
		*(f->bad ? &fs->bad_count : &fs->good_count) -= 1;
		pb_list_remove(&f->node);
		pb_list_push(&fs->active, &f->node);
		f->ended_us = 0;
	}
	fs->active_count++;
}

struct pb_handle pb_flight_begin(struct pb_bus *b, struct pb_str key, enum pb_flight_begun *how)
{
	struct pbi_flights *fs = here(b);
	struct pbi_flight *f = fs ? by_key(fs, key) : NULL;

	*how = f ? PB_FLIGHT_AGAIN : PB_FLIGHT_MADE;
	if (!fs || !fs->ring_bytes)
		return (struct pb_handle){ 0 };
	if (!f)
		f = record_new(fs, key);
	if (!f) {
		fs->counts.refused++;
		return (struct pb_handle){ 0 };
	}
	if (f->users++) {
		*how = PB_FLIGHT_JOINED;
	} else {
		wake(fs, f);
		f->judged = false;
	}
	return handle_of(fs, f);
}

struct pb_handle pb_flight_use(struct pb_bus *b, struct pb_handle h)
{
	struct pbi_flights *fs = here(b);
	struct pbi_flight *f = pbi_flight_of(fs, h);

	if (!f)
		return (struct pb_handle){ 0 };
	if (!f->users++)
		wake(fs, f);
	return h;
}

static uint8_t put_text(char to[PBI_FLIGHT_TEXT], struct pb_str s)
{
	s = pb_str_head(s, PBI_FLIGHT_TEXT);
	if (s.n)
		memcpy(to, s.p, s.n);
	return (uint8_t)s.n;
}

static void settle(struct pbi_flights *fs, struct pbi_flight *f)
{
	if (!f->judged)
		f->bad = true;
	f->ended_us = pb_loop_now_us(fs->loop);
	if (!f->ended_us)
		f->ended_us = 1;
	fs->active_count--;
	if (f->bad)
		fs->counts.failed++;
	*(f->bad ? &fs->bad_count : &fs->good_count) += 1;
	pb_list_remove(&f->node);
	pb_list_push(f->bad ? &fs->bad : &fs->good, &f->node);
	drop_superfluous(fs);
}

void pb_flight_end(struct pb_bus *b, struct pb_handle h, enum pb_flight_outcome how, struct pb_str cause)
{
	struct pbi_flights *fs = here(b);
	struct pbi_flight *f = pbi_flight_of(fs, h);

	if (!f || !f->users)
		return;
	if (how != PB_FLIGHT_NO_OPINION) {
		f->judged = true;
		f->bad = how == PB_FLIGHT_BADLY;
		f->cause_n = put_text(f->cause, cause);
	}
	if (!--f->users)
		settle(fs, f);
}

void pb_flight_key(struct pb_bus *b, struct pb_handle h, struct pb_str key)
{
	struct pbi_flights *fs = here(b);
	struct pbi_flight *f = pbi_flight_of(fs, h);

	if (!f || !key.n)
		return;
	for (unsigned i = 0; i < f->key_count; i++) {
		if (pb_str_eq(f->keys[i]->text, key))
			return;
	}
	key_add(fs, f, key);
}

void pb_flight_about(struct pb_bus *b, struct pb_handle h, struct pb_str what, struct pb_str caller,
		     struct pb_str called)
{
	struct pbi_flight *f = pbi_flight_of(here(b), h);

	if (!f)
		return;
	if (what.p)
		f->what_n = put_text(f->what, what);
	if (caller.p)
		f->caller_n = put_text(f->caller, caller);
	if (called.p)
		f->called_n = put_text(f->called, called);
}

/* ---- Entries -------------------------------------------------------------------------------- */

static bool enlarge(struct pbi_flights *fs, struct pbi_ring *r, uint32_t size)
{
	if (r->size || size != fs->ring_bytes || !fs->spare_count)
		return !pbi_ring_grow(r, size);
	r->p = fs->spare[--fs->spare_count];
	r->size = size;
	return true;
}

static bool grow(struct pbi_flights *fs, struct pbi_flight *f, uint32_t n)
{
	uint32_t size = pbi_ring_wants(&f->ring, n), before = f->ring.size;

	/* With room to spare it gets all at once: growing means copying. */
	if (size && !before && fs->bytes < fs->budget / 2)
		size = f->ring.limit;
	if (!size || !make_room(fs, size - before, f) || !enlarge(fs, &f->ring, size))
		return f->ring.size > 0;
	charge(fs, f, size - before);
	return true;
}

char *pbi_flight_add(struct pbi_flights *fs, struct pbi_flight *f, enum pb_flight_kind kind, unsigned flags,
		     uint32_t no, uint32_t n, uint64_t now_us)
{
	uint64_t at_us = now_us > f->began_us ? now_us - f->began_us : 0;
	struct pbi_entry_head h = {
		.kind = (uint8_t)kind,
		.flags = (uint8_t)flags,
		.no = no,
		.at_high = (uint32_t)(at_us >> 32),
		.at_low = (uint32_t)at_us,
	};

	return n <= PBI_ENTRY_MAX && grow(fs, f, n) ? pbi_ring_add(&f->ring, &h, n) : NULL;
}

void pbi_flight_added(struct pbi_flights *fs, struct pbi_flight *f)
{
	struct pb_flight_event e;

	if (!fs->follow || !f->chosen)
		return;
	pbi_flight_decode((const struct pbi_entry_head *)(const void *)(f->ring.p + f->ring.last), &e);
	fs->follow(fs->follow_arg, handle_of(fs, f), &e, &f->chosen);
}

bool pb_flight_wants(struct pb_bus *b, struct pb_str key)
{
	struct pbi_flights *fs = here(b);

	return fs && (fs->follow || by_key(fs, key));
}

/* The longest text that leaves room for others in the same ring. */
static struct pb_str packet_text(const struct pbi_flights *fs, struct pb_str text)
{
	uint32_t most = PBI_ENTRY_MAX - sizeof(struct pbi_entry_packet);

	return pb_str_head(text, most < fs->ring_bytes / 8 ? most : fs->ring_bytes / 8);
}

static void follow_packet(struct pbi_flights *fs, struct pbi_flight *f, const struct pb_flight_packet *p)
{
	uint64_t now = pb_loop_read_us(fs->loop);
	bool chosen = false;
	struct pb_flight_event e = {
		.kind = PB_FLIGHT_PACKET,
		.at_us = f && now > f->began_us ? now - f->began_us : 0,
		.out = p->out,
		.bytes = (uint32_t)p->text.n,
		.local = p->local,
		.peer = p->peer,
		.text = p->text,
	};

	fs->follow(fs->follow_arg, f ? handle_of(fs, f) : (struct pb_handle){ 0 }, &e, f ? &f->chosen : &chosen);
}

bool pb_flight_packet(struct pb_bus *b, struct pb_str key, const struct pb_flight_packet *p)
{
	struct pbi_flights *fs = here(b);
	struct pbi_flight *f = fs ? by_key(fs, key) : NULL;
	struct pbi_entry_packet head = { p->local, p->peer, (uint32_t)p->text.n };
	struct pb_str text;
	unsigned flags;
	char *c;

	if (!fs)
		return false;
	if (fs->follow && !p->told) /* with its whole text, before it is cut */
		follow_packet(fs, f, p);
	if (!f)
		return fs->follow != NULL;
	text = packet_text(fs, p->text);
	flags = (p->out ? PBI_ENTRY_OUT : 0) | (text.n < p->text.n ? PBI_ENTRY_CUT : 0);
	c = pbi_flight_add(fs, f, PB_FLIGHT_PACKET, flags, 0, (uint32_t)(sizeof(head) + text.n),
			   pb_loop_read_us(fs->loop));
	if (!c)
		return true;
	memcpy(c, &head, sizeof(head));
	memcpy(c + sizeof(head), text.p, text.n);
	pbi_ring_pin(&f->ring); /* only the first: how it began */
	return true;
}

static void note(struct pb_bus *b, struct pb_handle h, enum pb_flight_kind kind, struct pb_str object,
		 struct pb_str text)
{
	struct pbi_flights *fs = here(b);
	struct pbi_flight *f = pbi_flight_of(fs, h);
	struct pbi_entry_note head;
	char *c;

	if (!f)
		return;
	object = pb_str_head(object, 64);
	text = pb_str_head(text, 256);
	head.object_n = (uint8_t)object.n;
	c = pbi_flight_add(fs, f, kind, 0, 0, (uint32_t)(sizeof(head) + object.n + text.n),
			   pb_loop_read_us(fs->loop));
	if (!c)
		return;
	memcpy(c, &head, sizeof(head));
	memcpy(c + sizeof(head), object.n ? object.p : "", object.n);
	memcpy(c + sizeof(head) + object.n, text.n ? text.p : "", text.n);
	pbi_flight_added(fs, f);
}

void pb_flight_state(struct pb_bus *b, struct pb_handle h, struct pb_str object, struct pb_str state)
{
	note(b, h, PB_FLIGHT_STATE, object, state);
}

void pb_flight_note(struct pb_bus *b, struct pb_handle h, struct pb_str object, struct pb_str text)
{
	note(b, h, PB_FLIGHT_NOTE, object, text);
}

void pb_flight_follow(struct pb_bus *b, pb_flight_follow_fn fn, void *arg)
{
	struct pbi_flights *fs = here(b);

	if (!fs)
		return;
	fs->follow = fn;
	fs->follow_arg = arg;
	for (uint32_t i = 0; i < fs->slot_count; i++)
		at(fs, i)->chosen = false;
}

/* ---- Looking ------------------------------------------------------------------------------------ */

static void describe(const struct pbi_flights *fs, const struct pbi_flight *f, struct pb_flight_info *out)
{
	uint64_t now = pb_loop_read_us(fs->loop);
	uint64_t until = f->users ? now : f->ended_us;

	*out = (struct pb_flight_info){
		.handle = handle_of(fs, f),
		.ended = !f->users,
		.failed = !f->users && f->bad,
		.began_us = f->began_wall_us,
		.lasted_us = until > f->began_us ? until - f->began_us : 0,
		.ended_ago_us = now > until ? now - until : 0,
		.what = { f->what, f->what_n },
		.caller = { f->caller, f->caller_n },
		.called = { f->called, f->called_n },
		.cause = { f->cause, f->cause_n },
		.key_count = f->key_count,
		.lost = f->ring.lost,
		.bytes = f->bytes,
	};
	for (unsigned i = 0; i < f->key_count; i++)
		out->keys[i] = f->keys[i]->text;
}

bool pb_flight_info(struct pb_bus *b, struct pb_handle h, struct pb_flight_info *out)
{
	struct pbi_flights *fs = here(b);
	struct pbi_flight *f = pbi_flight_of(fs, h);

	if (f)
		describe(fs, f, out);
	return f != NULL;
}

bool pb_flight_find(struct pb_bus *b, struct pb_str key, struct pb_flight_info *out)
{
	struct pbi_flights *fs = here(b);
	struct pbi_flight *f;

	if (!fs)
		return false;
	drop_superfluous(fs);
	f = by_key(fs, key);
	if (f)
		describe(fs, f, out);
	return f != NULL;
}

static bool list_one(const struct pbi_flights *fs, const struct pb_list *list,
		     bool (*fn)(void *arg, const struct pb_flight_info *f), void *arg)
{
	pb_list_each(n, list) {
		struct pb_flight_info info;

		describe(fs, pb_container(n, struct pbi_flight, node), &info);
		if (!fn(arg, &info))
			return false;
	}
	return true;
}

void pb_flight_list(struct pb_bus *b, bool (*fn)(void *arg, const struct pb_flight_info *f), void *arg)
{
	struct pbi_flights *fs = here(b);

	if (!fs)
		return;
	drop_superfluous(fs);
	if (list_one(fs, &fs->active, fn, arg) && list_one(fs, &fs->bad, fn, arg))
		list_one(fs, &fs->good, fn, arg);
}

void pb_flight_read(struct pb_bus *b, struct pb_handle h, bool (*fn)(void *arg, const struct pb_flight_event *e),
		    void *arg)
{
	struct pbi_flight *f = pbi_flight_of(here(b), h);
	const struct pbi_entry_head *h1 = NULL;
	struct pb_flight_event e;

	while (f && (h1 = pbi_ring_next(&f->ring, h1))) {
		pbi_flight_decode(h1, &e);
		if (!fn(arg, &e))
			return;
	}
}

struct pb_flight_counts pb_flight_count(struct pb_bus *b)
{
	struct pbi_flights *fs = here(b);
	struct pb_flight_counts c = { 0 };

	if (!fs)
		return c;
	c = fs->counts;
	c.active = fs->active_count;
	c.kept = fs->bad_count + fs->good_count;
	c.bytes = fs->bytes;
	return c;
}
