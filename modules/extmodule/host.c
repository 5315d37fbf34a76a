/* What all scripts share, and what the module can say. */
#include "extmodule/host.h"

#include <errno.h>

#include "extmodule/script.h"

/* A message of the greatest size, every octet of it escaped. */
#define LINE_LIMIT_BYTES    (3u << 20)
#define DECODED_LIMIT_BYTES (1u << 20)

const struct pb_log_row ext_said[] = {
	[EXT_SAY_START_FAILED] = { "ext-001", PB_WARN,
				   "A script or program cannot be started. Is the file there and executable?" },
	[EXT_SAY_ENDED] = { "ext-002", PB_WARN,
			    "A script was cut off or ended badly; the text says why." },
	[EXT_SAY_UNMATCHED] = { "ext-003", PB_MILD,
				"A script answered a message that does not wait for it: late, twice, or malformed." },
	[EXT_SAY_TIMEOUT] = { "ext-004", PB_WARN,
			      "A script did not answer within its timeout; the message went on to the next handler." },
	[EXT_SAY_QUEUE_FULL] = { "ext-005", PB_WARN,
				 "As many messages as maxqueue allows wait for a script; further ones pass it by." },
	[EXT_SAY_BAD_LINE] = { "ext-006", PB_MILD,
			       "A script sent a line that is not of the protocol; it got 'Error in: LINE'." },
	[EXT_SAY_FLOOD] = { "ext-007", PB_WARN,
			    "A script makes messages faster than they are handled; further ones are refused." },
	[EXT_SAY_LISTENER] = { "ext-008", PB_CONF,
			       "A listener for scripts cannot be opened; the text says why." },
	[EXT_SAY_NO_CHANNEL] = { "ext-009", PB_CONF,
				 "A channel script of this type is not available." },
	[EXT_SAY_REFUSED] = { "ext-010", PB_WARN,
			      "A connection of a script was refused for want of room." },
	[EXT_SAY_STARTED] = { "ext-011", PB_INFO, "A script has connected." },
	[EXT_SAY_COUNT] = { NULL },
};

PB_LOG_SOURCE(ext_log, "extmodule", ext_said);

int ext_host_init(struct ext_host *h)
{
	pb_list_init(&h->scripts);
	pb_text_init(&h->line, LINE_LIMIT_BYTES);
	h->decoded = pb_arena_new(DECODED_LIMIT_BYTES);
	return h->decoded ? 0 : -ENOMEM;
}

void ext_host_fini(struct ext_host *h)
{
	pb_map_fini(&h->own);
	pb_text_fini(&h->line);
	pb_arena_free(&h->decoded);
}
