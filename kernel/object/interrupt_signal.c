/* An interrupt signals an event: see interrupt_signal.h. Where more threads wait for the event than
 * may be looked at with interrupts off, the reaper sends the signal again, and the claim is kept
 * until then. */
#include "object/interrupt_signal.h"

#include "call/call.h"
#include "core/list.h"
#include "core/log.h"
#include "sched/thread.h"

static void signal_deferred(struct deferred *deferred)
{
	struct interrupt_signal *signal = container_of(deferred, struct interrupt_signal, deferred);
	struct binding *binding = &signal->binding;
	struct object *source = binding->source;
	spin_lock(binding->lock);
	signal->deferring = false;
	struct event_signal due = binding_due_locked(binding);
	spin_unlock(binding->lock);
	event_signal_send(due);
	object_release(source);
}

void interrupt_signal_init(
	struct interrupt_signal *signal, struct object *source, struct spinlock *lock)
{
	signal->deferred.run = signal_deferred;
	list_node_init(&signal->deferred.node);
	binding_init(&signal->binding, source, lock);
}

void interrupt_signal_send_locked(struct interrupt_signal *signal)
{
	struct binding *binding = &signal->binding;
	assert_held(binding->lock);
	if (!binding->event || binding_is_revoked_locked(binding) ||
		!event_signal_brief(binding->event, binding->bits))
		return;
	if (signal->deferring || !object_retain_unless_gone(binding->source))
		return;
	signal->deferring = true;
	reaper_defer(&signal->deferred);
}

status_t interrupt_signal_bind(
	struct interrupt_signal *signal, struct call *call, uint64_t cap, uint64_t bits)
{
	struct object *event = event_find(call->process, cap);
	if (!event)
		return STATUS(NOT_FOUND);
	binding_set(&signal->binding, bits ? event : NULL, call->thread->lease_use.lease, bits);
	object_release(event);
	return STATUS_OK;
}
