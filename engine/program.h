/*
 * The program: subcommands and what they share.
 */
#ifndef PB_PROGRAM_H
#define PB_PROGRAM_H

#include <sched.h>
#include <stdio.h>

#include "base/text.h"
#include "bus/engine.h"

/* Exit codes. */
enum {
	PB_EXIT_OK = 0,
	PB_EXIT_USAGE = 1,
	PB_EXIT_CONFIG = 2,	 /* errors in the files */
	PB_EXIT_ENVIRONMENT = 3, /* port, certificate, rights, database */
	PB_EXIT_FAILED = 4,	 /* ran and failed */
};

#define PB_DIRS_MAX 64

/* The options of all subcommands (options.def). */
struct pb_program {
	const char *conf_dir;
	const char *module_dirs[PB_DIRS_MAX + 1];
	unsigned module_dir_count;
	const char *extra_dirs[PB_DIRS_MAX]; /* behind those */
	unsigned extra_dir_count;
	const char *share_dir, *user_dir;
	const char *name, *node_name, *log_file, *pid_file, *work_dir, *socket;
	int verbosity;
	char stamp; /* 0: engine.cfg's */
	bool stamp_output, colour;
	bool daemonise, truncate, json, strict, keys, effective, man, sample;
	bool core, abort_on_fail, reload_once;
	unsigned exit_once; /* letters x: end with one less */
	bool affinity;
	cpu_set_t cpus;
	/* The supervisor's. */
	bool supervised, relay;
	unsigned first_delay_ms, sanity;
	char ignored[32]; /* letters that mean nothing here */
	const char *run_params[PB_DIRS_MAX + 1]; /* "NAME=VALUE", of commands runparam */
	int argc; /* what is left */
	char **argv;
	int asked; /* -h, -V: the exit code is 0 and nothing else is done */
};

/* ---- options.c ---------------------------------------------------------------- */

enum pb_subcommand { PB_RUN = 1, PB_CHECK = 2, PB_CONSOLE = 4, PB_CONFIG = 8, PB_DESCRIBE = 16 };

/**
 * Store the options of a subcommand; what is left stays in argc and argv (for
 * `run`, words between the options too).
 *
 * @return 0, or -1: said on standard error what is wrong.
 */
int pb_program_options(struct pb_program *p, enum pb_subcommand which, int argc, char **argv);
/** The usage text, from the table. */
void pb_program_usage(FILE *to);

/** A row of options.def. */
struct pb_program_option {
	char letter;	   /* 0: a long one */
	const char *name;  /* long ones */
	const char *value; /* as options.def says */
	unsigned on;	   /* PB_RUN | ... */
	bool detail;	   /* a letter behind -D */
	const char *help;
};
/** The i-th, letters of -D last; false behind them. */
bool pb_program_option(size_t i, struct pb_program_option *out);
/** A subcommand, "run", what follows it, and what it does; false behind the last. */
struct pb_program_command {
	const char *name, *args, *help;
	enum pb_subcommand which; /* 0: it has no options */
};
bool pb_program_command(size_t i, struct pb_program_command *out);
/** "run and check": the subcommands of these bits. */
void pb_program_add_commands(unsigned on, struct pb_text *t);

/* ---- The subcommands -------------------------------------------------------------- */

int pb_program_run(struct pb_program *p);
int pb_program_check(struct pb_program *p);
int pb_program_config(struct pb_program *p);
int pb_program_console(struct pb_program *p);
int pb_program_describe(struct pb_program *p);
/* page.c: patchbay(1), from the table of options. */
void pb_program_page(struct pb_text *t);

/** terminal.c: relay between our terminal and the engine's socket until either ends. Owns `fd`. @return an exit code. */
int pb_attach_terminal(int fd);

struct pb_engine_args pb_program_engine_args(const struct pb_program *p);
/** The signals that are ours, blocked in all threads made from now on, as data. @return descriptor or -errno. */
int pb_program_signals(const int *ours, size_t n);

/* ---- daemon.c ------------------------------------------------------------------------ */

/**
 * Go into the background: returns in the child, 0 or -errno. The first process waits for
 * pb_daemon_tell and ends with the code told there.
 */
int pb_daemon_begin(const struct pb_program *p);
/**
 * Tell who waits for us how it went (0: we serve); from then on standard
 * streams are the log file, or nothing. Does nothing in the foreground.
 */
void pb_daemon_tell(const struct pb_program *p, int code);
/** Somebody else will tell: the engine that this process supervises. */
void pb_daemon_leave(const struct pb_program *p);
/** Standard output and error go to the log file (nowhere without one). */
void pb_daemon_streams(const struct pb_program *p);

/* ---- notify.c ------------------------------------------------------------------------ */

/** Who started us may want to hear how we are (sd_notify). Once, before threads. */
void pb_notify_open(void);
/** "READY=1\nSTATUS=...": does nothing when nobody listens. Any thread. */
void pb_notify(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void pb_notify_reloading(void);
/** The engine's watchdog calls it (struct pb_engine_args). */
void pb_notify_alive(void *arg);

/* ---- supervise.c ----------------------------------------------------------------------- */

/** What a supervised engine knows of its supervisor; zeroed: there is none. */
struct pb_supervised {
	unsigned attempt; /* from 1 */
	int last_signal;  /* what the one before died of; 0: nothing */
	int alive_fd;	  /* takes an octet for each second in which the engine lives */
};

/** Run `engine` in children, one after the other. @return the exit code of the last. */
int pb_supervise(struct pb_program *p, int (*engine)(struct pb_program *p, const struct pb_supervised *s));

#endif
