/* RegisterManager and DeviceRegisters: devices whose registers a trusted driver maps.
 *
 * A capability stands for a claim, and so does each mapping: the object that is mapped keeps the
 * claim. So the device is another's to take, and reset, only when no program reaches its registers
 * any more, however the driver ended. Its bus mastering stays off.
 *
 * An interrupt signals the event that is bound, once, and is then kept back until the driver
 * acknowledges. A device asks for the line as long as it has a reason to, so none is lost. */
#include "call/call.h"
#include "core/log.h"
#include "core/object.h"
#include "dev/pci_device.h"
#include "kernel/methods.h"
#include "mm/aspace.h"
#include "mm/kmem.h"
#include "mm/ledger.h"
#include "mm/memory_object.h"
#include "object/interrupt_signal.h"
#include "proc/process.h"
#include "sched/thread.h"

struct registers_claim {
	struct object object;
	struct pci_device *device; /* taken */
	struct ledger *ledger;     /* charged for this record; referenced */
	struct interrupt_signal signal;

	/* Guarded by the lock of the device: a bit for each region that has been mapped so. */
	uint8_t uncached, combined;
};

static struct registers_claim *registers_from(struct object *object)
{
	return container_of(object, struct registers_claim, object);
}

/* Whom an interrupt is for. */
static void set_claim(struct pci_device *device, struct registers_claim *claim)
{
	spin_lock(&device->lock);
	device->claim = claim;
	spin_unlock(&device->lock);
}

static void registers_claim_destroy(struct object *object)
{
	struct registers_claim *claim = registers_from(object);
	struct ledger *ledger = claim->ledger;
	assert_none_held();
	pci_device_reset(claim->device);
	set_claim(claim->device, NULL);
	binding_end(&claim->signal.binding);
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
		.flags = (uint16_t)((device->express ? CAPOS_DEVICE_RESETS_ITSELF : 0) |
			(device->interrupts ? CAPOS_DEVICE_INTERRUPTS : 0)),
	};
	for (unsigned bar = 0; bar < PCI_BARS; bar++) {
		const struct pci_memory *memory = &device->bars[bar];
		__builtin_memcpy(
			text.sizes + bar * sizeof(uint64_t), &memory->size, sizeof(uint64_t));
		text.prefetchable |= (uint32_t)(memory->size && memory->prefetchable) << bar;
	}
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
	interrupt_signal_init(&claim->signal, &claim->object, &device->lock);
	pci_device_reset(device);
	set_claim(device, claim);
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

/* No region is mapped in both ways, because the processor does not keep such mappings in step
 * (Intel SDM 3A, section 12.12.4). */
static bool choose_way(struct registers_claim *claim, uint64_t bar, bool combines)
{
	uint8_t bit = (uint8_t)(1u << bar);
	spin_lock(&claim->device->lock);
	bool other = (combines ? claim->uncached : claim->combined) & bit;
	if (!other && combines)
		claim->combined |= bit;
	else if (!other)
		claim->uncached |= bit;
	spin_unlock(&claim->device->lock);
	return !other;
}

status_t method_device_registers_map(struct call *call,
	const struct device_registers_map_params *in, struct device_registers_map_results *out)
{
	struct registers_claim *claim = registers_from(call->object);
	struct memory_object *object;
	bool combines = in->prot & CAPOS_DEVICE_COMBINE;
	uint32_t prot = (uint32_t)in->prot & ~CAPOS_DEVICE_COMBINE;
	if (in->bar >= PCI_BARS || !claim->device->bars[in->bar].size)
		return STATUS(NOT_FOUND);
	const struct pci_memory *memory = &claim->device->bars[in->bar];
	if (prot & CAPOS_PROT_EXEC || (combines && !memory->prefetchable))
		return STATUS(NO_RIGHTS);
	status_t status = memory_object_create_registers(call->process->space->ledger, memory->base,
		memory->size, combines, &claim->object, &object);
	if (status != STATUS_OK)
		return status;
	if (choose_way(claim, in->bar, combines))
		status = aspace_map_object(call->process->space, object,
			call->thread->lease_use.lease, in->hint, in->offset, in->size, prot,
			&out->addr);
	else
		status = STATUS(WRONG_STATE);
	object_release(memory_object_header(object));
	return status;
}

/* ---- interrupts ---- */

void pci_device_interrupted(struct pci_device *device)
{
	assert_none_held();
	spin_lock(&device->lock);
	if (device->claim)
		interrupt_signal_send_locked(&device->claim->signal);
	spin_unlock(&device->lock);
}

status_t method_device_registers_bind(struct call *call,
	const struct device_registers_bind_params *in, struct device_registers_bind_results *out)
{
	struct registers_claim *claim = registers_from(call->object);
	(void)out;
	if (!claim->device->interrupts)
		return STATUS(WRONG_STATE);
	return interrupt_signal_bind(&claim->signal, call, in->event, in->bits);
}

status_t method_device_registers_acknowledge(struct call *call,
	const struct device_registers_acknowledge_params *in,
	struct device_registers_acknowledge_results *out)
{
	struct pci_device *device = registers_from(call->object)->device;
	(void)in;
	(void)out;
	if (!device->interrupts)
		return STATUS(WRONG_STATE);
	pci_device_arm(device);
	return STATUS_OK;
}
