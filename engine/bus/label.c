/*
 * Labels: names of messages and handlers under a number, for ever, so that a
 * watchdog or a crash handler can read who has a loop.
 *
 * A loop stores the numbers with one relaxed store per call (walk.c); the texts
 * they stand for are written once, before the number is given away, and freed
 * with the bus. Names made up at run time find room up to a bound and share one
 * label beyond it.
 */
#include "bus/bus_impl.h"

#include "base/alloc.h"

#define TEXT_BYTES 64
#define CHUNK      256
#define CHUNKS     64 /* 16384 labels, a megabyte at most */
#define SLOTS      (CHUNK * CHUNKS * 2)

struct pbi_labels {
	_Atomic unsigned count;
	char (*_Atomic chunks[CHUNKS])[TEXT_BYTES];
	uint16_t slots[SLOTS]; /* by hash of the text; under the bus's lock */
};

static uint32_t hash(struct pb_str s)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)s.p[i]) * 16777619u;
	return h ^ h >> 15;
}

const char *pbi_label_text(const struct pbi_labels *l, uint16_t label)
{
	char(*chunk)[TEXT_BYTES];

	if (label >= atomic_load_explicit(&l->count, memory_order_acquire))
		return "";
	chunk = atomic_load_explicit(&l->chunks[label / CHUNK], memory_order_relaxed);
	return chunk[label % CHUNK];
}

static bool add(struct pbi_labels *l, struct pb_str text)
{
	unsigned n = PBI_GET(l->count);
	char(*chunk)[TEXT_BYTES];

	if (n == CHUNK * CHUNKS)
		return false;
	chunk = PBI_GET(l->chunks[n / CHUNK]);
	if (!chunk) {
		chunk = pb_alloc_zero(CHUNK, TEXT_BYTES);
		if (!chunk)
			return false;
		PBI_PUT(l->chunks[n / CHUNK], chunk);
	}
	if (text.n)
		memcpy(chunk[n % CHUNK], text.p, text.n);
	atomic_store_explicit(&l->count, n + 1, memory_order_release);
	return true;
}

uint16_t pbi_label(struct pbi_labels *l, struct pb_str text)
{
	uint32_t at;

	text = pb_str(text.p, text.n < TEXT_BYTES ? text.n : TEXT_BYTES - 1);
	for (at = hash(text) % SLOTS; l->slots[at]; at = (at + 1) % SLOTS) {
		if (pb_str_eq(pb_str_z(pbi_label_text(l, l->slots[at])), text))
			return l->slots[at];
	}
	if (!add(l, text))
		return PBI_LABEL_OTHERS;
	l->slots[at] = (uint16_t)(PBI_GET(l->count) - 1);
	return l->slots[at];
}

struct pbi_labels *pbi_labels_new(void)
{
	struct pbi_labels *l = pb_alloc_zero(1, sizeof(*l));

	if (!l)
		return NULL;
	if (!add(l, PB_STR("")) || pbi_label(l, PB_STR("(others)")) != PBI_LABEL_OTHERS)
		pbi_labels_free(&l);
	return l;
}

void pbi_labels_free(struct pbi_labels **lp)
{
	struct pbi_labels *l = *lp;

	if (!l)
		return;
	*lp = NULL;
	for (unsigned i = 0; i < CHUNKS; i++)
		pb_free(PBI_GET(l->chunks[i]));
	pb_free(l);
}

/* By hand: it runs in signal handlers. */
static void copy(char to[TEXT_BYTES], const char *from)
{
	for (unsigned i = 0; i < TEXT_BYTES; i++)
		to[i] = from[i];
}

bool pb_bus_doing(const struct pb_bus *b, unsigned loop, struct pb_bus_doing *out)
{
	static const char nothing[TEXT_BYTES];
	uint64_t doing = loop < PB_LOOPS_MAX ? PBI_GET(b->on[loop].doing) : 0;
	const char *message = pbi_label_text(b->labels, (uint16_t)(doing >> 16));
	const char *handler = pbi_label_text(b->labels, (uint16_t)doing);

	copy(out->message, *message ? message : nothing);
	copy(out->handler, *handler ? handler : nothing);
	out->call = doing >> 32;
	return (uint32_t)doing != 0;
}
