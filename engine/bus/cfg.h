/*
 * engine.cfg: one file in libconfig's syntax, read through this one guard.
 *
 * libconfig lets integers wrap, reports a string that is not closed many lines
 * late, and knows no columns. The guard looks at the text first, so what it
 * hands out is what is written there. Settings are described by option rows
 * (bus/opt.h); everything that no row describes is a finding.
 */
#ifndef PB_BUS_CFG_H
#define PB_BUS_CFG_H

#include "bus/opt.h"

struct pb_cfg;

/**
 * A file that does not exist is an empty one.
 *
 * @return 0, -EINVAL (not readable as libconfig: findings say where), -ENOMEM,
 *         or what the file system answered.
 */
int pb_cfg_load(const char *path, struct pb_findings *f, struct pb_cfg **out);
/** The same from memory; `name` stands for the file in positions. */
int pb_cfg_parse(const char *name, struct pb_str text, struct pb_findings *f, struct pb_cfg **out);
void pb_cfg_free(struct pb_cfg **c);

/**
 * Rows here: `section` is a group of the top level, or "group.*" for the groups
 * inside it. A PB_OPT_INT whose unit is "ms" or "s" is a duration and one whose
 * unit is "bytes" a size, both written as strings with a unit; PB_OPT_WORD and
 * PB_OPT_ADDR are strings. Unlike in ini files a wrong type or range is an
 * error: the file is ours, nobody relies on the replacement.
 *
 * Fills in the defaults of all rows but those of "group.*", then what is there.
 * @return 0, -EINVAL when a finding was an error, -ENOMEM.
 */
int pb_cfg_read(const struct pb_cfg *c, const struct pb_opt *rows, void *settings,
		struct pb_arena *a, struct pb_findings *f);

/** Groups inside `group`, in order. */
size_t pb_cfg_members(const struct pb_cfg *c, const char *group);
struct pb_str pb_cfg_member_name(const struct pb_cfg *c, const char *group, size_t i);
struct pb_pos pb_cfg_member_at(const struct pb_cfg *c, const char *group, size_t i);
/** The i-th by the rows of "group.*", as pb_cfg_read. */
int pb_cfg_read_member(const struct pb_cfg *c, const char *group, size_t i, const struct pb_opt *rows,
		       void *settings, struct pb_arena *a, struct pb_findings *f);
/** Is `name` written in the i-th? */
bool pb_cfg_member_has(const struct pb_cfg *c, const char *group, size_t i, const char *name);
struct pb_pos pb_cfg_member_name_at(const struct pb_cfg *c, const char *group, size_t i, const char *name);
/** Is it written there? For who else may say the same thing. */
bool pb_cfg_has(const struct pb_cfg *c, const char *group, const char *name);
/** Where; all zero when it is not there. */
struct pb_pos pb_cfg_at(const struct pb_cfg *c, const char *group, const char *name);

/** Every setting that is no group, in order: `group` is "log", "modules.sip", or "" at the top. */
void pb_cfg_each(const struct pb_cfg *c,
		 void (*fn)(void *arg, struct pb_str group, struct pb_str name, struct pb_pos at), void *arg);

/** "500ms", "30s", "2m", "1h", "1d". @return 0, -EINVAL, -ERANGE. */
int pb_cfg_duration(struct pb_str s, int64_t *ms);
/** "100B", "64K", "1M", "2G" (1024 each). Same errors. */
int pb_cfg_size(struct pb_str s, int64_t *bytes);

#endif
