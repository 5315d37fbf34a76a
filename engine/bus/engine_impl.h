/*
 * The engine from inside; for module.c, engine.c, status.c, commands.c.
 */
#ifndef PB_BUS_ENGINE_IMPL_H
#define PB_BUS_ENGINE_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "bus/engine.h"
#include "loop/pool.h"
#include "loop/world.h"

#define PBI_MODULES_MAX 128
#define PBI_REGS_MAX 256
#define PBI_PARAMS_MAX 1000

/* Settings with their arena and a count of who still looks at them. */
struct pbi_settings {
	atomic_uint refs;
	struct pb_arena *arena;
	struct pb_conf *conf;
	_Alignas(max_align_t) char data[];
};

struct pbi_module {
	const struct pb_module *d;
	struct pb_engine *e;
	void *dl; /* NULL: built in */
	char *file; /* base name of the library, without suffix */
	_Atomic bool started;
	bool required;
	struct pbi_settings *settings;
	void *shared;
	struct pb_ctx ctx[PB_LOOPS_MAX];
	struct pb_reg *regs[PBI_REGS_MAX]; /* of its tables and pbi_ helpers */
	unsigned reg_count;
	struct pb_loop *home;
};

/* What a loop wants done on the control thread. */
struct pbi_errand {
	void (*fn)(void *arg);
	void *arg; /* freed by pb_free when the engine ends before */
};

struct run_param {
	struct pb_str name, value;
};

/* What engine.cfg says, by pbi_cfg_rows. */
struct pbi_cfg {
	int64_t calls, scripts; /* loops */
	int64_t hold_ms, message_ms, parked, queued;
	int64_t breaker_misses, breaker_window_ms, breaker_pause_ms;
	struct pb_str dns_servers;
	int64_t dns_timeout_ms;
	struct pb_str console_socket;
	struct pb_str log_file;
	int64_t log_level;
	struct pb_str log_stamp;
	int log_format; /* 0 text, 1 JSON */
	int64_t log_rotate_bytes, log_keep;
	int64_t watchdog_warn_ms, watchdog_kill_ms;
	bool recorder;
	int64_t recorder_ring, recorder_total, recorder_keep, recorder_keep_good, recorder_age_ms;
	struct pb_str recorder_dir;
	struct pb_str node_name;
};

/* A group inside "modules". */
struct pbi_cfg_module {
	bool required, load;
};

/* What yate.conf says, by pbi_main_rows. */
struct pbi_main {
	bool modload, startevents, trace_msg_time, trace_msg_handler_time, abortinfo;
	struct pb_str modpath, extrapath, nodename, trackparam;
	int64_t maxmsgrate, maxmsgage, maxqueued, maxevents;
	int64_t restarts, timejump, warntime;
	int64_t nodebits, nodeid;
	int64_t timeout_ms, maxroute, maxchans; /* [telephony] */
	struct {	/* for who asks; the reader goes by pb_engine.rules */
		int64_t max_depth;
		bool no_silent, loop_check, include_empty, warnings;
	} conf;
	struct pb_str app_prefix, report_version, report_status;
};

struct pb_watchdog;
/*
 * The main file and engine.cfg as one reading found them; immutable. The control
 * thread goes by e->base, each loop by what it was shown (e->base_seen), so that
 * a slice of it is good for the turn in which it was asked for.
 */
struct pbi_base {
	struct pb_arena *arena;
	struct pb_conf *main;
	struct pbi_main yate;
	struct pb_cfg *cfg;
	struct pbi_cfg set;
};

/* What a reload put aside until it is confirmed; reload.c. */
struct pbi_undo;

