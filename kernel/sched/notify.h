/* Notifications: faults and messages from other threads, delivered as a frame on the thread's own
 * notification stack. docs/abi.md has the contract. */
#ifndef CAPOS_SCHED_NOTIFY_H
#define CAPOS_SCHED_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "capos_kernel/status.h"
#include "sched/thread.h"

/* The current thread's user code faulted: delivers at once, or ends the process with a report. */
void fault_deliver(struct trap_frame *frame, uint32_t kind, uint32_t code, uint64_t address);

/* Is something pending that the thread would take now? */
static inline bool notify_due(const struct thread *thread)
{
	if (__atomic_load_n(&thread->exit_work, __ATOMIC_SEQ_CST) & EXIT_WORK_DIE)
		return true;
	uint64_t pending = __atomic_load_n(&thread->notify_pending, __ATOMIC_SEQ_CST);
	return (pending & ~__atomic_load_n(&thread->notify_mask, __ATOMIC_SEQ_CST)) &&
		__atomic_load_n(&thread->notify_handler, __ATOMIC_SEQ_CST);
}

/* Called on the way to user mode when resched or exit work is set; returns with the frame to leave
 * by. */
void return_to_user(struct trap_frame *frame);

/* Continues from a ThreadState in user memory: replaces the frame of the current entry. */
status_t notify_resume(
	struct thread *thread, struct trap_frame *frame, uint64_t address) MUST_CHECK;

/* Registers of a thread that does not run, to and from the ABI's form. write refuses addresses
 * outside the user half. */
void thread_state_read(struct thread *thread, struct capos_thread_state *state);
status_t thread_state_write(
	struct thread *thread, const struct capos_thread_state *state) MUST_CHECK;

#endif
