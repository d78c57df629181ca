/* virtio entropy device: one queue, one buffer, one request at a time. */
#include "dev/virtio_rng.h"

#include "core/lock.h"
#include "core/string.h"

#define SEED_BYTES 64u

static struct spinlock rng_lock = SPINLOCK_INIT(OBJECT);
static struct virtio_device rng;
static struct virtqueue requests; /* guarded by rng_lock */
static uint8_t *seed;             /* NULL: no device */
static bool outstanding;
static void (*seed_receive)(const void *bytes, size_t size);

void virtio_rng_poll(void)
{
	uint8_t copy[SEED_BYTES];
	uint16_t index;
	uint32_t length = 0;
	spin_lock(&rng_lock);
	if (outstanding && virtqueue_take(&requests, &index, &length)) {
		memcpy(copy, seed, length);
		memset(seed, 0, SEED_BYTES);
		outstanding = false;
	}
	spin_unlock(&rng_lock);
	if (length)
		seed_receive(copy, length);
}

static void rng_interrupt(void)
{
	virtio_interrupt_acknowledge(&rng);
	virtio_rng_poll();
}

void virtio_rng_request(void)
{
	spin_lock(&rng_lock);
	if (seed && !outstanding) {
		outstanding = true;
		virtqueue_offer(&requests, 0, seed, SEED_BYTES, true);
		virtqueue_kick(&requests);
	}
	spin_unlock(&rng_lock);
}

bool virtio_rng_init(struct virtio_device *device, void (*receive)(const void *bytes, size_t size))
{
	rng = *device;
	paddr_t frame = frame_alloc(KERNEL_PAYS, 0, FRAME_ZERO);
	if (!frame || !virtio_begin(&rng, rng_interrupt) ||
		!virtqueue_init(&requests, &rng, 0, 1)) {
		virtio_fail(&rng);
		if (frame)
			frame_free(KERNEL_PAYS, frame, 0);
		return false;
	}
	seed_receive = receive;
	seed = phys_to_virt(frame);
	virtio_ready(&rng);
	return true;
}
