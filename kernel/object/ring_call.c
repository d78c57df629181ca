/* Calls to endpoints through a thread's ring, of which many may be outstanding.
 *
 *     caller                               server
 *     begin: the message is copied into
 *     the record, which is queued
 *     ...                                  ring_call_receive: takes it out of the queue,
 * with
 *     ...                                  a reference
 *     ...                                  copies the message to its own memory, and the answer
 * into the record ring_call_answer: if the call is still open, puts it ring_call_wait: is woken
 * among those of the caller that have ended ring_call_collect: copies the answer out, and completes
 * it
 *
 * A call is open until it is answered, its endpoint or facet is closed, its deadline has come or
 * the caller gives it up; all that happens under the lock of the caller's thread, so it ends in one
 * way. Only then does the caller look at the bytes, and a server that has received the call writes
 * them only before it. What the server holds of a call that has ended is the record alone.
 *
 * The record with the bytes, for the message and its answer, is charged to the caller's process
 * before the call begins. So an answer cannot fail for lack of memory, and an endpoint keeps
 * nothing for a call but its place in the queue. A thread has at most CAPOS_RING_CALLS_MAX of them.
 *
 * There is no timer for a deadline: who looks at the call next ends it, and so the caller's wait
 * ends with its earliest deadline. A call that has not been looked at since is in nobody's way. */
#include "call/call.h"
#include "call/decode.h"
#include "call/trace.h"
#include "core/log.h"
#include "core/string.h"
#include "kernel/methods.h"
#include "machine/clock.h"
#include "mm/ledger.h"
#include "mm/user.h"
#include "object/endpoint.h"
#include "proc/process.h"
#include "proc/thread.h"
#include "sched/sched.h"
#include "sched/wait.h"

#define WORDS_BYTES (MESSAGE_WORDS * sizeof(uint64_t))

struct ring_call {
	struct object object; /* named by no capability */

	/* Set when the call begins, never changed. */
	struct thread *caller; /* referenced */
	struct ledger *ledger; /* charged; referenced */
	uint64_t user_data;
	uint64_t deadline_ns;
	struct user_ptr result;
	uint32_t capacity; /* of the caller's result buffer */
	uint32_t size;     /* of the message */

	/* Referenced by the caller until it completes the call. Read by others under its lock,
	 * while the call is open. */
	struct object *facet;

	/* Guarded by the caller's lock. */
	bool open; /* it has not ended */
	int32_t status;
	uint32_t answer_size;
	struct list_node ended_node;

	struct list_node caller_node; /* owner thread only */
	struct queued_call queued;

	/* The message, filled up with zeros to that of a call in registers; then the answer. */
	uint64_t bytes[];
};

static void ring_call_destroy(struct object *object)
{
	struct ring_call *call = container_of(object, struct ring_call, object);
	struct ledger *ledger = call->ledger;
	struct thread *caller = call->caller;
	kmem_free(ledger, call);
	ledger_release(ledger);
	object_release(&caller->object);
}

static const struct object_ops ring_call_ops = { .destroy = ring_call_destroy };

struct object *ring_call_facet(const struct ring_call *call)
{
	return call->facet;
}

static bool is_late(const struct ring_call *call)
{
	return call->deadline_ns != DEADLINE_NONE && call->deadline_ns <= clock_now_ns();
}

/* Ends the open call. The caller's lock is held. */
static void settle_locked(struct ring_call *call, int64_t status, uint32_t size)
{
	struct thread_ring_calls *calls = &call->caller->ring_calls;
	assert_held(&call->caller->lock);
	ASSERT(call->open);
	call->open = false;
	call->status = (int32_t)status;
	call->answer_size = size;
	list_push_back(&calls->ended, &call->ended_node);
	if (++calls->ended_count >= calls->wanted)
		wait_queue_wake(&calls->waiting, 1);
}

/* ---- the server ---- */

bool ring_call_receive(struct ring_call *call, struct thread *thread)
{
	struct thread_service *service = &thread->service;
	struct thread *caller = call->caller;
	uint32_t room = service->into ? service->into->capacity : WORDS_BYTES;
	assert_held(&facet_from(call->facet)->endpoint->lock);
	spin_lock(&caller->lock);
	bool late = call->open && is_late(call);
	bool takes = call->open && !late && call->size <= room;
	if (takes) {
		object_retain(&call->object);
		service->caller = caller;
		service->ring = call;
		service->sequence = 0; /* a call in registers has another */
		service->tag = facet_from(call->facet)->tag;
		if (!service->into)
			trap_frame_set_message(thread_frame(thread), call->bytes);
	} else if (call->open) {
		settle_locked(call, late ? STATUS(TIMED_OUT) : STATUS(OUT_OF_RANGE), 0);
	}
	spin_unlock(&caller->lock);
	return takes;
}

