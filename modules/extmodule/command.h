/* The console command `external ...`. */
#ifndef EXTMODULE_COMMAND_H
#define EXTMODULE_COMMAND_H

#include "extmodule/host.h"

/** Carry out `line` (without the word "external"); the answer goes into `t`. */
void ext_command(struct ext_host *h, struct pb_str line, struct pb_text *t);
/** Start a program that speaks no protocol. @return 0 or -errno, logged. */
int ext_run(struct ext_host *h, struct pb_str file, struct pb_str arg);

#endif
