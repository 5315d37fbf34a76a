/*
 * patchbay run: the main thread is the control thread. It starts the engine and
 * then waits for signals and for what loops ask of it (reload, restart, stop).
 *
 * Before that, in this order: folder, background, process number, log file,
 * limits, supervisor. Each of them that fails says in one line what and why, and
 * the exit code tells whose fault it is.
 */
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"

/* A restart that found somebody busy is tried again after so long. */
#define BUSY_RETRY_MS 10000
/* Reloads by signal that come closer are one. */
#define RELOAD_APART_MS 2000
/* A signal to end that comes so soon behind another is the same one, sent to a group. */
#define HURRY_APART_MS 300

struct serving {
	struct pb_engine *e;
	const struct pb_program *p;
	int signals;
	int code;
	bool ending;
	uint64_t ending_ms;  /* when that was asked for */
	uint64_t reload_ms;  /* the last one by a signal */
	uint64_t restart_ms; /* when to ask whether all are idle; 0: no restart is wanted */
	int restart_code;
};

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void print_findings(const struct pb_findings *f)
{
	struct pb_text t;

	pb_text_init(&t, 16u << 20);
	pb_findings_print(f, &t);
	if (t.n && write(2, t.p, t.n) < 0)
		perror("patchbay");
	pb_text_fini(&t);
}

/* The same as lines of the log, where it is a file or has a form of its own. */
static void log_findings(const struct pb_findings *f)
{
	static const struct pb_log_row none[] = { { NULL } };
	static PB_LOG_SOURCE(source, "engine", none);
	struct pb_str all, line;
	struct pb_text t;

	pb_text_init(&t, 16u << 20);
	pb_findings_print(f, &t);
	all = pb_text_str(&t);
	while (pb_str_cut(&all, '\n', &line)) {
		if (line.n)
			pb_log_at(&source, PB_CONF, "%.*s", PB_STR_F(line));
	}
	pb_text_fini(&t);
}

static int exit_code(int err)
{
	switch (err) {
	case 0:
		return PB_EXIT_OK;
	case -EINVAL:
	case -ENOENT:
		return PB_EXIT_CONFIG;
	default:
		return PB_EXIT_ENVIRONMENT;
	}
}

/* ---- Signals ------------------------------------------------------------------- */

int pb_program_signals(const int *ours, size_t n)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	for (size_t i = 0; i < n; i++)
		sigaddset(&set, ours[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGALRM, SIG_IGN);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		fprintf(stderr, "patchbay: signals cannot be had: %s\n", strerror(errno));
	return fd < 0 ? -errno : fd;
}

/* ---- While it serves -------------------------------------------------------------- */

static void say_status(const struct serving *s)
{
	pb_notify("READY=1\nSTATUS=%u modules", pb_engine_module_count(s->e));
}

static void reload(struct serving *s)
{
	struct pb_findings *f = pb_findings_new();

	pb_notify_reloading();
	pb_engine_reload_now(s->e, PB_STR_NULL, f);
	pb_findings_free(&f);
	say_status(s);
}

static void end_with(struct serving *s, int code)
{
	if (s->ending)
		return; /* the first one wins */
	s->ending = true;
	s->ending_ms = now_ms();
	s->code = code & 0xff;
}

static void reload_by_signal(struct serving *s, const char *name)
{
	uint64_t now = now_ms();

	if (s->reload_ms && now - s->reload_ms < RELOAD_APART_MS)
		return;
	s->reload_ms = now;
	pb_engine_say_signal(s->e, name, "reloading");
	reload(s);
}

static void on_hangup(struct serving *s)
{
	int err = pb_log_reopen();

	if (!s->p->daemonise) { /* the terminal has gone */
		end_with(s, PB_EXIT_OK);
		return;
	}
	if (err)
		pb_engine_say_signal(s->e, "SIGHUP: the log file stays as it is", strerror(-err));
	reload_by_signal(s, "SIGHUP");
}

