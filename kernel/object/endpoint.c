/* Endpoint and Facet: synchronous calls in registers.
 *
 *     caller                                     server
 *     endpoint_call: takes a waiting receiver    endpoint_receive: takes the first call of the
 *     and hands it the message, or queues        queue, or waits among the receivers
 *     the call, and waits                        ...
 *     await_answer: woken, late or killed        answer_call: looks whether it is still the same
 *                                                call, writes the answer, wakes
 *
 * A call is open from endpoint_call until it is answered or its thread gives it up; both happen
 * under the lock of that thread, so it ends in one way. A server finds the call it has received by
 * thread and sequence, and holds a reference to the thread's record for that, so a late answer
 * reaches nothing. Messages go from one thread's trap frame to the other's.
 *
 * A notification does not end a call. The thread goes away to its handler with the call open, and
 * comes back by await; an answer that comes meanwhile is kept in its record.
 *
 * A capability that goes with a call or its answer is the matter of transfer.c, and a call through
 * the ring that of ring_call.c. All calls to an endpoint are in one queue. A call through a
 * revocable copy of the facet is entered in the lease until it ends, and transfer_end leaves it.
 *
 * Where caller and server are of one CPU, the CPU goes straight from one to the other, and the
 * caller's process goes on paying for it. endpoint_direct.c does so for what is common; this file
 * does everything. models/endpoint.pml, models/handover.pml and models/ringcall.pml are the
 * models. */
#include "arch/context.h"
#include "arch/trap_frame.h"
#include "call/call.h"
#include "call/trace.h"
#include "core/log.h"
#include "core/string.h"
#include "kernel/methods.h"
#include "machine/clock.h"
#include "mm/ledger.h"
#include "object/endpoint.h"
#include "object/transfer.h"
#include "proc/process.h"
#include "proc/thread.h"
#include "sched/sched.h"
#include "sched/wait_state.h"

/* For what is on the path of a call that is handed over; the rest is kept out of it. */
#define HOT static inline __attribute__((always_inline))
#define RARE static __attribute__((noinline))

/* As endpoint_find, for what a call names besides the one it is for, or for a revocable copy. */
RARE struct object *find_argument(struct thread *thread, uint64_t cap, unsigned interface)
{
	struct object *object = cap_table_lookup(&thread->process->caps, (cap_id_t)cap);
	if (!object || object->interface == &interface_descs[interface])
		return object;
	object_release(object);
	return NULL;
}

/* Through a revocable copy, which the thread leaves on its way back to user mode, or where its call
 * ends. No object: *status says why. */
RARE struct object *find_leased(
	struct thread *thread, struct lease_use *use, unsigned interface, status_t *status)
{
	const struct trap_frame *frame = thread_frame(thread);
	struct object *object;
	use->call = use == &thread->call.use;
	*status = cap_table_enter(
		&thread->process->caps, (cap_id_t)trap_frame_target(frame), use, &object);
	if (!object || object->interface == &interface_descs[interface])
		return object;
	lease_leave(use);
	object_release(object);
	*status = STATUS_TRANSPORT(INVOKE_FAILED);
	return NULL;
}

/* The endpoint that the frame names. */
HOT struct object *find_endpoint(
	struct thread *thread, const struct trap_frame *frame, status_t *status)
{
	struct object *object = endpoint_find(thread, trap_frame_target(frame), INTERFACE_ENDPOINT);
	if (__builtin_expect(object != NULL, 1))
		return object;
	object = find_leased(thread, &thread->lease_use, INTERFACE_ENDPOINT, status);
	if (object)
		__atomic_or_fetch(&thread->exit_work, EXIT_WORK_LEAVE, __ATOMIC_SEQ_CST);
	return object;
}

static __attribute__((noinline)) void trace(
	const struct trap_frame *frame, int64_t result, uint64_t tag)
{
	trace_message((uint32_t)trap_frame_operation(frame) >> 8,
		(cap_id_t)trap_frame_target(frame), tag, ring_call_caller(thread_current()),
		result);
}

/* Leaves to user mode with the message that is in the frame. No lock is held. */
static _Noreturn inline void return_message(struct trap_frame *frame, int64_t result, uint64_t tag)
{
	assert_none_held();
	if (__builtin_expect(thread_calls_watched(thread_current()), 0))
		trace(frame, result, tag);
	trap_frame_set_results(frame, result, tag, 0);
	message_return(frame);
}

/* The same with a capability that came. */
RARE _Noreturn void return_capability(
	struct trap_frame *frame, int64_t result, uint64_t tag, cap_id_t cap)
{
	assert_none_held();
	if (thread_calls_watched(thread_current()))
		trace(frame, result, tag);
	trap_frame_set_results(frame, result, tag, cap);
	message_return(frame);
}

/* ---- who pays ---- */

/* models/payer.pml models this. */

/* The caller's process has a quota of CPU time, or another one pays for what the caller does: that
 * pays for the server's work too. The ledger that has it may be a caller's further up, whose thread
 * may be gone before this call is over. */
RARE void begin_payment(struct thread *server, struct quota *quota)
{
	ledger_retain(container_of(quota, struct ledger, quota));
	sched_set_payer(server, quota);
}

/* The call that the thread has received is over. Where nothing is left to its caller, that stops on
 * its way to user mode. */
