/*
 * Records from inside: the ring, the record, a loop's store of them. For the
 * files of engine/bus only.
 */
#ifndef PB_BUS_FLIGHT_IMPL_H
#define PB_BUS_FLIGHT_IMPL_H

#include "base/map.h"
#include "bus/bus_impl.h"
#include "bus/flight.h"

/* ---- Ring ------------------------------------------------------------------------ */

/* Before each entry's content; multiples of 8 octets. */
struct pbi_entry_head {
	uint16_t size; /* with this head and the padding */
	uint16_t used; /* content */
	uint8_t kind, flags;
	uint16_t spare;
	uint32_t no; /* of the walk */
	uint32_t at_high, at_low; /* us since the record began */
};
#define PBI_ENTRY_OUT 1u
#define PBI_ENTRY_CUT 2u
#define PBI_ENTRY_MAX 4096u /* content */

/*
 * Entries in the order [0, base) (pinned), then [head, end) when wrapped, then
 * [base, tail). Grows by doubling until `limit`, then forgets the oldest.
 */
struct pbi_ring {
	char *p;
	uint32_t size, limit;
	uint32_t base, head, end, tail, last; /* last: offset of the newest entry */
	bool wrapped, any;
	uint32_t lost;
};

/* How much it would like to grow: 0 when it need not for `n` octets of content. */
uint32_t pbi_ring_wants(const struct pbi_ring *r, uint32_t n);
/* @return 0 or -ENOMEM. */
int pbi_ring_grow(struct pbi_ring *r, uint32_t size);
/* Room for an entry; its content is the caller's to fill in. NULL: larger than the ring. */
char *pbi_ring_add(struct pbi_ring *r, const struct pbi_entry_head *head, uint32_t n);
/* The newest entry goes on with `n` octets, when that costs no older one; else NULL. */
char *pbi_ring_extend(struct pbi_ring *r, uint32_t n);
/* The entries there are now stay for good. Once, while nothing has been lost. */
void pbi_ring_pin(struct pbi_ring *r);
/* The next entry: start with NULL. */
const struct pbi_entry_head *pbi_ring_next(const struct pbi_ring *r, const struct pbi_entry_head *after);
void pbi_ring_fini(struct pbi_ring *r);

/* ---- Record ------------------------------------------------------------------------- */

#define PBI_FLIGHT_KEYS 16u
#define PBI_FLIGHT_TEXT 48u

struct pbi_flight_key {
	struct pb_map_node by_key;
	struct pbi_flight *of;
	struct pb_str text; /* behind the struct */
};

struct pbi_flight {
	struct pb_list node; /* in one of the store's lists */
	uint32_t slot, gen;
	bool used, judged, bad, chosen;
	unsigned users;
	uint32_t walks; /* numbers given */
	uint64_t began_us, began_wall_us, ended_us; /* ended: while without users */
	struct pbi_ring ring;
	size_t bytes; /* of keys and ring, as counted by the store */
	struct pbi_flight_key *keys[PBI_FLIGHT_KEYS];
	unsigned key_count;
	uint8_t what_n, caller_n, called_n, cause_n;
	char what[PBI_FLIGHT_TEXT], caller[PBI_FLIGHT_TEXT], called[PBI_FLIGHT_TEXT], cause[PBI_FLIGHT_TEXT];
	uint32_t next_free; /* slot + 1 */
};

/*
 * Which names may be secret at all, by first octet and length (bit 63: 63 and
 * longer): nearly none is, and the table of names need not be asked.
 */
struct pbi_secrets {
	uint64_t params[256], retvals[256];
};
void pbi_secrets_init(struct pbi_secrets *s);

/* ---- A loop's store ------------------------------------------------------------------- */

struct pbi_flights {
	struct pb_loop *loop;
	uint16_t index;
	uint32_t ring_bytes;
	size_t budget, bytes;
	unsigned keep, keep_good, bad_count, good_count, active_count;
	uint64_t age_us;
	struct pbi_flight **chunks;
	uint32_t slot_count, free_slot;
	struct pb_map keys;
	struct pb_list active, bad, good; /* oldest first */
	char *spare[16]; /* rings of full size, to be used again */
	unsigned spare_count;
	struct pb_flight_counts counts;
	struct pbi_secrets secrets;
	pb_flight_follow_fn follow;
	void *follow_arg;
};

int pbi_flights_new(struct pb_loop *l, const struct pb_flight_args *args, unsigned loops, struct pbi_flights **out);
void pbi_flights_free(struct pbi_flights **fs);
struct pbi_flight *pbi_flight_of(struct pbi_flights *fs, struct pb_handle h);
/*
 * An entry of `n` octets; older records give way for it. NULL: no room. The
 * content is filled in by the caller, who then calls pbi_flight_added.
 */
char *pbi_flight_add(struct pbi_flights *fs, struct pbi_flight *f, enum pb_flight_kind kind, unsigned flags,
		     uint32_t no, uint32_t n, uint64_t now_us);
void pbi_flight_added(struct pbi_flights *fs, struct pbi_flight *f);
void pbi_flight_decode(const struct pbi_entry_head *h, struct pb_flight_event *e);

/* ---- Contents: written by flight_walk.c and flight.c, read by flight_read.c ------------- */

struct pbi_entry_packet {
	struct pb_addr local, peer;
	uint32_t bytes; /* the text follows */
};
struct pbi_entry_start {
	uint32_t parent;
	uint8_t name_n; /* the name follows, then fields */
};
struct pbi_entry_done {
	uint32_t took_us;
	uint8_t verdict, text_n; /* the text follows, then fields */
};
/* HELD: the text alone. RESUMED, EXPIRED: this one. */
struct pbi_entry_resumed {
	uint32_t took_us;
	uint8_t verdict;
};
/* STATE, NOTE: this, object, text. */
struct pbi_entry_note {
	uint8_t object_n;
};
/* A field of START and DONE: this, name, value. */
struct pbi_field_param {
	uint8_t name_n, value_n, flags;
};
#define PBI_FIELD_SECRET 1u
#define PBI_FIELD_CUT 2u
/* A field of HANDLERS: this and the name. */
struct pbi_field_handler {
	uint32_t took_us;
	uint8_t verdict, name_n;
};

/* ---- In the walk (flight_walk.c): called for messages that have a record ----------------- */

void pbi_flight_walk_start(struct pb_msg *m);
void pbi_flight_walk_handler(struct pb_msg *m, const struct pb_reg *r, enum pb_verdict v);
void pbi_flight_walk_held(struct pb_msg *m);
void pbi_flight_walk_resumed(struct pb_msg *m, uint64_t since_us, enum pb_verdict v, bool expired);
void pbi_flight_walk_end(struct pb_msg *m);

/* What is made inside a handler is written where its message is. */
static inline void pbi_flight_inherit(struct pb_msg *m, const struct pb_msg *outer)
{
	if (outer && !m->b.flight.gen)
		m->b.flight = outer->b.flight;
}

static inline bool pbi_is_recorded(const struct pb_msg *m)
{
	return __builtin_expect(m->b.flight.gen != 0, 0);
}

#endif
