/*
 * What was read: sections in order of first mention, each a list of items while
 * reading and an array of entries afterwards. Section copies wait until all is
 * read, because a section may be copied before it is written down.
 *
 * Everything lives in one arena; the file texts too, which the slices view.
 */
#include "bus/conf.h"

#include <errno.h>

#include "base/alloc.h"
#include "bus/confbuild.h"

/* "/etc/patchbay/ysipchan.conf" is "ysipchan". */
static struct pb_str base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	struct pb_str s = pb_str_z(slash ? slash + 1 : path);

	return pb_str_ends(s, PB_STR(".conf")) ? pb_str_head(s, s.n - 5) : s;
}

struct pb_conf *pbi_conf_new(const char *path)
{
	struct pb_conf *c = pb_alloc_zero(1, sizeof(*c));

	if (!c)
		return NULL;
	c->last = &c->first;
	c->last_file = &c->files;
	c->arena = pb_arena_new(SIZE_MAX / 2); /* the reader has limits of its own */
	if (c->arena)
		c->base = pb_arena_str(c->arena, base_name(path));
	if (!c->base.p)
		pb_conf_free(&c);
	return c;
}

void pbi_conf_add_file(struct pb_conf *c, const char *path)
{
	struct pbi_conf_file *f = pb_arena_alloc(c->arena, sizeof(*f));

	if (!f)
		return;
	f->path = path;
	*c->last_file = f;
	c->last_file = &f->next;
}

const char *pb_conf_file(const struct pb_conf *c, size_t i)
{
	const struct pbi_conf_file *f = c->files;

	while (f && i--)
		f = f->next;
	return f ? f->path : NULL;
}

void pb_conf_free(struct pb_conf **c)
{
	if (!*c)
		return;
	pb_map_fini(&(*c)->names);
	pb_arena_free(&(*c)->arena);
	pb_free(*c);
	*c = NULL;
}

static struct pbi_section *find_section(const struct pb_conf *c, struct pb_str name)
{
	struct pb_map_node *n = pb_map_first(&c->names, pb_hash(name));

	for (; n; n = pb_map_next(n)) {
		struct pbi_section *s = pb_container(n, struct pbi_section, node);

		if (pb_str_eq(s->pub.name, name))
			return s;
	}
	return NULL;
}

struct pbi_section *pbi_conf_open(struct pb_conf *c, struct pb_str name, struct pb_pos at)
{
	struct pbi_section *s = find_section(c, name);

	if (s)
		return s;
	s = pb_arena_alloc(c->arena, sizeof(*s));
	if (!s || pb_map_add(&c->names, &s->node, pb_hash(name)))
		return NULL;
	s->pub.name = name;
	s->pub.at = at;
	s->pub.conf = c->base;
	s->last = &s->first;
	*c->last = s;
	c->last = &s->next;
	c->count++;
	return s;
}

void pbi_conf_add(struct pb_conf *c, struct pbi_section *s, const struct pbi_item *item)
{
	struct pbi_item *it = pb_arena_alloc(c->arena, sizeof(*it));

	if (!it)
		return;
	*it = *item;
	it->next = NULL;
	*s->last = it;
	s->last = &it->next;
}

/* ---- Copies ------------------------------------------------------------------ */

struct finish {
	struct pb_conf *c;
	struct pb_findings *f;
	int err; /* the worst so far */
};

static int resolve(struct finish *fin, struct pbi_section *s, unsigned depth);

/* The section that a copy item names, resolved; NULL when there is none to use. */
static struct pbi_section *copied(struct finish *fin, const struct pbi_item *it, unsigned depth)
{
	struct pbi_section *from = find_section(fin->c, it->entry.key);
	bool required = it->kind == PBI_COPY_REQUIRED, quiet = fin->c->env.rules && fin->c->env.rules->quiet;
	enum pb_severity sev = required ? PB_SEV_ERROR : quiet ? PB_SEV_NOTE : PB_SEV_WARNING;
	const char *why = "is not there";

	if (from && depth < PBI_CONF_COPIES_MAX && from->state != PBI_BUSY)
		return resolve(fin, from, depth + 1) ? NULL : from;
	if (from)
		why = from->state == PBI_BUSY ? "contains this one" : "is nested too deep";
	if (required)
		fin->err = fin->err ? fin->err : -EINVAL;
	if (from || it->kind != PBI_COPY_SILENT)
		pb_findings_add(fin->f, it->entry.key_at, sev, PB_FIND(COPY), "section '%.*s' to be copied %s",
				PB_STR_F(it->entry.key), why);
	return NULL;
}

