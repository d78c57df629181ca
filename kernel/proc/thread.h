/* Making and ending threads: for a thread. sched/thread.h has the thread itself and the operations
 * on it. */
#ifndef CAPOS_PROC_THREAD_H
#define CAPOS_PROC_THREAD_H

#include <stdint.h>

#include "capos_kernel/status.h"
#include "arch/trap_frame.h"
#include "sched/thread.h"

struct process;

/* The calls of every thread are watched, not only of those that remember them. Set at boot. */
extern bool threads_watched;

/* A new thread of the process (NULL: kernel thread running function(argument)), blocked until
 * thread_start. A user thread comes with its ring page mapped (ring, ring_address) and a frame
 * ready for user mode, all registers zero: the caller sets places and arguments in thread_frame()
 * (trap_frame_begin), the thread pointer in the context, and the interface by which capabilities
 * name it. One reference, the caller's; running holds another. Fails as process_add_thread does. */
status_t thread_create(struct process *process, const char *name, void (*function)(void *),
	void *argument, struct thread **thread) MUST_CHECK;
void thread_start(struct thread *thread);

/* Of a user thread: at the top of its kernel stack. */
static inline struct trap_frame *thread_frame(const struct thread *thread)
{
	return (struct trap_frame *)((uint64_t)thread->stack + KERNEL_STACK_SIZE) - 1;
}

/* Ends the calling thread. The stack, ring and records go when the CPU has left them. */
_Noreturn void thread_exit(int32_t code);

#endif
