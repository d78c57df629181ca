/* A virtio entropy device (virtio 1.2, section 5.4), asked once at boot. A program may drive it
 * later. */
#ifndef CAPOS_DEV_VIRTIO_RNG_H
#define CAPOS_DEV_VIRTIO_RNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dev/virtio.h"

/* Boot, without interrupts. Passes on what the device gives until that time, and resets it. */
void virtio_rng_ask(const struct virtio_device *device, uint64_t until_ns,
	void (*receive)(const void *bytes, size_t size));

#endif
