/* The operations on endpoints, which are in registers only. */
#ifndef CAPOS_MACHINE_MESSAGE_H
#define CAPOS_MACHINE_MESSAGE_H

#include "support.h"

#define FOREVER CAPOS_WAIT_FOREVER

/* The registers of an operation, before and after; R14 is not told. */
struct registers {
	uint64_t rax, rdi, words[8], r15;
};

/* Of libcapos, which keeps it to itself. */
struct endpoint_result {
	int64_t result;
	uint64_t tag;
};
struct endpoint_result capos_endpoint_enter(uint64_t target, uint64_t *words, uint64_t deadline_ns,
	uint64_t operation, uint64_t status);

static int64_t enter(struct registers *r, uint32_t opcode, uint64_t target, uint64_t deadline_ns)
{
	struct endpoint_result after = capos_endpoint_enter(
		target, r->words, deadline_ns, CAPOS_SYS_CAP_ENTER | (uint64_t)opcode << 8, r->r15);

	r->rax = (uint64_t)after.result;
	r->rdi = after.tag;
	return after.result;
}

#define ENTER(r, name, target, deadline) enter(r, CAPOS_OPCODE_##name, target, deadline)

#endif
