/*
 * The guard around libconfig. The text is scanned (cfgscan.c), then parsed; the
 * place of each setting is hung on it as its hook, so every later complaint has
 * line and column.
 */
#include "bus/cfg.h"

#include <errno.h>
#include <fcntl.h>
#include <libconfig.h>
#include <unistd.h>

#include "base/alloc.h"
#include "bus/cfgscan.h"
#include "loop/addr.h"

#define CFG_BYTES_MAX (1u << 20)
#define NAMES_MAX     256

struct pb_cfg {
	config_t tree;
	struct pb_arena *arena;
	struct pbi_cfg_names names;
	const char *file;
};

/* ---- Loading ---------------------------------------------------------------------- */

static struct pb_cfg *cfg_new(const char *file)
{
	struct pb_cfg *c = pb_alloc_zero(1, sizeof(*c));

	if (!c)
		return NULL;
	config_init(&c->tree);
	c->arena = pb_arena_new(2 * CFG_BYTES_MAX);
	if (c->arena)
		c->file = pb_arena_str(c->arena, pb_str_z(file)).p;
	if (!c->file)
		pb_cfg_free(&c);
	return c;
}

void pb_cfg_free(struct pb_cfg **c)
{
	if (!*c)
		return;
	config_destroy(&(*c)->tree);
	pb_free((*c)->names.at);
	pb_arena_free(&(*c)->arena);
	pb_free(*c);
	*c = NULL;
}

/* Hang the places on the settings, in the order in which both were met. */
static void place_settings(struct pb_cfg *c, config_setting_t *s, size_t *next)
{
	if (config_setting_name(s) && *next < c->names.count)
		config_setting_set_hook(s, &c->names.at[(*next)++]);
	if (!config_setting_is_aggregate(s))
		return;
	for (int i = 0; i < config_setting_length(s); i++)
		place_settings(c, config_setting_get_elem(s, (unsigned)i), next);
}

static struct pb_pos place_of(const struct pb_cfg *c, const config_setting_t *s)
{
	const struct pb_pos *at = config_setting_get_hook(s);

	return at ? *at : (struct pb_pos){ c->file, 0, 0 };
}

static int parse_text(struct pb_cfg *c, struct pb_str text, struct pb_findings *f)
{
	int err = pbi_cfg_scan(c->file, text, f, &c->names);
	size_t next = 0;

	if (err)
		return err;
	text = pb_arena_str(c->arena, text); /* with a NUL behind */
	if (!text.p)
		return -ENOMEM;
	if (!config_read_string(&c->tree, text.p)) {
		struct pb_pos at = { c->file, (unsigned)config_error_line(&c->tree), 0 };

		pb_findings_add(f, at, PB_SEV_ERROR, PB_FIND(CFG_SYNTAX), "%s",
				config_error_text(&c->tree) ? config_error_text(&c->tree)
							    : "syntax error");
		return -EINVAL;
	}
	place_settings(c, config_root_setting(&c->tree), &next);
	return 0;
}

int pb_cfg_parse(const char *name, struct pb_str text, struct pb_findings *f, struct pb_cfg **out)
{
	struct pb_cfg *c = cfg_new(name);
	int err = c ? parse_text(c, text.p ? text : PB_STR(""), f) : -ENOMEM;

	if (err)
		pb_cfg_free(&c);
	*out = c;
	return err;
}

static int slurp(int fd, struct pb_text *t)
{
	char buf[4096];
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) != 0) {
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			pb_text_add(t, pb_str(buf, (size_t)n));
	}
	return !pb_text_failed(t) ? 0 : t->n >= CFG_BYTES_MAX / 2 ? -EFBIG : -ENOMEM;
}

int pb_cfg_load(const char *path, struct pb_findings *f, struct pb_cfg **out)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC), err = fd < 0 ? -errno : 0;
	struct pb_text t;

	*out = NULL;
	pb_text_init(&t, CFG_BYTES_MAX);
	if (!err)
		err = slurp(fd, &t);
	if (fd >= 0)
		close(fd);
	if (!err || err == -ENOENT)
		err = pb_cfg_parse(path, pb_text_str(&t), f, out);
	else
		pb_findings_add(f, (struct pb_pos){ path, 0, 0 }, PB_SEV_ERROR, PB_FIND(UNREADABLE),
				"cannot read it: %s", strerror(-err));
	pb_text_fini(&t);
	return err;
}

/* ---- Units ------------------------------------------------------------------------- */

struct unit {
	const char *name;
	int64_t factor;
};

static const struct unit durations[] = {
	{ "ms", 1 },      { "s", 1000 },     { "m", 60000 },
	{ "h", 3600000 }, { "d", 86400000 }, { NULL, 0 },
};
static const struct unit sizes[] = {
	{ "B", 1 }, { "K", 1024 }, { "M", 1024 * 1024 }, { "G", 1024 * 1024 * 1024 }, { NULL, 0 },
};

