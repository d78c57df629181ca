/* VirtualMemory: the address space of the process that calls, or of the one on whose behalf the
 * capability is. */
#include "call/call.h"
#include "kernel/methods.h"
#include "mm/aspace.h"
#include "mm/memory_object.h"
#include "object/behalf.h"
#include "proc/process.h"
#include "sched/lease.h"
#include "sched/thread.h"

status_t method_virtual_memory_map(struct call *call, const struct virtual_memory_map_params *in,
	struct virtual_memory_map_results *out)
{
	if (behalf_is_meant(call))
		return behalf_call(call, CAPOS_VIRTUAL_MEMORY_MAP, in, out);
	return aspace_map(call->process->space, in->hint, in->size, (uint32_t)in->prot, &out->addr);
}

status_t method_virtual_memory_unmap(struct call *call,
	const struct virtual_memory_unmap_params *in, struct virtual_memory_unmap_results *out)
{
	if (behalf_is_meant(call))
		return behalf_call(call, CAPOS_VIRTUAL_MEMORY_UNMAP, in, out);
	return aspace_unmap(call->process->space, in->addr, in->size);
}

status_t method_virtual_memory_protect(struct call *call,
	const struct virtual_memory_protect_params *in, struct virtual_memory_protect_results *out)
{
	if (behalf_is_meant(call))
		return behalf_call(call, CAPOS_VIRTUAL_MEMORY_PROTECT, in, out);
	return aspace_protect(call->process->space, in->addr, in->size, (uint32_t)in->prot);
}

status_t method_virtual_memory_reserve(struct call *call,
	const struct virtual_memory_reserve_params *in, struct virtual_memory_reserve_results *out)
{
	if (behalf_is_meant(call))
		return behalf_call(call, CAPOS_VIRTUAL_MEMORY_RESERVE, in, out);
	return aspace_reserve(call->process->space, in->hint, in->size, &out->addr);
}

status_t method_virtual_memory_commit(struct call *call,
	const struct virtual_memory_commit_params *in, struct virtual_memory_commit_results *out)
{
	if (behalf_is_meant(call))
		return behalf_call(call, CAPOS_VIRTUAL_MEMORY_COMMIT, in, out);
	return aspace_commit(call->process->space, in->addr, in->size, (uint32_t)in->prot);
}

status_t method_virtual_memory_decommit(struct call *call,
	const struct virtual_memory_decommit_params *in,
	struct virtual_memory_decommit_results *out)
{
	if (behalf_is_meant(call))
		return behalf_call(call, CAPOS_VIRTUAL_MEMORY_DECOMMIT, in, out);
	return aspace_decommit(call->process->space, in->addr, in->size);
}

status_t method_virtual_memory_query(struct call *call,
	const struct virtual_memory_query_params *in, struct virtual_memory_query_results *out)
{
	struct capos_region_info info;
	if (behalf_is_meant(call))
		return behalf_call(call, CAPOS_VIRTUAL_MEMORY_QUERY, in, out);
	status_t status = aspace_query(call->process->space, in->addr, in->size, &info);
	return status == STATUS_OK ? buffer_write(&out->info, &info, sizeof(info)) : status;
}

status_t method_virtual_memory_usage(struct call *call,
	const struct virtual_memory_usage_params *in, struct virtual_memory_usage_results *out)
{
	struct capos_memory_usage usage;
	if (behalf_is_meant(call))
		return behalf_call(call, CAPOS_VIRTUAL_MEMORY_USAGE, in, out);
	aspace_usage(call->process->space, &usage);
	return buffer_write(&out->usage, &usage, sizeof(usage));
}

/* held: what the caller's slot holds. */
static status_t map_held(struct aspace *space, const struct virtual_memory_map_object_params *in,
	struct object *held, uint64_t *address)
{
	struct lease *lease = object_is_leased(held) ? lease_of_copy(held) : NULL;
	struct object *object = held;
	status_t status = STATUS(NOT_FOUND);
	if (lease && !(object = lease_target(lease)))
		return STATUS(REVOKED);
	if (object->interface == &interface_descs[INTERFACE_MEMORY_OBJECT])
		status = aspace_map_object(space, memory_object_from(object), lease, in->hint,
			in->offset, in->size, (uint32_t)in->prot, address);
	if (lease)
		object_release(object);
	return status;
}

status_t method_virtual_memory_map_object(struct call *call,
	const struct virtual_memory_map_object_params *in,
	struct virtual_memory_map_object_results *out)
{
	struct object *held;
	if (behalf_is_meant(call))
		return behalf_call(call, CAPOS_VIRTUAL_MEMORY_MAP_OBJECT, in, out);
	status_t status = cap_table_copy(&call->thread->process->caps, (cap_id_t)in->object, &held);
	if (status != STATUS_OK)
		return status;
	status = map_held(call->process->space, in, held, &out->addr);
	cap_drop(held);
	return status;
}