bool ring_call_answer(
	struct thread *thread, int64_t status, const struct trap_frame *frame, uint32_t size)
{
	struct ring_call *call = thread->service.ring;
	struct thread *caller = call->caller;
	uint64_t words[MESSAGE_WORDS];
	if (frame) {
		trap_frame_get_message(frame, words);
		size = call->capacity < WORDS_BYTES ? call->capacity : WORDS_BYTES;
		memcpy(call->bytes, words, size);
	}
	spin_lock(&caller->lock);
	bool late = call->open && is_late(call);
	bool fits = call->open && !late && size <= call->capacity;
	if (fits)
		settle_locked(call, status, size);
	else if (call->open)
		settle_locked(call,
			late ? STATUS(TIMED_OUT) : STATUS_TRANSPORT(INVALID_RESULT_BUFFER), 0);
	spin_unlock(&caller->lock);
	thread->service.caller = NULL;
	thread->service.ring = NULL;
	object_release(&call->object);
	return fits;
}

void ring_call_disconnect(struct ring_call *call)
{
	assert_held(&facet_from(call->facet)->endpoint->lock);
	spin_lock(&call->caller->lock);
	if (call->open)
		settle_locked(call, STATUS(DISCONNECTED), 0);
	spin_unlock(&call->caller->lock);
}

/* ---- the caller ---- */

/* The call is not open, and not in any list of the caller's. What a server still holds of it is the
 * record. */
static void leave(struct ring_call *call)
{
	struct object *facet = call->facet;
	struct endpoint *endpoint = facet_from(facet)->endpoint;
	spin_lock(&endpoint->lock);
	if (list_linked(&call->queued.node)) {
		list_remove(&call->queued.node);
		endpoint->call_count--;
	}
	call->facet = NULL;
	spin_unlock(&endpoint->lock);
	process_uncharge_call(call->caller->process);
	object_release(facet);
	object_release(&call->object);
}

static status_t make(
	struct thread *thread, const struct capos_submission *submission, struct ring_call **made)
{
	const uint64_t *args = submission->args;
	uint64_t size = args[1], capacity = args[3], room = WORDS_BYTES;
	struct ledger *ledger = thread->ledger;
	if (capacity > CAPOS_MESSAGE_BYTES_MAX)
		capacity = CAPOS_MESSAGE_BYTES_MAX;
	if (size > CAPOS_MESSAGE_BYTES_MAX)
		return STATUS_TRANSPORT(INVALID_PARAMS_BUFFER);
	room = size > room ? size : room;
	room = capacity > room ? capacity : room;
	struct ring_call *call = kmem_alloc(ledger, sizeof *call + room);
	if (!call)
		return STATUS(NO_MEMORY);
	if (copy_from_user(call->bytes, user_ptr(args[0]), size) != STATUS_OK) {
		kmem_free(ledger, call);
		return STATUS_TRANSPORT(INVALID_PARAMS_BUFFER);
	}
	object_init(&call->object, NULL, &ring_call_ops);
	object_retain(&thread->object);
	call->caller = thread;
	call->ledger = ledger_retain(ledger);
	call->user_data = submission->user_data;
	call->deadline_ns = args[4];
	call->result = user_ptr(args[2]);
	call->capacity = (uint32_t)capacity;
	call->size = (uint32_t)size;
	call->queued.ring = call;
	list_node_init(&call->queued.node);
	list_node_init(&call->caller_node);
	list_node_init(&call->ended_node);
	*made = call;
	return STATUS_OK;
}

/* Puts the call into the queue. The reference to the facet goes to it on success. */
static status_t queue(struct ring_call *call, struct facet *facet)
{
	struct endpoint *endpoint = facet->endpoint;
	struct thread *receiver = NULL;
	struct event_signal due = { .event = NULL };
	status_t status = STATUS_OK;
	spin_lock(&endpoint->lock);
	if (endpoint->closed || facet->closed)
		status = STATUS(DISCONNECTED);
	else if (endpoint->call_count >= endpoint->calls_max && list_empty(&endpoint->receivers))
		status = STATUS(LIMIT_REACHED);
	if (status == STATUS_OK) {
		call->facet = &facet->object;
		call->open = true;
		list_push_back(&endpoint->calls, &call->queued.node);
		endpoint->call_count++;
		receiver = endpoint_take_receiver_locked(endpoint);
		if (receiver)
			sched_wake(receiver);
		else
			due = binding_due_locked(&endpoint->binding);
	}
	spin_unlock(&endpoint->lock);
	event_signal_send(due);
	return status;
}

