/* The CPU and the thread that run this code, and what the architecture keeps of each CPU. Any
 * context. */
#ifndef CAPOS_ARCH_CURRENT_H
#define CAPOS_ARCH_CURRENT_H

#include <stdint.h>

struct percpu;
struct thread;

/* The record of this CPU (core/percpu.h), since cpu_begin(). */
static inline struct percpu *percpu(void);

/* Its field `current`. Only a switch changes it, and code before and after a switch runs as the
 * same thread, so the compiler may keep the value. */
#ifdef CAPOS_HOST_TEST
struct thread *thread_current(void);
#else
static inline struct thread *thread_current(void);
#endif

/* What the processor, and its way into the kernel, need of a CPU. */
struct arch_cpu;
/* Where the next entry from user mode begins to push. On the CPU itself, interrupts off. */
static inline void cpu_set_kernel_stack(struct arch_cpu *cpu, uint64_t top);

#include "arch/impl/current.h"

#endif
