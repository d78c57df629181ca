/* What the calls have in common that go straight to a thread which waits on the same CPU: those in
 * registers (endpoint_direct.c), and those through the ring (ring_call.c). models/handover.pml is
 * the model. A thread. */
#ifndef CAPOS_OBJECT_ENDPOINT_DIRECT_H
#define CAPOS_OBJECT_ENDPOINT_DIRECT_H

#include "object/endpoint.h"
#include "sched/hand_over.h"

/* For what is on the path of a call that is handed over. */
#define HOT static inline __attribute__((always_inline))

/* The locks of endpoint and run queue are held. The thread that is to receive, whose wait has
 * ended; NULL: none can at once, and nothing has changed. */
HOT struct thread *endpoint_take_standing(
	const struct percpu *cpu, struct endpoint *endpoint, struct thread *thread)
{
	assert_held(&endpoint->lock);
	struct list_node *node = endpoint->receivers.head.next;
	struct thread *receiver = container_of(node, struct thread, wait_node);
	if (!hand_over_stands(cpu, receiver, PLAIN_CALL))
		return NULL;
	if (!hand_over_begin(thread) || !hand_over_take(receiver)) {
		wait_end(thread);
		return NULL;
	}
	list_remove(node);
	return receiver;
}

#endif
