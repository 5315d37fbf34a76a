/*
 * The engine: loops, bus, modules and their life. For the program and for
 * tests; modules see bus/module.h only.
 *
 * One control thread (the program's main thread, or the test) makes, starts,
 * reloads and stops it. In a simulated world the same calls run without threads.
 */
#ifndef PB_BUS_ENGINE_H
#define PB_BUS_ENGINE_H

#include "bus/findings.h"
#include "bus/module.h"

struct pb_world;

struct pb_engine_args {
	struct pb_world *world; /* NULL: the real one */
	const char *conf_dir;
	const char *const *module_dirs; /* searched for *.so in order; ends with NULL */
	const char *share_dir;
	const char *name;      /* base name of the main file; NULL: "yate" */
	const char *node_name; /* NULL: [general] nodename, else the host's name */
	const char *log_file;  /* run parameter only */
	const char *user_dir;  /* files of the user; NULL: none */
	bool interactive;      /* a terminal may be there: not in the background */
	bool supervised;       /* a parent starts it again; restart is possible */
	unsigned run_attempt;  /* of the supervisor, from 1; 0: unsupervised */
	int last_signal;       /* what ended the process before; 0: nothing */
	/** Several times a second, from a thread of its own, while every loop turns. */
	void (*alive)(void *arg);
	void *alive_arg;
	/** Asked every few ms while pb_engine_stop waits: true ends the waiting. */
	bool (*hurry)(void *arg);
	void *hurry_arg;
	const char *const *run_params; /* "NAME=VALUE", ends with NULL; may be NULL */
	unsigned calls, scripts; /* loops; 0: engine.cfg, else one a core and one */
	/** Modules linked in, by descriptor; ends with NULL. May be NULL. */
	const struct pb_module *const *built_in;
	bool only_check; /* read everything, start nothing */
};

/**
 * Read the main files, load the modules, read and check their configuration.
 *
 * @return 0 (findings may hold warnings); -EINVAL: errors among the findings
 *         (with only_check there is an engine if its own files could be read);
 *         -ENOMEM; for a required module that does not load, its error.
 */
int pb_engine_new(const struct pb_engine_args *args, struct pb_findings *f, struct pb_engine **out);
/** Stopped before, if it was started. */
void pb_engine_free(struct pb_engine **e);

/**
 * Start the loops and the modules; engine.init and engine.start are dispatched.
 * A module that does not start says why in the log and is left out.
 *
 * @return 0, or the error of a required module (-EADDRINUSE ...).
 */
int pb_engine_start(struct pb_engine *e);
/**
 * Two-phase: every module reads its new configuration; only if none finds an
 * error all take it over. Findings are logged too, unless `f` is NULL.
 *
 * @return 0, -ENOENT (no such module), -EINVAL.
 */
int pb_engine_reload_now(struct pb_engine *e, struct pb_str module, struct pb_findings *f);
/**
 * The same; unless pb_engine_keep_now within `confirm_s` seconds, what was in
 * force before comes back by a PB_REQUEST_ROLL_BACK. 0: for good.
 *
 * @return as above, or -EBUSY: an earlier reload is not confirmed yet.
 */
int pb_engine_reload_try(struct pb_engine *e, struct pb_str module, unsigned confirm_s, struct pb_findings *f);
/** Confirm it. @return 0, -ENOENT: nothing waits for that. */
int pb_engine_keep_now(struct pb_engine *e);
/**
 * No new calls; engine.stop up to five times, a second apart, while somebody
 * wants more time; engine.halt, which ends the calls in progress; modules and
 * loops ended.
 */
void pb_engine_stop(struct pb_engine *e);
/**
 * A restart when idle: engine.busy is asked. @return whether nobody is busy, so
 * that the control thread may stop the engine now.
 */
bool pb_engine_is_idle(struct pb_engine *e);
/**
 * A command of the command line: its answer, or that nobody knows it, is said
 * as output. Control thread.
 */
void pb_engine_command(struct pb_engine *e, struct pb_str line);
/** Write into `fd` an octet a second as long as engine.timer is heard; for the supervisor. */
int pb_engine_show_life(struct pb_engine *e, int fd);
/** Tell where when this process dies of a signal; NULL: `e` has gone. */
void pb_engine_watch_crashes(struct pb_engine *e);
/** Say that a signal was heard, or what the command line had for nothing. */
void pb_engine_say_signal(struct pb_engine *e, const char *name, const char *doing);
void pb_engine_say_ignored(struct pb_engine *e, const char *options);

struct pb_bus *pb_engine_bus(struct pb_engine *e);
struct pb_loops *pb_engine_loops(struct pb_engine *e);

/** What a loop asks of the control thread. */
enum pb_request {
	PB_REQUEST_NONE,
	PB_REQUEST_RELOAD,
	PB_REQUEST_CONFIRM, /* keep what the last reload brought */
	PB_REQUEST_ROLL_BACK, /* nobody confirmed it in time */
	PB_REQUEST_HALT,
	PB_REQUEST_RESTART,
};
struct pb_control {
	enum pb_request request;
	char module[64]; /* RELOAD */
	unsigned confirm_s; /* RELOAD: rolled back unless confirmed within; 0: for good */
	int code;	 /* HALT, RESTART */
	bool now;	 /* RESTART: not only when idle */
};
/** A descriptor that becomes readable when there is a request. */
int pb_engine_control_fd(const struct pb_engine *e);
/** The next request; PB_REQUEST_NONE when there is none. */
struct pb_control pb_engine_next_request(struct pb_engine *e);

/** Do as RELOAD, CONFIRM or ROLL_BACK says; what came of it is in the log. */
void pb_engine_obey(struct pb_engine *e, const struct pb_control *c);

/** From engine.cfg's group "log", for the program: file may be empty. */
struct pb_str pb_engine_log_file(const struct pb_engine *e);
int pb_engine_log_level(const struct pb_engine *e);
char pb_engine_log_stamp(const struct pb_engine *e);
/** Format, size and number of files: into force. @return whether lines are JSON. */
bool pb_engine_log_apply(const struct pb_engine *e);

/** How many modules were loaded, for the closing line of `check`. */
unsigned pb_engine_module_count(const struct pb_engine *e);

#endif
