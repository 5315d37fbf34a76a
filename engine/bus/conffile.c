/*
 * Files of a configuration: opened, read whole, included. A file that includes
 * itself is known by its inode, whatever it is called.
 */
#include "bus/confread.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"

/* ---- Files ----------------------------------------------------------------------- */

/* The whole file into the arena. A pipe without writer reads as empty. */
static int slurp(struct pbi_reader *r, int fd, struct pb_str *out)
{
	struct pb_text t;
	char buf[16384];
	ssize_t n;
	int err = 0;

	pb_text_init(&t, PBI_CONF_BYTES_MAX);
	while (!err && (n = read(fd, buf, sizeof(buf))) != 0) {
		if (n < 0)
			err = errno == EINTR ? 0 : -errno;
		else if (t.n + (size_t)n > PBI_CONF_BYTES_MAX - r->bytes)
			err = -EFBIG;
		else
			pb_text_add(&t, pb_str(buf, (size_t)n));
		if (pb_text_failed(&t))
			err = -ENOMEM;
	}
	r->bytes += t.n;
	*out = err ? PB_STR_NULL : pb_arena_str(r->c->arena, pb_text_str(&t));
	pb_text_fini(&t);
	return err ? err : out->p ? 0 : -ENOMEM;
}

static bool is_on_stack(const struct pbi_source *s, const struct stat *st)
{
	if (s && pbi_rules(s->r).no_loop_check)
		return false;
	for (; s; s = s->parent) {
		if (s->ino == st->st_ino && s->dev == st->st_dev && s->ino)
			return true;
	}
	return false;
}

/* Open and read `path` into `s`; 0, -errno, -ELOOP: it is being read already. */
static int open_source(struct pbi_source *s, const char *path)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC), err = 0;
	struct stat st = { 0 };

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st))
		err = -errno;
	else if (is_on_stack(s->parent, &st) || s->depth > pbi_rules(s->r).max_depth)
		err = -ELOOP;
	else if (++s->r->files > PBI_CONF_FILES_MAX)
		err = -EFBIG;
	else
		err = slurp(s->r, fd, &s->rest);
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	close(fd);
	if (!err)
		pbi_conf_add_file(s->r->c, path);
	if (err == -EFBIG || err == -ENOMEM)
		s->r->err = err;
	return err;
}

static void tell_unread(struct pbi_source *from, struct pb_pos at, struct pb_str path, enum pbi_need need,
			int err)
{
	enum pb_severity sev = need == PBI_REQUIRED ? PB_SEV_ERROR : PB_SEV_WARNING;

	from->r->refused |= need == PBI_REQUIRED;
	if (err == -ENOENT && need == PBI_SILENT && !pbi_rules(from->r).no_silent)
		return;
	if (err == -ELOOP)
		pb_findings_add(from->r->f, at, sev, PB_FIND(INCLUDE_LOOP),
				"'%.*s' not included: %s", PB_STR_F(path),
				from->depth + 1 > pbi_rules(from->r).max_depth ? "nested too deep"
								     : "it includes this file");
	else if (err == -EFBIG)
		pb_findings_add(from->r->f, at, PB_SEV_ERROR, PB_FIND(TOO_BIG),
				"'%.*s' makes the configuration too big", PB_STR_F(path));
	else
		pb_findings_add(from->r->f, at, sev, PB_FIND(UNREADABLE), "cannot read '%.*s': %s",
				PB_STR_F(path), strerror(-err));
}

static int include_file(struct pbi_source *from, struct pb_pos at, struct pb_str path, enum pbi_need need)
{
	struct pbi_source s = { .r = from->r,
			    .parent = from,
			    .file = path.p,
			    .current = from->current,
			    .depth = from->depth + 1 };
	int err = open_source(&s, path.p);

	if (err)
		tell_unread(from, at, path, need, err);
	else
		pbi_source_read(&s);
	return err;
}

/* ---- Directories ----------------------------------------------------------------- */

/* Hidden files and what editors leave behind are no configuration. */
static bool is_left_over(struct pb_str name)
{
	return pb_str_starts(name, PB_STR(".")) || pb_str_ends(name, PB_STR("~")) ||
	       pb_str_ends(name, PB_STR(".bak")) || pb_str_ends(name, PB_STR(".tmp"));
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(((const struct pb_str *)a)->p, ((const struct pb_str *)b)->p);
}

