/* Rows of cdrbuild.conf, and what rows cannot say of it. */
#include "cdrbuild/cdrbuild.h"

#define AT(field) offsetof(struct cdr_settings, field)

/* Shorter intervals than this are this one. */
#define STATUS_INTERVAL_MIN_S 60

static const char *const resolutions[] = { "sec", "msec", "usec", NULL };

const struct pb_opt cdr_options[] = {
	{ PB_OPT_WORD, "resolution", AT(resolution), .def = CDR_MSEC, .words = resolutions,
	  .doc = "How fine times are." },
	{ PB_OPT_INT, "guardtime", AT(guard_ms), .def = 5000, .lo = 0, .hi = 600000, .unit = "ms",
	  .doc = "How long a channel that has hung up is remembered." },
	{ PB_OPT_BOOL, "updates", AT(updates), .def = 1,
	  .doc = "Send a record at each change, not only the first and the last." },
	{ PB_OPT_BOOL, "status", AT(status), .doc = "Send records of answered legs at intervals." },
	{ PB_OPT_INT, "status_interval", AT(status_interval_s), .def = 60, .lo = 0, .hi = 600,
	  .unit = "s", .doc = "The interval, from 60; 0: once." },
	{ PB_OPT_BOOL, "status_answer", AT(status_answer), .def = 1,
	  .doc = "Send the first of them at the answer." },
	{ PB_OPT_BOOL, "ring_on_progress", AT(ring_on_progress),
	  .doc = "call.progress counts as ringing, also without a parameter that says so." },
	{ PB_OPT_OTHER, "", .flags = PB_OPT_PREFIX, .section = "parameters",
	  .doc = "Further parameter to copy; yes: a later value replaces an earlier one." },
	{ PB_OPT_STR, "call_start_time", AT(formats.start), .section = "formatted-timers",
	  .doc = "Format of the start time, for example YYYY-MM-DD HH:mm:SS.uuu UTC." },
	{ PB_OPT_STR, "call_answer_time", AT(formats.answer), .section = "formatted-timers",
	  .doc = "Format of the answer time." },
	{ PB_OPT_STR, "call_hangup_time", AT(formats.hangup), .section = "formatted-timers",
	  .doc = "Format of the hangup time." },
	{ PB_OPT_STR, "call_duration", AT(formats.duration), .section = "formatted-timers",
	  .doc = "Format of the duration, for example HH:mm:SS." },
	{ PB_OPT_END },
};

/* 0 is a value of its own, and so no row can hold the range. */
static void check_interval(const struct pb_conf *c, struct cdr_settings *s, struct pb_findings *f)
{
	const struct pb_conf_section *g = pb_conf_section(c, PB_STR("general"));
	const struct pb_conf_entry *e = g ? pb_conf_find(g, PB_STR("status_interval")) : NULL;

	if (!s->status_interval_s || s->status_interval_s >= STATUS_INTERVAL_MIN_S)
		return;
	s->status_interval_s = STATUS_INTERVAL_MIN_S;
	if (e)
		pb_findings_add(f, e->value_at, PB_SEV_WARNING, "cdrbuild-103",
				"status_interval: '%.*s' is below %d s: that is used",
				PB_STR_F(e->value), STATUS_INTERVAL_MIN_S);
}

int cdr_settings_read(const struct pb_conf *c, void *settings, struct pb_arena *a,
		      struct pb_findings *f)
{
	struct cdr_settings *s = settings;

	check_interval(c, s, f);
	return cdr_params_read(c, &s->params, a, f);
}
