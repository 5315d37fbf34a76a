/*
 * cdrbuild inside: settings, the state of a loop, and the parts of the module.
 */
#ifndef CDRBUILD_CDRBUILD_H
#define CDRBUILD_CDRBUILD_H

#include <stdatomic.h>

#include "base/map.h"
#include "bus/module.h"
#include "cdrbuild/guard.h"
#include "cdrbuild/record.h"

struct cdr_settings {
	int resolution; /* enum cdr_resolution */
	int64_t guard_ms, status_interval_s;
	bool updates, status, status_answer, ring_on_progress;
	struct cdr_params params;
	struct cdr_formats formats;
};

struct cdr_shared {
	atomic_uint_fast64_t next_number;
	struct pb_str runid;
};

/** A loop's. */
struct cdr_state {
	struct pb_ctx *cx; /* this loop's */
	struct pb_map records;
	struct pb_list open; /* records in order of begin */
	struct cdr_guards guards;
};

/* settings.c */
extern const struct pb_opt cdr_options[];
int cdr_settings_read(const struct pb_conf *c, void *settings, struct pb_arena *a,
		      struct pb_findings *f);

/* halt.c: ends all records, and holds the message until they were taken. */
enum pb_verdict cdr_on_halt(struct pb_msg *m, struct pb_ctx *cx);

/* status.c */
void cdr_status(struct pb_ctx *cx, struct pb_status *s);

#endif
