/*
 * Legs with an open record, on the loop that owns their channel, and the records
 * that are sent of them.
 */
#ifndef CDRBUILD_LEG_H
#define CDRBUILD_LEG_H

#include "cdrbuild/cdrbuild.h"

struct cdr_leg {
	struct pb_map_node node;
	struct pb_list in_open;
	struct cdr_state *st;
	struct pb_timer status_timer;
	bool status_begun; /* records of status are sent, or were */
	struct cdr cdr;
};

/** Absent: NULL. */
struct cdr_leg *cdr_leg_find(struct cdr_state *st, struct pb_str chan);
/** NULL: no memory, and it has been said. */
struct cdr_leg *cdr_leg_open(struct cdr_state *st, struct pb_str chan);
/** Without a record. */
void cdr_leg_free(struct cdr_leg *leg);

/** The record as it is now; NULL: no memory, and it has been said. */
struct pb_msg *cdr_leg_record(struct cdr_leg *leg, struct pb_str operation);
/** Send it. */
void cdr_leg_send(struct cdr_leg *leg, struct pb_str operation);
/** Something has changed: initialize, then update; begins records of status. */
void cdr_leg_changed(struct cdr_leg *leg);
/** It has hung up: the final record; the channel is remembered, the leg freed. */
void cdr_leg_finish(struct cdr_leg *leg);
/** The same, but the record is for the caller to send; NULL as above. */
struct pb_msg *cdr_leg_finish_with(struct cdr_leg *leg);

extern struct pb_log_source cdr_log;

#endif
