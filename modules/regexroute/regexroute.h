/* The module around the rules: state, entry points, walks under way. */
#ifndef REGEXROUTE_REGEXROUTE_H
#define REGEXROUTE_REGEXROUTE_H

#include <stdatomic.h>

#include "regexroute/eval.h"
#include "regexroute/settings.h"

/** Made at start on the home loop. */
struct regex_shared {
	struct regex_vars *vars;
	atomic_uint dispatching; /* `dispatch` actions under way */
	struct pb_list points;   /* home loop only */
	size_t extra;            /* of them made by [extra]; home loop only */
};

/** On each loop. */
struct regex_loop {
	struct pb_ctx *cx;
	struct regex_env env;
	struct regex_job *spare; /* for the next walk */
	struct pb_list parked;   /* walks that hold their message */
	size_t processing;
	bool stopped;
};

extern struct pb_log_source regex_log;
/** What the `debug` action says, with rex_debug=yes. */
extern struct pb_log_source regex_rex_log;

enum regex_log_id {
	REGEX_LOG_COMPLAINT,
	REGEX_LOG_ENQUEUE,
	REGEX_LOG_DISPATCH,
	REGEX_LOG_RENAME,
	REGEX_LOG_NO_MEMORY,
	REGEX_LOG_NO_HANDLER,
	REGEX_LOG_ROUTED,
	REGEX_LOG_NOT_ROUTED,
	REGEX_LOG_CLASSIFIED,
	REGEX_LOG_NOT_CLASSIFIED,
};
extern const struct pb_log_row regex_log_rows[];

/* ---- walk.c ------------------------------------------------------------------- */

void regex_walk_init(struct regex_loop *on, struct pb_ctx *cx);
/** Give up what is held: the messages are the bus's. */
void regex_walk_fini(struct regex_loop *on);
/** Ask the rules of `context` about a message. */
enum pb_verdict regex_walk(struct pb_msg *m, struct pb_ctx *cx, enum regex_kind kind,
			   struct pb_str context, struct pb_str text);

/* ---- point.c -------------------------------------------------------------------- */

/** Make the registered handlers those of the settings. @thread home loop. */
int regex_points_sync(struct pb_ctx *cx);
void regex_points_drop(struct pb_ctx *cx);

#endif