struct pb_engine {
	struct pb_engine_args args;
	struct pb_arena *arena; /* what lives as long as the process */
	struct pb_world *world;
	struct pb_loops *loops;
	struct pb_bus *bus;
	struct pb_pool *pool;
	struct pbi_base *base, *base_at_start; /* that of the start stays to the end: slices of it are kept */
	struct pbi_base *base_seen[PB_LOOPS_MAX];
	struct pb_conf_rules rules;
	struct pb_conf *main; /* base's */
	struct pb_cfg *cfg;   /* base's */
	struct pbi_cfg set;   /* engine.cfg as of start, for good; any thread */
	/* yate.conf. What may change on reload is written on call loop 0 while the
	 * control thread waits: those two may read it. */
	struct pbi_main yate;
	struct pbi_undo *undo; /* NULL: no reload waits to be confirmed */
	unsigned undo_count;
	struct pb_timer undo_timer; /* on call loop 0 */
	_Atomic uint64_t undo_due_ms; /* that loop's clock; 0: none */
	_Atomic int accept; /* enum pb_accept */
	struct pb_alarm_hook *_Atomic alarm_hook;
	_Atomic bool hears_alarms; /* module.update may be sent of them */
	struct pbi_module *modules[PBI_MODULES_MAX];
	_Atomic unsigned module_count; /* the control thread appends while all read */
	struct run_param *params;
	_Atomic unsigned param_count;
	struct pb_arena *late_params; /* of those added while running */
	struct pbi_off {	      /* modules that are there and not wanted */
		const struct pb_module *d;
	} off[PBI_MODULES_MAX];
	unsigned off_count;
	struct pb_timer tick;
	struct pb_work tick_start;
	uint64_t tick_wall_us; /* wall clock of the last one */
	uint64_t restart_due_ms; /* the tick's loop: restart when idle from then on; 0: not asked for */
	bool stopping;
	struct pb_watchdog *watchdog;
	struct pb_reg *life; /* the supervisor's; NULL: none */
	uint64_t started_us; /* wall clock */
	bool started;
	/* requests to the control thread */
	pthread_mutex_t control_lock;
	struct pb_control pending[8];
	unsigned pending_count;
	struct pbi_errand errands[8];
	unsigned errand_count;
	int control_fd;
};

extern struct pb_log_source pbi_engine_log;
extern const struct pb_opt pbi_cfg_rows[];
enum { PBI_ENG_LOADED, PBI_ENG_NOT_LOADED, PBI_ENG_START_FAILED, PBI_ENG_RELOADED, PBI_ENG_RELOAD_REFUSED,
       PBI_ENG_READY, PBI_ENG_STOPPING, PBI_ENG_CONF,
       PBI_ENG_RESTART,
       PBI_ENG_STUCK, PBI_ENG_FREED, PBI_ENG_GIVEN_UP, PBI_ENG_CLOCK, PBI_ENG_UNSUPERVISED, PBI_ENG_CRASH,
       PBI_ENG_COMMAND, PBI_ENG_BUSY, PBI_ENG_ORPHAN, PBI_ENG_IGNORED, PBI_ENG_SIGNAL };
extern const struct pb_log_row pbi_engine_rows[];

/* base.c */
/* At the start the main file is read twice, so that its conditions see the run
 * parameters that its values make; the first time silently. */
int pbi_base_first(struct pb_engine *e, struct pb_findings *f);
int pbi_base_again(struct pb_engine *e, struct pb_findings *f);
/* For a reload: both files; the result is not in force yet. */
int pbi_base_read(struct pb_engine *e, struct pb_findings *f, struct pbi_base **out);
/* From here on `b` is in force, on every loop. @return the one before. */
struct pbi_base *pbi_base_take(struct pb_engine *e, struct pbi_base *b);
/* Not that of the start, which pbi_base_end lets go. */
void pbi_base_free(struct pb_engine *e, struct pbi_base **b);
/* All there are, at the end. */
void pbi_base_end(struct pb_engine *e);
/* The one that the caller's thread goes by. */
const struct pbi_base *pbi_base_of(const struct pb_engine *e);

/* control.c */
void pbi_request(struct pb_engine *e, const struct pb_control *c);

/* reload.c */
/* What waits to be confirmed stays as it is. The loops run still, or never did. */
void pbi_undo_end(struct pb_engine *e);

/* mainrows.c */
extern const struct pb_opt pbi_main_rows[];
/** What the engine itself takes from it. @return 0, -EINVAL (errors among the findings), -ENOMEM. */
int pbi_main_read(const struct pb_conf *main, struct pbi_main *out, struct pb_arena *a, struct pb_findings *f);

