/* Calls through the ring: see capos/ring_call.h. A completion names its call by its userData. The
 * calls that are outstanding are in a list of the thread, so that the ring's other users
 * (capos_ring_do) know whose a completion is. */
#include <capos/ring_call.h>
#include <capos/time.h>

#include "internal.h"

static _Thread_local struct capos_ring_call *outstanding; /* the oldest first */

/* Takes the call out of the list. NULL: it is none of ours. */
static struct capos_ring_call *take(uint64_t user_data)
{
	struct capos_ring_call **place = &outstanding;

	while (*place && (uint64_t)(uintptr_t)*place != user_data)
		place = &(*place)->next;
	struct capos_ring_call *call = *place;
	if (call)
		*place = call->next;
	return call;
}

struct capos_ring_call *capos_ring_call_ended(const struct capos_completion *completion)
{
	struct capos_ring_call *call = take(completion->user_data);

	if (call) {
		call->status = completion->result;
		call->answer_size = completion->size;
		call->ended = true;
	}
	return call;
}

int64_t capos_ring_call_begin(struct capos_ring_call *call)
{
	struct capos_ring_call **last = &outstanding;
	const struct capos_submission submission = {
		.opcode = CAPOS_OPCODE_ENDPOINT_CALL,
		.cap = call->facet,
		.user_data = (uint64_t)(uintptr_t)call,
		.args = { (uint64_t)(uintptr_t)call->message, call->size,
			(uint64_t)(uintptr_t)call->result, call->capacity, call->deadline_ns,
			(uint64_t)(uintptr_t)call->caps },
	};

	call->ended = false;
	call->next = NULL;
	while (*last)
		last = &(*last)->next;
	*last = call;
	int64_t status = capos_ring_submit(&submission);
	if (status < 0)
		take((uint64_t)(uintptr_t)call);
	return status;
}

/* One completion that is there already; NULL: none. */
static struct capos_ring_call *pop(void)
{
	struct capos_completion completion;
	struct capos_ring_call *call = NULL;

	while (!call && capos_ring_pop(&completion))
		call = capos_ring_call_ended(&completion);
	return call;
}

struct capos_ring_call *capos_ring_call_wait_any(uint64_t timeout_ns)
{
	struct capos_ring_call *call = pop();

	if (call || !outstanding)
		return call;
	return capos_ring_enter(1, timeout_ns) > 0 ? pop() : NULL;
}

int64_t capos_ring_call_wait(struct capos_ring_call *call, uint64_t timeout_ns)
{
	uint64_t now = capos_now_ns();
	uint64_t end = timeout_ns > UINT64_MAX - now ? CAPOS_WAIT_FOREVER : now + timeout_ns;

	while (!call->ended) {
		now = capos_now_ns();
		uint64_t left = now < end ? end - now : 0;
		if (capos_ring_call_wait_any(end == CAPOS_WAIT_FOREVER ? end : left))
			continue;
		return end != CAPOS_WAIT_FOREVER && capos_now_ns() >= end ? CAPOS_E(TIMED_OUT)
									  : CAPOS_E(INTERRUPTED);
	}
	return call->status;
}

int64_t capos_ring_call_cancel(struct capos_ring_call *call)
{
	const struct capos_submission submission = {
		.opcode = CAPOS_OPCODE_FINISH,
		.args = { (uint64_t)(uintptr_t)call },
	};
	struct capos_completion completion;

	if (!call->ended)
		capos_ring_do(&submission, &completion);
	while (!call->ended && pop())
		;
	return call->ended ? 0 : CAPOS_E(BUSY);
}

int64_t capos_ring_receive(capos_cap_t endpoint, void *buffer, size_t *size,
	struct capos_message_caps *caps, uint64_t *tag, uint64_t deadline_ns)
{
	const struct capos_submission submission = {
		.opcode = CAPOS_OPCODE_RECV,
		.cap = endpoint,
		.args = { (uint64_t)(uintptr_t)buffer, *size, deadline_ns,
			(uint64_t)(uintptr_t)caps },
	};
	struct capos_completion completion = { 0 };
	int64_t result = capos_ring_do(&submission, &completion);

	if (result >= 0) {
		*tag = completion.value;
		*size = completion.size;
	}
	return result;
}

int64_t capos_ring_reply(
	const void *answer, size_t size, const struct capos_message_caps *caps, uint32_t error)
{
	const struct capos_submission submission = {
		.opcode = CAPOS_OPCODE_RETURN,
		.args = { (uint64_t)(uintptr_t)answer, size, error, (uint64_t)(uintptr_t)caps },
	};
	struct capos_completion completion = { 0 };
	int64_t result = capos_ring_do(&submission, &completion);

	return result < 0 ? result : (int64_t)completion.value;
}
