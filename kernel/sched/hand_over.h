/* The hand-over of a CPU from the current thread to another, which waits for it to do something:
 * without the run queue, the timer, and what both have on their kernel stacks. It is inline,
 * because object/endpoint_direct.c has the hottest path between processes.
 *
 *     lock of the run queue
 *     hand_over_stands      the other has stopped on this CPU, in a wait of that kind
 *     hand_over_begin       the wait of the current thread begins, unless it has other work
 *     hand_over_take        the wait of the other is decided: from here on nothing can fail
 *     hand_over_account     states and times, with the time before the lock was taken
 *     context_hand_over     leaves to the other, and the lock with it
 *
 * Under the lock, a thread that has stopped on this CPU stays so, because a waker needs the lock to
 * make it run. A CPU that decides the wait of the current thread after hand_over_begin waits for
 * the lock too, and then finds the thread stopped. models/handover.pml is the model.
 * A thread, unless said otherwise. */
#ifndef CAPOS_SCHED_HAND_OVER_H
#define CAPOS_SCHED_HAND_OVER_H

#include "arch/context.h"
#include "core/percpu.h"
#include "machine/cpus.h"
#include "sched/sched.h"
#include "sched/share.h"
#include "sched/thread.h"
#include "sched/wait_state.h"

#define HAND_OVER static inline __attribute__((always_inline))

/* Any context. Its times make ticks or use up a quota, which is the scheduler's matter. */
HAND_OVER bool hand_over_ticks(const struct thread *thread)
{
	return (thread->watched | __atomic_load_n(&thread->profile->check_ns, __ATOMIC_RELAXED)) !=
		0;
}

/* The lock of the run queue is held, in these four. */
HAND_OVER bool hand_over_stands(
	const struct percpu *cpu, const struct thread *thread, enum plain_wait wait)
{
	assert_held(&cpu->run.lock);
	return __atomic_load_n(&thread->cpu, __ATOMIC_RELAXED) == cpu->id &&
		thread->state == THREAD_BLOCKED && thread->plain_wait == wait &&
		!hand_over_ticks(thread);
}

HAND_OVER bool hand_over_begin(struct thread *thread)
{
	__atomic_store_n(&thread->wait_state, WAIT_ACTIVE_INTERRUPTIBLE, __ATOMIC_SEQ_CST);
	return !__atomic_load_n(&thread->exit_work, __ATOMIC_SEQ_CST);
}

HAND_OVER bool hand_over_take(struct thread *thread)
{
	uint32_t active = WAIT_ACTIVE_INTERRUPTIBLE;
	return __atomic_compare_exchange_n(
		&thread->wait_state, &active, WAIT_NONE, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* Both threads have their time charged, up to now; the share served goes on paying. wait: of the
 * current thread, which begins. */
HAND_OVER void hand_over_account(
	struct thread *thread, struct thread *next, enum plain_wait wait, uint64_t now)
{
	uint64_t ran = now - thread->run_started_ns;
	thread->cpu_time_ns += ran;
	thread->vruntime_ns += ran;
	thread->plain_wait = wait;
	thread->state = THREAD_BLOCKED;
	next->plain_wait = PLAIN_NONE;
	next->state = THREAD_RUNNING;
	next->run_started_ns = now;
	__atomic_store_n(&next->run_origin_ns, now - next->cpu_time_ns, __ATOMIC_RELAXED);
}

#undef HAND_OVER

#endif