RARE void end_payment(struct thread *thread)
{
	struct quota *quota = thread->payer;
	assert_none_held();
	sched_set_payer(thread, NULL);
	if (!quota_charge(quota, clock_now_ns(), 0))
		__atomic_or_fetch(
			&thread->service.caller->exit_work, EXIT_WORK_QUOTA, __ATOMIC_SEQ_CST);
	ledger_release(container_of(quota, struct ledger, quota));
}

/* ---- one call ---- */

/* The lock of the endpoint is held, that of the caller too. The server is the current thread, or
 * waits and has been decided. */
HOT void attach_locked(struct thread *caller, struct thread *server)
{
	struct thread_call *call = &caller->call;
	assert_held(&caller->lock);
	call->server = server;
	object_retain(&caller->object);
	server->service.caller = caller;
	server->service.sequence = call->sequence;
	server->service.tag = facet_from(call->facet)->tag;
	struct quota *quota = caller->payer ? caller->payer : caller->profile->quota;
	if (__builtin_expect(quota != NULL, 0))
		begin_payment(server, quota);
}

/* The same with the message, to the registers of the server. Its frame may still be the source of
 * the answer that it has given before. */
HOT void deliver_locked(struct thread *caller, struct thread *server)
{
	struct thread_call *call = &caller->call;
	assert_held(&caller->lock);
	attach_locked(caller, server);
	sched_await_left(server);
	if (__builtin_expect(call->extra & CALL_SAVED, 0)) {
		trap_frame_set_message(thread_frame(server), call->words);
		call->extra &= (uint16_t)~CALL_SAVED;
	} else {
		trap_frame_copy_message(thread_frame(server), thread_frame(caller));
	}
}

/* Ends the open call. frame: of the server, with the answer; NULL: there are no words. with: what
 * comes with them, or NULL. False: the thread has just given it up. woken: it has waited, and is to
 * run. */
HOT bool settle_locked(struct thread *caller, int64_t status, const struct trap_frame *frame,
	struct transfer_answer *with, bool *woken)
{
	struct thread_call *call = &caller->call;
	assert_held(&caller->lock);
	*woken = !call->away && wait_decide(caller, WAIT_WOKEN);
	bool leaves = call->away ||
		__atomic_load_n(&caller->wait_state, __ATOMIC_SEQ_CST) == WAIT_INTERRUPTED;
	if (!*woken && !leaves)
		return false;
	call->open = false;
	call->server = NULL;
	call->status = status;
	if (*woken && frame) {
		trap_frame_copy_message(thread_frame(caller), frame);
	} else if (frame) {
		trap_frame_get_message(frame, call->words);
		call->extra |= CALL_SAVED;
	}
	if (with)
		transfer_give_locked(caller, with);
	return true;
}

/* Whether the caller's call is still the one that the thread has received. */
HOT bool is_received_by(const struct thread *caller, const struct thread *thread)
{
	const struct thread_call *call = &caller->call;
	assert_held(&caller->lock);
	return call->open && call->server == thread && call->sequence == thread->service.sequence;
}

/* Ends the call that the thread has received. with: as in settle_locked. next: where the caller
 * goes if it is to have this CPU; NULL: it is queued as any thread. False: it has gone. */
HOT bool answer_call(struct thread *thread, int64_t status, const struct trap_frame *frame,
	struct transfer_answer *with, struct thread **next)
{
	struct thread_service *service = &thread->service;
	struct thread *caller = service->caller;
	bool woken = false, answered = false;
	if (__builtin_expect(service->ring != NULL, 0))
		return ring_call_answer(
			thread, status, frame, 0, with ? &with->object : NULL, with != NULL);
	if (__builtin_expect(thread->payer != NULL, 0))
		end_payment(thread);
	spin_lock(&caller->lock);
	if (is_received_by(caller, thread))
		answered = settle_locked(caller, status, frame, with, &woken);
	if (woken && next && sched_take(caller, caller->shares))
		*next = caller;
	else if (woken)
		sched_wake(caller);
	spin_unlock(&caller->lock);
	service->caller = NULL;
	object_release(&caller->object);
	return answered;
}

bool endpoint_answer_words(
	struct thread *thread, int64_t status, const uint64_t *words, struct transfer_answer *with)
{
	struct thread_service *service = &thread->service;
	struct thread *caller = service->caller;
	bool woken = false, answered = false;
	if (thread->payer)
		end_payment(thread);
	spin_lock(&caller->lock);
	if (is_received_by(caller, thread))
		answered = settle_locked(caller, status, NULL, with, &woken);
	if (woken) {
		trap_frame_set_message(thread_frame(caller), words);
		sched_wake(caller);
	} else if (answered) {
		memcpy(caller->call.words, words, sizeof caller->call.words);
		caller->call.extra |= CALL_SAVED;
	}
	spin_unlock(&caller->lock);
	service->caller = NULL;
	object_release(&caller->object);
	return answered;
}

/* ---- the caller ---- */

/* The call has been taken out of the queue. Its thread may go on as soon as the call has ended. */
RARE void leave_queue_locked(struct endpoint *endpoint, struct queued_call *queued)
{
	struct thread *thread = container_of(queued, struct thread, call.queued);
	assert_held(&endpoint->lock);
	endpoint->call_count--;
	if (queued->ring || !thread->call.charged)
		return;
	thread->call.charged = false;
	process_uncharge_call(thread->process);
}

/* The call is not open any more. */
RARE void leave_call(struct thread *thread)
{
	struct thread_call *call = &thread->call;
	struct object *facet = call->facet;
	struct endpoint *endpoint = facet_from(facet)->endpoint;
	spin_lock(&endpoint->lock);
	if (list_linked(&call->queued.node)) {
		list_remove(&call->queued.node);
		leave_queue_locked(endpoint, &call->queued);
	}
	spin_unlock(&endpoint->lock);
	call->facet = NULL;
	object_release(facet);
}

