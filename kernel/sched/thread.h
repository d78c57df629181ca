/* Threads. A thread is a kernel object (interface ThreadHandle); it owns registers, vector state,
 * kernel stack, thread pointer, ring and notification state. Its process owns everything else.
 *
 *     thread_create            thread_start          scheduler           thread_exit
 *     -------------> BLOCKED ---------------> READY <---------> RUNNING -------------> ENDED
 *                      ^  |                     ^                  |
 *                      |  +------- wake --------+                  |
 *                      +------------------ wait -------------------+
 *
 * Suspension is not a state but a count: a thread with suspend_count > 0 parks itself on the way
 * back to user mode, and so does one of a process that is suspended.
 */
#ifndef CAPOS_SCHED_THREAD_H
#define CAPOS_SCHED_THREAD_H

#include <stdbool.h>
#include <stdint.h>

#include "arch/context.h"
#include "arch/current.h"
#include "arch/trap_frame.h"
#include "capos_kernel/status.h"
#include "capos_kernel/user_ptr.h"
#include "core/list.h"
#include "core/lock.h"
#include "core/object.h"
#include "core/rbtree.h"
#include "sched/explore.h"
#include "sched/lease.h"
#include "sched/wait.h"

struct aspace;
struct capos_remembered_call;
struct ledger;
struct process;
struct quota;
struct ring;
struct share;
struct shared_profile;

#if defined(CAPOS_KASAN) || defined(CAPOS_EXPLORE)
#define KERNEL_STACK_ORDER 2 /* the checks' calls need room */
#else
#define KERNEL_STACK_ORDER 1 /* 8 KiB */
#endif
#define KERNEL_STACK_SIZE (4096ul << KERNEL_STACK_ORDER)

enum exit_work {
	EXIT_WORK_DIE = 1,      /* the process is ending or the thread was killed */
	EXIT_WORK_SUSPEND = 2,  /* it may be suspended */
	EXIT_WORK_NOTIFY = 4,   /* a notification may be deliverable */
	EXIT_WORK_QUOTA = 8,    /* its process may have used up its CPU time */
	EXIT_WORK_REVOKED = 16, /* the copy through which it calls is revoked: it waits no more */
	EXIT_WORK_LEAVE = 32,   /* its call through a copy ends on the way back to user mode */
	EXIT_WORK_EXPLORE = 64, /* explore builds: it is to pause */
};

enum watch {
	WATCH_TICKS = 1, /* profile_interval_ns */
	WATCH_PAYER = 2, /* payer */
	WATCH_CALLS = 4, /* each call is told to call/trace.h, so it takes the long way; set at
	                    creation, never changed */
};

/* Bit 63 of a mask is never set: see notifyUserLast in the schema. */
#define NOTIFY_MASK_ALL (UINT64_MAX >> 1)

/* A kind's bit in a mask. */
static inline uint64_t notify_bit(uint32_t kind)
{
	return 1ul << kind;
}

/* A wait without a deadline in a system call that needs nothing of the thread's kernel stack any
 * more. The CPU that ends it may send the thread to user mode itself (object/endpoint_direct.c). */
enum plain_wait {
	PLAIN_NONE,
	PLAIN_CALL,   /* for a call that it is to receive */
	PLAIN_ANSWER, /* for the answer to its call */
	PLAIN_RING,   /* for ends of calls in its ring */
};

enum thread_state { THREAD_BLOCKED, THREAD_READY, THREAD_RUNNING, THREAD_ENDED };

/* What a call has besides the words in its thread's registers. */
enum call_extra {
	CALL_SAVED = 1,   /* words holds the message; after the answer, that */
	CALL_CARRIES = 2, /* a capability goes with it */
	CALL_TAKES = 4,   /* a slot is set aside for a capability that comes with the answer */
	CALL_LEASED = 8,  /* it goes through a revocable copy of the facet */
};

/* Of capabilities that a call and its answer carry (object/transfer.c). The objects have been given
 * a reference and a name. */
struct thread_transfer {
	/* Guarded by the thread's lock. */
	struct object *carried; /* goes to the server, which has not taken it yet */
	struct object *given;   /* has come with the answer */

	/* Owner thread only: CapIds of its process. */
	uint32_t lifted; /* from which carried was moved; 0: it was copied */
	uint32_t slot;   /* set aside for given; 0: none */
};

struct ring_call;
struct ring_receive;

