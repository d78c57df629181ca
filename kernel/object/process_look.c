/* Process, for those who look into one: what it holds, its threads and its memory.
 *
 * The reaper takes a process apart without locks once its last thread is gone. So its tables are
 * touched only under the process's lock and while it has a thread, because the last one leaves
 * under that lock. The lists are written to the caller in between, since that may fault. */
#include "object/process_look.h"

#include "call/call.h"
#include "core/string.h"
#include "kernel/methods.h"
#include "mm/frame.h"
#include "mm/ledger.h"
#include "object/endpoint.h"
#include "object/thread_info.h"
#include "proc/process.h"
#include "sched/lease.h"

static struct process *target_of(const struct call *call)
{
	return container_of(call->object, struct process, object);
}

/* ---- capabilities ---- */

/* With a reference. */
static struct object *next_capability(struct process *process, cap_id_t *cap)
{
	spin_lock(&process->lock);
	struct object *object = process->thread_count ? cap_table_next(&process->caps, cap) : NULL;
	spin_unlock(&process->lock);
	return object;
}

bool look_capability(struct process *process, cap_id_t *cap, struct capos_held_capability *held)
{
	struct object *object = next_capability(process, cap);
	if (!object)
		return false;
	/* Of a revocable copy, what it stands for; nothing but that, once it is revoked. */
	bool leased = object_is_leased(object);
	struct object *target = leased ? lease_target(lease_of_copy(object)) : object;
	*held = (struct capos_held_capability){
		.cap = *cap,
		.interface_id = object->interface->id,
		.object_id = target && target->ops ? target->serial : 0,
		.holders = __atomic_load_n(&object->names, __ATOMIC_RELAXED),
	};
	if (target && target->interface == &interface_descs[INTERFACE_FACET]) {
		held->endpoint_id = facet_from(target)->endpoint->object.serial;
		held->tag = facet_from(target)->tag;
	}
	if (leased && target)
		object_release(target);
	object_release(object);
	return true;
}

void look_name(struct process *process, cap_id_t cap, char *name)
{
	memset(name, 0, sizeof((struct capos_cap_set_entry *)NULL)->name);
	spin_lock(&process->lock);
	const char *granted = process->thread_count ? process_granted_name(process, cap) : NULL;
	if (granted)
		memcpy(name, granted, sizeof((struct capos_cap_set_entry *)NULL)->name);
	spin_unlock(&process->lock);
}

status_t method_process_capabilities(struct call *call,
	const struct process_capabilities_params *in, struct process_capabilities_results *out)
{
	struct capos_held_capability held;
	cap_id_t cap = (cap_id_t)in->after;
	if (out->list.capacity < sizeof held)
		return STATUS(INVALID_ARGUMENT);
	while (out->list.capacity - out->list.length >= sizeof held &&
		look_capability(target_of(call), &cap, &held)) {
		status_t status = buffer_write(&out->list, &held, sizeof held);
		if (status != STATUS_OK)
			return status;
		sched_preemption_point();
	}
	return STATUS_OK;
}

/* ---- threads ---- */

/* Puts the thread where its id belongs among those that were found. */
static uint32_t keep_lowest(struct thread **found, uint32_t count, struct thread *thread)
{
	uint32_t place = count < LOOK_THREADS ? count++ : LOOK_THREADS - 1;
	for (; place && found[place - 1]->id > thread->id; place--)
		found[place] = found[place - 1];
	found[place] = thread;
	return count;
}

uint32_t look_threads(struct process *process, uint64_t last, struct capos_thread_info *infos)
{
	struct thread *found[LOOK_THREADS];
	uint32_t count = 0;
	spin_lock(&process->lock);
	list_for_each (node, &process->threads) {
		struct thread *thread = container_of(node, struct thread, process_node);
		if (thread->id > last &&
			(count < LOOK_THREADS || thread->id < found[count - 1]->id))
			count = keep_lowest(found, count, thread);
	}
	for (uint32_t i = 0; i < count; i++)
		thread_info(found[i], &infos[i]);
	spin_unlock(&process->lock);
	return count;
}

status_t method_process_threads(struct call *call, const struct process_threads_params *in,
	struct process_threads_results *out)
{
	struct capos_thread_info infos[LOOK_THREADS];
	uint64_t last = in->after;
	size_t room = out->list.capacity / sizeof infos[0];
	if (!room)
		return STATUS(INVALID_ARGUMENT);
	for (uint32_t count = LOOK_THREADS; room && count == LOOK_THREADS;) {
		count = look_threads(target_of(call), last, infos);
		uint32_t told = count < room ? count : (uint32_t)room;
		if (!told)
			break;
		status_t status = buffer_write(&out->list, infos, told * sizeof infos[0]);
		if (status != STATUS_OK)
			return status;
		last = infos[told - 1].thread_id;
		room -= told;
		sched_preemption_point();
	}
	return STATUS_OK;
}

/* ---- memory ---- */

/* What the ledger tells alone. */
static void charged_memory(const struct ledger *ledger, struct capos_memory_usage *usage)
{
	*usage = (struct capos_memory_usage){
		.committed_pages = __atomic_load_n(&ledger->charged_pages, __ATOMIC_RELAXED),
		.committed_limit = ledger->limit_pages,
		.peak_committed = __atomic_load_n(&ledger->peak_pages, __ATOMIC_RELAXED),
		.machine_free_pages = frames_available(),
		.machine_pages = frames_total(),
		.kernel_pages = __atomic_load_n(&ledger->kernel_pages, __ATOMIC_RELAXED),
	};
}

void look_memory(struct process *process, struct capos_memory_usage *usage)
{
	spin_lock(&process->lock);
	if (process->thread_count)
		aspace_usage(process->space, usage);
	else
		charged_memory(process->ledger, usage);
	spin_unlock(&process->lock);
}

status_t method_process_memory(struct call *call, const struct process_memory_params *in,
	struct process_memory_results *out)
{
	struct capos_memory_usage usage;
	(void)in;
	look_memory(target_of(call), &usage);
	return buffer_write(&out->usage, &usage, sizeof usage);
}
