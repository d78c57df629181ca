/* BootImage: the image's tables, and what programs see of the image mapped read-only. The mapping
 * uses the frames into which the image was loaded, so nothing is copied, however many programs map
 * it. */
#include "object/boot_image.h"

#include "call/call.h"
#include "core/log.h"
#include "kernel/methods.h"
#include "mm/aspace.h"
#include "proc/boot_image.h"
#include "proc/process.h"
#include "sched/sched.h"

#define STEP_BYTES (64ul << 10) /* copied with interrupts off */

static const struct boot_image *image; /* set once at boot */

void boot_image_set(const struct boot_image *loaded)
{
	image = loaded;
}

const void *boot_image_range(uint64_t offset, uint64_t size)
{
	if (offset > image->size || size > image->size - offset)
		return NULL;
	return image->bytes + offset;
}

status_t method_boot_image_manifest_size(struct call *call,
	const struct boot_image_manifest_size_params *in,
	struct boot_image_manifest_size_results *out)
{
	(void)call;
	(void)in;
	out->size = image->manifest_size;
	return STATUS_OK;
}

status_t method_boot_image_read_manifest(struct call *call,
	const struct boot_image_read_manifest_params *in,
	struct boot_image_read_manifest_results *out)
{
	if (in->offset > image->manifest_size) {
		call->detail = image->manifest_size;
		return STATUS(OUT_OF_RANGE);
	}
	uint64_t size = image->manifest_size - in->offset;
	if (size > in->max_bytes)
		size = in->max_bytes;
	status_t status = STATUS_OK;
	for (uint64_t done = 0; done < size && status == STATUS_OK; done += STEP_BYTES) {
		uint64_t left = size - done;
		status = buffer_write(&out->data, image->bytes + in->offset + done,
			left < STEP_BYTES ? left : STEP_BYTES);
		sched_preemption_point();
	}
	return status;
}

/* Another thread may map the image at the same time, because no lock is kept over the steps of a
 * mapping; the first mapping counts. It is pinned, so that the address stays valid for the threads
 * that have got it. */
static status_t map_image(struct process *process)
{
	uint64_t size = (image->size + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1), address, none = 0;
	status_t status = aspace_map_frames(process->space, 0, false, virt_to_phys(image->bytes),
		size, CAPOS_PROT_READ, true, &address);
	if (status != STATUS_OK)
		return status;
	if (__atomic_compare_exchange_n(&process->boot_address, &none, address, false,
		    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return STATUS_OK;
	status = aspace_unmap_kernel(process->space, address, size);
	VERIFY(status == STATUS_OK);
	return STATUS_OK;
}

status_t method_boot_image_map(struct call *call, const struct boot_image_map_params *in,
	struct boot_image_map_results *out)
{
	(void)in;
	struct process *process = call->process;
	status_t status = STATUS_OK;
	if (!__atomic_load_n(&process->boot_address, __ATOMIC_SEQ_CST))
		status = map_image(process);
	out->addr = __atomic_load_n(&process->boot_address, __ATOMIC_SEQ_CST);
	return out->addr ? STATUS_OK : status;
}