static void want_restart(struct serving *s, int code, bool now)
{
	if (!s->p->supervised)
		pb_engine_say_signal(s->e, "restart",
				     "nobody would start the engine again: refused");
	else if (now)
		end_with(s, (code & 0xff) | 0x80);
	else if (!s->restart_ms) {
		s->restart_ms = now_ms();
		s->restart_code = (code & 0xff) | 0x80;
	}
}

static void on_signal(struct serving *s)
{
	struct signalfd_siginfo si;

	if (read(s->signals, &si, sizeof(si)) != (ssize_t)sizeof(si))
		return;
	switch (si.ssi_signo) {
	case SIGQUIT:
		reload_by_signal(s, "SIGQUIT");
		return;
	case SIGHUP:
		on_hangup(s);
		return;
	case SIGUSR1:
		want_restart(s, 0, false);
		return;
	case SIGUSR2:
		want_restart(s, 0, true);
		return;
	default:
		pb_engine_say_signal(s->e, si.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM",
				     "stopping");
		end_with(s, PB_EXIT_OK);
	}
}

static void on_request(struct serving *s)
{
	struct pb_control c;

	while ((c = pb_engine_next_request(s->e)).request != PB_REQUEST_NONE) {
		switch (c.request) {
		case PB_REQUEST_HALT:
			end_with(s, c.code);
			break;
		case PB_REQUEST_RESTART:
			want_restart(s, c.code, c.now);
			break;
		case PB_REQUEST_RELOAD:
		case PB_REQUEST_ROLL_BACK:
			pb_notify_reloading();
			pb_engine_obey(s->e, &c);
			say_status(s);
			break;
		case PB_REQUEST_CONFIRM:
			pb_engine_obey(s->e, &c);
			break;
		case PB_REQUEST_NONE:
			break;
		}
	}
}

/* @return ms until something has to be looked at; -1: nothing. */
static int look_at_restart(struct serving *s)
{
	uint64_t now = now_ms();

	if (!s->restart_ms)
		return -1;
	if (now < s->restart_ms)
		return (int)(s->restart_ms - now);
	if (pb_engine_is_idle(s->e)) {
		end_with(s, s->restart_code);
		return 0;
	}
	s->restart_ms = now_ms() + BUSY_RETRY_MS;
	return BUSY_RETRY_MS;
}

static void serve(struct serving *s)
{
	struct pollfd fds[2] = { { .fd = s->signals, .events = POLLIN },
				 { .fd = pb_engine_control_fd(s->e), .events = POLLIN } };

	while (!s->ending) {
		int wait_ms = look_at_restart(s);

		if (s->ending || poll(fds, 2, wait_ms) <= 0)
			continue;
		if (fds[0].revents)
			on_signal(s);
		if (fds[1].revents)
			on_request(s);
	}
}

