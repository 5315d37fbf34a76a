/*
 * A line of the file from a record. Pure.
 */
#ifndef CDRFILE_LINE_H
#define CDRFILE_LINE_H

#include "bus/msg.h"

/** The format when the file names none. */
struct pb_str cdrfile_default_format(bool tabs, bool combined);

/**
 * `format` with ${param} from the record, and a newline. Octets in values that
 * would end the line, or the field, are written as \t, \n, \r or \xHH; without
 * tabs a double quote is doubled (RFC 4180 section 2).
 *
 * @return absent when there is no memory.
 */
struct pb_str cdrfile_line(struct pb_str format, bool tabs, const struct pb_msg *m,
			   struct pb_arena *a);

#endif
