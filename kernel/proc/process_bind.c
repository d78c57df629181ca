/* Events that are bound to the end of a process. Each binding is a record of its own, in a list of
 * the process, charged as its event is. So a process pays for none that others bind to its end, and
 * what is charged goes with the event at the latest (proc/binding.h). models/binding.pml models it.
 */
#include "core/log.h"
#include "mm/kmem.h"
#include "proc/binding.h"
#include "proc/process.h"

struct end_binding {
	struct binding binding;
	struct list_node node; /* guarded by the lock of the process */
};

static struct end_binding *end_binding_from(struct list_node *node)
{
	return container_of(node, struct end_binding, node);
}

static void forget_locked(struct binding *binding, struct ledger *ledger)
{
	struct end_binding *record = container_of(binding, struct end_binding, binding);
	struct process *process = container_of(binding->source, struct process, object);
	assert_held(&process->lock);
	list_remove(&record->node);
	process->binding_count--;
	kmem_free(ledger, record);
}

static struct end_binding *make(struct process *process, struct object *event)
{
	struct end_binding *record = kmem_alloc(event_ledger(event), sizeof *record);
	if (!record)
		return NULL;
	binding_init(&record->binding, &process->object, &process->lock);
	record->binding.forget_locked = forget_locked;
	list_node_init(&record->node);
	return record;
}

static struct end_binding *find_locked(struct process *process, const struct object *event)
{
	assert_held(&process->lock);
	list_for_each (node, &process->bindings)
		if (end_binding_from(node)->binding.event == event)
			return end_binding_from(node);
	return NULL;
}

/* *record: a new one; set to what is not needed: that, or one that was bound until now. */
static status_t change_locked(
	struct process *process, struct object *event, uint64_t bits, struct end_binding **record)
{
	assert_held(&process->lock);
	struct end_binding *found = find_locked(process, event);
	if (found && bits) {
		found->binding.bits = bits;
	} else if (found) {
		/* Else the event is about to forget it. */
		if (binding_detach_locked(&found->binding)) {
			list_remove(&found->node);
			process->binding_count--;
			*record = found;
		}
	} else if (bits && process->binding_count == CAPOS_PROCESS_BINDINGS_MAX) {
		return STATUS(LIMIT_REACHED);
	} else if (bits) {
		binding_attach_locked(&(*record)->binding, event, bits);
		if (!(*record)->binding.event)
			return STATUS_OK; /* its last capability has gone meanwhile */
		list_push_back(&process->bindings, &(*record)->node);
		process->binding_count++;
		*record = NULL;
	}
	return STATUS_OK;
}

status_t process_bind(struct process *process, struct object *event, uint64_t bits)
{
	struct event_signal due = { .event = NULL };
	struct end_binding *record = bits ? make(process, event) : NULL;
	status_t status = STATUS_OK;
	if (bits && !record)
		return STATUS(NO_MEMORY);
	spin_lock(&process->lock);
	if (process->ended && bits) {
		due = (struct event_signal){ .event = event, .bits = bits };
		object_retain(event);
	} else if (!process->ended) {
		status = change_locked(process, event, bits, &record);
	}
	spin_unlock(&process->lock);
	bool unbound = record && !bits;
	kmem_free(event_ledger(event), record);
	if (unbound) /* the binding's reference; the caller has one too */
		object_release(event);
	event_signal_send(due);
	return status;
}

void process_take_bindings_locked(struct process *process, struct list *taken)
{
	assert_held(&process->lock);
	list_for_each_safe (node, &process->bindings) {
		struct end_binding *record = end_binding_from(node);
		/* The event stays in the record, which is the reference's place now. */
		struct object *event = binding_detach_locked(&record->binding);
		if (!event)
			continue;
		record->binding.event = event;
		list_remove(node);
		process->binding_count--;
		list_push_back(taken, node);
	}
}

void process_signal_end(struct list *taken)
{
	struct list_node *node;
	while ((node = list_pop_front(taken)) != NULL) {
		struct end_binding *record = end_binding_from(node);
		struct event_signal due = { .event = record->binding.event,
			.bits = record->binding.bits };
		kmem_free(event_ledger(due.event), record);
		event_signal_send(due);
		sched_preemption_point();
	}
}
