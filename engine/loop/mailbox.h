/*
 * A mailbox: work handed from many threads to one consumer (a loop) or several
 * (the helper pool). Internal to the loop folder.
 */
#ifndef PB_LOOP_MAILBOX_H
#define PB_LOOP_MAILBOX_H

#include <pthread.h>
#include <stdatomic.h>

#include "loop/loop.h"

/** First in, first out; one thread. Zeroed is empty. */
struct pbi_queue {
	struct pb_work *head, *last;
};

static inline void pbi_queue_push(struct pbi_queue *q, struct pb_work *w)
{
	w->next = NULL;
	if (q->head)
		q->last->next = w;
	else
		q->head = w;
	q->last = w;
}

/** The oldest, or NULL. */
static inline struct pb_work *pbi_queue_pop(struct pbi_queue *q)
{
	struct pb_work *w = q->head;

	if (w)
		q->head = w->next;
	return w;
}

struct pbi_mailbox {
	pthread_mutex_t lock;
	struct pbi_queue queue;
	bool open; /* a thread serves it; see pbi_mailbox_post_open */
	/* Also read without the lock, as hints. */
	_Atomic bool filled, asleep;
};

void pbi_mailbox_init(struct pbi_mailbox *m);
void pbi_mailbox_fini(struct pbi_mailbox *m);

/** @return whether the consumer may be asleep and has to be woken. */
bool pbi_mailbox_post(struct pbi_mailbox *m, struct pb_work *w);
/**
 * The same unless nobody serves the mailbox: then `w` is not taken.
 *
 * @return whether it was taken; then `*wake` is pbi_mailbox_post's answer.
 */
bool pbi_mailbox_post_open(struct pbi_mailbox *m, struct pb_work *w, bool *wake);
void pbi_mailbox_open(struct pbi_mailbox *m);
/** Served no more; what is in it is handed over. */
struct pbi_queue pbi_mailbox_close(struct pbi_mailbox *m);

/** All of it, and the consumer is awake. Does not lock when it is empty. */
struct pbi_queue pbi_mailbox_take(struct pbi_mailbox *m);
/** The oldest, or NULL. */
struct pb_work *pbi_mailbox_take_one(struct pbi_mailbox *m);
/** Have the next post wake the consumer; false: there is work already. */
bool pbi_mailbox_doze(struct pbi_mailbox *m);

static inline bool pbi_mailbox_filled(struct pbi_mailbox *m)
{
	return atomic_load_explicit(&m->filled, memory_order_relaxed);
}

#endif
