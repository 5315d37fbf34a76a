/*
 * What becomes of each key in the files of a configuration folder: for
 * `patchbay check --keys`.
 */
#ifndef PB_BUS_KEYS_H
#define PB_BUS_KEYS_H

#include "bus/engine.h"

enum pb_key_state {
	PB_KEY_SUPPORTED, /* an option row or a module reads it */
	PB_KEY_ACCEPTED,  /* known, without effect: `why` says the reason */
	PB_KEY_UNKNOWN,
};
/** "supported", "accepted", "unknown"; index as above. */
extern const char *const pb_key_states[];

struct pb_key {
	struct pb_str file; /* path, as findings have it */
	unsigned line, col;
	struct pb_str section, name;
	enum pb_key_state state;
	struct pb_str why; /* one line: what it is for, or why it has no effect */
};

/**
 * Every key of every *.conf of the folder and of engine.cfg, also of files that
 * nobody reads. Those of a configuration come in the order of its sections.
 *
 * `e` was made by pb_engine_new with only_check. What is told is valid until
 * `fn` returns.
 *
 * @return 0 or -ENOMEM.
 */
int pb_engine_keys(struct pb_engine *e, void (*fn)(void *arg, const struct pb_key *key), void *arg);
/** Findings about files of the folder that no module reads. @return 0 or -ENOMEM. */
int pb_engine_check_files(struct pb_engine *e, struct pb_findings *f);

#endif
