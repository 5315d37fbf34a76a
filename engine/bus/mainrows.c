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
	FREE("run_params", "NAME=VALUE: further run parameters; others are filled in."),
	{ PB_OPT_OTHER, "msgsniff:", 0, .flags = PB_OPT_PREFIX | PB_OPT_ACCEPTED,
	  .doc = "Rules of the sniffer." },
	{ PB_OPT_OTHER, "dump_msg_", 0, .flags = PB_OPT_PREFIX | PB_OPT_ACCEPTED,
	  .doc = "What the sniffer tells of objects in messages." },
	ACCEPTED("minworkers", "A loop runs on each core; engine.cfg says how many."),
	ACCEPTED("maxworkers", "A loop runs on each core; engine.cfg says how many."),
	ACCEPTED("addworkers", "A loop runs on each core; engine.cfg says how many."),
	ACCEPTED("semworkers", "No thread waits for messages."),
	ACCEPTED("idlemsec", "An idle loop sleeps until something happens."),
	ACCEPTED("uri_parse_tel_rfc", "tel: URIs are read as RFC 3966 says."),
	ACCEPTED("matchingitem_dump_item_flag_name", "There are no such lists."),
	ACCEPTED("wintimer", "For Windows only."),
	FREE_ACCEPTED("localsym", "How libraries are opened."),
	FREE_ACCEPTED("nounload", "Modules are never unloaded."),
	FREE_ACCEPTED("preload", "Libraries to open first."),
	FREE_ACCEPTED("postload", "Libraries to open last."),
	FREE_ACCEPTED("debug", "Levels are set by the command `debug`."),
	FREE_ACCEPTED("variables", "Shared variables of scripts."),
	FREE_ACCEPTED("telephony", "Limits are the modules' own."),
	FREE_ACCEPTED("configuration", "How configuration files are read."),
	FREE_ACCEPTED("hacks", "Work-arounds."),
	FREE_ACCEPTED("application", "What the application says of itself."),
	FREE_ACCEPTED("client", "For graphical clients only."),
	{ PB_OPT_END },
};

int pbi_main_read(const struct pb_conf *main, struct pbi_main *out, struct pb_arena *a, struct pb_findings *f)
{
	int err;

	pb_opt_defaults(pbi_main_rows, out, a);
	err = pb_opt_read(pbi_main_rows, main, out, a, f);
	if (out->timejump && out->timejump < 8)
		out->timejump = 8;
	return err;
}
