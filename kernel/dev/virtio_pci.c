/* virtio over PCI, the modern interface (virtio 1.2, section 4.1): vendor capabilities say where in
 * which BAR the common registers, the interrupt status and the notification registers are.
 *
 * A device gets one MSI-X message for all its queues; without MSI-X, its interrupt line, which it
 * may share with others. The legacy interface in port space is not used, because devices that have
 * it have the modern one too, unless it is switched off. */
#include <stddef.h>

#include "arch/kernel_map.h"
#include "dev/virtio.h"
#include "machine/interrupts.h"

#define VENDOR_VIRTIO 0x1af4u
#define DEVICE_TRANSITIONAL 0x1000u /* the type is the subsystem's number */
#define DEVICE_MODERN 0x1040u       /* plus the type */
#define DEVICE_END 0x1080u

/* Fields of a vendor capability. */
#define CAPABILITY_TYPE 3u
#define CAPABILITY_BAR 4u
#define CAPABILITY_OFFSET 8u
#define CAPABILITY_LENGTH 12u
/* Only the notification registers' capability has it. */
#define CAPABILITY_MULTIPLIER 16u
#define CAPABILITY_BYTES 20u

enum capability_type { TYPE_COMMON = 1, TYPE_NOTIFY = 2, TYPE_INTERRUPT = 3, TYPES };

enum common_register {
	COMMON_FEATURES_SELECT = 8, /* of the driver */
	COMMON_FEATURES = 12,
	COMMON_CONFIG_VECTOR = 16,
	COMMON_STATUS = 20,
	COMMON_QUEUE_SELECT = 22,
	COMMON_QUEUE_SIZE = 24,
	COMMON_QUEUE_VECTOR = 26,
	COMMON_QUEUE_ENABLE = 28,
	COMMON_QUEUE_NOTIFY_OFFSET = 30,
	COMMON_QUEUE_DESCRIPTORS = 32,
	COMMON_QUEUE_AVAILABLE = 40,
	COMMON_QUEUE_USED = 48,
	COMMON_BYTES = 56,
};

#define VECTOR_NONE 0xffffu
#define INTERRUPT_LINES 16u /* lines the firmware can have named: the old controllers' */

/* The MSI-X capability and its table (PCI Local Bus 3.0, section 6.8.2). */
#define MSIX_CONTROL 2u
#define MSIX_CONTROL_ENABLE 0x8000u
#define MSIX_CONTROL_MASK_ALL 0x4000u
#define MSIX_TABLE 4u
#define MSIX_TABLE_BAR_MASK 7u
#define MSIX_BYTES 12u
#define MSIX_ENTRY_BYTES 16u

static volatile uint16_t *common16(const struct virtio_device *device, unsigned offset)
{
	return (volatile uint16_t *)(device->pci.common + offset);
}

static volatile uint32_t *common32(const struct virtio_device *device, unsigned offset)
{
	return (volatile uint32_t *)(device->pci.common + offset);
}

static uint32_t pci_status_read(const struct virtio_device *device)
{
	return device->pci.common[COMMON_STATUS];
}

static void pci_status_write(const struct virtio_device *device, uint32_t status)
{
	device->pci.common[COMMON_STATUS] = (uint8_t)status;
}

static void pci_features_write(const struct virtio_device *device, uint32_t word, uint32_t features)
{
	*common32(device, COMMON_FEATURES_SELECT) = word;
	*common32(device, COMMON_FEATURES) = features;
}

static uint32_t pci_queue_size_max(const struct virtio_device *device, uint32_t number)
{
	*common16(device, COMMON_QUEUE_SELECT) = (uint16_t)number;
	return *common16(device, COMMON_QUEUE_SIZE);
}

static void write_address(const struct virtio_device *device, unsigned offset, uint64_t address)
{
	*common32(device, offset) = (uint32_t)address;
	*common32(device, offset + 4) = (uint32_t)(address >> 32);
}

/* The notification register of the selected queue lies where the device says, inside the range that
 * its capability names. */
static volatile uint8_t *map_notify(const struct virtio_device *device)
{
	uint64_t offset = (uint64_t)*common16(device, COMMON_QUEUE_NOTIFY_OFFSET) *
		device->pci.notify_multiplier;
	if (offset % sizeof(uint16_t) || offset + sizeof(uint16_t) > device->pci.notify_size)
		return NULL;
	return kernel_map_device(device->pci.notify_base + offset, sizeof(uint16_t));
}

static bool pci_queue_start(struct virtqueue *queue, const struct virtqueue_place *place)
{
	const struct virtio_device *device = queue->device;
	uint16_t vector = device->pci.messages ? 0 : VECTOR_NONE;
	*common16(device, COMMON_QUEUE_SELECT) = (uint16_t)queue->number;
	*common16(device, COMMON_QUEUE_SIZE) = (uint16_t)queue->size;
	*common16(device, COMMON_QUEUE_VECTOR) = vector;
	if (*common16(device, COMMON_QUEUE_SIZE) != queue->size ||
		*common16(device, COMMON_QUEUE_VECTOR) != vector)
		return false;
	queue->notify = map_notify(device);
	if (!queue->notify)
		return false;
	write_address(device, COMMON_QUEUE_DESCRIPTORS, place->descriptors);
	write_address(device, COMMON_QUEUE_AVAILABLE, place->available);
	write_address(device, COMMON_QUEUE_USED, place->used);
	*common16(device, COMMON_QUEUE_ENABLE) = 1;
	return true;
}

