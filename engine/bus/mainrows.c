/*
 * The rows of the main file (yate.conf) and what the engine takes from it. What
 * modules use of it they ask for themselves (pb_engine_main); those rows only
 * say that it is there.
 */
#include "bus/engine_impl.h"

#define ACCEPTED(key, text)                                                                        \
	{                                                                                          \
		PB_OPT_OTHER, key, 0, .flags = PB_OPT_ACCEPTED, .doc = text                        \
	}
#define FREE(name, text)                                                                           \
	{                                                                                          \
		PB_OPT_OTHER, "", 0, .section = name, .flags = PB_OPT_PREFIX, .doc = text          \
	}
#define FREE_ACCEPTED(name, text)                                                                  \
	{                                                                                          \
		PB_OPT_OTHER, "", 0, .section = name, .flags = PB_OPT_PREFIX | PB_OPT_ACCEPTED,    \
				     .doc = text                                                   \
	}

#define AT(field) offsetof(struct pbi_main, field)

const struct pb_opt pbi_main_rows[] = {
	{ PB_OPT_BOOL, "modload", AT(modload), .def = 1, .flags = PB_OPT_ONCE,
	  .doc = "Load modules that [modules] does not name." },
	{ PB_OPT_STR, "modpath", AT(modpath), .flags = PB_OPT_ONCE,
	  .doc = "Folder of the modules; wins over -m." },
	{ PB_OPT_STR, "extrapath", AT(extrapath), .flags = PB_OPT_ONCE,
	  .doc = "One more folder of modules, relative to the first." },
	{ PB_OPT_STR, "nodename", AT(nodename), .flags = PB_OPT_ONCE,
	  .doc = "Name of this node; empty: the host's." },
	{ PB_OPT_STR, "trackparam", AT(trackparam), .defs = "handlers", .flags = PB_OPT_ONCE,
	  .doc = "Parameter that lists the handlers a message met: a name, yes (handlers) or no." },
	{ PB_OPT_INT, "maxmsgrate", AT(maxmsgrate), .lo = 0, .hi = 50000,
	  .doc = "Messages a second from which the engine counts as congested; 0: never." },
	{ PB_OPT_INT, "maxmsgage", AT(maxmsgage), .lo = 0, .hi = 5000, .unit = "ms",
	  .doc = "Mean age of queued messages from which the engine counts as congested; 0: never." },
	{ PB_OPT_INT, "maxqueued", AT(maxqueued), .lo = 0, .hi = 10000,
	  .doc = "Queued messages from which the engine counts as congested; 0: never." },
	{ PB_OPT_INT, "maxevents", AT(maxevents), .def = 25, .lo = 0, .hi = 1000,
	  .doc = "Events kept of each type; 0: all that fit a bound of the engine." },
	{ PB_OPT_BOOL, "startevents", AT(startevents), .def = 1, .flags = PB_OPT_ONCE,
	  .doc = "Keep the log lines of the start, for `events log`." },
	{ PB_OPT_INT, "restarts", AT(restarts), .lo = 0, .hi = INT32_MAX, .unit = "s", .flags = PB_OPT_ONCE,
	  .doc = "Restart, when idle, so long after the start (supervised only); 0: never." },
	{ PB_OPT_INT, "timejump", AT(timejump), .lo = 0, .hi = 120, .unit = "s",
	  .doc = "A jump of the wall clock by more is told of, and restarts a supervised engine; 1 to 7 count as 8, 0: never." },
	{ PB_OPT_INT, "warntime", AT(warntime), .lo = 0, .hi = INT32_MAX, .unit = "ms", .flags = PB_OPT_ONCE,
	  .doc = "Tell of handlers and messages that take longer; 0: never." },
	{ PB_OPT_BOOL, "trace_msg_time", AT(trace_msg_time), .flags = PB_OPT_ONCE,
	  .doc = "Start with times of queueing and dispatch kept in messages." },
	{ PB_OPT_BOOL, "trace_msg_handler_time", AT(trace_msg_handler_time), .flags = PB_OPT_ONCE,
	  .doc = "Start with the time that each handler took in the tracking parameter." },
	{ PB_OPT_BOOL, "abortinfo", AT(abortinfo), .def = 1, .flags = PB_OPT_ONCE,
	  .doc = "Write what the engine was doing when it dies of SIGABRT." },
	{ PB_OPT_INT, "nodebits", AT(nodebits), .lo = 0, .hi = 12, .flags = PB_OPT_ONCE,
	  .doc = "How many bits nodeid has; 0: run parameters nodeid and nodebits are not set." },
	{ PB_OPT_INT, "nodeid", AT(nodeid), .lo = 0, .hi = 4095, .flags = PB_OPT_ONCE,
	  .doc = "Number of this node, under 2 to the power of nodebits." },
	{ PB_OPT_OTHER, "msgsniff", 0, .flags = PB_OPT_ONCE,
	  .doc = "Start with the sniffer on (module msgsniff)." },
	{ PB_OPT_OTHER, "filtersniff", 0, .flags = PB_OPT_ONCE,
	  .doc = "As `sniffer filter` (module msgsniff)." },
	{ PB_OPT_OTHER, "agesniff", 0, .flags = PB_OPT_ONCE,
	  .doc = "As `sniffer age` (module msgsniff)." },
	{ PB_OPT_OTHER, "filtersniffparams", 0, .flags = PB_OPT_ONCE,
	  .doc = "As `sniffer params` (module msgsniff)." },
	{ PB_OPT_OTHER, "msgsniff_trackname", 0, .flags = PB_OPT_ONCE,
	  .doc = "Whether the sniffer appears in `handlers`: a name, yes or no." },
	FREE("modules", "FILE=BOOL: whether to load that module; empty means yes."),
	FREE("preload", "PATH=BOOL: libraries of modules to load before all others; empty means yes."),
	FREE("postload", "PATH=BOOL: libraries of modules to load after all others; empty means yes."),
	FREE("run_params", "NAME=VALUE: further run parameters; others are filled in."),
	FREE("variables", "NAME=VALUE: shared variables, as they stand."),
	FREE("debug", "NAME=LINE: as `debug NAME LINE`, at start and on reload."),
	{ PB_OPT_INT, "timeout", AT(timeout_ms), .lo = 0, .hi = INT32_MAX, .unit = "ms", .section = "telephony",
	  .doc = "How long a call may last, unless its driver or route says; 0: for ever." },
	{ PB_OPT_INT, "maxroute", AT(maxroute), .lo = 0, .hi = INT32_MAX, .section = "telephony",
	  .doc = "Calls that a driver may be routing at once; 0: any number." },
	{ PB_OPT_INT, "maxchans", AT(maxchans), .lo = 0, .hi = INT32_MAX, .section = "telephony",
	  .doc = "Channels that a driver may have at once; 0: any number." },
	{ PB_OPT_OTHER, "dtmfdups", 0, .section = "telephony", .flags = PB_OPT_ACCEPTED,
	  .doc = "A digit is heard in one way only, so there are no duplicates to send." },
	{ PB_OPT_INT, "max_depth", AT(conf.max_depth), .def = 10, .lo = 3, .hi = 50, .section = "configuration",
	  .flags = PB_OPT_ONCE,
	  .doc = "How deep includes may nest; where loops are not checked at most 10, and 3 without this key." },
	{ PB_OPT_BOOL, "disable_include_silent", AT(conf.no_silent), .section = "configuration", .flags = PB_OPT_ONCE,
	  .doc = "[$includesilent] tells of a missing file too." },
	{ PB_OPT_BOOL, "check_recursive_include", AT(conf.loop_check), .def = 1, .section = "configuration",
	  .flags = PB_OPT_ONCE, .doc = "A file that includes itself is refused." },
	{ PB_OPT_BOOL, "include_empty", AT(conf.include_empty), .section = "configuration", .flags = PB_OPT_ONCE,
	  .doc = "An include without a path is one that cannot be read." },
	{ PB_OPT_BOOL, "warnings", AT(conf.warnings), .def = 1, .section = "configuration", .flags = PB_OPT_ONCE,
	  .doc = "Tell of sections to copy that are missing or copy themselves." },
	{ PB_OPT_STR, "prefix", AT(app_prefix), .defs = "application_", .section = "application", .flags = PB_OPT_ONCE,
	  .doc = "What the names of run parameters made from this section begin with." },
	{ PB_OPT_STR, "report_version", AT(report_version), .section = "application", .flags = PB_OPT_ONCE,
	  .doc = "Keys of this section that `version` shows, by commas; empty: all." },
	{ PB_OPT_STR, "report_status", AT(report_status), .section = "application", .flags = PB_OPT_ONCE,
	  .doc = "Text for `status engine`; ${KEY} is a value of this section." },
	FREE("application", "NAME=VALUE: run parameter PREFIXname."),
	{ PB_OPT_OTHER, "msgsniff:", 0, .flags = PB_OPT_PREFIX | PB_OPT_ONCE,
	  .doc = "NAME=RULE: as `sniffer set name=NAME RULE` (module msgsniff)." },
	{ PB_OPT_OTHER, "dump_msg_data", 0, .doc = "The sniffer shows which channel a message is about (module msgsniff)." },
	{ PB_OPT_OTHER, "dump_msg_data_short", 0, .doc = "Of that channel the id alone (module msgsniff)." },
	ACCEPTED("dump_msg_param_ptr_data", "No parameter is a pointer here."),
	ACCEPTED("dump_msg_param_ptr_data_short", "No parameter is a pointer here."),
	ACCEPTED("minworkers", "A loop runs on each core; engine.cfg says how many."),
	ACCEPTED("maxworkers", "A loop runs on each core; engine.cfg says how many."),
	ACCEPTED("addworkers", "A loop runs on each core; engine.cfg says how many."),
	ACCEPTED("semworkers", "No thread waits for messages."),
	ACCEPTED("idlemsec", "An idle loop sleeps until something happens."),
	ACCEPTED("uri_parse_tel_rfc", "tel: URIs are read as RFC 3966 says."),
	ACCEPTED("matchingitem_dump_item_flag_name", "There are no such lists."),
	ACCEPTED("wintimer", "For Windows only."),
	FREE_ACCEPTED("localsym", "A library's symbols are always its own."),
	FREE_ACCEPTED("nounload", "Modules are never unloaded."),
	{ PB_OPT_OTHER, "datapadding", 0, .section = "hacks", .flags = PB_OPT_ACCEPTED,
	  .doc = "There is no media in the engine yet." },
	{ PB_OPT_OTHER, "wavepubread", 0, .section = "hacks", .flags = PB_OPT_ACCEPTED,
	  .doc = "There are no wave files yet." },
	FREE_ACCEPTED("client", "For graphical clients only."),
	{ PB_OPT_END },
};

