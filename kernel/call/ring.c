/* The capability ring: executes a thread's submissions and posts their completions.
 *
 * Program and kernel share the ring page. Each entry is therefore copied once, and only the copy is
 * used. Of the indices, the kernel trusts its own (thread->submission_head,
 * thread->completion_tail) and takes the program's as requests. An entry into the kernel handles at
 * most one ring full, and ends early when completions would not fit, when a call was interrupted
 * (the notification is delivered on the way out, and what was not taken waits for the next entry),
 * and when the thread is to die. Calls to endpoints are outstanding until they end; their
 * completions are posted here too, by the thread that made them, because only it can write to the
 * memory of its process. models/ring.pml is the model. */
#include "call/call.h"

#include "arch/memory.h"
#include "call/message.h"
#include "call/trace.h"
#include "core/string.h"
#include "kernel/methods.h"
#include "mm/user.h"
#include "proc/process.h"
#include "sched/sched.h"
#include "sched/thread.h"

#define RESULT_BYTES_SMALL 512u /* for methods without a Data result, and for exceptions */

/* Where a call's messages are. */
struct message_call {
	struct user_ptr user_params, user_result;
	uint64_t params_size, result_capacity;
	void *params, *result; /* kernel copies */
	struct call_result got;
};

static bool all_zero(const uint64_t *words, unsigned first, unsigned count)
{
	uint64_t any = 0;
	for (unsigned i = first; i < count; i++)
		any |= words[i];
	return any == 0;
}

/* Sends a message from the kernel's copy to the program; the completion's result. */
static int32_t deliver(const struct message_call *message, size_t size)
{
	if (copy_to_user(message->user_result, message->result, size) != STATUS_OK)
		return STATUS_TRANSPORT(INVALID_RESULT_BUFFER);
	return (int32_t)size;
}

static int32_t deliver_exception(
	const struct call *call, const struct message_call *message, status_t status)
{
	if (!STATUS_IS_ERROR(status))
		return status;
	size_t size =
		encode_exception(message->result, message->result_capacity, status, call->detail);
	if (!size)
		return STATUS_TRANSPORT(EXCEPTION_TRUNCATED);
	int32_t delivered = deliver(message, size);
	return delivered < 0 ? delivered : STATUS_TRANSPORT(APPLICATION_EXCEPTION);
}

static status_t invoke_message(struct call *call, const struct method_desc *method,
	struct message_call *message, size_t *size)
{
	union method_params params;
	union method_results results;
	struct cap_table *caps = &call->process->caps;
	cap_id_t cap = 0;
	status_t status =
		decode_params_message(method, message->params, message->params_size, &params);
	bool decoded = status == STATUS_OK;
	if (decoded)
		status = results_begin_message(
			method, &results, message->result, message->result_capacity);
	if (status == STATUS_OK && method->flags & METHOD_RETURNS_CAP)
		status = cap_table_reserve(caps, &cap);
	if (status == STATUS_OK)
		status = method->invoke(call, &params, &results);
	if (cap && status == STATUS_OK) {
		cap_table_commit(caps, cap, *results_object(method, &results));
		message->got.cap = cap;
	} else if (cap) {
		cap_table_abandon(caps, cap);
	}
	if (__builtin_expect(thread_calls_watched(call->thread), 0))
		trace_method(call, method, decoded ? &params : NULL, &results, status, cap);
	if (status == STATUS_OK)
		*size = results_end_message(method, &results, message->result);
	return status;
}

/* There is no kernel copy, so the exception is made on the stack. */
static __attribute__((noinline)) int32_t deliver_early(
	const struct call *call, const struct message_call *message, status_t status)
{
	uint8_t few[RESULT_BYTES_SMALL];
	struct message_call early = *message;
	early.result = few;
	if (early.result_capacity > sizeof few)
		early.result_capacity = sizeof few;
	return deliver_exception(call, &early, status);
}

