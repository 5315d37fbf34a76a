/*
 * A module is one constant descriptor. It has immutable settings, a state on
 * each loop, and shared state that it makes at start; nothing global.
 *
 * Modules speak to each other in messages only.
 */
#ifndef PB_BUS_MODULE_H
#define PB_BUS_MODULE_H

#include "bus/bus.h"
#include "bus/opt.h"
#include "loop/log.h"

#define PB_MODULE_ABI 2

struct pb_engine;
struct pb_pool;
struct pb_world;

/* ---- Status ----------------------------------------------------------------- */

/** Filled on each loop in turn; the engine adds counts up and writes the line. */
struct pb_status;
/** Part 1, after name, type and format: ",k=v". Only the first loop's is kept. */
void pb_status_head(struct pb_status *s, const char *key, struct pb_str value);
/** Part 2: counters, summed over loops, in order of first mention. */
void pb_status_count(struct pb_status *s, const char *key, int64_t n);
/** Part 2 too: a word among the counters. Only the first loop's is kept. */
void pb_status_text(struct pb_status *s, const char *key, struct pb_str value);
/** Part 3: "id=a|b|c"; only when details are asked for. */
void pb_status_item(struct pb_status *s, struct pb_str id, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
bool pb_status_details(const struct pb_status *s);
/**
 * What was asked for beyond the module itself: "sip/1", "sip listeners"; empty:
 * the module's own line. Answer with whole lines (without CR LF), or not at all.
 */
struct pb_str pb_status_selector(const struct pb_status *s);
void pb_status_line(struct pb_status *s, struct pb_str line);

/* ---- Commands ---------------------------------------------------------------- */

/** A console command; ends with word == NULL. */
struct pb_command {
	const char *word;   /* "sniffer"; may be two words: "sip drop" */
	/**
	 * "sniffer [on|off] [filter REGEX]". The first words of the alternatives in
	 * brackets are offered for completion; empty: it is in no list. Without
	 * "--json" in it that word is taken off the line before `fn` sees it.
	 */
	const char *syntax;
	const char *doc;
	enum pb_place place; /* HERE, HOME or EACH */
	/**
	 * Called with engine.command; parameter `line` as typed. Set the return
	 * value (lines end CR LF) and answer PB_HANDLED, or PB_PASS.
	 */
	pb_handle_fn fn;
	pb_merge_fn merge; /* EACH; NULL: return values are appended */
};

/* ---- What else has a name -------------------------------------------------------- */

/** A key of the module's status line, or a column of its items. */
struct pb_counter {
	const char *key;
	const char *unit; /* "calls", "ms"; NULL: a plain number or a word */
	const char *doc;
};

/** A message that a module dispatches or enqueues, with the parameters it may set. */
struct pb_sends {
	const char *message; /* "sip." ends with a dot: every name that begins so */
	const char *params;  /* blank-separated; "PREFIX*" for all that begin so */
	bool answers; /* it does not send the message: it hears it, and sets these */
};

/**
 * A message heard by a handler that the module adds itself, from its settings;
 * for the registry. Ends with message == NULL.
 */
struct pb_hears {
	const char *message;
	unsigned priority;  /* the usual one */
	const char *option; /* option that says another; NULL: none does */
	bool filtered;	    /* only messages that its filter lets through */
};

/** A console command that the module answers without engine.command. */
struct pb_verb {
	struct pb_str word;
	const char *args, *doc;
};

/** What a module has from the layer that it is built on: those of every driver. */
struct pb_part {
	const struct pb_handler *handlers;
	const struct pb_counter *counters;
	const struct pb_sends *sends;
	const struct pb_log_source *log;
};

/**
 * What settings say beyond the tables: told to the linter by a module's `uses`.
 * "*" as a message that is sent or a parameter that is set: any at all. A
 * module that has it names here what begins as its table says.
 */
struct pb_uses;
void pb_uses_hears(struct pb_uses *u, struct pb_str message, unsigned priority, bool filtered, struct pb_pos at);
void pb_uses_sends(struct pb_uses *u, struct pb_str message);
void pb_uses_sets(struct pb_uses *u, struct pb_str param);
void pb_uses_reads(struct pb_uses *u, struct pb_str param, struct pb_pos at);

/* ---- The descriptor ------------------------------------------------------------- */

enum pb_reload { PB_RELOAD_OK, PB_RELOAD_RESTART };

struct pb_module {
	unsigned abi;	  /* PB_MODULE_ABI */
	const char *name; /* internal name: status, debug, reload */
	const char *doc;
	const char *aliases; /* other file base names, comma list: "ysipchan" */
	const char *conf; /* "ysipchan": reads ysipchan.conf; NULL: none */
	const char *status_type;   /* "varchans"; NULL: no status line */
	const char *status_format; /* "Status|Address|Peer" or NULL */
	size_t settings_size, loop_state_size, shared_size;
	const struct pb_opt *options;
	const struct pb_handler *handlers; /* HOME ones run on the module's home loop */
	const struct pb_command *commands;
	struct pb_log_source *log;
	bool required; /* the engine does not start without it; engine.cfg may say otherwise */
	bool stoppable; /* it may be stopped, and started again, while the engine runs */
	bool home_script; /* home is a script loop (may hog its thread), else call loop 0 */
	/**
	 * Read what rows cannot say (free sections) into zeroed-then-defaulted
	 * settings. Pure: files are read, nothing is started. Also run by `check`.
	 * @return 0 or a negative errno; findings tell what and where.
	 */
	int (*read)(const struct pb_conf *c, void *settings, struct pb_arena *a, struct pb_findings *f);
	/**
	 * Once, on the home loop, before loop_start: make the shared state, add
	 * handlers made from settings. @return 0 or a negative errno: not loaded.
	 */
	int (*start)(struct pb_ctx *cx);
	/** On every loop (script loops too). Nothing comes in from outside yet. */
	int (*loop_start)(struct pb_ctx *cx);
	/**
	 * On every loop, once all modules have started and every loop knows all
	 * their handlers: ports that bring work are opened here. An error is as
	 * one of start.
	 */
	int (*loop_open)(struct pb_ctx *cx);
	/** New settings are in cx->settings (old ones in `old`): on every loop ... */
	void (*loop_reload)(struct pb_ctx *cx, const void *old);
	/** ... and then once on the home loop. */
	enum pb_reload (*reload)(struct pb_ctx *cx, const void *old);
	/** At the end, on every loop, then `stop` on the home loop. */
	void (*loop_stop)(struct pb_ctx *cx);
	void (*stop)(struct pb_ctx *cx);
	void (*status)(struct pb_ctx *cx, struct pb_status *s);
	/** What its status line counts, in order; ends with key == NULL. */
	const struct pb_counter *counters;
	/** Messages it puts on the bus itself; ends with message == NULL. */
	const struct pb_sends *sends;
	const struct pb_hears *hears;
	/** What its `read` may find beyond what rows can; ends with id == NULL. */
	const struct pb_finding_row *findings;
	const struct pb_part *part; /* NULL: none */
	void (*uses)(const void *settings, struct pb_uses *u);
	/** The i-th of its verbs; false behind the last. NULL: it has none. */
	bool (*verb)(size_t i, struct pb_verb *out);
};

/** The one symbol a module exports. */
#define PB_MODULE(ident)                                                                           \
	extern const struct pb_module pb_module_descriptor;                                        \
	const struct pb_module pb_module_descriptor

/* ---- What a module asks of the engine ---------------------------------------------- */

struct pb_engine *pb_engine_of(const struct pb_ctx *cx);
struct pb_pool *pb_engine_pool(struct pb_engine *e);
/** The clock and wire its loops run in. */
struct pb_world *pb_engine_world(struct pb_engine *e);
/** The module's home loop. */
struct pb_loop *pb_engine_home(const struct pb_ctx *cx);
/** The module's context on another loop (its state belongs to that loop). */
struct pb_ctx *pb_engine_ctx(const struct pb_ctx *cx, struct pb_loop *l);
/**
 * Add a handler of this module, with its contexts and its name as track name.
 * NULL `out`: it is removed with the module.
 */
int pb_engine_add_handler(struct pb_ctx *cx, const struct pb_handler *row, struct pb_reg **out);
/** The same with a filter function on parameter `name`; NULL `out`: removed with the module. */
int pb_engine_add_filtered(struct pb_ctx *cx, const struct pb_handler *row, const char *name,
			   bool (*filter)(void *arg, struct pb_str value), struct pb_reg **out);
/** Where the console's Unix socket is unless engine.cfg names another: only in a folder that is there. */
#define PB_CONSOLE_DIR "/run/patchbay"
#define PB_CONSOLE_SOCKET PB_CONSOLE_DIR "/console.sock"
/** `ID [k=v ...] [OP]` of a command into a chan.control. @return false when something is missing. */
bool pb_control_parse(struct pb_str args, struct pb_msg *m);
/** Run parameter, absent when unknown. Valid for the process's life. Any thread. */
struct pb_str pb_engine_run_param(const struct pb_engine *e, struct pb_str name);
bool pb_engine_loaded(const struct pb_engine *e, struct pb_str module);
/**
 * One more, by `NAME=VALUE` of the console; the value is expanded and trimmed.
 *
 * @thread  Call loop 0.
 * @return 0, -EEXIST (none is overwritten), -ENOSPC, -ENOMEM.
 */
int pb_engine_add_run_param(struct pb_engine *e, struct pb_str name, struct pb_str value);
/**
 * Value of the main file (yate.conf) in force. A hook of the start may keep the
 * slice, who asks later has it for this turn.
 *
 * @thread  Loops and the control thread.
 */
struct pb_str pb_engine_main(const struct pb_engine *e, struct pb_str section, struct pb_str key);
/** Shared variable by [variables] of the main file as of start; absent when unknown. Any thread. */
struct pb_str pb_engine_variable(const struct pb_engine *e, struct pb_str name);
/** [telephony]: what a driver does unless its own file says otherwise; 0: no limit. Threads as above. */
struct pb_telephony {
	unsigned timeout_ms, max_routing, max_chans;
};
struct pb_telephony pb_engine_telephony(const struct pb_engine *e);
/**
 * Read CONFDIR/`name`.conf with all it includes and write it as one file,
 * CONFDIR/`name`.conf.merged, whose path is left in `path` (of `a`) in any case.
 * Reads and writes files: not from a loop that owns calls.
 *
 * @thread  Any, a helper thread too.
 * @return 0; -EINVAL: it cannot be loaded; else it was not saved, and why.
 */
int pb_engine_merge_conf(struct pb_engine *e, struct pb_str name, struct pb_arena *a, struct pb_str *path);
/** Folder that traces may be written to (engine.cfg, recorder.dir); empty: none. Any thread. */
struct pb_str pb_engine_trace_dir(const struct pb_engine *e);
/**
 * Expand ${run parameters} in `text`.
 */
struct pb_str pb_engine_expand(const struct pb_engine *e, struct pb_str text, struct pb_arena *into);
/** Settings stay valid while referenced; needed only across a hold. */
const void *pb_settings_ref(const struct pb_ctx *cx);
void pb_settings_unref(const struct pb_ctx *cx, const void *settings);
/** Reload (absent name: everything) on the control thread; any thread. */
void pb_engine_reload(struct pb_engine *e, struct pb_str module);
/** The same; rolled back to what was in force unless confirmed within `seconds`. */
void pb_engine_reload_tentatively(struct pb_engine *e, struct pb_str module, unsigned seconds);
void pb_engine_confirm(struct pb_engine *e);
/** Milliseconds until the last reload is rolled back; 0: it is in force for good.
 * @thread a loop's. */
uint64_t pb_engine_unconfirmed_ms(const struct pb_engine *e);
/** End the process with this code after a clean stop; any thread. */
void pb_engine_halt(struct pb_engine *e, int code);
/** Start anew, at once or when idle. @return false: nobody would start it again. */
bool pb_engine_restart(struct pb_engine *e, int code, bool now);

/* ---- Calls accepted; alarms ----------------------------------------------------------- */

/** May new calls be taken? Changed by ccongestion; asked by every driver. */
enum pb_accept { PB_ACCEPT, PB_ACCEPT_PARTIAL, PB_ACCEPT_CONGESTION, PB_ACCEPT_REJECT };
/** "accept", "partial", "congestion", "reject"; index as above, ends with NULL. */
extern const char *const pb_accept_words[];
/** Any thread. */
enum pb_accept pb_engine_accept(const struct pb_engine *e);
void pb_engine_set_accept(struct pb_engine *e, enum pb_accept state);

/**
 * An alarm: a log line that somebody may also want to be woken by. `component`
 * is what it is about ("engine", "sip"), `info` one word more ("performance"),
 * or NULL. Any thread.
 */
void pb_engine_alarm(struct pb_engine *e, struct pb_log_source *src, const struct pb_log_row *row,
		     const char *component, const char *info, const char *fmt, ...)
	__attribute__((format(printf, 6, 7)));
/** Who hears alarms besides the log, on the thread that raised one: be quick, raise none. One at a time. */
struct pb_alarm_hook {
	void (*fn)(void *arg, enum pb_level level, struct pb_str component, struct pb_str info, struct pb_str text);
	void *arg;
};
/** NULL takes it away; it must outlive the engine's loops. */
void pb_engine_set_alarm_hook(struct pb_engine *e, struct pb_alarm_hook *h);

#endif
