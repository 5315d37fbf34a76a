/*
 * Where the lines of the log go: a file, or standard error.
 *
 * At first a line is written where it is said. Once pb_log_start has been called
 * it goes into a ring of bounded size, which one thread writes to the file: a
 * full pipe or a slow disk stops that thread and nobody else. When the ring is
 * full lines are dropped and counted, and told of in one line as soon as there
 * is room; the last part of the ring is for lines of the levels FAIL and CRIT.
 *
 * The same thread renames and reopens the file when it has grown to its limit.
 * The ring is octets, not lines: what wraps around is written in two parts.
 * A crash is told past the ring, after the thread got a second to empty it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "loop/log_impl.h"
#include "loop/real.h"

#define RING_BYTES    (1u << 20)
#define RESERVE_BYTES (1u << 16)
#define WRITE_BYTES   (1u << 16)

static struct {
	/* The file. */
	_Atomic int fd;
	int writing, retired; /* the writer's at the moment; to close when it has done; -1 */
	char path[PATH_MAX];  /* "": standard error */
	bool streams;         /* 1 and 2 follow the file */
	uint64_t bytes, rotate_bytes;
	unsigned keep;
	bool rotate_failed;
	/* The ring: octets ever put in and taken out. */
	char *ring;
	_Atomic size_t head, tail;
	uint64_t dropped;
	/* The writer. */
	pthread_t thread;
	bool running, asleep, ending;
	sem_t work, ended;
} sink = { .fd = 2, .writing = -1, .retired = -1 };

/* ---- The file ----------------------------------------------------------------- */

static int open_file(const char *path, bool truncate)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | (truncate ? O_TRUNC : 0),
		      0640);

	return fd < 0 ? -errno : fd;
}

static uint64_t size_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
}

/** Locked. A descriptor that the writer is using is closed by it. */
static void use_file(int fd)
{
	int old = sink.fd;

	sink.fd = fd;
	sink.bytes = fd == 2 ? 0 : size_of(fd);
	if (fd != 2 && sink.streams && (dup2(fd, 1) < 0 || dup2(fd, 2) < 0))
		sink.streams = false;
	if (old == 2)
		return;
	if (old != sink.writing) {
		close(old);
		return;
	}
	pbi_real_close(sink.retired);
	sink.retired = old;
}

int pb_log_open(const char *path, bool truncate)
{
	size_t n = path ? strlen(path) : 0;
	int fd = 2;

	if (n >= sizeof(sink.path))
		return -ENAMETOOLONG;
	if (path) {
		fd = open_file(path, truncate);
		if (fd < 0)
			return fd;
	}
	pthread_mutex_lock(&pbi_log_lock);
	if (path != sink.path)
		memcpy(sink.path, path ? path : "", n + 1);
	sink.rotate_failed = false;
	use_file(fd);
	pthread_mutex_unlock(&pbi_log_lock);
	return 0;
}

int pb_log_reopen(void)
{
	return sink.path[0] ? pb_log_open(sink.path, false) : 0;
}

void pb_log_set_streams(bool follow)
{
	pthread_mutex_lock(&pbi_log_lock);
	sink.streams = follow;
	if (follow && sink.fd != 2 && (dup2(sink.fd, 1) < 0 || dup2(sink.fd, 2) < 0))
		sink.streams = false;
	pthread_mutex_unlock(&pbi_log_lock);
}

void pb_log_set_rotation(uint64_t bytes, unsigned keep)
{
	pthread_mutex_lock(&pbi_log_lock);
	sink.rotate_bytes = bytes;
	sink.keep = keep;
	pthread_mutex_unlock(&pbi_log_lock);
}

/** FILE becomes FILE.1, that FILE.2 and so on. @return 0 or -errno. */
static int rename_files(const char *path, unsigned keep)
{
	char from[PATH_MAX + 16], to[PATH_MAX + 16];

	for (unsigned i = keep; i > 0; i--) {
		snprintf(to, sizeof(to), "%s.%u", path, i);
		if (i > 1)
			snprintf(from, sizeof(from), "%s.%u", path, i - 1);
		else
			snprintf(from, sizeof(from), "%s", path);
		if (rename(from, to) && errno != ENOENT)
			return -errno;
	}
	return 0;
}

