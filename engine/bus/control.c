/*
 * What loops ask of the control thread: reload, stop. A short queue, and a
 * descriptor that wakes the control thread.
 */
#include "bus/engine_impl.h"

#include <sys/eventfd.h>

static void wake(struct pb_engine *e)
{
	if (eventfd_write(e->control_fd, 1))
		return; /* the counter is full: it is readable anyway */
}

void pbi_request(struct pb_engine *e, const struct pb_control *c)
{
	pthread_mutex_lock(&e->control_lock);
	if (e->pending_count < sizeof(e->pending) / sizeof(e->pending[0]))
		e->pending[e->pending_count++] = *c;
	pthread_mutex_unlock(&e->control_lock);
	wake(e);
}

/* ---- Errands: what the engine itself does there -------------------------------------- */

bool pbi_control_call(struct pb_engine *e, void (*fn)(void *arg), void *arg)
{
	bool room;

	pthread_mutex_lock(&e->control_lock);
	room = e->errand_count < sizeof(e->errands) / sizeof(e->errands[0]);
	if (room)
		e->errands[e->errand_count++] = (struct pbi_errand){ fn, arg };
	pthread_mutex_unlock(&e->control_lock);
	wake(e);
	return room;
}

/** In order; what one of them asks for is done too. */
static void run_errands(struct pb_engine *e)
{
	struct pbi_errand first;
	bool any;

	do {
		pthread_mutex_lock(&e->control_lock);
		any = e->errand_count > 0;
		if (any) {
			first = e->errands[0];
			e->errand_count--;
			memmove(e->errands, e->errands + 1, e->errand_count * sizeof(first));
		}
		pthread_mutex_unlock(&e->control_lock);
		if (any)
			first.fn(first.arg);
	} while (any);
}

void pbi_control_fini(struct pb_engine *e)
{
	while (e->errand_count)
		pb_free(e->errands[--e->errand_count].arg);
}

/* ---- Requests --------------------------------------------------------------------------- */

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

	run_errands(e);
	pthread_mutex_lock(&e->control_lock);
	if (e->pending_count) {
		c = e->pending[0];
		e->pending_count--;
		memmove(e->pending, e->pending + 1, e->pending_count * sizeof(c));
	}
	if (!e->pending_count && !e->errand_count && eventfd_read(e->control_fd, &n))
		n = 0; /* nothing was written */
	pthread_mutex_unlock(&e->control_lock);
	return c;
}
