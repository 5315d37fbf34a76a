/* Name servers of the simulated world: a list of records that the test wrote.
 * An answer takes its time on the loop's own clock; nothing is on the wire. */
#include "loop/dns_impl.h"

#include <errno.h>

#include "base/alloc.h"
#include "loop/sim.h"

struct sim_record {
	struct pb_list node;
	enum pbi_dns_type type;
	uint32_t ttl_s;
	struct pbi_dns_record record; /* its target views `text`, behind the name */
	struct pb_str name;
	char text[];
};

/** A question on its way. */
struct asking {
	struct pb_list node; /* on the resolver's list */
	struct pb_timer timer;
	struct pbi_dns_entry *entry;
};

/* ---- What the servers know ----------------------------------------------- */

static int parse_type(const char *type, enum pbi_dns_type *out)
{
	static const struct {
		const char *word;
		enum pbi_dns_type type;
	} rows[] = { { "A", PBI_DNS_A }, { "AAAA", PBI_DNS_AAAA }, { "SRV", PBI_DNS_SRV } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (strcmp(rows[i].word, type) == 0) {
			*out = rows[i].type;
			return 0;
		}
	}
	return -EINVAL;
}

static int parse_srv(struct pb_str data, struct pbi_dns_record *r)
{
	uint16_t *const fields[] = { &r->priority, &r->weight, &r->port };
	struct pb_str word;
	uint32_t n;

	for (size_t i = 0; i < 3; i++) {
		if (!pb_str_word(&data, &word) || pb_str_to_u32(word, 0, 65535, &n))
			return -EINVAL;
		*fields[i] = (uint16_t)n;
	}
	if (!pb_str_word(&data, &word))
		return -EINVAL;
	r->target = pb_str_eq(word, PB_STR(".")) ? PB_STR("") : word;
	return 0;
}

static int parse_data(enum pbi_dns_type type, struct pb_str data, struct pbi_dns_record *r)
{
	if (type == PBI_DNS_SRV)
		return parse_srv(data, r);
	if (pb_addr_parse(data, 0, &r->addr) < 0 ||
	    pb_addr_is_v6(&r->addr) != (type == PBI_DNS_AAAA))
		return -EINVAL;
	return 0;
}

int pb_sim_dns_add(struct pb_sim *s, const char *name, const char *type, unsigned ttl_s,
		   const char *data)
{
	struct pb_str n = pb_str_z(name);
	struct pbi_dns_record record = { 0 };
	struct sim_record *r;
	enum pbi_dns_type t;

	if (parse_type(type, &t) || parse_data(t, pb_str_z(data), &record))
		return -EINVAL;
	r = pb_alloc_zero(1, sizeof(*r) + n.n + record.target.n);
	if (!r)
		return -ENOMEM;
	r->type = t;
	r->ttl_s = ttl_s;
	r->record = record;
	memcpy(r->text, n.p, n.n);
	r->name = pb_str(r->text, n.n);
	if (record.target.n)
		memcpy(r->text + n.n, record.target.p, record.target.n);
	r->record.target = pb_str(r->text + n.n, record.target.n);
	pb_list_push(&s->names.records, &r->node);
	return 0;
}

void pb_sim_dns_clear(struct pb_sim *s)
{
	struct pb_list *n;

	while ((n = pb_list_pop(&s->names.records)))
		pb_free(pb_container(n, struct sim_record, node));
}

void pb_sim_dns_set(struct pb_sim *s, const struct pb_sim_dns *how)
{
	s->names.how = *how;
}

/* ---- Answers ------------------------------------------------------------- */

static size_t find_records(const struct pbi_sim_names *names, const struct pbi_dns_entry *e,
			   struct pbi_dns_record *out, uint32_t *ttl_s)
{
	size_t n = 0;

	*ttl_s = names->how.negative_ttl_s;
	pb_list_each (it, &names->records) {
		const struct sim_record *r = pb_container(it, struct sim_record, node);

		if (r->type != e->type || !pb_str_ieq(r->name, e->name) || n == PBI_DNS_RECORDS_MAX)
			continue;
		*ttl_s = n && *ttl_s < r->ttl_s ? *ttl_s : r->ttl_s;
		out[n++] = r->record;
	}
	return n;
}

static void on_time(void *arg)
{
	struct asking *k = arg;
	struct pbi_dns_entry *e = k->entry;
	const struct pbi_sim_names *names = &pbi_sim(e->dns->loop->world)->names;
	struct pbi_dns_record records[PBI_DNS_RECORDS_MAX];
	struct pbi_dns_answer a = { .records = records };

	pb_list_remove(&k->node);
	pb_free(k);
	a.count = find_records(names, e, records, &a.ttl_s);
	a.err = names->how.silent ? -ETIMEDOUT : a.count ? 0 : -ENOENT;
	pbi_dns_answered(e, &a);
}

int pbi_sim_dns_ask(struct pb_dns *d, struct pbi_dns_entry *e)
{
	const struct pb_sim_dns *how = &pbi_sim(d->loop->world)->names.how;
	struct asking *k = pb_alloc_zero(1, sizeof(*k));

	if (!k)
		return -ENOMEM;
	k->entry = e;
	pb_list_push(d->side, &k->node);
	pb_timer_init(&k->timer, on_time, k);
	pb_timer_start(d->loop, &k->timer, how->silent ? 3 * pbi_dns_try_ms(d) : how->delay_ms);
	return 0;
}

int pbi_sim_dns_open(struct pb_dns *d)
{
	struct pb_list *asked = pb_alloc(sizeof(*asked));

	d->side = asked;
	if (!asked)
		return -ENOMEM;
	pb_list_init(asked);
	return 0;
}

void pbi_sim_dns_close(struct pb_dns *d)
{
	struct pb_list *n;

	while (d->side && (n = pb_list_pop(d->side))) {
		struct asking *k = pb_container(n, struct asking, node);

		pb_timer_stop(&k->timer);
		pb_free(k);
	}
	pb_free(d->side);
	d->side = NULL;
}
