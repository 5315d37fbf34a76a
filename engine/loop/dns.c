/* A caller's question: a name becomes a list of addresses in at most two steps,
 * SRV records and then the addresses of all their targets at once (RFC 3263
 * section 4.2 without NAPTR). Each step takes entries of the cache and waits
 * for those that have no answer yet; one timer bounds the whole. */
#include "loop/dns_impl.h"

#include <errno.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/text.h"

struct target {
	uint16_t port;
	struct pbi_dns_entry *entries[2]; /* A, AAAA; NULL: not asked */
};

struct pb_dns_query {
	struct pb_list node; /* on pb_dns.queries */
	struct pb_dns *dns;
	struct pb_dns_query **at;
	struct pb_dns_args args; /* `host` views `name` */
	struct pb_timer limit;
	struct pbi_dns_entry *srv; /* until its targets are known */
	struct target targets[PBI_DNS_TARGETS_MAX];
	unsigned target_count, waiting;
	struct pbi_dns_wait waits[2 * PBI_DNS_TARGETS_MAX];
	int err; /* of what could not be asked */
	char name[PBI_DNS_NAME_MAX + 1];
};

static void finish(struct pb_dns_query *q, int err);

/* ---- Names --------------------------------------------------------------- */

static bool is_label(struct pb_str s)
{
	if (s.n < 1 || s.n > 63)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (!pb_is_alpha(s.p[i]) && !pb_is_digit(s.p[i]) && s.p[i] != '-' && s.p[i] != '_')
			return false;
	}
	return true;
}

static bool is_number(struct pb_str s)
{
	size_t i = 0;

	while (i < s.n && pb_is_digit(s.p[i]))
		i++;
	return i == s.n;
}

/** Lower case, without a dot at the end; absent: that is no host name. */
static struct pb_str canonical(struct pb_str host, char buf[PBI_DNS_NAME_MAX + 1])
{
	struct pb_str rest, label = PB_STR_NULL;

	if (host.n && host.p[host.n - 1] == '.')
		host.n--;
	if (host.n > PBI_DNS_NAME_MAX)
		return PB_STR_NULL;
	rest = host;
	while (pb_str_cut(&rest, '.', &label)) {
		if (!is_label(label))
			return PB_STR_NULL;
	}
	if (is_number(label)) /* "192.0.2" is a broken address (RFC 1123 section 2.1) */
		return PB_STR_NULL;
	for (size_t i = 0; i < host.n; i++)
		buf[i] = pb_to_lower(host.p[i]);
	buf[host.n] = '\0';
	return pb_str(buf, host.n);
}

static uint16_t usual_port(const struct pb_dns_args *a)
{
	return a->port ? a->port : a->usual_port;
}

/* ---- What needs no server ------------------------------------------------ */

static size_t localhost(unsigned families, struct pb_addr *out)
{
	size_t n = 0;

	if (families & PB_DNS_V4)
		pb_addr_parse(PB_STR("127.0.0.1"), 0, &out[n++]);
	if (families & PB_DNS_V6)
		pb_addr_parse(PB_STR("::1"), 0, &out[n++]);
	return n;
}

/** RFC 6761 section 6.3 for localhost; then the file. 0: ask. */
static size_t find_local(const struct pb_dns *d, struct pb_str name, unsigned families,
			 struct pb_addr *out)
{
	if (pb_str_eq(name, PB_STR("localhost")) || pb_str_ends(name, PB_STR(".localhost")))
		return localhost(families, out);
	return d ? pbi_hosts_find(d->common->hosts, name, families, out, PB_DNS_ADDRS_MAX) : 0;
}

/** @return whether fn has been called. */
static bool answer_at_once(const struct pb_dns *d, const struct pb_dns_args *a, struct pb_str name)
{
	struct pb_addr to[PB_DNS_ADDRS_MAX];
	size_t n = 0;
	int err = 0;

	if (pb_addr_parse(a->host, usual_port(a), &to[0]) == 0)
		n = 1; /* the caller sees whether he can use that family */
	else if (!name.p)
		err = -EINVAL;
	else
		n = find_local(d, name, a->families, to);
	if (!err && !n && !d)
		err = -ENOTSUP;
	if (!err && !n)
		return false;
	for (size_t i = 0; i < n; i++)
		pb_addr_set_port(&to[i], usual_port(a));
	a->fn(a->arg, err, to, n);
	return true;
}