/* Fetches the parameters, invokes, delivers the results. */
static int32_t execute_message(
	struct call *call, const struct method_desc *method, struct message_call *message)
{
	bool returns_data = method->flags & METHOD_RETURNS_DATA;
	uint64_t capacity_max = returns_data ? CAPOS_MESSAGE_BYTES_MAX : RESULT_BYTES_SMALL;
	if (message->params_size > CAPOS_MESSAGE_BYTES_MAX)
		return STATUS_TRANSPORT(INVALID_PARAMS_BUFFER);
	if (message->result_capacity > capacity_max)
		message->result_capacity = capacity_max;
	size_t result_offset = (message->params_size + 7) & ~7ul;
	message->params = call_buffer(call->thread, result_offset + message->result_capacity + 8);
	if (!message->params)
		return deliver_early(call, message, STATUS(NO_MEMORY));
	message->result = (uint8_t *)message->params + result_offset;
	if (copy_from_user(message->params, message->user_params, message->params_size) !=
		STATUS_OK)
		return STATUS_TRANSPORT(INVALID_PARAMS_BUFFER);

	size_t size = 0;
	status_t status = invoke_message(call, method, message, &size);
	if (status != STATUS_OK)
		return deliver_exception(call, message, status);
	int32_t result = deliver(message, size);
	if (call->settle)
		call->settle(call->settle_bytes, call->settle_size, result >= 0);
	if (result < 0 && message->got.cap &&
		cap_table_release(&call->process->caps, message->got.cap))
		message->got.cap = 0; /* the program did not learn its id */
	return result;
}

/* method NULL: the capability is revoked. */
static void execute_call(struct call *call, const struct method_desc *method,
	const struct capos_submission *submission, struct capos_completion *completion)
{
	struct message_call message = {
		.user_params = user_ptr(submission->args[0]),
		.params_size = submission->args[1],
		.user_result = user_ptr(submission->args[2]),
		.result_capacity = submission->args[3],
	};
	if (!all_zero(submission->args, 4, 6)) {
		completion->result = STATUS_TRANSPORT(INVALID_REQUEST);
		return;
	}
	completion->result = method ? execute_message(call, method, &message)
				    : deliver_early(call, &message, STATUS(REVOKED));
	completion->cap = message.got.cap;
	call_buffer_trim(call->thread);
}

static void execute_compact(struct call *call, const struct method_desc *method,
	const struct capos_submission *submission, struct capos_completion *completion)
{
	struct call_result result = { .word = 0 };
	completion->result = call_compact(call, method, submission->args, 6, &result);
	if (completion->result == STATUS_OK) {
		completion->value = result.word;
		completion->cap = result.cap;
	}
}

/* A method call in either form. */
static void execute_method(
	const struct capos_submission *submission, struct capos_completion *completion)
{
	struct thread *thread = thread_current();
	struct object *object;
	const struct method_desc *method = NULL;
	status_t status = cap_table_enter(
		&thread->process->caps, submission->cap, &thread->lease_use, &object);
	if (status == STATUS_OK)
		method = interface_method(object->interface, submission->method);
	completion->result = status == STATUS_OK ? STATUS_TRANSPORT(INVOKE_FAILED) : status;
	if (!method && thread_calls_watched(thread))
		trace_miss(submission->cap, submission->method);
	struct call call;
	call_begin(&call, thread, thread->process, object, submission->cap);
	if (submission->opcode == CAPOS_OPCODE_CALL && (method || status == STATUS(REVOKED)))
		execute_call(&call, method, submission, completion);
	else if (method)
		execute_compact(&call, method, submission, completion);
	lease_leave(&thread->lease_use);
	if (object)
		object_release(object);
}

static void complete_operation(struct capos_completion *completion, int64_t result)
{
	completion->result = result < 0 ? (int32_t)result : 0;
	completion->value = result < 0 ? 0 : (uint64_t)result;
}

static unsigned operation_arguments(uint32_t opcode)
{
	switch (opcode) {
	case CAPOS_OPCODE_PARK:
		return 3;
	case CAPOS_OPCODE_UNPARK:
		return 2;
	default:
		return 0;
	}
}

/* Operations without a method: the unused fields must be zero, so that they can mean something
 * later. */
