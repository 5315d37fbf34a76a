/*
 * What loops ask of the control thread: reload, stop. A short queue, and a
 * descriptor that wakes the control thread.
 */
#include "bus/engine_impl.h"

#include <sys/eventfd.h>

void pbi_request(struct pb_engine *e, const struct pb_control *c)
{
	pthread_mutex_lock(&e->control_lock);
	if (e->pending_count < sizeof(e->pending) / sizeof(e->pending[0]))
		e->pending[e->pending_count++] = *c;
	pthread_mutex_unlock(&e->control_lock);
	if (eventfd_write(e->control_fd, 1))
		return; /* the counter is full: it is readable anyway */
}

void pb_engine_reload_tentatively(struct pb_engine *e, struct pb_str module, unsigned seconds)
{
	struct pb_control c = { .request = PB_REQUEST_RELOAD, .confirm_s = seconds };

	if (module.n >= sizeof(c.module))
		return;
	if (module.n)
		memcpy(c.module, module.p, module.n);
	pbi_request(e, &c);
}

void pb_engine_reload(struct pb_engine *e, struct pb_str module)
{
	pb_engine_reload_tentatively(e, module, 0);
}

void pb_engine_confirm(struct pb_engine *e)
{
	pbi_request(e, &(struct pb_control){ .request = PB_REQUEST_CONFIRM });
}

void pb_engine_halt(struct pb_engine *e, int code)
{
	pbi_request(e, &(struct pb_control){ .request = PB_REQUEST_HALT, .code = code });
}

bool pb_engine_restart(struct pb_engine *e, int code, bool now)
{
	if (e->args.supervised)
		pbi_request(e, &(struct pb_control){ .request = PB_REQUEST_RESTART, .code = code, .now = now });
	return e->args.supervised;
}

int pb_engine_control_fd(const struct pb_engine *e)
{
	return e->control_fd;
}

struct pb_control pb_engine_next_request(struct pb_engine *e)
{
	struct pb_control c = { .request = PB_REQUEST_NONE };
	eventfd_t n;

	pthread_mutex_lock(&e->control_lock);
	if (e->pending_count) {
		c = e->pending[0];
		e->pending_count--;
		memmove(e->pending, e->pending + 1, e->pending_count * sizeof(c));
	}
	if (!e->pending_count && eventfd_read(e->control_fd, &n))
		n = 0; /* nothing was written */
	pthread_mutex_unlock(&e->control_lock);
	return c;
}
