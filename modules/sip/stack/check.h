/*
 * Whether a message that could be read also makes sense: RFC 3261 section 8.2
 * and what RFC 4475 asks for.
 */
#ifndef SIP_STACK_CHECK_H
#define SIP_STACK_CHECK_H

#include "sip/stack/value.h"

struct sip_verdict {
	unsigned code;      /* 0: nothing wrong; else 400, 416, 505 ... */
	const char *reason; /* "Invalid CSeq"; NULL: the code's own phrase */
	bool answerable;    /* a request, not ACK, with enough of it readable for a response */
};

/**
 * Judge a message after sip_msg_parse, whatever that said (BAD gives 400 with
 * m->bad_why). For a response any code means: drop it. What is checked: version
 * (505); mandatory headers there, single ones not repeated; Via, From, To,
 * Call-ID, CSeq, Max-Forwards, Content-Length, Expires, Contact, Route and the
 * like well-formed and numbers in range; CSeq's method is the request's; the
 * Request-URI readable (400) and of a known scheme (416). Extensions (Require)
 * and methods are the caller's matter.
 *
 * @param core  Filled in either case with what could be decoded.
 */
struct sip_verdict sip_msg_check(const struct sip_msg *m, struct sip_core *core);

#endif
