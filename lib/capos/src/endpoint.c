/* Calls between processes. */
#include <capos/endpoint.h>

#include "internal.h"

#define OPERATION(opcode) (CAPOS_SYS_CAP_ENTER | CAPOS_OPCODE_##opcode << 8)

/* tag: written where the operation has received something. */
static inline int64_t received(struct endpoint_result result, uint64_t *tag)
{
	if (result.result >= 0)
		*tag = result.tag;
	return result.result;
}

int64_t capos_endpoint_call(capos_cap_t facet, struct capos_message *message, uint64_t deadline_ns)
{
	if (__builtin_expect(facet == 0, 0))
		return grant_missing(GRANT_USED);
	return capos_endpoint_enter(facet, message, deadline_ns, OPERATION(ENDPOINT_CALL), 0)
		.result;
}

int64_t capos_endpoint_receive(
	capos_cap_t endpoint, struct capos_message *message, uint64_t *tag, uint64_t deadline_ns)
{
	if (endpoint == 0)
		return grant_missing(GRANT_SERVED);
	return received(
		capos_endpoint_enter(endpoint, message, deadline_ns, OPERATION(RECEIVE), 0), tag);
}

int64_t capos_endpoint_reply(const struct capos_message *answer, uint32_t error)
{
	struct capos_message message = *answer;

	return capos_endpoint_enter(0, &message, 0, OPERATION(REPLY), error).result;
}

int64_t capos_endpoint_reply_receive(capos_cap_t endpoint, struct capos_message *message,
	uint32_t error, uint64_t *tag, uint64_t deadline_ns)
{
	return received(capos_endpoint_enter(
				endpoint, message, deadline_ns, OPERATION(REPLY_RECEIVE), error),
		tag);
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
