/* Calls through the ring: see capos/ring_call.h. A completion names its call by its userData. The
 * calls that are outstanding are in a list of the thread, so that the ring's other users
 * (capos_ring_do) know whose a completion is. */
#include <capos/ring_call.h>
#include <capos/time.h>

#include "internal.h"

static _Thread_local struct capos_ring_call *outstanding, *newest; /* the oldest first */

/* Where in the ring the calls end that were put there. */
static _Thread_local uint32_t put_end;

/* Takes the call out of the list. NULL: it is none of ours. */
static struct capos_ring_call *take(uint64_t user_data)
{
	struct capos_ring_call **place = &outstanding, *before = NULL;

	while (*place && (uint64_t)(uintptr_t)*place != user_data) {
		before = *place;
		place = &before->next;
	}
	struct capos_ring_call *call = *place;
	if (call)
		*place = call->next;
	if (call == newest)
		newest = before;
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

int64_t capos_ring_call_make_room(void)
{
	const struct capos_ring_header *ring = thread_ring;
	uint32_t pending = ring->submission_tail - ring->submission_head;

	/* The program's own operations would have to be taken first, which this must not do. */
	if (pending && ring->submission_tail != put_end)
		return CAPOS_E(BUSY);
	while (pending == CAPOS_RING_SUBMISSIONS) {
		int64_t entered = capos_ring_enter(0, 0);
		uint32_t left = ring->submission_tail - ring->submission_head;

		if (left == pending)
			return entered < 0 ? entered : CAPOS_E(BUSY);
		pending = left;
	}
	return 0;
}

int64_t capos_ring_call_put(struct capos_ring_call *call)
{
	int64_t status = capos_ring_call_make_room();

	if (status < 0)
		return status;
	*capos_ring_slot() = (struct capos_submission){
		.opcode = CAPOS_OPCODE_ENDPOINT_CALL,
		.cap = call->facet,
		.user_data = (uint64_t)(uintptr_t)call,
		.args = { (uint64_t)(uintptr_t)call->message, call->size,
			(uint64_t)(uintptr_t)call->result, call->capacity, call->deadline_ns,
			(uint64_t)(uintptr_t)call->caps },
	};
	put_end = ++thread_ring->submission_tail;
	call->ended = false;
	call->next = NULL;
	if (outstanding)
		newest->next = call;
	else
		outstanding = call;
	newest = call;
	return 0;
}

/* Puts the call into the ring, and enters the kernel for so many completions. */
static int64_t send(struct capos_ring_call *call, uint64_t min_complete, uint64_t timeout_ns)
{
	int64_t status = capos_ring_call_put(call);

	if (status < 0)
		return status;
	status = capos_ring_send(min_complete, timeout_ns);
	if (status < 0) {
		put_end = thread_ring->submission_tail;
		take((uint64_t)(uintptr_t)call);
	}
	return status;
}

int64_t capos_ring_call_begin(struct capos_ring_call *call)
{
	return send(call, 0, 0);
}

int64_t capos_ring_call(struct capos_ring_call *call)
{
	int64_t status = send(call, 1, CAPOS_WAIT_FOREVER);

	if (status < 0)
		return status;
	while (!call->ended)
		capos_ring_call_wait_any(CAPOS_WAIT_FOREVER);
	return call->status;
}

/* One completion that is there already; NULL: none. */
static struct capos_ring_call *pop(void)
{
	struct capos_ring_header *ring = thread_ring;
	struct capos_ring_call *call = NULL;

	while (!call && ring->completion_head != ring->completion_tail) {
		uint32_t head = ring->completion_head++ % CAPOS_RING_COMPLETIONS;

		call = capos_ring_call_ended(&capos_ring_completions(ring)[head]);
	}
	return call;
}

struct capos_ring_call *capos_ring_call_wait_any(uint64_t timeout_ns)
{
	struct capos_ring_call *call = pop();

	if (call || !outstanding)
		return call;
	return capos_ring_enter(1, timeout_ns) > 0 ? pop() : NULL;
}

/* The wait for the call has ended without its end. end_ns: when it is over. */
static int64_t why_not_ended(uint64_t end_ns)
{
	return end_ns != CAPOS_WAIT_FOREVER && capos_now_ns() >= end_ns ? CAPOS_E(TIMED_OUT)
									: CAPOS_E(INTERRUPTED);
}

int64_t capos_ring_call_wait(struct capos_ring_call *call, uint64_t timeout_ns)
{
	uint64_t end_ns = timeout_ns, left_ns = timeout_ns;

	if (timeout_ns != CAPOS_WAIT_FOREVER &&
		__builtin_add_overflow(timeout_ns, capos_now_ns(), &end_ns))
		end_ns = CAPOS_WAIT_FOREVER;
	while (!call->ended) {
		if (end_ns != CAPOS_WAIT_FOREVER) {
			uint64_t now_ns = capos_now_ns();

			left_ns = now_ns < end_ns ? end_ns - now_ns : 0;
		}
		if (!capos_ring_call_wait_any(left_ns))
			return why_not_ended(end_ns);
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
