/*
 * Who holds a port: for the line that says why ours could not be opened.
 */
#ifndef PB_LOOP_HOLDER_H
#define PB_LOOP_HOLDER_H

#include "base/text.h"
#include "loop/addr.h"

enum pb_transport { PB_UDP, PB_TCP };

/**
 * Append the error's text, and for -EADDRINUSE the process that has the port as
 * far as /proc tells: "Address already in use (by kamailio, process 4711)". It
 * reads files: for failures at start.
 */
void pb_port_say(struct pb_text *t, enum pb_transport kind, const struct pb_addr *a, int err);

#endif
