/*
 * The log. A line is formatted on the stack of the thread that logs, then
 * written whole with one system call while a mutex is held.
 *
 * The mutex is this file's only lock: it guards the sink (so that it can be
 * reopened under way), the list of taps (so that a removed one runs nowhere)
 * and the list of sources. It is taken only for lines that are written, never
 * to find out whether one would be: levels are atomics. The log reads the real
 * clock, not the loop's: it also serves threads without a loop.
 */
#include "loop/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/** Longest line, newline included; what is longer is cut. */
#define LINE_MAX_BYTES 16384
/** Of which the stamp, the tag and the id may take. */
#define LINE_FRAME_BYTES 256
/** Longest output line that needed escaping. */
#define OUTPUT_MAX_BYTES (1u << 20)
/** Added to a source's level while its output is switched off. */
#define LEVEL_OFF 1000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int sink_fd = 2;
static struct pb_log_tap *taps;
static struct pb_log_source *sources;
static struct timespec started; /* monotonic; of the first line stamped 't' */

static _Atomic int global_level = PB_NOTE;
static _Atomic char stamp_style = 'Z';

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

	pthread_mutex_lock(&lock);
	while (*at && *at != src)
		at = &(*at)->next;
	if (!*at)
		*at = src;
	pthread_mutex_unlock(&lock);
}

struct pb_log_source *pb_log_next(const struct pb_log_source *after)
{
	struct pb_log_source *s;