static status_t begin(struct thread *thread, const struct capos_submission *submission)
{
	struct thread_ring_calls *calls = &thread->ring_calls;
	struct ring_call *call = NULL;
	if (submission->method || submission->args[5])
		return STATUS_TRANSPORT(INVALID_REQUEST);
	if (calls->count == CAPOS_RING_CALLS_MAX)
		return STATUS(LIMIT_REACHED);
	struct object *facet = endpoint_find(thread, submission->cap, INTERFACE_FACET);
	if (!facet)
		return STATUS_TRANSPORT(INVOKE_FAILED);
	bool charged = process_charge_call(thread->process);
	status_t status = charged ? make(thread, submission, &call) : STATUS(NO_CALLS);
	if (status == STATUS_OK)
		status = queue(call, facet_from(facet));
	if (status != STATUS_OK) {
		if (call)
			object_release(&call->object);
		if (charged)
			process_uncharge_call(thread->process);
		object_release(facet);
		return status;
	}
	list_push_back(&calls->all, &call->caller_node);
	calls->count++;
	return STATUS_OK;
}

/* Ends the calls whose deadline has come. The earliest deadline of the others. The thread's lock is
 * held. */
static uint64_t expire_locked(struct thread *thread)
{
	uint64_t earliest_ns = DEADLINE_NONE;
	assert_held(&thread->lock);
	list_for_each (node, &thread->ring_calls.all) {
		struct ring_call *call = container_of(node, struct ring_call, caller_node);
		if (!call->open)
			continue;
		if (is_late(call))
			settle_locked(call, STATUS(TIMED_OUT), 0);
		else if (call->deadline_ns < earliest_ns)
			earliest_ns = call->deadline_ns;
	}
	return earliest_ns;
}

status_t ring_call_wait(struct thread *thread, uint32_t count, uint64_t deadline_ns)
{
	struct thread_ring_calls *calls = &thread->ring_calls;
	status_t status = STATUS_OK;
	if (count > calls->count)
		count = calls->count;
	spin_lock(&thread->lock);
	uint64_t earliest_ns = expire_locked(thread);
	if (calls->ended_count < count) {
		bool first = earliest_ns < deadline_ns;
		calls->wanted = count;
		status = wait_queue_wait(
			&calls->waiting, &thread->lock, first ? earliest_ns : deadline_ns, true);
		calls->wanted = 0;
		if (status == STATUS(TIMED_OUT) && first)
			status = STATUS_OK;
	}
	spin_unlock(&thread->lock);
	return status;
}

/* The answer goes to the caller. */
static void complete(struct ring_call *call, struct capos_completion *completion)
{
	*completion = (struct capos_completion){
		.user_data = call->user_data,
		.result = call->status,
		.size = call->answer_size,
	};
	if (copy_to_user(call->result, call->bytes, call->answer_size) == STATUS_OK)
		return;
	completion->result = STATUS_TRANSPORT(INVALID_RESULT_BUFFER);
	completion->size = 0;
}

bool ring_call_collect(struct thread *thread, struct capos_completion *completion)
{
	struct thread_ring_calls *calls = &thread->ring_calls;
	spin_lock(&thread->lock);
	if (list_empty(&calls->ended))
		expire_locked(thread);
	struct list_node *node = list_pop_front(&calls->ended);
	if (node)
		calls->ended_count--;
	spin_unlock(&thread->lock);
	if (!node)
		return false;
	struct ring_call *call = container_of(node, struct ring_call, ended_node);
	list_remove(&call->caller_node);
	calls->count--;
	complete(call, completion);
	leave(call);
	return true;
}

static status_t give_up(struct thread *thread, uint64_t user_data)
{
	status_t status = STATUS(NOT_FOUND);
	spin_lock(&thread->lock);
	list_for_each (node, &thread->ring_calls.all) {
		struct ring_call *call = container_of(node, struct ring_call, caller_node);
		if (!call->open || call->user_data != user_data)
			continue;
		settle_locked(call, is_late(call) ? STATUS(TIMED_OUT) : STATUS(CANCELLED), 0);
		status = STATUS_OK;
		break;
	}
	spin_unlock(&thread->lock);
	return status;
}

void ring_calls_leave(struct thread *thread)
{
	struct thread_ring_calls *calls = &thread->ring_calls;
	struct list_node *node;
	assert_none_held();
	while ((node = list_pop_front(&calls->all)) != NULL) {
		struct ring_call *call = container_of(node, struct ring_call, caller_node);
		spin_lock(&thread->lock);
		call->open = false;
		list_remove(&call->ended_node);
		spin_unlock(&thread->lock);
		calls->count--;
		leave(call);
	}
}

