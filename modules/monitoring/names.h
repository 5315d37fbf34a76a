/*
 * What can be asked (monitor.query), by name. Immutable.
 */
#ifndef MONITORING_NAMES_H
#define MONITORING_NAMES_H

#include "base/str.h"

enum monitor_source {
	MONITOR_STATUS,	    /* key `key` in the status line of module `of` */
	MONITOR_MODULE,	    /* of the `index`-th module; the number of modules without key */
	MONITOR_CALL,	    /* column `column` of the `index`-th leg of cdrbuild's */
	MONITOR_REQUESTS,   /* own counter number `column` */
	MONITOR_QUALITY,    /* of the `index`-th direction: monitor_quality `column` */
	MONITOR_RUN,	    /* run parameter `key` */
	MONITOR_RESTARTED,  /* whether the last end was none of ours */
	MONITOR_STATE,	    /* running, or stopping */
	MONITOR_NOTHING,    /* of something that this engine has not got: always empty */
};

/** Columns of MONITOR_CALL. */
enum { MONITOR_CALL_STATUS, MONITOR_CALL_CALLER, MONITOR_CALL_CALLED, MONITOR_CALL_BILLID, MONITOR_CALL_DURATION,
       MONITOR_CALL_COUNT, MONITOR_CALL_INDEX, MONITOR_CALL_ID, MONITOR_CALL_PEER };
/** Counters of MONITOR_REQUESTS. */
enum { MONITOR_AUTH, MONITOR_REGISTER, MONITOR_INCOMING, MONITOR_OUTGOING, MONITOR_COUNTERS };
/** Columns of MONITOR_QUALITY; causes follow, present ones first. */
enum { MONITOR_DIRECTIONS, MONITOR_DIRECTION_INDEX, MONITOR_DIRECTION_NAME, MONITOR_ASR, MONITOR_ASR_ALL,
       MONITOR_NER, MONITOR_NER_ALL, MONITOR_CAUSES };

struct monitor_name {
	struct pb_str name;
	enum monitor_source source;
	const char *of, *key;
	int column;
};

/** How `name` is answered. @return false: nobody here knows it. */
bool monitor_find(struct pb_str name, struct monitor_name *out);

#endif