/* The call, which is not open any more, has more than words in registers. */
RARE _Noreturn void return_extra(struct thread *thread, struct trap_frame *frame, int64_t status)
{
	if (thread->call.extra & CALL_SAVED)
		trap_frame_set_message(frame, thread->call.words);
	return_capability(frame, status, 0, transfer_end(thread, true));
}

/* The status of a call without an answer. */
RARE status_t ended_status(enum wait_state outcome)
{
	if (outcome == WAIT_REVOKED)
		return STATUS(REVOKED);
	return outcome == WAIT_TIMED_OUT ? STATUS(TIMED_OUT) : STATUS(CANCELLED);
}

/* The wait for the answer has ended so. The thread's lock is held, and released. Does not return
 * where the call ends, or where the handler of a notification has to run first. */
HOT _Noreturn void end_wait(
	struct thread *thread, struct trap_frame *frame, enum wait_state outcome)
{
	struct thread_call *call = &thread->call;
	assert_held(&thread->lock);
	if (__builtin_expect(call->open && outcome == WAIT_INTERRUPTED, 0)) {
		if (!call->server && !(call->extra & CALL_SAVED)) {
			trap_frame_get_message(frame, call->words);
			call->extra |= CALL_SAVED;
		}
		call->away = true;
		spin_unlock(&thread->lock);
		trap_frame_repeat(frame, REGISTER_CALL(AWAIT));
		message_return(frame);
	}
	int64_t status = call->status;
	bool answered = !call->open;
	if (!answered)
		status = ended_status(outcome);
	call->open = false;
	call->server = NULL;
	spin_unlock(&thread->lock);
	if (!answered) {
		leave_call(thread);
	} else { /* it has left the queue before */
		struct object *facet = call->facet;
		call->facet = NULL;
		object_release(facet);
	}
	if (__builtin_expect(call->extra != 0, 0))
		return_extra(thread, frame, status);
	return_message(frame, status, 0);
}

/* The wait that follows needs nothing of the stack if it has no deadline. */
HOT void mark_plain(struct thread *thread, uint64_t deadline_ns, enum plain_wait wait)
{
	if (deadline_ns == DEADLINE_NONE)
		thread->plain_wait = wait;
}

/* The thread's lock is held, and released. Does not return. next: as in wait_block_to, or NULL. */
HOT _Noreturn void await_answer(
	struct thread *thread, struct trap_frame *frame, struct thread *next)
{
	uint64_t deadline_ns = trap_frame_deadline(frame);
	assert_held(&thread->lock);
	mark_plain(thread, deadline_ns, PLAIN_ANSWER);
	enum wait_state outcome = next ? wait_block_to(&thread->lock, deadline_ns, next)
				       : wait_block(&thread->lock, deadline_ns, true);
	thread->plain_wait = PLAIN_NONE;
	end_wait(thread, frame, outcome);
}

/* A thread that waits to receive, whose wait the caller has decided; it has to wake it before it
 * leaves the lock. NULL: none. */
HOT struct thread *take_receiver_locked(struct endpoint *endpoint)
{
	assert_held(&endpoint->lock);
	struct list_node *node;
	while ((node = list_pop_front(&endpoint->receivers)) != NULL) {
		struct thread *thread = container_of(node, struct thread, wait_node);
		if (wait_decide(thread, WAIT_WOKEN))
			return thread;
	}
	return NULL;
}

struct thread *endpoint_take_receiver_locked(struct endpoint *endpoint)
{
	assert_held(&endpoint->lock);
	return take_receiver_locked(endpoint);
}

RARE int64_t endpoint_await(struct thread *thread, struct trap_frame *frame);

/* The call is in the queue and an event bound to that: signals it without locks. Meanwhile the
 * thread is away, as in the handler of a notification. Both locks are held, and left. */
RARE _Noreturn void signal_and_await(
	struct endpoint *endpoint, struct thread *thread, struct trap_frame *frame)
{
	assert_held(&endpoint->lock);
	assert_held(&thread->lock);
	struct event_signal due = binding_due_locked(&endpoint->binding);
	thread->call.away = true;
	spin_unlock(&thread->lock);
	spin_unlock(&endpoint->lock);
	event_signal_send(due);
	endpoint_await(thread, frame); /* does not return to a thread with a call */
	panic("an open call has been lost");
}

/* The call has to wait, for which there must be room in the endpoint, and a charge. */
RARE status_t charge_call_locked(const struct endpoint *endpoint, struct thread *thread)
{
	assert_held(&endpoint->lock);
	if (endpoint->call_count >= endpoint->calls_max)
		return STATUS(LIMIT_REACHED);
	thread->call.charged = process_charge_call(thread->process);
	return thread->call.charged ? STATUS_OK : STATUS(NO_CALLS);
}

/* On success the call is open, and the caller of this has to leave the thread's lock. A call that
 * carries a capability goes through the queue, because the server's thread has to make room for
 * it; and so does one to a thread that receives through its ring. */
