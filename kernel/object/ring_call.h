/* The record of a call through the ring, for the two files that use it: ring_call.c, and
 * endpoint_direct.c for the common case. models/ringcall.pml is the model. A thread. */
#ifndef CAPOS_OBJECT_RING_CALL_H
#define CAPOS_OBJECT_RING_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/list.h"
#include "object/cap_set.h"
#include "object/endpoint.h"
#include "sched/lease.h"
#include "sched/thread.h"

#define WORDS_BYTES (MESSAGE_WORDS * sizeof(uint64_t))

/* The capabilities of a call and its answer. */
struct ring_transfer {
	/* Owner thread only. */
	struct user_ptr place; /* where the program has named them */
	struct cap_slots slots;

	/* Guarded by the caller's lock while the call is open. */
	struct cap_set carried;
	struct object *given[CAPOS_MESSAGE_CAPS_MAX];
	uint32_t given_count;
};

/* Charged to the caller's process. The caller's thread has it until the call is completed, and a
 * server from when it receives the call until it answers. Of the two, the last one frees it; the
 * caller keeps it for its next call instead. */
struct ring_call {
	/* Set when the record is made, never changed. */
	struct thread *caller; /* referenced */
	uint32_t room;         /* bytes */

	/* Set when the call begins, not changed before it has ended. */
	uint32_t size; /* of the message */
	uint64_t user_data;
	uint64_t deadline_ns;
	struct user_ptr result;
	uint32_t capacity;              /* of the caller's result buffer; at most room */
	struct ring_transfer *transfer; /* NULL: it carries and takes no capability */

	/* Referenced by the caller until it completes the call. Read by others under its lock,
	 * while the call is open. */
	struct object *facet;

	/* Guarded by the caller's lock. */
	bool open;     /* it has not ended */
	bool received; /* by a server: the call is in no queue */
	bool held;     /* a server has the record */
	bool left;     /* the caller does not have it any more */
	int32_t status;
	uint32_t answer_size;
	struct list_node ended_node;

	struct lease_use use;         /* owner thread only */
	struct list_node caller_node; /* owner thread only, as is next_spare */
	struct ring_call *next_spare;
	struct queued_call queued;

	/* The message, filled up with zeros to that of a call in registers; then the answer. */
	uint64_t bytes[];
};

/* The call, whose facet has been looked up, begins now, in the list of the caller's. The locks of
 * the endpoint and of the caller, which is the current thread, are held. */
static inline void ring_call_open_locked(struct ring_call *call, struct facet *facet)
{
	struct thread_ring_calls *calls = &call->caller->ring_calls;
	assert_held(&call->caller->lock);
	call->facet = &facet->object;
	call->open = true;
	list_push_back(&calls->all, &call->caller_node);
	calls->count++;
	calls->timed += call->deadline_ns != DEADLINE_NONE;
}

/* The thread, which is the current one or waits to receive and has been decided, has received the
 * open call. The lock of the caller is held. */
static inline void ring_call_attach_locked(struct ring_call *call, struct thread *thread)
{
	struct thread_service *service = &thread->service;
	assert_held(&call->caller->lock);
	call->received = call->held = true;
	service->ring = call;
	service->tag = facet_from(call->facet)->tag;
}

/* Ends the open call. The lock of the caller is held. */
static inline void ring_call_end_locked(struct ring_call *call, int32_t status, uint32_t size)
{
	struct thread_ring_calls *calls = &call->caller->ring_calls;
	assert_held(&call->caller->lock);
	ASSERT(call->open);
	call->open = false;
	call->status = status;
	call->answer_size = size;
	list_push_back(&calls->ended, &call->ended_node);
	calls->ended_count++;
}

/* Bytes of an answer in registers, of which as many come as the caller has room for. */
static inline uint32_t ring_call_words_size(const struct ring_call *call)
{
	return call->capacity < WORDS_BYTES ? call->capacity : WORDS_BYTES;
}

#endif
