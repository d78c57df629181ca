/* Notifications: faults and messages from other threads, delivered as a ThreadState on the thread's
 * own notification stack. docs/abi.md has the contract. */
#ifndef CAPOS_PROC_NOTIFY_H
#define CAPOS_PROC_NOTIFY_H

#include <stdint.h>

#include "capos_kernel/status.h"
#include "capos_kernel/user_ptr.h"

struct thread;
struct trap_frame;

/* A thread, the current one. Continues from a ThreadState in user memory:
 * replaces the frame of the current entry. */
status_t notify_resume(
	struct thread *thread, struct trap_frame *frame, struct user_ptr state_address) MUST_CHECK;

/* Converts the registers of a thread that does not run to and from the form of the ABI; its lock is
 * held. write fails for addresses outside the user half. */
void thread_state_read(struct thread *thread, struct capos_thread_state *state);
status_t thread_state_write(
	struct thread *thread, const struct capos_thread_state *state) MUST_CHECK;

#endif
