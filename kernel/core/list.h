/* Intrusive doubly linked list, which needs no memory of its own. A node not on a list points at
 * itself, so list_linked() is a test and list_remove() of an unlinked node is harmless. Pure. */
#ifndef CAPOS_CORE_LIST_H
#define CAPOS_CORE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list_node {
	struct list_node *next, *prev;
};

struct list {
	struct list_node head;
};

/* clang-format off */
#define LIST_INIT(name) { { &(name).head, &(name).head } }
/* clang-format on */
#define container_of(pointer, type, member) ((type *)((char *)(pointer) - offsetof(type, member)))
#define list_for_each(node, list) \
	for (struct list_node *node = (list)->head.next; node != &(list)->head; node = node->next)
/* The current node may be removed inside the loop. */
#define list_for_each_safe(node, list)                                              \
	for (struct list_node *node = (list)->head.next, *node##_next = node->next; \
		node != &(list)->head; node = node##_next, node##_next = node->next)

static inline void list_node_init(struct list_node *node)
{
	node->next = node->prev = node;
}

static inline void list_init(struct list *list)
{
	list_node_init(&list->head);
}

static inline bool list_empty(const struct list *list)
{
	return list->head.next == &list->head;
}

static inline bool list_linked(const struct list_node *node)
{
	return node->next != node;
}

static inline void list_insert_before(struct list_node *next, struct list_node *node)
{
	node->prev = next->prev;
	node->next = next;
	next->prev->next = node;
	next->prev = node;
}

static inline void list_push_back(struct list *list, struct list_node *node)
{
	list_insert_before(&list->head, node);
}

static inline void list_push_front(struct list *list, struct list_node *node)
{
	list_insert_before(list->head.next, node);
}

static inline void list_remove(struct list_node *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_node_init(node);
}

/* The nodes of one list become those of another, which is empty. */
static inline void list_move_all(struct list *to, struct list *from)
{
	if (from->head.next == &from->head)
		return;
	to->head = from->head;
	to->head.next->prev = to->head.prev->next = &to->head;
	list_node_init(&from->head);
}

static inline struct list_node *list_first(struct list *list)
{
	return list_empty(list) ? NULL : list->head.next;
}

static inline struct list_node *list_pop_front(struct list *list)
{
	struct list_node *node = list_first(list);
	if (node)
		list_remove(node);
	return node;
}

#endif
