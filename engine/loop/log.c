/*
 * The log. A line is formatted on the stack of the thread that logs and then
 * handed to the sink (log_sink.c) while a mutex is held, so that lines stay
 * whole and in one order for the file and the taps alike.
 *
 * The mutex is the log's only lock: it guards the sink, what was said again
 * (log_repeat.c), the list of taps (so that a removed one runs nowhere) and the
 * list of sources. It is taken only for lines that are written, never to find
 * out whether one would be: levels are atomics. The log reads the real clock,
 * not the loop's: it also serves threads without a loop.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "loop/log_impl.h"

/** Longest line, newline included; what is longer is cut. */
#define LINE_MAX_BYTES 16384
/** Of which the stamp, the tag and the id may take. */
#define LINE_FRAME_BYTES 256
/** Longest output line. */
#define OUTPUT_MAX_BYTES (1u << 18)
/** Added to a source's level while its output is switched off. */
#define LEVEL_OFF 1000

pthread_mutex_t pbi_log_lock = PTHREAD_MUTEX_INITIALIZER;
static struct pb_log_tap *taps;
static struct pb_log_source *sources = &pbi_log_log; /* the log knows itself */

static _Atomic int global_level = PB_NOTE;
static _Atomic bool as_json, in_colour, stamp_output, abort_on_fail;

static const struct pb_log_row own_rows[] = {
	[PBI_LOG_DROPPED] = { "log-001", PB_WARN,
			      "Lines were lost because the log was not taken as fast as they came: "
			      "look at the disk, or at who reads the pipe." },
	[PBI_LOG_REPEATED] = { "log-002", PB_NOTE,
			       "The same line came again and again within a second and was only "
			       "counted; the text shows its beginning." },
	[PBI_LOG_NOT_ROTATED] = { "log-003", PB_WARN,
				  "The log file has reached its size but cannot be renamed or made "
				  "anew: look at the rights of its folder." },
	{ NULL },
};
PB_LOG_SOURCE(pbi_log_log, "log", own_rows);

static const char tags[][5] = { "FAIL", "TEST", "CRIT", "CONF", "STUB", "WARN",
				"MILD", "NOTE", "CALL", "INFO", "ALL" };

const char *pb_log_tag(int level)
{
	return level >= 0 && level <= PB_ALL ? tags[level] : "";
}

/* ---- Sources and levels ---------------------------------------------------- */

void pb_log_register(struct pb_log_source *src)
{
	struct pb_log_source **at = &sources;

	pthread_mutex_lock(&pbi_log_lock);
	while (*at && *at != src)
		at = &(*at)->next;
	if (!*at)
		*at = src;
	pthread_mutex_unlock(&pbi_log_lock);
}

struct pb_log_source *pb_log_next(const struct pb_log_source *after)
{
	struct pb_log_source *s;

	pthread_mutex_lock(&pbi_log_lock);
	s = after ? after->next : sources;
	pthread_mutex_unlock(&pbi_log_lock);
	return s;
}

struct pb_log_source *pb_log_find(struct pb_str name)
{
	struct pb_log_source *s = NULL;

	while ((s = pb_log_next(s))) {
		if (pb_str_eq(pb_str_z(s->name), name))
			return s;
	}
	return NULL;
}

static int clamp_level(int level)
{
	return level < PB_CONF ? PB_CONF : level > PB_ALL ? PB_ALL : level;
}

void pb_log_set_level(int level)
{
	atomic_store_explicit(&global_level, clamp_level(level), memory_order_relaxed);
}

int pb_log_level(void)
{
	return atomic_load_explicit(&global_level, memory_order_relaxed);
}

void pb_log_source_set_level(struct pb_log_source *src, int level)
{
	if (level != -1)
		level = clamp_level(level);
	atomic_store_explicit(&src->level, level, memory_order_relaxed);
}

int pb_log_source_level(const struct pb_log_source *src)
{
	int level = atomic_load_explicit(&src->level, memory_order_relaxed);

	if (level >= LEVEL_OFF - 1)
		level -= LEVEL_OFF;
	return level == -1 ? pb_log_level() : level;
}

bool pb_log_source_is_on(const struct pb_log_source *src)
{
	return atomic_load_explicit(&src->level, memory_order_relaxed) < LEVEL_OFF - 1;
}

void pb_log_source_switch(struct pb_log_source *src, bool on)
{
	int level = atomic_load_explicit(&src->level, memory_order_relaxed);

	if ((level < LEVEL_OFF - 1) != on)
		atomic_compare_exchange_strong(&src->level, &level,
					       on ? level - LEVEL_OFF : level + LEVEL_OFF);
}

bool pb_log_wants(const struct pb_log_source *src, enum pb_level level)
{
	return pb_log_source_is_on(src) && (int)level <= pb_log_source_level(src);
}

/* ---- Lines ------------------------------------------------------------------------ */

void pb_log_set_json(bool on)
{
	atomic_store(&as_json, on);
}

void pb_log_set_colour(bool on)
{
	atomic_store(&in_colour, on);
}

void pb_log_set_stamp_output(bool on)
{
	atomic_store(&stamp_output, on);
}

