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

void binding_attach_locked(struct binding *binding, struct object *object, uint64_t bits)
{
	struct event *event = event_from(object);
	assert_held(binding->lock);
	ASSERT(!binding->event);
	spin_lock(&event->lock);
	if (!event->closed) {
		object_retain(object);
		list_push_back(&event->bindings, &binding->event_node);
		binding->event = object;
		binding->bits = bits;
	}
	spin_unlock(&event->lock);
}

struct object *binding_detach_locked(struct binding *binding)
{
	struct object *object = binding->event;
	assert_held(binding->lock);
	if (!object)
		return NULL;
	spin_lock(&event_from(object)->lock);
	bool linked = list_linked(&binding->event_node);
	list_remove(&binding->event_node);
	spin_unlock(&event_from(object)->lock);
	if (!linked && binding->forget_locked)
		return NULL;
	binding->event = NULL;
	return object;
}

void binding_set(struct binding *binding, struct object *event, uint64_t bits)
{
	assert_none_held();
	spin_lock(binding->lock);
	struct object *before = binding_detach_locked(binding);
	if (event)
		binding_attach_locked(binding, event, bits);
	spin_unlock(binding->lock);
	if (before)
		object_release(before);
}

void binding_end(struct binding *binding)
{
	binding_set(binding, NULL, 0);
}

/* The binding was on the event's list; the source is referenced for this. */
static void forget(struct event *event, struct binding *binding, struct object *source)
{
	struct spinlock *lock = binding->lock;
	spin_lock(lock);
	bool bound = binding->event == &event->object;
	if (bound) {
		binding->event = NULL;
		if (binding->forget_locked)
			binding->forget_locked(binding, event->ledger);
	}
	spin_unlock(lock);
	if (bound)
		object_release(&event->object);
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