	pthread_mutex_lock(&lock);
	s = after ? after->next : sources;
	pthread_mutex_unlock(&lock);
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

/* ---- Time stamps ------------------------------------------------------------- */

/** "SSSSSSS.uuuuuu " since the first stamped line. */
static void add_since_start(struct pb_text *t)
{
	struct timespec now;
	long s, us;

	clock_gettime(CLOCK_MONOTONIC, &now);
	pthread_mutex_lock(&lock);
	if (!started.tv_sec && !started.tv_nsec)
		started = now;
	s = now.tv_sec - started.tv_sec;
	us = (now.tv_nsec - started.tv_nsec) / 1000;
	pthread_mutex_unlock(&lock);
	if (us < 0) {
		us += 1000000;
		s--;
	}
	pb_text_addf(t, "%07ld.%06ld ", s, us);
}

static void add_date(struct pb_text *t, const struct timespec *now, bool local, const char *format)
{
	struct tm tm;
	char date[32];

	if (local)
		localtime_r(&now->tv_sec, &tm);
	else
		gmtime_r(&now->tv_sec, &tm);
	strftime(date, sizeof(date), format, &tm);
	pb_text_addf(t, "%s.%06ld ", date, now->tv_nsec / 1000);
}

void pb_log_add_stamp(struct pb_text *t)
{
	char style = atomic_load_explicit(&stamp_style, memory_order_relaxed);
	struct timespec now;

	if (style == 'n')
		return;
	if (style == 't') {
		add_since_start(t);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	if (style == 'e')
		pb_text_addf(t, "%07ld.%06ld ", (long)now.tv_sec, now.tv_nsec / 1000);
	else
		add_date(t, &now, style == 'z' || style == 'Z',
			 style == 'f' || style == 'z' ? "%Y%m%d%H%M%S" : "%Y-%m-%d_%H:%M:%S");
}

void pb_log_set_stamp(char style)
{
	if (memchr("ntefFzZ", style, 7))
		atomic_store_explicit(&stamp_style, style, memory_order_relaxed);
	if (style == 't') {
		pthread_mutex_lock(&lock);
		if (!started.tv_sec && !started.tv_nsec)
			clock_gettime(CLOCK_MONOTONIC, &started);
		pthread_mutex_unlock(&lock);
	}
}

char pb_log_stamp(void)
{
	return atomic_load_explicit(&stamp_style, memory_order_relaxed);
}

/* ---- What a terminal may show -------------------------------------------------- */

/** Octets of the UTF-8 character at the start of `s` (RFC 3629); 0: none is there. */
static size_t utf8_length(struct pb_str s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	size_t n = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;

	if (n == 0 || n > s.n)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

/** Octets at the start of `s` that may be shown as they are; 0: escape one. */
static size_t shown(struct pb_str s, bool keep_lines)
{
	unsigned char c = (unsigned char)s.p[0];

	if (c < 0x20)
		return c == '\t' || (keep_lines && (c == '\r' || c == '\n'));
	if (c == 0x7f)
		return 0;
	if (c == 0xc2 && s.n > 1 && (unsigned char)s.p[1] < 0xa0)
		return 0; /* C1 */
	return utf8_length(s);
}

/** How long the beginning is that needs no escape; stops looking after `enough`. */
static size_t shown_run(struct pb_str s, bool keep_lines, size_t enough)
{
	size_t at = 0, n;

	while (at < s.n && at < enough && (n = shown(pb_str_from(s, at), keep_lines)))
		at += n;
	return at;
}

void pb_log_add_visible(struct pb_text *t, struct pb_str s, bool keep_lines)
{
	while (s.n) {
		/* Short runs: a text that is full has lost one of them only. */
		size_t n = shown_run(s, keep_lines, 32);

		pb_text_add(t, pb_str_head(s, n));
		s = pb_str_from(s, n);
		if (n == 0) {
			pb_text_addf(t, "\\x%02X", (unsigned char)s.p[0]);
			s = pb_str_from(s, 1);
		}
	}
}

/* ---- Writing -------------------------------------------------------------------- */

/** `text` and a newline to the sink, `text` to the taps. */
static void put(int level, struct pb_str text)
{
	struct iovec v[2] = {
		{ (char *)(uintptr_t)text.p, text.n },
		{ (char *)(uintptr_t)"\n", 1 },
	};

	pthread_mutex_lock(&lock);
	while (writev(sink_fd, v, 2) < 0 && errno == EINTR)
		;
	for (struct pb_log_tap *t = taps; t; t = t->next)
		t->fn(t->arg, level, text);
	pthread_mutex_unlock(&lock);
}

static void say(const struct pb_log_source *src, enum pb_level level, const char *id, const char *fmt,
		va_list ap)
{
	char line[LINE_MAX_BYTES], raw[LINE_MAX_BYTES - LINE_FRAME_BYTES];
	/* The text is cut where the id and the newline still have room. */
	size_t tail = id ? strlen(id) + 3 : 0;
	int saved = errno;
	struct pb_text t;
	int n;

	n = vsnprintf(raw, sizeof(raw), fmt, ap);
	if (n < 0)
		n = 0;
	pb_text_init_buf(&t, line, sizeof(line) - tail - 1);
	pb_log_add_stamp(&t);
	pb_text_addf(&t, "<%s%s%s> ", src->name, src->name[0] ? ":" : "", pb_log_tag(level));
	pb_log_add_visible(&t, pb_str(raw, (size_t)n < sizeof(raw) ? (size_t)n : sizeof(raw) - 1), false);
	if (id) {
		memcpy(line + t.n, " [", 2);
		memcpy(line + t.n + 2, id, tail - 3);
		line[t.n + tail - 1] = ']';
	}
	put((int)level, pb_str(line, t.n + tail));
	errno = saved;
}

void pb_log(struct pb_log_source *src, const struct pb_log_row *row, const char *fmt, ...)
{
	va_list ap;

	if (!pb_log_wants(src, row->level))
		return;
	va_start(ap, fmt);
	say(src, row->level, row->id, fmt, ap);
	va_end(ap);
}

void pb_log_block(struct pb_log_source *src, const struct pb_log_row *row, struct pb_str head,
		  struct pb_str block)
{
	char line[LINE_MAX_BYTES];
	struct pb_text t;

	if (!pb_log_wants(src, row->level))
		return;
	pb_text_init_buf(&t, line, sizeof(line) - 1);
	pb_log_add_stamp(&t);
	pb_text_addf(&t, "<%s%s%s> ", src->name, src->name[0] ? ":" : "", pb_log_tag(row->level));
	pb_log_add_visible(&t, head, false);
	pb_text_addf(&t, " [%s]\r\n", row->id);
	pb_log_add_visible(&t, block, true);
	put((int)row->level, pb_text_str(&t));
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

void pb_log_output(struct pb_str text)
{
	struct pb_text t;

	if (text.n && text.p[text.n - 1] == '\n')
		text.n--;
	if (shown_run(text, true, text.n) == text.n) {
		put(-1, text);
		return;
	}
	pb_text_init(&t, OUTPUT_MAX_BYTES);
	pb_log_add_visible(&t, text, true);
	put(-1, pb_text_str(&t));
	pb_text_fini(&t);
}

int pb_log_open(const char *path, bool truncate)
{
	int fd = 2, old;

	if (path) {
		fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | (truncate ? O_TRUNC : 0),
			  0640);
		if (fd < 0)
			return -errno;
	}
	pthread_mutex_lock(&lock);
	old = sink_fd;
	sink_fd = fd;
	pthread_mutex_unlock(&lock);
	if (old != 2)
		close(old);
	return 0;
}

/* ---- Taps ------------------------------------------------------------------------- */

void pb_log_tap_add(struct pb_log_tap *t)
{
	pthread_mutex_lock(&lock);
	t->next = taps;
	taps = t;
	pthread_mutex_unlock(&lock);
}

void pb_log_tap_remove(struct pb_log_tap *t)
{
	struct pb_log_tap **at = &taps;

	pthread_mutex_lock(&lock);
	while (*at && *at != t)
		at = &(*at)->next;
	if (*at)
		*at = t->next;
	t->next = NULL;
	pthread_mutex_unlock(&lock);
}
