/* Calls between processes: calling a server by a facet, and being a server that receives them at an
 * endpoint. docs/abi.md says how a call ends. */
#ifndef CAPOS_ENDPOINT_H
#define CAPOS_ENDPOINT_H

#include <stdint.h>

#include <capos/call.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a call carries, and its answer. The server's interface gives the words their meaning. */
struct capos_message {
	uint64_t words[8];
};

/* Calls the server and waits for its answer, which replaces the message, also when the server
 * answers an error. deadline_ns: of the monotonic clock; CAPOS_WAIT_FOREVER: none. 0 or an error:
 * those of the opcode endpointCall, or the server's. */
int64_t capos_endpoint_call(capos_cap_t facet, struct capos_message *message, uint64_t deadline_ns);

/* Waits for a call. A CAPOS_RECEIVE_RESULT_x or an error: those of the opcode receive. *tag: of the
 * facet that was called, or that has no holder any more. After a call, the thread has to answer. */
int64_t capos_endpoint_receive(
	capos_cap_t endpoint, struct capos_message *message, uint64_t *tag, uint64_t deadline_ns);

/* Answers the call that the thread has received. error: 0, or a CAPOS_ERROR_x with which the call
 * fails. 1: the caller gets it; 0: the caller has gone; or an error: those of the opcode reply. */
int64_t capos_endpoint_reply(const struct capos_message *answer, uint32_t error);

/* Answers and receives the next call, in one step: message is the answer, and then that call. */
int64_t capos_endpoint_reply_receive(capos_cap_t endpoint, struct capos_message *message,
	uint32_t error, uint64_t *tag, uint64_t deadline_ns);

/* Answers one call: the message becomes the answer. The result is 0, or a CAPOS_ERROR_x with which
 * the call fails. */
typedef uint32_t (*capos_handler_t)(void *context, uint64_t tag, struct capos_message *message);

/* Receives calls and has them handled until a facet has no holder any more, or the endpoint is
 * gone. Several threads may serve one endpoint. CAPOS_RECEIVE_RESULT_FACET_GONE with its tag, or an
 * error. */
int64_t capos_endpoint_serve(
	capos_cap_t endpoint, capos_handler_t handle, void *context, uint64_t *tag);

/* ---- with a capability ----
 *
 * Likewise, and one capability may go with the words each way. *cap: goes, 0: none; then: has come,
 * 0: none. A server gets capabilities at an endpoint that accepts them (capos_endpoint_accept). A
 * capability that has come is the receiver's, which has to release it. */

/* flags: CAPOS_MESSAGE_MOVES: what goes leaves the caller; the caller has it again if the server
 * has not taken it. CAPOS_MESSAGE_TAKES: one may come. CAPOS_E(LIMIT_REACHED): the server has no
 * room. */
int64_t capos_endpoint_call_cap(capos_cap_t facet, struct capos_message *message, capos_cap_t *cap,
	uint32_t flags, uint64_t deadline_ns);

int64_t capos_endpoint_receive_cap(capos_cap_t endpoint, struct capos_message *message,
	capos_cap_t *cap, uint64_t *tag, uint64_t deadline_ns);

/* flags: CAPOS_MESSAGE_MOVES or 0. A CAPOS_REPLY_RESULT_x or an error; the server keeps what was
 * not answered. */
int64_t capos_endpoint_reply_cap(
	const struct capos_message *answer, capos_cap_t cap, uint32_t flags, uint32_t error);

/* The server does not learn what has become of the answer, so what moves is gone in any case. */
int64_t capos_endpoint_reply_receive_cap(capos_cap_t endpoint, struct capos_message *message,
	capos_cap_t *cap, uint32_t flags, uint32_t error, uint64_t *tag, uint64_t deadline_ns);

/* As capos_handler_t. *cap: has come; then: goes with the answer, and leaves the server. A handler
 * that keeps what has come, or has released it, sets it to 0. */
typedef uint32_t (*capos_cap_handler_t)(
	void *context, uint64_t tag, struct capos_message *message, capos_cap_t *cap);

int64_t capos_endpoint_serve_cap(
	capos_cap_t endpoint, capos_cap_handler_t handle, void *context, uint64_t *tag);

#ifdef __cplusplus
}
#endif

#endif
