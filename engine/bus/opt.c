/*
 * Option rows against a configuration. A setting's type decides how its text is
 * read; what cannot be used gets the documented replacement and a finding.
 *
 * A row's section is a name, or a pattern: "*" stands for every section that no
 * other row names, "listener *" for every section of two words that begins so.
 * Sections of patterns are objects of their own and read one by one.
 */
#include "bus/opt.h"

#include <errno.h>

#include "bus/foreign.h"
#include "loop/addr.h"

/* More names than this are not searched for one that is near. */
#define NAMES_MAX 512

struct job {
	const struct pb_opt *rows;
	char *settings;
	struct pb_arena *a;
	struct pb_findings *f;
	int err;
};

static const char *section_of(const struct pb_opt *row)
{
	return row->section ? row->section : "general";
}

static bool is_pattern(const char *section)
{
	size_t n = strlen(section);

	return n && section[n - 1] == '*';
}

/* "listener *" against "listener udp"; "*" takes all. */
bool pb_opt_section_takes(struct pb_str as, struct pb_str name)
{
	struct pb_str head = pb_str_head(as, as.n - 1);

	if (!pb_str_ends(as, PB_STR("*")))
		return pb_str_eq(as, name);
	return pb_str_starts(name, head) && (!head.n || name.n > head.n);
}

bool pb_opt_is_stored(const struct pb_opt *row)
{
	return row->type != PB_OPT_OTHER && !(row->flags & (PB_OPT_ACCEPTED | PB_OPT_PREFIX));
}

/* ---- Storing --------------------------------------------------------------------- */

static void put_int(struct job *j, const struct pb_opt *row, int64_t v)
{
	memcpy(j->settings + row->at, &v, sizeof(v));
}

static void put_word(struct job *j, const struct pb_opt *row, int v)
{
	memcpy(j->settings + row->at, &v, sizeof(v));
}

static void put_bool(struct job *j, const struct pb_opt *row, bool v)
{
	memcpy(j->settings + row->at, &v, sizeof(v));
}

static void put_str(struct job *j, const struct pb_opt *row, struct pb_str v)
{
	v = pb_arena_str(j->a, v);
	memcpy(j->settings + row->at, &v, sizeof(v));
}

static void put_default(struct job *j, const struct pb_opt *row)
{
	switch (row->type) {
	case PB_OPT_BOOL:
		put_bool(j, row, row->def != 0);
		break;
	case PB_OPT_INT:
		put_int(j, row, row->def);
		break;
	case PB_OPT_WORD:
		put_word(j, row, (int)row->def);
		break;
	case PB_OPT_STR:
	case PB_OPT_ADDR:
		put_str(j, row, pb_str_z(row->defs));
		break;
	case PB_OPT_OTHER:
	case PB_OPT_END:
		break;
	}
}

/* ---- Values ---------------------------------------------------------------------- */

/* The value for a finding: a secret is never printed. */
static struct pb_str shown(const struct pb_opt *row, const struct pb_conf_entry *e)
{
	return row->flags & PB_OPT_SECRET ? PB_STR("...") : e->value;
}

#define TELL(j, row, e, sev, id, fmt, ...)                                                         \
	pb_findings_add((j)->f, (e)->value_at, sev, id, "%s: '%.*s' " fmt, (row)->name,            \
			PB_STR_F(shown(row, e)), __VA_ARGS__)

static void read_bool(struct job *j, const struct pb_opt *row, const struct pb_conf_entry *e)
{
	if (!pb_str_is_bool(e->value))
		TELL(j, row, e, PB_SEV_WARNING, PB_FIND(TYPE), "is not yes or no: %s is used",
		     row->def ? "yes" : "no");
	put_bool(j, row, pb_str_to_bool(e->value, row->def != 0));
}

