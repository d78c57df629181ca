/* Data of one CPU. Every layer that has some keeps it here, because the processor leads to one
 * record by percpu(); each touches its own. */
#ifndef CAPOS_CORE_PERCPU_H
#define CAPOS_CORE_PERCPU_H

#include <stdbool.h>
#include <stdint.h>

#include <capos/abi.h>

#include "arch/current.h"
#include "core/lock.h"
#include "core/rbtree.h"

struct thread;
struct aspace;
struct share;

/* Runnable threads of one CPU, by the process they belong to: see sched/share.h. */
struct run_queue {
	struct spinlock lock;
	struct rbtree shares; /* with threads that wait, but for the one served */
	struct share *served; /* of the thread that runs or, while the CPU idles, ran last */
	uint32_t count;       /* threads that wait */
	uint64_t least_ns;    /* least time of the shares that compete; never goes back */
	uint64_t charged_ns;  /* the share served has been charged up to here */
	uint64_t quiet_ns;    /* before then no other process interrupts the one served; 0: idle */
};

/* Why percpu.resched is set. */
enum resched {
	RESCHED_LOOK = 1,      /* what waits has changed, or what the current thread has to do */
	RESCHED_TURN_OVER = 2, /* the slice has ended */
};

/* The calls that are kept of the latest timer interrupt. */
#define LATE_CALLS 8

/* The timer interrupt that has come latest after it was due, for `capos late` of the debugger. */
struct late_interrupt {
	uint64_t ns, came_ns;       /* how late, and when; the first is atomic */
	uint64_t thread_id;         /* of the thread that ran */
	uint64_t instruction;       /* with which its program went on, or goes on after the call */
	uint64_t calls[LATE_CALLS]; /* in the kernel, innermost first; 0: none */
};

/* Threads waiting for a time on this CPU. */
struct timer_queue {
	struct spinlock lock;
	struct rbtree threads;
	uint64_t first_ns; /* earliest deadline, UINT64_MAX without one; read without the lock */
};

/* A shootdown this CPU asks others for; one at a time, since it waits. */
struct tlb_request {
	struct aspace *space;
	uint64_t start, end; /* start == end: stop using the space */
	uint64_t waiting;    /* CPUs that have not answered; atomic */
};

struct percpu {
	/* The first two are where arch/current.h looks for them. */
	struct percpu *self;
	struct thread *current;
	uint32_t resched; /* enum resched: look for another thread on the return to user mode */
	uint32_t id;
	struct arch_cpu arch;
	struct thread *idle;
	struct thread *previous; /* during a switch: the thread that is left */
	struct thread *moving;   /* the same, when its affinity sends it elsewhere */
	struct aspace *space;    /* whose page tables are loaded; NULL: the kernel's own */
	struct run_queue run;
	struct timer_queue timers;
	uint64_t timer_programmed_ns; /* what timer_program() was asked for; UINT64_MAX: off */
	uint64_t timer_due_ns;        /* when the interrupt has been due since; UINT64_MAX: off */
	uint64_t slice_end_ns;
	uint64_t push_ns; /* not before then does it push threads to a busy CPU */
	struct late_interrupt late;

	struct tlb_request tlb;
	uint64_t tlb_senders; /* CPUs whose request this one must serve; atomic */

	/* Debug kernels: the ranks held, innermost last. */
	uint16_t held_ranks[8];
	uint32_t held_count;
	uint32_t in_panic;
	uint64_t stopped_at; /* where another CPU's panic stopped this one; 0 before */
} __attribute__((aligned(64)));

extern struct percpu percpus[CAPOS_CPUS_MAX];

/* This CPU, below cpus_possible(). Any context. */
static inline unsigned cpu_id(void)
{
	return percpu()->id;
}

#endif