void pb_log_set_abort(bool on)
{
	atomic_store(&abort_on_fail, on);
}

static void sink_json(const struct pbi_line *l, bool urgent)
{
	struct pb_text t;

	pb_text_init(&t, 8 * OUTPUT_MAX_BYTES);
	pbi_log_add_json(&t, l);
	if (!pb_text_failed(&t))
		pbi_sink_put(pb_text_str(&t), urgent);
	pb_text_fini(&t);
}

static void sink_coloured(int level, struct pb_str shown)
{
	static const char *const colours[] = { "5;41;1;33", "44;1;37", "41;1;37", "41;37",
					       "40;31",     "40;1;31", "40;1;33", "40;1;32",
					       "40;1;37",   "40;1;36", "40;36" };
	struct pb_text t;

	pb_text_init(&t, 2 * OUTPUT_MAX_BYTES);
	pb_text_addf(&t, "\033[%sm\033[K", level < 0 ? "0;40;37" : colours[level]);
	pb_text_add(&t, shown);
	pb_text_lit(&t, "\033[0m\033[K");
	pbi_sink_put(pb_text_str(&t), level == PB_FAIL || level == PB_CRIT);
	pb_text_fini(&t);
}

/** `shown` is the line as a text, as taps get it. Locked. */
static void put_locked(const struct pbi_line *l, struct pb_str shown)
{
	bool urgent = l->level == PB_FAIL || l->level == PB_CRIT;

	if (atomic_load_explicit(&as_json, memory_order_relaxed))
		sink_json(l, urgent);
	else if (atomic_load_explicit(&in_colour, memory_order_relaxed))
		sink_coloured(l->level, shown);
	else
		pbi_sink_put(shown, urgent);
	for (struct pb_log_tap *t = taps; t; t = t->next)
		t->fn(t->arg, l->level, shown);
}

static void put(const struct pbi_line *l, struct pb_str shown)
{
	pthread_mutex_lock(&pbi_log_lock);
	put_locked(l, shown);
	pthread_mutex_unlock(&pbi_log_lock);
	if (l->level == PB_FAIL && atomic_load_explicit(&abort_on_fail, memory_order_relaxed))
		abort();
}

/** What stands before the text. */
static void begin_line(struct pb_text *t, const char *source, int level)
{
	pb_log_add_stamp(t);
	pb_text_lit(t, "<");
	pb_text_add(t, pb_str_z(source));
	if (source[0])
		pb_text_lit(t, ":");
	pb_text_add(t, pb_str_z(pb_log_tag(level)));
	pb_text_lit(t, "> ");
}

/** ` [id]`, for which room was left. */
static void end_line(struct pb_text *t, const char *id)
{
	if (!id)
		return;
	t->size = t->limit = LINE_MAX_BYTES - 1;
	t->failed = false;
	pb_text_lit(t, " [");
	pb_text_add(t, pb_str_z(id));
	pb_text_lit(t, "]");
}

/** The line as a text into LINE_MAX_BYTES at `buf`, cut where the id and the newline still have
 * room. */
static void make_line(char *buf, struct pb_text *t, struct pbi_line *l, struct pb_str raw)
{
	size_t at;

	pb_text_init_buf(t, buf, LINE_MAX_BYTES - (l->id ? strlen(l->id) + 3 : 0) - 1);
	begin_line(t, l->source, l->level);
	at = t->n;
	pb_log_add_visible(t, raw, false);
	l->text = pb_str(buf + at, t->n - at);
	end_line(t, l->id);
}

/** What vsnprintf, which answered `n`, has left in `buf`. */
static struct pb_str printed(const char *buf, size_t size, int n)
{
	if (n < 0)
		return PB_STR("");
	return pb_str(buf, (size_t)n < size ? (size_t)n : size - 1);
}

static bool held_back(const struct pb_log_source *src, const struct pb_log_row *row,
		      struct pb_str raw)
{
	bool held;

	pthread_mutex_lock(&pbi_log_lock);
	held = pbi_repeat_hold(src, row, raw);
	pthread_mutex_unlock(&pbi_log_lock);
	return held;
}

static void say(const struct pb_log_source *src, enum pb_level level, const struct pb_log_row *row,
		const char *fmt, va_list ap)
{
	char line[LINE_MAX_BYTES], raw[LINE_MAX_BYTES - LINE_FRAME_BYTES];
	struct pbi_line l = { .level = (int)level,
			      .source = src->name,
			      .id = row ? row->id : NULL };
	int saved = errno, n = vsnprintf(raw, sizeof(raw), fmt, ap);
	struct pb_str text = printed(raw, sizeof(raw), n);
	struct pb_text t;

	if (!held_back(src, row, text)) {
		make_line(line, &t, &l, text);
		put(&l, pb_text_str(&t));
	}
	errno = saved;
}

void pb_log(struct pb_log_source *src, const struct pb_log_row *row, const char *fmt, ...)
{
	va_list ap;

	if (!pb_log_wants(src, row->level))
		return;
	va_start(ap, fmt);
	say(src, row->level, row, fmt, ap);
	va_end(ap);
}