static void pci_queue_notify(const struct virtqueue *queue)
{
	*(volatile uint16_t *)queue->notify = (uint16_t)queue->number;
}

/* Message 0 of the function's table goes to the handler; false when there is no table, or it is not
 * where it says. */
static bool connect_message(const struct pci_function *function, void (*handler)(void))
{
	unsigned capability = 0;
	if (!pci_capability_next(function, PCI_CAPABILITY_MSIX, MSIX_BYTES, &capability))
		return false;
	uint32_t table = pci_read32(function, capability + MSIX_TABLE);
	volatile uint32_t *entry = (volatile uint32_t *)pci_bar_map(function,
		table & MSIX_TABLE_BAR_MASK, table & ~MSIX_TABLE_BAR_MASK, MSIX_ENTRY_BYTES);
	struct interrupt_message message;
	if (!entry || !interrupt_register_message(handler, &message))
		return false;
	uint16_t control = pci_read16(function, capability + MSIX_CONTROL);
	/* The table may be written when messages are on and all are masked. */
	pci_write16(function, capability + MSIX_CONTROL,
		control | MSIX_CONTROL_ENABLE | MSIX_CONTROL_MASK_ALL);
	entry[0] = (uint32_t)message.address;
	entry[1] = (uint32_t)(message.address >> 32);
	entry[2] = message.data;
	entry[3] = 0; /* not masked */
	pci_write16(function, capability + MSIX_CONTROL,
		(uint16_t)((control | MSIX_CONTROL_ENABLE) & ~MSIX_CONTROL_MASK_ALL));
	pci_write16(function, PCI_COMMAND,
		pci_read16(function, PCI_COMMAND) | PCI_COMMAND_NO_LINE_INTERRUPT);
	return true;
}

static bool pci_interrupt_connect(struct virtio_device *device, void (*handler)(void))
{
	*common16(device, COMMON_CONFIG_VECTOR) =
		VECTOR_NONE; /* changes of the configuration are not used */
	device->pci.messages = connect_message(&device->pci.function, handler);
	if (device->pci.messages)
		return true;
	unsigned line = pci_read8(&device->pci.function, PCI_INTERRUPT_LINE);
	return line > 0 && line < INTERRUPT_LINES && interrupt_register(line, true, handler);
}

static void pci_interrupt_acknowledge(const struct virtio_device *device)
{
	if (!device->pci.messages)
		(void)*device->pci.interrupt_status; /* reading clears it and releases the line */
}

static const struct virtio_transport pci_transport = {
	.status_read = pci_status_read,
	.status_write = pci_status_write,
	.features_write = pci_features_write,
	.queue_size_max = pci_queue_size_max,
	.queue_start = pci_queue_start,
	.queue_notify = pci_queue_notify,
	.interrupt_connect = pci_interrupt_connect,
	.interrupt_acknowledge = pci_interrupt_acknowledge,
};

/* A capability that names too little, or more than its BAR has, is skipped. The first good one of
 * each type counts. */
static void read_capability(struct virtio_pci *pci, unsigned capability)
{
	const struct pci_function *function = &pci->function;
	unsigned type = pci_read8(function, capability + CAPABILITY_TYPE),
		 bar = pci_read8(function, capability + CAPABILITY_BAR);
	uint32_t offset = pci_read32(function, capability + CAPABILITY_OFFSET),
		 length = pci_read32(function, capability + CAPABILITY_LENGTH);
	struct pci_memory memory;
	if (type == TYPE_COMMON && !pci->common && length >= COMMON_BYTES && offset % 4 == 0)
		pci->common = pci_bar_map(function, bar, offset, COMMON_BYTES);
	if (type == TYPE_INTERRUPT && !pci->interrupt_status && length)
		pci->interrupt_status = pci_bar_map(function, bar, offset, 1);
	if (type == TYPE_NOTIFY && !pci->notify_size && offset % 2 == 0 &&
		pci_bar_memory(function, bar, &memory) && offset <= memory.size &&
		length <= memory.size - offset) {
		pci->notify_base = memory.base + offset;
		pci->notify_size = length;
		pci->notify_multiplier = pci_read32(function, capability + CAPABILITY_MULTIPLIER);
	}
}

bool virtio_pci_probe(struct virtio_device *device, const struct pci_function *function)
{
	uint32_t number = pci_read16(function, PCI_DEVICE_ID);
	if (pci_read16(function, PCI_VENDOR_ID) != VENDOR_VIRTIO || number < DEVICE_TRANSITIONAL ||
		number >= DEVICE_END)
		return false;
	*device = (struct virtio_device){
		.transport = &pci_transport,
		.id = number >= DEVICE_MODERN ? number - DEVICE_MODERN
					      : pci_read16(function, PCI_SUBSYSTEM_ID),
		.pci = { .function = *function },
	};
	if (device->id != VIRTIO_ID_CONSOLE && device->id != VIRTIO_ID_ENTROPY)
		return false;
	for (unsigned capability = 0, i = 0; i < 64 &&
		pci_capability_next(function, PCI_CAPABILITY_VENDOR, CAPABILITY_BYTES, &capability);
		i++)
		read_capability(&device->pci, capability);
	if (!device->pci.common || !device->pci.interrupt_status || !device->pci.notify_size)
		return false;
	pci_write16(function, PCI_COMMAND,
		pci_read16(function, PCI_COMMAND) | PCI_COMMAND_MEMORY | PCI_COMMAND_BUS_MASTER);
	return true;
}
