/* A device queue between a driver and a device that both do what they like. After each step the
 * rings that the device reads are looked through as a device would: every chain ends, lies within
 * the pool and has no entry that another outstanding request has. What comes back was outstanding,
 * once, with no more bytes than it had room for. */
#ifndef TEST_DEV_QUEUE_STEPS_H
#define TEST_DEV_QUEUE_STEPS_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "dev/device_queue.h"

#define STEPS_POOL_PAGES 8u
#define STEPS_REQUESTS 4096u

static struct {
	struct device_queue queue;
	uint8_t *rings;
	struct queue_entry *entries;
	paddr_t frames[STEPS_POOL_PAGES];
	struct {
		uint32_t room; /* 0 bytes to write are 1 here */
		bool outstanding;
	} requests[STEPS_REQUESTS]; /* by token */
	uint32_t given, returned;
} steps;

static void steps_begin(uint32_t size)
{
	free(steps.rings);
	free(steps.entries);
	memset(&steps, 0, sizeof steps);
	size_t bytes = device_queue_bytes(size);
	steps.rings = aligned_alloc(64, (bytes + 63) / 64 * 64);
	memset(steps.rings, 0, bytes);
	steps.entries = calloc(size, sizeof steps.entries[0]);
	for (uint64_t i = 0; i < STEPS_POOL_PAGES; i++) /* no two are neighbours */
		steps.frames[i] = (100 + 3 * i) * PAGE_SIZE;
	device_queue_init(
		&steps.queue, size, steps.rings, steps.entries, steps.frames, STEPS_POOL_PAGES);
}

static bool inside_the_pool(uint64_t address, uint64_t length)
{
	for (uint64_t i = 0; i < STEPS_POOL_PAGES; i++)
		if (address >= steps.frames[i] && address - steps.frames[i] < PAGE_SIZE)
			return length && length <= PAGE_SIZE - (address - steps.frames[i]);
	return false;
}

/* Walks a chain; marks its entries. */
static bool chain_is_good(uint16_t head, bool *used)
{
	bool wrote = false;
	for (uint32_t index = head, seen = 0; seen < steps.queue.size; seen++) {
		if (index >= steps.queue.size || used[index])
			return false;
		const struct virtq_descriptor *descriptor = &steps.queue.descriptors[index];
		bool write = descriptor->flags & 2;
		used[index] = true;
		if (!inside_the_pool(descriptor->address, descriptor->length) ||
			descriptor->flags & ~3u || (wrote && !write))
			return false;
		wrote = write;
		if (!(descriptor->flags & 1))
			return true;
		index = descriptor->next;
	}
	return false;
}

static bool steps_are_good(void)
{
	bool used[CAPOS_DEVICE_QUEUE_SIZE_MAX] = { false };
	uint32_t count = 0;
	for (uint16_t i = 0; i < steps.queue.size; i++)
		if (steps.entries[i].count && !chain_is_good(i, used))
			return false;
	for (uint32_t i = 0; i < steps.queue.size; i++)
		count += used[i];
	return count + steps.queue.free_count == steps.queue.size;
}

/* A request as the driver asks for it; whether it was taken. */
static bool steps_submit(struct capos_device_buffer *buffers, size_t count)
{
	if (steps.given == STEPS_REQUESTS)
		return false;
	buffers[0].token = steps.given;
	for (size_t i = 0; i + 1 < count; i++) /* one request */
		buffers[i].flags |= CAPOS_DEVICE_BUFFER_MORE;
	if (device_queue_check(&steps.queue, buffers, count) != STATUS_OK)
		return false;
	device_queue_put(&steps.queue, buffers, count);
	device_queue_publish(&steps.queue);
	for (size_t i = 0; i < count; i++)
		if (buffers[i].flags & CAPOS_DEVICE_BUFFER_WRITE)
			steps.requests[steps.given].room += buffers[i].length;
	steps.requests[steps.given++].outstanding = true;
	return true;
}

/* The device says that it has finished with an entry. */
static void steps_finish(uint32_t id, uint32_t length)
{
	uint16_t index = steps.queue.used[1];
	volatile uint16_t *entry = steps.queue.used + 2 + index % steps.queue.size * 4;
	memcpy((void *)entry, &id, sizeof id);
	memcpy((void *)(entry + 2), &length, sizeof length);
	steps.queue.used[1] = (uint16_t)(index + 1);
}

/* Takes all there is; false: something came back that should not. */
static bool steps_collect(void)
{
	struct capos_device_done done;
	while (device_queue_take(&steps.queue, &done)) {
		if (done.token >= steps.given || !steps.requests[done.token].outstanding ||
			done.length > steps.requests[done.token].room)
			return false;
		steps.requests[done.token].outstanding = false;
		steps.returned++;
	}
	return true;
}

#endif
