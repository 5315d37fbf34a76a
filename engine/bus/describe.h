/*
 * What `describe` prints: rows of the registry, as text for people and as JSON
 * for programs. The subcommand and the console's command are both this.
 */
#ifndef PB_BUS_DESCRIBE_H
#define PB_BUS_DESCRIBE_H

#include "bus/registry.h"

/**
 * `line` is [KIND] [NAME]: one name of a kind, all of a kind, a name of
 * whatever kind, or with nothing at all how many there are. Lines end LF.
 *
 * @return 0, or -ENOENT: there is no such name, and `t` has what to say to that
 *         (without the LF).
 */
int pb_describe(const struct pb_registry *r, struct pb_str line, bool json, struct pb_text *t);
/** One row as an object, without white space. */
void pb_describe_json(const struct pb_registry *r, const struct pb_named *row, struct pb_text *t);

/** Its default is none of its values: who reads it takes another option then. */
bool pb_option_is_unset(const struct pb_opt *o);
/** "0640", "10000 ms", "yes", "tcp|unix": what an option is by default, and may be. */
void pb_option_default(const struct pb_opt *o, struct pb_text *t);
void pb_option_values(const struct pb_opt *o, struct pb_text *t);
/** Of a log row: "NOTE"; of a finding: "check". */
const char *pb_named_level(const struct pb_named *row);

#endif
