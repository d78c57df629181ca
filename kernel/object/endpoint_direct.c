/* Calls between two threads that take turns on a CPU: endpoint.c's operations call and
 * replyReceive, where the other side waits on the same CPU, and neither has a deadline or anything
 * else to do.
 *
 * Then all that can fail is looked at first, under the locks of the endpoint and of the run queue.
 * After that the CPU goes straight to user mode of the other thread, with the message still in the
 * registers of this one. Nothing is left on the kernel stacks of the two. A thread that ended up so
 * goes on in message_resume() if something else ends its wait. In all other cases nothing has been
 * changed, and endpoint.c does the whole operation.
 *
 * The lock of the caller's thread is not taken for calls in registers. The lock of the run queue
 * has its place: under it, a thread that has stopped on this CPU stays so, and while it waits its
 * record does not change. models/handover.pml is the model, and models/ringcall.pml of what
 * else there is to calls through the ring. */
#include "arch/context.h"
#include "arch/trap_frame.h"
#include "call/call.h"
#include "core/percpu.h"
#include "kernel/methods.h"
#include "machine/clock.h"
#include "object/endpoint_direct.h"
#include "object/ring_call.h"
#include "proc/process.h"
#include "proc/thread.h"
#include "sched/sched.h"
#include "sched/share.h"

/* Whether the operation has nothing out of the common: no deadline, no options. */
HOT bool is_common(const struct trap_frame *frame)
{
	return trap_frame_deadline(frame) == DEADLINE_NONE && !trap_frame_status(frame) &&
		!(trap_frame_target(frame) >> 32);
}

/* The object of that kind, and takes the lock of the table. NULL: none, and nothing is taken. */
HOT struct object *find_and_lock(struct cap_table *table, cap_id_t cap, unsigned interface)
{
	const uint64_t *slot = cap_slot_find(table, cap);
	if (__builtin_expect(!slot, 0))
		return NULL;
	spin_lock(&table->lock);
	struct object *object = cap_slot_match(*slot, cap, CAP_SLOT_COUNTED);
	if (__builtin_expect(object && object->interface == &interface_descs[interface], 1))
		return object;
	spin_unlock(&table->lock);
	return NULL;
}

/* ---- the call ---- */

HOT void open_call(struct thread *thread, struct facet *facet, struct thread *receiver)
{
	struct thread_call *call = &thread->call;
	object_retain_counted(&facet->object);
	call->facet = &facet->object;
	call->open = true;
	call->away = false;
	call->extra = 0;
	call->server = receiver;
	object_retain_counted(&thread->object);
	receiver->service.caller = thread;
	receiver->service.sequence = ++call->sequence;
	receiver->service.tag = facet->tag;
}

/* Returns where it cannot be done so. */
HOT void call_direct(struct trap_frame *frame)
{
	uint64_t now = clock_now_ns();
	struct thread *thread = thread_current();
	struct cap_table *table = &thread->process->caps;
	if (thread->call.facet || hand_over_ticks(thread))
		return;
	struct object *object =
		find_and_lock(table, (cap_id_t)trap_frame_target(frame), INTERFACE_FACET);
	if (!object)
		return;
	struct facet *facet = facet_from(object);
	struct endpoint *endpoint = facet->endpoint;
	struct percpu *cpu = percpu();
	spin_lock(&endpoint->lock);
	if (endpoint->direct && !facet->closed && !list_empty(&endpoint->receivers)) {
		spin_lock(&cpu->run.lock);
		struct thread *receiver = endpoint_take_standing(cpu, endpoint, thread);
		if (__builtin_expect(receiver != NULL, 1)) {
			open_call(thread, facet, receiver);
			object_release_other(&endpoint->object); /* the receiver's */
			spin_unlock(&table->lock);
			spin_unlock(&endpoint->lock);
			hand_over_account(thread, receiver, PLAIN_ANSWER, now);
			context_hand_over(cpu, receiver, CAPOS_RECEIVE_RESULT_CALL, facet->tag);
		}
		spin_unlock(&cpu->run.lock);
	}
	spin_unlock(&endpoint->lock);
	spin_unlock(&table->lock);
}

