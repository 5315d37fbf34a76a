/*
 * Each key of a folder and what becomes of it. The files are read once more for
 * this, whoever has read them before: so it is told of files that nobody reads,
 * and of files with errors, too.
 */
#include "bus/keys.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bus/cfg.h"
#include "bus/engine_impl.h"
#include "bus/foreign.h"

#define FILES_MAX 1000

const char *const pb_key_states[] = { "supported", "accepted", "unknown" };

/* ---- The folder ---------------------------------------------------------------------- */

/** One *.conf of the folder. */
struct file {
	struct pb_str path, base;
	struct pb_conf *conf; /* NULL: it cannot be read */
	enum { MAIN, MODULE, OFF, FOREIGN, NOBODY } whose;
	const struct pb_module *d; /* MODULE, OFF */
	bool included;		   /* another one includes it */
	dev_t dev;
	ino_t ino;
};

struct folder {
	struct pb_engine *e;
	struct pb_arena *arena;
	struct file *files;
	size_t count;
};

static const struct pb_module *reader_of(struct pb_engine *e, struct pb_str base, bool *off)
{
	*off = false;
	for (unsigned i = 0; i < e->module_count; i++) {
		if (pb_str_eq(pb_str_z(e->modules[i]->d->conf), base) && base.n)
			return e->modules[i]->d;
	}
	*off = true;
	for (unsigned i = 0; i < e->off_count; i++) {
		if (pb_str_eq(pb_str_z(e->off[i].d->conf), base) && base.n)
			return e->off[i].d;
	}
	return NULL;
}

static void whose_is(struct pb_engine *e, struct file *f)
{
	bool off;

	f->d = reader_of(e, f->base, &off);
	if (pb_str_eq(f->base, pb_str_z(e->args.name)))
		f->whose = MAIN;
	else if (f->d)
		f->whose = off ? OFF : MODULE;
	else
		f->whose = pbi_foreign_conf(f->base) ? FOREIGN : NOBODY;
}

static int add_file(struct folder *d, const char *name)
{
	struct file *f = &d->files[d->count];
	struct pb_str s = pb_str_z(name);
	struct stat st;

	*f = (struct file){ .base = pb_arena_str(d->arena, pb_str_head(s, s.n - 5)) };
	f->path = pb_arena_printf(d->arena, "%s/%s", d->e->args.conf_dir, name);
	if (!f->base.p || !f->path.p)
		return -ENOMEM;
	if (stat(f->path.p, &st) || S_ISDIR(st.st_mode))
		return 0;
	f->dev = st.st_dev;
	f->ino = st.st_ino;
	whose_is(d->e, f);
	d->count++;
	return 0;
}

static int by_path(const void *a, const void *b)
{
	return pb_str_cmp(((const struct file *)a)->path, ((const struct file *)b)->path);
}

static int list_files(struct folder *d)
{
	DIR *dir = opendir(d->e->args.conf_dir);
	const struct dirent *it;
	int err = 0;

	while (dir && !err && d->count < FILES_MAX && (it = readdir(dir))) {
		if (it->d_name[0] != '.' && pb_str_ends(pb_str_z(it->d_name), PB_STR(".conf")))
			err = add_file(d, it->d_name);
	}
	if (dir)
		closedir(dir);
	if (d->count)
		qsort(d->files, d->count, sizeof(*d->files), by_path);
	return err;
}

static void mark_included(struct folder *d, const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return;
	for (size_t i = 0; i < d->count; i++)
		d->files[i].included |= d->files[i].dev == st.st_dev && d->files[i].ino == st.st_ino;
}

static void folder_free(struct folder *d)
{
	for (size_t i = 0; d->files && i < d->count; i++)
		pb_conf_free(&d->files[i].conf);
	pb_free(d->files);
	pb_arena_free(&d->arena);
}

/* Of what the engine has read itself, `f` knows; what nobody reads may be anything. */
static int read_folder(struct folder *d, struct pb_findings *f)
{
	struct pb_conf_env env = pbi_conf_env(d->e);
	const char *path;
	int err = list_files(d);

	for (size_t i = 0; i < d->count && !err; i++) {
		struct file *it = &d->files[i];

		struct pb_findings *told = it->whose == OFF || it->whose == FOREIGN ? f : NULL;

		if (pb_conf_load(it->path.p, &env, true, told, &it->conf) == -ENOMEM)
			err = -ENOMEM;
		for (size_t k = 1; it->conf && it->whose != NOBODY && (path = pb_conf_file(it->conf, k)); k++)
			mark_included(d, path);
	}
	return err;
}

