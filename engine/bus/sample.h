/*
 * Samples: a file with every option of its table, commented out, each under its
 * line of help. What a site sets is put in its place.
 */
#ifndef PB_BUS_SAMPLE_H
#define PB_BUS_SAMPLE_H

#include "bus/registry.h"

/** The i-th file's name into `t`: "ysipchan.conf"; false behind the last. */
bool pb_sample_file(const struct pb_registry *r, size_t i, struct pb_text *t);
/**
 * `site`: the same file with nothing but what is to be set (may be empty).
 * Comments in front of a key or section stay with it, lines of keys that no row
 * names stay in their section.
 *
 * @return 0, -ENOENT: no module reads such a file, -ENOMEM.
 */
int pb_sample(const struct pb_registry *r, struct pb_str file, struct pb_str site,
	      struct pb_text *t);

/* ---- What a site sets: sitefile.c ---------------------------------------------- */

struct pbi_site_item {
	struct pbi_site_item *next;
	struct pb_str key;  /* "" behind the last key: what is left */
	struct pb_str text; /* its comments, its line and what continues it */
	bool used;
};

struct pbi_site_section {
	struct pbi_site_section *next;
	struct pb_str name;
	struct pb_str head; /* its comments and its line */
	struct pbi_site_item *items;
	bool used;
};

struct pbi_site {
	struct pb_str preamble;
	struct pbi_site_section *sections;
};

/** Ini files, or with `cfg` engine.cfg, which is one section "" of "KEY = ..." lines. */
int pbi_site_read(struct pb_str text, bool cfg, struct pb_arena *a, struct pbi_site *out);
struct pbi_site_section *pbi_site_section(const struct pbi_site *s, struct pb_str name);

#endif
