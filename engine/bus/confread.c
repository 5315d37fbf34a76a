/*
 * Reading ini files: lines, directives, includes.
 *
 * A file is read whole into the configuration's arena and cut into lines; keys
 * and values are slices of it, except values continued over several lines. Each
 * open file is a `source` on the C stack, linked to the one that includes it:
 * the current section is handed down, the state of conditionals is its own.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "bus/confbuild.h"

#define DEPTH_DEFAULT 10

struct reader {
	struct pb_conf *c;
	const struct pb_conf_env *env;
	struct pb_findings *f;
	size_t bytes;   /* read so far */
	unsigned files; /* read so far */
	unsigned max_depth;
	int err;      /* nothing more can be read: -ENOMEM, -EFBIG */
	bool refused; /* a $require failed */
};

struct source {
	struct reader *r;
	const struct source *parent;
	const char *file; /* for positions; in the arena */
	struct pb_str rest;
	unsigned line; /* of what was cut last */
	struct pbi_section *current;
	unsigned depth;
	dev_t dev;
	ino_t ino;
	bool disabled, saw_nul, saw_outside;
};

/** A physical line without its leading blanks, and where it begins. */
struct line {
	struct pb_str text;
	struct pb_pos at;
};

static struct pb_pos at_col(struct pb_pos at, const char *line, const char *p)
{
	at.col += (unsigned)(p - line);
	return at;
}

static struct pb_str run_param(void *arg, struct pb_str name)
{
	const struct pb_conf_env *env = arg;

	return env && env->run_param ? env->run_param(env->arg, name) : PB_STR_NULL;
}

static struct pb_str expand(struct source *s, struct pb_pos at, struct pb_str text)
{
	ptrdiff_t open = pb_str_find(text, PB_STR("${"));

	if (open >= 0 && pb_str_chr(pb_str_from(text, (size_t)open), '}') < 0)
		pb_findings_add(s->r->f, at, PB_SEV_WARNING, PB_FIND(EXPRESSION),
				"'${' without '}'");
	return pb_str_trim(pb_expand(text, run_param, (void *)s->r->env, s->r->c->arena));
}

/* ---- Lines --------------------------------------------------------------------- */

static size_t line_end(struct pb_str s)
{
	size_t n = 0;

	while (n < s.n && s.p[n] != '\n' && s.p[n] != '\r' && s.p[n] != '\0')
		n++;
	return n;
}

/* Lines end with LF, CR, CR LF or NUL; the last one may have no end. */
static bool next_line(struct source *s, struct line *out)
{
	size_t n = line_end(s->rest), skip = 0;
	char end = n < s->rest.n ? s->rest.p[n] : '\n';

	if (!s->rest.n)
		return false;
	s->line++;
	while (skip < n && (s->rest.p[skip] == ' ' || s->rest.p[skip] == '\t'))
		skip++;
	out->text = pb_str(s->rest.p + skip, n - skip);
	out->at = (struct pb_pos){ s->file, s->line, (unsigned)skip + 1 };
	if (end == '\0' && !s->saw_nul) {
		s->saw_nul = true;
		pb_findings_add(s->r->f, at_col(out->at, out->text.p, s->rest.p + n),
				PB_SEV_WARNING, PB_FIND(NUL),
				"NUL octet: read as the end of a line");
	}
	s->rest = pb_str_from(s->rest, n + 1);
	if (end == '\r' && s->rest.n && s->rest.p[0] == '\n')
		s->rest = pb_str_from(s->rest, 1);
	return true;
}

/* ---- Parameters ---------------------------------------------------------------- */

static bool is_continued(struct pb_str text)
{
	return text.n && text.p[text.n - 1] == '\\';
}

/* Continuation lines are raw: brackets and semicolons mean nothing in them. */
static struct pb_str join_lines(struct source *s, struct pb_pos at, struct pb_str value)
{
	struct line l = { .text = value };
	struct pb_text t;