/* What waits in the queue of an endpoint. Guarded by the lock of the endpoint. */
struct queued_call {
	struct list_node node;
	struct ring_call *ring; /* whose part it is; NULL: of a thread_call; never changed */
};

/* A call to an endpoint in registers: what the caller's thread keeps of it (object/endpoint.c). */
struct thread_call {
	struct object *facet; /* NULL: no call; referenced. Owner thread only */

	/* Guarded by the thread's lock. */
	uint64_t sequence;     /* of its calls */
	struct thread *server; /* that has received it; NULL: none, or it is over */
	bool open;             /* it is neither answered nor given up */
	bool away;             /* the thread does not wait: it may be in its handler */
	uint16_t extra;        /* enum call_extra */
	int64_t status;        /* of the answer */
	uint64_t words[MESSAGE_WORDS];
	struct thread_transfer transfer;
	struct lease_use use; /* of a call with CALL_LEASED */

	bool charged; /* to its process's budget, because it waits; by the lock of the endpoint */
	struct queued_call queued;
};

/* The calls that a thread has begun through its ring, and of which it has not seen the end
 * (object/ring_call.c). */
struct thread_ring_calls {
	/* Owner thread only. */
	struct list all; /* ring_call.caller_node, by age */
	uint32_t count;
	uint32_t timed;           /* of count: calls with a deadline */
	struct ring_call *spares; /* records for calls to come */
	uint32_t spare_count;
	uint32_t due_count;   /* for how many calls that it has queued a receiver is to be woken */
	struct endpoint *due; /* of those; it stays as long as they do */

	/* Guarded by the thread's lock. */
	struct list ended;    /* ring_call.ended_node, in the order in which they have ended */
	uint32_t ended_count; /* read without the lock too, where a later look is certain */
	uint32_t wanted;      /* for how many in ended the thread waits; 0: for none any more */
};

/* What a thread keeps of a call that it has received. Owner thread only, and the thread that hands
 * it the call while it waits for one. */
struct thread_service {
	struct thread *caller;  /* of a call in registers; referenced */
	struct ring_call *ring; /* a call through the ring, which holds it; both NULL: none */
	uint64_t sequence;      /* of the caller's call in registers */
	uint64_t tag;
	struct endpoint *endpoint; /* of a plain wait that has left its stack; referenced */
	struct ring_receive *into; /* where a call goes; NULL: to the registers */
};

struct thread {
	struct object object;

	/* Set at creation, never changed. */
	uint64_t id;
	struct process *process; /* NULL: kernel thread */
	struct aspace *space;  /* the process's, until the thread has ended; NULL: kernel thread */
	struct ledger *ledger; /* the process's, charged for the record as long as that is
	                          referenced; NULL: not charged */
	struct share *shares;  /* the process's, by CPU */
	struct shared_profile *profile; /* the process's */
	void *stack;                    /* kernel stack, lowest address */
	char name[CAPOS_THREAD_NAME_MAX + 1];

	/* The ring page as the kernel sees it, its user address, and the indices the kernel trusts.
	 * Owner thread only. */
	struct capos_ring_header *ring;
	uint64_t ring_address;
	uint32_t submission_head, completion_tail;
	void *scratch; /* call_buffer()'s block; NULL before the first call that needs one */
	struct ledger *scratch_payer; /* of that block */

	/* Owner thread only, or any thread while the owner is suspended and not running. */
	struct user_context context; /* valid while it does not run; of kernel threads, zero */
	bool in_handler;             /* between delivery of a notification and resume */

	/* The last calls, a ring of CAPOS_LAST_CALLS_MAX that is charged to the process; NULL: it
	 * does not remember them. Owner thread only. */
	struct capos_remembered_call *last_calls;
	uint64_t calls_made; /* of these */

	/* Atomic. */
	uint32_t exit_work; /* enum exit_work: looked at on every return to user mode */
	uint64_t notify_pending,
		notify_mask;       /* bit per kind; the mask is written by the owner only */
	uint64_t notify_value[32]; /* of kinds 32 to 63 */
	uint64_t notify_handler;   /* 0: none; written by the owner only, like the two below */
	struct user_ptr notify_stack;
	uint64_t notify_stack_size;
	uint32_t wait_state; /* enum wait_state: see wait.c */

	/* Kinds of users that were meant for the process. Guarded by the process's lock. */
	uint64_t notify_shared;

