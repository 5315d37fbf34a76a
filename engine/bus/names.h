/*
 * The registry of names: what each message and parameter of the bus is called
 * and means. names.def is the one place where a name is described; console
 * help, `describe`, the manual, sniffer and recorder ask here.
 */
#ifndef PB_BUS_NAMES_H
#define PB_BUS_NAMES_H

#include "base/str.h"

enum pb_name_kind {
	PB_NAME_QUESTION, /* given up when its asker ends */
	PB_NAME_NOTICE,	  /* always walked to its end */
};

enum {
	PB_NAME_SECRET = 1,	   /* the value never reaches a log, trace or recorder */
	PB_NAME_SECRET_RETVAL = 2, /* the message's return value does not */
	PB_NAME_ASKED = 4,	   /* sent by scripts, rules and other programs; modules need not */
};

struct pb_name_message {
	struct pb_str name; /* or the beginning of names: "sip." */
	enum pb_name_kind kind;
	unsigned flags;
	const char *doc; /* one line */
};

struct pb_name_param {
	struct pb_str name;    /* or the beginning of names: "osip_" */
	struct pb_str message; /* only in that one; absent: everywhere */
	unsigned flags;
	const char *doc;
};

/**
 * The row of that name, else of the longest beginning that fits, else NULL.
 * Any thread; some ten comparisons.
 */
const struct pb_name_message *pb_name_message(struct pb_str name);
/** The same of a parameter in `message` (absent: in any). */
const struct pb_name_param *pb_name_param(struct pb_str message, struct pb_str name);

/** Messages that are not described are questions: whoever asks may give up. */
bool pb_name_is_notice(struct pb_str message);
bool pb_name_is_secret(struct pb_str message, struct pb_str param);

/** All rows in order, exact names first, then beginnings; NULL at the end. */
const struct pb_name_message *pb_name_message_at(size_t i);
const struct pb_name_param *pb_name_param_at(size_t i);
/** Is this row one of those of the beginnings of names? */
bool pb_name_message_is_prefix(const struct pb_name_message *row);
bool pb_name_param_is_prefix(const struct pb_name_param *row);

#endif
