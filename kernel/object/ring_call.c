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
 * nothing for a call but its place in the queue. A thread has at most CAPOS_RING_CALLS_MAX of them,
 * and keeps some records for its next calls.
 *
 * A thread that waits for the call that it has just begun lets a server that waits on the same CPU
 * have the CPU at once, with the message in its registers. The answer comes back in the same way
 * (endpoint_direct.c), and the caller goes on in ring_resume().
 *
 * There is no timer for a deadline: who looks at the call next ends it, and so the caller's wait
 * ends with its earliest deadline.
 *
 * Capabilities of a call and its answer change hands as those of calls in registers do (cap_set.h).
 *
 * models/ringcall.pml is the model, models/handover.pml that of how the CPU goes along, and
 * models/transfer.pml that of the capabilities. */
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
#include "object/endpoint_direct.h"
#include "object/ring_call.h"
#include "object/transfer.h"
#include "proc/process.h"
#include "proc/thread.h"
#include "sched/sched.h"
#include "sched/wait_state.h"

/* Records that a thread keeps: so many, and of that size, which is one of the allocator's. */
#define SPARES_MAX 16u
#define SPARE_BYTES 448u
#define SPARE_ROOM (SPARE_BYTES - (uint32_t)sizeof(struct ring_call))

_Static_assert(SPARE_ROOM >= 3 * WORDS_BYTES, "room for short messages");

/* ---- records ---- */

static void free_record(struct ring_call *call)
{
	struct thread *caller = call->caller;
	kmem_free(caller->ledger, call);
	object_release(&caller->object);
}

/* Nobody else has the record. The current thread is the caller. */
static inline void put_record(struct ring_call *call)
{
	struct thread_ring_calls *calls = &call->caller->ring_calls;
	if (call->room != SPARE_ROOM || calls->spare_count == SPARES_MAX) {
		free_record(call);
		return;
	}
	call->next_spare = calls->spares;
	calls->spares = call;
	calls->spare_count++;
}

static struct ring_call *new_record(struct thread *thread, uint32_t room)
{
	struct ring_call *call = kmem_alloc(thread->ledger, sizeof *call + room);
	if (!call)
		return NULL;
	object_retain(&thread->object);
	call->caller = thread;
	call->room = room;
	call->queued.ring = call;
	list_node_init(&call->queued.node);
	list_node_init(&call->caller_node);
	list_node_init(&call->ended_node);
	return call;
}

/* A record with at least so much room. */
static struct ring_call *get_record(struct thread *thread, uint64_t room)
{
	struct thread_ring_calls *calls = &thread->ring_calls;
	if (room > SPARE_ROOM)
		return new_record(thread, (uint32_t)room);
	struct ring_call *call = calls->spares;
	if (!call)
		return new_record(thread, SPARE_ROOM);
	calls->spares = call->next_spare;
	calls->spare_count--;
	return call;
}

/* The server has answered the call, or has given it up, under the lock of the caller. True: the
 * record is to be freed. */
static bool let_go_locked(struct ring_call *call)
{
	assert_held(&call->caller->lock);
	call->held = false;
	return call->left;
}

struct object *ring_call_facet(const struct ring_call *call)
{
	return call->facet;
}

static bool is_late(const struct ring_call *call)
{
	return call->deadline_ns != DEADLINE_NONE && call->deadline_ns <= clock_now_ns();
}

/* Ends the open call, and wakes its caller if that waits for it. The caller's lock is held. */
static void settle_locked(struct ring_call *call, int64_t status, uint32_t size)
{
	struct thread *caller = call->caller;
	struct thread_ring_calls *calls = &caller->ring_calls;
	assert_held(&caller->lock);
	ring_call_end_locked(call, (int32_t)status, size);
	if (!calls->wanted || calls->ended_count < calls->wanted)
		return;
	calls->wanted = 0;
	if (wait_decide(caller, WAIT_WOKEN))
		sched_wake(caller);
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
	struct thread *caller = call->caller;
	assert_held(&facet_from(call->facet)->endpoint->lock);
	spin_lock(&caller->lock);
	enum received received = RECEIVED_NONE;
	status_t status = call->open ? refusal(call, thread) : STATUS_OK;
	if (status != STATUS_OK) {
		settle_locked(call, status, 0);
	} else if (call->open) {
		ring_call_attach_locked(call, thread);
		if (!thread->service.into)
			trap_frame_set_message(thread_frame(thread), call->bytes);
		received = carried_count(call) ? RECEIVED_CARRIES : RECEIVED_WORDS;
	}
	spin_unlock(&caller->lock);
	return received;
}