	/* Guarded by lock. */
	struct spinlock lock;
	uint32_t suspend_count;
	bool held;    /* its process is suspended */
	bool stopped; /* at the suspension point: registers may be written */
	/* While stopped: what it goes on with; that in context is what the last switch saved. */
	uint64_t stopped_thread_pointer;
	bool acknowledged; /* has seen the suspension: runs no further user code */
	bool ended;
	bool gone; /* ended, and nothing is left but this record: joiners wait for it */
	int32_t exit_code;
	/* There may be any number of these. Each that was woken for good wakes the next. */
	struct wait_queue joiners;
	struct wait_queue suspenders; /* suspend callers waiting until it has stopped */
	struct wait_queue suspended;  /* the thread itself */

	/* Scheduler: guarded by the run queue lock of `cpu`; the running CPU owns the times (see
	 * sched.c). */
	uint32_t state;
	uint32_t cpu;
	uint64_t affinity;
	uint64_t stack_pointer; /* saved while not running */
	uint64_t vruntime_ns, run_started_ns;
	uint64_t cpu_time_ns;   /* up to run_started_ns */
	uint64_t run_origin_ns; /* while it runs: when it would have begun if it had run without a
	                           break; set at the switch to it */
	uint64_t profile_interval_ns, profile_next_ns; /* CPU-time ticks */
	uint64_t watched; /* enum watch: what besides profile->check_ns its times are for */
	/* Of CPU time for the call that it has received; its ledger is referenced. NULL: that of
	 * its process. By the owner, and the thread that hands it a call while it waits for one. */
	struct quota *payer;
	struct rbnode run_node;

	struct thread_call call;
	struct thread_ring_calls ring_calls;
	struct thread_service service;
	uint32_t plain_wait;        /* enum plain_wait; by the owner, and the CPU that ends it */
	struct lease_use lease_use; /* of other calls */

	/* Wait in progress: see wait.c. One for an event and a word is in two queues. */
	struct list_node wait_node; /* guarded by the wait queue's lock */
	struct rbnode
		timer_node; /* this and the two below: guarded by the timer queue of timer_cpu */
	uint64_t timer_deadline_ns;
	uint32_t timer_cpu;
	struct rbnode park_node; /* this and the two below: guarded by the park queue's lock */
	uint64_t park_word;
	uint64_t park_arrival;
	struct rbnode event_node; /* this and the two below: guarded by the event's lock */
	uint64_t event_bits;      /* those that it waits for; after WAIT_SIGNALLED, has taken */
	uint64_t event_arrival;

	struct list_node process_node; /* guarded by process->lock */
#ifdef CAPOS_EXPLORE
	struct explore_thread explore;
#endif
};

/* Whether the thread, which is the current one, has received a call that it has not answered. */
static inline bool thread_serves(const struct thread *thread)
{
	return thread->service.caller || thread->service.ring;
}

/* Marks a kind pending and makes the thread check: an IPI when it runs elsewhere, an interruption
 * of its wait when it blocks. Any context that may take the RUN_QUEUE lock. */
void thread_notify(struct thread *thread, uint32_t kind, uint64_t value);

/* Whether a notification is pending that the thread would take now. models/notify.pml models it. */
static inline bool notify_due(const struct thread *thread)
{
	if (__atomic_load_n(&thread->exit_work, __ATOMIC_SEQ_CST) & EXIT_WORK_DIE)
		return true;
	uint64_t pending = __atomic_load_n(&thread->notify_pending, __ATOMIC_SEQ_CST);
	return (pending & ~__atomic_load_n(&thread->notify_mask, __ATOMIC_SEQ_CST)) &&
		__atomic_load_n(&thread->notify_handler, __ATOMIC_SEQ_CST);
}

/* Makes the thread end at its next return to user mode, soon. Any context that may take the THREAD
 * lock. */
void thread_kill(struct thread *thread);

/* The thread, which is the current one, ends: gives up its call, and answers the one that it has
 * received with disconnected. With no lock held. Provided by object/endpoint.c. */
void thread_leave_calls(struct thread *thread);

/* Whether its calls are told to call/trace.h. Any context. */
static inline bool thread_calls_watched(const struct thread *thread)
{
	return thread->watched & WATCH_CALLS;
}

/* CPU time used so far. Any context. */
uint64_t thread_cpu_time_ns(const struct thread *thread);

#endif
