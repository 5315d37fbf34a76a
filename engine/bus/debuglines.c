/*
 * [debug] of the main file: each line goes to whom it names as the message that
 * the console's `debug NAME LINE` sends, once everybody is there to hear it.
 */
#include "bus/engine_impl.h"

void pbi_debug_lines(struct pb_engine *e)
{
	const struct pb_conf_section *s = pb_conf_section(e->main, PB_STR("debug"));

	for (size_t i = 0; s && i < s->count; i++) {
		struct pb_msg *m = pb_msg_new(PB_STR("engine.debug"));

		if (!m)
			return;
		pb_msg_set(m, PB_STR("module"), s->entries[i].key);
		pb_msg_set(m, PB_STR("line"), s->entries[i].value);
		pb_bus_enqueue(e->bus, m);
	}
}
