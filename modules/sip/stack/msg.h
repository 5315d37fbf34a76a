/*
 * A SIP message read from bytes, RFC 3261 section 7.
 *
 * Reading allocates nothing and keeps nothing: a struct sip_msg is views into
 * the bytes it was read from, which must outlive it. One pass finds the start
 * line, every header (all kept, in order) and the body; values are decoded by
 * whoever asks (value.h, uri.h). Header rows hold offsets, so that a message
 * can be copied to other bytes cheaply (sip_msg_copy).
 */
#ifndef SIP_STACK_MSG_H
#define SIP_STACK_MSG_H

#include "base/arena.h"
#include "sip/stack/name.h"

enum {
	SIP_MSG_LIMIT = 65535,    /* bytes of a message; offsets have 16 bits */
	SIP_HDRS_LIMIT = 200,     /* header rows of a message */
	SIP_HDR_LIMIT = 8192,     /* bytes of one header, name to line end, folds included */
	SIP_KEEPALIVE_LIMIT = 64, /* bytes of empty lines before a start line */
};

/** One header as it stood in the message. */
struct sip_hdr {
	uint16_t name_at, name_n;   /* offsets from sip_msg.raw.p */
	uint16_t value_at, value_n; /* without blanks at both ends */
	uint8_t id;                 /* enum sip_hdr_id */
	uint8_t next;               /* next row of the same id, plus one; 0 for the last */
	bool folded;                /* the value contains line folds (CR LF blank) */
};

enum sip_parse {
	SIP_PARSE_OK,
	SIP_PARSE_MORE, /* stream only: right so far, not all there */
	SIP_PARSE_BAD,
};

struct sip_msg {
	struct pb_str raw; /* start line to end of the body: what of the input was used */

	bool request;
	enum sip_method method;    /* of a request, or what CSeq of a response says */
	struct pb_str method_name; /* request */
	struct pb_str uri;         /* request */
	struct pb_str version;     /* "SIP/2.0" in a message that passes sip_msg_check */
	unsigned status;           /* response: 100..699, 0 when unreadable; request: 0 */
	struct pb_str reason;      /* response; may be empty */

	struct pb_str body; /* never absent; empty when there is none */

	/* The first thing wrong with it (SIP_PARSE_BAD), else bad_why is NULL. */
	const char *bad_why; /* "Invalid Content-Length": fit for a reason phrase */
	unsigned bad_code;   /* 400, or 513 for a limit of ours */
	size_t bad_at;       /* offset in the input */

	uint8_t first[SIP_HDR_COUNT]; /* first row of each id, plus one; 0 for none */
	unsigned hdr_n;
	struct sip_hdr hdr[SIP_HDRS_LIMIT]; /* [0..hdr_n) is set, the rest is not */
};

/**
 * Read a whole datagram. Empty lines before the start line are skipped. Body is
 * what Content-Length says (the rest of the datagram when it says nothing); a
 * longer datagram's rest is ignored.
 *
 * @return SIP_PARSE_OK, or SIP_PARSE_BAD. After BAD the message still holds all
 *         that could be read: every view in it is valid, so that the caller may
 *         ask sip_msg_check what to answer, and whether it can.
 */
enum sip_parse sip_msg_parse(struct sip_msg *m, struct pb_str datagram);

/**
 * Read the message at the head of a stream. Every proper prefix of a good
 * message answers MORE. OK: m->raw ends where the next message begins. BAD: the
 * stream cannot be read further; as above for what can be answered.
 *
 * @param scanned  0 for a new message, else as the last MORE left it: bytes
 *                 already searched for the end of the header, so that a
 *                 dripping peer costs linear time.
 */
enum sip_parse sip_msg_parse_stream(struct sip_msg *m, struct pb_str in, size_t *scanned);

/** A view of the header's name as it was written. */
static inline struct pb_str sip_hdr_text_name(const struct sip_msg *m, const struct sip_hdr *h)
{
	return (struct pb_str){ m->raw.p + h->name_at, h->name_n };
}

/**
 * The raw value. When h->folded, CR and LF inside are blanks: all readers of
 * value.h take them so; sip_hdr_unfold gives clean text.
 */
static inline struct pb_str sip_hdr_value(const struct sip_msg *m, const struct sip_hdr *h)
{
	return (struct pb_str){ m->raw.p + h->value_at, h->value_n };
}

/** First header of that id, or NULL. O(1). */
static inline const struct sip_hdr *sip_msg_first(const struct sip_msg *m, enum sip_hdr_id id)
{
	return m->first[id] ? &m->hdr[m->first[id] - 1] : NULL;
}

/** Next header of the same id, or NULL. O(1). */
static inline const struct sip_hdr *sip_msg_next(const struct sip_msg *m, const struct sip_hdr *h)
{
	return h->next ? &m->hdr[h->next - 1] : NULL;
}

/** Raw value of the first header of that id; absent when there is none. */
static inline struct pb_str sip_msg_value(const struct sip_msg *m, enum sip_hdr_id id)
{
	const struct sip_hdr *h = sip_msg_first(m, id);

	return h ? sip_hdr_value(m, h) : PB_STR_NULL;
}

/** First header of that name (full or compact, any case), or NULL. */
const struct sip_hdr *sip_msg_find(const struct sip_msg *m, struct pb_str name);

/** The value with each fold replaced by one space; a view when there is none. */
struct pb_str sip_hdr_unfold(const struct sip_msg *m, const struct sip_hdr *h, struct pb_arena *a);

/**
 * A copy of message and bytes that lives in `a`, with only as many header rows
 * as there are. NULL when the arena has failed.
 */
const struct sip_msg *sip_msg_copy(const struct sip_msg *m, struct pb_arena *a);

#endif
