/* Offsets the assembly needs, taken from C: compiled to assembly text, from which the build makes
 * build/.../offsets.h. */
#include <stddef.h>

#include "arch/trap_frame.h"
#include "core/percpu.h"
#include "sched/thread.h"

#define OFFSET(name, value) __asm__ volatile("\n@define " #name " %c0" : : "i"(value))

void offsets(void)
{
	OFFSET(PERCPU_CURRENT, offsetof(struct percpu, current));
	OFFSET(PERCPU_KERNEL_STACK, offsetof(struct percpu, arch.kernel_stack));
	OFFSET(PERCPU_USER_STACK, offsetof(struct percpu, arch.user_stack));
	OFFSET(PERCPU_RESCHED, offsetof(struct percpu, resched));
	OFFSET(PERCPU_RUN_LOCKED, offsetof(struct percpu, run.lock.locked));
	OFFSET(THREAD_EXIT_WORK, offsetof(struct thread, exit_work));
	OFFSET(CPUS_MAX, CAPOS_CPUS_MAX);
	OFFSET(FRAME_R15, offsetof(struct trap_frame, r15));
	OFFSET(FRAME_R14, offsetof(struct trap_frame, r14));
	OFFSET(FRAME_R13, offsetof(struct trap_frame, r13));
	OFFSET(FRAME_R12, offsetof(struct trap_frame, r12));
	OFFSET(FRAME_RBX, offsetof(struct trap_frame, rbx));
	OFFSET(FRAME_RBP, offsetof(struct trap_frame, rbp));
	OFFSET(FRAME_RDI, offsetof(struct trap_frame, rdi));
	OFFSET(FRAME_RSI, offsetof(struct trap_frame, rsi));
	OFFSET(FRAME_RDX, offsetof(struct trap_frame, rdx));
	OFFSET(FRAME_R10, offsetof(struct trap_frame, r10));
	OFFSET(FRAME_R8, offsetof(struct trap_frame, r8));
	OFFSET(FRAME_R9, offsetof(struct trap_frame, r9));
	OFFSET(FRAME_RAX, offsetof(struct trap_frame, rax));
	OFFSET(FRAME_RIP, offsetof(struct trap_frame, rip));
	OFFSET(FRAME_RFLAGS, offsetof(struct trap_frame, rflags));
	OFFSET(FRAME_RSP, offsetof(struct trap_frame, rsp));
	OFFSET(FRAME_SIZE, sizeof(struct trap_frame));
	OFFSET(KERNEL_STACK_SIZE, KERNEL_STACK_SIZE); /* for stack.def */
}