/* ---- A query's end ------------------------------------------------------- */

static void query_free(struct pb_dns_query *q)
{
	pb_timer_stop(&q->limit);
	pb_list_remove(&q->node);
	for (size_t i = 0; i < sizeof(q->waits) / sizeof(q->waits[0]); i++)
		pb_list_remove(&q->waits[i].node);
	pbi_dns_put(&q->srv);
	for (unsigned i = 0; i < q->target_count; i++) {
		pbi_dns_put(&q->targets[i].entries[0]);
		pbi_dns_put(&q->targets[i].entries[1]);
	}
	*q->at = NULL;
	pb_free(q);
}

/** The addresses of one answer behind the `n` that are there. */
static size_t take_records(const struct pbi_dns_entry *e, uint16_t port, struct pb_addr *out,
			   size_t n)
{
	for (size_t i = 0; !e->asking && i < e->count && n < PB_DNS_ADDRS_MAX; i++) {
		out[n] = e->records[i].addr;
		pb_addr_set_port(&out[n++], port);
	}
	return n;
}

/** "There is none" only when all say so; `err`: what is known besides. */
static size_t collect(const struct pb_dns_query *q, struct pb_addr *out, int *err)
{
	size_t n = 0;

	for (unsigned i = 0; i < q->target_count; i++) {
		const struct target *t = &q->targets[i];

		for (int f = 0; f < 2; f++) {
			if (!t->entries[f])
				continue;
			n = take_records(t->entries[f], t->port, out, n);
			if (!*err && t->entries[f]->err != -ENOENT)
				*err = t->entries[f]->err;
		}
	}
	return n;
}

static void finish(struct pb_dns_query *q, int err)
{
	struct pb_addr to[PB_DNS_ADDRS_MAX];
	pb_dns_fn fn = q->args.fn;
	void *arg = q->args.arg;
	size_t n;

	if (!err)
		err = q->err;
	n = collect(q, to, &err);
	query_free(q);
	fn(arg, n ? 0 : err ? err : -ENOENT, to, n);
}

static void on_limit(void *arg)
{
	finish(arg, -ETIMEDOUT); /* with the addresses that are known by now */
}

/* ---- Addresses ----------------------------------------------------------- */

static void addresses_known(struct pbi_dns_wait *w)
{
	struct pb_dns_query *q = w->owner;

	if (--q->waiting == 0)
		finish(q, 0);
}

static void wait_for(struct pb_dns_query *q, unsigned slot, struct pbi_dns_entry *e,
		     void (*fn)(struct pbi_dns_wait *w))
{
	q->waits[slot].fn = fn;
	q->waits[slot].owner = q;
	q->waiting++;
	pb_list_push(&e->waits, &q->waits[slot].node);
}

static void ask_family(struct pb_dns_query *q, struct pb_str name, unsigned family)
{
	struct target *t = &q->targets[q->target_count - 1];
	struct pbi_dns_entry *e;
	int err = pbi_dns_get(q->dns, name, family ? PBI_DNS_AAAA : PBI_DNS_A, &e);

	if (err) {
		q->err = err;
		return;
	}
	t->entries[family] = e;
	if (e->asking)
		wait_for(q, 2 * (q->target_count - 1) + family, e, addresses_known);
}

static void add_target(struct pb_dns_query *q, struct pb_str name, uint16_t port)
{
	q->targets[q->target_count++].port = port;
	if (q->args.families & PB_DNS_V4)
		ask_family(q, name, 0);
	if (q->args.families & PB_DNS_V6)
		ask_family(q, name, 1);
}

/** All targets have been added. */
static void await_addresses(struct pb_dns_query *q)
{
	if (q->waiting == 0)
		finish(q, 0);
}

/* ---- SRV records --------------------------------------------------------- */

static uint32_t draw_below(struct pb_loop *l, uint32_t n)
{
	uint64_t r;

	pb_loop_random(l, &r, sizeof(r));
	return (uint32_t)(r % n);
}

static bool goes_before(const struct pbi_dns_record *a, const struct pbi_dns_record *b)
{
	return a->priority != b->priority ? a->priority < b->priority
					  : a->weight == 0 && b->weight > 0;
}

static void swap_to(const struct pbi_dns_record **r, size_t from, size_t to)
{
	const struct pbi_dns_record *moved = r[from];

	for (; from > to; from--)
		r[from] = r[from - 1];
	r[to] = moved;
}

