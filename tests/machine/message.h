/* The operations on endpoints, which are in registers only. */
#ifndef CAPOS_MACHINE_MESSAGE_H
#define CAPOS_MACHINE_MESSAGE_H

#include "support.h"

#define FOREVER CAPOS_WAIT_FOREVER

/* The registers of an operation, before and after. */
struct registers {
	uint64_t rax, rdi, words[8], r14, r15;
};

/* Of libcapos, which keeps it to itself; r14 and r15 come back as they went. */
void capos_endpoint_enter(struct registers *registers);

static int64_t enter(struct registers *r, uint32_t opcode, uint64_t target, uint64_t deadline_ns)
{
	r->rax = CAPOS_SYS_CAP_ENTER | (uint64_t)opcode << 8;
	r->rdi = target;
	r->r14 = deadline_ns;
	capos_endpoint_enter(r);
	return (int64_t)r->rax;
}

#define ENTER(r, name, target, deadline) enter(r, CAPOS_OPCODE_##name, target, deadline)

#endif
