/* VirtualMemory: the caller's own address space. The object is only a marker, because the space is
 * always the caller's. */
#include "call/call.h"
#include "kernel/methods.h"
#include "mm/aspace.h"
#include "proc/process.h"

status_t method_virtual_memory_map(struct call *call, const struct virtual_memory_map_params *in,
	struct virtual_memory_map_results *out)
{
	return aspace_map(call->process->space, in->hint, in->size, (uint32_t)in->prot, &out->addr);
}

status_t method_virtual_memory_unmap(struct call *call,
	const struct virtual_memory_unmap_params *in, struct virtual_memory_unmap_results *out)
{
	(void)out;
	return aspace_unmap(call->process->space, in->addr, in->size);
}

status_t method_virtual_memory_protect(struct call *call,
	const struct virtual_memory_protect_params *in, struct virtual_memory_protect_results *out)
{
	(void)out;
	return aspace_protect(call->process->space, in->addr, in->size, (uint32_t)in->prot);
}

status_t method_virtual_memory_reserve(struct call *call,
	const struct virtual_memory_reserve_params *in, struct virtual_memory_reserve_results *out)
{
	return aspace_reserve(call->process->space, in->hint, in->size, &out->addr);
}

status_t method_virtual_memory_commit(struct call *call,
	const struct virtual_memory_commit_params *in, struct virtual_memory_commit_results *out)
{
	(void)out;
	return aspace_commit(call->process->space, in->addr, in->size, (uint32_t)in->prot);
}

status_t method_virtual_memory_decommit(struct call *call,
	const struct virtual_memory_decommit_params *in,
	struct virtual_memory_decommit_results *out)
{
	(void)out;
	return aspace_decommit(call->process->space, in->addr, in->size);
}

status_t method_virtual_memory_query(struct call *call,
	const struct virtual_memory_query_params *in, struct virtual_memory_query_results *out)
{
	struct capos_region_info info;
	status_t status = aspace_query(call->process->space, in->addr, &info);

	return status == STATUS_OK ? buffer_write(&out->info, &info, sizeof(info)) : status;
}

status_t method_virtual_memory_usage(struct call *call,
	const struct virtual_memory_usage_params *in, struct virtual_memory_usage_results *out)
{
	struct capos_memory_usage usage;

	(void)in;
	aspace_usage(call->process->space, &usage);
	return buffer_write(&out->usage, &usage, sizeof(usage));
}