uint64_t ring_call_caller(const struct thread *thread)
{
	const struct ring_call *call = thread->service.ring;
	const struct thread *caller = call ? call->caller : thread->service.caller;
	return caller ? caller->id : 0;
}

bool ring_call_take(struct thread *thread, cap_id_t *caps, uint32_t *count)
{
	struct ring_call *call = thread->service.ring;
	struct process *process = thread->process;
	struct object *objects[CAPOS_MESSAGE_CAPS_MAX];
	struct cap_slots slots;
	*count = 0;
	/* The caller takes its set back when it has seen the end of the call. */
	spin_lock(&call->caller->lock);
	uint32_t wanted = call->open ? carried_count(call) : 0;
	spin_unlock(&call->caller->lock);
	if (!wanted || cap_slots_reserve(process, wanted, &slots) != STATUS_OK)
		return false;
	memcpy(caps, slots.slots, wanted * sizeof *caps);
	spin_lock(&call->caller->lock);
	bool takes = call->open;
	for (uint32_t i = 0; takes && i < wanted; i++) {
		objects[i] = call->transfer->carried.objects[i];
		call->transfer->carried.objects[i] = NULL;
	}
	spin_unlock(&call->caller->lock);
	cap_slots_end(process, &slots, objects, takes ? wanted : 0);
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
	if (frame) {
		trap_frame_get_message(frame, call->bytes);
		size = ring_call_words_size(call);
	}
	thread->service.ring = NULL;
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
	bool frees = let_go_locked(call);
	spin_unlock(&caller->lock);
	if (frees)
		free_record(call);
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
	struct process *process = call->caller->process;
	uint32_t given = transfer->given_count;
	cap_set_end(process, &transfer->carried);
	cap_slots_end(process, &transfer->slots, transfer->given, stays ? given : 0);
	for (uint32_t i = 0; i < given && !stays; i++)
		cap_drop(transfer->given[i]);
	transfer->given_count = 0;
	return given;
}

/* The call is not in the queue of the endpoint any more. */
static void leave_queue(struct ring_call *call)
{
	struct endpoint *endpoint = facet_from(call->facet)->endpoint;
	spin_lock(&endpoint->lock);
	if (list_linked(&call->queued.node)) {
		list_remove(&call->queued.node);
		endpoint->call_count--;
	}
	spin_unlock(&endpoint->lock);
}

/* The caller does not have the record any more, which a server may have. */
static __attribute__((noinline)) void leave_to_server(struct ring_call *call)
{
	struct thread *caller = call->caller;
	spin_lock(&caller->lock);
	bool held = call->held;
	call->left = held;
	spin_unlock(&caller->lock);
	if (!held)
		put_record(call);
}

/* The call is not open, and not in any list of the caller's. held: a server had the record when the
 * call was seen to have ended, and all that it may still have is that. */