static bool is_full_file(void)
{
	return sink.rotate_bytes && sink.path[0] && sink.bytes >= sink.rotate_bytes &&
	       !sink.rotate_failed;
}

/** Locked; what may take long is done unlocked when a thread of its own does it. */
static void rotate(bool unlock)
{
	unsigned keep = sink.keep;
	char path[PATH_MAX];
	int err, fd = -1;

	memcpy(path, sink.path, strlen(sink.path) + 1);
	if (unlock)
		pthread_mutex_unlock(&pbi_log_lock);
	err = rename_files(path, keep);
	if (!err)
		fd = open_file(path, keep == 0);
	if (unlock)
		pthread_mutex_lock(&pbi_log_lock);
	if (fd >= 0) {
		use_file(fd);
		return;
	}
	sink.rotate_failed = true; /* said once; it goes on growing */
	pbi_log_own(PBI_LOG_NOT_ROTATED, "%s is not rotated: %s", path,
		    strerrordesc_np(-(err ? err : fd)));
}

/* ---- The ring ------------------------------------------------------------------ */

static size_t filled(void)
{
	return sink.head - sink.tail;
}

static void ring_add(struct pb_str s)
{
	size_t at = sink.head % RING_BYTES, first = RING_BYTES - at < s.n ? RING_BYTES - at : s.n;

	memcpy(sink.ring + at, s.p, first);
	memcpy(sink.ring, s.p + first, s.n - first);
	sink.head += s.n;
}

/** Told as soon as there is room, before what comes behind the hole. */
static void tell_dropped(void)
{
	uint64_t n = sink.dropped;

	if (!n || filled() + 2 * RESERVE_BYTES > RING_BYTES)
		return;
	sink.dropped = 0;
	pbi_log_own(PBI_LOG_DROPPED, "%llu lines were lost: the log could not be written in time",
		    (unsigned long long)n);
}

static void ring_put(struct pb_str line, bool urgent)
{
	size_t room = RING_BYTES - (urgent ? 0 : RESERVE_BYTES);

	tell_dropped();
	if (filled() + line.n + 1 > room) {
		sink.dropped++;
		return;
	}
	ring_add(line);
	ring_add(PB_STR("\n"));
	if (sink.asleep) {
		sink.asleep = false;
		sem_post(&sink.work);
	}
}

static void put_directly(struct pb_str line)
{
	struct iovec v[2] = {
		{ (char *)(uintptr_t)line.p, line.n },
		{ (char *)(uintptr_t) "\n", 1 },
	};

	while (writev(sink.fd, v, 2) < 0 && errno == EINTR)
		;
	sink.bytes += line.n + 1;
	if (is_full_file())
		rotate(false);
}

void pbi_sink_put(struct pb_str line, bool urgent)
{
	if (sink.running)
		ring_put(line, urgent);
	else
		put_directly(line);
}

/* ---- The writer ------------------------------------------------------------------- */

/** A whole number of lines when possible, so that the file may be changed behind them. */
static struct pb_str next_part(void)
{
	size_t at = sink.tail % RING_BYTES, n = filled();
	const char *end;

	n = n < RING_BYTES - at ? n : RING_BYTES - at;
	n = n < WRITE_BYTES ? n : WRITE_BYTES;
	end = memrchr(sink.ring + at, '\n', n);
	return pb_str(sink.ring + at, end ? (size_t)(end - (sink.ring + at)) + 1 : n);
}

static unsigned lines_in(struct pb_str s)
{
	unsigned n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += s.p[i] == '\n';
	return n;
}

/** @return octets that are done with, written or lost. */
static size_t write_part(int fd, struct pb_str part, bool *lost)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	ssize_t n = write(fd, part.p, part.n);

	*lost = false;
	if (n >= 0)
		return (size_t)n;
	if (errno == EINTR)
		return 0;
	if (errno == EAGAIN) {
		poll(&p, 1, 1000);
		return 0;
	}
	*lost = true; /* a full disk, a reader that has gone */
	return part.n;
}

