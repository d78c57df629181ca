/* Endpoint.bind: the event that an endpoint signals for what no thread waits for (endpoint.c). */
#include "call/call.h"
#include "core/log.h"
#include "kernel/methods.h"
#include "object/endpoint.h"
#include "proc/process.h"
#include "sched/thread.h"

status_t method_endpoint_bind(
	struct call *call, const struct endpoint_bind_params *in, struct endpoint_bind_results *out)
{
	(void)out;
	struct endpoint *endpoint = endpoint_from(call->object);
	struct binding *binding = &endpoint->binding;
	struct object *event = in->event ? event_find(call->process, in->event) : NULL;
	if (in->event && !event)
		return STATUS(NOT_FOUND);
	spin_lock(&endpoint->lock);
	struct bound before = binding_detach_locked(binding);
	if (event)
		binding_attach_locked(binding, event, call->thread->lease_use.lease, in->call_bits);
	endpoint->gone_bits = in->gone_bits;
	struct event_signal due = binding_due_locked(binding);
	due.bits = (list_empty(&endpoint->calls) ? 0 : in->call_bits) |
		(list_empty(&endpoint->gone) ? 0 : in->gone_bits);
	spin_unlock(&endpoint->lock);
	bound_release(before);
	if (event)
		object_release(event);
	event_signal_send(due);
	return STATUS_OK;
}