HOT void leave(struct ring_call *call, bool held)
{
	if (!call->received)
		leave_queue(call);
	process_uncharge_call(call->caller->process);
	lease_leave(&call->use);
	object_release(call->facet);
	call->facet = NULL;
	if (__builtin_expect(call->transfer != NULL, 0)) {
		kmem_free(call->caller->ledger, call->transfer);
		call->transfer = NULL;
	}
	if (__builtin_expect(held, 0))
		leave_to_server(call);
	else
		put_record(call);
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

/* A record with the message, of a call that is in no list. */
static status_t make(
	struct thread *thread, const struct capos_submission *submission, struct ring_call **made)
{
	const uint64_t *args = submission->args;
	uint64_t size = args[1], capacity = args[3];
	if (capacity > CAPOS_MESSAGE_BYTES_MAX)
		capacity = CAPOS_MESSAGE_BYTES_MAX;
	if (size > CAPOS_MESSAGE_BYTES_MAX)
		return STATUS_TRANSPORT(INVALID_PARAMS_BUFFER);
	struct ring_call *call = get_record(thread, size > capacity ? size : capacity);
	if (!call)
		return STATUS(NO_MEMORY);
	if (copy_from_user(call->bytes, user_ptr(args[0]), size) != STATUS_OK) {
		put_record(call);
		return STATUS_TRANSPORT(INVALID_PARAMS_BUFFER);
	}
	if (size < WORDS_BYTES)
		memset((uint8_t *)call->bytes + size, 0, WORDS_BYTES - size);
	call->size = (uint32_t)size;
	call->user_data = submission->user_data;
	call->deadline_ns = args[4];
	call->result = user_ptr(args[2]);
	call->capacity = (uint32_t)capacity;
	call->received = false;
	*made = call;
	return STATUS_OK;
}

/* The call carries or takes capabilities, as the program says at that place. */
static status_t make_transfer(struct ring_call *call, struct user_ptr place)
{
	struct capos_message_caps named;
	struct process *process = call->caller->process;
	if (copy_from_user(&named, place, sizeof named) != STATUS_OK)
		return STATUS_TRANSPORT(INVALID_PARAMS_BUFFER);
	if (named.takes > CAPOS_MESSAGE_CAPS_MAX || named.reserved)
		return STATUS(INVALID_ARGUMENT);
	struct ring_transfer *transfer = kmem_alloc(call->caller->ledger, sizeof *transfer);
	if (!transfer)
		return STATUS(NO_MEMORY);
	transfer->place = place;
	call->transfer = transfer;
	status_t status = cap_slots_reserve(process, named.takes, &transfer->slots);
	if (status == STATUS_OK)
		status = cap_set_take_out(process, &named, &transfer->carried);
	return status;
}

/* The call is in the queue of the endpoint, where threads wait to receive. One of them is woken
 * when the thread has begun all calls that it has ready, so that it is not kept from that. */
static void note_due(struct thread *thread, struct endpoint *endpoint)
{
	struct thread_ring_calls *calls = &thread->ring_calls;
	if (calls->due != endpoint)
		ring_call_wake(thread, 0);
	calls->due = endpoint;
	calls->due_count++;
}

/* As many calls wait as the endpoint lets. One that a receiver waits for does not count, as for
 * calls in registers. */
static bool is_full_locked(const struct endpoint *endpoint, const struct thread *thread)
{
	assert_held(&endpoint->lock);
	return endpoint->call_count >= endpoint->calls_max &&
		(list_empty(&endpoint->receivers) || thread->ring_calls.due == endpoint);
}

/* Puts the call into the queue. The reference to the facet goes to it on success. */
static status_t queue(struct ring_call *call, struct facet *facet)
{
	struct endpoint *endpoint = facet->endpoint;
	bool awaited = false;
	struct event_signal due = { .event = NULL };
	status_t status = STATUS_OK;
	spin_lock(&endpoint->lock);
	if (endpoint->closed || facet->closed)
		status = STATUS(DISCONNECTED);
	else if (carried_count(call) && !endpoint->accepts)
		status = STATUS(NO_RIGHTS);
	else if (is_full_locked(endpoint, call->caller))
		status = STATUS(LIMIT_REACHED);
	if (status == STATUS_OK) {
		spin_lock(&call->caller->lock);
		ring_call_open_locked(call, facet);
		spin_unlock(&call->caller->lock);
		list_push_back(&endpoint->calls, &call->queued.node);
		endpoint->call_count++;
		awaited = !list_empty(&endpoint->receivers);
		if (!awaited)
			due = binding_due_locked(&endpoint->binding);
	}
	spin_unlock(&endpoint->lock);
	event_signal_send(due);
	if (awaited)
		note_due(call->caller, endpoint);
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

/* The locks of the endpoint, the caller and the run queue are held. */
static inline struct thread *take_standing(const struct percpu *cpu, struct endpoint *endpoint,
	struct thread *thread, uint32_t awaited)
{
	assert_held(&thread->lock);
	if (thread->ring_calls.ended_count >= awaited)
		return NULL;
	return endpoint_take_standing(cpu, endpoint, thread);
}

/* The thread goes on to wait for so many ends of calls: goes straight to a thread that waits on
 * this CPU to receive calls, of which there are in the queue. The lock of the endpoint is held, and
 * left then. Returns where that cannot be done, and nothing has changed. */
static void go_to_receiver_locked(
	struct endpoint *endpoint, struct thread *thread, uint32_t awaited)
{
	uint64_t now = clock_now_ns();
	struct percpu *cpu = percpu();
	assert_held(&endpoint->lock);
	spin_lock(&thread->lock);
	spin_lock(&cpu->run.lock);
	struct thread *receiver = take_standing(cpu, endpoint, thread, awaited);
	if (receiver) {
		thread->ring_calls.wanted = awaited;
		receiver->service.endpoint = endpoint; /* with the reference of its wait */
		__atomic_store_n(&receiver->wait_state, WAIT_WOKEN, __ATOMIC_SEQ_CST);
		spin_unlock(&thread->lock);
		spin_unlock(&endpoint->lock);
		hand_over_account(thread, receiver, PLAIN_RING, now);
		receiver->plain_wait = PLAIN_CALL; /* for message_resume */
		context_hand_over_inside(cpu, receiver);
	}
	spin_unlock(&cpu->run.lock);
	spin_unlock(&thread->lock);
}

void ring_call_wake(struct thread *thread, uint32_t awaited)
{
	struct thread_ring_calls *calls = &thread->ring_calls;
	struct endpoint *endpoint = calls->due;
	uint32_t count = calls->due_count;
	struct thread *receiver;
	if (!endpoint)
		return;
	calls->due = NULL;
	calls->due_count = 0;
	spin_lock(&endpoint->lock);
	bool goes = awaited && endpoint->direct && !calls->timed && !hand_over_ticks(thread);
	for (; count > goes && (receiver = endpoint_take_receiver_locked(endpoint)); count--)
		sched_wake(receiver);
	if (goes && !list_empty(&endpoint->receivers) && !list_empty(&endpoint->calls))
		go_to_receiver_locked(
			endpoint, thread, awaited <= calls->count ? awaited : calls->count);
	if (goes && (receiver = endpoint_take_receiver_locked(endpoint)))
		sched_wake(receiver);
	spin_unlock(&endpoint->lock);
}

/* The thread goes on to wait for so many ends of calls: goes straight to user mode of a thread that
 * waits on this CPU to receive the call, which then has it. Returns where that cannot be done, and
 * nothing has changed. */
static void begin_direct(struct ring_call *call, struct facet *facet, uint32_t awaited)
{
	uint64_t now = clock_now_ns();
	struct percpu *cpu = percpu();
	struct thread *thread = call->caller;
	struct endpoint *endpoint = facet->endpoint;
	spin_lock(&endpoint->lock);
	if (endpoint->direct && !facet->closed && list_empty(&endpoint->calls) &&
		!list_empty(&endpoint->receivers)) {
		spin_lock(&thread->lock);
		spin_lock(&cpu->run.lock);
		struct thread *receiver = take_standing(cpu, endpoint, thread, awaited);
		if (receiver) {
			ring_call_open_locked(call, facet);
			ring_call_attach_locked(call, receiver);
			thread->ring_calls.wanted = awaited;
			object_release_other(&endpoint->object); /* the receiver's */
			spin_unlock(&thread->lock);
			spin_unlock(&endpoint->lock);
			hand_over_account(thread, receiver, PLAIN_RING, now);
			context_hand_over_words(
				cpu, receiver, CAPOS_RECEIVE_RESULT_CALL, facet->tag, call->bytes);
		}
		spin_unlock(&cpu->run.lock);
		spin_unlock(&thread->lock);
	}
	spin_unlock(&endpoint->lock);
}

/* Whether nothing is out of the common: no capability, no revocable copy, no deadline of any call
 * of the thread's, and a message for registers. */
static inline bool may_be_direct(const struct ring_call *call)
{
	const struct thread *thread = call->caller;
	return !call->transfer && call->size <= WORDS_BYTES && !thread->lease_use.lease &&
		call->deadline_ns == DEADLINE_NONE && !thread->ring_calls.timed &&
		!thread->ring_calls.due && !hand_over_ticks(thread);
}

/* The call has not begun. */
static __attribute__((noinline)) void unmake(struct ring_call *call)
{
	if (call->transfer) {
		end_transfer(call, true);
		kmem_free(call->caller->ledger, call->transfer);
		call->transfer = NULL;
	}
	put_record(call);
}

/* The reference to the facet goes to the call on success. */
static status_t begin_call(struct thread *thread, const struct capos_submission *submission,
	struct object *facet, uint32_t awaited)
{
	const struct thread_ring_calls *calls = &thread->ring_calls;
	struct ring_call *call = NULL;
	status_t status = make(thread, submission, &call);
	if (status == STATUS_OK && submission->args[5])
		status = make_transfer(call, user_ptr(submission->args[5]));
	if (status == STATUS_OK && awaited && may_be_direct(call))
		begin_direct(call, facet_from(facet),
			awaited <= calls->count ? awaited : calls->count + 1);
	if (status == STATUS_OK)
		status = queue(call, facet_from(facet));
	if (status != STATUS_OK) {
		if (call)
			unmake(call);
		return status;
	}
	if (thread->lease_use.lease)
		use_lease(call, thread->lease_use.lease);
	return STATUS_OK;
}

static status_t begin(
	struct thread *thread, const struct capos_submission *submission, uint32_t awaited)
{
	status_t status = STATUS_OK;
	if (submission->method)
		return STATUS_TRANSPORT(INVALID_REQUEST);
	if (thread->ring_calls.count == CAPOS_RING_CALLS_MAX)
		return STATUS(LIMIT_REACHED);
	struct object *facet = endpoint_find(thread, submission->cap, INTERFACE_FACET);
	if (__builtin_expect(!facet, 0))
		status = find(thread, submission, INTERFACE_FACET, &facet);
	if (status == STATUS_OK && !process_charge_call(thread->process)) {
		status = STATUS(NO_CALLS);
		object_release(facet);
	} else if (status == STATUS_OK) {
		status = begin_call(thread, submission, facet, awaited);
		if (status != STATUS_OK) {
			process_uncharge_call(thread->process);
			object_release(facet);
		}
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
	uint64_t earliest_ns = calls->timed ? expire_locked(thread) : DEADLINE_NONE;
	if (calls->ended_count < count) {
		bool first = earliest_ns < deadline_ns;
		uint64_t end_ns = first ? earliest_ns : deadline_ns;
		calls->wanted = count;
		if (end_ns == DEADLINE_NONE)
			thread->plain_wait = PLAIN_RING;
		status = wait_status(wait_block(&thread->lock, end_ns, true));
		thread->plain_wait = PLAIN_NONE;
		calls->wanted = 0;
		if (status == STATUS(TIMED_OUT) && first)
			status = STATUS_OK;
	}
	spin_unlock(&thread->lock);
	return status;
}

status_t ring_call_waited(struct thread *thread)
{
	enum wait_state outcome = wait_end(thread);
	/* The answer has come with the CPU: close_ring_call. */
	if (__builtin_expect(outcome == WAIT_NONE, 1))
		return STATUS_OK;
	spin_lock(&thread->lock);
	thread->ring_calls.wanted = 0;
	spin_unlock(&thread->lock);
	return wait_status(outcome);
}

/* Tells the program which capabilities have come. */
static status_t tell_caps(struct user_ptr place, const cap_id_t *caps, uint32_t count)
{
	struct capos_message_caps told = { .count = count };
	for (uint32_t i = 0; i < count; i++)
		told.caps[i] = caps[i];
	return copy_to_user(place, &told, sizeof told);
}

/* The capabilities that have come with the answer go to the caller, if it can be told of them. */
static __attribute__((noinline)) status_t complete_transfer(struct ring_call *call, status_t status)
{
	const struct ring_transfer *transfer = call->transfer;
	uint32_t given = end_transfer(call, true);
	if (status == STATUS_OK)
		status = tell_caps(transfer->place, transfer->slots.slots, given);
	if (status != STATUS_OK)
		cap_slots_release(&call->caller->process->caps, transfer->slots.slots, given);
	return status;
}

/* The answer goes to the caller. */
HOT void complete(struct ring_call *call, struct capos_completion *completion)
{
	status_t status = copy_to_user(call->result, call->bytes, call->answer_size);
	if (__builtin_expect(call->transfer != NULL, 0))
		status = complete_transfer(call, status);
	*completion = (struct capos_completion){ .user_data = call->user_data };
	if (__builtin_expect(status == STATUS_OK, 1)) {
		completion->result = call->status;
		completion->size = call->answer_size;
	} else {
		completion->result = STATUS_TRANSPORT(INVALID_RESULT_BUFFER);
	}
}

/* The caller has seen the end of the call. */
static void leave_list(struct ring_call *call)
{
	struct thread_ring_calls *calls = &call->caller->ring_calls;
	list_remove(&call->caller_node);
	calls->count--;
	calls->timed -= call->deadline_ns != DEADLINE_NONE;
}

bool ring_call_collect(struct thread *thread, struct capos_completion *completion)
{
	struct thread_ring_calls *calls = &thread->ring_calls;
	spin_lock(&thread->lock);
	if (list_empty(&calls->ended))
		expire_locked(thread);
	struct list_node *node = list_pop_front(&calls->ended);
	struct ring_call *call = node ? container_of(node, struct ring_call, ended_node) : NULL;
	bool held = call && call->held;
	if (call)
		calls->ended_count--;
	spin_unlock(&thread->lock);
	if (!call)
		return false;
	leave_list(call);
	complete(call, completion);
	leave(call, held);
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
	struct ring_call *spare;
	assert_none_held();
	calls->due = NULL;
	while ((node = list_first(&calls->all)) != NULL) {
		struct ring_call *call = container_of(node, struct ring_call, caller_node);
		spin_lock(&thread->lock);
		call->open = false;
		list_remove(&call->ended_node);
		bool held = call->held;
		spin_unlock(&thread->lock);
		leave_list(call);
		if (call->transfer)
			end_transfer(call, false);
		leave(call, held);
		sched_preemption_point(); /* each may drop several objects */
	}
	while ((spare = calls->spares) != NULL) {
		calls->spares = spare->next_spare;
		free_record(spare);
	}
	calls->spare_count = 0;
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

static __attribute__((noinline)) int64_t receive(struct thread *thread,
	const struct capos_submission *submission, struct capos_completion *completion)
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
	if (thread_serves(thread))
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

static __attribute__((noinline)) int64_t reply(
	struct thread *thread, const struct capos_submission *submission)
{
	const uint64_t *args = submission->args;
	struct process *process = thread->process;
	struct capos_message_caps named = { .count = 0 };
	struct cap_set set;
	if (submission->method || submission->cap || args[4] || args[5])
		return STATUS_TRANSPORT(INVALID_REQUEST);
	if (!thread_serves(thread))
		return STATUS(WRONG_STATE);
	if (args[2] >= error_text_count)
		return STATUS(INVALID_ARGUMENT);
	if (args[1] > (thread->service.ring ? CAPOS_MESSAGE_BYTES_MAX : WORDS_BYTES))
		return STATUS(OUT_OF_RANGE);
	if (args[3] && copy_from_user(&named, user_ptr(args[3]), sizeof named) != STATUS_OK)
		return STATUS_TRANSPORT(INVALID_PARAMS_BUFFER);
	if (named.takes || named.reserved)
		return STATUS(INVALID_ARGUMENT);
	status_t status = cap_set_take_out(process, &named, &set);
	if (status != STATUS_OK)
		return status;
	int64_t result = reply_with(thread, args, &set);
	cap_set_end(process, &set);
	return result;
}

/* ---- the ring ---- */

bool ring_call_execute(const struct capos_submission *submission,
	struct capos_completion *completion, uint32_t awaited)
{
	struct thread *thread = thread_current();
	const uint64_t *args = submission->args;
	int64_t result;
	assert_none_held();
	switch (submission->opcode) {
	case CAPOS_OPCODE_ENDPOINT_CALL:
		result = begin(thread, submission, awaited);
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
		trace_message(submission->opcode, submission->cap, completion->value,
			ring_call_caller(thread), result);
	completion->result = (int32_t)result;
	return submission->opcode != CAPOS_OPCODE_ENDPOINT_CALL || result != STATUS_OK;
}