static void execute_operation(
	const struct capos_submission *submission, struct capos_completion *completion)
{
	struct process *process = thread_current()->process;
	const uint64_t *args = submission->args;
	unsigned used = operation_arguments(submission->opcode);
	if (submission->method || !all_zero(args, used, 6) ||
		(submission->opcode == CAPOS_OPCODE_NOP && submission->cap)) {
		completion->result = STATUS_TRANSPORT(INVALID_REQUEST);
		return;
	}
	switch (submission->opcode) {
	case CAPOS_OPCODE_NOP:
		break;
	case CAPOS_OPCODE_RELEASE:
		complete_operation(completion, call_release(process, submission->cap));
		break;
	case CAPOS_OPCODE_PARK:
		complete_operation(completion,
			call_park(process, submission->cap, user_ptr(args[0]), args[1], args[2]));
		break;
	default:
		complete_operation(completion,
			call_unpark(process, submission->cap, user_ptr(args[0]), args[1]));
	}
}

/* False: it completes later. awaited: as in ring_call_execute. */
static bool execute(const struct capos_submission *submission, struct capos_completion *completion,
	uint32_t awaited)
{
	if (submission->flags) {
		completion->result = STATUS_TRANSPORT(INVALID_REQUEST);
		return true;
	}
	/* Any other operation may take long. */
	if (submission->opcode == CAPOS_OPCODE_ENDPOINT_CALL)
		return ring_call_execute(submission, completion, awaited);
	ring_call_wake(thread_current(), 0);
	switch (submission->opcode) {
	case CAPOS_OPCODE_CALL:
	case CAPOS_OPCODE_COMPACT:
		execute_method(submission, completion);
		return true;
	case CAPOS_OPCODE_NOP:
	case CAPOS_OPCODE_RELEASE:
	case CAPOS_OPCODE_PARK:
	case CAPOS_OPCODE_UNPARK:
		execute_operation(submission, completion);
		return true;
	case CAPOS_OPCODE_RECV:
	case CAPOS_OPCODE_RETURN:
	case CAPOS_OPCODE_FINISH:
		return ring_call_execute(submission, completion, 0);
	default:
		completion->result = STATUS_TRANSPORT(UNSUPPORTED_OPCODE);
		return true;
	}
}

/* The completions that the program has not consumed, by its own index. More than the queue holds
 * when that index makes no sense. */
static uint32_t completions_pending(const struct thread *thread)
{
	return thread->completion_tail -
		__atomic_load_n(&thread->ring->completion_head, __ATOMIC_ACQUIRE);
}

/* Where the next completion goes. */
static inline struct capos_completion *next_completion(struct thread *thread)
{
	struct capos_completion *queue =
		(struct capos_completion *)((uint8_t *)thread->ring + CAPOS_RING_COMPLETION_OFFSET);
	return &queue[thread->completion_tail % CAPOS_RING_COMPLETIONS];
}

/* It has been written. */
static inline void post(struct thread *thread)
{
	thread->completion_tail++;
	__atomic_store_n(&thread->ring->completion_tail, thread->completion_tail, __ATOMIC_RELEASE);
}

/* For how many ends of calls the thread waits after the submissions up to tail, if it has taken all
 * of them: as in ring_call_execute. wanted: completions; 0: the wait has a deadline. */
static inline uint32_t awaited_after(const struct thread *thread, uint32_t tail, uint32_t wanted)
{
	uint32_t pending = completions_pending(thread);
	return thread->submission_head == tail && wanted > pending ? wanted - pending : 0;
}

/* Takes and executes the next submission. False: end this entry. */
static inline bool execute_next(struct thread *thread, uint32_t tail, uint32_t wanted)
{
	const struct capos_submission *queue =
		(const struct capos_submission *)((const uint8_t *)thread->ring +
			CAPOS_RING_SUBMISSION_OFFSET);
	struct capos_submission submission =
		queue[thread->submission_head % CAPOS_RING_SUBMISSIONS];
	copy_is_made(&submission);
	thread->submission_head++;
	__atomic_store_n(&thread->ring->submission_head, thread->submission_head, __ATOMIC_RELEASE);

	struct capos_completion completion = { .user_data = submission.user_data };
	if (execute(&submission, &completion, awaited_after(thread, tail, wanted))) {
		*next_completion(thread) = completion;
		post(thread);
	}
	return !__atomic_load_n(&thread->exit_work, __ATOMIC_RELAXED);
}

