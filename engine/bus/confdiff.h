/*
 * What differs between two readings of the same files.
 */
#ifndef PB_BUS_CONFDIFF_H
#define PB_BUS_CONFDIFF_H

#include "bus/opt.h"

/**
 * Names of the keys that are not as they were, "[general] t1, [listener a]", at
 * most a line of them; values are not named, they may be secrets. Either may be
 * NULL: empty.
 *
 * @return how many places differ.
 */
size_t pbi_conf_diff(const struct pb_conf *was, const struct pb_conf *is, struct pb_text *t);

/** Names of the stored rows with all `flags` whose values differ. @return how many. */
size_t pbi_opt_diff(const struct pb_opt *rows, unsigned flags, const void *was, const void *is, struct pb_text *t);

#endif
