/*
 * Answers of commands as JSON: for `--json` at the end of a line. Pure.
 */
#ifndef CONSOLE_JSON_H
#define CONSOLE_JSON_H

#include "base/text.h"

/** Take `--json` off the end. @return whether it was there. */
bool console_json_take(struct pb_str *line);
/**
 * One line: {"command":LINE,"ok":BOOL,"text":[LINES]}; of status lines
 * {"command":LINE,"ok":BOOL,"status":[{"name":..., "counts":{...},
 * "items":[...]}]}. A text that is JSON already stays as it is.
 */
void console_json(struct pb_text *t, struct pb_str line, struct pb_str text, bool ok, bool is_status);

#endif
