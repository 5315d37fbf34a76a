/*
 * call.execute with callto=external/TYPE/FILE[ ARG]: a script for one call.
 */
#ifndef EXTMODULE_EXECUTE_H
#define EXTMODULE_EXECUTE_H

#include "extmodule/host.h"

/** What stands behind "external/". */
struct ext_target {
	struct pb_str type, file, arg;
};
/** False: not of that form. Pure. */
bool ext_target_parse(struct pb_str callto, struct ext_target *out);

/** Register the handler of call.execute. @return 0 or a negative errno. */
int ext_execute_start(struct ext_host *h, struct pb_reg **out);

#endif
