/* Calls between processes that may carry a capability. */
#include <capos/call.h>
#include <capos/endpoint.h>

#include "internal.h"

/* The registers of an operation, before and after; entry.S knows the offsets. */
struct operation {
	uint64_t rax, rdi;
	struct capos_message message;
	uint64_t r14, r15;
};
void capos_endpoint_enter_operation(struct operation *operation);

static int64_t enter(struct operation *operation, uint64_t opcode, struct capos_message *message)
{
	operation->rax = CAPOS_SYS_CAP_ENTER | opcode << 8;
	operation->message = *message;
	capos_endpoint_enter_operation(operation);
	*message = operation->message;
	return (int64_t)operation->rax;
}

static uint64_t options(capos_cap_t cap, uint32_t flags, uint32_t error)
{
	return (uint64_t)cap << 32 | flags | error;
}

/* After a receive. */
static int64_t receive(struct operation *operation, uint64_t opcode, struct capos_message *message,
	capos_cap_t *cap, uint64_t *tag)
{
	int64_t result = enter(operation, opcode, message);

	*cap = result >= 0 ? (capos_cap_t)operation->r14 : 0;
	if (result >= 0)
		*tag = operation->rdi;
	return result;
}

int64_t capos_endpoint_call_cap(capos_cap_t facet, struct capos_message *message, capos_cap_t *cap,
	uint32_t flags, uint64_t deadline_ns)
{
	struct operation operation = {
		.rdi = facet,
		.r14 = deadline_ns,
		.r15 = options(*cap, flags, 0),
	};
	int64_t result = enter(&operation, CAPOS_OPCODE_ENDPOINT_CALL, message);

	*cap = flags & CAPOS_MESSAGE_TAKES ? (capos_cap_t)operation.r14 : 0;
	return result;
}

int64_t capos_endpoint_receive_cap(capos_cap_t endpoint, struct capos_message *message,
	capos_cap_t *cap, uint64_t *tag, uint64_t deadline_ns)
{
	struct operation operation = { .rdi = endpoint, .r14 = deadline_ns };

	return receive(&operation, CAPOS_OPCODE_RECEIVE, message, cap, tag);
}

int64_t capos_endpoint_reply_cap(
	const struct capos_message *answer, capos_cap_t cap, uint32_t flags, uint32_t error)
{
	struct operation operation = { .r15 = options(cap, flags, error) };
	struct capos_message message = *answer;

	return enter(&operation, CAPOS_OPCODE_REPLY, &message);
}

int64_t capos_endpoint_reply_receive_cap(capos_cap_t endpoint, struct capos_message *message,
	capos_cap_t *cap, uint32_t flags, uint32_t error, uint64_t *tag, uint64_t deadline_ns)
{
	struct operation operation = {
		.rdi = endpoint,
		.r14 = deadline_ns,
		.r15 = options(*cap, *cap ? flags : 0, error),
	};

	return receive(&operation, CAPOS_OPCODE_REPLY_RECEIVE, message, cap, tag);
}

/* The handler's answer, and the next call. A handler may answer with what it does not hold: then
 * the caller gets the error, and no capability. */
static int64_t answer(capos_cap_t endpoint, struct capos_message *message, capos_cap_t *cap,
	uint32_t error, uint64_t *tag)
{
	capos_cap_t given = *cap;
	int64_t result = capos_endpoint_reply_receive_cap(
		endpoint, message, cap, CAPOS_MESSAGE_MOVES, error, tag, CAPOS_WAIT_FOREVER);

	if (given && (result == CAPOS_E(NOT_FOUND) || result == CAPOS_E(NO_MEMORY)))
		result = capos_endpoint_reply_receive_cap(endpoint, message, cap, 0,
			(uint32_t)(-result - CAPOS_ERROR_BASE), tag, CAPOS_WAIT_FOREVER);
	return result;
}

int64_t capos_endpoint_serve_cap(
	capos_cap_t endpoint, capos_cap_handler_t handle, void *context, uint64_t *tag)
{
	struct capos_message message = { { 0 } };
	capos_cap_t cap = 0;
	int64_t result =
		capos_endpoint_receive_cap(endpoint, &message, &cap, tag, CAPOS_WAIT_FOREVER);

	for (;;) {
		if (result == CAPOS_RECEIVE_RESULT_CALL) {
			uint32_t error = handle(context, *tag, &message, &cap);

			result = answer(endpoint, &message, &cap, error, tag);
		} else if (result == CAPOS_E(INTERRUPTED)) {
			result = capos_endpoint_receive_cap(
				endpoint, &message, &cap, tag, CAPOS_WAIT_FOREVER);
		} else {
			return result;
		}
	}
}
