/* monitoring.conf: its rows, and sections that describe a direction of calls. */
#include "monitoring/monitoring.h"

#include <errno.h>

#define KNOWN(text)                                                                                \
	{                                                                                          \
		PB_OPT_OTHER, "", 0, .section = text, .flags = PB_OPT_PREFIX | PB_OPT_ACCEPTED,    \
				     .doc = "Of a part that keeps no such counters here."           \
	}
#define OF(field) offsetof(struct monitor_direction, field)

const struct pb_opt monitor_options[] = {
	{ PB_OPT_INT, "alarm_threshold", offsetof(struct monitor_settings, alarm_threshold), .def = 8, .lo = 0, .hi = 10,
	  .doc = "Alarms up to this level are told by monitor.notify; all are events." },
	{ PB_OPT_INT, "cache", offsetof(struct monitor_settings, cache_s), .def = 1, .lo = 0, .hi = 3600, .unit = "s",
	  .doc = "How long what modules say of themselves is believed." },
	{ PB_OPT_INT, "restart_alarm", offsetof(struct monitor_settings, restart_alarm), .def = 1, .lo = 0, .hi = 1,
	  .flags = PB_OPT_ONCE, .doc = "Whether an unexpected restart is an alarm." },
	{ PB_OPT_OTHER, "old_trap_style", 0, .flags = PB_OPT_ACCEPTED, .doc = "Of an SNMP agent." },
	{ PB_OPT_INT, "time_interval", offsetof(struct monitor_settings, interval_s), .def = 3600, .lo = 1,
	  .hi = 86400, .unit = "s", .section = "call_qos", .doc = "How long `current` figures are of." },
	{ PB_OPT_INT, "min_calls", offsetof(struct monitor_settings, min_calls), .def = 10, .lo = 1, .hi = 1000000,
	  .section = "call_qos", .doc = "Fewer calls in an interval raise no alarm." },
	KNOWN("database"),
	KNOWN("sip"),
	KNOWN("sig"),
	KNOWN("rtp"),
	KNOWN("mgcp"),
	{ PB_OPT_OTHER, "type", 0, .section = "*",
	  .doc = "call_qos: the section describes a direction of calls; database: it is left alone." },
	{ PB_OPT_BOOL, "enable", OF(enabled), .def = 1, .section = "*", .doc = "Whether the direction is counted." },
	{ PB_OPT_STR, "direction", OF(direction), .section = "*",
	  .doc = "Legs it is of: incoming, outgoing, or the beginning of their address; empty: outgoing ones." },
	{ PB_OPT_INT, "low_asr_threshold", OF(low_asr), .def = -1, .lo = -1, .hi = 100, .unit = "percent", .section = "*",
	  .doc = "Alarm when fewer calls are answered; -1: never." },
	{ PB_OPT_INT, "high_asr_threshold", OF(high_asr), .def = -1, .lo = -1, .hi = 100, .unit = "percent",
	  .section = "*", .doc = "Alarm when more calls are answered; -1: never." },
	{ PB_OPT_INT, "low_ner_threshold", OF(low_ner), .def = -1, .lo = -1, .hi = 100, .unit = "percent", .section = "*",
	  .doc = "Alarm when the network serves fewer calls; -1: never." },
	{ PB_OPT_INT, "time_interval", OF(interval_s), .lo = 0, .hi = 86400, .unit = "s", .section = "*",
	  .doc = "The direction's own; 0: that of [call_qos]." },
	{ PB_OPT_INT, "min_calls", OF(min_calls), .lo = 0, .hi = 1000000, .section = "*",
	  .doc = "The direction's own; 0: that of [call_qos]." },
	{ PB_OPT_END },
};

static int read_direction(struct monitor_settings *s, const struct pb_conf_section *sec, struct pb_arena *a,
			  struct pb_findings *f)
{
	struct monitor_direction *d = &s->directions[s->count];
	int err;

	if (s->count == MONITOR_DIRECTIONS_MAX) {
		pb_findings_add(f, sec->at, PB_SEV_WARNING, monitor_log_rows[MONITOR_LOG_MANY].id,
				"more than %d directions: '%.*s' is not counted", MONITOR_DIRECTIONS_MAX,
				PB_STR_F(sec->name));
		return 0;
	}
	err = pb_opt_read_section(monitor_options, "*", sec, d, a, f);
	d->name = pb_arena_str(a, sec->name);
	d->interval_s = d->interval_s ? d->interval_s : s->interval_s;
	d->min_calls = d->min_calls ? d->min_calls : s->min_calls;
	s->count += !err && d->enabled;
	return err;
}

static bool describes_direction(const struct pb_conf_section *sec)
{
	const struct pb_conf_entry *e = pb_conf_find(sec, PB_STR("type"));

	return e && pb_str_eq(e->value, PB_STR("call_qos"));
}

int monitor_read(const struct pb_conf *c, void *settings, struct pb_arena *a, struct pb_findings *f)
{
	struct monitor_settings *s = settings;
	int err = 0;

	s->directions = pb_arena_alloc(a, MONITOR_DIRECTIONS_MAX * sizeof(*s->directions));
	if (!s->directions)
		return -ENOMEM;
	for (size_t i = 0; i < pb_conf_sections(c) && !err; i++) {
		const struct pb_conf_section *sec = pb_conf_section_at(c, i);

		if (describes_direction(sec))
			err = read_direction(s, sec, a, f);
	}
	return err;
}
