/*
 * Variables of regexroute: `$name=value`. One set for the whole engine; they
 * survive a reload.
 */
#ifndef REGEXROUTE_VARS_H
#define REGEXROUTE_VARS_H

#include "base/arena.h"

struct regex_vars;

/** @return NULL when there is no memory. All functions below: any thread. */
struct regex_vars *regex_vars_new(void);
void regex_vars_free(struct regex_vars **v);

/** A copy of the value in `into`; absent when there is no such variable. */
struct pb_str regex_vars_get(struct regex_vars *v, struct pb_str name, struct pb_arena *into);
/** @return 0 or -ENOMEM: unchanged. */
int regex_vars_set(struct regex_vars *v, struct pb_str name, struct pb_str value);
/** The same, but leave a variable alone that is there. */
int regex_vars_set_once(struct regex_vars *v, struct pb_str name, struct pb_str value);
void regex_vars_clear(struct regex_vars *v, struct pb_str name);

/**
 * Count: add `delta` to the decimal value (no number: 0), and with `modulo` > 0
 * reduce it, in one step that no other thread comes between. A variable that is
 * not there is made. @return the value before.
 */
int64_t regex_vars_count(struct regex_vars *v, struct pb_str name, int64_t delta, int64_t modulo);

size_t regex_vars_total(struct regex_vars *v);
/** Names joined by `sep`, cut after `limit_bytes` with "...". */
struct pb_str regex_vars_list(struct regex_vars *v, struct pb_str sep, size_t limit_bytes,
			      struct pb_arena *into);

#endif
