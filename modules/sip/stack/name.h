/*
 * Names that have numbers: headers, methods, reason phrases, cause words.
 *
 * All are rows of tables (hdr.def, method.def, name.c); nothing here allocates
 * or keeps state.
 */
#ifndef SIP_STACK_NAME_H
#define SIP_STACK_NAME_H

#include "base/str.h"

enum sip_hdr_id {
	SIP_HDR_OTHER, /* not in hdr.def: known by its name alone */
#define SIP_HDR(id, name, compact, flags) SIP_HDR_##id,
#include "sip/stack/hdr.def"
#undef SIP_HDR
	SIP_HDR_COUNT
};

enum sip_method {
	SIP_METHOD_OTHER, /* not in method.def: known by its name alone */
#define SIP_METHOD(id) SIP_##id,
#include "sip/stack/method.def"
#undef SIP_METHOD
	SIP_METHOD_COUNT
};

/** By full or compact name, without regard to case; SIP_HDR_OTHER if unknown. */
enum sip_hdr_id sip_hdr_id(struct pb_str name);
/** The full name in its usual spelling; absent for SIP_HDR_OTHER. */
struct pb_str sip_hdr_name(enum sip_hdr_id id);
/** The compact form, or 0. */
char sip_hdr_compact(enum sip_hdr_id id);
/** Whether a message may have at most one of it. */
bool sip_hdr_single(enum sip_hdr_id id);
/** Whether several rows of it are one comma-separated list. */
bool sip_hdr_list(enum sip_hdr_id id);

/** Methods are case-sensitive (RFC 3261 section 7.1). */
enum sip_method sip_method_id(struct pb_str name);
/** Absent for SIP_METHOD_OTHER. */
struct pb_str sip_method_name(enum sip_method id);

/** "Not Found" for 404; "Unknown Reason Code" when it is in no row. */
struct pb_str sip_reason_phrase(unsigned code);
/**
 * What a word of the bus (busy, noroute ...) or a numeric string is on the
 * wire; 0 when it is neither.
 */
unsigned sip_code_of_word(struct pb_str word);
/** The word for a code (486 is busy); absent when no row names the code. */
struct pb_str sip_word_of_code(unsigned code);

#endif
