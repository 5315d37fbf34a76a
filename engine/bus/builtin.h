/*
 * The built-in module "engine" from inside: what it remembers, and the handlers
 * behind its commands (cmd_*.c, events.c).
 */
#ifndef PB_BUS_BUILTIN_H
#define PB_BUS_BUILTIN_H

#include "base/text.h"
#include "bus/engine_impl.h"

/* ---- Events (events.c) ------------------------------------------------------------------- */

/** Events of one `from`, or the log of the start. */
struct pbi_event_list {
	struct pb_list node, events;
	unsigned count;
	char *name;
};

struct pbi_events {
	struct pb_list types; /* of pbi_event_list */
	unsigned type_count, max; /* max: kept of each type */
	struct pbi_event_list start;
	struct pb_log_tap tap; /* while the start is captured */
	atomic_bool capturing;
	bool closed; /* the engine ends */
	struct pb_engine *engine;
};

void pbi_events_init(struct pbi_events *ev, struct pb_engine *e);
void pbi_events_fini(struct pbi_events *ev);
/** module.update: stored when it has `from` and a text. @thread any loop's. */
enum pb_verdict pbi_on_update(struct pb_msg *m, struct pb_ctx *cx);
/** @thread the home loop's. */
enum pb_verdict pbi_on_events(struct pb_msg *m, struct pb_ctx *cx);
enum pb_verdict pbi_on_logview(struct pb_msg *m, struct pb_ctx *cx);
/** engine.init: `maxevents` may be another one. */
enum pb_verdict pbi_on_init(struct pb_msg *m, struct pb_ctx *cx);

/* ---- Load (cmd_top.c) -------------------------------------------------------------------- */

#define PBI_BUSY_SECONDS 10

/** How long each loop was busy, as of the last seconds; a ring. */
struct pbi_busy {
	struct {
		uint64_t at_us, busy_us[PB_LOOPS_MAX], turns[PB_LOOPS_MAX];
	} taken[PBI_BUSY_SECONDS + 1];
	unsigned count; /* samples ever taken */
};

/** engine.timer: one more sample. */
enum pb_verdict pbi_on_second(struct pb_msg *m, struct pb_ctx *cx);
enum pb_verdict pbi_on_top(struct pb_msg *m, struct pb_ctx *cx);

/* ---- The module's shared state ------------------------------------------------------------- */

struct pbi_builtin {
	struct pbi_events events;
	struct pbi_busy busy;
};

/* ---- Other commands -------------------------------------------------------------------------- */

enum pb_verdict pbi_on_module(struct pb_msg *m, struct pb_ctx *cx);
enum pb_verdict pbi_on_control(struct pb_msg *m, struct pb_ctx *cx);
enum pb_verdict pbi_on_dispatcher(struct pb_msg *m, struct pb_ctx *cx);
/** engine.status of "dispatcher ...". */
enum pb_verdict pbi_on_dispatcher_status(struct pb_msg *m, struct pb_ctx *cx);
enum pb_verdict pbi_on_parked(struct pb_msg *m, struct pb_ctx *cx);
enum pb_verdict pbi_on_who_waits(struct pb_msg *m, struct pb_ctx *cx);
void pbi_merge_parked(struct pb_msg *m, struct pb_msg *const *parts, unsigned n, void *arg);
void pbi_merge_who_waits(struct pb_msg *m, struct pb_msg *const *parts, unsigned n, void *arg);
/** engine.status of "objects" and "objects NAME" (objects.c), on each loop, then added up. */
enum pb_verdict pbi_on_objects(struct pb_msg *m, struct pb_ctx *cx);
void pbi_merge_objects(struct pb_msg *m, struct pb_msg *const *parts, unsigned n, void *arg);

/* ---- For commands (commands.c) ------------------------------------------------------------------ */

/** The line of a command without its word. */
struct pb_str pbi_command_args(const struct pb_msg *m, const char *word);
/** Take `--json` off the end. @return whether it was there. */
bool pbi_take_json(struct pb_str *line);
/** The answer, and PB_HANDLED. Ends `t`. */
enum pb_verdict pbi_answer(struct pb_msg *m, struct pb_text *t);

/** Cut the answer to one screen, for a terminal that told its height. */
void pbi_page(struct pb_msg *m);
/** Words that a command's syntax offers behind it, those that begin with `part`, TAB separated. */
void pbi_syntax_words(struct pb_str syntax, struct pb_str part, struct pb_text *t);

#endif