HOT status_t begin_call(struct thread *thread, struct trap_frame *frame, struct facet *facet,
	uint16_t extra, struct thread **next)
{
	struct endpoint *endpoint = facet->endpoint;
	struct thread_call *call = &thread->call;
	status_t status = STATUS_OK;
	spin_lock(&endpoint->lock);
	if (endpoint->closed || facet->closed)
		status = STATUS(DISCONNECTED);
	else if (extra & CALL_CARRIES && !endpoint->accepts)
		status = STATUS(NO_RIGHTS);
	else if (list_empty(&endpoint->receivers))
		status = charge_call_locked(endpoint, thread);
	if (__builtin_expect(status != STATUS_OK, 0)) {
		spin_unlock(&endpoint->lock);
		return status;
	}
	spin_lock(&thread->lock);
	call->facet = &facet->object;
	call->sequence++;
	call->open = true;
	call->away = false;
	call->extra = extra;
	struct thread *receiver = take_receiver_locked(endpoint);
	if (!receiver || extra & CALL_CARRIES || receiver->service.into) {
		list_push_back(&endpoint->calls, &call->queued.node);
		endpoint->call_count++;
		if (__builtin_expect(!receiver && endpoint->binding.event, 0))
			signal_and_await(endpoint, thread, frame);
	} else {
		deliver_locked(thread, receiver);
	}
	if (receiver && sched_take(receiver, NULL))
		*next = receiver;
	else if (receiver)
		sched_wake(receiver);
	spin_unlock(&endpoint->lock);
	return STATUS_OK;
}

static status_t begin_with_capabilities(
	struct thread *thread, struct trap_frame *frame, struct facet *facet, struct thread **next)
{
	uint16_t extra = 0;
	status_t status = transfer_begin(thread, trap_frame_status(frame), &extra);
	if (status != STATUS_OK)
		return status;
	if (thread->call.use.lease)
		extra |= CALL_LEASED;
	status = begin_call(thread, frame, facet, extra, next);
	if (status != STATUS_OK)
		transfer_end(thread, true);
	return status;
}

/* A call for which transfer_end has something to do: its options say that a capability goes with
 * it, or may come with the answer, or it goes through a revocable copy of the facet. So the result
 * tells of a capability in any case. */
RARE _Noreturn void call_with_capabilities(struct thread *thread, struct trap_frame *frame)
{
	struct thread *next = NULL;
	struct object *object = NULL;
	status_t status = STATUS(BUSY);
	if (!thread->call.facet)
		object = endpoint_find(thread, trap_frame_target(frame), INTERFACE_FACET);
	if (!thread->call.facet && !object)
		object = find_leased(thread, &thread->call.use, INTERFACE_FACET, &status);
	if (object) {
		status = begin_with_capabilities(thread, frame, facet_from(object), &next);
		if (status == STATUS_OK)
			await_answer(thread, frame, next);
		lease_leave(&thread->call.use);
		object_release(object);
	}
	return_capability(frame, status, trap_frame_target(frame), 0);
}

HOT int64_t endpoint_call(struct thread *thread, struct trap_frame *frame)
{
	struct thread *next = NULL;
	if (__builtin_expect(trap_frame_status(frame) != 0, 0))
		call_with_capabilities(thread, frame);
	if (__builtin_expect(thread->call.facet != NULL, 0))
		return STATUS(BUSY);
	struct object *object = endpoint_find(thread, trap_frame_target(frame), INTERFACE_FACET);
	if (__builtin_expect(!object, 0))
		call_with_capabilities(thread, frame);
	status_t status = begin_call(thread, frame, facet_from(object), 0, &next);
	if (__builtin_expect(status == STATUS_OK, 1))
		await_answer(thread, frame, next);
	object_release(object);
	return status;
}

/* The thread has no wait for its open call, and ends it. */
RARE void give_up_locked(struct thread *thread, status_t status)
{
	struct thread_call *call = &thread->call;
	assert_held(&thread->lock);
	call->open = false;
	call->extra &= (uint16_t)~CALL_SAVED;
	call->server = NULL;
	call->status = status;
}

RARE int64_t endpoint_await(struct thread *thread, struct trap_frame *frame)
{
	if (!thread->call.facet)
		return STATUS(WRONG_STATE);
	spin_lock(&thread->lock);
	thread->call.away = false;
	if (thread->call.open && lease_is_revoked(thread->call.use.lease))
		give_up_locked(thread, STATUS(REVOKED));
	if (thread->call.open)
		await_answer(thread, frame, NULL);
	int64_t status = thread->call.status;
	spin_unlock(&thread->lock);
	leave_call(thread);
	return_extra(thread, frame, status);
}

RARE int64_t endpoint_cancel(struct thread *thread)
{
	struct thread_call *call = &thread->call;
	if (!call->facet)
		return STATUS(WRONG_STATE);
	spin_lock(&thread->lock);
	if (call->open)
		give_up_locked(thread, STATUS(CANCELLED));
	spin_unlock(&thread->lock);
	return 0;
}

/* ---- the server ---- */

/* The status of receive_next for a call that carries a capability, which the thread has not taken
 * yet. */
#define CARRIES 1

/* A call in registers comes to a thread that receives through its ring. */
RARE void deliver_into_locked(struct thread *caller, struct thread *server)
{
	struct thread_call *call = &caller->call;
	uint64_t *words = server->service.into->words;
	assert_held(&caller->lock);
	attach_locked(caller, server);
	if (call->extra & CALL_SAVED)
		memcpy(words, call->words, sizeof call->words);
	else
		trap_frame_get_message(thread_frame(caller), words);
	call->extra &= (uint16_t)~CALL_SAVED;
}

