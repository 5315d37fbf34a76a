/*
 * What engine.cfg says, as the engine's start wants it. Every setting is a row
 * of pb_engine_cfg_rows, which is also what samples and manual are made from.
 */
#ifndef PB_BUS_ENGINECFG_H
#define PB_BUS_ENGINECFG_H

#include "bus/cfg.h"

/** modules: { NAME = { required = true; }; } */
struct pb_engine_cfg_module {
	struct pb_str name;
	struct pb_pos at;
	bool required; /* without it the engine does not start */
	bool load;     /* false: not loaded, whatever yate.conf says */
};

struct pb_engine_cfg {
	/* loops */
	int64_t calls;	 /* 0: one per core */
	int64_t scripts; /* 0: one */
	/* limits */
	int64_t hold_ms, message_ms;
	int64_t parked;	      /* messages held at once, per handler and loop */
	int64_t transactions; /* SIP transactions at once */
	/* log */
	struct pb_str log_file; /* absent: stderr, or -l */
	int log_level;		/* enum pb_level; -1: not written */
	char log_stamp;		/* as pb_log_set_stamp; 0: not written */
	/* modules */
	const struct pb_engine_cfg_module *modules;
	size_t module_count;
};

/** Ends with PB_OPT_END. */
extern const struct pb_opt pb_engine_cfg_rows[];

/**
 * Read `path`; a file that does not exist leaves the defaults. Texts live in
 * `a`. @return 0, -EINVAL (findings say what), -ENOMEM or another -errno.
 */
int pb_engine_cfg_load(const char *path, struct pb_arena *a, struct pb_findings *f,
		       struct pb_engine_cfg *out);
/** Of a loaded file. */
int pb_engine_cfg_read(const struct pb_cfg *c, struct pb_arena *a, struct pb_findings *f,
		       struct pb_engine_cfg *out);

#endif
