/*
 * Causes go by the error words of the bus. A called party that is busy, does not
 * answer or refuses, and a caller who gives up, have been served by the network
 * (ITU-T E.425: answer seizure ratio, network effectiveness ratio).
 */
#include "monitoring/quality.h"

#include <string.h>

const char *const quality_names[QUALITY_CAUSES] = { "Hangup",	"Busy",		"Rejected", "Cancelled",  "NoAnswer",
						    "NoRoute",	"NoConnection", "NoAuth",   "Congestion", "NoMedia" };

static enum quality_cause cause_of(struct pb_str reason)
{
	static const struct {
		const char *word;
		enum quality_cause cause;
	} words[] = {
		{ "busy", QUALITY_BUSY },	    { "rejected", QUALITY_REJECTED },
		{ "forbidden", QUALITY_REJECTED },  { "cancelled", QUALITY_CANCELLED },
		{ "canceled", QUALITY_CANCELLED },  { "noanswer", QUALITY_NO_ANSWER },
		{ "timeout", QUALITY_NO_ANSWER },   { "noroute", QUALITY_NO_ROUTE },
		{ "notfound", QUALITY_NO_ROUTE },   { "noconn", QUALITY_NO_CONNECTION },
		{ "offline", QUALITY_NO_CONNECTION }, { "noauth", QUALITY_NO_AUTH },
		{ "congestion", QUALITY_CONGESTION }, { "nomedia", QUALITY_NO_MEDIA },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (pb_str_ieq(reason, pb_str_z(words[i].word)))
			return words[i].cause;
	}
	return QUALITY_HANGUP;
}

static void count(struct quality_count *c, bool answered, enum quality_cause cause)
{
	bool by_party = cause == QUALITY_BUSY || cause == QUALITY_REJECTED || cause == QUALITY_CANCELLED ||
			cause == QUALITY_NO_ANSWER;

	c->calls++;
	c->answered += answered;
	c->delivered += answered || by_party;
	c->causes[cause]++;
}

void quality_add(struct quality *q, bool answered, struct pb_str reason)
{
	enum quality_cause cause = cause_of(reason);

	count(&q->present, answered, cause);
	count(&q->all, answered, cause);
}

void quality_turn(struct quality *q)
{
	memset(&q->present, 0, sizeof(q->present));
}

static int percent(uint64_t part, uint64_t whole)
{
	return whole ? (int)((part * 100 + whole / 2) / whole) : -1;
}

int quality_asr(const struct quality_count *c)
{
	return percent(c->answered, c->calls);
}

int quality_ner(const struct quality_count *c)
{
	return percent(c->delivered, c->calls);
}