HOT enum received receive_words(struct thread *caller, struct thread *thread)
{
	enum received received = RECEIVED_NONE;
	spin_lock(&caller->lock);
	if (caller->call.open) {
		received = caller->call.extra & CALL_CARRIES ? RECEIVED_CARRIES : RECEIVED_WORDS;
		if (thread->service.into)
			deliver_into_locked(caller, thread);
		else
			deliver_locked(caller, thread);
	}
	spin_unlock(&caller->lock);
	return received;
}

/* The first call of the queue whose thread has not given it up. */
RARE enum received receive_queued_locked(struct endpoint *endpoint, struct thread *thread)
{
	assert_held(&endpoint->lock);
	struct list_node *node;
	enum received received = RECEIVED_NONE;
	while (received == RECEIVED_NONE && (node = list_pop_front(&endpoint->calls)) != NULL) {
		struct queued_call *queued = container_of(node, struct queued_call, node);
		leave_queue_locked(endpoint, queued);
		if (!queued->ring)
			received = receive_words(
				container_of(queued, struct thread, call.queued), thread);
		else
			received = ring_call_receive(queued->ring, thread);
	}
	return received;
}

/* Waits until a thread hands over a call, or there is another reason to look again. */
HOT status_t wait_for_call_locked(
	struct endpoint *endpoint, struct thread *thread, uint64_t deadline_ns, struct thread *next)
{
	assert_held(&endpoint->lock);
	list_push_back(&endpoint->receivers, &thread->wait_node);
	if (!thread->service.into)
		mark_plain(thread, deadline_ns, PLAIN_CALL);
	enum wait_state outcome = next ? wait_block_to(&endpoint->lock, deadline_ns, next)
				       : wait_block(&endpoint->lock, deadline_ns, true);
	thread->plain_wait = PLAIN_NONE;
	if (list_linked(&thread->wait_node))
		list_remove(&thread->wait_node);
	return wait_status(outcome);
}

/* The lock is held, and released. next: a thread that has been taken for this CPU, or NULL. gone:
 * the record of a facet whose end is to be told, for the caller to free. */
HOT status_t receive_next(struct endpoint *endpoint, struct thread *thread, uint64_t deadline_ns,
	struct thread *next, struct facet **gone)
{
	status_t status = STATUS_OK;
	assert_held(&endpoint->lock);
	while (status == STATUS_OK && !thread->service.caller) {
		struct list_node *node = list_pop_front(&endpoint->gone);
		if (node) {
			*gone = container_of(node, struct facet, gone_node);
			break;
		}
		if (!list_empty(&endpoint->calls)) {
			enum received received = receive_queued_locked(endpoint, thread);
			if (received == RECEIVED_CARRIES)
				status = CARRIES;
			if (received != RECEIVED_NONE)
				break;
		}
		if (endpoint->closed) {
			status = STATUS(DISCONNECTED);
		} else {
			status = wait_for_call_locked(endpoint, thread, deadline_ns, next);
			next = NULL;
		}
	}
	spin_unlock(&endpoint->lock);
	if (next)
		sched_give(next);
	return status;
}

/* What the call carries comes to the thread's process. False: as for transfer_take. */
HOT bool take_carried(struct thread *thread, cap_id_t *cap)
{
	struct ring_receive *into = thread->service.into;
	uint32_t count = 0;
	if (thread->service.ring)
		return ring_call_take(
			thread, into ? into->caps : cap, into ? &into->cap_count : &count);
	if (!into)
		return transfer_take(thread, cap);
	into->cap_count = into->takes_caps && transfer_take(thread, into->caps);
	return into->cap_count != 0;
}

/* A receive has got a call that carries a capability. A call for whose capability the thread's
 * process has no room ends here, and the server does not notice. */
HOT status_t receive_carried(struct thread *thread, struct endpoint *endpoint, uint64_t deadline_ns,
	struct facet **gone, cap_id_t *cap)
{
	status_t status = CARRIES;
	while (status == CARRIES) {
		if (take_carried(thread, cap))
			return STATUS_OK;
		*cap = 0;
		answer_call(thread, STATUS(LIMIT_REACHED), NULL, NULL, NULL);
		spin_lock(&endpoint->lock);
		status = receive_next(endpoint, thread, deadline_ns, NULL, gone);
	}
	return status;
}

/* The end of a receive that is no call of words only. */
RARE int64_t receive_other(struct thread *thread, struct trap_frame *frame, struct object *object,
	status_t status, struct facet *gone)
{
	struct endpoint *endpoint = endpoint_from(object);
	cap_id_t cap = 0;
	if (status == CARRIES)
		status = receive_carried(thread, endpoint, trap_frame_deadline(frame), &gone, &cap);
	uint64_t tag = gone ? gone->tag : thread->service.tag;
	if (gone)
		kmem_free(endpoint->ledger, gone);
	object_release(object);
	if (status != STATUS_OK)
		return status;
	return_capability(frame, gone ? CAPOS_RECEIVE_RESULT_FACET_GONE : CAPOS_RECEIVE_RESULT_CALL,
		tag, cap);
}

/* The lock of the endpoint is held, and released. */
HOT int64_t receive_locked(
	struct thread *thread, struct trap_frame *frame, struct object *object, struct thread *next)
{
	struct facet *gone = NULL;
	struct endpoint *endpoint = endpoint_from(object);
	assert_held(&endpoint->lock);
	status_t status = receive_next(endpoint, thread, trap_frame_deadline(frame), next, &gone);
	if (__builtin_expect(status != STATUS_OK || gone, 0))
		return receive_other(thread, frame, object, status, gone);
	uint64_t tag = thread->service.tag;
	object_release(object);
	return_message(frame, CAPOS_RECEIVE_RESULT_CALL, tag);
}

