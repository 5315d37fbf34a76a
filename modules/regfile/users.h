/*
 * The users of regfile.conf: an immutable table made when the file is read,
 * asked by every loop without a lock.
 */
#ifndef REGFILE_USERS_H
#define REGFILE_USERS_H

#include "bus/conf.h"
#include "bus/msg.h"

struct regfile_user {
	struct regfile_user *next; /* with the same hash */
	struct pb_str name;
	struct pb_str password; /* absent: never authenticates; empty: anybody does */
	struct pb_param *extra; /* set on messages, ${} expanded from them */
	size_t extra_count;
};

/** A further number of a user. Several users may share one. */
struct regfile_alternative {
	struct regfile_alternative *next;
	struct pb_str number;
	const struct regfile_user *user;
};

struct regfile_users {
	struct regfile_user **slots;
	struct regfile_alternative **numbers;
	size_t mask; /* of both */
	size_t count;
};

/** Every section but "general" is a user. @return 0 or -ENOMEM. */
int regfile_users_read(const struct pb_conf *c, struct regfile_users *u, struct pb_arena *a,
		       struct pb_findings *f);
/** NULL: no such user. */
const struct regfile_user *regfile_user_find(const struct regfile_users *u, struct pb_str name);
/** First user with that further number, in order of the file; NULL: none. */
const struct regfile_alternative *regfile_alternative_first(const struct regfile_users *u,
							    struct pb_str number);
const struct regfile_alternative *regfile_alternative_next(const struct regfile_alternative *alt);
/** Set the user's parameters on a message. */
void regfile_user_apply(const struct regfile_user *user, struct pb_msg *m);

#endif
