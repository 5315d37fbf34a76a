/*
 * Text for man: the few macros of man(7) that the manual needs, with what is
 * special in roff made plain.
 */
#ifndef PB_BUS_ROFF_H
#define PB_BUS_ROFF_H

#include "base/text.h"

/** .TH; `name` is "ysipchan.conf", `section` '5'. */
void pb_roff_title(struct pb_text *t, struct pb_str name, char section);
void pb_roff_section(struct pb_text *t, const char *title);
void pb_roff_subsection(struct pb_text *t, struct pb_str title);
/** A paragraph of its own. */
void pb_roff_paragraph(struct pb_text *t, const char *text);
/** The tag of an item in bold, `rest` behind it in roman; what follows is its text. */
void pb_roff_item(struct pb_text *t, struct pb_str tag, struct pb_str rest);
/** A line of running text. */
void pb_roff_line(struct pb_text *t, struct pb_str line);
/** Line break within an item. */
void pb_roff_break(struct pb_text *t);
/** Part of a line, escaped. */
void pb_roff_add(struct pb_text *t, struct pb_str s);

#endif
