/* A virtio entropy device (virtio 1.2, section 5.4) as a source of seeds. It delivers the bytes it
 * was asked for with an interrupt. */
#ifndef CAPOS_DEV_VIRTIO_RNG_H
#define CAPOS_DEV_VIRTIO_RNG_H

#include <stdbool.h>
#include <stddef.h>

#include "dev/virtio.h"

/* Boot, once. Takes over the device. receive gets delivered bytes, in the interrupt. */
bool virtio_rng_init(
	struct virtio_device *device, void (*receive)(const void *bytes, size_t size)) MUST_CHECK;
/* Asks for a seed unless a request is pending. Any context that may take an OBJECT lock. */
void virtio_rng_request(void);
/* Boot, without interrupts: takes a seed that has arrived. */
void virtio_rng_poll(void);

#endif
