/* virtio over memory-mapped registers (virtio 1.2, section 4.2), register layout versions 1
 * (legacy) and 2. The address of the registers comes from outside. */
#include "dev/virtio.h"
#include "machine/interrupts.h"

enum mmio_register {
	MMIO_MAGIC = 0x000,
	MMIO_VERSION = 0x004,
	MMIO_DEVICE_ID = 0x008,
	MMIO_DEVICE_FEATURES = 0x010,
	MMIO_DEVICE_FEATURES_SELECT = 0x014,
	MMIO_DRIVER_FEATURES = 0x020,
	MMIO_DRIVER_FEATURES_SELECT = 0x024,
	MMIO_GUEST_PAGE_SIZE = 0x028, /* legacy */
	MMIO_QUEUE_SELECT = 0x030,
	MMIO_QUEUE_SIZE_MAX = 0x034,
	MMIO_QUEUE_SIZE = 0x038,
	MMIO_QUEUE_ALIGN = 0x03c, /* legacy */
	MMIO_QUEUE_PAGE = 0x040,  /* legacy */
	MMIO_QUEUE_READY = 0x044,
	MMIO_QUEUE_NOTIFY = 0x050,
	MMIO_INTERRUPT_STATUS = 0x060,
	MMIO_INTERRUPT_ACKNOWLEDGE = 0x064,
	MMIO_STATUS = 0x070,
	MMIO_QUEUE_DESCRIPTORS = 0x080,
	MMIO_QUEUE_AVAILABLE = 0x090,
	MMIO_QUEUE_USED = 0x0a0,
	MMIO_GENERATION = 0x0fc,
	MMIO_CONFIG = 0x100,
};

#define MMIO_MAGIC_VALUE 0x74726976u
#define MMIO_BYTES_MAX 4096u /* that are used */

#define VERSION_LEGACY 1u
#define VERSION_MODERN 2u

static uint32_t register_read(const struct virtio_device *device, unsigned offset)
{
	return *(volatile uint32_t *)(device->mmio.registers + offset);
}

static void register_write(const struct virtio_device *device, unsigned offset, uint32_t value)
{
	*(volatile uint32_t *)(device->mmio.registers + offset) = value;
}

static void register_write_address(
	const struct virtio_device *device, unsigned offset, uint64_t address)
{
	register_write(device, offset, (uint32_t)address);
	register_write(device, offset + 4, (uint32_t)(address >> 32));
}

static uint32_t mmio_status_read(const struct virtio_device *device)
{
	return register_read(device, MMIO_STATUS);
}

static void mmio_status_write(const struct virtio_device *device, uint32_t status)
{
	register_write(device, MMIO_STATUS, status);
}

static uint32_t mmio_features_read(const struct virtio_device *device, uint32_t word)
{
	register_write(device, MMIO_DEVICE_FEATURES_SELECT, word);
	return register_read(device, MMIO_DEVICE_FEATURES);
}

static void mmio_features_write(
	const struct virtio_device *device, uint32_t word, uint32_t features)
{
	register_write(device, MMIO_DRIVER_FEATURES_SELECT, word);
	register_write(device, MMIO_DRIVER_FEATURES, features);
}

static uint32_t mmio_config_generation(const struct virtio_device *device)
{
	return device->legacy ? 0 : register_read(device, MMIO_GENERATION);
}

static uint32_t mmio_queue_size_max(const struct virtio_device *device, uint32_t number)
{
	register_write(device, MMIO_QUEUE_SELECT, number);
	return register_read(device, MMIO_QUEUE_SIZE_MAX);
}

static volatile uint8_t *mmio_queue_start(
	const struct virtio_device *device, const struct virtqueue_place *place)
{
	volatile uint8_t *notify = device->mmio.registers + MMIO_QUEUE_NOTIFY;
	register_write(device, MMIO_QUEUE_SELECT, place->number);
	register_write(device, MMIO_QUEUE_SIZE, place->size);
	if (device->legacy) {
		register_write(device, MMIO_GUEST_PAGE_SIZE, PAGE_SIZE);
		register_write(
			device, MMIO_QUEUE_ALIGN, (uint32_t)(place->used - place->descriptors));
		register_write(
			device, MMIO_QUEUE_PAGE, (uint32_t)(place->descriptors >> PAGE_SHIFT));
		return notify;
	}
	register_write_address(device, MMIO_QUEUE_DESCRIPTORS, place->descriptors);
	register_write_address(device, MMIO_QUEUE_AVAILABLE, place->available);
	register_write_address(device, MMIO_QUEUE_USED, place->used);
	register_write(device, MMIO_QUEUE_READY, 1);
	return notify;
}

static void mmio_queue_notify(volatile uint8_t *notify, uint32_t number)
{
	*(volatile uint32_t *)notify = number;
}

static bool mmio_interrupt_connect(struct virtio_device *device, struct interrupt_handler handler)
{
	return interrupt_register(device->mmio.gsi, true, handler);
}

static bool mmio_prepare(struct virtio_device *device, struct interrupt_handler handler)
{
	device->prepared = mmio_interrupt_connect(device, handler);
	return device->prepared;
}

/* They always do. */
static void mmio_interrupt_for_config(const struct virtio_device *device, bool wanted)
{
	(void)device;
	(void)wanted;
}

static void mmio_interrupt_mask(const struct virtio_device *device, bool masked)
{
	interrupt_mask_line(device->mmio.gsi, masked);
}

static bool mmio_interrupt_acknowledge(const struct virtio_device *device)
{
	uint32_t reasons = register_read(device, MMIO_INTERRUPT_STATUS);
	register_write(device, MMIO_INTERRUPT_ACKNOWLEDGE, reasons);
	return reasons;
}

static const struct virtio_transport mmio_transport = {
	.status_read = mmio_status_read,
	.status_write = mmio_status_write,
	.features_read = mmio_features_read,
	.features_write = mmio_features_write,
	.config_generation = mmio_config_generation,
	.queue_size_max = mmio_queue_size_max,
	.queue_start = mmio_queue_start,
	.queue_notify = mmio_queue_notify,
	.prepare = mmio_prepare,
	.interrupt_connect = mmio_interrupt_connect,
	.interrupt_for_config = mmio_interrupt_for_config,
	.interrupt_acknowledge = mmio_interrupt_acknowledge,
	.interrupt_mask = mmio_interrupt_mask,
};

bool virtio_mmio_probe(
	struct virtio_device *device, volatile uint8_t *registers, uint64_t size, unsigned gsi)
{
	*device = (struct virtio_device){ .transport = &mmio_transport,
		.config = registers + MMIO_CONFIG,
		.config_size = size < MMIO_BYTES_MAX ? (uint32_t)size - MMIO_CONFIG
						     : MMIO_BYTES_MAX - MMIO_CONFIG,
		.mmio = { .registers = registers, .gsi = gsi } };
	if (register_read(device, MMIO_MAGIC) != MMIO_MAGIC_VALUE)
		return false;
	uint32_t version = register_read(device, MMIO_VERSION);
	device->id = register_read(device, MMIO_DEVICE_ID);
	device->legacy = version == VERSION_LEGACY;
	return (version == VERSION_LEGACY || version == VERSION_MODERN) && device->id != 0;
}
