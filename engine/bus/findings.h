/*
 * Findings: what is wrong with the files, each with its place.
 *
 *     conf.d/ysipchan.conf:12:1: warning: unknown key 'maxpk', did you mean 'maxpkt'? [conf-004]
 */
#ifndef PB_BUS_FINDINGS_H
#define PB_BUS_FINDINGS_H

#include "base/text.h"

/** A place in a file; `file` lives as long as the configuration. */
struct pb_pos {
	const char *file;
	unsigned line, col; /* from 1; 0: unknown */
};

enum pb_severity { PB_SEV_NOTE, PB_SEV_WARNING, PB_SEV_ERROR };

struct pb_finding {
	struct pb_str file, text;
	unsigned line, col;
	enum pb_severity severity;
	const char *id; /* "conf-004": stable */
};

/** What can be found, by the rows of findings.def: PB_FINDING_UNREADABLE ... */
enum pb_finding_id {
#define FINDING(name, ident, text) PB_FINDING_##name,
#include "bus/findings.def"
#undef FINDING
	PB_FINDING_COUNT
};

struct pb_finding_row {
	const char *id, *doc;
};
/** Stable id and one line of help; behind the last row is one with id NULL. */
const struct pb_finding_row *pb_finding_row(enum pb_finding_id id);
/** The id of a row for pb_findings_add: PB_FIND(UNREADABLE). */
#define PB_FIND(name) (pb_finding_row(PB_FINDING_##name)->id)

struct pb_findings;

struct pb_findings *pb_findings_new(void);
void pb_findings_free(struct pb_findings **f);
/** NULL `f`: the finding is dropped (but errors must still be returned). */
void pb_findings_add(struct pb_findings *f, struct pb_pos at, enum pb_severity sev, const char *id,
		     const char *fmt, ...) __attribute__((format(printf, 5, 6)));
size_t pb_findings_count(const struct pb_findings *f, enum pb_severity at_least);
const struct pb_finding *pb_findings_at(const struct pb_findings *f, size_t i);
/** One line each, in order of file and line. */
void pb_findings_print(const struct pb_findings *f, struct pb_text *t);
void pb_findings_print_json(const struct pb_findings *f, struct pb_text *t);
/** The one of `names` (n of them) closest to `name`, or absent when none is near. */
struct pb_str pb_suggest(struct pb_str name, const struct pb_str *names, size_t n);

#endif
