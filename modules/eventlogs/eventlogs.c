/*
 * Events in files: the text of each module.update that says who reports it, in
 * the file that a table of patterns names for the reporter.
 *
 * Writing is the business of the home loop, a script loop: one that owns no
 * calls and may wait for a disk.
 */
#include "bus/module.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "eventlogs/mapping.h"

/* Files open at once; beyond, the one that was not written to for longest is closed. */
#define OPEN_MAX_FILES 16
#define LINE_LIMIT_BYTES 16384

struct settings {
	struct pb_str dir; /* as written; empty: inactive */
	bool public_read;
	struct eventlogs_mapping *mappings;
	size_t count;
};

struct file {
	struct pb_str name;
	char buf[EVENTLOGS_NAME_MAX];
	int fd;
	uint64_t used; /* the greatest was used last */
};

/* The home loop's alone. */
struct shared {
	struct pb_ctx *cx;
	struct file files[OPEN_MAX_FILES];
	unsigned open;
	uint64_t uses;
	bool failing; /* and it has been said */
};

enum { LOG_OPEN, LOG_WRITE, LOG_NAME, LOG_PATTERN };

static const struct pb_log_row log_rows[] = {
	[LOG_OPEN] = { "eventlogs-001", PB_WARN, "A file of events cannot be opened: its events are lost. Check the folder and its rights." },
	[LOG_WRITE] = { "eventlogs-002", PB_WARN, "A file of events cannot be written: events are lost. Is the disk full?" },
	[LOG_NAME] = { "eventlogs-003", PB_CONF, "A file name would leave the folder: the mapping is not used." },
	[LOG_PATTERN] = { "eventlogs-004", PB_CONF, "A mapping is no regular expression: it is not used." },
	{ NULL },
};

static PB_LOG_SOURCE(log_source, "eventlogs", log_rows);

#define SAY(row, ...) pb_log(&log_source, &log_rows[row], __VA_ARGS__)

static const struct pb_opt options[] = {
	{ PB_OPT_STR, "logs_dir", offsetof(struct settings, dir), .defs = "",
	  .doc = "Folder of the files; ${} is expanded from run parameters. Empty: nothing is written." },
	{ PB_OPT_BOOL, "public_read", offsetof(struct settings, public_read),
	  .doc = "Everybody may read new files; else only the group." },
	{ PB_OPT_OTHER, "", 0, .section = "mappings", .flags = PB_OPT_PREFIX,
	  .doc = "REGEX=FILE: where events go whose reporter matches; the first that does. \\0 to \\8 are what matched." },
	{ PB_OPT_END },
};

static void read_mapping(struct settings *s, const struct pb_conf_entry *e, struct pb_arena *a, struct pb_findings *f)
{
	struct eventlogs_mapping *m = &s->mappings[s->count];
	struct pb_str why = PB_STR_NULL;

	m->file = pb_arena_str(a, e->value);
	if (!eventlogs_name_is_safe(m->file))
		pb_findings_add(f, e->value_at, PB_SEV_WARNING, log_rows[LOG_NAME].id,
				"'%.*s' leaves the folder: not used", PB_STR_F(e->value));
	else if (pb_pattern_new(e->key, 0, a, &m->pattern, &why))
		pb_findings_add(f, e->key_at, PB_SEV_WARNING, log_rows[LOG_PATTERN].id,
				"'%.*s' is no basic regular expression: %.*s", PB_STR_F(e->key), PB_STR_F(why));
	else
		s->count++;
}

static int read_settings(const struct pb_conf *c, void *settings, struct pb_arena *a, struct pb_findings *f)
{
	static const struct pb_conf_entry usual = { .key = PB_STR_INIT("^[A-Za-z0-9_-]\\+"),
						    .value = PB_STR_INIT("\\0.log") };
	const struct pb_conf_section *sec = pb_conf_section(c, PB_STR("mappings"));
	struct settings *s = settings;
	size_t n = sec ? sec->count : 0;

	s->mappings = pb_arena_alloc(a, (n + 1) * sizeof(*s->mappings));
	if (!s->mappings)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		read_mapping(s, &sec->entries[i], a, f);
	if (!n)
		read_mapping(s, &usual, a, f);
	return 0;
}

/* ---- Files ------------------------------------------------------------------------- */

static void close_file(struct shared *sh, struct file *f)
{
	close(f->fd);
	*f = sh->files[--sh->open];
	f->name = pb_str(f->buf, f->name.n);
}

static void close_all(struct shared *sh)
{
	while (sh->open)
		close_file(sh, &sh->files[0]);
}

static struct file *oldest(struct shared *sh)
{
	struct file *f = &sh->files[0];

	for (unsigned i = 1; i < sh->open; i++) {
		if (sh->files[i].used < f->used)
			f = &sh->files[i];
	}
	return f;
}

