/* The scheduler: which thread runs where. Fair by virtual run time, one run queue a CPU, work
 * stealing, tickless.
 *
 * A thread's state and queue membership are guarded by the run queue lock of thread->cpu. A CPU
 * that leaves a thread holds the lock from the change of state until it is off the thread's stack.
 * So any CPU that finds a thread blocked or queued can run it at once. */
#ifndef CAPOS_SCHED_SCHED_H
#define CAPOS_SCHED_SCHED_H

#include <stdbool.h>
#include <stdint.h>

#include "core/lock.h"

struct percpu;
struct quota;
struct share;
struct thread;
struct trap_frame;

/* What the CPU time of several threads together is watched for: ticks, and a quota. Atomic. */
struct shared_profile {
	uint64_t check_ns; /* a thread that runs is charged after so long at most; 0: when it stops
	                    */
	uint64_t interval_ns; /* 0: no ticks */
	uint64_t used_ns;     /* CPU time since the last tick */
	uint64_t told_ns;     /* when other CPUs were last interrupted for a new interval */
	struct quota *quota;  /* NULL: no limit; set before the first thread runs */
};

extern struct shared_profile kernel_profile; /* of the kernel's own threads */

/* Boot, on the CPU itself, once: its idle thread becomes current. */
void sched_init_cpu(struct percpu *cpu);
/* A thread, the CPU's idle one: runs what is runnable, and waits for interrupts between. */
_Noreturn void sched_idle(void);

/* A thread. Gives up the CPU while the current thread's wait is active (wait.c); returns when it
 * runs again.
 */
void sched_block(void);
/* A thread. As sched_block, but the CPU goes to a thread that sched_take has given: no queue is
 * asked, the slice goes on, and the process that has paid for this CPU's time goes on paying. A
 * wait that is not active any more does not stop; the other thread is then queued. */
void sched_block_to(struct thread *next);
/* The thread's wait has been decided by the caller, and it has stopped on this CPU: takes it for
 * sched_block_to or sched_give, one of which must come before the caller blocks or leaves the
 * kernel. shares: only while the process with these shares pays for this CPU's time; NULL: any may
 * pay. False: sched_wake is to be called instead. Any context that may take the RUN_QUEUE lock. */
bool sched_take(struct thread *thread, const struct share *shares);
/* The thread's wait has been decided by the caller. Waits for the CPU that has left it and may
 * still read its frame (context_hand_over), before the caller writes there. Any context that may
 * take the RUN_QUEUE lock. */
void sched_await_left(const struct thread *thread);
/* Queues a thread that was taken. Any context that may take the RUN_QUEUE lock. */
void sched_give(struct thread *thread);
/* The thread's wait has been decided: makes it runnable unless it never stopped running. Any
 * context that may take the RUN_QUEUE lock. */
void sched_wake(struct thread *thread);
/* A thread. Lets others run first. */
void sched_yield(void);
/* A thread. Lets others run if they have had less. */
void sched_preempt(void);
/* A thread, with no lock held. A preemption point of long work: waiting interrupts are taken, and
 * another thread runs if it is its turn. */
void sched_preemption_point(void);
/* A thread. The same between the steps of what is done under a lock, which is held, is the only
 * one, and is free meanwhile. */
static inline void sched_pause_locked(struct spinlock *lock)
{
	assert_held(lock);
	spin_unlock(lock);
	sched_preemption_point();
	spin_lock(lock);
}
/* A thread. Ends the current thread's life on this CPU. */
_Noreturn void sched_end(void);
/* Puts a new, never run thread on a queue. Any context that may take the RUN_QUEUE lock. */
void sched_start(struct thread *thread);
/* Moves the thread to a CPU its affinity allows, at its next switch. Any context. */
void sched_affinity_changed(struct thread *thread);

/* Interrupt: expired deadlines, end of slice, profile ticks. */
void sched_timer(void);
/* How late a timer interrupt has come at worst on any CPU: the longest time that the kernel is
 * known to have had interrupts off. */
uint64_t sched_timer_late_ns(void);

/* A thread, which is the current one. A profileTick for it every so many ns of its CPU time; 0:
 * none. */
void sched_set_profile(struct thread *thread, uint64_t interval_ns);
/* A thread. For the thread, which is the current one or waits and has been decided: the quota that
 * is charged for what it does from now on; NULL: that of its process. Any context that may take the
 * RUN_QUEUE lock. */
void sched_set_payer(struct thread *thread, struct quota *payer);
/* A thread, because others may run meanwhile. The same for the CPU time of all
 * threads that have the current one's shared profile. */
void sched_set_shared_profile(uint64_t interval_ns);

/* This CPU's time since it last charged a share was spent on behalf of the process with these
 * shares (by CPU), whatever thread runs. Not for the time in which the current thread ran user
 * code. Any context that may take the RUN_QUEUE lock. */
void sched_bill(struct share *shares);
/* The shares' last thread is gone: no CPU may remember them. Any context that may take the
 * RUN_QUEUE lock. */
void sched_forget(struct share *shares);

/* Deadlines of waits, on this CPU's timer. Any context that may take the TIMER lock. */
void timer_arm(struct thread *thread, uint64_t deadline_ns);
void timer_cancel(struct thread *thread);

/* Whether no CPU runs the thread, so that its registers are saved. The caller must make sure that
 * it does not run again meanwhile. Any context. */
bool sched_is_off_cpu(const struct thread *thread);

/* Interrupts are off. After the last switch away from an ended thread, in the thread switched to,
 * which must not block here: frees what the ended one could not free itself, and may free the
 * record. Provided by proc/thread.c, which made them. */
void thread_reclaim(struct thread *thread);

/* Makes a running thread check its exit work soon, on any CPU. Any context. */
void sched_kick(struct thread *thread);

#endif
