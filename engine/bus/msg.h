/*
 * A message: a name, ordered parameters, a return value.
 *
 * It lives in its own arena and dies with it. One thread at a time touches it:
 * that of the loop it is dispatched on. Parameters keep their order and may
 * repeat; a parameter with an empty value is present. All text is copied in.
 */
#ifndef PB_BUS_MSG_H
#define PB_BUS_MSG_H

#include "base/arena.h"

/** All that one message may hold; beyond it pb_msg_failed() tells. */
#define PB_MSG_LIMIT_BYTES (1u << 20)

struct pb_msg;

struct pb_param {
	struct pb_str name, value; /* NUL behind both, not counted */
};

/**
 * A channel or flow, named without a pointer: whoever holds it asks the owner
 * loop, which answers "gone" when the generation has moved on.
 */
struct pb_handle {
	uint32_t slot, gen; /* gen 0: nothing */
	uint16_t loop;
};

static inline bool pb_handle_is_set(struct pb_handle h)
{
	return h.gen != 0;
}

/** @return NULL when there is no memory. Any thread. */
struct pb_msg *pb_msg_new(struct pb_str name);
/** Not while it is dispatched. */
void pb_msg_free(struct pb_msg **m);
/** Name, parameters, return value, flags, handle, deadline; not the dispatch. NULL: no memory for all of it. */
struct pb_msg *pb_msg_copy(const struct pb_msg *m);
/** Everything a copy takes, exchanged between two messages. */
void pb_msg_swap(struct pb_msg *a, struct pb_msg *b);

struct pb_str pb_msg_name(const struct pb_msg *m);
void pb_msg_set_name(struct pb_msg *m, struct pb_str name);
struct pb_str pb_msg_retval(const struct pb_msg *m);
void pb_msg_set_retval(struct pb_msg *m, struct pb_str text);
/**
 * The same object for the next question: new name, empty return value, new
 * time, tracking parameter removed; the other parameters stay.
 */
void pb_msg_again(struct pb_msg *m, struct pb_str name);

/** The first of that name; absent (p == NULL) when there is none. */
struct pb_str pb_msg_get(const struct pb_msg *m, struct pb_str name);
bool pb_msg_has(const struct pb_msg *m, struct pb_str name);
/** By the boolean words; absent or another word: `def`. */
bool pb_msg_get_bool(const struct pb_msg *m, struct pb_str name, bool def);
/** By the integer rules (base 0), clamped to lo..hi; else `def`. */
int64_t pb_msg_get_int(const struct pb_msg *m, struct pb_str name, int64_t def, int64_t lo, int64_t hi);
/** Overwrite the first of that name in place, or append. */
void pb_msg_set(struct pb_msg *m, struct pb_str name, struct pb_str value);
void pb_msg_set_bool(struct pb_msg *m, struct pb_str name, bool value);
void pb_msg_set_int(struct pb_msg *m, struct pb_str name, int64_t value);
void pb_msg_setf(struct pb_msg *m, struct pb_str name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/** Append, also when the name is there. */
void pb_msg_add(struct pb_msg *m, struct pb_str name, struct pb_str value);
/** Remove all of that name. */
void pb_msg_clear(struct pb_msg *m, struct pb_str name);
/** The same, and of all names that begin with it and `separator`: "a", "a.b" and "a.c". */
void pb_msg_clear_tree(struct pb_msg *m, struct pb_str name, char separator);

size_t pb_msg_count(const struct pb_msg *m);
/** In order; valid until the message is changed. */
const struct pb_param *pb_msg_at(const struct pb_msg *m, size_t i);

/** Microseconds since 1970 of creation (or of pb_msg_again). */
uint64_t pb_msg_time_us(const struct pb_msg *m);
void pb_msg_set_time_us(struct pb_msg *m, uint64_t us);
/** The same of when it was last queued and dispatched; 0 unless the bus traces times. */
uint64_t pb_msg_enqueued_us(const struct pb_msg *m);
uint64_t pb_msg_dispatched_us(const struct pb_msg *m);
bool pb_msg_broadcast(const struct pb_msg *m);
/** A broadcast visits every handler, whatever they answer. */
void pb_msg_set_broadcast(struct pb_msg *m, bool on);
/** The channel it is about ("user data"): never serialised. */
struct pb_handle pb_msg_chan(const struct pb_msg *m);
void pb_msg_set_chan(struct pb_msg *m, struct pb_handle h);

/** For what must live as long as the message. */
struct pb_arena *pb_msg_arena(struct pb_msg *m);
/** Did something not fit? Whoever built it asks once, at the end. */
bool pb_msg_failed(const struct pb_msg *m);

/* ---- Text form of the wire (scripts, machine mode): escapes ---------------- */

struct pb_text;
/** Octets < 0x20 and ':' become %X, % becomes %%; with `names` also '='. */
void pb_msg_escape(struct pb_text *t, struct pb_str s, bool names);
/**
 * NAME:RETVAL[:k=v...] with all escapes, as the lines of scripts and of machine
 * mode carry it. With `for_eyes` what the table of names calls secret is written
 * as (hidden): for who only watches.
 */
void pb_msg_write(struct pb_text *t, const struct pb_msg *m, bool for_eyes);
/**
 * The other way, into the arena. @return 0 and *out, or the offset of the
 * error + 1 as a negative number.
 */
ptrdiff_t pb_msg_unescape(struct pb_arena *a, struct pb_str s, struct pb_str *out);

/** Parameters as rows for `${name}` and `${name$default}` in a template. */
struct pb_str pb_msg_expand(const struct pb_msg *m, struct pb_str template_text, struct pb_arena *into);

#endif
