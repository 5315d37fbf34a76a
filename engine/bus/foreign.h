/*
 * What is known of files that users of Yate have and this engine has no use for
 * (foreign.def), so that `check` need not call it unknown.
 */
#ifndef PB_BUS_FOREIGN_H
#define PB_BUS_FOREIGN_H

#include "base/str.h"

struct pbi_library {
	const char *name, *conf, *doc;
};

/** A module by the name of its library, without suffix; NULL: none is known. */
const struct pbi_library *pbi_foreign_module(struct pb_str name);
/** The one that reads `conf`.conf. */
const struct pbi_library *pbi_foreign_conf(struct pb_str conf);

/** Are there rows of its keys? Else all one knows is the name. */
bool pbi_foreign_is_listed(struct pb_str conf);

enum pbi_foreign { PBI_FOREIGN_UNKNOWN, PBI_FOREIGN_SECTION, PBI_FOREIGN_KEY };
/** Is the key known, or at least its section? *doc says what it is for, there; may be NULL. */
enum pbi_foreign pbi_foreign_find(struct pb_str conf, struct pb_str section, struct pb_str key,
				  const char **doc);

#endif
