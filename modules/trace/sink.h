/*
 * Traces in files. All writing is done on the module's home loop, which owns no
 * calls and may wait for a disk; others post octets to it, up to a bound.
 *
 * Files are made in one folder only (engine.cfg, recorder.dir), under a plain
 * name, and never over one that is there.
 */
#ifndef TRACE_SINK_H
#define TRACE_SINK_H

#include <stdatomic.h>

#include "base/text.h"
#include "bus/module.h"

struct trace_sink {
	struct pb_loop *home;
	struct pb_bus *bus;
	struct pb_str dir;
	int fd; /* of the file that goes on; -1: none. Home's, as the next ones */
	uint64_t written;
	atomic_bool open; /* any loop asks */
	_Atomic size_t waiting; /* octets posted and not yet written */
	_Atomic uint64_t lost;	/* packets that found no room there */
};

/** @thread home, as for start and stop. `text` gets a line for who asked. */
void trace_sink_init(struct trace_sink *s, struct pb_ctx *cx);
bool trace_sink_start(struct trace_sink *s, struct pb_str name, struct pb_text *text);
void trace_sink_stop(struct trace_sink *s, struct pb_text *text);
/** Append to the file that is open. Any thread. */
void trace_sink_add(struct trace_sink *s, struct pb_str octets);
/**
 * A whole file of its own; whoever waits at `token` is resumed with a line about
 * it. Any thread. @return false: no memory, nobody will be resumed.
 */
bool trace_sink_write(struct trace_sink *s, struct pb_str name, struct pb_str octets, struct pb_token token);

#endif
