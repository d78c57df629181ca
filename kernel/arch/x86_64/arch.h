/* What the files of arch/x86_64 have of each other. Any context for the function in C. */
#ifndef CAPOS_ARCH_X86_64_ARCH_H
#define CAPOS_ARCH_X86_64_ARCH_H

#include <stdint.h>

/* cpu.c: logs the contents of this CPU's machine-check banks. */
void machine_check_print(void);

/* kernel_map.c: the kernel's own tables; other spaces copy the upper half. */
extern uint64_t kernel_pml4[512];

/* entry.S: places, to which the processor or a switch goes with interrupts off. */
void thread_begin(void);
void entry_syscall(void);

/* What switch_context pops: six registers that a function keeps, and the return address. */
#define SWITCH_WORDS 7

struct trap_frame;

/* entry.S: the ends of context_hand_over() and its like. */
_Noreturn void leave_to(
	struct trap_frame *frame, struct trap_frame *left, int64_t result, uint64_t target);
_Noreturn void leave_with(
	struct trap_frame *frame, struct trap_frame *left, void (*next)(struct trap_frame *frame));

#endif