HOT int64_t receive(
	struct thread *thread, struct trap_frame *frame, struct object *object, struct thread *next)
{
	spin_lock(&endpoint_from(object)->lock);
	return receive_locked(thread, frame, object, next);
}

int64_t endpoint_receive_into(struct thread *thread, struct endpoint *endpoint,
	struct ring_receive *into, uint64_t deadline_ns)
{
	struct facet *gone = NULL;
	cap_id_t cap = 0;
	thread->service.into = into;
	spin_lock(&endpoint->lock);
	status_t status = receive_next(endpoint, thread, deadline_ns, NULL, &gone);
	if (status == CARRIES)
		status = receive_carried(thread, endpoint, deadline_ns, &gone, &cap);
	thread->service.into = NULL;
	into->tag = gone ? gone->tag : thread->service.tag;
	if (gone)
		kmem_free(endpoint->ledger, gone);
	if (status != STATUS_OK)
		return status;
	return gone ? CAPOS_RECEIVE_RESULT_FACET_GONE : CAPOS_RECEIVE_RESULT_CALL;
}

int64_t endpoint_receive_after(
	struct thread *thread, struct trap_frame *frame, struct object *object, struct thread *next)
{
	assert_none_held();
	return receive(thread, frame, object, next);
}

/* The wait for a call has ended, and the thread has no stack that goes on. */
static int64_t receive_resumed(struct thread *thread, struct trap_frame *frame)
{
	struct endpoint *endpoint = thread->service.endpoint;
	spin_lock(&endpoint->lock);
	status_t status = wait_status(wait_end(thread));
	if (list_linked(&thread->wait_node))
		list_remove(&thread->wait_node);
	if (status == STATUS_OK)
		return receive_locked(thread, frame, &endpoint->object, NULL);
	spin_unlock(&endpoint->lock);
	object_release(&endpoint->object);
	return status;
}

void message_resume(void)
{
	struct thread *thread = thread_current();
	struct trap_frame *frame = thread_frame(thread);
	enum plain_wait wait = thread->plain_wait;
	thread->plain_wait = PLAIN_NONE;
	if (wait == PLAIN_ANSWER) {
		spin_lock(&thread->lock);
		end_wait(thread, frame, wait_end(thread));
	}
	int64_t result = wait == PLAIN_RING ? ring_resume(thread, trap_frame_target(frame))
					    : receive_resumed(thread, frame);
	trap_frame_set_result(frame, result);
	message_return(frame);
}

RARE int64_t endpoint_receive(struct thread *thread, struct trap_frame *frame)
{
	status_t status;
	if (thread_serves(thread))
		return STATUS(WRONG_STATE);
	struct object *object = find_endpoint(thread, frame, &status);
	if (!object)
		return status;
	return receive(thread, frame, object, NULL);
}

/* Whether the options of a reply are more than an ErrorCode. */
HOT bool has_options(const struct trap_frame *frame)
{
	return __builtin_expect(trap_frame_status(frame) >= error_text_count, 0);
}

HOT int64_t answer_status(uint64_t code)
{
	return code ? -(int64_t)(CAPOS_ERROR_BASE + code) : 0;
}

RARE int64_t reply_with_capability(struct thread *thread, const struct trap_frame *frame)
{
	struct transfer_answer with;
	uint32_t code = 0;
	status_t status = transfer_answer_begin(thread, trap_frame_status(frame), &with, &code);
	if (status != STATUS_OK)
		return status;
	bool answered = answer_call(thread, answer_status(code), frame, &with, NULL);
	bool given = !with.object;
	transfer_answer_end(thread, &with, true);
	if (!answered)
		return CAPOS_REPLY_RESULT_GONE;
	return given ? CAPOS_REPLY_RESULT_ANSWERED : CAPOS_REPLY_RESULT_NOT_TAKEN;
}

RARE int64_t endpoint_reply(struct thread *thread, const struct trap_frame *frame)
{
	if (has_options(frame))
		return reply_with_capability(thread, frame);
	if (!thread_serves(thread))
		return STATUS(WRONG_STATE);
	return answer_call(thread, answer_status(trap_frame_status(frame)), frame, NULL, NULL);
}

/* The caller does not get this CPU at once where a capability is dropped after the answer, because
 * that may take long. */
RARE int64_t reply_receive_with_capability(struct thread *thread, struct trap_frame *frame)
{
	struct transfer_answer with;
	struct thread *next = NULL;
	uint32_t code = 0;
	status_t status;
	struct object *object = find_endpoint(thread, frame, &status);
	if (!object)
		return status;
	status = transfer_answer_begin(thread, trap_frame_status(frame), &with, &code);
	if (status != STATUS_OK) {
		object_release(object);
		return status;
	}
	answer_call(thread, answer_status(code), frame, &with, with.moves ? NULL : &next);
	if (with.object && next) {
		sched_give(next);
		next = NULL;
	}
	transfer_answer_end(thread, &with, false);
	return receive(thread, frame, object, next);
}

HOT int64_t endpoint_reply_receive(struct thread *thread, struct trap_frame *frame)
{
	struct thread *next = NULL;
	status_t status;
	if (has_options(frame))
		return reply_receive_with_capability(thread, frame);
	if (__builtin_expect(!thread_serves(thread), 0))
		return STATUS(WRONG_STATE);
	struct object *object = find_endpoint(thread, frame, &status);
	if (__builtin_expect(!object, 0))
		return status;
	answer_call(thread, answer_status(trap_frame_status(frame)), frame, NULL, &next);
	return receive(thread, frame, object, next);
}

