/* Waiting on a CPU, and bringing one up. The kernel runs with interrupts off; they come in only
 * where it says so here, and in user mode. */
#ifndef CAPOS_ARCH_CPU_H
#define CAPOS_ARCH_CPU_H

struct percpu;

/* Any context. In a loop that polls. */
static inline void cpu_relax(void);
/* A thread: interrupts that wait come in, and are off again. */
static inline void cpu_take_interrupts(void);
/* A thread: the same, after the processor has waited for one. No interrupt is lost between the
 * caller's last look, with interrupts off, and the wait. */
static inline void cpu_wait_for_interrupt(void);
/* Any context. Nothing runs here any more. */
static inline _Noreturn void cpu_stop(void);

/* ---- bringing up, in this order ---- */

/* Boot, on CPU 0, first of all: percpu() and thread_current() work from here on. cpu_setup() does
 * it on the other CPUs. */
void cpu_begin(struct percpu *cpu);
/* Boot, on CPU 0, once: what the processor can do. */
void cpu_detect(void);
/* Boot. Why the kernel cannot run here; NULL when it can. */
const char *cpu_unsupported(void);
/* Boot, after cpu_detect(). What programs can read of the kernel and of each other by a known fault
 * of the processor, in its public names; NULL when the processor says that it has none. */
const char *cpu_leaks(void);
/* Boot, on CPU 0: allocates a CPU's memory. */
void cpu_prepare(struct percpu *cpu);
/* Boot, on the CPU itself: its registers, and its ways into the kernel. Takes no lock and allocates
 * nothing. */
void cpu_setup(struct percpu *cpu);
void traps_init(void);

#include "arch/impl/cpu.h"

#endif
