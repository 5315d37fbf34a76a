/*
 * Which modules there are, and which of them are loaded: by the command line,
 * engine.cfg and the main file, out of folders and lists of libraries.
 */
#include "bus/engine_impl.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "bus/cfg.h"
#include "bus/foreign.h"

/* "ysipchan.yate", "ysipchan", "sip" -> the name without suffix. */
static struct pb_str base_name(struct pb_str file)
{
	static const struct pb_str suffixes[] = { PB_STR_INIT(".yate"), PB_STR_INIT(".so") };

	for (size_t i = 0; i < 2; i++) {
		if (pb_str_ends(file, suffixes[i]))
			return pb_str_head(file, file.n - suffixes[i].n);
	}
	return file;
}

bool pbi_module_is(const struct pb_module *d, struct pb_str name)
{
	struct pb_str list = pb_str_z(d->aliases), item;

	name = base_name(name);
	if (pb_str_eq(name, pb_str_z(d->name)))
		return true;
	while (pb_str_cut(&list, ',', &item)) {
		if (pb_str_eq(pb_str_trim(item), name))
			return true;
	}
	return false;
}

struct pbi_module *pbi_module_find(struct pb_engine *e, struct pb_str name)
{
	for (unsigned i = 0; i < e->module_count; i++) {
		if (pbi_module_is(e->modules[i]->d, name))
			return e->modules[i];
	}
	return NULL;
}

bool pb_engine_loaded(const struct pb_engine *e, struct pb_str module)
{
	return pbi_module_find((struct pb_engine *)(uintptr_t)e, module) != NULL;
}

/* The group of `d` in engine.cfg's "modules"; -1: none. */
static ptrdiff_t cfg_group(struct pb_engine *e, const struct pb_module *d)
{
	size_t n = pb_cfg_members(e->cfg, "modules");

	for (size_t i = 0; i < n; i++) {
		if (pb_str_eq(pb_cfg_member_name(e->cfg, "modules", i), pb_str_z(d->name)))
			return (ptrdiff_t)i;
	}
	return -1;
}

/* Does engine.cfg say it? Then *out. */
static bool cfg_says(struct pb_engine *e, const struct pb_module *d, const char *name, struct pbi_cfg_module *out)
{
	ptrdiff_t i = cfg_group(e, d);

	return i >= 0 && pb_cfg_member_has(e->cfg, "modules", (size_t)i, name) &&
	       !pb_cfg_read_member(e->cfg, "modules", (size_t)i, pbi_cfg_rows, out, e->arena, NULL);
}

bool pbi_module_required(struct pb_engine *e, const struct pb_module *d)
{
	struct pbi_cfg_module m;

	return cfg_says(e, d, "required", &m) ? m.required : d->required;
}

static const struct pb_conf_entry *module_entry(struct pb_engine *e, const struct pb_module *d)
{
	const struct pb_conf_section *s = pb_conf_section(e->main, PB_STR("modules"));

	for (size_t i = 0; s && i < s->count; i++) {
		if (pbi_module_is(d, s->entries[i].key))
			return &s->entries[i];
	}
	return NULL;
}

/* engine.cfg, else [modules] FILE.yate=BOOL (an empty value means yes), else
 * [general] modload. */
static bool wanted(struct pb_engine *e, const struct pb_module *d)
{
	const struct pb_conf_entry *said = module_entry(e, d);
	struct pbi_cfg_module m;

	if (cfg_says(e, d, "load", &m))
		return m.load;
	return !said ? e->yate.modload : !said->value.n || pb_str_to_bool(said->value, e->yate.modload);
}

