/*
 * Live output: log lines and dispatched messages from every thread to the
 * connections that asked for them.
 */
#ifndef CONSOLE_RELAY_H
#define CONSOLE_RELAY_H

#include <stdatomic.h>

#include "bus/bus.h"
#include "loop/log.h"

/** Level of an entry that is a message, not a line. */
#define CONSOLE_RELAY_MESSAGE (-2)

struct console_relay_entry;

struct console_relay {
	struct pb_loop *home;
	/** On the home loop, for each line; level -1: plain output. */
	void (*fn)(void *arg, int level, struct pb_str line);
	void *arg;
	struct pb_log_tap tap;
	struct pb_bus *bus;
	struct pb_reg *hook; /* while somebody wants messages */
	struct console_relay_entry *_Atomic inbox; /* newest first */
	struct console_relay_entry *pending; /* taken and not yet delivered, oldest first */
	atomic_uint waiting; /* entries in both */
	atomic_size_t waiting_bytes;
	_Atomic long second; /* of which `said` counts the lines */
	atomic_uint said;
	atomic_uint lost; /* dropped since the last delivery */
	atomic_bool posted;
	atomic_bool lines, messages; /* whether anybody wants them */
	struct pb_work work;
};

/** `fn`, `arg`, `home` and `bus` are set. */
void console_relay_start(struct console_relay *r);
/** No entry is delivered afterwards. @thread the home loop's. */
void console_relay_stop(struct console_relay *r);
/** What the connections want now. @thread the home loop's. */
void console_relay_want(struct console_relay *r, bool lines, bool messages);
/** The line of machine mode for a dispatched message. */
void console_relay_format(struct pb_text *t, const struct pb_msg *m, bool handled);

#endif