/** From when on the bus counts as congested. */
struct pb_bus_limits pbi_main_limits(const struct pbi_main *m);

/* params.c */
/* Between the two readings of the main file: all of them, in their order. */
void pbi_params_fill(struct pb_engine *e, struct pb_findings *f);

/* guard.c */
int pbi_guard_start(struct pb_engine *e);
void pbi_guard_stop(struct pb_engine *e);

/* tick.c: each second; on call loop 0 */
void pbi_tick_start(void *engine);
void pbi_tick_stop(void *engine);
enum pbi_jump { PBI_JUMP_NONE, PBI_JUMP_TELL, PBI_JUMP_RESTART };
/* Between two ticks: not forward at all is told of always, too far when there is a limit. */
enum pbi_jump pbi_clock_jump(uint64_t last_us, uint64_t now_us, int64_t limit_s, int64_t *by_ms);

/* life.c */
/* Broadcast `name` from the control thread and wait for the end of its walk. */
bool pbi_ask_and_wait(struct pb_engine *e, const char *name, struct pb_str plugin);

/* application.c: what [application] of the main file says of itself */
void pbi_application_version(const struct pb_engine *e, struct pb_text *t);
void pbi_application_head(const struct pb_engine *e, struct pb_status *status);
bool pbi_is_application_key(struct pb_str key);

/* debuglines.c: [debug] of the main file, each line to whom it names */
void pbi_debug_lines(struct pb_engine *e);

/* module.c */
int pbi_modules_load(struct pb_engine *e, struct pb_findings *f);
int pbi_module_read(struct pbi_module *m, struct pb_findings *f, struct pbi_settings **out);
int pbi_module_start(struct pbi_module *m);
/* Take in one that was there and not wanted; not started. @return 0, -ENOENT, -ENOSPC, -ENOMEM. */
int pbi_module_add_off(struct pb_engine *e, struct pb_str name);
/* Once all have started, and every loop knows every handler. */
int pbi_module_open(struct pbi_module *m);
void pbi_module_stop(struct pbi_module *m);
void pbi_module_free(struct pbi_module **m);
void pbi_settings_put(struct pbi_settings *s);
struct pbi_module *pbi_module_find(struct pb_engine *e, struct pb_str name);
/* Does `name`, with or without suffix, mean it? */
bool pbi_module_is(const struct pb_module *d, struct pb_str name);
struct pb_conf_env pbi_conf_env(struct pb_engine *e);
/* By command line, engine.cfg and the main file: is it required, is it to be loaded? */
bool pbi_module_required(struct pb_engine *e, const struct pb_module *d);
int pbi_add(struct pbi_module *m, const struct pb_handler_args *args, struct pb_reg **out);

/* modrun.c: modules come and go while the engine runs. On the control thread. */
/* Start what was unloaded, or is there and was not wanted at the start.
 * @return 0, -ENOENT, or what its start answered. */
int pbi_module_load(struct pb_engine *e, struct pb_str file);
/* Stop it; its code stays. @return 0, -EBUSY (it cannot be, or holds messages). */
int pbi_module_unload(struct pbi_module *m);

/* control.c */
/* fn(arg) on the control thread. @return false: too much is asked of it. Any thread. */
bool pbi_control_call(struct pb_engine *e, void (*fn)(void *arg), void *arg);
void pbi_control_fini(struct pb_engine *e);

/* events.c */
/* The log of the start ends here. */
void pbi_events_started(struct pb_engine *e);
/* An alarm is everybody's to hear: module.update. Any thread. */
void pbi_alarm_event(struct pb_engine *e, enum pb_level level, const char *component, const char *info,
		     struct pb_str text);

/* status.c, commands.c: handlers that the engine adds for every module */
int pbi_status_add(struct pbi_module *m);
int pbi_commands_add(struct pbi_module *m);
/* What the module's status line would count on this loop, into `out`: "\1cKEY". */
void pbi_status_counts(struct pbi_module *m, struct pb_loop *l, struct pb_msg *out);
extern const struct pb_module pbi_engine_module;

#endif
