/*
 * How calls ended: the share that was answered (ASR), the share in which the
 * network did its part (NER), and the causes; of the present interval and of
 * all time. Pure.
 */
#ifndef MONITORING_QUALITY_H
#define MONITORING_QUALITY_H

#include "base/str.h"

enum quality_cause {
	QUALITY_HANGUP,
	QUALITY_BUSY,
	QUALITY_REJECTED,
	QUALITY_CANCELLED,
	QUALITY_NO_ANSWER,
	QUALITY_NO_ROUTE,
	QUALITY_NO_CONNECTION,
	QUALITY_NO_AUTH,
	QUALITY_CONGESTION,
	QUALITY_NO_MEDIA,
	QUALITY_CAUSES,
};

/** "Hangup", "Busy" ...: the middle of the names of counters. */
extern const char *const quality_names[QUALITY_CAUSES];

struct quality_count {
	uint64_t calls, answered, delivered; /* delivered: answered, or ended by a party */
	uint64_t causes[QUALITY_CAUSES];
};

struct quality {
	struct quality_count present, all;
};

/** A leg has ended: `reason` as the record says. */
void quality_add(struct quality *q, bool answered, struct pb_str reason);
/** A new interval begins. */
void quality_turn(struct quality *q);
/** In percent; -1 when there were no calls. */
int quality_asr(const struct quality_count *c);
int quality_ner(const struct quality_count *c);

#endif
