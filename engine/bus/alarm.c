/*
 * The engine's two words to everybody: whether calls are accepted, and alarms.
 */
#include "bus/engine_impl.h"

#include <stdarg.h>

#include "base/text.h"

const char *const pb_accept_words[] = { "accept", "partial", "congestion", "reject", NULL };

enum pb_accept pb_engine_accept(const struct pb_engine *e)
{
	return (enum pb_accept)atomic_load_explicit(&e->accept, memory_order_relaxed);
}

void pb_engine_set_accept(struct pb_engine *e, enum pb_accept state)
{
	atomic_store_explicit(&e->accept, state, memory_order_relaxed);
}

void pb_engine_set_alarm_hook(struct pb_engine *e, struct pb_alarm_hook *h)
{
	atomic_store(&e->alarm_hook, h);
}

void pb_engine_alarm(struct pb_engine *e, struct pb_log_source *src, const struct pb_log_row *row,
		     const char *component, const char *info, const char *fmt, ...)
{
	struct pb_alarm_hook *h = atomic_load(&e->alarm_hook);
	char buf[512];
	struct pb_text t;
	va_list ap;

	pb_text_init_buf(&t, buf, sizeof(buf));
	va_start(ap, fmt);
	pb_text_addv(&t, fmt, ap);
	va_end(ap);
	pb_log(src, row, "%.*s", PB_STR_F(pb_text_str(&t)));
	if (h)
		h->fn(h->arg, row->level, pb_str_z(component), pb_str_z(info), pb_text_str(&t));
	else /* who hears it tells the others in his own words */
		pbi_alarm_event(e, row->level, component, info, pb_text_str(&t));
}
