/* Data of one CPU, reached through GS in kernel mode. */
#ifndef CAPOS_ARCH_PERCPU_H
#define CAPOS_ARCH_PERCPU_H

#include <stdbool.h>
#include <stdint.h>

#include <capos/abi.h>

#include "core/list.h"
#include "core/lock.h"
#include "core/rbtree.h"

struct thread;
struct aspace;

struct tss {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7];
	uint64_t reserved2;
	uint16_t reserved3, io_map_base;
} __attribute__((packed));

/* Runnable threads of one CPU, ordered by virtual run time. */
struct run_queue {
	struct spinlock lock;
	struct rbtree threads;
	uint32_t count;
	uint64_t min_vruntime_ns;
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
	/* Offsets known to entry.S through offsets.c. */
	struct percpu *self;
	struct thread *current;
	uint64_t kernel_stack; /* where the next entry from user mode begins pushing */
	uint64_t user_stack;   /* scratch of the entry path */
	uint32_t resched;      /* leave the current thread at the next return to user mode */

	uint32_t id, apic_id;
	struct thread *idle;
	struct thread *previous; /* during a switch: who is being left */
	struct thread *moving;   /* the same, when its affinity sends it elsewhere */
	struct aspace *space;    /* loaded in CR3; NULL: the kernel's own tables */
	struct run_queue run;
	struct timer_queue timers;
	uint64_t timer_programmed_ns; /* deadline in the APIC timer; UINT64_MAX: off */
	uint64_t slice_end_ns;

	struct tlb_request tlb;
	uint64_t tlb_senders; /* CPUs whose request this one must serve; atomic */

	/* Debug kernels: the ranks held, innermost last. */
	uint16_t held_ranks[8];
	uint32_t held_count;
	uint32_t in_panic;
	uint64_t stopped_rip; /* where another CPU's panic stopped this one; 0 before */

	struct tss tss;
	uint64_t gdt[8];
} __attribute__((aligned(64)));

extern struct percpu percpus[CAPOS_CPUS_MAX];

static inline struct percpu *percpu(void)
{
	struct percpu *p;
	__asm__ volatile("movq %%gs:0, %0" : "=r"(p));
	return p;
}

#endif
