/* Calls to endpoints through a thread's ring, of which many may be outstanding.
 *
 *     caller                               server
 *     begin: copies the message into       ...
 *     the record and queues it             ring_call_receive: takes it out of the queue,
 *     ...                                  with a reference, and copies the message out
 *     ring_call_wait: waits                ring_call_answer: the answer is in the record;
 *     ...                                  ends the call if it is still open
 *     ring_call_collect: copies the        ...
 *     answer out and completes the call
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
 * ends with its earliest deadline.
 *
 * Capabilities of a call and its answer change hands as those of calls in registers do (cap_set.h).
 *
 * models/ringcall.pml is the model. */
#include "call/call.h"
#include "call/decode.h"
#include "call/trace.h"
#include "core/log.h"
#include "core/string.h"
#include "kernel/methods.h"
#include "machine/clock.h"
#include "mm/ledger.h"
#include "mm/user.h"
#include "object/cap_set.h"
#include "object/endpoint.h"
#include "object/transfer.h"
#include "proc/process.h"
#include "proc/thread.h"
#include "sched/sched.h"
#include "sched/wait.h"

#define WORDS_BYTES (MESSAGE_WORDS * sizeof(uint64_t))

/* The capabilities of a call and its answer. */
struct ring_transfer {
	/* Owner thread only. */
	struct user_ptr place; /* where the program has named them */
	struct cap_slots slots;

	/* Guarded by the caller's lock while the call is open. */
	struct cap_set carried;
	struct object *given[CAPOS_MESSAGE_CAPS_MAX];
	uint32_t given_count;
};

struct ring_call {
	struct object object; /* named by no capability */

	/* Set when the call begins, never changed. */
	struct thread *caller; /* referenced */
	struct ledger *ledger; /* charged; referenced */
	uint64_t user_data;
	uint64_t deadline_ns;
	struct user_ptr result;
	uint32_t capacity;              /* of the caller's result buffer */
	uint32_t size;                  /* of the message */
	struct ring_transfer *transfer; /* NULL: it carries and takes no capability */

	/* Referenced by the caller until it completes the call. Read by others under its lock,
	 * while the call is open. */
	struct object *facet;

	/* Guarded by the caller's lock. */
	bool open; /* it has not ended */
	int32_t status;
	uint32_t answer_size;
	struct list_node ended_node;