static int folder_open(struct pb_engine *e, struct pb_findings *f, struct folder *d)
{
	*d = (struct folder){ .e = e, .arena = pb_arena_new(64u << 20) };
	d->files = pb_alloc_zero(FILES_MAX, sizeof(*d->files));
	return d->files && d->arena ? read_folder(d, f) : -ENOMEM;
}

/* ---- What becomes of a key ----------------------------------------------------------- */

static void set(struct pb_key *k, enum pb_key_state state, const char *why)
{
	k->state = state;
	k->why = pb_str_z(why);
}

/* Names of modules: those here, those off, those of which one has heard. */
static void judge_module(struct pb_engine *e, struct pb_key *k)
{
	struct pb_str base = pb_str_ends(k->name, PB_STR(".yate")) ? pb_str_head(k->name, k->name.n - 5) : k->name;
	bool here = pbi_module_find(e, k->name) != NULL;

	for (unsigned i = 0; i < e->off_count && !here; i++)
		here = pbi_module_is(e->off[i].d, k->name);
	if (here)
		set(k, PB_KEY_SUPPORTED, "Whether to load that module.");
	else if (pbi_foreign_module(base))
		set(k, PB_KEY_ACCEPTED, "That module is not part of this engine yet.");
	else
		set(k, PB_KEY_UNKNOWN, "There is no module of that name.");
}

static void judge_library(struct pb_engine *e, struct pb_key *k, struct pb_arena *a)
{
	struct pb_str path = pb_engine_expand(e, k->name, a);

	if (path.p && pb_str_ends(path, PB_STR(".so")) && !access(path.p, R_OK))
		set(k, PB_KEY_SUPPORTED, "A library of a module.");
	else
		set(k, PB_KEY_ACCEPTED, "It is no library of a module of this engine.");
}

static bool judge_by_rows(const struct pb_opt *rows, struct pb_key *k)
{
	const char *as = rows ? pb_opt_section(rows, k->section) : NULL;
	const struct pb_opt *row = as ? pb_opt_find(rows, as, k->name) : NULL;

	if (row)
		set(k, row->flags & PB_OPT_ACCEPTED ? PB_KEY_ACCEPTED : PB_KEY_SUPPORTED, row->doc);
	return row != NULL;
}

/* Where a module's keys are not listed, all may be right. */
static bool is_known(const struct file *f, struct pb_str section, struct pb_str key, const char **doc)
{
	if (f->whose == FOREIGN && !pbi_foreign_is_listed(f->base))
		return true;
	return pbi_foreign_find(f->base, section, key, doc) == PBI_FOREIGN_KEY;
}

static void judge_foreign(const struct file *f, struct pb_key *k, struct pb_arena *a)
{
	const struct pbi_library *lib = pbi_foreign_conf(f->base);
	const char *doc = lib ? lib->doc : "";

	if (!is_known(f, k->section, k->name, &doc))
		set(k, PB_KEY_UNKNOWN, "Nobody reads it.");
	else if (f->d)
		set(k, PB_KEY_ACCEPTED, doc);
	else
		set(k, PB_KEY_ACCEPTED,
		    pb_arena_printf(a, "Module %s is not part of this engine yet. %s", lib ? lib->name : f->base.p, doc).p);
}

static void judge(struct folder *d, const struct file *f, struct pb_key *k)
{
	const struct pb_opt *rows = f->whose == MAIN ? pbi_main_rows : f->d ? f->d->options : NULL;
	bool main = f->whose == MAIN;

	if (main && pb_str_eq(k->section, PB_STR("modules")))
		judge_module(d->e, k);
	else if (main && (pb_str_eq(k->section, PB_STR("preload")) || pb_str_eq(k->section, PB_STR("postload"))))
		judge_library(d->e, k, d->arena);
	else if (!judge_by_rows(rows, k))
		judge_foreign(f, k, d->arena);
	else if (f->whose == OFF && k->state == PB_KEY_SUPPORTED)
		set(k, PB_KEY_ACCEPTED,
		    pb_arena_printf(d->arena, "Module %s is switched off. %.*s", f->d->name, PB_STR_F(k->why)).p);
}

