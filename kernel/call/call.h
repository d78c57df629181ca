/* One capability call in progress: what a method handler knows of its caller, and how the call
 * layer's parts fit together.
 *
 *     syscall_entry (entry.c) --- register calls ------------------> call_compact --> handler
 *              \--- cap_enter --> ring_enter (ring.c) --- compact -----/
 *                                       \--- call: message in, message out --------> handler
 *
 * The call layer keeps the object alive until the handler returns, so a handler may block without a
 * reference of its own. A handler may also not come back at all (exit, resume): nothing the call
 * layer holds then may need giving back. That is so because those methods' objects are static, and
 * because message buffers hang on the thread.
 *
 * A thread, for a call of its own, because methods may block. */
#ifndef CAPOS_CALL_CALL_H
#define CAPOS_CALL_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cap/table.h"
#include "capos_kernel/status.h"
#include "capos_kernel/user_ptr.h"
#include "core/object.h"

struct method_desc;
struct process;
struct thread;
struct trap_frame;

/* The operation that a register call names (trap_frame_operation). */
#define REGISTER_CALL(opcode) (CAPOS_SYS_CAP_ENTER | CAPOS_OPCODE_##opcode << 8)

struct call {
	struct thread *thread;   /* the caller, running */
	struct process *process; /* its process, or the one on whose behalf it calls */
	struct object *object;   /* what is called */
	uint32_t cap;            /* the id it was called by */
	uint64_t detail;         /* for CapException of a call that fails; handlers may set it */
	/* A handler that has taken what cannot be had again, and left it in the results, is told
	 * whether a message with these results has reached the caller. */
	void (*settle)(const void *bytes, size_t size, bool delivered);
	const void *settle_bytes;
	size_t settle_size;
};

/* Fills in a call, but for what goes with settle. */
static inline void call_begin(struct call *call, struct thread *thread, struct process *process,
	struct object *object, cap_id_t cap)
{
	call->thread = thread;
	call->process = process;
	call->object = object;
	call->cap = cap;
	call->detail = 0;
	call->settle = NULL;
}

/* cap_enter without an opcode: executes the ring's submissions (ring.c). */
int64_t ring_enter(uint64_t min_complete, uint64_t timeout_ns);
/* The same from where the thread has waited for ends of calls without a deadline (PLAIN_RING). */
int64_t ring_resume(struct thread *thread, uint64_t min_complete);

/* The results of a call without messages. */
struct call_result {
	uint64_t word;
	cap_id_t cap; /* 0: no capability */
};

/* Runs a method on argument words, of which there are count, in kernel memory. The caller has
 * looked up call->object and the method. */
status_t call_compact(struct call *call, const struct method_desc *method,
	const uint64_t *arguments, size_t count, struct call_result *result) MUST_CHECK;

/* The operations that are not methods. They return values or errors, as a register call does. */
int64_t call_park(struct process *process, cap_id_t cap, struct user_ptr word, uint64_t expected,
	uint64_t deadline_ns);
int64_t call_unpark(struct process *process, cap_id_t cap, struct user_ptr word, uint64_t count);
int64_t call_release(struct process *process, cap_id_t cap);

/* The operations of endpoints, which exist in registers only (object/endpoint_direct.c). Does not
 * return, but leaves by message_return() or context_hand_over(). With a result, because a compiler
 * makes a jump of a call at the end of a function only if it may return. */
int64_t endpoint_enter(struct trap_frame *frame);

/* The operations of endpoints in the ring (object/ring_call.c): endpointCall, recv, return and
 * finish. A thread, for its own ring, with no lock held. True: the completion is to be posted;
 * false: a call is outstanding. awaited: for so many ends of outstanding calls the thread waits
 * right after this, without a deadline; 0: it does not. If it is not 0, the CPU may go to the
 * server, and the thread goes on in ring_resume(). */
bool ring_call_execute(const struct capos_submission *submission,
	struct capos_completion *completion, uint32_t awaited);
/* Begun calls have to be received: wakes who waits for that, once the thread has no more to begin
 * for now. awaited: as above; where it is 0 this returns in any case. */
void ring_call_wake(struct thread *thread, uint32_t awaited);
/* The completion of the call that has ended first, of those that were outstanding; it is written
 * only, because it may be in the ring. False: none has ended. */
bool ring_call_collect(struct thread *thread, struct capos_completion *completion);
/* Calls are outstanding. Waits until so many have ended, or all; OK: it is worth looking. Fails as
 * wait_queue_wait. */
status_t ring_call_wait(struct thread *thread, uint32_t count, uint64_t deadline_ns) MUST_CHECK;
/* The wait of a thread that has left its stack is over: how, as above. */
status_t ring_call_waited(struct thread *thread) MUST_CHECK;

/* A buffer of at least size bytes that belongs to the thread. It is valid until the next
 * call_buffer of the same thread and freed with the thread. NULL when memory is short. A buffer
 * above CALL_SCRATCH_BYTES must be given back with call_buffer_trim, or one large call would cost
 * the thread memory for its whole life. */
void *call_buffer(struct thread *thread, size_t size);
void call_buffer_trim(struct thread *thread);
/* Scratch memory of a handler, for user data in compact calls. A handler whose buffers are in
 * kernel memory must not ask for it, because the thread's buffer then holds the message. */
#define CALL_SCRATCH_BYTES 4080u /* with the buffer's own header, one frame */
static inline void *call_scratch(struct thread *thread)
{
	return call_buffer(thread, CALL_SCRATCH_BYTES);
}

#endif
