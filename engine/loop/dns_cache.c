/* What the name servers said, by name and type, and what they are being asked.
 *
 * A question under way is an entry like any other, so that an equal one finds
 * it and waits too. Entries nobody looks at stand in a list, the least recently
 * used first: where the bound is reached that one gives way. What has passed
 * its time is dropped when somebody asks for it; no timer runs for it. */
#include "loop/dns_impl.h"

#include <errno.h>

#include "base/alloc.h"
#include "base/assert.h"

static uint64_t key_hash(struct pb_str name, enum pbi_dns_type type)
{
	return pb_hash_mix(pb_hash(name), (uint64_t)type);
}

static void entry_free(struct pbi_dns_entry *e)
{
	e->dns->counts.entries--;
	pb_free(e->records);
	pb_free(e);
}

/** Not found any more; it goes when nobody looks at it. */
static void unlist(struct pbi_dns_entry *e)
{
	pb_map_remove(&e->dns->entries, &e->found);
	pb_list_remove(&e->idle);
	e->listed = false;
	if (e->users == 0)
		entry_free(e);
}

static struct pbi_dns_entry *find(struct pb_dns *d, struct pb_str name, enum pbi_dns_type type)
{
	struct pb_map_node *n = pb_map_first(&d->entries, key_hash(name, type));

	for (; n; n = pb_map_next(n)) {
		struct pbi_dns_entry *e = pb_container(n, struct pbi_dns_entry, found);

		if (e->type == type && pb_str_eq(e->name, name))
			return e;
	}
	return NULL;
}

static struct pbi_dns_entry *find_fresh(struct pb_dns *d, struct pb_str name,
					enum pbi_dns_type type)
{
	struct pbi_dns_entry *e = find(d, name, type);

	if (e && !e->asking && e->until_ms <= pb_loop_now_ms(d->loop)) {
		unlist(e);
		return NULL;
	}
	return e;
}

static int make_room(struct pb_dns *d)
{
	if (d->counts.out >= PBI_DNS_OUT_MAX)
		return -EAGAIN;
	if (d->counts.entries < PBI_DNS_ENTRIES_MAX)
		return 0;
	if (pb_list_empty(&d->idle))
		return -EAGAIN;
	unlist(pb_container(d->idle.next, struct pbi_dns_entry, idle));
	return 0;
}

static struct pbi_dns_entry *entry_new(struct pb_dns *d, struct pb_str name, enum pbi_dns_type type)
{
	struct pbi_dns_entry *e = pb_alloc_zero(1, sizeof(*e) + name.n + 1);

	if (!e)
		return NULL;
	e->dns = d;
	e->type = type;
	memcpy(e->text, name.p, name.n);
	e->name = pb_str(e->text, name.n);
	pb_list_init(&e->waits);
	if (pb_map_add(&d->entries, &e->found, key_hash(name, type)) < 0) {
		pb_free(e);
		return NULL;
	}
	e->listed = true;
	d->counts.entries++;
	return e;
}

/** Ask for what is not known. The world may answer before this returns. */
static int begin(struct pb_dns *d, struct pb_str name, enum pbi_dns_type type,
		 struct pbi_dns_entry **out)
{
	struct pbi_dns_entry *e;
	int err = make_room(d);

	if (err < 0) {
		d->counts.refused++;
		return err;
	}
	e = entry_new(d, name, type);
	if (!e)
		return -ENOMEM;
	e->users = 2; /* the caller, and the world until its answer */
	e->asking = true;
	d->counts.asked++;
	d->counts.out++;
	err = d->loop->world->ops->dns_ask(d, e);
	if (err < 0)
		pbi_dns_answered(e, &(struct pbi_dns_answer){ .err = err });
	*out = e;
	return 0;
}

int pbi_dns_get(struct pb_dns *d, struct pb_str name, enum pbi_dns_type type,
		struct pbi_dns_entry **out)
{
	struct pbi_dns_entry *e = find_fresh(d, name, type);

	*out = NULL;
	if (!e)
		return begin(d, name, type, out);
	d->counts.hits++;
	e->users++;
	pb_list_remove(&e->idle);
	*out = e;
	return 0;
}

void pbi_dns_put(struct pbi_dns_entry **ep)
{
	struct pbi_dns_entry *e = *ep;

	*ep = NULL;
	if (!e)
		return;
	pb_assert(e->users > 0);
	if (--e->users > 0)
		return;
	if (e->listed)
		pb_list_push(&e->dns->idle, &e->idle);
	else
		entry_free(e);
}

/* ---- Answers ------------------------------------------------------------- */

static char *keep_target(struct pbi_dns_record *r, char *text)
{
	if (r->target.n)
		memcpy(text, r->target.p, r->target.n);
	r->target.p = text;
	return text + r->target.n;
}

static int keep_records(struct pbi_dns_entry *e, const struct pbi_dns_answer *a)
{
	size_t count = a->count < PBI_DNS_RECORDS_MAX ? a->count : PBI_DNS_RECORDS_MAX;
	size_t size = count * sizeof(*a->records);
	char *text;

	for (size_t i = 0; i < count; i++)
		size += a->records[i].target.n;
	e->records = pb_alloc(size);
	if (!e->records)
		return -ENOMEM;
	memcpy(e->records, a->records, count * sizeof(*a->records));
	text = (char *)(e->records + count);
	for (size_t i = 0; i < count; i++)
		text = keep_target(&e->records[i], text);
	e->count = count;
	return 0;
}

static uint32_t bounded_ttl(const struct pbi_dns_answer *a)
{
	uint32_t most = a->err ? PBI_DNS_NEGATIVE_MAX_S : PBI_DNS_TTL_MAX_S;

	if (a->err && a->err != -ENOENT)
		return PBI_DNS_FAILED_S;
	return a->ttl_s < most ? a->ttl_s : most;
}

void pbi_dns_answered(struct pbi_dns_entry *e, const struct pbi_dns_answer *a)
{
	struct pb_dns *d = e->dns;
	struct pb_list *n;

	pb_assert(e->asking);
	e->asking = false;
	d->counts.out--;
	e->err = a->err;
	e->until_ms = pb_loop_now_ms(d->loop) + 1000u * (uint64_t)bounded_ttl(a);
	if (!a->err && a->count)
		e->err = keep_records(e, a);
	else if (!a->err)
		e->err = -ENOENT;
	if (e->err == -ENOMEM)
		e->until_ms = 0;
	d->counts.failed += e->err && e->err != -ENOENT;
	/* Nobody joins the waiting any more; who is told may cancel others. */
	while ((n = pb_list_pop(&e->waits))) {
		struct pbi_dns_wait *w = pb_container(n, struct pbi_dns_wait, node);

		w->fn(w);
	}
	pbi_dns_put(&e);
}

void pbi_dns_cache_fini(struct pb_dns *d)
{
	struct pb_map_node *n = NULL, *next = pb_map_each(&d->entries, NULL);

	while ((n = next)) {
		struct pbi_dns_entry *e = pb_container(n, struct pbi_dns_entry, found);

		next = pb_map_each(&d->entries, n);
		e->users = 0; /* the world has given up what it was asked */
		unlist(e);
	}
	pb_map_fini(&d->entries);
}