struct pb_bus_limits pbi_main_limits(const struct pbi_main *m)
{
	return (struct pb_bus_limits){
		.rate = (unsigned)m->maxmsgrate,
		.age_ms = (unsigned)m->maxmsgage,
		.queued = (unsigned)m->maxqueued,
	};
}

/* Less than 8 s would tell of every busy second. */
static void check_timejump(const struct pb_conf *main, struct pbi_main *out, struct pb_findings *f)
{
	const struct pb_conf_section *s = pb_conf_section(main, PB_STR("general"));
	const struct pb_conf_entry *e = s ? pb_conf_find(s, PB_STR("timejump")) : NULL;

	if (!out->timejump || out->timejump >= 8)
		return;
	out->timejump = 8;
	if (e)
		pb_findings_add(f, e->value_at, PB_SEV_WARNING, PB_FIND(RANGE),
				"timejump: '%.*s' is outside 8 s to 120 s: 8 s is used", PB_STR_F(e->value));
}

static void check_node(const struct pb_conf *main, const struct pbi_main *m, struct pb_findings *f)
{
	const struct pb_conf_section *s = pb_conf_section(main, PB_STR("general"));
	const struct pb_conf_entry *e = s ? pb_conf_find(s, PB_STR("nodeid")) : NULL;

	if (e && m->nodebits && m->nodeid >= 1 << m->nodebits)
		pb_findings_add(f, e->value_at, PB_SEV_WARNING, PB_FIND(RANGE),
				"nodeid: '%.*s' has more than %d bits: there are no run parameters of it",
				PB_STR_F(e->value), (int)m->nodebits);
}

int pbi_main_read(const struct pb_conf *main, struct pbi_main *out, struct pb_arena *a, struct pb_findings *f)
{
	int err;

	pb_opt_defaults(pbi_main_rows, out, a);
	err = pb_opt_read(pbi_main_rows, main, out, a, f);
	check_timejump(main, out, f);
	check_node(main, out, f);
	return err;
}
