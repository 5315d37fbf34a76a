/*
 * The walk of a message, as its record tells it: where it starts and with which
 * parameters, each handler's verdict and time, holds, and what came of it.
 *
 * A parameter is written when it has been set since it was last written, so the
 * same message asked under three names is written once, with what each handler
 * added. Headers of SIP and the list of handlers are left out: the packet and
 * the walk are in the record themselves. Handlers that follow each other share
 * one entry, which grows while it is the newest.
 */
#include "bus/flight_impl.h"

#include "bus/names.h"

#define NAME_MAX_BYTES 64u
#define VALUE_MAX_BYTES 80u
#define FIELDS_MAX_BYTES 768u
#define TEXT_MAX_BYTES 160u

static struct pbi_flights *store(const struct pb_msg *m)
{
	return m->w.on->flights;
}

/* ---- Secrets ------------------------------------------------------------------------------ */

static uint64_t length_bit(size_t n)
{
	return 1ull << (n < 63 ? n : 63);
}

/* A row may stand for all names that begin so. */
static void filter_add(uint64_t by_first[256], struct pb_str name)
{
	if (name.n)
		by_first[(unsigned char)name.p[0]] |= ~(length_bit(name.n) - 1);
}

void pbi_secrets_init(struct pbi_secrets *s)
{
	const struct pb_name_param *p;
	const struct pb_name_message *m;

	for (size_t i = 0; (p = pb_name_param_at(i)); i++) {
		if (p->flags & PB_NAME_SECRET)
			filter_add(s->params, p->name);
	}
	for (size_t i = 0; (m = pb_name_message_at(i)); i++) {
		if (m->flags & PB_NAME_SECRET_RETVAL)
			filter_add(s->retvals, m->name);
	}
}

static bool may_be(const uint64_t by_first[256], struct pb_str name)
{
	return name.n && (by_first[(unsigned char)name.p[0]] & length_bit(name.n));
}

static bool is_secret(const struct pbi_secrets *s, struct pb_str message, struct pb_str name)
{
	return may_be(s->params, name) && pb_name_is_secret(message, name);
}

static bool is_retval_secret(const struct pbi_secrets *s, struct pb_str message)
{
	const struct pb_name_message *row = may_be(s->retvals, message) ? pb_name_message(message) : NULL;

	return row && (row->flags & PB_NAME_SECRET_RETVAL);
}

/* ---- Parameters ------------------------------------------------------------------------------- */

/* Told elsewhere in the record, or too long to be of use. */
static bool is_left_out(const struct pb_msg *m, const struct pb_param *p)
{
	if (p->name.n > 4 && p->name.p[0] == 's')
		return !memcmp(p->name.p, "sip_", 4) || pb_str_eq(p->name, PB_STR("sdp_raw"));
	return m->b.tracked.n && pb_str_eq(p->name, m->b.tracked);
}

static bool is_touched(const struct pb_msg *m, uint32_t i)
{
	return m->b.touched >> (i < 63 ? i : 63) & 1;
}

static char *put(char *c, struct pb_str s)
{
	if (s.n)
		memcpy(c, s.p, s.n);
	return c + s.n;
}

static char *put_field(char *c, const struct pb_msg *m, const struct pb_param *p)
{
	struct pb_str name = pb_str_head(p->name, NAME_MAX_BYTES), value = pb_str_head(p->value, VALUE_MAX_BYTES);
	struct pbi_field_param head = { .name_n = (uint8_t)name.n };

	if (is_secret(&store(m)->secrets, m->b.name, p->name)) {
		head.flags = PBI_FIELD_SECRET;
		value.n = 0;
	} else if (value.n < p->value.n) {
		head.flags = PBI_FIELD_CUT;
	}
	head.value_n = (uint8_t)value.n;
	memcpy(c, &head, sizeof(head));
	return put(put(c + sizeof(head), name), value);
}

/* What has been set since the last time, into `to` of FIELDS_MAX_BYTES. */
static uint32_t put_fields(struct pb_msg *m, char *to, bool *cut)
{
	size_t most = sizeof(struct pbi_field_param) + NAME_MAX_BYTES + VALUE_MAX_BYTES;
	char *c = to;

	for (uint32_t i = 0; i < m->b.count && m->b.touched; i++) {
		const struct pb_param *p = &m->b.params[i];

		if (!is_touched(m, i) || is_left_out(m, p))
			continue;
		if ((size_t)(c - to) + most > FIELDS_MAX_BYTES) {
			*cut = true;
			break;
		}
		c = put_field(c, m, p);
	}
	m->b.touched = 0;
	return (uint32_t)(c - to);
}

/* ---- Entries ------------------------------------------------------------------------------------- */

/* Head, text and fields as one entry. */
static void add(struct pb_msg *m, struct pbi_flight *f, enum pb_flight_kind kind, struct pb_str head,
		struct pb_str text, bool with_fields, uint64_t now)
{
	char fields[FIELDS_MAX_BYTES];
	bool cut = false;
	uint32_t n = with_fields ? put_fields(m, fields, &cut) : 0;
	char *c = pbi_flight_add(store(m), f, kind, cut ? PBI_ENTRY_CUT : 0, m->w.flight_no,
				 (uint32_t)(head.n + text.n) + n, now);

	if (!c)
		return;
	put(put(put(c, head), text), pb_str(fields, n));
	pbi_flight_added(store(m), f);
}

