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

/* What a change leaves to be freed and given up without locks. */
struct removed {
	struct end_binding *record; /* charged as the event of bound is */
	struct bound bound;
};

/* Unless the event is about to forget it. */
static struct removed remove_locked(struct process *process, struct end_binding *found)
{
	struct removed removed = { .bound = binding_detach_locked(&found->binding) };
	assert_held(&process->lock);
	if (removed.bound.event) {
		list_remove(&found->node);
		process->binding_count--;
		removed.record = found;
	}
	return removed;
}

static void give_up(struct removed removed)
{
	assert_none_held();
	if (removed.record)
		kmem_free(event_ledger(removed.bound.event), removed.record);
	bound_release(removed.bound);
}

/* Makes room for one more, if it has to. False: there is none. */
static bool has_room_locked(struct process *process, struct removed *removed)
{
	assert_held(&process->lock);
	if (process->binding_count < CAPOS_PROCESS_BINDINGS_MAX)
		return true;
	list_for_each (node, &process->bindings) {
		struct end_binding *record = end_binding_from(node);
		if (!binding_is_revoked_locked(&record->binding))
			continue;
		*removed = remove_locked(process, record);
		if (removed->record)
			return true;
	}
	return false;
}

/* Binds by the record, which is set to NULL when it is used. */
static status_t add_locked(struct process *process, struct object *event, struct lease *lease,
	uint64_t bits, struct end_binding **record, struct removed *removed)
{
	assert_held(&process->lock);
	if (!has_room_locked(process, removed))
		return STATUS(LIMIT_REACHED);
	binding_attach_locked(&(*record)->binding, event, lease, bits);
	if (!(*record)->binding.event)
		return STATUS_OK; /* its last capability has gone meanwhile */
	list_push_back(&process->bindings, &(*record)->node);
	process->binding_count++;
	*record = NULL;
	return STATUS_OK;
}

status_t process_bind(
	struct process *process, struct object *event, struct lease *lease, uint64_t bits)
{
	struct event_signal due = { .event = NULL };
	struct removed removed = { .record = NULL };
	struct end_binding *record = bits ? make(process, event) : NULL;
	status_t status = STATUS_OK;
	if (bits && !record)
		return STATUS(NO_MEMORY);
	spin_lock(&process->lock);
	struct end_binding *found = process->ended ? NULL : find_locked(process, event);
	if (process->ended && bits) {
		due = (struct event_signal){ .event = event, .bits = bits };
		object_retain(event);
	} else if (found && bits) {
		removed.bound = binding_change_locked(&found->binding, lease, bits);
	} else if (found) {
		removed = remove_locked(process, found);
	} else if (bits) {
		status = add_locked(process, event, lease, bits, &record, &removed);
	}
	spin_unlock(&process->lock);
	kmem_free(event_ledger(event), record);
	give_up(removed);
	event_signal_send(due);
	return status;
}

void process_take_bindings_locked(struct process *process, struct list *taken)
{
	assert_held(&process->lock);
	list_for_each_safe (node, &process->bindings) {
		struct end_binding *record = end_binding_from(node);
		/* What it holds stays in the record, which is its place now. */
		struct bound bound = binding_detach_locked(&record->binding);
		if (!bound.event)
			continue;
		record->binding.event = bound.event;
		record->binding.lease = bound.lease;
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
		struct bound bound = { .event = record->binding.event,
			.lease = record->binding.lease };
		struct event_signal due = { .event = bound.event, .bits = record->binding.bits };
		kmem_free(event_ledger(due.event), record);
		if (!lease_is_revoked(bound.lease)) {
			event_signal_send(due);
			bound.event = NULL;
		}
		bound_release(bound);
		sched_preemption_point();
	}
}
