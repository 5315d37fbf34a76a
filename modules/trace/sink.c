/*
 * What is posted is one block with its octets behind it, so that a post is one
 * allocation. The file is bounded: a trace that somebody forgot ends by itself.
 */
#include "trace/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "trace/pcapng.h"

#define WAITING_MAX (4u << 20)
#define FILE_MAX (1ull << 30)
#define PATH_LIMIT 4096

struct parcel {
	struct pb_work work;
	struct trace_sink *sink;
	struct pb_token token; /* gen 0: for the file that goes on */
	struct pb_str name, octets; /* behind the struct */
};

void trace_sink_init(struct trace_sink *s, struct pb_ctx *cx)
{
	s->home = cx->loop;
	s->bus = cx->bus;
	s->dir = pb_engine_trace_dir(pb_engine_of(cx));
	s->fd = -1;
}

/* ---- Files ---------------------------------------------------------------------------- */

static bool is_plain(struct pb_str name)
{
	if (!name.n || name.n > 128 || name.p[0] == '.')
		return false;
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];

		if (!pb_is_alpha(c) && !pb_is_digit(c) && c != '.' && c != '-' && c != '_')
			return false;
	}
	return true;
}

/* @return the descriptor, or -1 and the reason in `text`. */
static int create(const struct trace_sink *s, struct pb_str name, struct pb_text *text)
{
	char path[PATH_LIMIT];
	struct pb_text t;
	int fd;

	if (!s->dir.n) {
		pb_text_lit(text, "No folder for traces: set recorder.dir in engine.cfg\r\n");
		return -1;
	}
	if (!is_plain(name)) {
		pb_text_lit(text, "The name may have letters, digits and . - _ only: it is a file in recorder.dir\r\n");
		return -1;
	}
	pb_text_init_buf(&t, path, sizeof(path));
	pb_text_addf(&t, "%.*s/%.*s", PB_STR_F(s->dir), PB_STR_F(name));
	pb_text_addc(&t, '\0');
	fd = pb_text_failed(&t) ? -1 : open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (fd < 0)
		pb_text_addf(text, "Cannot make %s: %s\r\n", path,
			     strerror(pb_text_failed(&t) ? ENAMETOOLONG : errno));
	return fd;
}

/* @return 0 or an errno. */
static int write_all(int fd, struct pb_str octets)
{
	while (octets.n) {
		ssize_t n = write(fd, octets.p, octets.n);

		if (n < 0 && errno != EINTR)
			return errno;
		octets = pb_str_from(octets, n < 0 ? 0 : (size_t)n);
	}
	return 0;
}

bool trace_sink_start(struct trace_sink *s, struct pb_str name, struct pb_text *text)
{
	struct pb_text head;
	char buf[64];

	if (s->fd >= 0)
		trace_sink_stop(s, text);
	s->fd = create(s, name, text);
	if (s->fd < 0)
		return false;
	pb_text_init_buf(&head, buf, sizeof(buf));
	trace_pcapng_begin(&head);
	s->written = head.n;
	atomic_store(&s->lost, 0);
	write_all(s->fd, pb_text_str(&head));
	atomic_store(&s->open, true);
	pb_text_addf(text, "Writing to %.*s\r\n", PB_STR_F(name));
	return true;
}

void trace_sink_stop(struct trace_sink *s, struct pb_text *text)
{
	uint64_t lost = atomic_load(&s->lost);

	atomic_store(&s->open, false);
	if (s->fd < 0) {
		if (text)
			pb_text_lit(text, "No file is written\r\n");
		return;
	}
	close(s->fd);
	s->fd = -1;
	if (text)
		pb_text_addf(text, "File closed: %llu octets, %llu packets lost\r\n", (unsigned long long)s->written,
			     (unsigned long long)lost);
}

/* ---- Parcels ------------------------------------------------------------------------------ */

static struct parcel *parcel_new(struct trace_sink *s, struct pb_str name, struct pb_str octets)
{
	struct parcel *p = pb_alloc(sizeof(*p) + name.n + octets.n);
	char *c = (char *)(p + 1);

	if (!p)
		return NULL;
	*p = (struct parcel){ .sink = s, .name = { c, name.n }, .octets = { c + name.n, octets.n } };
	if (name.n)
		memcpy(c, name.p, name.n);
	memcpy(c + name.n, octets.p, octets.n);
	return p;
}

static void appended(void *arg)
{
	struct parcel *p = arg;
	struct trace_sink *s = p->sink;

	atomic_fetch_sub(&s->waiting, p->octets.n);
	if (s->fd >= 0 && (s->written + p->octets.n > FILE_MAX || write_all(s->fd, p->octets)))
		trace_sink_stop(s, NULL);
	else if (s->fd >= 0)
		s->written += p->octets.n;
	pb_free(p);
}

void trace_sink_add(struct trace_sink *s, struct pb_str octets)
{
	struct parcel *p = NULL;

	if (atomic_fetch_add(&s->waiting, octets.n) + octets.n <= WAITING_MAX)
		p = parcel_new(s, PB_STR_NULL, octets);
	if (!p) {
		atomic_fetch_sub(&s->waiting, octets.n);
		atomic_fetch_add(&s->lost, 1);
		return;
	}
	p->work = (struct pb_work){ .fn = appended, .arg = p };
	pb_loop_post(s->home, &p->work);
}

static void whole_file(void *arg)
{
	struct parcel *p = arg;
	struct pb_patch *patch = pb_patch_new();
	struct pb_text text;
	int fd, err;

	pb_text_init(&text, 8192);
	fd = create(p->sink, p->name, &text);
	if (fd >= 0) {
		err = write_all(fd, p->octets);
		close(fd);
		pb_text_addf(&text, "%s %.*s%s%s\r\n", err ? "Cannot write" : "Written:", PB_STR_F(p->name),
			     err ? ": " : "", err ? strerror(err) : "");
	}
	if (patch)
		pb_patch_retval(patch, pb_text_str(&text));
	pb_bus_resume(p->sink->bus, p->token, patch, PB_HANDLED);
	pb_text_fini(&text);
	pb_free(p);
}

bool trace_sink_write(struct trace_sink *s, struct pb_str name, struct pb_str octets, struct pb_token token)
{
	struct parcel *p = parcel_new(s, name, octets);

	if (!p)
		return false;
	p->token = token;
	p->work = (struct pb_work){ .fn = whole_file, .arg = p };
	pb_loop_post(s->home, &p->work);
	return true;
}
