/*
 * The rows of the main file (yate.conf). Its values are asked for where they are
 * used (pb_engine_main), some while modules are still being loaded; the rows say
 * what there is, so that `check` can tell a typing error.
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

const struct pb_opt pbi_main_rows[] = {
	{ PB_OPT_BOOL, "modload", 0, .def = 1, .flags = PB_OPT_ONCE,
	  .doc = "Load modules that [modules] does not name." },
	{ PB_OPT_STR, "nodename", 0, .flags = PB_OPT_ONCE,
	  .doc = "Name of this node; empty: the host's." },
	{ PB_OPT_STR, "trackparam", 0, .defs = "handlers", .flags = PB_OPT_ONCE,
	  .doc = "Parameter that lists the handlers a message met: a name, yes (handlers) or no." },
	{ PB_OPT_BOOL, "msgsniff", 0, .flags = PB_OPT_ONCE,
	  .doc = "Start with the sniffer on (module msgsniff)." },
	{ PB_OPT_STR, "filtersniff", 0, .flags = PB_OPT_ONCE,
	  .doc = "As `sniffer filter` (module msgsniff)." },
	{ PB_OPT_OTHER, "agesniff", 0, .flags = PB_OPT_ONCE,
	  .doc = "As `sniffer age` (module msgsniff)." },
	{ PB_OPT_STR, "filtersniffparams", 0, .flags = PB_OPT_ONCE,
	  .doc = "As `sniffer params` (module msgsniff)." },
	{ PB_OPT_STR, "msgsniff_trackname", 0, .flags = PB_OPT_ONCE,
	  .doc = "Whether the sniffer appears in `handlers`: a name, yes or no." },
	FREE("modules", "FILE=BOOL: whether to load that module; empty means yes."),
	FREE("run_params", "NAME=VALUE: further run parameters; others are filled in."),
	{ PB_OPT_OTHER, "msgsniff:", 0, .flags = PB_OPT_PREFIX | PB_OPT_ACCEPTED,
	  .doc = "Rules of the sniffer." },
	{ PB_OPT_OTHER, "dump_msg_", 0, .flags = PB_OPT_PREFIX | PB_OPT_ACCEPTED,
	  .doc = "What the sniffer tells of objects in messages." },
	ACCEPTED("modpath", "Modules are where -m says, or installed."),
	ACCEPTED("extrapath", "Modules are where -m says, or installed."),
	ACCEPTED("minworkers", "A loop runs on each core; engine.cfg says how many."),
	ACCEPTED("maxworkers", "A loop runs on each core; engine.cfg says how many."),
	ACCEPTED("addworkers", "A loop runs on each core; engine.cfg says how many."),
	ACCEPTED("semworkers", "No thread waits for messages."),
	ACCEPTED("maxmsgrate", "Overload is judged otherwise."),
	ACCEPTED("maxmsgage", "Overload is judged otherwise."),
	ACCEPTED("maxqueued", "Overload is judged otherwise."),
	ACCEPTED("maxevents", "Events are not kept."),
	ACCEPTED("startevents", "Events are not kept."),
	ACCEPTED("restarts", "The engine does not restart itself."),
	ACCEPTED("timejump", "Timers do not look at the wall clock."),
	ACCEPTED("warntime", "Handlers are not timed one by one."),
	ACCEPTED("idlemsec", "An idle loop sleeps until something happens."),
	ACCEPTED("trace_msg_time", "Messages are not timed one by one."),
	ACCEPTED("trace_msg_handler_time", "Handlers are not timed one by one."),
	ACCEPTED("abortinfo", "What an assertion says is always logged."),
	ACCEPTED("nodebits", "Nodes are told apart by name."),
	ACCEPTED("nodeid", "Nodes are told apart by name."),
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

/* Where a value goes that nobody takes from here. */
union unread {
	bool truth;
	int64_t number;
	struct pb_str text;
};

int pbi_main_check(const struct pb_conf *main, struct pb_arena *a, struct pb_findings *f)
{
	union unread value;

	pb_opt_defaults(pbi_main_rows, &value, a);
	return pb_opt_read(pbi_main_rows, main, &value, a, f);
}
