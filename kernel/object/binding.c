/* Bindings of objects to events: see proc/binding.h. models/binding.pml models this file.
 *
 *     a program, the source's end               the event's end (event_leave_bindings)
 *     the source's lock                         the event's lock
 *         the event's lock                          takes a binding off the event's list, and a
 *             takes the binding off the             reference to its source
 *             event's list                      the source's lock
 *         the binding has no event                  the binding has no event
 *
 * A binding is not freed while it is on the event's list, so the event finds its source there. A
 * source that has lost its last reference is left alone: its own end does the rest, and waits for
 * the event's lock. After both have left that lock, who took the binding off the list frees its
 * record, if it has one of its own. */
#include "proc/binding.h"

#include "core/log.h"
#include "kernel/methods.h"
#include "object/event.h"
#include "proc/process.h"
#include "sched/sched.h"

struct object *event_find(struct process *process, uint64_t cap)
{
	if (cap > UINT32_MAX)
		return NULL;
	/* A binding outlasts the call, and so it would outlast the revocation of a copy. */
	struct object *object = cap_table_lookup_counted(&process->caps, (cap_id_t)cap);
	if (!object || object->interface == &interface_descs[INTERFACE_EVENT])
		return object;
	object_release(object);
	return NULL;
}

struct ledger *event_ledger(struct object *event)
{
	return event_from(event)->ledger;
}

void binding_init(struct binding *binding, struct object *source, struct spinlock *lock)
{
	*binding = (struct binding){ .source = source, .lock = lock };
	list_node_init(&binding->event_node);
}

static struct lease *lease_keep(struct lease *lease)
{
	if (lease)
		object_retain(&lease->copy);
	return lease;
}

void bound_release(struct bound bound)
{
	assert_none_held();
	if (bound.event)
		object_release(bound.event);
	if (bound.lease)
		object_release(&bound.lease->copy);
}

/* Takes out what it holds. */
static struct bound empty_locked(struct binding *binding)
{
	struct bound bound = { .event = binding->event, .lease = binding->lease };
	assert_held(binding->lock);
	binding->event = NULL;
	binding->lease = NULL;
	return bound;
}

void binding_attach_locked(
	struct binding *binding, struct object *object, struct lease *lease, uint64_t bits)
{
	struct event *event = event_from(object);
	assert_held(binding->lock);
	ASSERT(!binding->event);
	spin_lock(&event->lock);
	if (!event->closed) {
		object_retain(object);
		list_push_back(&event->bindings, &binding->event_node);
		binding->event = object;
		binding->lease = lease_keep(lease);
		binding->bits = bits;
	}
	spin_unlock(&event->lock);
}

struct bound binding_change_locked(struct binding *binding, struct lease *lease, uint64_t bits)
{
	struct bound before = { .lease = binding->lease };
	assert_held(binding->lock);
	binding->lease = lease_keep(lease);
	binding->bits = bits;
	return before;
}

struct bound binding_detach_locked(struct binding *binding)
{
	struct object *object = binding->event;
	assert_held(binding->lock);
	if (!object)
		return (struct bound){ .event = NULL };
	spin_lock(&event_from(object)->lock);
	bool linked = list_linked(&binding->event_node);
	list_remove(&binding->event_node);
	spin_unlock(&event_from(object)->lock);
	if (!linked && binding->forget_locked)
		return (struct bound){ .event = NULL };
	return empty_locked(binding);
}

void binding_set(struct binding *binding, struct object *event, struct lease *lease, uint64_t bits)
{
	assert_none_held();
	spin_lock(binding->lock);
	struct bound before = binding_detach_locked(binding);
	if (event)
		binding_attach_locked(binding, event, lease, bits);
	spin_unlock(binding->lock);
	bound_release(before);
}

void binding_end(struct binding *binding)
{
	binding_set(binding, NULL, NULL, 0);
}

/* The binding was on the event's list; the source is referenced for this. */
static void forget(struct event *event, struct binding *binding, struct object *source)
{
	struct spinlock *lock = binding->lock;
	struct bound bound = { .event = NULL };
	spin_lock(lock);
	if (binding->event == &event->object) {
		bound = empty_locked(binding);
		if (binding->forget_locked)
			binding->forget_locked(binding, event->ledger);
	}
	spin_unlock(lock);
	bound_release(bound);
	object_release(source);
}

void event_leave_bindings(struct event *event)
{
	struct list_node *node;
	do {
		spin_lock(&event->lock);
		node = list_pop_front(&event->bindings);
		struct binding *binding =
			node ? container_of(node, struct binding, event_node) : NULL;
		struct object *source = binding ? binding->source : NULL;
		if (source && !object_retain_unless_gone(source))
			source = NULL;
		spin_unlock(&event->lock);
		if (source)
			forget(event, binding, source);
		sched_preemption_point();
	} while (node);
}
