/* A virtio entropy device (virtio 1.2, section 5.4) as a source of seeds: asked for some bytes, it
 * delivers them with an interrupt. */
#ifndef CAPOS_DEV_VIRTIO_RNG_H
#define CAPOS_DEV_VIRTIO_RNG_H

#include <stdbool.h>
#include <stddef.h>

#include "dev/virtio.h"

/* Takes the device over; delivered bytes go to receive, which runs in the interrupt. */
bool virtio_rng_init(
	struct virtio_device *device, void (*receive)(const void *bytes, size_t size)) MUST_CHECK;
/* Asks for a seed unless one is on its way. */
void virtio_rng_request(void);
/* Looks whether a seed has arrived without an interrupt: during boot. */
void virtio_rng_poll(void);

#endif
