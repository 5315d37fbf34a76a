/*
 * The line editor. With echo off it still edits, silently; what it shows is
 * always either the one change at the end of the line or the whole line again.
 * Control characters never get into the line, so none is echoed.
 */
#include "console/edit.h"

#include <errno.h>

#include "base/alloc.h"

#define CTRL(c) ((c) & 0x1f)

/** Steps of `escape`. */
enum { ESC_NONE, ESC_BEGUN, ESC_NUMBER, ESC_LETTER };

/* ---- Showing ------------------------------------------------------------------------- */

void console_edit_beep(struct console_edit *e, struct pb_text *out)
{
	if (!e->beeped)
		pb_text_addc(out, '\a');
	e->beeped = true;
}

bool console_edit_shown(const struct console_edit *e)
{
	return e->echo && e->prompt.n > 0;
}

void console_edit_hide(const struct console_edit *e, struct pb_text *out)
{
	if (console_edit_shown(e))
		pb_text_lit(out, "\r\033[K\r");
}

static bool is_continuation(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

/** Move the terminal's cursor back over the characters behind ours. */
static void step_back(const struct console_edit *e, struct pb_text *out)
{
	for (size_t i = e->at; i < e->line.n; i++) {
		if (!is_continuation(e->line.p[i]))
			pb_text_addc(out, '\b');
	}
}

void console_edit_show(const struct console_edit *e, struct pb_text *out)
{
	if (!console_edit_shown(e))
		return;
	pb_text_add(out, e->prompt);
	pb_text_add(out, pb_text_str(&e->line));
	step_back(e, out);
}

static void redraw(const struct console_edit *e, struct pb_text *out)
{
	if (!e->echo)
		return;
	pb_text_lit(out, "\r\033[K\r");
	pb_text_add(out, e->prompt);
	pb_text_add(out, pb_text_str(&e->line));
	step_back(e, out);
}

/* ---- Changing the line ------------------------------------------------------------------ */

static size_t before(const struct console_edit *e)
{
	size_t at = e->at;

	while (at > 0 && is_continuation(e->line.p[--at]))
		;
	return at;
}

static size_t behind(const struct console_edit *e)
{
	size_t at = e->at < e->line.n ? e->at + 1 : e->at;

	while (at < e->line.n && is_continuation(e->line.p[at]))
		at++;
	return at;
}

/** Remove from `from` to the cursor or from the cursor to `from`. */
static void erase(struct console_edit *e, size_t from)
{
	size_t lo = from < e->at ? from : e->at, hi = from < e->at ? e->at : from;

	memmove(e->line.p + lo, e->line.p + hi, e->line.n - hi);
	e->line.n -= hi - lo;
	e->at = lo;
}

static void set_line(struct console_edit *e, struct pb_str text)
{
	pb_text_reset(&e->line);
	pb_text_add(&e->line, text);
	e->at = e->line.n;
}

static enum console_event insert(struct console_edit *e, char c, struct pb_text *out)
{
	struct pb_text *l = &e->line;
	bool at_end = e->at == l->n;

	if (c == ' ' && e->echo && (l->n == 0 || (at_end && l->p[l->n - 1] == ' '))) {
		console_edit_beep(e, out);
		return CONSOLE_MORE;
	}
	pb_text_addc(l, c);
	if (pb_text_failed(l))
		return CONSOLE_TOO_LONG;
	memmove(l->p + e->at + 1, l->p + e->at, l->n - 1 - e->at);
	l->p[e->at++] = c;
	if (at_end && e->echo)
		pb_text_addc(out, c);
	else if (!at_end)
		redraw(e, out);
	return CONSOLE_MORE;
}

static void backspace(struct console_edit *e, struct pb_text *out)
{
	bool at_end = e->at == e->line.n;

	if (e->at == 0)
		return;
	erase(e, before(e));
	if (at_end && e->echo)
		pb_text_lit(out, "\b \b");
	else
		redraw(e, out);
}

static void erase_word(struct console_edit *e, struct pb_text *out)
{
	size_t at = e->at;

	while (at > 0 && e->line.p[at - 1] == ' ')
		at--;
	while (at > 0 && e->line.p[at - 1] != ' ')
		at--;
	erase(e, at);
	redraw(e, out);
}

static void go(struct console_edit *e, size_t at, struct pb_text *out)
{
	if (at == e->at)
		return;
	e->at = at;
	redraw(e, out);
}

/* ---- History --------------------------------------------------------------------------------- */

/** `line` to the front; an equal one before it goes away. */
static void remember(struct console_edit *e, struct pb_str line)
{
	struct pb_text moved;
	unsigned at = 0;

	/* A password stays in nobody's history. */
	if (!e->history_max || !line.n || pb_str_skip_word(&line, PB_STR("auth")))
		return;
	while (at < e->history_n && !pb_str_eq(pb_text_str(&e->history[at]), line))
		at++;
	if (at == e->history_max)
		at--;
	else if (at == e->history_n)
		pb_text_init(&e->history[e->history_n++], CONSOLE_LINE_MAX_BYTES);
	moved = e->history[at];
	memmove(e->history + 1, e->history, at * sizeof(moved));
	e->history[0] = moved;
	pb_text_reset(&e->history[0]);
	pb_text_add(&e->history[0], line);
}

static void browse(struct console_edit *e, int step, struct pb_text *out)
{
	int to = e->history_at + step;

	if (to < -1 || to >= (int)e->history_n) {
		console_edit_beep(e, out);
		return;
	}
	e->history_at = to;
	set_line(e, to < 0 ? PB_STR("") : pb_text_str(&e->history[to]));
	redraw(e, out);
}

/* ---- Keys ---------------------------------------------------------------------------------------- */

static enum console_event finish(struct console_edit *e, struct pb_str line)
{
	pb_text_reset(&e->done);
	pb_text_add(&e->done, line);
	pb_text_reset(&e->line);
	e->at = 0;
	e->history_at = -1;
	return pb_text_failed(&e->done) ? CONSOLE_TOO_LONG : CONSOLE_LINE;
}

static enum console_event enter(struct console_edit *e, struct pb_text *out)
{
	struct pb_str line = pb_str_trim(pb_text_str(&e->line));

	if (e->echo)
		pb_text_lit(out, "\r\n");
	if (line.n) {
		remember(e, line);
		return finish(e, line);
	}
	pb_text_reset(&e->line);
	e->at = 0;
	console_edit_show(e, out);
	return CONSOLE_MORE;
}

/** A key that stands for a command while the line is empty. */
static enum console_event shortcut(struct console_edit *e, struct pb_str command, struct pb_text *out)
{
	if (e->line.n) {
		console_edit_beep(e, out);
		return CONSOLE_MORE;
	}
	if (e->echo)
		pb_text_lit(out, "\r\n");
	return finish(e, command);
}

static enum console_event tab(struct console_edit *e, struct pb_text *out)
{
	if (!e->line.n)
		return shortcut(e, PB_STR("help"), out);
	if (e->at == e->line.n)
		return CONSOLE_TAB;
	go(e, e->line.n, out);
	return CONSOLE_MORE;
}

/** A key that turns pages, while the line is empty and there are some. */
static bool turns(struct console_edit *e, enum console_page page)
{
	e->page = page;
	return e->paged && !e->line.n;
}

static enum console_event turn_or_beep(struct console_edit *e, enum console_page page, struct pb_text *out)
{
	if (turns(e, page))
		return CONSOLE_PAGE;
	console_edit_beep(e, out);
	return CONSOLE_MORE;
}

/** The letter that ends ESC [ and ESC O sequences. */
static enum console_event cursor_key(struct console_edit *e, unsigned char c, struct pb_text *out)
{
	unsigned number = e->escape_number;

	e->escape = ESC_NONE;
	if (c == 'H' || (c == '~' && number == 1)) {
		if (turns(e, CONSOLE_PAGE_FIRST))
			return CONSOLE_PAGE;
		go(e, 0, out);
	} else if (c == 'F' || (c == '~' && number == 4)) {
		if (turns(e, CONSOLE_PAGE_LAST))
			return CONSOLE_PAGE;
		go(e, e->line.n, out);
	} else if (c == '~' && (number == 5 || number == 6))
		return turn_or_beep(e, number == 5 ? CONSOLE_PAGE_UP : CONSOLE_PAGE_DOWN, out);
	else if (c == 'A')
		browse(e, 1, out);
	else if (c == 'B')
		browse(e, -1, out);
	else if (c == 'C')
		go(e, behind(e), out);
	else if (c == 'D')
		go(e, before(e), out);
	else if (c == '~' && number == 3 && e->at < e->line.n) {
		erase(e, behind(e));
		redraw(e, out);
	} else
		console_edit_beep(e, out);
	return CONSOLE_MORE;
}

/** Inside an escape sequence. */
static enum console_event escape_char(struct console_edit *e, unsigned char c, struct pb_text *out)
{
	if (e->escape == ESC_BEGUN) {
		e->escape = c == '[' ? ESC_NUMBER : c == 'O' ? ESC_LETTER : ESC_NONE;
		e->escape_number = 0;
		if (!e->escape)
			console_edit_beep(e, out);
	} else if (e->escape == ESC_NUMBER && pb_is_digit((char)c)) {
		e->escape_number = (e->escape_number * 10 + (c - '0')) % 1000;
	} else if (e->escape == ESC_NUMBER && c == ';') {
		e->escape_number = 0; /* with a modifier, which is all the same */
	} else {
		return cursor_key(e, c, out);
	}
	return CONSOLE_MORE;
}

static void redraw_screen(struct console_edit *e, struct pb_text *out)
{
	if (e->echo)
		pb_text_lit(out, "\033[H\033[2J");
	redraw(e, out);
}

static enum console_event control_char(struct console_edit *e, unsigned char c, struct pb_text *out)
{
	switch (c) {
	case CTRL('C'):
		pb_text_lit(out, "^C\r\n");
		return CONSOLE_CLOSE;
	case CTRL('D'):
		return shortcut(e, PB_STR("quit"), out);
	case CTRL('\\'):
		return shortcut(e, PB_STR("reload"), out);
	case CTRL('E'):
		e->echo = !e->echo;
		break;
	case CTRL('O'):
		return CONSOLE_CYCLE;
	case CTRL('B'):
		return turn_or_beep(e, CONSOLE_PAGE_UP, out);
	case CTRL('F'):
		return turn_or_beep(e, CONSOLE_PAGE_DOWN, out);
	case CTRL('L'):
		redraw_screen(e, out);
		break;
	case CTRL('R'):
		redraw(e, out);
		break;
	case CTRL('U'):
		set_line(e, PB_STR(""));
		redraw(e, out);
		break;
	case CTRL('W'):
		erase_word(e, out);
		break;
	case '\b':
	case 0x7f:
		backspace(e, out);
		break;
	case '\t':
		return tab(e, out);
	case 033:
		e->escape = ESC_BEGUN;
		break;
	default:
		console_edit_beep(e, out);
	}
	return CONSOLE_MORE;
}

enum console_event console_edit_char(struct console_edit *e, unsigned char c, struct pb_text *out)
{
	if (c == '\0')
		return CONSOLE_MORE;
	if (c == '\r' || c == '\n') {
		e->escape = ESC_NONE;
		/* The second half of CR LF. */
		return c == '\n' && !e->line.n ? CONSOLE_MORE : enter(e, out);
	}
	if (e->escape)
		return escape_char(e, c, out);
	if (c < 0x20 || c == 0x7f)
		return control_char(e, c, out);
	return insert(e, (char)c, out);
}

/* ---- Completion --------------------------------------------------------------------------------- */

struct pb_str console_edit_word(const struct console_edit *e)
{
	struct pb_str line = pb_text_str(&e->line);
	size_t at = line.n;

	while (at > 0 && line.p[at - 1] != ' ')
		at--;
	return pb_str_from(line, at);
}

/** Put `word` in the place of the last word; `whole` ones get a blank behind. */
static void replace_word(struct console_edit *e, struct pb_str word, bool whole)
{
	e->line.n -= console_edit_word(e).n;
	pb_text_add(&e->line, word);
	if (whole)
		pb_text_addc(&e->line, ' ');
	e->at = e->line.n;
}

static struct pb_str common_beginning(struct pb_str candidates)
{
	struct pb_str first, item;

	pb_str_cut(&candidates, '\t', &first);
	while (pb_str_cut(&candidates, '\t', &item)) {
		size_t n = 0;

		while (n < first.n && n < item.n && first.p[n] == item.p[n])
			n++;
		first.n = n;
	}
	return first;
}

void console_edit_complete(struct console_edit *e, struct pb_str candidates, struct pb_text *out)
{
	struct pb_str common = common_beginning(candidates);

	if (!candidates.n) {
		console_edit_beep(e, out);
		return;
	}
	if (pb_str_chr(candidates, '\t') < 0) {
		replace_word(e, common, true);
	} else {
		pb_text_lit(out, "\r\n");
		pb_text_add(out, candidates);
		pb_text_lit(out, "\r\n");
		if (common.n > console_edit_word(e).n)
			replace_word(e, common, false);
	}
	redraw(e, out);
}

/* ---- The whole -------------------------------------------------------------------------------- */

int console_edit_init(struct console_edit *e, unsigned history_max)
{
	*e = (struct console_edit){ .history_at = -1 };
	if (history_max > CONSOLE_HISTORY_MAX)
		history_max = CONSOLE_HISTORY_MAX;
	pb_text_init(&e->line, CONSOLE_LINE_MAX_BYTES);
	pb_text_init(&e->done, CONSOLE_LINE_MAX_BYTES);
	e->history_max = history_max;
	if (history_max)
		e->history = pb_alloc_zero(history_max, sizeof(*e->history));
	return history_max && !e->history ? -ENOMEM : 0;
}

void console_edit_fini(struct console_edit *e)
{
	for (unsigned i = 0; i < e->history_n; i++)
		pb_text_fini(&e->history[i]);
	pb_free(e->history);
	pb_text_fini(&e->line);
	pb_text_fini(&e->done);
	e->history = NULL;
	e->history_n = e->history_max = 0;
}

void console_edit_chunk(struct console_edit *e)
{
	e->beeped = false;
}
