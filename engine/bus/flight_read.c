/*
 * Entries of a record as they are stored, taken apart. Stored are whole structs
 * and octets behind them, copied out because they lie where they fell.
 */
#include "bus/flight_impl.h"

static struct pb_str take(struct pb_str *rest, size_t n)
{
	struct pb_str s = pb_str_head(*rest, n);

	*rest = pb_str_from(*rest, n);
	return s;
}

/* The struct in front; zeroed when there is not all of it. */
static void take_struct(struct pb_str *rest, void *to, size_t n)
{
	struct pb_str s = take(rest, n);

	memset(to, 0, n);
	if (s.n == n)
		memcpy(to, s.p, n);
}

static void decode_packet(struct pb_str c, struct pb_flight_event *e)
{
	struct pbi_entry_packet p;

	take_struct(&c, &p, sizeof(p));
	e->local = p.local;
	e->peer = p.peer;
	e->bytes = p.bytes;
	e->text = c;
}

static void decode_start(struct pb_str c, struct pb_flight_event *e)
{
	struct pbi_entry_start s;

	take_struct(&c, &s, sizeof(s));
	e->parent = s.parent;
	e->text = take(&c, s.name_n);
	e->fields = c;
}

static void decode_done(struct pb_str c, struct pb_flight_event *e)
{
	struct pbi_entry_done d;

	take_struct(&c, &d, sizeof(d));
	e->took_us = d.took_us;
	e->verdict = (enum pb_verdict)d.verdict;
	e->text = take(&c, d.text_n);
	e->fields = c;
}

static void decode_resumed(struct pb_str c, struct pb_flight_event *e)
{
	struct pbi_entry_resumed r;

	take_struct(&c, &r, sizeof(r));
	e->took_us = r.took_us;
	e->verdict = (enum pb_verdict)r.verdict;
}

static void decode_note(struct pb_str c, struct pb_flight_event *e)
{
	struct pbi_entry_note n;

	take_struct(&c, &n, sizeof(n));
	e->object = take(&c, n.object_n);
	e->text = c;
}

void pbi_flight_decode(const struct pbi_entry_head *h, struct pb_flight_event *e)
{
	struct pb_str c = { (const char *)(h + 1), h->used };

	*e = (struct pb_flight_event){
		.kind = (enum pb_flight_kind)h->kind,
		.no = h->no,
		.at_us = (uint64_t)h->at_high << 32 | h->at_low,
		.out = h->flags & PBI_ENTRY_OUT,
		.cut = h->flags & PBI_ENTRY_CUT,
	};
	switch (e->kind) {
	case PB_FLIGHT_PACKET:
		decode_packet(c, e);
		break;
	case PB_FLIGHT_START:
		decode_start(c, e);
		break;
	case PB_FLIGHT_HANDLERS:
		e->fields = c;
		break;
	case PB_FLIGHT_HELD:
		e->text = c;
		break;
	case PB_FLIGHT_RESUMED:
	case PB_FLIGHT_EXPIRED:
		decode_resumed(c, e);
		break;
	case PB_FLIGHT_DONE:
	case PB_FLIGHT_GIVEN_UP:
		decode_done(c, e);
		break;
	case PB_FLIGHT_STATE:
	case PB_FLIGHT_NOTE:
		decode_note(c, e);
		break;
	}
}

static bool handler_field(struct pb_str *fields, struct pb_flight_field *out)
{
	struct pbi_field_handler h;

	if (fields->n < sizeof(h))
		return false;
	take_struct(fields, &h, sizeof(h));
	out->verdict = (enum pb_verdict)h.verdict;
	out->took_us = h.took_us;
	out->name = take(fields, h.name_n);
	return true;
}

bool pb_flight_field(const struct pb_flight_event *e, struct pb_str *fields, struct pb_flight_field *out)
{
	struct pbi_field_param p;

	*out = (struct pb_flight_field){ 0 };
	if (e->kind == PB_FLIGHT_HANDLERS)
		return handler_field(fields, out);
	if (fields->n < sizeof(p))
		return false;
	take_struct(fields, &p, sizeof(p));
	out->cut = p.flags & PBI_FIELD_CUT;
	out->name = take(fields, p.name_n);
	out->value = take(fields, p.value_n);
	if (p.flags & PBI_FIELD_SECRET)
		out->value = PB_STR_NULL;
	return true;
}
