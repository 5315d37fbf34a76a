/* A message as text, as the users of the sniffer know it. */
#ifndef MSGSNIFF_BLOCK_H
#define MSGSNIFF_BLOCK_H

#include "base/text.h"
#include "bus/msg.h"
#include "call/chan.h"

/** What is shown beside the message itself. */
struct sniff_scene {
	uint64_t now_us; /* wall clock */
	uintptr_t thread;
	struct pb_str thread_name;
	const struct pb_chan *chan; /* to be told of; NULL: its handle will do */
	bool chan_brief;            /* its id alone */
};

/** On its way in: "Sniffed 'NAME' time=... age=..." and the rest of it. */
void sniff_block_in(const struct pb_msg *m, const struct sniff_scene *s, struct pb_text *t);
/** When its walk has ended: "Returned true 'NAME' delay=...". */
void sniff_block_out(const struct pb_msg *m, bool handled, const struct sniff_scene *s,
		     struct pb_text *t);

#endif
