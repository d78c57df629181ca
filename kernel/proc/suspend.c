/* Suspension: see suspend.h. models/notify.pml models is_quiet and the ways of a thread to it.
 *
 * One thread at a time holds a process or lets it go (holding). It goes through the threads in
 * steps, and puts each that it has told at the end of the list. Threads that begin meanwhile find
 * in the record of the process how they begin. To tell a thread twice does no harm. When the
 * process ends, the list is in the order of those who kill (threads_untold), and is left alone. */
#include "proc/suspend.h"

#include "core/log.h"
#include "proc/process.h"
#include "sched/sched.h"
#include "sched/thread.h"
#include "sched/wait_state.h"

/* The thread runs no user code once it has acknowledged, because it checks the flag before it
 * returns to user mode. A thread that waits counts as stopped from the beginning of its wait,
 * before it is off its CPU: when it has passed its last check, it will stop without acknowledging.
 * A thread that waits only for a CPU does not count, although it runs nothing. It will acknowledge
 * soon, and only then can its registers be written. */
static bool is_quiet(const struct thread *thread)
{
	return thread->ended || thread->acknowledged ||
		__atomic_load_n(&thread->state, __ATOMIC_SEQ_CST) == THREAD_BLOCKED ||
		__atomic_load_n(&thread->wait_state, __ATOMIC_SEQ_CST) != WAIT_NONE;
}

bool thread_is_quiet_locked(const struct thread *thread)
{
	assert_held(&thread->lock);
	return is_quiet(thread);
}

status_t thread_await_quiet_locked(struct thread *thread, bool interruptible)
{
	status_t status = STATUS_OK;
	assert_held(&thread->lock);
	__atomic_or_fetch(&thread->exit_work, EXIT_WORK_SUSPEND, __ATOMIC_SEQ_CST);
	sched_kick(thread);
	while (!is_quiet(thread) && status == STATUS_OK)
		status = wait_queue_wait(
			&thread->suspenders, &thread->lock, DEADLINE_NONE, interruptible);
	if (is_quiet(thread))
		wait_queue_wake(&thread->suspenders, 1);
	/* Needed for the next step too: the thread may run in the kernel again before it stops. */
	if (status == STATUS_OK)
		thread->acknowledged = true;
	return status;
}

/* The process's lock is held. Whether the thread is not quiet yet and has to be waited for. */
static bool tell_locked(struct process *process, struct thread *thread)
{
	assert_held(&process->lock);
	spin_lock(&thread->lock);
	bool busy = false;
	thread->held = process->held;
	if (thread->held) {
		if (!thread->suspend_count)
			thread->acknowledged = false;
		__atomic_or_fetch(&thread->exit_work, EXIT_WORK_SUSPEND, __ATOMIC_SEQ_CST);
		sched_kick(thread);
		busy = !is_quiet(thread);
	} else if (!thread->suspend_count) {
		wait_queue_wake(&thread->suspended, 1);
	}
	spin_unlock(&thread->lock);
	return busy;
}

/* Tells a batch of the threads. A reference to one that has to be waited for, which ends the batch,
 * or NULL. */
static struct thread *tell_batch(struct process *process, uint32_t *left)
{
	struct thread *busy = NULL;
	spin_lock(&process->lock);
	for (uint32_t told = 0; told < WAKE_BATCH && *left && !busy; told++) {
		struct list_node *node =
			process->exiting ? NULL : list_pop_front(&process->threads);
		if (!node) {
			*left = 0;
			break;
		}
		struct thread *thread = container_of(node, struct thread, process_node);
		list_push_back(&process->threads, node);
		--*left;
		if (tell_locked(process, thread)) {
			object_retain(&thread->object);
			busy = thread;
		}
	}
	spin_unlock(&process->lock);
	return busy;
}

static void tell_all(struct process *process, uint32_t left)
{
	status_t status = STATUS_OK;
	while (left) {
		struct thread *busy = tell_batch(process, &left);
		if (busy && status == STATUS_OK) {
			spin_lock(&busy->lock);
			status = thread_await_quiet_locked(busy, false);
			spin_unlock(&busy->lock);
		}
		if (busy)
			object_release(&busy->object);
		sched_preemption_point();
	}
}

status_t process_hold(struct process *process, bool held)
{
	status_t status = STATUS_OK;
	spin_lock(&process->lock);
	while (process->holding && status == STATUS_OK)
		status = wait_queue_wait(&process->holders, &process->lock, DEADLINE_NONE, false);
	if (status == STATUS_OK && process->exiting)
		status = STATUS(WRONG_STATE);
	uint32_t left = status == STATUS_OK ? process->thread_count : 0;
	if (status == STATUS_OK) {
		process->held = held;
		process->holding = true;
	}
	spin_unlock(&process->lock);
	tell_all(process, left);
	spin_lock(&process->lock);
	if (status == STATUS_OK)
		process->holding = false;
	if (!process->holding)
		wait_queue_wake(&process->holders, 1);
	spin_unlock(&process->lock);
	return status;
}
