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

enum capability_type { TYPE_COMMON = 1, TYPE_NOTIFY = 2, TYPE_INTERRUPT = 3, TYPE_DEVICE = 4 };

enum common_register {
	COMMON_DEVICE_FEATURES_SELECT = 0,
	COMMON_DEVICE_FEATURES = 4,
	COMMON_FEATURES_SELECT = 8, /* of the driver */
	COMMON_FEATURES = 12,
	COMMON_CONFIG_VECTOR = 16,
	COMMON_STATUS = 20,
	COMMON_GENERATION = 21,
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
#define MSIX_ENTRY_CONTROL 3u /* bit 0: masked */

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

static uint32_t pci_features_read(const struct virtio_device *device, uint32_t word)
{
	*common32(device, COMMON_DEVICE_FEATURES_SELECT) = word;
	return *common32(device, COMMON_DEVICE_FEATURES);
}

static void pci_features_write(const struct virtio_device *device, uint32_t word, uint32_t features)
{
	*common32(device, COMMON_FEATURES_SELECT) = word;
	*common32(device, COMMON_FEATURES) = features;
}

static uint32_t pci_config_generation(const struct virtio_device *device)
{
	return device->pci.common[COMMON_GENERATION];
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

/* The register of the selected queue: after boot, one that was mapped then. */
static volatile uint8_t *find_notify(const struct virtio_device *device, uint32_t number)
{
	if (!device->prepared)
		return map_notify(device);
	return number < CAPOS_DEVICE_QUEUES_MAX ? device->pci.notify[number] : NULL;
}

static volatile uint8_t *pci_queue_start(
	const struct virtio_device *device, const struct virtqueue_place *place)
{
	uint16_t vector = device->pci.messages ? 0 : VECTOR_NONE;
	*common16(device, COMMON_QUEUE_SELECT) = (uint16_t)place->number;
	*common16(device, COMMON_QUEUE_SIZE) = (uint16_t)place->size;
	*common16(device, COMMON_QUEUE_VECTOR) = vector;
	if (*common16(device, COMMON_QUEUE_SIZE) != place->size ||
		*common16(device, COMMON_QUEUE_VECTOR) != vector)
		return NULL;
	volatile uint8_t *notify = find_notify(device, place->number);
	if (!notify)
		return NULL;
	write_address(device, COMMON_QUEUE_DESCRIPTORS, place->descriptors);
	write_address(device, COMMON_QUEUE_AVAILABLE, place->available);
	write_address(device, COMMON_QUEUE_USED, place->used);
	*common16(device, COMMON_QUEUE_ENABLE) = 1;
	return notify;
}

static void pci_queue_notify(volatile uint8_t *notify, uint32_t number)
{
	*(volatile uint16_t *)notify = (uint16_t)number;
}

/* Message 0 of the function's table goes to the handler; false when there is no table, or it is not
 * where it says. */
static bool connect_message(struct virtio_pci *pci, struct interrupt_handler handler)
{
	const struct pci_function *function = &pci->function;
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
	entry[MSIX_ENTRY_CONTROL] = 0;
	pci->message = entry;
	pci_write16(function, capability + MSIX_CONTROL,
		(uint16_t)((control | MSIX_CONTROL_ENABLE) & ~MSIX_CONTROL_MASK_ALL));
	pci_write16(function, PCI_COMMAND,
		pci_read16(function, PCI_COMMAND) | PCI_COMMAND_NO_LINE_INTERRUPT);
	return true;
}

static void pci_interrupt_for_config(const struct virtio_device *device, bool wanted)
{
	*common16(device, COMMON_CONFIG_VECTOR) = wanted && device->pci.messages ? 0 : VECTOR_NONE;
}

static bool pci_interrupt_connect(struct virtio_device *device, struct interrupt_handler handler)
{
	device->pci.messages = connect_message(&device->pci, handler);
	if (device->pci.messages)
		return true;
	unsigned line = pci_read8(&device->pci.function, PCI_INTERRUPT_LINE);
	return line > 0 && line < INTERRUPT_LINES && interrupt_register(line, true, handler);
}

static bool pci_prepare(struct virtio_device *device, struct interrupt_handler handler)
{
	for (uint32_t number = 0; number < CAPOS_DEVICE_QUEUES_MAX; number++)
		if (pci_queue_size_max(device, number))
			device->pci.notify[number] = map_notify(device);
	device->prepared = pci_interrupt_connect(device, handler);
	return device->prepared;
}

static void pci_interrupt_mask(const struct virtio_device *device, bool masked)
{
	if (device->pci.messages)
		device->pci.message[MSIX_ENTRY_CONTROL] = masked;
}

/* Reading the status clears it and releases the line. */
static bool pci_interrupt_acknowledge(const struct virtio_device *device)
{
	return device->pci.messages || *device->pci.interrupt_status;
}

static const struct virtio_transport pci_transport = {
	.status_read = pci_status_read,
	.status_write = pci_status_write,
	.features_read = pci_features_read,
	.features_write = pci_features_write,
	.config_generation = pci_config_generation,
	.queue_size_max = pci_queue_size_max,
	.queue_start = pci_queue_start,
	.queue_notify = pci_queue_notify,
	.prepare = pci_prepare,
	.interrupt_connect = pci_interrupt_connect,
	.interrupt_for_config = pci_interrupt_for_config,
	.interrupt_acknowledge = pci_interrupt_acknowledge,
	.interrupt_mask = pci_interrupt_mask,
};

/* A capability that names too little, or more than its BAR has, is skipped. The first good one of
 * each type counts. */
static void read_capability(struct virtio_device *device, unsigned capability)
{
	struct virtio_pci *pci = &device->pci;
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
	if (type == TYPE_DEVICE && !device->config && length && offset % 4 == 0) {
		device->config_size = length < PAGE_SIZE ? length : (uint32_t)PAGE_SIZE;
		device->config = pci_bar_map(function, bar, offset, device->config_size);
		if (!device->config)
			device->config_size = 0;
	}
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
	if (!virtio_type_is_open(device->id))
		return false;
	for (unsigned capability = 0, i = 0; i < 64 &&
		pci_capability_next(function, PCI_CAPABILITY_VENDOR, CAPABILITY_BYTES, &capability);
		i++)
		read_capability(device, capability);
	if (!device->pci.common || !device->pci.interrupt_status || !device->pci.notify_size)
		return false;
	pci_write16(function, PCI_COMMAND,
		pci_read16(function, PCI_COMMAND) | PCI_COMMAND_MEMORY | PCI_COMMAND_BUS_MASTER);
	return true;
}
