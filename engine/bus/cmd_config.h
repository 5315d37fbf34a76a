/*
 * The command `config dump` of the built-in module.
 */
#ifndef PB_BUS_CMD_CONFIG_H
#define PB_BUS_CMD_CONFIG_H

#include "bus/module.h"

/** Handler of the row; it must run on call loop 0 (PB_HOME). */
enum pb_verdict pbi_on_config(struct pb_msg *m, struct pb_ctx *cx);

#endif
