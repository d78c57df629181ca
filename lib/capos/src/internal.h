/* Declarations that the files of libcapos share. */
#ifndef LIBCAPOS_INTERNAL_H
#define LIBCAPOS_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include <capos/call.h>
#include <capos/endpoint.h>
#include <capos/grants.h>

/* The ring of the calling thread. Set before any other code of the thread runs. */
extern _Thread_local struct capos_ring_header *thread_ring;

/* Looks up every capability by its name. Generated in stubs.c; needs the CapSet. */
void caps_find(struct capos_caps *caps);

/* Frees the handler's stack with its thread. */
void notification_free_stack(void);
bool notification_on_stack(void);

/* The stack of the first thread. Below this address it is not in use once main has been left. */
extern uint64_t first_stack_top;

/* The value that guards the stacks of all threads, and where a thread's is. */
extern uint64_t __stack_chk_guard;
void capos_set_stack_guard(uint64_t thread_pointer, uint64_t guard);

/* The registers of an operation on an endpoint, before and after; entry.S knows the offsets. */
struct endpoint_registers {
	uint64_t rax, rdi;
	struct capos_message message;
	uint64_t r14, r15;
};
void capos_endpoint_enter(struct endpoint_registers *registers);

static inline uint64_t round_up(uint64_t value, uint64_t multiple)
{
	return (value + multiple - 1) & ~(multiple - 1);
}

#endif