static inline int64_t enter(struct trap_frame *frame)
{
	struct thread *thread = thread_current();
	uint64_t operation = trap_frame_operation(frame), target = trap_frame_target(frame);
	if (target > UINT32_MAX)
		return STATUS_TRANSPORT(INVALID_REQUEST);
	if (operation == REGISTER_CALL(ENDPOINT_CALL))
		return endpoint_call(thread, frame);
	if (operation == REGISTER_CALL(REPLY_RECEIVE))
		return endpoint_reply_receive(thread, frame);
	if (operation == REGISTER_CALL(RECEIVE))
		return endpoint_receive(thread, frame);
	if (operation == REGISTER_CALL(AWAIT))
		return endpoint_await(thread, frame);
	if (operation == REGISTER_CALL(CANCEL))
		return endpoint_cancel(thread);
	if (operation == REGISTER_CALL(REPLY) && !target)
		return endpoint_reply(thread, frame);
	return STATUS_TRANSPORT(INVALID_REQUEST);
}

int64_t endpoint_enter_any(struct trap_frame *frame)
{
	assert_none_held();
	int64_t result = enter(frame);
	if (__builtin_expect(thread_calls_watched(thread_current()), 0))
		trace(frame, result, 0);
	return result;
}

void thread_leave_calls(struct thread *thread)
{
	assert_none_held();
	lease_leave(&thread->lease_use);
	if (thread->call.facet) {
		spin_lock(&thread->lock);
		thread->call.open = false;
		thread->call.server = NULL;
		spin_unlock(&thread->lock);
		leave_call(thread);
		transfer_end(thread, false);
	}
	ring_calls_leave(thread);
	if (thread_serves(thread))
		answer_call(thread, STATUS(DISCONNECTED), NULL, NULL, NULL);
}

/* ---- ends of endpoints and facets ---- */

/* The call in registers has left the queue. */
static void disconnect(struct thread *caller)
{
	bool woken = false;
	spin_lock(&caller->lock);
	if (caller->call.open)
		settle_locked(caller, STATUS(DISCONNECTED), NULL, NULL, &woken);
	if (woken)
		sched_wake(caller);
	spin_unlock(&caller->lock);
}

static const struct object *facet_of_queued(const struct queued_call *queued)
{
	if (queued->ring)
		return ring_call_facet(queued->ring);
	return container_of(queued, const struct thread, call.queued)->call.facet;
}

/* Ends up to a batch of the calls that wait: those of the facet, or (NULL) all. True: there may be
 * more. */
static bool disconnect_batch_locked(struct endpoint *endpoint, const struct facet *facet)
{
	assert_held(&endpoint->lock);
	uint32_t ended = 0;
	list_for_each_safe (node, &endpoint->calls) {
		struct queued_call *queued = container_of(node, struct queued_call, node);
		if (facet && facet_of_queued(queued) != &facet->object)
			continue;
		if (ended++ == WAKE_BATCH)
			return true;
		list_remove(node);
		leave_queue_locked(endpoint, queued);
		if (queued->ring)
			ring_call_disconnect(queued->ring);
		else
			disconnect(container_of(queued, struct thread, call.queued));
	}
	return false;
}

/* The lock is held, and is left between batches. */
static void disconnect_all(struct endpoint *endpoint, const struct facet *facet)
{
	assert_held(&endpoint->lock);
	while (disconnect_batch_locked(endpoint, facet))
		sched_pause_locked(&endpoint->lock);
}

static void endpoint_close(struct object *object)
{
	struct endpoint *endpoint = endpoint_from(object);
	struct thread *receiver;
	struct list_node *node;
	assert_none_held();
	spin_lock(&endpoint->lock);
	endpoint->closed = true;
	endpoint->direct = false;
	disconnect_all(endpoint, NULL);
	for (uint32_t ended = 1; (receiver = take_receiver_locked(endpoint)) != NULL; ended++) {
		sched_wake(receiver);
		if (ended % WAKE_BATCH == 0)
			sched_pause_locked(&endpoint->lock);
	}
	for (uint32_t freed = 1; (node = list_pop_front(&endpoint->gone)) != NULL; freed++) {
		kmem_free(endpoint->ledger, container_of(node, struct facet, gone_node));
		if (freed % WAKE_BATCH == 0)
			sched_pause_locked(&endpoint->lock);
	}
	spin_unlock(&endpoint->lock);
}

static void endpoint_destroy(struct object *object)
{
	struct endpoint *endpoint = endpoint_from(object);
	struct ledger *ledger = endpoint->ledger;
	ASSERT(list_empty(&endpoint->calls) && rbtree_empty(&endpoint->facets));
	binding_end(&endpoint->binding);
	kmem_free(ledger, endpoint);
	ledger_release(ledger);
}

static const struct object_ops endpoint_ops = { .destroy = endpoint_destroy,
	.unnamed = endpoint_close };

