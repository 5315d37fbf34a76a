/*
 * How a line looks: time stamps, what a terminal may show of a text, and JSON.
 *
 * A crash is told from a signal handler, where the C library must not be asked
 * for the time zone (it locks). So the offset that was last in force is kept,
 * and dates are computed here.
 */
#include <time.h>
#include <unistd.h>

#include "loop/log_impl.h"

static _Atomic int64_t started_us; /* monotonic; of the first line stamped 't' */
static _Atomic char stamp_style = 'Z';
static _Atomic long zone_offset_s; /* as last asked for */

/* ---- Time stamps ------------------------------------------------------------- */

static int64_t read_us(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/** Microseconds since the start, which is now when nobody has asked before. */
static int64_t since_start_us(void)
{
	int64_t now = read_us(CLOCK_MONOTONIC), first = 0;

	atomic_compare_exchange_strong(&started_us, &first, now);
	return first ? now - first : 0;
}

static void add_digits(struct pb_text *t, int64_t v, unsigned width)
{
	char digits[20];

	for (unsigned i = width; i-- > 0; v /= 10)
		digits[i] = (char)('0' + v % 10);
	pb_text_add(t, pb_str(digits, width));
}

/** Seconds, at least seven digits of them, and microseconds. */
static void add_seconds(struct pb_text *t, int64_t us)
{
	unsigned width = 7;

	for (int64_t s = us / 1000000 / 10000000; s; s /= 10)
		width++;
	add_digits(t, us / 1000000, width);
	pb_text_addc(t, '.');
	add_digits(t, us % 1000000, 6);
}

struct date {
	int64_t field[6]; /* year, month, day, hour, minute, second */
	int64_t us;
};

/** The Gregorian calendar; years are counted from March, so that the leap day is the last. */
static struct date date_of(int64_t us, long offset_s)
{
	int64_t s = us / 1000000 + offset_s, days = s / 86400, left = s % 86400;
	int64_t z = days + 719468, era = z / 146097, doe = z % 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), m = (5 * doy + 2) / 153;

	return (struct date){
		{ yoe + era * 400 + (m >= 10), m < 10 ? m + 3 : m - 9, doy - (153 * m + 2) / 5 + 1,
		  left / 3600, left / 60 % 60, left % 60 },
		us % 1000000,
	};
}

/** `marks` stand behind the fields; 0: none. */
static void add_date(struct pb_text *t, long offset_s, const char marks[6])
{
	struct date d = date_of(read_us(CLOCK_REALTIME), offset_s);

	for (unsigned i = 0; i < 6; i++) {
		add_digits(t, d.field[i], i ? 2 : 4);
		if (marks[i])
			pb_text_addc(t, marks[i]);
	}
	add_digits(t, d.us, 6);
}

static const char compact[6] = { 0, 0, 0, 0, 0, '.' },
		  separated[6] = { '-', '-', '_', ':', ':', '.' };

void pbi_log_add_rfc3339(struct pb_text *t)
{
	static const char marks[6] = { '-', '-', 'T', ':', ':', '.' };

	add_date(t, 0, marks);
	pb_text_addc(t, 'Z');
}

static void add_stamp(struct pb_text *t, char style, long offset_s)
{
	switch (style) {
	case 'n':
		return;
	case 't':
		add_seconds(t, since_start_us());
		break;
	case 'e':
		add_seconds(t, read_us(CLOCK_REALTIME));
		break;
	default:
		add_date(t, offset_s, style == 'f' || style == 'z' ? compact : separated);
	}
	pb_text_addc(t, ' ');
}

static bool is_local(char style)
{
	return style == 'z' || style == 'Z';
}

void pbi_log_add_stamp_safely(struct pb_text *t)
{
	char style = pb_log_stamp();

	add_stamp(t, style, is_local(style) ? atomic_load(&zone_offset_s) : 0);
}

void pb_log_add_stamp(struct pb_text *t)
{
	char style = pb_log_stamp();
	long offset_s = 0;

	if (is_local(style)) {
		time_t now = (time_t)(read_us(CLOCK_REALTIME) / 1000000);
		struct tm tm;

		localtime_r(&now, &tm);
		offset_s = tm.tm_gmtoff;
		atomic_store_explicit(&zone_offset_s, offset_s, memory_order_relaxed);
	}
	add_stamp(t, style, offset_s);
}

void pb_log_set_stamp(char style)
{
	if (memchr("ntefFzZ", style, 7))
		atomic_store_explicit(&stamp_style, style, memory_order_relaxed);
	if (style == 't')
		since_start_us();
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
	size_t n = p[0] < 0x80   ? 1
		   : p[0] < 0xc2 ? 0
		   : p[0] < 0xe0 ? 2
		   : p[0] < 0xf0 ? 3
		   : p[0] < 0xf5 ? 4
				 : 0;

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

bool pbi_log_is_visible(struct pb_str s)
{
	return shown_run(s, true, s.n) == s.n;
}

/* ---- JSON ----------------------------------------------------------------------- */

static void add_member(struct pb_text *t, const char *name, struct pb_str value)
{
	pb_text_lit(t, ",\"");
	pb_text_add(t, pb_str_z(name));
	pb_text_lit(t, "\":");
	pb_text_add_json(t, value);
}

void pbi_log_add_json(struct pb_text *t, const struct pbi_line *l)
{
	pb_text_lit(t, "{\"time\":\"");
	pbi_log_add_rfc3339(t);
	pb_text_lit(t, "\"");
	add_member(t, "level", pb_str_z(l->level < 0 ? "OUTPUT" : pb_log_tag(l->level)));
	if (l->source[0])
		add_member(t, "facility", pb_str_z(l->source));
	if (l->id)
		add_member(t, "id", pb_str_z(l->id));
	add_member(t, "text", l->text);
	pb_text_lit(t, ",\"pid\":");
	pb_text_addu(t, (uint64_t)getpid());
	pb_text_addc(t, '}');
}
