/*
 * Final records, a line each, at the end of a file.
 *
 * The line is made on the loop where the record is; writing is the business of
 * the home loop, which is a script loop: one that owns no calls and may wait for
 * a disk. All lines that have come in one turn leave in one write. What cannot
 * be written is kept, up to a limit, and tried again.
 */
#include "bus/module.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/text.h"
#include "cdrfile/line.h"

/* Lines kept while the disk is full or away. */
#define PENDING_LIMIT_BYTES (8u << 20)
#define LINE_LIMIT_BYTES    (256u << 10)
#define RETRY_MS            5000

struct settings {
	struct pb_str file; /* as written; empty: inactive */
	struct pb_str format;
	int64_t mode;
	bool tabs, combined;
};

/* The home loop's alone. */
struct shared {
	struct pb_ctx *cx;
	int fd;
	struct pb_text pending;
	struct pb_work flush;
	bool flushing; /* `flush` is on its way */
	bool failing;  /* and it has been said */
	struct pb_timer retry;
	uint64_t written, lost;
};

enum { LOG_OPEN, LOG_WRITE, LOG_AGAIN, LOG_LOST };

static const struct pb_log_row log_rows[] = {
	[LOG_OPEN] = { "cdrfile-001", PB_WARN,
		       "The file cannot be opened; records are kept for a while." },
	[LOG_WRITE] = { "cdrfile-002", PB_WARN,
			"The file cannot be written; records are kept for a while." },
	[LOG_AGAIN] = { "cdrfile-003", PB_NOTE, "The file is written again." },
	[LOG_LOST] = { "cdrfile-004", PB_CRIT, "A record could neither be written nor kept." },
	{ NULL },
};

static PB_LOG_SOURCE(log_source, "cdrfile", log_rows);

#define SAY(row, ...) pb_log(&log_source, &log_rows[row], __VA_ARGS__)

static const struct pb_opt options[] = {
	{ PB_OPT_STR, "file", offsetof(struct settings, file), .defs = "",
	  .doc = "The file; ${} is expanded from run parameters. Empty: nothing is written." },
	{ PB_OPT_INT, "mode", offsetof(struct settings, mode), .def = 0640, .lo = 0, .hi = 0777,
	  .unit = "octal", .doc = "Rights of a new file, octal with a leading 0." },
	{ PB_OPT_BOOL, "tabs", offsetof(struct settings, tabs), .def = 1,
	  .doc = "Fields apart by tabs; else by commas, texts in double quotes." },
	{ PB_OPT_BOOL, "combined", offsetof(struct settings, combined),
	  .doc = "Write the records of whole calls (operation combined) instead of those of "
		 "legs." },
	{ PB_OPT_STR, "format", offsetof(struct settings, format),
	  .doc = "The line; ${} is expanded from the record." },
	{ PB_OPT_END },
};

static int read_settings(const struct pb_conf *c, void *settings, struct pb_arena *a,
			 struct pb_findings *f)
{
	struct settings *s = settings;

	(void)c;
	(void)a;
	(void)f;
	if (!s->format.n)
		s->format = cdrfile_default_format(s->tabs, s->combined);
	return 0;
}

/* ---- Writing: the home loop --------------------------------------------------------- */

static void close_file(struct shared *sh)
{
	if (sh->fd >= 0)
		close(sh->fd);
	sh->fd = -1;
}

static void tell_failure(struct shared *sh, int row, struct pb_str file, int err)
{
	if (!sh->failing)
		SAY(row, "Cannot %s '%.*s': %s", row == LOG_OPEN ? "open" : "write", PB_STR_F(file),
		    strerror(err));
	sh->failing = true;
	if (!pb_timer_active(&sh->retry))
		pb_timer_start(sh->cx->loop, &sh->retry, RETRY_MS);
}

static bool open_file(struct shared *sh)
{
	const struct settings *s = sh->cx->settings;
	struct pb_arena *a = sh->fd < 0 ? pb_arena_new(65536) : NULL;
	struct pb_str path;

	if (sh->fd >= 0)
		return true;
	if (!a)
		return false;
	path = pb_engine_expand(pb_engine_of(sh->cx), s->file, a);
	if (path.p)
		sh->fd = open(path.p, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK,
			      (mode_t)s->mode);
	if (sh->fd < 0)
		tell_failure(sh, LOG_OPEN, path, path.p ? errno : ENOMEM);
	pb_arena_free(&a);
	return sh->fd >= 0;
}

static void forget_written(struct shared *sh, size_t n)
{
	struct pb_text *t = &sh->pending;

	memmove(t->p, t->p + n, t->n - n);
	t->n -= n;
}

static void write_pending(struct shared *sh)
{
	const struct settings *s = sh->cx->settings;
	ssize_t n = 0;

	while (sh->pending.n && open_file(sh)) {
		n = write(sh->fd, sh->pending.p, sh->pending.n);
		if (n < 0 && errno != EINTR) {
			tell_failure(sh, LOG_WRITE, s->file, errno);
			return;
		}
		forget_written(sh, n < 0 ? 0 : (size_t)n);
	}
	if (sh->pending.n || !sh->failing)
		return;
	sh->failing = false;
	pb_timer_stop(&sh->retry);
	SAY(LOG_AGAIN, "Records are written again");
}