/* ---- Telling ------------------------------------------------------------------------- */

struct teller {
	struct folder *d;
	void (*fn)(void *arg, const struct pb_key *key);
	void *arg;
};

static void tell_file(struct teller *t, const struct file *f)
{
	const struct pb_conf_section *s;

	for (size_t i = 0; f->conf && (s = pb_conf_section_at(f->conf, i)); i++) {
		for (size_t n = 0; n < s->count; n++) {
			const struct pb_conf_entry *e = &s->entries[n];
			struct pb_key k = { .file = pb_str_z(e->key_at.file), .line = e->key_at.line,
					    .col = e->key_at.col, .section = s->name, .name = e->key };

			judge(t->d, f, &k);
			t->fn(t->arg, &k);
		}
	}
}

static void tell_setting(void *arg, struct pb_str group, struct pb_str name, struct pb_pos at)
{
	struct teller *t = arg;
	struct pb_key k = { .file = pb_str_z(at.file), .line = at.line, .col = at.col, .section = group, .name = name };

	if (!judge_by_rows(pbi_cfg_rows, &k))
		set(&k, PB_KEY_UNKNOWN, "Nobody reads it.");
	t->fn(t->arg, &k);
}

int pb_engine_keys(struct pb_engine *e, void (*fn)(void *arg, const struct pb_key *key), void *arg)
{
	struct folder d;
	struct teller t = { &d, fn, arg };
	int err = folder_open(e, NULL, &d);

	for (size_t i = 0; i < d.count && !err; i++) {
		if (!d.files[i].included)
			tell_file(&t, &d.files[i]);
	}
	if (!err && e->cfg)
		pb_cfg_each(e->cfg, tell_setting, &t);
	folder_free(&d);
	return err;
}

/* ---- Findings about files ---------------------------------------------------------------- */

static struct pb_str near_file(struct pb_engine *e, struct pb_str base)
{
	struct pb_str known[PBI_MODULES_MAX * 2 + 1];
	size_t n = 0;

	known[n++] = pb_str_z(e->args.name);
	for (unsigned i = 0; i < e->module_count; i++) {
		if (e->modules[i]->d->conf)
			known[n++] = pb_str_z(e->modules[i]->d->conf);
	}
	return pb_suggest(base, known, n);
}

static void check_foreign_keys(const struct file *f, struct pb_findings *out)
{
	const struct pb_conf_section *s;

	for (size_t i = 0; f->conf && (s = pb_conf_section_at(f->conf, i)); i++) {
		for (size_t n = 0; n < s->count; n++) {
			if (!is_known(f, s->name, s->entries[n].key, NULL))
				pb_findings_add(out, s->entries[n].key_at, PB_SEV_WARNING, PB_FIND(UNKNOWN_KEY),
						"unknown key '%.*s'", PB_STR_F(s->entries[n].key));
		}
	}
}

static void check_file(struct pb_engine *e, const struct file *f, struct pb_findings *out)
{
	struct pb_pos at = { f->path.p, 0, 0 };
	struct pb_str near;

	if (f->whose == OFF) {
		pb_findings_add(out, at, PB_SEV_NOTE, PB_FIND(FOREIGN_FILE), "not read: module %s is switched off",
				f->d->name);
	} else if (f->whose == FOREIGN) {
		pb_findings_add(out, at, PB_SEV_NOTE, PB_FIND(FOREIGN_FILE),
				"not read: module %s is not part of this engine yet", pbi_foreign_conf(f->base)->name);
		check_foreign_keys(f, out);
	} else if (f->whose == NOBODY) {
		near = near_file(e, f->base);
		pb_findings_add(out, at, PB_SEV_WARNING, PB_FIND(UNKNOWN_FILE), "nobody reads this file%s%.*s%s",
				near.p ? ", did you mean '" : "", PB_STR_F(near), near.p ? ".conf'?" : "");
	}
}

int pb_engine_check_files(struct pb_engine *e, struct pb_findings *f)
{
	struct folder d;
	int err = folder_open(e, f, &d);

	for (size_t i = 0; i < d.count && !err; i++) {
		if (!d.files[i].included)
			check_file(e, &d.files[i], f);
	}
	folder_free(&d);
	return err;
}