/* A number for a finding as the user would write it: "1500 bytes", "0640". */
static const char *print_int(char buf[40], const struct pb_opt *row, int64_t v)
{
	bool octal = row->unit && !strcmp(row->unit, "octal");
	struct pb_text t;

	pb_text_init_buf(&t, buf, 39);
	if (octal)
		pb_text_addf(&t, "0%llo", (unsigned long long)v);
	else
		pb_text_addf(&t, "%lld%s%s", (long long)v, row->unit ? " " : "",
			     row->unit ? row->unit : "");
	buf[t.n] = '\0';
	return buf;
}

static void read_int(struct job *j, const struct pb_opt *row, const struct pb_conf_entry *e)
{
	char used[40], lo[40], hi[40];
	int64_t v = row->def, near;
	int err = pb_str_to_i64(e->value, 0, INT64_MIN, INT64_MAX, &v);

	if (err) { /* an overflow too is the default, not the bound */
		v = row->def;
		TELL(j, row, e, PB_SEV_WARNING, PB_FIND(TYPE), "is not a number: %s is used",
		     print_int(used, row, v));
	} else if ((row->lo || row->hi) && (v < row->lo || v > row->hi)) {
		near = v < row->lo ? row->lo : row->hi;
		v = row->flags & PB_OPT_STRICT ? row->def : near;
		TELL(j, row, e, PB_SEV_WARNING, PB_FIND(RANGE), "is outside %s to %s: %s is used",
		     print_int(lo, row, row->lo), print_int(hi, row, row->hi),
		     print_int(used, row, v));
	}
	put_int(j, row, v);
}

static void read_word(struct job *j, const struct pb_opt *row, const struct pb_conf_entry *e)
{
	struct pb_str names[64], near;
	size_t n = 0;

	for (; row->words[n] && n < 64; n++) {
		names[n] = pb_str_z(row->words[n]);
		if (pb_str_eq(names[n], e->value)) {
			put_word(j, row, (int)n);
			return;
		}
	}
	near = pb_suggest(e->value, names, n);
	TELL(j, row, e, PB_SEV_WARNING, PB_FIND(WORD), "is none of its words: %s is used%s%.*s%s",
	     row->words[row->def], near.p ? ", did you mean '" : "", PB_STR_F(near),
	     near.p ? "'?" : "");
	put_word(j, row, (int)row->def);
}

static bool is_ip(struct pb_str s)
{
	struct pb_addr any;

	return !s.n || !pb_addr_parse(s, 0, &any);
}

/* An address is no matter for a guess: to listen elsewhere is worse than not to. */
static void read_addr(struct job *j, const struct pb_opt *row, const struct pb_conf_entry *e)
{
	if (is_ip(e->value)) {
		put_str(j, row, e->value);
		return;
	}
	TELL(j, row, e, PB_SEV_ERROR, PB_FIND(ADDRESS), "is not an IP address%s", "");
	j->err = -EINVAL;
}

static void read_value(struct job *j, const struct pb_opt *row, const struct pb_conf_entry *e)
{
	switch (row->type) {
	case PB_OPT_BOOL:
		read_bool(j, row, e);
		break;
	case PB_OPT_INT:
		read_int(j, row, e);
		break;
	case PB_OPT_WORD:
		read_word(j, row, e);
		break;
	case PB_OPT_STR:
		put_str(j, row, e->value);
		break;
	case PB_OPT_ADDR:
		read_addr(j, row, e);
		break;
	case PB_OPT_OTHER:
	case PB_OPT_END:
		break;
	}
}

/* ---- Keys ------------------------------------------------------------------------ */

/* Exact names win over prefixes, whatever their order. */
const struct pb_opt *pb_opt_find(const struct pb_opt *rows, const char *as, struct pb_str key)
{
	const struct pb_opt *prefix = NULL;

	for (const struct pb_opt *r = rows; r->type != PB_OPT_END; r++) {
		if (strcmp(section_of(r), as))
			continue;
		if (!(r->flags & PB_OPT_PREFIX) && pb_str_eq(key, pb_str_z(r->name)))
			return r;
		if (!prefix && (r->flags & PB_OPT_PREFIX) && pb_str_starts(key, pb_str_z(r->name)))
			prefix = r;
	}
	return prefix;
}