static void on_flush(void *arg)
{
	struct shared *sh = arg;

	sh->flushing = false;
	write_pending(sh);
}

static void on_retry(void *arg)
{
	write_pending(arg);
}

/* A line on its way home. */
struct parcel {
	struct pb_work work;
	struct shared *sh;
	struct pb_str line; /* behind the struct */
};

static void keep_line(struct shared *sh, struct pb_str line)
{
	if (line.n > PENDING_LIMIT_BYTES - sh->pending.n) {
		sh->lost++;
		SAY(LOG_LOST, "Record lost: %.*s", (int)line.n - 1, line.p);
		return;
	}
	pb_text_add(&sh->pending, line);
	if (pb_text_failed(&sh->pending)) {
		sh->pending.failed = false; /* what it has is whole */
		sh->lost++;
		SAY(LOG_LOST, "Record lost: %.*s", (int)line.n - 1, line.p);
		return;
	}
	sh->written++;
}

static void parcel_arrives(void *arg)
{
	struct parcel *p = arg;
	struct shared *sh = p->sh;

	keep_line(sh, p->line);
	pb_free(p);
	if (sh->flushing)
		return;
	sh->flushing = true;
	pb_loop_defer(sh->cx->loop, &sh->flush);
}

/* ---- The record: any loop ------------------------------------------------------------ */

static void send_line(struct pb_ctx *cx, struct pb_str line)
{
	struct parcel *p = line.p ? pb_alloc_zero(1, sizeof(*p) + line.n) : NULL;

	if (!p) {
		SAY(LOG_LOST, "Record lost: no memory");
		return;
	}
	memcpy(p + 1, line.p, line.n);
	p->line = pb_str((char *)(p + 1), line.n);
	p->sh = cx->shared;
	p->work = (struct pb_work){ .fn = parcel_arrives, .arg = p };
	pb_loop_post(pb_engine_home(cx), &p->work);
}

static bool is_wanted(const struct settings *s, const struct pb_msg *m)
{
	struct pb_str operation = s->combined ? PB_STR("combined") : PB_STR("finalize");

	return s->file.n && pb_str_eq(pb_msg_get(m, PB_STR("operation")), operation) &&
	       pb_msg_get_bool(m, PB_STR("cdrwrite"), true) &&
	       pb_msg_get_bool(m, PB_STR("cdrwrite_cdrfile"), true);
}

static enum pb_verdict on_cdr(struct pb_msg *m, struct pb_ctx *cx)
{
	const struct settings *s = cx->settings;
	struct pb_arena *a;

	if (!is_wanted(s, m))
		return PB_PASS;
	a = pb_arena_new(LINE_LIMIT_BYTES);
	if (!a) {
		send_line(cx, PB_STR_NULL);
		return PB_PASS;
	}
	send_line(cx, cdrfile_line(s->format, s->tabs, m, a));
	pb_arena_free(&a);
	return PB_PASS;
}

/* ---- Life ---------------------------------------------------------------------------- */

static int start(struct pb_ctx *cx)
{
	const struct settings *s = cx->settings;
	struct shared *sh = cx->shared;

	sh->cx = pb_engine_ctx(cx, cx->loop);
	sh->fd = -1;
	pb_text_init(&sh->pending, PENDING_LIMIT_BYTES);
	pb_timer_init(&sh->retry, on_retry, sh);
	sh->flush = (struct pb_work){ .fn = on_flush, .arg = sh };
	if (s->file.n)
		open_file(sh); /* so that a wrong name shows at once */
	return 0;
}

/* There is no file any more. */
static void give_up(struct shared *sh)
{
	if (sh->pending.n)
		SAY(LOG_LOST, "Records lost: %zu octets were not written when the file went",
		    sh->pending.n);
	pb_text_reset(&sh->pending);
	pb_timer_stop(&sh->retry);
	sh->failing = false;
}

/* The file is opened anew: it may have been moved away. */
static enum pb_reload reload(struct pb_ctx *cx, const void *old)
{
	const struct settings *s = cx->settings;
	struct shared *sh = cx->shared;

	(void)old;
	if (s->file.n || sh->fd >= 0)
		write_pending(sh); /* where it is open, into the old one */
	close_file(sh);
	if (s->file.n)
		open_file(sh);
	else
		give_up(sh);
	return PB_RELOAD_OK;
}

static void stop(struct pb_ctx *cx)
{
	struct shared *sh = cx->shared;

	if (sh->pending.n)
		write_pending(sh);
	if (sh->pending.n)
		SAY(LOG_LOST, "Records lost at the end: %zu octets could not be written",
		    sh->pending.n);
	pb_timer_stop(&sh->retry);
	close_file(sh);
	pb_text_fini(&sh->pending);
}

static const struct pb_handler handlers[] = {
	{ "call.cdr", 100, PB_HERE, on_cdr },
	{ NULL },
};

PB_MODULE(cdrfile) = {
	.abi = PB_MODULE_ABI,
	.name = "cdrfile",
	.stoppable = true,
	.doc = "Writes final call detail records to a file.",
	.conf = "cdrfile",
	.settings_size = sizeof(struct settings),
	.shared_size = sizeof(struct shared),
	.options = options,
	.handlers = handlers,
	.log = &log_source,
	.home_script = true,
	.read = read_settings,
	.start = start,
	.reload = reload,
	.stop = stop,
};