void pb_log_block(struct pb_log_source *src, const struct pb_log_row *row, struct pb_str head,
		  struct pb_str block)
{
	struct pbi_line l = { .level = (int)row->level, .source = src->name, .id = row->id };
	char line[LINE_MAX_BYTES];
	struct pb_text t;
	size_t at;

	if (!pb_log_wants(src, row->level))
		return;
	pb_text_init_buf(&t, line, sizeof(line) - 1);
	begin_line(&t, src->name, (int)row->level);
	at = t.n;
	pb_log_add_visible(&t, head, false);
	pb_text_lit(&t, " [");
	pb_text_add(&t, pb_str_z(row->id));
	pb_text_lit(&t, "]\r\n");
	pb_log_add_visible(&t, block, true);
	l.text = pb_str(line + at, t.n - at);
	put(&l, pb_text_str(&t));
}

void pb_log_at(struct pb_log_source *src, enum pb_level level, const char *fmt, ...)
{
	va_list ap;

	if (!pb_log_wants(src, level))
		return;
	va_start(ap, fmt);
	say(src, level, NULL, fmt, ap);
	va_end(ap);
}

static void put_output(struct pb_str text)
{
	struct pbi_line l = { .level = -1, .source = "", .text = text };
	struct pb_text t;

	if (!atomic_load_explicit(&stamp_output, memory_order_relaxed)) {
		put(&l, text);
		return;
	}
	pb_text_init(&t, OUTPUT_MAX_BYTES + LINE_FRAME_BYTES);
	pb_log_add_stamp(&t);
	pb_text_add(&t, text);
	put(&l, pb_text_str(&t));
	pb_text_fini(&t);
}

void pb_log_output(struct pb_str text)
{
	struct pb_text t;

	if (text.n && text.p[text.n - 1] == '\n')
		text.n--;
	if (pbi_log_is_visible(text)) {
		put_output(pb_str_head(text, OUTPUT_MAX_BYTES));
		return;
	}
	pb_text_init(&t, OUTPUT_MAX_BYTES);
	pb_log_add_visible(&t, text, true);
	put_output(pb_text_str(&t));
	pb_text_fini(&t);
}

/* ---- The log's own lines ---------------------------------------------------------- */

static void say_locked(const struct pb_log_source *src, const struct pb_log_row *row,
		       const char *fmt, va_list ap)
{
	struct pbi_line l = { .level = (int)row->level, .source = src->name, .id = row->id };
	char line[LINE_MAX_BYTES], raw[512];
	int n = vsnprintf(raw, sizeof(raw), fmt, ap);
	struct pb_text t;

	make_line(line, &t, &l, printed(raw, sizeof(raw), n));
	put_locked(&l, pb_text_str(&t));
}

void pbi_log_own(unsigned row, const char *fmt, ...)
{
	va_list ap;

	if (!pb_log_wants(&pbi_log_log, own_rows[row].level))
		return;
	va_start(ap, fmt);
	say_locked(&pbi_log_log, &own_rows[row], fmt, ap);
	va_end(ap);
}

void pbi_log_say_repeated(const struct pb_log_source *src, const struct pb_log_row *row,
			  struct pb_str head, unsigned times)
{
	pbi_log_own(PBI_LOG_REPEATED, "said %u more times: <%s> %.*s%s%s%s", times, src->name,
		    PB_STR_F(head), row ? " [" : "", row ? row->id : "", row ? "]" : "");
}

void pb_log_last_words(const struct pb_log_source *src, const struct pb_log_row *row,
		       struct pb_str text)
{
	static char buf[4 * 1024]; /* one thread dies at a time */
	struct pbi_line l = {
		.level = (int)row->level, .source = src->name, .id = row->id, .text = text
	};
	struct pb_text t;

	pb_text_init_buf(&t, buf, sizeof(buf) - 1);
	if (atomic_load(&as_json)) {
		pbi_log_add_json(&t, &l);
	} else {
		pbi_log_add_stamp_safely(&t);
		pb_text_lit(&t, "<");
		pb_text_add(&t, pb_str_z(src->name));
		pb_text_lit(&t, ":");
		pb_text_add(&t, pb_str_z(pb_log_tag(l.level)));
		pb_text_lit(&t, "> ");
		pb_text_add(&t, text);
		pb_text_lit(&t, " [");
		pb_text_add(&t, pb_str_z(row->id));
		pb_text_lit(&t, "]");
	}
	buf[t.n] = '\n';
	pbi_sink_last(pb_str(buf, t.n + 1));
}

/* ---- Taps ------------------------------------------------------------------------- */

void pb_log_tap_add(struct pb_log_tap *t)
{
	pthread_mutex_lock(&pbi_log_lock);
	t->next = taps;
	taps = t;
	pthread_mutex_unlock(&pbi_log_lock);
}

void pb_log_tap_remove(struct pb_log_tap *t)
{
	struct pb_log_tap **at = &taps;

	pthread_mutex_lock(&pbi_log_lock);
	while (*at && *at != t)
		at = &(*at)->next;
	if (*at)
		*at = t->next;
	t->next = NULL;
	pthread_mutex_unlock(&pbi_log_lock);
}
