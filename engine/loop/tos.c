/* Words for the octet that routers sort packets by. */
#include <errno.h>

#include "loop/world.h"

#define CLASS(dscp) ((dscp) << 2)

int pb_tos_parse(struct pb_str text, uint8_t *out)
{
	static const struct {
		const char *word;
		uint8_t value;
	} words[] = {
		{ "lowdelay", 0x10 }, { "throughput", 0x08 }, { "reliability", 0x04 }, { "mincost", 0x02 },
		{ "expedited", CLASS(46) }, { "voice", CLASS(44) },
	};
	int64_t n;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (pb_str_eq(text, pb_str_z(words[i].word))) {
			*out = words[i].value;
			return 0;
		}
	}
	if (text.n == 3 && pb_str_starts(text, PB_STR("cs")) && text.p[2] >= '0' && text.p[2] <= '7') {
		*out = (uint8_t)CLASS((text.p[2] - '0') * 8);
		return 0;
	}
	if (text.n == 4 && pb_str_starts(text, PB_STR("af")) && text.p[2] >= '1' && text.p[2] <= '4' &&
	    text.p[3] >= '1' && text.p[3] <= '3') {
		*out = (uint8_t)CLASS((text.p[2] - '0') * 8 + (text.p[3] - '0') * 2);
		return 0;
	}
	if (pb_str_to_i64(text, 0, 0, 255, &n))
		return -EINVAL;
	*out = (uint8_t)n;
	return 0;
}
