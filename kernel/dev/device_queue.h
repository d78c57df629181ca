/* A virtqueue (virtio 1.2, section 2.7) of a device that a program drives. The rings lie in memory
 * of the kernel that no program maps. What a driver asks for is checked against its pool before it
 * is written there, and what the device says is checked against what it was given. The kernel
 * decides from its own records alone and reads nothing of the rings but the used ring.
 *
 * Pure, on memory of the caller; one caller at a time. tests/host/dev has a driver and a device
 * that do what they like. */
#ifndef CAPOS_DEV_DEVICE_QUEUE_H
#define CAPOS_DEV_DEVICE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <capos/abi.h>

#include "capos_kernel/status.h"
#include "dev/virtio.h"

/* What the kernel knows of an entry. */
struct queue_entry {
	uint64_t token;
	uint32_t room;  /* bytes that the device may write for the request */
	uint16_t count; /* entries of the request that begins here; 0: none does */
	uint16_t next;  /* of the request, or free */
};

struct device_queue {
	uint32_t size;
	const paddr_t *frames; /* of the pool */
	uint64_t pool_bytes;

	struct virtq_descriptor *descriptors;
	volatile uint16_t *available; /* flags, index, entries */
	volatile uint16_t *used;      /* flags, index, pairs of 32 bits */

	struct queue_entry *entries;
	uint16_t free_first, free_count;
	uint16_t available_index, used_index;
	bool wrong; /* the device has finished what it was not given */
};

/* Bytes from the descriptors to the used ring: a power of two, as old devices want it. */
size_t device_queue_used_offset(uint32_t size);
/* Bytes of all rings, which are contiguous and zero at first. */
size_t device_queue_bytes(uint32_t size);

/* size: a power of two, at most CAPOS_DEVICE_QUEUE_SIZE_MAX. entries: so many, zero. */
void device_queue_init(struct device_queue *queue, uint32_t size, void *rings,
	struct queue_entry *entries, const paddr_t *frames, uint64_t pages);

/* Whether the queue can take these requests: INVALID_ARGUMENT, OUT_OF_RANGE or LIMIT_REACHED. */
status_t device_queue_check(const struct device_queue *queue,
	const struct capos_device_buffer *buffers, size_t count) MUST_CHECK;
/* Writes requests that have been checked. The device sees them at the next publish. */
void device_queue_put(
	struct device_queue *queue, const struct capos_device_buffer *buffers, size_t count);
/* Whether the device wants to be told. */
bool device_queue_publish(struct device_queue *queue);

/* The next request that the device has finished with. False: there is none, or the device has named
 * one that it was not given, which sets wrong for good. */
bool device_queue_take(struct device_queue *queue, struct capos_device_done *done);
/* Whether the device says that there is one. */
bool device_queue_pending(const struct device_queue *queue);
/* Whether the device is to interrupt; it may ignore that. */
void device_queue_interrupts(struct device_queue *queue, bool wanted);

#endif
