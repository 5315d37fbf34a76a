/*
 * Telnet (RFC 854) as octets: negotiation is answered here, everything else
 * goes to the line editor. No socket, no clock.
 */
#ifndef CONSOLE_TELNET_H
#define CONSOLE_TELNET_H

#include "console/edit.h"

struct console_telnet {
	struct console_edit edit;
	unsigned state;
	unsigned char verb; /* WILL, WONT, DO, DONT under way */
	unsigned char sub[5]; /* of a subnegotiation: option and value */
	unsigned sub_n;
	unsigned width, height; /* as the terminal told; 0 x 24 at first */
};

int console_telnet_init(struct console_telnet *t, unsigned history_max);
void console_telnet_fini(struct console_telnet *t);
/** What the server says first: WILL SGA, WILL ECHO, DO NAWS. */
void console_telnet_hello(struct pb_text *out);
/** What it says before it ends a session that was asked to end: WILL LOGOUT. */
void console_telnet_bye(struct pb_text *out);
/**
 * Eat from `*in` up to the next event; CONSOLE_MORE: all of it. What is to be
 * sent is appended to `out`.
 */
enum console_event console_telnet_feed(struct console_telnet *t, struct pb_str *in, struct pb_text *out);

#endif