/** RFC 2782, "Weight": draw one of the first of equal priority among `n`. */
static size_t draw_next(struct pb_loop *l, const struct pbi_dns_record **r, size_t n)
{
	uint32_t sum = 0, at;
	size_t i;

	for (i = 0; i < n && r[i]->priority == r[0]->priority; i++)
		sum += r[i]->weight;
	at = sum ? draw_below(l, sum + 1) : 0;
	for (i = 0, sum = 0; (sum += r[i]->weight) < at; i++)
		;
	return i;
}

/** In the order in which they are to be tried. */
static size_t order_records(struct pb_loop *l, const struct pbi_dns_entry *e,
			    const struct pbi_dns_record **r)
{
	for (size_t i = 0; i < e->count; i++) {
		size_t to = i;

		r[i] = &e->records[i];
		while (to > 0 && goes_before(r[i], r[to - 1]))
			to--;
		swap_to(r, i, to);
	}
	for (size_t i = 0; i < e->count; i++)
		swap_to(r, i + draw_next(l, r + i, e->count - i), i);
	return e->count;
}

static void add_service_targets(struct pb_dns_query *q, const struct pbi_dns_entry *srv)
{
	const struct pbi_dns_record *ordered[PBI_DNS_RECORDS_MAX];
	size_t n = order_records(q->dns->loop, srv, ordered);
	char buf[PBI_DNS_NAME_MAX + 1];

	for (size_t i = 0; i < n && q->target_count < PBI_DNS_TARGETS_MAX; i++) {
		struct pb_str name = canonical(ordered[i]->target, buf);

		if (name.p && ordered[i]->port)
			add_target(q, name, ordered[i]->port);
	}
}

/** Targets, or the host itself where there are no records, or no answer. */
static void service_known(struct pb_dns_query *q)
{
	struct pbi_dns_entry *srv = q->srv;

	q->srv = NULL;
	if (srv->err)
		add_target(q, q->args.host, q->args.usual_port);
	else
		add_service_targets(q, srv);
	pbi_dns_put(&srv);
	await_addresses(q);
}

static void service_answered(struct pbi_dns_wait *w)
{
	struct pb_dns_query *q = w->owner;

	q->waiting--;
	service_known(q);
}

/** @return false: there is none to ask for. */
static bool ask_service(struct pb_dns_query *q)
{
	char buf[PBI_DNS_NAME_MAX + 1];
	struct pb_text t;

	if (q->args.port || !q->args.service)
		return false;
	pb_text_init_buf(&t, buf, sizeof(buf) - 1);
	pb_text_addf(&t, "%s.%.*s", q->args.service, PB_STR_F(q->args.host));
	return !pb_text_failed(&t) && !pbi_dns_get(q->dns, pb_text_str(&t), PBI_DNS_SRV, &q->srv);
}

/* ---- Asking -------------------------------------------------------------- */

static struct pb_dns_query *query_new(struct pb_dns *d, const struct pb_dns_args *args,
				      struct pb_str name, struct pb_dns_query **at)
{
	struct pb_dns_query *q = pb_alloc_zero(1, sizeof(*q));

	if (!q)
		return NULL;
	q->dns = d;
	q->at = at;
	q->args = *args;
	memcpy(q->name, name.p, name.n);
	q->args.host = pb_str(q->name, name.n);
	pb_timer_init(&q->limit, on_limit, q);
	pb_timer_start(d->loop, &q->limit, d->common->setup.timeout_ms);
	pb_list_push(&d->queries, &q->node);
	*at = q;
	return q;
}

void pb_dns_ask(struct pb_loop *l, const struct pb_dns_args *args, struct pb_dns_query **at)
{
	char buf[PBI_DNS_NAME_MAX + 1];
	struct pb_str name = canonical(args->host, buf);
	struct pb_dns_query *q;

	pb_assert(pb_loop_is_mine(l));
	*at = NULL;
	if (answer_at_once(l->dns, args, name))
		return;
	q = query_new(l->dns, args, name, at);
	if (!q) {
		args->fn(args->arg, -ENOMEM, NULL, 0);
	} else if (!ask_service(q)) {
		add_target(q, q->args.host, usual_port(&q->args));
		await_addresses(q);
	} else if (q->srv->asking) {
		wait_for(q, 0, q->srv, service_answered);
	} else {
		service_known(q);
	}
}

