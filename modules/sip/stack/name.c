/*
 * The tables of names, and looking things up in them.
 *
 * Headers are found by first letter and length: hdr.def is sorted, so the rows
 * of one letter stand together, and few of them share a length. That costs some
 * ten comparisons of small integers, needs no generated hash and no start-up
 * code. A test checks the two tables of letters against the rows.
 */
#include "sip/stack/name.h"

enum { LIST = 1, ONE = 2 };

struct hdr_row {
	struct pb_str name;
	char compact;
	unsigned char flags;
};

static const struct hdr_row hdrs[SIP_HDR_COUNT] = {
#define SIP_HDR(id, name, compact, flags) [SIP_HDR_##id] = { PB_STR_INIT(name), compact, flags },
#include "sip/stack/hdr.def"
#undef SIP_HDR
};

/* Lengths beside each other, for the scan over the rows of a letter. */
static const unsigned char hdr_len[SIP_HDR_COUNT] = {
#define SIP_HDR(id, name, compact, flags) [SIP_HDR_##id] = sizeof(name) - 1,
#include "sip/stack/hdr.def"
#undef SIP_HDR
};

/* Compact forms, RFC 3261 section 7.3.3 and the later ones. */
static const unsigned char compact[26] = {
	['a' - 'a'] = SIP_HDR_ACCEPT_CONTACT,
	['b' - 'a'] = SIP_HDR_REFERRED_BY,
	['c' - 'a'] = SIP_HDR_CONTENT_TYPE,
	['d' - 'a'] = SIP_HDR_REQUEST_DISPOSITION,
	['e' - 'a'] = SIP_HDR_CONTENT_ENCODING,
	['f' - 'a'] = SIP_HDR_FROM,
	['i' - 'a'] = SIP_HDR_CALL_ID,
	['j' - 'a'] = SIP_HDR_REJECT_CONTACT,
	['k' - 'a'] = SIP_HDR_SUPPORTED,
	['l' - 'a'] = SIP_HDR_CONTENT_LENGTH,
	['m' - 'a'] = SIP_HDR_CONTACT,
	['n' - 'a'] = SIP_HDR_IDENTITY_INFO,
	['o' - 'a'] = SIP_HDR_EVENT,
	['r' - 'a'] = SIP_HDR_REFER_TO,
	['s' - 'a'] = SIP_HDR_SUBJECT,
	['t' - 'a'] = SIP_HDR_TO,
	['u' - 'a'] = SIP_HDR_ALLOW_EVENTS,
	['v' - 'a'] = SIP_HDR_VIA,
	['x' - 'a'] = SIP_HDR_SESSION_EXPIRES,
	['y' - 'a'] = SIP_HDR_IDENTITY,
};

/* The first row whose name begins with this letter or a later one. */
static const unsigned char letter[27] = {
	['a' - 'a'] = SIP_HDR_ACCEPT,
	['b' - 'a'] = SIP_HDR_CALL_ID,
	['c' - 'a'] = SIP_HDR_CALL_ID,
	['d' - 'a'] = SIP_HDR_DATE,
	['e' - 'a'] = SIP_HDR_ERROR_INFO,
	['f' - 'a'] = SIP_HDR_FEATURE_CAPS,
	['g' - 'a'] = SIP_HDR_GEOLOCATION,
	['h' - 'a'] = SIP_HDR_HISTORY_INFO,
	['i' - 'a'] = SIP_HDR_IDENTITY,
	['j' - 'a'] = SIP_HDR_JOIN,
	['k' - 'a'] = SIP_HDR_MAX_BREADTH,
	['l' - 'a'] = SIP_HDR_MAX_BREADTH,
	['m' - 'a'] = SIP_HDR_MAX_BREADTH,
	['n' - 'a'] = SIP_HDR_ORGANIZATION,
	['o' - 'a'] = SIP_HDR_ORGANIZATION,
	['p' - 'a'] = SIP_HDR_P_ACCESS_NETWORK_INFO,
	['q' - 'a'] = SIP_HDR_RACK,
	['r' - 'a'] = SIP_HDR_RACK,
	['s' - 'a'] = SIP_HDR_SECURITY_CLIENT,
	['t' - 'a'] = SIP_HDR_TARGET_DIALOG,
	['u' - 'a'] = SIP_HDR_UNSUPPORTED,
	['v' - 'a'] = SIP_HDR_VIA,
	['w' - 'a'] = SIP_HDR_WARNING,
	['x' - 'a'] = SIP_HDR_COUNT,
	['y' - 'a'] = SIP_HDR_COUNT,
	['z' - 'a'] = SIP_HDR_COUNT,
	[26] = SIP_HDR_COUNT,
};

enum sip_hdr_id sip_hdr_id(struct pb_str name)
{
	unsigned c, id;

