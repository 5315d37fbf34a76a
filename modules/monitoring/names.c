/* One row a name; names of causes are made of theirs: currentBusyEndCause. */
#include "monitoring/names.h"

#include "monitoring/quality.h"

#define STATUS(text, module, item) { PB_STR_INIT(text), MONITOR_STATUS, module, item, 0 }
#define ROW(text, from, number) { PB_STR_INIT(text), from, NULL, NULL, number }

static const struct monitor_name rows[] = {
	STATUS("plugins", "engine", "plugins"),
	STATUS("handlers", "engine", "handlers"),
	STATUS("messages", "engine", "messages"),
	STATUS("msgMaxQueued", "engine", "maxqueue"),
	STATUS("msgLastSecond", "engine", "messagerate"),
	STATUS("msgMaxPerSecond", "engine", "maxmsgrate"),
	STATUS("msgEnqueued", "engine", "enqueued"),
	STATUS("msgDequeued", "engine", "dequeued"),
	STATUS("msgDispatched", "engine", "dispatched"),
	STATUS("threads", "engine", "threads"),
	STATUS("workers", "engine", "workers"),
	STATUS("mutexes", "engine", "mutexes"),
	STATUS("locks", "engine", "locks"),
	STATUS("semaphores", "engine", "semaphores"),
	STATUS("waitingSemaphores", "engine", "waiting"),
	STATUS("acceptStatus", "engine", "acceptcalls"),
	STATUS("runAttempt", "engine", "runattempt"),
	{ PB_STR_INIT("name"), MONITOR_RUN, NULL, "nodename", 0 },
	ROW("state", MONITOR_STATE, 0),
	ROW("unexpectedRestart", MONITOR_RESTARTED, 0),
	ROW("moduleCount", MONITOR_MODULE, 0),
	ROW("moduleIndex", MONITOR_MODULE, 1),
	{ PB_STR_INIT("moduleName"), MONITOR_MODULE, NULL, "name", 2 },
	{ PB_STR_INIT("moduleType"), MONITOR_MODULE, NULL, "type", 2 },
	{ PB_STR_INIT("moduleExtra"), MONITOR_MODULE, NULL, "format", 2 },
	ROW("authenticationRequests", MONITOR_REQUESTS, MONITOR_AUTH),
	ROW("registerRequests", MONITOR_REQUESTS, MONITOR_REGISTER),
	ROW("incomingCalls", MONITOR_REQUESTS, MONITOR_INCOMING),
	ROW("outgoingCalls", MONITOR_REQUESTS, MONITOR_OUTGOING),
	ROW("activeCallsCount", MONITOR_CALL, MONITOR_CALL_COUNT),
	ROW("callEntryID", MONITOR_CALL, MONITOR_CALL_ID),
	ROW("callEntryIndex", MONITOR_CALL, MONITOR_CALL_INDEX),
	ROW("callEntryStatus", MONITOR_CALL, MONITOR_CALL_STATUS),
	ROW("callEntryCaller", MONITOR_CALL, MONITOR_CALL_CALLER),
	ROW("callEntryCalled", MONITOR_CALL, MONITOR_CALL_CALLED),
	ROW("callEntryPeerChan", MONITOR_CALL, MONITOR_CALL_PEER),
	ROW("callEntryDuration", MONITOR_CALL, MONITOR_CALL_DURATION),
	ROW("qosDirectionsCount", MONITOR_QUALITY, MONITOR_DIRECTIONS),
	ROW("qosEntryIndex", MONITOR_QUALITY, MONITOR_DIRECTION_INDEX),
	ROW("qosEntryDirection", MONITOR_QUALITY, MONITOR_DIRECTION_NAME),
	ROW("currentASR", MONITOR_QUALITY, MONITOR_ASR),
	ROW("overallASR", MONITOR_QUALITY, MONITOR_ASR_ALL),
	ROW("currentNER", MONITOR_QUALITY, MONITOR_NER),
	ROW("overallNER", MONITOR_QUALITY, MONITOR_NER_ALL),
	STATUS("transactionsTimedOut", "sip", "CLIENT_TIMEOUT"),
	STATUS("failedAuths", "sip", "failed_auths"),
	STATUS("byesTimedOut", "sip", "BYE_TIMEOUT"),
};

/* What belongs to parts that are not there: known, and always empty. */
static const struct pb_str absent[] = {
	PB_STR_INIT("database"), PB_STR_INIT("queries"),   PB_STR_INIT("trunk"),     PB_STR_INIT("linkset"),
	PB_STR_INIT("link"),	 PB_STR_INIT("interface"), PB_STR_INIT("account"),   PB_STR_INIT("rtp"),
	PB_STR_INIT("mgcp"),	 PB_STR_INIT("isdn"),	   PB_STR_INIT("failedQueries"),
};

static bool find_cause(struct pb_str name, struct monitor_name *out)
{
	struct pb_str present = PB_STR("current"), all = PB_STR("overall"), end = PB_STR("EndCause");
	bool now = pb_str_starts(name, present);

	if ((!now && !pb_str_starts(name, all)) || !pb_str_ends(name, end) || name.n < present.n + end.n)
		return false;
	name = pb_str_head(pb_str_from(name, present.n), name.n - present.n - end.n);
	for (int i = 0; i < QUALITY_CAUSES; i++) {
		if (!pb_str_eq(name, pb_str_z(quality_names[i])))
			continue;
		out->source = MONITOR_QUALITY;
		out->column = MONITOR_CAUSES + (now ? 0 : QUALITY_CAUSES) + i;
		return true;
	}
	return false;
}

bool monitor_find(struct pb_str name, struct monitor_name *out)
{
	*out = (struct monitor_name){ .name = name, .source = MONITOR_NOTHING };
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (pb_str_eq(rows[i].name, name)) {
			*out = rows[i];
			return true;
		}
	}
	if (find_cause(name, out))
		return true;
	for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++) {
		if (pb_str_starts(name, absent[i]))
			return true;
	}
	return false;
}
