/* The address space in use on each CPU, and changes of page tables made visible on every CPU that
 * may have cached the old entries.
 *
 * tlb_flush_range and tlb_evict wait for other CPUs. They neither take a lock nor block, and the
 * caller may have any locks, because a CPU that waits for one of these answers requests too. */
#ifndef CAPOS_ARCH_TLB_H
#define CAPOS_ARCH_TLB_H

#include <stdint.h>

struct aspace;

/* Any context, with interrupts off. Returns when no CPU holds a translation of the space for
 * [start, end). Callers change the page tables first, and frames are freed only afterwards. Above
 * 32 pages the whole space is flushed. */
void tlb_flush_range(struct aspace *space, uint64_t start, uint64_t end);

/* Any context. Serves other CPUs' requests; called from the interrupt and from every loop that
 * waits with interrupts off. */
void tlb_serve(void);

/* Any context, but the scheduler's alone, because copies of user memory rely on the current
 * thread's space. Makes the space current on this CPU (NULL: the kernel's own). */
void aspace_activate(struct aspace *space);

/* A thread, with interrupts off. Returns when no CPU has the space loaded: CPUs keep the last one
 * while they run kernel threads. No thread of it may run any more; aspace_destroy calls it before
 * the tables go. */
void tlb_evict(struct aspace *space);

#endif
