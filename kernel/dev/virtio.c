/* virtio-mmio transport and split virtqueues: see virtio.h.
 *
 * A queue lives in one zeroed page: descriptors at 0, available ring behind them, used ring at 2048, which
 * satisfies the legacy layout with a queue alignment of 2048 as well as the modern one. Nothing the device writes
 * is used as an index or a length without a check. */
#include "dev/virtio.h"

#include "core/log.h"

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
};

#define MMIO_MAGIC_VALUE 0x74726976u

enum device_status {
	DEVICE_ACKNOWLEDGE = 1,
	DEVICE_DRIVER = 2,
	DEVICE_DRIVER_OK = 4,
	DEVICE_FEATURES_OK = 8,
	DEVICE_FAILED = 128,
};

#define FEATURE_VERSION_1_HIGH 1u /* feature bit 32 */
#define USED_OFFSET 2048ul
#define USED_NO_NOTIFY 1
#define AVAILABLE_NO_INTERRUPT 1
#define DESCRIPTOR_WRITE 2

_Static_assert(sizeof(struct virtq_descriptor) == 16, "virtio 1.2, 2.7.5");
_Static_assert(VIRTQUEUE_SIZE_MAX * sizeof(struct virtq_descriptor) + sizeof(struct virtq_available) <= USED_OFFSET &&
               USED_OFFSET + sizeof(struct virtq_used) <= PAGE_SIZE, "a queue fits its page");

static uint32_t register_read(const struct virtio_device *device, unsigned offset)
{
	return *(volatile uint32_t *)(device->registers + offset);
}

static void register_write(const struct virtio_device *device, unsigned offset, uint32_t value)
{
	*(volatile uint32_t *)(device->registers + offset) = value;
}

static void register_write_address(const struct virtio_device *device, unsigned offset, uint64_t address)
{
	register_write(device, offset, (uint32_t)address);
	register_write(device, offset + 4, (uint32_t)(address >> 32));
}

static void status_add(const struct virtio_device *device, uint32_t bits)
{
	register_write(device, MMIO_STATUS, register_read(device, MMIO_STATUS) | bits);
}

bool virtio_probe(struct virtio_device *device)
{
	if (register_read(device, MMIO_MAGIC) != MMIO_MAGIC_VALUE)
		return false;
	device->version = register_read(device, MMIO_VERSION);
	device->id = register_read(device, MMIO_DEVICE_ID);
	return (device->version == 1 || device->version == 2) && device->id != 0;
}

bool virtio_begin(struct virtio_device *device)
{
	register_write(device, MMIO_STATUS, 0);
	status_add(device, DEVICE_ACKNOWLEDGE);
	status_add(device, DEVICE_DRIVER);
	register_write(device, MMIO_DRIVER_FEATURES_SELECT, 0);
	register_write(device, MMIO_DRIVER_FEATURES, 0);
	if (device->version == 1) {
		register_write(device, MMIO_GUEST_PAGE_SIZE, PAGE_SIZE);
		return true;
	}
	register_write(device, MMIO_DRIVER_FEATURES_SELECT, 1);
	register_write(device, MMIO_DRIVER_FEATURES, FEATURE_VERSION_1_HIGH);
	status_add(device, DEVICE_FEATURES_OK);
	return register_read(device, MMIO_STATUS) & DEVICE_FEATURES_OK;
}

void virtio_ready(struct virtio_device *device)
{
	status_add(device, DEVICE_DRIVER_OK);
}

void virtio_fail(struct virtio_device *device)
{
	status_add(device, DEVICE_FAILED);
}

void virtio_interrupt_acknowledge(struct virtio_device *device)
{
	register_write(device, MMIO_INTERRUPT_ACKNOWLEDGE, register_read(device, MMIO_INTERRUPT_STATUS));
}

bool virtqueue_init(struct virtqueue *queue, struct virtio_device *device, uint32_t number, uint32_t size)
{
	register_write(device, MMIO_QUEUE_SELECT, number);
	uint32_t size_max = register_read(device, MMIO_QUEUE_SIZE_MAX);
	if (size_max < size || size > VIRTQUEUE_SIZE_MAX)
		return false;
	paddr_t frame = frame_alloc(0, FRAME_ZERO);
	if (!frame)
		return false;
	uint8_t *page = phys_to_virt(frame);
	uint64_t available = size * sizeof(struct virtq_descriptor);
	*queue = (struct virtqueue){
		.device = device,
		.number = number,
		.size = size,
		.descriptors = (struct virtq_descriptor *)page,
		.available = (struct virtq_available *)(page + available),
		.used = (struct virtq_used *)(page + USED_OFFSET),
	};
	register_write(device, MMIO_QUEUE_SIZE, size);
	if (device->version == 1) {
		register_write(device, MMIO_QUEUE_ALIGN, USED_OFFSET);
		register_write(device, MMIO_QUEUE_PAGE, (uint32_t)(frame >> PAGE_SHIFT));
	} else {
		register_write_address(device, MMIO_QUEUE_DESCRIPTORS, frame);
		register_write_address(device, MMIO_QUEUE_AVAILABLE, frame + available);
		register_write_address(device, MMIO_QUEUE_USED, frame + USED_OFFSET);
		register_write(device, MMIO_QUEUE_READY, 1);
	}
	return true;
}

void virtqueue_offer(struct virtqueue *queue, uint16_t index, const void *buffer, uint32_t length, bool writable)
{
	ASSERT(index < queue->size);
	queue->descriptors[index] = (struct virtq_descriptor){
		.address = virt_to_phys(buffer),
		.length = length,
		.flags = writable ? DESCRIPTOR_WRITE : 0,
	};
	queue->available->ring[queue->available_index % queue->size] = index;
	queue->available_index++;
}

void virtqueue_kick(struct virtqueue *queue)
{
	if (queue->available->index == queue->available_index)
		return;
	/* Descriptors and ring entries are visible before the index, the index before the device's wish is read. */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	queue->available->index = queue->available_index;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!(queue->used->flags & USED_NO_NOTIFY))
		register_write(queue->device, MMIO_QUEUE_NOTIFY, queue->number);
}

bool virtqueue_take(struct virtqueue *queue, uint16_t *index, uint32_t *length)
{
	while (queue->used->index != queue->used_index) {
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		unsigned at = queue->used_index++ % queue->size;
		uint32_t id = queue->used->ring[at].id;
		uint32_t written = queue->used->ring[at].length;
		if (id >= queue->size)
			continue;
		uint32_t room = queue->descriptors[id].length;
		*index = (uint16_t)id;
		*length = written < room ? written : room;
		return true;
	}
	return false;
}

void virtqueue_silence(struct virtqueue *queue)
{
	queue->available->flags = AVAILABLE_NO_INTERRUPT;
}
