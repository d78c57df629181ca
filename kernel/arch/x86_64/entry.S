/* Every way into the kernel and back out. Three paths: SYSCALL, interrupts and exceptions, and
 * those exceptions that may come at any instruction at all (NMI, double fault, machine check) and
 * therefore have stacks of their own.
 *
 * Rules (docs/hazards.md says why):
 * - GS is swapped exactly when user mode was left: SYSCALL always, interrupts by the saved CS. The
 *   third path cannot know and takes its per-CPU pointer from the top of its own stack.
 * - SYSRET is used only for unedited frames that SYSCALL made (vector still
 *   VECTOR_SYSCALL); their RIP is canonical.
 * - Interrupts stay off from entry to exit.
 *
 * models/notify.pml models the checks of resched and exit work before user mode.
 */
#include "arch/x86_64/asm.h"
#include "offsets.h"

.macro PUSH_REGISTERS
	pushq %rax
	pushq %r9
	pushq %r8
	pushq %r10
	pushq %rdx
	pushq %rsi
	pushq %rdi
	pushq %rbp
	pushq %rbx
	pushq %rcx
	pushq %r11
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
.endm

.macro POP_REGISTERS
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %r11
	popq %rcx
	popq %rbx
	popq %rbp
	popq %rdi
	popq %rsi
	popq %rdx
	popq %r10
	popq %r8
	popq %r9
	popq %rax
.endm

/* To user mode, by a frame that is as SYSCALL made it. All other registers are the program's. */
.macro LEAVE_BY_SYSRET
	movq FRAME_RIP(%rsp), %rcx
	movq FRAME_RFLAGS(%rsp), %r11
	movq FRAME_RSP(%rsp), %rsp
	swapgs
	sysretq
.endm

	.text

/* SYSCALL: RCX = user RIP, R11 = user RFLAGS, RSP still the user's. SFMASK has cleared IF, DF, TF,
 * AC, NT. */
FUNCTION(entry_syscall)
	swapgs
	movq %rsp, %gs:PERCPU_USER_STACK
	movq %gs:PERCPU_KERNEL_STACK, %rsp
	pushq $SELECTOR_USER_DATA
	pushq %gs:PERCPU_USER_STACK
	pushq %r11
	pushq $SELECTOR_USER_CODE
	pushq %rcx
	pushq $0
	pushq $VECTOR_SYSCALL
	PUSH_REGISTERS
	movq %rsp, %rdi
	xorl %ebp, %ebp
	call syscall_entry
	movq %gs:PERCPU_CURRENT, %rdx
	movl %gs:PERCPU_RESCHED, %ecx
	orl THREAD_EXIT_WORK(%rdx), %ecx
	jnz 1f
	/* The frame was not edited: the short way out. RAX has the result. RBX and R12 to R15 are
	 * unchanged, since C keeps them. */
	movq FRAME_RBP(%rsp), %rbp
	movq FRAME_RDI(%rsp), %rdi
	movq FRAME_RSI(%rsp), %rsi
	movq FRAME_RDX(%rsp), %rdx
	movq FRAME_R10(%rsp), %r10
	movq FRAME_R8(%rsp), %r8
	movq FRAME_R9(%rsp), %r9
	LEAVE_BY_SYSRET
1:	movq %rax, FRAME_RAX(%rsp)
	movq %rsp, %rdi
	call return_to_user
	jmp return_frame
END(entry_syscall)

/* _Noreturn void message_return(struct trap_frame *frame): the end of a system call that has
 * results in registers that C keeps. The frame is as SYSCALL made it but for general registers, and
 * RIP at most one instruction earlier. */
