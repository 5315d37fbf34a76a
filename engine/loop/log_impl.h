/*
 * The log from inside: what its files have of each other. Internal to the loop
 * folder.
 *
 * log.c makes lines and gives them to log_sink.c, which writes them; log_text.c
 * has stamps, escapes and JSON; log_repeat.c counts what is said again and
 * again.
 */
#ifndef PB_LOOP_LOG_IMPL_H
#define PB_LOOP_LOG_IMPL_H

#include <pthread.h>

#include "loop/log.h"

/** The log's only lock; where "locked" is said it is held. */
extern pthread_mutex_t pbi_log_lock;

/** What a line consists of. */
struct pbi_line {
	int level;               /* -1: plain output */
	const char *source, *id; /* "" and NULL: none */
	struct pb_str text;
};

/* ---- log.c: lines of its own; locked */

enum { PBI_LOG_DROPPED, PBI_LOG_REPEATED, PBI_LOG_NOT_ROTATED };
extern struct pb_log_source pbi_log_log;
void pbi_log_own(unsigned row, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void pbi_log_say_repeated(const struct pb_log_source *src, const struct pb_log_row *row,
			  struct pb_str head, unsigned times);

/* ---- log_text.c */

/** "YYYY-MM-DDThh:mm:ss.uuuuuuZ"; may be called in a signal handler. */
void pbi_log_add_rfc3339(struct pb_text *t);
/** The stamp in style F or Z, without asking the C library for the zone: in a signal handler. */
void pbi_log_add_stamp_safely(struct pb_text *t);
/** One object, without the newline; may be called in a signal handler. */
void pbi_log_add_json(struct pb_text *t, const struct pbi_line *l);
/** How much of `s` may be shown as it is. */
bool pbi_log_is_visible(struct pb_str s);

/* ---- log_sink.c; locked */

/** A line, newline behind it. `urgent`: it may use the reserve of the ring. */
void pbi_sink_put(struct pb_str line, bool urgent);
/** Straight to the file, past the ring: for a crash. Not locked, waits a second at most. */
void pbi_sink_last(struct pb_str line);

/* ---- log_repeat.c; locked */

/** Whether this line has been said too often within the second: then it is only counted. */
bool pbi_repeat_hold(const struct pb_log_source *src, const struct pb_log_row *row,
		     struct pb_str text);
/** Tell of what was held back; all of it, or what is older than the second. */
void pbi_repeat_flush(bool all);

#endif
