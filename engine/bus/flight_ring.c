/*
 * A ring of entries of different sizes.
 *
 * While it may still grow it is an ordinary growing buffer; so a short call
 * costs what it needs. Once it has its full size the next entry goes back to
 * `base`, over the oldest ones. What lies before `base` is pinned: how a call
 * began is worth more than its middle.
 */
#include "bus/flight_impl.h"

#include <errno.h>

#include "base/alloc.h"

#define FIRST_BYTES 2048u

static uint32_t whole(uint32_t n)
{
	return (uint32_t)((sizeof(struct pbi_entry_head) + n + 7) & ~(size_t)7);
}

static struct pbi_entry_head *head_at(const struct pbi_ring *r, uint32_t at)
{
	return (struct pbi_entry_head *)(void *)(r->p + at);
}

uint32_t pbi_ring_wants(const struct pbi_ring *r, uint32_t n)
{
	uint32_t size = r->size ? r->size : FIRST_BYTES, need = r->tail + whole(n);

	if (r->wrapped || r->size >= r->limit || need <= r->size)
		return 0;
	while (size < need && size < r->limit)
		size *= 2;
	return size < r->limit ? size : r->limit;
}

int pbi_ring_grow(struct pbi_ring *r, uint32_t size)
{
	char *p = pb_alloc_grow(r->p, size);

	if (!p)
		return -ENOMEM;
	r->p = p;
	r->size = size;
	return 0;
}

/* The oldest that is not pinned goes. */
static void forget_one(struct pbi_ring *r)
{
	r->head += head_at(r, r->head)->size;
	r->lost++;
	if (r->head == r->end)
		r->wrapped = false;
}

char *pbi_ring_add(struct pbi_ring *r, const struct pbi_entry_head *head, uint32_t n)
{
	uint32_t need = whole(n);

	if (need > r->size - r->base)
		return NULL;
	if (r->tail + need > r->size) {
		while (r->wrapped) /* [head, end) is older than what begins at base */
			forget_one(r);
		r->end = r->tail;
		r->head = r->tail = r->base;
		r->wrapped = r->end > r->base;
	}
	while (r->wrapped && r->tail + need > r->head)
		forget_one(r);
	r->last = r->tail;
	r->any = true;
	*head_at(r, r->tail) = *head;
	head_at(r, r->tail)->size = (uint16_t)need;
	head_at(r, r->tail)->used = (uint16_t)n;
	r->tail += need;
	return r->p + r->last + sizeof(*head);
}

char *pbi_ring_extend(struct pbi_ring *r, uint32_t n)
{
	struct pbi_entry_head *h = head_at(r, r->last);
	uint32_t used = h->used, need = whole(used + n);

	if (r->last < r->base || used + n > PBI_ENTRY_MAX || r->last + need > (r->wrapped ? r->head : r->size))
		return NULL;
	h->size = (uint16_t)need;
	h->used = (uint16_t)(used + n);
	r->tail = r->last + need;
	return r->p + r->last + sizeof(*h) + used;
}

void pbi_ring_pin(struct pbi_ring *r)
{
	if (!r->wrapped && !r->lost && !r->base && r->tail <= r->limit / 4)
		r->base = r->head = r->tail;
}

const struct pbi_entry_head *pbi_ring_next(const struct pbi_ring *r, const struct pbi_entry_head *after)
{
	uint32_t before = after ? (uint32_t)((const char *)after - r->p) : 0;
	uint32_t at = after ? before + after->size : 0;
	bool old = r->wrapped && before >= r->head;

	if (!r->any)
		return NULL;
	if (!after || before < r->base) {
		if (at < r->base)
			return head_at(r, at);
		old = r->wrapped;
		at = old ? r->head : r->base;
	}
	if (old && at >= r->end) {
		old = false;
		at = r->base;
	}
	return old || at < r->tail ? head_at(r, at) : NULL;
}

void pbi_ring_fini(struct pbi_ring *r)
{
	pb_free(r->p);
	*r = (struct pbi_ring){ 0 };
}