FUNCTION(message_return)
	movq %rdi, %rsp
	movq %gs:PERCPU_CURRENT, %rdx
	movl %gs:PERCPU_RESCHED, %ecx
	orl THREAD_EXIT_WORK(%rdx), %ecx
	jnz 1f
	movq FRAME_R15(%rsp), %r15
	movq FRAME_R14(%rsp), %r14
	movq FRAME_R13(%rsp), %r13
	movq FRAME_R12(%rsp), %r12
	movq FRAME_RBX(%rsp), %rbx
	movq FRAME_RBP(%rsp), %rbp
	movq FRAME_RDI(%rsp), %rdi
	movq FRAME_RSI(%rsp), %rsi
	movq FRAME_RDX(%rsp), %rdx
	movq FRAME_R10(%rsp), %r10
	movq FRAME_R8(%rsp), %r8
	movq FRAME_R9(%rsp), %r9
	movq FRAME_RAX(%rsp), %rax
	LEAVE_BY_SYSRET
1:	movq %rsp, %rdi
	call return_to_user
	jmp return_frame
END(message_return)

/* _Noreturn void leave_to(struct trap_frame *frame, struct trap_frame *left, int64_t result,
 *                         uint64_t target)
 *
 * Below the frame of the thread that is left goes what the next switch to it pops: context.c. The
 * message is in registers before the lock is released, because that thread may run then. */
FUNCTION(leave_to)
	movq %rdi, %rsp
	movq $thread_begin, -8(%rsi)
	movq $0, -16(%rsi)                      /* RBP */
	movq $message_resume, -24(%rsi)         /* RBX */
	movq %rdx, %rax
	movq %rcx, %rdi
	movq FRAME_RDX(%rsi), %rdx
	movq FRAME_R10(%rsi), %r10
	movq FRAME_R8(%rsi), %r8
	movq FRAME_R9(%rsi), %r9
	movq FRAME_RBX(%rsi), %rbx
	movq FRAME_R12(%rsi), %r12
	movq FRAME_R13(%rsi), %r13
	movq FRAME_RSI(%rsi), %rsi
#ifndef CAPOS_DEBUG
	movw $0, %gs:PERCPU_RUN_LOCKED
	movq %gs:PERCPU_CURRENT, %rcx
	movl %gs:PERCPU_RESCHED, %r11d
	orl THREAD_EXIT_WORK(%rcx), %r11d
	jnz 1f
	xorl %r14d, %r14d
	movq FRAME_R15(%rsp), %r15
	movq FRAME_RBP(%rsp), %rbp
	LEAVE_BY_SYSRET
#endif
1:	movq %rax, FRAME_RAX(%rsp)
	movq %rdi, FRAME_RDI(%rsp)
	movq %rsi, FRAME_RSI(%rsp)
	movq %rdx, FRAME_RDX(%rsp)
	movq %r10, FRAME_R10(%rsp)
	movq %r8, FRAME_R8(%rsp)
	movq %r9, FRAME_R9(%rsp)
	movq %rbx, FRAME_RBX(%rsp)
	movq %r12, FRAME_R12(%rsp)
	movq %r13, FRAME_R13(%rsp)
	movq $0, FRAME_R14(%rsp)
	xorl %ebp, %ebp
#ifdef CAPOS_DEBUG
	call sched_left
#endif
	movq %rsp, %rdi
	jmp message_return
END(leave_to)

/* _Noreturn void leave_with(struct trap_frame *frame, struct trap_frame *left,
 *                           void (*next)(struct trap_frame *frame))
 *
 * The same for a thread whose message is in its frame already, or that goes on in the kernel: with
 * that function, on an empty stack. */
FUNCTION(leave_with)
	movq %rdi, %rsp
	movq $thread_begin, -8(%rsi)
	movq $0, -16(%rsi)                      /* RBP */
	movq $message_resume, -24(%rsi)         /* RBX */
	xorl %ebp, %ebp
#ifdef CAPOS_DEBUG
	movq %rdx, %rbx
	call sched_left
	movq %rsp, %rdi
	call *%rbx
#else
	movw $0, %gs:PERCPU_RUN_LOCKED
	call *%rdx
