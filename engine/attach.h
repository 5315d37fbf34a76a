/*
 * The two ways of `patchbay console`: lines (attach.c) and a terminal
 * (terminal.c). Exit codes are the answer of both.
 */
#ifndef PB_ATTACH_H
#define PB_ATTACH_H

#include "program.h"

/** Relay between our terminal and the engine's socket until either ends. Owns `fd`. */
int pb_attach_terminal(int fd);

#endif
