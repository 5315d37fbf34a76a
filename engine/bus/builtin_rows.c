/*
 * What the built-in module "engine" counts in its status line, and what the
 * engine puts on the bus of itself.
 */
#include "bus/cmd_describe.h"

const struct pb_counter pbi_engine_counters[] = {
	{ "version", NULL, "Version of the engine." },
	{ "revision", NULL, "Always 0: there are releases only." },
	{ "githash", NULL, "Always empty." },
	{ "nodename", NULL, "Name of this node." },
	{ "plugins", "modules", "Modules that are loaded, the engine's own among them." },
	{ "inuse", "modules", "Modules that have started." },
	{ "handlers", "handlers", "Handlers of messages." },
	{ "hooks", "hooks", "Hooks behind the handlers." },
	{ "messages", "messages", "Messages queued or held now." },
	{ "maxqueue", "messages", "The most that were ever queued at once." },
	{ "messageage", "ms", "Mean age of queued messages." },
	{ "messagerate", "messages", "Messages in the last second." },
	{ "maxmsgrate", "messages", "The most messages in a second so far." },
	{ "enqueued", "messages", "Messages that were ever enqueued." },
	{ "dequeued", "messages", "Of these, those that have begun their walk." },
	{ "dispatched", "messages", "Messages that were ever dispatched." },
	{ "supervised", NULL, "Whether a supervisor starts the engine again." },
	{ "runattempt", NULL, "Which start of the supervisor's it is, from 1." },
	{ "lastsignal", NULL, "Signal that ended the process before; 0: none." },
	{ "threads", "threads", "Threads of the process." },
	{ "workers", "loops", "Loops that own calls." },
	{ "mutexes", NULL, "Always 0: nobody waits for a lock." },
	{ "semaphores", NULL, "Always 0." },
	{ "acceptcalls", NULL, "Whether new calls are taken: accept, partial, congestion, reject." },
	{ "congestion", NULL, "Whether the bus counts as congested." },
	{ "handled", "messages", "Of the dispatched, those that a handler took." },
	{ "parked", "messages", "Messages that handlers hold now." },
	{ "held", "holds", "How often a message was held." },
	{ "expired", "holds", "How often the limit of a hold passed." },
	{ "stale", "resumes", "Resumes of messages that were no longer held." },
	{ "full", "messages", "How often a handler that held its most was passed by." },
	{ "passedby", "messages", "How often a handler was passed by because it misses its limits." },
	{ "dropped", "messages", "Messages dropped because a queue was full." },
	{ "loops", "loops", "Loops, a thread each." },
	{ NULL },
};

const struct pb_sends pbi_engine_sends[] = {
	{ "engine.init", "nodename plugin" },
	{ "engine.start", "nodename" },
	{ "engine.timer", "time nodename" },
	{ "engine.stop", "nodename" },
	{ "engine.halt", "nodename" },
	{ "engine.busy", "nodename" },
	{ "engine.command", "line nodename" },
	{ "module.update", "fulltext nodename" },
	{ "engine.debug", "module line" },
	{ "chan.control", "targetid component module operation cmd_*" },
	{ NULL },
};
