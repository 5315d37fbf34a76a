/*
 * A doubly linked list whose nodes live inside the things listed.
 *
 * A zeroed node is on no list. One thread at a time.
 */
#ifndef PB_BASE_LIST_H
#define PB_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct pb_list {
	struct pb_list *next, *prev;
};

/** The thing that embeds `member` at `ptr`. */
#define pb_container(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

static inline void pb_list_init(struct pb_list *head)
{
	head->next = head->prev = head;
}

static inline bool pb_list_empty(const struct pb_list *head)
{
	return head->next == head;
}

/** Whether a node is on some list. */
static inline bool pb_list_linked(const struct pb_list *node)
{
	return node->next != NULL;
}

static inline void pb_list_push(struct pb_list *head, struct pb_list *node)
{
	node->prev = head->prev;
	node->next = head;
	head->prev->next = node;
	head->prev = node;
}

/** Take off its list; does nothing to a node on no list. */
static inline void pb_list_remove(struct pb_list *node)
{
	if (!node->next)
		return;
	node->prev->next = node->next;
	node->next->prev = node->prev;
	node->next = node->prev = NULL;
}

/** First node taken off, or NULL. */
static inline struct pb_list *pb_list_pop(struct pb_list *head)
{
	struct pb_list *n = head->next;

	if (n == head)
		return NULL;
	pb_list_remove(n);
	return n;
}

#define pb_list_each(it, head) for (struct pb_list *it = (head)->next; it != (head); it = it->next)
/** The body may remove `it` (and only `it`). */
#define pb_list_each_safe(it, head)                                                                \
	for (struct pb_list *it = (head)->next, *it##_next = it->next; it != (head);               \
	     it = it##_next, it##_next = it->next)

#endif
