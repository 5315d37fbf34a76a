/*
 * The table of foreign.def, walked from top to bottom: it is asked for keys that
 * nobody else knows, and for file names.
 */
#include "bus/foreign.h"

#include "bus/opt.h"

static const struct pbi_library libraries[] = {
#define LIBRARY(file, conf, doc) { file, conf, doc },
#define FOREIGN(conf, section, keys, doc)
#include "bus/foreign.def"
#undef LIBRARY
#undef FOREIGN
};
#define LIBRARIES (sizeof(libraries) / sizeof(libraries[0]))

static const struct row {
	struct pb_str conf, section, keys;
	const char *doc;
} rows[] = {
#define LIBRARY(file, conf, doc)
#define FOREIGN(conf, section, keys, doc)                                                          \
	{ PB_STR_INIT(conf), PB_STR_INIT(section), PB_STR_INIT(keys), doc },
#include "bus/foreign.def"
#undef LIBRARY
#undef FOREIGN
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

const struct pbi_library *pbi_foreign_module(struct pb_str name)
{
	for (size_t i = 0; i < LIBRARIES; i++) {
		if (pb_str_eq(name, pb_str_z(libraries[i].name)))
			return &libraries[i];
	}
	return NULL;
}

const struct pbi_library *pbi_foreign_conf(struct pb_str conf)
{
	for (size_t i = 0; conf.n && i < LIBRARIES; i++) {
		if (pb_str_eq(conf, pb_str_z(libraries[i].conf)))
			return &libraries[i];
	}
	return NULL;
}

bool pbi_foreign_is_listed(struct pb_str conf)
{
	for (size_t i = 0; i < ROWS; i++) {
		if (pb_str_eq(rows[i].conf, conf))
			return true;
	}
	return false;
}

static bool is_named(struct pb_str conf, struct pb_str section)
{
	for (size_t i = 0; i < ROWS; i++) {
		if (pb_str_eq(rows[i].conf, conf) && pb_opt_section_takes(rows[i].section, section) &&
		    rows[i].section.n > 1)
			return true;
	}
	return false;
}

/* "*" takes what no other row of the file names. */
static bool takes_section(const struct row *r, struct pb_str conf, struct pb_str section)
{
	if (!pb_str_eq(r->conf, conf))
		return false;
	if (pb_str_eq(r->section, PB_STR("*")))
		return !is_named(conf, section);
	return pb_opt_section_takes(r->section, section);
}

static bool takes_key(struct pb_str keys, struct pb_str key)
{
	struct pb_str word;

	while (pb_str_word(&keys, &word)) {
		if (pb_str_ends(word, PB_STR("*")) ? pb_str_starts(key, pb_str_head(word, word.n - 1))
						   : pb_str_eq(key, word))
			return true;
	}
	return false;
}

enum pbi_foreign pbi_foreign_find(struct pb_str conf, struct pb_str section, struct pb_str key,
				  const char **doc)
{
	enum pbi_foreign found = PBI_FOREIGN_UNKNOWN;

	for (size_t i = 0; i < ROWS; i++) {
		if (!takes_section(&rows[i], conf, section))
			continue;
		found = PBI_FOREIGN_SECTION;
		if (!takes_key(rows[i].keys, key))
			continue;
		if (doc)
			*doc = rows[i].doc;
		return PBI_FOREIGN_KEY;
	}
	return found;
}
