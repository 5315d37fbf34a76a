/*
 * trace: what the flight recorder has, shown, followed and written to files.
 *
 * trace.c  descriptor, commands   show.c  records as ladder, lists, JSON, pcapng
 * live.c   who is followed        sink.c  files
 */
#ifndef TRACE_TRACE_H
#define TRACE_TRACE_H

#include "trace/filter.h"
#include "trace/sink.h"

struct trace_shared {
	struct trace_sink sink;
};

/* Of a call loop; its filter is its own copy. */
struct trace_loop {
	struct pb_ctx *cx;
	struct trace_sink *sink;
	struct trace_filter *filter; /* NULL: all */
	bool shown; /* on the consoles */
	uint64_t second; /* of the allowance */
	unsigned left, dropped;
};

/* live.c */
/** Show what `f` takes from now on (it is the loop's); NULL and off: nothing. */
void trace_live_set(struct trace_loop *tl, struct trace_filter *f, bool shown);
/** Listen to the recorder or do not, as shown and sink want. */
void trace_live_update(struct trace_loop *tl);

/* show.c */
enum trace_form { TRACE_LADDER, TRACE_BRIEF, TRACE_FULL, TRACE_JSON };
/** This loop's record with that key; false: it has none. */
bool trace_show(struct pb_ctx *cx, struct pb_str key, enum trace_form form, struct pb_text *t);
void trace_list(struct pb_ctx *cx, bool json, struct pb_text *t);
/** The same record as a pcapng file. */
bool trace_export(struct pb_ctx *cx, struct pb_str key, struct pb_text *t);

#endif