	struct lease_use use;         /* owner thread only */
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
	kmem_free(ledger, call->transfer);
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

static uint32_t carried_count(const struct ring_call *call)
{
	return call->transfer ? call->transfer->carried.count : 0;
}

/* Why the thread cannot get the open call. */
static status_t refusal(const struct ring_call *call, const struct thread *thread)
{
	const struct ring_receive *into = thread->service.into;
	uint32_t caps_room = into ? (into->takes_caps ? CAPOS_MESSAGE_CAPS_MAX : 0) : 1;
	if (is_late(call))
		return STATUS(TIMED_OUT);
	if (call->size > (into ? into->capacity : WORDS_BYTES))
		return STATUS(OUT_OF_RANGE);
	return carried_count(call) > caps_room ? STATUS(LIMIT_REACHED) : STATUS_OK;
}

enum received ring_call_receive(struct ring_call *call, struct thread *thread)
{
	struct thread_service *service = &thread->service;
	struct thread *caller = call->caller;
	assert_held(&facet_from(call->facet)->endpoint->lock);
	spin_lock(&caller->lock);
	enum received received = RECEIVED_NONE;
	status_t status = call->open ? refusal(call, thread) : STATUS_OK;
	if (status != STATUS_OK) {
		settle_locked(call, status, 0);
	} else if (call->open) {
		object_retain(&call->object);
		service->caller = caller;
		service->ring = call;
		service->sequence = 0; /* a call in registers has another */
		service->tag = facet_from(call->facet)->tag;
		if (!service->into)
			trap_frame_set_message(thread_frame(thread), call->bytes);
		received = carried_count(call) ? RECEIVED_CARRIES : RECEIVED_WORDS;
	}
	spin_unlock(&caller->lock);
	return received;
}

bool ring_call_take(struct thread *thread, cap_id_t *caps, uint32_t *count)
{
	struct ring_call *call = thread->service.ring;
	struct cap_set *carried = &call->transfer->carried;
	struct cap_table *table = &thread->process->caps;
	struct object *objects[CAPOS_MESSAGE_CAPS_MAX];
	struct cap_slots slots;
	*count = 0;
	/* The count is not changed before the caller has seen the end of the call. */
	spin_lock(&call->caller->lock);
	uint32_t wanted = call->open ? carried->count : 0;
	spin_unlock(&call->caller->lock);
	if (!wanted || cap_slots_reserve(table, wanted, &slots) != STATUS_OK)
		return false;
	memcpy(caps, slots.slots, wanted * sizeof *caps);
	spin_lock(&call->caller->lock);
	bool takes = call->open;
	for (uint32_t i = 0; takes && i < wanted; i++) {
		objects[i] = carried->objects[i];
		carried->objects[i] = NULL;
	}
	spin_unlock(&call->caller->lock);
	cap_slots_end(table, &slots, objects, takes ? wanted : 0);
	*count = takes ? wanted : 0;
	return takes;
}

/* The call has just been answered. */
static void give_locked(struct ring_call *call, struct object **objects, uint32_t count)
{
	struct ring_transfer *transfer = call->transfer;
	assert_held(&call->caller->lock);
	if (!transfer || count > transfer->slots.count)
		return;
	for (uint32_t i = 0; i < count; i++) {
		transfer->given[i] = objects[i];
		objects[i] = NULL;
	}
	transfer->given_count = count;
}

bool ring_call_answer(struct thread *thread, int64_t status, const struct trap_frame *frame,
	uint32_t size, struct object **objects, uint32_t count)
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
	if (fits) {
		settle_locked(call, status, size);
		give_locked(call, objects, count);
	} else if (call->open) {
		settle_locked(call,
			late ? STATUS(TIMED_OUT) : STATUS_TRANSPORT(INVALID_RESULT_BUFFER), 0);
	}
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

/* What the server has not taken goes back to the caller's table, which gets what has come if the
 * caller goes on. How many that are. */
static uint32_t end_transfer(struct ring_call *call, bool stays)
{
	struct ring_transfer *transfer = call->transfer;
	struct cap_table *table = &call->caller->process->caps;
	uint32_t given = transfer->given_count;
	cap_set_end(table, &transfer->carried);
	cap_slots_end(table, &transfer->slots, transfer->given, stays ? given : 0);
	for (uint32_t i = 0; i < given && !stays; i++)
		cap_drop(transfer->given[i]);
	transfer->given_count = 0;
	return given;
}

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
	lease_leave(&call->use);
	object_release(facet);
	object_release(&call->object);
}

static void revoked_locked(struct lease_use *use)
{
	struct ring_call *call = container_of(use, struct ring_call, use);
	assert_held(&use->lease->root->lock);
	spin_lock(&call->caller->lock);
	if (call->open)
		settle_locked(call, STATUS(REVOKED), 0);
	spin_unlock(&call->caller->lock);
}