void pb_dns_cancel(struct pb_dns_query **at)
{
	if (!*at)
		return;
	pb_assert(pb_loop_is_mine((*at)->dns->loop));
	query_free(*at);
}

/* ---- The resolver of a loop ---------------------------------------------- */

unsigned pb_dns_limit_ms(const struct pb_loop *l)
{
	return l->dns ? l->dns->common->setup.timeout_ms : 0;
}

void pb_dns_count(const struct pb_loop *l, struct pb_dns_counts *out)
{
	*out = l->dns ? l->dns->counts : (struct pb_dns_counts){ 0 };
}

static int check_server(struct pb_str s)
{
	ptrdiff_t close = pb_str_chr(s, ']'),
		  colon = pb_str_chr(pb_str_from(s, close < 0 ? 0 : (size_t)close), ':');
	struct pb_addr a;
	uint32_t port;

	if (s.n && s.p[0] != '[' && pb_addr_parse(s, 53, &a) == 0)
		return 0; /* an address alone */
	if (colon >= 0) {
		colon += close < 0 ? 0 : close;
		if (pb_str_to_u32(pb_str_from(s, (size_t)colon + 1), 1, 65535, &port))
			return -EINVAL;
		s = pb_str_head(s, (size_t)colon);
	}
	return pb_addr_parse(s, 53, &a);
}

int pb_dns_check_servers(struct pb_str servers)
{
	struct pb_str item;
	int err = 0;

	while (!err && pb_str_cut(&servers, ',', &item))
		err = check_server(pb_str_trim_space(item));
	return err;
}

/** Without blanks, as c-ares wants them. */
static void copy_servers(char *to, const char *from)
{
	for (; *from; from++) {
		if (*from != ' ' && *from != '\t')
			*to++ = *from;
	}
	*to = '\0';
}

static int common_new(const struct pb_loops *ls, const struct pb_dns_setup *args,
		      struct pbi_dns_common **out)
{
	const char *servers = args && args->servers ? args->servers : "";
	const char *hosts = args && args->hosts_file ? args->hosts_file : "/etc/hosts";
	struct pbi_dns_common *c = pb_alloc_zero(1, sizeof(*c) + strlen(servers) + 1);

	*out = c;
	if (!c)
		return -ENOMEM;
	copy_servers(c->servers, servers);
	c->setup.servers = c->servers;
	c->setup.timeout_ms = args && args->timeout_ms ? args->timeout_ms : PBI_DNS_TIMEOUT_MS;
	/* A simulation depends on nothing of this machine. */
	return hosts[0] && ls->world->ops->threads ? pbi_hosts_read(hosts, &c->hosts) : 0;
}

void pbi_dns_common_free(struct pbi_dns_common **c)
{
	if (!*c)
		return;
	pbi_hosts_free(&(*c)->hosts);
	pb_free(*c);
	*c = NULL;
}

static int dns_new(struct pb_loop *l)
{
	struct pb_dns *d = pb_alloc_zero(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->loop = l;
	d->common = l->set->names;
	pb_list_init(&d->idle);
	pb_list_init(&d->queries);
	l->dns = d;
	return l->world->ops->dns_open(d);
}

int pb_dns_setup(struct pb_loops *ls, const struct pb_dns_setup *args)
{
	int err;

	pb_assert(!ls->started && !ls->names);
	if (args && args->servers && args->servers[0] &&
	    pb_dns_check_servers(pb_str_z(args->servers)))
		return -EINVAL;
	err = common_new(ls, args, &ls->names);
	for (unsigned i = 0; !err && i < ls->count; i++)
		err = dns_new(ls->loops[i]);
	for (unsigned i = 0; err && i < ls->count; i++)
		pbi_dns_free(&ls->loops[i]->dns);
	if (err)
		pbi_dns_common_free(&ls->names);
	return err;
}

void pbi_dns_free(struct pb_dns **dp)
{
	struct pb_dns *d = *dp;
	struct pb_loop *former;

	if (!d)
		return;
	*dp = NULL;
	former = pbi_loop_enter(d->loop); /* which has ended */
	while (!pb_list_empty(&d->queries))
		query_free(pb_container(d->queries.next, struct pb_dns_query, node));
	d->loop->world->ops->dns_close(d);
	pbi_dns_cache_fini(d);
	pbi_loop_enter(former);
	pb_free(d);
}