static void tell_failure(struct shared *sh, int row, struct pb_str name, int err)
{
	if (!sh->failing)
		SAY(row, "cannot %s '%.*s': %s", row == LOG_OPEN ? "open" : "write", PB_STR_F(name), strerror(err));
	sh->failing = true;
}

static int open_in(struct shared *sh, struct pb_str name, struct pb_arena *a)
{
	const struct settings *s = sh->cx->settings;
	struct pb_str dir = pb_engine_expand(pb_engine_of(sh->cx), s->dir, a);
	struct pb_str path = dir.p ? pb_arena_printf(a, "%.*s/%.*s", PB_STR_F(dir), PB_STR_F(name)) : PB_STR_NULL;
	int fd = path.p ? open(path.p, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0640) : -1;

	if (fd < 0)
		tell_failure(sh, LOG_OPEN, path.p ? path : name, path.p ? errno : ENOMEM);
	else if (s->public_read && fchmod(fd, 0644)) /* whatever the mask says */
		tell_failure(sh, LOG_OPEN, path, errno);
	return fd;
}

static struct file *file_of(struct shared *sh, struct pb_str name, struct pb_arena *a)
{
	struct file *f;
	int fd;

	for (unsigned i = 0; i < sh->open; i++) {
		if (pb_str_eq(sh->files[i].name, name))
			return &sh->files[i];
	}
	fd = open_in(sh, name, a);
	if (fd < 0)
		return NULL;
	if (sh->open == OPEN_MAX_FILES)
		close_file(sh, oldest(sh));
	f = &sh->files[sh->open++];
	memcpy(f->buf, name.p, name.n);
	f->name = pb_str(f->buf, name.n);
	f->fd = fd;
	return f;
}

/* ---- Events ------------------------------------------------------------------------- */

/* One event is one line, whatever it holds. */
static void write_line(struct shared *sh, struct file *f, struct pb_str text)
{
	char buf[LINE_LIMIT_BYTES];
	struct pb_text t;
	ssize_t n;

	f->used = ++sh->uses;
	pb_text_init_buf(&t, buf, sizeof(buf) - 1);
	pb_log_add_visible(&t, text, false);
	t.p[t.n++] = '\n';
	n = write(f->fd, t.p, t.n);
	if (n == (ssize_t)t.n)
		sh->failing = false;
	else
		tell_failure(sh, LOG_WRITE, f->name, n < 0 ? errno : ENOSPC);
}

/* The engine's store of events makes `fulltext`; without it there is no time. */
static struct pb_str text_of(const struct pb_msg *m)
{
	struct pb_str text = pb_msg_get(m, PB_STR("fulltext"));

	return text.n ? text : pb_msg_get(m, PB_STR("text"));
}

static enum pb_verdict on_update(struct pb_msg *m, struct pb_ctx *cx)
{
	const struct settings *s = cx->settings;
	struct pb_str from = pb_msg_get(m, PB_STR("from")), text = text_of(m), name;
	struct shared *sh = cx->shared;
	struct pb_arena *a;
	struct file *f;

	if (!s->dir.n || !from.n || !text.n)
		return PB_PASS;
	a = pb_arena_new(65536);
	if (!a)
		return PB_PASS;
	name = eventlogs_name(s->mappings, s->count, from, a);
	f = name.n ? file_of(sh, name, a) : NULL;
	if (f)
		write_line(sh, f, text);
	pb_arena_free(&a);
	return PB_PASS;
}

/* ---- Life ----------------------------------------------------------------------------- */

static bool is_said(void *arg, struct pb_str from)
{
	(void)arg;
	return from.n > 0;
}

static int start(struct pb_ctx *cx)
{
	static const struct pb_handler row = { "module.update", 100, PB_HOME, on_update };
	struct shared *sh = cx->shared;

	sh->cx = pb_engine_ctx(cx, cx->loop);
	return pb_engine_add_filtered(cx, &row, "from", is_said, NULL);
}

/* Files are opened anew: they may have been moved away. */
static enum pb_reload reload(struct pb_ctx *cx, const void *old)
{
	struct shared *sh = cx->shared;

	(void)old;
	close_all(sh);
	sh->failing = false;
	return PB_RELOAD_OK;
}

static void stop(struct pb_ctx *cx)
{
	close_all(cx->shared);
}

PB_MODULE(eventlogs) = {
	.abi = PB_MODULE_ABI,
	.name = "eventlogs",
	.stoppable = true,
	.doc = "Writes events to files, by who reports them.",
	.conf = "eventlogs",
	.settings_size = sizeof(struct settings),
	.shared_size = sizeof(struct shared),
	.options = options,
	.log = &log_source,
	.home_script = true,
	.read = read_settings,
	.start = start,
	.reload = reload,
	.stop = stop,
};
