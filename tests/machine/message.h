/* The operations on endpoints, which are in registers only. */
#ifndef CAPOS_MACHINE_MESSAGE_H
#define CAPOS_MACHINE_MESSAGE_H

#include "support.h"

#define FOREVER CAPOS_WAIT_FOREVER

/* The registers of an operation, before and after. */
struct registers {
	uint64_t rax, rdi, words[8], r14, r15;
};

void message_enter(struct registers *registers);
__asm__(".text\n.globl message_enter\n"
	"message_enter:\n\t"
	"pushq %rbx\n\tpushq %rbp\n\tpushq %r12\n\tpushq %r13\n\tpushq %r14\n\tpushq %r15\n\t"
	"movq %rdi, %rbp\n\tmovq (%rbp), %rax\n\tmovq 8(%rbp), %rdi\n\tmovq 16(%rbp), %rsi\n\t"
	"movq 24(%rbp), %rdx\n\tmovq 32(%rbp), %r10\n\tmovq 40(%rbp), %r8\n\t"
	"movq 48(%rbp), %r9\n\tmovq 56(%rbp), %rbx\n\tmovq 64(%rbp), %r12\n\t"
	"movq 72(%rbp), %r13\n\tmovq 80(%rbp), %r14\n\tmovq 88(%rbp), %r15\n\tsyscall\n\t"
	"movq %rax, (%rbp)\n\tmovq %rdi, 8(%rbp)\n\tmovq %rsi, 16(%rbp)\n\t"
	"movq %rdx, 24(%rbp)\n\tmovq %r10, 32(%rbp)\n\tmovq %r8, 40(%rbp)\n\t"
	"movq %r9, 48(%rbp)\n\tmovq %rbx, 56(%rbp)\n\tmovq %r12, 64(%rbp)\n\t"
	"movq %r13, 72(%rbp)\n\tmovq %r14, 80(%rbp)\n\tmovq %r15, 88(%rbp)\n\t"
	"popq %r15\n\tpopq %r14\n\tpopq %r13\n\tpopq %r12\n\tpopq %rbp\n\tpopq %rbx\n\tret\n");

static int64_t enter(struct registers *r, uint32_t opcode, uint64_t target, uint64_t deadline_ns)
{
	r->rax = CAPOS_SYS_CAP_ENTER | (uint64_t)opcode << 8;
	r->rdi = target;
	r->r14 = deadline_ns;
	message_enter(r);
	return (int64_t)r->rax;
}

#define ENTER(r, name, target, deadline) enter(r, CAPOS_OPCODE_##name, target, deadline)

#endif
