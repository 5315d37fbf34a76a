/* One walk over the format: at each place the longest word that fits. */
#include "cdrbuild/timefmt.h"

#include <time.h>

enum part { YEAR, YEAR2, MONTH, DAY, HOUR, MINUTE, SECOND, PARTS };

static const struct {
	struct pb_str word;
	int width;
} words[PARTS] = {
	[YEAR] = { PB_STR_INIT("YYYY"), 4 }, [YEAR2] = { PB_STR_INIT("YY"), 2 },
	[MONTH] = { PB_STR_INIT("MM"), 2 },  [DAY] = { PB_STR_INIT("DD"), 2 },
	[HOUR] = { PB_STR_INIT("HH"), 2 },   [MINUTE] = { PB_STR_INIT("mm"), 2 },
	[SECOND] = { PB_STR_INIT("SS"), 2 },
};

static size_t count_u(struct pb_str s)
{
	size_t n = 0;

	while (n < s.n && n < 6 && s.p[n] == 'u')
		n++;
	return n;
}

static void add_fraction(struct pb_text *t, uint64_t us, size_t digits)
{
	uint64_t fraction = us % 1000000;

	for (size_t i = digits; i < 6; i++)
		fraction /= 10;
	pb_text_addf(t, "%0*llu", (int)digits, (unsigned long long)fraction);
}

/* `values` are those of the words from `first` on; without a date there is no fraction. */
static void walk(struct pb_text *t, struct pb_str format, const long values[PARTS], enum part first,
		 uint64_t us)
{
	while (format.n) {
		size_t n = first == YEAR ? count_u(format) : 0;
		unsigned i = first;

		if (n) {
			add_fraction(t, us, n);
			format = pb_str_from(format, n);
			continue;
		}
		while (i < PARTS && !pb_str_starts(format, words[i].word))
			i++;
		if (i < PARTS)
			pb_text_addf(t, "%0*ld", words[i].width, values[i]);
		else
			pb_text_addc(t, format.p[0]);
		format = pb_str_from(format, i < PARTS ? words[i].word.n : 1);
	}
}

void cdr_format_time(struct pb_text *t, struct pb_str format, uint64_t us)
{
	bool utc = pb_str_find(format, PB_STR("UTC")) >= 0;
	time_t s = (time_t)(us / 1000000);
	struct tm tm = { 0 };

	if (utc)
		gmtime_r(&s, &tm);
	else
		localtime_r(&s, &tm);
	walk(t, format,
	     (const long[PARTS]){ tm.tm_year + 1900, tm.tm_year % 100, tm.tm_mon + 1, tm.tm_mday,
				  tm.tm_hour, tm.tm_min, tm.tm_sec },
	     YEAR, us);
	if (!utc)
		pb_text_addf(t, " %s", tm.tm_zone ? tm.tm_zone : "");
}

void cdr_format_duration(struct pb_text *t, struct pb_str format, uint64_t us)
{
	long s = (long)(us / 1000000);

	walk(t, format, (const long[PARTS]){ 0, 0, 0, 0, s / 3600, s / 60 % 60, s % 60 }, HOUR, us);
}
