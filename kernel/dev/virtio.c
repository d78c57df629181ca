/* virtio devices over any transport, and split virtqueues: see virtio.h.
 *
 * A queue lives in one zeroed page: descriptors at 0, available ring behind them, used ring at
 * 2048, which satisfies the legacy layout with a queue alignment of 2048 as well as the modern one.
 * No number that the device writes is used as an index or a length without a check. */
#include "dev/virtio.h"

#include "arch/cpu.h"
#include "core/log.h"

#define FEATURE_VERSION_1 (1ull << 32)
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

bool virtio_type_is_open(uint32_t id)
{
	switch (id) {
	case VIRTIO_ID_NETWORK:
	case VIRTIO_ID_BLOCK:
	case VIRTIO_ID_CONSOLE:
	case VIRTIO_ID_ENTROPY:
	case VIRTIO_ID_9P:
	case VIRTIO_ID_INPUT:
	case VIRTIO_ID_SOCKET:
		return true;
	default:
		return false;
	}
}

void virtio_reset_begin(const struct virtio_device *device)
{
	device->transport->status_write(device, 0);
}

bool virtio_reset_done(const struct virtio_device *device)
{
	return device->transport->status_read(device) == 0;
}

bool virtio_reset(const struct virtio_device *device)
{
	virtio_reset_begin(device);
	for (unsigned i = 0; i < RESET_POLLS; i++) {
		if (virtio_reset_done(device))
			return true;
		cpu_relax();
	}
	return false;
}

uint64_t virtio_features(const struct virtio_device *device)
{
	uint64_t features = device->transport->features_read(device, 0);
	if (!device->legacy)
		features |= (uint64_t)device->transport->features_read(device, 1) << 32;
	return features;
}

bool virtio_agree(const struct virtio_device *device, uint64_t features)
{
	status_add(device, VIRTIO_ACKNOWLEDGE);
	status_add(device, VIRTIO_DRIVER);
	device->transport->features_write(device, 0, (uint32_t)features);
	if (device->legacy)
		return true;
	features |= FEATURE_VERSION_1;
	device->transport->features_write(device, 1, (uint32_t)(features >> 32));
	status_add(device, VIRTIO_FEATURES_OK);
	return device->transport->status_read(device) & VIRTIO_FEATURES_OK;
}

bool virtio_begin(struct virtio_device *device, void (*interrupt)(void *))
{
	const struct interrupt_handler handler = { .run = interrupt };
	if (!virtio_reset(device) || !virtio_agree(device, 0))
		return false;
	if (!interrupt)
		return true;
	device->transport->interrupt_for_config(device, false);
	return device->transport->interrupt_connect(device, handler);
}

void virtio_ready(const struct virtio_device *device)
{
	status_add(device, VIRTIO_DRIVER_OK);
}

void virtio_fail(struct virtio_device *device)
{
	status_add(device, VIRTIO_FAILED);
}

bool virtio_interrupt_acknowledge(const struct virtio_device *device)
{
	return device->transport->interrupt_acknowledge(device);
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
	const struct virtqueue_place place = { number, size, frame, frame + available,
		frame + USED_OFFSET };
	queue->notify = device->transport->queue_start(device, &place);
	return queue->notify;
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
		queue->device->transport->queue_notify(queue->notify, queue->number);
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