/* Full paths of the entries to include, sorted; the caller frees *out. */
static int list_directory(struct pbi_reader *r, DIR *d, struct pb_str dir, struct pb_str **out)
{
	const struct dirent *de;
	struct pb_str *paths = NULL, *more;
	size_t n = 0, size = 0;

	while ((de = readdir(d))) {
		if (is_left_over(pb_str_z(de->d_name)))
			continue;
		if (n == size) {
			size = size ? size * 2 : 32;
			more = n < PBI_CONF_FILES_MAX ? pb_alloc_grow(paths, size * sizeof(*paths))
						      : NULL;
			if (!more)
				goto fail;
			paths = more;
		}
		paths[n] = pb_arena_printf(r->c->arena, "%.*s/%s", PB_STR_F(dir), de->d_name);
		if (!paths[n++].p)
			goto fail;
	}
	if (n)
		qsort(paths, n, sizeof(*paths), by_bytes);
	*out = paths;
	return (int)n;

fail:
	pb_free(paths);
	return r->err = -ENOMEM;
}

static void include_directory(struct pbi_source *s, DIR *d, struct pb_pos at, struct pb_str dir,
			      enum pbi_need need)
{
	struct pb_str *paths = NULL;
	int n;

	while (dir.n > 1 && dir.p[dir.n - 1] == '/')
		dir.n--;
	n = list_directory(s->r, d, dir, &paths);
	for (int i = 0; i < n && !s->r->err; i++)
		include_file(s, at, paths[i], need);
	if (n >= 0)
		pb_free(paths);
}

static struct pb_str full_path(struct pbi_source *s, struct pb_str path)
{
	const char *slash = strrchr(s->file, '/');

	if (path.p[0] == '/' || !slash)
		return path;
	return pb_arena_printf(s->r->c->arena, "%.*s%.*s", (int)(slash - s->file + 1), s->file,
			       PB_STR_F(path));
}

void pbi_source_include(struct pbi_source *s, struct pb_pos at, struct pb_str raw, struct pb_str path,
			enum pbi_need need)
{
	DIR *d;

	if (!path.n && pbi_rules(s->r).include_empty) {
		tell_unread(s, at, path, need, -ENOENT);
		return;
	}
	if (!path.n) {
		s->r->refused |= need == PBI_REQUIRED;
		if (need != PBI_SILENT)
			pb_findings_add(s->r->f, at,
					need == PBI_REQUIRED ? PB_SEV_ERROR : PB_SEV_WARNING,
					PB_FIND(DIRECTIVE), "no file to include: '%.*s' is empty",
					PB_STR_F(raw));
		return;
	}
	path = full_path(s, pb_arena_str(s->r->c->arena, path)); /* trimmed: end it with NUL */
	if (!path.p)
		return;
	d = opendir(path.p);
	if (!d) {
		include_file(s, at, path, need);
		return;
	}
	include_directory(s, d, at, path, need);
	closedir(d);
}

/* ---- Entry points ------------------------------------------------------------------ */

static int reader_init(struct pbi_reader *r, const char *name, const struct pb_conf_env *env, struct pb_findings *f)
{
	*r = (struct pbi_reader){ .env = env, .f = f };
	r->c = pbi_conf_new(name);
	if (r->c && env)
		r->c->env = *env;
	return r->c ? 0 : -ENOMEM;
}

static int reader_finish(struct pbi_reader *r, int err, struct pb_conf **out)
{
	if (!err)
		err = r->err;
	if (!err)
		err = pbi_conf_finish(r->c, r->f);
	if (!err && r->refused)
		err = -EINVAL;
	if (err && err != -EINVAL)
		pb_conf_free(&r->c);
	*out = r->c;
	return err;
}

int pb_conf_load(const char *path, const struct pb_conf_env *env, bool missing_ok,
		 struct pb_findings *f, struct pb_conf **out)
{
	struct pbi_reader r;
	struct pbi_source s = { .r = &r };
	int err = reader_init(&r, path, env, f);

	*out = NULL;
	if (err)
		return err;
	s.file = pb_arena_str(r.c->arena, pb_str_z(path)).p;
	err = s.file ? open_source(&s, s.file) : -ENOMEM;
	if (!err)
		pbi_source_read(&s);
	else if (err == -ENOENT && missing_ok)
		err = 0;
	else
		pb_findings_add(f, (struct pb_pos){ path, 0, 0 }, PB_SEV_ERROR, PB_FIND(UNREADABLE),
				"cannot read it: %s", strerror(-err));
	return reader_finish(&r, err, out);
}

int pb_conf_parse(const char *name, struct pb_str text, const struct pb_conf_env *env,
		  struct pb_findings *f, struct pb_conf **out)
{
	struct pbi_reader r;
	struct pbi_source s = { .r = &r };
	int err = reader_init(&r, name, env, f);

	*out = NULL;
	if (err)
		return err;
	s.file = pb_arena_str(r.c->arena, pb_str_z(name)).p;
	s.rest = pb_arena_str(r.c->arena, text);
	if (pb_arena_failed(r.c->arena))
		err = -ENOMEM;
	else
		pbi_source_read(&s);
	return reader_finish(&r, err, out);
}