static struct pb_str near_key(const struct pb_opt *rows, const char *as, struct pb_str key)
{
	struct pb_str names[NAMES_MAX];
	size_t n = 0;

	for (const struct pb_opt *r = rows; r->type != PB_OPT_END && n < NAMES_MAX; r++) {
		if (!strcmp(section_of(r), as))
			names[n++] = pb_str_z(r->name);
	}
	return pb_suggest(key, names, n);
}

/* The section, other than `as`, where the key would be right. */
static const char *right_section(const struct pb_opt *rows, const char *as, struct pb_str key)
{
	for (const struct pb_opt *r = rows; r->type != PB_OPT_END; r++) {
		if (!(r->flags & PB_OPT_PREFIX) && pb_str_eq(key, pb_str_z(r->name)) &&
		    strcmp(section_of(r), as))
			return section_of(r);
	}
	return NULL;
}

/* A key that users of the section's file may have, though nothing comes of it. */
static bool tell_foreign(struct job *j, const struct pb_conf_section *s, const struct pb_conf_entry *e)
{
	const char *doc;

	if (pbi_foreign_find(s->conf, s->name, e->key, &doc) != PBI_FOREIGN_KEY)
		return false;
	pb_findings_add(j->f, e->key_at, PB_SEV_NOTE, PB_FIND(NO_EFFECT), "'%.*s' has no effect here",
			PB_STR_F(e->key));
	return true;
}

static void tell_unknown_key(struct job *j, const char *as, const struct pb_conf_entry *e)
{
	struct pb_str near = near_key(j->rows, as, e->key);
	const char *elsewhere = right_section(j->rows, as, e->key);

	if (e->key.p[0] == '#')
		pb_findings_add(j->f, e->key_at, PB_SEV_WARNING, PB_FIND(HASH),
				"'%.*s' is no comment: those begin with ';'", PB_STR_F(e->key));
	else if (elsewhere)
		pb_findings_add(j->f, e->key_at, PB_SEV_WARNING, PB_FIND(UNKNOWN_KEY),
				"unknown key '%.*s' here: it belongs in [%s]", PB_STR_F(e->key),
				elsewhere);
	else
		pb_findings_add(j->f, e->key_at, PB_SEV_WARNING, PB_FIND(UNKNOWN_KEY),
				"unknown key '%.*s'%s%.*s%s", PB_STR_F(e->key),
				near.p ? ", did you mean '" : "", PB_STR_F(near),
				near.p ? "'?" : "");
}

static void read_entry(struct job *j, const char *as, const struct pb_conf_section *s,
		       const struct pb_conf_entry *e)
{
	const struct pb_opt *row = pb_opt_find(j->rows, as, e->key);
	const struct pb_conf_entry *first;

	if (!row) {
		if (!tell_foreign(j, s, e))
			tell_unknown_key(j, as, e);
		return;
	}
	if (row->flags & PB_OPT_ACCEPTED) {
		pb_findings_add(j->f, e->key_at, PB_SEV_NOTE, PB_FIND(NO_EFFECT),
				"'%.*s' has no effect here", PB_STR_F(e->key));
		return;
	}
	if (!pb_opt_is_stored(row))
		return;
	first = pb_conf_find(s, e->key);
	if (first == e)
		read_value(j, row, e);
	else
		pb_findings_add(j->f, e->key_at, PB_SEV_WARNING, PB_FIND(DUPLICATE),
				"'%.*s' again: the first one counts, line %u of %s",
				PB_STR_F(e->key), first->key_at.line, first->key_at.file);
}

static void read_entries(struct job *j, const char *as, const struct pb_conf_section *s)
{
	for (size_t i = 0; i < s->count; i++)
		read_entry(j, as, s, &s->entries[i]);
}

/* ---- Sections -------------------------------------------------------------------- */

/* The row section that describes `name`: its own name, else a pattern, the
 * longest first; NULL: none. */
