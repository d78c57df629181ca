/* Waiting and waking inside the kernel. A wait queue belongs to some object and is guarded by that
 * object's lock, or by any one lock its users agree on.
 *
 *     spin_lock(&object->lock);
 *     while (!condition) {
 *             status = wait_queue_wait(&object->queue, &object->lock, deadline_ns, true);
 *             if (status != STATUS_OK) break;       // lock is held again in every case
 *     }
 *     spin_unlock(&object->lock);
 */
#ifndef CAPOS_SCHED_WAIT_H
#define CAPOS_SCHED_WAIT_H

#include <stdbool.h>
#include <stdint.h>

#include "capos_kernel/status.h"
#include "core/list.h"
#include "core/lock.h"

struct wait_queue {
	struct list threads;
#ifdef CAPOS_DEBUG
	const struct spinlock *lock; /* with which threads have waited; NULL: none has */
#endif
};

#define DEADLINE_NONE UINT64_MAX

/* Any context. The deadline of a wait that begins now; CAPOS_WAIT_FOREVER, or a time that no clock
 * reaches: DEADLINE_NONE. */
uint64_t deadline_after(uint64_t timeout_ns);

/* Any context, before others know of the queue. */
static inline void wait_queue_init(struct wait_queue *queue)
{
	*queue = (struct wait_queue){ .threads = LIST_INIT(queue->threads) };
}

/* Blocks the calling thread. The lock, which is held, is the only one; it is released while the
 * thread waits and held again on return. STATUS_OK: woken by wait_queue_wake. TIMED_OUT: deadline
 * (absolute monotonic ns) passed. INTERRUPTED: the thread must die, or (interruptible only) a
 * notification is deliverable. */
status_t wait_queue_wait(struct wait_queue *queue, struct spinlock *lock, uint64_t deadline_ns,
	bool interruptible) MUST_CHECK;
/* Wakes up to count threads in arrival order; returns how many. The guarding lock is held. */
uint32_t wait_queue_wake(struct wait_queue *queue, uint32_t count);
/* A thread. Wakes all that wait now, in steps. The lock is the guarding one, and the only one that
 * is held; it is free in between. */
void wait_queue_wake_all(struct wait_queue *queue, struct spinlock *lock);

/* A thread. Sleeps until the deadline. */
status_t thread_sleep_until(uint64_t deadline_ns, bool interruptible) MUST_CHECK;

#endif
