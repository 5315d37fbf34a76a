/*
 * A call detail record: what is known of one leg, and the text of its times.
 *
 * Pure: no bus, loop or clock; times come in.
 */
#ifndef CDRBUILD_RECORD_H
#define CDRBUILD_RECORD_H

#include "bus/conf.h"
#include "bus/msg.h"

enum cdr_event {
	CDR_STARTUP,
	CDR_ROUTE,
	CDR_EXECUTE,
	CDR_RINGING, /* call.progress too */
	CDR_ANSWERED,
	CDR_UPDATE,
	CDR_HANGUP,
};

enum cdr_resolution { CDR_SEC, CDR_MSEC, CDR_USEC };

/** A message parameter that records carry. */
struct cdr_param {
	struct pb_str name;
	bool overwrite; /* a later value replaces an earlier one */
};

struct cdr_params {
	struct cdr_param *list;
	size_t count;
};

/** The usual parameters and those of [parameters]. @return 0 or -ENOMEM. */
int cdr_params_read(const struct pb_conf *c, struct cdr_params *p, struct pb_arena *a,
		    struct pb_findings *f);

/** Formats of times; absent or empty: not sent. */
struct cdr_formats {
	struct pb_str start, answer, hangup, duration;
};

struct cdr_field; /* a tracked parameter and its value */

struct cdr {
	struct pb_str chan, status, direction; /* absent: not known */
	struct cdr_field *fields;              /* in order of arrival */
	char *chan_text;
	uint64_t number; /* cdrid */
	/* microseconds since 1970; 0: has not happened */
	uint64_t start_us, call_us, ringing_us, answer_us, hangup_us;
	bool initialized; /* the first record was sent */
	bool unwritten;   /* cdrwrite=no, as the first message said */
	bool failed;      /* something could not be kept for lack of memory */
};

/** @return 0 or -ENOMEM. */
int cdr_init(struct cdr *r, struct pb_str chan, uint64_t number);
void cdr_fini(struct cdr *r);
/** A time stamp of its own: the event and the status it brings (may be absent). */
void cdr_note(struct cdr *r, enum cdr_event ev, uint64_t at_us, struct pb_str status);
/** All that a message tells: its event, status, direction, tracked parameters. */
void cdr_take(struct cdr *r, const struct cdr_params *p, enum cdr_event ev, const struct pb_msg *m);
/** Set a tracked parameter, whether or not it is one. */
void cdr_set(struct cdr *r, struct pb_str name, struct pb_str value);
/** Absent when not known. */
struct pb_str cdr_get(const struct cdr *r, struct pb_str name);
/** Seconds from the call's begin to its end, or to `now_us`. */
uint64_t cdr_duration_us(const struct cdr *r, uint64_t now_us);

/** How records are written. */
struct cdr_style {
	struct pb_str runid;
	enum cdr_resolution resolution;
	const struct cdr_formats *formats;
};

/**
 * Fill call.cdr in the documented order: time, chan, cdrid, runid, operation,
 * direction, duration, billtime, ringtime, status, trace_id, formatted times,
 * external, cdrwrite and the tracked parameters.
 */
void cdr_write(const struct cdr *r, struct pb_msg *m, struct pb_str operation,
	       const struct cdr_style *style, uint64_t now_us);

/** "12.346": seconds, rounded to the resolution. */
void cdr_print_time(struct pb_text *t, uint64_t us, enum cdr_resolution res);

#endif