	pb_text_init(&t, PBI_CONF_BYTES_MAX);
	while (is_continued(l.text)) {
		pb_text_add(&t, pb_str_head(l.text, l.text.n - 1));
		if (!next_line(s, &l)) {
			pb_findings_add(s->r->f, at, PB_SEV_NOTE, PB_FIND(DANGLING),
					"the last line ends with '\\' and nothing follows");
			l.text = PB_STR("");
		}
	}
	pb_text_add(&t, l.text);
	if (pb_text_failed(&t))
		s->r->err = -ENOMEM;
	value = pb_arena_str(s->r->c->arena, pb_str_trim(pb_text_str(&t)));
	pb_text_fini(&t);
	return value;
}

static void tell_outside(struct source *s, struct pb_pos at)
{
	if (s->saw_outside)
		return;
	s->saw_outside = true;
	pb_findings_add(s->r->f, at, PB_SEV_WARNING, PB_FIND(NO_SECTION),
			"parameter before any [section]: ignored");
}

static void read_parameter(struct source *s, const struct line *l)
{
	ptrdiff_t eq = pb_str_chr(l->text, '=');
	struct pb_str value = pb_str_from(l->text, (size_t)eq + 1);
	struct pbi_item it = { .kind = PBI_ENTRY };
	struct pb_conf_entry *e = &it.entry;

	e->key = pb_str_trim(eq < 0 ? l->text : pb_str_head(l->text, (size_t)eq));
	e->key_at = l->at;
	e->has_value = eq >= 0;
	if (!e->key.n) {
		if (!s->disabled)
			pb_findings_add(s->r->f, l->at, PB_SEV_WARNING, PB_FIND(EMPTY_NAME),
					"no name before '=': line ignored");
		return;
	}
	e->value = e->has_value ? pb_str_trim(value) : PB_STR("");
	e->value_at = e->has_value ? at_col(l->at, l->text.p, e->value.p) : l->at;
	if (e->has_value && is_continued(l->text))
		e->value = join_lines(s, l->at, value);
	if (s->disabled)
		return;
	if (!e->has_value && e->key.p[0] == '#')
		pb_findings_add(s->r->f, l->at, PB_SEV_WARNING, PB_FIND(HASH),
				"'#' does not begin a comment, ';' does");
	if (s->current)
		pbi_conf_add(s->r->c, s->current, &it);
	else
		tell_outside(s, l->at);
}

/* ---- Conditionals -------------------------------------------------------------- */

static bool evaluate(struct source *s, struct pb_pos at, struct pb_str raw)
{
	return pbi_condition(s->r->env, expand(s, at, raw), raw, at, s->r->f);
}

/* Each directive replaces the state; nothing is stacked, so a second elseif
 * behind a true branch may well enable again. */
static void read_enabled(struct source *s, struct pb_pos at, struct pb_str text)
{
	if (!text.n)
		s->disabled = false;
	else if (pb_str_eq(text, PB_STR("else")) || pb_str_eq(text, PB_STR("toggle")))
		s->disabled = !s->disabled;
	else if (!pb_str_skip_word(&text, PB_STR("elseif")))
		s->disabled = !evaluate(s, at, text);
	else if (!s->disabled)
		s->disabled = true;
	else
		s->disabled = !evaluate(s, at, text);
}

/* ---- Files ----------------------------------------------------------------------- */

enum need { OPTIONAL, SILENT, REQUIRED };

static void read_source(struct source *s);

/* The whole file into the arena. A pipe without writer reads as empty. */
static int slurp(struct reader *r, int fd, struct pb_str *out)
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

static bool is_on_stack(const struct source *s, const struct stat *st)
{
	for (; s; s = s->parent) {
		if (s->ino == st->st_ino && s->dev == st->st_dev && s->ino)
			return true;
	}
	return false;
}

/* Open and read `path` into `s`; 0, -errno, -ELOOP: it is being read already. */
static int open_source(struct source *s, const char *path)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC), err = 0;
	struct stat st = { 0 };

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st))
		err = -errno;
	else if (is_on_stack(s->parent, &st) || s->depth > s->r->max_depth)
		err = -ELOOP;
	else if (++s->r->files > PBI_CONF_FILES_MAX)
		err = -EFBIG;
	else
		err = slurp(s->r, fd, &s->rest);
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	close(fd);
	if (err == -EFBIG || err == -ENOMEM)
		s->r->err = err;
	return err;
}

