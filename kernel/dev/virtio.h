/* virtio devices on the mmio transport (virtio 1.2, section 4.2; register layout versions 1 and 2), and split
 * virtqueues (section 2.7). Just what a console and an entropy source need: one page per queue, buffers at fixed
 * kernel addresses, no indirect descriptors. */
#ifndef CAPOS_DEV_VIRTIO_H
#define CAPOS_DEV_VIRTIO_H

#include <stdbool.h>
#include <stdint.h>

#include "mm/frame.h"

#define VIRTIO_ID_CONSOLE 3
#define VIRTIO_ID_ENTROPY 4
#define VIRTQUEUE_SIZE_MAX 16

struct virtio_device {
	volatile uint8_t *registers;
	uint32_t version; /* 1: legacy layout, 2: modern */
	uint32_t id;
	unsigned gsi;
};

struct virtq_descriptor {
	uint64_t address;
	uint32_t length;
	uint16_t flags;
	uint16_t next;
};

struct virtq_available {
	uint16_t flags;
	uint16_t index;
	uint16_t ring[VIRTQUEUE_SIZE_MAX];
};

struct virtq_used {
	uint16_t flags;
	uint16_t index;
	struct {
		uint32_t id;
		uint32_t length;
	} ring[VIRTQUEUE_SIZE_MAX];
};

struct virtqueue {
	struct virtio_device *device;
	uint32_t number;
	uint32_t size;
	struct virtq_descriptor *descriptors; /* the queue's page */
	volatile struct virtq_available *available;
	volatile struct virtq_used *used;
	uint16_t available_index; /* the driver's own copies */
	uint16_t used_index;
};

/* Looks at the device behind the registers: fills id and version; false when there is none or it is of no known version. */
bool virtio_probe(struct virtio_device *device);
/* Resets it and agrees on no optional feature (VERSION_1 where the layout demands it). */
bool virtio_begin(struct virtio_device *device) MUST_CHECK;
/* Sets up queue number with up to size entries; between begin and ready. */
bool virtqueue_init(struct virtqueue *queue, struct virtio_device *device, uint32_t number, uint32_t size) MUST_CHECK;
void virtio_ready(struct virtio_device *device);
/* Gives up: the device is told so and left alone. */
void virtio_fail(struct virtio_device *device);
/* Reads and clears the interrupt's reasons. */
void virtio_interrupt_acknowledge(struct virtio_device *device);

/* Offers a kernel buffer as descriptor `index`: for the device to write when writable. The device sees it at the
 * next virtqueue_kick. */
void virtqueue_offer(struct virtqueue *queue, uint16_t index, const void *buffer, uint32_t length, bool writable);
void virtqueue_kick(struct virtqueue *queue);
/* The next buffer the device has finished with: its descriptor and the bytes written to it. False when there is
 * none. A device that names no descriptor of ours is ignored. */
bool virtqueue_take(struct virtqueue *queue, uint16_t *index, uint32_t *length);
/* No interrupts for this queue: it is polled. */
void virtqueue_silence(struct virtqueue *queue);

#endif
