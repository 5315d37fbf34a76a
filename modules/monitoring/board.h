/*
 * What modules say of themselves (engine.status), read: lines, keys, items. Pure.
 *
 *     name=sip,type=varchans,format=Status|Address;routed=4,chans=1;sip/1=answered|x
 */
#ifndef MONITORING_BOARD_H
#define MONITORING_BOARD_H

#include "base/str.h"

/** How many lines there are. */
unsigned board_lines(struct pb_str text);
/** The i-th, from 0; absent beyond the end. */
struct pb_str board_line(struct pb_str text, unsigned i);
/** Value of `key` before the items (name, type, format, counters); absent: none. */
struct pb_str board_value(struct pb_str line, struct pb_str key);
/** How many items a line has. */
unsigned board_items(struct pb_str line);
/** The i-th item from 0: "sip/1=answered|x"; absent beyond the end. */
struct pb_str board_item(struct pb_str line, unsigned i);
/** Of an item: what stands before the '='; column `n` from 0 of what stands behind it. */
struct pb_str board_item_id(struct pb_str item);
struct pb_str board_column(struct pb_str item, unsigned n);

#endif
