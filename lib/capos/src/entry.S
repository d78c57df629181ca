/* The places where C cannot run: a thread's first and last instructions, and the edge of a
 * notification handler. */
#include <capos/abi.h>

#define COMPACT (CAPOS_SYS_CAP_ENTER | CAPOS_OPCODE_COMPACT << 8)

	.text

/* A new thread: RDI = its struct capos_thread, RSI = thread id, RDX = ring address, RSP = top of
 * its stack. */
	.globl	capos_thread_entry
	.type	capos_thread_entry, @function
capos_thread_entry:
	.cfi_startproc
	.cfi_undefined rip
	xorl	%ebp, %ebp
	andq	$-16, %rsp
	call	capos_thread_main
	ud2
	.cfi_endproc
	.size	capos_thread_entry, . - capos_thread_entry

/* void capos_thread_unmap_and_exit(uint64_t address, uint64_t size, uint64_t vm,
 *                                  uint64_t thread_control)
 *
 * Unmaps the memory that holds the stack under our feet, then ends the thread. Nothing between the
 * two may touch memory: everything is in registers, which system calls keep. Notifications are
 * masked by the caller.
 *
 *   RBX thread_control   R12 vm */
	.globl	capos_thread_unmap_and_exit
	.type	capos_thread_unmap_and_exit, @function
capos_thread_unmap_and_exit:
	movq	%rdx, %r12
	movq	%rcx, %rbx
	movq	%rsi, %rdx
	movq	%rdi, %rsi
	movabsq	$(CAPOS_VIRTUAL_MEMORY_UNMAP << 32), %rdi
	orq	%r12, %rdi
	movl	$COMPACT, %eax
	syscall
	movabsq	$(CAPOS_THREAD_CONTROL_EXIT_THREAD << 32), %rdi
	orq	%rbx, %rdi
	movl	$COMPACT, %eax
	syscall
	xorl	%edi, %edi			/* without a ThreadControl: the exit call */
	movl	$CAPOS_EXIT_SCOPE_THREAD, %esi
	movl	$CAPOS_SYS_EXIT, %eax
	syscall
	ud2
	.size	capos_thread_unmap_and_exit, . - capos_thread_unmap_and_exit

/* void capos_switch_stack(uint64_t stack_top, void (*function)(struct capos_thread *),
 *                         struct capos_thread *thread)
 *
 * Leaves the present stack for good and calls a function that does not return. */
	.globl	capos_switch_stack
	.type	capos_switch_stack, @function
capos_switch_stack:
	.cfi_startproc
	.cfi_undefined rip
	movq	%rdi, %rsp
	andq	$-16, %rsp
	xorl	%ebp, %ebp
	movq	%rdx, %rdi
	call	*%rsi
	ud2
	.cfi_endproc
	.size	capos_switch_stack, . - capos_switch_stack

/* A notification: RDI = kind, RSI = the ThreadState; RSP is as after a call. Returns by resume,
 * which puts every register back, so none needs saving here. */
	.globl	capos_notification_entry
	.type	capos_notification_entry, @function
capos_notification_entry:
	movq	%rsi, %rbx
	subq	$8, %rsp
	call	capos_notification_dispatch	/* returns the ThreadControl */
	movq	%rbx, %rsi
	movl	%eax, %eax
	movabsq	$(CAPOS_THREAD_CONTROL_RESUME << 32), %rdi
	orq	%rax, %rdi
	movl	$COMPACT, %eax
	syscall
	ud2					/* the handler left what cannot be resumed */
	.size	capos_notification_entry, . - capos_notification_entry

/* The registers that a function keeps for its caller. */
	.macro	push_kept
	.irp	register, rbp, rbx, r12, r13, r14, r15
	pushq	%\register
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset \register, 0
	.endr
	.endm
	.macro	pop_kept
	.irp	register, r15, r14, r13, r12, rbx, rbp
	popq	%\register
	.cfi_adjust_cfa_offset -8
	.cfi_restore \register
	.endr
	.endm

/* struct endpoint_result capos_endpoint_enter(uint64_t target, struct capos_message *message,
 *         uint64_t deadline_ns, uint64_t operation, uint64_t status)
 *
 * More registers than a C function can name: RBX, RBP and R12 to R15 are the caller's. RBP keeps
 * the message's address through the system call. */
	.globl	capos_endpoint_enter
	.type	capos_endpoint_enter, @function
capos_endpoint_enter:
	.cfi_startproc
	push_kept
	movq	%rsi, %rbp
	movq	%rcx, %rax
	movq	%rdx, %r14
	movq	%r8, %r15
	movq	0(%rbp), %rsi
	movq	8(%rbp), %rdx
	movq	16(%rbp), %r10
	movq	24(%rbp), %r8
	movq	32(%rbp), %r9
	movq	40(%rbp), %rbx
	movq	48(%rbp), %r12
	movq	56(%rbp), %r13
	syscall
	movq	%rsi, 0(%rbp)
	movq	%rdx, 8(%rbp)
	movq	%r10, 16(%rbp)
	movq	%r8, 24(%rbp)
	movq	%r9, 32(%rbp)
	movq	%rbx, 40(%rbp)
	movq	%r12, 48(%rbp)
	movq	%r13, 56(%rbp)
	movq	%rdi, %rdx
	pop_kept
	ret
	.cfi_endproc
	.size	capos_endpoint_enter, . - capos_endpoint_enter

/* void capos_endpoint_enter_operation(struct operation *operation)
 *
 * The same, and R14 comes back. */
	.globl	capos_endpoint_enter_operation
	.type	capos_endpoint_enter_operation, @function
capos_endpoint_enter_operation:
	.cfi_startproc
	push_kept
	movq	%rdi, %rbp
	movq	0(%rbp), %rax
	movq	8(%rbp), %rdi
	movq	16(%rbp), %rsi
	movq	24(%rbp), %rdx
	movq	32(%rbp), %r10
	movq	40(%rbp), %r8
	movq	48(%rbp), %r9
	movq	56(%rbp), %rbx
	movq	64(%rbp), %r12
	movq	72(%rbp), %r13
	movq	80(%rbp), %r14
	movq	88(%rbp), %r15
	syscall
	movq	%rax, 0(%rbp)
	movq	%rdi, 8(%rbp)
	movq	%rsi, 16(%rbp)
	movq	%rdx, 24(%rbp)
	movq	%r10, 32(%rbp)
	movq	%r8, 40(%rbp)
	movq	%r9, 48(%rbp)
	movq	%rbx, 56(%rbp)
	movq	%r12, 64(%rbp)
	movq	%r13, 72(%rbp)
	movq	%r14, 80(%rbp)
	pop_kept
	ret
	.cfi_endproc
	.size	capos_endpoint_enter_operation, . - capos_endpoint_enter_operation

	.section .note.GNU-stack, "", @progbits
