/* The first port of a virtio console as a byte transport for the host channel. */
#ifndef CAPOS_DEV_VIRTIO_CONSOLE_H
#define CAPOS_DEV_VIRTIO_CONSOLE_H

#include <stdbool.h>

#include "dev/transport.h"
#include "dev/virtio.h"

/* Boot, once. Takes over the device. False when it cannot be used. */
bool virtio_console_init(struct virtio_device *device, struct transport *transport) MUST_CHECK;

#endif
