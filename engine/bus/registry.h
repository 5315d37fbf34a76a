/*
 * The registry: one walk over everything that has a name. Messages and
 * parameters come from names.def, all else from the descriptors of modules and
 * the engine's own tables; nothing is described here.
 *
 * `describe`, the manual, the samples and the linter read this.
 */
#ifndef PB_BUS_REGISTRY_H
#define PB_BUS_REGISTRY_H

#include "bus/engine.h"
#include "bus/names.h"

enum pb_kind {
	PB_KIND_MESSAGE,
	PB_KIND_PARAMETER,
	PB_KIND_MODULE,
	PB_KIND_OPTION,
	PB_KIND_COMMAND,
	PB_KIND_COUNTER,
	PB_KIND_LOG,
	PB_KIND_COUNT
};
/** "message", "parameter" ...; ends with NULL. */
extern const char *const pb_kind_words[];

#define PB_REGISTRY_MODULES_MAX 128

/** Whose names they are; the engine itself is the first. */
struct pb_registry {
	const struct pb_module *modules[PB_REGISTRY_MODULES_MAX];
	size_t count;
};

/** The engine alone. */
void pb_registry_init(struct pb_registry *r);
/** What `e` has loaded. */
void pb_registry_of(struct pb_registry *r, const struct pb_engine *e);
/** Add one; twice the same name or too many: dropped. */
void pb_registry_add(struct pb_registry *r, const struct pb_module *d);
/**
 * Add the modules of a folder, in order of name, without reading or starting
 * anything. What cannot be opened is left out; modules stay mapped.
 */
void pb_registry_open(struct pb_registry *r, const char *dir);
/** By name, alias, or name of its file; NULL. */
const struct pb_module *pb_registry_module(const struct pb_registry *r, struct pb_str name);

/* ---- Rows --------------------------------------------------------------------- */

struct pb_named {
	enum pb_kind kind;
	struct pb_str name; /* of beginnings: the beginning */
	bool prefix;        /* `name` is only the beginning */
	const char *doc;
	const struct pb_module *module; /* whose; NULL: the bus's */
	const char *file;               /* OPTION: "ysipchan", without suffix */
	bool cfg;                       /* OPTION: of engine.cfg, the others are .conf */
	union {
		const struct pb_name_message *message;
		const struct pb_name_param *param;
		const struct pb_opt *option;
		const struct pb_counter *counter;
	} as;
	const char *args;     /* COMMAND: what follows the word, or "" */
	const char *facility; /* LOG */
	int level;            /* LOG; -1: a finding of `check` */
};

/** false stops the walk. */
typedef bool (*pb_named_fn)(void *arg, const struct pb_named *row);
/** Every row, kind by kind. @return false when it was stopped. */
bool pb_registry_each(const struct pb_registry *r, pb_named_fn fn, void *arg);
bool pb_registry_each_of(const struct pb_registry *r, enum pb_kind kind, pb_named_fn fn, void *arg);

/** Option tables: a file and its rows; i from 0, false behind the last. */
struct pb_option_file {
	const char *name; /* "ysipchan", "engine": without suffix */
	bool cfg;         /* its suffix is .cfg, else .conf */
	const struct pb_opt *rows;
	const struct pb_module *module;
};
bool pb_registry_file(const struct pb_registry *r, size_t i, struct pb_option_file *out);
/** Its section: "general", "listener *", "*". */
const char *pb_option_section(const struct pb_opt *o);

/* ---- Who speaks to whom -------------------------------------------------------- */

struct pb_hearer {
	const struct pb_module *module;
	unsigned priority;
	const char *option; /* says another priority; NULL: none */
	bool filtered;
};
/** Who hears `message`, by module; false stops. Handlers of every message are left out. */
void pb_registry_hearers(const struct pb_registry *r, struct pb_str message,
			 bool (*fn)(void *arg, const struct pb_hearer *h), void *arg);
/** The rows about sending `message`, also those of beginnings; with `answers`, rows of who sets. */
void pb_registry_senders(const struct pb_registry *r, struct pb_str message,
			 bool (*fn)(void *arg, const struct pb_module *d, const struct pb_sends *s),
			 void *arg);
/** Does the blank-separated list of a pb_sends have this parameter? */
bool pb_sends_has(const struct pb_sends *s, struct pb_str param);

#endif
