/* Suspension: a thread parks itself on its way back to user mode while it is suspended by itself,
 * which counts, or held with its process, which does not. It runs no user code from the moment at
 * which it is quiet. A thread. models/notify.pml is the model. */
#ifndef CAPOS_PROC_SUSPEND_H
#define CAPOS_PROC_SUSPEND_H

#include <stdbool.h>

#include "capos_kernel/status.h"

struct process;
struct thread;

/* Whether the suspension of the thread has taken effect. */
bool thread_is_quiet_locked(const struct thread *thread);
/* Makes the thread look whether it is suspended, and waits until it is quiet. Its lock is the only
 * one. Fails as wait_queue_wait does. */
status_t thread_await_quiet_locked(struct thread *thread, bool interruptible) MUST_CHECK;

/* Holds all threads of the process, also those that it gets later, or lets them go. A process that
 * is held already stays so. Waits until all are quiet, unless the caller has to die. WRONG_STATE:
 * the process is ending. Not for threads of the process itself. */
status_t process_hold(struct process *process, bool held) MUST_CHECK;

#endif
