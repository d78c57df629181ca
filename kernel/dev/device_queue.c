/* See device_queue.h. */
#include "dev/device_queue.h"

#include "core/log.h"

#define RING_ENTRIES 2u /* of available and used, behind flags and index */
#define USED_ID 0u
#define USED_LENGTH 2u
#define USED_UNITS 4u /* of 16 bits in an entry of the used ring */
#define USED_NO_NOTIFY 1u
#define AVAILABLE_NO_INTERRUPT 1u
#define DESCRIPTOR_NEXT 1u
#define DESCRIPTOR_WRITE 2u
#define ALIGNMENT_MIN 64u

size_t device_queue_used_offset(uint32_t size)
{
	size_t bytes = size * sizeof(struct virtq_descriptor) + 6 + size * 2;
	size_t offset = ALIGNMENT_MIN;
	while (offset < bytes)
		offset *= 2;
	return offset;
}

size_t device_queue_bytes(uint32_t size)
{
	return device_queue_used_offset(size) + 6 + size * 8;
}

void device_queue_init(struct device_queue *queue, uint32_t size, void *rings,
	struct queue_entry *entries, const paddr_t *frames, uint64_t pages)
{
	uint8_t *bytes = rings;
	ASSERT(size && !(size & (size - 1)) && size <= CAPOS_DEVICE_QUEUE_SIZE_MAX);
	*queue = (struct device_queue){
		.size = size,
		.frames = frames,
		.pool_bytes = pages * PAGE_SIZE,
		.descriptors = rings,
		.available = (void *)(bytes + size * sizeof(struct virtq_descriptor)),
		.used = (void *)(bytes + device_queue_used_offset(size)),
		.entries = entries,
		.free_count = (uint16_t)size,
	};
	for (uint32_t i = 0; i < size; i++)
		entries[i].next = (uint16_t)(i + 1);
}

/* ---- what the driver asks for ---- */

/* A buffer of the pool: the pages that it touches. */
static uint64_t pages_touched(const struct capos_device_buffer *buffer)
{
	return (buffer->offset % PAGE_SIZE + buffer->length + PAGE_SIZE - 1) / PAGE_SIZE;
}

static status_t check_buffer(
	const struct device_queue *queue, const struct capos_device_buffer *buffer)
{
	if (!buffer->length ||
		buffer->flags & ~(CAPOS_DEVICE_BUFFER_WRITE | CAPOS_DEVICE_BUFFER_MORE))
		return STATUS(INVALID_ARGUMENT);
	if (buffer->offset > queue->pool_bytes ||
		buffer->length > queue->pool_bytes - buffer->offset)
		return STATUS(OUT_OF_RANGE);
	return STATUS_OK;
}

status_t device_queue_check(
	const struct device_queue *queue, const struct capos_device_buffer *buffers, size_t count)
{
	uint64_t entries = 0;
	bool more = false, write = false;
	for (size_t i = 0; i < count; i++) {
		status_t status = check_buffer(queue, &buffers[i]);
		if (status != STATUS_OK)
			return status;
		bool writes = buffers[i].flags & CAPOS_DEVICE_BUFFER_WRITE;
		if (more && write && !writes)
			return STATUS(INVALID_ARGUMENT);
		write = writes;
		more = buffers[i].flags & CAPOS_DEVICE_BUFFER_MORE;
		entries += pages_touched(&buffers[i]);
	}
	if (!count || more)
		return STATUS(INVALID_ARGUMENT);
	return entries <= queue->free_count ? STATUS_OK : STATUS(LIMIT_REACHED);
}

static uint16_t take_free(struct device_queue *queue)
{
	uint16_t index = queue->free_first;
	ASSERT(queue->free_count && index < queue->size);
	queue->free_first = queue->entries[index].next;
	queue->free_count--;
	return index;
}

/* Adds the buffer's pages to the request that begins at first and ends at *last. */
static void put_buffer(struct device_queue *queue, const struct capos_device_buffer *buffer,
	uint16_t first, uint16_t *last)
{
	uint64_t offset = buffer->offset;
	bool write = buffer->flags & CAPOS_DEVICE_BUFFER_WRITE;
	for (uint32_t left = buffer->length; left;) {
		uint32_t in_page = (uint32_t)(PAGE_SIZE - offset % PAGE_SIZE);
		uint32_t length = left < in_page ? left : in_page;
		uint16_t index = queue->entries[first].count ? take_free(queue) : first;
		if (index != first) {
			queue->entries[*last].next = index;
			queue->descriptors[*last].next = index;
			queue->descriptors[*last].flags |= DESCRIPTOR_NEXT;
		}
		queue->descriptors[index] = (struct virtq_descriptor){
			.address = queue->frames[offset / PAGE_SIZE] + offset % PAGE_SIZE,
			.length = length,
			.flags = write ? DESCRIPTOR_WRITE : 0,
		};
		*last = index;
		queue->entries[first].count++;
		queue->entries[first].room += write ? length : 0;
		offset += length;
		left -= length;
	}
}

/* Returns how many buffers the request has. */
static size_t put_request(struct device_queue *queue, const struct capos_device_buffer *buffers)
{
	uint16_t first = take_free(queue), last = first;
	size_t i = 0;
	queue->entries[first].token = buffers[0].token;
	queue->entries[first].count = 0;
	queue->entries[first].room = 0;
	do
		put_buffer(queue, &buffers[i], first, &last);
	while (buffers[i++].flags & CAPOS_DEVICE_BUFFER_MORE);
	queue->available[RING_ENTRIES + queue->available_index++ % queue->size] = first;
	return i;
}

void device_queue_put(
	struct device_queue *queue, const struct capos_device_buffer *buffers, size_t count)
{
	for (size_t i = 0; i < count;)
		i += put_request(queue, buffers + i);
}

bool device_queue_publish(struct device_queue *queue)
{
	/* Descriptors and entries must be visible before the index, and the index before the
	 * device's wish to be told is read. */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	queue->available[1] = queue->available_index;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return !(queue->used[0] & USED_NO_NOTIFY);
}

/* ---- what the device says ---- */

static void free_request(struct device_queue *queue, uint16_t first)
{
	uint16_t last = first, count = queue->entries[first].count;
	queue->entries[first].count = 0;
	for (uint16_t i = 1; i < count; i++)
		last = queue->entries[last].next;
	queue->entries[last].next = queue->free_first;
	queue->free_first = first;
	queue->free_count = (uint16_t)(queue->free_count + count);
}

bool device_queue_take(struct device_queue *queue, struct capos_device_done *done)
{
	if (queue->wrong || !device_queue_pending(queue))
		return false;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	const volatile uint16_t *entry =
		queue->used + RING_ENTRIES + queue->used_index % queue->size * USED_UNITS;
	uint32_t id = *(const volatile uint32_t *)(entry + USED_ID);
	uint32_t length = *(const volatile uint32_t *)(entry + USED_LENGTH);
	/* An entry that a finished request had begins none until it is given again. */
	if (id >= queue->size || !queue->entries[id].count) {
		queue->wrong = true;
		return false;
	}
	struct queue_entry *first = &queue->entries[id];
	*done = (struct capos_device_done){
		.token = first->token,
		.length = length < first->room ? length : first->room,
	};
	free_request(queue, (uint16_t)id);
	queue->used_index++;
	return true;
}

bool device_queue_pending(const struct device_queue *queue)
{
	return queue->used[1] != queue->used_index;
}

void device_queue_interrupts(struct device_queue *queue, bool wanted)
{
	queue->available[0] = wanted ? 0 : AVAILABLE_NO_INTERRUPT;
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* before the used index is read */
}