/* ---- the answer ---- */

/* The lock of the run queue is held. Whether the caller waits for the answer, and its process pays
 * for this CPU. */
HOT bool awaits_answer(
	const struct percpu *cpu, const struct thread *caller, const struct thread *thread)
{
	const struct thread_call *call = &caller->call;
	assert_held(&cpu->run.lock);
	return hand_over_stands(cpu, caller, PLAIN_ANSWER) && call->server == thread &&
		call->sequence == thread->service.sequence && !call->extra &&
		cpu->run.served == &caller->shares[cpu->id];
}

/* The caller has the last reference to its facet, whose end takes long and is for its own thread:
 * it goes on in the kernel, as after any wait. The locks are held, and released. */
static __attribute__((noinline)) int64_t answer_last(struct percpu *cpu, struct endpoint *endpoint,
	struct thread *thread, struct trap_frame *frame)
{
	struct thread *caller = thread->service.caller;
	assert_held(&cpu->run.lock);
	caller->call.status = STATUS_OK;
	trap_frame_copy_message(thread_frame(caller), frame);
	__atomic_store_n(&caller->wait_state, WAIT_WOKEN, __ATOMIC_SEQ_CST);
	caller->state = THREAD_READY;
	wait_end(thread);
	spin_unlock(&cpu->run.lock);
	spin_unlock(&endpoint->lock);
	thread->service.caller = NULL;
	object_release(&caller->object);
	return endpoint_receive_after(thread, frame, &endpoint->object, caller);
}

/* The wait of the caller has ended, and that of the thread has begun. False: the caller has the
 * last reference to its facet. */
HOT bool close_call(struct endpoint *endpoint, struct thread *thread, struct thread *caller)
{
	struct thread_call *call = &caller->call;
	assert_held(&endpoint->lock);
	call->open = false;
	call->server = NULL;
	if (!object_release_but_last(call->facet))
		return false;
	call->facet = NULL;
	thread->service.caller = NULL;
	thread->service.endpoint = endpoint;
	object_release_other(&caller->object); /* that it runs is another */
	list_push_back(&endpoint->receivers, &thread->wait_node);
	return true;
}

/* The reference to the endpoint goes to the wait. False: it cannot be done so, and the reference is
 * the caller's. */
HOT bool answer_direct(struct endpoint *endpoint, struct thread *thread, struct trap_frame *frame,
	uint64_t now, int64_t *result)
{
	struct percpu *cpu = percpu();
	struct thread *caller = thread->service.caller;
	spin_lock(&endpoint->lock);
	if (endpoint->direct && list_empty(&endpoint->gone) && list_empty(&endpoint->calls)) {
		spin_lock(&cpu->run.lock);
		if (awaits_answer(cpu, caller, thread)) {
			if (hand_over_begin(thread) && hand_over_take(caller)) {
				if (!close_call(endpoint, thread, caller)) {
					*result = answer_last(cpu, endpoint, thread, frame);
					return true;
				}
				spin_unlock(&endpoint->lock);
				hand_over_account(thread, caller, PLAIN_CALL, now);
				context_hand_over(cpu, caller, 0, 0);
			}
			wait_end(thread);
		}
		spin_unlock(&cpu->run.lock);
	}
	spin_unlock(&endpoint->lock);
	return false;
}

/* ---- the answer to a call through the ring ---- */

/* The locks of the caller and of the run queue are held. Whether the caller waits for this call to
 * end, and its process pays for this CPU. */
HOT bool awaits_end(const struct percpu *cpu, const struct ring_call *call)
{
	const struct thread *caller = call->caller;
	const struct thread_ring_calls *calls = &caller->ring_calls;
	assert_held(&caller->lock);
	return call->open && hand_over_stands(cpu, caller, PLAIN_RING) &&
		calls->ended_count + 1 >= calls->wanted &&
		cpu->run.served == &caller->shares[cpu->id];
}

