/* virtio devices over any transport, and split virtqueues: see virtio.h.
 *
 * A queue lives in one zeroed page: descriptors at 0, available ring behind them, used ring at
 * 2048, which satisfies the legacy layout with a queue alignment of 2048 as well as the modern one.
 * No number that the device writes is used as an index or a length without a check. */
#include "dev/virtio.h"

#include "arch/cpu.h"
#include "core/log.h"

enum device_status {
	DEVICE_ACKNOWLEDGE = 1,
	DEVICE_DRIVER = 2,
	DEVICE_DRIVER_OK = 4,
	DEVICE_FEATURES_OK = 8,
	DEVICE_FAILED = 128,
};

#define FEATURE_VERSION_1_HIGH 1u /* feature bit 32 */
#define USED_OFFSET VIRTQUEUE_USED_OFFSET
#define USED_NO_NOTIFY 1
#define AVAILABLE_NO_INTERRUPT 1
#define DESCRIPTOR_WRITE 2
#define RESET_POLLS 100000u /* a device that has not reset itself by then never will */

_Static_assert(sizeof(struct virtq_descriptor) == 16, "virtio 1.2, 2.7.5");
_Static_assert(
	VIRTQUEUE_SIZE_MAX * sizeof(struct virtq_descriptor) + sizeof(struct virtq_available) <=
			USED_OFFSET &&
		USED_OFFSET + sizeof(struct virtq_used) <= PAGE_SIZE,
	"a queue fits its page");

static void status_add(const struct virtio_device *device, uint32_t bits)
{
	device->transport->status_write(device, device->transport->status_read(device) | bits);
}

static bool device_reset(const struct virtio_device *device)
{
	device->transport->status_write(device, 0);
	for (unsigned i = 0; i < RESET_POLLS; i++) {
		if (device->transport->status_read(device) == 0)
			return true;
		cpu_relax();
	}
	return false;
}

bool virtio_begin(struct virtio_device *device, void (*interrupt)(void))
{
	if (!device_reset(device))
		return false;
	status_add(device, DEVICE_ACKNOWLEDGE);
	status_add(device, DEVICE_DRIVER);
	device->transport->features_write(device, 0, 0);
	if (!device->legacy) {
		device->transport->features_write(device, 1, FEATURE_VERSION_1_HIGH);
		status_add(device, DEVICE_FEATURES_OK);
		if (!(device->transport->status_read(device) & DEVICE_FEATURES_OK))
			return false;
	}
	return device->transport->interrupt_connect(device, interrupt);
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
	device->transport->interrupt_acknowledge(device);
}

bool virtqueue_init(
	struct virtqueue *queue, struct virtio_device *device, uint32_t number, uint32_t size)
{
	if (device->transport->queue_size_max(device, number) < size || size > VIRTQUEUE_SIZE_MAX)
		return false;
	paddr_t frame = frame_alloc(KERNEL_PAYS, 0, FRAME_ZERO);
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
	const struct virtqueue_place place = { frame, frame + available, frame + USED_OFFSET };
	return device->transport->queue_start(queue, &place);
}

void virtqueue_offer(
	struct virtqueue *queue, uint16_t index, const void *buffer, uint32_t length, bool writable)
{
	ASSERT(index < queue->size);
	queue->descriptors[index] = (struct virtq_descriptor){
		.address = virt_to_phys(buffer),
		.length = length,
		.flags = writable ? DESCRIPTOR_WRITE : 0,
	};
	queue->lengths[index] = length;
	queue->available->ring[queue->available_index % queue->size] = index;
	queue->available_index++;
}

void virtqueue_kick(struct virtqueue *queue)
{
	if (queue->available->index == queue->available_index)
		return;
	/* Descriptors and ring entries must be visible before the index, and the index before the
	 * device's wish for a notification is read. */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	queue->available->index = queue->available_index;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!(queue->used->flags & USED_NO_NOTIFY))
		queue->device->transport->queue_notify(queue);
}

bool virtqueue_take(struct virtqueue *queue, uint16_t *index, uint32_t *length)
{
	while (queue->used->index != queue->used_index) {
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		unsigned slot = queue->used_index++ % queue->size;
		uint32_t id = queue->used->ring[slot].id;
		uint32_t written = queue->used->ring[slot].length;
		if (id >= queue->size)
			continue;
		uint32_t room = queue->lengths[id];
		*index = (uint16_t)id;
		*length = written < room ? written : room;
		return true;
	}
	return false;
}

void virtqueue_interrupts(struct virtqueue *queue, bool wanted)
{
	queue->available->flags = wanted ? 0 : AVAILABLE_NO_INTERRUPT;
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* before the used index is read */
}
