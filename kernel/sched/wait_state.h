/* How a wait is decided. A thread that waits has a word, thread->wait_state. The CPU that changes
 * it from ACTIVE to an outcome by compare-and-swap has decided the wait and must call sched_wake.
 * Wakers, deadlines and notifications compete for it without sharing a lock. models/park.pml is the
 * model. */
#ifndef CAPOS_SCHED_WAIT_STATE_H
#define CAPOS_SCHED_WAIT_STATE_H

#include <stdbool.h>

#include "sched/thread.h"

enum wait_state {
	WAIT_NONE,
	WAIT_ACTIVE,               /* a waker, the deadline or the thread's end ends it */
	WAIT_ACTIVE_INTERRUPTIBLE, /* a notification ends it too */
	WAIT_WOKEN,
	WAIT_TIMED_OUT,
	WAIT_KILLED,
	WAIT_DRAINED,
	WAIT_SIGNALLED, /* by an event, which has given the thread its bits */
	WAIT_CLOSED,    /* what it waits for is no more */
	/* Only of waits that are interruptible: */
	WAIT_INTERRUPTED,
	WAIT_REVOKED, /* the copy through which the thread calls */
};

/* Waits that may be ended with interrupts off: some ten thousand instructions. */
#define WAKE_BATCH 32u

/* Any context. */
static inline bool wait_is_active(const struct thread *thread)
{
	uint32_t state = __atomic_load_n(&thread->wait_state, __ATOMIC_SEQ_CST);
	return state == WAIT_ACTIVE || state == WAIT_ACTIVE_INTERRUPTIBLE;
}

/* Any context. What a call answers whose wait has ended so. */
static inline status_t wait_status(enum wait_state outcome)
{
	switch (outcome) {
	case WAIT_WOKEN:
	case WAIT_SIGNALLED:
		return STATUS_OK;
	case WAIT_TIMED_OUT:
		return STATUS(TIMED_OUT);
	case WAIT_CLOSED:
		return STATUS(DISCONNECTED);
	case WAIT_REVOKED:
		return STATUS(REVOKED);
	default:
		return STATUS(INTERRUPTED);
	}
}

/* Any context. Tries to decide the wait; true if this call did. */
bool wait_decide(struct thread *thread, enum wait_state outcome);

/* A thread, the current one. Its wait is over: returns the outcome. */
static inline enum wait_state wait_end(struct thread *thread)
{
	uint32_t outcome = __atomic_load_n(&thread->wait_state, __ATOMIC_SEQ_CST);
	__atomic_store_n(&thread->wait_state, WAIT_NONE, __ATOMIC_SEQ_CST);
	return outcome;
}

/* A thread. Waits and returns the outcome. The caller has queued itself, under the lock, where
 * wakers find it, and takes itself out if no waker has. The lock is released meanwhile and held on
 * return. */
enum wait_state wait_block(struct spinlock *lock, uint64_t deadline_ns, bool interruptible);

/* A thread. The same for an interruptible wait in two queues: inner is the lock of the second,
 * under the first. Both are held, and only the first is on return. */
enum wait_state wait_block_both(
	struct spinlock *lock, struct spinlock *inner, uint64_t deadline_ns);

/* A thread. The same for an interruptible wait, and the CPU goes to next, which sched_take has
 * given. */
enum wait_state wait_block_to(struct spinlock *lock, uint64_t deadline_ns, struct thread *next);

/* A thread. The same as wait_block, queued in the order of arrival. */
enum wait_state wait_on(
	struct wait_queue *queue, struct spinlock *lock, uint64_t deadline_ns, bool interruptible);

#endif