/* The call ends, and the wait of the thread has begun. */
HOT void close_ring_call(struct endpoint *endpoint, struct thread *thread,
	const struct trap_frame *frame, struct ring_call *call)
{
	trap_frame_get_message(frame, call->bytes);
	ring_call_end_locked(call, STATUS_OK, ring_call_words_size(call));
	call->held = false;
	call->caller->ring_calls.wanted = 0;
	thread->service.ring = NULL;
	thread->service.endpoint = endpoint;
	list_push_back(&endpoint->receivers, &thread->wait_node);
}

/* The caller goes on in the kernel, because only it can write to the memory of its process. Returns
 * where that cannot be done so, and nothing has changed. */
HOT void answer_ring_direct(struct endpoint *endpoint, struct thread *thread,
	const struct trap_frame *frame, uint64_t now)
{
	struct percpu *cpu = percpu();
	struct ring_call *call = thread->service.ring;
	struct thread *caller = call->caller;
	spin_lock(&endpoint->lock);
	if (endpoint->direct && list_empty(&endpoint->gone) && list_empty(&endpoint->calls)) {
		spin_lock(&caller->lock);
		spin_lock(&cpu->run.lock);
		if (awaits_end(cpu, call)) {
			if (hand_over_begin(thread) && hand_over_take(caller)) {
				close_ring_call(endpoint, thread, frame, call);
				spin_unlock(&caller->lock);
				spin_unlock(&endpoint->lock);
				hand_over_account(thread, caller, PLAIN_CALL, now);
				caller->plain_wait = PLAIN_RING; /* for message_resume */
				context_hand_over_inside(cpu, caller);
			}
			wait_end(thread);
		}
		spin_unlock(&cpu->run.lock);
		spin_unlock(&caller->lock);
	}
	spin_unlock(&endpoint->lock);
}

/* The answer to a call through the ring, and the next receive. */
static __attribute__((noinline)) int64_t reply_receive_ring(
	struct trap_frame *frame, struct object *object, uint64_t now)
{
	struct thread *thread = thread_current();
	if (!hand_over_ticks(thread))
		answer_ring_direct(endpoint_from(object), thread, frame, now);
	ring_call_answer(thread, STATUS_OK, frame, 0, NULL, 0);
	return endpoint_receive_after(thread, frame, object, NULL);
}

/* ---- the entry ---- */

HOT bool reply_receive_direct(struct trap_frame *frame, int64_t *result)
{
	uint64_t now = clock_now_ns();
	struct thread *thread = thread_current();
	struct cap_table *table = &thread->process->caps;
	bool ring = __builtin_expect(!thread->service.caller, 0);
	if (ring ? !thread->service.ring : hand_over_ticks(thread))
		return false;
	struct object *object =
		find_and_lock(table, (cap_id_t)trap_frame_target(frame), INTERFACE_ENDPOINT);
	if (!object)
		return false;
	object_retain_counted(object);
	spin_unlock(&table->lock);
	if (ring) {
		*result = reply_receive_ring(frame, object, now);
		return true;
	}
	if (answer_direct(endpoint_from(object), thread, frame, now, result))
		return true;
	object_release(object);
	return false;
}

int64_t endpoint_enter(struct trap_frame *frame)
{
	uint64_t operation = trap_frame_operation(frame);
	bool done = false;
	int64_t result;
	if (operation == REGISTER_CALL(ENDPOINT_CALL) && is_common(frame))
		call_direct(frame);
	else if (operation == REGISTER_CALL(REPLY_RECEIVE) && is_common(frame))
		done = reply_receive_direct(frame, &result);
	if (!done)
		result = endpoint_enter_any(frame);
	trap_frame_set_result(frame, result);
	message_return(frame);
}
