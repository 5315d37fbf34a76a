/*
 * The handlers of the console's `describe` and `lint`, and what the engine counts
 * and sends, for the tables in builtin.c.
 */
#ifndef PB_BUS_CMD_DESCRIBE_H
#define PB_BUS_CMD_DESCRIBE_H

#include "bus/module.h"

enum pb_verdict pbi_on_describe(struct pb_msg *m, struct pb_ctx *cx);
enum pb_verdict pbi_on_lint(struct pb_msg *m, struct pb_ctx *cx);

/* builtin_rows.c */
extern const struct pb_counter pbi_engine_counters[];
extern const struct pb_sends pbi_engine_sends[];

#endif
