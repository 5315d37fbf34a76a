/*
 * Writing SIP messages: append freely, ask once at the end.
 *
 * A message is begun (request, response, ACK, CANCEL), given headers, and ended
 * with its body, which writes Content-Type and Content-Length. No value from
 * outside can become a line of its own: CR, LF or NUL in any argument makes the
 * build fail. What is copied from a message that was read is unfolded on the
 * way. Long-hand header names are written.
 */
#ifndef SIP_STACK_BUILD_H
#define SIP_STACK_BUILD_H

#include "base/text.h"
#include "sip/stack/value.h"

struct sip_build {
	struct pb_text *out;
	bool bad; /* a value was refused */
	bool ended;
};

/** Begin a request in `out`, which is not emptied first. */
void sip_build_request(struct sip_build *b, struct pb_text *out, struct pb_str method,
		       struct pb_str uri);

struct sip_answer {
	unsigned code;
	struct pb_str reason;   /* absent: the code's phrase */
	struct pb_str to_tag;   /* added when To has none; absent: none. Never to a 100 */
	struct pb_str received; /* source IP address, text without brackets */
	uint16_t rport;         /* source port */
};

/**
 * Begin the response to `req`: all Vias, From, To, Call-ID and CSeq as they
 * stood (those that are there, so that a request without may be told so),
 * Record-Route in a 101 to 299, Timestamp in a 100. The top Via gets received= when a->received is
 * present and differs from its host or rport was asked for, and rport's value
 * (RFC 3581 section 4).
 */
void sip_build_response(struct sip_build *b, struct pb_text *out, const struct sip_msg *req,
			const struct sip_answer *a);

/**
 * The ACK that the INVITE transaction sends for a final response of 300 and
 * more (RFC 3261 section 17.1.1.3), whole: To is the response's.
 *
 * @return as sip_build_end.
 */
int sip_build_ack(struct pb_text *out, const struct sip_msg *invite,
		  const struct sip_msg *response);
/** The CANCEL for a request that was sent (section 9.1), whole. */
int sip_build_cancel(struct pb_text *out, const struct sip_msg *request);

/** A header by number; LIST headers may be added again. */
void sip_build_hdr(struct sip_build *b, enum sip_hdr_id id, struct pb_str value);
/** A header by name, which must be a token. */
void sip_build_named(struct sip_build *b, struct pb_str name, struct pb_str value);
void sip_build_number(struct sip_build *b, enum sip_hdr_id id, uint64_t value);
/** All headers of that id of another message, in order, unfolded. */
void sip_build_copy(struct sip_build *b, const struct sip_msg *from, enum sip_hdr_id id);

struct sip_via_args {
	struct pb_str transport; /* "UDP" */
	struct pb_str host;      /* brackets are put around an IPv6 address */
	uint16_t port;           /* 0: none */
	struct pb_str branch;    /* whole, with its z9hG4bK */
	bool rport;
};

void sip_build_via(struct sip_build *b, const struct sip_via_args *v);
void sip_build_cseq(struct sip_build *b, uint32_t number, struct pb_str method);

struct sip_addr_args {
	struct pb_str display; /* plain text, quoted as needed; absent or empty: none */
	struct pb_str uri;     /* without <> */
	struct pb_str tag;     /* absent: none */
	struct pb_str params;  /* further ones, without the first ';'; absent: none */
};

/** `"display" <uri>;tag=...;params` */
void sip_build_addr(struct sip_build *b, enum sip_hdr_id id, const struct sip_addr_args *a);

/** Append `text` in quotes, quotes and backslashes in it escaped. */
void sip_quote(struct pb_text *out, struct pb_str text);

/**
 * End the message: Content-Type when `type` is present, Content-Length, the
 * empty line, the body (any octets).
 *
 * @return 0, -EINVAL (a value was refused), -ENOSPC (the text did not fit); the
 *         text must not be sent then.
 */
int sip_build_end(struct sip_build *b, struct pb_str type, struct pb_str body);

#endif
