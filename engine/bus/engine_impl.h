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
#define PBI_PARAMS_MAX 128

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
	bool started, required;
	struct pbi_settings *settings;
	void *shared;
	struct pb_ctx ctx[PB_LOOPS_MAX];
	struct pb_reg *regs[PBI_REGS_MAX]; /* of its tables and pbi_ helpers */
	unsigned reg_count;
	struct pb_loop *home;
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
};

/* What yate.conf says, by pbi_main_rows. */
struct pbi_main {
	bool modload, startevents, trace_msg_time, trace_msg_handler_time, abortinfo;
	struct pb_str modpath, extrapath, nodename, trackparam;
	int64_t maxmsgrate, maxmsgage, maxqueued, maxevents;
	int64_t restarts, timejump, warntime;
	int64_t nodebits, nodeid;
};

struct pb_watchdog;

struct pb_engine {
	struct pb_engine_args args;
	struct pb_arena *arena; /* what lives as long as the process */
	struct pb_world *world;
	struct pb_loops *loops;
	struct pb_bus *bus;
	struct pb_pool *pool;
	struct pb_conf *main;
	struct pb_cfg *cfg;
	struct pbi_cfg set; /* engine.cfg */
	struct pbi_main yate; /* yate.conf; the control thread's after the start */
	_Atomic int accept; /* enum pb_accept */
	struct pb_alarm_hook *_Atomic alarm_hook;
	struct pbi_module *modules[PBI_MODULES_MAX];
	unsigned module_count;
	struct run_param *params;
	unsigned param_count;
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

/* mainrows.c */
extern const struct pb_opt pbi_main_rows[];
/** What the engine itself takes from it. @return 0, -EINVAL (errors among the findings), -ENOMEM. */
int pbi_main_read(const struct pb_conf *main, struct pbi_main *out, struct pb_arena *a, struct pb_findings *f);

/* params.c */
void pbi_params_early(struct pb_engine *e); /* before the main file is read: it may ask */
void pbi_params_late(struct pb_engine *e);

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

/* module.c */
int pbi_modules_load(struct pb_engine *e, struct pb_findings *f);
int pbi_module_read(struct pbi_module *m, struct pb_findings *f, struct pbi_settings **out);
int pbi_module_start(struct pbi_module *m);
/* Once all have started, and every loop knows every handler. */
int pbi_module_open(struct pbi_module *m);
void pbi_module_stop(struct pbi_module *m);
void pbi_module_free(struct pbi_module **m);
void pbi_settings_put(struct pbi_settings *s);
struct pbi_module *pbi_module_find(struct pb_engine *e, struct pb_str name);
struct pb_conf_env pbi_conf_env(struct pb_engine *e);
int pbi_add(struct pbi_module *m, const struct pb_handler_args *args, struct pb_reg **out);

/* status.c, commands.c: handlers that the engine adds for every module */
int pbi_status_add(struct pbi_module *m);
int pbi_commands_add(struct pbi_module *m);
extern const struct pb_module pbi_engine_module;

#endif
