/*
 * The monitoring module from inside. All of it lives on the home loop, except
 * the counters of requests and calls and the way of alarms.
 */
#ifndef MONITORING_MONITORING_H
#define MONITORING_MONITORING_H

#include <stdatomic.h>

#include "bus/module.h"
#include "monitoring/names.h"
#include "monitoring/quality.h"

#define MONITOR_DIRECTIONS_MAX 64

/** Calls that are counted together: a section with type=call_qos. */
struct monitor_direction {
	struct pb_str name, direction;
	bool enabled;
	int64_t low_asr, high_asr, low_ner; /* percent; -1: no alarm */
	int64_t min_calls, interval_s;
};

struct monitor_settings {
	int64_t alarm_threshold, restart_alarm, cache_s, interval_s, min_calls;
	struct monitor_direction *directions;
	unsigned count;
};

/** A status text that was asked for, and who waits for it. */
struct monitor_board {
	struct pb_str module; /* "": all */
	struct pb_text text;
	uint64_t read_ms; /* 0: never */
	bool asking;
	struct pb_list waiting; /* struct monitor_wait */
};

enum { MONITOR_BOARDS = 4 };

struct monitor_counted {
	struct quality quality;
	uint64_t turned_ms;
	bool low_asr, high_asr, low_ner; /* told, and not over yet */
};

struct monitor {
	struct pb_ctx *cx;
	struct pb_alarm_hook hook;
	struct pb_questions questions;
	struct monitor_board boards[MONITOR_BOARDS];
	struct monitor_counted counted[MONITOR_DIRECTIONS_MAX];
	bool stopping;
	atomic_int threshold; /* of alarms that are told */
	_Atomic uint64_t counters[MONITOR_COUNTERS], alarms;
};

enum { MONITOR_LOG_RESTART, MONITOR_LOG_LOW_ASR, MONITOR_LOG_HIGH_ASR, MONITOR_LOG_LOW_NER, MONITOR_LOG_MANY };
extern const struct pb_log_row monitor_log_rows[];
extern struct pb_log_source monitor_log;

/* settings.c */
extern const struct pb_opt monitor_options[];
int monitor_read(const struct pb_conf *c, void *settings, struct pb_arena *a, struct pb_findings *f);

/* query.c: monitor.query */
enum pb_verdict monitor_on_query(struct pb_msg *m, struct pb_ctx *cx);
void monitor_boards_init(struct monitor *mo);
void monitor_boards_free(struct monitor *mo);

/* calls.c: how calls ended */
enum pb_verdict monitor_on_cdr(struct pb_msg *m, struct pb_ctx *cx);
enum pb_verdict monitor_on_timer(struct pb_msg *m, struct pb_ctx *cx);
/** Of direction `index` (from 1); absent: there is none. */
struct pb_str monitor_quality(const struct monitor *mo, int column, int64_t index, struct pb_arena *a);

#endif
