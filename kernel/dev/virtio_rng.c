/* virtio entropy device: one queue, one buffer, polled. The queue's page and the buffer are given
 * back when the device has reset itself. One that does not keeps them, because it may still write
 * to them. */
#include "dev/virtio_rng.h"

#include "arch/cpu.h"
#include "core/string.h"
#include "machine/clock.h"

#define SEED_BYTES 64u

/* One request. Returns how many bytes came. */
static uint32_t ask(struct virtqueue *queue, uint8_t *seed, uint64_t until_ns)
{
	uint16_t index;
	uint32_t length;
	virtqueue_offer(queue, 0, seed, SEED_BYTES, true);
	virtqueue_kick(queue);
	while (!virtqueue_take(queue, &index, &length)) {
		if (clock_now_ns() >= until_ns)
			return 0;
		cpu_relax();
	}
	return length;
}

void virtio_rng_ask(const struct virtio_device *device, uint64_t until_ns,
	void (*receive)(const void *bytes, size_t size))
{
	struct virtio_device rng = *device;
	struct virtqueue queue = { .size = 0 };
	paddr_t frame = frame_alloc(KERNEL_PAYS, 0, FRAME_ZERO);
	if (!frame)
		return;
	uint8_t *seed = phys_to_virt(frame);
	if (virtio_begin(&rng, NULL) && virtqueue_init(&queue, &rng, 0, 1)) {
		virtio_ready(&rng);
		uint32_t length, total = 0;
		while (total < SEED_BYTES && (length = ask(&queue, seed, until_ns)) != 0) {
			receive(seed, length);
			total += length;
		}
	}
	if (!virtio_reset(&rng))
		return;
	memory_wipe(seed, SEED_BYTES);
	frame_free(KERNEL_PAYS, frame, 0);
	if (queue.descriptors)
		frame_free(KERNEL_PAYS, virt_to_phys(queue.descriptors), 0);
}