/* At most what was pending at entry. Interrupts wait for one call, not for all. */
static __attribute__((noinline)) void execute_until(
	struct thread *thread, uint32_t tail, uint32_t wanted)
{
	while (completions_pending(thread) < CAPOS_RING_COMPLETIONS) {
		if (!execute_next(thread, tail, wanted) || thread->submission_head == tail)
			break;
		sched_preemption_point();
	}
	ring_call_wake(thread, awaited_after(thread, tail, wanted));
}

/* Whether an outstanding call may have ended. One that ends now is seen before the thread waits. */
static inline bool may_have_ended(const struct thread *thread)
{
	const struct thread_ring_calls *calls = &thread->ring_calls;
	return calls->timed || __atomic_load_n(&calls->ended_count, __ATOMIC_RELAXED);
}

/* Posts the completions of calls that were outstanding and have ended. */
static inline void collect(struct thread *thread)
{
	while (may_have_ended(thread) && completions_pending(thread) < CAPOS_RING_COMPLETIONS &&
		ring_call_collect(thread, next_completion(thread))) {
		post(thread);
		sched_preemption_point();
	}
}

/* What a program asks for, as far as it makes sense. */
static inline uint32_t completions_wanted(uint64_t min_complete)
{
	return min_complete < CAPOS_RING_COMPLETIONS ? (uint32_t)min_complete
						     : CAPOS_RING_COMPLETIONS;
}

/* Calls are outstanding: waits until there are so many completions, or no call that could give one.
 * status: how the last wait has ended. A wait without a deadline may go on in ring_resume(), so
 * nothing else is kept here. */
static inline __attribute__((always_inline)) void await_completions(
	struct thread *thread, uint32_t wanted, uint64_t deadline_ns, status_t status)
{
	for (;;) {
		collect(thread);
		uint32_t pending = completions_pending(thread);
		if (status != STATUS_OK || pending >= wanted || !thread->ring_calls.count ||
			__atomic_load_n(&thread->exit_work, __ATOMIC_RELAXED))
			return;
		status = ring_call_wait(thread, wanted - pending, deadline_ns);
	}
}

/* Lets the program see how far the kernel is. */
static inline int64_t publish(struct thread *thread)
{
	struct capos_ring_header *ring = thread->ring;
	__atomic_store_n(&ring->submission_head, thread->submission_head, __ATOMIC_RELEASE);
	__atomic_store_n(&ring->completion_tail, thread->completion_tail, __ATOMIC_RELEASE);
	return (int64_t)completions_pending(thread);
}

/* There are submissions, up to tail, or outstanding calls. A function of its own, so that an entry
 * without either keeps no registers for it. */
static __attribute__((noinline)) int64_t enter_to_work(
	struct thread *thread, uint32_t tail, uint64_t min_complete, uint64_t timeout_ns)
{
	uint32_t wanted = completions_wanted(min_complete);
	if (tail != thread->submission_head)
		execute_until(thread, tail, timeout_ns == CAPOS_WAIT_FOREVER ? wanted : 0);
	if (thread->ring_calls.count && !thread->in_handler)
		await_completions(
			thread, wanted, timeout_ns ? deadline_after(timeout_ns) : 0, STATUS_OK);
	return publish(thread);
}

int64_t ring_resume(struct thread *thread, uint64_t min_complete)
{
	status_t status = ring_call_waited(thread);
	await_completions(thread, completions_wanted(min_complete), DEADLINE_NONE, status);
	return publish(thread);
}

int64_t ring_enter(uint64_t min_complete, uint64_t timeout_ns)
{
	struct thread *thread = thread_current();
	uint32_t tail = __atomic_load_n(&thread->ring->submission_tail, __ATOMIC_ACQUIRE);
	uint32_t pending = tail - thread->submission_head;
	bool invalid = pending > CAPOS_RING_SUBMISSIONS ||
		completions_pending(thread) > CAPOS_RING_COMPLETIONS ||
		(pending && thread->in_handler);
	if (__builtin_expect(invalid, 0)) {
		publish(thread);
		return STATUS_TRANSPORT(INVALID_REQUEST);
	}
	if (pending || thread->ring_calls.count)
		return enter_to_work(thread, tail, min_complete, timeout_ns);
	return publish(thread);
}
