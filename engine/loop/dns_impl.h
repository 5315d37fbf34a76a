/*
 * The resolver from inside: dns.c has the questions of callers, dns_cache.c what
 * is known and under way, dns_hosts.c the hosts file; dns_cares.c and dns_sim.c
 * ask for the two worlds. Internal to the loop folder.
 */
#ifndef PB_LOOP_DNS_IMPL_H
#define PB_LOOP_DNS_IMPL_H

#include "base/map.h"
#include "loop/dns.h"
#include "loop/world_ops.h"

enum {
	PBI_DNS_NAME_MAX = 253,
	PBI_DNS_RECORDS_MAX = 16,   /* of one answer; further ones are left out */
	PBI_DNS_TARGETS_MAX = 8,    /* of SRV records that are looked up */
	PBI_DNS_ENTRIES_MAX = 4096, /* about 1 MB */
	PBI_DNS_OUT_MAX = 512,
	PBI_DNS_TTL_MAX_S = 3600,
	PBI_DNS_NEGATIVE_MAX_S = 300,
	PBI_DNS_NEGATIVE_S = 5, /* without a SOA record (RFC 2308 section 5) */
	PBI_DNS_FAILED_S = 2,   /* RFC 2308 section 7 */
	PBI_DNS_TIMEOUT_MS = 5000,
};

/* RFC 1035 section 3.2.2, RFC 3596, RFC 2782 */
enum pbi_dns_type { PBI_DNS_A = 1, PBI_DNS_AAAA = 28, PBI_DNS_SRV = 33 };

struct pbi_dns_record {
	struct pb_addr addr; /* A, AAAA; the port is 0 */
	uint16_t priority, weight, port;
	struct pb_str target; /* SRV; empty: the service is decidedly not there */
};

struct pbi_dns_answer {
	int err; /* 0, or why there are no records */
	uint32_t ttl_s;
	const struct pbi_dns_record *records;
	size_t count;
};

/** A question that was asked, and later its answer. */
struct pbi_dns_entry {
	struct pb_map_node found; /* while `listed` */
	struct pb_list idle;      /* on pb_dns.idle while listed and of no use to anybody */
	struct pb_dns *dns;
	enum pbi_dns_type type;
	bool asking, listed;
	unsigned users;       /* queries that look at it; while asking, one more */
	struct pb_list waits; /* struct pbi_dns_wait */
	uint64_t until_ms;
	int err;
	size_t count;
	struct pbi_dns_record *records; /* a block of its own, with the targets' names */
	struct pb_str name;
	char text[]; /* the name, lower case, NUL behind */
};

struct pbi_dns_wait {
	struct pb_list node;
	void (*fn)(struct pbi_dns_wait *w);
	void *owner;
};

struct pbi_hosts;

/** What the resolvers of a set share: never changed once made. */
struct pbi_dns_common {
	struct pb_dns_setup setup; /* hosts_file is not kept */
	struct pbi_hosts *hosts;   /* NULL: none */
	char servers[];
};

struct pb_dns {
	struct pb_loop *loop;
	const struct pbi_dns_common *common;
	void *side; /* the world's own part */
	struct pb_map entries;
	struct pb_list idle; /* least recently used first */
	struct pb_list queries;
	struct pb_dns_counts counts;
};

/* ---- dns.c --------------------------------------------------------------- */

void pbi_dns_free(struct pb_dns **d);
void pbi_dns_common_free(struct pbi_dns_common **c);
/** One try of one server: a name's time is for two questions of two tries, the second twice as
 * long. */
static inline unsigned pbi_dns_try_ms(const struct pb_dns *d)
{
	return d->common->setup.timeout_ms / 6 + 1;
}

/* ---- dns_cache.c --------------------------------------------------------- */

/**
 * The entry of a question (name in lower case), asked for when it is not known.
 * It stays until pbi_dns_put.
 *
 * @return 0, -ENOMEM, -EAGAIN (too many are out).
 */
int pbi_dns_get(struct pb_dns *d, struct pb_str name, enum pbi_dns_type type,
		struct pbi_dns_entry **out);
void pbi_dns_put(struct pbi_dns_entry **e);
/** The world's answer, once for each dns_ask that returned 0. */
void pbi_dns_answered(struct pbi_dns_entry *e, const struct pbi_dns_answer *a);
void pbi_dns_cache_fini(struct pb_dns *d);

/* ---- dns_hosts.c --------------------------------------------------------- */

/** A file that cannot be read has no names. @return 0, -ENOMEM. */
int pbi_hosts_read(const char *path, struct pbi_hosts **out);
void pbi_hosts_free(struct pbi_hosts **h);
/** Into `out`, IPv4 first. @return how many; 0: the file does not name it (in these families). */
size_t pbi_hosts_find(const struct pbi_hosts *h, struct pb_str name, unsigned families,
		      struct pb_addr *out, size_t max);

/* ---- The worlds ---------------------------------------------------------- */

int pbi_cares_open(struct pb_dns *d);
void pbi_cares_close(struct pb_dns *d);
int pbi_cares_ask(struct pb_dns *d, struct pbi_dns_entry *e);
/**
 * Smallest TTL of a message's answers; when it has none, how long that may be
 * remembered (RFC 2308 section 5). @return seconds, or -ENOENT: nothing says.
 */
int64_t pbi_dns_ttl(struct pb_str message);

int pbi_sim_dns_open(struct pb_dns *d);
void pbi_sim_dns_close(struct pb_dns *d);
int pbi_sim_dns_ask(struct pb_dns *d, struct pbi_dns_entry *e);

#endif
