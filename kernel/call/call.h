/* One capability call in progress: what a method handler knows of its caller, and how the call
 * layer's parts fit together.
 *
 *     syscall_entry (entry.c) --- register calls ------------------> call_compact --> handler
 *              \--- cap_enter --> ring_enter (ring.c) --- compact -----/
 *                                       \--- call: message in, message out --------> handler
 *
 * The object is kept alive by the call layer until the handler returns, so a handler may block
 * without taking a reference of its own. A handler may also not come back at all (exit, resume):
 * nothing the call layer holds then may need giving back. That is so because those methods' objects
 * are static, and because message buffers hang on the thread. */
#ifndef CAPOS_CALL_CALL_H
#define CAPOS_CALL_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cap/table.h"
#include "capos_kernel/status.h"
#include "core/object.h"

struct method_desc;
struct process;
struct thread;
struct trap_frame;

struct call {
	struct thread *thread;   /* the caller, running */
	struct process *process; /* its process */
	struct object *object;   /* what is called */
	uint32_t cap;            /* the id it was called by */
	uint64_t detail;         /* a refusal's datum for CapException; handlers may set it */
	/* A handler that has taken what cannot be had again, and left it in the results, says how
	 * to put it back; called when a message with these results does not reach the caller. */
	void (*undo)(const void *bytes, size_t size);
	const void *undo_bytes;
	size_t undo_size;
};

/* SYSCALL, interrupts off, current thread known; entry.S calls this and returns the value in RAX.
 */
int64_t syscall_entry(struct trap_frame *frame);

/* cap_enter without an opcode: executes the ring's submissions (ring.c). */
int64_t ring_enter(uint64_t min_complete, uint64_t timeout_ns);

/* What a call without messages answered with. */
struct call_result {
	uint64_t word;
	cap_id_t cap; /* 0: no capability */
};

/* Runs a method on argument words (count of them are there; kernel memory). call->object and the
 * method are looked up already. */
status_t call_compact(struct call *call, const struct method_desc *method,
	const uint64_t *arguments, size_t count, struct call_result *result) MUST_CHECK;

/* The operations that are not methods. The results are values or refusals, as in RAX. */
int64_t call_park(struct process *process, cap_id_t cap, uint64_t address, uint64_t expected,
	uint64_t deadline_ns);
int64_t call_unpark(struct process *process, cap_id_t cap, uint64_t address, uint64_t count);
int64_t call_release(struct process *process, cap_id_t cap);

/* A buffer of at least size bytes that belongs to the thread: valid until the next call_buffer of
 * the same thread, freed with it. NULL when memory is short. Above CALL_SCRATCH_BYTES give it back
 * with call_buffer_trim, so that one large call does not cost a thread memory for life. */
void *call_buffer(struct thread *thread, size_t size);
void call_buffer_trim(struct thread *thread);
/* Bytes of a handler's own scratch, for user data in compact calls: a handler that finds its
 * buffers in kernel memory (a message is in the buffer then) must not ask for it. */
#define CALL_SCRATCH_BYTES 4080u /* with the buffer's own header, one frame */
static inline void *call_scratch(struct thread *thread)
{
	return call_buffer(thread, CALL_SCRATCH_BYTES);
}

#endif
