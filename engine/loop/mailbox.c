/* A list under a mutex that is held for a few instructions. Waking costs a
 * system call, so only the first post after the consumer dozed off pays for
 * it: the consumer says so under the lock, after seeing the list empty, and the
 * poster takes that flag back under the lock. Outside the lock both flags are
 * hints: a stale `filled` makes the consumer look one turn later, before which
 * it cannot doze; a stale `asleep` wakes it once too often. */
#include "loop/mailbox.h"

void pbi_mailbox_init(struct pbi_mailbox *m)
{
	*m = (struct pbi_mailbox){ 0 };
	pthread_mutex_init(&m->lock, NULL);
}

void pbi_mailbox_fini(struct pbi_mailbox *m)
{
	pthread_mutex_destroy(&m->lock);
}

static void set(_Atomic bool *flag, bool value)
{
	atomic_store_explicit(flag, value, memory_order_relaxed);
}

static bool push(struct pbi_mailbox *m, struct pb_work *w)
{
	bool wake = atomic_load_explicit(&m->asleep, memory_order_relaxed);

	pbi_queue_push(&m->queue, w);
	set(&m->filled, true);
	if (wake)
		set(&m->asleep, false);
	return wake;
}

bool pbi_mailbox_post(struct pbi_mailbox *m, struct pb_work *w)
{
	bool wake;

	pthread_mutex_lock(&m->lock);
	wake = push(m, w);
	pthread_mutex_unlock(&m->lock);
	return wake;
}

bool pbi_mailbox_post_open(struct pbi_mailbox *m, struct pb_work *w, bool *wake)
{
	bool open;

	*wake = false;
	pthread_mutex_lock(&m->lock);
	open = m->open;
	if (open)
		*wake = push(m, w);
	pthread_mutex_unlock(&m->lock);
	return open;
}

void pbi_mailbox_open(struct pbi_mailbox *m)
{
	pthread_mutex_lock(&m->lock);
	m->open = true;
	pthread_mutex_unlock(&m->lock);
}

static struct pbi_queue empty(struct pbi_mailbox *m)
{
	struct pbi_queue q = m->queue;

	m->queue = (struct pbi_queue){ 0 };
	set(&m->filled, false);
	return q;
}

struct pbi_queue pbi_mailbox_close(struct pbi_mailbox *m)
{
	struct pbi_queue q;

	pthread_mutex_lock(&m->lock);
	m->open = false;
	q = empty(m);
	pthread_mutex_unlock(&m->lock);
	return q;
}

struct pbi_queue pbi_mailbox_take(struct pbi_mailbox *m)
{
	struct pbi_queue q = { 0 };

	set(&m->asleep, false);
	if (!pbi_mailbox_filled(m))
		return q;
	pthread_mutex_lock(&m->lock);
	q = empty(m);
	pthread_mutex_unlock(&m->lock);
	return q;
}

struct pb_work *pbi_mailbox_take_one(struct pbi_mailbox *m)
{
	struct pb_work *w;

	pthread_mutex_lock(&m->lock);
	w = pbi_queue_pop(&m->queue);
	set(&m->filled, m->queue.head != NULL);
	pthread_mutex_unlock(&m->lock);
	return w;
}

bool pbi_mailbox_doze(struct pbi_mailbox *m)
{
	bool idle;

	pthread_mutex_lock(&m->lock);
	idle = m->queue.head == NULL;
	set(&m->asleep, idle);
	pthread_mutex_unlock(&m->lock);
	return idle;
}