const char *pb_opt_section(const struct pb_opt *rows, struct pb_str name)
{
	const char *best = NULL;

	for (const struct pb_opt *r = rows; r->type != PB_OPT_END; r++) {
		const char *as = section_of(r);

		if (!is_pattern(as) && pb_str_eq(name, pb_str_z(as)))
			return as;
		if (is_pattern(as) && pb_opt_section_takes(pb_str_z(as), name) &&
		    (!best || strlen(as) > strlen(best)))
			best = as;
	}
	return best;
}

static bool tell_foreign_section(struct job *j, const struct pb_conf_section *s)
{
	if (pbi_foreign_find(s->conf, s->name, PB_STR_NULL, NULL) == PBI_FOREIGN_UNKNOWN)
		return false;
	for (size_t i = 0; i < s->count; i++) {
		if (!tell_foreign(j, s, &s->entries[i]))
			pb_findings_add(j->f, s->entries[i].key_at, PB_SEV_WARNING, PB_FIND(UNKNOWN_KEY),
					"unknown key '%.*s'", PB_STR_F(s->entries[i].key));
	}
	return true;
}

static void tell_unknown_section(struct job *j, const struct pb_conf_section *s)
{
	struct pb_str names[NAMES_MAX], rest = s->name, head = s->name, near;
	size_t n = 0;

	pb_str_word(&rest, &head);
	for (const struct pb_opt *r = j->rows; r->type != PB_OPT_END && n < NAMES_MAX; r++) {
		struct pb_str as = pb_str_z(section_of(r));

		if (is_pattern(as.p) && as.n > 2)
			names[n++] = pb_str_trim(pb_str_head(as, as.n - 1));
		else if (!is_pattern(as.p))
			names[n++] = as;
	}
	near = pb_suggest(s->name, names, n);
	if (!near.p)
		near = pb_suggest(head, names, n);
	pb_findings_add(j->f, s->at, PB_SEV_WARNING, PB_FIND(UNKNOWN_SECTION),
			"unknown section [%.*s]%s%.*s%s", PB_STR_F(s->name),
			near.p ? ", did you mean '" : "", PB_STR_F(near), near.p ? "'?" : "");
}

static int job_result(const struct job *j)
{
	return pb_arena_failed(j->a) ? -ENOMEM : j->err;
}

void pb_opt_defaults(const struct pb_opt *rows, void *settings, struct pb_arena *a)
{
	struct job j = { .rows = rows, .settings = settings, .a = a };

	for (const struct pb_opt *r = rows; r && r->type != PB_OPT_END; r++) {
		if (pb_opt_is_stored(r) && !is_pattern(section_of(r)))
			put_default(&j, r);
	}
}

void pb_opt_section_defaults(const struct pb_opt *rows, const char *as, void *settings,
			     struct pb_arena *a)
{
	struct job j = { .rows = rows, .settings = settings, .a = a };

	for (const struct pb_opt *r = rows; r->type != PB_OPT_END; r++) {
		if (pb_opt_is_stored(r) && !strcmp(section_of(r), as))
			put_default(&j, r);
	}
}

int pb_opt_read(const struct pb_opt *rows, const struct pb_conf *c, void *settings,
		struct pb_arena *a, struct pb_findings *f)
{
	struct job j = { .rows = rows, .settings = settings, .a = a, .f = f };

	if (!rows)
		return 0;
	for (size_t i = 0; i < pb_conf_sections(c); i++) {
		const struct pb_conf_section *s = pb_conf_section_at(c, i);
		const char *as = pb_opt_section(rows, s->name);

		if (as && !is_pattern(as))
			read_entries(&j, as, s);
		else if (!as && !tell_foreign_section(&j, s))
			tell_unknown_section(&j, s);
	}
	return job_result(&j);
}

int pb_opt_read_section(const struct pb_opt *rows, const char *as, const struct pb_conf_section *s,
			void *settings, struct pb_arena *a, struct pb_findings *f)
{
	struct job j = { .rows = rows, .settings = settings, .a = a, .f = f };

	pb_opt_section_defaults(rows, as, settings, a);
	read_entries(&j, as, s);
	return job_result(&j);
}
