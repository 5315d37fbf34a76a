/*
 * One connection to the console, over TCP or the Unix socket: a terminal, or a
 * program that sends lines; the commands it runs one after the other, and what
 * it shows live.
 */
#ifndef CONSOLE_CONN_H
#define CONSOLE_CONN_H

#include "console/console.h"

struct console_conn {
	struct pb_list node;
	struct console *c;
	struct console_port *port;
	struct pb_stream *stream;
	struct console_telnet tty;
	bool plain; /* lines in, lines and %%=done out; no terminal */
	struct pb_text out; /* not yet handed to the stream */
	struct pb_text in; /* input that waits for the present command */
	struct pb_text todo; /* further commands of an alias, each with its NUL */
	struct pb_text aliases; /* NAME NUL TEXT NUL ... */
	enum console_level level;
	bool machine, output, debug, color;
	int threshold; /* of debug */
	bool running; /* a command, or a completion */
	bool json, failed; /* of the present command: wanted; was not understood or done */
	struct pb_text reply; /* its answer, while JSON is wanted */
	struct pb_str line; /* as it was typed, without --json; in `arena` */
	bool expanding; /* it comes from an alias */
	bool completing; /* it is a completion, which leaves the line shown */
	unsigned inside; /* callbacks on the stack */
	bool ending; /* the peer says no more: end when all is answered */
	bool closed; /* to be freed when the last of them returns */
	bool asking, told; /* told: the answer came before the dispatch returned */
	struct pb_questions asked;
	void (*answered)(struct console_conn *c, struct pb_msg *m, bool handled);
	struct pb_arena *arena; /* of the present command */
	struct pb_timer wait; /* of auth */
	struct pb_timer guest; /* until it must have authenticated */
	struct pb_timer again; /* to go on with what waits in `in` */
	uint64_t second; /* of which `lines` counts the lines */
	unsigned lines, lines_of_turn;
	struct pb_timer stall; /* while it does not take what is queued */
	uint64_t written, taken; /* bytes given to the stream; of them gone when `stall` began */
	unsigned lost; /* live lines that were not shown */
	struct console_paging {
		struct pb_text line; /* the command */
		int64_t at, next, rows; /* shown; what follows, or -1; lines of a page */
		bool turning; /* the present command is a page of it */
	} paging;
	struct pb_str password; /* that waits; in `arena` */
	struct console_merge *merge; /* under way on a helper thread */
};

/** Take over an accepted descriptor; closed when that does not go. */
void console_conn_new(struct console_port *port, int fd, const struct pb_addr *from);
/** Write what is queued and end; only inside a command. */
void console_conn_close(struct console_conn *c);
/** End it now, nothing is written. */
void console_conn_free(struct console_conn *c);

/** The engine ends: terminals on the Unix socket are told that it was meant so. */
void console_conn_halt(struct console_conn *c);
void console_conn_set_level(struct console_conn *c, enum console_level level);
/** After output, debug or machine changed. */
void console_conns_update(struct console *c);
/** Show a live line if this connection wants it. */
void console_conn_relay(struct console_conn *c, int level, struct pb_str line);

/* ---- For commands --------------------------------------------------------------------- */

/** Text for the terminal; control characters but CR LF and tab become visible. */
void console_print(struct console_conn *c, struct pb_str text);
void console_printf(struct console_conn *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/**
 * Dispatch `m` (NULL: there was no memory) with the cmd_* parameters added;
 * `answered` prints, the command is over then.
 * @return whether that has happened already.
 */
bool console_ask(struct console_conn *c, struct pb_msg *m,
		 void (*answered)(struct console_conn *c, struct pb_msg *m, bool handled));
/** The present command was not understood or could not be done. */
void console_fail(struct console_conn *c);
/** The present command is over; only for those that went on after their call. */
void console_command_over(struct console_conn *c);

#endif
