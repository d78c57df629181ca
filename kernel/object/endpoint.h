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
#include "cap/table.h"
#include "kernel/methods.h"
#include "proc/binding.h"
#include "proc/process.h"
#include "sched/thread.h"

struct ledger;
struct transfer_answer;

struct endpoint {
	struct object object;

	/* Set at creation, never changed. */
	struct ledger *ledger; /* charged for this record and those of facets; referenced */
	uint16_t calls_max;

	/* Guarded by lock. */
	uint16_t call_count; /* in calls */
	struct spinlock lock;
	bool closed;            /* no capability is left */
	bool accepts;           /* calls may carry capabilities */
	bool direct;            /* not closed, and calls may go straight to the other side */
	struct list calls;      /* queued_call.node, by arrival */
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

/* The object of that kind, kept alive until the caller's object_release; NULL: none. A thread. */
static inline __attribute__((always_inline)) struct object *endpoint_find(
	struct thread *thread, uint64_t cap, unsigned interface)
{
	struct object *object = cap_table_lookup_counted(&thread->process->caps, (cap_id_t)cap);
	if (!object || object->interface == &interface_descs[interface])
		return object;
	object_release(object);
	return NULL;
}

/* A receive through the ring. */
struct ring_receive {
	uint32_t capacity;             /* longer messages are refused; at least a message's words */
	bool takes_caps;               /* and else calls that carry some are refused */
	uint64_t words[MESSAGE_WORDS]; /* of a call in registers */
	uint64_t tag;
	uint32_t cap_count;
	cap_id_t caps[CAPOS_MESSAGE_CAPS_MAX]; /* that have come */
};

/* What a receive has taken out of the queue: nothing, a call, one that carries capabilities. */
enum received { RECEIVED_NONE, RECEIVED_WORDS, RECEIVED_CARRIES };

/* A thread, with no lock held. Any operation of an endpoint. */
int64_t endpoint_enter_any(struct trap_frame *frame);
/* A thread, with no lock held, that has answered the call it had received. Receives the next one:
 * does not return, or returns why not. object: the endpoint, whose reference it takes over; next:
 * a thread that has been taken for this CPU. */
int64_t endpoint_receive_after(struct thread *thread, struct trap_frame *frame,
	struct object *object, struct thread *next);

/* What endpoint.c and ring_call.c have of each other. A thread; with no lock held, unless said
 * otherwise. */

/* The current thread has no call to answer, and receives one: a CAPOS_RECEIVE_RESULT_x, or an
 * error. */
int64_t endpoint_receive_into(struct thread *thread, struct endpoint *endpoint,
	struct ring_receive *into, uint64_t deadline_ns);
/* Ends the call in registers that the thread has received. with: NULL, or what comes with the
 * words. False: the caller has gone. */
bool endpoint_answer_words(
	struct thread *thread, int64_t status, const uint64_t *words, struct transfer_answer *with);
/* The first thread that waits to receive, which is to be woken; NULL: none. */
struct thread *endpoint_take_receiver_locked(struct endpoint *endpoint);

/* The call has just been taken out of the endpoint's queue, whose lock is held. RECEIVED_NONE: it
 * has ended. */
enum received ring_call_receive(struct ring_call *call, struct thread *thread);
/* The thread has received a call through a ring that carries capabilities, and takes them. False:
 * its process has no room for them, or the caller has gone; the call must be ended. */
bool ring_call_take(struct thread *thread, cap_id_t *caps, uint32_t *count) MUST_CHECK;
/* The thread whose call the thread has received, in registers or through the ring; 0: none. The
 * thread itself. */
uint64_t ring_call_caller(const struct thread *thread);
/* Ends the call that the thread has received, which has come through a ring. frame: of the thread,
 * with the answer; NULL: the size bytes that have been put into the call are. objects: so many that
 * come with it; those that are given become NULL. False: it has ended before. */
bool ring_call_answer(struct thread *thread, int64_t status, const struct trap_frame *frame,
	uint32_t size, struct object **objects, uint32_t count);
/* The lock of the endpoint is held, which the call has just left: it ends as disconnected. */
void ring_call_disconnect(struct ring_call *call);
struct object *ring_call_facet(const struct ring_call *call);
/* The current thread ends, and gives up all its calls. */
void ring_calls_leave(struct thread *thread);

#endif