/* The record stays until a receive has told of it, or the endpoint is closed. */
static void facet_destroy(struct object *object)
{
	struct facet *facet = facet_from(object);
	struct endpoint *endpoint = facet->endpoint;
	spin_lock(&endpoint->lock);
	bool told = !endpoint->closed;
	if (rbnode_linked(&facet->node))
		rbtree_remove(&endpoint->facets, &facet->node);
	struct thread *receiver = told ? take_receiver_locked(endpoint) : NULL;
	struct event_signal due = { .event = NULL };
	if (told)
		list_push_back(&endpoint->gone, &facet->gone_node);
	if (receiver) {
		sched_wake(receiver);
	} else if (told) {
		due = binding_due_locked(&endpoint->binding);
		due.bits = endpoint->gone_bits;
	}
	spin_unlock(&endpoint->lock);
	if (!told)
		kmem_free(endpoint->ledger, facet);
	event_signal_send(due);
	object_release(&endpoint->object);
}

static const struct object_ops facet_ops = { .destroy = facet_destroy };

/* ---- methods ---- */

status_t method_endpoint_factory_create(struct call *call,
	const struct endpoint_factory_create_params *in,
	struct endpoint_factory_create_results *out)
{
	struct ledger *ledger = call->process->space->ledger;
	if (!in->calls_max || in->calls_max > CAPOS_ENDPOINT_CALLS_MAX)
		return STATUS(INVALID_ARGUMENT);
	struct endpoint *endpoint = kmem_alloc(ledger, sizeof *endpoint);
	if (!endpoint)
		return STATUS(NO_MEMORY);
	endpoint->direct = context_hands_over();
	endpoint->ledger = ledger_retain(ledger);
	endpoint->calls_max = (uint16_t)in->calls_max;
	spin_init(&endpoint->lock, LOCK_RANK_OBJECT);
	list_init(&endpoint->calls);
	list_init(&endpoint->receivers);
	list_init(&endpoint->gone);
	rbtree_init(&endpoint->facets);
	object_init(&endpoint->object, &interface_descs[INTERFACE_ENDPOINT], &endpoint_ops);
	binding_init(&endpoint->binding, &endpoint->object, &endpoint->lock);
	out->endpoint = &endpoint->object;
	return STATUS_OK;
}

static uint64_t tag_of(const struct rbnode *node)
{
	return container_of(node, const struct facet, node)->tag;
}

static bool tag_before(const struct rbnode *a, const struct rbnode *b)
{
	return tag_of(a) < tag_of(b);
}

status_t method_endpoint_make_facet(struct call *call, const struct endpoint_make_facet_params *in,
	struct endpoint_make_facet_results *out)
{
	struct endpoint *endpoint = endpoint_from(call->object);
	struct facet *facet = kmem_alloc(endpoint->ledger, sizeof *facet);
	if (!facet)
		return STATUS(NO_MEMORY);
	object_retain(&endpoint->object);
	facet->endpoint = endpoint;
	facet->tag = in->tag;
	object_init(&facet->object, &interface_descs[INTERFACE_FACET], &facet_ops);
	spin_lock(&endpoint->lock);
	rbtree_insert(&endpoint->facets, &facet->node, tag_before);
	spin_unlock(&endpoint->lock);
	out->facet = &facet->object;
	return STATUS_OK;
}

status_t method_endpoint_accept(struct call *call, const struct endpoint_accept_params *in,
	struct endpoint_accept_results *out)
{
	(void)out;
	struct endpoint *endpoint = endpoint_from(call->object);
	if (in->capabilities > 1)
		return STATUS(INVALID_ARGUMENT);
	spin_lock(&endpoint->lock);
	endpoint->accepts = in->capabilities;
	spin_unlock(&endpoint->lock);
	return STATUS_OK;
}

/* The lock is held, and is left between batches. The facet must not go meanwhile. */
static void close_facet(struct endpoint *endpoint, struct facet *facet)
{
	assert_held(&endpoint->lock);
	facet->closed = true;
	rbtree_remove(&endpoint->facets, &facet->node);
	disconnect_all(endpoint, facet);
}

status_t method_endpoint_revoke(struct call *call, const struct endpoint_revoke_params *in,
	struct endpoint_revoke_results *out)
{
	(void)out;
	struct endpoint *endpoint = endpoint_from(call->object);
	struct object *object = find_argument(call->thread, in->facet, INTERFACE_FACET);
	status_t status = STATUS(NOT_FOUND);
	if (!object)
		return status;
	if (facet_from(object)->endpoint == endpoint) {
		spin_lock(&endpoint->lock);
		if (!facet_from(object)->closed)
			close_facet(endpoint, facet_from(object));
		spin_unlock(&endpoint->lock);
		status = STATUS_OK;
	}
	object_release(object);
	return status;
}

/* A facet in the tree may be losing its last reference, and then it is closed without one: none of
 * its calls waits any more. */
status_t method_endpoint_revoke_tag(struct call *call, const struct endpoint_revoke_tag_params *in,
	struct endpoint_revoke_tag_results *out)
{
	struct endpoint *endpoint = endpoint_from(call->object);
	struct rbnode *node;
	out->facets = 0;
	for (;;) {
		spin_lock(&endpoint->lock);
		node = rbtree_lower_bound(&endpoint->facets, in->tag, tag_of);
		if (!node || tag_of(node) != in->tag)
			break;
		struct facet *facet = container_of(node, struct facet, node);
		bool lives = object_retain_unless_gone(&facet->object);
		if (lives)
			close_facet(endpoint, facet);
		else
			rbtree_remove(&endpoint->facets, node);
		spin_unlock(&endpoint->lock);
		if (lives)
			object_release(&facet->object);
		out->facets += lives;
		sched_preemption_point();
	}
	spin_unlock(&endpoint->lock);
	return STATUS_OK;
}