/** Locked before and after. */
static void write_some(void)
{
	struct pb_str part = next_part();
	int fd = sink.fd;
	size_t done;
	bool lost, whole;

	sink.writing = fd;
	pthread_mutex_unlock(&pbi_log_lock);
	done = write_part(fd, part, &lost);
	pthread_mutex_lock(&pbi_log_lock);
	sink.writing = -1;
	pbi_real_close(sink.retired);
	sink.retired = -1;
	whole = done && part.p[done - 1] == '\n';
	sink.tail += done;
	if (lost)
		sink.dropped += lines_in(part);
	else if (fd == sink.fd)
		sink.bytes += done;
	if (whole && is_full_file())
		rotate(true);
	if (!lost)
		tell_dropped();
}

/** Locked before and after. False: nothing is left and nothing will come. */
static bool wait_for_lines(void)
{
	struct timespec until;

	pbi_repeat_flush(sink.ending);
	if (filled())
		return true;
	if (sink.ending)
		return false;
	sink.asleep = true;
	pthread_mutex_unlock(&pbi_log_lock);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec++;
	sem_timedwait(&sink.work, &until); /* a second: what was said too often is told */
	pthread_mutex_lock(&pbi_log_lock);
	sink.asleep = false;
	return true;
}

static void *writer(void *arg)
{
	pthread_mutex_lock(&pbi_log_lock);
	while (wait_for_lines()) {
		while (filled())
			write_some();
	}
	pthread_mutex_unlock(&pbi_log_lock);
	sem_post(&sink.ended);
	return NULL;
}

int pb_log_start(void)
{
	sigset_t old;
	int err;

	pb_assert(!sink.running);
	sink.ring = pb_alloc(RING_BYTES);
	if (!sink.ring)
		return -ENOMEM;
	sem_init(&sink.work, 0, 0);
	sem_init(&sink.ended, 0, 0);
	sink.head = sink.tail = 0;
	sink.ending = false;
	pbi_real_block_signals(&old);
	err = -pthread_create(&sink.thread, NULL, writer, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err) {
		pb_free(sink.ring);
		return err;
	}
	pthread_setname_np(sink.thread, "log");
	pthread_mutex_lock(&pbi_log_lock);
	sink.running = true;
	pthread_mutex_unlock(&pbi_log_lock);
	return 0;
}

bool pb_log_stop(unsigned limit_ms)
{
	struct timespec until;

	pthread_mutex_lock(&pbi_log_lock);
	if (!sink.running) {
		pthread_mutex_unlock(&pbi_log_lock);
		return true;
	}
	sink.ending = true;
	sem_post(&sink.work);
	pthread_mutex_unlock(&pbi_log_lock);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += limit_ms / 1000;
	until.tv_nsec += limit_ms % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	while (sem_timedwait(&sink.ended, &until)) {
		if (errno == ETIMEDOUT)
			return false; /* nobody reads: what is left goes down with the process */
	}
	pthread_join(sink.thread, NULL);
	pthread_mutex_lock(&pbi_log_lock);
	sink.running = false;
	pb_free(sink.ring);
	sink.ring = NULL;
	pthread_mutex_unlock(&pbi_log_lock);
	return true;
}

/* ---- The last words --------------------------------------------------------------- */

/** In a signal handler: the writer, another thread, goes on meanwhile. */
static void wait_for_writer(void)
{
	struct timespec ms = { .tv_nsec = 1000000 };

	for (unsigned i = 0; sink.running && filled() && i < 1000; i++)
		nanosleep(&ms, NULL);
}

static void write_last(int fd, struct pb_str s)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	/* What a pipe takes at once when it takes anything: no waiting in write. */
	while (s.n && poll(&p, 1, 1000) == 1 && (p.revents & POLLOUT)) {
		ssize_t n = write(fd, s.p, s.n < PIPE_BUF ? s.n : PIPE_BUF);

		if (n <= 0)
			return;
		s = pb_str_from(s, (size_t)n);
	}
}

void pbi_sink_last(struct pb_str line)
{
	static bool waited;

	if (!waited)
		wait_for_writer();
	waited = true;
	write_last(sink.fd, line);
	if (sink.fd != 2 && !sink.streams)
		write_last(2, line);
}
