/*
 * The manual: pages for man, made of the registry alone. What needs more words
 * than a row has is in the README.md of its module.
 */
#ifndef PB_BUS_MANUAL_H
#define PB_BUS_MANUAL_H

#include "bus/registry.h"

/** The i-th page's name into `t`: "ysipchan.conf.5"; false behind the last. */
bool pb_manual_page(const struct pb_registry *r, size_t i, struct pb_text *t);
/** @return 0, or -ENOENT: no such page. */
int pb_manual(const struct pb_registry *r, struct pb_str page, struct pb_text *t);

/* ---- Parts of pages: manual_part.c ---------------------------------------------- */

/** Options by section, of one table. */
void pbi_manual_options(const struct pb_option_file *f, struct pb_text *t);
/** MESSAGES, COMMANDS, COUNTERS, LOG of a module; what it has none of is left out. */
void pbi_manual_module(const struct pb_registry *r, const struct pb_module *d, struct pb_text *t);
/** Every message, every parameter: patchbay-bus(7). */
void pbi_manual_bus(const struct pb_registry *r, struct pb_text *t);
/** Every id by facility: patchbay-log(7). */
void pbi_manual_log(const struct pb_registry *r, struct pb_text *t);

#endif
