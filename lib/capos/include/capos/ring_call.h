/* Calls to endpoints through the thread's ring: they go on by themselves, and a thread may have
 * CAPOS_RING_CALLS_MAX of them. A message has up to CAPOS_MESSAGE_BYTES_MAX bytes. docs/abi.md says
 * how a call ends. Not for notification handlers.
 *
 *     struct capos_ring_call call = { .facet = facet, .message = question, .size = sizeof question,
 *             .result = answer, .capacity = sizeof answer, .deadline_ns = CAPOS_WAIT_FOREVER };
 *     status = capos_ring_call_begin(&call);
 *     ...
 *     if (status == 0)
 *             status = capos_ring_call_wait(&call, CAPOS_WAIT_FOREVER);
 *
 * An entry into the kernel begins all calls that have been put into the ring since the last one. So
 * a thread with several calls puts them there and then waits. */
#ifndef CAPOS_RING_CALL_H
#define CAPOS_RING_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <capos/call.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A call. Until it has ended, the record, the result buffer and caps are left alone, and stay where
 * they are. */
struct capos_ring_call {
	/* The caller's. */
	capos_cap_t facet;
	const void *message; /* of size bytes; left alone until the call has begun */
	size_t size;
	void *result;
	size_t capacity;
	uint64_t deadline_ns;            /* of the monotonic clock; CAPOS_WAIT_FOREVER: none */
	struct capos_message_caps *caps; /* that go and come; NULL: none */

	/* Written when it has ended. */
	bool ended;
	int32_t status;       /* 0 or an error: of the opcode endpointCall, or the server's */
	uint32_t answer_size; /* bytes in result */

	struct capos_ring_call *next; /* the library's */
};

/* Begins the call, and those that have been put into the ring. 0, also where it has ended at once;
 * or CAPOS_E(BUSY), when the thread's ring is full of completions, or holds what the library has
 * not put there. */
int64_t capos_ring_call_begin(struct capos_ring_call *call);

/* Puts the call into the ring. It begins when the thread enters the kernel by its ring, which all
 * others of these functions do, those that wait only if they have to. Fails as
 * capos_ring_call_begin. */
int64_t capos_ring_call_put(struct capos_ring_call *call);

/* The whole call: begins it and waits until it has ended, however often notifications interrupt
 * the wait. Its status, or an error of capos_ring_call_begin, and call->ended is false. */
int64_t capos_ring_call(struct capos_ring_call *call);

/* Waits until the call has ended: its status. CAPOS_E(INTERRUPTED): a notification came first;
 * CAPOS_E(TIMED_OUT) while call->ended is false: timeout_ns is over. Others of the thread may end
 * meanwhile. */
int64_t capos_ring_call_wait(struct capos_ring_call *call, uint64_t timeout_ns);

/* Waits until any call of the thread that was outstanding has ended, and tells which: one each
 * time. NULL: none is outstanding, a notification came first, or timeout_ns is over. */
struct capos_ring_call *capos_ring_call_wait_any(uint64_t timeout_ns);

/* Gives the call up. It has ended then, with CAPOS_E(CANCELLED) unless it had before. */
int64_t capos_ring_call_cancel(struct capos_ring_call *call);

/* ---- the server's side: a receive takes calls in registers too ---- */

/* Waits for a call. A CAPOS_RECEIVE_RESULT_x, or an error: those of the opcode recv. *size: of the
 * buffer; then of the message. caps: what comes; NULL: calls that carry some are refused. */
int64_t capos_ring_receive(capos_cap_t endpoint, void *buffer, size_t *size,
	struct capos_message_caps *caps, uint64_t *tag, uint64_t deadline_ns);

/* Answers. error: 0, or the CAPOS_ERROR_x with which the call fails. A CAPOS_REPLY_RESULT_x, or an
 * error: those of the opcode return. */
int64_t capos_ring_reply(
	const void *answer, size_t size, const struct capos_message_caps *caps, uint32_t error);

#ifdef __cplusplus
}
#endif

#endif