#endif
END(leave_with)

/* Leaves to user mode by the frame at RSP. A frame whose vector is still VECTOR_SYSCALL is as
 * SYSCALL made it. */
FUNCTION(return_frame)
	POP_REGISTERS
	addq $16, %rsp
	swapgs
	.globl return_iretq
return_iretq:
	iretq
END(return_frame)

/* _Noreturn void exception_return(struct trap_frame *frame) */
FUNCTION(exception_return)
	movq %rdi, %rsp
	call return_to_user
	jmp return_frame
END(exception_return)

/* A new thread's first instructions: RBX = function, R12 = argument (kernel thread), or straight to
 * the frame above (user thread). */
FUNCTION(thread_begin)
	call sched_switched
	testq %rbx, %rbx
	jz 1f
	movq %r12, %rdi
	xorl %ebp, %ebp
	call *%rbx
	xorl %edi, %edi
	call thread_exit
1:	movq %rsp, %rdi
	call return_to_user
	jmp return_frame
END(thread_begin)

/* void switch_context(uint64_t *save_rsp, uint64_t load_rsp) */
FUNCTION(switch_context)
	pushq %rbp
	pushq %rbx
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq %rsp, (%rdi)
	movq %rsi, %rsp
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbx
	popq %rbp
	ret
END(switch_context)

/* Vector stubs: push a zero where the processor pushes no error code, then the vector. 16 bytes
 * each. */
	.balign 16
	.globl vector_stubs
vector_stubs:
	vector = 0
	.rept 256
	.balign 16
	pushes_code = (vector == 8) || (vector >= 10 && vector <= 14) || (vector == 17)
	pushes_code = pushes_code || (vector == 21) || (vector == 29) || (vector == 30)
	.if !pushes_code
	pushq $0
	.endif
	pushq $vector
	.if (vector == 2) || (vector == 8) || (vector == 18)
	jmp entry_paranoid
	.else
	jmp entry_trap
	.endif
	vector = vector + 1
	.endr

FUNCTION(entry_trap)
	cld
	testb $3, 24(%rsp)                      /* saved CS: above vector, error, RIP */
	jz 1f
	swapgs
	PUSH_REGISTERS
	/* Gates leave AC unchanged, and with AC set SMAP is off. */
	pushq $2
	popfq
	movq %rsp, %rdi
	xorl %ebp, %ebp
	call trap_from_user
	movq %gs:PERCPU_CURRENT, %rdx
	movl %gs:PERCPU_RESCHED, %eax
	orl THREAD_EXIT_WORK(%rdx), %eax
	jz return_frame
	movq %rsp, %rdi
	call return_to_user
	jmp return_frame
1:	PUSH_REGISTERS
	/* A copy to or from a program may have been running, which sets AC itself. */
	pushq $2
	popfq
	movq %rsp, %rdi
	call trap_from_kernel
	POP_REGISTERS
	addq $16, %rsp
	iretq
END(entry_trap)

/* The stack's top word, above the frame the processor pushed, is this CPU's per-CPU pointer. Both
 * GS bases are put back afterwards. */
FUNCTION(entry_paranoid)
	cld
	PUSH_REGISTERS
	movl $0xc0000101, %ecx                  /* IA32_GS_BASE */
	rdmsr
	shlq $32, %rdx
	orq %rdx, %rax
	movq %rax, %rbx                         /* RBX: GS base of the interrupted code */
	movq FRAME_SIZE(%rsp), %rax
	movq %rax, %rdx
	shrq $32, %rdx
	wrmsr
	movq %rsp, %rdi
	call trap_paranoid
	movq %rbx, %rax
	movq %rbx, %rdx
	shrq $32, %rdx
	movl $0xc0000101, %ecx
	wrmsr
	POP_REGISTERS
	addq $16, %rsp
	iretq
END(entry_paranoid)

	.section .note.GNU-stack, "", @progbits
