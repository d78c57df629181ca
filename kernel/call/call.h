/* One capability call in progress: what a method handler knows of its caller.
 *
 * entry.c and ring.c look the object up, decode the parameters, run the handler, encode the results. The object is kept alive
 * by the call layer until the handler returns, so a handler may block without taking a reference of its own. */
#ifndef CAPOS_CALL_CALL_H
#define CAPOS_CALL_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "capos_kernel/status.h"

struct object;
struct process;
struct thread;
struct trap_frame;

struct call {
	struct thread *thread;   /* the caller, running */
	struct process *process; /* its process */
	struct object *object;   /* what is called */
	uint32_t cap;            /* the id it was called by */
	bool from_ring;
	uint64_t detail;         /* a refusal's datum for CapException; handlers may set it */
};

/* SYSCALL, interrupts off, current thread known; entry.S calls this and returns the value in RAX. */
int64_t syscall_entry(struct trap_frame *frame);

/* cap_enter without an opcode: executes the ring's submissions (ring.c). */
int64_t ring_enter(struct thread *thread, uint64_t min_complete, uint64_t timeout_ns);

/* The thread's message scratch, SCRATCH_BYTES, owned by the running call; NULL when memory is short. */
void *call_scratch(struct thread *thread);

#endif
