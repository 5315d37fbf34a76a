/*
 * Header values, decoded when asked for: RFC 3261 section 20.
 *
 * Every reader takes a raw value and fills a struct of views into it. CR and LF
 * inside a value are folds and count as blanks. Readers answer 0 or -EINVAL.
 */
#ifndef SIP_STACK_VALUE_H
#define SIP_STACK_VALUE_H

#include "sip/stack/msg.h"
#include "sip/stack/uri.h"

/**
 * Take the part of `*list` before the next comma that is outside quotes and
 * <>, trimmed. As pb_str_cut: false after the last.
 */
bool sip_list_cut(struct pb_str *list, struct pb_str *item);

/** All values of all headers of one kind, one after the other. */
struct sip_values {
	const struct sip_msg *m;
	const struct sip_hdr *h; /* the next row to open */
	struct pb_str rest;
};

/*
 *     for (sip_values_init(&v, m, SIP_HDR_ROUTE); sip_values_next(&v, &item);)
 */
void sip_values_init(struct sip_values *v, const struct sip_msg *m, enum sip_hdr_id id);
/** Empty items (", ,") are left out. */
bool sip_values_next(struct sip_values *v, struct pb_str *item);

/** Whether a token stands in the lists of that header (any case): Supported, Require, Allow. */
bool sip_msg_has_token(const struct sip_msg *m, enum sip_hdr_id id, struct pb_str token);

/** name-addr or addr-spec with parameters: From, To, Contact, Route, Refer-To ... */
struct sip_addr {
	struct pb_str display; /* raw, quotes included; empty or absent: none */
	struct pb_str uri;     /* text between <>, or the bare URI */
	struct pb_str params;  /* of the header, without the first ';'; absent: none */
	bool star;             /* Contact: * */
	bool angle;            /* stood in <> */
};

int sip_addr_parse(struct pb_str item, struct sip_addr *a);
/** Append the display name without quotes and backslashes. */
void sip_unquote(struct pb_text *out, struct pb_str s);

struct sip_via {
	struct pb_str version;   /* "SIP/2.0" in its usual spelling or with blanks */
	struct pb_str transport; /* as written: UDP, TCP, TLS, WS ... */
	struct pb_str host;      /* without brackets */
	bool host_ip6;
	uint16_t port; /* 0: none given */
	struct pb_str params;
	struct pb_str branch, received, maddr; /* absent: not there */
	struct pb_str rport;                   /* absent: not there; empty: asked for, no value */
};

int sip_via_parse(struct pb_str item, struct sip_via *v);

struct sip_cseq {
	uint32_t number;
	enum sip_method method;
	struct pb_str method_name;
};

int sip_cseq_parse(struct pb_str value, struct sip_cseq *c);

struct sip_rack {
	uint32_t rseq;
	struct sip_cseq cseq;
};

int sip_rack_parse(struct pb_str value, struct sip_rack *r);

struct sip_contact {
	struct sip_addr addr;
	unsigned q; /* thousandths; 1000 when not given */
	bool has_expires;
	uint32_t expires_s; /* too large or unreadable: as RFC 3261 section 10.2.1.1, 3600 */
};

int sip_contact_parse(struct pb_str item, struct sip_contact *c);

struct sip_media_type {
	struct pb_str type, subtype, params;
};

/** Content-Type, one item of Accept. */
int sip_media_type_parse(struct pb_str value, struct sip_media_type *t);

/** Event, Subscription-State, Session-Expires, Replaces ...: a first word with parameters. */
struct sip_word {
	struct pb_str word, params;
};

int sip_word_parse(struct pb_str value, struct sip_word *w);

/** Expires, Max-Forwards, Min-SE ...: digits only; -EINVAL, -ERANGE over `max`. */
int sip_number_parse(struct pb_str value, uint32_t max, uint32_t *out);

/** A challenge or credentials: scheme and parameters, RFC 3261 section 20.7, RFC 7616. */
struct sip_auth {
	struct pb_str scheme;
	struct pb_str params; /* all of it, comma-separated; see sip_auth_param_cut */
	bool digest;          /* the scheme is Digest; what follows is set for it only */
	/* Values without their quotes (backslashes inside as written); absent: not there. */
	struct pb_str username, realm, nonce, uri, response, algorithm, cnonce, opaque, qop, nc;
	struct pb_str domain, stale, userhash;
};

int sip_auth_parse(struct pb_str value, struct sip_auth *a);
/** The next `name=value` of a->params; value with its quotes. */
bool sip_auth_param_cut(struct pb_str *list, struct pb_str *name, struct pb_str *value);

/** What every layer above asks of every message, decoded once. */
struct sip_core {
	struct sip_via via; /* the topmost */
	struct sip_addr from, to;
	struct pb_str from_tag, to_tag; /* absent: none */
	struct pb_str call_id;
	struct sip_cseq cseq;
	/* Which of the five could be decoded; what could not is zeroed. */
	bool has_via, has_from, has_to, has_call_id, has_cseq;
};

/** @return whether all five could be decoded. */
bool sip_core_read(const struct sip_msg *m, struct sip_core *core);

#endif
