/*
 * patchbay run: the main thread is the control thread. It starts the engine and
 * then waits for signals and for what loops ask of it (reload, stop).
 */
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/text.h"

static void print_findings(const struct pb_findings *f)
{
	struct pb_text t;

	pb_text_init(&t, 16u << 20);
	pb_findings_print(f, &t);
	if (t.n && write(2, t.p, t.n) < 0)
		perror("patchbay");
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

static int write_pid(const char *path)
{
	FILE *f = fopen(path, "w");

	if (!f || fprintf(f, "%ld\n", (long)getpid()) < 0 || fclose(f)) {
		fprintf(stderr, "patchbay: %s: %s\n", path, strerror(errno));
		return PB_EXIT_ENVIRONMENT;
	}
	return 0;
}

/* Signals come as data, to this thread only; loops are started with all of
 * them blocked because they inherit this mask. */
static int signal_fd(void)
{
	static const int ours[] = { SIGHUP, SIGINT, SIGTERM, SIGQUIT, SIGUSR1, SIGUSR2 };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		sigaddset(&set, ours[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGALRM, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static void reload(struct pb_engine *e, const char *module)
{
	struct pb_findings *f = pb_findings_new();

	pb_engine_reload_now(e, pb_str_z(module), f);
	pb_findings_free(&f);
}

/* True: end with *code. */
static bool on_signal(struct pb_engine *e, const struct pb_program *p, int fd, int *code)
{
	struct signalfd_siginfo si;

	if (read(fd, &si, sizeof(si)) != (ssize_t)sizeof(si))
		return false;
	switch (si.ssi_signo) {
	case SIGQUIT:
		reload(e, "");
		return false;
	case SIGHUP:
		if (!p->daemonise) { /* interactive: the terminal has gone */
			*code = PB_EXIT_OK;
			return true;
		}
		if (p->log_file)
			pb_log_open(p->log_file, false);
		reload(e, "");
		return false;
	case SIGUSR1:
	case SIGUSR2:
		return false;
	default:
		*code = PB_EXIT_OK;
		return true;
	}
}

static bool on_request(struct pb_engine *e, int *code)
{
	struct pb_control c;

	while ((c = pb_engine_next_request(e)).request != PB_REQUEST_NONE) {
		if (c.request == PB_REQUEST_HALT) {
			*code = c.code;
			return true;
		}
		pb_engine_obey(e, &c);
	}
	return false;
}

static int serve(struct pb_engine *e, const struct pb_program *p, int sigs)
{
	struct pollfd fds[2] = { { .fd = sigs, .events = POLLIN },
				 { .fd = pb_engine_control_fd(e), .events = POLLIN } };
	int code = PB_EXIT_OK;

	for (;;) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return PB_EXIT_FAILED;
		if ((fds[0].revents & POLLIN) && on_signal(e, p, sigs, &code))
			return code;
		if ((fds[1].revents & POLLIN) && on_request(e, &code))
			return code;
	}
}

static void raise_file_limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

static int open_log(const struct pb_program *p, const struct pb_engine *e)
{
	const char *file = p->log_file ? p->log_file : pb_engine_log_file(e).n ? pb_engine_log_file(e).p : NULL;
	int err;

	pb_log_set_level(pb_engine_log_level(e) + p->verbosity);
	pb_log_set_stamp(p->stamp ? p->stamp : pb_engine_log_stamp(e));
	if (!file)
		return 0;
	err = pb_log_open(file, p->truncate);
	if (err)
		fprintf(stderr, "patchbay: log file %s: %s\n", file, strerror(-err));
	return err ? PB_EXIT_ENVIRONMENT : 0;
}

static int start_and_serve(struct pb_program *p, int sigs)
{
	struct pb_engine_args args = pb_program_engine_args(p);
	struct pb_findings *f = pb_findings_new();
	struct pb_engine *e = NULL;
	int err = pb_engine_new(&args, f, &e), code;

	print_findings(f);
	pb_findings_free(&f);
	if (err) {
		fprintf(stderr, "patchbay: the configuration in %s cannot be used%s%s\n", p->conf_dir,
			err == -EINVAL ? "" : ": ", err == -EINVAL ? "" : strerror(-err));
		return exit_code(err);
	}
	code = open_log(p, e);
	if (!code && p->pid_file)
		code = write_pid(p->pid_file);
	if (!code) {
		err = pb_engine_start(e);
		if (err)
			fprintf(stderr, "patchbay: a required module did not start: %s\n", strerror(-err));
		code = err ? PB_EXIT_ENVIRONMENT : serve(e, p, sigs);
		pb_engine_stop(e);
	}
	pb_engine_free(&e);
	return code;
}

int pb_program_run(struct pb_program *p)
{
	int sigs;

	if (p->work_dir && chdir(p->work_dir)) {
		fprintf(stderr, "patchbay: %s: %s\n", p->work_dir, strerror(errno));
		return PB_EXIT_ENVIRONMENT;
	}
	if (access(p->conf_dir, R_OK | X_OK)) {
		fprintf(stderr, "patchbay: configuration folder %s: %s\n", p->conf_dir, strerror(errno));
		return PB_EXIT_CONFIG;
	}
	if (p->daemonise && daemon(1, 0)) {
		fprintf(stderr, "patchbay: %s\n", strerror(errno));
		return PB_EXIT_ENVIRONMENT;
	}
	sigs = signal_fd();
	if (sigs < 0)
		return PB_EXIT_ENVIRONMENT;
	raise_file_limit();
	return start_and_serve(p, sigs);
}