static int read_unit(struct pb_str s, const struct unit *u, int64_t *out)
{
	size_t n = 0;
	int64_t v;
	int err;

	while (n < s.n && pb_is_digit(s.p[n]))
		n++;
	err = pb_str_to_i64(pb_str_head(s, n), 10, 0, INT64_MAX, &v);
	if (err)
		return err;
	for (; u->name; u++) {
		if (!pb_str_eq(pb_str_trim(pb_str_from(s, n)), pb_str_z(u->name)))
			continue;
		if (v > INT64_MAX / u->factor)
			return -ERANGE;
		*out = v * u->factor;
		return 0;
	}
	return -EINVAL;
}

int pb_cfg_duration(struct pb_str s, int64_t *ms)
{
	return read_unit(s, durations, ms);
}

int pb_cfg_size(struct pb_str s, int64_t *bytes)
{
	return read_unit(s, sizes, bytes);
}

/* ---- Values ------------------------------------------------------------------------ */

struct job {
	const struct pb_cfg *c;
	const struct pb_opt *rows;
	char *settings;
	struct pb_arena *a;
	struct pb_findings *f;
	int err;
};

#define REFUSE(j, s, id, ...)                                                                      \
	do {                                                                                       \
		pb_findings_add((j)->f, place_of((j)->c, s), PB_SEV_ERROR, id, __VA_ARGS__);       \
		(j)->err = -EINVAL;                                                                \
	} while (0)

static const char *section_of(const struct pb_opt *row)
{
	return row->section ? row->section : "";
}

static bool is_kind(const struct pb_opt *row, const char *unit)
{
	return row->unit && !strcmp(row->unit, unit);
}

static bool read_number(struct job *j, const struct pb_opt *row, const config_setting_t *s,
			int64_t *v)
{
	bool size = is_kind(row, "bytes"), time = is_kind(row, "ms") || is_kind(row, "s");
	int type = config_setting_type(s), err = -EINVAL;
	bool whole = type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64;
	struct pb_str text;

	if (!size && !time) {
		if (!whole)
			REFUSE(j, s, PB_FIND(CFG_TYPE), "'%s' must be a whole number", row->name);
		*v = config_setting_get_int64(s);
		return whole;
	}
	text = pb_str_z(config_setting_get_string(s));
	*v = 0;
	if (whole && config_setting_get_int64(s) == 0)
		err = 0; /* nothing needs no unit */
	else if (text.p)
		err = size ? pb_cfg_size(text, v) : pb_cfg_duration(text, v);
	if (err) {
		REFUSE(j, s, PB_FIND(CFG_UNIT), "'%s' must be a %s like %s", row->name,
		       size ? "size" : "duration",
		       size ? "\"64K\" or \"1M\"" : "\"500ms\", \"30s\" or \"2m\"");
		return false;
	}
	if (is_kind(row, "s"))
		*v /= 1000;
	return true;
}

static void read_int(struct job *j, const struct pb_opt *row, const config_setting_t *s)
{
	int64_t v = 0;

	if (!read_number(j, row, s, &v))
		return;
	if ((row->lo || row->hi) && (v < row->lo || v > row->hi)) {
		REFUSE(j, s, PB_FIND(CFG_RANGE), "'%s' must be from %lld to %lld%s%s", row->name,
		       (long long)row->lo, (long long)row->hi, row->unit ? " " : "",
		       row->unit ? row->unit : "");
		return;
	}
	memcpy(j->settings + row->at, &v, sizeof(v));
}

static void read_word(struct job *j, const struct pb_opt *row, const config_setting_t *s,
		      struct pb_str text)
{
	struct pb_str names[NAMES_MAX], near;
	int n = 0;

	for (; row->words[n] && n < NAMES_MAX; n++) {
		names[n] = pb_str_z(row->words[n]);
		if (pb_str_eq(names[n], text)) {
			memcpy(j->settings + row->at, &n, sizeof(n));
			return;
		}
	}
	near = pb_suggest(text, names, (size_t)n);
	REFUSE(j, s, PB_FIND(WORD), "'%s' cannot be \"%.*s\"%s%.*s%s", row->name, PB_STR_F(text),
	       near.p ? ", did you mean '" : "", PB_STR_F(near), near.p ? "'?" : "");
}

static bool is_ip(struct pb_str s)
{
	struct pb_addr any;

	return !s.n || !pb_addr_parse(s, 0, &any);
}