/* While it stops: a second signal to end means at once. */
static bool hurry(void *arg)
{
	struct serving *s = arg;
	struct signalfd_siginfo si;

	while (read(s->signals, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		if ((si.ssi_signo == SIGTERM || si.ssi_signo == SIGINT) &&
		    now_ms() - s->ending_ms > HURRY_APART_MS)
			s->ending_ms = 0;
	}
	return s->ending && !s->ending_ms;
}

/* ---- Starting ---------------------------------------------------------------------- */

/* "Patchbay (17) is starting Fri Nov 20 ..." */
static void say_date(const char *what)
{
	time_t now = time(NULL);
	char buf[128], date[32];
	struct pb_text t;

	pb_text_init_buf(&t, buf, sizeof(buf));
	pb_text_addf(&t, "Patchbay (%ld) is %s %s", (long)getpid(), what, ctime_r(&now, date));
	pb_log_output(pb_text_str(&t));
}

static int open_log(const struct pb_program *p, const struct pb_engine *e,
		    const struct pb_findings *f)
{
	struct pb_str file = pb_engine_log_file(e);
	bool json = pb_engine_log_apply(e);
	int err = 0;

	if (!json)
		print_findings(f);

	pb_log_set_level(pb_engine_log_level(e) + p->verbosity);
	pb_log_set_stamp(p->stamp ? p->stamp : pb_engine_log_stamp(e));
	pb_log_set_stamp_output(p->stamp_output);
	pb_log_set_colour(p->colour && !file.n);
	pb_log_set_abort(p->abort_on_fail);
	if (!p->log_file && file.n)
		err = pb_log_open(file.p, p->truncate);
	if (err)
		fprintf(stderr, "patchbay: log file %s: %s\n", file.p, strerror(-err));
	else if (json || p->log_file || file.n)
		log_findings(f);
	return err ? PB_EXIT_ENVIRONMENT : 0;
}

/*
 * Why it did not start, for the terminal. A module that is left out is said to
 * be with a line of its own; what it said itself stands right before and says
 * more.
 */
struct reason {
	struct pb_log_tap tap;
	char last[512], text[512];
};

static void keep(char to[512], struct pb_str line)
{
	ptrdiff_t at = pb_str_chr(line, '<'); /* behind the stamp */

	line = pb_str_head(pb_str_from(line, at < 0 ? 0 : (size_t)at), 511);
	memcpy(to, line.p, line.n);
	to[line.n] = '\0';
}

static void note_reason(void *arg, int level, struct pb_str line)
{
	struct reason *r = arg;

	if (level < 0 || level > PB_WARN)
		return;
	if (pb_str_ends(line, PB_STR("[engine-003]"))) {
		keep(r->text, r->last[0] ? pb_str_z(r->last) : line);
		r->last[0] = '\0';
	} else {
		keep(r->last, line);
	}
}

static int start(struct pb_engine *e)
{
	struct reason r = { .tap.fn = note_reason };
	int err;

	r.tap.arg = &r;
	pb_log_tap_add(&r.tap);
	err = pb_engine_start(e);
	pb_log_tap_remove(&r.tap);
	if (err)
		fprintf(stderr, "patchbay: cannot start: %s\n",
			r.text[0] ? r.text : strerror(-err));
	return err ? PB_EXIT_ENVIRONMENT : PB_EXIT_OK;
}

/* Commands of the command line; runparam was taken before. */
static void run_commands(struct serving *s)
{
	if (s->p->argc)
		pb_log_output(PB_STR("Executing initial commands"));
	for (int i = 0; i < s->p->argc; i++)
		pb_engine_command(s->e, pb_str_z(s->p->argv[i]));
}

static void begin_serving(struct serving *s)
{
	run_commands(s);
	if (s->p->ignored[0])
		pb_engine_say_ignored(s->e, s->p->ignored);
	pb_daemon_tell(s->p, PB_EXIT_OK);
	if (s->p->daemonise && !s->p->relay) {
		pb_daemon_streams(s->p);
		pb_log_set_streams(true);
	}
	say_status(s);
	if (s->p->reload_once)
		reload(s);
	if (s->p->exit_once)
		end_with(s, (int)s->p->exit_once - 1);
}

static void end_serving(struct serving *s)
{
	char buf[80];
	struct pb_text t;

	pb_text_init_buf(&t, buf, sizeof(buf));
	pb_text_addf(&t, "Patchbay engine is shutting down with code %d", s->code);
	pb_log_output(pb_text_str(&t));
	pb_notify("STOPPING=1\nSTATUS=Ending calls in progress");
}

static int start_and_serve(struct serving *s, const struct pb_supervised *sup)
{
	int code;

	pb_engine_watch_crashes(s->e);
	say_date("starting");
	code = start(s->e);
	if (!code) {
		if (sup->attempt)
			pb_engine_show_life(s->e, sup->alive_fd);
		begin_serving(s);
		serve(s);
		end_serving(s);
		code = s->code;
	}
	pb_engine_stop(s->e);
	say_date("stopping");
	pb_engine_watch_crashes(NULL);
	return code;
}

static struct pb_engine_args engine_args(struct serving *s, const struct pb_supervised *sup)
{
	struct pb_engine_args a = pb_program_engine_args(s->p);

	a.supervised = sup->attempt > 0;
	a.run_attempt = sup->attempt;
	a.last_signal = sup->last_signal;
	a.alive = pb_notify_alive;
	a.hurry = hurry;
	a.hurry_arg = s;
	return a;
}

static int unusable(const struct pb_program *p, const struct pb_findings *f, int err)
{
	print_findings(f);
	fprintf(stderr, "patchbay: the configuration in %s cannot be used%s%s\n", p->conf_dir,
		err == -EINVAL ? "" : ": ", err == -EINVAL ? "" : strerror(-err));
	return exit_code(err);
}

static int run_engine(struct pb_program *p, const struct pb_supervised *sup)
{
	static const int ours[] = { SIGHUP, SIGINT, SIGTERM, SIGQUIT, SIGUSR1, SIGUSR2 };
	struct serving s = { .p = p,
			     .signals = pb_program_signals(ours, sizeof(ours) / sizeof(ours[0])) };
	struct pb_engine_args args = engine_args(&s, sup);
	struct pb_findings *f = pb_findings_new();
	int err, code;

	if (s.signals < 0 || pb_log_start())
		return PB_EXIT_ENVIRONMENT;
	err = pb_engine_new(&args, f, &s.e);
	code = err ? unusable(p, f, err) : open_log(p, s.e, f);
	pb_findings_free(&f);
	if (!code)
		code = start_and_serve(&s, sup);
	pb_engine_free(&s.e);
	if (!pb_log_stop(2000))
		code = code ? code : PB_EXIT_OK; /* nobody reads it any more */
	pb_daemon_tell(p, code);
	return code;
}

/* ---- Before the engine ---------------------------------------------------------------- */

static int cannot(const char *what, const char *name)
{
	fprintf(stderr, "patchbay: %s %s: %s\n", what, name, strerror(errno));
	return PB_EXIT_ENVIRONMENT;
}

static int write_pid(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	int n = fd < 0 ? -1 : dprintf(fd, "%ld\n", (long)getpid());

	if (fd >= 0 && close(fd))
		n = -1;
	return n < 0 ? cannot("process number", path) : 0;
}

/* Checked before going into the background, where the terminal is still there. */
static int look_around(const struct pb_program *p)
{
	if (p->work_dir && chdir(p->work_dir))
		return cannot("working folder", p->work_dir);
	if (access(p->conf_dir, R_OK | X_OK)) {
		cannot("configuration folder", p->conf_dir);
		return PB_EXIT_CONFIG;
	}
	return 0;
}

static void set_limits(const struct pb_program *p)
{
	struct rlimit r, core = { RLIM_INFINITY, RLIM_INFINITY };

	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
	if (!p->core || setrlimit(RLIMIT_CORE, &core) == 0)
		return;
	if (getrlimit(RLIMIT_CORE, &core) == 0) {
		core.rlim_cur = core.rlim_max;
		setrlimit(RLIMIT_CORE, &core);
	}
}

static int prepare(struct pb_program *p)
{
	int err;

	if (p->pid_file && write_pid(p->pid_file))
		return PB_EXIT_ENVIRONMENT;
	if (p->log_file) {
		/* With -r the supervisor writes it; that it can is seen here too. */
		err = pb_log_open(p->log_file, p->truncate);
		if (!err && p->relay)
			err = pb_log_open(NULL, false);
		errno = -err;
		if (err)
			return cannot("log file", p->log_file);
	}
	set_limits(p);
	if (p->affinity && sched_setaffinity(0, sizeof(p->cpus), &p->cpus))
		return cannot("processors of", "-A");
	return 0;
}

int pb_program_run(struct pb_program *p)
{
	static const struct pb_supervised nobody = { .alive_fd = -1 };
	int code = look_around(p), err;

	if (code)
		return code;
	err = p->daemonise ? pb_daemon_begin(p) : 0;
	if (err) {
		fprintf(stderr, "patchbay: cannot go into the background: %s\n", strerror(-err));
		return PB_EXIT_ENVIRONMENT;
	}
	pb_notify_open();
	code = prepare(p);
	if (!code)
		code = p->supervised ? pb_supervise(p, run_engine) : run_engine(p, &nobody);
	pb_daemon_tell(p, code);
	return code;
}
