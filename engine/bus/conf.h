/*
 * ini files in the grammar that the engine's users know (sections, continued
 * lines, conditionals, includes), every value with its place.
 *
 * A loaded configuration is immutable. Values are raw: ${} is expanded by who
 * reads them; section names and directives are expanded while loading.
 */
#ifndef PB_BUS_CONF_H
#define PB_BUS_CONF_H

#include "bus/findings.h"

struct pb_conf;

struct pb_conf_entry {
	struct pb_str key, value;
	struct pb_pos key_at, value_at;
	bool has_value; /* there was a '=' */
};

struct pb_conf_section {
	struct pb_str name;
	struct pb_pos at;
	const struct pb_conf_entry *entries; /* in order, duplicates kept */
	size_t count;
	struct pb_str conf; /* base name of the configuration: "ysipchan" */
};

/**
 * How files are read, by [configuration] of the main file: the first value seen
 * of each wins for the life of the process. Zeroed: the defaults.
 */
struct pb_conf_rules {
	unsigned seen;	     /* bits, one a key */
	unsigned max_depth;  /* of includes; 0: 10, or 3 without a check for loops */
	bool no_silent;	     /* [$includesilent] is as [$include] */
	bool no_loop_check;  /* only the depth ends an inclusion of itself */
	bool include_empty;  /* an include without a path is one that cannot be read */
	bool quiet;	     /* missing sections and loops of copies are only notes */
};

/** What directives ask of their surroundings; both may be NULL. */
struct pb_conf_env {
	/** Run parameter, absent when unknown. */
	struct pb_str (*run_param)(void *arg, struct pb_str name);
	/** Is the module of that file base name (or our name) loaded? */
	bool (*loaded)(void *arg, struct pb_str module);
	void *arg;
	struct pb_conf_rules *rules; /* NULL: the defaults */
	bool sets_rules; /* this is the main file: its [configuration] fills in `rules` */
};

/**
 * Read `path` and all it includes.
 *
 * @param missing_ok  A file that does not exist is an empty configuration.
 * @return 0; -ENOENT; another -errno; -EINVAL: a $require failed (what could be
 *         read is there). Findings say where.
 */
int pb_conf_load(const char *path, const struct pb_conf_env *env, bool missing_ok,
		 struct pb_findings *f, struct pb_conf **out);
/** The same from memory; `name` stands for the file in positions. */
int pb_conf_parse(const char *name, struct pb_str text, const struct pb_conf_env *env,
		  struct pb_findings *f, struct pb_conf **out);
void pb_conf_free(struct pb_conf **c);

size_t pb_conf_sections(const struct pb_conf *c);
const struct pb_conf_section *pb_conf_section_at(const struct pb_conf *c, size_t i);
/** NULL when there is none. */
const struct pb_conf_section *pb_conf_section(const struct pb_conf *c, struct pb_str name);
/** First of that key, NULL when absent. */
const struct pb_conf_entry *pb_conf_find(const struct pb_conf_section *s, struct pb_str key);
/** First value, absent when section or key is missing. */
struct pb_str pb_conf_get(const struct pb_conf *c, struct pb_str section, struct pb_str key);
bool pb_conf_get_bool(const struct pb_conf *c, struct pb_str section, struct pb_str key, bool def);
int64_t pb_conf_get_int(const struct pb_conf *c, struct pb_str section, struct pb_str key,
			int64_t def, int64_t lo, int64_t hi);
/** The i-th file that was read for it, the first is its own; NULL: no more. */
const char *pb_conf_file(const struct pb_conf *c, size_t i);
/**
 * Write it to `path` as one file, by way of a new file that takes its place:
 * sections and their parameters in order, what was included among them. Comments
 * and disabled parts are not in it. An existing file's mode is kept, a new one
 * is for its owner and group.
 *
 * @return 0, or what the file system answered; `path` is then as it was.
 */
int pb_conf_save(const struct pb_conf *c, const char *path);
/** `text` with the ${run parameters} of the surroundings it was loaded in. */
struct pb_str pb_conf_expand(const struct pb_conf *c, struct pb_str text, struct pb_arena *into);

/**
 * ${name} and ${name$default} in `text`, by `get` (absent: use the default);
 * result in `into`. Inserted text is not scanned again.
 */
struct pb_str pb_expand(struct pb_str text, struct pb_str (*get)(void *arg, struct pb_str name),
			void *arg, struct pb_arena *into);

#endif
