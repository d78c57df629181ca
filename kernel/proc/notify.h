/* Notifications: faults and messages from other threads, delivered as a ThreadState on the thread's
 * own notification stack. docs/abi.md has the contract. */
#ifndef CAPOS_PROC_NOTIFY_H
#define CAPOS_PROC_NOTIFY_H

#include <stdint.h>

#include "capos_kernel/status.h"
#include "capos_kernel/user_ptr.h"

struct thread;
struct trap_frame;

/* The current thread's user code faulted: delivers at once, or ends the process with a report,
 * which may block. */
void fault_deliver(struct trap_frame *frame, uint32_t kind, uint32_t code, uint64_t address);

/* Called on the way to user mode when resched or exit work is set. When it returns, the frame is
 * the one to leave by. A thread; other threads may run meanwhile. */
void return_to_user(struct trap_frame *frame);

/* Continues from a ThreadState in user memory: replaces the frame of the current entry. */
status_t notify_resume(
	struct thread *thread, struct trap_frame *frame, struct user_ptr from) MUST_CHECK;

/* Converts the registers of a thread that does not run to and from the form of the ABI; its lock is
 * held. write fails for addresses outside the user half. */
void thread_state_read(struct thread *thread, struct capos_thread_state *state);
status_t thread_state_write(
	struct thread *thread, const struct capos_thread_state *state) MUST_CHECK;

#endif
