/* The table of octets, made by the preprocessor out of the grammar's rules. */
#include "sip/stack/chars.h"

#define ALNUM(c)                                                                                   \
	(((c) >= '0' && (c) <= '9') || ((c) >= 'a' && (c) <= 'z') || ((c) >= 'A' && (c) <= 'Z'))
#define MARK(c)                                                                                    \
	((c) == '-' || (c) == '_' || (c) == '.' || (c) == '!' || (c) == '~' || (c) == '*' ||       \
	 (c) == '\'' || (c) == '(' || (c) == ')')
#define UNRESERVED(c) (ALNUM(c) || MARK(c))
#define TOKEN(c)                                                                                   \
	(ALNUM(c) || (c) == '-' || (c) == '.' || (c) == '!' || (c) == '%' || (c) == '*' ||         \
	 (c) == '_' || (c) == '+' || (c) == '`' || (c) == '\'' || (c) == '~')
#define PASSWORD(c)                                                                                \
	(UNRESERVED(c) || (c) == '&' || (c) == '=' || (c) == '+' || (c) == '$' || (c) == ',')
#define USER(c) (PASSWORD(c) || (c) == ';' || (c) == '?' || (c) == '/')
#define PARAM(c)                                                                                   \
	(UNRESERVED(c) || (c) == '[' || (c) == ']' || (c) == '/' || (c) == ':' || (c) == '&' ||    \
	 (c) == '+' || (c) == '$')
#define HEADER(c)                                                                                  \
	(UNRESERVED(c) || (c) == '[' || (c) == ']' || (c) == '/' || (c) == '?' || (c) == ':' ||    \
	 (c) == '+' || (c) == '$')
#define HOST(c) (ALNUM(c) || (c) == '-' || (c) == '.' || (c) == '_')
#define HEX(c)                                                                                     \
	(((c) >= '0' && (c) <= '9') || ((c) >= 'a' && (c) <= 'f') || ((c) >= 'A' && (c) <= 'F'))
#define BLANK(c) ((c) == ' ' || (c) == '\t' || (c) == '\r' || (c) == '\n')

#define C(c)                                                                                       \
	(TOKEN(c) * SIP_CH_TOKEN | USER(c) * SIP_CH_USER | PASSWORD(c) * SIP_CH_PASSWORD |         \
	 PARAM(c) * SIP_CH_PARAM | HEADER(c) * SIP_CH_HEADER | HOST(c) * SIP_CH_HOST |             \
	 HEX(c) * SIP_CH_HEX | BLANK(c) * SIP_CH_BLANK)
#define ROW(c)                                                                                     \
	C(c), C((c) + 1), C((c) + 2), C((c) + 3), C((c) + 4), C((c) + 5), C((c) + 6), C((c) + 7)

/* Octets from 128 on are in no class. */
const unsigned char sip_chars[256] = {
	ROW(0),  ROW(8),  ROW(16), ROW(24), ROW(32), ROW(40),  ROW(48),  ROW(56),
	ROW(64), ROW(72), ROW(80), ROW(88), ROW(96), ROW(104), ROW(112), ROW(120),
};

size_t sip_quoted_span(struct pb_str s)
{
	if (!s.n || s.p[0] != '"')
		return 0;
	for (size_t i = 1; i < s.n; i++) {
		if (s.p[i] == '\\')
			i++;
		else if (s.p[i] == '"')
			return i + 1;
	}
	return 0;
}
