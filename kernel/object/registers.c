/* RegisterManager and DeviceRegisters: devices whose registers a trusted driver maps.
 *
 * A capability stands for a claim, and so does each mapping: the object that is mapped keeps the
 * claim. So the device is another's to take, and reset, only when no program reaches its registers
 * any more, however the driver ended. Its bus mastering stays off. */
#include "call/call.h"
#include "core/log.h"
#include "core/object.h"
#include "dev/pci_device.h"
#include "kernel/methods.h"
#include "mm/aspace.h"
#include "mm/kmem.h"
#include "mm/ledger.h"
#include "mm/memory_object.h"
#include "proc/process.h"
#include "sched/thread.h"

struct registers_claim {
	struct object object;
	struct pci_device *device; /* taken */
	struct ledger *ledger;     /* charged for this record; referenced */
};

static struct registers_claim *registers_from(struct object *object)
{
	return container_of(object, struct registers_claim, object);
}

static void registers_claim_destroy(struct object *object)
{
	struct registers_claim *claim = registers_from(object);
	struct ledger *ledger = claim->ledger;
	assert_none_held();
	pci_device_reset(claim->device);
	pci_device_give(claim->device);
	kmem_free(ledger, claim);
	ledger_release(ledger);
}

static const struct object_ops registers_claim_ops = { .destroy = registers_claim_destroy };

static status_t describe(const struct pci_device *device, struct buffer_out *description)
{
	const struct pci_function *function = &device->function;
	struct capos_pci_description text = {
		.vendor = device->vendor,
		.device = device->device,
		.class_code = device->class_code,
		.place =
			(uint16_t)(function->bus << 8 | function->device << 3 | function->function),
		.flags = device->express ? CAPOS_DEVICE_RESETS_ITSELF : 0,
	};
	for (unsigned bar = 0; bar < PCI_BARS; bar++)
		__builtin_memcpy(text.sizes + bar * sizeof(uint64_t), &device->bars[bar].size,
			sizeof(uint64_t));
	return buffer_write(description, &text, sizeof text);
}

status_t method_register_manager_describe(struct call *call,
	const struct register_manager_describe_params *in,
	struct register_manager_describe_results *out)
{
	const struct pci_device *device = pci_device_find(in->number);
	(void)call;
	return device ? describe(device, &out->description) : STATUS(NOT_FOUND);
}

status_t method_register_manager_open(struct call *call,
	const struct register_manager_open_params *in, struct register_manager_open_results *out)
{
	struct ledger *ledger = call->process->space->ledger;
	struct pci_device *device = pci_device_find(in->number);
	if (!device)
		return STATUS(NOT_FOUND);
	struct registers_claim *claim = kmem_alloc(ledger, sizeof *claim);
	if (!claim)
		return STATUS(NO_MEMORY);
	if (!pci_device_take(device)) {
		kmem_free(ledger, claim);
		return STATUS(BUSY);
	}
	claim->device = device;
	claim->ledger = ledger;
	ledger_retain(ledger);
	object_init(
		&claim->object, &interface_descs[INTERFACE_DEVICE_REGISTERS], &registers_claim_ops);
	pci_device_reset(device);
	pci_device_enable(device);
	out->registers = &claim->object;
	return STATUS_OK;
}

status_t method_device_registers_info(struct call *call,
	const struct device_registers_info_params *in, struct device_registers_info_results *out)
{
	(void)in;
	return describe(registers_from(call->object)->device, &out->description);
}

status_t method_device_registers_map(struct call *call,
	const struct device_registers_map_params *in, struct device_registers_map_results *out)
{
	struct registers_claim *claim = registers_from(call->object);
	struct memory_object *object;
	if (in->bar >= PCI_BARS || !claim->device->bars[in->bar].size)
		return STATUS(NOT_FOUND);
	if (in->prot & CAPOS_PROT_EXEC)
		return STATUS(NO_RIGHTS);
	const struct pci_memory *memory = &claim->device->bars[in->bar];
	status_t status = memory_object_create_registers(
		call->process->space->ledger, memory->base, memory->size, &claim->object, &object);
	if (status != STATUS_OK)
		return status;
	status = aspace_map_object(call->process->space, object, call->thread->lease_use.lease,
		in->hint, in->offset, in->size, (uint32_t)in->prot, &out->addr);
	object_release(memory_object_header(object));
	return status;
}
