/* Calls between processes. */
#include <capos/endpoint.h>

#include "internal.h"

static int64_t enter(struct endpoint_registers *registers, uint64_t opcode, uint64_t target,
	struct capos_message *message)
{
	registers->rax = CAPOS_SYS_CAP_ENTER | opcode << 8;
	registers->rdi = target;
	registers->message = *message;
	capos_endpoint_enter(registers);
	*message = registers->message;
	return (int64_t)registers->rax;
}

int64_t capos_endpoint_call(capos_cap_t facet, struct capos_message *message, uint64_t deadline_ns)
{
	struct endpoint_registers registers = { .r14 = deadline_ns };

	return enter(&registers, CAPOS_OPCODE_ENDPOINT_CALL, facet, message);
}

int64_t capos_endpoint_receive(
	capos_cap_t endpoint, struct capos_message *message, uint64_t *tag, uint64_t deadline_ns)
{
	struct endpoint_registers registers = { .r14 = deadline_ns };
	int64_t result = enter(&registers, CAPOS_OPCODE_RECEIVE, endpoint, message);

	if (result >= 0)
		*tag = registers.rdi;
	return result;
}

int64_t capos_endpoint_reply(const struct capos_message *answer, uint32_t error)
{
	struct endpoint_registers registers = { .r15 = error };
	struct capos_message message = *answer;

	return enter(&registers, CAPOS_OPCODE_REPLY, 0, &message);
}

int64_t capos_endpoint_reply_receive(capos_cap_t endpoint, struct capos_message *message,
	uint32_t error, uint64_t *tag, uint64_t deadline_ns)
{
	struct endpoint_registers registers = { .r14 = deadline_ns, .r15 = error };
	int64_t result = enter(&registers, CAPOS_OPCODE_REPLY_RECEIVE, endpoint, message);

	if (result >= 0)
		*tag = registers.rdi;
	return result;
}

int64_t capos_endpoint_serve(
	capos_cap_t endpoint, capos_handler_t handle, void *context, uint64_t *tag)
{
	struct capos_message message = { { 0 } };
	int64_t result = capos_endpoint_receive(endpoint, &message, tag, CAPOS_WAIT_FOREVER);

	for (;;) {
		if (result == CAPOS_RECEIVE_RESULT_CALL)
			result = capos_endpoint_reply_receive(endpoint, &message,
				handle(context, *tag, &message), tag, CAPOS_WAIT_FOREVER);
		else if (result == CAPOS_E(INTERRUPTED))
			result =
				capos_endpoint_receive(endpoint, &message, tag, CAPOS_WAIT_FOREVER);
		else
			return result;
	}
}
