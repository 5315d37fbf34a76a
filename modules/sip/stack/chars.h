/*
 * What an octet may be in SIP's grammar, RFC 3261 section 25.1: one table.
 */
#ifndef SIP_STACK_CHARS_H
#define SIP_STACK_CHARS_H

#include "base/str.h"

enum {
	SIP_CH_TOKEN = 1,
	SIP_CH_USER = 2,     /* user-unreserved; escapes apart */
	SIP_CH_PASSWORD = 4, /* the same for the password */
	SIP_CH_PARAM = 8,    /* paramchar of a URI */
	SIP_CH_HEADER = 16,  /* hname and hvalue of a URI */
	SIP_CH_HOST = 32,    /* letters, digits, '-', '.', and '_' that many names have */
	SIP_CH_HEX = 64,
	SIP_CH_BLANK = 128, /* space, tab, and CR and LF of a fold */
};

extern const unsigned char sip_chars[256];

static inline bool sip_is(char c, unsigned kind)
{
	return sip_chars[(unsigned char)c] & kind;
}

/** How many octets at the head of `s` are of that kind. */
static inline size_t sip_span(struct pb_str s, unsigned kind)
{
	size_t n = 0;

	while (n < s.n && sip_is(s.p[n], kind))
		n++;
	return n;
}

/** Not empty and all of that kind. */
static inline bool sip_all(struct pb_str s, unsigned kind)
{
	return s.n && sip_span(s, kind) == s.n;
}

/** Equal without regard to case; cheap when the lengths differ. */
static inline bool sip_same(struct pb_str a, struct pb_str b)
{
	return a.n == b.n && pb_str_ieq(a, b);
}

static inline bool sip_is_token(struct pb_str s)
{
	return sip_all(s, SIP_CH_TOKEN);
}

/** Without blanks (folds included) at both ends. */
static inline struct pb_str sip_trim(struct pb_str s)
{
	while (s.n && sip_is(s.p[0], SIP_CH_BLANK))
		s.p++, s.n--;
	while (s.n && sip_is(s.p[s.n - 1], SIP_CH_BLANK))
		s.n--;
	return s;
}

/**
 * The length of the quoted string at the head of `s`, quotes included; 0 when
 * there is none or it does not end. Any octet may follow a backslash.
 */
size_t sip_quoted_span(struct pb_str s);

#endif