static void read_text(struct job *j, const struct pb_opt *row, const config_setting_t *s)
{
	struct pb_str text = pb_str_z(config_setting_get_string(s));

	if (!text.p) {
		REFUSE(j, s, PB_FIND(CFG_TYPE), "'%s' must be a string in double quotes",
		       row->name);
	} else if (row->type == PB_OPT_WORD) {
		read_word(j, row, s, text);
	} else if (row->type == PB_OPT_ADDR && !is_ip(text)) {
		REFUSE(j, s, PB_FIND(ADDRESS), "'%s' must be an IP address", row->name);
	} else {
		text = pb_arena_str(j->a, text);
		memcpy(j->settings + row->at, &text, sizeof(text));
	}
}

static void read_value(struct job *j, const struct pb_opt *row, const config_setting_t *s)
{
	bool on;

	switch (row->type) {
	case PB_OPT_BOOL:
		on = config_setting_get_bool(s);
		if (config_setting_type(s) == CONFIG_TYPE_BOOL)
			memcpy(j->settings + row->at, &on, sizeof(on));
		else
			REFUSE(j, s, PB_FIND(CFG_TYPE), "'%s' must be true or false", row->name);
		break;
	case PB_OPT_INT:
		read_int(j, row, s);
		break;
	case PB_OPT_STR:
	case PB_OPT_WORD:
	case PB_OPT_ADDR:
		read_text(j, row, s);
		break;
	case PB_OPT_OTHER:
	case PB_OPT_END:
		break;
	}
}

/* ---- Groups ------------------------------------------------------------------------ */

static void tell_unknown(struct job *j, const config_setting_t *s, const struct pb_str *names,
			 size_t n)
{
	struct pb_str near = pb_suggest(pb_str_z(config_setting_name(s)), names, n);

	pb_findings_add(j->f, place_of(j->c, s), PB_SEV_WARNING, PB_FIND(CFG_UNKNOWN),
			"unknown setting '%s'%s%.*s%s", config_setting_name(s),
			near.p ? ", did you mean '" : "", PB_STR_F(near), near.p ? "'?" : "");
}

static void read_setting(struct job *j, const char *as, const config_setting_t *s)
{
	struct pb_str names[NAMES_MAX];
	size_t n = 0;

	for (const struct pb_opt *r = j->rows; r->type != PB_OPT_END && n < NAMES_MAX; r++) {
		if (strcmp(section_of(r), as))
			continue;
		if (!strcmp(r->name, config_setting_name(s))) {
			read_value(j, r, s);
			return;
		}
		names[n++] = pb_str_z(r->name);
	}
	tell_unknown(j, s, names, n);
}

static void read_group(struct job *j, const char *as, const config_setting_t *g)
{
	if (!config_setting_is_group(g)) {
		REFUSE(j, g, PB_FIND(CFG_TYPE), "'%s' must be a group { ... }",
		       config_setting_name(g));
		return;
	}
	for (int i = 0; i < config_setting_length(g); i++)
		read_setting(j, as, config_setting_get_elem(g, (unsigned)i));
}

static bool is_members(const char *section)
{
	size_t n = strlen(section);

	return n > 2 && !strcmp(section + n - 2, ".*");
}

/* The group a row's section speaks of: "modules.*" is "modules". */
static struct pb_str group_name(const char *section)
{
	struct pb_str s = pb_str_z(section);

	return is_members(section) ? pb_str_head(s, s.n - 2) : s;
}

static void check_members(struct job *j, const config_setting_t *g)
{
	if (!config_setting_is_group(g)) {
		REFUSE(j, g, PB_FIND(CFG_TYPE), "'%s' must be a group { ... }",
		       config_setting_name(g));
		return;
	}
	for (int i = 0; i < config_setting_length(g); i++) {
		const config_setting_t *m = config_setting_get_elem(g, (unsigned)i);

		if (!config_setting_is_group(m))
			REFUSE(j, m, PB_FIND(CFG_TYPE), "'%s' must be a group { ... }",
			       config_setting_name(m));
	}
}

static void read_top(struct job *j, const config_setting_t *s)
{
	struct pb_str name = pb_str_z(config_setting_name(s)), names[NAMES_MAX];
	size_t n = 0;

	for (const struct pb_opt *r = j->rows; r->type != PB_OPT_END && n < NAMES_MAX; r++) {
		const char *as = section_of(r);

		names[n] = *as ? group_name(as) : pb_str_z(r->name);
		if (!pb_str_eq(names[n++], name))
			continue;
		if (!*as)
			read_value(j, r, s);
		else if (is_members(as))
			check_members(j, s);
		else
			read_group(j, as, s);
		return;
	}
	tell_unknown(j, s, names, n);
}

static int job_result(const struct job *j)
{
	return pb_arena_failed(j->a) ? -ENOMEM : j->err;
}

