/*
 * Where users can be reached: a table that every loop asks and changes without
 * a hop.
 *
 * A user may have several contacts, told apart by `data`. A contact's timer
 * lives on the loop that registered it, so it ends on the millisecond.
 */
#ifndef REGFILE_CONTACTS_H
#define REGFILE_CONTACTS_H

#include "bus/msg.h"
#include "loop/loop.h"

struct regfile_contacts;

/** What is registered, and what is found; when found, valid during the call. */
struct regfile_contact {
	struct pb_str data;            /* "sip/sip:234@192.0.2.1" */
	struct pb_str driver;          /* may be absent */
	struct pb_str connection;      /* ends with it; absent: outlives its connection */
	const struct pb_param *params; /* set on messages routed there */
	size_t param_count;
	unsigned q_permille; /* 0..1000 */
	uint64_t expires_ms; /* from now; 0: never */
};

typedef void (*regfile_found_fn)(void *arg, struct pb_str user, const struct regfile_contact *c);

/** `expired` is told of contacts that end by time, on their loop; may be NULL. */
struct regfile_contacts *regfile_contacts_new(regfile_found_fn expired, void *arg);
/** Every loop has called regfile_contacts_leave. */
void regfile_contacts_free(struct regfile_contacts **t);
/** Stop the timers of this loop's contacts. @thread the loop's. */
void regfile_contacts_leave(struct regfile_contacts *t, struct pb_loop *l);

/**
 * Register, in place of the user's contact with the same `data`; beyond `most`
 * contacts the one registered longest ago goes. @thread a loop's.
 *
 * @return 0 or -ENOMEM: what was there stays.
 */
int regfile_contacts_put(struct regfile_contacts *t, struct pb_str user,
			 const struct regfile_contact *c, unsigned most);
/** One contact of the user, or all when `data` is absent. @return how many. */
size_t regfile_contacts_drop(struct regfile_contacts *t, struct pb_str user, struct pb_str data);
/** All that were registered over that connection. @return how many. */
size_t regfile_contacts_drop_connection(struct regfile_contacts *t, struct pb_str connection);

/**
 * The user's best contact: highest q, among these the one registered last.
 * @return false when there is none.
 */
bool regfile_contacts_best(struct regfile_contacts *t, struct pb_str user, regfile_found_fn found,
			   void *arg);
/** Users with a contact. */
size_t regfile_contacts_users(struct regfile_contacts *t);
/** At most `most` users with their best contact. */
void regfile_contacts_each(struct regfile_contacts *t, size_t most, regfile_found_fn found,
			   void *arg);

#endif