/* ---- recv and return ---- */

/* The message goes to the server, which is the current thread and has received it. */
static status_t hand_out(struct thread *thread, const struct ring_receive *into,
	struct user_ptr buffer, struct capos_completion *completion)
{
	const struct ring_call *call = thread->service.ring;
	const uint64_t *bytes = call ? call->bytes : into->words;
	uint32_t size = call ? call->size : WORDS_BYTES;
	if (copy_to_user(buffer, bytes, size) != STATUS_OK)
		return STATUS_TRANSPORT(INVALID_RESULT_BUFFER);
	completion->size = size;
	return STATUS_OK;
}

static void answer(struct thread *thread, int64_t status, const uint64_t *words, uint32_t size)
{
	if (thread->service.ring)
		ring_call_answer(thread, status, NULL, size);
	else
		endpoint_answer_words(thread, status, words, NULL);
}

static int64_t receive(struct thread *thread, const struct capos_submission *submission,
	struct capos_completion *completion)
{
	const uint64_t *args = submission->args;
	struct ring_receive into = { .capacity = CAPOS_MESSAGE_BYTES_MAX };
	if (submission->method || args[3] || args[4] || args[5])
		return STATUS_TRANSPORT(INVALID_REQUEST);
	if (args[1] < WORDS_BYTES)
		return STATUS(INVALID_ARGUMENT);
	if (thread->service.caller)
		return STATUS(WRONG_STATE);
	struct object *object = endpoint_find(thread, submission->cap, INTERFACE_ENDPOINT);
	if (!object)
		return STATUS_TRANSPORT(INVOKE_FAILED);
	if (args[1] < into.capacity)
		into.capacity = (uint32_t)args[1];
	int64_t result = endpoint_receive_into(thread, endpoint_from(object), &into, args[2]);
	object_release(object);
	if (result >= 0)
		completion->value = into.tag;
	if (result != CAPOS_RECEIVE_RESULT_CALL)
		return result;
	status_t status = hand_out(thread, &into, user_ptr(args[0]), completion);
	if (status == STATUS_OK)
		return result;
	answer(thread, STATUS(DISCONNECTED), into.words, 0);
	return status;
}

static int64_t reply(struct thread *thread, const struct capos_submission *submission)
{
	const uint64_t *args = submission->args;
	uint64_t words[MESSAGE_WORDS] = { 0 }, code = args[2];
	struct ring_call *call = thread->service.ring;
	if (submission->method || submission->cap || args[3] || args[4] || args[5])
		return STATUS_TRANSPORT(INVALID_REQUEST);
	if (!thread->service.caller)
		return STATUS(WRONG_STATE);
	if (code >= error_text_count)
		return STATUS(INVALID_ARGUMENT);
	if (args[1] > (call ? CAPOS_MESSAGE_BYTES_MAX : WORDS_BYTES))
		return STATUS(OUT_OF_RANGE);
	uint32_t size = (uint32_t)args[1];
	bool fits = !call || size <= call->capacity;
	if (fits &&
		copy_from_user(call ? call->bytes : words, user_ptr(args[0]), size) != STATUS_OK)
		return STATUS_TRANSPORT(INVALID_PARAMS_BUFFER);
	int64_t status = code ? -(int64_t)(CAPOS_ERROR_BASE + code) : 0;
	if (call)
		return ring_call_answer(thread, status, NULL, size);
	return endpoint_answer_words(thread, status, words, NULL);
}

/* ---- the ring ---- */

bool ring_call_execute(
	const struct capos_submission *submission, struct capos_completion *completion)
{
	struct thread *thread = thread_current();
	const uint64_t *args = submission->args;
	int64_t result;
	assert_none_held();
	switch (submission->opcode) {
	case CAPOS_OPCODE_ENDPOINT_CALL:
		result = begin(thread, submission);
		break;
	case CAPOS_OPCODE_RECV:
		result = receive(thread, submission, completion);
		break;
	case CAPOS_OPCODE_RETURN:
		result = reply(thread, submission);
		if (result > 0) {
			completion->value = (uint64_t)result;
			result = 0;
		}
		break;
	default:
		result = STATUS_TRANSPORT(INVALID_REQUEST);
		if (!submission->method && !submission->cap &&
			!(args[1] | args[2] | args[3] | args[4] | args[5]))
			result = give_up(thread, args[0]);
	}
	if (__builtin_expect(trace_enabled, 0))
		trace_message(submission->opcode, submission->cap, completion->value, result);
	completion->result = (int32_t)result;
	return submission->opcode != CAPOS_OPCODE_ENDPOINT_CALL || result != STATUS_OK;
}
