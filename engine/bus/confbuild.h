/*
 * A configuration while it is being read: conf.c keeps it, confread.c fills it.
 */
#ifndef PB_BUS_CONFBUILD_H
#define PB_BUS_CONFBUILD_H

#include "base/map.h"
#include "bus/conf.h"

/** All files of one configuration together. */
#define PBI_CONF_BYTES_MAX (64u << 20)
/** Files read for one configuration. */
#define PBI_CONF_FILES_MAX 10000u
/** Parameters, those copied from other sections included. */
#define PBI_CONF_ENTRIES_MAX 2000000u
/** How deep section copies may nest. */
#define PBI_CONF_COPIES_MAX 50u

struct pbi_section;

/** What stands in a section, in order. */
enum pbi_item_kind { PBI_ENTRY, PBI_COPY, PBI_COPY_SILENT, PBI_COPY_REQUIRED };

struct pbi_item {
	struct pbi_item *next;
	enum pbi_item_kind kind;
	struct pb_conf_entry entry; /* a copy: `key` names the section */
	struct pbi_section *from;   /* a copy: that section, once found */
};

struct pbi_section {
	struct pb_map_node node;
	struct pbi_section *next;
	struct pb_conf_section pub; /* entries: once pbi_conf_finish has been there */
	struct pbi_item *first, **last;
	enum { PBI_RAW, PBI_BUSY, PBI_DONE } state;
};

struct pb_conf {
	struct pb_arena *arena;
	struct pb_map names;
	struct pbi_section *first, **last;
	struct pbi_section **order; /* `count` of them */
	size_t count, entries;
	struct pb_str base; /* name without folder and suffix */
	struct pbi_conf_file {
		struct pbi_conf_file *next;
		const char *path;
	} *files, **last_file;
	struct pb_conf_env env; /* a copy; zeroed when there was none */
};

/** `path` of its file, or a name that stands for it. */
struct pb_conf *pbi_conf_new(const char *path);
/** One more file that was read; `path` is the arena's. */
void pbi_conf_add_file(struct pb_conf *c, const char *path);
/** The section of that name, made if need be; NULL: no memory. */
struct pbi_section *pbi_conf_open(struct pb_conf *c, struct pb_str name, struct pb_pos at);
void pbi_conf_add(struct pb_conf *c, struct pbi_section *s, const struct pbi_item *item);
/**
 * Carry out the copies. @return 0, -ENOMEM, -EFBIG, or -EINVAL: a required
 * section is missing.
 */
int pbi_conf_finish(struct pb_conf *c, struct pb_findings *f);

/**
 * The condition of [$enabled ...]: `text` with run parameters expanded, `raw`
 * without, for findings.
 */
bool pbi_condition(const struct pb_conf_env *env, struct pb_str text, struct pb_str raw,
		   struct pb_pos at, struct pb_findings *f);

#endif
