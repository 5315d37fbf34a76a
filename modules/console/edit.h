/*
 * The line editor of a terminal: one character in, what the terminal shall
 * show out, and now and then an event. No socket, no clock.
 */
#ifndef CONSOLE_EDIT_H
#define CONSOLE_EDIT_H

#include "base/text.h"

/** Longest line; more than that is CONSOLE_TOO_LONG. */
#define CONSOLE_LINE_MAX_BYTES 65536
#define CONSOLE_HISTORY_MAX 50

enum console_event {
	CONSOLE_MORE,	  /* nothing to do: go on reading */
	CONSOLE_LINE,	  /* `done` holds a command */
	CONSOLE_TAB,	  /* complete the line (the cursor is at its end) */
	CONSOLE_CYCLE,	  /* ^O: the next live output mode */
	CONSOLE_PAGE,	  /* `page` of the last command's answer is wanted */
	CONSOLE_CLOSE,	  /* end the connection */
	CONSOLE_TOO_LONG, /* the line does not fit */
};

enum console_page { CONSOLE_PAGE_UP, CONSOLE_PAGE_DOWN, CONSOLE_PAGE_FIRST, CONSOLE_PAGE_LAST };

struct console_edit {
	struct pb_text line; /* being typed */
	size_t at; /* the cursor, in octets */
	struct pb_text done; /* valid until the next line is finished */
	struct pb_str prompt; /* borrowed; empty: none is shown */
	bool echo;
	bool beeped; /* since console_edit_chunk */
	unsigned escape; /* how far in an escape sequence */
	unsigned escape_number;
	struct pb_text *history; /* most recent first */
	unsigned history_n, history_max;
	int history_at; /* shown now; -1: none */
	bool paged; /* set by the owner: the last answer has pages */
	enum console_page page;
};

/** @param history_max  at most CONSOLE_HISTORY_MAX. */
int console_edit_init(struct console_edit *e, unsigned history_max);
void console_edit_fini(struct console_edit *e);
/** New input has come: one beep is allowed again. */
void console_edit_chunk(struct console_edit *e);
enum console_event console_edit_char(struct console_edit *e, unsigned char c, struct pb_text *out);

/** Beep, if that is still allowed. */
void console_edit_beep(struct console_edit *e, struct pb_text *out);
/** Is a prompt on the screen that live output has to take care of? */
bool console_edit_shown(const struct console_edit *e);
/** Take prompt and line off the screen, and put them back. */
void console_edit_hide(const struct console_edit *e, struct pb_text *out);
void console_edit_show(const struct console_edit *e, struct pb_text *out);
/** The word at the end of the line that completion is about; "" after a blank. */
struct pb_str console_edit_word(const struct console_edit *e);
/**
 * Candidates for that word, TAB separated: the only one is put in its place,
 * of several the list is shown and the longest common beginning put in.
 */
void console_edit_complete(struct console_edit *e, struct pb_str candidates, struct pb_text *out);

#endif