	if (!name.n || !pb_is_alpha(name.p[0]))
		return SIP_HDR_OTHER;
	c = (unsigned)(pb_to_lower(name.p[0]) - 'a');
	if (name.n == 1)
		return (enum sip_hdr_id)compact[c];
	for (id = letter[c]; id < letter[c + 1]; id++)
		if (hdr_len[id] == name.n && pb_str_ieq(hdrs[id].name, name))
			return (enum sip_hdr_id)id;
	return SIP_HDR_OTHER;
}

struct pb_str sip_hdr_name(enum sip_hdr_id id)
{
	return hdrs[id].name;
}

char sip_hdr_compact(enum sip_hdr_id id)
{
	return hdrs[id].compact;
}

bool sip_hdr_single(enum sip_hdr_id id)
{
	return hdrs[id].flags & ONE;
}

bool sip_hdr_list(enum sip_hdr_id id)
{
	return hdrs[id].flags & LIST;
}

static const struct pb_str methods[SIP_METHOD_COUNT] = {
#define SIP_METHOD(id) [SIP_##id] = PB_STR_INIT(#id),
#include "sip/stack/method.def"
#undef SIP_METHOD
};

enum sip_method sip_method_id(struct pb_str name)
{
	for (unsigned id = SIP_METHOD_OTHER + 1; id < SIP_METHOD_COUNT; id++)
		if (pb_str_eq(methods[id], name))
			return (enum sip_method)id;
	return SIP_METHOD_OTHER;
}

struct pb_str sip_method_name(enum sip_method id)
{
	return methods[id];
}

static const struct reason_row {
	unsigned code;
	struct pb_str phrase;
} reasons[] = {
	{ 100, PB_STR_INIT("Trying") },
	{ 180, PB_STR_INIT("Ringing") },
	{ 181, PB_STR_INIT("Call Is Being Forwarded") },
	{ 182, PB_STR_INIT("Queued") },
	{ 183, PB_STR_INIT("Session Progress") },
	{ 200, PB_STR_INIT("OK") },
	{ 202, PB_STR_INIT("Accepted") },
	{ 300, PB_STR_INIT("Multiple Choices") },
	{ 301, PB_STR_INIT("Moved Permanently") },
	{ 302, PB_STR_INIT("Moved Temporarily") },
	{ 303, PB_STR_INIT("See Other") },
	{ 305, PB_STR_INIT("Use Proxy") },
	{ 380, PB_STR_INIT("Alternative Service") },
	{ 400, PB_STR_INIT("Bad Request") },
	{ 401, PB_STR_INIT("Unauthorized") },
	{ 402, PB_STR_INIT("Payment Required") },
	{ 403, PB_STR_INIT("Forbidden") },
	{ 404, PB_STR_INIT("Not Found") },
	{ 405, PB_STR_INIT("Method Not Allowed") },
	{ 406, PB_STR_INIT("Not Acceptable") },
	{ 407, PB_STR_INIT("Proxy Authentication Required") },
	{ 408, PB_STR_INIT("Request Timeout") },
	{ 409, PB_STR_INIT("Conflict") },
	{ 410, PB_STR_INIT("Gone") },
	{ 411, PB_STR_INIT("Length Required") },
	{ 412, PB_STR_INIT("Conditional Request Failed") },
	{ 413, PB_STR_INIT("Request Entity Too Large") },
	{ 414, PB_STR_INIT("Request-URI Too Long") },
	{ 415, PB_STR_INIT("Unsupported Media Type") },
	{ 416, PB_STR_INIT("Unsupported URI Scheme") },
	{ 417, PB_STR_INIT("Unknown Resource-Priority") },
	{ 420, PB_STR_INIT("Bad Extension") },
	{ 421, PB_STR_INIT("Extension Required") },
	{ 422, PB_STR_INIT("Session Timer Too Small") },
	{ 423, PB_STR_INIT("Interval Too Brief") },
	{ 424, PB_STR_INIT("Bad Location Information") },
	{ 428, PB_STR_INIT("Use Identity Header") },
	{ 429, PB_STR_INIT("Provide Referrer Identity") },
	{ 430, PB_STR_INIT("Flow Failed") },
	{ 433, PB_STR_INIT("Anonymity Disallowed") },
	{ 436, PB_STR_INIT("Bad Identity-Info") },
	{ 437, PB_STR_INIT("Unsupported Certificate") },
	{ 438, PB_STR_INIT("Invalid Identity Header") },
	{ 439, PB_STR_INIT("First Hop Lacks Outbound Support") },
	{ 440, PB_STR_INIT("Max-Breadth Exceeded") },
	{ 469, PB_STR_INIT("Bad Info Package") },
	{ 470, PB_STR_INIT("Consent Needed") },
	{ 480, PB_STR_INIT("Temporarily Unavailable") },
	{ 481, PB_STR_INIT("Call/Transaction Does Not Exist") },
	{ 482, PB_STR_INIT("Loop Detected") },
	{ 483, PB_STR_INIT("Too Many Hops") },
	{ 484, PB_STR_INIT("Address Incomplete") },
	{ 485, PB_STR_INIT("Ambiguous") },
	{ 486, PB_STR_INIT("Busy Here") },
	{ 487, PB_STR_INIT("Request Terminated") },
	{ 488, PB_STR_INIT("Not Acceptable Here") },
	{ 489, PB_STR_INIT("Bad Event") },
	{ 491, PB_STR_INIT("Request Pending") },
	{ 493, PB_STR_INIT("Undecipherable") },
	{ 494, PB_STR_INIT("Security Agreement Required") },
	{ 500, PB_STR_INIT("Server Internal Error") },
	{ 501, PB_STR_INIT("Not Implemented") },
	{ 502, PB_STR_INIT("Bad Gateway") },
	{ 503, PB_STR_INIT("Service Unavailable") },
	{ 504, PB_STR_INIT("Server Time-out") },
	{ 505, PB_STR_INIT("Version Not Supported") },
	{ 513, PB_STR_INIT("Message Too Large") },
	{ 514, PB_STR_INIT("Response Cannot Be Sent Safely") },
	{ 515, PB_STR_INIT("Response requires congestion management") },
	{ 516, PB_STR_INIT("Proxying of request would induce fragmentation") },
	{ 580, PB_STR_INIT("Precondition Failure") },
	{ 600, PB_STR_INIT("Busy Everywhere") },
	{ 603, PB_STR_INIT("Decline") },
	{ 604, PB_STR_INIT("Does Not Exist Anywhere") },
	{ 606, PB_STR_INIT("Not Acceptable") },
};

