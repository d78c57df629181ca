/* The client's side of a thread's capability ring. Only this thread and the kernel touch it, and
 * the kernel only while the thread is inside cap_enter. So plain accesses suffice, and the system
 * call is the barrier. models/ring.pml is the model. */
#include <capos/call.h>

#include "internal.h"

struct capos_ring_header *capos_ring(void)
{
	return thread_ring;
}

bool capos_ring_push(const struct capos_submission *submission)
{
	struct capos_submission *slot = capos_ring_slot();

	if (!slot)
		return false;
	*slot = *submission;
	thread_ring->submission_tail++;
	return true;
}

int64_t capos_ring_enter(uint64_t min_complete, uint64_t timeout_ns)
{
	return capos_syscall(CAPOS_SYS_CAP_ENTER, min_complete, timeout_ns, 0, 0, 0, 0);
}

bool capos_ring_pop(struct capos_completion *completion)
{
	struct capos_ring_header *ring = thread_ring;
	uint32_t head = ring->completion_head;

	if (head == ring->completion_tail)
		return false;
	*completion = capos_ring_completions(ring)[head % CAPOS_RING_COMPLETIONS];
	ring->completion_head = head + 1;
	return true;
}

int64_t capos_ring_send(uint64_t min_complete, uint64_t timeout_ns)
{
	struct capos_ring_header *ring = thread_ring;
	uint32_t head;
	int64_t entered;

	/* A notification ends an entry before all have been taken. */
	do {
		head = ring->submission_head;
		entered = capos_ring_enter(min_complete, timeout_ns);
	} while (entered >= 0 && ring->submission_head != head &&
		ring->submission_head != ring->submission_tail);
	if (ring->submission_tail == ring->submission_head)
		return entered < 0 ? entered : 0;
	/* The kernel did not take it. It is taken back, or the next call would repeat it. */
	ring->submission_tail--;
	return entered < 0 ? entered : CAPOS_E(BUSY);
}

int64_t capos_ring_submit(const struct capos_submission *submission)
{
	int64_t status = capos_ring_call_make_room();

	if (status < 0)
		return status;
	capos_ring_push(submission);
	return capos_ring_send(0, 0);
}

int64_t capos_ring_do(
	const struct capos_submission *submission, struct capos_completion *completion)
{
	struct capos_ring_header *ring = thread_ring;

	/* Completions come in order, but for those of calls that were outstanding. */
	while (ring->completion_tail != ring->completion_head) {
		*completion = capos_ring_completions(
			ring)[ring->completion_head % CAPOS_RING_COMPLETIONS];
		if (!capos_ring_call_ended(completion))
			return CAPOS_E(BUSY);
		ring->completion_head++;
	}
	int64_t status = capos_ring_submit(submission);
	if (status < 0)
		return status;
	while (capos_ring_pop(completion))
		if (!capos_ring_call_ended(completion))
			return completion->result;
	return CAPOS_TRANSPORT_E(INVALID_REQUEST);
}

int64_t capos_ring_compact(
	capos_cap_t cap, uint32_t method, const uint64_t words[6], uint64_t *word)
{
	struct capos_submission submission = {
		.opcode = CAPOS_OPCODE_COMPACT,
		.method = (uint16_t)method,
		.cap = cap,
		.args = { words[0], words[1], words[2], words[3], words[4], words[5] },
	};
	struct capos_completion completion;
	int64_t status = capos_ring_do(&submission, &completion);

	if (status < 0)
		return status;
	*word = completion.value;
	return 0;
}
