/* MemoryAllocator and MemoryObject: the methods. The objects themselves are mm/memory_object.c. */
#include "mm/memory_object.h"

#include "call/call.h"
#include "kernel/methods.h"
#include "mm/aspace.h"
#include "object/behalf.h"
#include "proc/process.h"
#include "sched/thread.h"

status_t method_memory_allocator_create(struct call *call,
	const struct memory_allocator_create_params *in,
	struct memory_allocator_create_results *out)
{
	struct memory_object *object;
	if (behalf_is_meant(call))
		return behalf_call(call, CAPOS_MEMORY_ALLOCATOR_CREATE, in, out);
	status_t status = memory_object_create(call->process->space->ledger, in->size, &object);

	if (status != STATUS_OK)
		return status;
	object->object.interface = &interface_descs[INTERFACE_MEMORY_OBJECT];
	out->object = &object->object;
	return STATUS_OK;
}

status_t method_memory_object_info(struct call *call, const struct memory_object_info_params *in,
	struct memory_object_info_results *out)
{
	(void)in;
	out->pages = memory_object_from(call->object)->pages;
	return STATUS_OK;
}

status_t method_memory_object_map(struct call *call, const struct memory_object_map_params *in,
	struct memory_object_map_results *out)
{
	return aspace_map_object(call->process->space, memory_object_from(call->object),
		call->thread->lease_use.lease, in->hint, in->offset, in->size, (uint32_t)in->prot,
		&out->addr);
}

status_t method_memory_object_unmap(struct call *call, const struct memory_object_unmap_params *in,
	struct memory_object_unmap_results *out)
{
	(void)out;
	return aspace_unmap_object(
		call->process->space, memory_object_from(call->object), in->addr, in->size);
}

status_t method_memory_object_protect(struct call *call,
	const struct memory_object_protect_params *in, struct memory_object_protect_results *out)
{
	(void)out;
	return aspace_protect_object(call->process->space, memory_object_from(call->object),
		in->addr, in->size, (uint32_t)in->prot);
}