static void tell_unread(struct source *from, struct pb_pos at, struct pb_str path, enum need need,
			int err)
{
	enum pb_severity sev = need == REQUIRED ? PB_SEV_ERROR : PB_SEV_WARNING;

	from->r->refused |= need == REQUIRED;
	if (err == -ENOENT && need == SILENT)
		return;
	if (err == -ELOOP)
		pb_findings_add(from->r->f, at, sev, PB_FIND(INCLUDE_LOOP),
				"'%.*s' not included: %s", PB_STR_F(path),
				from->depth + 1 > from->r->max_depth ? "nested too deep"
								     : "it includes this file");
	else if (err == -EFBIG)
		pb_findings_add(from->r->f, at, PB_SEV_ERROR, PB_FIND(TOO_BIG),
				"'%.*s' makes the configuration too big", PB_STR_F(path));
	else
		pb_findings_add(from->r->f, at, sev, PB_FIND(UNREADABLE), "cannot read '%.*s': %s",
				PB_STR_F(path), strerror(-err));
}

static int include_file(struct source *from, struct pb_pos at, struct pb_str path, enum need need)
{
	struct source s = { .r = from->r,
			    .parent = from,
			    .file = path.p,
			    .current = from->current,
			    .depth = from->depth + 1 };
	int err = open_source(&s, path.p);

	if (err)
		tell_unread(from, at, path, need, err);
	else
		read_source(&s);
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
static int list_directory(struct reader *r, DIR *d, struct pb_str dir, struct pb_str **out)
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

static void include_directory(struct source *s, DIR *d, struct pb_pos at, struct pb_str dir,
			      enum need need)
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

static struct pb_str full_path(struct source *s, struct pb_str path)
{
	const char *slash = strrchr(s->file, '/');

	if (path.p[0] == '/' || !slash)
		return path;
	return pb_arena_printf(s->r->c->arena, "%.*s%.*s", (int)(slash - s->file + 1), s->file,
			       PB_STR_F(path));
}

static void read_include(struct source *s, struct pb_pos at, struct pb_str raw, enum need need)
{
	struct pb_str path = expand(s, at, raw);
	DIR *d;

	if (!path.n) {
		s->r->refused |= need == REQUIRED;
		if (need != SILENT)
			pb_findings_add(s->r->f, at,
					need == REQUIRED ? PB_SEV_ERROR : PB_SEV_WARNING,
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

/* ---- Sections and directives ------------------------------------------------------ */

static void read_copy(struct source *s, struct pb_pos at, struct pb_str raw,
		      enum pbi_item_kind kind)
{
	struct pbi_item it = { .kind = kind, .entry = { .key_at = at } };
	bool required = kind == PBI_COPY_REQUIRED;

	it.entry.key = expand(s, at, raw);
	if (s->current && it.entry.key.n) {
		pbi_conf_add(s->r->c, s->current, &it);
		return;
	}
	s->r->refused |= required;
	pb_findings_add(s->r->f, at, required ? PB_SEV_ERROR : PB_SEV_WARNING, PB_FIND(DIRECTIVE),
			s->current ? "no section to copy"
				   : "a section copied outside any [section]: ignored");
}

static const struct directive {
	struct pb_str word;
	void (*include)(struct source *s, struct pb_pos at, struct pb_str raw, enum need need);
	enum need need;
	enum pbi_item_kind copy; /* without `include` */
} directives[] = {
	{ PB_STR_INIT("$include"), read_include, OPTIONAL, PBI_ENTRY },
	{ PB_STR_INIT("$includesilent"), read_include, SILENT, PBI_ENTRY },
	{ PB_STR_INIT("$require"), read_include, REQUIRED, PBI_ENTRY },
	{ PB_STR_INIT("$includesection"), NULL, OPTIONAL, PBI_COPY },
	{ PB_STR_INIT("$includesectionsilent"), NULL, SILENT, PBI_COPY_SILENT },
	{ PB_STR_INIT("$requiresection"), NULL, REQUIRED, PBI_COPY_REQUIRED },
};
#define DIRECTIVES (sizeof(directives) / sizeof(directives[0]))

/* A name with '$' in front that is no directive is a section, as users' files
 * may have it; most likely it is a slip. */
static void tell_near_directive(struct source *s, struct pb_pos at, struct pb_str inner)
{
	struct pb_str names[DIRECTIVES + 1] = { PB_STR("$enabled") }, word = PB_STR_NULL, near;

	for (size_t i = 0; i < DIRECTIVES; i++)
		names[i + 1] = directives[i].word;
	pb_str_word(&inner, &word);
	near = pb_suggest(word, names, DIRECTIVES + 1);
	if (pb_str_eq(near, word))
		pb_findings_add(s->r->f, at, PB_SEV_WARNING, PB_FIND(DIRECTIVE),
				"'%.*s' needs a name behind it: read as a section", PB_STR_F(word));
	else
		pb_findings_add(s->r->f, at, PB_SEV_WARNING, PB_FIND(DIRECTIVE),
				"no directive '%.*s': read as a section%s%.*s%s", PB_STR_F(word),
				near.p ? ", did you mean '" : "", PB_STR_F(near),
				near.p ? "'?" : "");
}

static void open_section(struct source *s, struct pb_pos at, struct pb_str inner)
{
	struct pb_str name = expand(s, at, inner);

	if (inner.p[0] == '$' && !pb_str_starts(inner, PB_STR("${")))
		tell_near_directive(s, at, inner);
	s->current = name.n ? pbi_conf_open(s->r->c, name, at) : NULL;
	if (name.n && !s->current)
		s->r->err = -ENOMEM;
	s->saw_outside = false;
}

static void read_bracket(struct source *s, const struct line *l)
{
	ptrdiff_t end = pb_str_chr(l->text, ']');
	struct pb_str inner = pb_str_trim(pb_str(l->text.p + 1, end > 0 ? (size_t)end - 1 : 0)),
		      rest = inner;

	if (end > 0 && pb_str_skip_word(&rest, PB_STR("$enabled"))) {
		read_enabled(s, l->at, rest);
		return;
	}
	if (s->disabled)
		return;
	if (!inner.n) {
		pb_findings_add(s->r->f, l->at, PB_SEV_WARNING,
				end < 0 ? PB_FIND(NO_BRACKET) : PB_FIND(EMPTY_NAME),
				end < 0 ? "'[' without ']': line ignored"
					: "section without a name: line ignored");
		return;
	}
	for (size_t i = 0; i < DIRECTIVES; i++) {
		const struct directive *d = &directives[i];

		if (inner.n == d->word.n || !pb_str_skip_word(&rest, d->word))
			continue;
		if (d->include)
			d->include(s, l->at, rest, d->need);
		else
			read_copy(s, l->at, rest, d->copy);
		return;
	}
	open_section(s, l->at, inner);
}

static void read_source(struct source *s)
{
	struct line l;

	if (pb_str_starts(s->rest, PB_STR("\xef\xbb\xbf"))) /* byte order mark */
		s->rest = pb_str_from(s->rest, 3);
	while (!s->r->err && next_line(s, &l)) {
		if (!l.text.n || l.text.p[0] == ';')
			continue;
		if (l.text.p[0] == '[')
			read_bracket(s, &l);
		else
			read_parameter(s, &l);
	}
}

/* ---- Entry points ------------------------------------------------------------------ */

static int reader_init(struct reader *r, const struct pb_conf_env *env, struct pb_findings *f)
{
	*r = (struct reader){ .env = env, .f = f, .max_depth = DEPTH_DEFAULT };
	if (env && env->max_depth)
		r->max_depth = env->max_depth;
	r->c = pbi_conf_new();
	if (r->c && env)
		r->c->env = *env;
	return r->c ? 0 : -ENOMEM;
}

static int reader_finish(struct reader *r, int err, struct pb_conf **out)
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
	struct reader r;
	struct source s = { .r = &r };
	int err = reader_init(&r, env, f);

	*out = NULL;
	if (err)
		return err;
	s.file = pb_arena_str(r.c->arena, pb_str_z(path)).p;
	err = s.file ? open_source(&s, s.file) : -ENOMEM;
	if (!err)
		read_source(&s);
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
	struct reader r;
	struct source s = { .r = &r };
	int err = reader_init(&r, env, f);

	*out = NULL;
	if (err)
		return err;
	s.file = pb_arena_str(r.c->arena, pb_str_z(name)).p;
	s.rest = pb_arena_str(r.c->arena, text);
	if (pb_arena_failed(r.c->arena))
		err = -ENOMEM;
	else
		read_source(&s);
	return reader_finish(&r, err, out);
}
