/* The records of endpoints and facets, and what the two files that call them have of each other:
 * endpoint.c, and endpoint_direct.c for the common case of two operations. Any context, for the two
 * that lead from an object to its record. */
#ifndef CAPOS_OBJECT_ENDPOINT_H
#define CAPOS_OBJECT_ENDPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/list.h"
#include "core/lock.h"
#include "core/object.h"
#include "core/rbtree.h"
#include "proc/binding.h"
#include "sched/thread.h"

struct ledger;

struct endpoint {
	struct object object;

	/* Set at creation, never changed. */
	struct ledger *ledger; /* charged for this record and those of facets; referenced */
	uint32_t calls_max;

	/* Guarded by lock. */
	struct spinlock lock;
	bool closed;            /* no capability is left */
	bool accepts;           /* calls may carry capabilities */
	bool direct;            /* not closed, and calls may go straight to the other side */
	struct list calls;      /* thread_call.node, by arrival */
	uint32_t call_count;    /* in calls */
	struct list receivers;  /* wait_node of threads, by arrival */
	struct list gone;       /* records of facets that have no holder, to be told */
	struct rbtree facets;   /* not closed, by tag */
	struct binding binding; /* of calls that no thread waits for */
	uint64_t gone_bits;     /* the bits for records in gone */
};

struct facet {
	struct object object;

	/* Set at creation, never changed. */
	struct endpoint *endpoint; /* referenced */
	uint64_t tag;

	/* Guarded by the endpoint's lock. */
	bool closed;
	struct rbnode node;
	struct list_node gone_node;
};

static inline struct endpoint *endpoint_from(struct object *object)
{
	return container_of(object, struct endpoint, object);
}

static inline struct facet *facet_from(struct object *object)
{
	return container_of(object, struct facet, object);
}

/* Any context. Whether calls may go straight to the other side: on this machine, in this run. */
bool endpoint_may_be_direct(void);
/* A thread, with no lock held. Any operation of an endpoint. */
int64_t endpoint_enter_any(struct trap_frame *frame);
/* A thread, with no lock held, that has answered the call it had received. Receives the next one:
 * does not return, or returns why not. object: the endpoint, whose reference it takes over; next:
 * a thread that has been taken for this CPU. */
int64_t endpoint_receive_after(struct thread *thread, struct trap_frame *frame,
	struct object *object, struct thread *next);

#endif