static struct pb_str octets(const void *p, size_t n)
{
	return pb_str(p, n);
}

void pbi_flight_walk_start(struct pb_msg *m)
{
	struct pbi_flight *f = pbi_flight_of(store(m), m->b.flight);
	const struct pb_msg *outer = m->w.on->running;
	struct pb_str name = pb_str_head(m->b.name, NAME_MAX_BYTES);
	struct pbi_entry_start head = { .name_n = (uint8_t)name.n };

	m->w.flight_no = 0;
	if (!f) {
		if (m->b.flight.loop == m->w.on->index) /* gone for good */
			m->b.flight = (struct pb_handle){ 0 };
		return;
	}
	if (outer && outer->b.flight.gen == m->b.flight.gen && outer->b.flight.slot == m->b.flight.slot)
		head.parent = outer->w.flight_no;
	m->w.flight_no = ++f->walks;
	m->w.flight_secret = is_retval_secret(&store(m)->secrets, m->b.name);
	m->w.flight_us = m->w.flight_began_us = pb_loop_read_us(m->w.on->loop);
	add(m, f, PB_FLIGHT_START, octets(&head, sizeof(head)), name, true, m->w.flight_us);
}

static uint32_t since(uint64_t then, uint64_t now)
{
	uint64_t us = now > then ? now - then : 0;

	return us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

/* The newest entry, when handlers of the same walk are still being added to it. */
static bool goes_on(const struct pbi_flights *fs, const struct pbi_flight *f, uint32_t no)
{
	const struct pbi_entry_head *h = (const void *)(f->ring.p + f->ring.last);

	return !fs->follow && f->ring.any && h->kind == PB_FLIGHT_HANDLERS && h->no == no;
}

void pbi_flight_walk_handler(struct pb_msg *m, const struct pb_reg *r, enum pb_verdict v)
{
	struct pbi_flights *fs = store(m);
	struct pbi_flight *f = pbi_flight_of(fs, m->b.flight);
	struct pb_str name = r->track.n ? pb_str_head(r->track, NAME_MAX_BYTES) : PB_STR("-");
	uint64_t now = f ? pb_loop_read_us(m->w.on->loop) : 0;
	struct pbi_field_handler head = { .verdict = (uint8_t)v, .name_n = (uint8_t)name.n };
	uint32_t n = (uint32_t)(sizeof(head) + name.n);
	char *c = NULL;

	if (!f)
		return;
	head.took_us = since(m->w.flight_us, now);
	m->w.flight_us = now;
	if (goes_on(fs, f, m->w.flight_no))
		c = pbi_ring_extend(&f->ring, n);
	if (!c)
		c = pbi_flight_add(fs, f, PB_FLIGHT_HANDLERS, 0, m->w.flight_no, n, now);
	if (!c)
		return;
	memcpy(c, &head, sizeof(head));
	memcpy(c + sizeof(head), name.p, name.n);
	pbi_flight_added(fs, f);
}

void pbi_flight_walk_held(struct pb_msg *m)
{
	struct pbi_flight *f = pbi_flight_of(store(m), m->b.flight);
	struct pb_str name = m->w.reg->track.n ? pb_str_head(m->w.reg->track, NAME_MAX_BYTES) : PB_STR("-");

	if (f)
		add(m, f, PB_FLIGHT_HELD, name, PB_STR_NULL, false, pb_loop_read_us(m->w.on->loop));
}

void pbi_flight_walk_resumed(struct pb_msg *m, uint64_t since_us, enum pb_verdict v, bool expired)
{
	struct pbi_flight *f = pbi_flight_of(store(m), m->b.flight);
	uint64_t now = f ? pb_loop_read_us(m->w.on->loop) : 0;
	struct pbi_entry_resumed head = { .verdict = (uint8_t)v };

	if (!f)
		return;
	head.took_us = since(since_us, now);
	m->w.flight_us = now;
	add(m, f, expired ? PB_FLIGHT_EXPIRED : PB_FLIGHT_RESUMED, octets(&head, sizeof(head)), PB_STR_NULL, false,
	    now);
}

void pbi_flight_walk_end(struct pb_msg *m)
{
	struct pbi_flight *f = pbi_flight_of(store(m), m->b.flight);
	uint64_t now = f ? pb_loop_read_us(m->w.on->loop) : 0;
	struct pb_str text = pb_str_head(m->b.retval, TEXT_MAX_BYTES);
	struct pbi_entry_done head = { .verdict = m->w.handled ? PB_HANDLED : PB_PASS };

	if (!f || !m->w.flight_no)
		return;
	if (text.n && (m->w.flight_secret || is_retval_secret(&store(m)->secrets, m->b.name)))
		text = PB_STR("(hidden)");
	head.text_n = (uint8_t)text.n;
	head.took_us = since(m->w.flight_began_us, now);
	add(m, f, m->w.cancelled ? PB_FLIGHT_GIVEN_UP : PB_FLIGHT_DONE, octets(&head, sizeof(head)), text, true, now);
	m->w.flight_no = 0;
}

/* ---- The handle in a message ------------------------------------------------------------------------ */

struct pb_handle pb_msg_flight(const struct pb_msg *m)
{
	return m->b.flight;
}

void pb_msg_set_flight(struct pb_msg *m, struct pb_handle h)
{
	m->b.flight = h;
}
