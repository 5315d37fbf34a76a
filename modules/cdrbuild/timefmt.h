/*
 * Times in a format of the user's: [formatted-timers]. Pure.
 */
#ifndef CDRBUILD_TIMEFMT_H
#define CDRBUILD_TIMEFMT_H

#include "base/text.h"

/**
 * A time (microseconds since 1970): YYYY or YY, MM, DD, HH, mm, SS, one to six
 * u for so many digits of the fraction; all else as it stands. With UTC somewhere
 * in `format` it is that time, else local time with the zone's name behind it.
 */
void cdr_format_time(struct pb_text *t, struct pb_str format, uint64_t us);
/** A duration: HH (all hours), mm, SS. */
void cdr_format_duration(struct pb_text *t, struct pb_str format, uint64_t us);

#endif
