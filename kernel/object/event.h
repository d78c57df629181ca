/* The record of an Event, for event.c and binding.c. */
#ifndef CAPOS_OBJECT_EVENT_H
#define CAPOS_OBJECT_EVENT_H

#include "core/list.h"
#include "core/lock.h"
#include "core/object.h"
#include "core/rbtree.h"

struct event {
	struct object object;
	struct ledger *ledger; /* charged for this record; referenced */

	/* Guarded by lock. */
	struct spinlock lock;
	bool closed; /* no capability is left */
	uint64_t bits;
	struct rbtree waiters; /* threads by event_arrival */
	uint64_t arrivals;     /* threads that have ever waited */
	struct list bindings;  /* event_node */
};

/* Any context. */
static inline struct event *event_from(struct object *object)
{
	return container_of(object, struct event, object);
}

/* A thread. The event is closed: takes it out of all bindings. The caller has a
 * reference. */
void event_leave_bindings(struct event *event);

#endif
