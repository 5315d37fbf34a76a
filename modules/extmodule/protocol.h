/*
 * The line protocol of external scripts: lines taken from bytes, lines taken
 * apart, lines built. Nothing here has a connection, a clock or a state.
 *
 *     %%>install:80:call.route          a request of the script
 *     %%<install:80:call.route:true     its answer
 *
 * Everything that is taken apart views the line or the arena it is decoded
 * into; nothing outlives those.
 */
#ifndef EXTMODULE_PROTOCOL_H
#define EXTMODULE_PROTOCOL_H

#include "base/text.h"
#include "bus/msg.h"

/** What a script may ask. */
enum ext_verb {
	EXT_UNKNOWN, /* to be answered with "Error in: LINE" */
	EXT_CONNECT,
	EXT_MESSAGE, /* a new message */
	EXT_ANSWER,  /* to one that it was handed */
	EXT_INSTALL,
	EXT_UNINSTALL,
	EXT_WATCH,
	EXT_UNWATCH,
	EXT_SETLOCAL,
	EXT_OUTPUT,
	EXT_DEBUG,
	EXT_QUIT,
};

/**
 * Take the first line off `*bytes`: up to LF or NUL, without a CR before it.
 * False when no line has ended yet; `*bytes` is then as it was.
 */
bool ext_line_cut(struct pb_str *bytes, struct pb_str *line);

/** Which verb begins `line`; `*rest` is what follows its keyword and colon. */
enum ext_verb ext_line_verb(struct pb_str line, struct pb_str *rest);

/* ---- The script's lines. 0, or -EINVAL: malformed; `a` holds decoded text -- */

struct ext_connect {
	struct pb_str role; /* "global", "channel", or whatever it said */
};
void ext_parse_connect(struct pb_str rest, struct ext_connect *out);

struct ext_install {
	int64_t priority;          /* as echoed; 100 when it was no number */
	struct pb_str name;        /* literal, not decoded */
	struct pb_str filter_name; /* absent: no filter */
	struct pb_str filter_value;
};
int ext_parse_install(struct pb_str rest, struct pb_arena *a, struct ext_install *out);

struct ext_setlocal {
	struct pb_str name, value;
};
int ext_parse_setlocal(struct pb_str rest, struct ext_setlocal *out);

struct ext_debug {
	int level; /* 1..10, 10 when it was none of these */
	struct pb_str text;
};
int ext_parse_debug(struct pb_str rest, struct pb_arena *a, struct ext_debug *out);

struct ext_message {
	struct pb_str id; /* empty: no answer wanted */
	uint64_t time_s;  /* 0: now */
	struct pb_str name;
	struct pb_str retval;
	struct pb_str params; /* for ext_param_cut */
};
int ext_parse_message(struct pb_str rest, struct pb_arena *a, struct ext_message *out);

struct ext_answer {
	struct pb_str id;
	bool processed;
	struct pb_str name;   /* empty: keeps its name */
	struct pb_str retval; /* absent: keeps it; empty: clears it */
	struct pb_str params;
};
/**
 * The first two fields only, which stand even when the rest is malformed: id
 * and `processed`, the rest into `*rest`. -EINVAL: not even those.
 */
int ext_parse_answer_head(struct pb_str *rest, struct pb_arena *a, struct ext_answer *out);
int ext_parse_answer_body(struct pb_str rest, struct pb_arena *a, struct ext_answer *out);

/**
 * Take the next parameter off `*params`: name and value, the value absent when
 * there was no '=' (remove it). Empty fields are skipped.
 *
 * @return 1, 0 (no more), -EINVAL (empty name, bad escape).
 */
int ext_param_cut(struct pb_str *params, struct pb_arena *a, struct pb_param *out);

/* ---- The engine's lines, each with its LF ------------------------------------ */

/** %%>message:ID:TIME:NAME:RETVAL[:k=v...], handed over to be answered. */
void ext_put_delivery(struct pb_text *t, struct pb_str id, const struct pb_msg *m);
/** %%<message:ID:HANDLED:NAME:RETVAL[:k=v...], an own one's result or a watched one (id empty). */
void ext_put_result(struct pb_text *t, struct pb_str id, bool handled, const struct pb_msg *m);
/** %%<install:PRIO:NAME:OK; the keyword is "install" or "uninstall". */
void ext_put_installed(struct pb_text *t, struct pb_str keyword, int64_t priority,
		       struct pb_str name, bool ok);
/** %%<watch:NAME:OK; the keyword is "watch" or "unwatch". */
void ext_put_watched(struct pb_text *t, struct pb_str keyword, struct pb_str name, bool ok);
/** %%<setlocal:NAME:VALUE:OK; the value is not escaped, but stays one line. */
void ext_put_setlocal(struct pb_text *t, struct pb_str name, struct pb_str value, bool ok);
/** Error in: LINE */
void ext_put_error(struct pb_text *t, struct pb_str line);

#endif
