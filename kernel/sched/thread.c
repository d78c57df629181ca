/* Operations of other threads on a thread. models/notify.pml models notification and kill,
 * models/park.pml the ends of waits. */
#include "sched/thread.h"

#include "machine/clock.h"
#include "sched/sched.h"
#include "sched/wait_state.h"

void thread_notify(struct thread *thread, uint32_t kind, uint64_t value)
{
	if (kind >= 32)
		__atomic_store_n(&thread->notify_value[kind - 32], value, __ATOMIC_RELAXED);
	/* Already pending: the thread that made it so has told the receiver, or is about to. So a
	 * storm of notifications costs the receiver one interruption for each that it handles. */
	uint64_t bit = notify_bit(kind);
	if (__atomic_fetch_or(&thread->notify_pending, bit, __ATOMIC_SEQ_CST) & bit)
		return;
	/* Masked, or without a handler: the thread checks itself when it changes that, after its
	 * change, as this check comes after the change here. */
	if (!notify_due(thread))
		return;
	__atomic_or_fetch(&thread->exit_work, EXIT_WORK_NOTIFY, __ATOMIC_SEQ_CST);
	if (wait_decide(thread, WAIT_INTERRUPTED))
		sched_wake(thread);
	else
		sched_kick(thread);
}

void thread_kill(struct thread *thread)
{
	__atomic_or_fetch(&thread->exit_work, EXIT_WORK_DIE, __ATOMIC_SEQ_CST);
	if (wait_decide(thread, WAIT_KILLED))
		sched_wake(thread);
	spin_lock(&thread->lock);
	wait_queue_wake(&thread->suspended, 1);
	spin_unlock(&thread->lock);
	sched_kick(thread);
}

uint64_t thread_cpu_time_ns(const struct thread *thread)
{
	uint64_t origin, now;
	do {
		if (__atomic_load_n(&thread->state, __ATOMIC_ACQUIRE) != THREAD_RUNNING)
			return __atomic_load_n(&thread->cpu_time_ns, __ATOMIC_RELAXED);
		origin = __atomic_load_n(&thread->run_origin_ns, __ATOMIC_RELAXED);
		now = clock_now_ns();
		/* Still running, and from the same beginning: it has run until now, and no later
		 * reading is less. */
	} while (__atomic_load_n(&thread->state, __ATOMIC_ACQUIRE) != THREAD_RUNNING ||
		__atomic_load_n(&thread->run_origin_ns, __ATOMIC_RELAXED) != origin);
	return now - origin;
}