/* The call, which is in the queue, goes through that copy. From now on revocation ends it. */
static void use_lease(struct ring_call *call, struct lease *lease)
{
	struct thread *thread = call->caller;
	call->use.revoked_locked = revoked_locked;
	object_retain(&lease->copy);
	struct object *facet = lease_enter(lease, &call->use);
	if (facet) {
		object_release(facet); /* the call has one */
		return;
	}
	object_release(&lease->copy);
	spin_lock(&thread->lock);
	if (call->open)
		settle_locked(call, STATUS(REVOKED), 0);
	spin_unlock(&thread->lock);
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

/* The call carries or takes capabilities, as the program says at that place. */
static status_t make_transfer(struct ring_call *call, struct user_ptr place)
{
	struct capos_message_caps named;
	struct cap_table *table = &call->caller->process->caps;
	if (copy_from_user(&named, place, sizeof named) != STATUS_OK)
		return STATUS_TRANSPORT(INVALID_PARAMS_BUFFER);
	if (named.takes > CAPOS_MESSAGE_CAPS_MAX || named.reserved)
		return STATUS(INVALID_ARGUMENT);
	struct ring_transfer *transfer = kmem_alloc(call->ledger, sizeof *transfer);
	if (!transfer)
		return STATUS(NO_MEMORY);
	transfer->place = place;
	call->transfer = transfer;
	status_t status = cap_slots_reserve(table, named.takes, &transfer->slots);
	if (status == STATUS_OK)
		status = cap_set_take_out(table, &named, &transfer->carried);
	return status;
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
	else if (carried_count(call) && !endpoint->accepts)
		status = STATUS(NO_RIGHTS);
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

/* The endpoint or facet that the submission names, which may be a revocable copy: the thread is in
 * a call through it until it leaves thread->lease_use, in any case. */
static status_t find(struct thread *thread, const struct capos_submission *submission,
	unsigned interface, struct object **object)
{
	status_t status = cap_table_enter(
		&thread->process->caps, submission->cap, &thread->lease_use, object);
	if (status != STATUS_OK || (*object)->interface == &interface_descs[interface])
		return status;
	object_release(*object);
	return STATUS_TRANSPORT(INVOKE_FAILED);
}

/* The reference to the facet goes to the call on success. */
static status_t begin_call(
	struct thread *thread, const struct capos_submission *submission, struct object *facet)
{
	struct thread_ring_calls *calls = &thread->ring_calls;
	struct ring_call *call = NULL;
	bool charged = process_charge_call(thread->process);
	status_t status = charged ? make(thread, submission, &call) : STATUS(NO_CALLS);
	if (status == STATUS_OK && submission->args[5])
		status = make_transfer(call, user_ptr(submission->args[5]));
	if (status == STATUS_OK)
		status = queue(call, facet_from(facet));
	if (status != STATUS_OK) {
		if (call && call->transfer)
			end_transfer(call, true);
		if (call)
			object_release(&call->object);
		if (charged)
			process_uncharge_call(thread->process);
		return status;
	}
	list_push_back(&calls->all, &call->caller_node);
	calls->count++;
	if (thread->lease_use.lease)
		use_lease(call, thread->lease_use.lease);
	return STATUS_OK;
}

static status_t begin(struct thread *thread, const struct capos_submission *submission)
{
	struct object *facet;
	if (submission->method)
		return STATUS_TRANSPORT(INVALID_REQUEST);
	if (thread->ring_calls.count == CAPOS_RING_CALLS_MAX)
		return STATUS(LIMIT_REACHED);
	status_t status = find(thread, submission, INTERFACE_FACET, &facet);
	if (status == STATUS_OK) {
		status = begin_call(thread, submission, facet);
		if (status != STATUS_OK)
			object_release(facet);
	}
	lease_leave(&thread->lease_use);
	return status;
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

/* Tells the program which capabilities have come. */
static status_t tell_caps(struct user_ptr place, const cap_id_t *caps, uint32_t count)
{
	struct capos_message_caps told = { .count = count };
	for (uint32_t i = 0; i < count; i++)
		told.caps[i] = caps[i];
	return copy_to_user(place, &told, sizeof told);
}

/* The answer goes to the caller. */
static void complete(struct ring_call *call, struct capos_completion *completion)
{
	struct ring_transfer *transfer = call->transfer;
	uint32_t given = transfer ? end_transfer(call, true) : 0;
	*completion = (struct capos_completion){
		.user_data = call->user_data,
		.result = call->status,
		.size = call->answer_size,
	};
	status_t status = copy_to_user(call->result, call->bytes, call->answer_size);
	if (status == STATUS_OK && transfer)
		status = tell_caps(transfer->place, transfer->slots.slots, given);
	if (status == STATUS_OK)
		return;
	cap_slots_release(
		&call->caller->process->caps, transfer ? transfer->slots.slots : NULL, given);
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
		if (call->transfer)
			end_transfer(call, false);
		leave(call);
		sched_preemption_point(); /* each may drop several objects */
	}
}

/* ---- recv and return ---- */

/* The message goes to the server, which is the current thread and has received it. */
static status_t hand_out(struct thread *thread, const struct ring_receive *into,
	const uint64_t *args, struct capos_completion *completion)
{
	const struct ring_call *call = thread->service.ring;
	const uint64_t *bytes = call ? call->bytes : into->words;
	uint32_t size = call ? call->size : WORDS_BYTES;
	status_t status = copy_to_user(user_ptr(args[0]), bytes, size);
	if (status == STATUS_OK && args[3])
		status = tell_caps(user_ptr(args[3]), into->caps, into->cap_count);
	if (status != STATUS_OK)
		return STATUS_TRANSPORT(INVALID_RESULT_BUFFER);
	completion->size = size;
	return STATUS_OK;
}

static void answer(struct thread *thread, int64_t status, const uint64_t *words, uint32_t size)
{
	if (thread->service.ring)
		ring_call_answer(thread, status, NULL, size, NULL, 0);
	else
		endpoint_answer_words(thread, status, words, NULL);
}

static int64_t receive_into(
	struct thread *thread, const struct capos_submission *submission, struct ring_receive *into)
{
	struct object *object;
	int64_t result = find(thread, submission, INTERFACE_ENDPOINT, &object);
	if (result == STATUS_OK) {
		result = endpoint_receive_into(
			thread, endpoint_from(object), into, submission->args[2]);
		object_release(object);
	}
	lease_leave(&thread->lease_use);
	return result;
}

static int64_t receive(struct thread *thread, const struct capos_submission *submission,
	struct capos_completion *completion)
{
	const uint64_t *args = submission->args;
	struct ring_receive into = {
		.capacity = CAPOS_MESSAGE_BYTES_MAX,
		.takes_caps = args[3] != 0,
	};
	if (submission->method || args[4] || args[5])
		return STATUS_TRANSPORT(INVALID_REQUEST);
	if (args[1] < WORDS_BYTES)
		return STATUS(INVALID_ARGUMENT);
	if (thread->service.caller)
		return STATUS(WRONG_STATE);
	if (args[1] < into.capacity)
		into.capacity = (uint32_t)args[1];
	int64_t result = receive_into(thread, submission, &into);
	if (result >= 0)
		completion->value = into.tag;
	if (result != CAPOS_RECEIVE_RESULT_CALL)
		return result;
	status_t status = hand_out(thread, &into, args, completion);
	if (status == STATUS_OK)
		return result;
	cap_slots_release(&thread->process->caps, into.caps, into.cap_count);
	answer(thread, STATUS(DISCONNECTED), into.words, 0);
	return status;
}

/* Of a call in registers, which takes one capability at most. */
static bool answer_words(
	struct thread *thread, int64_t status, const uint64_t *words, struct cap_set *set)
{
	if (set->count != 1)
		return endpoint_answer_words(thread, status, words, NULL);
	struct transfer_answer with = { .object = set->objects[0] };
	bool answered = endpoint_answer_words(thread, status, words, &with);
	set->objects[0] = with.object;
	return answered;
}

/* Whether all of it has been given; a set of none has. */
static bool is_given(const struct cap_set *set)
{
	return !set->count || !set->objects[0];
}

static int64_t reply_with(struct thread *thread, const uint64_t *args, struct cap_set *set)
{
	struct ring_call *call = thread->service.ring;
	uint64_t words[MESSAGE_WORDS] = { 0 };
	uint32_t size = (uint32_t)args[1];
	int64_t status = args[2] ? -(int64_t)(CAPOS_ERROR_BASE + args[2]) : 0;
	bool fits = !call || size <= call->capacity;
	if (fits &&
		copy_from_user(call ? call->bytes : words, user_ptr(args[0]), size) != STATUS_OK)
		return STATUS_TRANSPORT(INVALID_PARAMS_BUFFER);
	bool answered = call
		? ring_call_answer(thread, status, NULL, size, set->objects, set->count)
		: answer_words(thread, status, words, set);
	if (!answered)
		return CAPOS_REPLY_RESULT_GONE;
	return is_given(set) ? CAPOS_REPLY_RESULT_ANSWERED : CAPOS_REPLY_RESULT_NOT_TAKEN;
}

static int64_t reply(struct thread *thread, const struct capos_submission *submission)
{
	const uint64_t *args = submission->args;
	struct cap_table *table = &thread->process->caps;
	struct capos_message_caps named = { .count = 0 };
	struct cap_set set;
	if (submission->method || submission->cap || args[4] || args[5])
		return STATUS_TRANSPORT(INVALID_REQUEST);
	if (!thread->service.caller)
		return STATUS(WRONG_STATE);
	if (args[2] >= error_text_count)
		return STATUS(INVALID_ARGUMENT);
	if (args[1] > (thread->service.ring ? CAPOS_MESSAGE_BYTES_MAX : WORDS_BYTES))
		return STATUS(OUT_OF_RANGE);
	if (args[3] && copy_from_user(&named, user_ptr(args[3]), sizeof named) != STATUS_OK)
		return STATUS_TRANSPORT(INVALID_PARAMS_BUFFER);
	if (named.takes || named.reserved)
		return STATUS(INVALID_ARGUMENT);
	status_t status = cap_set_take_out(table, &named, &set);
	if (status != STATUS_OK)
		return status;
	int64_t result = reply_with(thread, args, &set);
	cap_set_end(table, &set);
	return result;
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
	if (__builtin_expect(thread_calls_watched(thread), 0))
		trace_message(submission->opcode, submission->cap, completion->value, result);
	completion->result = (int32_t)result;
	return submission->opcode != CAPOS_OPCODE_ENDPOINT_CALL || result != STATUS_OK;
}
