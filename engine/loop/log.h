/*
 * The log: lines with a facility, a level and a stable id.
 *
 * Each component has one source: its name (the facility that `debug NAME level
 * N` addresses), its level, and a table of everything it can say. A line is
 * `<sip:WARN> text [sip-004]`. Plain output lines (sniffer, echo) have no tag.
 * Any thread may log; a line is written whole. One that is said again and again
 * within a second is counted instead, and the count is told. Control characters in text from
 * outside are escaped as \xHH, except that CR LF stays in output lines.
 */
#ifndef PB_LOOP_LOG_H
#define PB_LOOP_LOG_H

#include <stdatomic.h>

#include "base/text.h"

enum pb_level {
	PB_FAIL = 0,
	PB_TEST = 1,
	PB_CRIT = 2,
	PB_CONF = 3,
	PB_STUB = 4,
	PB_WARN = 5,
	PB_MILD = 6,
	PB_NOTE = 7,
	PB_CALL = 8,
	PB_INFO = 9,
	PB_ALL = 10,
};

/** One thing that can be said. The id never changes once released. */
struct pb_log_row {
	const char *id;	 /* "sip-004" */
	enum pb_level level;
	const char *doc; /* what it means and what to do, one line */
};

struct pb_log_source {
	const char *name;
	_Atomic int level; /* -1: follows the global level */
	const struct pb_log_row *rows; /* ends with id == NULL */
	struct pb_log_source *next; /* registered sources, set by the log */
};

/** Static definition of a source. */
#define PB_LOG_SOURCE(var, facility, table)                                                        \
	struct pb_log_source var = { .name = facility, .level = -1, .rows = table }

/** Make a source known to `debug` and `describe`. Once; any thread. */
void pb_log_register(struct pb_log_source *src);
struct pb_log_source *pb_log_find(struct pb_str name);
struct pb_log_source *pb_log_next(const struct pb_log_source *after);

/** Whether a line of that level would be written: for costly texts. */
bool pb_log_wants(const struct pb_log_source *src, enum pb_level level);
/** Say `row` (an element of src->rows). */
void pb_log(struct pb_log_source *src, const struct pb_log_row *row, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/**
 * Say `row` with a block of lines under it, each shown as it is (line ends stay,
 * other control characters do not): SIP messages. Cut where the limit of a line
 * of the log is.
 */
void pb_log_block(struct pb_log_source *src, const struct pb_log_row *row, struct pb_str head,
		  struct pb_str block);
/** A line whose level comes from outside (scripts, `debug` actions); no id. */
void pb_log_at(struct pb_log_source *src, enum pb_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/** A plain output line: no stamp, no tag; one newline ends it. */
void pb_log_output(struct pb_str text);

/** The global level: 3..10, others are clamped; start value 7. */
void pb_log_set_level(int level);
int pb_log_level(void);
/** -1 follows the global level; switches output on. */
void pb_log_source_set_level(struct pb_log_source *src, int level);
/** The level in force, also while switched off. */
int pb_log_source_level(const struct pb_log_source *src);
/** Off: nothing of this source is written, whatever its level. */
void pb_log_source_switch(struct pb_log_source *src, bool on);
bool pb_log_source_is_on(const struct pb_log_source *src);
/**
 * One directive of a `debug` line: `level N`, `level N+` (the higher of both),
 * `level N-`, `reset`, a bare boolean (output on or off), or nothing. `answer`
 * gets "Module NAME debug on level 7 objects off\r\n"; NULL: none wanted.
 *
 * @return 0, -EINVAL (not a directive), -EOPNOTSUPP (`objects`, `filter`).
 */
int pb_log_control(struct pb_log_source *src, struct pb_str line, struct pb_text *answer);
/** "WARN" for 5; "" for anything that is not a level. */
const char *pb_log_tag(int level);
/**
 * Append `s` so that a terminal only shows it: control characters (C0, DEL, C1)
 * and octets that are not UTF-8 become \xHH. Tab stays; CR and LF stay when
 * `keep_lines`.
 */
void pb_log_add_visible(struct pb_text *t, struct pb_str s, bool keep_lines);
/** A line for somebody who is dying: past the queue, in a signal handler too; to the file and to standard error. */
void pb_log_last_words(const struct pb_log_source *src, const struct pb_log_row *row, struct pb_str text);

/* ---- Where it goes, and how it looks ------------------------------------------- */

/**
 * Write to `path` (appended, or truncated first), NULL: stderr. @return 0 or
 * -errno: the old sink stays.
 */
int pb_log_open(const char *path, bool truncate);
/** The same file again, for who has renamed it. @return as above. */
int pb_log_reopen(void);
/** Standard output and error are the file too, now and whenever it is opened. */
void pb_log_set_streams(bool follow);
/**
 * From that size on the file is renamed to FILE.1, that to FILE.2 and so on, and
 * begun anew; 0: never. `keep` of them stay; 0: it is only emptied.
 */
void pb_log_set_rotation(uint64_t bytes, unsigned keep);
/**
 * From now on a thread writes, and nobody else waits for the file. Lines that it
 * cannot write in time are dropped and counted. Not before the last fork.
 */
int pb_log_start(void);
/** Write what is left, for at most so long. @return whether all was written and the thread has ended. */
bool pb_log_stop(unsigned limit_ms);
/** One JSON object a line: time (RFC 3339), level, facility, id, text, pid. */
void pb_log_set_json(bool on);
/** Colours of a terminal by level. */
void pb_log_set_colour(bool on);
/** Stamps on output lines too. */
void pb_log_set_stamp_output(bool on);
/** A line of level FAIL ends the process with SIGABRT. */
void pb_log_set_abort(bool on);
/** Time stamps: 'n' none, 't' since start, 'e' epoch, 'f'/'z' compact, 'F'/'Z' separated (GMT/local); 'Z' at first. */
void pb_log_set_stamp(char style);
char pb_log_stamp(void);
/** The stamp of a line written now, with the blank behind it. */
void pb_log_add_stamp(struct pb_text *t);

/**
 * A listener gets each line (without newline) on the thread that logs; it must
 * be quick and must not log: the console copies and posts to its loop.
 * `level` is -1 for output lines.
 */
struct pb_log_tap {
	void (*fn)(void *arg, int level, struct pb_str line);
	void *arg;
	struct pb_log_tap *next;
};
void pb_log_tap_add(struct pb_log_tap *t);
/** After it returns, `fn` runs on no thread. */
void pb_log_tap_remove(struct pb_log_tap *t);

#endif
