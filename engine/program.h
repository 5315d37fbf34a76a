/*
 * The program: subcommands and what they share.
 */
#ifndef PB_PROGRAM_H
#define PB_PROGRAM_H

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

/* The options of all subcommands. */
struct pb_program {
	const char *conf_dir;
	const char *module_dirs[PB_DIRS_MAX + 1];
	unsigned module_dir_count;
	const char *share_dir;
	const char *name, *node_name, *log_file, *pid_file, *work_dir, *socket;
	int verbosity;
	char stamp; /* 0: engine.cfg's */
	bool daemonise, truncate, json, strict, keys, effective;
	int argc; /* what is left */
	char **argv;
};

int pb_program_run(struct pb_program *p);
int pb_program_check(struct pb_program *p);
int pb_program_config(struct pb_program *p);
int pb_program_console(struct pb_program *p);

struct pb_engine_args pb_program_engine_args(const struct pb_program *p);

#endif
