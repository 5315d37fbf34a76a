/*
 * What the engine says of its configuration while it runs, facility "config".
 */
#ifndef PB_BUS_CONFIGLOG_H
#define PB_BUS_CONFIGLOG_H

#include "loop/log.h"

enum {
	PBI_CONFIG_CHANGED,
	PBI_CONFIG_AT_START,
	PBI_CONFIG_TENTATIVE,
	PBI_CONFIG_KEPT,
	PBI_CONFIG_ROLLED_BACK,
	PBI_CONFIG_BUSY,
	PBI_CONFIG_NOTHING,
	PBI_CONFIG_NO_MODULE,
};

extern struct pb_log_source pbi_config_log;
extern const struct pb_log_row pbi_config_rows[];

#define PBI_CONFIG_SAY(row, ...) pb_log(&pbi_config_log, &pbi_config_rows[PBI_CONFIG_##row], __VA_ARGS__)

#endif