int pb_cfg_read(const struct pb_cfg *c, const struct pb_opt *rows, void *settings,
		struct pb_arena *a, struct pb_findings *f)
{
	struct job j = { c, rows, settings, a, f, 0 };
	const config_setting_t *root = config_root_setting(&c->tree);

	pb_opt_defaults(rows, settings, a);
	for (int i = 0; i < config_setting_length(root); i++)
		read_top(&j, config_setting_get_elem(root, (unsigned)i));
	return job_result(&j);
}

/* ---- Members, places ----------------------------------------------------------------- */

static const config_setting_t *find_member(const struct pb_cfg *c, const char *group, size_t i)
{
	const config_setting_t *g = config_lookup(&c->tree, group);

	if (!g || !config_setting_is_group(g))
		return NULL;
	return i < (size_t)config_setting_length(g) ? config_setting_get_elem(g, (unsigned)i)
						    : NULL;
}

size_t pb_cfg_members(const struct pb_cfg *c, const char *group)
{
	size_t n = 0;

	while (find_member(c, group, n))
		n++;
	return n;
}

struct pb_str pb_cfg_member_name(const struct pb_cfg *c, const char *group, size_t i)
{
	const config_setting_t *m = find_member(c, group, i);

	return m ? pb_str_z(config_setting_name(m)) : PB_STR_NULL;
}

struct pb_pos pb_cfg_member_at(const struct pb_cfg *c, const char *group, size_t i)
{
	const config_setting_t *m = find_member(c, group, i);

	return m ? place_of(c, m) : (struct pb_pos){ 0 };
}

static const config_setting_t *find_in_member(const struct pb_cfg *c, const char *group, size_t i,
					      const char *name)
{
	const config_setting_t *m = find_member(c, group, i);

	return m && config_setting_is_group(m) ? config_setting_get_member(m, name) : NULL;
}

bool pb_cfg_member_has(const struct pb_cfg *c, const char *group, size_t i, const char *name)
{
	return find_in_member(c, group, i, name) != NULL;
}

struct pb_pos pb_cfg_member_name_at(const struct pb_cfg *c, const char *group, size_t i,
				    const char *name)
{
	const config_setting_t *s = find_in_member(c, group, i, name);

	return s ? place_of(c, s) : (struct pb_pos){ 0 };
}

int pb_cfg_read_member(const struct pb_cfg *c, const char *group, size_t i,
		       const struct pb_opt *rows, void *settings, struct pb_arena *a,
		       struct pb_findings *f)
{
	struct pb_str as = pb_arena_printf(a, "%s.*", group);
	struct job j = { c, rows, settings, a, f, 0 };
	const config_setting_t *m = find_member(c, group, i);

	if (!as.p)
		return -ENOMEM;
	pb_opt_section_defaults(rows, as.p, settings, a);
	if (m && config_setting_is_group(m)) /* else pb_cfg_read has complained */
		read_group(&j, as.p, m);
	return job_result(&j);
}

static const config_setting_t *find_setting(const struct pb_cfg *c, const char *group,
					    const char *name)
{
	const config_setting_t *g = config_lookup(&c->tree, group);

	return g && config_setting_is_group(g) ? config_setting_get_member(g, name) : NULL;
}

bool pb_cfg_has(const struct pb_cfg *c, const char *group, const char *name)
{
	return find_setting(c, group, name) != NULL;
}

struct pb_pos pb_cfg_at(const struct pb_cfg *c, const char *group, const char *name)
{
	const config_setting_t *s = find_setting(c, group, name);

	return s ? place_of(c, s) : (struct pb_pos){ 0 };
}

/* ---- All of it ------------------------------------------------------------------------- */

struct each {
	const struct pb_cfg *c;
	void (*fn)(void *arg, struct pb_str group, struct pb_str name, struct pb_pos at);
	void *arg;
};

static void each_in(struct each *e, const config_setting_t *g, struct pb_str path)
{
	char buf[512];
	struct pb_text t;

	for (int i = 0; i < config_setting_length(g); i++) {
		const config_setting_t *s = config_setting_get_elem(g, (unsigned)i);
		const char *name = config_setting_name(s);

		if (!config_setting_is_group(s)) {
			e->fn(e->arg, path, pb_str_z(name), place_of(e->c, s));
			continue;
		}
		pb_text_init_buf(&t, buf, sizeof(buf));
		pb_text_addf(&t, "%.*s%s%s", PB_STR_F(path), path.n ? "." : "", name);
		each_in(e, s, pb_text_str(&t));
	}
}

void pb_cfg_each(const struct pb_cfg *c,
		 void (*fn)(void *arg, struct pb_str group, struct pb_str name, struct pb_pos at), void *arg)
{
	struct each e = { c, fn, arg };

	each_in(&e, config_root_setting(&c->tree), PB_STR(""));
}