/* First match wins in both directions; the first code is the one sent. */
static const struct word_row {
	struct pb_str word;
	unsigned code, also;
} words[] = {
	{ PB_STR_INIT("incomplete"), 484, 0 },
	{ PB_STR_INIT("noroute"), 404, 604 },
	{ PB_STR_INIT("noconn"), 503, 408 },
	{ PB_STR_INIT("noauth"), 401, 0 },
	{ PB_STR_INIT("noautoauth"), 401, 0 },
	{ PB_STR_INIT("nomedia"), 415, 0 },
	{ PB_STR_INIT("nocall"), 481, 0 },
	{ PB_STR_INIT("busy"), 486, 600 },
	{ PB_STR_INIT("noanswer"), 480, 487 },
	{ PB_STR_INIT("rejected"), 406, 606 },
	{ PB_STR_INIT("forbidden"), 403, 603 },
	{ PB_STR_INIT("offline"), 404, 0 },
	{ PB_STR_INIT("congestion"), 480, 0 },
	{ PB_STR_INIT("unallocated"), 410, 0 },
	{ PB_STR_INIT("moved"), 410, 0 },
	{ PB_STR_INIT("failure"), 500, 0 },
	{ PB_STR_INIT("pending"), 491, 0 },
	{ PB_STR_INIT("looping"), 483, 0 },
	{ PB_STR_INIT("timeout"), 408, 504 },
	{ PB_STR_INIT("postdialdelay"), 504, 0 },
	{ PB_STR_INIT("service-not-implemented"), 501, 0 },
	{ PB_STR_INIT("unimplemented"), 501, 0 },
	{ PB_STR_INIT("service-unavailable"), 503, 0 },
	{ PB_STR_INIT("unacceptable"), 488, 0 },
	{ PB_STR_INIT("noresource"), 503, 0 },
	{ PB_STR_INIT("interworking"), 500, 400 },
	{ PB_STR_INIT("invalid-message"), 400, 0 },
	{ PB_STR_INIT("protocol-error"), 400, 0 },
};

struct pb_str sip_reason_phrase(unsigned code)
{
	size_t lo = 0, hi = sizeof(reasons) / sizeof(reasons[0]);

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (reasons[mid].code == code)
			return reasons[mid].phrase;
		if (reasons[mid].code < code)
			lo = mid + 1;
		else
			hi = mid;
	}
	return PB_STR("Unknown Reason Code");
}

unsigned sip_code_of_word(struct pb_str word)
{
	uint32_t code;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (pb_str_eq(words[i].word, word))
			return words[i].code;
	if (pb_str_to_u32(word, 100, 699, &code))
		return 0;
	return code;
}

struct pb_str sip_word_of_code(unsigned code)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (code && (words[i].code == code || words[i].also == code))
			return words[i].word;
	return PB_STR_NULL;
}