static int add_module(struct pb_engine *e, const struct pb_module *d, void *dl)
{
	struct pbi_module *m;

	if (e->module_count == PBI_MODULES_MAX)
		return -ENOSPC;
	m = pb_alloc_zero(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->d = d;
	m->e = e;
	m->dl = dl;
	e->modules[e->module_count] = m; /* before it is counted: others read meanwhile */
	e->module_count++;
	if (d->log)
		pb_log_register(d->log);
	return 0;
}

/* What is not wanted is still known: `check` says so of its file. The library
 * stays open, its rows are read. */
static void keep_off(struct pb_engine *e, const struct pb_module *d)
{
	if (e->off_count < PBI_MODULES_MAX)
		e->off[e->off_count++].d = d;
}

int pbi_module_add_off(struct pb_engine *e, struct pb_str name)
{
	for (unsigned i = 0; i < e->off_count; i++) {
		const struct pb_module *d = e->off[i].d;

		if (!pbi_module_is(d, name))
			continue;
		e->off[i] = e->off[--e->off_count];
		return add_module(e, d, NULL);
	}
	return -ENOENT;
}

static int load_file(struct pb_engine *e, const char *path)
{
	void *dl = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	const struct pb_module *d = dl ? dlsym(dl, "pb_module_descriptor") : NULL;
	int err;

	if (!d) {
		pb_log(&pbi_engine_log, &pbi_engine_rows[PBI_ENG_NOT_LOADED], "module %s not loaded: %s", path,
		       dlerror());
		goto out;
	}
	if (d->abi != PB_MODULE_ABI) {
		pb_log(&pbi_engine_log, &pbi_engine_rows[PBI_ENG_NOT_LOADED],
		       "module %s not loaded: made for interface %u, this engine has %u", path, d->abi,
		       PB_MODULE_ABI);
		goto out;
	}
	if (!wanted(e, d)) {
		keep_off(e, d);
		return 0;
	}
	if (pbi_module_find(e, pb_str_z(d->name)))
		goto out;
	err = add_module(e, d, dl);
	if (!err)
		return 0;
out:
	if (dl)
		dlclose(dl);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The *.so files of a folder in order of name, so that a start repeats. */
static int load_dir(struct pb_engine *e, const char *dir)
{
	DIR *d = opendir(dir);
	const char *files[PBI_MODULES_MAX];
	struct dirent *it;
	size_t n = 0;
	int err = 0;

	if (!d)
		return 0;
	while ((it = readdir(d)) && n < PBI_MODULES_MAX) {
		if (pb_str_ends(pb_str_z(it->d_name), PB_STR(".so"))) {
			struct pb_str p = pb_arena_printf(e->arena, "%s/%s", dir, it->d_name);

			if (p.p)
				files[n++] = p.p;
		}
	}
	closedir(d);
	qsort(files, n, sizeof(files[0]), by_name);
	for (size_t i = 0; i < n && !err; i++)
		err = load_file(e, files[i]);
	return err;
}

static struct pb_pos general_at(struct pb_engine *e, const char *key)
{
	const struct pb_conf_section *s = pb_conf_section(e->main, PB_STR("general"));
	const struct pb_conf_entry *it = s ? pb_conf_find(s, pb_str_z(key)) : NULL;

	return it ? it->value_at : (struct pb_pos){ 0 };
}

static bool has_modules(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *it;
	bool any = false;

	while (d && !any && (it = readdir(d)))
		any = pb_str_ends(pb_str_z(it->d_name), PB_STR(".so"));
	if (d)
		closedir(d);
	return any;
}

/* modpath wins over the command line, unless it is another engine's folder. */
static bool use_modpath(struct pb_engine *e, struct pb_findings *f)
{
	if (!e->yate.modpath.n)
		return false;
	if (has_modules(e->yate.modpath.p))
		return true;
	pb_findings_add(f, general_at(e, "modpath"), PB_SEV_WARNING, PB_FIND(LIBRARY),
			"modpath: no module of this engine is in '%.*s': the usual folder is used",
			PB_STR_F(e->yate.modpath));
	return false;
}

/* A folder, or one library. */
static int load_extra(struct pb_engine *e, const char *main_dir, struct pb_findings *f)
{
	struct pb_str path = e->yate.extrapath;

	if (!path.n)
		return 0;
	if (path.p[0] != '/')
		path = pb_arena_printf(e->arena, "%s/%.*s", main_dir, PB_STR_F(path));
	if (path.p && pb_str_ends(path, PB_STR(".so")) && !access(path.p, R_OK))
		return load_file(e, path.p);
	if (path.p && has_modules(path.p))
		return load_dir(e, path.p);
	pb_findings_add(f, general_at(e, "extrapath"), PB_SEV_WARNING, PB_FIND(LIBRARY),
			"extrapath: no module of this engine is in '%.*s'", PB_STR_F(path));
	return 0;
}

static int load_folders(struct pb_engine *e, struct pb_findings *f)
{
	const char *const *dirs = e->args.module_dirs;
	bool own = use_modpath(e, f);
	const char *first = own ? e->yate.modpath.p : dirs && dirs[0] ? dirs[0] : ".";
	int err = own ? load_dir(e, first) : 0;

	for (size_t i = 0; !own && dirs && dirs[i] && !err; i++)
		err = load_dir(e, dirs[i]);
	return err ? err : load_extra(e, first, f);
}

/* [preload], [postload]: the key is the path of a library. Only our modules are
 * opened: the code of any other would run in this process for nothing. */
static int load_listed(struct pb_engine *e, const char *section, struct pb_findings *f)
{
	const struct pb_conf_section *s = pb_conf_section(e->main, pb_str_z(section));
	int err = 0;

	for (size_t i = 0; s && i < s->count && !err; i++) {
		const struct pb_conf_entry *it = &s->entries[i];
		struct pb_str path = pb_engine_expand(e, it->key, e->arena);

		if (!pb_str_to_bool(it->value, true))
			continue;
		if (path.p && pb_str_ends(path, PB_STR(".so")) && !access(path.p, R_OK))
			err = load_file(e, path.p);
		else
			pb_findings_add(f, it->key_at, PB_SEV_WARNING, PB_FIND(LIBRARY),
					"'%.*s' is not loaded: it is no library of a module of this engine",
					PB_STR_F(path));
	}
	return err;
}

static struct pb_str near_name(struct pb_engine *e, struct pb_str name)
{
	struct pb_str known[PBI_MODULES_MAX * 2];
	size_t n = 0;

	for (unsigned i = 0; i < e->module_count; i++) {
		struct pb_str list = pb_str_z(e->modules[i]->d->aliases), item;

		known[n++] = pb_str_z(e->modules[i]->d->name);
		if (pb_str_cut(&list, ',', &item))
			known[n++] = item;
	}
	return pb_suggest(name, known, n);
}

static bool is_off(struct pb_engine *e, struct pb_str name)
{
	for (unsigned i = 0; i < e->off_count; i++) {
		if (pbi_module_is(e->off[i].d, name))
			return true;
	}
	return false;
}

/* Names in [modules] that nothing answers to are findings with a suggestion. */
static void check_name(struct pb_engine *e, const struct pb_conf_entry *it, struct pb_findings *f)
{
	struct pb_str name = base_name(it->key), near;

	if (pbi_foreign_module(name)) {
		pb_findings_add(f, it->key_at, PB_SEV_NOTE, PB_FIND(NO_EFFECT),
				"'%.*s' has no effect: that module is not part of this engine yet", PB_STR_F(it->key));
		return;
	}
	near = near_name(e, name);
	pb_findings_add(f, it->key_at, PB_SEV_WARNING, PB_FIND(UNKNOWN_MODULE),
			"unknown module '%.*s'%s%.*s%s", PB_STR_F(name), near.p ? ", did you mean '" : "",
			PB_STR_F(near), near.p ? "'?" : "");
}

/* What engine.cfg says as well. */
static void check_overridden(struct pb_engine *e, const struct pb_conf_entry *it, struct pb_findings *f)
{
	size_t n = pb_cfg_members(e->cfg, "modules");

	for (size_t i = 0; i < n; i++) {
		const struct pbi_module *m = pbi_module_find(e, it->key);
		struct pb_str name = pb_cfg_member_name(e->cfg, "modules", i);

		if (!pb_cfg_member_has(e->cfg, "modules", i, "load") ||
		    !(m ? pb_str_eq(name, pb_str_z(m->d->name)) : pb_str_eq(name, base_name(it->key))))
			continue;
		pb_findings_add(f, it->key_at, PB_SEV_WARNING, PB_FIND(OVERRIDDEN),
				"'%.*s' has no effect: modules.%.*s.load of engine.cfg counts, line %u",
				PB_STR_F(it->key), PB_STR_F(name),
				pb_cfg_member_name_at(e->cfg, "modules", i, "load").line);
	}
}

static void check_names(struct pb_engine *e, struct pb_findings *f)
{
	const struct pb_conf_section *s = pb_conf_section(e->main, PB_STR("modules"));

	for (size_t i = 0; s && i < s->count; i++) {
		const struct pb_conf_entry *it = &s->entries[i];

		check_overridden(e, it, f);
		if (!pbi_module_find(e, it->key) && !is_off(e, it->key))
			check_name(e, it, f);
	}
}

int pbi_modules_load(struct pb_engine *e, struct pb_findings *f)
{
	int err = add_module(e, &pbi_engine_module, NULL);

	for (size_t i = 0; e->args.built_in && e->args.built_in[i] && !err; i++) {
		if (wanted(e, e->args.built_in[i]))
			err = add_module(e, e->args.built_in[i], NULL);
		else
			keep_off(e, e->args.built_in[i]);
	}
	if (!err)
		err = load_listed(e, "preload", f);
	if (!err)
		err = load_folders(e, f);
	if (!err)
		err = load_listed(e, "postload", f);
	if (!err)
		check_names(e, f);
	return err;
}