/* What each copy stands for is kept, so that filling finds what counting did. */
static size_t count_entries(struct finish *fin, struct pbi_section *s, unsigned depth)
{
	size_t n = 0;

	for (struct pbi_item *it = s->first; it; it = it->next) {
		if (it->kind == PBI_ENTRY) {
			n++;
			continue;
		}
		it->from = copied(fin, it, depth);
		n += it->from ? it->from->pub.count : 0;
	}
	return n;
}

static void fill_entries(const struct pbi_section *s, struct pb_conf_entry *e)
{
	for (const struct pbi_item *it = s->first; it; it = it->next) {
		if (it->kind == PBI_ENTRY) {
			*e++ = it->entry;
		} else if (it->from && it->from->pub.count) {
			memcpy(e, it->from->pub.entries, it->from->pub.count * sizeof(*e));
			e += it->from->pub.count;
		}
	}
}

static int resolve(struct finish *fin, struct pbi_section *s, unsigned depth)
{
	struct pb_conf_entry *entries;
	size_t n;

	if (s->state == PBI_DONE)
		return 0;
	s->state = PBI_BUSY;
	n = count_entries(fin, s, depth);
	if (n > PBI_CONF_ENTRIES_MAX - fin->c->entries) {
		pb_findings_add(fin->f, s->pub.at, PB_SEV_ERROR, PB_FIND(TOO_BIG),
				"more than %u parameters in all", PBI_CONF_ENTRIES_MAX);
		fin->err = -EFBIG;
		return -EFBIG;
	}
	entries = pb_arena_alloc(fin->c->arena, n * sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	fill_entries(s, entries);
	s->pub.entries = entries;
	s->pub.count = n;
	s->state = PBI_DONE;
	fin->c->entries += n;
	return 0;
}

int pbi_conf_finish(struct pb_conf *c, struct pb_findings *f)
{
	struct finish fin = { .c = c, .f = f };
	size_t i = 0;

	c->order = pb_arena_alloc(c->arena, c->count * sizeof(*c->order));
	for (struct pbi_section *s = c->first; s && c->order; s = s->next) {
		c->order[i++] = s;
		resolve(&fin, s, 0);
	}
	return pb_arena_failed(c->arena) ? -ENOMEM : fin.err;
}

/* ---- Asking -------------------------------------------------------------------- */

size_t pb_conf_sections(const struct pb_conf *c)
{
	return c->count;
}

const struct pb_conf_section *pb_conf_section_at(const struct pb_conf *c, size_t i)
{
	return i < c->count ? &c->order[i]->pub : NULL;
}

const struct pb_conf_section *pb_conf_section(const struct pb_conf *c, struct pb_str name)
{
	const struct pbi_section *s = find_section(c, name);

	return s ? &s->pub : NULL;
}

const struct pb_conf_entry *pb_conf_find(const struct pb_conf_section *s, struct pb_str key)
{
	for (size_t i = 0; i < s->count; i++) {
		if (pb_str_eq(s->entries[i].key, key))
			return &s->entries[i];
	}
	return NULL;
}

struct pb_str pb_conf_get(const struct pb_conf *c, struct pb_str section, struct pb_str key)
{
	const struct pb_conf_section *s = pb_conf_section(c, section);
	const struct pb_conf_entry *e = s ? pb_conf_find(s, key) : NULL;

	return e ? e->value : PB_STR_NULL;
}

bool pb_conf_get_bool(const struct pb_conf *c, struct pb_str section, struct pb_str key, bool def)
{
	return pb_str_to_bool(pb_conf_get(c, section, key), def);
}

int64_t pb_conf_get_int(const struct pb_conf *c, struct pb_str section, struct pb_str key,
			int64_t def, int64_t lo, int64_t hi)
{
	int64_t v = def;

	/* An overflow is the default, not the bound. */
	if (pb_str_to_i64(pb_conf_get(c, section, key), 0, INT64_MIN, INT64_MAX, &v))
		return def;
	return v < lo ? lo : v > hi ? hi : v;
}

static struct pb_str run_param(void *arg, struct pb_str name)
{
	const struct pb_conf_env *env = arg;

	return env->run_param ? env->run_param(env->arg, name) : PB_STR_NULL;
}

struct pb_str pb_conf_expand(const struct pb_conf *c, struct pb_str text, struct pb_arena *into)
{
	return pb_expand(text, run_param, (void *)(uintptr_t)&c->env, into);
}
