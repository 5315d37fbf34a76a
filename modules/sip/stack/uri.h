/*
 * SIP, SIPS and tel URIs: RFC 3261 section 19.1, RFC 3966.
 *
 * All parts are views into the text, escapes (%41) as written; nothing is
 * allocated. A blank in a URI is an error.
 */
#ifndef SIP_STACK_URI_H
#define SIP_STACK_URI_H

#include "base/text.h"

enum sip_scheme {
	SIP_SCHEME_SIP,
	SIP_SCHEME_SIPS,
	SIP_SCHEME_TEL,
	SIP_SCHEME_OTHER, /* some absolute URI; all after the colon is in `opaque` */
};

struct sip_uri {
	enum sip_scheme scheme;
	struct pb_str scheme_name;
	struct pb_str user;     /* absent: no user part; tel: the number */
	struct pb_str password; /* absent: none */
	struct pb_str host;     /* without the brackets of an IPv6 reference; tel: absent */
	bool host_ip6;
	uint16_t port;         /* 0: none given */
	struct pb_str params;  /* without the first ';'; absent: none. See sip_param_cut */
	struct pb_str headers; /* without the '?'; absent: none */
	struct pb_str opaque;  /* SIP_SCHEME_OTHER only */
};

/** @return 0, or -EINVAL; *u is zeroed but for what was read. */
int sip_uri_parse(struct pb_str s, struct sip_uri *u);

/** Equivalence by RFC 3261 section 19.1.4 (tel: RFC 3966 section 4). */
bool sip_uri_eq(const struct sip_uri *a, const struct sip_uri *b);

/**
 * A hash equal for equal URIs: scheme, user and host go into it. Keyed
 * (pb_hash).
 */
uint64_t sip_uri_hash(const struct sip_uri *u);

/**
 * Take the next parameter off `*list` (";a=b;c", the first ';' may be missing).
 * Quoted values may contain ';'. Name and value are trimmed; value absent when
 * there is no '='. False at the end.
 */
bool sip_param_cut(struct pb_str *list, struct pb_str *name, struct pb_str *value);
/**
 * The value of the first parameter of that name (any case): absent when there
 * is no such parameter, empty (not absent) when it has no value.
 */
struct pb_str sip_param(struct pb_str list, struct pb_str name);

/** Append with %XX decoded; a broken escape is copied as it stands. */
void sip_unescape(struct pb_text *out, struct pb_str s);
/** Append with all that a user part may not contain written as %XX. */
void sip_escape_user(struct pb_text *out, struct pb_str user);
/** Append the URI in its parts' own spelling. */
void sip_uri_print(struct pb_text *out, const struct sip_uri *u);

/** A host name, IPv4 address or (ip6) inner text of an IPv6 reference. */
bool sip_host_valid(struct pb_str host, bool ip6);

#endif
