/*
 * What libconfig does not tell: a look at the text of engine.cfg before it.
 */
#ifndef PB_BUS_CFGSCAN_H
#define PB_BUS_CFGSCAN_H

#include "bus/findings.h"

/** Where each name of a setting stands, in order of the file. */
struct pbi_cfg_names {
	struct pb_pos *at;
	size_t count, size;
};

/**
 * Report what libconfig would read wrongly or complain about too late.
 *
 * @return 0, -EINVAL (findings say what), -ENOMEM. `names` is to be freed by
 *         pb_free(names->at), also after an error.
 */
int pbi_cfg_scan(const char *file, struct pb_str text, struct pb_findings *f,
		 struct pbi_cfg_names *names);

#endif
