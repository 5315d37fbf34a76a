/*
 * Addresses of names, asked for on the loop; nothing waits.
 *
 * Each loop has its resolver and cache, made by pb_dns_setup before the loops
 * run (files are read then and never again). An answer comes as a callback on
 * the loop; for literals, /etc/hosts and what the cache knows, before the
 * question returns. In the real world c-ares asks the name servers; in the
 * simulated one the test says what they know.
 *
 * Bounds: entries in the cache, questions out at once, records of an answer,
 * and the time a name may take. Equal questions under way are asked once.
 */
#ifndef PB_LOOP_DNS_H
#define PB_LOOP_DNS_H

#include "loop/addr.h"
#include "loop/loop.h"

/** Most addresses of one answer. */
#define PB_DNS_ADDRS_MAX 16

/* ---- Before the loops run ------------------------------------------------ */

struct pb_dns_setup {
	/** "192.0.2.1, [2001:db8::1]:5353"; empty or NULL: as /etc/resolv.conf says. */
	const char *servers;
	unsigned timeout_ms;    /* for a name in all; 0: 5000 */
	const char *hosts_file; /* NULL: /etc/hosts; "": none. Not in a simulated world */
};

/** Is it a list of servers as above? 0 or -EINVAL. */
int pb_dns_check_servers(struct pb_str servers);
/**
 * Make every loop's resolver. Without it only literals are answered.
 *
 * @return 0, -EINVAL (servers), -ENOMEM. @thread the control thread, before pb_loops_start.
 */
int pb_dns_setup(struct pb_loops *ls, const struct pb_dns_setup *args);

/* ---- Asking -------------------------------------------------------------- */

struct pb_dns_query;

/**
 * The answer. `n` addresses with ports (1 .. PB_DNS_ADDRS_MAX), the one to try
 * first in front; valid during the call. With n == 0 the reason:
 *
 * -ENOENT     there is no such name, or it has no address
 * -EINVAL     that is no host name
 * -ETIMEDOUT  no answer in time
 * -EAGAIN     name servers gave no usable answer, or too many questions are out
 * -ENOMEM
 * -ENOTSUP    the loops have no resolver
 */
typedef void (*pb_dns_fn)(void *arg, int err, const struct pb_addr *to, size_t n);

enum { PB_DNS_V4 = 1, PB_DNS_V6 = 2 };

struct pb_dns_args {
	struct pb_str host; /* name or literal */
	uint16_t port;      /* 0: none is given, the service's records are asked for */
	/**
	 * "_sip._udp": SRV records in order of priority and weight (RFC 2782), and
	 * when there are none the host's own addresses. NULL: those at once.
	 */
	const char *service;
	uint16_t usual_port; /* when no port is given and no SRV record has one */
	unsigned families;   /* PB_DNS_V4 | PB_DNS_V6; IPv4 comes first */
	pb_dns_fn fn;
	void *arg;
};

/**
 * Ask. `*at` holds the query while it is open, and is NULL again before fn is
 * called (once, possibly before this returns); it must live until then.
 * Nothing but this clears it: fn may free what `at` is part of.
 *
 * @thread the loop's, as for all that follows.
 */
void pb_dns_ask(struct pb_loop *l, const struct pb_dns_args *args, struct pb_dns_query **at);
/** fn will not be called. Accepts NULL. What is on its way still fills the cache. */
void pb_dns_cancel(struct pb_dns_query **at);

/** How long a name may take: for who holds a message meanwhile. */
unsigned pb_dns_limit_ms(const struct pb_loop *l);

struct pb_dns_counts {
	uint64_t asked, hits; /* questions to the name servers, and those saved by the cache */
	uint64_t failed;      /* answers other than "there is none" that were none */
	uint64_t refused;     /* beyond the bounds */
	size_t entries, out;  /* now: in the cache, without answer */
};
void pb_dns_count(const struct pb_loop *l, struct pb_dns_counts *out);

/* ---- The simulated world's name servers ---------------------------------- */

struct pb_sim;

/**
 * From now on `name` has a record: type "A" or "AAAA" with an address, or "SRV"
 * with "priority weight port target". A name without records does not exist.
 *
 * @return 0, -EINVAL, -ENOMEM.
 */
int pb_sim_dns_add(struct pb_sim *s, const char *name, const char *type, unsigned ttl_s,
		   const char *data);
/** All records are gone. */
void pb_sim_dns_clear(struct pb_sim *s);

struct pb_sim_dns {
	unsigned delay_ms; /* of an answer */
	unsigned negative_ttl_s;
	bool silent; /* the servers do not answer */
};
/** At first: 5 ms, 60 s, they do. */
void pb_sim_dns_set(struct pb_sim *s, const struct pb_sim_dns *how);

#endif
