/* What the module can say. */
#include "lua/host.h"

const struct pb_log_row mlua_said[] = {
	[MLUA_SAY_ERROR] = { "lua-001", PB_WARN,
			     "A script raised an error; file, line and the calls that led there follow. The message "
			     "went on to the next handler." },
	[MLUA_SAY_NOT_LOADED] = { "lua-002", PB_CONF, "A script does not run; the text says why." },
	[MLUA_SAY_LOADED] = { "lua-003", PB_INFO, "A script runs." },
	[MLUA_SAY_KILLED] = { "lua-004", PB_WARN,
			      "A handler waited beyond the limit of its message and was ended." },
	[MLUA_SAY_COUNT] = { NULL },
};

PB_LOG_SOURCE(mlua_log, "lua", mlua_said);
