/*
 * The linter: what the loaded modules, with the settings that they have, say
 * and hear on the bus, and what does not fit together: handlers that nobody
 * ever asks, parameters that nobody sets, handlers whose order is left to
 * chance.
 *
 * It reads descriptors (sends, hears, handlers) and asks modules whose settings
 * say more (`uses`).
 */
#ifndef PB_BUS_LINT_H
#define PB_BUS_LINT_H

#include "bus/engine.h"

/**
 * Warnings (lint-...) about what `e` has loaded and read; nothing needs to run.
 *
 * @thread  Before the start the control thread; then any loop's: the settings
 *          are those in force on it.
 * @return 0, or -ENOMEM: not all was looked at.
 */
int pb_lint(const struct pb_engine *e, struct pb_findings *f);

#endif
