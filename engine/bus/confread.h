/*
 * A configuration while it is being read: confread.c cuts files into lines and
 * sections, conffile.c opens them and follows includes.
 */
#ifndef PB_BUS_CONFREAD_H
#define PB_BUS_CONFREAD_H

#include <sys/types.h>

#include "bus/confbuild.h"

struct pbi_reader {
	struct pb_conf *c;
	const struct pb_conf_env *env; /* may be NULL */
	struct pb_findings *f;
	size_t bytes;	/* read so far */
	unsigned files; /* read so far */
	int err;	/* nothing more can be read: -ENOMEM, -EFBIG */
	bool refused;	/* a $require failed */
};

/** One open file; on the C stack, linked to the one that includes it. */
struct pbi_source {
	struct pbi_reader *r;
	const struct pbi_source *parent;
	const char *file; /* for positions; in the arena */
	struct pb_str rest;
	unsigned line; /* of what was cut last */
	struct pbi_section *current;
	unsigned depth;
	dev_t dev;
	ino_t ino;
	bool disabled, saw_nul, saw_outside;
};

enum pbi_need { PBI_OPTIONAL, PBI_SILENT, PBI_REQUIRED };

/** All lines of `s->rest`. */
void pbi_source_read(struct pbi_source *s);
/** [$include raw] and its relatives; `path` is `raw` expanded. */
void pbi_source_include(struct pbi_source *s, struct pb_pos at, struct pb_str raw, struct pb_str path,
			enum pbi_need need);
/** What the rules say, of the surroundings or by default. */
struct pb_conf_rules pbi_rules(const struct pbi_reader *r);
/** A key of [configuration] of the main file: taken unless one was seen before. */
void pbi_rules_take(struct pb_conf_rules *rules, const struct pb_conf_entry *e);

#endif
